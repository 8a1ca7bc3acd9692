"""Memory that runs out while a command works: a sentence or `lost`, and it goes on where there is.

The limit is set on the process from outside, so many megabytes above what it has, once it writes.
What is written in C may end a process at once where it finds no memory: that reads as `lost`.
"""

import os
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest
from killing import LONG, Killer, check_whole, fingerprint
from test_full_disk import COMMANDS, clear, last_line, words_of
from test_full_disk import made as made
from test_kills import same_map, whole_run
from test_kills import warm as warm
from test_kills import workspace as workspace

from lsm_core.runs import list_runs

pytestmark = pytest.mark.torture

PATIENCE = 60.0  # seconds; with memory none of these commands takes ten


def limited(process, margin, into=None):
    """Let it have `margin` megabytes more than it has (when its run folder is there)."""
    until = time.monotonic() + LONG
    while into is not None and not list_runs(into):
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
        limited(process, margin, into)
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


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"forest", "network"}))
def test_another_command(made, warm, tmp_path, tally, name):
    """Limited as it begins: what was there stays, and with the limit gone it is done."""
    place = tmp_path / "ws"
    shutil.copytree(made, place)
    killer, words = Killer(place, np.random.default_rng(0), warm), words_of(name, place)
    before = fingerprint(place)
    for margin in (1, 20, 100, 400):
        clear(place, before)
        process = killer.start(words)
        limited(process, margin)
        complained = until_killed(process, tally)
        tally.count("other commands short of memory")
        by_c = process.returncode < 0 or process.returncode == 127  # as the system's loader says
        assert by_c or process.returncode in (0, 2), complained[-3000:]
        if process.returncode == 2:
            assert last_line(complained).startswith("error: "), complained
            assert "build it again" not in complained  # nothing is broken
        assert "Traceback" not in complained.split("Exception ")[0], complained[-3000:]
        check_whole(place)
        now = fingerprint(place)
        assert {file: now.get(file) for file in before} == before
        if process.returncode:
            killer.finish(words)


def until_killed(process, tally):
    """What it complained. Where not even a thread finds memory to begin, Python waits for ever."""
    try:
        return process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        tally.count("of them that waited for memory for ever, and were killed")
        return process.communicate()[1]
