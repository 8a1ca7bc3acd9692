"""Training as a process of its own: started here, followed and stopped through its run folder.

A job outlives the page, the server and the terminal that started it. Whoever wants to know how it
is doing reads the folder; whoever wants it to end calls `stop`. Jobs on one device take turns, the
oldest first.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from lsm_core import room
from lsm_core.device import processors
from lsm_core.errors import RunError, Stopped
from lsm_core.recipe import Recipe
from lsm_core.recipe_check import check_recipe
from lsm_core.run_files import read_json, write_json
from lsm_core.run_status import end_run, find_run
from lsm_core.runs import (
    ALIVE,
    Run,
    create_run,
    list_runs,
    open_run,
    read_progress,
    read_status,
    set_status,
)
from lsm_core.study_area import area_path, workspace

log = logging.getLogger(__name__)
LOOK = 0.2  # seconds between looks whether it is a run's turn


def start(recipe: Recipe, into: Path, *, mark: str = "", on: str | None = None) -> Run:
    """Queue a run in `into` and start its process; returns at once.

    Parameters
    ----------
    mark : stands in the folder's name, of repeats (`repeats.mark`).
    on : one of `devices()`; the first of them without.

    Raises
    ------
    RunError : the recipe names no study area, there is no such device, or the server has no room.
    RecipeError : it could not run anywhere, see `recipe_check.check_recipe`.
    """
    check_recipe(recipe)
    check_room(Path(into))
    if on is not None and on not in devices():
        raise RunError(f"no device {on!r} here: there is {' and '.join(devices())}")
    if recipe.area is None:
        raise RunError("the recipe names no study area: give one with --area")
    area = {"name": Path(recipe.area).name, "path": str(area_path(recipe.area).resolve())}
    path = create_run(recipe, area, Path(into), mark)
    on = on or devices()[0]
    write_json(path / "job.json", {"device": on})
    return _begin(path, on)


def go_on(run: Run) -> Run:
    """Take a run up that was cut off, stopped or failed, in a process of its own; returns at once.

    It goes on as `lsm run --resume` does, on the device it was started for where that is here.

    Raises
    ------
    RunError : the run is done or at work, or the server has no room.
    """
    if run.state in (*ALIVE, "done"):
        raise RunError(f"{run.id} is {run.state}: there is nothing to go on with")
    if words := room.full():
        raise RunError(words)
    on = device_of(run)
    return _begin(run.path, on if on in devices() else devices()[0])


def finish(run: Run) -> Run:
    """Stop a network's training where it is, and have the best of it judged; returns at once.

    Raises
    ------
    RunError : as `enough` and `go_on` say; a run that was at work is stopped then.
    """
    stop(run)
    enough(Run(run.path))
    return go_on(Run(run.path))


def enough(run: Run) -> int:
    """Let the epochs that a network has learnt be all that it learns; returns how many.

    The run's recipe says so from now on: taken up, it goes on to its test and its map with the best
    weights of these epochs, and run anew, the recipe ends at the same ones.

    Raises
    ------
    RunError : it is at work or done, carried from another area, or has finished no epoch.
    """
    if run.state in (*ALIVE, "done"):
        raise RunError(f"{run.id} is {run.state}: only what was stopped or cut off can be enough")
    if run.recipe.transfer is not None:
        raise RunError(
            f"{run.id} learns in more than one go, which its recipe cannot cut short: go on with "
            "it, or discard it"
        )
    events, _ = read_progress(run.path)
    epochs = [event["epoch"] for event in events if event["event"] == "epoch"]
    if not epochs:
        raise RunError(f"{run.id} has finished no epoch: there are no weights to judge; go on")
    training = run.recipe.training.model_copy(update={"epochs": epochs[-1]})
    recipe = run.recipe.model_copy(update={"training": training})
    write_json(run.path / "recipe.json", recipe.model_dump(mode="json"))
    return int(epochs[-1])


def _begin(path: Path, on: str) -> Run:
    command = [sys.executable, "-m", "lsm_core.cli", "resume", str(path)]
    with open(path / "log.txt", "ab") as told:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
            env=os.environ
            | {"CUDA_VISIBLE_DEVICES": on.removeprefix("gpu") if on != "cpu" else "-1"},
        )
    log.info("%s is started on %s, as process %d", path.name, on, process.pid)
    set_status(path, "queued", "waiting for its turn", pid=process.pid)
    # Somebody must wait for a child that ended, or it stays in the process table as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return Run(path.resolve())


def check_room(folder: Path, more: int = 1) -> None:
    """Refuse runs for which a served workspace has no room (RunError): see `room`."""
    known = list_runs(folder)
    alive = sum(run.state in ALIVE for run in known)
    if words := room.crowded(alive, more) or room.many(len(known), more) or room.full():
        raise RunError(words)


def status(run: Run | Path | str) -> dict[str, Any]:
    """What a run says of itself: state, message, and its last epoch or step."""
    path = run.path if isinstance(run, Run) else open_run(run).path
    events, _ = read_progress(path)
    return read_status(path) | {"last": events[-1] if events else {}}


def stop(run: Run | Path | str) -> str:
    """End a run within two seconds: see `run_status.end_run`. Returns the state it is left in."""
    return end_run(run.path if isinstance(run, Run) else find_run(run))


def queue(folder: Path | None = None) -> list[Run]:
    """Runs that are running or queued, in the order in which they get a device."""
    alive = [(run, run.state) for run in list_runs(folder)]
    ahead = [run for run, state in alive if state == "running"]
    return ahead + [run for run, state in alive if state == "queued"]


def stand_in_line(path: Path) -> None:
    """Wait until a queued run is the next of its device.

    It waits here with little in memory: what a run needs is read once it is the next.
    """
    while _older_waiting(path):
        time.sleep(LOOK)


@contextmanager
def turn(
    path: Path,
    should_stop: Callable[[], bool] = lambda: False,
    on_wait: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold the device for one run; wait while an older run is queued or another one runs.

    `on_wait` is called once, where there is a wait.

    Raises
    ------
    Stopped : it was stopped while it waited.
    """
    workspace().mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(workspace() / f".{device()}.lock")
    waited = False
    while True:
        if should_stop():
            raise Stopped("stopped while it waited for its turn")
        if not _older_waiting(path):
            try:
                lock.acquire(timeout=0)
                break
            except filelock.Timeout:
                pass
        if not waited:
            on_wait()  # once
            waited = True
        time.sleep(LOOK)
    try:
        yield
    finally:
        lock.release()


