"""Terrain factors from a digital elevation model (DEM).

Every 3 x 3 factor comes out of one pass of one kernel (`derive`). What holds for all of them:

* `dem` is (y, x), north up, on a projected grid, elevations in metres. The cell size is read from
  the coordinates and turned into metres, so a grid in feet gives true slopes.
* Results are (y, x) on the same coordinates, float32 with NaN as nodata; sums are taken in float64.
* A cell without elevation is NaN in every result; no other cell is (aspect of flat cells excepted).
* Beyond the raster's edge, and where a neighbour has no elevation, the missing neighbour is the
  mirror image of the opposite one (2 centre - opposite). Where both are missing, a corner is built
  from the two sides next to it, a side is the centre. So gradients are one-sided differences of
  cells that exist, a plane stays a plane up to its corners, and the second derivative across a gap
  is 0.
  For true values at the border of an area, pass the DEM with a margin and crop the result.
* A DEM in degrees is refused with the command that reprojects it; or tell `derive` the size of its
  cells in metres (`cells=ellipsoid_cells(dem)`).
* A DEM of dask chunks gives results of dask chunks, computed when asked for, equal to those of the
  whole DEM to the last bit. Several factors of one `derive`, computed together, are still one pass.
* Errors: no CRS or one in degrees (CrsError); not a north-up raster of one layer (GridError).
"""

import math
from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS as PyprojCRS
from scipy.ndimage import maximum_filter, minimum_filter

from lsm_core.errors import AreaError, GridError
from lsm_core.grid import INTEGER_NODATA, Grid, grid_of, layer_of
from lsm_core.halo import over
from lsm_core.neighbourhood import METHODS, factors
from lsm_core.surroundings import half_widths, height_above

# name -> units, kind, long name
FACTORS: dict[str, tuple[str, str, str]] = {
    "slope": ("degrees", "continuous", "slope angle"),
    "aspect": ("degrees", "cyclic", "slope aspect, clockwise from north"),
    "plan_curvature": ("1/100 m", "continuous", "plan curvature, convex positive"),
    "profile_curvature": ("1/100 m", "continuous", "profile curvature, convex negative"),
    "curvature": ("1/100 m", "continuous", "general curvature, convex positive"),
    "tpi": ("m", "continuous", "topographic position index, 3 x 3"),
    "roughness": ("m", "continuous", "roughness, 3 x 3"),
    "tri": ("m", "continuous", "terrain ruggedness index"),
    "hillshade": ("1", "continuous", "hillshade"),
}

SLOPE_POSITIONS = (
    "Valley", "Downslope", "Flat", "Mesoslope-1", "Mesoslope-2", "Mesoslope-3", "Mesoslope-4",
    "Mesoslope-5", "Upslope", "Ridge",
)  # fmt: skip
FLAT_DEGREES = 5.0


