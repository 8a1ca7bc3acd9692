"""A factor inside and outside landslides, and what its classes hold wherever their limits lie.

Values are sorted once; then the counts of any limits are a matter of looking up, so that limits can
be dragged and the statistics of their classes follow.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.bivariate import statistics_of
from lsm_core.catalog import did_you_mean
from lsm_core.classing import rising
from lsm_core.errors import RecipeError, SampleError
from lsm_core.study_area import factors, layer

MOST = 3_000_000  # cells that are counted
TAILS = 0.005  # share beyond either end that a histogram leaves out


class Values(NamedTuple):
    """A numeric factor's values, sorted: in landslide cells, and in other valid cells.

    `cells` is how many cells of the area have one; fewer are in here where there are very many.
    """

    name: str
    inside: NDArray[np.float32]
    outside: NDArray[np.float32]
    cells: int

    @property
    def counted(self) -> str:
        """What is counted, in words."""
        n = len(self.inside) + len(self.outside)
        some = "all" if n == self.cells else f"{n:,} random ones of"
        return f"{some} {self.cells:,} valid cells, {len(self.inside):,} of them in landslides"


def values_of(ds: xr.Dataset, name: str, rng: np.random.Generator, *, most: int = MOST) -> Values:
    """Values of a continuous or cyclic factor in valid cells (units), by the area's own label.

    Of more than `most` cells, so many are drawn, landslides and others alike. Cells without a value
    are left out. For looking at an area: test landslides are seen.

    Raises
    ------
    RecipeError : no such factor, or one of categories. SampleError : no value inside, or outside.
    """
    if name not in factors(ds):
        raise RecipeError(f"the area has no factor {name!r}: {did_you_mean(name, factors(ds))}")
    if ds[name].attrs["kind"] == "categorical":
        raise RecipeError(f"{name} holds categories, which have no limits: count them as they are")
    value, label = layer(ds, name), layer(ds, "landslide")
    cells = np.flatnonzero(layer(ds, "valid").astype(bool) & np.isfinite(value))
    n = len(cells)
    if n > most:
        cells = rng.choice(cells, most, replace=False, shuffle=False)
    some, slid = value.ravel()[cells], label.ravel()[cells] > 0
    if slid.all() or not slid.any():
        raise SampleError(
            f"{name} has a value in {int(slid.sum())} landslide cells and {int((~slid).sum())} "
            "others: both are needed"
        )
    return Values(name, np.sort(some[slid]), np.sort(some[~slid]), n)


def limits_table(values: Values, limits: ArrayLike) -> pd.DataFrame:
    """All bivariate statistics of the classes between limits, lowest class first.

    Parameters
    ----------
    limits : inner limits, rising; class i holds [limit i - 1, limit i), as everywhere.

    Returns
    -------
    One row a class: from, to (NaN where open), and the columns of `bivariate.statistics_of`.

    Raises
    ------
    RecipeError : limits that do not rise.

    >>> four = Values("slope", np.float32([15, 25]), np.float32([5, 12]), 4)
    >>> table = limits_table(four, [10, 20])
    >>> table["cells"].tolist(), table["frequency_ratio"].tolist()
    ([1, 2, 1], [0.0, 1.0, 2.0])
    """
    edges = rising(limits, values.name)
    precise = np.array(edges, dtype=values.inside.dtype)
    inside, outside = (
        np.diff(np.searchsorted(part, precise), prepend=0, append=len(part))
        for part in (values.inside, values.outside)
    )
    ends = [np.nan, *edges, np.nan]
    head = pd.DataFrame({"from": ends[:-1], "to": ends[1:]})
    return pd.concat([head, statistics_of(inside, inside + outside)], axis=1)


def histogram(values: Values, bins: int = 60) -> pd.DataFrame:
    """Shares (%) of landslide cells and of other cells in equally wide bins: left, right, both.

    The bins run over the middle 99% of all cells; shares are of all, so they may add up to less.
    """
    ends = [np.quantile(part, (TAILS, 1 - TAILS)) for part in (values.inside, values.outside)]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = {
        what: 100 * np.histogram(part, edges)[0] / len(part)
        for what, part in (("inside", values.inside), ("outside", values.outside))
    }
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:]} | shares)
