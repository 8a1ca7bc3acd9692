"""Commands as processes that are killed at random moments, and a look at what they leave."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import yaml
from warm import Fork, Warm

LONG = 300.0  # seconds any command may take on a busy machine
AT_WORK = 2 / 3  # share of the kills that come once a command has begun to write


class Killer:
    """Starts commands in a workspace; `kill` ends them at moments drawn between start and end.

    `warm` : whose forks they are (see there); without it each is a process of its own.
    """

    def __init__(self, workspace: Path, rng: np.random.Generator, warm: Warm | None = None) -> None:
        self.workspace, self.rng, self.warm = workspace, rng, warm
        self.kills = self.missed = 0
        self._times: dict[str, tuple[float, float]] = {}

    def start(self, words: list[str]) -> subprocess.Popen | Fork:
        """The command, in a session of its own, so that its children can be killed with it."""
        environment = {"LSM_WORKSPACE": str(self.workspace)}
        if self.warm is not None:
            return self.warm.start(words, self.workspace, environment)
        return subprocess.Popen(
            [sys.executable, "-m", "lsm_core.cli", *words],
            cwd=self.workspace, env=os.environ | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def finish(self, words: list[str], status: int = 0) -> str:
        """Let it come to its end; what it said and complained."""
        process = self.start(words)
        said, complained = process.communicate(timeout=LONG)
        assert process.returncode == status, complained[-3000:]
        assert "Traceback" not in complained, complained[-3000:]
        return said + complained

    def measure(self, kind: str, words: list[str]) -> str:
        """Let a command of a kind run to its end, and keep how long it takes, and to write."""
        before, began = set(self._files()), time.monotonic()
        process, first = self.start(words), None
        while process.poll() is None:
            if first is None and set(self._files()) - before:
                first = time.monotonic() - began
            time.sleep(0.02)
            assert time.monotonic() - began < LONG, words
        said, complained = process.communicate()
        assert process.returncode == 0, complained[-3000:]
        self._times[kind] = (first or 0.0, time.monotonic() - began)
        return said

    def kill(self, kind: str, words: list[str]) -> bool:
        """Start the command and kill it; False where it ended before."""
        first, last = self._times[kind]
        begin = first if self.rng.random() < AT_WORK else 0.0
        process, began = self.start(words), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            said = process.communicate(timeout=self.rng.uniform(begin, last))
            assert process.returncode == 0, said
            quicker = (time.monotonic() - began) / last  # than measured, on a machine less busy
            self._times[kind] = (first * quicker, last * quicker)
            self.missed += 1
            return False
        with contextlib.suppress(ProcessLookupError):  # it ends this very moment
            os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, said
            self.missed += 1
            return False
        self.kills += 1
        return True

    def _files(self):
        return self.workspace.rglob("*")


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of a folder by its hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def is_final(path: Path) -> bool:
    """Whether it has the name of a finished file: no dot before it, and not `unfinished`."""
    return path.is_file() and not any(
        part.startswith((".", "unfinished.")) for part in path.parts[-4:]
    )


def check_whole(folder: Path) -> int:
    """Every file with a final name can be read to its end; how many there are."""
    files = [path for path in folder.rglob("*") if is_final(path)]
    for path in files:
        read = READERS.get(path.suffix)
        if read:
            read(path)
    return len(files)


def _read_map(path: Path) -> None:
    with rasterio.open(path) as source:
        source.read()


def _read_arrays(path: Path) -> None:
    with np.load(path) as found:
        [found[name] for name in found.files]


def _read_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def _read_network(path: Path) -> None:
    import h5py

    with h5py.File(path) as file:
        file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)


def _read_picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()


READERS = {
    ".json": lambda path: json.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".gpkg": gpd.read_file,
    ".qml": ElementTree.parse,
    ".tif": _read_map,
    ".npy": np.load,
    ".npz": _read_arrays,
    ".skops": _read_zip,
    ".zip": _read_zip,
    ".h5": _read_network,
    ".png": _read_picture,
}
