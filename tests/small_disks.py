"""Disks of a few megabytes, in memory, that can be filled or locked; they take a mount."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = 4096


class Disk:
    """A mounted folder whose size can be set anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def used(self) -> int:
        """Bytes in whole pages, as the disk counts them."""
        found = subprocess.run(
            ["df", "--block-size=1", "--output=used", str(self.folder)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(found.stdout.split()[-1])

    def set(self, option: str) -> None:
        """`size=...`, `ro` or `rw`."""
        _mount("-o", f"remount,{option}", str(self.folder))

    def leave(self, room: int) -> None:
        """Room for so many bytes more, to a page."""
        self.set(f"size={self.used() + max(room // PAGE, 1) * PAGE}")

    def roomy(self) -> None:
        self.set("size=1g")


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Mounted while this lasts; where nobody may mount, the test is skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", "size=1g", "lsm-test", str(folder))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a small disk")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
