"""A recipe that no study area could mend is refused by itself, before anything is opened."""

import pytest

from lsm_core import jobs, runs, training
from lsm_core.errors import RecipeError
from lsm_core.foreground import recipe_of, shipped_recipes
from lsm_core.model_cards import LOSSES, MENU
from lsm_core.planning import plan_run
from lsm_core.recipe import load_recipe, make_recipe
from lsm_core.recipe_check import check_recipe, fits_units

WRONG = [
    ({"model": {"name": "random_forest"}, "samples": {"heatmap": {}}}, r"leave samples\.heatmap"),
    ({"model": {"name": "svm"}, "samples": {"smoothing": 0.2}}, r"leave samples\.smoothing out"),
    ({"model": {"name": "ann"}, "input": {"form": "onehot"}}, "takes table input, not 'onehot'"),
    ({"model": {"name": "frequency_ratio"}}, "takes classes input"),
    ({"model": {"name": "cnn"}, "input": {"form": "window", "size": 5}}, "at least 7 cells, not"),
    ({"model": {"name": "ssgan"}, "input": {"form": "window"}}, r"set samples\.unlabelled"),
    ({"model": {"name": "svm"}, "training": {"weights": "balanced"}}, "takes no sample weights"),
    ({"model": {"name": "ann"}, "training": {"loss": "focall"}}, "no loss 'focall': training.loss"),
    ({"model": {"name": "ann"}, "samples": {"negatives": "low_heet"}}, "is called 'low_heet'"),
]


def recipe_with(settings):
    return make_recipe({"name": "wrong", "area": "nowhere"} | settings)


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_what_does_not_go_together_is_said_before_the_area_is_opened(settings, words):
    recipe = recipe_with(settings)
    for ask in (check_recipe, plan_run):
        with pytest.raises(RecipeError, match=words):
            ask(recipe)


def test_nothing_is_queued_that_could_not_run(tmp_path):
    with pytest.raises(RecipeError, match="learns from hard labels"):
        jobs.start(recipe_with(WRONG[0][0]), tmp_path)
    assert runs.list_runs(tmp_path) == []


def test_the_command_says_it_too():
    with pytest.raises(RecipeError, match="learns from hard labels"):
        recipe_of("lsgh_net", None, ["model.name=random_forest", "input.form=table"])


def test_what_comes_with_the_program_goes_together():
    for path in shipped_recipes().values():
        for size in ("bench", "paper"):
            check_recipe(load_recipe(path, [f"size={size}"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("input.form=window", "have no cells around them"),
        ("input.surroundings=5", r"leave input\.surroundings out"),
        ("samples.heatmap={}", r"leave samples\.heatmap out"),
        ("chips.size=32", "chips need a grid"),
    ],
)
def test_units_cannot_give_what_only_a_grid_has(change, words):
    with pytest.raises(RecipeError, match=f"nowhere is made of units.*{words}"):
        fits_units(
            make_recipe({"name": "u", "area": "nowhere", "model": {"name": "ann"}}, [change])
        )


def test_losses_are_those_that_training_knows():
    assert set(LOSSES) == set(training.LOSSES)


def test_each_model_takes_a_recipe_of_its_own_form():
    for card in MENU.values():
        more = {"samples": {"unlabelled": 1}} if card.name == "ssgan" else {}
        check_recipe(
            recipe_with({"model": {"name": card.name}, "input": {"form": card.eats[0]}} | more)
        )
