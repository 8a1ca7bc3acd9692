"""Tables and paragraphs of results in a report, made of the tables that runs are compared by."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import pandas as pd

from lsm_core.comparison_report import differences_in_words
from lsm_core.export_bundle import DRAWS
from lsm_core.plot_style import listed, told_apart
from lsm_core.runs import Run

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


def tables_shown(runs: Sequence[Run], tables: Mapping[str, pd.DataFrame]) -> list[Part]:
    """Tables of a report, with captions, of those that `export_bundle.tables_of` made."""
    parts: list[Part] = []
    for name, table in tables.items():
        if name.startswith("scores"):
            number, judged = name.removeprefix("scores"), set(table["run"])
            named = names_of([run for run in runs if run.id in judged])
            parts += _judged(table, {k: tables.get(f"{k}{number}") for k in JUDGED}, named)
    if "zones" in tables:
        parts += _classes(tables["zones"], {run.metrics.get("zoning") for run in runs})
    return parts


def _classes(zones: pd.DataFrame, drawn: Set[str | None]) -> Iterator[Part]:
    """Classes as the maps draw them, of the whole map and of the ground of the test."""
    notes = {
        "whole map": "landslides learnt from count too",
        "test blocks": "ground nobody trained on",
    }
    shown = zones.assign(density=1000 * zones["density"])
    for (breaks, where), table in shown.groupby(["breaks", "where"], sort=False):
        if breaks in drawn:
            counted = table["counted"].iloc[0] if "counted" in table else "cells"
            names = ZONES | {"density": f"landslides per 1,000 {counted}"}
            cut = {"natural": "natural breaks of each map"}.get(str(breaks), str(breaks))
            note = f" ({notes[where]})" if where in notes else ""
            yield Part(f"Susceptibility classes by {cut}, {where}{note}", _some(table, names))


def results_of(tables: Mapping[str, pd.DataFrame], runs: Sequence[Run]) -> list[str]:
    """A paragraph on each set of test places: scores, what almost nothing gives, differences."""
    told = []
    for name in [name for name in tables if name.startswith("scores")]:
        scores, number = tables[name], name.removeprefix("scores")
        named = names_of([run for run in runs if run.id in set(scores["run"])])
        judged = [
            f"{named[row['run']]} has AP {_limits(row, 'ap')} and AUC {_limits(row, 'auc')}"
            for row in scores.to_dict("records")
        ]
        places = f"{scores['test places'].iloc[0]:,} test places"
        words = [f"On {places} ({listed(scores['protocol'])} protocol) {'; '.join(judged)}."]
        if (nulls := tables.get(f"nulls{number}")) is not None and len(nulls):
            some = [f"{row['null model']} {row['auc']:.3f}" for row in nulls.to_dict("records")]
            words.append(f"What knows one thing alone has AUC: {', '.join(dict.fromkeys(some))}.")
        if (pairs := tables.get(f"pairs{number}")) is not None and len(pairs):
            called = pairs.assign(a=pairs["a"].map(named), b=pairs["b"].map(named))
            verdicts = differences_in_words(called)
            words += [
                f"{pair}: {said}."
                for pair, said in zip(verdicts["pair"], verdicts["in words"], strict=True)
            ]
        told.append(" ".join(words))
    return told


def _limits(row: Mapping[Any, Any], name: str) -> str:
    low, high = row.get(f"{name} low"), row.get(f"{name} high")
    if pd.isna(low):
        return f"{row[name]:.3f}"
    return f"{row[name]:.3f} ({low:.3f} to {high:.3f})"


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
        decide = "limits are of each pair alone; p-values, after Holm for all pairs, decide"
        yield Part(f"Differences between models ({terms}); {decide}", words)


def names_of(runs: Sequence[Run]) -> dict[str, str]:
    """What tables call runs (known by their folder) and models (known by their recipe's name)."""
    titles = told_apart([run.title for run in runs], runs)
    models = {run.recipe.name: run.title for run in reversed(runs)}
    return models | {run.id: title for run, title in zip(runs, titles, strict=True)}


def _some(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    return table[[name for name in names if name in table]].rename(columns=dict(names))
