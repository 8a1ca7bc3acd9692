"""Comparisons in words: the tables `lsm compare` prints. Each says its protocol and its leakage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lsm_core.calibration import half_warning
from lsm_core.comparison import p_in_words
from lsm_core.runs import SCORE_COLUMNS, Run, write_table, write_text
from lsm_core.zoning import level_names, reasonableness

SHARES = ("share_of_cells", "share_of_landslides", "density")
PRINTED = ("natural", "equal 0.2")  # of the density tables every run has; the rest goes to CSV
INDEPENDENT = (
    "DeLong and McNemar take test places as independent; neighbours are not, so their p-values are "
    "too small: decide by the bootstrap."
)


def tables_in_words(tables: dict[str, pd.DataFrame], draws: int = 0) -> str:
    """The tables of `runs.compare` as text: scores first, then tests, then each zoning."""
    scores = tables["scores"]
    n, prevalence = scores["test places"].iloc[0], scores["prevalence"].iloc[0]
    terms = _terms(scores, on_units=_on_units(tables["zones"]))
    head = (
        f"Scores ({terms}; {n:,} test places, prevalence {prevalence:.2f}, which is the AP of a "
        "model that knows nothing; threshold 0.5, of the landslide class)"
    )
    wide = scores.set_index(_labels(scores))[[*SCORE_COLUMNS, "overlap share"]]
    parts = [f"{head}\n{wide.to_string(float_format='{:.4f}'.format)}", _leakage(scores)]
    if warning := half_warning(float(prevalence)):
        parts.append(f"warning: {warning}")
    if "models" in tables:
        parts += _judged(tables, terms, draws)
    for (breaks, where), zones in _printed(tables["zones"]):
        title = f"Zoning by {breaks}, {where} ({terms}; a landslide is counted once)"
        table = _zone_table(zones).to_string(float_format="{:.2f}".format)
        parts.append("\n".join([title, table, *_statements(zones)]))
    return "\n\n".join(part for part in parts if part)


def _printed(zones: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """The zoning tables to print, by how and where they were made; none of runs without a map."""
    if zones.empty:
        return []
    kept = zones["breaks"].isin(PRINTED) | zones["breaks"].str.contains(",")
    return list(zones[kept].groupby(["breaks", "where"], sort=False))


def _on_units(zones: pd.DataFrame) -> bool:
    return not zones.empty and set(zones["counted"]) == {"units"}


def _terms(scores: pd.DataFrame, *, on_units: bool) -> str:
    """Protocol and overlap: the terms under which a table's numbers were had."""
    shares = scores["overlap share"]
    if not shares.max() > 0:
        none = ("test window overlaps a training window", "test unit is trained on")[on_units]
        overlap = f"no {none}"
    else:
        some = ("windows overlap training windows", "units are trained on")[on_units]
        overlap = f"{100 * shares.max():.1f}% of test {some}"
        if shares.min() < shares.max():
            overlap = f"{100 * shares.min():.1f} to {overlap}"
    return f"{' and '.join(dict.fromkeys(scores['protocol']))} protocol, {overlap}"


def _leakage(scores: pd.DataFrame) -> str:
    """The verdict of each run, or of all where they have one."""
    verdicts = dict.fromkeys(scores["overlap verdict"])
    if len(verdicts) == 1:
        return f"leakage, all runs: {next(iter(verdicts))}"
    pairs = zip(_labels(scores), scores["overlap verdict"], strict=True)
    return "\n".join(f"leakage, {name}: {verdict}" for name, verdict in pairs)


def _judged(tables: dict[str, pd.DataFrame], terms: str, draws: int) -> list[str]:
    models = tables["models"]
    shown = pd.DataFrame({"runs": models["runs"].to_numpy()}, index=pd.Index(models["model"]))
    for name in ("ap", "auc"):
        shown[name.upper()] = _with_limits(models, name)
        if models[f"{name} sd"].notna().any():
            shown[f"{name.upper()} sd over runs"] = models[f"{name} sd"].round(4).to_numpy()
        shown[f"{name.upper()} rank"] = models[f"{name} rank"].to_numpy()
    shown.index.name = ""
    nulls = tables["nulls"]
    for null in nulls.to_dict(orient="records"):
        row = {"runs": null["runs"], "AP": f"{null['ap']:.4f}", "AUC": f"{null['auc']:.4f}"}
        shown.loc[null["null model"]] = pd.Series(row)
    title = (
        f"Models with 95% intervals ({terms}; {draws:,} bootstrap samples of whole blocks; ranks "
        "change only where the interval of a difference leaves 0 out)"
    )
    parts = [f"{title}\n{shown.to_string(na_rep='')}"]
    if len(tables["pairs"]):
        title = f"Pairs ({terms}; p-values adjusted by Holm over the pairs)"
        parts.append(f"{title}\n{_pairs(tables['pairs'])}\n{INDEPENDENT}")
    if len(tables["thresholds"]):
        columns = ["threshold", "accuracy", "precision", "recall", "specificity", "f1", "kappa"]
        rows = tables["thresholds"]
        index = pd.MultiIndex.from_arrays([_labels(rows), rows["rule"]], names=["", ""])
        table = rows[columns].set_index(index).astype("float64")
        title = f"At thresholds chosen on validation places ({terms}; scores of the test places)"
        parts.append(f"{title}\n{table.to_string(float_format='{:.4f}'.format)}")
    return parts


