"""Diagrams of how far a number can be trusted: reliability, rates, leakage, two protocols.

Nothing is computed here that a run folder, or a table made from run folders, does not hold.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd

from lsm_core.errors import RunError, SampleError
from lsm_core.plot_style import frame, labels_of, line_style, listed, title_of
from lsm_core.runs import Run

GREY = "#555555"
SIDES = {"random": ("#D55E00", "circle"), "spatial": ("#0072B2", "square")}
WIDEST = 60  # letters a line of a title
ROW, APART = 26, 0.14  # pixels a model, and how far its two bars lie off the middle


def reliability_of(runs: Sequence[Run]) -> hv.Overlay:
    """What was observed where a probability was predicted, in ten bins; the diagonal is right.

    The legend holds the expected calibration error. Where a run's scores were calibrated, what the
    model said before is drawn thin.

    Raises
    ------
    RunError : no run, or one that stored no reliability (an older one, or scores outside [0, 1]).
    """
    _some(runs, "reliability")
    lines = []
    for i, (run, label) in enumerate(zip(runs, labels_of(runs), strict=True)):
        stored = _stored(run, "reliability")
        for which, width in (("before", 1), ("test", 2)):
            curve = stored.get(which)
            if curve is None:
                continue
            words = f"{label}: ECE {curve['error']:.3f}"
            words = words if which == "test" else f"{words} before calibration"
            points = (curve["predicted"], curve["observed"])
            line = hv.Curve(points, "predicted probability", "share of landslides", label=words)
            dots = hv.Scatter(points, "predicted probability", "share of landslides")
            style = line_style(i) | {"line_width": width}
            lines.append(line.opts(**style, backend="bokeh"))
            lines.append(
                dots.opts(size=3 + width, color=style["color"], show_legend=False, backend="bokeh")
            )
    right = _dotted([(0, 0), (1, 1)], "predicted probability", "share of landslides", "right")
    return hv.Overlay([*lines, right]).opts(
        title=title_of(runs, "Reliability of the test places"),
        legend_position="bottom_right",
        xlim=(0, 1),
        ylim=(0, 1.02),
        **frame(),
        backend="bokeh",
    )


def rates_of(runs: Sequence[Run], kind: str = "prediction") -> hv.Overlay:
    """Share of the landslides found in the most susceptible share of the area.

    `kind="prediction"`: landslides held out, so this is prediction; `"success"`: those of training,
    so this is only how well the map fits what it was made from.

    Raises
    ------
    RunError : no run, an unknown kind, or a run that stored no rate curves.
    """
    _some(runs, "rate curves")
    if kind not in ("prediction", "success"):
        raise RunError(f"rate curves are 'prediction' or 'success', got {kind!r}")
    lines = []
    for i, (run, label) in enumerate(zip(runs, labels_of(runs), strict=True)):
        curve = _stored(run, "rates")[kind]
        if curve is None:
            raise RunError(f"{run.id} learnt from no landslide of its area: no {kind} rate")
        points = (100 * np.asarray(curve["area"]), 100 * np.asarray(curve["landslides"]))
        words = f"{label}: area {curve['under']:.3f}"
        line = hv.Curve(points, "area, most susceptible first (%)", "landslides (%)", label=words)
        lines.append(line.opts(**line_style(i), backend="bokeh"))
    chance = [(0, 0), (100, 100)]
    names = ("area, most susceptible first (%)", "landslides (%)")
    what = {
        "prediction": "Prediction rate: landslides held out",
        "success": "Success rate: landslides of training, so fit and not prediction",
    }[kind]
    return hv.Overlay([*lines, _dotted(chance, *names, "knowing nothing: area 0.500")]).opts(
        title=title_of(runs, what),
        legend_position="bottom_right",
        xlim=(0, 100),
        ylim=(0, 102),
        **frame(),
        backend="bokeh",
    )


def alike_in_leakage(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs with one and the same leakage meter together, in their order: one figure serves them."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.metrics["overlap"], sort_keys=True), []).append(run)
    return list(groups.values())


def leakage_of(run: Run, *others: Run) -> hv.Overlay:
    """How near test places lie to training places, beside how near the cells of the map do.

    Both as the share that lies no farther away. A fair test is no nearer than the map: its line
    lies on the map's, or to the right of it. Nearer than the window, windows overlap. `others` are
    runs whose meter is the same (`alike_in_leakage`): the title names them too.

    Raises
    ------
    RunError : the run stored no distances (an older one).
    """
    overlap = run.metrics["overlap"]
    if not (overlap.get("distances") or {}).get("map"):
        raise RunError(f"{run.id} stored no distances to draw: run it again with this version")
    return nearness_of(
        overlap, f"{listed(r.title for r in (run, *others))}, {run.recipe.protocol} protocol"
    )


def nearness_of(overlap: Mapping[str, Any], title: str) -> hv.Overlay:
    """The same of a leakage meter that no run has stored (`leakage.overlap_report` with an area).

    Raises
    ------
    SampleError : the report holds no distances of the map.
    """
    found = overlap.get("distances")
    if not found or found.get("map") is None:
        raise SampleError("the leakage meter was read without an area: it has no distances to draw")
    edges = np.asarray(found["edges"])
    unit = overlap.get("unit", "cells")
    x, y = f"distance to the nearest training place ({unit})", "no farther away (%)"
    lines = []
    for i, (name, words) in enumerate((("test", "test places"), ("map", "cells of the map"))):
        count = np.asarray(found[name], dtype=float)
        share = np.append(0, 100 * np.cumsum(count) / max(count.sum(), 1))
        line = hv.Curve((edges, share), x, y, label=words)
        lines.append(line.opts(**line_style(i), backend="bokeh"))
    window = overlap["window"]
    if unit == "cells" and window > 1:
        reach = _dotted([(window, 0), (window, 100)], x, y, f"window of {window} cells")
        lines.append(reach)
    verdict = textwrap.fill(overlap["verdict"], WIDEST)
    return hv.Overlay(lines).opts(
        title=f"{title}\n{verdict}",
        legend_position="bottom_right",
        ylim=(0, 102),
        **frame(),
        backend="bokeh",
    )


def protocols_of(table: pd.DataFrame, metric: str = "auc") -> hv.Overlay:
    """Each model at random and in space, with intervals, and the gap in words beside it.

    Parameters
    ----------
    table : of `runs.compare_protocols`. metric : "auc" or "ap".

    Raises
    ------
    RunError : the table has no such metric.
    """
    own = table[table["metric"] == metric].reset_index(drop=True).iloc[::-1]
    if own.empty:
        raise RunError(f"no {metric!r} in the table of protocols: 'ap' and 'auc' are")
    several = own["method"].nunique() > 1
    height = np.arange(len(own), dtype=float)
    x = metric.upper()
    layers: list[Any] = []
    for (side, (colour, marker)), off in zip(SIDES.items(), (APART, -APART), strict=True):
        at = height + off
        if f"{side} low" in own:
            bars = pd.DataFrame({"x": own[f"{side} low"], "x1": own[f"{side} high"]})
            bars = bars.assign(y=at, y1=at).dropna()
            ends = hv.Segments(bars, [hv.Dimension("x", label=x), "y", "x1", "y1"])
            layers.append(ends.opts(color=colour, line_width=2, backend="bokeh"))
        words = {"random": "random (paper protocol)", "spatial": "spatial (honest protocol)"}[side]
        dots = hv.Points((own[side].to_numpy(), at), [hv.Dimension("x", label=x), "y"], label=words)
        layers.append(dots.opts(color=colour, marker=marker, size=9, backend="bokeh"))
    ticks = [
        (i, f"{row['model']}{' (' + row['method'] + ')' if several else ''}\n{_gap_in_words(row)}")
        for i, row in enumerate(own.to_dict(orient="records"))
    ]
    chance = 0.5 if metric == "auc" else None
    lowest = np.nanmin(own[[c for c in ("random low", "spatial low", "spatial") if c in own]])
    look = frame(above=True) | {"height": 130 + 2 * ROW * len(own)}
    return hv.Overlay(layers).opts(
        title=f"{x}: random against spatial evaluation\n"
        f"gap = random - spatial, 95% intervals; split: {listed(own['method'])}",
        xlim=(min(float(lowest), chance or 1.0) - 0.02, 1.0),
        ylim=(-0.7, len(own) - 0.3),
        yticks=ticks,
        ylabel="",
        xlabel=x,
        **look,
        backend="bokeh",
    )


def _gap_in_words(row: dict[Any, Any]) -> str:
    low, high = row.get("gap low", np.nan), row.get("gap high", np.nan)
    words = f"gap {row['gap']:+.3f}"
    return words if pd.isna(low) else f"{words} [{low:+.3f}, {high:+.3f}]"


def _some(runs: Sequence[Run], what: str) -> None:
    if not runs:
        raise RunError(f"no {what} to draw: name at least one run")


def _stored(run: Run, name: str) -> dict[str, Any]:
    found = run.metrics.get(name)
    if name == "rates" and not run.recipe.map:
        raise RunError(f"{run.id} was run without a map (map: false), which rate curves are of")
    if not found or not any(found.values()):
        raise RunError(f"{run.id} stored no {name} to draw: run it again with this version")
    return dict(found)


def _dotted(points: Any, x: str, y: str, label: str) -> hv.Curve:
    return hv.Curve(points, x, y, label=label).opts(
        color=GREY, line_width=1, line_dash="dotted", backend="bokeh"
    )
