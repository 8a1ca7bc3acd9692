"""`lsm report`: what a paper says of some runs, as a page and as LaTeX, made from their folders.

    report.html   to be read, figures beside it
    report.tex    the same as source: sections, tables (booktabs), figures as PDF
    figures/      each with the JSON that makes it again
    tables/       CSV

Nothing is computed here that is not in the runs, but for intervals and tests between them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from lsm_core import area_report, own_sources, publication
from lsm_core.catalog import shipped
from lsm_core.comparison_report import differences_in_words
from lsm_core.errors import LsmError
from lsm_core.export_bundle import DRAWS, tables_of
from lsm_core.methods_text import limits_of, methods_of, repeats_of
from lsm_core.plot_style import listed, told_apart
from lsm_core.print_style import Look, first_up
from lsm_core.report import choices_of
from lsm_core.run_files import write_text
from lsm_core.runs import Run, versions
from lsm_core.safe_tables import csv_of, escaped, long_latex_of
from lsm_core.side_by_side import model_key
from lsm_core.study_area import open_area

Tell = Callable[[str], None]
TWICE = ("pr", "roc", "density_table")  # figures that a report has in another one, or as a table
FORMATS = ("png", "pdf")  # of figures: for the page, and for LaTeX
LIMITS = {
    "ap": "AP", "ap low": "AP from", "ap high": "AP to",
    "auc": "AUC", "auc low": "AUC from", "auc high": "AUC to",
}  # fmt: skip
SHOWN = {  # columns of the score table: the rest is in the CSV
    "run": "run", "test places": "places", **LIMITS,
    "f1": "F1", "precision": "precision", "sensitivity": "recall", "accuracy": "accuracy",
    "overlap share": "overlap",
}  # fmt: skip
MEANS = {"model": "model", "runs": "runs", **LIMITS, "ap sd": "AP sd", "auc sd": "AUC sd"}
NULLS = {"null model": "score", "ap": "AP", "auc": "AUC"}
ZONES = {
    "run": "run", "zone": "class", "from": "from", "to": "to", "cells": "cells",
    "share_of_cells": "share of cells", "landslides": "landslides",
    "share_of_landslides": "share of landslides", "density": "density",
}  # fmt: skip


class Part(NamedTuple):
    """A table with what stands above it."""

    caption: str
    table: pd.DataFrame


class Picture(NamedTuple):
    """A figure: its caption, and the name of its files without ending."""

    caption: str
    stem: str


def write_report(runs: Sequence[Run], into: Path, look: Look, tell: Tell = lambda _: None) -> Path:
    """Write the folder of a report on finished runs; returns its page.

    Parameters
    ----------
    runs : finished ones; those judged on the same test places share a table and are tested.
    into : folder, made where it is missing; files of an earlier report there are replaced.
    look : of the figures. tell : hears what was left out, and why.

    Raises
    ------
    RunError : a run is not done. RecipeError : a font lacks letters.
    """
    for run in runs:
        _ = run.metrics  # says so of a run that is not done
    into.mkdir(parents=True, exist_ok=True)
    tables = tables_of(runs, lambda words: tell(f"left out {words}"))
    areas = _areas(runs, tell)
    names = [area["title"] for area in areas] or [run.area["name"] for run in runs]
    content = {
        "title": f"Landslide susceptibility: {listed(names)}",
        "areas": areas,
        "methods": _methods(runs),
        "choices": _choices(runs),
        "tables": _tables(runs, tables),
        "figures": _figures(runs, into / "figures", look, tell),
        "limits": limits_of(runs),
        "made_with": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "again": [f"lsm reproduce {run.id}" for run in runs],
    }
    (into / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        write_text(into / "tables" / f"{name}.csv", csv_of(table))
    write_text(into / "report.tex", _source().render(content))
    write_text(into / "report.html", _page().render(content))
    return into / "report.html"


def _areas(runs: Sequence[Run], tell: Tell) -> list[dict[str, Any]]:
    """What is to be said of each study area, once: checks, sources with licences, what was left."""
    found, known = [], own_sources.entries()
    for path in dict.fromkeys(run.area_path for run in runs):
        try:
            ds = open_area(path)
        except LsmError as error:
            tell(f"study area {path.name}: {error}")
            continue
        sources = area_report.source_rows(ds, known)
        parts = [
            Part("The study area", area_report.checks(ds)),
            Part("Factors", area_report.factor_rows(ds).drop(columns="from")),
            Part("Data and licences", sources[["source", "file", "CRS", "licence"]]),
            Part("Left out or put right", area_report.left_out(ds)),
        ]
        title = str(ds.attrs.get("title") or path.name)
        found.append({"title": title, "parts": [part for part in parts if len(part.table)]})
    return found


def _models(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ in seed or fold alone together; one that has a map first."""
    models: dict[str, list[Run]] = {}
    for run in runs:
        models.setdefault(model_key(run), []).append(run)
    return [sorted(same, key=lambda run: not run.has_map) for same in models.values()]


