"""Tests and intervals equal scipy's, statsmodels' and pinned values; blocks widen them."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from lsm_core import comparison
from lsm_core.comparison import (
    auc_interval,
    block_bootstrap,
    block_draws,
    corrected_resampled_t,
    delong,
    difference,
    holm,
    mcnemar,
    paired_block_bootstrap,
    rank_groups,
    wilcoxon,
)
from lsm_core.errors import RecipeError, SampleError
from lsm_core.metrics import average_precision, roc_auc

LABEL = np.array([1] * 5 + [0] * 7)
A = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
B = np.array([0.8, 0.4, 0.9, 0.35, 0.3, 0.7, 0.6, 0.2, 0.5, 0.1, 0.15, 0.3])


def said(table):
    """Predictions of places that are all landslides, right and wrong as a 2 x 2 table says."""
    (both, only_a), (only_b, none) = table
    a = [1] * (both + only_a) + [0] * (only_b + none)
    b = [1] * both + [0] * only_a + [1] * only_b + [0] * none
    return np.ones(len(a)), np.array(a), np.array(b)


def test_delong_pinned():
    """The published midrank form on twelve places, with ties."""
    found = delong(LABEL, A, B)
    assert (found.auc_a, found.auc_b) == pytest.approx((0.871429, 0.728571), abs=5e-7)
    variances = found.covariance[[0, 1, 0], [0, 1, 1]]
    np.testing.assert_allclose(variances, [0.012585, 0.026122, 0.011020], atol=5e-7)
    assert (found.statistic, found.p_value) == pytest.approx((1.106567, 0.268481), abs=5e-7)


def slow_delong(label, score):
    """Structural components by comparing every landslide with every other place."""
    pos, neg = score[label == 1], score[label == 0]
    better = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
    return better.mean(axis=1), better.mean(axis=0)


@pytest.mark.parametrize("seed", range(4))
def test_delong_equals_the_slow_count_with_many_ties(seed):
    rng = np.random.default_rng(seed)
    label = rng.permutation([1] * 30 + [0] * 50)
    a, b = rng.integers(0, 5, 80) / 5 + label * 0.2, rng.random(80)
    found = delong(label, a, b)
    (over_a, under_a), (over_b, under_b) = slow_delong(label, a), slow_delong(label, b)
    covariance = np.cov([over_a, over_b]) / 30 + np.cov([under_a, under_b]) / 50
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)
    assert found.auc_a == pytest.approx(roc_auc(label, a))
    turned = delong(label, b, a)
    assert turned.statistic == pytest.approx(-found.statistic)
    interval = auc_interval(label, b)
    half = stats.norm.ppf(0.975) * np.sqrt(covariance[1, 1])
    assert interval[:3] == pytest.approx(
        (over_b.mean(), over_b.mean() - half, over_b.mean() + half)
    )


def test_delong_without_variance():
    """A score against itself has no difference; a perfect one against its opposite only that."""
    assert delong(LABEL, A, A)[:2] == (0.0, 1.0)
    assert delong(LABEL, LABEL, 1 - LABEL)[:2] == (np.inf, 0.0)
    assert delong(LABEL, np.full(12, 0.5), np.full(12, 0.1))[:2] == (0.0, 1.0)
    with pytest.raises(SampleError, match="two of each"):
        delong([1, 0, 0], [1, 0, 0], [0, 1, 0])


@pytest.mark.parametrize(
    "table",
    [
        [[10, 7], [2, 30]],
        [[0, 12], [12, 0]],
        [[5, 20], [5, 1]],
        [[5, 40], [12, 9]],
        [[1, 0], [0, 3]],
    ],
)
def test_mcnemar_equals_statsmodels(table):
    """Exact below 25 places that only one gets right, corrected chi-squared from there."""
    few = table[0][1] + table[1][0] < 25
    theirs = sm_mcnemar(table, exact=few, correction=True)
    found = mcnemar(*said(table))
    assert (found.only_a, found.only_b) == (table[0][1], table[1][0])
    assert found.exact == few
    assert found[:2] == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-12)


def test_mcnemar_pinned(monkeypatch):
    """Nine places that only one gets right: exact 0.1797; corrected 1.7778 and 0.1824."""
    assert mcnemar(*said([[10, 7], [2, 30]])).p_value == 0.1796875
    monkeypatch.setattr(comparison, "FEW", 0)
    corrected = mcnemar(*said([[10, 7], [2, 30]]))
    assert corrected[:2] == pytest.approx((1.777778, 0.182422), abs=5e-7)
    with pytest.raises(SampleError, match="cut the scores first"):
        mcnemar([1, 0], [0.3, 0.2], [1, 0])


@pytest.mark.parametrize("n", [3, 8, 60])
def test_wilcoxon_equals_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    theirs = stats.wilcoxon(a, b)
    assert wilcoxon(a, b) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_over_folds_nothing_and_too_little():
    """No difference is no difference; fold lists that do not pair are refused."""
    assert wilcoxon([0.5, 0.6], [0.5, 0.6]) == (0.0, 1.0)
    assert corrected_resampled_t([0.5, 0.6], [0.5, 0.6], test_to_train=1) == (0.0, 1.0)
    assert corrected_resampled_t([0.5, 0.5], [0.25, 0.25], test_to_train=1) == (np.inf, 0.0)
    with pytest.raises(SampleError, match="give pairs"):
        wilcoxon([1, 2], [1])
    with pytest.raises(SampleError, match="at least 2 folds"):
        corrected_resampled_t([1], [2], test_to_train=1)
    with pytest.raises(SampleError, match="above 0"):
        corrected_resampled_t([1, 2], [2, 2], test_to_train=0)
    with pytest.raises(SampleError, match="leave that fold out"):
        wilcoxon([1, np.nan], [2, 2])


def test_corrected_t_is_the_plain_one_but_for_the_variance():
    """With a ratio next to nought it is the paired t-test; else it shrinks by the stated factor."""
    rng = np.random.default_rng(3)
    a, b = rng.random(10) + 0.2, rng.random(10)
    plain = stats.ttest_rel(a, b)
    found = corrected_resampled_t(a, b, test_to_train=1e-12)
    assert found == pytest.approx((plain.statistic, plain.pvalue))
    corrected = corrected_resampled_t(a, b, test_to_train=1 / 9)
    assert corrected.statistic == pytest.approx(plain.statistic / np.sqrt(1 + 10 / 9))
    assert corrected.p_value == pytest.approx(2 * stats.t.sf(abs(corrected.statistic), 9))


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03], [0.5], [1, 1, 0.2], [0.02, 0.02, 0.02, 0.001]])
def test_holm_equals_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_holm_refuses_what_is_no_p_value():
    assert holm([]).size == 0
    with pytest.raises(SampleError, match=r"\[0, 1\]"):
        holm([0.1, np.nan])


def neighbours(rng, blocks=40, each=25):
    """Places in blocks, each block easy or hard as a whole."""
    block = np.repeat(np.arange(blocks), each)
    label = rng.integers(0, 2, block.size)
    shift = rng.normal(0, 1.5, blocks)[block]
    return label, label * (1 + shift) + rng.normal(0, 1, block.size), block


def test_blocks_are_drawn_whole_and_as_many_as_there_are():
    block = np.array([5, 5, 9, 9, 9, 7])
    for places in block_draws(block, 50, np.random.default_rng(0)):
        times = np.bincount(places, minlength=6)
        assert times[0] == times[1]
        assert times[2] == times[3] == times[4]
        assert times[0] + times[2] + times[5] == 3
    same = [block_draws(block, 5, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert all((a == b).all() for a, b in zip(same[0], same[1], strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(same[0], same[2], strict=True))


def test_block_interval_is_wider_where_neighbours_are_alike():
    """Against the same bootstrap of single places; and near the spread over new areas."""
    label, score, block = neighbours(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    by_block = block_bootstrap(label, score, block, roc_auc, 300, rng)
    by_place = block_bootstrap(label, score, np.arange(label.size), roc_auc, 300, rng)
    assert by_block.value == by_place.value == roc_auc(label, score)
    assert by_block.high - by_block.low > 1.5 * (by_place.high - by_place.low)
    again = [roc_auc(*neighbours(np.random.default_rng(s))[:2]) for s in range(100, 400)]
    spread = np.quantile(again, 0.975) - np.quantile(again, 0.025)
    assert by_block.high - by_block.low == pytest.approx(spread, rel=0.3)


def test_block_interval_covers_the_truth_as_often_as_it_says():
    """Of 100 areas of 40 blocks about 95 intervals hold the area under the curve of them all."""
    truth = np.mean([roc_auc(*neighbours(np.random.default_rng(s))[:2]) for s in range(1000, 1200)])
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = block_bootstrap(*neighbours(rng), roc_auc, 150, rng)
        held += found.low <= truth <= found.high
    assert 87 <= held <= 99


def test_samples_of_one_class_are_left_out_and_seen():
    """Blocks of one class each: samples that drew only one of them have no value."""
    label, block = np.array([1, 1, 0, 0, 0]), np.array([1, 1, 2, 2, 2])
    found = block_bootstrap(
        label, [0.9, 0.2, 0.5, 0.3, 0.1], block, average_precision, 64, np.random.default_rng(1)
    )
    assert 20 <= np.isnan(found.draws).sum() <= 44
    assert np.isfinite([found.low, found.high]).all()


def test_paired_difference_is_narrower_than_two_apart():
    """What makes a block hard for both cancels out; turned round, so is the difference."""
    rng = np.random.default_rng(2)
    label, a, block = neighbours(rng)
    b = a + rng.normal(0, 4, a.size)
    found = paired_block_bootstrap(label, a, b, block, roc_auc, 300, np.random.default_rng(1))
    alone = block_bootstrap(label, a, block, roc_auc, 300, np.random.default_rng(1))
    assert found.value == pytest.approx(roc_auc(label, a) - roc_auc(label, b))
    assert found.high - found.low < alone.high - alone.low
    assert found.low > 0
    assert found.p_value < 0.05
    turned = paired_block_bootstrap(label, b, a, block, roc_auc, 300, np.random.default_rng(1))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert turned.p_value == found.p_value
    same = paired_block_bootstrap(label, a, a, block, roc_auc, 20, np.random.default_rng(1))
    assert same[:5] == (0.0, 1.0, 0.0, 0.0, 0.0)


def test_p_value_of_a_bootstrap_is_never_nought():
    assert difference(0.3, np.full(99, 0.3)).p_value == 2 / 100
    assert difference(0.3, np.array([np.nan, 0.2, 0.4])).p_value == pytest.approx(2 / 3)


def test_intervals_that_cannot_be_had_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(SampleError, match="several blocks, got 1"):
        block_bootstrap([1, 0], [1, 0], [3, 3], roc_auc, 9, rng)
    with pytest.raises(SampleError, match="2 places but 3 blocks"):
        block_bootstrap([1, 0], [1, 0], [3, 3, 4], roc_auc, 9, rng)
    with pytest.raises(RecipeError, match="at least 1"):
        block_draws([1, 2], 0, rng)
    with pytest.raises(RecipeError, match="give a share"):
        block_bootstrap([1, 0], [1, 0], [3, 4], roc_auc, 9, rng, level=95)
    with pytest.raises(SampleError, match="all 2 places"):
        block_bootstrap([1, 1], [1, 0], [3, 4], roc_auc, 9, rng)


def test_ranks_change_only_where_intervals_part():
    """One that overlaps both neighbours holds them together, whatever they are to each other."""
    value = [0.7, 0.9, 0.8]
    chain = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)  # only 0.9 and 0.7 part
    assert rank_groups(value, chain) == [1, 1, 1]
    assert rank_groups(value, ~np.eye(3, dtype=bool)) == [3, 1, 2]
    last = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=bool)
    assert rank_groups(value, last) == [3, 1, 1]
    outer = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=bool)  # the middle parts from both
    assert rank_groups(value, outer) == [1, 1, 1]
