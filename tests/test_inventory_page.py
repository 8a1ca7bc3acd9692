"""The inventory page: detectors, chips, polygons decided on, and what is started."""

import re

import geopandas as gpd
import numpy as np
import pytest
from test_figures import GRID, make_area, make_run
from test_review import found, square, with_image

from lsm_app import chips_view, polygon_map
from lsm_app.pages import inventory as page_of
from lsm_app.review_view import DETECTED, INVENTORY, REVIEW, ReviewView
from lsm_app.session import Session
from lsm_core import errands, jobs, runs
from lsm_core.review import new_folder, open_review
from lsm_core.study_area import open_area

# Panel's Tabulator calls pandas in a way that pandas 3.1 says it will leave out.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    area, _ = with_image(tmp_path)
    make_run(area, tmp_path / "runs", "unet", seed=1)
    make_run(make_area(tmp_path), tmp_path / "runs", "blind", seed=2)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Arguments of what would have been started."""
    calls = []

    class Started:
        id = "20260101-000000-abcdef"

    def start(arguments, title, subject="", steps=0):
        calls.append(list(arguments))
        return Started()

    monkeypatch.setattr(errands, "start", start)
    monkeypatch.setattr(errands, "find_errand", _no_errand)
    return calls


def _no_errand(name):
    raise page_of.RunError("gone")


def folder_of(workspace, n=4):
    """A folder as `lsm detect` leaves it."""
    folder = new_folder("unet")
    found(n).to_file(folder / DETECTED, layer="detected", driver="GPKG")
    return folder


@pytest.fixture
def view(workspace):
    return ReviewView(folder_of(workspace), open_area(workspace / "areas" / "seen"))


def run_named(name):
    return next(run for run in runs.list_runs() if run.recipe.name == name)


def test_the_axes_of_the_map_have_their_unit(view):
    labels = [axis.axis_label for axis in (*view.map.figure.xaxis, *view.map.figure.yaxis)]
    assert labels == ["easting (m)", "northing (m)"]


# --------------------------------------------------------------------------------- detectors


def test_only_areas_and_runs_with_an_image_are_offered(workspace):
    page = page_of.InventoryPage(Session(page="Inventory"))
    assert page.view.get_root()
    assert page.area.options == ["seen"]
    assert [run.recipe.name for run in page.runs] == ["unet"]


def test_the_page_opens_with_its_choices(workspace, monkeypatch):
    """What comes while a browser draws a page, the browser misses."""
    monkeypatch.setattr(page_of, "poll", lambda *_, **__: None)
    page = page_of.InventoryPage(Session(page="Inventory"))
    for choice in (page.run_choice, page.area):
        assert choice.value in list(choice.values)


def test_without_any_image_the_sample_area_is_one_click_away(tmp_path, monkeypatch, started):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    make_area(tmp_path)
    page = page_of.InventoryPage(Session(page="Inventory"))
    assert page.start.disabled
    assert page.sample in list(page.empty)
    page.sample.clicks += 1
    assert started == [["sample"]]


@pytest.mark.parametrize("name", ["attention_unet", "ssgan"])
def test_a_detector_is_started_as_its_recipe(workspace, monkeypatch, name):
    asked = []
    monkeypatch.setattr(
        jobs, "start", lambda recipe, into: asked.append(recipe) or run_named("unet")
    )
    page = page_of.InventoryPage(Session(page="Inventory"))
    page.recipe.value, page.seed.value = name, 7
    page.start.clicks += 1
    (recipe,) = asked
    assert (recipe.model.name, recipe.area, recipe.seed, recipe.size) == (name, "seen", 7, "demo")
    assert "is queued" in page.live[0].object


# ------------------------------------------------------------------------------------- chips


def test_chips_hold_what_is_mapped_and_what_was_scored(workspace):
    run, ds = run_named("unet"), open_area(workspace / "areas" / "seen")
    chips = chips_view.chips_of(run, ds)
    assert len(chips) == (GRID.shape[0] // 32) * (GRID.shape[1] // 32)
    mapped = ds["landslide"].to_numpy() > 0
    scores = np.concatenate([block for _, block in runs.read_strips(run.map_path)])
    for chip in chips:
        here = (slice(chip.row, chip.row + 32), slice(chip.col, chip.col + 32))
        assert chip.landslide == pytest.approx(mapped[here].mean())
        assert chip.score == pytest.approx(np.nanmean(scores[here]), abs=1e-6)
    first = chips_view.ordered(chips, "most landslide")[0]
    assert first.landslide == max(chip.landslide for chip in chips)
    assert chips_view.ordered(chips, "highest score")[0].score == max(c.score for c in chips)


def test_chips_of_a_network_on_chips_are_its_own(workspace):
    from lsm_core.catalog import shipped
    from lsm_core.recipe import load_recipe

    recipe = load_recipe(
        shipped("recipes") / "attention_unet.yaml",
        ["area=seen", "size=demo", "input.size=16", "protocol=paper"],
    )
    run = run_named("unet")
    runs.write_json(run.path / "recipe.json", recipe.model_dump(mode="json"))
    run = runs.open_run(run.path)
    ds = open_area(workspace / "areas" / "seen")
    tested, taught = (chips_view.chips_of(run, ds, [part]) for part in ("test", "train"))
    assert {chip.part for chip in tested} == {"test"}
    assert {chip.size for chip in tested} == {16}
    assert not {(c.row, c.col) for c in tested} & {(c.row, c.col) for c in taught}


def test_pictures_say_what_they_show(workspace):
    run, ds = run_named("unet"), open_area(workspace / "areas" / "seen")
    chips = chips_view.chips_of(run, ds)
    html = chips_view.gallery(run, ds, chips, most=3)
    assert html.count("<img") == html.count("alt=") == 3
    assert f"{chips[0].landslide:.1%} of the cells" in html
    page = page_of.InventoryPage(Session(page="Inventory", step="Chips", detector=run.id))
    assert "4 chips of 32 x 32" in page.counted.object
    assert page.pictures.object.count("<img") == 4


# ---------------------------------------------------------------------------------- polygons


def test_what_is_set_goes_to_the_command(workspace, started):
    page = page_of.InventoryPage(Session(page="Inventory"))
    page.rule.value, page.number.value = "number", 0.7
    page.smooth.value, page.least.value, page.masks.value = 3, 900, "land_cover=Water@30; r.gpkg"
    page.detect.clicks += 1
    (words,) = started
    assert words[:2] == ["detect", str(run_named("unet").path)]
    pairs = dict(zip(words[2::2], words[3::2], strict=True))
    assert (pairs["--threshold"], pairs["--smooth"], pairs["--min-area"]) == ("0.7", "3", "900")
    assert [words[i + 1] for i, w in enumerate(words) if w == "--mask"] == [
        "land_cover=Water@30",
        "r.gpkg",
    ]
    assert page.session.review in pairs["--to"]


def test_tapped_polygons_are_decided_on_and_saved(view):
    view.map.all.selected.indices = [0, 2]  # as a tap does
    assert view.table.selection == [0, 2]
    view.buttons["Accept"].clicks += 1
    assert view.review.counts["accepted"] == 2
    assert view.map.all.data["state"] == ["accepted", "undecided", "accepted", "undecided"]
    assert view.map.all.data["colour"][0] == polygon_map.COLOURS["accepted"]
    assert "2 accepted" in re.sub("<[^>]*>", "", view.counted.object)
    assert open_review(view.folder / REVIEW).counts["accepted"] == 2
    view.buttons["Undo"].clicks += 1
    assert view.review.counts["accepted"] == 0
    assert open_review(view.folder / REVIEW).counts["accepted"] == 0


def test_the_list_chooses_on_the_map(view):
    view.table.selection = [3]
    assert view.map.chosen == [4]
    assert view.told.object.startswith("4: undecided, 8,100 m2, mean score 0.90")
    x = view.map.figure.x_range
    assert x.start < 300000 + 3 * 300 + 60 < x.end < 300000 + 70 * 30


def test_an_outline_is_changed_with_the_mouse_and_undone(view):
    view.map.all.selected.indices = [1]
    view.buttons["Change outline"].clicks += 1
    xs, ys = view.map.edited.data["xs"][0], view.map.edited.data["ys"][0]
    assert sorted(zip(xs, ys, strict=True)) == sorted(set(square(360, 300).exterior.coords))
    moved = [x + 30 for x in xs]
    view.map.edited.data = {"xs": [moved], "ys": [ys]}  # as the tool does
    assert view.review.pieces[2].edited
    assert view.review.pieces[2].geometry.equals(square(390, 300))
    assert sorted(view.map.all.data["xs"][1]) == sorted(moved)
    view.buttons["Undo"].clicks += 1
    assert view.review.pieces[2].geometry.equals(square(360, 300))
    assert sorted(view.map.edited.data["xs"][0]) == sorted(xs)


def test_a_polygon_is_drawn_by_its_corners(view):
    corners = list(square(100, 1200).exterior.coords)[:-1]
    view.touched(1.0, 1.0)  # nobody draws yet
    view.buttons["Draw"].clicks += 1
    for x, y in corners[:2]:
        view.touched(x, y)
    view.touched(0.0, 0.0)
    view.buttons["Undo"].clicks += 1  # takes the last corner
    view.map.all.selected.indices = [1]  # a tap on a polygon is a corner, and chooses nothing
    assert view.table.selection == []
    for x, y in corners[2:]:
        view.touched(x, y)
    assert view.map.edited.data["xs"] == [[c[0] for c in corners]]
    assert len(view.review.pieces) == 4
    view.buttons["Draw"].clicks += 1
    assert view.review.pieces[5].origin == "drawn"
    assert view.review.pieces[5].geometry.equals(square(100, 1200))
    assert view.map.chosen == [5]
    assert view.map.edited.data["xs"] == [[]]
    view.buttons["Undo"].clicks += 1
    assert len(view.review.pieces) == 4
    view.buttons["Draw"].clicks += 1
    view.touched(*corners[0])
    view.buttons["Draw"].clicks += 1
    assert "three corners" in view.wrong[0].object


def test_a_bad_outline_is_said_and_the_page_lives_on(view):
    view.map.all.selected.indices = [0]
    view.buttons["Change outline"].clicks += 1
    view.map.edited.data = {"xs": [[0.0, 1.0, 2.0]], "ys": [[0.0, 1.0, 2.0]]}
    assert "no area" in view.wrong[0].object
    view.map.edited.data = {"xs": [[0.0, 90.0, 90.0]], "ys": [[0.0, 0.0, 90.0]]}
    assert len(view.wrong) == 0
    assert view.review.pieces[1].geometry.area == pytest.approx(4050)


def test_the_next_undecided_is_looked_at(view):
    view.review.decide([1], "accepted")
    view.buttons["Next undecided"].clicks += 1
    assert view.map.chosen == [2]
    view.buttons["Reject"].clicks += 1
    view.buttons["Next undecided"].clicks += 1
    assert view.map.chosen == [3]
    view.review.decide([3, 4], "rejected")
    view.buttons["Next undecided"].clicks += 1
    assert "Every polygon is decided on" in view.told.object


def test_all_above_a_score_are_accepted_but_what_was_rejected_stays(view):
    view.review.decide([4], "rejected")
    view.least.value = 0.7
    view.accept_above()
    states = [view.review.pieces[n].state for n in (1, 2, 3, 4)]
    assert states == ["undecided", "accepted", "accepted", "rejected"]


def test_states_not_shown_leave_map_and_list(view):
    view.review.decide([1, 2], "rejected")
    view.shown.value = ["undecided", "accepted"]
    assert view.map.all.data["number"] == [3, 4]
    assert view.table.value["number"].tolist() == [3, 4]


def test_the_picture_in_view_is_read_no_finer_than_the_screen(view, monkeypatch):
    monkeypatch.setattr(polygon_map, "MOST_CELLS", 20)
    left, bottom, right, top = GRID.bounds
    view.map.view_window(left, right, bottom, top)
    assert max(view.map.image.data["image"][0].shape) <= 20
    view.map.view_window(left + 65, left + 300, top - 400, top - 130)
    data = view.map.image.data
    assert (data["x"][0], data["dw"][0]) == (left + 60, 240)
    assert (data["y"][0], data["dh"][0]) == (top - 420, 300)


def test_what_is_accepted_goes_to_a_study_area(workspace, started):
    folder = folder_of(workspace)
    session = Session(
        page="Inventory", step="Polygons", review=folder.name, detector=run_named("unet").id
    )
    page = page_of.InventoryPage(session)
    page.save.clicks += 1
    assert "no polygon is accepted" in page.wrong[0].object
    page.review.review.decide([1, 2], "accepted")
    page.name.value = "mine"
    page.send.clicks += 1
    (words,) = started
    assert words[:2] == ["adopt", str(folder / INVENTORY)]
    assert words[words.index("--area") + 1] == str(workspace / "areas" / "seen")
    assert words[words.index("--name") + 1] == "mine"
    assert len(gpd.read_file(folder / INVENTORY)) == 2
    page.save.clicks += 1
    assert "2 polygons" in page.saved[0].object


def test_an_address_of_a_review_that_is_gone_is_said(workspace):
    page = page_of.InventoryPage(Session(page="Inventory", review="../areas"))
    assert "no review" in page.seen[0].object
