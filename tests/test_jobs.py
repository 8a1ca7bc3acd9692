"""Jobs: a process of its own that reports through its folder, takes turns, and ends when told."""

import subprocess
import sys
import time

import psutil
import pytest
from forests import forest

from lsm_core import jobs, runs
from lsm_core.errors import RunError, Stopped
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
    second = jobs.start(make_recipe(FOREST), tmp_path, mark="seed2", on="cpu")
    assert "-seed2-" in second.id
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
    if psutil.pid_exists(pid):  # killed, and maybe not yet gone
        psutil.Process(pid).wait(timeout=5)
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


def queued(folder, name, device=None):
    path = runs.create_run(make_recipe(FOREST), {"name": "x", "path": "x"}, folder, name)
    if device:
        runs.write_json(path / "job.json", {"device": device})
    return path


def test_the_queue_is_in_the_order_of_turns(tmp_path):
    first, second, third = (queued(tmp_path, name) for name in "abc")
    runs.set_status(second, "running")
    runs.set_status(queued(tmp_path, "d"), "done")
    assert [run.path for run in jobs.queue(tmp_path)] == [second, first, third]


def test_nobody_waits_for_a_run_of_another_device(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # this one is for the processor
    queued(tmp_path, "a", "gpu0")
    path = queued(tmp_path, "b", "cpu")
    began = time.monotonic()
    jobs.stand_in_line(path)
    assert time.monotonic() - began < 1
    assert jobs._older_waiting(queued(tmp_path, "c", "cpu"))


def test_a_run_stands_in_line_until_the_older_ones_went(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "LOOK", 0.01)
    older, path = queued(tmp_path, "a"), queued(tmp_path, "b")
    waited = []
    sleep = lambda seconds: waited.append(seconds) or runs.set_status(older, "done")  # noqa: E731
    monkeypatch.setattr(jobs.time, "sleep", sleep)
    jobs.stand_in_line(path)
    assert waited == [0.01]


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RunError, match="no device 'gpu7' here: there is cpu"):
        jobs.start(make_recipe(FOREST), tmp_path, on="gpu7")


def test_gpus_come_first_and_the_processor_is_always_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    monkeypatch.setattr(jobs.Path, "exists", lambda path: True)
    assert jobs.devices() == ["gpu1", "gpu3", "cpu"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert jobs.devices() == ["cpu"]


def test_a_finished_run_is_not_stopped(tmp_path):
    path = runs.create_run(make_recipe(FOREST), {"name": "x", "path": "x"}, tmp_path)
    runs.set_status(path, "done")
    assert jobs.stop(path) == "done"


@pytest.mark.torture
def test_a_job_goes_on_with_a_run_that_was_cut_off(sample_workspace, tmp_path):
    """It was killed before it had drawn a place."""
    path = runs.create_run(make_recipe(FOREST), {"name": "sample", "path": "sample"}, tmp_path)
    status = runs.read_status(path)
    runs.write_json(path / "status.json", status | {"process_started": "at another time"})
    run = runs.open_run(path)
    assert run.state == "lost"
    jobs.go_on(run)
    assert run.state in ("queued", "running")
    with pytest.raises(RunError, match="there is nothing to go on with"):
        jobs.go_on(run)
    wait(run, "done")
    with pytest.raises(RunError, match="is done: there is nothing to go on with"):
        jobs.go_on(run)
