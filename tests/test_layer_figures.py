"""Colours of a layer say what its kind is, and every class has its own."""

import numpy as np
import xarray as xr

from lsm_core import layer_figures
from lsm_core.study_area import flags


def layer(kind, **attrs):
    return xr.DataArray(
        [[0.0]], dims=("y", "x"), name="f", attrs={"kind": kind, "units": "m", **attrs}
    )


def test_values_run_between_percentiles_and_part_at_zero_where_both_sides_count():
    heights = layer_figures.look_of(layer("continuous"), np.linspace(0, 1000, 101))
    assert heights.limits == (20, 980)
    bent = layer_figures.look_of(layer("continuous"), np.linspace(-50, 100, 101))
    assert bent.limits == (-97, 97)
    assert bent.colours != heights.colours
    flat = layer_figures.look_of(layer("continuous"), np.full(9, 3.0))
    assert flat.limits == (3, 4)
    assert layer_figures.look_of(layer("continuous"), np.full(9, np.nan)).limits == (0, 1)


def test_directions_end_where_they_begin():
    look = layer_figures.look_of(layer("cyclic"), np.array([0.0, 359]))
    assert look.limits == (0, 360)
    first, last = (
        [int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (look.colours[0], look.colours[-1])
    )
    assert max(abs(a - b) for a, b in zip(first, last, strict=True)) < 12


def test_classes_that_occur_have_the_colours_of_their_source_or_ours():
    rocks = layer("categorical", **flags({2: "shale", 4: "lime stone", 9: "water"}))
    seen = np.array([[2.0, 9.0, np.nan]])
    assert layer_figures.look_of(rocks, seen).codes == {
        2: ("shale", layer_figures.CLASSES[0]), 9: ("water", layer_figures.CLASSES[2]),
    }  # fmt: skip
    rocks.attrs["flag_colors"] = "#111111 #222222 #333333"
    assert layer_figures.look_of(rocks, seen).codes[9] == ("water", "#333333")


def test_the_image_holds_places_of_classes_and_values_as_they_are():
    look = layer_figures.Look(
        "rock", "", ["red", "blue"], (-0.5, 1.5), {2: ("a", "red"), 9: ("b", "blue")}
    )
    codes = np.array([[2.0, 9.0], [5.0, np.nan]], "float32")
    image = layer_figures.layer_image(look, codes, (0, 0, 20, 20))
    drawn = image.dimension_values("value", flat=False)[::-1]
    assert np.array_equal(drawn, [[0, 1], [np.nan, np.nan]], equal_nan=True)
    plain = layer_figures.Look("h", "m", ["red", "blue"], (0, 9), {})
    image = layer_figures.layer_image(plain, codes, (0, 0, 20, 20))
    assert np.array_equal(image.dimension_values("value", flat=False)[::-1], codes, equal_nan=True)


def test_windows_of_a_place_are_the_cells_round_it_mirrored_beyond_the_edge():
    values = np.arange(30.0).reshape(5, 6)
    coords = {"y": 90.0 * np.arange(5)[::-1], "x": 90.0 * np.arange(6)}
    attrs = layer("continuous").attrs
    heights = xr.DataArray(values, coords, ("y", "x"), name="f", attrs=attrs)
    drawn = layer_figures.windows_of(heights.rio.write_crs("EPSG:32643"), 0, 1, (3, 2))
    large, small = (image.dimension_values(2, flat=False) for image in drawn)
    assert np.flipud(large).tolist() == [[6, 7, 8], [0, 1, 2], [6, 7, 8]]
    assert np.flipud(small).tolist() == [[6, 7], [0, 1]]
    titles = [image.opts.get("plot", backend="bokeh").kwargs["title"] for image in drawn]
    assert titles == ["3 x 3 cells, 270 m", "2 x 2 cells, 180 m"]
