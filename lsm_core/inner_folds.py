"""Inner folds: the training part split once more, for tuning, by the rule of the outer split."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lsm_core.columns import groups_at
from lsm_core.errors import RecipeError
from lsm_core.folds import random_folds
from lsm_core.holdout import fold_numbers, stream, too_near
from lsm_core.recipe import Recipe
from lsm_core.sampling import smoothed
from lsm_core.study_area import is_units


def nested_splits(
    ds: xr.Dataset, recipe: Recipe, samples: pd.DataFrame, folds: int
) -> Iterator[pd.DataFrame]:
    """For tuning: the training part split again, `folds` times, by the same rule and the same gap.

    Parameters
    ----------
    samples : of `draw_places`. Test places take no part.

    Yields
    ------
    Tables like `samples`, with `split` train or validation: every place with a hard label that is
    not tested checks in one of them. Places of the other folds nearer to a checking place than the
    recipe's gap are left out (`frame.attrs["removed"]` counts them), soft samples of a landslide
    that checks too. Where the rule cannot be repeated (date, column, fewer areas or years than
    folds) blocks are held out. Under `paper` places are split at random, with no gap.

    Raises
    ------
    RecipeError : of chips, or of cells of chips: their blocks are whole chips.
    """
    if recipe.by_chips:
        raise RecipeError("chips have no inner folds: split them once, by split.validation")
    seen = samples[samples["split"] != "test"]
    hard = seen[seen["label"] >= 0]
    fold = pd.Series(_nested_folds(ds, recipe, hard, folds), index=hard.index)
    slides = hard[hard["label"] == 1]
    parents = pd.Series(fold[slides.index].to_numpy(), index=slides["landslide_id"])
    soft = seen[seen["label"] < 0]
    for number in range(folds):
        check = hard[fold == number]
        train = hard[fold != number]
        heat = soft[(soft["landslide_id"].map(parents) != number).to_numpy()]
        if recipe.protocol == "honest":
            gap = too_near(ds, recipe, check)  # window and heat's radius: soft samples stay clear
            train = train[~gap[train["row"], train["col"]]]
            heat = heat[heat["landslide_id"].isin(train["landslide_id"]).to_numpy()]
            gap = too_near(ds, recipe, check, recipe.window)  # of heat that has no landslide
            heat = heat[~gap[heat["row"], heat["col"]]]
        frame = pd.concat(
            [
                train.assign(split="train"),
                heat.assign(split="train"),
                check.assign(split="validation"),
            ]
        )
        frame = smoothed(frame, recipe.samples.smoothing)
        frame.attrs["removed"] = len(seen) - len(frame)
        yield frame


def _nested_folds(
    ds: xr.Dataset, recipe: Recipe, hard: pd.DataFrame, folds: int
) -> NDArray[np.int64]:
    """Folds of places with a hard label; those without a landslide follow the nearest one."""
    rng = stream(recipe.split.seed, "nested")
    placed = np.isfinite(hard[["x", "y"]].to_numpy(dtype=float)).all()
    if recipe.protocol == "paper" or not placed:
        return random_folds(hard["label"], folds, rng)
    if recipe.method in ("area", "image"):
        groups = groups_at(ds, recipe.split, hard[hard["label"] == 1])
        if len(np.unique(groups)) < folds:  # too few areas or years are left
            split = recipe.split.model_copy(update={"method": "blocks"})
            recipe = recipe.model_copy(update={"split": split})
    if is_units(ds) or recipe.method in ("blocks", "date", "column"):
        return fold_numbers(ds, recipe, hard, folds, "nested")
    slides = hard[hard["label"] == 1]
    own = fold_numbers(ds, recipe, slides, folds, "nested")
    return own[cKDTree(slides[["x", "y"]]).query(hard[["x", "y"]])[1]]
