"""Rasters and a catalogue of a few lines, for several test files."""

import numpy as np
import rasterio
from affine import Affine

from lsm_core import catalog

PLACE = Affine(10, 0, 500000, 0, -10, 4000000)
RASTER = "{data_type: RasterDataset, driver: rasterio, uri: %s}"


def write_raster(path, *bands, crs="EPSG:32643", nodata=None, names=None):
    height, width = bands[0].shape
    profile = {"height": height, "width": width, "count": len(bands), "dtype": bands[0].dtype}
    with rasterio.open(
        path, "w", driver="GTiff", crs=crs, transform=PLACE, nodata=nodata, **profile
    ) as file:
        file.write(np.stack(bands))
        file.descriptions = names or [None] * len(bands)


def write_catalog(folder, text, meta="version: v1"):
    path = folder / "my.yaml"
    path.write_text(f"meta: {{{meta}}}\n{text}")
    return catalog.load_catalog(path)
