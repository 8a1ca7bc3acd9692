"""Classes between limits count what the encoder counts; histograms hold the shares."""

import numpy as np
import pytest
import xarray as xr

from lsm_core.bivariate import factor_classes
from lsm_core.distributions import histogram, limits_table, values_of
from lsm_core.errors import RecipeError, SampleError
from lsm_core.recipe import Input


def area():
    rng = np.random.default_rng(3)
    slope = rng.gamma(4, 6, (60, 50)).astype("float32").round(1)
    slope[0, :7] = np.nan
    landslide = (rng.random(slope.shape) < slope / 100).astype("uint8")
    valid = np.ones(slope.shape, bool)
    valid[-3:] = False
    landslide[~valid] = 0
    rock = rng.integers(1, 4, slope.shape).astype("int16")
    legend = {"flag_values": [1, 2, 3], "flag_meanings": "marl shale lime", "nodata": -32768}
    number = {"kind": "continuous", "units": "degrees"}
    return xr.Dataset(
        {
            "slope": (("y", "x"), slope, number),
            "rock": (("y", "x"), rock, {"kind": "categorical", "units": "1"} | legend),
            "landslide": (("y", "x"), landslide),
            "valid": (("y", "x"), valid),
        },
        {"y": 30.0 * np.arange(60)[::-1], "x": 30.0 * np.arange(50)},
    ).rio.write_crs(32643)


@pytest.mark.parametrize("limits", [(10.0, 20.0, 35.5), (), (20.1,), (-5.0, 500.0)])
def test_dragged_limits_count_what_a_recipe_with_them_counts(limits):
    ds = area()
    ds = ds.assign(slope=ds["slope"].where(ds["valid"]))
    values = values_of(ds, "slope", np.random.default_rng(1))
    table = limits_table(values, limits)
    known = ds["valid"] & np.isfinite(ds["slope"])
    other = factor_classes(ds.assign(valid=known), "slope", fit_on=None, specs=Input(
        classes={"slope": limits}, form="classes"
    ))  # fmt: skip
    assert table["cells"].sum() == values.cells == int(known.sum())
    for name in table:
        np.testing.assert_allclose(table[name], other[name], err_msg=name)


def test_of_very_many_cells_some_are_drawn_with_the_same_chance():
    ds = area()
    some = values_of(ds, "slope", np.random.default_rng(1), most=800)
    every = values_of(ds, "slope", np.random.default_rng(1))
    assert len(some.inside) + len(some.outside) == 800
    assert some.cells == every.cells == 57 * 50 - 7
    share = len(every.inside) / every.cells
    assert abs(len(some.inside) / 800 - share) < 0.04
    assert "800 random ones of 2,843 valid cells" in some.counted
    assert every.counted.startswith("all 2,843")


def test_shares_of_a_histogram_are_of_all_cells():
    values = values_of(area(), "slope", np.random.default_rng(1))
    table = histogram(values, 20)
    assert 98 <= table["inside"].sum() <= 100
    assert 98 <= table["outside"].sum() <= 100
    middle = (values.inside >= table["left"][3]) & (values.inside < table["right"][3])
    assert table["inside"][3] == pytest.approx(100 * middle.mean())
    centre = (table["left"] + table["right"]) / 2
    assert (centre * table["inside"]).sum() > (centre * table["outside"]).sum()


def test_what_has_no_limits_is_refused():
    ds, rng = area(), np.random.default_rng(1)
    with pytest.raises(RecipeError, match="rock holds categories"):
        values_of(ds, "rock", rng)
    with pytest.raises(RecipeError, match="did you mean slope"):
        values_of(ds, "slpe", rng)
    with pytest.raises(RecipeError, match="must be finite and rise"):
        limits_table(values_of(ds, "slope", rng), [20, 10])
    with pytest.raises(SampleError, match="0 landslide cells"):
        values_of(ds.assign(landslide=ds["landslide"] * 0), "slope", rng)
