"""Maps of doubt asked for on the Compare page: started, followed by all, drawn once made."""

import os
import time

import panel as pn
import pytest
from page_text import texts
from test_figures import make_area, make_run

from lsm_app import compared, doubt, session
from lsm_core import errands, runs
from lsm_core.errors import RunError
from lsm_core.run_status import process_start

pn.extension()


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Two runs of one recipe with different seeds, in a workspace of their own."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    area = make_area(tmp_path)
    made = [make_run(area, tmp_path / "runs", name, seed=i) for i, name in enumerate(("a", "b"))]
    for run, seed in zip(made, (1, 2), strict=True):
        again = runs.read_json(run.path / "recipe.json") | {"seed": seed}
        runs.write_json(run.path / "recipe.json", again)
    return [runs.Run(run.path) for run in made]


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What was asked for; it is worked on until its folder says that it has ended."""
    asked = []

    def start(arguments, title, subject):
        folder = tmp_path / "errands" / f"20260101-00000{len(asked)}-ab"
        folder.mkdir(parents=True)
        about = {"title": title, "subject": subject, "steps": 0, "started": time.time()}
        about |= {"pid": os.getpid(), "process_started": process_start(os.getpid())}
        errands.write_json(folder / "errand.json", about)
        asked.append((arguments, folder))

    monkeypatch.setattr(errands, "start", start)
    return asked


def button(view, label):
    return next((b for b in view.select() if getattr(b, "label", "") == label), None)


def test_a_map_is_made_followed_by_who_comes_back_and_drawn_once(pair, started):
    drawn = []
    part = doubt.Doubt(pair, lambda: drawn.append(1))
    part.choice.value = pair[1].id
    button(part.view, doubt.MAKES["applicability"]).clicks += 1
    assert started[0][0] == ["applicability", str(pair[1].path)]
    assert f"applicability of {pair[1].id}: being worked on" in texts(part.view)
    assert "being worked on" in texts(doubt.Doubt(pair[1:], lambda: None).view)
    assert "being worked on" not in texts(doubt.Doubt(pair[:1], lambda: None).view)
    part.look()
    assert drawn == []
    errands.write_json(started[0][1] / "ended.json", {"status": 0})
    part.look()
    part.look()
    assert drawn == [1]


def test_the_spread_is_offered_for_seeds_of_one_recipe_only(pair, started):
    part = doubt.Doubt(pair, lambda: None)
    button(part.view, doubt.SPREAD).clicks += 1
    assert started[0][0] == ["uncertainty", *(str(run.path) for run in pair)]
    assert button(doubt.Doubt(pair[:1], lambda: None).view, doubt.SPREAD) is None
    changed = runs.read_json(pair[1].path / "recipe.json") | {"calibration": "platt"}
    runs.write_json(pair[1].path / "recipe.json", changed)
    assert not doubt.differ_in_seed([pair[0], runs.Run(pair[1].path)])


def test_what_cannot_be_started_is_said(pair, monkeypatch):
    def refuse(*told):
        raise RunError("it is being worked on already")

    monkeypatch.setattr(errands, "start", refuse)
    part = doubt.Doubt(pair, lambda: None)
    button(part.view, doubt.MAKES["uncertainty"]).clicks += 1
    assert "it is being worked on already" in texts(part.view)


def test_a_map_that_was_made_joins_the_list_of_those_shown(pair, started):
    visitor = session.Session(runs=[run.id for run in pair])
    groups = [compared.Group(pair, visitor)]
    view = compared.Whole(pair, groups, visitor, None).maps()
    shown = lambda: button(view, "Shown").options  # noqa: E731
    assert "applicability.tif" not in shown().values()
    button(view, doubt.MAKES["applicability"]).clicks += 1
    (pair[0].path / "applicability.tif").write_bytes((pair[0].path / "zones.tif").read_bytes())
    errands.write_json(started[0][1] / "ended.json", {"status": 0})
    button(view, doubt.MAKES["applicability"]).clicks += 1
    assert "applicability.tif" in shown().values()
