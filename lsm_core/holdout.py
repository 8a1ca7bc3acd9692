"""Who is tested on a study area: the part of each landslide, and of each cell of the map.

Landslides get their parts from `splits` and `folds`, by the recipe's method. The ground of a part
is where its places without a landslide are drawn: with blocks, the cells of its blocks; with every
other method, the cells whose nearest landslide is of that part. (Where the tested are scattered
among the others, this ground lies away from training landslides by its making, which favours a
model that knows nearness alone.) Units are split as they are, with a landslide or without, so that
the ground of a part is its own units.
"""

import math
import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from lsm_core import own_code
from lsm_core.columns import (
    column_at,
    column_name,
    cutoff_of,
    dates_at,
    groups_at,
    named_groups,
    strata_at,
)
from lsm_core.errors import SampleError
from lsm_core.folds import (
    block_folds,
    cluster_split,
    clusters_of,
    knndm_split,
    leave_area_out,
    random_folds,
)
from lsm_core.grid import grid_of
from lsm_core.recipe import METHODS, Recipe, Split
from lsm_core.splits import (
    PARTS,
    block_split,
    blocks_of,
    held_groups,
    near,
    random_split,
    stratified_split,
    time_split,
)
from lsm_core.study_area import is_units, layer, metres_per_unit, shape_of

BLOCKS, USUAL_GAP = 80, 20
CLUSTERS, CLUSTERS_A_FOLD = 20, 4
MAP_PLACES = 3000  # cells that stand for the map in nearest-neighbour distance matching
NOBODY = 255  # ground of no part
WORDS = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}


class Held(NamedTuple):
    """Part of each landslide ("" for none); number of the part of each cell (y, x); counts."""

    part: NDArray[np.str_]
    ground: NDArray[np.uint8]
    counts: dict[str, int]


