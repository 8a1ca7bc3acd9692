"""A command of the program as a process of its own, followed through a folder.

Building an area takes a minute and more: it must not hold up a page, nor end with it. So `start`
runs `lsm ...` beside whoever asked, and what it says goes to files. Anybody may look later, also
after the page was closed or its server started anew.
"""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lsm_core import logs, room
from lsm_core.errors import RunError
from lsm_core.run_files import read_json, write_json
from lsm_core.run_status import end_process, process_start
from lsm_core.workspace import workspace

log = logging.getLogger(__name__)
MOST_KEPT = 20  # errands whose words are kept
ENDED = "ended.json"
DONE = ("study area: ", "done: ", "maps: ")  # how the last line of a command that went well begins


@dataclass(frozen=True)
class Errand:
    """One started command; everything is read from its folder."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @cached_property
    def about(self) -> dict[str, Any]:
        """What it is for: `title`, `subject` (the area it builds), `steps` expected, `started`."""
        return read_json(self.path / "errand.json")

    @property
    def lines(self) -> list[str]:
        """What it has said so far."""
        return _lines(self.path / "said.txt")

    @property
    def state(self) -> str:
        """running, done, failed, stopped, or lost: it ended and nobody can tell how.

        Where the server that started it did not see it end, its last words tell.
        """
        about, status = self.about, self._ended
        if status is not None:
            return "stopped" if status < 0 or status == 130 else "failed" if status else "done"
        if process_start(about["pid"]) == about["process_started"]:
            return "running"
        if any(line.startswith("error: ") for line in _lines(self.path / "errors.txt")):
            return "failed"
        return "done" if self.lines and self.lines[-1].startswith(DONE) else "lost"

    @property
    def error(self) -> str:
        """Why it failed: the sentence of the program, or the last thing it said; else empty."""
        if self.state not in ("failed", "lost"):
            return ""
        said = _lines(self.path / "errors.txt")
        sentences = [line for line in said if line.startswith("error: ")]
        last = (sentences or said or ["it ended without saying why"])[-1]
        return last.removeprefix("error: ")

    @property
    def seconds(self) -> float:
        """How long it has taken, or took."""
        end = self.path / ENDED
        until = end.stat().st_mtime if end.is_file() else time.time()
        return max(0.0, until - float(self.about["started"]))

    @property
    def ended_ago(self) -> float:
        """Seconds since its end, or, where nobody saw that, its last word; 0 while it runs."""
        if self.state == "running":
            return 0.0
        files = (ENDED, "said.txt", "errand.json")
        last = next(self.path / name for name in files if (self.path / name).is_file())
        return max(0.0, time.time() - last.stat().st_mtime)

    @property
    def share(self) -> float:
        """Share of the expected steps that was said, 0 to 1; -1 where nobody knows how many.

        Without a number of steps, the percentage that the command said last.
        """
        if steps := self.about["steps"]:
            return min(1.0, len(self.lines) / steps)
        told = re.findall(r": (\d+) %$", "\n".join(_lines(self.path / "errors.txt")), re.MULTILINE)
        return int(told[-1]) / 100 if told else -1.0

    @property
    def _ended(self) -> int | None:
        path = self.path / ENDED
        return int(read_json(path)["status"]) if path.is_file() else None

    def stop(self) -> None:
        """End it; runs that it has started go on, and what is half written nobody reads."""
        about = self.about
        if self.state == "running" and process_start(about["pid"]) == about["process_started"]:
            end_process(about["pid"], children=False)
            write_json(self.path / ENDED, {"status": -signal.SIGTERM})


def start(arguments: Sequence[str], title: str, subject: str = "", steps: int = 0) -> Errand:
    """Run `lsm ARGUMENTS` as a process of its own; returns at once.

    Errors: the same subject is being worked on already, or the server has no room (RunError).
    """
    running = [errand for errand in errands() if errand.state == "running"]
    if subject and any(errand.about["subject"] == subject for errand in running):
        raise RunError(f"{subject} is being worked on already: wait until that has ended")
    if words := room.crowded(len(running)) or room.full():
        raise RunError(words)
    path = errands_folder() / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    path.mkdir(parents=True)
    command = [sys.executable, "-u", "-m", "lsm_core.cli", *arguments]
    with open(path / "said.txt", "wb") as said, open(path / "errors.txt", "wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=errors,
            start_new_session=True,
            env=os.environ | {logs.FORM: "words"},  # people read it
        )
    log.info("%s: lsm %s, as process %d", title, " ".join(arguments), process.pid)
    about = {"title": title, "subject": subject, "steps": steps, "arguments": list(arguments)}
    about |= {"pid": process.pid, "process_started": process_start(process.pid)}
    write_json(path / "errand.json", about | {"started": time.time()})
    threading.Thread(target=_wait, args=(process, path), daemon=True).start()
    _forget_old()
    return Errand(path)


def _wait(process: "subprocess.Popen[bytes]", path: Path) -> None:
    status = process.wait()
    if path.is_dir() and not (path / ENDED).is_file():  # `stop` knows better how it ended
        write_json(path / ENDED, {"status": status})


def errands_folder() -> Path:
    """Where errands live: `errands` in the workspace."""
    return workspace() / "errands"


def errands() -> list[Errand]:
    """All of them, newest first."""
    found = errands_folder().glob("*/errand.json")
    return [Errand(path.parent) for path in sorted(found, reverse=True)]


def find_errand(name: str) -> Errand:
    """The errand of this id; RunError if there is none."""
    if not re.fullmatch(r"[0-9a-f-]+", name) or not (errands_folder() / name).is_dir():
        raise RunError(f"nothing is known of {name!r} any more: only the last {MOST_KEPT} are kept")
    return Errand(errands_folder() / name)


def _forget_old() -> None:
    for errand in errands()[MOST_KEPT:]:
        if errand.state != "running":
            shutil.rmtree(errand.path, ignore_errors=True)


def _lines(path: Path) -> list[str]:
    """Whole lines of a file; of a line that was written over, what stands at last."""
    if not path.is_file():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    lines = [line.rstrip("\r").split("\r")[-1].rstrip() for line in text.split("\n")]
    return [line for line in lines if line]
