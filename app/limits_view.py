"""Class limits of a factor, dragged: lines over its distribution, bars, table and map follow.

The map follows in the browser: its cells were sent as levels of the factor, and a moved line only
gives these levels other colours. Bars and table are the core's, told of a moving line a few times a
second.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, CustomJS, LinearColorMapper, PointDrawTool, Range1d, Span
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from numpy.typing import NDArray

from lsm_app.ground import Ground
from lsm_app.heat_view import CLEAR, add_shade, coarse
from lsm_core.distributions import Values, histogram, limits_table
from lsm_core.errors import LsmError
from lsm_core.figures import map_frame

INSIDE, OUTSIDE = "#D55E00", "#0072B2"
RAMP = list(Viridis256)
LEVELS = 1024  # of the factor on the map
MAP_CELLS = 250_000  # of the map, sent once
MOST_LIMITS = 24
HEIGHT = 230  # of either diagram, pixels
MAP_SIZE = (400, 440)
PERIOD = 150  # ms between tellings of a moving line
STATISTICS = {  # column to words, and what a class like the whole has
    "frequency_ratio": ("frequency ratio", 1.0),
    "information_value": ("information value", 0.0),
    "certainty_factor": ("certainty factor", 0.0),
    "w_plus": ("weight of evidence W+", 0.0),
    "contrast": ("contrast of weights", 0.0),
}
MOVED = """
const limits = [...new Set([...source.data.x].filter(Number.isFinite))].sort((a, b) => a - b)
const top = source.data.y
for (let i = 0; i < top.length; i++) top[i] = height
const last = Math.max(1, limits.length)
mapper.palette = values.map(value => {
  let below = 0
  while (below < limits.length && limits[below] <= value) below++
  return ramp[Math.round(255 * below / last)]
})
const tell = () => {
  told.lsm_at = Date.now()
  if (JSON.stringify(told.data.x) !== JSON.stringify(limits)) told.data = {x: limits}
}
clearTimeout(told.lsm_later)
if (Date.now() - (told.lsm_at || 0) > period) tell()
else told.lsm_later = setTimeout(tell, period)
"""


class LimitsView:
    """Diagrams and map of a numeric factor; `on_change` is called with limits that moved."""

    def __init__(
        self,
        ds: xr.Dataset,
        ground: Ground | None,
        values: Values,
        limits: Sequence[float],
        statistic: str,
        on_change: Callable[[list[float], pd.DataFrame], None],
    ) -> None:
        self.values, self.statistic, self.on_change = values, statistic, on_change
        bars = histogram(values)
        self.height = float(1.08 * max(bars["inside"].max(), bars["outside"].max()))
        self.lines = ColumnDataSource({"x": [], "y": []})
        self.told = ColumnDataSource({"x": []})
        self.bars = ColumnDataSource(
            {name: [] for name in ("left", "right", "top", "bottom", "colour")}
        )
        units = str(ds[values.name].attrs.get("units", ""))
        self.unit = f" ({units})" if units not in ("", "1") else ""
        label = f"{values.name}{self.unit}"
        x_range = Range1d(float(bars["left"].iloc[0]), float(bars["right"].iloc[-1]))
        self.spread = _spread(bars, self.lines, x_range, self.height)
        self.graph, self.neutral = _bars(self.bars, x_range, label)
        self.mapper = LinearColorMapper(RAMP, low=0, high=LEVELS - 1, high_color=CLEAR)
        self.level = _levels(values)
        self.map = (
            None if ground is None else _map(ds, ground, values.name, self.level, self.mapper)
        )
        self._follow()
        self.told.on_change("data", self._told)
        self.table = self.put(limits)

    def _follow(self) -> None:
        args = {
            "source": self.lines, "told": self.told, "mapper": self.mapper, "ramp": RAMP,
            "values": self.level.tolist(), "height": self.height * 0.94, "period": PERIOD,
        }  # fmt: skip
        moved = CustomJS(args=args, code=MOVED)
        self.lines.js_on_change("change", moved)  # while a line moves
        self.lines.js_on_change("data", moved)

    def _told(self, attr: str, old: Any, new: Any) -> None:
        self.count(list(new["x"]))

    def put(self, limits: Sequence[float]) -> pd.DataFrame:
        """Lay the lines at these limits, colour the map and draw the bars; their table.

        Errors: limits that do not rise (RecipeError).
        """
        table = limits_table(self.values, limits)
        shown = [float(limit) for limit in limits]

        def change() -> None:
            self.mapper.palette = palette(self.level, shown)
            self.lines.data = {"x": shown, "y": [self.height * 0.94] * len(shown)}
            self._draw(table)

        pn.state.execute(change)
        return table

    def count(self, limits: Sequence[float]) -> None:
        """Bars and table of limits that were moved on the screen; the lines lie there already."""
        rounded = [float(f"{limit:.4g}") for limit in sorted(limits)]
        kept = sorted(set(rounded))[:MOST_LIMITS]
        try:
            self.table = limits_table(self.values, kept)
        except LsmError:  # a line that lies on no number: the next move counts
            return
        pn.state.execute(lambda: self._draw(self.table))
        self.on_change(kept, self.table)

    def show(self, statistic: str) -> None:
        """Draw the bars of another statistic."""
        self.statistic = statistic
        pn.state.execute(lambda: self._draw(self.table))

    def _draw(self, table: pd.DataFrame) -> None:
        words, neutral = STATISTICS[self.statistic]
        ends = self.spread.x_range
        n = len(table)
        self.table = table
        self.graph.yaxis.axis_label = words
        self.neutral.location = neutral
        self.bars.data = {
            "left": table["from"].fillna(ends.start).clip(upper=ends.end).to_numpy(),
            "right": table["to"].fillna(ends.end).clip(lower=ends.start).to_numpy(),
            "top": table[self.statistic].to_numpy(),
            "bottom": np.full(n, neutral),
            "colour": colours_of(n),
        }


def colours_of(n: int) -> list[str]:
    """The colours of n classes, lowest first.

    >>> colours_of(2) == [RAMP[0], RAMP[255]]
    True
    """
    return [RAMP[round(255 * i / max(1, n - 1))] for i in range(n)]


def palette(level: NDArray[np.float64], limits: Sequence[float]) -> list[str]:
    """The colour of each level of the map: that of the class its value falls into."""
    colours = colours_of(len(limits) + 1)
    return [colours[i] for i in np.searchsorted(np.sort(limits), level, side="right")]


# ------------------------------------------------------------------------------------- behind


def _levels(values: Values) -> NDArray[np.float64]:
    """The least value of each level: as many cells in each, fewer levels where values repeat."""
    every = np.sort(np.concatenate([values.inside, values.outside]))
    at = np.linspace(0, len(every) - 1, LEVELS).astype(int)
    found = np.unique(every[at].astype(np.float64))
    return np.concatenate([found, np.repeat(found[-1:], LEVELS - len(found))])


def _spread(bars: pd.DataFrame, lines: ColumnDataSource, x_range: Range1d, height: float) -> figure:
    """Shares of both kinds of cells by value, and the limits: lines with a handle on each."""
    plot = figure(
        height=HEIGHT, sizing_mode="stretch_width", x_range=x_range, y_range=(0, height),
        tools="", toolbar_location=None, y_axis_label="share of cells (%)",
    )  # fmt: skip
    for what, colour, words in (
        ("outside", OUTSIDE, "other cells"),
        ("inside", INSIDE, "landslide cells"),
    ):
        look = {"fill_color": colour, "fill_alpha": 0.25, "line_color": colour}
        plot.quad(
            left=bars["left"], right=bars["right"], top=bars[what], bottom=0, legend_label=words,
            **look,
        )  # fmt: skip
    plot.vspan(x="x", source=lines, line_color="#222222", line_width=2, line_dash="dashed")
    look = {"size": 20, "fill_color": "white", "line_color": "#222222", "line_width": 2}
    handles = plot.scatter("x", "y", source=lines, marker="inverted_triangle", **look)
    draw = PointDrawTool(renderers=[handles], num_objects=MOST_LIMITS, add=True)
    plot.add_tools(draw)
    plot.toolbar.active_tap = plot.toolbar.active_drag = draw
    plot.legend.label_text_font_size = "9pt"
    plot.legend.padding = plot.legend.spacing = 2
    return plot


def _bars(source: ColumnDataSource, x_range: Range1d, label: str) -> tuple[figure, Any]:
    plot = figure(
        height=HEIGHT, sizing_mode="stretch_width", x_range=x_range, tools="hover",
        tooltips=[("from", "@left"), ("to", "@right"), ("value", "@top{0.000}")],
        toolbar_location=None, x_axis_label=label,
    )  # fmt: skip
    plot.quad(
        left="left", right="right", top="top", bottom="bottom", fill_color="colour",
        line_color="white", source=source,
    )  # fmt: skip
    neutral = Span(location=0, dimension="width", line_color="#333333", line_dash="dotted")
    plot.add_layout(neutral)
    return plot, neutral


def classes_over(ground: Ground, name: str) -> figure:
    """A map that is to hold the classes of a factor, so far its hillshade alone."""
    left, bottom, right, top = ground.grid.bounds
    frame = map_frame(ground.grid.bounds, *MAP_SIZE, ground.unit)
    plot = figure(
        frame_width=frame["frame_width"], frame_height=frame["frame_height"],
        x_range=Range1d(left, right), y_range=Range1d(bottom, top), match_aspect=True,
        tools="pan,wheel_zoom,reset,save", active_scroll="wheel_zoom",
        title=f"Classes of {name}, {ground.name}",
    )  # fmt: skip
    plot.axis.visible = plot.grid.visible = False
    plot.toolbar.logo = None
    add_shade(plot, ground)
    return plot


def _map(
    ds: xr.Dataset, ground: Ground, name: str, level: NDArray[np.float64], mapper: LinearColorMapper
) -> figure:
    """The factor's levels over the hillshade, every n-th cell."""
    plot = classes_over(ground, name)
    left, bottom, right, top = ground.grid.bounds
    small = coarse(ground.grid, MAP_CELLS)
    step = round(small.transform.a / ground.grid.transform.a)
    value = ds[name][::step, ::step].to_numpy()
    different = np.unique(level)
    at = np.searchsorted(different, value, side="right") - 1
    at = np.where(np.isfinite(value), np.maximum(at, 0), LEVELS)
    left, bottom, right, top = small.bounds
    plot.image(
        [np.ascontiguousarray(np.flipud(at.astype(np.uint16)))], x=left, y=bottom,
        dw=right - left, dh=top - bottom, color_mapper=mapper, global_alpha=0.75,
    )  # fmt: skip
    return plot
