"""What is there is used, what is missing is made."""

import json

import pytest
import yaml

from lsm_core import at_hand, runs, sample_area
from lsm_core.errors import AreaError, RecipeError, RunError
from lsm_core.recipe import make_recipe

PLAIN = {
    "name": "plain", "area": "sample", "map": False, "seed": 3,
    "model": {"name": "logistic_regression"}, "split": {"block": 6000.0, "apart": 2},
}  # fmt: skip
STUDY = PLAIN | {"variants": {"stiff": {"model": {"options": {"C": 0.001}}}}}


def test_the_sample_area_is_built_once_and_no_other_is(monkeypatch, tmp_path):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    build, built = sample_area.build, []
    monkeypatch.setattr(sample_area, "build", lambda: built.append(1) or build(resolution=300))
    assert at_hand.area().attrs["simulated"]
    assert at_hand.area("sample").sizes["place"] > 500
    assert built == [1]
    with pytest.raises(AreaError, match="lsm prepare nowhere"):
        at_hand.area("nowhere")


@pytest.fixture
def quick(monkeypatch, sample_workspace):
    """Runs are planned, and done as soon as they begin; the recipes of those that were."""
    carried = []

    def carry_out(plan, path):
        carried.append(plan.recipe)
        runs.set_status(path, "done")
        return runs.open_run(path)

    monkeypatch.setattr(at_hand.experiment, "carry_out", carry_out)
    monkeypatch.setattr(at_hand.report, "result_in_words", lambda done: f"done: {done.id}")
    return carried


@pytest.mark.torture
def test_a_run_is_made_once(sample_workspace, tmp_path):
    one = at_hand.run(make_recipe(PLAIN), tmp_path)
    assert one.metrics["n"] > 100
    assert at_hand.run(make_recipe(PLAIN), tmp_path).path == one.path


def test_another_recipe_or_an_area_of_other_files_is_run_anew(quick, tmp_path):
    one = at_hand.run(make_recipe(PLAIN), tmp_path)
    assert at_hand.run(make_recipe(PLAIN), tmp_path).path == one.path
    other = at_hand.run(make_recipe(PLAIN, ["seed=4"]), tmp_path)
    assert other.path != one.path
    about = json.loads((one.path / "area.json").read_text())
    (one.path / "area.json").write_text(json.dumps(about | {"fingerprints": {"dem": "0"}}))
    assert at_hand.run(make_recipe(PLAIN), tmp_path).path not in (one.path, other.path)
    assert [recipe.seed for recipe in quick] == [3, 4, 3]


def test_a_study_runs_what_is_missing(quick, tmp_path):
    recipe, folder, told = tmp_path / "plain.yaml", tmp_path / "runs", []
    recipe.write_text(yaml.safe_dump(STUDY))
    first = at_hand.study(str(recipe), folder=folder, only=["stiff"], tell=told.append)
    assert list(first.runs) == ["stiff"]
    assert told == ["stiff, seed 3", f"done: {first.runs['stiff'][0].id}"]
    whole = at_hand.study(str(recipe), folder=folder, seeds=2)
    assert {name: [run.recipe.seed for run in some] for name, some in whole.runs.items()} == {
        "plain": [3, 4], "stiff": [3, 4],
    }  # fmt: skip
    assert whole.runs["stiff"][0].path == first.runs["stiff"][0].path
    assert len(quick) == 4
    again = at_hand.study(str(recipe), folder=folder, seeds=2)
    assert [run.path for run in again.runs["plain"]] == [run.path for run in whole.runs["plain"]]
    assert len(quick) == 4


def test_maps_are_made_of_the_seeds_that_are_to_have_them(quick, tmp_path):
    recipe = tmp_path / "plain.yaml"
    recipe.write_text(yaml.safe_dump(STUDY | {"map": True}))
    at_hand.study(str(recipe), folder=tmp_path / "runs", only=["stiff"], seeds=2)
    assert [(recipe.seed, recipe.map) for recipe in quick] == [(3, True), (4, False)]
    at_hand.study(str(recipe), folder=tmp_path / "runs", only=["stiff"], seeds=2, maps="none")
    assert len(quick) == 2  # a run with a map serves where none is asked for
    at_hand.study(str(recipe), folder=tmp_path / "runs", only=["stiff"], seeds=2, maps="all")
    assert [(recipe.seed, recipe.map) for recipe in quick[2:]] == [(4, True)]


def test_a_variant_that_cannot_be_trained_is_told_and_the_others_go_on(
    quick, tmp_path, monkeypatch, capsys
):
    recipe = tmp_path / "plain.yaml"
    recipe.write_text(yaml.safe_dump(STUDY))
    carry_out = at_hand.experiment.carry_out

    def falls(plan, path):
        if plan.recipe.name == "plain":
            raise RunError("too little")
        return carry_out(plan, path)

    monkeypatch.setattr(at_hand.experiment, "carry_out", falls)
    assert list(at_hand.study(str(recipe), folder=tmp_path / "runs").runs) == ["stiff"]
    assert "plain, seed 3 failed: too little" in capsys.readouterr().out
    with pytest.raises(RecipeError, match="maps are first, all, none"):
        at_hand.study(str(recipe), folder=tmp_path, maps="some")
