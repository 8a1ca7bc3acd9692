"""Runs in words: the tables that the command line prints. Every one says its protocol."""

from typing import Any

import numpy as np
import pandas as pd

from lsm_core.recipe import Recipe
from lsm_core.runs import LEVEL_COLOURS, LEVELS, SCORE_COLUMNS, Run
from lsm_core.zoning import level_colours, level_names

SHARES = ("share_of_cells", "share_of_landslides", "density")


def plan_in_words(recipe: Recipe, counts: dict[str, int]) -> str:
    """What a run is about to do, with every count of what was drawn and left out."""
    protocol = {
        "honest": f"honest protocol: whole blocks are tested, training places at least "
        f"{recipe.apart} cells away",
        "paper": "paper protocol: random split, as published",
    }[recipe.protocol]
    lines = [f"{recipe.title or recipe.name} on {recipe.area}, size {recipe.size}", protocol]
    return "\n".join(lines + [f"  {name}: {n:,}" for name, n in counts.items()])


def selection_in_words(selection: dict[str, Any] | None) -> str:
    """Which factors a run keeps, and why not the others; empty where the recipe has no selection.

    >>> dropped = {"relief": "dropped: |r| = 0.91 with slope"}
    >>> print(selection_in_words({"kept": ["slope"], "dropped": dropped, "places": 812}))
    factors chosen on 812 training places: slope
      relief dropped: |r| = 0.91 with slope
    """
    if selection is None:
        return ""
    head = f"factors chosen on {selection['places']:,} training places: "
    lines = [f"  {name} {why}" for name, why in selection["dropped"].items()]
    return "\n".join([head + ", ".join(selection["kept"]), *lines])


def result_in_words(run: Run) -> str:
    """The result of one run in a few lines."""
    m = run.metrics
    return "\n".join(
        [
            f"{run.id} ({m['protocol']} protocol, {m['n']:,} test places, "
            f"prevalence {m['scores']['prevalence']:.2f})",
            f"AP {m['average_precision']:.3f}  AUC {m['roc_auc']:.3f}  "
            f"accuracy {m['scores']['accuracy']:.3f}  F1 {m['scores']['f1']:.3f}",
            f"leakage: {m['overlap']['verdict']}",
            f"seconds: {'  '.join(f'{k} {v:.0f}' for k, v in m['seconds'].items())}",
            f"run folder: {run.path}",
        ]
    )


def list_of(runs: list[Run]) -> pd.DataFrame:
    """One row a run: name, state, model, area, protocol, AP, AUC, when, tags."""
    return pd.DataFrame([_row(run) for run in runs])


def _row(run: Run) -> dict[str, Any]:
    status = run.status
    done = status["state"] == "done"
    return {
        "run": run.id,
        "state": status["state"],
        "model": run.recipe.model.name,
        "area": run.area["name"],
        "protocol": run.recipe.protocol,
        "AP": round(run.metrics["average_precision"], 3) if done else None,
        "AUC": round(run.metrics["roc_auc"], 3) if done else None,
        "created": status["created"][:16].replace("T", " "),
        "tags": ", ".join(run.tags),
        "message": status["message"],
    }


def tables_in_words(tables: dict[str, pd.DataFrame]) -> str:
    """The papers' tables as text: scores first, then each zoning."""
    scores = tables["scores"]
    n, prevalence = scores["test places"].iloc[0], scores["prevalence"].iloc[0]
    protocol = scores["protocol"].iloc[0]
    head = (
        f"Scores ({protocol} protocol, {n:,} test places, prevalence {prevalence:.2f}, "
        "threshold 0.5, of the landslide class)"
    )
    wide = scores.set_index(_labels(scores))[[*SCORE_COLUMNS, "overlap share"]]
    parts = [f"{head}\n{wide.to_string(float_format='{:.4f}'.format)}"]
    for (breaks, where), zones in tables["zones"].groupby(["breaks", "where"], sort=False):
        title = f"Zoning by {breaks}, {where} ({protocol} protocol; a landslide is counted once)"
        parts.append(f"{title}\n{_zone_table(zones).to_string(float_format='{:.2f}'.format)}")
    return "\n\n".join(parts)


def _labels(table: pd.DataFrame) -> pd.Index:
    """The model's name, or the run's where two runs have one model."""
    unique = table.drop_duplicates("run")["model"].is_unique
    return pd.Index(table["model" if unique else "run"], name="")


def _zone_table(zones: pd.DataFrame) -> pd.DataFrame:
    """One row a model and measure, one column a zone, in per cent."""
    rows = {}
    names = _labels(zones)
    for name in dict.fromkeys(names):
        own = zones[names == name].sort_values("zone")
        for measure in SHARES:
            rows[name, measure.replace("_", " ") + " %"] = (100 * own[measure]).to_numpy()
        columns = [_zone_name(zone) for zone in own.to_dict(orient="records")]
    index = pd.MultiIndex.from_tuples(rows)
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def _zone_name(zone: dict[Any, Any]) -> str:
    """Its limits, or its level where the limits are each map's own."""
    equal = zone["breaks"] == "equal 0.2"
    return f"{zone['from']:.1f}-{zone['to']:.1f}" if equal else LEVELS[zone["zone"] - 1]


def zone_style(k: int = 5) -> str:
    """A QGIS style for `zones.tif`: k named classes in colours safe for the colour-blind."""
    entries = "".join(
        f'<paletteEntry value="{i}" color="{colour}" label="{level}"/>'
        for i, (level, colour) in enumerate(
            zip(level_names(k), level_colours(k), strict=True), start=1
        )
    )
    return _style("paletted", f"<colorPalette>{entries}</colorPalette>")


def map_style() -> str:
    """A QGIS style for `susceptibility.tif`: a colour ramp from 0 to 1."""
    steps = np.linspace(0, 1, len(LEVEL_COLOURS))
    items = "".join(
        f'<item value="{step:g}" color="{colour}" label="{step:g}" alpha="255"/>'
        for step, colour in zip(steps, LEVEL_COLOURS, strict=True)
    )
    ramp = 'colorRampType="INTERPOLATED" minimumValue="0" maximumValue="1"'
    shader = f"<colorrampshader {ramp}>{items}</colorrampshader>"
    return _style("singlebandpseudocolor", f"<rastershader>{shader}</rastershader>")


def _style(kind: str, inside: str) -> str:
    renderer = f'<rasterrenderer type="{kind}" band="1" opacity="1">{inside}</rasterrenderer>'
    return f'<qgis version="3.28"><pipe>{renderer}</pipe></qgis>\n'
