"""Dense prediction against windows, one by one."""

import keras
import numpy as np
import pytest
from keras import layers

from lsm_core import dense, models
from lsm_core.dense_map import scheme_for, scores_of
from lsm_core.windows import cut, reflect

TILE = 16
# One sum of a hundred products in another order moves float32 scores by some 1e-7.
CLOSE = 1e-6


def shaken(model, seed=0):
    """Every bias and every moving mean and variance made something that would be missed."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif len(variable.shape) == 1 and "seed" not in variable.path:
            variable.assign(variable + rng.normal(0, 0.3, variable.shape))
    return model


def images(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def by_windows(model, image, side, tile=TILE):
    """(tile, tile): each window cut with NumPy, and scored."""
    seen = np.lib.stride_tricks.sliding_window_view(image[0], (side, side), axis=(0, 1))
    seen = seen[:tile, :tile].transpose(0, 1, 3, 4, 2).reshape(-1, side, side, image.shape[-1])
    return np.asarray(model.predict_on_batch(seen))[:, 0].reshape(tile, tile)


def own(*body, shape=(9, 9, 3), end=True):
    """A network of these layers, with a dense end."""
    seen = x = keras.Input(shape)
    for layer in body:
        x = layer(x)
    if end:
        x = layers.Dense(1, "sigmoid")(layers.Flatten()(x))
    return keras.Model(seen, x)


MENU = [
    ("cnn", (side, side, 3), {"scse": False}) for side in (7, 8, 12, 13, 19, 22)
] + [
    ("cnn3d", (12, 12, 7), {"maps": 4}),
    ("cnn3d", (11, 11, 8), {"maps": 4}),
    ("cnn3d", (22, 22, 5), {"maps": 4}),
    ("cnn3d", (8, 8, 12), {"maps": 4, "scales": 3}),
    ("cnn3d", (17, 17, 6), {"maps": 8}),  # dense on 7 x 7 cells of 16 channels
    ("cnn3d", (6, 6, 2), {"maps": 4}),  # fewer factors than the kernel is deep
]  # fmt: skip

keras.utils.set_random_seed(4)  # of the layers' first weights: some draws end in nothing but ones
OWN = {
    "a stride": [layers.Conv2D(4, 3, strides=2), layers.ReLU()],
    "a stride that leaves cells over": [layers.Conv2D(4, 2, strides=3)],
    "poolings that overlap": [layers.MaxPooling2D(3, strides=2), layers.Conv2D(2, 2)],
    "means": [layers.AveragePooling2D(2), layers.LeakyReLU(0.3)],
    "two strides": [layers.Conv2D(4, 2, strides=2), layers.Conv2D(4, 2, strides=2)],
    "norm first": [layers.BatchNormalization(), layers.Conv2D(4, 3)],
    "norm after activation": [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
    "norm without scale": [layers.Conv2D(4, 3), layers.BatchNormalization(scale=False)],
    "norm without centre": [layers.Conv2D(4, 3), layers.BatchNormalization(center=False)],
    "a mean over the window": [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()],
    "a maximum over the window": [layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(keepdims=True)],
    "dense on channels": [layers.Conv2D(4, 3), layers.Dense(5, "tanh"), layers.Dropout(0.5)],
    "dense after dense": [layers.Flatten(), layers.Dense(6), layers.BatchNormalization()],
}


@pytest.mark.parametrize(("name", "shape", "options"), MENU)
def test_a_tile_is_what_its_windows_are(name, shape, options):
    model = shaken(models.build(name, shape, seed=1, **options))
    image = images(1, TILE + shape[0] - 1, TILE + shape[0] - 1, shape[2])
    found = np.asarray(dense.dense_form(model, TILE).predict_on_batch(image))
    assert found.shape == (1, TILE, TILE, 1)
    expected = by_windows(model, image, shape[0])
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found[0, ..., 0], expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("body", OWN.values(), ids=OWN.keys())
def test_every_layer_that_has_a_dense_form_keeps_its_meaning(body):
    model = shaken(own(*(type(layer).from_config(layer.get_config()) for layer in body)))
    tile = 12  # a multiple of 2, 3 and 4
    image = images(1, tile + 8, tile + 8, 3)
    found = np.asarray(dense.dense_form(model, tile).predict_on_batch(image))[0, ..., 0]
    expected = by_windows(model, image, 9, tile)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([layers.Conv2D(4, 3, padding="same")], "padded"),
        ([layers.Conv2D(4, 3, dilation_rate=2)], "dilated"),
        ([layers.MaxPooling2D(2, padding="same")], "padded"),
        ([layers.UpSampling2D(2)], "UpSampling2D"),
        ([layers.Reshape((9, 27))], "mixes rows, columns and channels"),
        ([layers.Conv2D(4, (3, 2))], "not square"),
        ([layers.Flatten(), layers.BatchNormalization()], "between flatten and dense"),
    ],
)
def test_what_has_no_dense_form_is_named(body, says):
    with pytest.raises(dense.NotDense, match=says):
        dense.dense_form(own(*body), TILE)


def test_windows_that_do_not_end_in_one_cell_are_refused():
    with pytest.raises(dense.NotDense, match="ends in 7 cells"):
        dense.dense_form(own(layers.Conv2D(1, 3), end=False), TILE)


def test_a_branch_is_refused():
    seen = keras.Input((9, 9, 3))
    x = layers.Conv2D(3, 3, name="first")(seen)
    x = layers.Add()([x, layers.Conv2D(3, 1)(x)])
    model = keras.Model(seen, layers.Dense(1)(layers.Flatten()(x)))
    with pytest.raises(dense.NotDense, match="branches"):
        dense.dense_form(model, TILE)
    start, rest = dense.start_of(model, TILE)
    assert rest.input_shape == (None, 7, 7, 3)
    assert start.name.endswith("_start")


def test_a_tile_that_is_no_multiple_of_the_strides_is_refused():
    model = models.build("cnn", (19, 19, 2), scse=False, seed=1)
    assert dense.stride_of(model) == 4
    with pytest.raises(ValueError, match="no multiple of the stride"):
        dense.dense_form(model, 14)


def test_the_start_of_scse_is_shared_and_the_rest_keeps_its_windows():
    model = shaken(models.build("lsgh_net", (13, 13, 3), seed=1))
    start, rest = dense.start_of(model, TILE)
    image = images(1, TILE + 12, TILE + 12, 3)
    found = np.asarray(start.predict_on_batch(image))
    assert found.shape == (1, TILE + 10, TILE + 10, 32)
    np.testing.assert_allclose(
        by_windows(rest, found, 11), by_windows(model, image, 13), rtol=0, atol=CLOSE
    )


def test_what_pads_its_windows_shares_nothing():
    assert scheme_for(models.build("ssgan_discriminator", (13, 13, 3)), (40, 40)) is None
    vgg = models.build("cnn3d", (12, 12, 4), form="vgg", maps=2)
    assert scheme_for(vgg, (40, 40)) is None
    with pytest.raises(dense.NotDense, match="nothing that windows could share"):
        dense.start_of(vgg, TILE)


@pytest.mark.parametrize("options", [{"scse": False}, {}])
def test_a_network_has_the_same_scheme_whenever_it_is_asked(options):
    model = shaken(models.build("lsgh_net", (8, 8, 4), seed=1, **options))
    first, again = (scheme_for(model, (40, 40)) for _ in range(2))
    assert (first.rest is None) == (again.rest is None) == ("scse" in options)
    image = images(1, 47, 47, 4)
    found = [np.asarray(scheme.tiles.predict_on_batch(image)) for scheme in (first, again)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("name", "options"), [("cnn", {"scse": False}), ("lsgh_net", {}), ("cnn3d", {"maps": 4})]
)
@pytest.mark.parametrize("shape", [(37, 23), (5, 61), (3, 4)])
def test_every_cell_of_a_map_is_that_of_its_own_window(name, options, shape, monkeypatch):
    """At the map's edges, where cells are missing, and in areas smaller than a window or a tile."""
    from lsm_core import dense_map

    monkeypatch.setattr(dense_map, "TILE", 20)
    model = shaken(models.build(name, (8, 8, 4), seed=1, **options))
    raster = images(*shape, 4)
    rng = np.random.default_rng(3)
    wanted = rng.random(shape) < 0.7
    wanted[:, 20:] &= rng.random(shape)[:, 20:] < 0.1
    scheme = scheme_for(model, shape)
    assert scheme.tile <= 20
    found = np.full(shape, np.nan, np.float32)
    around = [reflect(np.arange(-4, length + 3), length) for length in shape]
    stack = raster[around[0]][:, around[1]]
    for rows, cols, score in scores_of(scheme, stack, wanted):
        assert np.isnan(found[rows, cols]).all()
        found[rows, cols] = score
    rows, cols = np.nonzero(wanted)
    expected = np.asarray(model.predict_on_batch(cut(raster, rows, cols, 8)))[:, 0]
    np.testing.assert_allclose(found[rows, cols], expected, rtol=0, atol=CLOSE)
    assert np.isnan(found[~wanted]).all()


def test_tiles_without_a_wanted_cell_are_not_computed():
    model = models.build("cnn", (7, 7, 2), scse=False, seed=1)
    scheme = scheme_for(model, (64, 64))._replace(tiles=None)
    assert list(scores_of(scheme, images(70, 70, 2), np.zeros((64, 64), bool))) == []


def test_tiles_share_an_area_out_evenly_and_are_as_large_as_memory_allows():
    small = models.build("cnn", (13, 13, 2), scse=False, seed=1)
    assert scheme_for(small, (100, 340)).tile == 340
    assert scheme_for(small, (2000, 1500)).tile == 500
    assert scheme_for(small, (101, 3)).tile == 102
    gated = models.build("cnn", (13, 13, 2), seed=1)
    assert scheme_for(gated, (2000, 1500)).tile == 125
    deep = models.build("cnn3d", (12, 12, 14), seed=1)
    assert 64 < scheme_for(deep, (2000, 1500)).tile < 256
