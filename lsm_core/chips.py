"""Chips: square pieces of an area on a regular lattice, who of them is tested, and their cells.

The lattice starts at the area's first row and column and moves on by the stride; chips lie wholly
within the area, so that a rest narrower than a chip at its last rows and columns belongs to none. A
chip's place is its centre: the cell from which `windows.cut` cuts the same square.
"""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import SampleError
from lsm_core.folds import random_folds
from lsm_core.grid import grid_of
from lsm_core.holdout import block_parts, stream
from lsm_core.recipe import Recipe
from lsm_core.splits import PARTS, near, random_split
from lsm_core.study_area import shape_of

MOST = 500_000  # training cells that stand for all of them where they are only looked at
BLOCKS = 30  # fewest blocks to split by, where the recipe does not say how large they are
WIDEST = 4  # chips along a block's side, likewise
NOBODY = 255


def draw_chips(
    ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame
) -> tuple[pd.DataFrame, NDArray[np.bool_] | None, dict[str, int]]:
    """Chips and their parts.

    `honest`: squares of whole chips, `split.block` metres wide or by themselves so that there are
    at least 30, are held out, about the recipe's shares of the landslides; a chip that lies in two
    parts, or nearer to a test chip than `split.apart`, is left out, and so are training chips
    nearer to a validation chip than `split.validation_apart`. `paper`: chips at random. Test chips
    follow the area, the size and stride of chips, and `split` alone.

    Parameters
    ----------
    slides : the landslides' places (row, col).

    Returns
    -------
    Chips (row, col, x, y of the centre; label 1 where a valid cell is a landslide; target, their
    share; origin, split, block); the cells of test chips (None under `paper`); counts.

    Raises
    ------
    SampleError : the area is smaller than a chip, or there are too few blocks or chips.
    """
    chips = _lattice(ds, recipe)
    counts = {"chips on the lattice": len(chips)}
    split = _by_block if recipe.protocol == "honest" else _at_random
    chips["split"], chips["block"] = split(ds, recipe, chips, slides)
    _all_parts(chips)
    if recipe.protocol == "honest":
        close = _close_to("test", chips, ds, recipe.apart_chips) & (chips["split"] != "test")
        counts["chips in two parts, left out"] = int((chips["split"] == "").sum())
        counts["chips too near to a test chip, left out"] = int(
            (close & (chips["split"] != "")).sum()
        )
        chips = chips[~close & (chips["split"] != "")]
        _all_parts(chips)
        if recipe.split.validation_apart:
            chips = _clear_of_validation(ds, recipe, chips, counts)
    bare = np.flatnonzero((chips["split"] == "train") & (chips["label"] == 0))
    kept = round(recipe.chips_or_usual.empty * len(bare))
    gone = stream(recipe.seed, "empty chips").permutation(bare)[kept:]
    counts["training chips without landslides, left out"] = len(gone)
    chips = chips.drop(chips.index[gone]).reset_index(drop=True)
    ground = parts_of_cells(ds, chips, recipe.chip) == PARTS.index("test")
    return chips, ground if recipe.protocol == "honest" else None, counts


def parts_of_cells(ds: xr.Dataset, chips: pd.DataFrame, size: int) -> NDArray[np.uint8]:
    """The part of each cell (y, x), as its number in PARTS; 255 where no chip lies.

    Where chips of several parts share a cell (random chips that overlap), test wins, then
    validation.
    """
    ground = np.full(shape_of(ds), NOBODY, dtype=np.uint8)
    for number, name in enumerate(PARTS):
        for down, across in _squares(chips[chips["split"] == name], size):
            ground[down, across] = number
    return ground


def counted(ds: xr.Dataset, chips: pd.DataFrame, recipe: Recipe) -> NDArray[np.bool_]:
    """Cells (y, x) that may train and check: valid, and under `honest` of no landslide under test.

    A landslide that lies across the border of two parts is judged, not learnt from.
    """
    valid = ds["valid"].to_numpy().astype(bool)
    if recipe.protocol != "honest":
        return valid
    slide = ds["landslide_id"].to_numpy()
    under_test = np.unique(slide[parts_of_cells(ds, chips, recipe.chip) == PARTS.index("test")])
    return valid & ~np.isin(slide, under_test[under_test > 0])