def device() -> str:
    """The slot a run takes: the first visible GPU, or the processor."""
    return devices()[0]


def devices() -> list[str]:
    """What a run can be started on: visible GPUs, as "gpu0" and so on, then the processor."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    folder = Path("/proc/driver/nvidia/gpus")
    if visible in ("", "-1") or not folder.exists():
        return ["cpu"]
    names = visible.split(",") if visible else map(str, range(len(list(folder.iterdir())) or 1))
    return [*(f"gpu{name.strip()}" for name in names), "cpu"]


def device_in_words(name: str) -> str:
    """One of `devices()` for people; no library is loaded to tell.

    >>> device_in_words("cpu").startswith("processor (CPU), ")
    True
    """
    if name == "cpu":
        return f"processor (CPU), {processors()} cores"
    told = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    number = name.removeprefix("gpu")
    if not number.isdigit() or int(number) >= len(told):
        return f"GPU {number}"
    lines = told[int(number)].read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("Model"))
    return f"GPU {number}: {next(models, 'NVIDIA')}"


def device_of(run: Run) -> str | None:
    """The device that a run was started for; None of one that was started in the foreground."""
    path = run.path / "job.json"
    return str(read_json(path)["device"]) if path.is_file() else None


def _older_waiting(path: Path) -> bool:
    for other in list_runs(path.parent):
        if other.path == path.resolve():
            return False
        if other.state == "queued" and device_of(other) in (None, device()):
            return True
    return False
