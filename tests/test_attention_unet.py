"""The attention U-Net: its shape, its gates, its seed, and that it moves along with its image."""

import numpy as np
import pytest

from lsm_core import models
from lsm_core.errors import RecipeError
from lsm_core.models import attention_unet


def lively(**options):
    """A small network whose moving means and offsets are not those of a new one."""
    model = attention_unet.build((16, 16, 2), base=2, seed=3, **options)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if "batch_normalization" in layer.name:
            size = layer.get_weights()[0].shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, size),
                    *rng.normal(0, 0.3, (2, *size)),
                    rng.uniform(1, 2, size),
                ]
            )
    return model


def test_it_scores_every_cell_of_images_of_any_size():
    model = lively()
    for shape in ((16, 16), (32, 48)):
        score = model.predict_on_batch(np.ones((1, *shape, 2), "float32"))
        assert score.shape == (1, *shape, 1)
        assert 0 < score.min() <= score.max() < 1


def test_it_is_built_as_the_paper_says():
    model = attention_unet.build((128, 128, 4), base=64, seed=0)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("MaxPooling2D") == kinds.count("Conv2DTranspose") == 4
    assert kinds.count("Multiply") == 4  # a gate a skip
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [c.filters for c in convolutions] == [
        *(64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024),
        *(512, 512, 256, 256, 128, 128, 64, 64, 1),
    ]
    assert {c.kernel_size for c in convolutions[:-1]} == {(3, 3)}
    ups = [layer for layer in model.layers if type(layer).__name__ == "Conv2DTranspose"]
    assert {(up.kernel_size, up.strides) for up in ups} == {((2, 2), (2, 2))}


def test_gates_and_batch_normalisation_are_options():
    def kinds(**options):
        model = attention_unet.build((16, 16, 2), base=2, **options)
        return [type(layer).__name__ for layer in model.layers]

    assert "Multiply" not in kinds(gates=False)
    assert kinds().count("BatchNormalization") == 18
    assert "BatchNormalization" not in kinds(batch_norm=False)


def test_a_gate_weighs_the_skip_by_the_rule_of_addition():
    import keras

    skip, coarse = keras.Input((None, None, 4)), keras.Input((None, None, 6))
    model = keras.Model([skip, coarse], attention_unet._gate(skip, coarse, None))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1, 5, 5, 4)).astype("f4"), rng.normal(size=(1, 5, 5, 6)).astype("f4")
    (own,), (asked, bias), (psi, last) = (
        layer.get_weights() for layer in model.layers if type(layer).__name__ == "Dense"
    )
    assert (own.shape, asked.shape) == ((4, 2), (6, 2))
    together = np.maximum(a @ own + b @ asked + bias, 0)
    weight = 1 / (1 + np.exp(-(together @ psi + last)))
    np.testing.assert_allclose(model.predict_on_batch([a, b]), a * weight, rtol=1e-5, atol=1e-6)


def test_the_seed_decides_the_first_weights():
    once, again, other = (attention_unet.build((16, 16, 2), base=2, seed=s) for s in (1, 1, 2))
    for a, b in zip(once.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(once.get_weights(), other.get_weights(), strict=True)
    )


def test_a_score_sees_no_further_than_it_says_and_nearly_so_far():
    model = lively()
    rng = np.random.default_rng(1)
    image = rng.normal(size=(1, 288, 32, 2)).astype("float32")
    score = model.predict_on_batch(image)[0, :, :, 0]

    def moved(distance):
        """How far the scores from row 144 on move if the image further north is another."""
        other = image.copy()
        other[0, : 144 - distance] = 10 * rng.normal(size=other[0, : 144 - distance].shape)
        return np.abs(model.predict_on_batch(other)[0, 144:, :, 0] - score[144:]).max()

    assert moved(attention_unet.REACH) == 0
    assert moved(attention_unet.REACH - 16) > 0


def test_sides_that_cannot_be_halved_four_times_are_refused():
    with pytest.raises(RecipeError, match="multiple of 16"):
        attention_unet.build((40, 40, 2))
    with pytest.raises(RecipeError, match="base is at least 1"):
        attention_unet.build((32, 32, 2), base=0)


def test_it_is_on_the_menu_with_its_trainer():
    from lsm_core.detection import fit_on_chips

    assert models.trainer_of("attention_unet") is fit_on_chips
    assert models.trainer_of("cnn") is None
    models.check_options("attention_unet", {"base": 8, "gates": False, "batch_norm": True})
