"""What the compare page says of trust, without a browser: leakage, maps of doubt, why, the gap."""

import sys
import threading
import time

import numpy as np
import pandas as pd
import panel as pn
import pytest
from page_text import texts
from test_diagrams import MORE, protocols
from test_figures import GRID, make_area, make_run

from lsm_app import aside, compared, map_view, why
from lsm_app.compared import Group
from lsm_app.pages import compare
from lsm_app.score_table import ScoreTable
from lsm_app.session import Session
from lsm_core import runs

pn.extension()

NULLS = {"null_models": {"slope": {"average_precision": 0.9901, "roc_auc": 0.612}}}
TOLD = """{"score": 0.7, "method": "SHAP", "scale": "probability", "words": "Steep, so high.",
 "factors": [{"factor": "slope", "text": "40 degrees", "contribution": 0.3}]}"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with all there is to draw and two maps of doubt, and one of an older version."""
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root)
    new, old = (make_run(area, root / "runs", name) for name in ("new", "old"))
    runs.write_json(new.path / "metrics.json", new.metrics | MORE | NULLS)
    codes = np.tile(np.array([0, 1, 2], np.uint8), (90, 24))[:, :70]
    runs.write_map(new.path / "applicability.tif", GRID, [(0, codes)], dtype="uint8")
    spread = np.linspace(0, 0.5, 6300, dtype="float32").reshape(GRID.shape)
    runs.write_map(new.path / "dropout_spread.tif", GRID, [(0, spread)])
    return runs.open_run(new.path), old


@pytest.fixture
def workspace(made, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(made[0].path.parents[1]))


def shown(view):
    """The choice of maps."""
    return next(part for part in view.select() if getattr(part, "label", "") == "Shown")


def asking(monkeypatch, program, longest=20.0):
    """Someone who asks, and is answered by a program in place of `lsm explain`."""
    real, asked = aside.tell, []

    def instead(words, longest):
        asked.append(words)
        return real(words, longest)

    monkeypatch.setattr(aside, "LSM", [sys.executable, "-c", program])
    monkeypatch.setattr(aside, "tell", instead)
    return why.Why(threading.Lock(), longest), asked


def waited(one):
    """Look until it is answered, as the page does."""
    for _ in range(400):
        if one._answer is not None:
            break
        time.sleep(0.05)
    one.look()
    return one.words


# ---------------------------------------------------------------------------------- leakage


def test_the_meter_is_drawn_for_runs_that_have_one_and_said_for_others(made):
    drawn = Group(list(made), Session()).leakage()
    assert len(drawn.select(pn.pane.HoloViews)) == 1
    assert f"{made[1].id} stored no distances" in texts(drawn)
    assert drawn.get_root()


def test_runs_of_one_meter_share_its_picture(made):
    assert len(Group([made[0], made[0]], Session()).leakage().select(pn.pane.HoloViews)) == 1


def test_the_page_draws_the_meter(workspace, made):
    page = compare.page(Session(runs=[made[0].id]))
    titles = [
        pane.object.opts.get("plot").kwargs.get("title", "")
        for pane in page.select(pn.pane.HoloViews)
    ]
    assert sum("leaks: 12.5% of test windows overlap" in title for title in titles) == 1


# ------------------------------------------------------------------------------ maps of doubt


def test_maps_of_doubt_are_offered_where_a_run_has_them(made):
    new, old = made
    assert list(shown(map_view.linked_maps([old, new])).options.values()) == [
        "susceptibility.tif",
        "zones.tif",
        "applicability.tif",
        "dropout_spread.tif",
    ]
    view = map_view.linked_maps([old])
    assert list(shown(view).options.values()) == ["susceptibility.tif", "zones.tif"]
    assert "`lsm applicability RUN` makes" in texts(view)
    assert "`lsm applicability RUN` makes" not in texts(map_view.linked_maps([new]))


def test_a_map_of_doubt_has_its_colours_and_a_run_without_it_is_told(made):
    view = map_view.linked_maps(list(made))
    shown(view).value = "applicability.tif"
    said = texts(view)
    assert f"{made[1].id} has no area of applicability yet: `lsm applicability RUN` makes" in said
    assert "#7b3294" in said
    assert "outside" in said
    assert len(view.select(pn.pane.HoloViews)) == 1
    shown(view).value = "dropout_spread.tif"
    assert "`lsm uncertainty RUN` makes it" in texts(view)
    assert "spread with dropout on 0<" in texts(view)
    assert "0.5 and more" in texts(view)
    assert view.get_root()


