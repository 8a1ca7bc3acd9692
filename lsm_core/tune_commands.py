"""`lsm tune`: search for the settings of a recipe that score highest on validation places."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lsm_core.trials import Found, Tuning


def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe: a file, or a name from recipes/.")],
    area: Annotated[str | None, typer.Option(help="Study area to run on.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Trials.")] = 30,
    space: Annotated[
        str | None,
        typer.Option(help="What to search: a YAML file, or a name; by default the model's own."),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="`bayes` (a Gaussian process), or `random`.")
    ] = "bayes",
    seed: Annotated[int, typer.Option(help="Of the search; that of the recipe stays.")] = 1,
    by: Annotated[
        str, typer.Option(help="Score of validation places: `average_precision`, `roc_auc`.")
    ] = "average_precision",
    folds: Annotated[
        int | None, typer.Option(min=2, help="Judge by so many inner folds of the training part.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder of the search; the workspace's.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, in every trial.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")] = False,
) -> None:
    """Search for better settings of a recipe, judged on its validation places alone.

    A search that was stopped goes on with the same command. Test places are looked at when it is
    over, of the chosen recipe and of the recipe as it stood: a test that had a say in the choice
    would be none.
    """
    from lsm_core import foreground, search_space, trials, tuning_report
    from lsm_core.runs import runs_folder

    foreground.quiet_networks()
    folder = into or runs_folder()
    chosen = foreground.settle(foreground.recipe_of(recipe, area, changes), folder, as_json)
    wanted = search_space.load_space(space or search_space.space_name(chosen))
    options: dict[str, Any] = {"by": by, "strategy": strategy, "seed": seed, "folds": folds}
    tuned = trials.plan_tuning(chosen, wanted, folder, **options)
    if not as_json:
        typer.echo(tuning_report.plan_in_words(tuned, n, len(trials.read_trials(tuned))))
    with _asked() as should_stop, _bar(tuned, n, quiet=as_json) as follow:
        found = trials.tune(tuned, n, follow, should_stop)
    typer.echo(_as_json(tuned, found) if as_json else tuning_report.found_in_words(tuned, found))


def _as_json(tuned: "Tuning", found: "Found") -> str:
    rows = [
        {"iteration": trial.number, tuned.by: None if trial.failed else trial.score}
        | {"values": trial.values, "seconds": trial.seconds, "message": trial.message}
        for trial in found.trials
    ]
    text = {
        "folder": str(tuned.path),
        "best": found.best._asdict(),
        "recipe": str(tuned.path / "best.yaml"),
        "test": found.test,
        "trials": rows,
    }
    return json.dumps(text, indent=1)


@contextmanager
def _asked() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or Ctrl-C came; the second time ends at once."""
    came: list[int] = []

    def note(sign: int, frame: Any) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(sign)

    before = {sign: signal.signal(sign, note) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


@contextmanager
def _bar(tuned: "Tuning", n: int, *, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar of trials with the time left, on standard error; takes the events of `trials.tune`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    from lsm_core import logs, trials, tuning_report

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    note = TextColumn("{task.fields[note]}")
    there = len(trials.read_trials(tuned))
    with Progress(
        *columns, note, console=Console(stderr=True), disable=quiet or logs.is_json()
    ) as bars:
        task = bars.add_task("trials", total=n + 1, completed=there, note="")

        def follow(event: dict[str, Any]) -> None:
            if event["event"] == "trial":
                best = f"best {event['best']:.4f}"
                bars.update(task, completed=event["number"] + 1, note=best)
                if event["number"] == 0:
                    bars.print(tuning_report.forecast(event["seconds"], n))
                elif event["message"]:
                    bars.print(f"trial {event['number']} failed: {event['message']}")

        yield follow
