"""Natural breaks are the best there are, limits belong where they should, tables add up."""

import itertools

import numpy as np
import pytest
import xarray as xr

from lsm_core import zoning
from lsm_core.errors import InventoryError, RecipeError, SampleError
from lsm_core.zoning import density_table, equal_breaks, natural_breaks, quantile_breaks, zone


def rng(seed=1):
    return np.random.default_rng(seed)


def deviation(values, zones):
    """Squared deviations within zones, of values taken from their mean first."""
    v = values - values.mean()
    return sum(((v[zones == z] - v[zones == z].mean()) ** 2).sum() for z in np.unique(zones))


def fit(values, breaks):
    """Goodness of variance fit."""
    v = values - values.mean()
    return 1 - deviation(values, zone(values, breaks)) / (v**2).sum()


def least_deviation(values, k):
    """Over every way to cut the sorted values into k runs, equal values kept together."""
    ranked, zones = np.sort(values), np.arange(1, k + 1)
    cuts = [i for i in range(1, ranked.size) if ranked[i] > ranked[i - 1]]
    ways = itertools.combinations(cuts, k - 1)
    return min(deviation(ranked, np.repeat(zones, np.diff([0, *way, ranked.size]))) for way in ways)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("offset", [0, 3500, 1e8])
def test_natural_breaks_are_as_good_as_the_best_of_all(k, offset):
    for seed in range(8):
        values = offset + rng(seed).normal(0, 5, 12)
        tied = offset + rng(seed).integers(0, 8, 12).astype(float)
        for v in (values, tied):
            breaks = natural_breaks(v, k, rng=rng())
            assert breaks.size == k + 1
            assert np.isin(breaks, v).all()
            zones = zone(v, breaks)
            assert sorted(set(zones)) == list(range(1, k + 1))
            assert deviation(v, zones) == pytest.approx(least_deviation(v, k), rel=1e-6, abs=1e-6)


def test_natural_breaks_do_not_lose_digits_far_from_zero():
    """Five zones of N(3500, 5) fit as well as those of N(0, 5); a float32 method has 0.87."""
    values = rng(0).normal(0, 5, 2000)
    near = fit(values, natural_breaks(values, 5, rng=rng()))
    assert near == pytest.approx(0.92, abs=0.01)
    for offset in (3500, 1e5, 1e9):
        far = values + offset
        assert fit(far, natural_breaks(far, 5, rng=rng())) == pytest.approx(near, abs=1e-6)


def test_natural_breaks_of_many_values_reach_from_end_to_end_and_repeat(monkeypatch):
    monkeypatch.setattr(zoning, "SAMPLE", 2000)
    values = rng(2).beta(0.6, 2, (300, 200)).astype("float32")
    values[:10] = np.nan
    values[20, 30], values[21, 30] = -0.5, 1.5
    breaks = natural_breaks(values, 5, rng=rng(7))
    assert breaks[0] == -0.5
    assert breaks[-1] == 1.5
    np.testing.assert_array_equal(breaks, natural_breaks(values, 5, rng=rng(7)))
    other = natural_breaks(values, 5, rng=rng(8))
    assert (breaks != other).any()
    np.testing.assert_allclose(breaks, other, atol=0.03)


def test_a_value_so_frequent_that_it_is_a_zone():
    """A forest's map: most cells exactly 0."""
    values = np.concatenate([np.zeros(900), np.linspace(5, 9, 50), np.linspace(95, 99, 50)])
    breaks = natural_breaks(values, 3, rng=rng())
    assert breaks.tolist() == [0, 0, 9, 99]
    assert np.bincount(zone(values, breaks)).tolist() == [0, 900, 50, 50]


def test_too_few_values_for_the_zones_are_refused():
    with pytest.raises(SampleError, match=r"3 zones need .* the map has 2"):
        natural_breaks([1, 1, 2, 2, np.nan], 3, rng=rng())
    for breaks in (
        lambda v: natural_breaks(v, 3, rng=rng()),
        lambda v: equal_breaks(v, 3),
        lambda v: quantile_breaks(v, 3),
    ):
        with pytest.raises(SampleError, match="no values"):
            breaks([np.nan, np.nan])
    for breaks in (lambda k: natural_breaks([1, 2], k, rng=rng()), lambda k: equal_breaks([0], k)):
        with pytest.raises(RecipeError, match="two are the least"):
            breaks(1)
    with pytest.raises(SampleError, match="all values are 4"):
        quantile_breaks([4, 4], 2)
    with pytest.raises(SampleError, match="all values are 4"):
        equal_breaks([4, 4], 2, limits=None)


