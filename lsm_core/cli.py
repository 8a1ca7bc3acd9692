"""The command line, `lsm`: one doorbell for everything. Commands import what they need, late."""

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from lsm_core import logs
from lsm_core.area_commands import draft
from lsm_core.detect_commands import adopt, detect
from lsm_core.doctor_commands import doctor
from lsm_core.errors import LsmError, RecipeError, RunError, Stopped
from lsm_core.factor_commands import factors
from lsm_core.figure_commands import export, figures, report
from lsm_core.foreground import (
    carry_out_queued,
    go_on_with,
    no_more_epochs,
    quiet_networks,
    recipe_of,
    settle,
    tell,
    work,
)
from lsm_core.full_memory import end_with_threads, full_in_words, ran_out
from lsm_core.progress_bars import bars
from lsm_core.run_commands import reproduce, runs_app
from lsm_core.sample_commands import sample
from lsm_core.serve_commands import demo, serve
from lsm_core.study_commands import study
from lsm_core.transfer_commands import judge_domain, transfer_app
from lsm_core.trust_commands import applicability, explain, uncertainty
from lsm_core.tune_commands import tune

if TYPE_CHECKING:
    from lsm_core.runs import Run


class _Doorbell(typer.core.TyperGroup):
    """`lsm`, whose own options may stand behind a command too: `lsm run RECIPE --verbose`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _own_first(args))


def _own_first(args: list[str]) -> list[str]:
    """The words of a command line, those of `lsm` itself before the command; not what is below --.

    >>> _own_first(["run", "cnn", "--verbose", "--", "--verbose"])
    ['--verbose', 'run', 'cnn', '--', '--verbose']
    >>> _own_first(["serve", "--log-format", "json"])
    ['--log-format', 'json', 'serve']
    """
    ours, rest, left = [], [], list(args)
    while left and left[0] != "--":
        word = left.pop(0)
        if word == "--verbose" or word.startswith("--log-format="):
            ours.append(word)
        elif word == "--log-format":
            ours += [word, *left[:1]]
            del left[:1]
        else:
            rest.append(word)
    return [*ours, *rest, *left]


app = typer.Typer(
    cls=_Doorbell,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
DATA, RUNS, ASK = "Data", "Runs", "Ask a run, or several"
TAKE_OUT, SERVE = "Take results out", "Dashboard and machine"
for command, room in (
    *((one, DATA) for one in (sample, draft, factors, adopt)),
    *((one, RUNS) for one in (study, tune, reproduce)),
    *((one, ASK) for one in (explain, uncertainty, applicability, detect)),
    *((one, TAKE_OUT) for one in (figures, report, export)),
    *((one, SERVE) for one in (serve, demo, doctor)),
):
    app.command(rich_help_panel=room)(command)
app.add_typer(runs_app, name="runs", invoke_without_command=True, rich_help_panel=RUNS)
app.add_typer(transfer_app, name="transfer", rich_help_panel=RUNS)

log = logging.getLogger(__name__)
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
RunNames = Annotated[list[str], typer.Argument(help="Run folders, or names from `lsm runs`.")]
Into = Annotated[Path | None, typer.Option(help="Folder for the run; the workspace by default.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")]


def main() -> None:
    """Run a command; a user's mistake is one line and exit status 2, never a traceback."""
    end_with_threads()
    try:
        app()
    except (Stopped, KeyboardInterrupt) as stopped:
        _complain("stopped", str(stopped), 130)
    except LsmError as error:
        _complain("error", str(error), 2)
    except Exception as error:
        if ran_out(error):
            _complain("error", full_in_words(error), 2)
        if isinstance(error, OSError):
            words = " ".join(str(error).split())
            _complain("error", f"{words}: is the folder there, writable, with room?", 2)
        if logs.is_json():
            log.critical("an error of the program", exc_info=True)
        else:  # a job keeps it with its run
            typer.echo(logs.discreet(traceback.format_exc()), err=True)
        sys.exit(1)


def _complain(how: str, words: str, status: int) -> None:
    """Say why it ends, and end."""
    if logs.is_json():
        log.error("%s: %s", how, words)
    else:
        typer.echo(logs.discreet(f"{how}: {words}"), err=True)
    sys.exit(status)


