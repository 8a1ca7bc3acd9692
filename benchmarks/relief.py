"""The raster that terrain and drainage are timed on: real relief, drawn out to a large size."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.cbook import get_sample_data
from scipy.ndimage import zoom

SHAPE = (4314, 7210)
CELL = 7.5


def write(path: Path, shape: tuple[int, int] = SHAPE) -> None:
    """Jacksboro interpolated to `shape`, 5 cm of noise, as uncompressed float32 GeoTIFF."""
    with get_sample_data("jacksboro_fault_dem.npz") as data:
        z = data["elevation"].astype("float32")
    z = zoom(z, [new / old for new, old in zip(shape, z.shape, strict=True)], order=3)
    z += np.random.default_rng(0).normal(0, 0.05, shape).astype("float32")
    y, x = 4e6 - CELL * np.arange(shape[0]), 5e5 + CELL * np.arange(shape[1])
    dem = xr.DataArray(z, {"y": y, "x": x}, ("y", "x"), "elevation").rio.write_crs(32616)
    dem.rio.to_raster(path)
