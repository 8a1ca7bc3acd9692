"""A server that is full says what is full, and what to do; nothing of what was asked is left."""

import os

import pytest
from forests import forest
from page_text import texts
from test_errands import made

from lsm_app import new_run
from lsm_app.session import Session
from lsm_core import errands, jobs, room, runs, serving
from lsm_core.errors import RunError, SourceError
from lsm_core.recipe import make_recipe
from lsm_core.uploads import Uploads

RECIPE = make_recipe(forest(n_estimators=2) | {"area": "x"})


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    for name in (room.WAITING, room.KEPT, room.BYTES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def keep(state, number):
    for _ in range(number):
        path = runs.create_run(RECIPE, {"name": "x", "path": "x"}, runs.runs_folder())
        runs.set_status(path, state)


def refused(words):
    before = len(runs.list_runs())
    with pytest.raises(RunError, match=words):
        jobs.start(RECIPE, runs.runs_folder())
    assert len(runs.list_runs()) == before


def test_who_works_on_the_command_line_is_not_limited(workspace):
    keep("running", 3)
    jobs.check_room(runs.runs_folder(), 1000)
    assert room.full() == ""


def test_runs_that_wait_are_counted_and_others_not(monkeypatch):
    monkeypatch.setenv(room.WAITING, "3")
    keep("running", 1)
    keep("done", 5)
    jobs.check_room(runs.runs_folder(), 2)
    with pytest.raises(RunError, match="1 run or wait already, 3 more would be above the 3"):
        jobs.check_room(runs.runs_folder(), 3)
    keep("queued", 2)
    refused("3 run or wait already, 1 more would be above the 3 .*--most-waiting")


def test_runs_that_are_kept_are_counted(monkeypatch):
    monkeypatch.setenv(room.KEPT, "2")
    keep("failed", 2)
    refused("2 runs are kept, 1 more would be above the 2 .*--most-runs.* delete some")


def test_a_full_workspace_takes_no_run_no_errand_and_no_upload(workspace, monkeypatch):
    monkeypatch.setenv(room.BYTES, "1e6")
    (workspace / "areas").mkdir()
    with open(workspace / "areas" / "large.bin", "wb") as file:
        file.truncate(2_000_000)
    words = "workspace holds 0.0 GB, and it may hold 0.001 GB: delete .*--largest-workspace"
    refused(words)
    with pytest.raises(RunError, match=words):
        errands.start(["sample"], "the sample area", "sample")
    with pytest.raises(SourceError, match=words):
        Uploads().receive("a.tif", b"II*", first=True, last=False)
    os.replace(workspace / "areas" / "large.bin", workspace.parent / "large.bin")
    (workspace / "areas" / "large.bin").symlink_to(workspace.parent / "large.bin")
    assert room.full() == ""  # it lies elsewhere


def test_errands_that_run_are_counted(workspace, monkeypatch):
    monkeypatch.setenv(room.WAITING, "1")
    errand = made(workspace, "20260101-000000-aaaaaa", pid=os.getpid())
    started = errands.process_start(os.getpid())
    about = errand.about | {"process_started": started}
    errands.write_json(errand.path / "errand.json", about)
    with pytest.raises(RunError, match="1 run or wait already"):
        errands.start(["sample"], "the sample area", "sample")
    assert len(errands.errands()) == 1


def test_two_visitors_may_ask_for_forecasts_at_once(workspace):
    """These have no subject that one of them would spoil for the other."""
    both = [errands.start(["--version-of-nothing"], "forecast") for _ in "ab"]
    for errand in both:
        errand.stop()
    assert len(errands.errands()) == 2


def test_a_server_is_told_its_limits():
    _, told = serving.panel_options(waiting=7, kept=9, disk=1.5)
    assert (told[room.WAITING], told[room.KEPT], told[room.BYTES]) == ("7", "9", "1500000000.0")
    _, told = serving.panel_options()
    assert (told[room.WAITING], told[room.KEPT], told[room.BYTES]) == (
        "50",
        "2000",
        "500000000000.0",
    )


def test_of_several_runs_of_one_click_all_are_started_or_none(monkeypatch):
    monkeypatch.setenv(room.WAITING, "3")
    began = []
    form = new_run.NewRun(Session(page="Training", area="x", recipe="random_forest"), began.append)
    form.seeds.value = 4
    form.begin()
    assert "4 more would be above the 3" in texts(form.told)
    assert runs.list_runs() == began == []