@app.callback()
def settings(
    verbose: Annotated[
        bool, typer.Option("--verbose", envvar=logs.VERBOSE, help="Say every step.")
    ] = False,
    log_format: Annotated[
        str, typer.Option(envvar=logs.FORM, help="Of what is said: words, or json, one a line.")
    ] = "words",
) -> None:
    """Landslide susceptibility: from terrain, geology and an inventory to maps and numbers."""
    if log_format not in logs.FORMS:
        raise RunError(f"--log-format is {' or '.join(logs.FORMS)}, got {log_format!r}")
    logs.begin(verbose, log_format)


@app.command(rich_help_panel=DATA)
def prepare(
    area: Annotated[str, typer.Argument(help="A name from areas/, or an area file.")],
    catalog: Annotated[Path | None, typer.Option(help="Another data catalogue.")] = None,
    as_json: Json = False,
) -> None:
    """Build a study area from its raw files, and say what was used, repaired and left out."""
    from lsm_core import preparation
    from lsm_core.area_file import read_area_file
    from lsm_core.catalog import load_catalog
    from lsm_core.replacing import being_built
    from lsm_core.study_area import area_path, save_area

    def tell(line: str) -> None:
        log.info(line)
        if not as_json:
            typer.echo(line)

    path = area_path(read_area_file(area).name)
    with being_built(path):
        prepared = preparation.prepare_with_inventory(area, load_catalog(catalog), on_progress=tell)
        save_area(prepared.ds, path, inventory=prepared.inventory)
    typer.echo(prepared.ds.attrs["prepared"] if as_json else f"study area: {path}")


