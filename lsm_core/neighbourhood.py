"""The 3 x 3 kernel: every factor of a cell and its eight neighbours in one pass over the raster.

Bare arrays in and out; `terrain` puts the labels on and says what each factor means. A missing
neighbour (beyond the raster or NaN) is the mirror image of the opposite one, 2 centre - opposite;
where both are missing a side is level with the centre, a corner built from the two sides next to
it (for TPI level with the centre).
"""

import math

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from lsm_core.halo import in_bands, room_for

# The kernel's order of outputs.
ORDER = (
    "slope", "aspect", "plan_curvature", "profile_curvature", "curvature", "tpi", "roughness",
    "tri", "hillshade", "tangent",
)  # fmt: skip
# Which of the three boxes that `_mend` makes each is taken from.
BOXES = (set(ORDER) - {"tpi", "roughness"}, {"tpi"}, {"roughness"})
METHODS = ("horn", "zevenbergen-thorne")


def _arctan_series() -> tuple[float, ...]:
    """Coefficients in t of atan(sqrt(t)) / sqrt(t) in degrees for t in [0, 1], good to 1e-8.

    The processor works four of these polynomials at once, and math.atan one at a time.
    """
    fit = Chebyshev.interpolate(
        lambda t: np.degrees(np.arctan(np.sqrt(t))) / np.sqrt(t), 12, domain=[0, 1]
    )
    return tuple(float(c) for c in fit.convert(kind=Polynomial).coef)


SERIES = _arctan_series()


def factors(
    z: NDArray,
    names: list[str],
    width: NDArray,
    height: NDArray,
    *,
    method: str = "horn",
    sun: tuple[float, float] = (0.0, 0.0),
    cores: int = 1,
) -> NDArray[np.float32]:
    """Some of `ORDER` for a DEM, (name, y, x) float32, from one pass.

    z : (y, x) floats, NaN where there is no elevation. width, height : of a cell, one a row, in the
    unit of z. sun : azimuth and altitude in radians. "tangent" is that of the slope.

    >>> ramp = np.tile(np.arange(4.0), (4, 1))
    >>> factors(ramp, ["tangent", "aspect"], np.ones(4), np.ones(4))[:, 0, 0].tolist()
    [1.0, 270.0]
    """
    place = {name: names.index(name) for name in names}
    parts = (ORDER, *BOXES)  # all from whole neighbourhoods, else each part from its own box
    want = np.array([[place.get(n, -1) if n in part else -1 for n in ORDER] for part in parts])
    out = room_for((len(names), *z.shape))
    horn = method == METHODS[0]
    per_x, per_y = 1 / np.asarray(width, np.float64), 1 / np.asarray(height, np.float64)

    def band(first: int, last: int) -> None:
        _rows(z, first, last, per_x, per_y, want, horn, sun, out)

    in_bands(z.shape[0], band, cores)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _rows(z, first, last, per_x, per_y, want, horn, sun, out):  # type: ignore[no-untyped-def]
    """Rows first..last: three rows at a time in float64, with a missing cell at either end."""
    cols = z.shape[1]
    near, gaps = np.full((3, cols + 2), np.nan), np.ones(3, np.bool_)
    room, spare, boxes = np.empty((2, cols)), np.empty(cols, np.float32), np.empty((3, 3, 3))
    for below in range(first - 1, last + 1):
        gaps[below % 3] = _enter(z, below, near[below % 3])
        row = below - 1
        if row < first:
            continue
        up, mid, down = near[(row - 1) % 3], near[row % 3], near[below % 3]
        step = (per_x[row], per_y[row])
        _write(up, mid, down, step, want[0], horn, sun, room, spare, out, row, 0)
        # cells with a missing neighbour once more, one by one
        ragged = gaps[0] or gaps[1] or gaps[2]
        for col in range(0, cols, 1 if ragged else max(cols - 1, 1)):
            if mid[col + 1] != mid[col + 1]:
                for k in range(out.shape[0]):
                    out[k, row, col] = np.nan
            elif _mend(up, mid, down, col, boxes):
                for k in range(3):
                    a, b, c = boxes[k, 0], boxes[k, 1], boxes[k, 2]
                    _write(a, b, c, step, want[k + 1], horn, sun, room, spare, out, row, col)


@njit(nogil=True, cache=True)
def _enter(z, row, line):  # type: ignore[no-untyped-def]
    """Copy a row, or NaN beyond the raster; whether something is missing in it."""
    if row < 0 or row >= z.shape[0]:
        for col in range(line.size):
            line[col] = np.nan
        return True
    missing = 0
    source = z[row]
    for col in range(source.size):
        line[col + 1] = source[col]
        missing += source[col] != source[col]
    return missing > 0


