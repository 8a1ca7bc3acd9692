"""Maps by a cluster: the same to the last bit, also when a worker dies; misfits are refused."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_runs import read_map, small_run

from lsm_core import blocks, cluster, large_map
from lsm_core.errors import RunError, Stopped
from lsm_core.study_area import area_path

distributed = pytest.importorskip("distributed")

NETWORK = {
    "model": {"name": "cnn", "options": {"scse": False}},
    "split": {"block": 6000.0, "apart": 7},
    "input": {"form": "window", "size": 7},
    "training": {"epochs": 1},
}
SMALL = "from lsm_core import blocks, dense_map; blocks.VALUES, dense_map.TILE = 30_000, 40"


@pytest.fixture(scope="module")
def run(sample_workspace, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs"), **NETWORK)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Two workers, processes of their own, that cut maps as small as this process does."""
    preload = tmp_path_factory.mktemp("preload") / "small.py"
    preload.write_text(SMALL)
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        preload=[str(preload)],
        worker_dashboard_address=None,
        local_directory=str(preload.parent),
        silence_logs=50,
    ) as local:
        yield local.scheduler_address


@pytest.fixture(autouse=True)
def small(monkeypatch):
    from lsm_core import dense_map

    monkeypatch.setattr(blocks, "VALUES", 30_000)
    monkeypatch.setattr(dense_map, "TILE", 40)


@pytest.fixture(scope="module")
def expected(run, tmp_path_factory):
    """By a process of its own: this one may have loaded TensorFlow with other settings before."""
    return by_one_process(run, tmp_path_factory.mktemp("one") / "a.tif")


def by_one_process(run, to):
    code = f"""
{SMALL}
from pathlib import Path
from lsm_core import large_map, runs
large_map.write_large_map(runs.open_run({str(run.path)!r}), {str(area_path("sample"))!r},
                          Path({str(to)!r}), tell=print)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return read_map(to), done.stdout


@pytest.mark.torture
def test_the_map_is_that_of_one_process_though_a_worker_dies(run, expected, address, tmp_path):
    with distributed.Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)
    told, killed = [], []

    def kill_one(done, total):
        if not killed and done > total / 5:
            killed.append(done)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    to = large_map.write_large_map(
        run,
        area_path("sample"),
        tmp_path / "a.tif",
        scheduler=address,
        tell=told.append,
        on_progress=kill_one,
    )
    np.testing.assert_array_equal(read_map(to), expected[0])
    assert killed
    assert told == [f"2 workers at {address}"]


@pytest.mark.torture
def test_what_was_finished_on_a_cluster_is_kept(run, expected, address, tmp_path):
    to = tmp_path / "a.tif"
    asked = iter([False] * 3 + [True] * 9)
    with pytest.raises(Stopped, match="blocks left"):
        large_map.write_large_map(
            run, area_path("sample"), to, scheduler=address, should_stop=lambda: next(asked)
        )
    there = len(list(tmp_path.glob(".a.tif.blocks/*.npy")))
    assert there == 4
    found, told = by_one_process(run, to)
    assert told.startswith("4 of ")
    np.testing.assert_array_equal(found, expected[0])


@pytest.mark.torture
def test_workers_that_lack_a_folder_or_differ_are_refused(run, address, tmp_path, monkeypatch):
    area = area_path("sample")
    with pytest.raises(RunError, match=r"no .*gone: run and area must lie on a disk"):
        list(cluster.scores_on(address, run.path, tmp_path / "gone", []))
    monkeypatch.setattr(cluster.lsm_core, "__version__", "99")
    with pytest.raises(RunError, match=r"version .* this process version 99 on"):
        list(cluster.scores_on(address, run.path, area, []))


@pytest.mark.torture
def test_no_scheduler_is_a_plain_error(run, monkeypatch):
    monkeypatch.setattr(cluster, "WAIT", 1)
    with pytest.raises(RunError, match="no dask scheduler answers at tcp"):
        list(cluster.scores_on("tcp://127.0.0.1:9", run.path, area_path("sample"), []))
    with pytest.raises(RunError, match="no dask scheduler answers at nonsense://x"):
        list(cluster.scores_on("nonsense://x", run.path, area_path("sample"), []))
