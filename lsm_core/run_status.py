"""Where a run stands, how far it is, and how it is ended.

Nothing heavy is imported here, so that `lsm stop` does not wait for it.
"""

import json
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from lsm_core.errors import RunError
from lsm_core.run_files import read_json, strange, write_json
from lsm_core.workspace import workspace

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
            if read_status(candidate).get("format", 1) > FORMAT:
                raise RunError(f"{candidate} was written by a newer version: update this program")
            return candidate.resolve()
    raise RunError(f"no run at {path}, nor of that name in {runs_folder()}: see `lsm runs`")


def set_status(path: Path, state: str, message: str = "", pid: int | None = None) -> None:
    """Say where a run stands; the process is known by its number and its start time."""
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


def read_status(path: Path) -> dict[str, Any]:
    """The status of a run; `lost` when it says running and its process is no longer there."""
    status = read_json(path / "status.json", dict)
    started = status.get("process_started")
    whole = {"state": str, "pid": int, "format": int, "created": str}
    for name, kind in whole.items():
        if not isinstance(status.get(name, 1 if name == "format" else None), kind):
            raise strange(path / "status.json", f"{name} is {status.get(name)!r}")
    if status["state"] not in STATES:
        raise strange(path / "status.json", f"state is {status['state'][:30]!r}")
    if status["state"] in ALIVE and process_start(status["pid"]) != started:
        status |= {"state": "lost", "message": "the process ended without saying why"}
    return status


def process_start(pid: int) -> float | None:
    """When the process of this number began; None where there is none, or it is over."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # or no number of a process
        return None


def add_progress(path: Path, event: dict[str, Any]) -> None:
    """Append one line to `progress.jsonl`."""
    line = json.dumps({"time": round(time.time(), 3)} | event)
    with open(path / "progress.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_progress(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Whole lines written since `offset` bytes, and the offset to go on from."""
    file_path = path / "progress.jsonl"
    if not file_path.exists():
        return [], 0
    with open(file_path, "rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


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
