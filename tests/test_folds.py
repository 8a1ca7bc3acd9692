"""Every place is tested once; groups stay whole; kNNDM matches the distances of the map."""

import numpy as np
import pytest

from lsm_core.errors import SampleError
from lsm_core.folds import (
    block_folds,
    cluster_split,
    clusters_of,
    knndm_split,
    leave_area_out,
    random_folds,
)


def rng(seed=1):
    return np.random.default_rng(seed)


def spread(n=400, seed=2):
    return rng(seed).uniform(0, 1000, (n, 2)).T


def clustered(n=400, seed=3):
    """Eight tight heaps in a corner of a square that is mapped as a whole."""
    r = rng(seed)
    centres = r.uniform(0, 400, (8, 2))
    return (centres[r.integers(0, 8, n)] + r.normal(0, 4, (n, 2))).T


def test_random_folds_are_even_and_so_are_their_strata():
    stratum = np.repeat(["a", "b", "c"], [17, 50, 3])
    fold = random_folds(stratum, 4, rng())
    assert np.ptp(np.bincount(fold)) <= 1
    for value in "abc":
        assert np.ptp(np.bincount(fold[stratum == value], minlength=4)) <= 1
    assert (fold == random_folds(stratum, 4, rng())).all()
    assert (fold != random_folds(stratum, 4, rng(2))).any()


def test_whole_groups_in_folds_about_even():
    group = rng(4).integers(0, 40, 3000)
    fold = block_folds(group, 5, rng())
    held = np.bincount(fold[group])
    assert held.sum() == 3000
    assert np.ptp(held) < 0.1 * 600
    assert set(fold.index) == set(range(40))
    assert not fold.equals(block_folds(group, 5, rng(7)))
    crowded = np.repeat(np.arange(13), [100] + [10] * 12)
    held = np.bincount(block_folds(crowded, 3, rng())[crowded])
    assert sorted(held) == [60, 60, 100]
    with pytest.raises(SampleError, match="5 folds of 3 groups"):
        block_folds([1, 2, 3, 3], 5, rng())


def test_clusters_are_near_each_other_and_merged_clusters_even():
    x, y = clustered()
    cluster = clusters_of(x, y, 8, rng())
    assert len(set(cluster.tolist())) == 8
    within = [np.hypot(x - x[cluster == c].mean(), y - y[cluster == c].mean())[cluster == c].max()
              for c in range(8)]  # fmt: skip
    assert np.median(within) < 25
    x, y = spread()
    fold = cluster_split(x, y, folds=5, rng=rng(), clusters=40)
    assert np.ptp(np.bincount(fold)) <= 20
    assert (fold == cluster_split(x, y, folds=5, rng=rng(), clusters=40)).all()
    far = cluster_split(x + 4e6, y + 4e6, folds=5, rng=rng(), clusters=40)
    assert (fold == far).all()  # large coordinates lose nothing
    with pytest.raises(SampleError, match="3 clusters were asked for of 2 different places"):
        clusters_of([0, 0, 1], [0, 0, 1], 3, rng())
    with pytest.raises(SampleError, match="1 of 3 places have no coordinates"):
        clusters_of([0, np.nan, 1], [0, 0, 1], 2, rng())


def test_each_area_is_a_fold():
    area = ["b", "a", "c", "b", "a"]
    assert leave_area_out(area).tolist() == [1, 0, 2, 1, 0]
    merged = leave_area_out(area, folds=2, rng=rng())
    assert sorted(np.bincount(merged).tolist()) == [2, 3]
    assert merged[0] == merged[3]
    with pytest.raises(SampleError, match="2 folds of 1 areas"):
        leave_area_out(["a", "a"])


def test_knndm_matches_the_map_where_samples_are_clustered():
    x, y = clustered()
    to_x, to_y = spread(2000, seed=9)
    found = knndm_split(x, y, to_x, to_y, folds=5, rng=rng())
    assert found.clusters >= 5
    assert found.distance < 0.75 * found.random_distance
    assert np.bincount(found.fold, minlength=5).min() > 0
    assert np.bincount(found.fold).max() <= 0.5 * len(x)
    again = knndm_split(x, y, to_x, to_y, folds=5, rng=rng())
    assert (found.fold == again.fold).all()


def test_the_distance_that_knndm_states_is_that_of_its_folds():
    """Wasserstein as the area between two cumulative curves, by brute force."""
    x, y = clustered(120)
    to_x, to_y = spread(300, seed=9)
    found = knndm_split(x, y, to_x, to_y, folds=4, rng=rng())
    between = np.hypot(x[:, None] - x, y[:, None] - y)
    between[found.fold[:, None] == found.fold] = np.inf
    cross = between.min(axis=1)
    wanted = np.hypot(to_x[:, None] - x, to_y[:, None] - y).min(axis=1)
    grid = np.linspace(0, 1200, 200_001)
    a, b = (np.searchsorted(np.sort(d), grid, "right") / len(d) for d in (cross, wanted))
    area = np.abs(a - b).sum() * (grid[1] - grid[0])
    assert found.distance == pytest.approx(area, rel=1e-3)


def test_no_fold_of_knndm_holds_more_than_half_of_the_places():
    """Most places lie in one heap far from the rest, which one cluster would hold whole."""
    r = rng(1)
    x, y = np.vstack([r.normal(0, 1, (240, 2)), r.uniform(300, 1000, (60, 2))]).T
    to_x, to_y = spread(2000, seed=9) + 1000  # so far that the whole heap in a fold fits best
    for folds in (2, 3, 5):
        found = knndm_split(x, y, to_x, to_y, folds=folds, rng=rng())
        assert np.bincount(found.fold).max() <= 150


def test_knndm_falls_back_to_random_where_samples_are_spread():
    x, y = spread()
    to_x, to_y = spread(2000, seed=9)
    found = knndm_split(x, y, to_x, to_y, folds=5, rng=rng())
    assert found.clusters == 0
    assert found.distance == found.random_distance
    assert np.ptp(np.bincount(found.fold)) <= 1
