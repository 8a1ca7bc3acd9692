"""The two protocols: from landslides to training, validation and test places.

`honest`: the split comes first; then landslides, negatives and soft samples are drawn on their own
ground, nothing nearer to a test place than the recipe's gap. `paper`: everything is drawn first and
split at random, as published. Test places without a landslide are random under both, whatever the
recipe trains on.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core.chips import draw_cells, draw_chips
from lsm_core.errors import SampleError
from lsm_core.folds import random_folds
from lsm_core.grid import grid_of
from lsm_core.holdout import (
    block_metres,
    blocks_of_places,
    stream,
    too_near,
)
from lsm_core.inventory import read_points
from lsm_core.labelling import UNLABELLED, few_labels, landslide_cells, unlabelled_places
from lsm_core.recipe import Heatmap, Recipe
from lsm_core.recipe_check import fits_units
from lsm_core.sampling import (
    gaussian_heatmap,
    heatmap_samples,
    landslide_places,
    nearest_point,
    negatives,
    shuffled_heat,
    smoothed,
)
from lsm_core.splits import PARTS, random_split, stratified_split
from lsm_core.strategy import check_strategy
from lsm_core.study_area import is_units, layer
from lsm_core.two_inventories import (
    hold_out_by_map,
    knows_mapped,
    mapped_under_test,
    mapped_view,
    on_drawn_ground,
)

__all__ = ["Places", "block_metres", "draw_places", "mapped_test_places", "scored"]

FEWEST = 10  # landslides without which nothing can be trained and tested


class Places(NamedTuple):
    """Samples; the ground nobody trained on (None under `paper`); counts of what was done."""

    samples: pd.DataFrame
    test_ground: NDArray[np.bool_] | None
    counts: dict[str, int]


def draw_places(ds: xr.Dataset, recipe: Recipe) -> Places:
    """Who is tested, then where the samples lie.

    Test places depend on the area and on `recipe.split` only, so that recipes which share a split
    are judged on the same places, whatever their model, heat or seed.

    Raises
    ------
    SampleError : too few landslides or cells for what the recipe asks. RecipeError : it asks of
    units what only a grid has.
    """
    if is_units(ds):
        fits_units(recipe)
    every = landslide_places(ds)
    slides = on_drawn_ground(ds, every)
    if len(slides) < FEWEST:
        raise SampleError(
            f"{len(slides)} landslides lie on valid cells of {ds.attrs['name']}: at least {FEWEST} "
            "are needed to train and test a model"
        )
    check_strategy(recipe.samples.negatives)
    counts = {"landslides": len(slides), "landslides off the map": slides.attrs["left_out"]}
    if len(slides) < len(every):
        counts["landslides where the detector was taught"] = len(every) - len(slides)
    if recipe.by_chips:
        return _by_chips(ds, recipe, slides, counts)
    slides["block"] = blocks_of_places(ds, recipe, slides)
    places = (_honest if recipe.protocol == "honest" else _paper)(ds, recipe, slides)
    samples = smoothed(places.samples.reset_index(drop=True), recipe.samples.smoothing)
    samples["block"] = blocks_of_places(ds, recipe, samples)
    drawn = (samples["split"] + ": " + samples["origin"]).value_counts().sort_index()
    counts |= {str(name): int(n) for name, n in drawn.items()}
    return Places(samples, places.test_ground, counts | places.counts)


def mapped_test_places(
    ds: xr.Dataset, recipe: Recipe, test_ground: NDArray[np.bool_]
) -> pd.DataFrame:
    """Of an area with detected landslides: the mapped ones under test, and as many places without.

    They are those that a run on the mapped landslides with the same split is tested on.
    """
    held = mapped_under_test(ds, test_ground).assign(split="test")
    others = _evaluation_negatives(mapped_view(ds), recipe, len(held), test_ground)
    return pd.concat([held, others], ignore_index=True)


def scored(samples: pd.DataFrame, split: str) -> pd.DataFrame:
    """The places of one part that have a hard label."""
    return samples[(samples["split"] == split) & (samples["label"] >= 0)]


def _by_chips(
    ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame, counts: dict[str, int]
) -> Places:
    """Chips, or, for a model on cells, cells of the same chips."""
    chips, test_ground, more = draw_chips(ds, recipe, slides)
    samples = chips if recipe.input.form == "chip" else draw_cells(ds, recipe, chips)
    for frame in (chips, samples)[: 1 + (samples is not chips)]:
        drawn = (frame["split"] + ": " + frame["origin"]).value_counts().sort_index()
        more |= {str(name): int(n) for name, n in drawn.items()}
    return Places(samples, test_ground, counts | more)


# ------------------------------------------------------------------------------------- honest


def _honest(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Places:
    part, ground, counts = hold_out_by_map(ds, recipe, slides)
    test_ground = ground == PARTS.index("test")
    held = slides[part == "test"].assign(split="test")
    if held.empty:
        raise SampleError("no landslide is held out: raise split.test, or lower split.folds")
    test = pd.concat([held, _evaluation_negatives(ds, recipe, len(held), test_ground)])

    judged = test
    if knows_mapped(ds):
        judged = pd.concat([test, mapped_test_places(ds, recipe, test_ground)])
    far = ~too_near(ds, recipe, judged)
    kept = (part != "test") & far[slides["row"], slides["col"]]
    gone = ~kept & np.isin(part, ("train", "validation"))
    counts = {"landslides too near the test set": int(gone.sum())} | counts
    known = slides[kept & np.isin(part, ("train", "validation"))]
    drawn_by: dict[str, list[pd.DataFrame]] = {}
    for name in ("validation", "train"):  # who checks comes first: training may keep clear of them
        own = ground == PARTS.index(name)
        if name == "train" and recipe.split.validation_apart:
            check = pd.concat(drawn_by["validation"])
            own = own & ~too_near(ds, recipe, check, recipe.split.validation_apart)
            gone = kept & (part == "train") & ~own[slides["row"], slides["col"]]
            kept &= ~gone
            counts["landslides too near the validation set"] = int(gone.sum())
        here = slides[kept & (part == name)].assign(split=name)
        if here.empty:
            raise SampleError(_nobody_left(recipe, name))
        allowed = own & far
        parts = drawn_by.setdefault(name, [])
        if name == "train" and recipe.samples.heatmap:
            clear = ~too_near(ds, recipe, judged, recipe.window)
            heat, soft = _soft(ds, recipe, recipe.samples.heatmap, here, own & clear)
            allowed &= heat == 0
            parts.append(soft.assign(split=name))
        if name == "train":
            here = _cells(ds, recipe, here, allowed)
        n = round(len(here) * recipe.samples.negatives_per_landslide)
        drawn = _training_negatives(ds, recipe, name, n, allowed, known, counts)
        labelled = pd.concat([here, drawn.assign(split=name)])
        parts += _told(ds, recipe, labelled, own & far, counts) if name == "train" else [labelled]
    every = [test, *drawn_by["train"], *drawn_by["validation"]]
    return Places(pd.concat(every), test_ground, counts)


def _cells(
    ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame, allowed: NDArray[np.bool_]
) -> pd.DataFrame:
    """Training landslides by as many of their cells as the recipe wants."""
    if is_units(ds):
        return slides
    rng = stream(recipe.seed, "landslide cells")
    return landslide_cells(ds, slides, recipe.samples.cells, rng, allowed=allowed)


def _told(
    ds: xr.Dataset,
    recipe: Recipe,
    labelled: pd.DataFrame,
    ground: NDArray[np.bool_],
    counts: dict[str, int],
) -> list[pd.DataFrame]:
    """Training places whose labels are told, as many as the recipe wants, and places without."""
    wanted = recipe.samples
    told = few_labels(labelled, wanted.labelled, stream(recipe.seed, "labelled"))
    if len(told) < len(labelled):
        counts["train: labelled places left out"] = len(labelled) - len(told)
    n = round(wanted.unlabelled * int((told["label"] == 1).sum()))
    if n == 0:
        return [told]
    rng, anywhere = stream(recipe.seed, UNLABELLED), wanted.unlabelled_from == "anywhere"
    more = unlabelled_places(ds, n, rng, allowed=ground, anywhere=anywhere)
    return [told, more.assign(split="train")]


def _nobody_left(recipe: Recipe, name: str) -> str:
    cure = {
        "blocks": "make split.block larger or split.apart smaller",
        "clusters": "make split.clusters fewer or split.apart smaller",
    }.get(recipe.method, "make split.test or split.apart smaller, or choose split.method blocks")
    return (
        f"no landslide is left for {name}: all lie nearer than {recipe.apart} cells to a test "
        f"place; {cure}"
    )


def _evaluation_negatives(
    ds: xr.Dataset, recipe: Recipe, n: int, allowed: NDArray[np.bool_]
) -> pd.DataFrame:
    """As many as test landslides, at random, whatever the recipe trains on; of units, all."""
    rng = stream(recipe.split.seed, "evaluation negatives")
    drawn = negatives(ds, "random", _own(ds, allowed, n), rng, allowed=allowed)
    return drawn.assign(split="test", origin="evaluation negative")


def _training_negatives(
    ds: xr.Dataset,
    recipe: Recipe,
    name: str,
    n: int,
    allowed: NDArray[np.bool_],
    known: pd.DataFrame,
    counts: dict[str, int],
) -> pd.DataFrame:
    """By the recipe's strategy; what could not be drawn is counted."""
    strategy = check_strategy(recipe.samples.negatives)
    points = None
    if strategy.name == "own":
        points = read_points(strategy.options["file"], grid_of(ds).crs)
    if strategy.name == "random" and is_units(ds):
        own = _own(ds, allowed, n)
        n = own if recipe.samples.units == "all" else min(n, own)
    drawn = negatives(
        ds,
        recipe.samples.negatives,
        n,
        stream(recipe.seed, f"{name} negatives"),
        allowed=allowed,
        landslides=known,
        points=points,
    )
    if len(drawn) < n:
        counts[f"{name}: negatives that could not be drawn"] = n - len(drawn)
    return drawn


