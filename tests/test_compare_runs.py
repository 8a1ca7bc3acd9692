"""Which runs the comparison page shows as others come and end, and what is ready before."""

import sys
from types import SimpleNamespace

import panel as pn
import pytest
from test_compare_page import made as made
from test_compare_page import named
from test_compare_page import workspace as workspace

from lsm_app import app_hooks, score_table, session
from lsm_app.following import known_runs, loaded
from lsm_app.pages import compare

pn.extension()


# ----------------------------------------------------------------------------------- other runs


@pytest.fixture
def states(workspace, monkeypatch):
    """States of the runs that are known, by run; `look` again, and how many runs were `drawn`."""
    known, looks, drawn = {}, [], []
    monkeypatch.setattr(compare, "poll", lambda _, part, look: looks.append(look))
    monkeypatch.setattr(compare, "comparison", lambda picked, *_: drawn.append(len(picked)) or [])
    monkeypatch.setattr(compare, "known_runs", lambda: list(known.items()))
    return SimpleNamespace(known=known, look=lambda: looks[0](), drawn=drawn)


def test_what_others_train_on_other_places_draws_nothing_anew(states):
    cnn, paper = named("cnn", "paper")
    states.known.update({paper: "running", cnn: "done"})
    page = compare.page(session.Session(runs=[cnn.id]))
    states.look()
    assert states.drawn == [1]
    states.known[paper] = "done"
    states.look()
    assert states.drawn == [1]
    assert list(page[2].options.values()) == [paper.id, cnn.id]  # to be chosen


def test_a_run_that_a_visitor_started_joins_those_chosen_when_it_is_done(states):
    cnn, forest = named("cnn", "forest")
    states.known.update({cnn: "running", forest: "done"})
    chosen = session.Session(runs=[forest.id], started=[cnn.id])
    page = compare.page(chosen)
    assert page[2].value == [forest.id]  # named as the page opens
    states.look()
    states.known[cnn] = "done"
    states.look()
    assert states.drawn == [1, 2]
    assert chosen.runs == [forest.id, cnn.id]


def test_what_others_train_stays_out_of_what_somebody_chose_by_hand(states):
    """They would have the page drawn anew while they drag something on it."""
    cnn, forest, paper = named("cnn", "forest", "paper")
    states.known.update({cnn: "running", forest: "done", paper: "done"})
    chosen = session.Session()
    page = compare.page(chosen)
    states.look()
    assert chosen.runs == [forest.id]
    states.known[cnn] = "done"
    states.look()
    assert chosen.runs == [forest.id, cnn.id]  # nobody has chosen yet: the page did
    states.known[cnn] = "running"
    states.look()
    page[2].value = by_hand = [forest.id, paper.id]
    states.known[cnn] = "done"
    states.look()
    assert chosen.runs == by_hand
    assert cnn.id in page[2].options.values()


# ----------------------------------------------------------------------------------- the server


def test_the_server_has_judged_what_the_first_page_shows(workspace):
    app_hooks._read()
    done = [run for run, _ in known_runs()]
    ids = compare.chosen([], done, set())
    runs_shown = [loaded(run) for run in done if run.id in ids]
    first = score_table.ScoreTable(runs_shown)
    assert score_table.LATER not in first.table.object.to_html()


def test_getting_ready_builds_no_page_into_that_of_a_visitor(workspace, monkeypatch):
    """`main` puts a page into whatever document Bokeh holds for current, whoever's it is."""
    monkeypatch.delitem(sys.modules, "lsm_app.main", raising=False)
    app_hooks._read()
    assert "lsm_app.main" not in sys.modules


def test_an_empty_workspace_does_not_stop_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    app_hooks.get_ready()
