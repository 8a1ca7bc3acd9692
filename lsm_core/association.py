"""How factors hang together among themselves: correlation, association of categories, inflation.

Every function takes a factor table (see `design_matrix`) and learns from what it is given. Plain
correlation treats degrees as angles where `cyclic` names them, for 359 and 1 are neighbours.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from lsm_core.design_matrix import check_table, columns_of, is_category, span, whole_rows


class Inflation(NamedTuple):
    """Table of `vif`, and the rows it could not use."""

    table: pd.DataFrame
    rows: int
    left_out: int


def pearson(table: pd.DataFrame, *, cyclic: Sequence[str] = ()) -> pd.DataFrame:
    """Pearson's r of every two numeric factors, (factor, factor), ones on the diagonal.

    Categories take no part: the codes of a legend have no order (see `cramers_v`). With a cyclic
    factor r is the multiple correlation with its cosine and sine (Mardia 1976): 0 to 1, no sign,
    the same from wherever the degrees are counted. Missing values: each pair uses the rows that
    have both. A constant factor, or a pair with fewer than three rows, is NaN.

    >>> pearson(pd.DataFrame({"slope": [1.0, 2, 3], "relief": [2.0, 4, 6], "wet": [1.0, 0, 1]}))
            slope  relief  wet
    slope     1.0     1.0  0.0
    relief    1.0     1.0  0.0
    wet       0.0     0.0  1.0
    """
    return _matrix(table, cyclic, _correlation)


def spearman(table: pd.DataFrame, *, cyclic: Sequence[str] = ()) -> pd.DataFrame:
    """Spearman's rho: `pearson` of ranks, ties at their mean rank. Cyclic factors have no ranks and
    keep their cosine and sine.

    >>> spearman(pd.DataFrame({"area": [1.0, 2, 3], "flow": [1.0, 10, 1000]})).round(6)
          area  flow
    area   1.0   1.0
    flow   1.0   1.0
    """
    return _matrix(table, cyclic, lambda a, b: _correlation(_ranked(a), _ranked(b)))


def cramers_v(table: pd.DataFrame, *, corrected: bool = True) -> pd.DataFrame:
    """Cramér's V of every two categorical factors, (factor, factor): 0 none, 1 one tells the other.

    Corrected for its bias, which makes V of independent factors grow with the number of classes, as
    Bergsma (2013, J. Korean Stat. Soc. 42:323) does; `corrected=False` is the plain one, the root
    of chi-square over n times the smaller table side less one. Each pair uses the rows that have
    both. A factor of a single category is NaN.

    >>> cramers_v(pd.DataFrame({"rock": ["a", "b"] * 50, "soil": ["x", "y"] * 50})).round(2)
          rock  soil
    rock   1.0   1.0
    soil   1.0   1.0
    """
    check_table(table)
    names = [n for n in table if is_category(table[n])]
    v = pd.DataFrame(np.nan, names, names)
    for i, a in enumerate(names):
        for b in names[i:]:
            v.loc[a, b] = v.loc[b, a] = _cramer(table[a], table[b], corrected)
    return v


def vif(table: pd.DataFrame, *, cyclic: Sequence[str] = ()) -> Inflation:
    """Variance inflation and tolerance of every factor, its equation with a constant.

    `tolerance` is the share of a factor that the others do not explain, 1 - R2; `vif` is
    1 / tolerance. A factor of several columns (cyclic, categories) has the generalised VIF of Fox
    and Monette (1992, JASA 87:178), brought to one column by the root of its `columns`, so that one
    limit serves all; which category is the base makes no difference.

    Rows with a missing value are left out and counted. A factor made up of others is infinite
    (tolerance 0); a constant one is NaN and takes no part.

    >>> made = vif(pd.DataFrame({"slope": [1.0, 2, 3, 4], "relief": [1.0, 3, 2, 4]}))
    >>> made.table.round(3).to_dict("list")  # r = 0.8, and 1 / (1 - r2) = 2.778
    {'vif': [2.778, 2.778], 'tolerance': [0.36, 0.36], 'columns': [1, 1]}
    """
    check_table(table, cyclic)
    whole = whole_rows(table)
    used = table[whole]
    spans = {str(n): span(columns_of(used[n], cyclic=n in cyclic)) for n in used}
    rows = {name: _inflation(name, spans) for name in spans}
    made = pd.DataFrame.from_dict(rows, "index", columns=["vif", "tolerance", "columns"])
    return Inflation(made.astype({"columns": int}), int(whole.sum()), int((~whole).sum()))


def pairs_above(matrix: pd.DataFrame, limit: float) -> pd.DataFrame:
    """The pairs of a matrix at or above a limit in size, strongest first: first, second, value.

    >>> pairs_above(pd.DataFrame([[1, -0.8], [-0.8, 1]], ["a", "b"], ["a", "b"]), 0.7)
      first second  value
    0     a      b   -0.8
    """
    row, col = np.triu_indices(len(matrix), 1)
    value = matrix.to_numpy()[row, col]
    names = matrix.index.to_numpy(object)
    pairs = pd.DataFrame({"first": names[row], "second": names[col], "value": value})
    strong = pairs[pairs["value"].abs() >= limit]
    return strong.sort_values("value", key=lambda v: -v.abs(), kind="stable", ignore_index=True)


# ------------------------------------------------------------------------------------- behind


def _matrix(
    table: pd.DataFrame, cyclic: Sequence[str], of: Callable[[NDArray, NDArray], float]
) -> pd.DataFrame:
    check_table(table, cyclic)
    names = [n for n in table if not is_category(table[n])]
    columns = {n: columns_of(table[n], cyclic=n in cyclic) for n in names}
    r = pd.DataFrame(np.nan, names, names)
    for i, a in enumerate(names):
        for b in names[i:]:
            both = np.isfinite(columns[a][:, 0]) & np.isfinite(columns[b][:, 0])
            r.loc[a, b] = r.loc[b, a] = of(columns[a][both], columns[b][both])
    return r


def _correlation(a: NDArray, b: NDArray) -> float:
    """Pearson's r; the largest canonical correlation where one side has several columns."""
    if len(a) < 3:
        return np.nan
    basis_a, basis_b = span(a), span(b)
    if not (basis_a.size and basis_b.size):
        return np.nan
    shared = np.linalg.svd(basis_a.T @ basis_b, compute_uv=False)[0]
    single = a.shape[1] == b.shape[1] == 1
    sign = np.sign((a - a.mean(axis=0)).T @ (b - b.mean(axis=0)))[0, 0] if single else 1.0
    return float(sign * min(shared, 1.0))