# ---------------------------------------------------------------------------------------- why


def test_a_tap_names_the_run_and_the_place(made, monkeypatch):
    made_taps, tapped, kind = [], [], map_view.Tap
    monkeypatch.setattr(map_view, "Tap", lambda: made_taps.append(kind()) or made_taps[-1])
    view = map_view.linked_maps([made[0]], lambda run, x, y: tapped.append((run.id, x, y)))
    assert view.get_root()
    made_taps[0].event(x=300100.0, y=3799000.0)
    assert tapped == [(made[0].id, 300100.0, 3799000.0)]


def test_an_answer_is_a_sentence_and_bars(made, monkeypatch):
    one, asked = asking(monkeypatch, f"print('''{TOLD}''')")
    one.ask(made[0], -5.25, 3799000.0)
    assert "Asking why" in one.words.object
    words = waited(one)
    assert words.object.endswith("NEW (honest): Steep, so high.")
    assert words.severity == "success"
    assert len(one.view.select(pn.pane.HoloViews)) == 1
    assert one.view.get_root()
    assert asked == [["explain", str(made[0].path), "--at=-5.25,3799000.0", "--json"]]
    one.ask(made[0], 1.0, 2.0)  # the next place, whose bars are not yet known
    assert not one.view.select(pn.pane.HoloViews)
    waited(one)


@pytest.mark.parametrize(
    ("program", "longest", "words"),
    [
        ("import sys; sys.exit('error: it lies outside &lt; the area')", 20, "outside"),
        ("import time; time.sleep(20)", 0.5, "longer than 0.5 s"),
        ("print('no JSON')", 20, "could not be read"),
        ("raise SystemExit(3)", 20, "it said nothing"),
    ],
)
def test_what_goes_wrong_is_said(made, monkeypatch, program, longest, words):
    one, _ = asking(monkeypatch, program, longest)
    one.ask(made[0], 1.0, 2.0)
    assert words in waited(one).object
    assert one.words.severity == "error"
    assert "error:" not in one.words.object
    assert one.turn.acquire(timeout=5)  # the next one may ask


def test_one_place_at_a_time_in_a_session(made, monkeypatch):
    one, asked = asking(monkeypatch, "import time; time.sleep(1); print('{}')")
    other = why.Why(one.turn)
    began = time.monotonic()
    one.ask(made[0], 1.0, 2.0)
    other.ask(made[0], 3.0, 4.0)
    assert time.monotonic() - began < 0.9  # nobody waited for the process
    assert "One place at a time" in other.words.object
    assert one.turn.acquire(timeout=20)
    assert len(asked) == 1


# -------------------------------------------------------------------------- tabs, nulls, gap


def test_tabs_are_filled_when_opened(made):
    tabs = Group([made[0]], Session()).curves()
    assert len(tabs.select(pn.pane.HoloViews)) == 2
    tabs.active = 1
    assert len(tabs.select(pn.pane.HoloViews)) == 3
    tabs.active = 2
    assert len(tabs.select(pn.pane.HoloViews)) == 5
    old = Group([made[1]], Session()).curves()
    old.active = 1
    assert "stored no reliability" in texts(old)


def test_null_models_stand_below_and_are_never_the_best(made):
    table = ScoreTable(list(made))
    table.judge()
    html = table.table.object.to_html()
    rows = html.split("<tr>")
    assert "slope alone" in rows[-1]
    assert "0.990" in rows[-1]
    assert "nan" not in html
    styles = html.split("</style>")[0]
    assert f"_row{len(rows) - 3}_" not in styles  # two heads before the first row


def test_the_gap_is_drawn_when_asked_for(made, monkeypatch):
    table = protocols()
    both = table.assign(metric="ap")
    monkeypatch.setattr(compared, "compare_protocols", lambda runs, draws: pd.concat([table, both]))
    view = compared.protocols(list(made))
    assert not view.select(pn.pane.HoloViews)
    view[0].clicks += 1
    assert len(view.select(pn.pane.HoloViews)) == 2


def test_a_gap_that_cannot_be_had_is_said(made):
    view = compared.protocols(list(made))
    view[0].clicks += 1
    assert "no model was run under both protocols" in texts(view)
