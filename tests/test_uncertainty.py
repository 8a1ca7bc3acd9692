"""Mean and spread of several answers: of seeds, of dropout; and sets as maps in the run folder."""

import json
import shutil

import numpy as np
import pytest
import rasterio

from lsm_core import experiment, models, prediction, runs, uncertainty
from lsm_core.errors import RecipeError, RunError
from lsm_core.recipe import make_recipe
from lsm_core.runs import Run
from lsm_core.study_area import open_area
from lsm_core.uncertainty import (
    check_members,
    conformal_sets,
    dropout_sampler,
    ensemble,
    has_dropout,
    mc_dropout,
)

# Keras 3.15 turns its variables into arrays in a way that NumPy 2 frowns upon.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:keras.src.backend.tensorflow.core"
)
FOREST = {
    "name": "forest",
    "model": {"name": "random_forest", "options": {"n_estimators": 30, "min_samples_leaf": 2}},
    "split": {"block": 6000.0},
    "area": "sample",
}


@pytest.fixture(scope="module")
def members(sample_workspace, tmp_path_factory):
    into = tmp_path_factory.mktemp("runs")
    return [
        experiment.run_experiment(make_recipe(FOREST, [f"seed={seed}"]), into) for seed in (1, 2, 3)
    ]


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


# ------------------------------------------------------------------------------------- ensembles


def test_the_ensemble_is_mean_and_deviation_of_its_members(members):
    found = ensemble(members)
    maps = np.stack([read(run.map_path) for run in members]).astype(np.float64)
    folder = members[0].path
    np.testing.assert_allclose(read(folder / "ensemble_mean.tif"), maps.mean(axis=0), atol=1e-6)
    spread = np.sqrt(((maps - maps.mean(axis=0)) ** 2).sum(axis=0) / 2)
    np.testing.assert_allclose(read(folder / "ensemble_spread.tif"), spread, atol=1e-6)
    assert found["mean_spread"] == pytest.approx(np.nanmean(spread), abs=1e-6)
    assert found["seeds"] == [1, 2, 3]
    assert json.loads((folder / "ensemble.json").read_text()) == found
    test = found["test"]
    assert test["places"] == members[0].metrics["n"]
    for one, run in zip(test["members"], members, strict=True):
        assert one["roc_auc"] == pytest.approx(run.metrics["roc_auc"], abs=1e-9)
    assert test["mean"]["brier"] < max(one["brier"] for one in test["members"])
    assert test["spread_wrong"] > test["spread_right"]


def copied(run, to, **changes):
    """A copy of a run whose recipe says something else."""
    path = to / f"copy-{len(list(to.iterdir()))}"
    shutil.copytree(run.path, path)
    recipe = json.loads((path / "recipe.json").read_text())
    (path / "recipe.json").write_text(json.dumps(recipe | changes))
    return Run(path)


def test_runs_that_differ_in_more_than_the_seed_are_refused(members, tmp_path):
    first = members[0]
    check_members([first, copied(members[1], tmp_path, title="another title", name="other")])
    for changes, words in (
        ({"protocol": "paper"}, "differs from .* in protocol"),
        (
            {"model": {"name": "random_forest", "options": {"n_estimators": 31}}},
            r"model.options.min_samples_leaf, model.options.n_estimators",
        ),
        ({"seed": 1}, "each must have its own"),
    ):
        with pytest.raises(RunError, match=words):
            check_members([first, copied(members[1], tmp_path, **changes)])
    elsewhere = copied(members[1], tmp_path)
    runs.write_json(elsewhere.path / "metrics.json", elsewhere.metrics | {"test_places": "other"})
    with pytest.raises(RunError, match="its test places"):
        check_members([first, Run(elsewhere.path)])
    other_sources = copied(members[1], tmp_path)
    area = other_sources.area | {"fingerprints": {"dem": "0"}}
    runs.write_json(other_sources.path / "area.json", area)
    with pytest.raises(RunError, match="the area's sources"):
        check_members([first, Run(other_sources.path)])
    runs.set_status(elsewhere.path, "stopped")
    with pytest.raises(RunError, match="not done"):
        check_members([first, elsewhere])
    with pytest.raises(RunError, match="two runs or more"):
        check_members([first])


# ------------------------------------------------------------------------------------ MC dropout


