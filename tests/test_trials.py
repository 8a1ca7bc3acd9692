"""Trials as runs: what is judged, what is left behind, what a stop and a second call do."""

import json
import math

import filelock
import numpy as np
import pandas as pd
import pytest

from lsm_core import experiment, planning, runs, search_space, trials
from lsm_core.errors import RecipeError, RunError, SampleError, Stopped
from lsm_core.inner_folds import nested_splits
from lsm_core.protocol import Places
from lsm_core.recipe import load_recipe, make_recipe
from lsm_core.search_space import make_space

FOREST = {
    "name": "forest",
    "model": {"name": "random_forest", "options": {"n_estimators": 8, "n_jobs": 1}},
    "split": {"block": 6000.0},
    "area": "sample",
}
LEAF, MOST = "model.options.min_samples_leaf", "model.options.max_features"
SPACE = make_space({LEAF: {"log_integer": [1, 60]}, MOST: {"linear": [0.1, 1]}})


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Pictures have tests of their own; here they only take time."""
    left = []
    monkeypatch.setattr(trials, "page_of", lambda figure, title: "page")
    monkeypatch.setattr(trials, "save_png", lambda figure, path: left.append(path))
    return left


@pytest.fixture(scope="module")
def forest(sample_workspace):
    return make_recipe(FOREST)


def planned(forest, into, **options):
    return trials.plan_tuning(forest, SPACE, into, **options)


def same(found):
    return [(t.number, t.values, t.score) for t in found]


def test_a_trial_is_an_ordinary_run_judged_by_its_validation_places(forest, tmp_path, drawn):
    tuned = planned(forest, tmp_path)
    events = []
    found = trials.tune(tuned, 3, events.append)
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert found.trials[0].values == {LEAF: None, MOST: None}
    for trial in found.trials:
        (run,) = trials.runs_of(tuned, trial.number)
        assert run.state == "done"
        assert not run.recipe.map
        assert run.metrics["validation"]["average_precision"] == trial.score
        if trial.number:
            assert search_space.values_of(run.recipe, SPACE) == trial.values
    assert found.best.score == max(trial.score for trial in found.trials)
    told = [event for event in events if event["event"] == "trial"]
    assert [event["number"] for event in told] == [0, 1, 2, 3]
    assert told[-1]["best"] == found.best.score
    assert drawn == [tuned.path / "search.png"]
    table = pd.read_csv(tuned.path / "trials.csv")
    assert list(table["average_precision"]) == [trial.score for trial in found.trials]
    assert list(table["best_so_far"]) == list(table["average_precision"].cummax())
    assert [runs.open_run(tuned.path / name).state for name in table["run"]] == ["done"] * 4


def test_the_best_recipe_is_one_that_runs_and_test_scores_are_its_own(forest, tmp_path):
    tuned = planned(forest, tmp_path, seed=2)
    found = trials.tune(tuned, 2)
    recipe = load_recipe(tuned.path / "best.yaml")
    assert recipe == found.recipe
    assert recipe.map
    again = experiment.run_experiment(recipe.model_copy(update={"map": False}), tmp_path / "again")
    assert again.metrics["validation"]["average_precision"] == found.best.score
    assert found.test["tuned"] == {
        key: again.metrics[key] for key in ("average_precision", "roc_auc")
    }
    plain = experiment.run_experiment(forest.model_copy(update={"map": False}), tmp_path / "plain")
    assert found.test["as it stood"]["roc_auc"] == plain.metrics["roc_auc"]
    text = json.loads((tuned.path / "tuning.json").read_text())
    assert text["test"] == found.test
    assert text["best"]["number"] == found.best.number


def test_a_recipe_that_no_trial_beats_stays_as_it_is(forest, tmp_path, monkeypatch):
    tuned = planned(forest, tmp_path)
    real = trials._score
    monkeypatch.setattr(
        trials,
        "_score",
        lambda tuned, values, *rest: real(tuned, values, *rest) - (1 if values else 0),
    )
    found = trials.tune(tuned, 1)
    assert found.best.number == 0
    assert found.recipe == forest
    assert found.test["tuned"] == found.test["as it stood"]


@pytest.mark.torture
def test_a_stopped_search_goes_on_where_it_was(forest, tmp_path):
    whole = trials.tune(planned(forest, tmp_path / "whole"), 3).trials
    tuned = planned(forest, tmp_path / "parts")
    asked = []

    def stop_in_the_third():
        asked.append(len(trials.read_trials(tuned)))
        return asked[-1] == 2

    with pytest.raises(Stopped):
        trials.tune(tuned, 3, should_stop=stop_in_the_third)
    assert same(trials.read_trials(tuned)) == same(whole[:2])
    (half,) = trials.runs_of(tuned, 2)
    assert half.state == "stopped"
    before = {run.id: run.status["updated"] for n in (0, 1) for run in trials.runs_of(tuned, n)}
    found = trials.tune(planned(forest, tmp_path / "parts"), 3)
    assert same(found.trials) == same(whole)
    assert not half.path.exists() or runs.open_run(half.path).state == "done"
    after = {run.id: run.status["updated"] for n in (0, 1) for run in trials.runs_of(tuned, n)}
    assert after == before
    more = trials.tune(planned(forest, tmp_path / "parts"), 4).trials
    assert same(more[:4]) == same(whole)
    fewer = trials.tune(planned(forest, tmp_path / "parts"), 1)
    assert len(fewer.trials) == 5  # what is there is not thrown away


def test_what_a_killed_process_left_is_run_again_and_what_it_finished_is_not(
    forest, tmp_path, monkeypatch
):
    tuned = planned(forest, tmp_path)
    carried = []
    real = experiment.carry_out

    def carry_out(plan, path, *rest):
        carried.append(path.name)
        if len(carried) == 2:
            runs.set_status(path, "running")
            status = runs.read_json(path / "status.json")  # of a process that is not there
            runs.write_json(path / "status.json", status | {"process_started": 1.0})
            raise SystemExit
        return real(plan, path, *rest)

    monkeypatch.setattr(experiment, "carry_out", carry_out)
    with pytest.raises(SystemExit):
        trials.tune(tuned, 1)
    assert trials.runs_of(tuned, 1)[0].state == "lost"
    trials.tune(tuned, 1)
    assert [("trial000" in name, "trial001" in name) for name in carried] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert [run.state for run in trials.runs_of(tuned, 1)] == ["done"]
    # a run that ended, of a trial that was not written down any more
    text = json.loads((tuned.path / "tuning.json").read_text())
    text["trials"] = text["trials"][:1]
    runs.write_json(tuned.path / "tuning.json", text)
    trials.tune(tuned, 1)
    assert len(carried) == 3


def test_a_failed_trial_is_kept_with_its_message_and_the_search_goes_on(
    forest, tmp_path, monkeypatch
):
    tuned = planned(forest, tmp_path)
    real = experiment.carry_out

    def carry_out(plan, path, *rest):
        if "trial002" in path.name:
            runs.set_status(path, "failed", "the loss is nan")
            raise RunError("the loss is nan")
        return real(plan, path, *rest)

    monkeypatch.setattr(experiment, "carry_out", carry_out)
    found = trials.tune(tuned, 3)
    assert [math.isnan(trial.score) for trial in found.trials] == [False, False, True, False]
    assert found.trials[2].message == "the loss is nan"
    assert found.best.number != 2
    there = trials.read_trials(tuned)
    assert there[2].message == "the loss is nan"
    assert math.isnan(there[2].score)
    calls = []
    monkeypatch.setattr(experiment, "carry_out", lambda *a: calls.append(a))
    trials.tune(tuned, 3)
    assert calls == []


def test_nothing_of_the_test_places_reaches_the_choice(forest, tmp_path, monkeypatch):
    """Labels of test places turned over and their values shifted wildly: the same proposals."""
    calm = trials.tune(planned(forest, tmp_path / "calm"), 6)
    draw, open_area = planning.draw_places, planning.open_area
    ground = draw(open_area(planning.area_path("sample")), forest).test_ground

    def wild_area(path, **how):
        ds = open_area(path, **how).load()
        for name in ("slope", "elevation", "twi"):
            if name in ds:
                values = ds[name].to_numpy().copy()
                values[ground] = 1e4 - 37 * values[ground]
                ds[name] = ds[name].copy(data=values)
        return ds

    def wild_places(ds, recipe):
        places = draw(ds, recipe)
        samples = places.samples.copy()
        tested = samples["split"] == "test"
        samples.loc[tested, "label"] = 1 - samples.loc[tested, "label"]
        return Places(samples, *places[1:])

    monkeypatch.setattr(planning, "open_area", wild_area)
    monkeypatch.setattr(planning, "draw_places", wild_places)
    wild = trials.tune(planned(forest, tmp_path / "wild"), 6)
    assert same(wild.trials) == same(calm.trials)
    assert wild.recipe == calm.recipe
    assert wild.test != calm.test


@pytest.mark.torture
def test_inner_folds_share_out_all_that_is_not_tested_and_keep_the_gap(forest, tmp_path):
    tuned = planned(forest, tmp_path, folds=2)
    found = trials.tune(tuned, 1)
    tested = None
    for trial in found.trials:
        pair = trials.runs_of(tuned, trial.number)
        assert len(pair) == 2
        scores = [run.metrics["validation"]["average_precision"] for run in pair]
        assert trial.score == pytest.approx(np.mean(scores))
        checked = []
        for run in pair:
            part = dict(list(run.samples.groupby("split")))
            checked.append(
                set(zip(part["validation"]["row"], part["validation"]["col"], strict=True))
            )
            cells = part["validation"][["row", "col"]].to_numpy()[:, None]
            apart = np.abs(cells - part["train"][["row", "col"]].to_numpy()).max(axis=-1).min()
            assert apart >= forest.apart
            places = set(zip(part["test"]["row"], part["test"]["col"], strict=True))
            assert tested in (None, places)
            tested = places
        assert not checked[0] & checked[1]
        assert pair[0].encoder != pair[1].encoder  # each learnt from its own training places
    whole = experiment.plan_run(forest).samples
    rest = whole[whole["split"] != "test"]
    assert checked[0] | checked[1] == set(zip(rest["row"], rest["col"], strict=True))
    plain = experiment.run_experiment(forest.model_copy(update={"map": False}), tmp_path / "plain")
    assert found.test["as it stood"]["roc_auc"] == plain.metrics["roc_auc"]


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        ({"samples.negatives_per_landslide": {"linear": [1, 3]}}, {}, "changes which places"),
        ({"model.options.min_leaf": {"integer": [1, 3]}}, {}, "no option 'min_leaf'"),
        (None, {"strategy": "grid"}, "bayes or random, got 'grid'"),
        (None, {"folds": 1}, "2 or more, got 1"),
    ],
)
def test_mistakes_come_before_the_first_trial(forest, tmp_path, lines, options, words):
    with pytest.raises(RecipeError, match=words):
        trials.plan_tuning(forest, make_space(lines) if lines else SPACE, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_chips_have_no_inner_folds(forest, tmp_path):
    """Nor have cells of chips, whose blocks are whole chips."""
    on_cells = make_recipe(FOREST | {"chips": {"size": 16}})
    with pytest.raises(RecipeError, match="no inner folds: leave --folds out"):
        planned(on_cells, tmp_path, folds=2)
    plan = experiment.plan_run(on_cells)
    with pytest.raises(RecipeError, match="no inner folds: split them once"):
        next(nested_splits(plan.ds, on_cells, plan.samples, 2))


def test_an_unknown_score_lists_those_there_are(forest, tmp_path):
    with pytest.raises(RecipeError, match="no score 'auc'; did you mean roc_auc"):
        trials.tune(planned(forest, tmp_path, by="auc"), 2)


def test_the_chosen_score_decides(forest, tmp_path):
    tuned = planned(forest, tmp_path, by="roc_auc", strategy="random")
    found = trials.tune(tuned, 1)
    for trial in found.trials:
        (run,) = trials.runs_of(tuned, trial.number)
        assert trial.score == run.metrics["validation"]["roc_auc"]


def test_what_differs_has_a_folder_of_its_own_and_one_process_at_a_time(forest, tmp_path):
    options = [{}, {"seed": 2}, {"strategy": "random"}, {"by": "roc_auc"}, {"folds": 2}]
    paths = [planned(forest, tmp_path, **more).path for more in options]
    paths.append(trials.plan_tuning(make_recipe(FOREST, ["seed=3"]), SPACE, tmp_path).path)
    paths.append(trials.plan_tuning(forest, {LEAF: SPACE[LEAF]}, tmp_path).path)
    assert len(set(paths)) == 7
    assert planned(forest, tmp_path).path == paths[0]
    paths[0].mkdir()
    with filelock.FileLock(paths[0] / ".lock"), pytest.raises(RunError, match="another process"):
        trials.tune(planned(forest, tmp_path), 1)


def test_values_that_move_the_checked_places_are_no_trial(forest, tmp_path, monkeypatch):
    tuned = planned(forest, tmp_path)
    moved = trials.Tuning(**(vars(tuned) | {"checked": "others"}))
    with pytest.raises(SampleError, match="not comparable"):
        trials.tune(moved, 1)
