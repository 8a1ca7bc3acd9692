"""Figures of runs: numbers in, HoloViews objects out, for the dashboard and for notebooks.

Nothing is computed here that a run folder does not hold: curves come from `metrics.json`, the
histogram of the map too, zones from `density_table.csv`, training from `progress.jsonl`. Every
title says under which protocol and on how many places the numbers were had. Colours are safe for
the colour-blind (Okabe and Ito for runs, viridis for susceptibility), and lines differ in dash too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from bokeh.models import BasicTicker
from numpy.typing import NDArray

from lsm_core.errors import RunError
from lsm_core.grid import Bounds
from lsm_core.runs import LEVEL_COLOURS, LEVELS, Run, read_progress

RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dotdash", "dotted")
SUSCEPTIBILITY_COLOURS = "viridis"
BREAKS = ("natural", "equal 0.2")
WHERE = ("whole map", "test blocks")
MOST_POINTS = 2000  # of one drawn curve; the stored one may have as many as test places
SIZES = {"title": "10.5pt", "labels": "10pt", "ticks": "9pt", "legend": "9pt"}


def labels_of(runs: Sequence[Run]) -> list[str]:
    """A label a run: title and protocol; the folder's name too where two would be the same."""
    short = [f"{run.title} ({run.recipe.protocol})" for run in runs]
    return [
        label if short.count(label) == 1 else f"{label}, {run.id}"
        for label, run in zip(short, runs, strict=True)
    ]


def title_of(runs: Sequence[Run], what: str) -> str:
    """What is drawn, and below it: area, protocol, test places and the share that are landslides.

    Where runs differ in one of these, the title says so by listing both.
    """
    areas = _listed(run.area["name"] for run in runs)
    protocols = _listed(run.recipe.protocol for run in runs)
    places = _listed(f"{run.metrics['n']:,}" for run in runs)
    return f"{what}\n{areas}, {protocols} protocol, {places} test places"


def _listed(values: Any) -> str:
    return " / ".join(dict.fromkeys(str(value) for value in values))


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
    styled = [line.opts(**_line(i), backend="bokeh") for i, line in enumerate(lines)]
    none = _prevalence_lines(runs) if kind == "pr" else [_diagonal()]
    what = "Precision and recall" if kind == "pr" else "Receiver operating characteristic"
    return hv.Overlay(styled + none).opts(
        title=title_of(runs, what),
        legend_position="bottom_left" if kind == "pr" else "bottom_right",
        xlim=(0, 1),
        ylim=(0, 1.02),
        **_frame(),
        backend="bokeh",
    )


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


def _line(i: int) -> dict[str, Any]:
    return {
        "color": RUN_COLOURS[i % len(RUN_COLOURS)],
        "line_dash": DASHES[i % len(DASHES)],
        "line_width": 2,
    }


def _frame() -> dict[str, Any]:
    return {
        "responsive": True,
        "min_width": 300,
        "height": 360,
        "fontsize": SIZES,
        "show_grid": True,
        "gridstyle": {"grid_line_alpha": 0.4},
        "legend_opts": {
            "background_fill_alpha": 0.75,
            "padding": 4,
            "spacing": 0,
            "label_height": 14,
            "glyph_height": 14,
            "label_text_font_size": SIZES["legend"],
        },
        "active_tools": [],
        "hooks": [_bare],
    }


def _bare(plot: Any, element: Any) -> None:
    """No logo; and a plot of fixed frame takes what room it needs: to Bokeh, no sizing mode."""
    plot.state.toolbar.logo = None
    if plot.state.sizing_mode == "fixed":
        plot.state.sizing_mode = None


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
        lines.append(line.opts(interpolation="steps-mid", **_line(i), backend="bokeh"))
    cells = _listed(f"{sum(run.metrics['histogram']['count']):,}" for run in runs)
    areas = _listed(run.area["name"] for run in runs)
    protocols = _listed(run.recipe.protocol for run in runs)
    return hv.Overlay(lines).opts(
        title=f"Susceptibility of the whole map\n{areas}, {protocols} protocol, {cells} cells",
        legend_position="top_right",
        xlim=(0, 1),
        ylim=(0, None),
        **_frame(),
        backend="bokeh",
    )


