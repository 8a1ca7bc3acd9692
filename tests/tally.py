"""What slow tests count, told at the end of `make torture`: cases, kills, seconds, memory.

Counts travel with a test's report, so that they also arrive from the processes of pytest-xdist.
"""

import statistics

import pytest

COUNT, SECONDS, TOLD = "count", "seconds", "told"


class Tally:
    """A test's own counts, by the name of what was counted."""

    def __init__(self, keep):
        self._keep = keep

    def count(self, name, number=1):
        """Add to a number that the tests share, also of those that fail later."""
        self._keep("tally", [COUNT, name, number])

    def seconds(self, name, *taken):
        """Add times, of which number, median and worst are told."""
        self._keep("tally", [SECONDS, name, list(taken)])

    def told(self, name, words):
        """A line as it is: memory at start and end, say."""
        self._keep("tally", [TOLD, name, words])


@pytest.fixture
def tally(record_property):
    return Tally(record_property)


def lines_of(kept):
    """A line for each name, in the order in which they first came.

    >>> kept = [[COUNT, "kills", 2], [SECONDS, "an answer", [1.0, 3.0, 2.0]], [COUNT, "kills", 1]]
    >>> lines_of(kept)
    ['kills: 3', 'an answer: 3 times, median 2.00 s, worst 3.00 s']
    """
    found = {}
    for kind, name, value in kept:
        found.setdefault((kind, name), []).append(value)
    return [f"{name}: {_in_words(kind, values)}" for (kind, name), values in found.items()]


def _in_words(kind, values):
    if kind == COUNT:
        return f"{sum(values):,}"
    if kind == TOLD:
        return "; ".join(values)
    taken = [second for some in values for second in some]
    if not taken:
        return "0 times"
    middle = statistics.median(taken)
    return f"{len(taken):,} times, median {middle:.2f} s, worst {max(taken):.2f} s"


def pytest_terminal_summary(terminalreporter):
    """Below all else: what was counted, and how many tests of it ended well."""
    reports = [r for some in terminalreporter.stats.values() for r in some]
    calls = [r for r in reports if getattr(r, "when", "") == "call"]
    ends = [r for r in reports if getattr(r, "when", "") == "teardown"]  # which know all of it
    kept = [value for r in ends for name, value in r.user_properties if name == "tally"]
    if not kept:
        return
    terminalreporter.section("counts")
    well = sum(r.outcome == "passed" for r in calls)
    for line in (f"tests: {len(calls):,}, of which {well:,} ended well", *lines_of(kept)):
        terminalreporter.write_line(line)
