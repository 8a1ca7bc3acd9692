"""Many visitors of the dashboard at once, many after each other, and four maps of a province."""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil

from benchmarks.serving import served, with_runs
from benchmarks.timing import Row
from benchmarks.visitor import Event, Visitor, changed, zoomed

PAGES = ("Study area", "Factors", "Sampling", "Training", "Compare", "Inventory", "Transfer",
         "Export")  # fmt: skip
USERS = 10
MINUTE = 60.0  # seconds the users stay
THINKING = (2.0, 8.0)  # seconds for which a user looks at what came
MENU = 0.1  # share of the clicks that choose another page: one in a minute or so
VISITS = 200
AT_ONCE = 4
FORGET = 40.0  # seconds after which the server has forgotten who has gone


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        environment = with_runs(folder)
        with served(environment) as (address, server):
            yield from asyncio.run(_rows(address, server, 40 if quick else VISITS))


async def _rows(address: str, server: psutil.Process, visits: int) -> list[Row]:
    rng = np.random.default_rng(1)
    for page in PAGES:  # what is read once for all visitors is no visitor's memory
        await _visit(_address(address, page), page, rng)
    await asyncio.sleep(FORGET)
    before = _megabytes(server)
    users = [Visitor(_address(address, PAGES[i % len(PAGES)])) for i in range(USERS)]
    await asyncio.gather(*(user.enter() for user in users))
    until = time.monotonic() + MINUTE
    told = await asyncio.gather(*(_use(user, until, rng) for user in users))
    clicks = [seconds for user in told for _, seconds in user]
    during = _megabytes(server)
    for user in users:
        await user.leave()
    worst = max((found for user in told for found in user), key=lambda found: found[1])
    note = f"{len(clicks)} clicks in {MINUTE:.0f} s, 95% within {np.quantile(clicks, 0.95):.2g} s, "
    note += f"worst {worst[1]:.2g} s ({worst[0]}); {sum(len(user.errors) for user in users)} errors"
    session = (during - before) / USERS
    await asyncio.sleep(FORGET)
    start = _megabytes(server)
    seconds = time.monotonic()
    await _soak(address, visits, rng)
    seconds = time.monotonic() - seconds
    top = _megabytes(server)
    await asyncio.sleep(FORGET)
    end = _megabytes(server)
    soak = f"{start:.0f} MB before, {top:.0f} MB at the end of {seconds:.0f} s, {end:.0f} MB once "
    soak += "they were forgotten"
    return [
        Row("S3", f"{USERS} users, each a click in 5 s or so: median until something changes", 1,
            statistics.median(clicks), "s", note=note),
        Row("S4", "memory of a session", 60, session, "MB", note="after a minute of use"),
        Row("S5", f"memory after {visits} visits, over that before", 1.05, end / start, note=soak),
    ]  # fmt: skip


def _address(root: str, page: str) -> str:
    return f"{root}?page={quote(page)}&area=sample&part=Runs"


def _megabytes(server: psutil.Process) -> float:
    return server.memory_info().rss / 1e6


async def _use(user: Visitor, until: float, rng: Any) -> list[tuple[str, float]]:
    """Click and think until the time is over; what was clicked, and after how long it answered."""
    page = next(name for name in PAGES if f"page={quote(name)}&" in user.address)
    told = []
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(*THINKING))
        if rng.random() < MENU:
            page = str(rng.choice([name for name in PAGES if name not in (page, _here(user))]))
            told.append((f"to {page}", await _go(user, page)))
        else:
            told.append((page, await CLICKS[page](user, rng)))
    return told


async def _soak(address: str, visits: int, rng: Any) -> None:
    """Visits of one page and one click each, a few at once."""

    async def one_after_another(share: int) -> None:
        for i in range(share, visits, AT_ONCE):
            page = PAGES[i % len(PAGES)]
            await _visit(_address(address, page), page, rng)

    await asyncio.gather(*map(one_after_another, range(AT_ONCE)))


async def _visit(address: str, page: str, rng: Any) -> None:
    visitor = Visitor(address)
    await visitor.enter()
    await visitor.settle()
    await CLICKS[page](visitor, rng)
    await visitor.settle(0.5)
    await visitor.leave()


async def _go(user: Visitor, page: str) -> float:
    menu = user.find("MenuList")
    user.models[menu][1]["active"] = PAGES.index(page)
    asked = changed(menu, "active", PAGES.index(page))
    return await user.do(asked, seen=partial(_there, page))


def _here(user: Visitor) -> str:
    """The page that the user chose last; nothing before the first choice."""
    active = user.models[user.find("MenuList")][1].get("active")
    return "" if active is None else PAGES[active]


def _there(page: str, event: Event) -> bool:
    """Whether the server says that it has put a page there."""
    told = event.get("new")
    if event.get("attr") != "value" or not str(told).startswith('{"times"'):
        return False
    found = json.loads(told)
    return bool(found["done"]) and found["last"]["page"] == page


def _other(kind: str, label: str, name: str = "value") -> Callable[..., Awaitable[float]]:
    """Choose another of a widget's options."""

    async def click(user: Visitor, rng: Any) -> float:
        widget = await user.await_model(kind, label=label)
        known = user.models[widget][1]
        value = str(rng.choice([o for o in known["options"] if o != known.get(name)]))
        known[name] = value
        return await user.do(changed(widget, name, value))

    return click


async def _slide(user: Visitor, rng: Any) -> float:
    """Let the radius go; while it is dragged, the browser alone recolours the heat."""
    slider = await user.await_model("FloatSlider", label="Radius, metres")
    known = user.models[slider][1]
    steps = round((known["end"] - known["start"]) / known["step"])
    value = known["start"] + known["step"] * int(rng.integers(0, steps))
    known["value"] = value = value + known["step"] * (value == known["value"])
    moved = (changed(slider, name, value) for name in ("value", "value_throttled"))
    words = f"Radius &lt;strong&gt;{value:,.1f} m"  # not what still comes of the radius before
    return await user.do(*moved, seen=lambda event: words in str(event.get("new")))


async def _zoom(user: Visitor, rng: Any) -> float:
    """Look at a quarter of a map, anywhere; maps of one area follow each other."""
    await user.await_model("Select", label="Shown")
    plot, (left, right), (bottom, top) = user.maps()[-1]  # older ones may be of a page left
    x, y = left + (right - left) * rng.random() / 2, bottom + (top - bottom) * rng.random() / 2
    return await user.do(zoomed(plot, (x, x + (right - left) / 2), (y, y + (top - bottom) / 2)))


def _away_or_back(page: str) -> Callable[..., Awaitable[float]]:
    """For pages whose widgets answer within the browser: the menu, in turns."""

    async def click(user: Visitor, rng: Any) -> float:
        return await _go(user, page if _here(user) == "Study area" else "Study area")

    return click


CLICKS = {
    "Study area": _other("RadioButtonGroup", "What to look at"),
    "Factors": _other("Select", "Factor"),
    "Sampling": _slide,
    "Training": _other("Select", "Run"),
    "Compare": _zoom,
    "Inventory": _away_or_back("Inventory"),
    "Transfer": _away_or_back("Transfer"),
    "Export": _other("Select", "Dots an inch"),
}