def network(dropout, size=9, seed=3):
    """A network whose batch normalisation has moved, so that its two modes differ."""
    model = models.build("cnn", (size, size, 2), seed=seed, scse=False, dropout=dropout)
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(3, 2, (64, size, size, 2)).astype(np.float32)
    for _ in range(3):
        model.train_on_batch(x, np.arange(64)[:, None] % 2)
    return model, x


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

    image = keras.Input((3,))
    dropped = keras.layers.Dense(4, activation="relu")(keras.layers.Dropout(0.5)(image))
    round_it = keras.layers.Dense(4)(image)
    out = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Add()([dropped, round_it]))
    model = keras.Model(image, out)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    mean, spread = dropout_sampler(model, passes=2000, seed=0, batch=8)(x)
    assert (spread > 1e-3).all()
    assert np.abs(mean - prediction.score_inputs(model, x)).max() < 0.15


def test_only_networks_with_dropout_are_asked():
    assert not has_dropout(network(0.0)[0])
    assert not has_dropout(models.build("random_forest", (3,)))
    with pytest.raises(RunError, match="needs a network with dropout"):
        dropout_sampler(network(0.0)[0])
    with pytest.raises(RecipeError, match="at least 2 passes"):
        dropout_sampler(network(0.5)[0], passes=1)


def test_the_maps_of_a_run_have_every_valid_cell(sample_workspace, tmp_path, monkeypatch):
    settings = FOREST | {
        "name": "cnn",
        "model": {"name": "cnn", "options": {"scse": False}},
        "input": {"form": "onehot", "size": 13, "preset": "lsgh_net"},
        "training": {"epochs": 1, "batch": 64, "patience": 1},
    }
    run = experiment.run_experiment(make_recipe(settings), tmp_path)
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
        strips = list(uncertainty._dropout_strips(sampler, None, Empty(), None))
    assert [first for first, _, _ in strips] == [0, 2, 4, 6, 8]
    mean = np.concatenate([m for _, m, _ in strips])
    np.testing.assert_array_equal(np.isfinite(mean), monkey)


# ------------------------------------------------------------------------------- conformal sets


def test_sets_of_a_run_are_those_of_its_scores(members):
    run = members[0]
    found = conformal_sets(run, alpha=0.2)
    code, score = read(run.path / "conformal.tif"), read(run.map_path)
    stable = found["stable"] if found["stable"] is not None else np.inf
    landslide = found["landslide"] if found["landslide"] is not None else np.inf
    keeps = np.stack([score <= stable, 1 - score.astype(np.float64) <= landslide])
    valid = np.isfinite(score)
    wanted = np.select([keeps.all(0), keeps[0], keeps[1]], [3, 1, 2], 4)
    np.testing.assert_array_equal(code[valid], wanted[valid])
    assert (code[~valid] == 0).all()
    assert found["map"]["both"] == pytest.approx(np.mean(wanted[valid] == 3))
    test = run.scores[run.scores["split"] == "test"]
    assert sum(block["places"] for block in found["test"]["blocks"]) == len(test)
    assert "test blocks below 80%" in found["words"]
    assert json.loads((run.path / "conformal.json").read_text())["on"] == "validation"


def test_too_few_blocks_fall_back_to_places_unless_asked_for(members):
    run = members[0]
    few = run.scores[run.scores["split"] == "validation"]["block"].nunique()
    assert few < 19
    assert conformal_sets(run, alpha=0.05)["by"] == "place"
    assert conformal_sets(run, alpha=0.05, by="block")["landslide"] is None
    with pytest.raises(RecipeError, match="auto, block or place"):
        conformal_sets(run, by="cell")


def test_test_blocks_are_judged_by_thresholds_of_the_other_blocks(members, monkeypatch):
    run = members[0]
    fitted_on = []
    calibrate = uncertainty.conformal.calibrate

    def spy(label, score, **options):
        fitted_on.append(len(label))
        return calibrate(label, score, **options)

    monkeypatch.setattr(uncertainty.conformal, "calibrate", spy)
    found = conformal_sets(run, alpha=0.2, on="test", by="place")
    sizes = [block["places"] for block in found["test"]["blocks"]]
    n = run.metrics["n"]
    assert fitted_on == [n, *[n - size for size in sizes]]
    assert found["test"]["coverage"] == pytest.approx(0.8, abs=0.08)
