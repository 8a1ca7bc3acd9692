"""Tables of factors as numbers: which columns of a design matrix stand for which factor.

A factor table is a plain `pandas.DataFrame`, one row a place and one column a factor: numbers, or
categories (dtype category, text or bool). Which of the numbers are angles is said by name
(`cyclic`). A factor then has one column, or two (cosine and sine), or one for each category, and
stays one factor in everything that is computed of it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import SampleError

SAME = 1e-9  # share of a column's length below which a direction is rounding, not information


def is_category(column: pd.Series) -> bool:
    """True for a column of categories: dtype category, text or bool; False for numbers.

    >>> is_category(pd.Series(["shale", "marl"])), is_category(pd.Series([1.0, 2.0]))
    (True, False)
    """
    return not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def check_table(table: pd.DataFrame, cyclic: Sequence[str] = ()) -> None:
    """Raise SampleError where a table has no row, no factor, a name twice or an infinite value."""
    if not len(table) or not len(table.columns):
        raise SampleError(f"a table of factors needs rows and columns, got {table.shape}")
    twice = table.columns[table.columns.duplicated()].tolist()
    if twice:
        raise SampleError(f"the table has two columns {twice[0]!r}: rename or leave out one")
    for name in cyclic:
        if name not in table:
            raise SampleError(f"cyclic names {name!r}, which is no column: {list(table.columns)}")
        if is_category(table[name]):
            raise SampleError(f"cyclic factor {name!r} must hold degrees, got {table[name].dtype}")
    numbers = table[[n for n in table if not is_category(table[n])]]
    infinite = np.isinf(numbers.to_numpy(float)).any(axis=0)
    if infinite.any():
        name = numbers.columns[infinite][0]
        raise SampleError(f"{name} has infinite values: set them to NaN, or leave the rows out")


def check_label(table: pd.DataFrame, label: ArrayLike) -> NDArray[np.int_]:
    """The labels as integers; SampleError unless one a row, 0 or 1, and both are there."""
    y = np.asarray(label)
    if y.shape != (len(table),):
        raise SampleError(f"{y.shape} labels for {len(table)} rows: give one a row")
    classes = np.unique(y).tolist()
    if classes != [0, 1]:
        raise SampleError(f"labels must be 0 and 1, both present; got {classes[:5]}")
    return y.astype(int)


def columns_of(column: pd.Series, *, cyclic: bool = False) -> NDArray[np.float64]:
    """One factor as columns (row, k): itself; cosine and sine of degrees; 0/1 for each category.

    Missing values are NaN in every column. Categories that do not occur get no column.

    >>> columns_of(pd.Series([0.0, 90.0]), cyclic=True).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> columns_of(pd.Series(["marl", "shale", None])).tolist()
    [[1.0, 0.0], [0.0, 1.0], [nan, nan]]
    """
    if is_category(column):
        code, names = pd.factorize(column, sort=True)
        columns = (code[:, None] == np.arange(len(names))).astype(float)
        columns[code < 0] = np.nan
        return columns
    values = column.to_numpy(float, na_value=np.nan)
    if cyclic:
        angle = np.radians(values)
        return np.column_stack([np.cos(angle), np.sin(angle)])
    return values[:, None]


def span(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis (row, rank) of what columns (row, k) hold beside a constant.

    Constant columns hold nothing (rank 0), nor does a column that others make up.

    >>> span(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).shape
    (3, 1)
    """
    centred = columns - columns.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    size = np.abs(columns).max(axis=0, initial=0) * np.sqrt(len(columns))
    own = length > SAME * size
    if not own.any():
        return np.empty((len(columns), 0))
    left, strength, _ = np.linalg.svd(centred[:, own] / length[own], full_matrices=False)
    return left[:, strength > SAME * strength[0]]


def whole_rows(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows without a missing value.

    Raises
    ------
    SampleError : fewer than two are left; the message names the factor that lacks most.
    """
    whole = table.notna().all(axis=1).to_numpy()
    if whole.sum() < 2:
        lacking = table.isna().sum()
        raise SampleError(
            f"only {whole.sum()} of {len(table)} rows have a value of every factor; "
            f"{lacking.idxmax()} lacks {lacking.max()}: leave that factor out"
        )
    return whole
