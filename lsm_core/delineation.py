"""From scores to landslides: cut, smoothed, cleared of roads and water, clustered, outlined.

Every cell and every object that a step adds or takes is counted.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lsm_core.delineation_settings import Delineation
from lsm_core.errors import GridError, RecipeError
from lsm_core.grid import Grid, grid_of
from lsm_core.outlines import polygons_of

Cells = NDArray[np.bool_]


class Mask(NamedTuple):
    """Ground (y, x) that takes detected cells, or the whole objects that touch it."""

    cells: Cells
    takes: str = "cells"


class Delineated(NamedTuple):
    """Landslides as polygons, their number in each cell (y, x; 0 for none), and counts."""

    landslides: gpd.GeoDataFrame
    number: NDArray[np.int32]
    counts: dict[str, int]


def delineate(
    score: xr.DataArray,
    how: Delineation,
    *,
    threshold: float,
    masks: Mapping[str, Mask] | None = None,
    run: str = "",
) -> Delineated:
    """The landslides of a map of scores.

    Parameters
    ----------
    score : (y, x) in a projected CRS, metres or feet; NaN where nothing is known: never a
        landslide, and no voice in smoothing.
    how : steps and their sizes; lengths in metres, areas in m2, whatever the unit of the CRS.
    threshold : a cell is detected where its score is at it or above.
    masks : by name, in the order in which they take.
    run : of origin, for the table.

    Returns
    -------
    `landslides` in the CRS of the map, numbered row by row from the north: detection (the number),
    area_m2 and perimeter_m of the outline, cells, mean_score and max_score, run. Outlines follow
    the cells' edges or, simplified, are valid too: one that would not be stays as it is (counted).
    None is left where nothing is detected.

    Raises
    ------
    CrsError, GridError : see `grid.grid_of`; a mask on other cells. RecipeError : a threshold that
        is no number.
    """
    grid, values = grid_of(score), score.transpose("y", "x").to_numpy()
    if not np.isfinite(threshold):
        raise RecipeError(f"a threshold of {threshold} detects nothing: give a number")
    valid = np.isfinite(values)
    here = valid & (np.where(valid, values, 0) >= threshold)
    counts = {"cells with a score": int(valid.sum()), "cells detected": int(here.sum())}
    smoothed = smooth(here, valid, how.smooth)
    if how.smooth > 1:
        counts["cells added by smoothing"] = int((smoothed & ~here).sum())
        counts["cells taken by smoothing"] = int((here & ~smoothed).sum())
    here = smoothed
    for name, mask in (masks or {}).items():
        here = _masked(name, here, mask, how.connect, counts)
    number = _large_enough(here, grid, how, counts)
    landslides = _table(number, values, grid, how.simplify, counts).assign(run=run)
    return Delineated(landslides, number, counts)


def smooth(cells: Cells, valid: Cells, size: int) -> Cells:
    """Each cell by the majority of the valid cells in the square of `size` around it.

    A tie leaves a cell as it is; at the edge the square is smaller. Where all cells are valid this
    is the median of scores held against the threshold.

    >>> smooth(np.array([[True, False, True]]), np.ones((1, 3), bool), 3).tolist()
    [[True, True, True]]
    """
    if size == 1:
        return cells
    votes, voters = _in_square(cells, size), _in_square(valid, size)
    return valid & ((2 * votes > voters) | (cells & (2 * votes == voters)))


def join_near(number: NDArray[np.int32], grid: Grid, metres: float) -> NDArray[np.int32]:
    """Objects whose outlines are no farther apart than so many metres are one, in a chain too.

    This is DBSCAN where one cell is enough, with distances between edges and not between centres.
    Cells between them stay as they are. `number` (y, x) counts the objects from 1; numbers of the
    result keep that order.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 7), Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32643))
    >>> join_near(np.array([[1, 0, 2, 0, 0, 0, 3]], dtype="int32"), grid, 10).tolist()
    [[1, 0, 1, 0, 0, 0, 2]]
    """
    if not metres or number.max() < 2:
        return number
    shapes = np.array(polygons_of(number, grid), dtype=object)
    reach = metres / grid.metres_per_unit * (1 + 1e-9)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=reach)
    links = coo_array((np.ones(len(one)), (one, other)), shape=(len(shapes),) * 2)
    _, group = connected_components(links, directed=False)
    _, first, place = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return np.concatenate([[0], order[place] + 1]).astype("int32")[number]


def _in_square(cells: Cells, size: int) -> NDArray[np.int64]:
    ones = np.ones(size, dtype=np.int64)
    rows = correlate1d(cells.astype(np.int64), ones, axis=0, mode="constant")
    return correlate1d(rows, ones, axis=1, mode="constant")


def _components(cells: Cells, connect: int) -> tuple[NDArray[np.int32], int]:
    return label(cells, np.ones((3, 3)) if connect == 8 else None)


def _masked(name: str, here: Cells, mask: Mask, connect: int, counts: dict[str, int]) -> Cells:
    """What a mask leaves; objects are counted where nothing of them is left."""
    if mask.cells.shape != here.shape:
        raise GridError(f"mask {name} has {mask.cells.shape} cells, the scores {here.shape}")
    number, objects = _components(here, connect)
    taken = here & mask.cells
    if mask.takes == "objects":
        taken = here & np.isin(number, np.unique(number[taken]))
    left = here & ~taken
    counts[f"cells taken by {name}"] = int(taken.sum())
    counts[f"objects taken whole by {name}"] = objects - len(np.unique(number[left]))
    return left


def _large_enough(
    here: Cells, grid: Grid, how: Delineation, counts: dict[str, int]
) -> NDArray[np.int32]:
    """Number from 1 of each object that is no smaller than it must be."""
    number, objects = _components(here, how.connect)
    if how.join:
        number = join_near(number, grid, how.join)
        counts["objects joined to another"] = objects - int(number.max())
        objects = int(number.max())
    cells = np.bincount(number.ravel(), minlength=objects + 1)
    # a hair's breadth for the rounding of areas in feet
    kept = cells * grid.step[0] * grid.step[1] >= how.min_area * (1 - 1e-9)
    kept[0] = False
    if how.min_area:
        small = ~kept[1:]
        counts["objects smaller than the least area"] = int(small.sum())
        counts["cells of these"] = int(cells[1:][small].sum())
    again = np.where(kept, np.cumsum(kept), 0).astype("int32")
    counts |= {"landslides": int(kept.sum()), "cells of landslides": int(cells[kept].sum())}
    return again[number]


def _table(
    number: NDArray[np.int32], values: NDArray, grid: Grid, tolerance: float, counts: dict[str, int]
) -> gpd.GeoDataFrame:
    shapes = np.array(polygons_of(number, grid), dtype=object)
    if tolerance and len(shapes):
        shapes = _simplified(shapes, tolerance / grid.metres_per_unit, counts)
    inside, n = number > 0, len(shapes)
    cells = np.bincount(number[inside], minlength=n + 1)[1:]
    sums = np.bincount(number[inside], weights=values[inside], minlength=n + 1)[1:]
    top = np.full(n + 1, -np.inf)
    np.maximum.at(top, number[inside], values[inside])
    metres = grid.metres_per_unit
    columns: dict[str, Any] = {
        "detection": np.arange(1, n + 1, dtype="int32"),
        "area_m2": shapely.area(shapes) * metres**2,
        "perimeter_m": shapely.length(shapes) * metres,
        "cells": cells,
        "mean_score": sums / np.maximum(cells, 1),
        "max_score": top[1:],
    }
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=grid.crs.to_wkt())


def _simplified(shapes: NDArray, tolerance: float, counts: dict[str, int]) -> NDArray:
    """Outlines with fewer corners; one that would become invalid or vanish stays as it is."""
    simple = shapely.simplify(shapes, tolerance, preserve_topology=True)
    bad = ~shapely.is_valid(simple) | shapely.is_empty(simple) | (shapely.area(simple) == 0)
    if bad.any():
        counts["outlines left as they are"] = int(bad.sum())
    return np.where(bad, shapes, simple)
