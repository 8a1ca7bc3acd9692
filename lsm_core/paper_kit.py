"""`lsm report`: what a paper says of some runs, as a page and as LaTeX, made from their folders.

    report.html   to be read, figures beside it
    report.tex    the same as source: sections, tables (booktabs), figures as PDF
    figures/      each with the JSON that makes it again
    tables/       CSV

Nothing is computed here that is not in the runs, but for intervals and tests between them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
import xarray as xr
from markupsafe import Markup

from lsm_core import area_report, own_sources, publication
from lsm_core.catalog import shipped
from lsm_core.errors import LsmError
from lsm_core.export_bundle import tables_of
from lsm_core.methods_text import limits_of, methods_of, repeats_of
from lsm_core.paper_tables import Part, names_of, results_of, tables_shown
from lsm_core.plot_style import listed
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
CAPTIONS = {  # what a reader has to know of a figure beside its title
    "area": ": those that train, check and test, and those left out by a gap or a rule",
    "factors": "; ≤ and ≥ stand where values beyond the end have its colour",
    "rates": ": landslides held out (a) and learnt from (b) in the most susceptible area",
    "histogram": " (whole map)",
    "density": "; on the whole map landslides learnt from count too",
    "reliability": " at test places; ECE: expected calibration error",
    "importance": ": fall of average precision at test places where a run was explained, else "
    "accuracy that a random forest on its training places loses out of bag; whiskers are 95 % "
    "intervals",
    "correlation": " (Pearson's r, training places; of aspect the multiple correlation, unsigned)",
}


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
        "results": results_of(tables, runs),
        "tables": tables_shown(runs, tables),
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
            Part("The study area", _what_it_is(ds)),
            Part("Factors", _named(ds)),
            Part("Data and licences", sources[["source", "file", "CRS", "licence"]]),
            Part("Left out or put right", area_report.left_out(ds).rename(columns={"n": "number"})),
        ]
        title = str(ds.attrs.get("title") or path.name)
        found.append({"title": title, "parts": [part for part in parts if len(part.table)]})
    return found


def _what_it_is(ds: xr.Dataset) -> pd.DataFrame:
    rows = area_report.checks(ds).set_index("what").drop(index="contract")
    return rows.reset_index().rename(columns={"what": "property", "words": "value"})


def _named(ds: xr.Dataset) -> pd.DataFrame:
    """Factors with what they are in full, such as the radius of a position index."""
    rows = area_report.factor_rows(ds).drop(columns="from")
    names = [str(ds[name].attrs.get("long_name", "")) for name in rows["factor"]]
    rows.insert(1, "what it is", names)
    return rows


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
            made.append(Picture(kind.title + CAPTIONS.get(name, ""), name))
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
