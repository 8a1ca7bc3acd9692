"""Which commit of the program is at work, for what it writes beside its results."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

CHANGED = " with changes"
FROM_A_WHEEL = "none: installed from a wheel"
UNKNOWN = "unknown: git does not say"


@cache
def commit() -> str:
    """The commit of the checkout that this process runs from, asked of git once.

    Twelve digits, with a mark where files that git knows differ from it; or a word, of a program
    that was installed from a wheel, or where git is missing or refuses.
    """
    return commit_of(Path(__file__).parent.parent)


def commit_of(folder: Path) -> str:
    """The same of any folder: a checkout is one that itself holds `.git`, not one inside another.

    >>> commit_of(Path("nowhere"))
    'none: installed from a wheel'
    """
    if not (folder / ".git").exists():
        return FROM_A_WHEEL
    git = shutil.which("git")
    if git is None:
        return UNKNOWN
    asked = ["describe", "--always", "--exclude=*", "--abbrev=12", f"--dirty={CHANGED}"]
    calm = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # it writes nothing, whoever else is at work
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *asked], capture_output=True, text=True, timeout=10, env=calm
        )
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN
