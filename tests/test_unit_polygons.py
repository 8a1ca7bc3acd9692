"""Polygons over a grid area become one of units: what is taken, left out, refused and said."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
import yaml
from affine import Affine
from rasterio.crs import CRS

from lsm_core import preparation, report, study_area
from lsm_core.catalog import load_catalog
from lsm_core.errors import AreaError
from lsm_core.grid import Grid
from lsm_core.recipe import load_recipe, make_recipe

UTM = CRS.from_epsg(32643)
GRID = Grid((40, 40), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
LEFT, TOP = 500000, 4000000
AREA = {"name": "squares", "units": {"polygons": "squares", "of": "hill"}}


def square(row, col, side=8):
    """The ground of these cells."""
    x, y = LEFT + 10 * col, TOP - 10 * row
    return shapely.box(x, y - 10 * side, x + 10 * side, y)


# 25 squares of 8 x 8 cells less the last, and one beyond the map
SQUARES = [square(8 * (i // 5), 8 * (i % 5)) for i in range(24)] + [square(100, 0)]


def hill(rng):
    """40 x 40 cells; a landslide in the middle cell of every other square, the last one's too."""
    slope = rng.random(GRID.shape).astype("float32")
    ids, xs, ys = np.zeros(GRID.shape, "int32"), [], []
    for number, i in enumerate(range(0, 25, 2), start=1):
        row, col = 8 * (i // 5) + 4, 8 * (i % 5) + 4
        ids[row, col] = number
        slope[row - 4 : row + 4, col - 4 : col + 4] += 1
        xs.append(float(GRID.x[col]))
        ys.append(float(GRID.y[row]))
    rock = np.where(np.arange(40) < 17, 1, 2).astype("int16") * np.ones((40, 1), "int16")
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= study_area.flags({1: "Hard", 2: "Soft"})
    ds = xr.Dataset(
        {
            "slope": (("y", "x"), slope, {"kind": "continuous", "units": "degrees"}),
            "height": (("y", "x"), slope * 2, {"kind": "continuous", "units": "m"}),
            "rock": (("y", "x"), rock, rocks),
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), np.ones(GRID.shape, bool)),
            "place_x": ("place", xs),
            "place_y": ("place", ys),
        },
        {"y": GRID.y, "x": GRID.x, "place": np.arange(1, 14, dtype="int32")},
        {"name": "hill", "title": "Hill", "fingerprints": json.dumps({"dem": "abc"})},
    )
    return ds.rio.write_crs(UTM)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Build the hill, write polygons, catalogue and area file, and prepare the units."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("LSM_DATA", raising=False)
    study_area.save_area(hill(np.random.default_rng(0)), study_area.area_path("hill"))
    gpd.GeoDataFrame(geometry=SQUARES, crs=32643).to_crs(4326).to_file(tmp_path / "s.gpkg")
    entry = {"data_type": "GeoDataFrame", "uri": "s.gpkg", "driver": "pyogrio"}
    content = {"meta": {"version": "v1", "root": str(tmp_path)}, "squares": entry}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))

    def prepare(units=None, **more):
        area = AREA | more | {"units": AREA["units"] | (units or {})}
        (tmp_path / "a.yaml").write_text(yaml.safe_dump(area))
        catalog = load_catalog(tmp_path / "c.yaml")
        return preparation.prepare_with_inventory(tmp_path / "a.yaml", catalog)

    return prepare


