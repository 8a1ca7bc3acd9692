"""Printed diagrams of runs: curves, rates, histograms, classes, reliability, training.

Every number is one that a run folder holds. Runs differ in colour and in dash, the same ones as on
the screen.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from lsm_core.errors import RunError
from lsm_core.plot_style import RUN_COLOURS, listed, told_apart
from lsm_core.print_style import Look, blank, in_lines, words_of
from lsm_core.print_tables import ruled
from lsm_core.runs import Run, read_progress
from lsm_core.zoning import level_names

PLAIN_DASHES = ("-", "--", "-.", ":")
GREY = "#555555"
NARROW = 120  # mm, below which panels stand below each other
CUTS = {"natural": "natural", "equal 0.2": "equal"}  # term of each way to cut classes

Draw = Callable[[Axes], None]


def curves_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Precision-recall and ROC panels; AP and AUC stand in the legends."""
    return _panels(
        [lambda axes: _pr(axes, runs, look), lambda axes: _roc(axes, runs, look)], runs, look
    )


def pr_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Precision and recall at test places, as steps."""
    return _panels([lambda axes: _pr(axes, runs, look)], runs, look)


def roc_figure(runs: Sequence[Run], look: Look) -> Figure:
    """ROC curves at test places."""
    return _panels([lambda axes: _roc(axes, runs, look)], runs, look)


def rates_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Prediction rate (landslides held out) and success rate (those of training)."""
    kinds = ("prediction", "success")
    return _panels([partial(_rate, runs=runs, kind=kind, look=look) for kind in kinds], runs, look)


def reliability_figure(runs: Sequence[Run], look: Look) -> Figure:
    """What was observed at test places where a probability was predicted, in ten bins."""
    return _panels([lambda axes: _reliability(axes, runs, look)], runs, look)


def histogram_figure(runs: Sequence[Run], look: Look) -> Figure:
    """One histogram a run, all on one scale: share of the map's cells by susceptibility."""
    titles = enumerate(labels_in(runs, look))
    draws: list[Draw] = [partial(_histogram, i, runs[i], title, look) for i, title in titles]
    figure = _panels(draws, runs, look, high=0.62, where="whole map")
    shown = figure.axes[: len(draws)]  # heights are compared across panels
    for axes in shown:
        axes.set_ylim(0, max(other.get_ylim()[1] for other in shown))
    return figure


def density_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Share of the landslides, and landslide density, in each class: bars a run."""
    columns = (("share_of_landslides", "landslides_share", 100.0), ("density", "density", 1.0))
    one = partial(_bars, runs=runs, look=look)
    draws = [partial(one, column=c, term=term, times=times) for c, term, times in columns]
    return _panels(draws, runs, look, high=0.7, where=look.where)


def history_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Loss, and scores on validation places, epoch by epoch, of each run that has epochs."""
    events = {run.id: _epochs(run) for run in runs}
    trained = [run for run in runs if events[run.id]]
    if not trained:
        raise RunError("none of these runs has epochs to draw: their models are fitted in one go")
    words = words_of(look.language)
    losses = {"loss": words["training"], "val_loss": words["validation"]}
    scores = {
        "val_accuracy": words["accuracy"],
        "val_average_precision": words["average_precision"],
    }
    draws: list[Draw] = []
    for run in trained:
        title = f"{run.title}, {words[run.recipe.protocol]}"
        one = partial(_learning, events=events[run.id], title=title, look=look)
        draws.append(partial(one, names=losses, ylabel=words["loss"]))
        draws.append(partial(one, names=scores, ylabel=words["score"]))
    return _panels(draws, trained, look, high=0.7, titled=False)


