"""`lsm runs`: list, tag, rename, delete or clone runs. `lsm reproduce`: run one again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lsm_core.errors import RunError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
RunNames = Annotated[list[str], typer.Argument(help="Run folders, or names from `lsm runs`.")]

runs_app = typer.Typer(help="List the runs, or tag, rename, delete or clone one.")


@runs_app.callback()
def list_runs(context: typer.Context, as_json: Json = False) -> None:
    """List the runs of the workspace, oldest first."""
    from lsm_core import report, runs

    if context.invoked_subcommand:
        return
    table = report.list_of(runs.list_runs())
    if as_json:
        typer.echo(table.to_json(orient="records", indent=1))
    elif table.empty:
        typer.echo(f"no runs in {runs.runs_folder()} yet: `lsm demo` makes three")
    else:
        typer.echo(table.to_string(index=False))


@runs_app.command()
def tag(name: str, text: str) -> None:
    """Put a word on a run."""
    from lsm_core import runs

    runs.tag_run(runs.open_run(name), text)


@runs_app.command()
def rename(name: str, to: str) -> None:
    """Give a run another name."""
    from lsm_core import runs

    typer.echo(runs.rename_run(runs.open_run(name), to).id)


@runs_app.command()
def delete(names: RunNames) -> None:
    """Delete runs that are over."""
    from lsm_core import runs

    for run in [runs.open_run(name) for name in names]:
        runs.delete_run(run)
        typer.echo(f"deleted {run.id}")


@runs_app.command()
def clone(name: str, to: Annotated[Path, typer.Argument(help="Recipe file to write.")]) -> None:
    """Write a run's recipe to a file, to change it and run it again."""
    from lsm_core import recipe, run_files, runs

    cloned = runs.clone_run(runs.open_run(name))
    run_files.replace(to, lambda part: recipe.save_recipe(cloned, part))
    typer.echo(f"recipe: {to}")


def reproduce(
    name: Annotated[str, typer.Argument(help="A run folder, or a name from `lsm runs`.")],
    into: Annotated[Path | None, typer.Option(help="Folder of the new run.")] = None,
    as_json: Json = False,
) -> None:
    """Run a run again, and say of each of its numbers whether it came back.

    The new run lies in `reproductions` of the workspace. Ends with 1 where a number did not.
    """
    from lsm_core import experiment, reproduction, runs
    from lsm_core.foreground import settle, work
    from lsm_core.workspace import workspace

    was = runs.open_run(name)
    if was.state != "done":
        raise RunError(f"{was.id} is {was.state}, not done: there are no numbers to come back to")
    plan = experiment.plan_run(settle(runs.clone_run(was), into or runs.runs_folder(), as_json))
    folder = into or workspace() / "reproductions"  # no table counts it as a repeat
    now = work(plan, runs.create_run(plan.recipe, plan.area, folder, "again"), as_json)
    table = reproduction.comparison(was, now)
    changed = reproduction.circumstances(was, now)
    if as_json:
        numbers = json.loads(table.to_json(orient="records"))
        typer.echo(
            json.dumps({"was": was.id, "now": now.id, "changed": changed, "numbers": numbers})
        )
    else:
        typer.echo(reproduction.in_words(was, now, table, changed))
    if not reproduction.came_back(table):
        raise typer.Exit(1)
