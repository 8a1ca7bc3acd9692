"""Where a run stands, how far it is, and how it is ended.

Nothing heavy is imported here, so that `lsm stop` does not wait for it.
"""

import json
import logging
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from lsm_core.errors import RunError
from lsm_core.logs import discreet
from lsm_core.run_files import read_json, strange, write_json
from lsm_core.workspace import workspace

log = logging.getLogger(__name__)
STATES = ("queued", "running", "done", "failed", "stopped", "lost")
ALIVE = ("queued", "running")
FORMAT = 1
GRACE = 0.7  # seconds a job has to end by itself before it is killed


def runs_folder() -> Path:
    """Where runs live: `runs` in the workspace."""
    return workspace() / "runs"


def find_run(path: Path | str) -> Path:
    """The folder of a run, by its path or by its name in the workspace.

    Raises
    ------
    RunError : there is no such folder, or it is not a run, or a newer version wrote it.
    """
    path = Path(path)
    for candidate in (path, runs_folder() / path):
        if (candidate / "status.json").is_file() and (candidate / "recipe.json").is_file():
            read_status(candidate)
            return candidate.resolve()
    raise RunError(f"no run at {path}, nor of that name in {runs_folder()}: see `lsm runs`")


def set_status(path: Path, state: str, message: str = "", pid: int | None = None) -> None:
    """Say where a run stands; the process is known by its number and its start time.

    A message may be an error of a library, which says addresses and keys as they are.
    """
    message = discreet(message)
    old = read_json(path / "status.json") if (path / "status.json").exists() else {}
    now = datetime.now().isoformat(timespec="milliseconds")
    pid = os.getpid() if pid is None else pid
    text = {
        "state": state,
        "message": message,
        "created": old.get("created", now),
        "updated": now,
        "pid": pid,
        "process_started": process_start(pid),
        "format": FORMAT,
    }
    write_json(path / "status.json", text)
    log.info("%s is %s%s", path.name, state, f": {message}" if message else "")


def read_status(path: Path) -> dict[str, Any]:
    """The status of a run; `lost` when it says running and its process is no longer there.

    Raises
    ------
    RunError : it was not written by this program, or by a newer version of it.
    """
    status = read_json(path / "status.json", dict)
    started = status.get("process_started")
    if isinstance(form := status.get("format"), int) and form > FORMAT:
        raise RunError(
            f"{path} was written by a newer version (format {form}, known to {FORMAT}): update "
            "this program"
        )
    whole = {"state": str, "pid": int, "format": int, "created": str}
    for name, kind in whole.items():
        if not isinstance(status.get(name, 1 if name == "format" else None), kind):
            raise strange(path / "status.json", f"{name} is {status.get(name)!r}")
    if status["state"] not in STATES:
        raise strange(path / "status.json", f"state is {status['state'][:30]!r}")
    if status["state"] in ALIVE and process_start(status["pid"]) != started:
        status |= {"state": "lost", "message": "the process ended without saying why"}
    return status


def process_start(pid: int) -> float | str | None:
    """When the process of this number began; None where there is none, or it is over.

    On Linux counted from the machine's start, which is named: there the time of day of a process's
    beginning moves whenever the clock is set.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if not stat.is_file():
            return process.create_time()
        ticks = stat.read_bytes().rpartition(b")")[2].split()[19].decode()
        return f"{ticks} after boot {_boot()}"
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # or no number of a process
        return None
    except OSError:  # it ended meanwhile
        return None


def _boot() -> str:
    """A name that the machine gets each time it starts."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.is_file() else ""


def add_progress(path: Path, event: dict[str, Any]) -> None:
    """Append one line to `progress.jsonl`."""
    if words := _in_words(event):
        log.info("%s, %s", path.name, words, extra={"event": event})
    line = json.dumps({"time": round(time.time(), 3)} | event).encode() + b"\n"
    with open(path / "progress.jsonl", "a+b") as file:
        if file.tell() and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
            line = b"\n" + line  # after the half line of a process that was killed
        file.write(line)


def _in_words(event: dict[str, Any]) -> str:
    """An event that is a step; of each batch and strip nothing is said."""
    if event["event"] == "stage":
        return ": ".join(str(event[key]) for key in ("stage", "message") if event.get(key))
    if event["event"] == "epoch":
        names = {"loss": "loss", "val_loss": "validation loss", "val_average_precision": "AP"}
        told = [f"{name} {event[k]:.4f}" for k, name in names.items() if event.get(k) is not None]
        most = f" of at most {event['epochs']}" if "epochs" in event else ""
        return ", ".join([f"epoch {event.get('epoch')}{most}", *told])
    return ""


def read_progress(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Whole lines written since `offset` bytes, and the offset to go on from.

    What a process that was killed left of a line is passed over.
    """
    file_path = path / "progress.jsonl"
    if not file_path.exists():
        return [], 0
    with open(file_path, "rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    events = (_event(line) for line in whole.splitlines())
    return [event for event in events if event], offset + len(whole)


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "event" in found else {}


def end_run(path: Path) -> str:
    """End a run within two seconds; the folder stays readable. Returns the state it is left in.

    The process is asked first (it keeps its best weights so far), and killed after the grace time.
    A run that is over stays as it is.
    """
    state = read_status(path)
    if state["state"] not in ALIVE:
        return str(state["state"])
    end_process(state["pid"])
    if read_status(path)["state"] in (*ALIVE, "lost"):
        set_status(path, "stopped", "stopped by the user", pid=state["pid"])
    return str(read_status(path)["state"])


def end_process(pid: int, children: bool = True) -> None:
    """End a process, and its children unless told not to: asked first, killed after the grace."""
    process = psutil.Process(pid)
    family = [process, *(process.children(recursive=True) if children else [])]
    process.send_signal(signal.SIGTERM)
    _, stubborn = psutil.wait_procs([process], timeout=GRACE)
    for member in family:
        if stubborn and member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=0.5)
