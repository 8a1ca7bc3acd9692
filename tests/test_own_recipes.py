"""Recipes of the workspace: what is kept is read back, and only what was chosen is replaced."""

import pytest

from lsm_core.catalog import shipped
from lsm_core.errors import RecipeError
from lsm_core.own_recipes import keep_recipe, own_recipes
from lsm_core.recipe import load_recipe


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    return tmp_path


def base():
    return shipped("recipes") / "lsgh_net.yaml"


def test_what_is_kept_is_the_recipe_with_what_was_chosen():
    chosen = {
        "samples.heatmap.diameter": 19.0,
        "samples.negatives": {"strategy": "beyond_buffer", "metres": 300},
        "split.method": "clusters",
    }
    recipe, path = keep_recipe("my_study", base(), chosen)
    assert own_recipes() == {"my_study": path}
    read = load_recipe(path)
    assert read == recipe
    assert read.samples.heatmap.diameter == 19
    assert read.split.method == "clusters"
    assert read.model == load_recipe(base()).model
    assert (read.name, read.title) == ("my_study", "my_study")


def test_two_who_choose_write_one_recipe():
    keep_recipe("mine", base(), {"samples.negatives": {"strategy": "low_heat", "heat": 0.3}})
    recipe, _ = keep_recipe("mine", own_recipes()["mine"], {"input.factors": ["slope", "twi"]})
    assert recipe.input.factors == ("slope", "twi")
    assert recipe.samples.negatives == {"strategy": "low_heat", "heat": 0.3}


def test_options_of_another_strategy_do_not_stay():
    keep_recipe("mine", base(), {"samples.negatives": {"strategy": "low_heat", "heat": 0.3}})
    chosen = {"samples.negatives": {"strategy": "matched", "factor": "lithology"}}
    recipe, _ = keep_recipe("mine", own_recipes()["mine"], chosen)
    assert recipe.samples.negatives == {"strategy": "matched", "factor": "lithology"}


@pytest.mark.parametrize("name", ["", "../up", "My study", "a" * 61, "x.yaml", ".hidden"])
def test_a_name_no_file_can_have_is_refused(name, workspace):
    with pytest.raises(RecipeError, match="cannot be called"):
        keep_recipe(name, base(), {})
    assert not list(workspace.rglob("*"))


def test_settings_that_do_not_go_together_leave_what_was_there():
    _, path = keep_recipe("mine", base(), {})
    before = path.read_bytes()
    with pytest.raises(RecipeError, match=r"split\.apart is 20"):
        keep_recipe("mine", base(), {"samples.heatmap.diameter": 60})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["mine.yaml"]


def test_a_folder_that_cannot_be_written_is_said(workspace):
    (workspace / "recipes").write_text("not a folder")
    with pytest.raises(RecipeError, match="could not be written"):
        keep_recipe("mine", base(), {})
