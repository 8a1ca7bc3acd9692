"""Limits of classes: from the recipe, a preset or the training cells; closed on the left."""

import json
from typing import get_args

import numpy as np
import pytest
import xarray as xr
from test_encoding import area, made

from lsm_core.classing import METHODS
from lsm_core.encoding import DIRECTIONS, LIMITS, PRESETS, Encoder, classify, encode
from lsm_core.errors import RecipeError
from lsm_core.recipe import Method


def test_classes_close_on_the_left_in_the_factors_own_precision():
    values = np.array([-1, 0, 0.35, 0.4, np.nan, np.nextafter(np.float32(0.35), np.float32(0))])
    assert classify(values.astype("float32"), [0, 0.35, 0.4]).tolist() == [0, 1, 2, 3, -1, 1]
    assert classify([9, 10, 11], [10]).tolist() == [0, 1, 1]
    raster = xr.DataArray([[1.0, np.nan]], {"y": [5.0], "x": [1.0, 2.0]}, name="slope")
    classes = classify(raster, [1])
    assert classes.dtype == "int16"
    assert classes.sel(x=2.0, y=5.0) == -1
    for wrong in ([2, 1], [1, 1], [np.nan]):
        with pytest.raises(RecipeError, match="must be finite and rise"):
            classify(values, wrong)


def test_the_published_preset_has_the_published_numbers_of_classes():
    """Table 2: slope 11, curvature 12, NDVI 12, roads 13, water 11 classes."""
    sizes = {name: len(edges) + 1 for name, edges in PRESETS["lsgh_net"].items()}
    assert sizes == {
        "slope": 11, "curvature": 12, "ndvi": 12,
        "distance_to_roads": 13, "distance_to_streams": 11,
    }  # fmt: skip
    assert classify([9.9, 10, 65, 64.9], PRESETS["lsgh_net"]["slope"]).tolist() == [0, 1, 10, 9]
    assert classify([499, 6000], PRESETS["lsgh_net"]["distance_to_roads"]).tolist() == [0, 12]
    assert classify([50, 1000], PRESETS["lsgh_net"]["distance_to_streams"]).tolist() == [0, 10]


def test_quantile_limits_share_out_the_training_cells():
    ds = area()
    encoder = made(ds, form="onehot", factors=("slope",))
    factor = encoder.factors[0]
    assert (factor.limits, factor.merged, factor.classes) == ("quantiles", 0, 10)
    counts = np.bincount(encode(ds, encoder).values[5:15].ravel())
    assert counts.tolist() == [20] * 10


def test_equal_quantiles_are_merged_and_counted():
    """Half the cells are 0, or 10 with others on both sides: no class is empty, limits rise."""
    ds, steps = area(), np.arange(20)
    for values in (np.where(steps < 10, 0, steps), np.where((steps > 5) & (steps < 15), 10, steps)):
        ds["slope"].values[:] = values
        encoder = made(ds, form="onehot", factors=("slope",))
        factor = encoder.factors[0]
        assert factor.merged + len(factor.edges) == 9
        assert factor.merged >= 3
        assert (np.diff(factor.edges) > 0).all()
        assert (np.bincount(encode(ds, encoder).values.ravel()) > 0).all()
    ds["slope"].values[:] = 5
    constant = made(ds, form="onehot", factors=("slope",))
    assert constant.factors[0].classes == 1
    assert (encode(ds, constant) == 0).all()
    window = made(ds, form="window", factors=("slope",))
    assert (encode(ds, window) == 0).all()


def test_limits_come_from_the_recipe_before_the_preset():
    ds = area()
    classes = {"slope": (5.0, 15.0)}
    encoder = made(ds, form="onehot", preset="lsgh_net", classes=classes, factors=None)
    found = {f.name: (f.limits, f.classes) for f in encoder.factors if f.kind == "continuous"}
    assert found == {"slope": ("recipe", 3), "distance_to_roads": ("preset lsgh_net", 13)}


def test_methods_find_limits_among_training_cells_only():
    """The wild half is not looked at; the limits that were found there are applied unchanged."""
    ds = area()
    wild = ds.copy(deep=True)
    wild["slope"].values[15:] = 1e6
    settings = {"classes": {"slope": {"method": "natural", "k": 8}}, "breaks": "equal"}
    encoder = made(wild, form="classes", **settings)
    slope, _, _, roads = encoder.factors
    assert (slope.limits, slope.classes) == ("natural breaks", 8)
    assert (roads.limits, roads.classes) == ("equal intervals", 10)
    seen = ds["distance_to_roads"].values[5:15]
    np.testing.assert_allclose(np.diff(roads.edges), np.ptp(seen) / 10, rtol=1e-5)
    assert encoder == made(ds, form="classes", **settings)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert (encode(wild, again).values[15:-1, :, 0] == 7).all()
    for method in ("quantile", "geometric", "std"):
        assert made(ds, form="classes", breaks={"method": method, "k": 4}).factors[0].classes == 4


def test_a_recipe_names_the_methods_there_are():
    assert set(get_args(Method)) == set(METHODS) == set(LIMITS)


def test_a_table_of_classes_says_what_is_missing():
    ds = area()
    encoder = made(ds, form="classes", preset="lsgh_net")
    assert encoder.input_shape == (4,)
    assert encoder.side == 1
    coded, filled = encode(ds, encoder), encode(ds, made(ds, form="onehot", preset="lsgh_net"))
    assert coded.dtype == "int16"
    roads = np.isnan(ds["distance_to_roads"].values)
    assert (coded.values[..., 3][roads] == -1).all()
    np.testing.assert_array_equal(coded.values[..., :3], filled.values[..., :3])
    np.testing.assert_array_equal(coded.values[~roads], filled.values[~roads])
    assert coded.values[3, 3, 2] == -1
    assert (coded.values[2, :5, 1] == 0).all()  # flat is a class
    assert encoder.classes_of("slope")[:2] == ("below 10", "10 to 20")
    assert encoder.classes_of("slope")[-1] == "65 and above"
    assert encoder.classes_of("rock") == ("Shale", "Bare soil", "Water")
    assert encoder.classes_of("aspect") == DIRECTIONS


def test_a_preset_in_other_units_is_refused():
    ds = area()
    ds["distance_to_roads"].attrs["units"] = "km"
    with pytest.raises(RecipeError, match=r"in m, but the area holds km.*input.classes"):
        made(ds, form="onehot", preset="lsgh_net")
    assert made(ds, form="onehot", preset="lsgh_net", classes={"distance_to_roads": (1.0,)})
