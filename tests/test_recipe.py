"""A recipe is refused when it is wrong, and comes back the same when it is written down."""

import pytest

from lsm_core.errors import RecipeError
from lsm_core.recipe import Recipe, load_recipe, make_recipe, save_recipe

PLAIN = {"name": "rf", "model": {"name": "random_forest"}}


def test_yaml_and_json_round_trip(tmp_path):
    recipe = make_recipe(
        PLAIN | {"input": {"form": "onehot", "classes": {"slope": [10, 20.5]}}, "seed": 7}
    )
    save_recipe(recipe, tmp_path / "r.yaml")
    assert load_recipe(tmp_path / "r.yaml") == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_changes_win_over_the_size_which_wins_over_the_rest():
    settings = PLAIN | {
        "training": {"epochs": 1, "batch": 2, "patience": 3},
        "sizes": {"bench": {"training": {"epochs": 10, "batch": 20}}, "paper": {}},
    }
    recipe = make_recipe(settings, ["training.epochs=100"])
    assert (recipe.training.epochs, recipe.training.batch, recipe.training.patience) == (100, 20, 3)
    assert make_recipe(settings, ["size=paper"]).training.epochs == 1


def test_a_change_replaces_what_was_there():
    forest = PLAIN | {"model": {"name": "random_forest", "options": {"n_estimators": 9}}}
    assert make_recipe(forest, ["model.options.n_jobs=1"]).model.options == {
        "n_estimators": 9,
        "n_jobs": 1,
    }
    assert make_recipe(forest, ["model.options={}"]).model.options == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            PLAIN | {"training": {"epoch": 3}},
            r"training\.epoch is not a setting; did you mean epochs",
        ),
        (PLAIN | {"protocl": "paper"}, "protocl is not a setting; did you mean protocol"),
        (PLAIN | {"protocol": "fast"}, "protocol: .*'honest' or 'paper'"),
        (PLAIN | {"split": {"test": 1.5}}, r"split\.test: .*less than 1 \(got 1\.5\)"),
        ({"name": "x"}, "model is missing"),
        (PLAIN | {"size": "huge", "sizes": {"bench": {}}}, "size 'huge' is not one of bench"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(settings, words):
    with pytest.raises(RecipeError, match=words):
        make_recipe(settings)


def test_a_change_needs_key_and_value():
    with pytest.raises(RecipeError, match="--set takes key=value, got 'epochs'"):
        make_recipe(PLAIN, ["epochs"])


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(RecipeError, match="no recipe at"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(RecipeError, match=r"bad\.yaml is not YAML"):
        load_recipe(tmp_path / "bad.yaml")


def test_the_honest_gap_covers_window_and_heat():
    window = {"form": "window", "size": 13}
    heat = {"heatmap": {"diameter": 13}}
    assert make_recipe(PLAIN | {"input": window, "samples": heat}).apart == 13 + 7
    assert make_recipe(PLAIN | {"samples": heat}).apart == 1 + 7
    with pytest.raises(RecipeError, match=r"need 20: raise split\.apart"):
        make_recipe(PLAIN | {"input": window, "samples": heat, "split": {"apart": 12}})