def derive(
    dem: xr.DataArray,
    names: Iterable[str],
    *,
    method: str = "horn",
    azimuth: float = 315.0,
    altitude: float = 45.0,
    cells: tuple[ArrayLike, ArrayLike] | None = None,
) -> xr.Dataset:
    """Several 3 x 3 factors of a DEM in one pass: names of `FACTORS`, one variable each.

    Definitions, units and signs are those of the functions of the same names (`tpi` with the eight
    neighbours); edges and nodata as the module says.

    method : of slope, aspect and hillshade: "horn" weighs all eight neighbours,
        "zevenbergen-thorne" takes the four nearest.
    azimuth, altitude : of the hillshade's sun, in degrees.
    cells : width and height of a cell in metres, each one number or one a row, in place of those
        from the coordinates. With them a DEM in degrees is taken too.

    Errors: a name that is no factor, an unknown method (AreaError); cells that are not positive or
    not one a row (GridError).

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> ds = derive(dem.rio.write_crs(32643), ["slope", "aspect"])
    >>> float(ds.slope[0, 0]), float(ds.aspect[2, 2])
    (45.0, 270.0)
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in FACTORS]
    if unknown:
        raise AreaError(f"no terrain factor is called {unknown}: choose among {', '.join(FACTORS)}")
    if method not in METHODS:
        raise AreaError(f"method={method!r} is none of {', '.join(METHODS)}")
    z, grid = _elevation(dem, projected=cells is None)
    width, height = _each_row(grid.step if cells is None else cells, grid.shape[0])
    sun = (math.radians(azimuth), math.radians(altitude))

    def work(block: NDArray, rows: NDArray[np.int64], cores: int) -> NDArray:
        return factors(block, names, width[rows], height[rows], method=method, sun=sun, cores=cores)

    out = over(z, (1, 1), work, layers=len(names), dtype=np.float32)
    return xr.Dataset({name: _labelled(dem, out[k], name, *FACTORS[name])
                       for k, name in enumerate(names)})  # fmt: skip


def ellipsoid_cells(dem: xr.DataArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Width and height in metres of a cell of each row of a DEM in degrees, for `derive`.

    Arcs of parallel and meridian on the ellipsoid of the CRS at the row's centre. Slopes so found
    differ from those of a projected DEM by what the projection distorts, no more.

    Errors: a CRS that is not in degrees, or none (GridError, CrsError).

    >>> lat, lon = 36 - np.arange(3) / 1200, np.arange(3) / 1200
    >>> dem = xr.DataArray(np.zeros((3, 3)), {"y": lat, "x": lon}, ("y", "x")).rio.write_crs(4326)
    >>> [round(float(side[0]), 2) for side in ellipsoid_cells(dem)]
    [75.14, 92.47]
    """
    dem = dem.squeeze(drop=True)
    grid = grid_of(dem, projected=False)
    if not grid.crs.is_geographic:
        raise GridError("the DEM is not in degrees: its cells are as wide as its coordinates say")
    ellipsoid = PyprojCRS.from_wkt(grid.crs.to_wkt()).ellipsoid
    if ellipsoid is None:
        raise GridError("the CRS of the DEM names no ellipsoid: reproject it (gdalwarp -t_srs)")
    radius, flat = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    unit = grid.crs.units_factor[1]  # radians
    squashed = 1 - (flat / radius) ** 2
    bend = 1 - squashed * np.sin(grid.y * unit) ** 2
    width = radius / np.sqrt(bend) * np.cos(grid.y * unit) * grid.transform.a * unit
    height = radius * (1 - squashed) / bend**1.5 * -grid.transform.e * unit
    return width, height


def slope(dem: xr.DataArray, *, method: str = "horn") -> xr.DataArray:
    """Slope angle in degrees, 0 to 90.

    Horn's (1981) weighted 3 x 3 differences, the default of gdaldem, or those of the four nearest
    neighbours, "zevenbergen-thorne" (1987). Edges and nodata as the module says.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(slope(dem.rio.write_crs(32643))[2, 2])
    45.0
    """
    return derive(dem, ["slope"], method=method)["slope"]


def aspect(dem: xr.DataArray, *, method: str = "horn") -> xr.DataArray:
    """Direction of steepest descent in degrees clockwise from grid north, in [0, 360); flat is NaN.

    Methods as `slope`, as gdaldem. Flat means a gradient of exactly zero. Edges and nodata as the
    module says.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(aspect(dem.rio.write_crs(32643))[2, 2])
    270.0
    """
    return derive(dem, ["aspect"], method=method)["aspect"]


def plan_curvature(dem: xr.DataArray) -> xr.DataArray:
    """Curvature across the slope, in 1/100 m: positive on spurs (divergent), negative in hollows.

    Second derivative along the contour of the quadratic of Zevenbergen and Thorne (1987), times
    -100: the sign and scale of ArcGIS. 0 where the gradient is zero; elsewhere `plan_curvature -
    profile_curvature` equals `curvature`. It is not the curvature of the contour line itself.
    Edges and nodata as the module says.

    >>> r = np.arange(-2.0, 3.0)
    >>> spur = xr.DataArray(-(r[:, None] ** 2) + 9 * r, {"y": -r, "x": r}, ("y", "x"))
    >>> float(plan_curvature(spur.rio.write_crs(32643))[2, 2])
    200.0
    """
    return derive(dem, ["plan_curvature"])["plan_curvature"]


def profile_curvature(dem: xr.DataArray) -> xr.DataArray:
    """Curvature down the slope, in 1/100 m: negative where the slope steepens downhill (convex).

    Second derivative along the gradient of the quadratic of Zevenbergen and Thorne (1987), times
    100: the sign and scale of ArcGIS. 0 where the gradient is zero. Edges and nodata as the module
    says.

    >>> r = np.arange(5.0)
    >>> bowl = xr.DataArray(np.tile(r**2, (5, 1)), {"y": -r, "x": r}, ("y", "x"))
    >>> float(profile_curvature(bowl.rio.write_crs(32643))[2, 2])
    200.0
    """
    return derive(dem, ["profile_curvature"])["profile_curvature"]


