"""How far each cell is from roads, faults and streams, and how many of them are near."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numba import njit
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt

from lsm_core.errors import CrsError, GridError, SourceError
from lsm_core.grid import INTEGER_NODATA, Grid, align, grid_of

Kernel = Literal["uniform", "quartic", "gaussian"]
TILE = 32
REACH = 4.0  # standard deviations after which a Gaussian is cut; 0.03 % lie beyond


def distance_to(features: gpd.GeoDataFrame | xr.DataArray, grid: Grid) -> xr.DataArray:
    """Distance in metres from each cell's centre to the nearest feature.

    `features` are points, lines or polygons in any CRS (0 inside a polygon), or a boolean raster on
    the lattice of `grid` whose true cells are the features (distance between centres). Features and
    true cells outside the grid count too. The distance is Euclidean in the plane of the grid's CRS
    and exact: no cell is measured through its neighbours.

    Returns float32 (y, x), never NaN.
    Errors: no feature at all (SourceError), features without a CRS (CrsError).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 3), Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32643))
    >>> road = gpd.GeoDataFrame(geometry=[shapely.LineString([(5, -45), (5, 45)])], crs=32643)
    >>> distance_to(road, grid).values
    array([[ 0., 10., 20.]], dtype=float32)
    """
    if isinstance(features, xr.DataArray):
        return _distance_to_cells(features, grid)
    geometry = _projected(features, grid)
    metres = _nearest(_segments(geometry), grid.x, grid.y, TILE) * grid.metres_per_unit
    areas = geometry[shapely.get_dimensions(geometry) == 2]
    if len(areas):
        inside = rasterize(areas, grid.shape, transform=grid.transform, dtype="uint8")
        metres[inside == 1] = 0
    return _labelled(metres, grid, "m", "distance to the nearest feature")


def density_of(
    features: gpd.GeoDataFrame, grid: Grid, radius: float, *, kernel: Kernel = "uniform"
) -> xr.DataArray:
    """Length of lines (km/km2) or number of points (1/km2) around each cell's centre.

    `kernel` "uniform" counts all within `radius` metres alike, lines cut exactly at the circle; of
    points, "quartic" lets them fade to nothing at `radius` (Silverman 1986, eq. 4.5), "gaussian"
    has `radius` as its standard deviation and is cut at four of them. Every point weighs 1 in all:
    the sum of a wide enough map times the area of a cell is the number of points. The area is
    always the whole circle: features outside the grid count, so pass those near its edge too.

    Returns float32 (y, x). No feature near gives 0.
    Errors: no feature, polygons, points mixed with lines, an unknown kernel or one that is not
    uniform for lines (SourceError), no CRS (CrsError).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 2), Affine(500, 0, 0, 0, -500, 500), CRS.from_epsg(32643))
    >>> collapse = gpd.GeoDataFrame(geometry=[shapely.Point(250, 250)], crs=32643)
    >>> density_of(collapse, grid, 1000, kernel="quartic").values.round(3)
    array([[0.955, 0.537]], dtype=float32)
    """
    if not radius > 0:
        raise SourceError(f"a density needs a radius above 0 metres, got {radius}")
    if kernel not in Kernel.__args__:  # type: ignore[attr-defined]
        raise SourceError(f"kernel={kernel!r} is none of uniform, quartic, gaussian")
    geometry = _projected(features, grid)
    kinds = set(shapely.get_dimensions(geometry).tolist())
    if kinds not in ({0}, {1}):
        raise SourceError("a density is of lines or of points, but polygons or both were given")
    lines = kinds == {1}
    if lines and kernel != "uniform":
        raise SourceError(f"a {kernel} density is of points: use kernel='uniform' for lines")
    reach = radius / grid.metres_per_unit * (REACH if kernel == "gaussian" else 1)
    shape = Kernel.__args__.index(kernel)  # type: ignore[attr-defined]
    total = _within(_segments(geometry), grid.x, grid.y, reach, lines, shape)
    if lines:
        total *= grid.metres_per_unit / 1000
    km = reach * grid.metres_per_unit / 1000
    values, units = total / (math.pi * km**2), "km/km2" if lines else "1/km2"
    return _labelled(values, grid, units, "density of features")


def distance_classes(distance: xr.DataArray, edges: Sequence[float]) -> xr.DataArray:
    """A distance (or density) in classes with inner `edges`, closed on the left: "0-100 m", ...

    Returns int16 (y, x), codes from 1, -32768 where the distance is NaN; `flag_values` and
    `flag_meanings` name the classes.
    Errors: edges that do not rise (SourceError).

    >>> metres = xr.DataArray([[0.0, 99.9, 100.0]], dims=("y", "x"), attrs={"units": "m"})
    >>> classes = distance_classes(metres, [100, 500])
    >>> classes.values.tolist(), classes.attrs["flag_meanings"]
    ([[1, 1, 2]], 'below_100_m 100-500_m 500_m_and_more')
    """
    if not len(edges) or any(not low < high for low, high in pairwise(edges)):
        raise SourceError(f"class limits must rise, e.g. [100, 300, 1000], got {list(edges)}")
    unit = str(distance.attrs.get("units", ""))
    between = [f"{low:g}-{high:g}_{unit}" for low, high in pairwise(edges)]
    names = [f"below_{edges[0]:g}_{unit}", *between, f"{edges[-1]:g}_{unit}_and_more"]
    codes = np.digitize(distance.values, edges).astype("int16") + np.int16(1)
    codes[np.isnan(distance.values)] = INTEGER_NODATA
    attrs = {"units": "1", "kind": "categorical", "nodata": INTEGER_NODATA}
    attrs |= {"flag_values": list(range(1, len(names) + 1)), "flag_meanings": " ".join(names)}
    return distance.copy(data=codes).assign_attrs(attrs)


def _distance_to_cells(cells: xr.DataArray, grid: Grid) -> xr.DataArray:
    here = grid_of(cells)
    if not cells.values.any():
        raise SourceError(f"{cells.name or 'the raster'} has no true cell to measure a distance to")
    width, height = here.step
    metres = distance_transform_edt(~cells.values.astype(bool), sampling=(height, width))
    laid = align(cells.copy(data=metres.astype("float32")), grid, "nearest")
    if not np.isfinite(laid.values).all():
        raise GridError("the raster of features must cover the whole grid")
    return _labelled(laid.values, grid, "m", "distance to the nearest true cell")


def _projected(features: gpd.GeoDataFrame, grid: Grid) -> NDArray:
    """Geometries in the grid's CRS; missing and empty ones are no feature."""
    if features.crs is None:
        raise CrsError("the features have no CRS: state it in the data catalogue")
    geometry = features.geometry.to_crs(grid.crs.to_wkt()).to_numpy()
    geometry = geometry[~(shapely.is_missing(geometry) | shapely.is_empty(geometry))]
    if not len(geometry):
        raise SourceError("the source holds no feature to measure a distance to")
    return shapely.force_2d(geometry)


