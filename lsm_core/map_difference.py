"""How two susceptibility maps of one area differ: colours for the screen, and a few numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from lsm_core.errors import SampleError
from lsm_core.grid import Bounds

DIVERGING = "PuOr_r"  # purple below, orange above: told apart by every kind of colour blindness
FAR = 0.2  # one class of equal intervals
SHARE = 0.99  # of the cells lie within the ends of the scale


@dataclass(frozen=True)
class Contrast:
    """Of the cells looked at: how many, mean and mean absolute difference, and how many are far.

    `higher` and `lower` are shares of the cells where the first is above, or below, the second by
    `FAR` or more; `rank` is Spearman's correlation (NaN of a map of one value); `limit` the end of
    a scale that holds `SHARE` of them.
    """

    cells: int
    mean: float
    absolute: float
    higher: float
    lower: float
    rank: float
    limit: float

    def words(self, first: str, second: str) -> str:
        """The numbers as a sentence."""
        rank = "" if np.isnan(self.rank) else f" Cells rank alike with {self.rank:.2f} (Spearman)."
        return (
            f"{first} is {abs(self.mean):.3f} {'higher' if self.mean >= 0 else 'lower'} than "
            f"{second} on average, {self.absolute:.3f} away in either direction. It is higher by "
            f"{FAR:g} or more in {self.higher:.1%} of the area and lower by as much in "
            f"{self.lower:.1%}.{rank} From {self.cells:,} cells, evenly over the map."
        )


def contrast(first: ArrayLike, second: ArrayLike) -> Contrast:
    """Differences of two maps on one grid, where both have a value.

    Raises
    ------
    SampleError : shapes that differ, or no cell in which both have a value.

    >>> found = contrast([0.1, 0.5, 0.9, np.nan], [0.1, 0.2, 0.8, 0.5])
    >>> found.cells, round(found.mean, 3), round(found.higher, 3), found.limit
    (3, 0.133, 0.333, 0.3)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise SampleError(f"maps of {a.shape} and {b.shape} cells: they must lie on one grid")
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        raise SampleError("no cell has a value in both maps")
    a, b = a[both], b[both]
    gap = a - b
    one = np.ptp(a) == 0 or np.ptp(b) == 0
    end = np.quantile(np.abs(gap), SHARE)
    return Contrast(
        cells=int(gap.size),
        mean=float(gap.mean()),
        absolute=float(np.abs(gap).mean()),
        higher=float((gap >= FAR).mean()),
        lower=float((gap <= -FAR).mean()),
        rank=float("nan") if one else float(spearmanr(a, b).statistic),
        limit=max(0.05, round(float(np.ceil(round(end * 20, 6))) / 20, 2)),
    )


def difference_image(
    values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y"), *, limit: float = 1.0
) -> hv.Image:
    """Differences (y, x), north up, NaN clear, white at 0, the same depth of colour either way."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["difference"])
    return image.opts(cmap=DIVERGING, clim=(-limit, limit), backend="bokeh")


def difference_ramp(n: int) -> list[str]:
    """`n` colours of the scale, lowest first, as hexadecimal text."""
    return list(hv.plotting.util.process_cmap(DIVERGING, n))
