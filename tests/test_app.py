"""The dashboard without a browser: readers, choices, pages that build, one request served."""

import importlib
import socket
import threading
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import panel as pn
import pytest
import rasterio
from bokeh.core.serialization import Deserializer
from bokeh.plotting import figure
from page_text import texts
from test_figures import GRID, make_area, make_run

from lsm_app import app_hooks, main, map_view, score_table, session
from lsm_app.following import Follower, known_runs
from lsm_app.ground import _halvings, _lit, ground_of, open_area
from lsm_app.pages import compare, training
from lsm_core import runs

pn.extension()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace: two runs judged on the same places, one on others, one failed."""
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root)
    for name, places in (("other", 2), ("cnn", 1), ("lsgh", 1)):
        make_run(area, root / "runs", name, test_seed=places)
    make_run(area, root / "runs", "broken", state="failed")
    return root


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    return tmp_path


def run_named(name):
    return next(run for run in runs.list_runs() if run.recipe.name == name)


# ---------------------------------------------------------------------------------- windows


def test_a_window_is_the_raster_there(workspace):
    path = run_named("cnn").map_path
    with rasterio.open(path) as source:
        whole = source.read(1)
    x, y = GRID.bounds[0], GRID.bounds[3]
    values, bounds = map_view.read_window(path, (x + 65, x + 300), (y - 400, y - 130))
    assert np.array_equal(values, whole[4:14, 2:10], equal_nan=True)
    assert bounds == (x + 60, y - 420, x + 300, y - 120)


def test_a_window_is_never_larger_than_the_screen(workspace, monkeypatch):
    monkeypatch.setattr(map_view, "MOST_CELLS", 20)
    values, bounds = map_view.read_window(run_named("cnn").map_path, None, None)
    assert values.shape == (20, 20)
    assert bounds == GRID.bounds


def test_outside_the_raster_is_one_empty_cell(workspace):
    values, bounds = map_view.read_window(run_named("cnn").map_path, (0, 10), (5, 20))
    assert values.shape == (1, 1)
    assert np.isnan(values).all()
    assert bounds == (0, 5, 10, 20)


def test_classes_have_no_data_where_the_file_says_so(workspace):
    values, _ = map_view.read_window(run_named("cnn").zones_path, None, None)
    assert np.isnan(values[:5, :5]).all()
    assert set(np.unique(values[5:])) <= {1, 2, 3, 4, 5}


def test_each_thread_has_its_own_handle(workspace):
    path, handles = run_named("cnn").map_path, []
    readers = [
        threading.Thread(target=lambda: handles.append(map_view._opened(path))) for _ in "ab"
    ]
    for reader in readers:
        reader.start()
        reader.join()
    assert handles[0] is not handles[1]
    assert map_view._opened(path) is map_view._opened(path)


def test_a_halving_is_the_mean_of_four_and_keeps_every_cell():
    light = np.arange(600 * 515).reshape(600, 515).astype(np.uint8)
    fine, coarse = _halvings(light)
    assert coarse.shape == (300, 258)
    assert coarse[7, 3] == fine[14:16, 6:8].mean(dtype=float) // 1


def test_the_hillshade_has_no_seams(workspace, monkeypatch):
    ds = open_area(workspace / "areas" / "valley")
    whole = _lit(ds["elevation"])
    monkeypatch.setattr("lsm_app.ground.STRIP", 7)
    assert np.array_equal(_lit(ds["elevation"]), whole)


def test_shared_readers_are_read_once_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr(session, "MOST_KEPT", 2)
    asked = []
    for key in "aabca":
        session.remember((key,), lambda key=key: asked.append(key))
    assert asked == ["a", "b", "c", "a"]


# -------------------------------------------------------------------------- what is compared


def test_at_first_the_newest_and_what_was_judged_on_its_places(workspace):
    done = [run for run, state in known_runs() if state == "done"]
    names = [session_run.split("-")[0] for session_run in compare.chosen([], done, set())]
    assert names == ["lsgh", "cnn"]


def test_a_finished_run_joins_those_judged_on_its_places_only(workspace):
    done = [run for run, state in known_runs() if state == "done"]
    ids = {run.recipe.name: run.id for run in done}
    fresh = {ids["cnn"], ids["other"]}
    assert compare.chosen([ids["lsgh"], "gone"], done, fresh) == [ids["lsgh"], ids["cnn"]]


def test_whoever_chose_many_is_given_no_more(workspace, monkeypatch):
    monkeypatch.setattr(compare, "AT_FIRST", 1)
    done = [run for run, state in known_runs() if state == "done"]
    ids = {run.recipe.name: run.id for run in done}
    assert compare.chosen([ids["lsgh"]], done, {ids["cnn"]}) == [ids["lsgh"]]


def test_runs_that_do_not_compare_get_the_sentence_and_their_own_figures(workspace):
    page = compare.page(session.Session(runs=[run_named("cnn").id, run_named("other").id]))
    assert "tested on different places" in texts(page)
    assert len(page.select(pn.pane.HoloViews)) == 2 * 5 + 1  # and the difference


def test_a_lost_map_is_said_and_the_rest_stays(workspace):
    zones = run_named("cnn").zones_path
    gone = run_named("cnn").map_path
    kept = gone.rename(gone.with_suffix(".kept"))
    try:
        page = compare.page(session.Session(runs=[run_named("cnn").id]))
    finally:
        kept.rename(gone)
    assert zones.exists()
    assert "has no susceptibility.tif" in texts(page)
    assert len(page.select(pn.pane.HoloViews)) == 4


def test_maps_of_one_area_and_only_those_share_their_axes(workspace, tmp_path):
    far = make_area(tmp_path, "far")
    other = make_run(far, tmp_path / "runs", "far")
    root = map_view.linked_maps([run_named("cnn"), run_named("lsgh"), other]).get_root()
    maps = {plot.title.text: plot for plot in root.select({"type": figure})}
    cnn, lsgh, apart = (maps[f"{name} (honest)"] for name in ("CNN", "LSGH", "FAR"))
    assert cnn.x_range is lsgh.x_range
    assert cnn.y_range is lsgh.y_range
    assert apart.x_range is not cnn.x_range


def test_the_legend_says_where_not_all_landslides_are_drawn(workspace, monkeypatch):
    ground = ground_of(workspace / "areas" / "valley")
    monkeypatch.setattr(map_view, "MOST_PLACES", 15)
    assert len(map_view._thinned(ground)[0]) == 14
    assert "one of every 3 landslides" in texts(map_view.linked_maps([run_named("cnn")]))


def test_score_table_names_runs_and_marks_the_best(workspace):
    table = score_table.ScoreTable([run_named("cnn"), run_named("lsgh")]).view
    html = table[0].object.to_html()
    assert "CNN (honest)" in html
    assert "font-weight" in html
    assert "AUC" in html
    assert "AP 95%" in html
    assert "no overlap" in table[1].object
    assert table[1].severity == "warning"  # green only where the meter says clean


def test_maps_of_other_numbers_of_classes_have_their_own_colours(workspace):
    run = run_named("cnn")
    assert map_view._classes_of(run) == 5
    legend = map_view.legend_html(True, 0, [3, 6])
    assert "moderate" in legend
    assert "zone 6" in legend
    assert "very low" not in legend
    image = map_view.figures.zones_image(np.array([[1.0, 3.0], [2.0, np.nan]]), (0, 0, 1, 1), k=3)
    style = map_view.hv.Store.lookup_options("bokeh", image, "style").kwargs
    assert list(style["cmap"]) == ["#2c7bb6", "#ffffbf", "#d7191c"]


# --------------------------------------------------------------------------------- progress


def test_a_live_run_is_followed_line_by_line(tmp_path):
    follower = Follower(tmp_path)
    runs.add_progress(tmp_path, {"event": "stage", "stage": "sampling", "message": "drawing"})
    assert follower.look().words == "drawing"
    epoch = {"event": "epoch", "epoch": 3, "epochs": 12, "loss": 0.25, "val_loss": 0.5}
    runs.add_progress(tmp_path, epoch | {"val_average_precision": 0.875, "eta": 130})
    with open(tmp_path / "progress.jsonl", "a") as file:
        file.write('{"event": "ep')  # half a line: not there yet
    assert follower.look().percent == 25
    losses = "loss 0.250, validation loss 0.500, AP 0.875"
    assert follower.words == f"epoch 3 of at most 12, {losses}, 2 min 10 s left at most"
    with open(tmp_path / "progress.jsonl", "a") as file:
        file.write('och", "epoch": 4, "epochs": 12}\n')
    assert [e["epoch"] for e in follower.look().epochs] == [3, 4]


def test_the_map_that_is_made_says_how_long_it_may_still_take(tmp_path):
    """At the pace of its row blocks, none but those of this map."""
    follower = Follower(tmp_path)
    for time_, done in ((50.0, 9), (60.0, 10)):  # of a map that was cut off
        runs.add_progress(tmp_path, {"event": "map", "done": done, "total": 11, "time": time_})
    runs.add_progress(tmp_path, {"event": "stage", "stage": "mapping", "message": "mapping"})
    runs.add_progress(tmp_path, {"event": "map", "done": 1, "total": 11, "time": 100.0})
    assert follower.look().words == "mapping: row block 1 of 11"
    runs.add_progress(tmp_path, {"event": "map", "done": 5, "total": 11, "time": 180.0})
    assert follower.look().words == "mapping: row block 5 of 11, about 2 min 0 s left"
    assert follower.percent == 45


def test_live_runs_stand_above_the_comparison(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "live", state="running")
    strip = pn.Column()
    compare.show_live([(run, "running")], {}, strip)
    assert "epoch 5 of at most 10, loss 0.060" in texts(strip)
    assert 'value="50"' in strip[0][1].object
    compare.show_live([], {}, strip)
    assert len(strip) == 0


def test_of_many_requests_the_last_is_served():
    seen, wanted = [], [0]

    def work():
        seen.append(wanted[0])
        time.sleep(0.05)

    newest = session.Newest(work)
    first = threading.Thread(target=newest)
    first.start()
    for wanted[0] in (1, 2, 3):
        time.sleep(0.01)
        newest()
    first.join()
    assert seen[-1] == 3
    assert len(seen) < 4


def test_newest_works_again_after_an_error():
    newest = session.Newest(lambda: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            newest()


# ------------------------------------------------------------------------------------ pages


PAGES = {
    name: importlib.import_module(f"lsm_app.pages.{module}").page
    for name, module in main.PAGES.items()
}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_builds(workspace, name):
    assert PAGES[name](session.Session(page=name)).get_root()


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_workspace_says_how_to_fill_it(empty, name):
    assert "lsm demo" in texts(PAGES[name](session.Session(page=name)))


def test_a_failed_run_says_why_and_cannot_be_stopped(workspace):
    view = training.RunView(run_named("broken"))
    assert "the disk is full" in view.state.object
    assert view.state.severity == "error"
    assert not view.button.visible


def test_the_stop_button_stops_the_run(workspace, tmp_path, monkeypatch):
    run = make_run(workspace / "areas" / "valley", tmp_path, "live", state="running")
    view = training.RunView(run)
    assert view.button.visible
    monkeypatch.setattr(
        training.jobs, "stop", lambda run: runs.set_status(run.path, "stopped", "by the user")
    )
    view.button.clicks += 1
    assert "Stopped: by the user" in view.state.object
    assert not view.button.visible


def test_a_part_that_the_browser_sends_back_whole_is_taken_without_a_word():
    plot = figure()
    whole = {"type": "object", "name": "Figure", "id": plot.id, "attributes": {"width": 1}}
    with warnings.catch_warnings(record=True) as said:
        app_hooks.hush_known_parts()
        assert Deserializer([plot]).decode(whole) is plot
    assert said == []
    assert plot.width != 1


def test_one_request_is_served(workspace):
    app = Path(session.__file__).with_name("main.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = pn.serve(
        {"app": str(app)}, port=port, address="127.0.0.1", threaded=True, show=False, verbose=False
    )
    try:
        with _answer(f"http://127.0.0.1:{port}/app") as answer:
            assert answer.status == 200
            assert b"Landslide susceptibility workbench" in answer.read()
    finally:
        server.stop()


def _answer(address):
    for _ in range(100):
        try:
            return urllib.request.urlopen(address, timeout=30)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(address)