def _segments(geometry: NDArray) -> NDArray[np.float64]:
    """(segment, 4): x0, y0, x1, y1 of every piece of line or ring; of a point, the point twice."""
    parts = shapely.get_parts(geometry)
    while (shapely.get_type_id(parts) > 3).any():  # collections within collections
        parts = shapely.get_parts(parts)
    points = shapely.get_coordinates(parts[shapely.get_dimensions(parts) == 0])
    paths = np.concatenate(
        [
            parts[shapely.get_dimensions(parts) == 1],
            shapely.get_rings(parts[shapely.get_dimensions(parts) == 2]),
        ]
    )
    xy, owner = shapely.get_coordinates(paths, return_index=True)
    joined = owner[:-1] == owner[1:]
    pieces = np.hstack([xy[:-1][joined], xy[1:][joined]])
    return np.ascontiguousarray(np.vstack([np.hstack([points, points]), pieces]))


@njit(cache=True)
def _gap(x, y, segment):  # type: ignore[no-untyped-def]
    """Squared distance from a point to a segment."""
    dx, dy = segment[2] - segment[0], segment[3] - segment[1]
    length2 = dx * dx + dy * dy
    t = 0.0
    if length2 > 0:
        t = ((x - segment[0]) * dx + (y - segment[1]) * dy) / length2
        t = min(1.0, max(0.0, t))
    gx, gy = x - segment[0] - t * dx, y - segment[1] - t * dy
    return gx * gx + gy * gy