def test_units_have_the_statistics_asked_for_and_what_is_left_out_is_said(prepared):
    ds, polygons = prepared({"statistics": ["maximum", "quantile"], "quantile": 0.25})
    assert study_area.factors(ds) == [
        "slope_maximum", "slope_quantile", "height_maximum", "height_quantile", "rock",
    ]  # fmt: skip
    own = hill(np.random.default_rng(0))["slope"].values[8:16, :8]
    assert ds["slope_quantile"].values[5] == pytest.approx(np.quantile(own, 0.25))
    assert ds["rock"].values[:5].tolist() == [1, 1, 2, 2, 2]
    assert ds["landslide"].values.tolist() == [1, 0] * 12 + [0]
    assert ds["valid"].values.tolist() == [True] * 24 + [False]
    about = json.loads(ds.attrs["prepared"])
    assert about["counts"] == {
        "units": 25, "valid_units": 24, "without_cell": 1, "landslide_units": 12,
        "landslides": 12, "cells_in_no_unit": 64, "landslides_outside": 1,
    }  # fmt: skip
    said = "\n".join(about["lines"])
    assert "25 polygons of squares over hill, 12 with a landslide (12 landslides)" in said
    assert "1 polygons hold no cell of the area" in said
    assert "1 landslides lie in no unit" in said
    assert "64 cells of the area lie in no unit" in said
    assert set(json.loads(ds.attrs["fingerprints"])) == {"dem", "squares"}
    assert polygons["unit"].tolist() == list(range(1, 26))
    assert polygons.crs == UTM
    assert polygons.geometry[3].symmetric_difference(SQUARES[3]).area < 1


def test_factors_are_chosen_in_the_area_file(prepared):
    ds = prepared(factors=["rock", {"name": "slope", "statistics": ["std"]}, "height"]).ds
    assert study_area.factors(ds) == ["rock", "slope_std", "height_mean"]


def test_a_forest_learns_from_the_units_and_writes_their_polygons(prepared, tmp_path):
    from lsm_core import comparison_report, experiment, figures
    from lsm_core.runs import compare

    ds, polygons = prepared()
    study_area.save_area(ds, study_area.area_path("squares"), inventory=polygons)
    changes = ["area=squares", "protocol=paper", "model.options={n_estimators: 5}"]
    changes += ["split.test=0.4", "split.validation=0.3"]
    run = experiment.run_experiment(load_recipe("recipes/random_forest.yaml", changes), tmp_path)
    drawn = gpd.read_file(run.path / "susceptibility.gpkg")
    assert (drawn.geom_type == "Polygon").sum() == 25
    assert drawn["score"].notna().sum() == 24
    assert run.metrics["roc_auc"] == 1  # slope alone tells them apart
    words = comparison_report.tables_in_words(compare([run]))
    assert "share of units %" in words
    assert "share of cells" not in words
    assert figures.density_frame([run])["counted"].unique().tolist() == ["units"]


@pytest.mark.parametrize(
    ("units", "more", "words"),
    [
        ({"of": "squares"}, {}, "would replace the area squares"),
        ({"of": "hlil"}, {}, "no study area in .*hlil"),
        ({"statistics": ["median"]}, {}, "statistics"),
        ({"statistic": ["mean"]}, {}, "unknown key 'units.statistic': did you mean statistics"),
        ({}, {"factors": ["slpoe"]}, "hill has no factor 'slpoe': did you mean slope"),
        ({}, {"factors": ["slope", "slope"]}, "two factors are called slope"),
        (
            {},
            {"factors": [{"name": "rock", "statistics": ["mean"]}]},
            "rock is categorical: its majority is taken",
        ),
    ],
)
def test_mistakes_are_named(prepared, units, more, words):
    with pytest.raises(AreaError, match=words):
        prepared(units, **more)


def test_units_are_not_made_of_units(prepared):
    ds, polygons = prepared()
    study_area.save_area(ds, study_area.area_path("squares"), inventory=polygons)
    with pytest.raises(AreaError, match="squares is made of units itself"):
        prepared({"of": "squares"}, name="again")


@pytest.mark.parametrize(
    ("units", "split", "words"),
    [
        (True, {}, "tested, units split as they are"),
        (True, {"buffer": 500}, "tested, training units at least 500 m away"),
        (False, {}, "tested, training places at least 1 cells away"),
        (False, {"buffer": 500}, "tested, training places at least 1 cells, and 500 m, away"),
    ],
)
def test_the_plan_says_the_gap_that_is_kept(units, split, words):
    forest = {"name": "forest", "model": {"name": "random_forest"}, "split": {"apart": 1} | split}
    said = report.plan_in_words(make_recipe(forest), {"landslides": 12}, units=units)
    assert said.splitlines()[1].endswith(words)
