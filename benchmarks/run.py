"""Run the benchmarks, print one table and keep it in RESULTS.md: `python -m benchmarks.run`.

Every file beside this one that has `rows(quick)`, which yields rows of the table, is a benchmark;
names on the command line pick some, and rows of the others stay as they were. `--quick` takes
smaller rasters where a row says so. Verdicts are told, never failed on.
"""

import importlib
import os
import platform
import sys
import time
from pathlib import Path

import psutil

from benchmarks.timing import Row

Times = dict[str, float]  # seconds of the processor, by what they went to
HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
HEAD = """# Benchmarks

Ratios of two jobs timed in turn within one run, medians of pairs (`make bench`; see `timing.py`).
Seconds depend on the machine and on what else ran (load: processes that wanted a core, mean of the
last minute; stolen: share of the processor's time that other machines on the same host took);
ratios much less.

| id | what | target | seen | verdict | how | machine, date, load |
|---|---|---|---|---|---|---|
"""


def main(words: list[str]) -> None:
    quick = "--quick" in words
    chosen = [word for word in words if word != "--quick"]
    lines = _kept()
    for path in sorted(HERE.glob("*.py")):
        if chosen and path.stem not in chosen:
            continue
        if path.stem == "run":
            continue
        module = importlib.import_module(f"benchmarks.{path.stem}")
        if not hasattr(module, "rows"):
            continue
        before = psutil.cpu_times()._asdict()
        for row in module.rows(quick):
            lines[row.id] = _line(row, before)
            print(lines[row.id], flush=True)
            table = [lines[key] for key in sorted(lines, key=_order)]
            RESULTS.write_text(HEAD + "\n".join(table) + "\n")
    print(RESULTS.read_text())


def _line(row: Row, before: Times) -> str:
    sign = "at least" if row.at_least else "at most"
    target, seen = f"{sign} {row.target:g} {row.unit}", f"{row.seen:.3g} {row.unit}"
    if row.seen >= 100:
        seen = f"{row.seen:.0f} {row.unit}"
    cells = [row.id, row.what, target, seen, row.verdict, row.note, _machine(before)]
    return "| " + " | ".join(cells) + " |"


def _machine(before: Times) -> str:
    """Cores, processor, memory, day, load and time stolen since `before`; no names."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [ln.split(":")[1].strip() for ln in info.read_text().splitlines() if "name" in ln]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    words = f"{cores} x {model}, {memory:.0f} GiB; {time.strftime('%Y-%m-%d')}; load {load:.1f}"
    return words + _stolen(before, psutil.cpu_times()._asdict())


def _stolen(before: Times, now: Times) -> str:
    """Of the time in which something wanted to run; empty where the system does not tell."""
    spent = {key: now[key] - before[key] for key in now if not key.startswith(("idle", "iowait"))}
    return (
        f"; stolen {spent['steal'] / max(sum(spent.values()), 0.01):.0%}"
        if "steal" in spent
        else ""
    )


def _kept() -> dict[str, str]:
    if not RESULTS.exists():
        return {}
    rows = [ln for ln in RESULTS.read_text().splitlines() if ln.startswith("| ")][1:]
    return {row.split("|")[1].strip(): row for row in rows}


def _order(row_id: str) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, row_id))
    return int(digits or 0), row_id


if __name__ == "__main__":
    main(sys.argv[1:])
