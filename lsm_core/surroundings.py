"""The disc round each cell: how high the cell stands above it, also by the spread within it.

Bare arrays in and out; `terrain` puts the labels on. A missing cell of the disc (beyond the raster
or NaN) is the mirror image of the opposite one, the centre where both are missing.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lsm_core.errors import AreaError
from lsm_core.halo import in_bands

# Sums slide along the rows in whole numbers, so that they do not depend on where a row begins.
STEPS_PER_METRE = 1024
MISSING = np.int32(-(2**31))
HIGHEST = 2e6  # metres that an int32 of such steps can hold


def half_widths(radius: float, width: float, height: float) -> NDArray[np.int64]:
    """Cells to either side of the centre in each row of the disc, from its top to its bottom.

    The disc holds the cells whose centres lie within `radius` plus half a cell, and the eight
    neighbours always. All in metres.

    >>> half_widths(2, 1, 1)
    array([1, 2, 2, 2, 1])
    """
    reach = max(radius, math.hypot(width, height) / 2) + math.sqrt(width * height) / 2
    offsets = range(max(1, int(reach // height)) + 1)
    half = [int(math.sqrt(max(reach**2 - (k * height) ** 2, 0)) // width) for k in offsets]
    half[0], half[1] = max(half[0], 1), max(half[1], 1)
    return np.array(half[:0:-1] + half)


def height_above(z: NDArray, spans: NDArray[np.int64], cores: int) -> NDArray[np.float32]:
    """(2, y, x): elevation minus the disc's mean without the centre, in metres; and minus its mean
    with the centre, over its standard deviation.

    z : (y, x) in metres, NaN where there is none; taken in steps of 1/1024 m. spans : of
    `half_widths`. The second is 0 where the spread is under a millimetre.

    >>> peak = np.zeros((3, 3))
    >>> peak[1, 1] = 9
    >>> height_above(peak, half_widths(1, 1, 1), 1)[:, 1, 1].round(3)
    array([9.   , 2.828], dtype=float32)
    """
    here = ~np.isnan(z)
    if here.any() and np.abs(z[here]).max() > HIGHEST:
        raise AreaError(f"elevations of more than {HIGHEST:g} m: state the DEM's nodata value")
    steps = np.full(z.shape, MISSING)
    np.rint(z * STEPS_PER_METRE, out=steps, where=here, casting="unsafe")
    out = np.empty((2, *z.shape), dtype=np.float32)
    in_bands(z.shape[0], lambda a, b: _disc(steps, a, b, spans, out), cores)
    return out


@njit(nogil=True, cache=True)
def _at(steps, row, col):  # type: ignore[no-untyped-def]
    if 0 <= row < steps.shape[0] and 0 <= col < steps.shape[1]:
        return np.int64(steps[row, col])
    return np.int64(MISSING)


@njit(nogil=True, cache=True, error_model="numpy")
def _disc(steps, first, last, spans, out):  # type: ignore[no-untyped-def]
    """Sums slide along each row; where a cell of the disc is missing, its pairs are taken singly.

    The sum of squares may wrap round 2^64 on its way: taken relative to the centre, it is right
    again.
    """
    cols = steps.shape[1]
    reach = spans.size // 2
    full = (2 * spans + 1).sum()
    for row in range(first, last):
        count = total = square = np.int64(0)
        for k in range(spans.size):  # the disc of the cell before the first
            for col in range(-1 - spans[k], spans[k]):
                value = _at(steps, row + k - reach, col)
                if value != MISSING:
                    count, total, square = count + 1, total + value, square + value * value
        for col in range(cols):
            for k in range(spans.size):
                value = _at(steps, row + k - reach, col + spans[k])
                if value != MISSING:
                    count, total, square = count + 1, total + value, square + value * value
                value = _at(steps, row + k - reach, col - spans[k] - 1)
                if value != MISSING:
                    count, total, square = count - 1, total - value, square - value * value
            centre = np.int64(steps[row, col])
            if centre == MISSING:
                out[0, row, col] = out[1, row, col] = np.nan
                continue
            if count == full:
                rise = total - full * centre
                spread = square - 2 * centre * total + full * centre * centre
            else:
                rise, spread = _pairs(steps, row, col, spans)
            mean = rise / full / STEPS_PER_METRE
            variance = spread / full / STEPS_PER_METRE**2 - mean * mean
            out[0, row, col] = 0.0 - mean * full / (full - 1)
            out[1, row, col] = 0.0 - mean / math.sqrt(variance) if variance > 1e-6 else 0.0


@njit(nogil=True, cache=True)
def _pairs(steps, row, col, spans):  # type: ignore[no-untyped-def]
    """Sums of a disc and of its squares relative to the centre, missing cells mirrored."""
    reach = spans.size // 2
    centre = np.int64(steps[row, col])
    rise = spread = np.int64(0)
    for k in range(reach + 1):
        down = reach - k
        # the upper half of the disc and, in the middle row, its western half
        stop = spans[k] if down > 0 else -1
        for across in range(-spans[k], stop + 1):
            a = _at(steps, row - down, col + across)
            b = _at(steps, row + down, col - across)
            a_rise = a - centre if a != MISSING else centre - b if b != MISSING else 0
            b_rise = b - centre if b != MISSING else -a_rise
            rise += a_rise + b_rise
            spread += a_rise * a_rise + b_rise * b_rise
    return rise, spread