def draw_cells(ds: xr.Dataset, recipe: Recipe, chips: pd.DataFrame) -> pd.DataFrame:
    """Places from cells of chips: all valid ones of test and validation chips, some of training.

    A model on cells learns from all landslide cells and `samples.negatives_per_landslide` times as
    many others, at random. One on chips learns from the chips themselves: 500,000 cells at random
    stand for them, to scale the bands by and to report. Cells that do not count (`counted`) train
    nothing and check nothing. A cell that several chips share is one place.

    Returns
    -------
    row, col, x, y, label, target, landslide_id, origin, split and block of each cell.
    """
    part = parts_of_cells(ds, chips, recipe.chip)
    valid, usable = ds["valid"].to_numpy().astype(bool), counted(ds, chips, recipe)
    label = ((ds["landslide"].to_numpy() > 0) & valid).ravel()
    block = _blocks_of_cells(ds, chips, recipe.chip).ravel()
    frames = []
    for number, name in enumerate(PARTS):
        index = np.flatnonzero((part == number) & (valid if name == "test" else usable))
        if name == "train":
            index = _some(index, label[index], recipe)
        frames.append(_frame(ds, index, label[index]).assign(split=name, block=block[index]))
    return pd.concat(frames, ignore_index=True)


# ---------------------------------------------------------------------------------------- chips


