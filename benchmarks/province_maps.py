"""Four maps of a province beside each other on the Compare page: a turn of the wheel over them."""

import asyncio
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil

from benchmarks.large_map import PROVINCE, random_area
from benchmarks.serving import lsm, served
from benchmarks.timing import TIMES, Row
from benchmarks.visitor import Visitor, zoomed

SEEDS = (1, 2, 3, 4)
QUIET = 1.5  # seconds without news, after which nothing more is coming


def rows(quick: bool) -> Iterator[Row]:
    shape = (1000, 1000) if quick else PROVINCE
    with tempfile.TemporaryDirectory() as folder:
        random_area(shape, Path(folder) / "areas" / "province", ("elevation", "wetness"))
        environment = os.environ | {"LSM_WORKSPACE": folder}
        for seed in SEEDS:
            lsm(f"run logistic_regression --area province --set seed={seed}", environment)
        runs = json.dumps(sorted(os.listdir(Path(folder) / "runs")))
        with served(environment) as (address, server):
            yield asyncio.run(_row(f"{address}?page=Compare&runs={quote(runs)}", server, shape))


async def _row(address: str, server: psutil.Process, shape: tuple[int, int]) -> Row:
    visitor = Visitor(address)
    first = await visitor.enter()
    first += await visitor.settle(20)
    whole = visitor.received
    wall, busy, sent = [], [], []
    for part in range(TIMES + 1):
        plot, x, y = visitor.maps()[0]
        share = 2.0 ** -(part + 1)
        before, bytes_before = sum(server.cpu_times()[:2]), visitor.received
        seconds = await visitor.do(zoomed(plot, _middle(x, share), _middle(y, share)))
        seconds += await visitor.settle(QUIET)
        wall.append(seconds)
        busy.append(sum(server.cpu_times()[:2]) - before)
        sent.append(visitor.received - bytes_before)
    maps = len(visitor.maps())
    await visitor.leave()
    note = f"{maps} maps; processor {statistics.median(busy[1:]):.2g} s, "
    note += f"{statistics.median(sent[1:]) / 1e6:.2g} MB sent; the page was whole after {first:.0f}"
    note += f" s and {whole / 1e6:.0f} MB"
    name = f"zoom of four linked maps of {shape[0]:,} x {shape[1]:,}"
    return Row("S6", f"{name}: until the last has its cells", 1, statistics.median(wall[1:]), "s",
               note=note)  # fmt: skip


def _middle(ends: tuple[float, float], share: float) -> tuple[float, float]:
    middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2 * share
    return middle - half, middle + half
