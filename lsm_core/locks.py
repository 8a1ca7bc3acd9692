"""One process at a time: a lock file that goes with the process that holds it, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsm_core.errors import LsmError, RunError


@contextmanager
def alone(
    lock: Path, busy: str, *, wait: float = 0.0, error: type[LsmError] = RunError
) -> Iterator[None]:
    """Hold a lock file, which goes afterwards.

    Raises
    ------
    `error`, in the words `busy` : another process holds it, and still does after `wait` seconds.
    """
    import filelock  # whoever only asks how a run stands does without

    held = filelock.FileLock(lock)
    try:
        held.acquire(timeout=wait)
    except filelock.Timeout as timeout:
        raise error(busy) from timeout
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held: afterwards it may be another's
        held.release()
