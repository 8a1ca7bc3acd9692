"""How much a served workspace takes: runs that wait, runs that are kept, bytes of all its files.

`lsm serve` says it by the environment. Whoever works on the command line is not limited.
"""

import os
from pathlib import Path

from lsm_core.workspace import workspace

WAITING, KEPT, BYTES = "LSM_MOST_WAITING", "LSM_MOST_RUNS", "LSM_LARGEST_WORKSPACE"


def most(name: str) -> float:
    """The limit of this name; infinity where none is set."""
    return float(os.environ.get(name) or "inf")


def full(used: int | None = None) -> str:
    """Why nothing more may be put into the workspace, in words; nothing where there is room.

    `used` : bytes that it holds, of who knows; else they are counted.
    """
    limit = most(BYTES)
    used = bytes_of_all() if used is None else used
    if used < limit:
        return ""
    return (
        f"the workspace holds {used / 1e9:,.1f} GB, and it may hold {limit / 1e9:,g} GB: delete "
        "runs, areas or uploads that nobody needs, or have it served with another "
        "--largest-workspace"
    )


def crowded(there: int, more: int = 1) -> str:
    """Why no more may run or wait, in words; `there` do already."""
    if there + more <= most(WAITING):
        return ""
    return (
        f"{there} run or wait already, {more} more would be above the {most(WAITING):g} that this "
        "server takes (--most-waiting): wait until some have ended, stop some, or start fewer"
    )


def many(there: int, more: int = 1) -> str:
    """Why no more runs may be kept, in words; `there` are already."""
    if there + more <= most(KEPT):
        return ""
    return (
        f"{there:,} runs are kept, {more} more would be above the {most(KEPT):,g} that this server "
        "takes (--most-runs): delete some that nobody needs"
    )


def bytes_of_all() -> int:
    """Of the workspace; 0 where it has no limit, and nobody has to count."""
    return 0 if most(BYTES) == float("inf") else bytes_of(workspace())


def bytes_of(folder: Path) -> int:
    """Of all files below a folder; what a link leads to lies elsewhere, and what goes is gone."""
    found = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                found += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return found