def density_table_figure(runs: Sequence[Run], look: Look) -> Figure:
    """The zoning table of runs, as a table on paper."""
    words = words_of(look.language)
    table = density_rows(runs, look)
    heads = [words["susceptibility_class"], words["from"], words["to"]]
    counted = {"cells": ("cells", "cells_share"), "units": ("units", "units_share")}[
        runs[0].counted
    ]
    heads += [words[counted[0]], words[counted[1]]]
    heads += [words["landslides"], words["landslides_share"], words["density"]]
    cells: list[list[str]] = []
    for run, label in zip(runs, dict.fromkeys(table["run"]), strict=True):
        of_run = f"{label}, {_areas([run])}, {words[run.recipe.protocol]}"
        cells.append([of_run] + [""] * (len(heads) - 1))
        for row in table[table["run"] == label].to_dict("records"):
            limits = [f"{row['from']:.3f}", f"{row['to']:.3f}"]
            counts = [f"{row['cells']:,}", f"{100 * row['share_of_cells']:.1f}"]
            slides = [f"{row['landslides']:,}", f"{100 * row['share_of_landslides']:.1f}"]
            cells.append([row["class"], *limits, *counts, *slides, f"{row['density']:.4f}"])
    return ruled(heads, cells, look)


def density_rows(runs: Sequence[Run], look: Look) -> pd.DataFrame:
    """The zoning tables of runs by the look's breaks and place, with label and class in words.

    Raises
    ------
    RunError : a run has no such table.
    """
    _some(runs)
    words = words_of(look.language)
    tables = []
    for run, label in zip(runs, labels_in(runs, look), strict=True):
        table = run.density_table
        table = table[(table["breaks"] == look.breaks) & (table["where"] == look.where)]
        if table.empty:
            there = run.density_table
            pairs = sorted(
                {f"{b} / {w}" for b, w in zip(there["breaks"], there["where"], strict=True)}
            )
            raise RunError(
                f"{run.id} has no zoning table by {look.breaks!r} over {look.where!r}; it has "
                f"{'; '.join(pairs)}"
            )
        names = level_names(int(table["zone"].max()))
        named = [_class(names[int(zone) - 1], words) for zone in table["zone"]]
        tables.append(table.assign(run=label, **{"class": named}))
    return pd.concat(tables, ignore_index=True)


def labels_in(runs: Sequence[Run], look: Look) -> list[str]:
    """Label of each run in the look's language: its title, with the protocol where they differ."""
    words = words_of(look.language)
    several = len({run.recipe.protocol for run in runs}) > 1
    short = [
        f"{run.title} ({words[run.recipe.protocol]})" if several else run.title for run in runs
    ]
    return told_apart(short, runs)


# -------------------------------------------------------------------------------------- panels


