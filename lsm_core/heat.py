"""Heat of landslides: how near each cell lies to one, as a Gaussian, and to which."""

import math

import numpy as np
import pandas as pd
import rioxarray  # noqa: F401  (gives every DataArray its `.rio`)
import xarray as xr
from numba import njit
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import Grid

# A cell on the circle counts, also when its distance comes out a hair long.
TOUCH = 1 + 1e-6


def gaussian_heatmap(points: pd.DataFrame | ArrayLike, grid: Grid, radius: float) -> xr.DataArray:
    """Heat of landslides: 1 at each point, falling as a Gaussian to 0.1 at the radius, 0 beyond.

    Where circles overlap the highest heat counts. Heat is that of a cell's centre and points keep
    their place within a cell, so a cell is 1 only if a point is at its centre.

    Parameters
    ----------
    points : (n, 2) x and y in the CRS of the grid, or a table with columns x and y. Points outside
        the grid count where their circle reaches in.
    radius : metres, whatever the unit of the CRS. (Recipes give a diameter in cells.)

    Returns
    -------
    (y, x) float32 in [0, 1]; a cell on the circle belongs to it.

    Raises
    ------
    SampleError : points that are not (n, 2) or not finite. RecipeError : radius not above 0.

    After the heatmap sampling of LSGH-Net (Remote Sensing 2022, 14, 2866): sigma is the radius over
    the root of 2 ln 10.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((3, 4), Affine(10, 0, 0, 0, -10, 30), CRS.from_epsg(32643))
    >>> gaussian_heatmap([[15, 15]], grid, radius=10).values.round(2)
    array([[0. , 0.1, 0. , 0. ],
           [0.1, 1. , 0.1, 0. ],
           [0. , 0.1, 0. , 0. ]], dtype=float32)
    """
    squared, _ = _nearest(points, grid, radius, False)
    _heat_in_place(squared, math.log(10))
    attrs = {"long_name": "heat of landslides", "units": "1", "radius": float(radius)}
    heat = xr.DataArray(squared, {"y": grid.y, "x": grid.x}, ("y", "x"), "heat", attrs)
    return heat.rio.write_crs(grid.crs)


def nearest_point(points: pd.DataFrame | ArrayLike, grid: Grid, radius: float) -> NDArray[np.int32]:
    """Index of the point nearest to each cell's centre, -1 where none is within the radius.

    That is the point whose heat the cell has in `gaussian_heatmap` of the same arguments; of
    points equally near, the first.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 5), Affine(10, 0, 0, 0, -10, 10), CRS.from_epsg(32643))
    >>> nearest_point([[5, 5], [35, 5]], grid, radius=15)
    array([[0, 0, 1, 1, 1]], dtype=int32)
    """
    return _nearest(points, grid, radius, True)[1]


def _nearest(
    points: pd.DataFrame | ArrayLike, grid: Grid, radius: float, keep: bool
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Squared distance over squared radius to the nearest point, and its index if `keep`."""
    if not (math.isfinite(radius) and radius > 0):
        raise RecipeError(f"the heatmap's radius is {radius} m: it must be above 0")
    xy = _xy(points)
    col = (xy[:, 0] - grid.transform.c) / grid.transform.a - 0.5
    row = (xy[:, 1] - grid.transform.f) / grid.transform.e - 0.5
    width, height = grid.step
    squared = np.full(grid.shape, np.inf, dtype=np.float32)
    index = np.full(grid.shape if keep else (0, 0), -1, dtype=np.int32)
    _stamp(row, col, height / radius, width / radius, squared, index, keep)
    return squared, index


def _xy(points: pd.DataFrame | ArrayLike) -> NDArray[np.float64]:
    if isinstance(points, pd.DataFrame):
        points = points[["x", "y"]].to_numpy()
    xy = np.asarray(points, dtype=np.float64)
    if xy.size == 0:
        return np.empty((0, 2))
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise SampleError(f"points have shape {xy.shape}: give (n, 2), x and y in each row")
    bad = np.count_nonzero(~np.isfinite(xy).all(axis=1))
    if bad:
        raise SampleError(f"{bad} of {len(xy)} points have no finite x and y: leave them out first")
    return xy


@njit(cache=True)
def _stamp(row, col, height, width, squared, index, keep):  # type: ignore[no-untyped-def]
    """Lower every cell in reach to its squared distance (radius 1) from a point; note the point."""
    rows, cols = squared.shape
    reach = TOUCH * TOUCH
    for i in range(row.size):
        first_row = max(0, math.ceil(row[i] - TOUCH / height))
        last_row = min(rows - 1, math.floor(row[i] + TOUCH / height))
        first_col = max(0, math.ceil(col[i] - TOUCH / width))
        last_col = min(cols - 1, math.floor(col[i] + TOUCH / width))
        for r in range(first_row, last_row + 1):
            dy = (r - row[i]) * height
            for c in range(first_col, last_col + 1):
                dx = (c - col[i]) * width
                d = np.float32(dx * dx + dy * dy)
                if d <= reach and d < squared[r, c]:
                    squared[r, c] = d
                    if keep:
                        index[r, c] = i


@njit(cache=True)
def _heat_in_place(squared, fall):  # type: ignore[no-untyped-def]
    """Turn squared distances (radius 1) into heat; infinite ones into 0."""
    flat = squared.ravel()
    for i in range(flat.size):
        if flat[i] < np.inf:
            flat[i] = math.exp(-fall * flat[i])
        else:
            flat[i] = 0
