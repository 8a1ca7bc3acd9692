"""Parts add up, whole blocks stay together, and the leakage meter measures what it says."""

import numpy as np
import pandas as pd
import pytest

from lsm_core.errors import SampleError
from lsm_core.splits import block_split, blocks_of, near, overlap_report, random_split


def rng(seed=1):
    return np.random.default_rng(seed)


def places(rows, cols, split, landslide_id=0):
    return pd.DataFrame({"row": rows, "col": cols, "split": split, "landslide_id": landslide_id})


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


def test_windows_overlap_exactly_when_closer_than_one_window():
    for distance, share in ((12, 1.0), (13, 0.0)):
        frame = places([0, 0], [0, distance], ["train", "test"])
        report = overlap_report(frame, 13)
        assert report["share"] == share
    assert report["verdict"].startswith("clean")


def test_the_meter_counts_shared_cells_and_landslides():
    frame = places([5, 5, 9], [5, 5, 90], ["train", "test", "validation"], [7, 7, 8])
    report = overlap_report(frame, 1)
    assert (report["same_cell"], report["shared_landslides"], report["share"]) == (1, 1, 1.0)
    assert report["verdict"] == "leaks: 1 landslides are in training and test"


def test_negatives_share_no_landslide():
    frame = places([0, 50], [0, 50], ["train", "test"], 0)
    assert overlap_report(frame, 3)["shared_landslides"] == 0


def test_no_test_places_is_an_error():
    with pytest.raises(SampleError, match="0 test and 1 training places"):
        overlap_report(places([0], [0], ["train"]), 3)
