"""Answers with dropout on have dropout's own mean and spread, and nothing else of the net moves."""

import numpy as np
import pytest
import rasterio

from lsm_core import dropout, experiment, models, prediction, runs
from lsm_core.calibration import Calibrator
from lsm_core.dropout import dropout_sampler, has_dropout, mc_dropout
from lsm_core.errors import RecipeError, RunError
from lsm_core.recipe import make_recipe
from lsm_core.study_area import open_area

# Keras 3.15 turns its variables into arrays in a way that NumPy 2 frowns upon.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:keras.src.backend.tensorflow.core"
)
NETWORK = {
    "name": "cnn",
    "model": {"name": "cnn", "options": {"scse": False}},
    "split": {"block": 6000.0},
    "input": {"form": "onehot", "size": 13, "preset": "lsgh_net"},
    "training": {"epochs": 1, "batch": 64, "patience": 1},
    "area": "sample",
}


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def network(share, size=9, seed=3):
    """A network whose batch normalisation has moved, so that its two modes differ."""
    model = models.build("cnn", (size, size, 2), seed=seed, scse=False, dropout=share)
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(3, 2, (64, size, size, 2)).astype(np.float32)
    for _ in range(3):
        model.train_on_batch(x, np.arange(64)[:, None] % 2)
    return model, x


@pytest.mark.torture
def test_dropout_spreads_and_almost_none_gives_the_prediction():
    model, x = network(0.5)
    mean, spread = dropout_sampler(model, passes=40, seed=1, batch=64)(x)
    assert (spread > 1e-4).all()
    faint, x = network(1e-7)
    mean, spread = dropout_sampler(faint, passes=3, seed=1, batch=64)(x)
    np.testing.assert_allclose(mean, prediction.score_inputs(faint, x), atol=1e-5)
    assert spread.max() < 1e-5


def test_answers_follow_dropouts_own_distribution():
    """One dropout before one dense layer without bias: mean and variance are known."""
    import keras

    image = keras.Input((4,))
    out = keras.layers.Dense(1, use_bias=False)(keras.layers.Dropout(0.25)(image))
    model = keras.Model(image, out)
    weight = np.array([[1.0], [2.0], [-1.0], [0.5]], np.float32)
    model.set_weights([weight])
    x = np.array([[1.0, 1.0, 2.0, 4.0], [0, 0, 0, 0]], np.float32)
    mean, spread = dropout_sampler(model, passes=6000, seed=0, batch=2)(x)
    variance = (0.25 / 0.75) * ((x * weight.T) ** 2).sum(axis=1)
    np.testing.assert_allclose(mean, x @ weight[:, 0], atol=5 * np.sqrt(variance.max() / 6000))
    np.testing.assert_allclose(spread**2, variance, rtol=0.06)


def test_the_same_seed_gives_the_same_answers_and_the_network_is_as_before():
    model, x = network(0.5)
    before = model.get_weights()
    one, again, other = (
        dropout_sampler(model, passes=5, seed=seed, batch=64)(x)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-5
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    score = prediction.score_inputs(model, x)
    np.testing.assert_array_equal(score, prediction.score_inputs(model, x))


def test_a_network_whose_dropout_can_be_gone_round_is_asked_as_a_whole():
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((3,))
    stem = keras.layers.Dense(3)(image)  # what goes round the dropout goes round this, too
    dropped = keras.layers.Dense(4, activation="relu")(keras.layers.Dropout(0.5)(stem))
    round_it = keras.layers.Dense(4)(image)
    out = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Add()([dropped, round_it]))
    model = keras.Model(image, out)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    mean, spread = dropout_sampler(model, passes=2000, seed=0, batch=8)(x)
    assert (spread > 1e-3).all()
    assert np.abs(mean - prediction.score_inputs(model, x)).max() < 0.15


def test_mean_and_spread_are_of_the_bent_answers():
    """The spread is a sample's (n - 1); calibration is done to each answer, not to the mean."""
    model, x = network(0.5)
    seen = []

    def bend(score):
        seen.append(score**2)
        return seen[-1]

    mean, spread = dropout_sampler(model, passes=3, seed=1, batch=64, bend=bend)(x)
    np.testing.assert_allclose(mean, np.mean(seen[0], axis=0), rtol=1e-6)
    np.testing.assert_allclose(spread, np.std(seen[0], axis=0, ddof=1), rtol=1e-6)


@pytest.mark.torture
def test_only_networks_with_dropout_are_asked():
    assert not has_dropout(network(0.0)[0])
    assert not has_dropout(models.build("random_forest", (3,)))
    with pytest.raises(RunError, match="needs a network with dropout"):
        dropout_sampler(network(0.0)[0])
    with pytest.raises(RecipeError, match="at least 2 passes"):
        dropout_sampler(network(0.5)[0], passes=1)


@pytest.mark.torture
def test_the_maps_of_a_run_have_every_valid_cell(sample_workspace, tmp_path, monkeypatch):
    run = experiment.run_experiment(make_recipe(NETWORK), tmp_path)
    monkeypatch.setattr(prediction, "STRIP", 50)
    seen = []
    found = mc_dropout(run, passes=4, on_progress=lambda done, total: seen.append((done, total)))
    valid = open_area(run.area_path)["valid"].to_numpy()
    mean, spread = (read(run.path / f"dropout_{name}.tif") for name in ("mean", "spread"))
    np.testing.assert_array_equal(np.isfinite(mean), valid)
    np.testing.assert_array_equal(np.isfinite(spread), valid)
    assert np.abs(mean - read(run.map_path))[valid].mean() < 0.2
    assert found["mean_spread"] == pytest.approx(float(spread[valid].mean()), abs=1e-6)
    assert seen[-1] == (valid.shape[0], valid.shape[0])
    assert not list(run.path.glob(".*"))
    # a calibration that halves every score halves the maps
    halved = Calibrator("isotonic", (0.0, 1.0), (0.0, 0.5))
    runs.write_json(run.path / "calibration.json", halved.to_json())
    mc_dropout(runs.open_run(run.path), passes=4)
    for before, name in ((mean, "mean"), (spread, "spread")):
        after = read(run.path / f"dropout_{name}.tif")
        np.testing.assert_allclose(after[valid], before[valid] / 2, atol=1e-6)


def test_strips_without_a_valid_cell_are_gaps():
    monkey = np.zeros((9, 3), bool)
    monkey[[1, 8]] = True

    class Empty:
        dims, sizes = ("y", "x"), {"y": 9, "x": 3}

    def inputs(encoder, ds, strip):
        for row in (1, 8):
            yield np.full(3, row), np.arange(3), np.zeros((3, 1), np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "STRIP", 2)
        patch.setattr(prediction, "inputs", inputs)
        sampler = lambda x: (np.full(len(x), 0.5), np.full(len(x), 0.1))  # noqa: E731
        strips = list(dropout._dropout_strips(sampler, None, Empty(), None))
    assert [first for first, _, _ in strips] == [0, 2, 4, 6, 8]
    mean = np.concatenate([m for _, m, _ in strips])
    np.testing.assert_array_equal(np.isfinite(mean), monkey)