def curvature(dem: xr.DataArray) -> xr.DataArray:
    """General curvature in 1/100 m: positive is convex upward, negative concave.

    -100 times the Laplacian of the four nearest neighbours (Zevenbergen and Thorne 1987), as ArcGIS
    and xarray-spatial. Edges and nodata as the module says.

    >>> r = np.arange(5.0)
    >>> bowl = xr.DataArray(np.tile(r**2, (5, 1)), {"y": -r, "x": r}, ("y", "x"))
    >>> float(curvature(bowl.rio.write_crs(32643))[2, 2])
    -200.0
    """
    return derive(dem, ["curvature"])["curvature"]


def roughness(dem: xr.DataArray) -> xr.DataArray:
    """Greatest difference of elevation within 3 x 3 cells, in metres, as gdaldem.

    Wilson et al. (2007). At edges and gaps among the cells that exist. Equals `relief(dem, 3)`.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(roughness(dem.rio.write_crs(32643))[2, 2])
    2.0
    """
    return derive(dem, ["roughness"])["roughness"]


def tri(dem: xr.DataArray) -> xr.DataArray:
    """Terrain ruggedness index in metres: root of the summed squares of the eight differences.

    Riley et al. (1999), as `gdaldem TRI -alg Riley`. Edges and nodata as the module says.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> round(float(tri(dem.rio.write_crs(32643))[2, 2]), 4)
    2.4495
    """
    return derive(dem, ["tri"])["tri"]


def hillshade(dem: xr.DataArray, *, azimuth: float = 315.0, altitude: float = 45.0) -> xr.DataArray:
    """Shaded relief from 1 (no light) to 255, as gdaldem hillshade before rounding; for looking at.

    `azimuth` and `altitude` of the sun in degrees. Edges and nodata as the module says.

    >>> rise = np.arange(5.0)
    >>> flat = xr.DataArray(np.zeros((5, 5)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(hillshade(flat.rio.write_crs(32643), altitude=90)[2, 2])
    255.0
    """
    return derive(dem, ["hillshade"], azimuth=azimuth, altitude=altitude)["hillshade"]


def tpi(dem: xr.DataArray, radius: float) -> xr.DataArray:
    """Topographic position index in metres: elevation minus the mean of its surroundings.

    Weiss (2001). The surroundings are the cells, without the centre, whose centres lie within
    `radius` metres plus half a cell. They are never fewer than the eight neighbours, with which
    this is the TPI of gdaldem. Positive on ridges. A missing cell is the mirror image of the
    opposite one, the centre if both are missing: a plane has TPI 0 up to its border.

    Errors: a radius that is not positive (AreaError).

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(tpi(dem.rio.write_crs(32643), 2)[0, 0])
    0.0
    """
    z, grid = _elevation(dem)
    spans = _disc(grid, radius)

    def work(block: NDArray, rows: NDArray[np.int64], cores: int) -> NDArray:
        return height_above(block, spans, cores)[:1]

    index = over(z, _reach(spans), work, layers=1, dtype=np.float32)[0]
    units, kind, _ = FACTORS["tpi"]
    name = f"topographic position index within {radius:g} m"
    return _labelled(dem, index, "tpi", units, kind, name)


def slope_position(dem: xr.DataArray, radius: float) -> xr.DataArray:
    """Slope position in ten classes from valley to ridge: int16 codes 1 to 10, nodata -32768.

    The measure is elevation minus the mean within `radius` metres, divided by the standard
    deviation there, centre included (Wilson and Gallant 2000): it needs no statistics of the whole
    raster. Its limits are those of Weiss (2001): below -1 Valley; to -0.5 Downslope; to 0.5 the
    middle slope; to 1 Upslope; above Ridge. The middle is Flat where the slope is below 5 degrees,
    else Mesoslope-1 (lowest) to Mesoslope-5 in equal steps of 0.2. Intervals are closed on the
    left. The names are those of the LSGH-Net paper, which gives no rule for them. Surroundings,
    edges and errors as `tpi`.

    >>> r = np.arange(9.0)
    >>> valley = xr.DataArray(np.tile(abs(r - 4), (9, 1)), {"y": -r, "x": r}, ("y", "x"))
    >>> SLOPE_POSITIONS[int(slope_position(valley.rio.write_crs(32643), 3)[4, 4]) - 1]
    'Valley'
    """
    z, grid = _elevation(dem)
    spans = _disc(grid, radius)
    width, height = _each_row(grid.step, grid.shape[0])

    def work(block: NDArray, rows: NDArray[np.int64], cores: int) -> NDArray:
        _, deviation = height_above(block, spans, cores)
        (steep,) = factors(block, ["slope"], width[rows], height[rows], cores=cores)
        return _classes(deviation, steep)[None]

    codes = over(z, _reach(spans), work, layers=1, dtype=np.int16)[0]
    name = f"slope position within {radius:g} m"
    result = _labelled(dem, codes, "slope_position", "1", "categorical", name)
    return result.assign_attrs(
        nodata=INTEGER_NODATA,
        flag_values=list(range(1, 11)),
        flag_meanings=" ".join(SLOPE_POSITIONS),
    )


