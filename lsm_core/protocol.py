"""The two protocols: from landslides to training, validation and test places.

`honest`: blocks are held out first; then landslides, negatives and soft samples are drawn on their
own ground, nothing nearer to a test place than the recipe's gap. `paper`: everything is drawn first
and split at random, as published.
"""

import math
import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import SampleError
from lsm_core.grid import grid_of
from lsm_core.recipe import Heatmap, Recipe
from lsm_core.sampling import (
    gaussian_heatmap,
    heatmap_samples,
    landslide_places,
    nearest_point,
    negatives,
)
from lsm_core.splits import PARTS, block_split, blocks_of, near, random_split

BLOCKS, USUAL_GAP = 80, 20
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
    SampleError : too few landslides or cells for what the recipe asks.
    """
    slides = landslide_places(ds)
    if len(slides) < FEWEST:
        raise SampleError(
            f"{len(slides)} landslides lie on valid cells of {ds.attrs['name']}: at least {FEWEST} "
            "are needed to train and test a model"
        )
    counts = {"landslides": len(slides), "landslides off the map": slides.attrs["left_out"]}
    slides["block"] = blocks_of(slides["x"], slides["y"], _block_side(ds, recipe))
    places = (_honest if recipe.protocol == "honest" else _paper)(ds, recipe, slides)
    samples = places.samples.reset_index(drop=True)
    samples["block"] = blocks_of(samples["x"], samples["y"], _block_side(ds, recipe))
    drawn = (samples["split"] + ": " + samples["origin"]).value_counts().sort_index()
    counts |= {str(name): int(n) for name, n in drawn.items()}
    return Places(samples, places.test_ground, counts | places.counts)


def scored(samples: pd.DataFrame, split: str) -> pd.DataFrame:
    """The places of one part that have a hard label."""
    return samples[(samples["split"] == split) & (samples["label"] >= 0)]


# ------------------------------------------------------------------------------------- honest


def _honest(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Places:
    ground = _ground(ds, recipe, slides)
    part = ground[slides["row"], slides["col"]]
    is_test = part == PARTS.index("test")
    test_ground = ground == PARTS.index("test")
    held = slides[is_test].assign(split="test")
    test = pd.concat([held, _evaluation_negatives(ds, recipe, len(held), test_ground)])

    far = ~near(test["row"], test["col"], ground.shape, recipe.apart)
    kept = ~is_test & far[slides["row"], slides["col"]]
    parts = [test]
    for name in ("train", "validation"):
        own = ground == PARTS.index(name)
        here = slides[kept & (part == PARTS.index(name))].assign(split=name)
        if here.empty:
            raise SampleError(
                f"no landslide is left for {name}: all lie nearer than {recipe.apart} cells to a "
                "test place; make split.block larger or split.apart smaller"
            )
        allowed = own & far
        if name == "train" and recipe.samples.heatmap:
            clear = ~near(test["row"], test["col"], ground.shape, recipe.window)
            heat, soft = _soft(ds, recipe, recipe.samples.heatmap, here, own & clear)
            allowed &= heat == 0
            parts.append(soft.assign(split=name))
        n = round(len(here) * recipe.samples.negatives_per_landslide)
        rng = _stream(recipe.seed, f"{name} negatives")
        drawn = negatives(ds, recipe.samples.negatives, n, rng, allowed=allowed)
        parts += [here, drawn.assign(split=name)]
    counts = {"landslides too near the test set": int((~is_test).sum() - kept.sum())}
    counts["side of a block, m"] = round(block_metres(ds, recipe))
    return Places(pd.concat(parts), test_ground, counts)


def _evaluation_negatives(
    ds: xr.Dataset, recipe: Recipe, n: int, allowed: NDArray[np.bool_]
) -> pd.DataFrame:
    """As many as test landslides, at random, whatever the recipe trains on."""
    rng = _stream(recipe.split.seed, "evaluation negatives")
    drawn = negatives(ds, "random", n, rng, allowed=allowed)
    return drawn.assign(split="test", origin="evaluation negative")


def _ground(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> NDArray[np.uint8]:
    """The part of every cell of the map, as its number in PARTS, by the cell's block."""
    x, y = ds["x"].to_numpy(), ds["y"].to_numpy()
    side = _block_side(ds, recipe)
    _, west, col = np.unique(np.floor(x / side), return_index=True, return_inverse=True)
    _, north, row = np.unique(np.floor(y / side), return_index=True, return_inverse=True)
    block = blocks_of(x[west][None, :], y[north][:, None], side)
    split = recipe.split
    part = block_split(
        slides["block"],
        test=split.test,
        validation=split.validation,
        rng=_stream(split.seed, "blocks"),
        also=block.ravel(),
    )
    number = part.map(PARTS.index).astype(np.uint8)
    table = np.asarray(number[block.ravel()], dtype=np.uint8).reshape(block.shape)
    return table[row][:, col]


# -------------------------------------------------------------------------------------- paper


def _paper(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Places:
    """Soft samples that fall to the test share have no hard label and are left out."""
    split = recipe.split
    n = round(len(slides) * recipe.samples.negatives_per_landslide)
    drawn = negatives(ds, recipe.samples.negatives, n, _stream(split.seed, "negatives"))
    hard = pd.concat([slides, drawn])
    hard["split"] = random_split(
        len(hard),
        test=split.test,
        validation=split.validation,
        rng=_stream(split.seed, "random split"),
    )
    if recipe.samples.heatmap is None:
        return Places(hard, None, {})
    anywhere = np.ones(ds["valid"].shape, dtype=bool)
    _, soft = _soft(ds, recipe, recipe.samples.heatmap, slides, anywhere)
    rng = _stream(recipe.seed, "soft split")
    in_test = random_split(len(soft), test=split.test, validation=0.0, rng=rng) == "test"
    left_out = {"soft samples in the test share, left out": int(in_test.sum())}
    return Places(pd.concat([hard, soft[~in_test].assign(split="train")]), None, left_out)


# --------------------------------------------------------------------------------------- both


def _soft(
    ds: xr.Dataset,
    recipe: Recipe,
    heatmap: Heatmap,
    slides: pd.DataFrame,
    allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """The heat of the landslides given, and soft samples from it, off every landslide's cells."""
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
        rng=_stream(recipe.seed, "soft samples"),
    )
    return heat.to_numpy(), soft


def block_metres(ds: xr.Dataset, recipe: Recipe) -> float:
    """Side of a block: the recipe's, or by itself so that there are enough blocks and room in them.

    By itself it is the larger of the side that cuts the valid area into 80 blocks and of three
    times the gap between training and test, rounded up to one digit. The gap is `split.apart`, or
    20 cells, so that the side never depends on the model.
    """
    if recipe.split.block is not None:
        return recipe.split.block
    cell = grid_of(ds).cell_size
    gap = USUAL_GAP if recipe.split.apart is None else recipe.split.apart
    side = max(cell * math.sqrt(int(ds["valid"].sum()) / BLOCKS), 3 * gap * cell)
    digit = 10 ** math.floor(math.log10(side))
    return float(math.ceil(side / digit) * digit)


def _block_side(ds: xr.Dataset, recipe: Recipe) -> float:
    """Side of a block in the units of the CRS."""
    return block_metres(ds, recipe) / grid_of(ds).metres_per_unit


def _stream(seed: int, what: str) -> np.random.Generator:
    """A generator of its own for every draw, so that one draw's size never moves another."""
    return np.random.default_rng([seed, zlib.crc32(what.encode())])
