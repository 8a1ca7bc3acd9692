"""The map of a study area's factors without a browser: its window, its cells, its landslides."""

import json

import numpy as np
import panel as pn
import pytest
from boxes import cells, frame
from page_text import texts
from test_figures import GRID, make_area
from test_study_area_page import files as files
from test_study_area_page import valley as valley
from test_study_area_page import workspace as workspace

from lsm_app import factor_map, session
from lsm_app.ground import ground_of
from lsm_app.pages import study_area
from lsm_core.catalog import load_catalog
from lsm_core.preparation import prepare_with_inventory
from lsm_core.study_area import area_path, open_area, save_area

pn.extension("filedropper")


def test_the_window_is_the_layer_there_thinned_to_the_screen(valley, monkeypatch):
    ds, ground = open_area(valley), ground_of(valley)
    left, _, _, top = GRID.bounds
    ranges = (left + 65, left + 300), (top - 400, top - 130)
    values, bounds = factor_map.layer_window(ds, "elevation", ground, *ranges)
    assert np.array_equal(values, ds["elevation"].values[4:14, 2:10])
    assert bounds == (left + 60, top - 420, left + 300, top - 120)
    monkeypatch.setattr(factor_map, "MOST_CELLS", 30)
    values, bounds = factor_map.layer_window(ds, "elevation", ground, None, None)
    assert np.array_equal(values, ds["elevation"].values[::3, ::3])
    assert bounds == (left, top - 2700, left + 24 * 90, top)
    outside = factor_map.layer_window(ds, "elevation", ground, (0, 10), (5, 20))[0]
    assert np.isnan(outside).all()


def test_the_address_says_layer_and_cell_and_a_tap_changes_it(valley):
    ds = open_area(valley)
    x, y = float(ds["place_x"][3]), float(ds["place_y"][3])
    visitor = session.Session(
        page="Study area", area="valley", factor="elevation", at=f"[{x}, {y}]"
    )
    page = study_area.StudyArea(visitor)
    assert page.view.get_root()
    told = page.map.cell.object.data.set_index("layer")["value"]
    assert told["landslide"] == "number 4"
    page.map.tell(x + 30, y)
    assert visitor.at == f"[{x + 30}, {y}]"
    page.map.tell(0, 0)
    assert "Outside the area" in page.map.told.object
    page.map.choice.value = factor_map.NOTHING
    assert visitor.factor == factor_map.NOTHING
    assert "elevation" not in page.map.legend.object
    broken = session.Session(page="Study area", area="valley", factor="nonsense", at="here")
    assert study_area.StudyArea(broken).map.session.factor == "elevation"


def test_a_place_is_written_where_nobody_can_tap(valley):
    ds = open_area(valley)
    x, y = float(ds["place_x"][3]), float(ds["place_y"][3])
    shown = factor_map.FactorMap(session.Session(area="valley"), valley)
    shown.written.value = f"{x}, {y}"
    told = shown.cell.object.data.set_index("layer")["value"]
    assert told["landslide"] == "number 4"
    assert json.loads(shown.session.at) == pytest.approx([x, y], abs=0.01)
    for wrong in ("here", "1", "1, 2, 3", "NaN, 1"):
        shown.written.value = wrong
        assert shown.told.object.startswith("Write x and y with a comma between, as 30")
    assert json.loads(shown.session.at) == pytest.approx([x, y], abs=0.01)


def rings(path):
    """Closed lines of a path that has a gap after each."""
    x = path.dimension_values(0)
    return int(np.isnan(x).sum())


def test_many_landslides_are_dots_and_few_are_outlines(files, workspace, monkeypatch):
    """Polygons in view, and dots instead where they are more than a map shows."""
    path = make_area(workspace)
    x0, y1 = GRID.bounds[0], GRID.bounds[3]
    left = frame(*[cells(i, 0) for i in range(4)]).translate(x0 - 500000, y1 - 4000000)
    drawn = frame(*left, landslide_id=np.arange(1, 5))
    drawn.to_file(path / "inventory.gpkg", layer="inventory")
    ground, kdims = ground_of(path), ["x", "y"]
    lines = factor_map._lines(path, ground, kdims, None, None)
    assert rings(lines) == 4
    assert len(factor_map._points(path, ground, kdims, None, None)) == 0
    near = (x0, x0 + 20), (y1 - 12, y1)
    assert rings(factor_map._lines(path, ground, kdims, *near)) == 2
    monkeypatch.setattr(factor_map, "MOST_OUTLINES", 3)
    assert rings(factor_map._lines(path, ground, kdims, None, None)) == 0
    dots = factor_map._points(path, ground, kdims, None, None)
    assert dots.dimension_values("x").tolist() == ground.x[:4].tolist()


def test_an_area_of_units_says_why_it_has_no_map(shared_data, workspace, monkeypatch):
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    made = prepare_with_inventory("nagaland", load_catalog())
    save_area(made.ds, area_path("nagaland"), inventory=made.inventory)
    page = study_area.StudyArea(session.Session(page="Study area", area="nagaland"))
    assert "units, not of cells" in texts(page.body)
    page.session.look = "Checks"
    assert page.view.get_root()


def test_another_area_takes_the_place_of_the_last(workspace, valley):
    make_area(workspace, "other", places=9)
    page = study_area.StudyArea(session.Session(page="Study area", area="valley", at="[1, 2]"))
    before = page.map
    page.choice.value = "other"
    assert page.map is not before
    assert page.map.path.name == "other"
    assert page.session.at == ""
    page.session.factor = "elevation"
    page.session.area = "gone"
    assert "no study area in" in texts(page.body)