def test_equal_breaks_are_the_nearest_numbers_to_fifths():
    assert equal_breaks([0.1], 5).tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert equal_breaks([-2, 8, np.nan], 4, limits=None).tolist() == [-2, 0.5, 3, 5.5, 8]
    with pytest.raises(SampleError, match=r"values from 0 to 1.5 leave the limits 0 to 1"):
        equal_breaks([0, 1.5], 5)


def test_quantile_breaks_share_out_the_cells_or_merge():
    values = rng().random(1000)
    counts = np.bincount(zone(values, quantile_breaks(values, 4)))[1:]
    assert counts.tolist() == [250] * 4
    assert quantile_breaks([0, 0, 0, 0, 5, 9], 3).tolist() == pytest.approx([0, 5 / 3, 9])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_belong_to_the_stated_side_and_the_outermost_to_both(dtype):
    values = np.array([0, 0.2, 0.4, 0.6, 0.8, 1, np.nan], dtype=dtype)
    breaks = equal_breaks(values, 5)
    assert zone(values, breaks, closed="left").tolist() == [1, 2, 3, 4, 5, 5, 0]
    assert zone(values, breaks, closed="right").tolist() == [1, 1, 2, 3, 4, 5, 0]
    assert zone(values, breaks).tolist() == zone(values, breaks, closed="right").tolist()
    assert zone(np.array([-1, 2], dtype), breaks).tolist() == [1, 5]


def test_a_zoned_map_keeps_its_place():
    index = xr.DataArray([[0.1, np.nan]], {"y": [9.0], "x": [1.0, 2.0]}, attrs={"run": "a"})
    zones = zone(index, [0, 0.5, 1])
    assert zones.dtype == "uint8"
    assert zones.attrs["nodata"] == 0
    assert zones.attrs["breaks"] == [0, 0.5, 1]
    assert zones.sel(x=2.0, y=9.0) == 0


@pytest.mark.parametrize("breaks", [[0, 0.5, 0.4, 1], [0, 0.5, 0.5, 1], [1], [0, np.nan, 1]])
def test_limits_that_make_no_zones_are_refused(breaks):
    with pytest.raises(RecipeError, match="rising limits"):
        zone([0.5], breaks)
    with pytest.raises(RecipeError, match="'both'"):
        zone([0.5], [0, 1], closed="both")


def test_density_table_against_hand_counts():
    zones = np.array([[1, 1, 1, 1], [2, 2, 2, 4], [4, 0, 0, 0]])
    landslide = np.array([[1, 0, 0, 0], [1, 1, 0, 3], [0, 7, 0, 0]])
    table = density_table(zones, landslide, k=5)
    assert table["zone"].tolist() == [1, 2, 3, 4, 5]
    assert table["cells"].tolist() == [4, 3, 0, 2, 0]
    assert table["landslides"].tolist() == [1, 2, 0, 3, 0]
    np.testing.assert_allclose(table["share_of_cells"], np.array([4, 3, 0, 2, 0]) / 9)
    np.testing.assert_allclose(table["share_of_landslides"], np.array([1, 2, 0, 3, 0]) / 6)
    np.testing.assert_allclose(table["density"], [1 / 4, 2 / 3, np.nan, 3 / 2, np.nan])
    assert table.attrs["left_out"] == 7
    assert len(density_table(zones, landslide)) == 4


def test_tables_that_cannot_be_made_are_refused():
    with pytest.raises(InventoryError, match="no landslide lies in the 2 cells"):
        density_table([1, 2, 0], [0, 0, 1])
    with pytest.raises(SampleError, match="must be alike"):
        density_table([1, 2], [1])
    with pytest.raises(SampleError, match="zone 2, but k is 1"):
        density_table([1, 2], [1, 0], k=1)
    with pytest.raises(SampleError, match="negative or missing"):
        density_table([1, 2], [1, np.nan])
