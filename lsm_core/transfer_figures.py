"""Learning curves, drawn: one line a way and source scale, over the number of target labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
import holoviews.plotting.mpl  # the second backend, for PNG
import numpy as np
import pandas as pd

from lsm_core.errors import RunError
from lsm_core.plot_style import DASHES, RUN_COLOURS, frame

NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "average_precision": "AP",
    "roc_auc": "AUC",
}
SMALL = {"fig_inches": (7, 3.6), "aspect": "auto", "legend_position": "right", "show_grid": True}
MPL_DASHES = {"solid": "-", "dashed": "--", "dotdash": "-.", "dotted": ":"}
HOWS = ("direct", "self", "inductive", "pooled", "scratch")  # each has its colour


def learning_curves_of(table: pd.DataFrame, metric: str = "roc_auc", title: str = "") -> hv.Overlay:
    """A metric over the number of target labels, with 95 % intervals as bands.

    Parameters
    ----------
    table : of `learning_curves.summary`. What needs no labels is drawn as a level line.
    metric : accuracy, log_loss, average_precision or roc_auc. Colours are ways, dashes are scales.

    Raises
    ------
    RunError : no such metric, or no number of labels to draw over.
    """
    if metric not in NAMES or metric not in table:
        raise RunError(f"no {metric!r} in learning curves: {', '.join(NAMES)}")
    labels = np.sort(table["labels"].dropna().unique())
    if not len(labels):
        raise RunError("no run of this study is over a number of labels: there is no curve")
    scales = list(pd.unique(table.loc[table["how"] != "scratch", "scale"]))
    layers = []
    for how in [h for h in HOWS if h in set(table["how"])]:
        own = table[table["how"] == how]
        for scale in [None] if how == "scratch" else scales:
            same = own["scale"].isna() if scale is None or scale != scale else own["scale"] == scale
            layers += _line(own[same], how, scale, scales, labels, metric)
    ends = (float(labels[0]) * 0.9, float(labels[-1]) * 1.1)
    overlay = hv.Overlay(layers)
    words: dict[str, Any] = {
        "title": title or f"{NAMES[metric]} by target labels, mean and 95 % over draws"
    }
    words |= {"xlabel": "target labels", "ylabel": NAMES[metric]}
    words["xticks"] = [(float(n), f"{n:,.0f}") for n in labels]
    return overlay.opts(
        logx=True, xlim=ends, legend_position="right", **words, **frame(), backend="bokeh"
    ).opts(logx=True, xlim=ends, **words, **SMALL, backend="matplotlib")


def _line(
    rows: pd.DataFrame,
    how: str,
    scale: float | None,
    scales: Sequence[float],
    labels: np.ndarray,
    metric: str,
) -> list[hv.Element]:
    if rows.empty:
        return []
    rows = rows.sort_values("labels")
    if rows["labels"].isna().all():
        rows = pd.concat([rows.iloc[:1]] * 2).assign(labels=[labels[0], labels[-1]])
    rows = rows.dropna(subset=["labels"])
    x, y = rows["labels"].to_numpy(float), rows[metric].to_numpy(float)
    colour = RUN_COLOURS[HOWS.index(how)]
    place = 0 if how == "scratch" else [str(s) for s in scales].index(str(scale))
    dash = DASHES[place % len(DASHES)]
    size = "" if how == "scratch" or len(scales) == 1 else f", source {_said(scale)}"
    curve = hv.Curve((x, y), "labels", metric, label=f"{how}{size}")
    layers = [
        curve.opts(color=colour, line_dash=dash, line_width=2, backend="bokeh").opts(
            color=colour, linestyle=MPL_DASHES[dash], linewidth=1.5, backend="matplotlib"
        )
    ]
    low, high = (rows[f"{metric} {end}"].to_numpy(float) for end in ("low", "high"))
    if np.isfinite(low).all():
        band = hv.Area((x, low, high), "labels", [metric, f"{metric} high"])
        layers.insert(
            0,
            band.opts(color=colour, alpha=0.12, line_alpha=0, backend="bokeh").opts(
                color=colour, facecolor=colour, alpha=0.12, linewidth=0, backend="matplotlib"
            ),
        )
    return layers


def _said(scale: float | None) -> str:
    return "all" if scale is None or scale != scale else f"{int(scale):,}"


def save_roc(curves: hv.Overlay, title: str, path: Path) -> None:
    """Curves of `figures.curves_of` as a small picture."""
    ends = {"xlim": (0, 1), "ylim": (0, 1.02), "title": title}
    save_png(curves.opts(**ends, **SMALL, backend="matplotlib"), path)


def save_png(plot: hv.Overlay, path: Path, dpi: int = 80) -> None:
    """A small picture for a page of documentation."""
    hv.save(plot, path, fmt="png", backend="matplotlib", dpi=dpi)
