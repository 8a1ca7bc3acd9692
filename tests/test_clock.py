"""A clock that is set back, or leaps ahead: no run is lost by it, and none waits for ever."""

from datetime import datetime, timedelta

import pytest
from forests import forest

from lsm_core import errands, jobs, run_status, runs
from lsm_core.recipe import make_recipe

DAY = timedelta(days=1)


class Clock(datetime):
    """A clock that can be set."""

    shift = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.shift


@pytest.fixture
def clock(monkeypatch):
    made = type("Set", (Clock,), {})
    for module in (runs, run_status):
        monkeypatch.setattr(module, "datetime", made)
    monkeypatch.setattr(run_status.time, "time", lambda: made.now().timestamp())
    return made


def queued(folder):
    path = runs.create_run(make_recipe(forest()), {"name": "x", "path": "x"}, folder)
    return runs.open_run(path)


@pytest.mark.parametrize("leap", [-DAY, DAY, timedelta(seconds=-1)])
def test_one_run_after_the_other_has_its_turn(tmp_path, monkeypatch, clock, leap):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    folder = tmp_path / "runs"
    made = [queued(folder)]
    clock.shift = leap
    made.append(queued(folder))
    order = []
    while waiting := [run for run in made if run.state == "queued"]:
        (first,) = [run for run in waiting if not jobs._older_waiting(run.path)]
        with jobs.turn(first.path):
            runs.set_status(first.path, "running")
            runs.add_progress(first.path, {"event": "stage"})
        runs.set_status(first.path, "done")
        order.append(first)
    assert sorted(run.id for run in order) == sorted(run.id for run in made)
    assert [run.state for run in made] == ["done", "done"]
    assert len({run.id for run in made}) == 2


def test_an_errand_never_took_less_than_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    path = tmp_path / "errands" / "1"
    path.mkdir(parents=True)
    about = {"title": "x", "subject": "x", "steps": 0, "pid": 1, "process_started": -1}
    errands.write_json(path / "errand.json", about | {"started": 9e9})  # in a hundred years
    errand = errands.Errand(path)
    assert (errand.seconds, errand.state) == (0.0, "lost")
    errands.write_json(path / "ended.json", {"status": 0})
    assert errand.ended_ago >= 0
