"""A workspace with runs on the sample area, and the dashboard served on it as `lsm serve` does."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import psutil

LSM = [sys.executable, "-m", "lsm_core.cli"]
READY = 8  # seconds in which it gets ready for its first visitor


def with_runs(folder: str) -> dict[str, str]:
    """The environment of a workspace in `folder`: the sample area, two runs on it."""
    environment = os.environ | {"LSM_WORKSPACE": folder}
    for words in ("sample", "run random_forest logistic_regression --area sample"):
        lsm(words, environment)
    return environment


def lsm(words: str, environment: dict[str, str]) -> None:
    """A command of ours, done in silence."""
    subprocess.run([*LSM, *words.split()], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def served(
    environment: dict[str, str], port: int = 5089, log: IO[bytes] | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of a server that ends with the block; it complains into `log`."""
    command = [*LSM, "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    assert server.stdout is not None
    rest = (server.stdout, log or io.BytesIO())  # a full pipe would hold it up
    copying = threading.Thread(target=shutil.copyfileobj, args=rest)
    try:
        found = re.search(r"http://\S+", server.stdout.readline().decode())
        assert found, "the server did not say where it is"
        copying.start()
        while not _listens(port):
            if server.poll() is not None:
                raise ConnectionError(f"the server ended with {server.returncode}")
            time.sleep(0.2)
        time.sleep(READY)
        yield found.group(), psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(timeout=60)
        if copying.is_alive():
            copying.join()
        server.stdout.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
