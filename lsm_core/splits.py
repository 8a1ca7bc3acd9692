"""Who is tested: at random, by stratum, by block, by group or by date.

A split is decided before anything else is. Splitters take plain arrays, one value a place, and give
names ("train", "validation", "test") or who is held out, not data; those of `folds` give numbers.
What a split lets through is measured afterwards, by `overlap_report`.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter

from lsm_core.errors import SampleError
from lsm_core.folds import cluster_split, knndm_split, leave_area_out
from lsm_core.leakage import overlap_report

__all__ = [
    "PARTS",
    "block_split",
    "blocks_of",
    "cluster_split",
    "held_groups",
    "knndm_split",
    "leave_area_out",
    "near",
    "overlap_report",
    "random_split",
    "stratified_split",
    "time_split",
]

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


def stratified_split(
    stratum: ArrayLike, *, test: float, validation: float, rng: np.random.Generator
) -> NDArray[np.str_]:
    """A part for each place, at random within each stratum, so that all parts have its shares.

    >>> rng = np.random.default_rng(1)
    >>> parts = stratified_split([1] * 10 + [0] * 20, test=0.3, validation=0.0, rng=rng)
    >>> int((parts[:10] == "test").sum()), int((parts[10:] == "test").sum())
    (3, 6)
    """
    of = np.asarray(stratum)
    parts = np.full(len(of), "train", dtype="<U10")
    for value in np.unique(of):
        own = of == value
        parts[own] = random_split(int(own.sum()), test=test, validation=validation, rng=rng)
    return parts


def time_split(date: ArrayLike, *, after: float | None = None, test: float = 0.3) -> NDArray:
    """True for the places that are tested: those dated later than `after`.

    Parameters
    ----------
    date : numbers that grow with time (years, days); all places of one date stay together.
    after : the last date that trains; without it, the one that leaves the share nearest to `test`.

    Raises
    ------
    SampleError : one side is empty.

    >>> time_split([2001, 2005, 2005, 2010], test=0.3)
    array([False, False, False,  True])
    """
    when = np.asarray(date, dtype=np.float64)
    dates = np.unique(when)
    if after is None:
        later = np.array([(when > d).mean() for d in dates])
        after = float(dates[np.argmin(np.abs(later[:-1] - test))]) if len(dates) > 1 else dates[0]
    held = when > after
    if held.all() or not held.any():
        raise SampleError(
            f"{int(held.sum())} of {len(held)} landslides are later than {after:g}, dates run from "
            f"{dates[0]:g} to {dates[-1]:g}: give a split.cutoff in between"
        )
    return held


def held_groups(group: ArrayLike, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """True for the places of the whole groups that are held out: about a share of the places.

    Raises
    ------
    SampleError : there is one group only.
    """
    number = np.unique(np.asarray(group), return_inverse=True)[1]
    counts = pd.Series(np.bincount(number))
    if len(counts) < 2:
        raise SampleError(
            "all landslides are in one group (block, cluster, area or year), so that nothing is "
            "left to train on: make the groups smaller, or choose another split.method"
        )
    part = pd.Series("", index=counts.index)
    rest = _take(
        rng.permutation(counts.index.to_numpy()), counts, part, "held", share * counts.sum()
    )
    if not len(rest):
        raise SampleError("the groups held out leave nothing to train on: lower split.test")
    return (part == "held").to_numpy()[number]


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
