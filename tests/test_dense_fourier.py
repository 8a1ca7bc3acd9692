"""A convolution among frequencies is the convolution."""

import numpy as np
import pytest
from keras import ops

from lsm_core.dense_fourier import LEAST, large_convolution


@pytest.mark.parametrize(
    ("side", "channels", "units", "shape"),
    [
        (LEAST, 3, 2, (40, 33)),
        (8, 1, 5, (8, 8)),
        (10, 64, 8, (60, 41)),
        (11, 2, 1, (12, 90)),
        (1, 2, 2, (5, 5)),
        (2, 2, 2, (20, 3)),
    ],
)
def test_it_is_the_convolution_at_every_cell(side, channels, units, shape):
    rng = np.random.default_rng(side)
    kernel = rng.normal(size=(side, side, channels, units)).astype("float32")
    images = rng.normal(size=(2, *shape, channels)).astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    expected = np.einsum("iyxcab,abck->iyxk", windows.astype(float), kernel.astype(float))
    found = ops.convert_to_numpy(large_convolution(kernel)(images))
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max() + 1e-5)