def _methods(runs: Sequence[Run]) -> list[tuple[str, str, str, list[str]]]:
    """Paragraphs on each model; of one that was run several times, on its first run."""
    return [
        (one.title, one.recipe.protocol, one.id, [*methods_of(one), *repeats_of(same)])
        for same in _models(runs)
        for one in same[:1]
    ]


def _choices(runs: Sequence[Run]) -> list[Part]:
    """Factors kept and dropped, a table for all models that decided alike."""
    firsts, alike = [same[0] for same in _models(runs)], dict[str, list[Run]]()
    tables = {run.id: choices_of([run]).drop(columns="run") for run in firsts}
    for run in firsts:
        if len(tables[run.id]):
            alike.setdefault(tables[run.id].to_json(), []).append(run)
    named = names_of(firsts)
    return [
        Part(
            f"Factors kept and dropped: {listed(named[run.id] for run in same)}", tables[same[0].id]
        )
        for same in alike.values()
    ]


def _tables(runs: Sequence[Run], tables: Mapping[str, pd.DataFrame]) -> list[Part]:
    parts: list[Part] = []
    for name, table in tables.items():
        if name.startswith("scores"):
            number, judged = name.removeprefix("scores"), set(table["run"])
            named = names_of([run for run in runs if run.id in judged])
            parts += _judged(table, {k: tables.get(f"{k}{number}") for k in JUDGED}, named)
    if "zones" in tables:
        zones = tables["zones"]
        here = (zones["breaks"] == zones["breaks"].iloc[0]) & (zones["where"] == "whole map")
        caption = f"Susceptibility classes on the whole map, {zones['breaks'].iloc[0]}"
        parts.append(Part(caption, _some(zones[here], ZONES)))
    return parts


JUDGED = ("models", "nulls", "pairs")


def _judged(
    scores: pd.DataFrame, more: Mapping[str, pd.DataFrame | None], named: Mapping[str, str]
) -> Iterator[Part]:
    """Tables of runs that were judged on the same test places."""
    terms = f"{listed(scores['protocol'])} protocol"
    shown = scores.assign(run=scores["run"].map(named))
    limits = f"with limits of 95 % from {DRAWS} draws of whole blocks"
    yield Part(f"Scores on test places ({terms}), {limits}", _some(shown, SHOWN))
    models, nulls, pairs = (more[name] for name in JUDGED)
    if models is not None and (models["runs"] > 1).any():
        table = _some(models.assign(model=models["model"].map(named)), MEANS)
        yield Part(f"Means over repeated runs ({terms}), {limits}; sd: over runs", table)
    if nulls is not None:
        yield Part(f"Scores that know almost nothing, same places ({terms})", _some(nulls, NULLS))
    if pairs is not None:
        called = pairs.assign(a=pairs["a"].map(named), b=pairs["b"].map(named))
        words = differences_in_words(called)
        yield Part(f"Differences between models ({terms}); p-values after Holm", words)


def names_of(runs: Sequence[Run]) -> dict[str, str]:
    """What tables call runs (known by their folder) and models (known by their recipe's name)."""
    titles = told_apart([run.title for run in runs], runs)
    models = {run.recipe.name: run.title for run in reversed(runs)}
    return models | {run.id: title for run, title in zip(runs, titles, strict=True)}


def _some(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    return table[[name for name in names if name in table]].rename(columns=dict(names))


def _figures(runs: Sequence[Run], into: Path, look: Look, tell: Tell) -> list[Picture]:
    """Every figure these runs can give, of one run a model; what needs a map of those with one."""
    made = []
    firsts = [same[0] for same in _models(runs)]
    mapped = [run for run in firsts if run.has_map]
    for name, kind in publication.FIGURES.items():
        if name in TWICE:
            continue
        for some in (firsts, mapped):
            try:
                publication.write_figure(name, some, look, into, FORMATS)
            except LsmError as error:
                tell(f"{name} of {len(some)} runs: {error}")
                continue
            made.append(Picture(kind.title, name))
            break
    return made


# ------------------------------------------------------------------------------------ templates


def _page() -> jinja2.Template:
    made = jinja2.Environment(
        loader=_templates(), autoescape=True, undefined=jinja2.StrictUndefined
    )
    made.filters["table"] = _html_table
    return made.get_template("report.html")


def _source() -> jinja2.Template:
    """With marks of its own: LaTeX's braces are the usual ones."""
    made = jinja2.Environment(
        block_start_string="<%", block_end_string="%>", variable_start_string="<<",
        variable_end_string=">>", comment_start_string="<#", comment_end_string="#>",
        trim_blocks=True, loader=_templates(), undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters |= {"tex": escaped, "table": long_latex_of, "first_up": first_up}
    return made.get_template("report.tex")


def _templates() -> jinja2.FileSystemLoader:
    return jinja2.FileSystemLoader(shipped("publication"))


def _html_table(table: pd.DataFrame) -> Markup:
    """Numbers with three digits; everything else is escaped."""
    text = table.to_html(index=False, border=0, na_rep="–", float_format="{:.3f}".format)
    return Markup(text)
