"""Units drawn: every one with a score, in its place and colour."""

import geopandas as gpd
import holoviews as hv
import numpy as np
import pytest
import shapely

from lsm_core import runs
from lsm_core.errors import RunError
from lsm_core.recipe import make_recipe
from lsm_core.unit_figures import units_of
from lsm_core.zoning import Limits


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
    drawn = units_of(
        run_of(tmp_path, [ring, two, shapely.box(20, 0, 21, 1), shapely.box(0, 0, 1, 1)])
    )
    assert isinstance(drawn, hv.Polygons)
    parts = drawn.split()
    assert len(parts) == 4  # the second has two parts; the last unit has no score
    assert len(drawn.holes()[0][0]) == 1
    assert hv.render(drawn, backend="bokeh")


def test_units_without_a_place_say_so(tmp_path):
    with pytest.raises(RunError, match="the units of hill have no coordinates"):
        units_of(run_of(tmp_path, [None] * 4))
