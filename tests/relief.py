"""Made-up surfaces and a piece of real terrain, for several test files."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.cbook import get_sample_data


def dem_of(z: np.ndarray, cell: float = 10.0, crs: int = 32616) -> xr.DataArray:
    y, x = -cell * np.arange(z.shape[0]), cell * np.arange(z.shape[1])
    return xr.DataArray(z, {"y": y, "x": x}, ("y", "x"), "elevation").rio.write_crs(crs)


def surface(height: Callable, shape: tuple[int, int] = (7, 7), cell: float = 10.0) -> xr.DataArray:
    """The DEM of height(x, y), x east and y north, the first cell's centre at (0, 0)."""
    y, x = np.mgrid[: shape[0], : shape[1]] * cell
    return dem_of(height(x, -y), cell)


def real_terrain() -> xr.DataArray:
    """344 x 403 whole metres, laid on 30 m cells."""
    with get_sample_data("jacksboro_fault_dem.npz") as data:
        return dem_of(data["elevation"].astype("float32"), 30.0)
