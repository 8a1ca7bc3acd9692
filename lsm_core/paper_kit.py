"""`lsm report`: what a paper says of some runs, as a page and as LaTeX, made from their folders.

    report.html   to be read, figures beside it
    report.tex    the same as source: sections, tables (booktabs), figures as PDF
    figures/      each with the JSON that makes it again
    tables/       CSV

Nothing is computed here that is not in the runs, but for intervals and tests between them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from lsm_core import area_report, own_sources, publication
from lsm_core.catalog import shipped
from lsm_core.comparison_report import differences_in_words
from lsm_core.errors import LsmError
from lsm_core.export_bundle import tables_of
from lsm_core.methods_text import limits_of, methods_of
from lsm_core.print_style import Look
from lsm_core.run_files import write_text
from lsm_core.runs import Run, versions
from lsm_core.safe_tables import csv_of, escaped, latex_of
from lsm_core.study_area import open_area

Tell = Callable[[str], None]
FORMATS = ("png", "pdf")  # of figures: for the page, and for LaTeX
SHOWN = {  # columns of the score table: the rest is in the CSV
    "run": "run", "protocol": "protocol", "test places": "places", "ap": "AP", "ap low": "AP from",
    "ap high": "AP to", "auc": "AUC", "auc low": "AUC from", "auc high": "AUC to",
    "f1": "F1", "precision": "precision", "sensitivity": "recall", "accuracy": "accuracy",
    "overlap share": "overlap",
}  # fmt: skip
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
    names = ", ".join(dict.fromkeys(run.area["name"] for run in runs))
    content = {
        "title": f"Landslide susceptibility of {names}",
        "areas": _areas(runs, tell),
        "methods": [(run.title, run.recipe.protocol, run.id, methods_of(run)) for run in runs],
        "tables": _tables(runs, tell),
        "figures": _figures(runs, into / "figures", look, tell),
        "limits": limits_of(runs),
        "made_with": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "again": [f"lsm reproduce {run.id}" for run in runs],
    }
    (into / "tables").mkdir(exist_ok=True)
    for name, table in tables_of(runs).items():
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


def _tables(runs: Sequence[Run], tell: Tell) -> list[Part]:
    tables = tables_of(runs, lambda words: tell(f"left out {words}"))
    parts = []
    for name, table in tables.items():
        if name.startswith("scores"):
            caption = "Scores on test places, with intervals of 95 % from whole blocks"
            parts.append(Part(caption, _some(table, SHOWN)))
    if "nulls" in tables:
        parts.append(Part("Models that know nothing else", tables["nulls"]))
    if "pairs" in tables:
        caption = "Differences between models; p-values after Holm"
        parts.append(Part(caption, differences_in_words(tables["pairs"])))
    if "zones" in tables:
        zones = tables["zones"]
        here = (zones["breaks"] == zones["breaks"].iloc[0]) & (zones["where"] == "whole map")
        parts.append(Part("Susceptibility classes on the whole map", _some(zones[here], ZONES)))
    return parts


def _some(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    return table[[name for name in names if name in table]].rename(columns=dict(names))


def _figures(runs: Sequence[Run], into: Path, look: Look, tell: Tell) -> list[Picture]:
    """Every figure that these runs can give; what only runs with a map have, of those alone."""
    made = []
    mapped = [run for run in runs if run.has_map]
    for name, kind in publication.FIGURES.items():
        for some in (runs, mapped):
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
    made.filters |= {"tex": escaped, "table": latex_of}
    return made.get_template("report.tex")


def _templates() -> jinja2.FileSystemLoader:
    return jinja2.FileSystemLoader(shipped("publication"))


def _html_table(table: pd.DataFrame) -> Markup:
    """Numbers with three digits; everything else is escaped."""
    text = table.to_html(index=False, border=0, na_rep="–", float_format="{:.3f}".format)
    return Markup(text)
