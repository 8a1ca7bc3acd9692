"""Jobs: a process of its own that reports through its folder, takes turns, and ends when told."""

import subprocess
import sys
import time

import psutil
import pytest
from forests import forest

from lsm_core import jobs, runs
from lsm_core.errors import Stopped
from lsm_core.recipe import make_recipe

FOREST = forest(n_estimators=20)
NETWORK = {
    "name": "net",
    "area": "sample",
    "model": {"name": "cnn"},
    "split": {"block": 6000.0},
    "input": {"form": "onehot"},
    "training": {"epochs": 500, "patience": 500},
}


def wait(run, *states, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if run.state in states:
            return run.state
        time.sleep(0.1)
    pytest.fail(f"{run.id} is {run.status}, not {states}: {(run.path / 'log.txt').read_text()}")


def test_a_job_runs_by_itself_and_the_next_waits_its_turn(sample_workspace, tmp_path):
    first = jobs.start(make_recipe(FOREST), tmp_path)
    second = jobs.start(make_recipe(FOREST), tmp_path)
    assert first.state in ("queued", "running")
    wait(first, "done")
    wait(second, "done")
    started, ended = ([e["time"] for e in runs.read_progress(r.path)[0]] for r in (second, first))
    assert started[0] >= ended[-1]
    assert jobs.status(first)["last"]["event"] == "done"


def test_a_training_job_stops_within_two_seconds(sample_workspace, tmp_path):
    run = jobs.start(make_recipe(NETWORK), tmp_path)
    end = time.monotonic() + 120
    while not any(e["event"] == "epoch" for e in runs.read_progress(run.path)[0]):
        assert time.monotonic() < end, (run.path / "log.txt").read_text()
        time.sleep(0.1)
    pid = run.status["pid"]
    began = time.monotonic()
    assert jobs.stop(run) == "stopped"
    assert time.monotonic() - began < 2
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert run.state == "stopped"
    assert runs.open_run(run.path).recipe.name == "net"
    assert "oneDNN" not in (run.path / "log.txt").read_text()
    assert jobs.stop(run) == "stopped"


def test_one_that_does_not_listen_is_killed(tmp_path):
    path = runs.create_run(make_recipe(FOREST), {"name": "x", "path": "x"}, tmp_path)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", deaf + "; time.sleep(60)"], stdout=subprocess.PIPE
    )
    with child:
        child.stdout.readline()
        runs.set_status(path, "running", pid=child.pid)
        began = time.monotonic()
        assert jobs.stop(path) == "stopped"
        assert time.monotonic() - began < 2


def test_a_job_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    run = jobs.start(make_recipe(FOREST | {"area": "nowhere"}), tmp_path / "runs")
    wait(run, "failed", seconds=30)
    assert "no study area in" in run.status["message"]


def test_who_waits_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    paths = [
        runs.create_run(make_recipe(FOREST), {"name": "x", "path": "x"}, tmp_path) for _ in "ab"
    ]
    told, asked = [], []

    def should_stop():
        asked.append(1)
        return len(asked) > 3

    with jobs.turn(paths[0], on_wait=lambda: told.append("first")):
        runs.set_status(paths[0], "running")
        with (
            pytest.raises(Stopped, match="waited for its turn"),
            jobs.turn(paths[1], should_stop, lambda: told.append("second")),
        ):
            pass
    assert told == ["second"]


def test_a_finished_run_is_not_stopped(tmp_path):
    path = runs.create_run(make_recipe(FOREST), {"name": "x", "path": "x"}, tmp_path)
    runs.set_status(path, "done")
    assert jobs.stop(path) == "done"
