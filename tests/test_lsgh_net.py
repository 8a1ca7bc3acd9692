"""The network of the LSGH-Net paper: its stages, its scSE blocks, and what it looks at."""

import numpy as np
import pytest
from test_models import plain

from lsm_core import models


@pytest.mark.parametrize("side", range(7, 41))
def test_every_side_ends_in_one_cell_and_no_pooling_drops_a_row(side):
    from lsm_core.models.lsgh_net import stages

    left = side
    for stage in stages(side):
        assert 1 <= stage.kernel <= left
        left = left - stage.kernel + 1
        if stage.pool:
            assert left % 2 == 0
            left //= 2
    assert left == 1
    assert [stage.width for stage in stages(side)] == [32, 64, 128, 192, 256]
    assert any(stage.pool for stage in stages(side))


@pytest.mark.parametrize("side", [8, 13, 22])
def test_the_feature_before_the_dense_layers_is_1_x_1_x_256(side):
    model = models.build("lsgh_net", (side, side, 3))
    flatten = next(layer for layer in model.layers if type(layer).__name__ == "Flatten")
    assert flatten.input.shape == (None, 1, 1, 256)


def test_every_cell_of_the_image_is_looked_at():
    model = models.build("lsgh_net", (13, 13, 1), scse=False, seed=1)  # squeezing would see all
    rng = np.random.default_rng(0)
    x = np.repeat(rng.random((1, 13, 13, 1), dtype=np.float32), 170, axis=0)
    for cell in range(169):
        x[cell + 1].flat[cell] += 1e3
    score = plain(model(x)).ravel()
    assert (score[1:] != score[0]).all()


def test_scse_adds_a_weight_for_the_channel_and_one_for_the_cell():
    import keras

    from lsm_core.models.lsgh_net import _scse

    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6)).astype(np.float32)
    image = keras.Input(x.shape[1:])
    model = keras.Model(image, _scse(image, None))
    squeeze, excite, cell = [layer for layer in model.layers if layer.weights]

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    (w1, b1), (w2, b2), (w3, b3) = (la.get_weights() for la in (squeeze, excite, cell))
    assert (w1.shape, w2.shape, w3.shape) == ((6, 3), (3, 6), (6, 1))
    channel = sigmoid(np.maximum(x.mean(axis=(1, 2)) @ w1 + b1, 0) @ w2 + b2)
    expected = x * channel[:, None, None, :] + x * sigmoid(x @ w3 + b3)
    np.testing.assert_allclose(plain(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_without_scse_the_network_is_smaller_and_otherwise_the_same():
    def kinds(model, kind):
        return sum(type(layer).__name__ == kind for layer in model.layers)

    with_it = models.build("lsgh_net", (13, 13, 1))
    without = models.build("lsgh_net", (13, 13, 1), scse=False)
    for kind in ("Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"):
        assert kinds(with_it, kind) == kinds(without, kind)
    assert kinds(with_it, "Multiply") == 7  # five blocks; two products where one cell is left
    assert kinds(without, "Multiply") == 0


def test_a_kernel_over_the_whole_map_is_a_matrix_product_of_the_same_weights(tmp_path, monkeypatch):
    """Keras' own convolution learns the same, and reads the same file."""
    import keras

    from lsm_core.models import lsgh_net

    r = np.random.default_rng(2)
    x, target = r.random((32, 13, 13, 1), dtype=np.float32), r.integers(0, 2, (32, 1))
    convolved, theirs_call = [], keras.layers.Conv2D.call

    def call(self, inputs):
        convolved.append(self.name)
        return theirs_call(self, inputs)

    monkeypatch.setattr(keras.layers.Conv2D, "call", call)

    def learnt():
        model = models.build("lsgh_net", (13, 13, 1), seed=1)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        for _ in range(4):
            model.train_on_batch(x, target)
        return model

    ours = learnt()
    assert len(set(convolved)) == 3  # of five
    monkeypatch.setattr(lsgh_net, "Conv2D", keras.layers.Conv2D)
    theirs = learnt()
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    theirs.save_weights(tmp_path / "w.weights.h5")
    monkeypatch.undo()
    again = models.build("lsgh_net", (13, 13, 1), seed=9)
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(
        again.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-5, atol=1e-6
    )
