"""Which places a model learns from: landslides, places without one, and soft ones in between.

Every function gives a table of places, one row each, with the columns row, col (int32), x, y
(float64, units of the CRS), label (int8: 1, 0, or -1 for soft samples), target (float32),
landslide_id (int32, 0 for none) and origin (text: why it was chosen).
"""

import math

import numpy as np
import pandas as pd
import xarray as xr
from numba import njit
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import Grid, grid_of

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


def heatmap_samples(
    heat: xr.DataArray,
    parent: ArrayLike,
    allowed: ArrayLike,
    *,
    ids: ArrayLike,
    per_interval: int,
    rng: np.random.Generator,
    intervals: int = 5,
    take: tuple[int, ...] = (1, 2, 3),
) -> pd.DataFrame:
    """Soft samples: as many cells from each of some equal intervals of heat.

    Parameters
    ----------
    heat : (y, x), of `gaussian_heatmap`.
    parent : (y, x), of `nearest_point`: the point each cell's heat comes from.
    allowed : (y, x) bool: cells that may be drawn (valid, no landslide, in training ground).
    ids : landslide_id of each point, in the order the heatmap had them.
    per_interval : places drawn from each interval, without replacement.
    intervals, take : [0, 1] is cut into so many equal intervals, closed on the left (the last on
        both sides), and those numbered in `take`, from 0, are drawn from.

    Returns
    -------
    Table of places: target is the heat, label -1, landslide_id the parent's, origin "heat 0.2-0.4".

    Raises
    ------
    SampleError : an interval has fewer cells than asked for; the message counts them.
    """
    value = heat.to_numpy()
    parents, free = np.asarray(parent), np.asarray(allowed, dtype=bool)
    for name, array in (("parent", parents), ("allowed", free)):
        if array.shape != value.shape:
            raise SampleError(f"{name} has shape {array.shape}, the heatmap {value.shape}")
    # Limits in the heat's own precision, and i / n rather than i * 0.2: 3 * 0.2 exceeds 0.6.
    limits = (np.arange(intervals + 1) / intervals).astype(value.dtype)
    limits[-1] = np.inf
    cells = [
        np.flatnonzero(free & (value >= limits[i]) & (value < limits[i + 1]) & (parents >= 0))
        for i in take
    ]
    names = [f"heat {i / intervals:g}-{(i + 1) / intervals:g}" for i in take]
    _enough(per_interval, {n: len(c) for n, c in zip(names, cells, strict=True)})
    drawn = np.concatenate([rng.choice(c, per_interval, replace=False) for c in cells])
    rows, cols = np.unravel_index(drawn, value.shape)
    owner = np.asarray(ids)[parents[rows, cols]]
    origin = np.repeat(names, per_interval)
    x, y = heat["x"].to_numpy()[cols], heat["y"].to_numpy()[rows]
    return _places(rows, cols, x, y, -1, value[rows, cols], owner, origin)


def negatives(
    ds: xr.Dataset,
    strategy: str,
    n: int,
    rng: np.random.Generator,
    *,
    allowed: ArrayLike | None = None,
) -> pd.DataFrame:
    """Places without a landslide: n different cells, valid and outside every landslide.

    Parameters
    ----------
    ds : study area. strategy : "random", every such cell with the same chance.
    allowed : (y, x) bool, cells that may be drawn, where not all may (training ground, heat 0).

    Returns
    -------
    Table of places at cell centres, label and target 0, origin "negative".

    Raises
    ------
    SampleError : there are fewer such cells. RecipeError : an unknown strategy.
    """
    if strategy != "random":
        raise RecipeError(f"no way to draw negatives is called {strategy!r}; known: random")
    free = ds["valid"].to_numpy().astype(bool) & (ds["landslide"].to_numpy() == 0)
    if allowed is not None:
        free &= np.asarray(allowed, dtype=bool)
    cells = np.flatnonzero(free)
    if n > len(cells):
        raise SampleError(
            f"{n} places without a landslide were asked for, but only {len(cells)} cells of "
            f"{free.size} are valid, outside landslides and allowed: ask for fewer, or widen the "
            "ground they may come from"
        )
    rows, cols = np.unravel_index(rng.choice(cells, n, replace=False), free.shape)
    x, y = ds["x"].to_numpy()[cols], ds["y"].to_numpy()[rows]
    return _places(rows, cols, x, y, 0, 0, 0, "negative")


def landslide_places(ds: xr.Dataset) -> pd.DataFrame:
    """One place a landslide: the cell that holds its point, and the point's own x and y.

    Landslides whose point is off the grid or in an invalid cell are left out; their number is in
    `frame.attrs["left_out"]`. Two landslides may share a cell; both stay.

    Returns
    -------
    Table of places, label and target 1, origin "landslide", in the order of the study area.

    Raises
    ------
    SampleError : none is left.
    """
    grid = grid_of(ds)
    x, y = ds["place_x"].to_numpy(), ds["place_y"].to_numpy()
    here = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    rows, cols = grid.rowcol(x[here], y[here])
    inside = (rows >= 0) & (rows < grid.shape[0]) & (cols >= 0) & (cols < grid.shape[1])
    inside[inside] = ds["valid"].to_numpy()[rows[inside], cols[inside]]
    here, rows, cols = here[inside], rows[inside], cols[inside]
    if not here.size:
        raise SampleError(
            f"none of {len(x)} landslides lies in a valid cell: check that inventory and factors "
            "cover the same ground"
        )
    ids = ds["place"].to_numpy()[here]
    frame = _places(rows, cols, x[here], y[here], 1, 1, ids, "landslide")
    frame.attrs["left_out"] = len(x) - len(here)
    return frame


def _places(
    rows: NDArray,
    cols: NDArray,
    x: NDArray,
    y: NDArray,
    label: int,
    target: ArrayLike,
    landslide_id: ArrayLike,
    origin: ArrayLike,
) -> pd.DataFrame:
    """The table every function gives; single values are those of all rows."""
    columns = {
        "row": (rows, np.int32),
        "col": (cols, np.int32),
        "x": (x, np.float64),
        "y": (y, np.float64),
        "label": (label, np.int8),
        "target": (target, np.float32),
        "landslide_id": (landslide_id, np.int32),
    }
    n = len(rows)
    filled = {k: np.broadcast_to(np.asarray(v, dtype=t), n) for k, (v, t) in columns.items()}
    return pd.DataFrame(filled).assign(origin=np.broadcast_to(np.asarray(origin), n).astype(object))


def _enough(wanted: int, found: dict[str, int]) -> None:
    if wanted < 1:
        raise SampleError(f"{wanted} heat samples per interval: ask for at least 1")
    if min(found.values()) < wanted:
        counts = ", ".join(f"{name} has {count}" for name, count in found.items())
        raise SampleError(
            f"{wanted} heat samples per interval were asked for, but {counts} allowed cells: "
            f"lower samples.heatmap.per_interval (to {min(found.values())} places here) "
            "or enlarge samples.heatmap.diameter"
        )


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
