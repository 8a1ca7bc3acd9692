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
* Errors: no CRS or one in degrees (CrsError); not a north-up raster of one layer (GridError).
"""

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from lsm_core.errors import AreaError
from lsm_core.grid import INTEGER_NODATA, Grid, layer_of

# name -> units, kind, long name. The order is the kernel's order of outputs.
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
    dem: xr.DataArray, names: Iterable[str], *, azimuth: float = 315.0, altitude: float = 45.0
) -> xr.Dataset:
    """Several 3 x 3 factors of a DEM in one pass: names of `FACTORS`, one variable each.

    Definitions, units and signs are those of the functions of the same names (`tpi` with the eight
    neighbours); edges and nodata as the module says. `azimuth` and `altitude` are of the hillshade.

    Errors: a name that is no factor (AreaError).

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> ds = derive(dem.rio.write_crs(32643), ["slope", "aspect"])
    >>> float(ds.slope[0, 0]), float(ds.aspect[2, 2])
    (45.0, 270.0)
    """
    names = list(names)
    unknown = [name for name in names if name not in FACTORS]
    if unknown:
        raise AreaError(f"no terrain factor is called {unknown}: choose among {', '.join(FACTORS)}")
    z, grid = _elevation(dem)
    want = np.full(len(FACTORS), -1, dtype=np.int64)
    for position, name in enumerate(names):
        want[list(FACTORS).index(name)] = position
    width, height = (np.full(grid.shape[0], step) for step in grid.step)
    sun = (math.radians(azimuth), math.radians(altitude))
    out = np.empty((len(names), *grid.shape), dtype=np.float32)
    _in_bands(grid.shape[0], lambda a, b: _pass(z, a, b, width, height, want, sun, out))
    return xr.Dataset({name: _labelled(dem, out[want[k]], name, *FACTORS[name])
                       for k, name in enumerate(FACTORS) if name in names})[names]  # fmt: skip


def slope(dem: xr.DataArray) -> xr.DataArray:
    """Slope angle in degrees, 0 to 90.

    Horn's (1981) weighted 3 x 3 differences, the default of gdaldem. Edges and nodata as the module
    says.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(slope(dem.rio.write_crs(32643))[2, 2])
    45.0
    """
    return derive(dem, ["slope"])["slope"]


def aspect(dem: xr.DataArray) -> xr.DataArray:
    """Direction of steepest descent in degrees clockwise from grid north, in [0, 360); flat is NaN.

    Horn's (1981) gradient, as gdaldem. Flat means a gradient of exactly zero. Edges and nodata as
    the module says.

    >>> rise = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(rise, (5, 1)), {"y": -rise, "x": rise}, ("y", "x"))
    >>> float(aspect(dem.rio.write_crs(32643))[2, 2])
    270.0
    """
    return derive(dem, ["aspect"])["aspect"]


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
    index, _ = _position(dem, radius)
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
    _, deviation = _position(dem, radius)
    steep = slope(dem).values
    limits = np.array([-1, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 1])
    # digitize gives 0 valley, 1 downslope, 2 to 6 the middle, 7 upslope, 8 ridge
    codes = np.array([1, 2, 4, 5, 6, 7, 8, 9, 10], dtype=np.int16)[np.digitize(deviation, limits)]
    middle = (codes >= 4) & (codes <= 8)
    codes[middle & (steep < FLAT_DEGREES)] = 3
    codes[np.isnan(deviation)] = INTEGER_NODATA
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
    gap = np.isnan(z)
    highest = maximum_filter(np.where(gap, -np.inf, z), window, mode="constant", cval=-np.inf)
    lowest = minimum_filter(np.where(gap, np.inf, z), window, mode="constant", cval=np.inf)
    values = np.full(z.shape, np.nan, dtype=np.float32)
    np.subtract(highest, lowest, out=values, where=~gap, casting="same_kind")
    name = f"local relief, {window} x {window} cells"
    return _labelled(dem, values, "relief", "m", "continuous", name)


def _elevation(dem: xr.DataArray) -> tuple[NDArray, Grid]:
    """Elevations (y, x) as floats with NaN for nodata, and their grid."""
    values, valid, grid = layer_of(dem)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    whole = valid.all()
    return (np.ascontiguousarray(values) if whole else np.where(valid, values, np.nan)), grid


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


def _in_bands(rows: int, work: Callable[[int, int], None]) -> None:
    """Call work(first, last) on bands of rows, on every core: the kernels let go of the GIL.

    Threads of our own rather than numba's, whose pool must not be entered from two threads at once.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    edges = np.linspace(0, rows, min(rows, 4 * cores) + 1).astype(int)
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))


