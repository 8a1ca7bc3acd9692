"""Folds of a cross-validation: every place is tested once, in its own fold.

Each function takes plain arrays, one value a place (x and y in one unit of length), and gives the
numbers of folds, 0 to k - 1.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp, wasserstein_distance

from lsm_core.errors import SampleError

LARGEST_FOLD = 0.5  # share of the places that one fold of kNNDM may hold
CANDIDATES = 12  # numbers of clusters that kNNDM tries


def random_folds(stratum: ArrayLike, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each place, at random; within each stratum folds differ by one place at most.

    Parameters
    ----------
    stratum : one value a place; the same everywhere for plain random folds.

    >>> np.bincount(random_folds(np.zeros(10), 3, np.random.default_rng(1))).tolist()
    [4, 3, 3]
    """
    of = np.asarray(stratum)
    _enough_for(folds, len(of), "places")
    number = np.empty(len(of), dtype=np.int64)
    dealt = 0  # the next stratum goes on where the last one ended, so that folds stay even
    for value in np.unique(of):
        own = rng.permutation(np.flatnonzero(of == value))
        number[own] = (dealt + np.arange(len(own))) % folds
        dealt += len(own)
    return number


def block_folds(group: ArrayLike, folds: int, rng: np.random.Generator) -> pd.Series:
    """The fold of every group (block, cluster, area, year): whole groups, folds about even.

    The largest group goes first, each to the fold that holds least; equal ones in random order.

    Raises
    ------
    SampleError : there are fewer groups than folds.
    """
    counts = pd.Series(np.asarray(group)).value_counts()
    _enough_for(folds, len(counts), "groups (blocks, clusters, areas or years)")
    counts = counts.sort_index().iloc[rng.permutation(len(counts))]
    counts = counts.sort_values(ascending=False, kind="stable")
    filled = np.zeros(folds)
    fold = {}
    for name, count in counts.items():
        fold[name] = int(np.argmin(filled))
        filled[fold[name]] += count
    return pd.Series(fold)


