"""What a network has learnt so far, in a file of the run's folder: training goes on from it."""

import time
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lsm_core.run_files import check_inside, replace
from lsm_core.training_record import Packed

NAME = "checkpoint.npz"
SHARE = 0.05  # of the time of training, at most, that writing takes


class Checkpoint:
    """The file of a run; it is written after an epoch, or after several where that is slow."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._not_before = 0.0

    def read(self) -> Packed | None:
        """What was written last; None where there is none, or one that nobody can read."""
        check_inside(self.path)
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                return dict(found)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None

    def write(self, pack: Callable[[], Packed], *, last: bool) -> None:
        """Write what `pack()` gives, in any case where it is the `last` time."""
        began = time.monotonic()
        if began < self._not_before and not last:
            return
        packed = pack()

        def save(part: Path) -> None:
            with part.open("wb") as file:
                np.savez(file, **packed)  # type: ignore[arg-type]

        replace(self.path, save)
        now = time.monotonic()
        self._not_before = now + (now - began) / SHARE