@njit(cache=True)
def _nearest(segments, x, y, tile):  # type: ignore[no-untyped-def]
    """Distance from every (y, x) to the nearest segment, in units of the coordinates.

    Tile by tile: a segment farther from the tile's middle than the nearest one by more than the
    tile's diameter cannot be the nearest of any of its cells, and is left out.
    """
    result = np.empty((len(y), len(x)))
    near = np.empty(len(segments))
    for row in range(0, len(y), tile):
        for col in range(0, len(x), tile):
            bottom, right = min(row + tile, len(y)) - 1, min(col + tile, len(x)) - 1
            middle_x, middle_y = (x[col] + x[right]) / 2, (y[row] + y[bottom]) / 2
            reach = math.hypot(x[right] - x[col], y[bottom] - y[row])
            least = np.inf
            for k in range(len(segments)):
                near[k] = math.sqrt(_gap(middle_x, middle_y, segments[k]))
                least = min(least, near[k])
            nearest = np.flatnonzero(near <= (least + reach) * (1 + 1e-9))  # for rounding
            for i in range(row, bottom + 1):
                for j in range(col, right + 1):
                    best = np.inf
                    for n in nearest:
                        best = min(best, _gap(x[j], y[i], segments[n]))
                    result[i, j] = math.sqrt(best)
    return result


@njit(cache=True)
def _within(segments, x, y, radius, lines, kernel):  # type: ignore[no-untyped-def]
    """Length of segments (or weight of points) within `radius` of every (y, x).

    Weights of points have a mean of 1 over the circle.
    """
    result = np.zeros((len(y), len(x)))
    width = x[1] - x[0] if len(x) > 1 else 1.0
    height = y[0] - y[1] if len(y) > 1 else 1.0
    for k in range(len(segments)):
        x0, y0, x1, y1 = segments[k]
        first = max(0, math.ceil((min(x0, x1) - radius - x[0]) / width))
        last = min(len(x) - 1, math.floor((max(x0, x1) + radius - x[0]) / width))
        upper = max(0, math.ceil((y[0] - max(y0, y1) - radius) / height))
        lower = min(len(y) - 1, math.floor((y[0] - min(y0, y1) + radius) / height))
        for i in range(upper, lower + 1):
            for j in range(first, last + 1):
                if lines:
                    result[i, j] += _chord(x0 - x[j], y0 - y[i], x1 - x0, y1 - y0, radius)
                else:
                    apart = math.hypot(x0 - x[j], y0 - y[i]) / radius
                    if apart <= 1:
                        result[i, j] += _weight(apart, kernel)
    return result


@njit(cache=True)
def _weight(apart, kernel):  # type: ignore[no-untyped-def]
    """Weight of a point at this share of the radius: uniform 0, quartic 1, Gaussian 2."""
    if kernel == 1:
        return 3 * (1 - apart * apart) ** 2
    if kernel == 2:
        half = REACH * REACH / 2
        return half * math.exp(-half * apart * apart) / (1 - math.exp(-half))
    return 1.0


@njit(cache=True)
def _chord(x0, y0, dx, dy, radius):  # type: ignore[no-untyped-def]
    """Length of the segment from (x0, y0) by (dx, dy) inside the circle about the origin."""
    a = dx * dx + dy * dy
    if a == 0:
        return 0.0
    half_b = x0 * dx + y0 * dy
    inside = half_b * half_b - a * (x0 * x0 + y0 * y0 - radius * radius)
    if inside <= 0:
        return 0.0
    root = math.sqrt(inside)
    enter, leave = max(0.0, (-half_b - root) / a), min(1.0, (-half_b + root) / a)
    return max(0.0, leave - enter) * math.sqrt(a)


def _labelled(values: NDArray, grid: Grid, units: str, long_name: str) -> xr.DataArray:
    attrs = {"units": units, "kind": "continuous", "long_name": long_name}
    values = values.astype("float32")
    result = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), attrs=attrs)
    return result.rio.write_crs(grid.crs)
