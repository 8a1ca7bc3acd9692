"""One model under several splits: what each lets through, and what the model's score is worth.

Rows differ in their test places, so that they say what a split does and not which model is better.
Beside the model stand two scores that know nothing of landslides but slope, and nothing of factors
but where the training landslides are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd

from lsm_core.bootstrap import block_bootstrap
from lsm_core.errors import RunError, SampleError
from lsm_core.metrics import average_precision, roc_auc
from lsm_core.plot_style import RUN_COLOURS, frame, listed
from lsm_core.runs import Run

METRICS = {"auc": roc_auc, "ap": average_precision}
LONG = {"auc": "roc_auc", "ap": "average_precision"}
NULLS = {"distance": "nearness alone", "slope": "slope alone"}
MARKS = {"model": "square", "nearness alone": "circle", "slope alone": "triangle"}
REMOVED = "landslides too near the test set"
ROW = 46  # pixels a split


def split_table(
    runs: Sequence[Run], *, draws: int = 300, rng: np.random.Generator | None = None
) -> pd.DataFrame:
    """One row a run: who trains and who is tested, what leaks, and the scores, in their order.

    Parameters
    ----------
    runs : of one model under several splits; a run's title names its split.
    draws : bootstrap samples of whole blocks of test places, for the 95 % limits; 0: none. `rng`
        draws them.

    Returns
    -------
    split, protocol, method; train, validation, test, removed (landslides); overlap (share of test
    windows that overlap a training window), test distance and map distance (medians to the nearest
    training place, in cells); auc and ap with `low` and `high` (NaN without draws or with one
    block), and the same of `slope alone` and `nearness alone` without limits (NaN of an older run).

    Raises
    ------
    RunError : no run.
    """
    if not runs:
        raise RunError("no split to tell of: name at least one run")
    rng = rng or np.random.default_rng(1)
    return pd.DataFrame([_row(run, draws, rng) for run in runs])


def _row(run: Run, draws: int, rng: np.random.Generator) -> dict[str, object]:
    metrics, overlap = run.metrics, run.metrics["overlap"]
    slides = run.samples[run.samples["label"] == 1]["split"].value_counts()
    row: dict[str, object] = {"split": run.title, "protocol": run.recipe.protocol}
    row["method"] = run.recipe.method
    row |= {name: int(slides.get(name, 0)) for name in ("train", "validation", "test")}
    row |= {"removed": int(metrics["counts"].get(REMOVED, 0)), "overlap": overlap["share"]}
    for name, key in (("test distance", "nearest_cells"), ("map distance", "nearest_map_cells")):
        row[name] = overlap[key][2] if overlap.get(key) else np.nan
    for short, long in LONG.items():
        row[short] = metrics[long]
        row[f"{short} low"], row[f"{short} high"] = _limits(run, short, draws, rng)
        for null, words in NULLS.items():
            row[f"{words} {short}"] = metrics.get("null_models", {}).get(null, {}).get(long, np.nan)
    return row


def _limits(run: Run, short: str, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    test = run.scores[run.scores["split"] == "test"]
    if not draws:
        return np.nan, np.nan
    try:
        found = block_bootstrap(
            test["label"], test["score"], test["block"], metric=METRICS[short], n=draws, rng=rng
        )
    except SampleError:  # a single block: nothing to draw from
        return np.nan, np.nan
    return found.low, found.high


def splits_of(table: pd.DataFrame, metric: str = "auc", title: str = "") -> hv.Overlay:
    """The model under each split with its limits, and beside it nearness and slope alone.

    Parameters
    ----------
    table : of `split_table`. metric : "auc" or "ap".

    Raises
    ------
    RunError : no such metric.
    """
    if metric not in METRICS:
        raise RunError(f"no {metric!r} of splits: {' or '.join(METRICS)}")
    rows = table.iloc[::-1].reset_index(drop=True)  # the first at the top
    height = np.arange(len(rows), dtype=float)
    x = hv.Dimension("x", label=metric.upper())
    bars = pd.DataFrame({"x": rows[f"{metric} low"], "x1": rows[f"{metric} high"]})
    bars = bars.assign(y=height, y1=height).dropna()
    layers: list[hv.Element] = [
        hv.Segments(bars, [x, "y", "x1", "y1"]).opts(
            color=RUN_COLOURS[0], line_width=2, backend="bokeh"
        )
    ]
    for i, (name, mark) in enumerate(MARKS.items()):
        values = rows[metric] if name == "model" else rows[f"{name} {metric}"]
        dots = hv.Points((values.to_numpy(float), height), [x, "y"], label=name)
        style = {"color": RUN_COLOURS[i], "marker": mark, "size": 10}
        layers.append(dots.opts(**style, backend="bokeh"))
    ticks = list(enumerate(_words(row) for row in rows.to_dict("records")))
    look = frame(above=True) | {"height": 130 + ROW * len(rows)}
    return hv.Overlay(layers).opts(
        title=title
        or f"{metric.upper()} by split, 95 % of block bootstrap\n"
        f"{listed(table['protocol'])} protocol; test places differ from row to row",
        ylim=(-0.6, len(rows) - 0.4),
        yticks=ticks,
        ylabel="",
        **look,
        backend="bokeh",
    )


def _words(row: Mapping[Any, Any]) -> str:
    """The split, its protocol, and how far from training it tests."""
    words = f"{row['split']}\n({row['protocol']}"
    if pd.isna(row["test distance"]):
        return f"{words})"
    return f"{words}; tested {row['test distance']:.0f}, map {row['map distance']:.0f} cells away)"
