"""Figures of runs: numbers in, HoloViews objects out, for the dashboard and for notebooks.

Nothing is computed here that a run folder does not hold: curves come from `metrics.json`, the
histogram of the map too, zones from `density_table.csv`, training from `progress.jsonl`. Every
title says under which protocol and on how many places the numbers were had. Colours are safe for
the colour-blind (Okabe and Ito for runs, viridis for susceptibility), and lines differ in dash too.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.models import BasicTicker
from bokeh.resources import INLINE
from numpy.typing import NDArray

from lsm_core.cartography import (
    SUSCEPTIBILITY_COLOURS,
    bounds_of,
    map_frame,
    map_of,
    place_points,
    shade_image,
    susceptibility_colours,
    susceptibility_image,
    zones_image,
)
from lsm_core.diagrams import alike_in_leakage, leakage_of, protocols_of, rates_of, reliability_of
from lsm_core.errors import RunError
from lsm_core.plot_style import (
    DASHES,
    OVER_IT,
    RUN_COLOURS,
    SIZES,
    frame,
    labels_of,
    line_style,
    listed,
    title_of,
)
from lsm_core.runs import Run, read_progress
from lsm_core.zoning import level_names

__all__ = [
    "BREAKS",
    "DASHES",
    "MOST_POINTS",
    "RUN_COLOURS",
    "SIZES",
    "SUSCEPTIBILITY_COLOURS",
    "WHERE",
    "alike_in_leakage",
    "bounds_of",
    "curves_of",
    "density_frame",
    "density_of",
    "histogram_of",
    "history_of",
    "labels_of",
    "leakage_of",
    "learning_of",
    "map_frame",
    "map_of",
    "page_of",
    "place_points",
    "protocols_of",
    "rates_of",
    "reliability_of",
    "shade_image",
    "susceptibility_colours",
    "susceptibility_image",
    "title_of",
    "zones_image",
]

BREAKS = ("natural", "equal 0.2")
WHERE = ("whole map", "test blocks")
MOST_IN_A_CORNER = 5  # lines that a legend within the plot names
MOST_POINTS = 2000  # of one drawn curve; the stored one may have as many as test places


# --------------------------------------------------------------------------------------- curves


def curves_of(runs: Sequence[Run], kind: str = "pr") -> hv.Overlay:
    """Precision-recall (`kind="pr"`) or ROC (`"roc"`) curves of runs in one plot.

    Average precision or area under the curve stands in the legend, and so does the line of a model
    that knows nothing: the prevalence (one line for each, where runs differ), or the diagonal.
    Precision is drawn as steps, as average precision adds it up.

    Raises
    ------
    RunError : no run, an unknown kind, or a run without metrics.
    """
    if not runs:
        raise RunError("no curve to draw: name at least one run")
    if kind not in ("pr", "roc"):
        raise RunError(f"curves are 'pr' or 'roc', got {kind!r}")
    one = _precision_recall if kind == "pr" else _roc
    lines = [one(run, label) for run, label in zip(runs, labels_of(runs), strict=True)]
    styled = [line.opts(**line_style(i), backend="bokeh") for i, line in enumerate(lines)]
    none = _prevalence_lines(runs) if kind == "pr" else [_diagonal()]
    what = "Precision and recall" if kind == "pr" else "Receiver operating characteristic"
    return hv.Overlay(styled + none).opts(
        title=title_of(runs, what),
        xlim=(0, 1),
        ylim=(0, 1.02),
        **frame() | _legend_of(len(styled + none), "left" if kind == "pr" else "right"),
        backend="bokeh",
    )


def _legend_of(lines: int, side: str) -> dict[str, Any]:
    """In a lower corner of the plot; of many lines above it, to cover none."""
    if lines <= MOST_IN_A_CORNER:
        return {"legend_position": f"bottom_{side}"}
    return OVER_IT | {"legend_cols": 1, "height": 360 + 27 * lines}


def _precision_recall(run: Run, label: str) -> hv.Curve:
    curve = run.metrics["curves"]["pr"]
    recall, precision = np.asarray(curve["recall"]), np.asarray(curve["precision"])
    order = np.lexsort((-precision, recall))
    order = _thinned(order[recall[order] > 0])  # before the first hit precision is 0 or unknown
    recall, precision = np.append(0, recall[order]), precision[order][[0, *range(len(order))]]
    label = f"{label}: AP {run.metrics['average_precision']:.3f}"
    line = hv.Curve((recall, precision), "recall", "precision", label=label)
    return line.opts(interpolation="steps-pre", backend="bokeh")


def _roc(run: Run, label: str) -> hv.Curve:
    curve = run.metrics["curves"]["roc"]
    false, true = (np.asarray(curve[f"{which}_positive_rate"]) for which in ("false", "true"))
    order = _thinned(np.lexsort((true, false)))
    label = f"{label}: AUC {run.metrics['roc_auc']:.3f}"
    return hv.Curve(
        (false[order], true[order]), "false positive rate", "true positive rate", label=label
    )


def _thinned(order: NDArray) -> NDArray:
    """At most `MOST_POINTS` of them, evenly, with both ends."""
    if len(order) <= MOST_POINTS:
        return order
    return order[np.linspace(0, len(order) - 1, MOST_POINTS).round().astype(int)]


def _prevalence_lines(runs: Sequence[Run]) -> list[hv.Curve]:
    shares = dict.fromkeys(round(run.metrics["scores"]["prevalence"], 3) for run in runs)
    return [
        hv.Curve(
            [(0, share), (1, share)],
            "recall",
            "precision",
            label=f"knowing nothing: prevalence {share:.3f}",
        ).opts(color="#555555", line_width=1, line_dash="dotted", backend="bokeh")
        for share in shares
    ]


def _diagonal() -> hv.Curve:
    line = hv.Curve(
        [(0, 0), (1, 1)],
        "false positive rate",
        "true positive rate",
        label="knowing nothing: AUC 0.500",
    )
    return line.opts(color="#555555", line_width=1, line_dash="dotted", backend="bokeh")


# ------------------------------------------------------------------------- histograms and classes


def histogram_of(runs: Sequence[Run]) -> hv.Overlay:
    """How the cells of each run's map are spread over the susceptibility index, as % of its cells.

    Fifty bins from 0 to 1, all valid cells of the map. A model that is sure of everything piles up
    at both ends.
    """
    if not runs:
        raise RunError("no histogram to draw: name at least one run")
    lines = []
    for i, (run, label) in enumerate(zip(runs, labels_of(runs), strict=True)):
        histogram = run.metrics["histogram"]
        count, edges = np.asarray(histogram["count"]), np.asarray(histogram["edges"])
        share = 100 * count / max(count.sum(), 1)
        middle = (edges[:-1] + edges[1:]) / 2
        line = hv.Curve((middle, share), "susceptibility (0 to 1)", "cells (%)", label=label)
        lines.append(line.opts(interpolation="steps-mid", **line_style(i), backend="bokeh"))
    cells = listed(f"{sum(run.metrics['histogram']['count']):,}" for run in runs)
    areas = listed(run.area["name"] for run in runs)
    protocols = listed(run.recipe.protocol for run in runs)
    return hv.Overlay(lines).opts(
        title=f"Susceptibility of the whole map\n{areas}, {protocols} protocol, {cells} cells",
        legend_position="top_right",
        xlim=(0, 1),
        ylim=(0, None),
        **frame(),
        backend="bokeh",
    )


def density_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """The zoning tables of runs, one below the other, with label, protocol and the class's name.

    `counted` says what the column `cells` counts: cells, or units.
    """
    if not runs:
        raise RunError("no classes to draw: none of these runs made a map (map: false)")
    tables = [
        run.density_table.assign(run=label, protocol=run.recipe.protocol, counted=run.counted)
        for run, label in zip(runs, labels_of(runs), strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    most = table.groupby(["run", "breaks", "where"])["zone"].transform("max")
    pairs = zip(table["zone"], most, strict=True)
    table.insert(0, "class", [level_names(int(k))[int(zone) - 1] for zone, k in pairs])
    return table


def density_of(
    runs: Sequence[Run], *, breaks: str = "natural", where: str = "whole map"
) -> hv.Bars:
    """Share of the landslides in each of the classes, one bar a run; the rest on hover.

    Parameters
    ----------
    breaks : "natural", "equal 0.2" or another of the run's tables, how the classes were cut.
    where : "whole map" or "test blocks", whose cells and landslides are counted.

    Raises
    ------
    RunError : no run, or no such table in the run folder.
    """
    if not runs:
        raise RunError("no classes to draw: name at least one run")
    table = density_frame(runs)
    table = table[(table["breaks"] == breaks) & (table["where"] == where)]
    if table.empty:
        raise RunError(f"no zoning table by {breaks!r} over {where!r} in {runs[0].id}")
    shown = table.assign(
        landslides_percent=100 * table["share_of_landslides"],
        cells_percent=100 * table["share_of_cells"],
    )
    values = [
        hv.Dimension("landslides_percent", label="landslides in the class (%)"),
        hv.Dimension("cells_percent", label=f"{listed(table['counted'])} in the class (%)"),
        hv.Dimension("density", label="landslide density"),
    ]
    cut = {"natural": "natural breaks", "equal 0.2": "equal intervals of 0.2"}.get(breaks, breaks)
    names = list(dict.fromkeys(table.sort_values("zone")["class"]))
    bars = hv.Bars(shown, [hv.Dimension("class", values=names), "run"], values)
    return bars.opts(
        title=f"Landslides by class: {cut}, {where}\n{listed(table['protocol'])} protocol",
        multi_level=False,
        color="run",
        cmap=list(RUN_COLOURS),
        line_color=None,
        show_legend=True,
        legend_position="top_left",
        ylim=(0, 100),
        tools=["hover"],
        xlabel="susceptibility class",
        **frame(),
        backend="bokeh",
    )


# ------------------------------------------------------------------------------------- training


def history_of(training: Run | Sequence[Mapping[str, Any]], title: str = "") -> hv.Layout:
    """Loss, and what was watched for early stopping, epoch by epoch.

    Parameters
    ----------
    training : a run, or the events of its `progress.jsonl`; only "epoch" events are drawn.
    title : said above both plots; a run brings its own.

    Returns two plots beside each other: loss (training, validation), and accuracy at threshold
    0.5 and average precision on the validation places. Before the first epoch they are empty.
    """
    if isinstance(training, Run):
        title = title or f"{training.title}, {training.recipe.protocol} protocol"
        training, _ = read_progress(training.path)
    losses = {"loss": "training", "val_loss": "validation"}
    watched = {"val_accuracy": "accuracy (threshold 0.5)", "val_average_precision": "AP"}
    return hv.Layout(
        [
            learning_of(training, losses, "loss", title),
            learning_of(training, watched, "validation score (0 to 1)", title).opts(
                ylim=(0, 1.02), backend="bokeh"
            ),
        ]
    ).opts(shared_axes=False, backend="bokeh")


def learning_of(
    events: Sequence[Mapping[str, Any]], names: Mapping[str, str], ylabel: str, title: str = ""
) -> hv.Overlay:
    """One plot of `history_of`: values of epoch events by name, `names` mapping key to legend."""
    epochs = [event for event in events if event.get("event") == "epoch"]
    lines = []
    for i, (key, label) in enumerate(names.items()):
        points = [(e["epoch"], e[key]) for e in epochs if e.get(key) is not None]
        line = hv.Curve(points, "epoch", "value", label=label)
        lines.append(line.opts(**line_style(i), framewise=True, backend="bokeh"))
    # axes follow the numbers, where a page sends new ones
    ticks = BasicTicker(min_interval=1)
    look = frame(above=True) | {"height": 300, "xticks": ticks, "framewise": True}
    return hv.Overlay(lines).opts(title=title, ylabel=ylabel, **look, backend="bokeh")


def validation_of(events: Sequence[Mapping[str, Any]], title: str = "") -> hv.Overlay | None:
    """Precision by recall on the validation places: of the last epoch, and of the best by AP.

    `events` of a `progress.jsonl`; None where no epoch tells its precision. Both curves are told at
    21 recalls: a sketch for who looks on. `best_epoch` says which is the best.
    """
    told = [e for e in events if e.get("event") == "epoch" and e.get("val_precision")]
    if not told:
        return None
    lines = []
    for i, (event, name) in enumerate(((best_epoch(told), "best epoch"), (told[-1], "last epoch"))):
        precision = event["val_precision"]
        recall = np.linspace(0, 1, len(precision))
        line = hv.Curve((recall, precision), "recall", "precision", label=name)
        lines.append(line.opts(**line_style(i), interpolation="steps-pre", backend="bokeh"))
    look = frame(above=True) | {"xlim": (0, 1), "ylim": (0, 1.02), "height": 300}
    return hv.Overlay(lines).opts(title=title, **look, backend="bokeh")


def best_epoch(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The epoch event with the highest average precision on validation places; the first of those.

    >>> best_epoch([{"epoch": i, "val_average_precision": ap} for i, ap in ((1, 0.5), (2, 0.4))])
    {'epoch': 1, 'val_average_precision': 0.5}
    """
    return max(events, key=lambda event: event["val_average_precision"])


# ---------------------------------------------------------------------------------------- pages


def page_of(plot: Any, title: str = "") -> str:
    """A plot as a page of HTML that needs nothing from the outside."""
    script, place = components(hv.render(plot, backend="bokeh"))
    library = "".join(f"<script>{text}</script>" for text in INLINE.js_raw)  # no file to fetch
    head = f'<meta charset="utf-8"><title>{escape(title or "figure")}</title>{library}'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{place}{script}</body></html>"
