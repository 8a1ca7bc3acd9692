"""Mean and spread over seeds, and prediction sets, as maps in the run folder."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import rasterio
from forests import forest

from lsm_core import experiment, runs, uncertainty
from lsm_core.errors import RecipeError, RunError
from lsm_core.recipe import make_recipe
from lsm_core.runs import Run
from lsm_core.uncertainty import (
    check_members,
    conformal_sets,
    ensemble,
)

FOREST = forest(n_estimators=30, min_samples_leaf=2)


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


def test_thresholds_come_from_validation_places_alone(members, monkeypatch):
    run = members[0]
    seen = []
    calibrate = uncertainty.conformal.calibrate

    def spy(label, score, **options):
        seen.append((np.asarray(label), np.asarray(score), options["block"]))
        return calibrate(label, score, **options)

    monkeypatch.setattr(uncertainty.conformal, "calibrate", spy)
    check = run.scores[run.scores["split"] == "validation"]
    for by in ("place", "block"):
        conformal_sets(run, alpha=0.2, by=by)
        label, score, block = seen.pop()
        assert not seen
        np.testing.assert_array_equal(label, check["label"])
        np.testing.assert_array_equal(score, check["score"])
        assert (block is None) == (by == "place")


def test_blocks_are_enough_where_one_can_be_spared_of_each_class():
    """Nine blocks carry 90%; a tenth is there to be left out."""
    for n, share, conditional, enough in (
        (10, 1, True, True),
        (9, 1, True, False),
        (10, 2, True, False),  # landslides lie in every second block alone
        (10, 2, False, True),
    ):
        block = np.arange(n)
        known = pd.DataFrame({"block": np.append(block, block[::share]), "label": 0})
        known.loc[n:, "label"] = 1
        assert uncertainty._enough_blocks(known, 0.1, conditional) == enough


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