@njit(nogil=True, cache=True)
def _at(z, row, col):  # type: ignore[no-untyped-def]
    if 0 <= row < z.shape[0] and 0 <= col < z.shape[1]:
        return float(z[row, col])
    return np.nan


@njit(nogil=True, cache=True)
def _mirror(a, b, centre, a_else, b_else):  # type: ignore[no-untyped-def]
    """Two opposite neighbours: a missing one mirrored, or both replaced where both are missing."""
    if a != a:
        if b != b:
            return a_else, b_else
        return 2 * centre - b, b
    if b != b:
        return a, 2 * centre - a
    return a, b


@njit(nogil=True, cache=True)
def _range(centre, neighbours):  # type: ignore[no-untyped-def]
    low = high = centre
    for value in neighbours:  # a missing one is NaN, which is neither lower nor higher
        if value < low:
            low = value
        if value > high:
            high = value
    return high - low


@njit(nogil=True, cache=True, error_model="numpy")
def _pass(z, first, last, width, height, want, sun, out):  # type: ignore[no-untyped-def]
    """All wanted factors of rows first..last: z (y, x), out (factor, y, x), steps one a row.

    A multiplication in place of each division by the step halves the time.
    """
    rows, cols = z.shape
    degrees = 180 / math.pi
    sin_alt, cos_alt = math.sin(sun[1]), math.cos(sun[1])
    sin_az, cos_az = math.sin(sun[0]), math.cos(sun[0])
    slope_at, aspect_at, plan_at, profile_at, curvature_at = want[:5]
    tpi_at, roughness_at, tri_at, hillshade_at = want[5:]
    gradient = slope_at >= 0 or aspect_at >= 0 or hillshade_at >= 0
    bend = plan_at >= 0 or profile_at >= 0 or curvature_at >= 0
    for row in range(first, last):
        per_x, per_y = 1 / width[row], 1 / height[row]
        inside_row = 0 < row < rows - 1
        for col in range(cols):
            c = float(z[row, col])
            if c != c:
                out[:, row, col] = np.nan
                continue
            if inside_row and 0 < col < cols - 1:
                nw, n, ne = (
                    float(z[row - 1, col - 1]),
                    float(z[row - 1, col]),
                    float(z[row - 1, col + 1]),
                )
                w, e = float(z[row, col - 1]), float(z[row, col + 1])
                sw, s, se = (
                    float(z[row + 1, col - 1]),
                    float(z[row + 1, col]),
                    float(z[row + 1, col + 1]),
                )
            else:
                nw, n, ne = _at(z, row - 1, col - 1), _at(z, row - 1, col), _at(z, row - 1, col + 1)
                w, e = _at(z, row, col - 1), _at(z, row, col + 1)
                sw, s, se = _at(z, row + 1, col - 1), _at(z, row + 1, col), _at(z, row + 1, col + 1)
            if roughness_at >= 0:
                out[roughness_at, row, col] = _range(c, (nw, n, ne, w, e, sw, s, se))
            total = nw + n + ne + w + e + sw + s + se
            if total != total:
                n, s = _mirror(n, s, c, c, c)
                w, e = _mirror(w, e, c, c, c)
                # for the position, two missing corners are level with the centre, as in `_pairs`
                level_nw, level_se = _mirror(nw, se, c, c, c)
                level_ne, level_sw = _mirror(ne, sw, c, c, c)
                total = n + s + w + e + level_nw + level_se + level_ne + level_sw
                nw, se = _mirror(nw, se, c, n + w - c, s + e - c)
                ne, sw = _mirror(ne, sw, c, n + e - c, s + w - c)

            if gradient:
                east = ((ne - nw) + 2 * (e - w) + (se - sw)) * 0.125 * per_x
                north = ((nw - sw) + 2 * (n - s) + (ne - se)) * 0.125 * per_y
                steep = east * east + north * north
                if slope_at >= 0:
                    out[slope_at, row, col] = math.atan(math.sqrt(steep)) * degrees
                if aspect_at >= 0:
                    azimuth = math.atan2(-east, -north) * degrees
                    if azimuth < 0:
                        azimuth += 360
                    if azimuth >= 359.99999:  # the float32 next to 360 is 360
                        azimuth = 0.0
                    out[aspect_at, row, col] = azimuth if steep > 0 else np.nan
                if hillshade_at >= 0:
                    toward = -(east * sin_az + north * cos_az)
                    light = (sin_alt + cos_alt * toward) / math.sqrt(1 + steep)
                    out[hillshade_at, row, col] = 1 + 254 * max(light, 0.0)

            if bend:
                p, q = (e - w) * 0.5 * per_x, (n - s) * 0.5 * per_y
                r, t = (e - 2 * c + w) * per_x * per_x, (n - 2 * c + s) * per_y * per_y
                twist = 0.5 * (ne + sw - nw - se) * per_x * per_y * p * q
                steep = p * p + q * q
                scale = 100 / steep if steep > 0 else 0.0
                if plan_at >= 0:
                    out[plan_at, row, col] = 0.0 - (r * q * q - twist + t * p * p) * scale
                if profile_at >= 0:
                    out[profile_at, row, col] = (r * p * p + twist + t * q * q) * scale
                if curvature_at >= 0:
                    out[curvature_at, row, col] = 0.0 - 100 * (r + t)

            if tpi_at >= 0:
                out[tpi_at, row, col] = c - total * 0.125
            if tri_at >= 0:
                squares = (nw - c) ** 2 + (n - c) ** 2 + (ne - c) ** 2 + (w - c) ** 2
                squares += (e - c) ** 2 + (sw - c) ** 2 + (s - c) ** 2 + (se - c) ** 2
                out[tri_at, row, col] = math.sqrt(squares)