def _own(ds: xr.Dataset, allowed: NDArray[np.bool_], n: int) -> int:
    """Units without a landslide are given, not drawn: all of them; of a map n cells are drawn."""
    if not is_units(ds):
        return n
    return int((allowed & layer(ds, "valid") & (layer(ds, "landslide") == 0)).sum())


# -------------------------------------------------------------------------------------- paper


def _paper(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Places:
    """Soft samples that fall to the test share have no hard label and are left out.

    As many random negatives as landslides are split with them. Where the recipe trains on others,
    these take the place of those of training and validation: test places never follow the strategy.
    """
    split, counts = recipe.split, dict[str, int]()
    n = round(len(slides) * recipe.samples.negatives_per_landslide)
    given = is_units(ds) and recipe.samples.units == "all"
    usual = check_strategy(recipe.samples.negatives).name == "random" and (
        given or (n == len(slides) and not is_units(ds))
    )
    anywhere = np.ones(layer(ds, "valid").shape, dtype=bool)
    rng = stream(split.seed, "negatives")
    hard = pd.concat([slides, negatives(ds, "random", _own(ds, anywhere, len(slides)), rng)])
    hard["split"] = _random_parts(recipe, hard)
    if not usual:
        hard = _other_negatives(ds, recipe, hard, counts)
    hard = _told_of_paper(ds, recipe, hard, counts)
    if recipe.samples.heatmap is None:
        return Places(hard, None, counts)
    _, soft = _soft(ds, recipe, recipe.samples.heatmap, slides, anywhere)
    rng = stream(recipe.seed, "soft split")
    in_test = random_split(len(soft), test=split.test, validation=0.0, rng=rng) == "test"
    counts["soft samples in the test share, left out"] = int(in_test.sum())
    return Places(pd.concat([hard, soft[~in_test].assign(split="train")]), None, counts)


def _told_of_paper(
    ds: xr.Dataset, recipe: Recipe, hard: pd.DataFrame, counts: dict[str, int]
) -> pd.DataFrame:
    """Split places with more cells of training landslides, fewer labels, and unlabelled places."""
    wanted = recipe.samples
    if wanted.cells == 1 and wanted.labelled is None and not wanted.unlabelled:
        return hard
    free = np.ones(layer(ds, "valid").shape, dtype=bool)
    held, train = hard[hard["split"] != "train"], hard[hard["split"] == "train"]
    free[held["row"], held["col"]] = False
    slides = train[train["label"] == 1]
    more = _cells(ds, recipe, slides, free).iloc[len(slides) :]
    n = round(len(more) * recipe.samples.negatives_per_landslide)
    if n:
        drawn = _training_negatives(ds, recipe, "train", n, free, slides, counts)
        train = pd.concat([train, more, drawn.assign(split="train")])
    return pd.concat([held, *_told(ds, recipe, train, free, counts)])


def _random_parts(recipe: Recipe, hard: pd.DataFrame) -> NDArray[np.str_]:
    """At random, landslides and others alike, or each by the same shares; or by folds."""
    split = recipe.split
    strata = hard["label"] if recipe.method == "stratified" else np.zeros(len(hard))
    if split.folds is None:
        return stratified_split(
            strata,
            test=split.test,
            validation=split.validation,
            rng=stream(split.seed, "random split"),
        )
    folds = random_folds(strata, split.folds, stream(split.seed, "random folds"))
    rng = stream(split.seed, f"random fold {split.fold}")
    parts = stratified_split(strata, test=split.validation, validation=0, rng=rng)
    parts = np.where(parts == "test", "validation", "train")
    return np.where(folds == split.fold - 1, "test", parts)


def _other_negatives(
    ds: xr.Dataset, recipe: Recipe, hard: pd.DataFrame, counts: dict[str, int]
) -> pd.DataFrame:
    """The recipe's own negatives for training and validation, off the cells of test places."""
    kept = hard[(hard["split"] == "test") | (hard["label"] == 1)]
    free = np.ones(layer(ds, "valid").shape, dtype=bool)
    test = kept[kept["split"] == "test"]
    free[test["row"], test["col"]] = False
    parts = [kept]
    known = kept[(kept["split"] != "test") & (kept["label"] == 1)]
    for name in ("train", "validation"):
        n = int((known["split"] == name).sum() * recipe.samples.negatives_per_landslide + 0.5)
        drawn = _training_negatives(ds, recipe, name, n, free, known, counts)
        free[drawn["row"], drawn["col"]] = False
        parts.append(drawn.assign(split=name))
    return pd.concat(parts)


# --------------------------------------------------------------------------------------- both


def _soft(
    ds: xr.Dataset,
    recipe: Recipe,
    heatmap: Heatmap,
    slides: pd.DataFrame,
    allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """The heat of the landslides given, and soft samples from it, off every landslide's cells.

    Shuffled, the samples lie anywhere on the ground allowed, in the heat or out of it.
    """
    grid = grid_of(ds)
    points = slides[["x", "y"]].to_numpy()
    radius = heatmap.diameter / 2 * grid.cell_size
    heat = gaussian_heatmap(points, grid, radius)
    parent = nearest_point(points, grid, radius)
    clear = allowed & ds["valid"].to_numpy() & (ds["landslide"].to_numpy() == 0)
    soft = heatmap_samples(
        heat,
        parent,
        clear,
        ids=slides["landslide_id"],
        per_interval=round(heatmap.per_interval * len(slides)),
        rng=stream(recipe.seed, "soft samples"),
        intervals=heatmap.intervals,
        take=heatmap.take,
    )
    if heatmap.shuffled:
        soft = shuffled_heat(ds, soft, stream(recipe.seed, "shuffled heat"), allowed=allowed)
    return heat.to_numpy(), soft
