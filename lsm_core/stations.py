"""Rainfall and other readings of stations, interpolated to every cell, with the error it has."""

from typing import Literal, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

from lsm_core.errors import CrsError, SourceError
from lsm_core.lattice import Grid

Kernel = Literal["thin_plate_spline", "linear", "cubic"]
FEWEST = 4
NEIGHBOURS = 50  # stations that count for one cell, where there are more
ROWS = 64


class Interpolated(NamedTuple):
    """The surface, (y, x) float32; what it was made from; and how well it foretells a station.

    `rmse` and `bias` are of leaving one station out at a time, in the readings' unit; `plain_rmse`
    is that of the mean of the others, which a surface should beat. `raised` cells were below
    `least`.
    """

    layer: xr.DataArray
    stations: int
    left_out: int
    merged: int
    raised: int
    rmse: float
    bias: float
    plain_rmse: float

    @property
    def words(self) -> str:
        """One line for a report."""
        left = f", {self.left_out} without place or reading left out" if self.left_out else ""
        left += f", {self.merged} at the place of another averaged with it" if self.merged else ""
        left += f"; {self.raised:,} cells raised to the least value" if self.raised else ""
        return (
            f"{self.stations} stations{left}; leaving one out at a time: RMSE {self.rmse:.4g}, "
            f"bias {self.bias:+.3g} (mean of the others: RMSE {self.plain_rmse:.4g})"
        )


def interpolate(
    stations: gpd.GeoDataFrame,
    field: str,
    grid: Grid,
    *,
    kernel: Kernel = "thin_plate_spline",
    smoothing: float = 0.0,
    least: float | None = None,
) -> Interpolated:
    """A surface through the readings in `field` of stations (points, any CRS), at cell centres.

    Radial basis functions of scipy (thin plate spline: Duchon 1977), each cell from its 50 nearest
    stations; `smoothing` 0 goes through every reading. Stations outside the grid count. Beyond the
    outermost stations it is extrapolation. `least` (0 for rain) lifts what overshoots below it.
    Stations at one place are averaged; those without a point or a number are left out; both are
    counted.

    Returns the surface without NaN, in the readings' unit (attribute units is "1": state it), and
    the leave-one-out error.
    Errors: no such field, fewer than 4 stations or all on one line (SourceError), no CRS
    (CrsError).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((2, 2), Affine(10, 0, 0, 0, -10, 20), CRS.from_epsg(32643))
    >>> east = gpd.points_from_xy([0, 20, 0, 20, 10], [0, 0, 20, 20, 10], crs=32643)
    >>> rain = gpd.GeoDataFrame({"mm": [1.0, 3, 1, 3, 2]}, geometry=east)
    >>> interpolate(rain, "mm", grid).layer.values.round(2)
    array([[1.5, 2.5],
           [1.5, 2.5]], dtype=float32)
    """
    xy, readings, left_out, merged = _readings(stations, field, grid)
    # metres from the middle in units of their spread: the kernels are not free of scale
    middle, spread = xy.mean(axis=0), max(float(xy.std()), 1e-9)
    places = (xy - middle) / spread
    if np.linalg.matrix_rank(places - places[0], tol=1e-6) < 2:
        raise SourceError(f"the {len(xy)} stations lie on one line: no surface goes through them")

    def fitted(use: NDArray) -> RBFInterpolator:
        count = None if use.sum() <= NEIGHBOURS else NEIGHBOURS
        return RBFInterpolator(
            places[use], readings[use], neighbors=count, kernel=kernel, smoothing=smoothing
        )

    foretold = _left_out(fitted, places)
    plain = (readings.sum() - readings) / (len(readings) - 1)
    values = _surface(fitted(np.ones(len(xy), bool)), grid, middle, spread)
    below = np.zeros(grid.shape, bool) if least is None else values < least
    values[below] = least
    attrs = {"units": "1", "kind": "continuous", "long_name": field.replace("_", " ")}
    layer = xr.DataArray(values.astype("float32"), {"y": grid.y, "x": grid.x}, ("y", "x"))
    layer = layer.assign_attrs(attrs).rio.write_crs(grid.crs)
    error = foretold - readings
    return Interpolated(
        layer, len(xy), left_out, merged, int(below.sum()), float(np.sqrt((error**2).mean())),
        float(error.mean()), float(np.sqrt(((plain - readings) ** 2).mean())),
    )  # fmt: skip


def _readings(
    stations: gpd.GeoDataFrame, field: str, grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, int]:
    """Places in the grid's CRS and readings, one a place; how many were left out and merged."""
    if stations.crs is None:
        raise CrsError("the stations have no CRS: state it in the data catalogue")
    if field not in stations:
        names = ", ".join(str(c) for c in stations.columns)
        raise SourceError(f"the stations have no field {field!r}: they have {names}")
    geometry = stations.geometry.to_crs(grid.crs.to_wkt()).to_numpy()
    readings = _numbers(stations[field].to_numpy())
    use = np.isfinite(readings) & (shapely.get_type_id(geometry) == 0)
    use &= ~shapely.is_empty(geometry)
    xy = shapely.get_coordinates(shapely.force_2d(geometry[use]))
    places, owner = np.unique(xy.round(3), axis=0, return_inverse=True)
    count = np.bincount(owner.ravel())
    if len(places) < FEWEST:
        raise SourceError(
            f"{len(places)} stations have a point and a number in {field!r}: at least {FEWEST} are "
            "needed for a surface"
        )
    means = np.bincount(owner.ravel(), weights=readings[use]) / count
    return places, means, int((~use).sum()), int(len(xy) - len(places))


def _numbers(column: NDArray) -> NDArray[np.float64]:
    try:
        return column.astype("float64")
    except (TypeError, ValueError):
        raise SourceError(
            "the readings of the stations are no numbers: correct the field"
        ) from None


def _left_out(fitted, places: NDArray) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
    """What each station's reading would be without it: only those near it need a new fit."""
    result = np.empty(len(places))
    near = KDTree(places).query(places, k=min(len(places), NEIGHBOURS + 1))[1]
    for i in range(len(places)):
        use = np.zeros(len(places), bool)
        use[near[i]] = True
        use[i] = False
        result[i] = fitted(use)(places[i : i + 1])[0]
    return result


def _surface(
    fit: RBFInterpolator, grid: Grid, middle: NDArray, spread: float
) -> NDArray[np.float64]:
    values = np.empty(grid.shape)
    for top in range(0, grid.shape[0], ROWS):
        y = grid.y[top : top + ROWS]
        cells = np.column_stack([np.tile(grid.x, len(y)), np.repeat(y, len(grid.x))])
        values[top : top + ROWS] = fit((cells - middle) / spread).reshape(len(y), -1)
    return values
