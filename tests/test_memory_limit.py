"""Memory that runs out while a command works: a sentence or `lost`, and it goes on where there is.

The limit is set on the process from outside, so many megabytes above what it has, once it writes.
What is written in C may end a process at once where it finds no memory: that reads as `lost`.
"""

import resource
import time

import numpy as np
import psutil
import pytest
from killing import LONG, Killer, check_whole
from test_kills import same_map, whole_run
from test_kills import warm as warm
from test_kills import workspace as workspace

from lsm_core.runs import list_runs

pytestmark = pytest.mark.torture


def limited(process, into, margin):
    """Let it have `margin` megabytes more than it has when its run folder is there."""
    until = time.monotonic() + LONG
    while not list_runs(into):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    most = psutil.Process(process.pid).memory_info().vms + margin * 2**20
    resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))


@pytest.mark.parametrize("name", ["forest", "network"])
def test_a_run(workspace, warm, tmp_path, tally, name):
    whole = whole_run(workspace, name, warm)
    killer = Killer(workspace, np.random.default_rng(0), warm if name == "forest" else None)
    for margin in (1, 20, 100, 400):
        into = tmp_path / f"{margin}"
        process = killer.start(["run", f"{name}.yaml", "--into", str(into)])
        limited(process, into, margin)
        _, complained = process.communicate(timeout=LONG)
        tally.count("runs short of memory")
        (run,) = list_runs(into)
        check_whole(into)
        if process.returncode == 2:
            assert complained.splitlines()[-1].startswith("error: "), complained
            assert run.state in ("failed", "lost")  # where there is no memory for a word either
        else:  # done, or ended by a library in C
            assert run.state == ("done" if process.returncode == 0 else "lost"), complained
        # The thread that draws the bar finds no memory either, and says so in its own way.
        assert "Traceback" not in complained.split("Exception in thread")[0], complained[-3000:]
        killer.finish(["run", "--resume", str(run.path)])
        (run,) = list_runs(into)
        assert run.metrics["scores"] == whole.metrics["scores"]
        if run.has_map:
            same_map(run.map_path, whole.map_path)