def relief(dem: xr.DataArray, window: int) -> xr.DataArray:
    """Local relief: highest minus lowest elevation within `window` x `window` cells, in metres.

    `window` is an odd number of cells, at least 3. At edges and gaps among the cells that exist.

    Errors: an even or smaller window (AreaError).

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(relief(dem.rio.write_crs(32643), 3)[2, 2])
    2.0
    """
    if window < 3 or window % 2 == 0:
        raise AreaError(f"window={window} has no centre cell: use an odd number of cells from 3 up")
    z, _ = _elevation(dem)

    def work(block: NDArray, rows: NDArray[np.int64], cores: int) -> NDArray:
        gap = np.isnan(block)
        highest = maximum_filter(
            np.where(gap, -np.inf, block), window, mode="constant", cval=-np.inf
        )
        lowest = minimum_filter(np.where(gap, np.inf, block), window, mode="constant", cval=np.inf)
        values = np.full((1, *block.shape), np.nan, dtype=np.float32)
        np.subtract(highest, lowest, out=values[0], where=~gap, casting="same_kind")
        return values

    values = over(z, (window // 2, window // 2), work, layers=1, dtype=np.float32)[0]
    name = f"local relief, {window} x {window} cells"
    return _labelled(dem, values, "relief", "m", "continuous", name)


def _classes(deviation: NDArray, steep: NDArray) -> NDArray[np.int16]:
    """Codes of slope position."""
    limits = np.array([-1, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 1])
    # digitize gives 0 valley, 1 downslope, 2 to 6 the middle, 7 upslope, 8 ridge
    codes = np.array([1, 2, 4, 5, 6, 7, 8, 9, 10], dtype=np.int16)[np.digitize(deviation, limits)]
    middle = (codes >= 4) & (codes <= 8)
    codes[middle & (steep < FLAT_DEGREES)] = 3
    codes[np.isnan(deviation)] = INTEGER_NODATA
    return codes


def _disc(grid: Grid, radius: float) -> NDArray[np.int64]:
    if not radius > 0:
        raise AreaError(f"radius={radius} is not a distance: give metres, more than 0")
    return half_widths(radius, *grid.step)


def _reach(spans: NDArray[np.int64]) -> tuple[int, int]:
    return spans.size // 2, int(spans.max())


def _each_row(cells: tuple[ArrayLike, ArrayLike], rows: int) -> tuple[NDArray, NDArray]:
    """Width and height of the cells of each row, in metres."""
    sides = [np.asarray(side, dtype=np.float64) for side in cells]
    for side in sides:
        if side.shape not in ((), (rows,)) or not (np.isfinite(side) & (side > 0)).all():
            raise GridError(
                f"cells={cells} are no sizes of {rows} rows: give width and height in metres, each "
                "one number or one a row"
            )
    return np.broadcast_to(sides[0], rows), np.broadcast_to(sides[1], rows)


def _elevation(dem: xr.DataArray, *, projected: bool = True) -> tuple[NDArray, Grid]:
    """Elevations (y, x) as floats with NaN for nodata, a dask array if the DEM is one; the grid."""
    values, valid, grid = layer_of(dem, projected=projected, lazy=True)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if not isinstance(values, np.ndarray):
        return values.map_blocks(_masked, valid, dtype=values.dtype), grid
    return _masked(values, valid), grid


def _masked(values: NDArray, valid: NDArray) -> NDArray:
    return np.ascontiguousarray(values) if valid.all() else np.where(valid, values, np.nan)


def _labelled(
    dem: xr.DataArray, values: NDArray, name: str, units: str, kind: str, long_name: str
) -> xr.DataArray:
    dem = dem.squeeze(drop=True).transpose("y", "x")
    source = dem.attrs.get("source") or dem.name or "DEM"
    attrs = {
        "units": units,
        "kind": kind,
        "long_name": long_name,
        "source": f"derived from {source}",
    }
    labels = {"y": dem["y"], "x": dem["x"]}
    result = xr.DataArray(values, labels, ("y", "x"), str(name), attrs)
    return result.rio.write_crs(dem.rio.crs, inplace=True)  # in place, or all values are copied
