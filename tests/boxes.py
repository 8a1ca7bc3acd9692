"""A grid of 6 x 8 cells and polygons on it, for several test files."""

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from lsm_core.grid import Grid

UTM = CRS.from_epsg(32643)
GRID = Grid((6, 8), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
ALL = np.ones(GRID.shape, bool)


def cells(row, col, rows=1, cols=1, shrink=1.0):
    """The box of these cells of GRID, drawn in by `shrink` metres."""
    left, top = 500000 + 10 * col, 4000000 - 10 * row
    return shapely.box(
        left + shrink, top - 10 * rows + shrink, left + 10 * cols - shrink, top - shrink
    )


def frame(*shapes, crs=32643, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
