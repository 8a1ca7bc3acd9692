"""Spaces as people write them: what is understood, what is refused and in which words."""

import math

import pytest

from lsm_core import search_space
from lsm_core.catalog import shipped
from lsm_core.errors import RecipeError
from lsm_core.models import MENU
from lsm_core.recipe import load_recipe, make_recipe
from lsm_core.search_space import Dimension, make_space

FOREST = {"name": "rf", "model": {"name": "random_forest", "options": {"n_estimators": 20}}}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("linear", (-1.0, 3.0)),
        ("log", (1e-4, 1e-2)),
        ("integer", (3, 6)),
        ("log_integer", (1, 100)),
        ("choice", (None, "a", True)),
    ],
)
def test_every_value_of_a_dimension_lies_in_it_and_both_ends_are_reached(kind, values):
    dimension = Dimension(kind, values)
    found = [dimension.at(i / 10_000) for i in range(10_000)]
    assert all(dimension.holds(value) for value in found)
    assert found[0] == values[0]
    assert found[-1] == pytest.approx(values[-1], rel=1e-3)
    if math.isfinite(dimension.points):
        assert len(set(found)) == dimension.points
    if kind == "integer":  # whole numbers are equally likely
        assert [found.count(value) for value in (3, 4, 5, 6)] == [2500] * 4
    if kind == "log":
        assert sum(value < 1e-3 for value in found) == 5000
    if kind == "log_integer":
        assert 4000 < sum(value < 10 for value in found) < 6000


@pytest.mark.parametrize(
    ("kind", "values", "outside"),
    [
        ("linear", (0.0, 1.0), [-0.1, 1.1, "0.5", None, True]),
        ("integer", (1, 9), [0, 10, 2.5, None, True]),
        ("choice", ("adam", "sgd"), ["rms", None]),
    ],
)
def test_what_lies_outside_is_not_held(kind, values, outside):
    assert not any(Dimension(kind, values).holds(value) for value in outside)


def test_a_space_is_read_from_a_file_and_written_back(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(
        "training.learning_rate: {log: [1e-4, 1e-2]}\n"
        "training.optimizer: {choice: [adam, sgd]}\n"
        "training.batch: {choice: [1e+1, 16]}\n"
        "model.options.n_estimators: {integer: [100, 1000]}\n"
    )
    space = search_space.load_space(file)
    assert list(space.values()) == [
        ("log", (0.0001, 0.01)),
        ("choice", ("adam", "sgd")),
        ("choice", (10.0, 16)),
        ("integer", (100, 1000)),
    ]
    assert make_space(search_space.plain_space(space)) == space


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no mapping"),
        ({}, "no mapping"),
        ({"a": 3}, "a takes one of linear, log"),
        ({"a": {"linear": [0, 1], "log": [1, 2]}}, "a takes one of"),
        ({"a": {"lnear": [0, 1]}}, "no kind 'lnear'; did you mean linear"),
        ({"a": {"linear": 3}}, "linear takes a list, got 3"),
        ({"a": {"linear": [1, 1]}}, "the lower first"),
        ({"a": {"linear": [0, 1, 2]}}, "two numbers"),
        ({"a": {"linear": [False, True]}}, "two numbers"),
        ({"a": {"integer": [0.5, 3]}}, "two whole numbers"),
        ({"a": {"log": [0, 1]}}, "limits above 0"),
        ({"a": {"choice": ["adam"]}}, "two or more different values"),
        ({"a": {"choice": ["adam", "adam"]}}, "two or more different values"),
        ({"a": {"choice": ["adam", "sgd", "adam"]}}, "two or more different values"),
    ],
)
def test_what_is_no_space_is_refused(lines, words):
    with pytest.raises(RecipeError, match=words):
        make_space(lines)


def test_a_name_that_no_space_has_lists_near_ones():
    with pytest.raises(RecipeError, match="did you mean random_forest"):
        search_space.load_space("random_forrest")


@pytest.mark.parametrize(
    ("key", "line", "words"),
    [
        ("training.learning_rat", {"log": [1e-4, 1]}, "did you mean learning_rate"),
        ("model.options.n_estimator", {"integer": [1, 9]}, "did you mean n_estimators"),
        ("model.options.n_estimators", {"linear": [1, 9]}, "at 1.0: .*takes int"),
        ("training.learning_rate", {"linear": [-1, 1]}, "at -1.0: .*takes numbers above 0"),
        ("trainin.learning_rate", {"log": [1e-4, 1]}, "did you mean training"),
        ("split.block", {"linear": [500, 900]}, "split.block is not searched"),
        ("seed", {"integer": [1, 9]}, "seed is not searched"),
        ("model.name", {"choice": ["svm", "nothing"]}, "model.name at 'svm'"),
    ],
)
def test_a_space_is_checked_against_the_recipe(key, line, words):
    with pytest.raises(RecipeError, match=words):
        search_space.check_space(make_recipe(FOREST), make_space({key: line}))


def test_values_go_into_a_recipe_exactly_and_come_out_again():
    values = {
        "model.options.min_samples_leaf": 7,
        "model.options.max_features": 0.1 + 0.2,
        "training.learning_rate": 1e-05,
        "input.factors": ["slope", "twi"],
        "training.weights": "balanced",
    }
    space = {key: Dimension("choice", (value, "other")) for key, value in values.items()}
    made = search_space.with_values(make_recipe(FOREST), values)
    found = search_space.values_of(made, space)
    assert found == values
    assert search_space.inside(found, space)
    assert made.model.options["n_estimators"] == 20
    before = search_space.values_of(make_recipe(FOREST), space)
    assert before["model.options.max_features"] is None
    assert not search_space.inside(before, space)
    assert not search_space.inside(found | {"training.learning_rate": 1.0}, space)  # one is enough


OWN_SEARCH = {"random_forest_grid"}  # models that need none


def test_the_spaces_of_shipped_recipes_fit_them():
    there = {path.stem for path in (shipped("recipes") / "spaces").glob("*.yaml")}
    checked = set()
    for path in sorted(shipped("recipes").glob("*.yaml")):
        recipe = load_recipe(path)
        name = search_space.space_name(recipe)
        if name in there:
            search_space.check_space(recipe, search_space.load_space(name))
            checked.add(name)
    assert checked == there - {"ssgan_discriminator"}
    assert {card.name for card in MENU.values() if card.eats != ("classes",)} <= there | OWN_SEARCH


def test_the_space_of_the_inventory_paper_is_as_published():
    """Section 4.1.1: the learner, three rates, alpha in 0 to 1, gamma in 0 to 5."""
    assert search_space.plain_space(search_space.load_space("attention_unet")) == {
        "training.optimizer": {"choice": ["adam", "sgd"]},
        "training.learning_rate": {"choice": [0.01, 0.001, 0.0001]},
        "training.alpha": {"linear": [0.0, 1.0]},
        "training.gamma": {"linear": [0.0, 5.0]},
    }
