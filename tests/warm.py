"""Commands as forks of a process that has loaded the libraries: killed, they are killed at work.

Loading takes seconds and writes nothing. A fork behaves as the command does from there on; networks
are left out, since TensorFlow cannot be forked.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = """
import json, os, sys, traceback, warnings
warnings.simplefilter("ignore")
import hydromt, sklearn.ensemble, skops.io, skopt
from lsm_core import cli, experiment, export_bundle, foreground, large_map, models, preparation
from lsm_core import publication, resumption, trials, tuning_report
from lsm_core.models import baselines

def work(told):
    os.setsid()
    for number in (1, 2):
        os.dup2(os.open(told["files"][number - 1], os.O_WRONLY | os.O_CREAT), number)
    os.chdir(told["folder"])
    os.environ.update(told["environment"])
    sys.argv = ["lsm", *told["words"]]
    try:
        cli.main()
    except SystemExit as leave:
        return leave.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

print("ready", flush=True)
while line := sys.stdin.readline():
    pid = os.fork()
    if not pid:
        status = work(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Warm:
    """A process with the libraries loaded, whose forks do one command after the other."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._line() == "ready"

    def start(self, words: list[str], folder: Path, environment: dict[str, str]) -> "Fork":
        files = [tempfile.mkstemp(prefix="warm-")[1] for _ in "oe"]
        told = {"words": words, "folder": str(folder), "environment": environment, "files": files}
        self._server.stdin.write(json.dumps(told).encode() + b"\n")
        self._server.stdin.flush()
        return Fork(self, int(self._line()), files)

    def end(self) -> None:
        self._server.kill()
        self._server.communicate()

    def says(self, seconds: float) -> bool:
        """Whether it says something within so many seconds."""
        return bool(select.select([self._server.stdout], [], [], seconds)[0])

    def _line(self) -> str:
        # Read byte by byte: what a buffer holds, `select` does not see.
        found = b""
        while not found.endswith(b"\n"):
            found += os.read(self._server.stdout.fileno(), 1)
        return found.decode().strip()


class Fork:
    """One command, with the part of `subprocess.Popen` that is asked of it."""

    returncode: int | None = None

    def __init__(self, warm: Warm, pid: int, files: list[str]) -> None:
        self.pid, self._warm, self._files = pid, warm, files

    def poll(self) -> int | None:
        if self.returncode is None and self._warm.says(0):
            self.returncode = int(self._warm._line())
        return self.returncode

    def communicate(self, timeout: float = 300.0) -> tuple[str, str]:
        if self.returncode is None:
            if not self._warm.says(timeout):
                raise subprocess.TimeoutExpired("lsm", timeout)
            self.returncode = int(self._warm._line())
        said, complained = (Path(file).read_text(errors="replace") for file in self._files)
        for file in self._files:
            Path(file).unlink()
        return said, complained