def _ranked(columns: NDArray) -> NDArray:
    return rankdata(columns, axis=0) if columns.shape[1] == 1 else columns


def _cramer(a: pd.Series, b: pd.Series, corrected: bool) -> float:
    counts = pd.crosstab(a.astype(object), b.astype(object)).to_numpy(float)
    n = counts.sum()
    rows, cols = counts.shape
    if min(rows, cols) < 2:
        return np.nan
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi2 = ((counts - expected) ** 2 / expected).sum() / n
    if not corrected:
        return float(np.sqrt(phi2 / (min(rows, cols) - 1)))
    phi2 = max(0.0, phi2 - (rows - 1) * (cols - 1) / (n - 1))
    sides = [k - (k - 1) ** 2 / (n - 1) for k in (rows, cols)]
    return float(np.sqrt(phi2 / (min(sides) - 1))) if min(sides) > 1 else np.nan


def _inflation(name: str, spans: dict[str, NDArray]) -> tuple[float, float, int]:
    """(VIF, tolerance, columns), from how far the others reach into the factor's span."""
    own = spans[name]
    if not own.size:
        return np.nan, np.nan, 0
    others = [basis for other, basis in spans.items() if other != name and basis.size]
    reached = own.T @ span(np.hstack(others)) if others else np.zeros((own.shape[1], 1))
    free = np.linalg.det(np.eye(own.shape[1]) - reached @ reached.T)
    k = own.shape[1]
    tolerance = float(max(free, 0.0)) ** (1 / k)
    if free < 1e-10:
        return np.inf, 0.0, k
    return 1 / tolerance, tolerance, k
