"""Repeats: what differs, what is not run twice, and one command for all of them."""

import json
import sys

import pytest

from lsm_core import cli, repeats, runs
from lsm_core.errors import RecipeError, Stopped
from lsm_core.recipe import make_recipe

FOREST = {"name": "rf", "model": {"name": "random_forest"}, "area": "hill", "seed": 7}
AREA = {"name": "hill", "path": "/somewhere/hill", "fingerprints": {"dem": "abc"}}


def test_repeats_differ_in_seed_and_fold_alone():
    recipe = make_recipe(FOREST, ["split.folds=3", "split.fold=2", "model.options.n_estimators=9"])
    made = repeats.repeats(recipe, seeds=2, folds=4)
    assert [(r.split.fold, r.seed) for r in made] == [(f, s) for f in (1, 2, 3, 4) for s in (7, 8)]
    assert {r.split.folds for r in made} == {4}
    own = recipe.model_dump()
    for other in made:
        back = other.model_copy(update={"seed": 7, "split": recipe.split})
        assert back.model_dump() == own
    assert repeats.repeats(recipe) == [recipe]
    assert [r.split for r in repeats.repeats(recipe, seeds=2)] == [recipe.split] * 2
    assert len({repeats.mark(r) for r in made}) == 8


@pytest.mark.parametrize(
    ("asked", "changes", "words"),
    [
        ({"seeds": 0}, [], "1 or more, got 0"),
        ({"folds": 1}, [], "2 folds or more, got 1"),
        ({"folds": 3}, ["split.method=date", "split.column=year"], "leave split.folds out"),
    ],
)
def test_what_cannot_be_repeated_is_refused(asked, changes, words):
    with pytest.raises(RecipeError, match=words):
        repeats.repeats(make_recipe(FOREST, changes), **asked)


def test_only_a_finished_run_of_the_same_recipe_on_the_same_area_counts(tmp_path):
    recipe = make_recipe(FOREST)

    def left(recipe=recipe, area=AREA, state="done"):
        path = runs.create_run(recipe, area, tmp_path)
        runs.set_status(path, state)
        return path

    assert repeats.finished(recipe, AREA, tmp_path / "none") is None
    left(state="stopped")
    left(state="failed")
    left(recipe=make_recipe(FOREST, ["seed=8"]))
    left(area=AREA | {"fingerprints": {"dem": "another"}})
    left(area=AREA | {"path": "/elsewhere/hill"})
    assert repeats.finished(recipe, AREA, tmp_path) is None
    mine = left(area={"name": "hill", "path": "/somewhere/hill"})  # a job of the page
    assert repeats.finished(recipe, AREA, tmp_path).path == mine.resolve()


@pytest.fixture
def call(sample_workspace, tmp_path, monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["lsm", *words, "--into", str(tmp_path / "runs")])
        try:
            cli.main()
            status = 0
        except SystemExit as leave:
            status = leave.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


QUICK = ("--area", "sample", "--set", "split.block=6000", "--set", "split.apart=2", "--json")


def test_one_command_runs_folds_and_seeds_once_and_compare_takes_them_as_one(call, tmp_path):
    """A stop in the third of four: the command given again runs the third and the fourth."""
    words = ("run", "logistic_regression", *QUICK, "--folds", "2", "--seeds", "2")
    from lsm_core import experiment

    carry_out, done = experiment.carry_out, []

    def stops_in_the_third(*given):
        done.append(given)
        if len(done) == 3:
            raise Stopped("stopped in training")
        return carry_out(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "carry_out", stops_in_the_third)
        status, out, err = call(*words)
    assert status == 130
    assert len(out.splitlines()) == 2
    assert [r.state for r in runs.list_runs(tmp_path / "runs")] == ["done", "done", "stopped"]
    status, out, err = call(*words)
    assert status == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    finished = [r for r in runs.list_runs(tmp_path / "runs") if r.state == "done"]
    assert sorted((r.recipe.split.fold, r.recipe.seed) for r in finished) == [
        *((1, 1), (1, 2), (2, 1), (2, 2))
    ]
    assert {line["run"] for line in told} == {str(r.path) for r in finished}
    assert all(repeats.mark(r.recipe) in r.id for r in finished)
    assert len(runs.list_runs(tmp_path / "runs")) == 5
    table = runs.compare(finished, draws=20)["models"]
    assert len(table) == 1


def test_several_recipes_are_all_checked_before_the_first_is_run(call, tmp_path):
    status, _, err = call(
        "run", "logistic_regression", "svm", *QUICK, "--set", "model.options.C=no"
    )
    assert status == 2
    assert "option C takes" in err
    status, _, err = call("run", "logistic_regression", "random_forst", *QUICK)
    assert status == 2
    assert not (tmp_path / "runs").exists()
    only = ("--set", "model.options.C=0.5")
    status, _, err = call("run", "logistic_regression", "random_forest", *QUICK, *only)
    assert status == 2
    assert not (tmp_path / "runs").exists()
    status, _, err = call("run", "logistic_regression", "svm", *QUICK, *only)
    assert status == 0, err
    assert [r.recipe.name for r in runs.list_runs(tmp_path / "runs")] == [
        *("logistic_regression", "svm")
    ]
    # one run each, without repeats, is run whenever it is asked for
    assert call("run", "logistic_regression", *QUICK, *only)[0] == 0
    assert len(runs.list_runs(tmp_path / "runs")) == 3
