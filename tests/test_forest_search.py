"""Forests beyond the plain one: on heat, and with options found by folds of the training places."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import GridSearchCV

from lsm_core import experiment, forest_search, models, prediction, runs
from lsm_core.errors import RecipeError, SampleError, Stopped
from lsm_core.models.baselines import fit_estimator
from lsm_core.recipe import make_recipe
from lsm_core.splits import overlap_report

GRID = {"n_estimators": [15], "max_features": ["sqrt"], "min_samples_leaf": [1, 8]}
GRID |= {"max_depth": [None, 3], "folds": 3, "n_jobs": 1}


def recipe(name, *changes, **options):
    settings = {"name": "f", "area": "sample", "map": False, "split": {"block": 6000.0}}
    return make_recipe(settings | {"model": {"name": name, "options": options}}, changes)


def seen_in_training(plan, samples):
    places = samples[samples["split"] == "train"]
    x = prediction.gather(plan.encoder, plan.ds, places["row"], places["col"])
    return x(np.arange(len(places))), places


# ------------------------------------------------------------------------------------- on heat


def test_a_leaf_scores_the_mean_heat_of_its_places():
    forest = models.build("random_forest_heat", (1,), n_estimators=1, min_samples_leaf=2)
    forest.set_params(bootstrap=False)
    x = np.array([[0.0], [0.1], [0.9], [1.0]])
    fit_estimator(forest, x, [0.2, 0.4, 0.6, 1.0])
    np.testing.assert_allclose(forest.predict_proba(x)[:, 1], [0.3, 0.3, 0.8, 0.8])
    np.testing.assert_allclose(forest.predict_proba(x).sum(axis=1), 1)


def test_of_hard_labels_a_forest_on_heat_is_the_classifier():
    rng = np.random.default_rng(0)
    x = rng.random((300, 4), dtype=np.float32)
    label = (x[:, 0] + rng.normal(0, 0.3, 300) > 0.5).astype(int)
    options = {"n_estimators": 40, "min_samples_leaf": 5, "max_features": None, "n_jobs": 1}
    scores = [
        fit_estimator(models.build(name, (4,), seed=2, **options), x, label).predict_proba(x)
        for name in ("random_forest", "random_forest_heat")
    ]
    np.testing.assert_allclose(*scores, atol=0.02)


@pytest.mark.parametrize("targets", [[0.5] * 4, [0, 0.5, 1, 1.5], [-0.1, 0.5, 1, 1]])
def test_targets_that_are_no_heat_are_refused(targets):
    forest = models.build("random_forest_heat", (1,), n_estimators=2)
    with pytest.raises(SampleError, match="4 training targets go from"):
        fit_estimator(forest, np.arange(4.0)[:, None], targets)


def test_a_run_on_heat_learns_soft_samples_as_scikit_learn_does(sample_workspace, tmp_path):
    options = {"n_estimators": 12, "min_samples_leaf": 3, "n_jobs": 1}
    chosen = recipe("random_forest_heat", "samples.heatmap={diameter: 7}", **options)
    run = experiment.run_experiment(chosen, tmp_path)
    plan = experiment.plan_run(chosen)
    x, places = seen_in_training(plan, plan.samples)
    assert (places["label"] == -1).sum() > 100
    theirs = RandomForestRegressor(12, min_samples_leaf=3, max_features="sqrt", random_state=1)
    theirs.fit(x, places["target"])
    held = plan.samples[plan.samples["label"] >= 0]
    seen = prediction.gather(plan.encoder, plan.ds, held["row"], held["col"])
    wanted = theirs.predict(seen(np.arange(len(held))))
    np.testing.assert_allclose(run.scores["score"], wanted, atol=1e-6)
    again = prediction.predict_samples(run, held)  # as stored
    np.testing.assert_array_equal(again, run.scores["score"].to_numpy())


# -------------------------------------------------------------------------------------- search


@pytest.mark.parametrize("kind", ["honest", "paper"])
def test_the_search_is_that_of_scikit_learn_on_folds_of_the_protocol(
    kind, sample_workspace, tmp_path
):
    chosen = recipe("random_forest_grid", f"protocol={kind}", **GRID)
    said = []
    run = experiment.run_experiment(chosen, tmp_path, said.append)
    found = json.loads((run.path / "search.json").read_text())
    plan = experiment.plan_run(chosen)
    x, places = seen_in_training(plan, plan.samples)
    places = places.reset_index(drop=True)

    folds = forest_search._folds(plan.ds, chosen, places, 3)
    checked = np.concatenate([check for _, check in folds])
    assert sorted(checked) == list(range(len(places)))
    for train, check in folds:
        assert not set(train) & set(check)
        parts = [places.loc[train].assign(split="train"), places.loc[check].assign(split="test")]
        if kind == "honest":
            both = overlap_report(pd.concat(parts), chosen.apart)
            assert both["share"] == 0.0
    assert found["folds"] == [{"train": len(a), "check": len(b)} for a, b in folds]

    grid = {name: GRID[name] for name in ("n_estimators", "max_features")}
    grid |= {name: GRID[name] for name in ("min_samples_leaf", "max_depth")}
    forest = RandomForestClassifier(random_state=1)
    theirs = GridSearchCV(forest, grid, cv=folds, scoring="roc_auc").fit(x, places["label"])
    assert found["chosen"] == theirs.best_params_
    means = [trial["mean"] for trial in found["trials"]]
    assert means == sorted(means, reverse=True)
    np.testing.assert_allclose(means, np.sort(theirs.cv_results_["mean_test_score"])[::-1])
    held = plan.samples
    seen = prediction.gather(plan.encoder, plan.ds, held["row"], held["col"])
    wanted = theirs.predict_proba(seen(np.arange(len(held))))[:, 1]
    np.testing.assert_allclose(run.scores["score"], wanted, atol=1e-6)
    again = prediction.predict_samples(run, held)
    np.testing.assert_allclose(again, run.scores["score"], atol=1e-6)
    words = [event["message"] for event in said if event["event"] == "stage"]
    assert sum(word.startswith("trial ") for word in words) == 4
    assert any(word.startswith("chosen: ") for word in words)


def test_a_search_stops_between_two_forests_and_chooses_nothing(sample_workspace, tmp_path):
    answers = iter([False] * 3 + [True] * 9)
    with pytest.raises(Stopped):
        experiment.run_experiment(
            recipe("random_forest_grid", **GRID), tmp_path, None, lambda: next(answers)
        )
    run = runs.list_runs(tmp_path)[0]
    assert run.status["state"] == "stopped"
    assert not (run.path / "search.json").exists()
    assert list(answers) == [True] * 8


def test_a_fold_without_a_class_is_named(sample_workspace):
    chosen = recipe("random_forest_grid", **GRID)
    plan = experiment.plan_run(chosen)
    _, places = seen_in_training(plan, plan.samples)
    one = places[places["label"] == 1].head(2)
    few = places[places["label"] == 0].head(40)
    with pytest.raises(SampleError, match=r"0 are landslides.*model\.options\.folds lower"):
        forest_search._folds(plan.ds, chosen, pd.concat([one, few], ignore_index=True), 4)


@pytest.mark.parametrize("options", [{"max_depth": 3}, {"folds": 2.5}, {"max_features": ["sqr"]}])
def test_a_grid_that_cannot_be_searched_is_refused(options, sample_workspace, tmp_path):
    with pytest.raises(RecipeError, match=r"takes list|takes int|refuses an option"):
        experiment.run_experiment(recipe("random_forest_grid", **GRID | options), tmp_path)
