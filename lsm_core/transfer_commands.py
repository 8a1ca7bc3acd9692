"""`lsm transfer`: carry a run to another area, see what matches, and draw learning curves."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lsm_core.errors import RecipeError

if TYPE_CHECKING:
    from lsm_core.recipe import Recipe
    from lsm_core.runs import Run

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
Mapping = Annotated[
    Path | None, typer.Option(help="File that says which factors and codes are the same.")
]
Changes = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")]


class _Shortcut(TyperGroup):
    """`lsm transfer RUN ...` is short for `lsm transfer run RUN ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


transfer_app = typer.Typer(
    cls=_Shortcut,
    no_args_is_help=True,
    help="Carry a model to another area: `lsm transfer RUN --area TARGET --how inductive`.",
)


@transfer_app.command()
def run(
    source: Annotated[str, typer.Argument(help="A finished run: the source.", metavar="RUN")],
    area: Annotated[str, typer.Option(help="The target: a built area.")],
    how: Annotated[
        str, typer.Option(help="direct, self, inductive, pooled or scratch.")
    ] = "direct",
    labels: Annotated[
        int | None, typer.Option(help="Target places with a label; all without.")
    ] = None,
    freeze: Annotated[
        int, typer.Option(help="First layers that stay as they are; -1: all but the last.")
    ] = 0,
    rate: Annotated[float | None, typer.Option(help="Learning rate of fine-tuning.")] = None,
    mapping: Mapping = None,
    into: Annotated[Path | None, typer.Option(help="Folder for the run; the workspace.")] = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Carry a run's model to another area: a run of its own there, judged on held-out places."""
    from lsm_core import experiment, report
    from lsm_core.carried import carried
    from lsm_core.foreground import tell, work
    from lsm_core.runs import create_run, open_run, runs_folder
    from lsm_core.study_area import is_units

    there = open_run(source)
    given: dict[str, Any] = {"labels": labels, "freeze": freeze or None, "rate": rate}
    given["mapping"] = str(mapping.resolve()) if mapping else None
    recipe = carried(there, area, how, given, changes or [])
    plan = experiment.plan_run(recipe)
    if not as_json:
        typer.echo(_from_words(there, recipe))
        typer.echo(report.plan_in_words(recipe, plan.counts, units=is_units(plan.ds)))
    done = work(plan, create_run(recipe, plan.area, into or runs_folder()), as_json)
    trusted = judge_domain(done)
    if trusted and not as_json:
        typer.echo(trusted)
    tell(done, as_json, report.result_in_words(done))


def judge_domain(done: "Run") -> str:
    """Where a carried model may be asked, written into its folder, and in words; else nothing."""
    recipe = done.recipe
    if not recipe.map or recipe.transfer is None or not recipe.transfer.carries:
        return ""
    from lsm_core.applicability import area_of_applicability

    return str(area_of_applicability(done)["words"])


def _from_words(source: "Run", recipe: "Recipe") -> str:
    settings = recipe.transfer
    assert settings is not None
    asked = "all" if settings.asks is None else settings.asks
    return (
        f"{settings.how} transfer from {source.id} ({source.area['name']}), target labels: {asked}"
    )


@transfer_app.command()
def match(
    source: Annotated[str, typer.Argument(help="A finished run, or a built area.")],
    target: Annotated[str, typer.Argument(help="A built area.")],
    mapping: Mapping = None,
    draft: Annotated[
        Path | None, typer.Option(help="Begin a mapping file here, for you to check.")
    ] = None,
    divergence: Annotated[
        bool,
        typer.Option("--divergence", help="How unlike each factor is (KL)."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Which factors of two areas are the same, by name, units, categories (status 2: not all)."""
    from lsm_core import matching
    from lsm_core.mapping_draft import draft as text_of
    from lsm_core.study_area import area_path, open_area

    if draft and draft.exists():
        raise RecipeError(f"{draft} is there already: name a new file to begin a draft in")
    there = open_area(area_path(target))
    known, prints, notes = _known(source, there)
    said = matching.load_mapping(mapping) if mapping else {}
    same = matching.shared_origin(prints, matching.fingerprints_of(there))
    found = matching.match(known, there, said, same_origin=same)
    found = dataclasses.replace(found, notes=(*found.notes, *notes))
    unlike = _unlike(source, there, found, said) if divergence and found.pairs else None
    if as_json:
        table = {} if unlike is None else {"divergence": json.loads(unlike.to_json(orient="index"))}
        asked = {} if found.whole else {"draft": text_of(known, there, found, said)}
        units = {"units": {name: known[name].units for name in found.pairs}}
        typer.echo(json.dumps(vars(found) | units | table | asked, indent=1))
    else:
        typer.echo(matching.in_words(found, source, target))
        typer.echo("" if unlike is None else unlike.to_string(float_format="{:.2f}".format))
    if draft and not found.whole:
        from lsm_core.run_files import write_text

        write_text(draft, text_of(known, there, found, said))
        if not as_json:
            typer.echo(f"a draft to check is in {draft}: then --mapping {draft}")
    matching.refuse(found, source, target, listed=not as_json)


def _unlike(source: str, target: Any, found: Any, said: Any) -> Any:
    """KL divergence of each matched factor at random places of both areas, the most unlike first.

    The target is read in the terms of the source; of a run its own area is the source's.
    """
    import numpy as np

    from lsm_core import matching, selection
    from lsm_core.factor_tables import cyclic_of, factor_table, some_places
    from lsm_core.runs import open_run
    from lsm_core.study_area import area_path, open_area

    place = area_path(source)
    is_area = place.is_dir() and not (place / "status.json").is_file()
    here = open_area(place if is_area else open_run(source).area_path)
    names = [name for name in found.pairs if name in here]
    renamed = {name: how for name, how in said.items() if name in names}
    if renamed:
        target = matching.as_source(target, matching.known_of(here, names), renamed)
    rng, n = np.random.default_rng(1), selection.MOST_PLACES
    own = factor_table(here, some_places(here, n, rng), names)
    other = factor_table(target, some_places(target, n, rng), names)
    angles = [name for name in cyclic_of(here) if name in names]
    return selection.divergence(own, other, cyclic=angles)


def _known(source: str, target: Any) -> tuple[Any, dict[str, str], list[str]]:
    """What a run's encoder, or else an area, knows of its factors; fingerprints; remarks."""
    from lsm_core import matching
    from lsm_core.encoder import Encoder
    from lsm_core.errors import RunError
    from lsm_core.runs import open_run
    from lsm_core.study_area import area_path, open_area

    place = area_path(source)  # a run's folder may be named in full, too
    if place.is_dir() and not (place / "status.json").is_file():
        ds = open_area(place)
        notes = matching.cell_size_note(ds, target)
        return matching.known_of(ds), matching.fingerprints_of(ds), notes
    try:
        run = open_run(source)
    except RunError as error:
        raise RecipeError(f"{source} is neither a built area nor a run: {error}") from error
    return (
        matching.known_of_encoder(Encoder.from_json(run.encoder)),
        run.area.get("fingerprints", {}),
        [],
    )


@transfer_app.command()
def study(
    recipe: Annotated[str, typer.Argument(help="Recipe of the source: a file, or its name.")],
    source: Annotated[str, typer.Option(help="Area to train on.")],
    area: Annotated[str, typer.Option(help="The target.")],
    labels: Annotated[
        str, typer.Option(help="Numbers of target labels, by comma; `all` is one.")
    ] = "10,30,100,300,1000",
    scales: Annotated[
        str, typer.Option(help="Numbers of source places, of one region each; `all` is one.")
    ] = "all",
    draws: Annotated[int, typer.Option(min=1, help="Repeats, each with other labels.")] = 10,
    how: Annotated[
        str, typer.Option(help="Ways, by comma.")
    ] = "direct,self,inductive,pooled,scratch",
    freeze: Annotated[int, typer.Option(help="First layers that stay as they are.")] = 0,
    rate: Annotated[float | None, typer.Option(help="Learning rate of fine-tuning.")] = None,
    mapping: Mapping = None,
    into: Annotated[Path | None, typer.Option(help="Folder for the runs; the workspace.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for tables and figures.")] = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Learning curves: source scale by target labels, over draws; finished runs are used again."""
    from lsm_core import learning_curves, transfer_study
    from lsm_core.foreground import quiet_networks, recipe_of
    from lsm_core.runs import runs_folder

    quiet_networks()
    given: dict[str, Any] = {"freeze": freeze or None, "rate": rate}
    given["mapping"] = str(mapping.resolve()) if mapping else None
    asked = learning_curves.Study(
        recipe_of(recipe, None, changes),
        source,
        area,
        _numbers(scales, "--scales"),
        _numbers(labels, "--labels"),
        draws,
        tuple(name.strip() for name in how.split(",")),
        {key: value for key, value in given.items() if value is not None},
    )
    say = (lambda line: None) if as_json else typer.echo

    def keep(rows: Any) -> None:
        if to:
            transfer_study.save_tables(to, rows, asked)

    rows = learning_curves.carry_out(asked, into or runs_folder(), say, keep=keep)
    table = learning_curves.summary(rows)
    if to:
        transfer_study.save_study(to, rows, asked)
    if as_json:
        typer.echo(table.to_json(orient="records", indent=1))
        return
    typer.echo(learning_curves.in_words(table))
    for than in [name for name in ("scratch", "direct", "pooled") if name in set(rows["how"])]:
        typer.echo(learning_curves.gains_in_words(rows, than))


@transfer_app.command()
def tables(
    names: Annotated[list[str], typer.Argument(help="Runs, transferred or not.", metavar="RUN...")],
    to: Annotated[Path | None, typer.Option(help="Folder for CSV files and the ROC.")] = None,
) -> None:
    """Landslides and area by class; VIF and regressions on each factor a run learnt from."""
    from lsm_core import figures, transfer_figures, transfer_report
    from lsm_core.run_files import write_table, write_text
    from lsm_core.runs import open_run

    found = [open_run(name) for name in names]
    mapped = [run for run in found if run.metrics.get("zoning") is not None]
    zones = transfer_report.zone_table(mapped) if mapped else None
    typer.echo(transfer_report.in_words(found, zones))
    if to:
        to.mkdir(parents=True, exist_ok=True)
        if zones is not None:
            write_table(to / "zones.csv", zones)
        for run in found:
            made = transfer_report.training_table(run).rename_axis("factor").reset_index()
            write_table(to / f"factors_{run.id}.csv", made)
        drawn = figures.curves_of(found, "roc")
        write_text(to / "roc.html", figures.page_of(drawn, "ROC"))
        areas = ", ".join(dict.fromkeys(run.area["name"] for run in found))
        transfer_figures.save_roc(drawn, f"ROC of held-out places, {areas}", to / "roc.png")


def _numbers(text: str, option: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if n.strip() == "all" else int(n) for n in text.split(","))
    except ValueError as error:
        raise RecipeError(
            f"{option} takes numbers by comma, such as 10,30,100,all; got {text}"
        ) from error