def _panels(
    draws: Sequence[Draw],
    runs: Sequence[Run],
    look: Look,
    *,
    high: float = 0.85,
    titled: bool = True,
    where: str = "",
) -> Figure:
    """Panels with letters, beside each other where the figure is wide, with what they are of.

    `where` : the part of the map they show, of panels that are not of the test places.
    """
    _some(runs)
    columns = min(len(draws), 1 if look.width_mm < NARROW else 2 if len(draws) != 3 else 3)
    rows = -(-len(draws) // columns)
    legend = 1.6 * look.em * (len(runs) + 1)
    figure = blank(look, rows * (look.width_mm / columns * high + legend) + 2 * look.em)
    figure.set_layout_engine("constrained", w_pad=look.em / 25.4 / 2, h_pad=look.em / 25.4 / 2)
    grid = figure.subplots(rows, columns, squeeze=False)
    for i, axes in enumerate(grid.flat):
        if i >= len(draws):
            axes.axis("off")
            continue
        draws[i](axes)
        if len(draws) > 1:
            title = f"({chr(ord('a') + i)}) {axes.get_title(loc='left')}".strip()
            room = look.width_mm / columns - 5 * look.em  # beside it stand the numbers of its axis
            axes.set_title(in_lines(title, room, look), loc="left")
    if look.titles and titled:
        figure.suptitle(
            _caption(runs, look, where), size=look.size * 0.875, x=0.01, ha="left", color=GREY
        )
    return figure


def _caption(runs: Sequence[Run], look: Look, where: str) -> str:
    """Area, protocol and the test places, or what part of the map is counted."""
    words = words_of(look.language)
    of_map = f"{_areas(runs)}, {listed(words[run.recipe.protocol] for run in runs)}"
    if where:
        return f"{of_map}, {words.get(where, where)}"
    places = listed(f"{run.metrics['n']:,}" for run in runs)
    return f"{of_map}, {words['test_places'].format(n=places)}"


def _areas(runs: Sequence[Run]) -> str:
    return listed(run.area["name"].replace("_", " ").capitalize() for run in runs)


def _line(i: int) -> dict[str, Any]:
    return {
        "color": RUN_COLOURS[i % len(RUN_COLOURS)],
        "linestyle": PLAIN_DASHES[i % len(PLAIN_DASHES)],
    }


def _pr(axes: Axes, runs: Sequence[Run], look: Look) -> None:
    words = words_of(look.language)
    for i, (run, label) in enumerate(zip(runs, labels_in(runs, look), strict=True)):
        curve = run.metrics["curves"]["pr"]
        recall, precision = (np.asarray(curve[name], float) for name in ("recall", "precision"))
        order = np.lexsort((-precision, recall))
        order = order[recall[order] > 0]  # before the first hit precision is 0 or unknown
        recall, precision = np.append(0, recall[order]), precision[order][[0, *range(len(order))]]
        name = f"{label}: AP {run.metrics['average_precision']:.3f}"
        axes.step(recall, precision, where="pre", label=name, **_line(i))
    for share in dict.fromkeys(round(run.metrics["scores"]["prevalence"], 3) for run in runs):
        name = f"{words['knowing_nothing']}: {words['prevalence']} {share:.3f}"
        axes.axhline(share, color=GREY, lw=0.8, ls=":", label=name)
    _square(axes, words["recall"], words["precision"])
    _legend(axes)


def _roc(axes: Axes, runs: Sequence[Run], look: Look) -> None:
    words = words_of(look.language)
    for i, (run, label) in enumerate(zip(runs, labels_in(runs, look), strict=True)):
        curve = run.metrics["curves"]["roc"]
        false, true = (np.asarray(curve[f"{w}_positive_rate"], float) for w in ("false", "true"))
        order = np.lexsort((true, false))
        name = f"{label}: AUC {run.metrics['roc_auc']:.3f}"
        axes.plot(false[order], true[order], label=name, **_line(i))
    axes.plot(
        [0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label=f"{words['knowing_nothing']}: 0.500"
    )
    _square(axes, words["false_positive_rate"], words["true_positive_rate"])
    _legend(axes)


def _rate(axes: Axes, runs: Sequence[Run], kind: str, look: Look) -> None:
    words = words_of(look.language)
    for i, (run, label) in enumerate(zip(runs, labels_in(runs, look), strict=True)):
        curve = _stored(run, "rates").get(kind)
        if curve is None:
            raise RunError(f"{run.id} learnt from no landslide of its area: no {kind} rate")
        area, found = (100 * np.asarray(curve[name], float) for name in ("area", "landslides"))
        axes.plot(area, found, label=f"{label}: {curve['under']:.3f}", **_line(i))
    axes.plot([0, 100], [0, 100], color=GREY, lw=0.8, ls=":", label=words["knowing_nothing"])
    axes.set_title(words[f"{kind}_rate"], loc="left")
    axes.set(
        xlim=(0, 100), ylim=(0, 101), xlabel=words["area_ranked"], ylabel=words["landslides_found"]
    )
    _legend(axes)


def _reliability(axes: Axes, runs: Sequence[Run], look: Look) -> None:
    words = words_of(look.language)
    for i, (run, label) in enumerate(zip(runs, labels_in(runs, look), strict=True)):
        stored = _stored(run, "reliability")
        for which, wide in (("before", 0.6), ("test", 1.2)):
            curve = stored.get(which)
            if curve is None:
                continue
            name = f"{label}: ECE {curve['error']:.3f}"
            name += f", {words['before_calibration']}" if which == "before" else ""
            look_of = _line(i) | {"linewidth": wide, "marker": "o", "markersize": 2.5}
            axes.plot(curve["predicted"], curve["observed"], label=name, **look_of)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label=words["perfect"])
    _square(axes, words["predicted_probability"], words["observed_share"])
    _legend(axes)


def _histogram(i: int, run: Run, title: str, look: Look, axes: Axes) -> None:
    words = words_of(look.language)
    histogram = _stored(run, "histogram")
    count, edges = np.asarray(histogram["count"], float), np.asarray(histogram["edges"], float)
    share = 100 * count / max(count.sum(), 1)
    axes.stairs(share, edges, fill=True, color=RUN_COLOURS[i % len(RUN_COLOURS)], alpha=0.85)
    axes.set_title(title, loc="left")
    counted = "units_share" if run.on_units else "cells_share"
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel=words["susceptibility"], ylabel=words[counted])


