"""Kullback-Leibler divergence: analytic values, zero for equals, shared bins, categories."""

import numpy as np
import pandas as pd
import pytest

from lsm_core.divergence import divergence, kl_divergence
from lsm_core.errors import SampleError


def test_two_gaussians():
    """KL(N(0, 1) || N(1, 1.5)) = ln 1.5 + (1 + 1) / (2 * 2.25) - 1/2; bins lose a little of it."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 200_000), rng.normal(1, 1.5, 200_000)
    exact = np.log(1.5) + 2 / 4.5 - 0.5
    assert exact - 0.01 < kl_divergence(a, b) < exact + 1e-3
    exact_back = np.log(1 / 1.5) + (2.25 + 1) / 2 - 0.5
    assert exact_back - 0.08 < kl_divergence(b, a, bins=100) < exact_back + 1e-2


def test_bernoulli_by_hand_with_and_without_smoothing():
    a, b = ["wet"] * 30 + ["dry"] * 70, ["wet"] * 60 + ["dry"] * 40
    assert kl_divergence(a, b, smoothing=0) == pytest.approx(
        0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4)
    )
    p, q = 30.5 / 101, 60.5 / 101
    assert kl_divergence(a, b) == pytest.approx(
        p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    )


@pytest.mark.parametrize("cyclic", [False, True])
def test_zero_for_equals_and_never_below(cyclic):
    rng = np.random.default_rng(1)
    for n in (1, 3, 50, 1000):
        x = np.round(rng.gamma(2, 40, n), rng.integers(-1, 3))
        assert kl_divergence(x, rng.permutation(x), cyclic=cyclic) == 0
        assert kl_divergence(x, rng.normal(60, 20, n), cyclic=cyclic) >= 0
    assert kl_divergence([7.0] * 9, [7.0] * 9) == 0


def test_bins_are_shared_and_one_outlier_changes_next_to_nothing():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 5000), rng.normal(0.5, 1, 5000)
    with_outlier = np.append(a[1:], -1e6)
    assert kl_divergence(with_outlier, b) == pytest.approx(kl_divergence(a, b), abs=2e-3)
    # any monotone unit is as good as any other
    assert kl_divergence(np.exp(a), np.exp(b)) == pytest.approx(kl_divergence(a, b), abs=1e-9)


def test_the_larger_area_does_not_set_the_bins():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, 2000), rng.normal(0.7, 1, 2000)
    once = kl_divergence(a, b, smoothing=0)
    assert np.isfinite(once)
    assert kl_divergence(a, np.tile(b, 50), smoothing=0) == pytest.approx(once, rel=1e-9)


def test_areas_without_a_value_in_common_are_finite_with_smoothing_only():
    assert 1 < kl_divergence([0.0] * 20, [1.0] * 20) < 10
    assert kl_divergence([0.0] * 20, [1.0] * 20, smoothing=0) == np.inf


def test_degrees_meet_at_north():
    rng = np.random.default_rng(6)
    a = rng.normal(0, 3, 1000) % 360
    assert kl_divergence(np.full(1000, 1.0), np.full(1000, 359.0), cyclic=True) == 0
    assert kl_divergence(a, np.full(1000, 5.0), cyclic=True) < 0.01
    assert kl_divergence(a, a + 180, cyclic=True) > 3


def test_missing_values_do_not_count():
    x = pd.Series([1.0, 2, 3, np.nan])
    assert kl_divergence(x, [1.0, 2, 3]) == 0
    made = divergence(pd.DataFrame({"s": x}), pd.DataFrame({"s": [1.0, 2, 3]}))
    assert made.loc["s", ["source_rows", "target_rows"]].tolist() == [3, 3]


def test_a_table_of_two_areas_by_name():
    rng = np.random.default_rng(7)
    here = pd.DataFrame(
        {
            "slope": rng.normal(30, 8, 3000),
            "rock": pd.Categorical(rng.choice(["marl", "shale"], 3000, p=[0.9, 0.1])),
            "only_here": 1.0,
        }
    )
    there = pd.DataFrame(
        {
            "rock": pd.Categorical(rng.choice(["shale", "marl"], 2000, p=[0.9, 0.1])),
            "slope": rng.normal(30, 8, 2000),
        }
    )
    made = divergence(here, there)
    assert made.index.tolist() == ["rock", "slope"]
    exact = 0.8 * np.log(9)
    assert made.loc["rock", "kl"] == pytest.approx(exact, rel=0.1)  # of the draw
    assert made.loc["slope", "kl"] < 0.03
    assert made.loc["rock", ["source_typical", "target_typical"]].tolist() == ["marl", "shale"]


def test_mistakes_are_named():
    with pytest.raises(SampleError, match="the target has no value"):
        kl_divergence([1.0], [np.nan])
    with pytest.raises(SampleError, match="numbers cannot be held against categories"):
        kl_divergence([1.0], ["marl"])
    with pytest.raises(SampleError, match="infinite"):
        kl_divergence([1.0, np.inf], [1.0])
    with pytest.raises(SampleError, match="two bins at least"):
        kl_divergence([1.0], [1.0], bins=1)
    with pytest.raises(SampleError, match="rock: numbers cannot"):
        divergence(pd.DataFrame({"rock": [1]}), pd.DataFrame({"rock": ["marl"]}))
