"""Figures of a study: its variants beside each other, by score, curve, histogram and zone."""

import holoviews as hv
import numpy as np
import pandas as pd

from lsm_core import figures
from lsm_core.errors import RunError
from lsm_core.plot_style import RUN_COLOURS, frame
from lsm_core.runs import Run
from lsm_core.studies import SCORES, Study

MOST_LINES = len(RUN_COLOURS)  # more in one plot cannot be told apart


def scores_of(table: pd.DataFrame, score: str = "ap", title: str = "") -> hv.Overlay:
    """A score of each variant with its 95 % interval, in the order of the study.

    Parameters
    ----------
    table : of `studies.score_table`. score : one of `studies.SCORES`.

    Raises
    ------
    RunError : no such score.
    """
    if score not in SCORES:
        raise RunError(f"no score {score!r} in a study; there are: {', '.join(SCORES)}")
    rows = table.iloc[::-1]  # the first at the top
    low, high = rows[f"{score} low"], rows[f"{score} high"]
    ends = np.stack([rows[score] - low, high - rows[score]]).clip(0)
    ends = np.nan_to_num(ends)
    points = list(zip(rows["variant"], rows[score], strict=True))
    bars = hv.ErrorBars(
        [(name, value, *both) for (name, value), both in zip(points, ends.T, strict=True)],
        "variant",
        [score, "below", "above"],
    )
    dots = hv.Scatter(points, "variant", score).opts(size=8, color=RUN_COLOURS[0], backend="bokeh")
    look = frame() | {"height": 90 + 28 * len(points)}
    return (bars * dots).opts(
        title=title or f"{score.upper()} of the test places, 95 % of block bootstrap",
        invert_axes=True,
        xlabel="",
        ylabel=score.upper() if score in ("ap", "auc", "mse") else score,
        **look,
        backend="bokeh",
    )


def study_page(study: Study, table: pd.DataFrame) -> hv.Layout:
    """AP and AUC of all variants; curves, histograms and zones of the first seed of the first few.

    Of a study with many variants, the plots of lines show the first seven, as they stand.
    """
    first = [some[0] for some in study.runs.values()]
    lines: list[Run] = first[:MOST_LINES]
    mapped = [some[0] for some in study.mapped.values()][:MOST_LINES]
    plots = [scores_of(table, "ap"), scores_of(table, "auc")]
    plots += [figures.curves_of(lines, "pr"), figures.curves_of(lines, "roc")]
    if mapped:
        plots += [figures.histogram_of(mapped), figures.density_of(mapped, breaks="equal 0.2")]
    return hv.Layout(plots).cols(2).opts(shared_axes=False, backend="bokeh")
