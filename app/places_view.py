"""Places of a split on a map: by part in colour and shape, landslides filled and others hollow.

Colours are safe for the colour-blind, and shapes say the same a second time.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, GlyphRenderer, LinearColorMapper
from bokeh.plotting import figure
from numpy.typing import NDArray

from lsm_app.ground import Ground
from lsm_app.heat_view import CLEAR, coarse
from lsm_core.grid import Grid

PARTS = {  # name in samples: words, colour, marker, the marker as a letter, filled and hollow
    "train": ("training", "#56B4E9", "circle", "●", "○"),
    "validation": ("validation", "#F0E442", "square", "■", "□"),
    "test": ("test", "#D55E00", "triangle", "▲", "△"),
}
SOFT = "#CC79A7"
KINDS = {  # what may be shown, in the order of the boxes
    "heat": "heat",
    "landslides": "landslides by part",
    "negatives": "places without",
    "soft": "soft samples",
    "ground": "ground of the test",
    "windows": "windows",
}
MANY = 1000  # landslides, of which each is drawn small
MOST_POINTS = 12_000  # of one kind and part on the map
GROUND_CELLS = 200_000
RESIZE = """
const side = [...source.data.side]
side[number] = cb_obj.value * length
source.data = {...source.data, side}
"""


class PlacesLayer:
    """What is drawn over a figure for one area; `show` gives it places, `only` what is seen."""

    def __init__(self, plot: figure, ground: Ground, windows: list[int]) -> None:
        self.grid = ground.grid
        self.size = 4 if len(ground.x) > MANY else 6
        self.drawn: dict[str, list[GlyphRenderer]] = {kind: [] for kind in KINDS}
        self.drawn["heat"] = plot.select({"name": "heat"})
        self.sources: dict[tuple[str, str], ColumnDataSource] = {}
        self.test = _add_ground(plot, ground.grid)
        self.drawn["ground"] = [self.test]
        self._add_points(plot)
        self.windows = ColumnDataSource(window_data(ground, windows))
        self.drawn["windows"] = [
            plot.rect(
                x="x", y="y", width="side", height="side", source=self.windows,
                fill_color=None, line_color="white", line_width=2, line_dash="solid",
            )
        ]  # fmt: skip

    def _add_points(self, plot: figure) -> None:
        empty = {"x": [], "y": []}
        look: dict[str, Any] = {"line_width": 1.4, "fill_color": None}
        soft = self.sources["soft", "train"] = ColumnDataSource(empty)
        self.drawn["soft"].append(
            plot.scatter("x", "y", source=soft, size=3, color=SOFT, line_color=None)
        )
        for kind in ("negatives", "landslides"):
            for part, (_, colour, marker, _, _) in PARTS.items():
                source = self.sources[kind, part] = ColumnDataSource(empty)
                if kind == "landslides":
                    look = {"fill_color": colour, "line_color": "black", "line_width": 0.5}
                own = look | ({"line_color": colour} if kind == "negatives" else {})
                self.drawn[kind].append(
                    plot.scatter("x", "y", source=source, marker=marker, size=self.size, **own)
                )

    def show(self, samples: pd.DataFrame, test_ground: NDArray[np.bool_] | None) -> None:
        """Put these places on the map; of very many every n-th."""
        for (kind, part), source in self.sources.items():
            own = samples[samples["split"] == part]
            own = own[own["label"] == {"landslides": 1, "negatives": 0, "soft": -1}[kind]]
            own = own.iloc[:: max(1, -(-len(own) // MOST_POINTS))]
            source.data = {"x": own["x"].to_numpy(), "y": own["y"].to_numpy()}
        self.test.data_source.data = _ground_data(self.grid, test_ground)

    def only(self, kinds: list[str]) -> None:
        """Show these of `KINDS` and hide the others."""
        for kind, renderers in self.drawn.items():
            for renderer in renderers:
                renderer.visible = kind in kinds


def legend(samples: pd.DataFrame, windows: list[int]) -> str:
    """Markers with the number of places each stands for."""
    items = []
    counts = samples.groupby(["split", "label"]).size()
    for part, (words, colour, _, full, hollow) in PARTS.items():
        for label, sign, what in ((1, full, "landslides"), (0, hollow, "without")):
            n = int(counts.get((part, label), 0))
            items.append(_item(sign, colour, f"{words} {what}: {n:,}"))
    soft = int(counts.get(("train", -1), 0))
    if soft:
        items.append(_item("•", SOFT, f"soft samples: {soft:,}"))
    if windows:
        across = " and ".join(f"{w} x {w}" for w in windows)
        items.append(_item("□", "#ffffff", f"windows of {across} cells, round one landslide"))
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:13px"
    return f'<div style="{style}">{"".join(items)}</div>'


def _item(sign: str, colour: str, words: str) -> str:
    """The sign on grey, as it lies on the hillshade, and dark letters beside it."""
    box = "background:#707070;border-radius:3px;padding:0 4px;margin-right:5px"
    sign = f'<span aria-hidden="true" style="color:{colour};{box}">{sign}</span>'
    return f"<span>{sign}{escape(words)}</span>"


def _add_ground(plot: figure, grid: Grid) -> GlyphRenderer:
    colour = LinearColorMapper([CLEAR, PARTS["test"][1]], low=0, high=1)
    source = ColumnDataSource(_ground_data(grid, None))
    return plot.image(
        "image", x="x", y="y", dw="dw", dh="dh", source=source, color_mapper=colour,
        global_alpha=0.3,
    )  # fmt: skip


def _ground_data(grid: Grid, ground: NDArray[np.bool_] | None) -> Mapping[str, list[Any]]:
    """Every n-th cell of the ground, south up; none is one clear cell."""
    small = coarse(grid, GROUND_CELLS)
    step = round(small.transform.a / grid.transform.a)
    seen = np.zeros((1, 1), np.uint8)
    if ground is not None:
        seen = np.ascontiguousarray(np.flipud(ground[::step, ::step])).astype(np.uint8)
    left, bottom, right, top = small.bounds
    return {"image": [seen], "x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}


def follow_window(slider: Any, number: int, source: ColumnDataSource, length: float) -> None:
    """Let a slider (cells, of `length` in units of the CRS) resize a square in the browser."""
    args = {"source": source, "number": number, "length": length}
    slider.jscallback(args=args, value=RESIZE)


def cell_length(ground: Ground) -> float:
    """Width of a cell in units of the CRS."""
    return float(ground.grid.step[0] / ground.grid.metres_per_unit)


def window_data(ground: Ground, windows: list[int]) -> dict[str, list[float]]:
    """Where the squares of the windows lie, and how long their sides are in units of the CRS."""
    left, bottom, right, top = ground.grid.bounds
    off = np.hypot(ground.x - (left + right) / 2, ground.y - (bottom + top) / 2)
    at = int(np.argmin(off))
    side = [w * cell_length(ground) for w in windows]
    n = len(windows)
    return {"x": [float(ground.x[at])] * n, "y": [float(ground.y[at])] * n, "side": side}
