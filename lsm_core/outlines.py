"""Landslides of a raster mask: what touches is one landslide, and gets its outline."""

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy.ndimage import label

from lsm_core.errors import InventoryError
from lsm_core.grid import Grid, grid_of, north_up, values_of


class Outlines(NamedTuple):
    """One polygon a landslide (fields `cells`, `value`), in the raster's CRS; and what was seen."""

    landslides: gpd.GeoDataFrame
    cells: int
    missing: int
    values: list[float]


def outlines(mask: xr.DataArray, *, corners: bool = True, fewest: int = 1) -> Outlines:
    """The connected components of a mask (y, x): its cells that are neither 0 nor nodata.

    Cells that touch by a side are one landslide, and with `corners` (the default: eight
    neighbours) those that touch by a corner too. Components of fewer than `fewest` cells are left
    out. Outlines follow the cells' edges, so that the same grid gives back the same cells;
    landslides are numbered row by row from the north.

    `cells` counts the mask's cells, `missing` those without data, `values` lists what a cell of the
    mask holds: all are taken as landslide, each component states its most frequent one in `value`.
    Errors: no cell is set, or all components are too small (InventoryError); no CRS (CrsError).

    >>> axis = np.arange(4.0)
    >>> cells = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    >>> mask = xr.DataArray(cells, {"y": -axis, "x": axis}, ("y", "x")).rio.write_crs(32643)
    >>> outlines(mask).landslides["cells"].tolist()
    [2, 1, 1]
    >>> len(outlines(mask, corners=False).landslides)
    4
    """
    mask = north_up(mask).transpose("y", "x")
    grid = grid_of(mask, projected=False)
    values, valid = values_of(mask)
    here = np.where(valid, values, 0) != 0
    name = mask.name or "the mask"
    if not here.any():
        raise InventoryError(f"no cell of {name} is set: a landslide is a cell that is not 0")
    numbers, count = label(here, np.ones((3, 3)) if corners else None)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(sizes >= fewest) + 1
    if not len(kept):
        raise InventoryError(
            f"no component of {name} has {fewest} cells: the largest has {sizes.max()}"
        )
    every = polygons_of(numbers, grid)
    polygons = [every[number - 1] for number in kept.tolist()]
    found, place = np.unique(values[here], return_inverse=True)
    table = np.zeros((count + 1, len(found)), "int64")
    np.add.at(table, (numbers[here], place.ravel()), 1)
    columns = {"cells": sizes[kept - 1], "value": found[table[kept].argmax(axis=1)]}
    landslides = gpd.GeoDataFrame(columns, geometry=polygons, crs=grid.crs.to_wkt())
    return Outlines(landslides, int(here.sum()), int((~valid).sum()), found.tolist())


def polygons_of(numbers: NDArray[np.integer], grid: Grid) -> list[shapely.Geometry]:
    """The outline of each number from 1 to the largest, along the edges of its cells, valid always.

    `numbers` is (y, x), 0 where there is nothing; each number up to the largest occurs. Cells of
    one number that touch by a corner alone are parts of one multipolygon.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((2, 2), Affine(10, 0, 0, 0, -10, 20), CRS.from_epsg(32643))
    >>> [round(shape.area) for shape in polygons_of(np.array([[1, 1], [0, 2]]), grid)]
    [200, 100]
    """
    # four neighbours here: a ring that touches itself at a corner is no valid polygon
    traced = shapes(numbers.astype("int32"), numbers > 0, connectivity=4, transform=grid.transform)
    parts: dict[int, list] = {}
    for geometry, number in traced:
        parts.setdefault(int(number), []).append(shapely.geometry.shape(geometry))
    pieces = [parts[number] for number in range(1, len(parts) + 1)]
    return [p[0] if len(p) == 1 else shapely.MultiPolygon(p) for p in pieces]