def density_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """The zoning tables of runs, one below the other, with label, protocol and the class's name."""
    tables = [
        run.density_table.assign(run=label, protocol=run.recipe.protocol)
        for run, label in zip(runs, labels_of(runs), strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "class", [LEVELS[int(zone) - 1] for zone in table["zone"]])
    return table


def density_of(
    runs: Sequence[Run], *, breaks: str = "natural", where: str = "whole map"
) -> hv.Bars:
    """Share of the landslides in each of the five classes, one bar a run; the rest on hover.

    Parameters
    ----------
    breaks : "natural" or "equal 0.2", how the classes were cut.
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
        hv.Dimension("cells_percent", label="cells in the class (%)"),
        hv.Dimension("density", label="landslide density"),
    ]
    cut = "natural breaks" if breaks == "natural" else "equal intervals of 0.2"
    bars = hv.Bars(shown, [hv.Dimension("class", values=list(LEVELS)), "run"], values)
    frame = _frame()
    return bars.opts(
        title=f"Landslides by class: {cut}, {where}\n{_listed(table['protocol'])} protocol",
        multi_level=False,
        color="run",
        cmap=list(RUN_COLOURS),
        line_color=None,
        show_legend=True,
        legend_position="top_left",
        ylim=(0, 100),
        tools=["hover"],
        xlabel="susceptibility class",
        **frame,
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
        lines.append(line.opts(**_line(i), backend="bokeh"))
    frame = _frame() | {"height": 300, "xticks": BasicTicker(min_interval=1)}
    return hv.Overlay(lines).opts(
        title=title, ylabel=ylabel, legend_position="top", **frame, backend="bokeh"
    )


# ----------------------------------------------------------------------------------------- maps


def map_of(
    susceptibility: Run | xr.DataArray,
    shade: xr.DataArray | None = None,
    places: pd.DataFrame | None = None,
    *,
    opacity: float = 0.65,
    title: str = "",
    most: int = 1000,
) -> hv.Overlay:
    """A susceptibility map in its own projection, over a hillshade and under its landslides.

    Parameters
    ----------
    susceptibility : a run, or (y, x) values in [0, 1] with NaN where there are none.
    shade : (y, x) hillshade, 0 to 255, on any grid of the same CRS; left out where None.
    places : columns x and y; left out where None.
    most : a run's map is read at no more than this many cells a side (from its overviews).

    Equal scales on both axes; axes in the units of the CRS.
    """
    if isinstance(susceptibility, Run):
        title = title or f"{susceptibility.title}, {susceptibility.recipe.protocol} protocol"
        susceptibility = _read_decimated(susceptibility, most)
    layers = [] if shade is None else [shade_image(shade.values, bounds_of(shade))]
    values, bounds = susceptibility.values, bounds_of(susceptibility)
    layers.append(
        susceptibility_image(values, bounds).opts(alpha=opacity, colorbar=True, backend="bokeh")
    )
    if places is not None:
        layers.append(place_points(places["x"].to_numpy(), places["y"].to_numpy()))
    return hv.Overlay(layers).opts(title=title, **map_frame(bounds), backend="bokeh")


def susceptibility_image(
    values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")
) -> hv.Image:
    """Values in [0, 1] (y, x), north up, NaN clear."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["susceptibility"])
    return image.opts(cmap=SUSCEPTIBILITY_COLOURS, clim=(0, 1), backend="bokeh")


def susceptibility_colours(n: int) -> list[str]:
    """`n` colours of the susceptibility scale, lowest first, as hexadecimal text."""
    return list(hv.plotting.util.process_cmap(SUSCEPTIBILITY_COLOURS, n))


def zones_image(values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")) -> hv.Image:
    """Classes 1 to 5 (y, x), north up, NaN clear, in the colours of the QGIS style."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["class"])
    return image.opts(cmap=list(LEVEL_COLOURS), clim=(0.5, 5.5), backend="bokeh")


def shade_image(values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")) -> hv.Image:
    """A hillshade (y, x), 0 to 255, in grey."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["light"])
    return image.opts(cmap="gray", clim=(0, 255), backend="bokeh")


def place_points(x: NDArray, y: NDArray, kdims: Sequence[Any] = ("x", "y")) -> hv.Points:
    """Landslide places as small black dots, rimmed with white where they are few."""
    points = hv.Points((x, y), kdims=list(kdims), label="landslides")
    few = len(x) <= 1000  # of many, a rim would be all there is to see
    return points.opts(
        size=4 if few else 1.5,
        color="black",
        line_color="white" if few else None,
        line_width=0.5,
        show_legend=False,
        backend="bokeh",
    )


def map_frame(bounds: Bounds, wide: int = 460, high: int = 460, unit: str = "m") -> dict[str, Any]:
    """Options of a map: equal scales, as large as fits `wide` x `high` pixels, axes in units."""
    left, bottom, right, top = bounds
    scale = min(wide / (right - left), high / (top - bottom))
    return {
        "frame_width": round((right - left) * scale),
        "frame_height": round((top - bottom) * scale),
        "xlabel": f"easting ({unit})",
        "ylabel": f"northing ({unit})",
        "xformatter": "%d",
        "yformatter": "%d",
        "xticks": 3,
        "fontsize": SIZES,
        "active_tools": ["wheel_zoom"],
        "toolbar": "above",
        "bgcolor": "#f2f2f2",
        "hooks": [_bare],
    }


def bounds_of(raster: xr.DataArray) -> Bounds:
    """Outer edges (left, bottom, right, top) of a north-up raster, from its coordinates."""
    x, y = raster["x"].values, raster["y"].values
    half_x, half_y = (x[-1] - x[0]) / (len(x) - 1) / 2, (y[0] - y[-1]) / (len(y) - 1) / 2
    return float(x[0] - half_x), float(y[-1] - half_y), float(x[-1] + half_x), float(y[0] + half_y)


def _read_decimated(run: Run, most: int) -> xr.DataArray:
    with rasterio.open(run.map_path) as source:
        step = max(1.0, max(source.shape) / most)
        rows, cols = (max(2, round(n / step)) for n in source.shape)
        values = source.read(1, out_shape=(rows, cols))
        left, bottom, right, top = source.bounds
    x = left + (np.arange(cols) + 0.5) * (right - left) / cols
    y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
    return xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), "susceptibility")
