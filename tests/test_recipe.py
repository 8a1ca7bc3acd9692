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
    assert make_recipe(settings, ["training.patience=null"]).training.patience is None


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
        (PLAIN | {"protocol": "fast"}, "protocol takes 'honest' or 'paper', got 'fast'"),
        (PLAIN | {"split": {"test": 1.5}}, r"split\.test takes numbers below 1, got 1\.5"),
        (PLAIN | {"samples": {"smoothing": 1}}, r"samples\.smoothing takes numbers below 1, got 1"),
        (PLAIN | {"training": {"patience": 0}}, r"training\.patience takes numbers from 1, got 0"),
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
    with pytest.raises(RecipeError, match=r"bad\.yaml is not readable YAML"):
        load_recipe(tmp_path / "bad.yaml")


def test_the_honest_gap_covers_window_and_heat():
    window = {"form": "window", "size": 13}
    heat = {"heatmap": {"diameter": 13}}
    assert make_recipe(PLAIN | {"input": window, "samples": heat}).apart == 13 + 7
    assert make_recipe(PLAIN | {"samples": heat}).apart == 1 + 7
    with pytest.raises(RecipeError, match=r"need 20: raise split\.apart"):
        make_recipe(PLAIN | {"input": window, "samples": heat, "split": {"apart": 12}})


@pytest.mark.parametrize(
    ("zoning", "words"),
    [
        ("{method: target}", "zoning.shares and zoning.method target need each other"),
        ("{shares: [0.5, 0.5]}", "need each other"),
        ("{method: target, shares: [0.5, 0.6]}", "add up to 1"),
        ("{method: target, shares: [0.5, 0.5], k: 3}", "leave k out"),
        ("{method: manual, breaks: [0, 0.5, 0.5, 1]}", "must rise"),
        ("{method: natural, k: 1}", "takes numbers from 2, got 1"),
        ("{metod: natural}", "did you mean method"),
    ],
)
def test_zoning_that_makes_no_zones_is_refused(zoning, words):
    with pytest.raises(RecipeError, match=words):
        make_recipe({"name": "a", "model": {"name": "cnn"}}, [f"zoning={zoning}"])


def test_zoning_brings_its_own_number_of_zones():
    """Shares and limits say how many zones there are; without either there are five."""
    made = make_recipe({"name": "a", "model": {"name": "cnn"}}, ["calibration=none"])
    assert (made.zoning.method, made.zoning.k, made.calibration) == ("natural", 5, "none")
    for text, k in (
        ("{method: target, shares: [0.2, 0.3, 0.5]}", 3),
        ("{method: manual, breaks: [0, 0.1, 0.4, 0.7, 1]}", 4),
    ):
        made = make_recipe({"name": "a", "model": {"name": "cnn"}}, [f"zoning={text}"])
        assert made.zoning.k == k
        assert Recipe.model_validate(made.model_dump(mode="json")) == made
    with pytest.raises(RecipeError, match="calibration"):
        make_recipe({"name": "a", "model": {"name": "cnn"}}, ["calibration=beta"])


def test_factors_left_out_bear_their_reason_and_are_not_among_the_factors():
    reasons = {"input": {"factors": ["slope"], "left_out": {"relief": "says what slope says"}}}
    base = {"name": "r", "model": {"name": "random_forest"}}
    assert make_recipe(base | reasons).input.left_out == {"relief": "says what slope says"}
    with pytest.raises(RecipeError, match="left_out says why slope is out"):
        make_recipe(base | {"input": {"factors": ["slope"], "left_out": {"slope": "why not"}}})


@pytest.mark.parametrize("take", [[], [5], [-1], [1, 1]])
def test_intervals_of_heat_that_are_not_there_are_refused(take):
    base = {"name": "r", "model": {"name": "random_forest"}}
    with pytest.raises(RecipeError, match=r"samples\.heatmap.*take"):
        make_recipe(base | {"samples": {"heatmap": {"take": take}}})
