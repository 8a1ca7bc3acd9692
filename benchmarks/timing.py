"""What every benchmark shares: a row of the table, two jobs timed in turn, peak memory."""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

TIMES = 5


class Row(NamedTuple):
    """One line of the table: `seen` is held against `target`, from below or (`at_least`) above."""

    id: str
    what: str
    target: float
    seen: float
    unit: str = "x"
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        held = self.seen >= self.target if self.at_least else self.seen <= self.target
        return "holds" if held else "short"


def in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], times: int = TIMES
) -> tuple[float, str]:
    """Median of ours / theirs, each pair run one right after the other; and the medians in words.

    Whatever else loads the machine meanwhile slows both of a pair about alike. The first pair only
    warms caches.
    """
    pairs = []
    for turn in range(times + 1):
        pair = (_seconds(ours), _seconds(theirs))
        if turn:
            pairs.append(pair)
    ratio = statistics.median(a / b for a, b in pairs)
    low, high = (edge(a / b for a, b in pairs) for edge in (min, max))
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return ratio, f"{first:.3g} s / {second:.3g} s, {times} pairs from {low:.2g} to {high:.2g}"


def peak_gigabytes(code: str) -> float:
    """Greatest resident memory of a new Python that runs `code`."""
    tail = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    command = [sys.executable, "-c", code + tail]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) * 1024 / 1e9  # kilobytes on Linux


def _seconds(job: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