def _with_limits(table: pd.DataFrame, name: str, places: int = 4) -> list[str]:
    """Value and limits; the value alone where there are no limits."""
    columns = table[[name, f"{name} low", f"{name} high"]].itertuples(index=False)
    return [
        f"{value:.{places}f}"
        if pd.isna(low)
        else f"{value:.{places}f} [{low:.{places}f}, {high:.{places}f}]"
        for value, low, high in columns
    ]


def _pairs(pairs: pd.DataFrame) -> str:
    columns: dict[str, Any] = {}
    for name in ("ap", "auc"):
        renamed = pairs.rename(columns={f"{name} difference": name})
        columns[f"{name.upper()} difference"] = _with_limits(renamed, name)
        columns[f"{name.upper()} p"] = pairs[f"{name} p holm"].to_numpy()
    more = {
        "DeLong p": "delong p holm",
        "McNemar p": "mcnemar p holm",
        "Wilcoxon p": "wilcoxon p holm",
        "corrected t p": "corrected t p holm",
    }
    had = {to: name for to, name in more.items() if pairs[name].notna().any()}
    columns |= {to: pairs[name].to_numpy() for to, name in had.items()}
    index = pd.Index([f"{a} - {b}" for a, b in zip(pairs["a"], pairs["b"], strict=True)])
    return pd.DataFrame(columns, index=index).to_string(
        float_format=lambda p: f"{p:.4f}" if p >= 0.0001 else "< 0.0001", na_rep=""
    )


def differences_in_words(pairs: pd.DataFrame, level: float = 0.05) -> pd.DataFrame:
    """One row a pair of models: what `scoreboard.pair_table` found, and what that says in words.

    Columns: pair, AP difference, AUC difference (with limits), the adjusted p-values of every test
    that could be had, in words. The words go by the block bootstrap, which respects that neighbours
    are alike; where the other tests say more than it does, the words warn.
    """
    rows = []
    for pair in pairs.to_dict(orient="records"):
        row = {"pair": f"{pair['a']} − {pair['b']}"}
        for name in ("ap", "auc"):
            low, high = pair[f"{name} low"], pair[f"{name} high"]
            limits = "" if pd.isna(low) else f" [{low:+.3f}, {high:+.3f}]"
            row[f"{name.upper()} difference"] = f"{pair[f'{name} difference']:+.3f}{limits}"
        tests = TESTS | {f"{n.upper()}, block bootstrap p": f"{n} p holm" for n in ("ap", "auc")}
        row |= {words: p_in_words(pair[column]) for words, column in sorted(tests.items())}
        rows.append(row | {"in words": _verdict(pair, level)})
    shown = pd.DataFrame(rows)
    return shown.drop(columns=[name for name in shown if (shown[name] == "").all()])


TESTS = {
    "DeLong p (AUC)": "delong p holm",
    "McNemar p (at 0.5)": "mcnemar p holm",
    "Wilcoxon p (AP)": "wilcoxon p holm",
    "corrected t p (AP)": "corrected t p holm",
}


def _verdict(pair: dict[Any, Any], level: float) -> str:
    """What may be said of a pair; the block bootstrap decides."""
    better: dict[Any, list[str]] = {}
    unsure = []
    for name in ("ap", "auc"):
        gap, p = pair[f"{name} difference"], pair[f"{name} p holm"]
        if pd.isna(p):
            return "no interval can be had: test places of several blocks are needed"
        if p < level:
            better.setdefault(pair["a" if gap > 0 else "b"], []).append(name.upper())
        else:
            unsure.append(name.upper())
    said = [f"{model} has the higher {' and '.join(names)}" for model, names in better.items()]
    said += [f"no difference in {' or '.join(unsure)} can be told from chance"] if unsure else []
    naive = [pair.get(column) for column in ("delong p holm", "mcnemar p holm")]
    if unsure and any(p < level for p in naive if not pd.isna(p)):
        said.append("tests that take neighbours as independent say there is one: do not rely on it")
    return "; ".join(said)


