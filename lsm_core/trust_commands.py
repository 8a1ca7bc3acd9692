"""`lsm explain`, `lsm uncertainty`, `lsm applicability`: how far a run may be trusted."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core import logs
from lsm_core.errors import RecipeError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
RunName = Annotated[str, typer.Argument(help="A finished run.")]


def explain(
    name: RunName,
    at: Annotated[
        str | None, typer.Option(help="x,y in the area's CRS: why the map is so at this place.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Folder; the run's own by default.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of permutation importance.")] = 10,
    as_json: Json = False,
) -> None:
    """Which factors a run's model leans on, by held-out blocks; or why it says so at a place."""
    _quiet()
    from lsm_core import explanation
    from lsm_core.runs import open_run, write_json

    run = open_run(name)
    if at is not None:
        told = explanation.why(run, *_place(at))
        if to:
            to.mkdir(parents=True, exist_ok=True)
            write_json(to / "why.json", told)
        typer.echo(json.dumps(told, indent=1) if as_json else told["words"])
        return
    told = explanation.explain_run(run, to=to, repeats=repeats)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    typer.echo(explanation.importance_in_words(told))
    typer.echo(f"written: {(to or run.path) / 'explanation.json'}")


def uncertainty(
    names: Annotated[list[str], typer.Argument(help="One run, or runs that differ in their seed.")],
    alpha: Annotated[float, typer.Option(help="Share of places that sets may miss.")] = 0.1,
    on: Annotated[
        str, typer.Option(help="Calibrate sets on `validation`, or on the other `test` blocks.")
    ] = "validation",
    passes: Annotated[
        int, typer.Option(min=0, help="Of MC dropout, for a network that has it; 0 leaves it out.")
    ] = 30,
    as_json: Json = False,
) -> None:
    """How sure a map is: prediction sets, MC dropout; of several runs, their mean and spread."""
    _quiet()
    from lsm_core import dropout
    from lsm_core import uncertainty as room
    from lsm_core.runs import open_run

    members = [open_run(name) for name in names]
    if len(members) > 1:
        found: dict[str, Any] = {"ensemble": room.ensemble(members)}
        words = room.ensemble_in_words(found["ensemble"])
    else:
        sets = room.conformal_sets(members[0], alpha=alpha, on=on)
        found, words = {"conformal": sets}, sets["words"]
        if passes and dropout.can_drop(members[0]):
            with _bar("MC dropout", quiet=as_json) as follow:
                found["dropout"] = dropout.mc_dropout(members[0], passes=passes, on_progress=follow)
            words += (
                f"\nMC dropout, {passes} passes: mean spread {found['dropout']['mean_spread']:.3f}"
            )
    typer.echo(json.dumps(found, indent=1) if as_json else f"{words}\nmaps: {members[0].path}")


def applicability(
    name: RunName,
    area: Annotated[
        str | None, typer.Option(help="Another built area; the run's own by default.")
    ] = None,
    weighted: Annotated[
        bool, typer.Option(help="Weigh factors by their importance to the model.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Where a run's model has no business predicting: cells unlike all its training places."""
    _quiet()
    from lsm_core.applicability import area_of_applicability
    from lsm_core.runs import open_run
    from lsm_core.study_area import area_path

    run, other = open_run(name), area_path(area) if area else None
    with _bar("applicability", quiet=as_json) as follow:
        found = area_of_applicability(run, other, weighted=weighted, on_progress=follow)
    typer.echo(json.dumps(found, indent=1) if as_json else f"{found['words']}\nmaps: {run.path}")


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise RecipeError(f"--at takes x,y in metres of the area's CRS, got {text!r}") from error
    return x, y


def _quiet() -> None:
    """TensorFlow's start-up chatter is not for users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the time left, on standard error; takes rows done and all rows.

    Where nobody sees a bar, a line each tenth: the dashboard reads it.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or logs.is_json()) as bars:
        task = bars.add_task(what, total=1.0)
        before = 0

        def follow(done: int, total: int) -> None:
            nonlocal before
            bars.update(task, completed=done / total)
            tenths = 10 * done // total
            if tenths > before and not (console.is_terminal or quiet):
                typer.echo(f"{what}: {10 * tenths} %", err=True)
            before = tenths

        yield follow
