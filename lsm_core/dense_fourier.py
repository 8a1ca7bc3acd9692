"""A convolution with a large kernel over many channels, done among frequencies.

What a dense layer on a window of 10 x 10 cells and 768 channels costs as a convolution, 77,000
products a cell and unit, falls to some thousands: the image is cut into squares that overlap
(overlap-save), each is taken to its frequencies, where a convolution is a product of matrices, and
back. The transforms are products with small matrices themselves, which is faster here than a fast
transform and runs alike on every backend. Equal to the convolution but for the last bits (some 1e-7
of the largest term).

Source: Mathieu, Henaff and LeCun, ICLR 2014 (convolutions of networks among frequencies).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

LEAST = 7  # cells a side: below, the plain convolution is as fast
Floats = NDArray[np.float32]


def large_convolution(kernel: Floats) -> Callable[[Any], Any]:
    """The `valid` convolution of images (image, y, x, channel) with a kernel (n, n, channel, k).

    >>> rng = np.random.default_rng(0)
    >>> kernel = rng.normal(size=(7, 7, 4, 2)).astype("float32")
    >>> image = rng.normal(size=(1, 40, 33, 4)).astype("float32")
    >>> plain = ops.convert_to_numpy(ops.conv(image, kernel, 1, "valid"))
    >>> found = ops.convert_to_numpy(large_convolution(kernel)(image))
    >>> found.shape, bool(abs(found - plain).max() < 1e-4)
    ((1, 34, 27, 2), True)
    """
    n, units = kernel.shape[0], kernel.shape[-1]
    side = 3 * n + n % 2 + 2  # of a square; even
    step, half = side - n + 1, side // 2 + 1
    angle = 2 * np.pi * np.outer(np.arange(side), np.arange(side)) / side
    cos, sin = np.cos(angle), np.sin(angle)
    # Parts are real and imaginary. Of rows half of the frequencies are enough, for values are real.
    rows = _single(np.stack([cos[:half], -sin[:half]], axis=1).reshape(2 * half, side))
    cols = _single(np.block([[cos, sin], [-sin, cos]]))
    weights = np.conj(np.fft.rfft2(kernel.astype(np.float64), (side, side), axes=(1, 0)))
    weights = weights.reshape(half * side, *kernel.shape[2:])
    weights = _single(np.concatenate([weights.real, weights.imag], axis=2))
    back_cols = _single(
        np.block([[cos, -sin], [sin, cos]])[np.r_[:step, side : side + step]] / side
    )
    twice = np.full(half, 2.0)
    twice[[0, -1]] = 1
    back = np.stack([cos[:step, :half] * twice, -sin[:step, :half] * twice], axis=2)
    back_rows = _single(back.reshape(step, 2 * half) / side)

    def convolve(x: Any) -> Any:
        height, width, channels = x.shape[1:]
        down, across = (-(-(length - n + 1) // step) for length in (height, width))
        more = [(count - 1) * step + side for count in (down, across)]
        x = ops.pad(x, [(0, 0), (0, more[0] - height), (0, more[1] - width), (0, 0)])
        x = ops.take(x, _squares(down, step, side), axis=1)
        x = ops.reshape(x, (-1, side, more[1], channels))
        x = ops.take(x, _squares(across, step, side), axis=2)
        x = ops.reshape(x, (-1, side, across, side * channels))
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, side, side * channels))
        x = ops.reshape(ops.matmul(rows, x), (-1, 2 * side, channels))  # (square and row freq.)
        x = ops.reshape(ops.matmul(cols, x), (-1, half, 2, side, channels))
        x = ops.reshape(ops.transpose(x, (1, 3, 2, 0, 4)), (half * side, -1, channels))
        y = ops.reshape(ops.matmul(x, weights), (half, side, 2, -1, 2, units))
        real, imaginary = y[:, :, 0, :, 0] - y[:, :, 1, :, 1], y[:, :, 0, :, 1] + y[:, :, 1, :, 0]
        y = ops.stack([real, imaginary], axis=0)  # (2, row freq., column freq., square, unit)
        y = ops.transpose(y, (3, 1, 0, 2, 4))
        y = ops.reshape(y, (-1, 2 * side, units))
        y = ops.reshape(ops.matmul(back_cols, y), (-1, half * 2, step * units))
        y = ops.reshape(ops.matmul(back_rows, y), (-1, down, across, step, step, units))
        y = ops.reshape(
            ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, down * step, across * step, units)
        )
        return y[:, : height - n + 1, : width - n + 1]

    return convolve


def _squares(count: int, step: int, side: int) -> NDArray[np.int32]:
    return (np.arange(count)[:, None] * step + np.arange(side)).ravel().astype(np.int32)


def _single(values: Any) -> Floats:
    return np.ascontiguousarray(values, np.float32)
