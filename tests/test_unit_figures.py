"""Units drawn: every one with a score, in its place and colour."""

import threading

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import pytest
import shapely
import xarray as xr

from lsm_app.compared import Group, Whole
from lsm_app.ground import ground_of
from lsm_app.session import Session
from lsm_core import runs
from lsm_core.errors import AreaError, RunError
from lsm_core.recipe import make_recipe
from lsm_core.study_area import area_path, save_area
from lsm_core.unit_figures import units_of
from lsm_core.unit_scores import drawn, score_table
from lsm_core.zoning import Limits

pn.extension()


def run_of(folder, shapes):
    """A fabricated run on units; the last has no score."""
    recipe = make_recipe({"name": "rf", "model": {"name": "random_forest"}})
    path = runs.create_run(recipe, {"name": "hill", "path": str(folder)}, folder)
    n = len(shapes)
    score = np.linspace(0.1, 0.9, n)
    score[-1] = np.nan
    table = gpd.GeoDataFrame(
        {"unit": np.arange(1, n + 1), "label": [0, 1] * (n // 2), "score": score, "zone": 1},
        geometry=shapes,
        crs=32643,
    )
    runs.write_table(path / "susceptibility.csv", table.drop(columns="geometry").assign(split=""))
    runs.write_json(path / "zones.json", Limits("equal", (0, 0.5, 1), "left").to_json())
    if shapes[0] is not None:
        runs.write_shapes(path / "susceptibility.gpkg", table)
    runs.set_status(path, "done")
    return runs.open_run(path)


def test_points_are_where_the_units_are(tmp_path):
    run = run_of(tmp_path, [shapely.Point(i, 10 * i) for i in range(6)])
    points = units_of(run)
    assert isinstance(points, hv.Points)
    np.testing.assert_allclose(points.dimension_values("northing"), [0, 10, 20, 30, 40])
    np.testing.assert_allclose(points.dimension_values("score"), np.linspace(0.1, 0.9, 6)[:5])
    assert hv.render(units_of(run, classes=True), backend="bokeh")


def test_polygons_keep_their_holes(tmp_path):
    ring = shapely.box(0, 0, 9, 9).difference(shapely.box(3, 3, 6, 6))
    two = shapely.MultiPolygon([shapely.box(10, 0, 11, 1), shapely.box(12, 0, 13, 1)])
    shapes = [ring, two, shapely.box(20, 0, 21, 1), shapely.box(0, 0, 1, 1)]
    figure = units_of(run_of(tmp_path, shapes))
    assert isinstance(figure, hv.Polygons)
    parts = figure.split()
    assert len(parts) == 4  # the second has two parts; the last unit has no score
    assert len(figure.holes()[0][0]) == 1
    assert hv.render(figure, backend="bokeh")


def test_units_without_a_place_say_so(tmp_path):
    with pytest.raises(RunError, match="the units of hill have no coordinates"):
        units_of(run_of(tmp_path, [None] * 4))


def test_runs_on_units_are_drawn_as_points_and_have_no_ground(tmp_path, monkeypatch):
    """A table of units has no map: its units stand in their place, and the heat page says why."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    n = 60
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, n).astype("float32")
    ds = xr.Dataset(
        {
            "slope": ("unit", slope, {"kind": "continuous", "units": "degrees"}),
            "landslide": ("unit", (slope > 30).astype("uint8")),
            "valid": ("unit", np.ones(n, bool)),
        },
        {"unit": np.arange(n), "x": ("unit", rng.random(n)), "y": ("unit", rng.random(n))},
        {"name": "table"},
    ).rio.write_crs(32643)
    path = save_area(ds, area_path("table"))
    with pytest.raises(AreaError, match="table is made of units"):
        ground_of(path)
    recipe = make_recipe({"name": "rf", "model": {"name": "random_forest"}, "area": "table"})
    run = runs.Run(runs.create_run(recipe, {"name": "table", "path": str(path)}, tmp_path / "runs"))
    table = score_table(ds, slope / 60, np.ones(n), pd.DataFrame({"row": [0], "split": ["test"]}))
    runs.write_table(run.path / "susceptibility.csv", table)
    runs.write_shapes(run.path / "susceptibility.gpkg", drawn(table, path))
    runs.write_json(run.path / "zones.json", Limits("equal", (0, 0.5, 1), "left").to_json())
    whole = Whole([run], [Group([run], Session())], Session(), threading.Lock())
    (box,) = whole.maps().objects
    (column,) = box.objects
    assert len(column.object) == n
