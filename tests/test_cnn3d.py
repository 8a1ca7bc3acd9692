"""What the 3D-CNN sees: factors in the first axis, scales side by side; and what it refuses."""

import numpy as np
import pytest

from lsm_core import models
from lsm_core.errors import RecipeError
from lsm_core.windows import cut_scales


def cube_of(model, x):
    """What enters the first convolution."""
    import keras

    first = next(layer for layer in model.layers if layer.name.startswith("conv3d"))
    entry = keras.Model(model.input, first.input)
    return keras.ops.convert_to_numpy(entry(x))


def test_the_cube_is_factor_row_column_scale():
    """Every value of every scale stands where `cut_scales` says it belongs."""
    stack = np.random.default_rng(0).random((20, 20, 5), dtype=np.float32)
    rows, cols = np.array([9, 3]), np.array([10, 17])
    x = cut_scales(stack, rows, cols, sizes=[4, 6, 8], to=4)
    cube = cube_of(models.build("cnn3d", (4, 4, 15), scales=3, maps=2, seed=1), x)
    assert cube.shape == (2, 5, 4, 4, 3)
    for scale, size in enumerate((4, 6, 8)):
        alone = cut_scales(stack, rows, cols, sizes=[size], to=4)
        for factor in range(5):
            np.testing.assert_array_equal(cube[:, factor, :, :, scale], alone[..., factor])


def test_the_convolution_is_over_factors_too():
    """A kernel with one weight answers to one factor of its depth, row and column, and no other."""
    import keras

    model = models.build("cnn3d", (6, 6, 5), maps=1, kernel=3, seed=1)
    first = next(layer for layer in model.layers if layer.name.startswith("conv3d"))
    kernel = np.zeros((3, 3, 3, 1, 1), np.float32)
    kernel[2, 0, 1] = 1.0
    first.set_weights([kernel, np.zeros(1, np.float32)])
    x = np.random.default_rng(1).random((1, 6, 6, 5), dtype=np.float32)
    seen = keras.ops.convert_to_numpy(keras.Model(model.input, first.output)(x))
    expected = x[0, 0:4, 1:5, 2:5].transpose(2, 0, 1)
    np.testing.assert_allclose(seen[0, ..., 0], expected, rtol=1e-6)


def test_the_forms_have_the_published_layers():
    simple = models.build("cnn3d", (22, 22, 14), seed=1)
    kinds = [type(layer).__name__ for layer in simple.layers]
    assert kinds.count("Conv3D") == 1
    # 128 maps of 12 x 20 x 20, pooled by 2, then 64 units
    flat = next(layer for layer in simple.layers if layer.name.startswith("flatten"))
    assert flat.output.shape == (None, 128 * 6 * 10 * 10)
    vgg = models.build("cnn3d", (12, 12, 14), form="vgg", seed=1)
    kinds = [type(layer).__name__ for layer in vgg.layers]
    assert kinds.count("Conv3D") == kinds.count("BatchNormalization") == 5
    assert kinds.count("MaxPooling3D") == 2
    assert _maps(vgg) == [32, 32, 64, 64, 64]
    assert _maps(models.build("cnn3d", (12, 12, 14), form="vgg", maps=8)) == [8, 8, 16, 16, 16]


def _maps(network):
    return [layer.filters for layer in network.layers if type(layer).__name__ == "Conv3D"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "deep"}, "form takes 'simple' or 'vgg'"),
        ({"maps": 0}, "maps is at least 1, got 0"),
        ({"scales": 2}, "15 channels are not 2 scales"),
        ({"dropout": 1.0}, "share in"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(RecipeError, match=words):
        models.build("cnn3d", (6, 6, 15), **options)
