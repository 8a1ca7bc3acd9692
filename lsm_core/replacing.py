"""A study area's folder, replaced whole or not at all, whenever the process that does it is killed.

The new one is written beside it (`.NAME.new`), the old one is moved away (`.NAME.old`), the new one
takes its place. A process that is killed between the two moves leaves no area: whoever opens it, or
writes it next, moves the old one back.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lsm_core.errors import AreaError
from lsm_core.locks import alone

MOVING = 10.0  # seconds that two folders may take to change places


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new folder beside `path` that takes its place when all went well, and vanishes if not."""
    new, old = (path.with_name(f".{path.name}.{kind}") for kind in ("new", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _writing(path):
            _put_right(path, new, old)
            try:
                new.mkdir()
                yield new
                if path.exists():
                    path.rename(old)
                new.rename(path)
            finally:
                _put_right(path, new, old)
    except OSError as error:
        raise AreaError(f"{path} could not be written ({error}): is the disk full?") from error


def being_built(path: Path) -> AbstractContextManager[None]:
    """Held from the first look at the sources on, so that nobody builds the same for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another process builds {path}: wait until it has ended"
    return alone(path.with_name(f".{path.name}.building"), busy, error=AreaError)


def _writing(path: Path, wait: float = 0.0) -> AbstractContextManager[None]:
    busy = f"another process is writing {path}: wait until it has ended"
    return alone(path.with_name(f".{path.name}.lock"), busy, wait=wait, error=AreaError)


def _put_right(path: Path, new: Path, old: Path) -> None:
    """Leave the area alone there, as it was where a new one did not take its place."""
    if old.is_dir() and not path.exists():  # it ended between two moves
        old.rename(path)
    for folder in (new, old):
        shutil.rmtree(folder, ignore_errors=True)


def bring_back(path: Path) -> None:
    """The area as it was, where a process was killed between moving it away and the new one in."""
    old = path.with_name(f".{path.name}.old")
    if old.is_dir() and not path.exists():
        with _writing(path, wait=MOVING):
            if not path.exists():
                old.rename(path)
