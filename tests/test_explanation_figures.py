"""Figures of trust show the numbers they were given, in an order that reads."""

from types import SimpleNamespace
from xml.etree import ElementTree

import holoviews as hv
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from lsm_core.errors import RunError
from lsm_core.explanation_figures import (
    coverage_of,
    effect_of,
    importance_of,
    layer_image,
    layer_in_words,
    layer_limits,
    layer_of,
    layer_style,
    layers_of,
    why_of,
)
from lsm_core.grid import Grid
from lsm_core.runs import write_map

GRID = Grid((30, 20), Affine(30, 0, 300000, 0, -30, 3800000), CRS.from_epsg(32643))
TOLD = {
    "places": 1200,
    "repeats": 5,
    "importance": [
        {"factor": f, "ap_drop": d, "ap_low": d - 0.01, "ap_high": d + 0.02}
        | {"auc_drop": 1 - d, "auc_low": 0.9 - d, "auc_high": 1.1 - d}
        for f, d in (("slope", 0.3), ("rock", 0.1))
    ],
    "effects": [
        {"factor": "slope", "value": v, "label": f"{v}", "ale": a, "partial_dependence": p}
        for v, a, p in ((1, -1.0, 0.1), (2, 0.0, 0.2), (5, 1.0, 0.6))
    ]
    + [
        {"factor": "rock", "value": c, "label": n, "ale": None, "partial_dependence": p}
        for c, n, p in ((1, "sand", 0.2), (7, "shale", 0.7))
    ],
}


def drawn(figure):
    return hv.render(figure, backend="bokeh")


def test_importance_has_the_strongest_at_the_top_and_its_range():
    figure = importance_of(TOLD)
    assert figure.Bars.I.dimension_values("factor").tolist() == ["rock", "slope"]
    assert figure.Bars.I.dimension_values("drop").tolist() == [0.1, 0.3]
    ranges = figure.ErrorBars.I
    np.testing.assert_allclose(ranges.dimension_values("below"), 0.01)
    np.testing.assert_allclose(ranges.dimension_values("above"), 0.02)
    assert importance_of(TOLD, "auc").Bars.I.dimension_values(1).tolist() == [0.7, 0.9]
    assert "1,200 test places" in drawn(figure).title.text
    with pytest.raises(RunError, match="'ap' or 'auc'"):
        importance_of(TOLD, "f1")


def test_effects_are_lines_of_mean_nought_or_bars():
    ale, dependence = effect_of(TOLD, "slope").values()
    assert ale.dimension_values(1).tolist() == [-1, 0, 1]
    np.testing.assert_allclose(dependence.dimension_values(1), [-0.2, -0.1, 0.3])
    drawn(effect_of(TOLD, "slope"))
    bars = effect_of(TOLD, "rock")
    assert bars.dimension_values(0).tolist() == ["sand", "shale"]
    drawn(bars)
    with pytest.raises(RunError, match="nothing of 'twi'"):
        effect_of(TOLD, "twi")


def test_why_colours_what_raises_and_what_lowers():
    factors = [
        {"factor": "slope", "text": "40 degrees", "contribution": 0.3},
        {"factor": "land_cover", "text": "Forest", "contribution": -0.2},
    ]
    figure = why_of({"score": 0.7, "method": "SHAP", "scale": "probability", "factors": factors})
    names = ["land cover: Forest", "slope: 40 degrees"]
    assert figure.dimension_values("factor").tolist() == names
    low, high = figure.dimension_values("colour")
    assert low != high
    drawn(figure)


def test_coverage_rises_from_block_to_block():
    blocks = [
        {"block": 9, "places": 10, "coverage": 0.9},
        {"block": 2, "places": 40, "coverage": 0.5},
    ]
    figure = coverage_of({"alpha": 0.2, "test": {"coverage": 0.58, "blocks": blocks}})
    points = figure.Points.I
    assert points.dimension_values("coverage").tolist() == [0.5, 0.9]
    assert points.dimension_values("places").tolist() == [40, 10]
    assert figure.HLine.I.data == pytest.approx(0.8)
    drawn(figure)