def clusters_of(
    x: ArrayLike, y: ArrayLike, clusters: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The k-means cluster of each place, by its coordinates.

    Raises
    ------
    SampleError : fewer than 2 clusters, or fewer different places than clusters.
    """
    from sklearn.cluster import KMeans  # takes a second to import

    xy = _points(x, y)
    different = len(np.unique(xy, axis=0))
    if not 2 <= clusters <= different:
        raise SampleError(
            f"{clusters} clusters were asked for of {different} different places: give "
            f"split.clusters between 2 and {different}"
        )
    seed = int(rng.integers(2**31))
    means = KMeans(clusters, n_init=1, random_state=seed).fit(xy)
    return means.labels_.astype(np.int64)


def cluster_split(
    x: ArrayLike, y: ArrayLike, *, folds: int, rng: np.random.Generator, clusters: int | None = None
) -> NDArray[np.int64]:
    """Folds of whole k-means clusters of the coordinates; without `clusters`, one cluster a fold.

    After Brenning (2012), doi 10.1109/IGARSS.2012.6352393; with more clusters than folds, these
    are merged so that folds hold about as many places.
    """
    cluster = clusters_of(x, y, clusters or folds, rng)
    return block_folds(cluster, folds, rng)[cluster].to_numpy()


def leave_area_out(
    area: ArrayLike, *, folds: int | None = None, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """A fold for each area, in the order of their names; with `folds` fewer, areas are merged.

    >>> leave_area_out(["north", "south", "north"])
    array([0, 1, 0])
    """
    names, number = np.unique(np.asarray(area), return_inverse=True)
    _enough_for(2, len(names), "areas")
    if folds is None or folds == len(names):
        return number.astype(np.int64)
    fold = block_folds(number, folds, rng or np.random.default_rng(0))
    return fold[number].to_numpy()


class Knndm(NamedTuple):
    """Folds by nearest-neighbour distance matching, and how well they match.

    `fold` : (place,) 0 to k - 1. `distance` : Wasserstein distance (units of x and y) between the
    nearest-neighbour distances of the cross-validation and of the prediction. `random_distance` :
    the same of random folds. `clusters` : merged into the folds; 0 where the folds are random.
    """

    fold: NDArray[np.int64]
    distance: float
    random_distance: float
    clusters: int


def knndm_split(
    x: ArrayLike,
    y: ArrayLike,
    to_x: ArrayLike,
    to_y: ArrayLike,
    *,
    folds: int,
    rng: np.random.Generator,
) -> Knndm:
    """Folds whose test places lie as far from training as the places to predict lie from samples.

    Three distributions of distances decide: from each prediction place to its nearest sample; from
    each sample to its nearest other sample; and, for a set of folds, from each sample to the
    nearest one outside its fold. Where samples are not closer to one another than predictions are
    to samples (one-sided Kolmogorov-Smirnov test, 5 %), random folds do. Else samples are
    clustered by k-means into from k to half as many clusters as places, clusters are dealt to the
    folds in turn along the first principal axis of their centres, and the candidate is kept, random
    folds among them, whose distances are nearest to those of the prediction (Wasserstein) with no
    fold above half of the places.

    Parameters
    ----------
    x, y : samples. to_x, to_y : places of the prediction (some thousands spread over the map do),
        in the same units.

    Raises
    ------
    SampleError : fewer places than folds.

    Linnenbrink, Mila, Ludwig and Meyer (2024), Geosci. Model Dev. 17, 5897.
    """
    xy, to = _points(x, y), _points(to_x, to_y)
    _enough_for(folds, len(xy), "places")
    wanted = cKDTree(xy).query(to)[0]
    fold = random_folds(np.zeros(len(xy)), folds, rng)
    random = best = wasserstein_distance(_distances_across(xy, fold), wanted)
    among = cKDTree(xy).query(xy, k=2)[0][:, 1]
    if ks_2samp(among, wanted, alternative="greater", method="asymp").pvalue >= 0.05:
        return Knndm(fold, float(best), float(random), 0)
    chosen = 0
    most = max(folds, len(np.unique(xy, axis=0)) // 2)
    for clusters in np.unique(np.geomspace(folds, most, CANDIDATES).round().astype(int)):
        merged = _merge_clusters(xy, clusters_of(x, y, int(clusters), rng), folds)
        if np.bincount(merged).max() > LARGEST_FOLD * len(xy):
            continue
        distance = wasserstein_distance(_distances_across(xy, merged), wanted)
        if distance < best:
            fold, best, chosen = merged, distance, int(clusters)
    return Knndm(fold, float(best), float(random), chosen)


def _merge_clusters(
    xy: NDArray[np.float64], cluster: NDArray[np.int64], folds: int
) -> NDArray[np.int64]:
    """Deal clusters to folds in turn along the first principal axis of their centres."""
    numbers, index = np.unique(cluster, return_inverse=True)
    count = np.bincount(index)
    centres = np.column_stack([np.bincount(index, xy[:, i]) / count for i in (0, 1)])
    spread = centres - centres.mean(axis=0)
    along = spread @ np.linalg.svd(spread, full_matrices=False)[2][0]
    turn = np.empty(len(numbers), dtype=np.int64)
    turn[np.argsort(along, kind="stable")] = np.arange(len(numbers)) % folds
    return turn[index]


def _distances_across(xy: NDArray[np.float64], fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """From each place to the nearest one of another fold."""
    distance = np.empty(len(xy))
    for number in np.unique(fold):
        own = fold == number
        distance[own] = cKDTree(xy[~own]).query(xy[own])[0]
    return distance


def _points(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    xy = np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    missing = int(np.count_nonzero(~np.isfinite(xy).all(axis=1)))
    if missing:
        raise SampleError(
            f"{missing} of {len(xy)} places have no coordinates: split by random, stratified or "
            "column instead"
        )
    return xy


def _enough_for(folds: int, found: int, what: str) -> None:
    if not 2 <= folds <= found:
        raise SampleError(
            f"{folds} folds of {found} {what}: give at least 2 folds, and no more than there are "
            f"{what}"
        )
