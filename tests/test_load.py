"""Twenty visitors drag, compare and train at once, for ten minutes (`LSM_LOAD_MINUTES`)."""

import asyncio
import itertools
import json
import os
import socket
import time
from functools import partial
from urllib.parse import quote

import numpy as np
import psutil
import pytest

from benchmarks.serving import served, with_runs
from benchmarks.visitor import Visitor, changed
from benchmarks.visits import CLICKS, FORGET, THINKING
from lsm_core import jobs, runs

pytestmark = pytest.mark.torture
MINUTES = float(os.environ.get("LSM_LOAD_MINUTES", "10"))
VISITORS = int(os.environ.get("LSM_LOAD_VISITORS", "20"))
TRAINING = max(1, VISITORS // 5)
COMPARING = (VISITORS - TRAINING) // 2
DRAGGING = VISITORS - TRAINING - COMPARING
BETWEEN = 60.0  # seconds between two runs that one of them starts
COMING = 150.0  # seconds in which all of them come
LOOK = 5.0  # seconds between two looks at memory
SMALL = ["map=false", "model.options.n_estimators=20"]
MEDIAN = 10.0  # seconds; an answer that takes longer than `visitor.LONGEST` is none
STEPS = 6  # of one drag


class Day:
    """What happened: seconds of each answer, and megabytes of the server and of waiting jobs."""

    def __init__(self, address, server, until):
        self.address, self.server, self.until = address, server, until
        self.compared = [run.id for run in runs.list_runs()]  # before others train theirs
        self.rng = np.random.default_rng(1)
        self.arriving = min(COMING, max(0.0, until - time.monotonic()) / 4)  # seconds
        self.taken, self.visitors = {}, []
        self.memory, self.waiting = [], []

    @property
    def over(self):
        return time.monotonic() > self.until

    async def think(self):
        await asyncio.sleep(self.rng.uniform(*THINKING))

    async def enter(self, query):
        await asyncio.sleep(self.rng.uniform(0, self.arriving))
        visitor = Visitor(f"{self.address}?area=sample&{query}")
        self.visitors.append(visitor)
        self.keep("a page", await visitor.enter())
        return visitor

    def keep(self, what, seconds):
        self.taken.setdefault(what, []).append(seconds)

    async def drag(self):
        """The radius on the Sampling page, and the limits of a factor's classes after a while."""
        visitor = await self.enter("page=Sampling")
        while not self.over:
            await self.think()
            self.keep("a radius let go", await CLICKS["Sampling"](visitor, self.rng))

    async def compare(self):
        """The threshold of all curves and tables, dragged; and the maps, zoomed."""
        visitor = await self.enter(f"page=Compare&runs={quote(json.dumps(self.compared))}")
        await visitor.await_model("FloatSlider", label="Threshold")
        await visitor.await_model("Select", label="Shown")
        at = 35  # it stands at 0.5
        while not self.over:
            await self.think()
            if self.rng.random() < 0.5:
                self.keep("a map zoomed", await CLICKS["Compare"](visitor, self.rng))
                continue
            at = (at + int(self.rng.integers(STEPS, 70))) % 75  # never where it is already
            slider = visitor.find("FloatSlider", label="Threshold")  # as the page is now
            for step in range(STEPS):
                value = (10 + at + step) / 100
                said = [changed(slider, name, value) for name in ("value", "value_throttled")]
                there = partial(marked, value)
                self.keep("a threshold dragged on", await visitor.do(*said, seen=there))

    async def train(self, number):
        """A small run every minute, on places of its own, followed meanwhile."""
        settings = quote(json.dumps([*SMALL, f"seed={100 + number}"]))
        query = f"page=Training&part=New run&recipe=random_forest&changes={settings}"
        visitor = await self.enter(query.replace(" ", "%20"))
        while not self.over:
            await visitor.await_model("Button", label="Start")
            self.keep("a run started", await visitor.do(visitor.press("Start")))
            await asyncio.sleep(BETWEEN)
            tabs = visitor.find("Tabs")
            visitor.models[tabs][1]["active"] = 0
            self.keep("another tab", await visitor.do(changed(tabs, "active", 0)))

    async def watch(self):
        """How much memory the server has, and all jobs that run or wait."""
        while not self.over:
            self.memory.append(megabytes(self.server))
            self.waiting.append(sum(map(megabytes, self.server.children(recursive=True))))
            await asyncio.sleep(LOOK)

    async def spend(self):
        """All of them at once, until it is over; then they leave."""
        own = [self.drag() for _ in range(DRAGGING)] + [self.compare() for _ in range(COMPARING)]
        own += [self.train(number) for number in range(TRAINING)]
        try:
            await asyncio.gather(*own, self.watch())
        finally:
            for visitor in self.visitors:
                await visitor.leave()


def marked(threshold, event):
    """Whether the server says that the line of the threshold is there now, not where it was."""
    return event.get("attr") == "location" and event["new"] == threshold


def megabytes(process):
    try:
        return process.memory_info().rss / 1e6
    except psutil.NoSuchProcess:
        return 0.0


async def warm(address):
    """What is read once for all visitors is no visitor's memory."""
    day = Day(address, None, 0)
    for page in ("Sampling", "Compare", "Training"):
        visitor = await day.enter(f"page={page}")
        await visitor.settle()
        await visitor.leave()
    await asyncio.sleep(FORGET)


def ended(folder, seconds=600):
    """The runs that were queued, once all are over, in the order of the queue."""
    until = time.monotonic() + seconds
    while jobs.queue(folder) and time.monotonic() < until:
        time.sleep(0.5)
    return [run for run in runs.list_runs(folder) if (run.path / "job.json").is_file()]


def spans(made):
    """When each run began and ended, as its progress tells."""
    events = [runs.read_progress(run.path)[0] for run in made]
    return [(some[0]["time"], some[-1]["time"]) for some in events]


def complaints(said):
    """Lines of a server's log that tell of something that nobody caught."""
    words = ("ERROR", "CRITICAL", "Traceback", "Exception in thread", "Exception ignored")
    return [line for line in said.splitlines() if any(word in line for word in words)]


@pytest.mark.parametrize(
    "line",
    ["2026-01-01 00:00:00 ERROR   bokeh: x", "Traceback (most recent call last):",
     "Exception in thread Thread-3 (_wait):", "Exception ignored in: <function f>"],
)  # fmt: skip
def test_a_log_with_something_that_nobody_caught_is_found(line):
    assert complaints(f"the server listens\n{line}\n  more") == [line]
    assert complaints("2026-01-01 00:00:00 WARNING lsm_app.guard: a wrong password") == []


def test_twenty_visitors_for_ten_minutes(tmp_path, monkeypatch, tally):
    environment = with_runs(str(tmp_path / "ws")) | {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("LSM_WORKSPACE", environment["LSM_WORKSPACE"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        open(tmp_path / "log", "wb") as log,
        served(environment, port, log) as (address, server),
    ):
        asyncio.run(warm(address))
        start = megabytes(server)
        day = Day(address, server, time.monotonic() + 60 * MINUTES)
        asyncio.run(day.spend())
        made = ended(runs.runs_folder())
        time.sleep(FORGET)
        left = megabytes(server)
    tell(day, start, left, made, tally)

    assert [error for visitor in day.visitors for error in visitor.errors] == []
    said = (tmp_path / "log").read_text()
    assert complaints(said) == [], said
    assert {run.state for run in made} == {"done"}
    between = spans(made)
    assert all(now[0] >= before[1] for before, now in itertools.pairwise(between))
    quarter = len(day.memory) // 4
    early, late = (float(np.mean(part)) for part in (day.memory[quarter : 2 * quarter],
                                                     day.memory[-quarter:]))  # fmt: skip
    assert late < 1.2 * early + 50, day.memory
    assert left < 1.5 * start + 100
    every = [seconds for times in day.taken.values() for seconds in times]
    assert np.median(every) < MEDIAN


def tell(day, start, left, made, tally):
    tally.count("load: visitors at once", VISITORS)
    for what, times in day.taken.items():
        tally.seconds(f"load: {what}", *times)
    tally.seconds("load: all that was asked", *(s for times in day.taken.values() for s in times))
    tally.count("load: runs trained, one after another", len(made))
    words = f"{start:.0f} MB at the start, {day.memory[-1]:.0f} MB at the end (most "
    words += f"{max(day.memory):.0f} MB), {left:.0f} MB once they were forgotten"
    tally.told(f"load: memory of the server in {MINUTES:g} minutes", words)
    tally.told("load: most memory of all jobs that run or wait", f"{max(day.waiting):.0f} MB")
