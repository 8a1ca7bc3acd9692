"""Parts add up and keep their shares; whole blocks, groups and dates stay together."""

import numpy as np
import pandas as pd
import pytest

from lsm_core.errors import SampleError
from lsm_core.splits import (
    block_split,
    blocks_of,
    held_groups,
    near,
    random_split,
    stratified_split,
    time_split,
)


def rng(seed=1):
    return np.random.default_rng(seed)


def test_random_split_has_its_shares_and_follows_its_seed():
    parts = random_split(1000, test=0.3, validation=0.1, rng=rng())
    assert [(parts == p).sum() for p in ("train", "validation", "test")] == [630, 70, 300]
    assert (parts == random_split(1000, test=0.3, validation=0.1, rng=rng())).all()
    assert (parts != random_split(1000, test=0.3, validation=0.1, rng=rng(2))).any()


def test_blocks_are_squares_of_the_lattice_on_both_sides_of_zero():
    x = np.array([0.0, 99.9, 100.0, -0.1, 0.0])
    y = np.array([0.0, 99.9, 0.0, 0.0, -0.1])
    numbers = blocks_of(x, y, 100)
    assert numbers[0] == numbers[1]
    assert len(set(numbers.tolist())) == 4


def test_block_split_gives_each_block_one_part_near_its_share():
    block = rng(3).integers(0, 60, 4000)
    parts = block_split(block, test=0.3, validation=0.15, rng=rng(), also=np.arange(80))
    assert parts.index.is_unique
    assert set(parts.index) == set(range(80))
    held = pd.Series(block).map(parts).value_counts(normalize=True)
    assert held["test"] == pytest.approx(0.3, abs=0.02)
    assert held["validation"] == pytest.approx(0.7 * 0.15, abs=0.02)
    again = block_split(block, test=0.3, validation=0.15, rng=rng(), also=np.arange(80))
    assert parts.equals(again)
    assert not parts.equals(block_split(block, test=0.3, validation=0.15, rng=rng(2)))


def test_one_crowded_block_does_not_swallow_the_small_share():
    block = np.repeat([1, 2, 3, 4, 5, 6], [1000, 20, 20, 20, 20, 20])
    for seed in range(20):
        parts = block_split(block, test=0.05, validation=0.5, rng=rng(seed))
        assert parts[1] != "test"
        assert set(parts) == {"train", "validation", "test"}


def test_too_few_blocks_are_refused():
    with pytest.raises(SampleError, match=r"lie in 2 block\(s\).*make split\.block smaller"):
        block_split([1, 1, 2], test=0.3, validation=0.1, rng=rng())


def test_near_is_the_square_of_cells_closer_than_so_many():
    marked = near([10], [10], (30, 30), 5)
    rows, cols = np.indices((30, 30))
    chebyshev = np.maximum(abs(rows - 10), abs(cols - 10))
    assert (marked == (chebyshev < 5)).all()
    assert not near([10], [10], (30, 30), 0).any()


def test_strata_have_their_shares_in_every_part():
    stratum = np.repeat([0, 1, 2], [100, 300, 20])
    parts = stratified_split(stratum, test=0.3, validation=0.1, rng=rng())
    for value, n in ((0, 100), (1, 300), (2, 20)):
        own = parts[stratum == value]
        assert (own == "test").sum() == round(0.3 * n)
        assert (own == "validation").sum() == round(0.1 * round(0.7 * n))


def test_the_latest_are_tested_and_one_date_stays_together():
    year = np.array([2000, 2001, 2001, 2005, 2005, 2005, 2010, 2010])
    assert (time_split(year, test=0.3) == (year > 2005)).all()
    assert (time_split(year, after=2000) == (year > 2000)).all()
    assert (time_split(year, test=0.99) == (year > 2000)).all()
    for after in (1990, 2010):
        with pytest.raises(SampleError, match=r"dates run from 2000 to 2010: give a split\.cutoff"):
            time_split(year, after=after)
    with pytest.raises(SampleError, match="0 of 2 landslides are later"):
        time_split([2001, 2001])


def test_whole_groups_are_held_near_their_share():
    group = rng(3).integers(0, 30, 900)
    held = held_groups(group, 0.2, rng())
    assert held.mean() == pytest.approx(0.2, abs=0.03)
    assert not set(group[held]) & set(group[~held])
    with pytest.raises(SampleError, match="are in one group"):
        held_groups([4, 4, 4], 0.2, rng())
