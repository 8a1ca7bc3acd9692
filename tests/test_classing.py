"""Class limits: the published ones as printed, found ones optimal, even or regular as they say."""

from itertools import combinations

import numpy as np
import pytest

from lsm_core.classing import METHODS, PRESET_UNITS, PRESETS, classify, find_limits
from lsm_core.errors import RecipeError, SampleError


def counts(values, limits):
    return np.bincount(classify(values, limits), minlength=len(limits) + 1).tolist()


def scatter(values, classes):
    return sum(
        np.sum((values[classes == c] - values[classes == c].mean()) ** 2) for c in set(classes)
    )


def test_the_presets_have_the_printed_numbers_of_classes():
    """Table 2 of the multi-scale paper: five classes of each factor, nine of distance to rivers."""
    sizes = {name: len(limits) + 1 for name, limits in PRESETS["multiscale_cnn3d"].items()}
    assert sizes.pop("distance_to_streams") == 9
    assert set(sizes.values()) == {5}
    assert len(sizes) == 9
    for preset in PRESETS.values():
        for name, limits in preset.items():
            assert name in PRESET_UNITS
            assert np.all(np.diff(limits) > 0), name
    assert classify([1036, 1037], PRESETS["multiscale_cnn3d"]["elevation"]).tolist() == [3, 4]
    assert classify([33.43, 33.44], PRESETS["multiscale_cnn3d"]["slope"]).tolist() == [3, 4]


def test_equal_classes_are_equally_wide():
    assert find_limits([-2.0, 1.0, 8.0], "equal", 5) == ((0.0, 2.0, 4.0, 6.0), 0)


def test_quantiles_hold_as_many_values_each():
    values = np.random.default_rng(1).exponential(size=1000)
    limits, merged = find_limits(values, "quantile", 8)
    assert merged == 0
    assert counts(values, limits) == [125] * 8


@pytest.mark.parametrize("seed", range(5))
def test_natural_classes_are_the_best_of_all_there_are(seed):
    """Brute force over every way to cut 12 sorted values into 4."""
    values = 3500 + np.random.default_rng(seed).normal(0, 5, 12)
    limits, _ = find_limits(values, "natural", 4)
    s = np.sort(values)
    ways = (
        np.searchsorted(cut, np.arange(12), side="right") for cut in combinations(range(1, 12), 3)
    )
    best = min(scatter(s, way) for way in ways)
    assert scatter(values, classify(values, limits)) == pytest.approx(best, rel=1e-9)


def test_a_natural_class_that_ends_at_a_value_holds_it():
    """Zoning closes on the right and classes on the left: both cut between the same values."""
    assert find_limits([1, 2, 9, 10, 20, 21], "natural", 3) == ((9.0, 20.0), 0)
    assert find_limits([0, 0, 0, 5, 5], "natural", 4) == ((5.0,), 2)
    many = np.concatenate([np.full(30_000, 1.0), np.full(20_000, 4.0), np.full(10_000, 5.0)])
    assert find_limits(many, "natural", 2) == ((4.0,), 0)


def test_geometric_classes_widen_by_one_factor_and_even_out_the_counts():
    values = np.random.default_rng(2).lognormal(0, 1, 5000)
    limits, merged = find_limits(values, "geometric", 6)
    edges = np.array([values.min(), *limits, values.max()])
    factor = np.diff(edges)[1:] / np.diff(edges)[:-1]
    np.testing.assert_allclose(factor, factor[0], rtol=1e-6)
    assert merged == 0
    assert factor[0] > 1.5

    def unevenness(limits):
        return np.sum(np.square(counts(values, limits)))

    assert unevenness(limits) < 0.6 * unevenness(find_limits(values, "equal", 6)[0])
    even = np.linspace(0, 1, 601)
    np.testing.assert_allclose(find_limits(even, "geometric", 6)[0], np.arange(1, 6) / 6, atol=2e-3)


def test_std_classes_lie_round_the_mean():
    values = np.random.default_rng(3).normal(100, 10, 10_000)
    limits, merged = find_limits(values, "std", 6)
    assert merged == 0
    np.testing.assert_allclose(limits, values.mean() + values.std() * np.arange(-2, 3))
    odd, _ = find_limits(values, "std", 5)
    np.testing.assert_allclose(odd, values.mean() + values.std() * np.arange(-1.5, 2))
    narrow, merged = find_limits([0.0, 1.0], "std", 10)  # deviation 0.5: only 0.5 and 1 are inside
    assert (narrow, merged) == ((0.5, 1.0), 7)


@pytest.mark.parametrize("method", METHODS)
def test_limits_move_with_the_values_and_no_class_is_of_nothing_outside(method):
    values = np.random.default_rng(4).gamma(2, 3, 2000)
    limits, _ = find_limits(values, method, 7)
    moved, _ = find_limits(8 * values - 1000, method, 7)
    np.testing.assert_allclose(moved, 8 * np.array(limits) - 1000, rtol=1e-9)
    again, _ = find_limits(np.append(values[::-1], [np.nan, np.inf]), method, 7)
    assert again == limits
    assert counts(values, limits)[0] > 0
    assert counts(values, limits)[-1] > 0
    assert find_limits(np.full(9, 5.0), method, 7) == ((), 6)
    heaped, merged = find_limits([0] * 90 + [1, 2, 3], method, 7)
    assert len(heaped) + merged == 6
    assert np.all(np.diff(heaped) > 0)


def test_what_cannot_be_classed_is_refused():
    with pytest.raises(RecipeError, match=r"no method 'jenks'.*natural"):
        find_limits([1, 2], "jenks", 2)
    with pytest.raises(RecipeError, match="1 classes"):
        find_limits([1, 2], "equal", 1)
    with pytest.raises(SampleError, match="no value"):
        find_limits([np.nan], "equal", 2)
