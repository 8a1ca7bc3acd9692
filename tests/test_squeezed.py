"""What windows share of scSE, against windows one by one."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers
from test_dense import CLOSE, images, shaken

from lsm_core import dense, dense_map, models
from lsm_core.squeezed import squeezed


def rest_of(model, tile=16):
    return dense.start_of(model, tile)[1]


@pytest.mark.parametrize("side", [7, 8, 12, 13, 19, 22])
def test_windows_of_lsgh_net_are_what_its_layers_make_of_them(side):
    """Scattered, in rows of any length, at the end of the map."""
    rest = rest_of(shaken(models.build("lsgh_net", (side, side, 3), seed=1)))
    first, after = squeezed(rest)
    found = np.maximum(images(40, 37, 32), 0)
    window = rest.input_shape[1]
    wanted = np.random.default_rng(2).random((41 - window, 38 - window)) < 0.8
    wanted[-1, -1] = True
    wanted[0, 3:], wanted[1, :3], wanted[0, 2], wanted[1, 3] = False, False, True, True
    rows, cols = np.nonzero(wanted)
    seen = np.lib.stride_tricks.sliding_window_view(found, (window, window), axis=(0, 1))
    expected = np.asarray(rest.predict_on_batch(seen[rows, cols].transpose(0, 2, 3, 1)))
    got = np.asarray(after.predict_on_batch(first.asker()(found)(rows, cols)))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(got, expected, rtol=0, atol=CLOSE)


def test_a_tile_of_any_size_follows_another_and_threads_do_not_meet():
    """Memory is used again: neither an older tile nor one of another thread shows in an answer."""
    first, _ = squeezed(rest_of(models.build("lsgh_net", (13, 13, 3), seed=1)))
    tiles = [np.maximum(images(side, side, 32), 0) for side in (20, 30, 14)]
    at = np.arange(2), np.arange(2)[::-1]
    expected = [first.asker()(tile)(*at).copy() for tile in tiles]
    asker = first.asker()
    for tile, alone in zip(tiles, expected, strict=True):
        np.testing.assert_array_equal(asker(tile)(*at), alone)
    held = asker(tiles[0])
    one, two = held(*at), held(at[0][:1], at[1][:1])  # the first still holds
    np.testing.assert_array_equal(one[:1], two)
    np.testing.assert_array_equal(one, expected[0])
    with ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(
            pool.submit(lambda: asker(tiles[2])(*at)).result(), expected[2]
        )
    np.testing.assert_array_equal(held(*at), expected[0])


def test_a_map_by_lsgh_net_is_made_so_and_on_a_gpu_by_windows(monkeypatch):
    model = models.build("lsgh_net", (13, 13, 3), seed=1)
    assert dense_map.scheme_for(model, (40, 40)).batch == dense_map.LATE
    monkeypatch.setattr(dense_map, "has_gpu", lambda: True)
    assert dense_map.scheme_for(model, (40, 40)).batch == dense_map.BATCH


def other(gate="sigmoid", add=layers.Add, kernel=2, padding="valid", pool=2, last=True, cells=1):
    """scSE and what follows it, but for one thing."""
    x = seen = keras.Input((11, 11, 4))
    for channels in (4, 6):
        mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
        weight = layers.Dense(channels, gate)(layers.Dense(2, "relu")(mean))
        cell = layers.Dense(cells or channels, "sigmoid")(x)
        if channels == 4 or last:
            x = layers.Multiply()([x, add()([weight, cell])])
        if channels == 4:
            x = layers.Conv2D(6, kernel, padding=padding)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(pool)(x)
    return keras.Model(seen, layers.Dense(1)(layers.Flatten()(x)))


@pytest.mark.parametrize(
    "change",
    [
        {"gate": "tanh"}, {"add": layers.Maximum}, {"kernel": (2, 4)}, {"kernel": 3},
        {"padding": "same"}, {"pool": 3}, {"last": False}, {"cells": 0},
    ],
)  # fmt: skip
def test_what_is_not_that_chain_is_refused(change):
    assert squeezed(other())[0].window == 11
    with pytest.raises(dense.NotDense):
        squeezed(other(**change))
