"""A visitor is heard in a thread; only the server may change what Bokeh draws, and is asked to."""

import shutil

import panel as pn
import pytest
from test_first_release import KEPT

from lsm_app.class_limits import Limits
from lsm_app.picking import Picked
from lsm_app.session import Session
from lsm_core.runs import open_run


@pytest.fixture
def some(tmp_path, monkeypatch):
    """Two runs on the same test places."""
    monkeypatch.chdir(shutil.copytree(KEPT, tmp_path / "ws"))
    monkeypatch.setenv("LSM_WORKSPACE", ".")
    return [open_run(name) for name in ("forest", "network")]


@pytest.fixture
def asked(monkeypatch):
    """What the server is asked to do, and has not done yet."""
    waiting = []
    monkeypatch.setattr(pn.state, "execute", lambda change, **_: waiting.append(change))
    return waiting


def drawn(sources):
    return [{name: list(map(str, column)) for name, column in s.data.items()} for s in sources]


def test_a_threshold_that_is_dragged(some, asked):
    picked = Picked(some, Session())
    before = drawn([picked.marks, *picked.bars])
    picked.slider.value = 1.0
    assert drawn([picked.marks, *picked.bars]) == before
    for change in asked:
        change()
    assert drawn([picked.marks, *picked.bars]) != before
    assert picked.session.threshold == 1.0


def test_a_threshold_that_moves_on_before_it_is_drawn_is_not_sent_back(some, asked):
    picked = Picked(some, Session())
    picked.slider.value = 0.6
    picked.slider.value = 0.7
    for change in asked[:]:
        change()
    assert (picked.slider.value, picked.session.threshold) == (0.7, 0.7)
    assert len(asked) == 2  # nothing is asked anew, for ever


def test_limits_that_are_dragged(some, asked):
    limits = Limits(some, Session())
    limits.count()
    limits.look()
    assert not any(source.data.get("x") for source in (*limits.rates, *limits.dots))
    for change in asked:
        change()
    sources = [*limits.rates, *limits.dots, limits.picture, limits.bars]
    assert all(len(next(iter(source.data.values()))) for source in sources)
    before = drawn(limits.dots)
    limits.sliders[0].value = 0.05
    assert drawn(limits.dots) == before
    for change in asked:
        change()
    assert drawn(limits.dots) != before