def protocols_in_words(table: pd.DataFrame, draws: int) -> str:
    """The table of `runs.compare_protocols` as text."""
    measured = table.assign(**{name: table.get(name) for name in _INTERVALS if name not in table})
    shown = measured[["model", "method", "metric"]].reset_index(drop=True)
    shown["metric"] = shown["metric"].str.upper()
    for side in ("random", "spatial", "gap"):
        shown[side] = _with_limits(measured, side, 3)
    for side in ("random", "spatial"):
        share = 100 * pd.to_numeric(measured[f"{side} overlap"])
        shown[f"overlap, {side}"] = [f"{s:.1f}%" if pd.notna(s) else "" for s in share]
    title = (
        "Random (paper protocol) against spatial (honest protocol) evaluation, 95% intervals of "
        f"{draws:,} bootstrap samples of whole blocks; gap = random - spatial, each side drawn on "
        "its own; overlap: share of test windows that overlap a training window"
    )
    return f"{title}\n{shown.to_string(index=False)}"


_INTERVALS = (
    *("random low", "random high", "spatial low", "spatial high", "gap low", "gap high"),
    *("random overlap", "spatial overlap"),
)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: what is not defined, or endless, is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(k): None if v in (float("inf"), float("-inf")) else v for k, v in row.items()}
        for row in plain.to_dict(orient="records")
    ]


def leakage_table(runs: Sequence[Run]) -> pd.DataFrame:
    """How near test places and cells of the map lie to training places, counted, run by run.

    One row a run and distance: run, model, protocol, verdict, unit ("cells" or "m"), from, to,
    test places, map cells. An older run, which stored no distances, has one row without them.
    """
    rows = []
    for run in runs:
        overlap = run.metrics["overlap"]
        found = overlap.get("distances") or {}
        row = {"run": run.id, "model": run.recipe.name, "protocol": run.recipe.protocol}
        row |= {"verdict": overlap["verdict"], "unit": overlap.get("unit", "cells")}
        edges = found.get("edges", [None, None])
        counts = [found.get(name) or [None] * (len(edges) - 1) for name in ("test", "map")]
        for low, high, test, cells in zip(edges[:-1], edges[1:], *counts, strict=True):
            rows.append(row | {"from": low, "to": high, "test places": test, "map cells": cells})
    return pd.DataFrame(rows)


def write_leakage(folder: Path, runs: Sequence[Run]) -> None:
    """`leakage.csv`, and `leakage.html` with a picture of each meter that can be drawn."""
    import holoviews as hv

    from lsm_core import figures  # heavy, and not needed by what is only said

    write_table(folder / "leakage.csv", leakage_table(runs))
    drawn = [run for run in runs if (run.metrics["overlap"].get("distances") or {}).get("map")]
    plots = [figures.leakage_of(*alike) for alike in figures.alike_in_leakage(drawn)]
    if plots:
        below = hv.Layout(plots).cols(1).opts(shared_axes=False, backend="bokeh")
        write_text(folder / "leakage.html", figures.page_of(below, "leakage"))


def _labels(table: pd.DataFrame) -> pd.Index:
    """The model's name, or the run's where two runs have one model."""
    unique = table.drop_duplicates("run")["model"].is_unique
    return pd.Index(table["model" if unique else "run"], name="")


def _zone_table(zones: pd.DataFrame) -> pd.DataFrame:
    """One row a model and measure, one column a zone, in per cent."""
    rows = {}
    names = _labels(zones)
    columns: list[str] = []
    for name in dict.fromkeys(names):
        own = zones[names == name].sort_values("zone")
        for measure in SHARES:
            words = measure.replace("_", " ").replace("cells", own["counted"].iloc[0])
            rows[name, words + " %"] = (100 * own[measure]).to_numpy()
        columns = [_zone_name(zone, len(own)) for zone in own.to_dict(orient="records")]
    return pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows), columns)


def _zone_name(zone: dict[Any, Any], k: int) -> str:
    """Its limits, or its level where the limits are each map's own."""
    equal = zone["breaks"] == "equal 0.2"
    return f"{zone['from']:.1f}-{zone['to']:.1f}" if equal else level_names(k)[zone["zone"] - 1]


def _statements(zones: pd.DataFrame) -> list[str]:
    """What each run's zones say, and whether that is what zones of susceptibility should say."""
    said = []
    for name, own in zones.groupby(_labels(zones), sort=False):
        statement = reasonableness(own.sort_values("zone"), own["counted"].iloc[0])
        said.append(f"{name}: {statement['words']}")
    return said