def test_layers_are_those_of_the_folder_with_their_names(tmp_path):
    recipe = SimpleNamespace(protocol="honest")
    run = SimpleNamespace(path=tmp_path, id="a-run", title="Forest", recipe=recipe)
    assert layers_of(run) == {}
    with pytest.raises(RunError, match="none yet"):
        layer_of(run, "conformal.tif")
    codes = np.full(GRID.shape, 3, np.uint8)
    codes[0], codes[5] = 0, 2
    write_map(tmp_path / "conformal.tif", GRID, [(0, codes)], dtype="uint8")
    index = np.linspace(0, 1, codes.size, dtype="float32").reshape(codes.shape)
    write_map(tmp_path / "dissimilarity.tif", GRID, [(0, index)])
    assert list(layers_of(run)) == ["dissimilarity.tif", "conformal.tif"]
    image = layer_of(run, "conformal.tif")
    shown = image.dimension_values("prediction sets", flat=False)
    assert np.isnan(shown[-1]).all()  # HoloViews counts rows from the south
    assert (shown[-6] == 2).all()
    assert image.bounds.lbrt() == pytest.approx((300000, 3799100, 300600, 3800000))
    drawn(image)
    drawn(layer_of(run, "dissimilarity.tif", most=10))
    assert layer_in_words(run, "conformal.tif") == ""
    (tmp_path / "applicability.json").write_text('{"words": "95.7% lie inside"}')
    assert layer_in_words(run, "dissimilarity.tif") == "95.7% lie inside"


def test_qgis_opens_a_layer_in_the_colours_of_its_figure(tmp_path):
    run = SimpleNamespace(path=tmp_path, id="a-run")
    classes = ElementTree.fromstring(layer_style(run, "applicability.tif")).iter("paletteEntry")
    assert {int(e.get("value")): (e.get("label"), e.get("color")) for e in classes} == {
        1: ("inside", "#a6dba0"), 2: ("outside", "#7b3294"),
    }  # fmt: skip
    values = np.linspace(0, 0.4, GRID.shape[0] * GRID.shape[1], dtype="float32")
    write_map(tmp_path / "ensemble_spread.tif", GRID, [(0, values.reshape(GRID.shape))])
    items = list(ElementTree.fromstring(layer_style(run, "ensemble_spread.tif")).iter("item"))
    assert float(items[-1].get("value")) == pytest.approx(np.quantile(values, 0.99), abs=0.01)
    assert items[0].get("color") == "#000003"  # magma begins so


def test_one_scale_of_a_layer_serves_all_runs(tmp_path):
    made = []
    for name, top in (("low", 0.1), ("high", 0.4), ("none", None)):
        folder = tmp_path / name
        folder.mkdir()
        made.append(SimpleNamespace(path=folder, id=name))
        if top:
            values = np.full(GRID.shape, top, "float32")
            values[0] = np.nan
            write_map(folder / "ensemble_spread.tif", GRID, [(0, values)])
            write_map(folder / "ensemble_mean.tif", GRID, [(0, values)])
    assert layer_limits(made, "ensemble_spread.tif") == pytest.approx((0, 0.4))
    assert layer_limits(made[:1], "ensemble_spread.tif") == pytest.approx((0, 0.1))
    assert layer_limits(made, "ensemble_mean.tif") == (0, 1)
    assert layer_limits(made[2:], "ensemble_spread.tif") == (0, 1)


def test_a_window_of_codes_is_clear_where_there_is_no_code():
    image = layer_image("applicability.tif", np.array([[0.0, 1.0], [2.0, np.nan]]), (0, 0, 2, 2))
    shown = image.dimension_values(2, flat=False)[::-1]
    np.testing.assert_array_equal(shown, [[np.nan, 1], [2, np.nan]])
    style = hv.Store.lookup_options("bokeh", image, "style").kwargs
    assert style["cmap"] == ["#a6dba0", "#7b3294"]