@app.command(rich_help_panel=RUNS)
def run(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(help="Recipe files, or names from recipes/.", metavar="RECIPE..."),
    ] = None,
    area: Annotated[str | None, typer.Option(help="Study area to run on.")] = None,
    into: Into = None,
    seeds: Annotated[
        int | None, typer.Option(help="Repeat with so many seeds, from the recipe's own up.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Repeat with each of so many folds tested once.")
    ] = None,
    changes: Changes = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with RUN..., or with all that are lost.")
    ] = False,
    enough: Annotated[
        bool,
        typer.Option("--enough", help="With --resume RUN: no more epochs, judge the best so far."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Sample, split, train, evaluate and map; leaves a run folder, of repeats one each.

    Repeats (--seeds, --folds) that are finished in the folder are not run again. A run that was cut
    off goes on with `lsm run --resume RUN`: a network from its last checkpoint.
    """
    if enough and not (resume and recipes):
        raise RecipeError("--enough ends the training of a run: `lsm run --resume RUN --enough`")
    if resume:
        if area or changes or seeds or folds:
            raise RecipeError("--resume goes on with a run as it was begun: leave the others out")
        if enough:
            no_more_epochs(recipes or [], as_json)
        go_on_with(recipes, into, as_json)
        return
    if not recipes:
        raise RecipeError("run which recipe? `lsm run cnn --area sample`")
    from lsm_core import experiment, report
    from lsm_core.repeats import finished, mark, repeats
    from lsm_core.runs import create_run, runs_folder
    from lsm_core.study_area import is_units

    folder = into or runs_folder()
    settled = [settle(recipe_of(name, area, changes), folder, as_json) for name in recipes]
    asked = [repeats(recipe, seeds, folds) for recipe in settled]
    repeated = seeds is not None or folds is not None
    ready = [experiment.plan_run(first) for first, *_ in asked]  # mistakes come before any run
    for first, same in zip(ready, asked, strict=True):
        for chosen in same:
            if repeated and (there := finished(chosen, first.area, folder)):
                tell(there, as_json, f"{there.id} is finished already")
                continue
            plan = first if chosen == first.recipe else experiment.plan_run(chosen)
            if not as_json:
                units = is_units(plan.ds)
                typer.echo(report.plan_in_words(chosen, plan.counts, units=units))
                words = report.selection_in_words(plan.selection)
                typer.echo(words, nl=bool(plan.selection))
            path = create_run(chosen, plan.area, folder, mark(chosen) if repeated else "")
            done = work(plan, path, as_json)
            tell(done, as_json, report.result_in_words(done))


@app.command(hidden=True)
def resume(path: Path) -> None:
    """Carry out a queued run; how a job starts."""
    logs.begin(True, os.environ[logs.FORM])  # into the run's log.txt
    done = carry_out_queued(path)
    judge_domain(done)
    tell(done, True, "")


@app.command(rich_help_panel=RUNS)
def stop(name: Annotated[str, typer.Argument(help="A run.")]) -> None:
    """End a run within two seconds; its folder stays readable."""
    from lsm_core.run_status import end_run, find_run

    path = find_run(name)
    typer.echo(f"{path.name}: {end_run(path)}")


@app.command(rich_help_panel=ASK)
def compare(
    names: RunNames,
    to: Annotated[
        Path | None, typer.Option(help="A folder to write the tables to, as CSV and JSON.")
    ] = None,
    protocols: Annotated[
        bool, typer.Option("--protocols", help="Random against spatial, with the gap.")
    ] = False,
    draws: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0: no intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
    as_json: Json = False,
) -> None:
    """Tables for runs judged on the same test places, with intervals, tests and leakage."""
    from lsm_core import comparison_report, report, runs

    chosen = [runs.open_run(name) for name in names]
    if protocols:
        tables = {"protocols": runs.compare_protocols(chosen, draws=draws, seed=seed)}
        words = comparison_report.protocols_in_words(tables["protocols"], draws)
    else:
        tables = runs.compare(chosen, draws=draws, seed=seed)
        words = comparison_report.tables_in_words(tables, draws)
    choices = report.choices_of(chosen)
    if len(choices):
        tables["factors"] = choices
        words += "\n\n" + "\n".join(report.choice_in_words(run) for run in chosen)
    text = {name: comparison_report.records(table) for name, table in tables.items()}
    if to:
        to.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            runs.write_table(to / f"{name}.csv", table)
        runs.write_json(to / "comparison.json", text)
        comparison_report.write_leakage(to, chosen)
        if protocols:
            from lsm_core import figures

            drawn = figures.page_of(figures.protocols_of(tables["protocols"]), "protocols")
            runs.write_text(to / "protocols.html", drawn)
    typer.echo(json.dumps(text, indent=1) if as_json else words)


@app.command(rich_help_panel=ASK)
def predict(
    name: Annotated[str, typer.Argument(help="A finished run.")],
    to: Annotated[
        Path, typer.Option(help="GeoTIFF to write; of units a .gpkg, .csv or .parquet file.")
    ],
    area: Annotated[str | None, typer.Option(help="Area to map; the run's by default.")] = None,
    units: Annotated[
        Path | None, typer.Option(help="Polygons to sum the map up by (slope units), to a .gpkg.")
    ] = None,
    zones: Annotated[
        Path | None, typer.Option(help="GeoTIFF of zones too, by the run's own limits.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            envvar="DASK_SCHEDULER_ADDRESS",
            help="Address of a dask scheduler whose workers share this machine's folders.",
        ),
    ] = None,
) -> None:
    """Map an area of any size with a finished run's model.

    Finished blocks are kept: a map that was stopped goes on where it was.
    """
    from lsm_core import large_map, runs
    from lsm_core.grid import grid_of
    from lsm_core.study_area import area_path, is_units, open_area

    quiet_networks()
    run = runs.open_run(name)
    path = area_path(area) if area else run.area_path
    ds = open_area(path)
    if units is not None or is_units(ds):
        _predict_units(run, ds, path, to, units)
        return
    with bars(False) as follow:
        large_map.write_large_map(
            run,
            path,
            to,
            scheduler=scheduler,
            tell=lambda words: follow({"event": "stage", "stage": "mapping", "message": words}),
            on_progress=lambda done, total: follow({"event": "map", "done": done, "total": total}),
        )
    typer.echo(f"map: {to}")
    if zones:
        cut = ((row, run.limits.zone(block)) for row, block in runs.read_strips(to))
        runs.write_map(zones, grid_of(ds), cut, dtype="uint8")
        typer.echo(f"zones: {zones}")


def _predict_units(run: "Run", ds: Any, path: Path, to: Path, polygons: Path | None) -> None:
    """A table of units scored, or a map summed up by polygons and judged at that support."""
    from lsm_core import report, unit_prediction
    from lsm_core.catalog import read_polygons

    if polygons is None:
        table = unit_prediction.predict_table(run, ds, path, to)
        typer.echo(
            f"{len(table):,} units, {int(table['score'].notna().sum()):,} with a score: {to}"
        )
        return
    with bars(False) as follow:
        judged = unit_prediction.predict_polygons(
            run,
            ds,
            read_polygons(polygons),
            to,
            on_progress=lambda done, total: follow({"event": "map", "done": done, "total": total}),
        )
    typer.echo(report.units_in_words(judged))
    typer.echo(f"units: {to}")


if __name__ == "__main__":
    main()