def _lattice(ds: xr.Dataset, recipe: Recipe) -> pd.DataFrame:
    size = recipe.chip
    stride = recipe.chips_or_usual.stride or size
    height, width = shape_of(ds)
    if height < size or width < size:
        raise SampleError(
            f"the area has {height} x {width} cells, fewer than a chip of {size}: make chips "
            "smaller (input.size), in steps of 16"
        )
    top, left = np.arange(0, height - size + 1, stride), np.arange(0, width - size + 1, stride)
    rows, cols = (a.ravel() + size // 2 for a in np.meshgrid(top, left, indexing="ij"))
    chips = _frame(ds, rows * width + cols, np.zeros(len(rows)))
    valid = ds["valid"].to_numpy().astype(bool)
    slid = (ds["landslide"].to_numpy() > 0) & valid
    held = [(slid[square].sum(), valid[square].sum()) for square in _squares(chips, size)]
    slides, cells = np.array(held).T
    chips["label"] = (slides > 0).astype(np.int8)
    chips["target"] = (slides / np.maximum(cells, 1)).astype(np.float32)
    chips["landslide_id"] = np.int32(0)
    chips["origin"] = np.where(slides > 0, "chip with landslides", "chip without")
    return chips[cells > 0]


def _by_block(
    ds: xr.Dataset, recipe: Recipe, chips: pd.DataFrame, slides: pd.DataFrame
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Part ("" where a chip lies in two) and block of each chip."""
    size, shape = recipe.chip, shape_of(ds)
    side = _block_side(ds, recipe)
    down, across = (max(length // side, 1) for length in shape)

    def block_at(rows: NDArray, cols: NDArray) -> NDArray[np.int64]:
        return np.minimum(rows // side, down - 1) * across + np.minimum(cols // side, across - 1)

    part = block_parts(
        recipe.split,
        pd.Series(block_at(slides["row"].to_numpy(), slides["col"].to_numpy())),
        np.arange(down * across),
    )
    first = chips["row"].to_numpy() - size // 2, chips["col"].to_numpy() - size // 2
    last = first[0] + size - 1, first[1] + size - 1
    corners = [block_at(r, c) for r in (first[0], last[0]) for c in (first[1], last[1])]
    parts = [part[corner].to_numpy() for corner in corners]
    whole = np.all([p == parts[0] for p in parts], axis=0)
    return np.where(whole, parts[0], ""), corners[0]


def _clear_of_validation(
    ds: xr.Dataset, recipe: Recipe, chips: pd.DataFrame, counts: dict[str, int]
) -> pd.DataFrame:
    """Without the training chips nearer to a validation chip than `split.validation_apart`."""
    close = _close_to("validation", chips, ds, recipe.validation_apart_chips)
    close = close & (chips["split"] == "train")
    counts["training chips too near to a validation chip, left out"] = int(close.sum())
    chips = chips[~close]
    _all_parts(chips)
    return chips


def _close_to(part: str, chips: pd.DataFrame, ds: xr.Dataset, apart: int) -> NDArray[np.bool_]:
    """Which chips have their centre nearer than `apart` cells to that of a chip of a part."""
    of = chips[chips["split"] == part]
    return near(of["row"], of["col"], shape_of(ds), apart)[chips["row"], chips["col"]]


def _block_side(ds: xr.Dataset, recipe: Recipe) -> int:
    """Cells across a block, whole chips of them."""
    size, (height, width) = recipe.chip, shape_of(ds)
    if recipe.split.block is not None:
        return size * max(1, round(recipe.split.block / grid_of(ds).cell_size / size))
    enough = [
        chips
        for chips in range(WIDEST, 0, -1)
        if (height // (chips * size)) * (width // (chips * size)) >= BLOCKS
    ]
    return size * (enough or [1])[0]


def _at_random(
    ds: xr.Dataset, recipe: Recipe, chips: pd.DataFrame, slides: pd.DataFrame
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """As published; every chip is a block of its own."""
    split, n = recipe.split, len(chips)
    rng = stream(split.seed, "random chips")
    if split.folds is None:
        part = random_split(n, test=split.test, validation=split.validation, rng=rng)
    else:
        held = random_folds(np.zeros(n), split.folds, rng) == split.fold - 1
        part = np.where(held, "test", "train").astype("<U10")
        rest = random_split(int((~held).sum()), test=split.validation, validation=0, rng=rng)
        part[~held] = np.where(rest == "test", "validation", "train")
    return part, np.arange(n)


def _all_parts(chips: pd.DataFrame) -> None:
    missing = [name for name in PARTS if name not in set(chips["split"])]
    if missing:
        raise SampleError(
            f"no chip is left for {' and '.join(missing)}, of {len(chips)}: make chips "
            "smaller (input.size, in steps of 16), or change split.block, split.apart or the shares"
        )


# ---------------------------------------------------------------------------------------- cells


def _squares(chips: pd.DataFrame, size: int) -> list[tuple[slice, slice]]:
    """The cells of each chip."""
    tops, lefts = chips["row"].to_numpy() - size // 2, chips["col"].to_numpy() - size // 2
    return [
        (slice(top, top + size), slice(left, left + size))
        for top, left in zip(tops.tolist(), lefts.tolist(), strict=True)
    ]


def _blocks_of_cells(ds: xr.Dataset, chips: pd.DataFrame, size: int) -> NDArray[np.int64]:
    block = np.zeros(shape_of(ds), dtype=np.int64)
    for square, number in zip(_squares(chips, size), chips["block"].tolist(), strict=True):
        block[square] = number
    return block


def _some(index: NDArray[np.intp], label: NDArray[np.bool_], recipe: Recipe) -> NDArray[np.intp]:
    """Training cells to look at, or those a model on cells learns from, in their order."""
    rng = stream(recipe.seed, "training cells")
    if recipe.input.form == "chip":
        return np.sort(rng.permutation(index)[:MOST])
    slid, rest = index[label], index[~label]
    n = min(round(len(slid) * recipe.samples.negatives_per_landslide), len(rest))
    return np.sort(np.concatenate([slid, rng.choice(rest, n, replace=False)]))


def _frame(ds: xr.Dataset, index: NDArray[np.intp], label: NDArray) -> pd.DataFrame:
    """Cells, by their number in row order, as places."""
    rows, cols = np.divmod(index, ds.sizes["x"])
    slide = ds["landslide_id"].to_numpy().ravel()[index]
    return pd.DataFrame(
        {
            "row": rows.astype(np.int32),
            "col": cols.astype(np.int32),
            "x": ds["x"].to_numpy()[cols],
            "y": ds["y"].to_numpy()[rows],
            "label": label.astype(np.int8),
            "target": label.astype(np.float32),
            "landslide_id": np.where(label, slide, 0).astype(np.int32),
            "origin": np.where(label, "landslide cell", "cell without"),
        }
    )