@njit(nogil=True, cache=True)
def _mend(up, mid, down, col, boxes):  # type: ignore[no-untyped-def]
    """A cell's neighbours three times, none missing: for shape, position and range; if one was."""
    nw, n, ne = up[col], up[col + 1], up[col + 2]
    w, c, e = mid[col], mid[col + 1], mid[col + 2]
    sw, s, se = down[col], down[col + 1], down[col + 2]
    whole = nw + n + ne + w + e + sw + s + se
    if whole == whole:
        return False
    _lay(boxes[2], nw, n, ne, w, c, e, sw, s, se)
    for k in range(9):  # an absent cell is neither the highest nor the lowest
        if boxes[2, k // 3, k % 3] != boxes[2, k // 3, k % 3]:
            boxes[2, k // 3, k % 3] = c
    n, s = _mirror(n, s, c, c, c)
    w, e = _mirror(w, e, c, c, c)
    level_nw, level_se = _mirror(nw, se, c, c, c)
    level_ne, level_sw = _mirror(ne, sw, c, c, c)
    _lay(boxes[1], level_nw, n, level_ne, w, c, e, level_sw, s, level_se)
    nw, se = _mirror(nw, se, c, n + w - c, s + e - c)
    ne, sw = _mirror(ne, sw, c, n + e - c, s + w - c)
    _lay(boxes[0], nw, n, ne, w, c, e, sw, s, se)
    return True


@njit(nogil=True, cache=True)
def _lay(box, nw, n, ne, w, c, e, sw, s, se):  # type: ignore[no-untyped-def]
    box[0, 0], box[0, 1], box[0, 2] = nw, n, ne
    box[1, 0], box[1, 1], box[1, 2] = w, c, e
    box[2, 0], box[2, 1], box[2, 2] = sw, s, se


@njit(nogil=True, cache=True)
def _mirror(a, b, centre, a_else, b_else):  # type: ignore[no-untyped-def]
    """Two opposite neighbours: a missing one mirrored, or both replaced where both are missing."""
    if a != a:
        return (a_else, b_else) if b != b else (2 * centre - b, b)
    return (a, 2 * centre - a) if b != b else (a, b)


@njit(nogil=True, cache=True)
def _write(up, mid, down, step, want, horn, sun, room, spare, out, row, at):  # type: ignore[no-untyped-def]
    """All wanted factors of a run of cells, into out (factor, y, x) from `at` on.

    `up`, `mid` and `down` have one cell more at either end. Each factor has its own plain loop,
    which the compiler turns into vector instructions.
    """
    end = at + mid.size - 2
    east, north = room[0, : mid.size - 2], room[1, : mid.size - 2]
    slope, aspect, plan, profile, curvature, tpi, roughness, tri, hillshade, tangent = want
    if max(slope, aspect, hillshade, tangent) >= 0:
        _gradient(up, mid, down, step, horn, east, north)
    if slope >= 0:
        _slope(east, north, out[slope, row, at:end])
    if tangent >= 0:
        _tangent(east, north, out[tangent, row, at:end])
    if aspect >= 0:
        _aspect(east, north, out[aspect, row, at:end])
    if hillshade >= 0:
        _hillshade(east, north, sun, out[hillshade, row, at:end])
    if max(plan, profile) >= 0:
        across = out[plan, row, at:end] if plan >= 0 else spare[: end - at]
        along = out[profile, row, at:end] if profile >= 0 else spare[: end - at]
        _bend(up, mid, down, step, across, along)
    if curvature >= 0:
        _curvature(up, mid, down, step, out[curvature, row, at:end])
    if tpi >= 0:
        _tpi(up, mid, down, out[tpi, row, at:end])
    if roughness >= 0:
        _range(up, mid, down, out[roughness, row, at:end])
    if tri >= 0:
        _tri(up, mid, down, out[tri, row, at:end])


@njit(nogil=True, cache=True)
def _gradient(up, mid, down, step, horn, east, north):  # type: ignore[no-untyped-def]
    """Rise per unit length toward east and toward north."""
    if horn:
        per_x, per_y = 0.125 * step[0], 0.125 * step[1]
        for i in range(east.size):
            sides = 2 * (mid[i + 2] - mid[i])
            east[i] = ((up[i + 2] - up[i]) + sides + (down[i + 2] - down[i])) * per_x
            sides = 2 * (up[i + 1] - down[i + 1])
            north[i] = ((up[i] - down[i]) + sides + (up[i + 2] - down[i + 2])) * per_y
    else:
        per_x, per_y = 0.5 * step[0], 0.5 * step[1]
        for i in range(east.size):
            east[i] = (mid[i + 2] - mid[i]) * per_x
            north[i] = (up[i + 1] - down[i + 1]) * per_y


@njit(nogil=True, inline="always")
def _arctan(rise, run):  # type: ignore[no-untyped-def]
    """Degrees of atan(rise / run) for 0 <= rise <= run; 0 where both are 0."""
    x = rise / run if run > 0 else 0.0
    t = x * x
    value = SERIES[12]
    for k in range(11, -1, -1):
        value = value * t + SERIES[k]
    return value * x


@njit(nogil=True, cache=True, error_model="numpy")
def _slope(east, north, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        tangent = math.sqrt(east[i] * east[i] + north[i] * north[i])
        steep = tangent > 1
        angle = _arctan(1.0 if steep else tangent, tangent if steep else 1.0)
        out[i] = 90 - angle if steep else angle


@njit(nogil=True, cache=True)
def _tangent(east, north, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = math.sqrt(east[i] * east[i] + north[i] * north[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _aspect(east, north, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        x, y = abs(east[i]), abs(north[i])
        angle = _arctan(min(x, y), max(x, y))
        angle = 90 - angle if x > y else angle
        angle = 180 - angle if north[i] > 0 else angle
        angle = 360 - angle if east[i] > 0 else angle
        angle = 0.0 if angle >= 359.99999 else angle  # the float32 next to 360 is 360
        out[i] = angle if x + y > 0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _hillshade(east, north, sun, out):  # type: ignore[no-untyped-def]
    up, over = math.sin(sun[1]), math.cos(sun[1])
    to_east, to_north = over * math.sin(sun[0]), over * math.cos(sun[0])
    for i in range(out.size):
        facing = up - (east[i] * to_east + north[i] * to_north)
        light = facing / math.sqrt(1 + east[i] * east[i] + north[i] * north[i])
        out[i] = 1 + 254 * (0.0 if light < 0 else light)


@njit(nogil=True, cache=True, error_model="numpy")
def _bend(up, mid, down, step, plan, profile):  # type: ignore[no-untyped-def]
    per_x, per_y = step
    for i in range(plan.size):
        p, q = (mid[i + 2] - mid[i]) * 0.5 * per_x, (up[i + 1] - down[i + 1]) * 0.5 * per_y
        r = (mid[i + 2] - 2 * mid[i + 1] + mid[i]) * per_x * per_x
        t = (up[i + 1] - 2 * mid[i + 1] + down[i + 1]) * per_y * per_y
        twist = 0.5 * (up[i + 2] + down[i] - up[i] - down[i + 2]) * per_x * per_y * p * q
        steep = p * p + q * q
        scale = 100 / steep if steep > 0 else 0.0
        plan[i] = 0.0 - (r * q * q - twist + t * p * p) * scale
        profile[i] = (r * p * p + twist + t * q * q) * scale


@njit(nogil=True, cache=True)
def _curvature(up, mid, down, step, out):  # type: ignore[no-untyped-def]
    per_x, per_y = step
    for i in range(out.size):
        r = (mid[i + 2] - 2 * mid[i + 1] + mid[i]) * per_x * per_x
        t = (up[i + 1] - 2 * mid[i + 1] + down[i + 1]) * per_y * per_y
        out[i] = 0.0 - 100 * (r + t)


@njit(nogil=True, cache=True)
def _tpi(up, mid, down, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        total = up[i] + up[i + 1] + up[i + 2] + mid[i] + mid[i + 2]
        total += down[i] + down[i + 1] + down[i + 2]
        out[i] = mid[i + 1] - total * 0.125


@njit(nogil=True, cache=True)
def _range(up, mid, down, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        low = min(min(up[i], up[i + 1]), min(up[i + 2], mid[i]))
        low = min(min(low, mid[i + 1]), min(mid[i + 2], down[i]))
        low = min(low, min(down[i + 1], down[i + 2]))
        high = max(max(up[i], up[i + 1]), max(up[i + 2], mid[i]))
        high = max(max(high, mid[i + 1]), max(mid[i + 2], down[i]))
        high = max(high, max(down[i + 1], down[i + 2]))
        out[i] = high - low


@njit(nogil=True, cache=True)
def _tri(up, mid, down, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        c = mid[i + 1]
        squares = (up[i] - c) ** 2 + (up[i + 1] - c) ** 2 + (up[i + 2] - c) ** 2
        squares += (mid[i] - c) ** 2 + (mid[i + 2] - c) ** 2 + (down[i] - c) ** 2
        squares += (down[i + 1] - c) ** 2 + (down[i + 2] - c) ** 2
        out[i] = math.sqrt(squares)