def _position(dem: xr.DataArray, radius: float) -> tuple[NDArray, NDArray]:
    """TPI in metres, and TPI over the standard deviation of the surroundings with the centre."""
    if not radius > 0:
        raise AreaError(f"radius={radius} is not a distance: give metres, more than 0")
    z, grid = _elevation(dem)
    width, height = grid.step
    reach = max(radius, math.hypot(width, height) / 2) + grid.cell_size / 2
    # the eight neighbours always, however small the radius
    offsets = range(max(1, int(reach // height)) + 1)
    half = [int(math.sqrt(max(reach**2 - (k * height) ** 2, 0)) // width) for k in offsets]
    half[0], half[1] = max(half[0], 1), max(half[1], 1)
    index, deviation = np.empty((2, *grid.shape), dtype=np.float32)
    spans = np.array(half[:0:-1] + half)
    datum = float(np.nanmean(z)) if np.isfinite(z).any() else 0.0
    _in_bands(grid.shape[0], lambda a, b: _disc(z, a, b, spans, datum, index, deviation))
    return index, deviation


@njit(nogil=True, cache=True)
def _disc(z, first, last, spans, datum, index, deviation):  # type: ignore[no-untyped-def]
    """TPI and its standardised form; spans holds the half width of each row of the disc.

    Sums slide along each row; where a cell of the disc is missing, its pairs are taken singly.
    """
    cols = z.shape[1]
    reach = spans.size // 2
    full = (2 * spans + 1).sum()
    for row in range(first, last):
        count, total, square = 0, 0.0, 0.0
        for k in range(spans.size):  # the disc of the cell before the first
            for col in range(-1 - spans[k], spans[k]):
                value = _at(z, row + k - reach, col) - datum
                if value == value:
                    count, total, square = count + 1, total + value, square + value * value
        for col in range(cols):
            for k in range(spans.size):
                value = _at(z, row + k - reach, col + spans[k]) - datum
                if value == value:
                    count, total, square = count + 1, total + value, square + value * value
                value = _at(z, row + k - reach, col - spans[k] - 1) - datum
                if value == value:
                    count, total, square = count - 1, total - value, square - value * value
            centre = float(z[row, col])
            if centre != centre:
                index[row, col] = deviation[row, col] = np.nan
                continue
            if count == full:
                mean = total / full - (centre - datum)
                variance = square / full - (total / full) ** 2
            else:
                mean, variance = _pairs(z, row, col, spans)
            index[row, col] = 0.0 - mean * full / (full - 1)
            # under a millimetre of spread nothing stands out
            deviation[row, col] = 0.0 - mean / math.sqrt(variance) if variance > 1e-6 else 0.0


@njit(nogil=True, cache=True)
def _pairs(z, row, col, spans):  # type: ignore[no-untyped-def]
    """Mean (relative to the centre) and variance of a disc, missing cells mirrored."""
    reach = spans.size // 2
    centre = float(z[row, col])
    total, square = 0.0, 0.0
    for k in range(reach + 1):
        down = reach - k
        # the upper half of the disc and, in the middle row, its western half
        stop = spans[k] if down > 0 else -1
        for across in range(-spans[k], stop + 1):
            a = _at(z, row - down, col + across)
            b = _at(z, row + down, col - across)
            a, b = _mirror(a, b, centre, centre, centre)
            total += a + b - 2 * centre
            square += (a - centre) ** 2 + (b - centre) ** 2
    full = (2 * spans + 1).sum()
    mean = total / full
    return mean, square / full - mean * mean
