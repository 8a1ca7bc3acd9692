"""Mean and standard deviation of the window round every cell.

The window rule is that of `windows`: an even n covers r - n/2 .. r + n/2 - 1, and what lies beyond
the raster is its mirror image without the edge cell repeated. A window's cells are added in one
order wherever it lies, so that a part of a raster gives, where its windows fit, the very same bits
as the whole.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d

ROUNDING = 1e-12  # a variance below this share of the mean square is what rounding leaves of none


def mean_and_spread(
    values: ArrayLike, size: int, *, centre: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (of all n * n cells) of the window round every cell.

    Parameters
    ----------
    values : (y, x), no NaN. size : cells across the window, n.
    centre : a value near the values' middle, which is taken off while they are squared.

    Returns
    -------
    Two (y, x) float64 arrays, in the unit of the values.

    >>> mean, spread = mean_and_spread([[1, 2, 3, 4]], 3)
    >>> mean[0].round(3).tolist(), spread[0].round(3).tolist()
    ([1.667, 2.0, 3.0, 3.333], [0.471, 0.816, 0.816, 0.471])
    """
    off = np.asarray(values, np.float64) - centre
    mean, square = _box(off, size) / size**2, _box(off**2, size) / size**2
    variance = square - mean**2
    variance[variance < ROUNDING * square] = 0.0
    return mean + centre, np.sqrt(variance)


def _box(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums over the windows: down the columns, then along the rows."""
    ones = np.ones(size)
    down = correlate1d(values, ones, axis=0, mode="mirror")
    return correlate1d(down, ones, axis=1, mode="mirror")