def hold_out(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Held:
    """Who is tested and who checks, by `recipe.split`.

    Parameters
    ----------
    slides : the landslides' places. Those that the column says nothing about get no part.

    Returns
    -------
    Cells of no part have 255 in `ground`; counts say how many landslides had no value, and what
    kNNDM reached.

    Raises
    ------
    SampleError : too few landslides, blocks, clusters or values for the split; no coordinates.
    RecipeError : no such column.
    """
    places = _units(ds) if is_units(ds) else slides
    places = places.assign(block=blocks_of_places(ds, recipe, places))
    counts: dict[str, int] = {}
    if recipe.method == "blocks":
        counts["side of a block, m"] = round(block_metres(ds, recipe))
    if recipe.method == "blocks" and not is_units(ds):
        ground = _block_ground(ds, recipe, places)
        return Held(np.array(PARTS)[ground[slides["row"], slides["col"]]], ground, counts)
    part = _parts(ds, recipe, places, counts)
    ground = np.full(shape_of(ds), NOBODY, dtype=np.uint8)
    for number, name in enumerate(PARTS):  # where landslides share a cell, test comes last and wins
        own = places[part == name]
        ground[own["row"], own["col"]] = number
    if is_units(ds):
        part = np.array([*PARTS, ""])[np.minimum(ground[slides["row"], 0], len(PARTS))]
    else:
        ground = _nearest(ground, grid_of(ds).step[::-1])
    if (part == "").any():
        counts["landslides without a part in split.column"] = int((part == "").sum())
    return Held(part, ground, counts)


def fold_numbers(
    ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame, folds: int, what: str = "folds"
) -> NDArray[np.int64]:
    """The fold of each place by the recipe's method, 0 to folds - 1; `what` names the draw.

    Places need x, y, block and label. Methods that make one split only (date, column) give blocks.
    """
    split, rng = recipe.split, stream(recipe.split.seed, f"{recipe.method} {what}")
    x, y = places["x"], places["y"]
    match recipe.method:
        case "random" | "buffered":
            return random_folds(np.zeros(len(places)), folds, rng)
        case "stratified":
            return random_folds(strata_at(ds, split, places), folds, rng)
        case "clusters":
            clusters = split.clusters or CLUSTERS_A_FOLD * folds
            return cluster_split(x, y, folds=folds, rng=rng, clusters=clusters)
        case "knndm":
            return knndm_split(x, y, *_map_points(ds), folds=folds, rng=rng).fold
        case "area":
            return leave_area_out(groups_at(ds, split, places), folds=folds, rng=rng)
        case "image":
            group = groups_at(ds, split, places)
            return block_folds(group, folds, rng)[group].to_numpy()
    return block_folds(places["block"], folds, rng)[places["block"]].to_numpy()


def too_near(
    ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame, cells: int | None = None
) -> NDArray[np.bool_]:
    """Cells (y, x) of the map too near to any of the places to be on the other side of the split.

    Nearer than `cells` (Chebyshev), by default the recipe's `apart`, or `split.buffer` metres where
    that is more. Of units: those places themselves, and units nearer than `split.buffer` metres.
    """
    buffer = recipe.split.buffer or 0.0
    if not is_units(ds):
        if cells is None:
            cells = max(recipe.apart, math.ceil(buffer / grid_of(ds).cell_size))
        return near(places["row"], places["col"], shape_of(ds), cells)
    marked = np.zeros(shape_of(ds), dtype=bool)
    marked[places["row"], 0] = True
    if buffer and cells is None:
        units = _units(ds)
        _need_points(units)
        distance = cKDTree(places[["x", "y"]]).query(units[["x", "y"]])[0]
        marked[units["row"], 0] |= distance * metres_per_unit(ds) < buffer
    return marked


def block_metres(ds: xr.Dataset, recipe: Recipe) -> float:
    """Side of a block: the recipe's, or by itself so that there are enough blocks and room in them.

    By itself it is the larger of the side that cuts the valid area (of units: the box round them)
    into 80 blocks and of three times the gap between training and test, rounded up to one digit.
    The gap is `split.apart`, or 20 cells, so that the side never depends on the model.
    """
    if recipe.split.block is not None:
        return recipe.split.block
    if is_units(ds):
        units = _units(ds)
        _need_points(units)
        width, height = (float(np.ptp(units[axis])) * metres_per_unit(ds) for axis in ("x", "y"))
        side = max(math.sqrt(width * height / BLOCKS), 3 * (recipe.split.buffer or 0.0))
    else:
        cell = grid_of(ds).cell_size
        gap = USUAL_GAP if recipe.split.apart is None else recipe.split.apart
        side = max(cell * math.sqrt(int(ds["valid"].sum()) / BLOCKS), 3 * gap * cell)
    if not side > 0:
        raise SampleError("all places lie at one point: give split.block, or split at random")
    digit = 10 ** math.floor(math.log10(side))
    return float(math.ceil(side / digit) * digit)


def blocks_of_places(ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame) -> NDArray[np.int64]:
    """The block of each place; 0 where units have no coordinates and are not split by them."""
    if not np.isfinite(places[["x", "y"]].to_numpy(dtype=float)).all():
        if recipe.method in ("blocks", "clusters", "knndm"):
            _need_points(places)
        return np.zeros(len(places), dtype=np.int64)
    return blocks_of(places["x"], places["y"], block_metres(ds, recipe) / metres_per_unit(ds))


def stream(seed: int, what: str) -> np.random.Generator:
    """A generator of its own for every draw, so that one draw's size never moves another."""
    return np.random.default_rng([seed, zlib.crc32(what.encode())])


# -------------------------------------------------------------------------------------- parts


def _parts(
    ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame, counts: dict[str, int]
) -> NDArray[np.str_]:
    """The part of each place: test, then validation from the rest by the same rule."""
    split, method = recipe.split, recipe.method
    if method == "column":
        return _stated(ds, recipe, places)
    part = np.full(len(places), "train", dtype="<U10")
    if method in ("area", "image", "date"):
        part[pd.isna(column_at(ds, places, column_name(split)))] = ""
    index = np.flatnonzero(part == "train")
    if split.folds is not None:
        held = fold_numbers(ds, recipe, places.iloc[index], split.folds) == split.fold - 1
    else:
        held = _held(ds, recipe, places.iloc[index], split.test, "test", counts)
    part[index[held]] = "test"
    return _cut_validation(ds, recipe, places, part)


def _cut_validation(
    ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame, part: NDArray[np.str_]
) -> NDArray[np.str_]:
    index = np.flatnonzero(part == "train")
    held = _held(ds, recipe, places.iloc[index], recipe.split.validation, "validation", {})
    part[index[held]] = "validation"
    return part


def _held(
    ds: xr.Dataset,
    recipe: Recipe,
    places: pd.DataFrame,
    share: float,
    what: str,
    counts: dict[str, int],
) -> NDArray[np.bool_]:
    """Which places are held out: about a share of them, by the recipe's method."""
    split, rng = recipe.split, stream(recipe.split.seed, f"{recipe.method} {what}")
    x, y = places["x"], places["y"]
    match recipe.method:
        case "random" | "buffered":
            return random_split(len(places), test=share, validation=0, rng=rng) == "test"
        case "stratified":
            strata = strata_at(ds, split, places)
            return stratified_split(strata, test=share, validation=0, rng=rng) == "test"
        case "clusters":
            clusters = min(split.clusters or CLUSTERS, len(places.drop_duplicates(["x", "y"])))
            return held_groups(clusters_of(x, y, clusters, rng), share, rng)
        case "knndm":
            found = knndm_split(x, y, *_map_points(ds), folds=max(2, round(1 / share)), rng=rng)
            metres = metres_per_unit(ds)
            counts["kNNDM: distances differ from the map's by, m"] = round(found.distance * metres)
            counts["random folds: by, m"] = round(found.random_distance * metres)
            return found.fold == 0
        case "date" if what == "test":
            return time_split(
                dates_at(ds, split, places), after=cutoff_of(ds, split, places), test=share
            )
        case "area" | "image":
            group = groups_at(ds, split, places)
            if what == "test" and split.hold:
                return named_groups(group, split)
            if len(np.unique(group)) > 1:
                return held_groups(group, share, rng)
            # a single area or year is left: its validation is cut by block
        case own if own not in METHODS:
            return _by_own(ds, own, places, share, rng)
    if np.unique(places["block"]).size > 1:
        return held_groups(places["block"], share, rng)
    return random_split(len(places), test=share, validation=0, rng=rng) == "test"


def _by_own(
    ds: xr.Dataset, name: str, places: pd.DataFrame, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """What a split of one's own holds out; places are handed over as a copy."""
    given = {"ds": ds, "places": places.reset_index(drop=True), "share": share, "rng": rng}
    held = np.asarray(own_code.call(name, "split", **given))
    if held.dtype != bool or held.shape != (len(places),):
        raise SampleError(
            f"split.method {name} must give True or False for each of {len(places)} places; got "
            f"{held.dtype} of shape {held.shape}"
        )
    if held.all() or not held.any():
        raise SampleError(
            f"split.method {name} holds out {int(held.sum())} of {len(places)} places: some must "
            "be held out and some left"
        )
    return held


def _stated(ds: xr.Dataset, recipe: Recipe, places: pd.DataFrame) -> NDArray[np.str_]:
    """Parts as a column of words says them; validation is cut from training where it says none."""
    values = column_at(ds, places, column_name(recipe.split))
    words = np.array(["" if pd.isna(v) else str(v).strip().lower() for v in values])
    part = np.array([WORDS.get(w, w) for w in words], dtype="<U10")
    strange = sorted({w for w, p in zip(words, part, strict=True) if p not in (*PARTS, "")})
    if strange or not {"train", "test"} <= set(part):
        raise SampleError(
            f"split.column {recipe.split.column} must say train and test (and may say validation), "
            f"but it says {', '.join(strange or sorted(set(words)))[:200]}"
        )
    return part if "validation" in part else _cut_validation(ds, recipe, places, part)


# ------------------------------------------------------------------------------------- ground


def _block_ground(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> NDArray[np.uint8]:
    """The part of every cell of the map, as its number in PARTS, by the cell's block."""
    x, y = ds["x"].to_numpy(), ds["y"].to_numpy()
    side = block_metres(ds, recipe) / metres_per_unit(ds)
    _, west, col = np.unique(np.floor(x / side), return_index=True, return_inverse=True)
    _, north, row = np.unique(np.floor(y / side), return_index=True, return_inverse=True)
    block = blocks_of(x[west][None, :], y[north][:, None], side)
    part = block_parts(recipe.split, slides["block"], block.ravel())
    number = part.map(PARTS.index).astype(np.uint8)
    table = np.asarray(number[block.ravel()], dtype=np.uint8).reshape(block.shape)
    return table[row][:, col]


def block_parts(split: Split, block: pd.Series, also: NDArray[np.int64]) -> pd.Series:
    """Part by block, of each landslide's block; of `also`, which hold none, by the same shares."""
    if split.folds is None:
        return block_split(
            block,
            test=split.test,
            validation=split.validation,
            rng=stream(split.seed, "blocks"),
            also=also,
        )
    fold = block_folds(block, split.folds, stream(split.seed, "blocks folds"))
    rng = stream(split.seed, f"blocks fold {split.fold}")
    part = pd.Series("train", index=fold.index)
    part[fold == split.fold - 1] = "test"
    rest = block[block.map(part) == "train"]
    part[np.unique(rest[held_groups(rest, split.validation, rng)])] = "validation"
    empty = np.setdiff1d(np.unique(also), part.index)
    dealt = random_split(len(empty), test=1 / split.folds, validation=split.validation, rng=rng)
    return pd.concat([part, pd.Series(dealt, index=empty, dtype=part.dtype)])


def _nearest(ground: NDArray[np.uint8], step: tuple[float, float]) -> NDArray[np.uint8]:
    """Give every cell the part of the nearest cell that has one."""
    rows, cols = distance_transform_edt(
        ground == NOBODY, sampling=step, return_distances=False, return_indices=True
    )
    return ground[rows, cols]


def _units(ds: xr.Dataset) -> pd.DataFrame:
    """Every valid unit as a place, with x and y (NaN where it has none) and whether it slid."""
    rows = np.flatnonzero(ds["valid"].to_numpy())
    nowhere = np.full(ds.sizes["unit"], np.nan)
    x, y = (ds[c].to_numpy() if c in ds.variables else nowhere for c in ("x", "y"))
    label = ds["landslide"].to_numpy()[rows]
    return pd.DataFrame({"row": rows, "col": 0, "x": x[rows], "y": y[rows], "label": label})


def _map_points(ds: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An even spread of valid cells, or units, for which the map is made."""
    if is_units(ds):
        units = _units(ds)
        x, y = units["x"].to_numpy(), units["y"].to_numpy()
    else:
        rows, cols = np.nonzero(layer(ds, "valid"))
        x, y = ds["x"].to_numpy()[cols], ds["y"].to_numpy()[rows]
    step = max(1, len(x) // MAP_PLACES)
    return x[::step], y[::step]


def _need_points(places: pd.DataFrame) -> None:
    missing = int((~np.isfinite(places[["x", "y"]].to_numpy(dtype=float)).all(axis=1)).sum())
    if missing:
        raise SampleError(
            f"{missing} of {len(places)} places have no coordinates, so that they cannot be kept "
            "apart: set split.method to random, stratified or column, without split.buffer"
        )
