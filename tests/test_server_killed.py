"""A server that is killed under ten visitors and four jobs, and browsers that go without a word."""

import asyncio
import json
import os
import subprocess
import sys
import time
from urllib.parse import quote

import psutil
import pytest
from test_kills import FOREST, whole_run
from test_kills import warm as warm
from test_kills import workspace as workspace

from benchmarks.serving import served
from benchmarks.visitor import Visitor
from benchmarks.visits import PAGES
from lsm_core import errands
from lsm_core.runs import list_runs

pytestmark = pytest.mark.torture

VISITORS, JOBS = 10, 4
PORT = 5097
LONG = 300.0
# What the dashboard does when somebody presses Start, by a process that can be killed.
STARTER = """
import json, sys, time
from pathlib import Path
from lsm_core import errands, jobs
from lsm_core.recipe import make_recipe
for told in json.loads(sys.argv[1]):
    jobs.start(make_recipe(told), Path(sys.argv[2]))
errands.start(["sample", "--name", "more", "--resolution", "150"], "building more", "more")
print("started", flush=True)
time.sleep(600)
"""


async def visit(address, count=VISITORS):
    """Visitors on every page, who stay; seconds until each saw it."""
    visitors = [Visitor(f"{address}?page={quote(PAGES[i % len(PAGES)])}") for i in range(count)]
    seconds = [await visitor.enter() for visitor in visitors]
    for visitor in visitors:
        await visitor.settle()
        assert visitor.errors == []
    return visitors, seconds


def gone(visitors):
    """Their browsers are no more: no goodbye, the connection is cut."""
    for visitor in visitors:
        visitor._listening.cancel()
        visitor._socket.protocol.stream.close()
        visitor._socket.protocol = None  # or Tornado warns that nobody closed it


def wait(what, seconds=LONG):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_jobs_and_errands_go_on(workspace, warm, monkeypatch, tally):
    monkeypatch.setenv("LSM_WORKSPACE", str(workspace))
    wanted = whole_run(workspace, "forest", warm).metrics["scores"]
    environment = os.environ | {"LSM_WORKSPACE": str(workspace), "OMP_NUM_THREADS": "1"}
    asked = json.dumps([FOREST] * JOBS)
    into = workspace / "jobs"

    async def before(address, server):
        visitors, seconds = await visit(address)
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, asked, str(into)],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with starter:
            assert starter.stdout.readline() == "started\n"
            states = [run.state for run in list_runs(into)]
            assert set(states) <= {"queued", "running"}
            server.kill()
            starter.kill()
        gone(visitors)
        return seconds

    async def after(address):
        visitors, seconds = await visit(address)
        assert not {"lost", "failed"} & {run.state for run in list_runs(into)}
        gone(visitors)
        return seconds

    with served(environment, PORT) as (address, server):
        first = asyncio.run(before(address, server))
    wait(lambda: not psutil.pid_exists(server.pid))
    states = [run.state for run in list_runs(into)]
    assert set(states) <= {"queued", "running", "done"}, states
    with served(environment, PORT) as (address, _):
        second = asyncio.run(after(address))
        wait(lambda: all(run.state == "done" for run in list_runs(into)))
        third = asyncio.run(after(address))
    found = list_runs(into)
    assert [run.metrics["scores"] for run in found] == [wanted] * JOBS
    (errand,) = errands.errands()
    assert errand.state == "done", errand.error
    assert (workspace / "areas" / "more").is_dir()
    tally.count("servers killed under visitors and jobs")
    tally.count("jobs that went on to their end", len(found) + 1)
    tally.seconds("a page, entered with the server as it was and started anew", *first, *second,
                  *third)  # fmt: skip
