"""Marks on the success and prediction rates: the shared threshold, and the places picked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from numpy.typing import NDArray

from lsm_app.counted_maps import counted_map
from lsm_core import figures
from lsm_core.rezoning import BINS, rate_at
from lsm_core.runs import Run
from lsm_core.shared_places import counts_at

PICKED = "#e6007e"
_OVER = {"fill_color": "colour", "level": "overlay"}
THRESHOLD_MARK = _OVER | {
    "name": "threshold", "size": 11, "marker": "circle", "line_color": "black", "line_width": 1.5,
}  # fmt: skip
PICKED_MARK = _OVER | {
    "name": "of the picked", "size": 13, "marker": "diamond", "line_color": PICKED, "line_width": 2,
}  # fmt: skip


class RateMarks:
    """Where a threshold lies on the rate curves of maps, and would by some landslides alone.

    Across is the share of the map at or above the threshold, upwards the share of the landslides
    there: by the curve itself, or the recall of the places picked.
    """

    def __init__(self, runs: Sequence[Run], kind: str) -> None:
        self.runs, self.kind, self.drawn = runs, kind, False
        self.threshold = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.picked = ColumnDataSource({"x": [], "y": [], "colour": []})

    def tell(self, threshold: float, label: NDArray[Any], scores: NDArray[np.float64]) -> None:
        """Move the marks; `label` and `scores` (place, run) are of what is picked, or of none."""
        if not self.drawn:
            return  # counting a map takes its time
        across = [_share_above(run, threshold) for run in self.runs]
        curves = [run.metrics["rates"][self.kind] for run in self.runs]
        on = [np.interp(x, c["area"], c["landslides"]) for x, c in zip(across, curves, strict=True)]
        self._give(self.threshold, across, on)
        if (
            self.kind == "prediction"
        ):  # places picked are of the test, whom success knows nothing of
            found = [counts_at(label, score, threshold)["recall"] for score in scores.T]
            self._give(self.picked, across, found if len(label) else [])

    def _give(self, source: ColumnDataSource, x: Sequence[float], y: Sequence[float]) -> None:
        colours = [figures.RUN_COLOURS[i % len(figures.RUN_COLOURS)] for i in range(len(y))]
        percent = {"x": 100 * np.asarray(x[: len(y)]), "y": 100 * np.asarray(y)}
        source.data = percent | {"colour": colours}

    def draw(self, fig: figure) -> None:
        """Put the marks on a figure of the curves, once."""
        self.drawn = True
        if any(one.name == "threshold" for one in fig.renderers):
            return
        fig.scatter("x", "y", source=self.threshold, **THRESHOLD_MARK)
        fig.scatter("x", "y", source=self.picked, **PICKED_MARK)


def _share_above(run: Run, threshold: float) -> float:
    area, _ = rate_at(counted_map(run, held_out=True))
    return float(area[BINS - round(threshold * BINS)])
