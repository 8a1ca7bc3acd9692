"""Natural breaks are the best there are, limits belong where they should, tables add up."""

import itertools

import numpy as np
import pytest
import xarray as xr

from lsm_core import zoning
from lsm_core.errors import InventoryError, RecipeError, SampleError
from lsm_core.zoning import (
    Limits,
    density_table,
    equal_breaks,
    find_limits,
    level_colours,
    level_names,
    natural_breaks,
    quantile_breaks,
    reasonableness,
    target_breaks,
    zone,
)


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


@pytest.mark.parametrize("of", ["landslides", "area"])
def test_target_zones_hold_what_was_asked_for(of):
    """Of many cells each zone holds its share within a cell's worth, on whatever is counted."""
    values = rng(3).random((50, 40)) ** 2
    values[0, :5] = np.nan
    slides = rng(4).poisson(np.nan_to_num(values))
    shares = [0.05, 0.1, 0.15, 0.3, 0.4]
    breaks = target_breaks(values, slides, shares, of=of)
    table = density_table(zone(values, breaks, "left"), slides, k=5)
    held = table["share_of_landslides" if of == "landslides" else "share_of_cells"]
    largest = slides.max() / slides.sum() if of == "landslides" else 1 / 1995
    np.testing.assert_allclose(held, shares, atol=2 * largest)
    above = held[::-1].cumsum().to_numpy()
    assert (above >= np.cumsum(shares[::-1]) - 1e-9).all()


def test_target_zones_that_cannot_be_had_are_refused():
    with pytest.raises(RecipeError, match="add up to 1"):
        target_breaks([1, 2], [1, 1], [0.5, 0.6])
    with pytest.raises(SampleError, match="no training landslide"):
        target_breaks([1, 2], [0, 0], [0.5, 0.5])
    with pytest.raises(SampleError, match="fall on one another"):
        target_breaks([1, 1, 1, 2], [1, 1, 1, 1], [0.2, 0.2, 0.3, 0.3])


@pytest.mark.parametrize("method", ["natural", "equal", "quantile", "target", "manual"])
def test_limits_come_back_and_hold_on_another_map(method):
    """Limits found on one map zone another by the same numbers, closed on their method's side."""
    here, there = rng(1).random(400), rng(2).random(100)
    more = {"shares": [0.2, 0.3, 0.5], "landslide": np.ones(400), "breaks": [0, 0.1, 0.5, 1]}
    found = find_limits(method, here, 3, rng=rng(), **more)
    assert found.k == 3
    again = Limits.from_json(found.to_json())
    assert again == found
    inner = np.array(found.breaks[1:-1])
    side = "left" if method in ("natural", "quantile") else "right"
    np.testing.assert_array_equal(again.zone(there), np.searchsorted(inner, there, side) + 1)
    np.testing.assert_array_equal(again.zone(inner), [1, 2] if side == "left" else [2, 3])
    with pytest.raises(RecipeError, match="'jenks' is not one of natural"):
        find_limits("jenks", here, 3, rng=rng())


def test_zones_have_names_and_colours_whatever_their_number():
    for k in range(2, 10):
        assert len(set(level_names(k))) == len(set(level_colours(k))) == k
        assert (level_colours(k)[0], level_colours(k)[-1]) == ("#2c7bb6", "#d7191c")
    assert level_names(5) == zoning.LEVELS
    assert level_colours(5) == zoning.LEVEL_COLOURS


def test_reasonableness_against_hand_counts():
    """Five zones of two cells; shares and the sentence; a dip in density or a full lowest zone."""
    zones = np.repeat(np.arange(1, 6), 2)

    def judged(*slides):
        return reasonableness(density_table(zones, np.array([[n, 0] for n in slides]).ravel()))

    good = judged(1, 2, 3, 4, 10)
    assert good["area_high"] == pytest.approx(0.4)
    assert good["landslides_high"] == pytest.approx(0.7)
    assert good["landslides_lowest"] == pytest.approx(0.05)
    assert good["monotone"]
    assert good["reasonable"]
    assert "high and very high hold 70.0% of the landslides in 40.0% of the area" in good["words"]
    own = density_table(zones, np.array([[n, 0] for n in (1, 2, 3, 4, 10)]).ravel())
    of_units = reasonableness(own, "units")
    assert "70.0% of the landslides in 40.0% of the units" in of_units["words"]
    dip = judged(1, 3, 2, 4, 10)
    assert not dip["monotone"]
    assert not dip["reasonable"]
    assert dip["words"].startswith("not reasonable")
    assert not judged(10, 4, 3, 2, 1)["reasonable"]
    assert not judged(1, 2, 2, 4, 10)["monotone"]


def test_an_empty_zone_does_not_break_the_rise():
    table = density_table([1, 1, 3, 3], [0, 1, 1, 1], k=3)
    assert reasonableness(table)["monotone"]
