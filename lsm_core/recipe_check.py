"""A recipe by itself: what no study area could mend is said before anything is read or started."""

from lsm_core import own_code
from lsm_core.errors import RecipeError
from lsm_core.model_cards import ADVERSARIAL, LOSSES, MENU, Card
from lsm_core.recipe import Recipe
from lsm_core.strategy import check_strategy


def check_recipe(recipe: Recipe, card: Card | None = None) -> None:
    """Refuse a model that does not go with the recipe's samples, input or training.

    No data are read and no library of networks is loaded, so that a form can ask at every change.

    Parameters
    ----------
    card : of a model of one's own, known to who has run its file; without it only models of the
        menu are held against their cards.

    Raises
    ------
    RecipeError : a model that does not take such input, samples or weights; windows smaller than
        it takes; a loss or a strategy of negatives that does not exist.

    >>> from lsm_core.recipe import make_recipe
    >>> soft = {"samples": {"heatmap": {}}, "model": {"name": "random_forest"}}
    >>> check_recipe(make_recipe({"name": "rf"} | soft))
    Traceback (most recent call last):
        ...
    lsm_core.errors.RecipeError: random_forest learns from hard labels: leave samples.heatmap out
    """
    check_strategy(recipe.samples.negatives)
    _check_loss(recipe.training.loss)
    card = card or MENU.get(recipe.model.name)
    if card is not None:
        _check_input(recipe, card)
        _check_labels(recipe, card)
        if recipe.training.weights != "none" and not card.weighs:
            raise RecipeError(f"{card.name} takes no sample weights: set training.weights to none")


def fits_units(recipe: Recipe) -> None:
    """Refuse what an area of units, which have no cells around them, cannot give."""
    if recipe.by_chips:
        raise RecipeError(f"{recipe.area} is made of units: chips need a grid")
    if recipe.input.form == "window":
        raise RecipeError(
            f"{recipe.area} is made of units, which have no cells around them: set input.form to "
            "table, classes or onehot, or run on an area with a grid"
        )
    if recipe.input.surroundings:
        raise RecipeError(f"{recipe.area} is made of units: leave input.surroundings out")
    if recipe.samples.heatmap:
        raise RecipeError(f"{recipe.area} is made of units: leave samples.heatmap out")


def _check_loss(name: str) -> None:
    if name not in LOSSES and name not in (own := own_code.definitions()):
        raise RecipeError(f"no loss {name!r}: training.loss is {' or '.join((*LOSSES, *own))}")


def _check_input(recipe: Recipe, card: Card) -> None:
    if recipe.input.form not in card.eats:
        raise RecipeError(
            f"{card.name} takes {' or '.join(card.eats)} input, not {recipe.input.form!r}: "
            "change input.form"
        )
    if recipe.input.form == "window" and recipe.input.size < card.smallest:
        raise RecipeError(
            f"{card.name} takes windows of at least {card.smallest} cells, not of "
            f"{recipe.input.size}: make input.size larger"
        )


def _check_labels(recipe: Recipe, card: Card) -> None:
    adversarial = card.trainer == ADVERSARIAL
    hard = card.framework == "sklearn" and not card.soft
    if recipe.samples.heatmap and (hard or adversarial):
        raise RecipeError(f"{card.name} learns from hard labels: leave samples.heatmap out")
    if recipe.samples.smoothing and hard:
        raise RecipeError(f"{card.name} learns from hard labels: leave samples.smoothing out")
    if adversarial and recipe.input.combine == "samples":
        raise RecipeError(f"{card.name} sees one image a place: set input.combine to channels")
    if card.name == "ssgan" and not recipe.samples.unlabelled:
        raise RecipeError(
            "ssgan learns from unlabelled places too: set samples.unlabelled, for instance to 1 a "
            "labelled landslide, or take the model ssgan_discriminator"
        )
