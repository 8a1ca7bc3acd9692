"""Progress on the terminal: a bar a run with the time left, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lsm_core import logs
from lsm_core.errors import RunError

if TYPE_CHECKING:
    from lsm_core.runs import Run


@contextmanager
def bars(quiet: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that takes the events of runs (`runs.add_progress`) and moves their bars."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet or logs.is_json()) as drawn:
        tasks: dict[str, Any] = {}

        def follow(event: dict[str, Any]) -> None:
            of = event.get("run", "")
            if of not in tasks:
                tasks[of] = drawn.add_task(of, total=1.0, note="")
            _show(drawn, tasks[of], event)

        yield follow


def follow_jobs(queued: list["Run"]) -> None:
    """Show the progress of several jobs until the last one is over.

    Raises RunError, naming those that did not end well.
    """
    from lsm_core.runs import ALIVE, read_progress, read_status

    offsets = dict.fromkeys((run.path for run in queued), 0)
    with bars(quiet=False) as follow:
        while True:
            states = [read_status(run.path)["state"] for run in queued]
            for run in queued:
                events, offsets[run.path] = read_progress(run.path, offsets[run.path])
                for event in events:
                    follow(event | {"run": run.recipe.name})
            if not any(state in ALIVE for state in states):
                break
            time.sleep(0.3)
    failed = [run for run in queued if read_status(run.path)["state"] != "done"]
    if failed:
        words = "; ".join(f"{r.id}: {read_status(r.path)['message']}" for r in failed)
        raise RunError(f"not done: {words} (see log.txt in the run folder)")


def _show(drawn: Any, task: Any, event: dict[str, Any]) -> None:
    """One event of a run on its bar."""
    of = event.get("run", "")
    kind = event["event"]
    if kind == "stage":
        if not (of or logs.is_verbose() or logs.is_json()):  # the log says it
            drawn.print(f"{event['stage']}: {event['message']}")
        drawn.reset(task, total=1.0, description=f"{of} {event['stage']}".strip(), note="")
    elif kind == "epoch":
        note = f"loss {event['loss']:.4f}  AP {event['val_average_precision']:.3f} (validation)"
        drawn.update(task, completed=event["epoch"] / event["epochs"], note=note)
    elif kind == "map":
        drawn.update(task, completed=event["done"] / event["total"], note="")
    elif kind == "done":
        drawn.update(task, completed=1.0, description=f"{of} done".strip(), note="")
