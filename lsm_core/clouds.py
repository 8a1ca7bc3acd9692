"""Where clouds, their shadows or snow hide the ground, by an image's band of classes or bits."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from lsm_core.errors import SourceError
from lsm_core.grid import Grid, values_of

# Sentinel-2 level 2A, band SCL. What says nothing of the ground on that day:
SCENE_CLASSES = {
    0: "no data",
    1: "saturated or defective",
    2: "dark area",
    3: "cloud shadow",
    4: "vegetation",
    5: "not vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud, medium probability",
    9: "cloud, high probability",
    10: "thin cirrus",
    11: "snow or ice",
}
HIDDEN = (0, 1, 3, 8, 9, 10)


def cloud_mask(
    band: xr.DataArray,
    grid: Grid,
    *,
    classes: Sequence[int] | None = None,
    bits: Sequence[int] | None = None,
    buffer: float = 0.0,
) -> NDArray[np.bool_]:
    """Cells (y, x) that are hidden.

    Parameters
    ----------
    band : (y, x) of whole numbers on `grid`, laid there by nearest: classes, or flags bit by bit.
        Without data, hidden.
    classes : codes that hide; of Sentinel-2's SCL by default `HIDDEN`.
    bits : numbers from 0 of the bits that hide, any of them set (QA60: 10 clouds, 11 cirrus;
        Landsat's QA_PIXEL: 1 dilated cloud, 2 cirrus, 3 cloud, 4 shadow).
    buffer : metres around hidden cells, centre to centre, that are hidden too.

    Raises
    ------
    SourceError : both classes and bits, a bit below 0, or a band that is not of whole numbers.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 4), Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32632))
    >>> scl = xr.DataArray([[4, 4, 9, 5]], dims=("y", "x"))
    >>> cloud_mask(scl, grid).tolist(), cloud_mask(scl, grid, buffer=10).tolist()
    ([[False, False, True, False]], [[False, True, True, True]])
    """
    values, known = values_of(band)
    numbers = np.where(known, values, 0)
    if (numbers != np.round(numbers)).any():
        raise SourceError(f"{band.name} is no band of classes or bits: it holds {numbers.max():g}")
    if classes is not None and bits is not None:
        raise SourceError("clouds are known by classes or by bits: state one of them")
    if bits is None:
        hidden = np.isin(numbers, HIDDEN if classes is None else classes)
    elif min(bits) < 0:
        raise SourceError(f"bits are numbered from 0, got {min(bits)}")
    else:
        hidden = (numbers.astype("int64") & sum(1 << bit for bit in set(bits))) != 0
    hidden = hidden | ~known
    if buffer > 0 and hidden.any():
        hidden = distance_transform_edt(~hidden, sampling=grid.step[::-1]) <= buffer
    return hidden
