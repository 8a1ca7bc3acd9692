"""Prediction sets hold the truth as often as they promise, and say when they cannot promise it."""

import numpy as np
import pytest

from lsm_core.conformal import (
    SETS,
    Conformal,
    blocks_needed,
    calibrate,
    coverage,
    covered,
    sets,
)
from lsm_core.errors import RecipeError, SampleError


def draw(rng, n, prevalence=0.5, shy=0.0):
    """Labels, and scores that know something of them; shy ones lean towards no landslide."""
    label = (rng.random(n) < prevalence).astype(int)
    return label, 1 / (1 + np.exp(shy - rng.normal(1.5 * (2 * label - 1), 1.5)))


def held(new, fitted):
    label, score = new
    return covered(label, sets(score, fitted))


def judge(new, fitted):
    label, score = new
    return coverage(label, sets(score, fitted), np.zeros(len(label)))


def test_the_threshold_is_the_corrected_order_statistic():
    strange = np.random.default_rng(0).random(57)
    fitted = calibrate(np.ones(57, int), 1 - strange, alpha=0.13, class_conditional=False)
    wanted = np.sort(strange)[int(np.ceil(58 * 0.87)) - 1]
    assert fitted.landslide == pytest.approx(wanted, abs=1e-12)
    assert fitted.stable == fitted.landslide


def test_coverage_on_exchangeable_places_lies_in_its_exact_distribution():
    """Its mean over many draws is ceil((n + 1)(1 - alpha)) / (n + 1), that of a beta variable."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(400):
        label, score = draw(rng, 150)
        fitted = calibrate(label, score, alpha=0.1, class_conditional=False)
        shares.append(held(draw(rng, 400), fitted).mean())
    wanted = np.ceil(151 * 0.9) / 151
    error = np.sqrt(0.1 * 0.9 * (1 / 150 + 1 / 400) / 400)
    assert abs(np.mean(shares) - wanted) < 3.5 * error


def test_each_class_is_covered_whatever_the_prevalence_of_the_map():
    rng = np.random.default_rng(2)
    known, new = draw(rng, 4000, shy=1.5), draw(rng, 20000, prevalence=0.02, shy=1.5)
    fitted = calibrate(*known, alpha=0.1, class_conditional=True)
    found = judge(new, fitted)
    assert 0.87 < found["landslides"] < 0.93
    assert 0.885 < found["others"] < 0.915
    pooled = calibrate(*known, alpha=0.1, class_conditional=False)
    assert judge(new, pooled)["landslides"] < 0.85


def test_blocks_that_differ_are_covered_by_block_and_not_by_place():
    """Every block has a hardness of its own; a few places of many blocks, many of a new one."""
    rng = np.random.default_rng(3)
    by_block, by_place = [], []
    for _ in range(400):
        hardness = rng.exponential(0.2, 13)
        size = np.where(np.arange(12) < 3, 300, 4)  # the crowd lies in few blocks
        block = np.repeat(np.arange(12), size)
        strange = np.clip(hardness[block] * rng.random(len(block)), 0, 1)
        new = np.clip(hardness[12] * rng.random(50), 0, 1)
        label = np.ones(len(block), int)
        for found, given in ((by_block, block), (by_place, None)):
            fitted = calibrate(label, 1 - strange, alpha=0.2, block=given, class_conditional=False)
            found.append(held((np.ones(50, int), 1 - new), fitted).mean())
    assert np.mean(by_block) > 0.8
    assert np.mean(by_place) < 0.77


def test_every_block_weighs_the_same_however_many_places_it_has():
    strange = np.repeat([0.9, 0.8, 0.1], [2, 2, 98])
    block = np.repeat([1, 2, 0], [2, 2, 98])
    for alpha, wanted in ((0.8, 0.1), (0.5, 0.8), (0.4, 0.9)):  # a quarter each, one at infinity
        fitted = calibrate(
            np.ones(102, int), 1 - strange, alpha=alpha, block=block, class_conditional=False
        )
        assert fitted.landslide == pytest.approx(wanted)


def test_too_few_blocks_keep_every_label_and_say_so():
    assert [blocks_needed(a) for a in (0.5, 0.2, 0.1, 0.05)] == [1, 4, 9, 19]
    assert blocks_needed(1 - 0.9) == 9  # a little below 0.1
    label, score = draw(np.random.default_rng(4), 800)
    for n in (8, 9):
        block = np.arange(800) % n
        fitted = calibrate(label, score, alpha=0.1, block=block, class_conditional=False)
        assert (fitted.landslide == np.inf) == (n == 8)
    few = calibrate(label, score, alpha=0.1, block=np.arange(800) % 4)
    assert set(sets(score, few)) == {3}
    assert "4 blocks cannot carry 90%" in few.words
    assert few.to_json()["landslide"] is None


def test_the_four_sets_and_gaps():
    narrow = Conformal(0.1, 0.4, 0.3, "place", True, 9, 9)
    wide = Conformal(0.1, 0.6, 0.7, "place", True, 9, 9)
    score = np.array([[0.1, 0.45, 0.9], [np.nan, 0.4, 0.75]])
    assert sets(score, narrow).tolist() == [[1, 4, 2], [0, 1, 2]]
    assert sets(score, wide).tolist() == [[1, 3, 2], [0, 3, 2]]
    assert set(SETS) == {1, 2, 3, 4}


def test_coverage_is_told_by_block():
    found = coverage([1, 1, 0, 0], [2, 1, 3, 4], [7, 7, 7, 9])
    assert found["coverage"] == 0.5
    assert [b["coverage"] for b in found["blocks"]] == [pytest.approx(2 / 3), 0.0]
    assert found["blocks_below"] == 1.0
    assert coverage([1, 1, 0, 0], [2, 1, 3, 4], [7, 7, 7, 9], alpha=0.5)["blocks_below"] == 0.5
    assert found["sets"] == {"no landslide": 0.25, "landslide": 0.25, "both": 0.25, "none": 0.25}
    assert coverage([0], [1], [1])["landslides"] is None


def test_mistakes_are_named():
    with pytest.raises(RecipeError, match="alpha"):
        calibrate([0, 1], [0.1, 0.9], alpha=1.0)
    with pytest.raises(SampleError, match="both classes"):
        calibrate([1, 1], [0.1, 0.9])
    with pytest.raises(SampleError, match="0 to 1"):
        calibrate([0, 1], [0.1, 1.9])