def _bars(
    axes: Axes, runs: Sequence[Run], column: str, term: str, times: float, look: Look
) -> None:
    words = words_of(look.language)
    table = density_rows(runs, look)
    labels = labels_in(runs, look)
    names = list(dict.fromkeys(table.sort_values("zone")["class"]))
    wide = 0.8 / len(labels)
    for i, label in enumerate(labels):
        own = table[table["run"] == label].set_index("class")[column].reindex(names)
        at = np.arange(len(names)) + (i - (len(labels) - 1) / 2) * wide
        colour = RUN_COLOURS[i % len(RUN_COLOURS)]
        axes.bar(at, times * own.to_numpy(), wide * 0.92, color=colour, label=label)
    ticks = _ticks(table, names)
    axes.set_xticks(range(len(names)), ticks)
    axes.grid(False, axis="x")
    axes.set_title(words.get(CUTS.get(look.breaks, ""), look.breaks), loc="left")
    unit = f"\n({words['landslides']} / {words['units' if runs[0].on_units else 'cells']})"
    unit = unit if term == "density" else ""
    axes.set(xlabel=words["susceptibility_class"], ylabel=words[term] + unit, ylim=(0, None))
    if len(labels) > 1:
        _legend(axes, 1 + ticks[0].count("\n"))


def _ticks(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Names of the classes, with their limits where all runs have the same."""
    rows = table[["class", "from", "to"]].drop_duplicates()
    if len(rows) > len(names):
        return list(names)
    told = {name: f"{low:.2g}–{high:.2g}" for name, low, high in rows.itertuples(index=False)}
    return [f"{name}\n{told[name]}" for name in names]


def _learning(
    axes: Axes,
    events: Sequence[dict[str, Any]],
    names: dict[str, str],
    ylabel: str,
    title: str,
    look: Look,
) -> None:
    for i, (key, name) in enumerate(names.items()):
        points = [(e["epoch"], e[key]) for e in events if e.get(key) is not None]
        if points:
            axes.plot(*np.array(points, float).T, label=name, **_line(i))
    axes.set_title(title, loc="left")
    axes.set(xlabel=words_of(look.language)["epoch"], ylabel=ylabel, ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)


def _square(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=xlabel, ylabel=ylabel)


def _legend(axes: Axes, lines: int = 1) -> None:
    """Below the panel, where it hides no curve, and below so many lines of its numbers."""
    figure = axes.figure
    size = float(matplotlib.rcParams["font.size"])
    down = ScaledTranslation(0, -(2.4 + 1.2 * lines) * size / 72, figure.dpi_scale_trans)
    place = {"bbox_to_anchor": (0, 0), "bbox_transform": axes.transAxes + down}
    axes.legend(loc="upper left", borderaxespad=0, frameon=False, **place)


def _class(name: str, words: dict[str, str]) -> str:
    return words[name] if name in words else name.replace("zone", words["zone"])


def _epochs(run: Run) -> list[dict[str, Any]]:
    events, _ = read_progress(run.path)
    return [event for event in events if event.get("event") == "epoch"]


def _stored(run: Run, name: str) -> dict[str, Any]:
    found = run.metrics.get(name)
    if not found or not any(found.values()):
        raise RunError(
            f"{run.id} stored no {name} to draw: run it again with this version, with a map"
        )
    return dict(found)


def _some(runs: Sequence[Run]) -> None:
    if not runs:
        raise RunError("nothing to draw: name at least one run")
