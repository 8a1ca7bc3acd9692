"""Repeats of a recipe: the same but for its seed, or for the fold that is tested.

`lsm compare` puts runs that differ in nothing else together and judges the model by their mean.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsm_core.errors import RecipeError
from lsm_core.recipe import Recipe, make_recipe
from lsm_core.runs import Run, list_runs


def repeats(recipe: Recipe, seeds: int | None = None, folds: int | None = None) -> list[Recipe]:
    """The recipes to run, fold by fold, each fold with all seeds.

    Parameters
    ----------
    seeds : how many, counted up from the recipe's own; None keeps that one. What a seed decides
        follows it (negatives, first weights, order of training), the split does not.
    folds : of how many folds each is to be tested once; None keeps what the recipe says.

    Raises
    ------
    RecipeError : fewer than 1 seed or 2 folds, or a split that has no folds.

    >>> base = make_recipe({"name": "rf", "model": {"name": "random_forest"}, "seed": 4})
    >>> [(r.split.fold, r.seed) for r in repeats(base, seeds=2, folds=2)]
    [(1, 4), (1, 5), (2, 4), (2, 5)]
    """
    if seeds is not None and seeds < 1:
        raise RecipeError(f"--seeds takes a number of repeats, 1 or more, got {seeds}")
    if folds is not None and folds < 2:
        raise RecipeError(f"--folds takes 2 folds or more, got {folds}")
    tested = [[f"split.folds={folds}", f"split.fold={k + 1}"] for k in range(folds or 0)] or [[]]
    plain = recipe.model_dump(mode="json")
    return [
        make_recipe(plain, [*fold, f"seed={recipe.seed + more}"], where=recipe.name)
        for fold in tested
        for more in range(seeds or 1)
    ]


def mark(recipe: Recipe) -> str:
    """What tells a repeat from the others, for the name of its folder: `fold2-seed1`.

    >>> mark(make_recipe({"name": "rf", "model": {"name": "random_forest"}}))
    'seed1'
    """
    fold = f"fold{recipe.split.fold}-" if recipe.split.folds else ""
    return f"{fold}seed{recipe.seed}"


def finished(
    recipe: Recipe, area: Mapping[str, Any], into: Path, among: Sequence[Run] | None = None
) -> Run | None:
    """The latest finished run of this very recipe in a folder, on the area as it is now.

    A run that made a map serves where none is asked for too.

    Parameters
    ----------
    area : name, path and fingerprints of the study area, as `experiment.plan_run` gives them. A run
        on an area that was built from other files since does not count.
    among : runs of that folder, for whoever asks for many recipes and has listed it already.
    """
    done = [
        run
        for run in (list_runs(into) if among is None else among)
        if run.state == "done" and _serves(run.recipe, recipe) and _same_area(run, area)
    ]
    return done[-1] if done else None


def _serves(done: Recipe, asked: Recipe) -> bool:
    return done in (asked, asked.model_copy(update={"map": True}))


def _same_area(run: Run, area: Mapping[str, Any]) -> bool:
    """Jobs started from the page know no fingerprints; their area's name and place must do."""
    known = {"fingerprints": area["fingerprints"]} | run.area
    return all(known[name] == area[name] for name in ("name", "path", "fingerprints"))
