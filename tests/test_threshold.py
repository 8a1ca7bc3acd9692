"""Thresholds are the best there is of all, found by trying each; and what has none is refused."""

import numpy as np
import pytest

from lsm_core.errors import RecipeError, SampleError
from lsm_core.metrics import scores
from lsm_core.threshold import RULES, choose_threshold


def goodness(rule, label, score, at, cost):
    table = scores(label, score, at)
    if rule == "youden":
        return table["recall"] + table["specificity"] - 1
    if rule == "f1":
        return table["f1"]
    said = score >= at
    return -np.mean(cost[0] * (said & (label == 0)) + cost[1] * (~said & (label == 1)))


@pytest.mark.parametrize("rule", ["youden", "f1", "cost"])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_threshold_is_better(rule, seed):
    """Every score is tried, with and without ties; of equally good ones the highest is taken."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 80)
    score = rng.random(80) if seed % 2 else rng.integers(0, 8, 80) / 8
    found = choose_threshold(label, score, rule, cost=(1, 3))
    tried = {at: goodness(rule, label, score, at, (1, 3)) for at in [*np.unique(score), 2.0]}
    best = max(tried.values())
    assert min(found.threshold, 2.0) == max(at for at, g in tried.items() if g > best - 1e-12)
    assert found.reached == pytest.approx(-best if rule == "cost" else best)


def test_what_differs_by_rounding_alone_is_equally_good():
    """2/3 - 0 and 1 - 1/3: the higher threshold is taken."""
    label, score = [1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert choose_threshold(label, score, "youden").threshold == 0.8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_share_is_reached_with_the_least_called(share):
    """At the threshold at least the share is found, at the next higher score less."""
    rng = np.random.default_rng(1)
    label, score = rng.integers(0, 2, 200), rng.integers(0, 40, 200) / 40
    at = choose_threshold(label, score, "share", share=share).threshold
    higher = np.unique(score)[np.unique(score) > at]
    assert np.mean(score[label == 1] >= at) >= share
    assert not higher.size or np.mean(score[label == 1] >= higher[0]) < share


def test_half_is_half_and_weights_are_places():
    """0.5 whatever the scores; and a weight counts as so many places."""
    assert choose_threshold([0, 1, 1], [0.1, 0.5, 0.4], "half") == (0.5, 0.5)
    rng = np.random.default_rng(2)
    label, score, times = rng.integers(0, 2, 50), rng.random(50), rng.integers(0, 3, 50)
    for rule in RULES:
        found = choose_threshold(label, score, rule, weight=times)
        same = choose_threshold(np.repeat(label, times), np.repeat(score, times), rule)
        assert found == pytest.approx(same)


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(RecipeError, match="'best' is not one of half, youden"):
        choose_threshold([0, 1], [0, 1], "best")
    with pytest.raises(RecipeError, match="above 0, at most 1"):
        choose_threshold([0, 1], [0, 1], "share", share=0)
    with pytest.raises(RecipeError, match="cost more than 0"):
        choose_threshold([0, 1], [0, 1], "cost", cost=(0, 1))
    with pytest.raises(SampleError, match="all 2 places have label 1"):
        choose_threshold([1, 1], [0, 1])
