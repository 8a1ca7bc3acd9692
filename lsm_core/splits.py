"""Who is tested: at random, or whole landslides by spatial block; and how far apart the parts lie.

A split is decided before anything else is. Splitters give names ("train", "validation", "test"),
not data; `overlap_report` measures afterwards what a split lets through.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from lsm_core.errors import SampleError
from lsm_core.grid import grid_of

PARTS = ("train", "validation", "test")


def random_split(
    n: int, *, test: float, validation: float, rng: np.random.Generator
) -> NDArray[np.str_]:
    """A part for each of n places, at random.

    Parameters
    ----------
    test : share of all places. validation : share of those that are not tested.

    >>> parts = random_split(10, test=0.3, validation=0.2, rng=np.random.default_rng(1))
    >>> [int((parts == name).sum()) for name in PARTS]
    [6, 1, 3]
    """
    n_test = round(n * test)
    n_validation = round((n - n_test) * validation)
    parts = np.full(n, "train", dtype="<U10")
    order = rng.permutation(n)
    parts[order[:n_test]] = "test"
    parts[order[n_test : n_test + n_validation]] = "validation"
    return parts


def blocks_of(x: ArrayLike, y: ArrayLike, side: float) -> NDArray[np.int64]:
    """Number of the square block that holds each point; `side` in the units of x and y.

    The lattice starts at the origin of the CRS, so a place has the same block whatever the area.
    """
    col = np.floor(np.asarray(x, dtype="float64") / side).astype(np.int64)
    row = np.floor(np.asarray(y, dtype="float64") / side).astype(np.int64)
    return (row << 32) + (col & 0xFFFFFFFF)


def block_split(
    block: ArrayLike,
    *,
    test: float,
    validation: float,
    rng: np.random.Generator,
    also: ArrayLike = (),
) -> pd.Series:
    """The part of every block, so that the parts hold about their shares of the landslides.

    Blocks are taken in random order; one that would overshoot the share by more than it falls short
    is left for the next part.

    Parameters
    ----------
    block : the block of each landslide. test : share of the landslides. validation : share of the
        rest. also : blocks that hold no landslide; they are dealt out by the same shares.

    Returns
    -------
    Part by block number.

    Raises
    ------
    SampleError : there are too few blocks to fill three parts.
    """
    counts = pd.Series(np.asarray(block)).value_counts().sort_index()
    if len(counts) < 3:
        raise SampleError(
            f"the landslides lie in {len(counts)} block(s), but training, validation and test need "
            "one each: make split.block smaller"
        )
    part = pd.Series("train", index=counts.index)
    order = rng.permutation(counts.index.to_numpy())
    rest = _take(order, counts, part, "test", test * counts.sum())
    left = counts[rest].sum()
    rest = _take(rest, counts, part, "validation", validation * left)
    if not len(rest):
        raise SampleError("no block is left for training: make split.block smaller")
    empty = np.setdiff1d(np.unique(np.asarray(also, dtype=np.int64)), part.index)
    dealt = random_split(len(empty), test=test, validation=validation, rng=rng)
    return pd.concat([part, pd.Series(dealt, index=empty, dtype=part.dtype)])


def _take(
    order: NDArray, counts: pd.Series, part: pd.Series, name: str, wanted: float
) -> NDArray[np.int64]:
    """Give a part the blocks that bring it nearer to what it wants; at least the smallest one."""
    if not len(order):
        raise SampleError(f"no block is left for {name}: make split.block smaller")
    missing = wanted
    taken: list[int] = []
    for number in order:
        if abs(missing - counts[number]) < missing:
            taken.append(number)
            missing -= counts[number]
    taken = taken or [int(order[np.argmin(counts[order])])]
    part.loc[taken] = name
    return order[~np.isin(order, taken)]


def near(rows: ArrayLike, cols: ArrayLike, shape: tuple[int, int], cells: int) -> NDArray[np.bool_]:
    """Cells of a map closer than `cells` (Chebyshev) to one of the places.

    >>> near([2], [2], (5, 5), 2).sum()
    np.int64(9)
    """
    marked = np.zeros(shape, dtype=bool)
    if cells < 1:
        return marked
    marked[np.asarray(rows), np.asarray(cols)] = True
    return maximum_filter(marked, size=2 * cells - 1, mode="constant", cval=False)


def overlap_report(
    samples: pd.DataFrame, window: int, area: xr.Dataset | None = None
) -> dict[str, Any]:
    """How much of the test set a model has seen already: the leakage meter.

    Parameters
    ----------
    samples : places with row, col, split and landslide_id; training and validation count as seen.
    window : cells across what the model sees round a place (1: only the cell itself).
    area : with it, distances are in metres too, and stand beside those of map cells.

    Returns
    -------
    `share` : of test windows that overlap a seen window (Chebyshev distance below `window`).
    `same_cell` : test places whose very cell was seen. `shared_landslides` : landslides in both.
    `nearest_cells` : quartiles of the distance from a test place to the nearest seen place, cells.
    `nearest_map_cells` : the same from map cells, with `area`. `verdict` : in words.
    """
    held = samples["split"] == "test"
    test, seen = samples[held], samples[samples["split"].isin(["train", "validation"])]
    if test.empty or seen.empty:
        raise SampleError(f"{len(test)} test and {len(seen)} training places: both are needed")
    tree = cKDTree(seen[["row", "col"]].to_numpy(dtype=float))
    chebyshev = tree.query(test[["row", "col"]].to_numpy(dtype=float), p=np.inf)[0]
    slides = set(test["landslide_id"]) & set(seen["landslide_id"]) - {0}
    report: dict[str, Any] = {
        "window": window,
        "share": float(np.mean(chebyshev < window)),
        "same_cell": int(np.sum(chebyshev < 1)),
        "shared_landslides": len(slides),
        "nearest_cells": _quartiles(chebyshev),
    }
    if area is not None:
        report["cell_size"] = grid_of(area).cell_size
        report["nearest_map_cells"] = _quartiles(_map_distances(area, tree))
    return report | {"verdict": _verdict(report)}


def _map_distances(area: xr.Dataset, tree: cKDTree, n: int = 5000) -> NDArray[np.float64]:
    """Distances from an even spread of about n valid map cells to the nearest seen place."""
    rows, cols = np.nonzero(area["valid"].to_numpy())
    step = max(1, len(rows) // n)
    return tree.query(np.column_stack([rows[::step], cols[::step]]).astype(float), p=np.inf)[0]


def _quartiles(distance: NDArray[np.float64]) -> list[float]:
    return [float(q) for q in np.quantile(distance, (0, 0.25, 0.5, 0.75, 1))]


def _verdict(report: dict[str, Any]) -> str:
    if report["shared_landslides"]:
        return f"leaks: {report['shared_landslides']} landslides are in training and test"
    if report["share"] > 0:
        return f"leaks: {report['share']:.1%} of test windows overlap a training window"
    usual = report.get("nearest_map_cells")
    if usual and report["nearest_cells"][2] < 0.5 * usual[2]:
        return "optimistic: test places lie closer to training places than the map's cells do"
    return "clean: no test window overlaps a training window"
