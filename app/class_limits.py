"""Classes by limits one drags: table, curve and map follow while the limit moves.

The maps are counted once (`lsm_core.rezoning`), so a move reads sums; the picture of the map gets
new colours in the browser, without a word to the server.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource, CustomJS, LinearColorMapper, Range1d, Span
from bokeh.plotting import figure

from lsm_app.class_table import class_table
from lsm_app.counted_maps import counted_map
from lsm_app.ground import Ground, ground_of
from lsm_app.layout import SCROLLS, note, weakly
from lsm_app.map_view import read_window
from lsm_app.session import Newest, Session, html_table, keep_in, said
from lsm_core import figures
from lsm_core.errors import LsmError
from lsm_core.plot_style import line_style
from lsm_core.rezoning import BINS, rate_at, zones_at
from lsm_core.runs import Run
from lsm_core.zoning import level_colours, level_names

LEVELS = 100  # steps of a limit, and colours of the picture
SIZE = (430, 430)
HELD, ALL = "landslides held out (test)", "all landslides of the inventory"
COUNTS = (ALL, HELD)
HOW = (
    "Drag a dashed limit on the histogram, or move it by its slider: classes are closed on the "
    "left, landslides count by the cell of their place, over the whole map. Dots on the curve are "
    "the limits: what lies above each holds that share of the landslides. Limits start at those "
    "of the first run's own zones."
)
RECOLOUR = """
const at = spans.map(s => s.location).sort((a, b) => a - b)
const n = mapper.palette.length
mapper.palette = Array.from({length: n}, (_, i) =>
  colours[at.filter(limit => (i + 0.5) / n >= limit).length])
"""


class Limits:
    """Limits of classes as sliders and as lines on a histogram; everything else follows them."""

    def __init__(self, runs: Sequence[Run], session: Session) -> None:
        self.runs, self.session = runs, session
        self.labels = figures.labels_of(runs)
        inner = session.cuts or _own(runs[0])
        self.colours = list(level_colours(len(inner) + 1))
        counted = session.counted if session.counted in COUNTS else ALL
        self.counted = pmui.Select(
            label="Landslides counted", options=list(COUNTS), value=counted, width=270
        )
        ids = [run.id for run in runs]
        options = dict(zip(self.labels, ids, strict=True))
        zoned = session.zoned if session.zoned in ids else ids[0]
        self.shown = pmui.Select(label="Map shown", options=options, value=zoned, width=300)
        keep_in(session, counted=self.counted, zoned=self.shown)
        self.mapper = LinearColorMapper(_palette(inner, self.colours), low=0, high=1)
        self.spans = [
            Span(location=at, dimension="height", line_width=3, line_dash="dashed", editable=True)
            for at in inner
        ]
        self.sliders = [
            pmui.FloatSlider(label=words, start=0.01, end=0.99, step=0.01, value=at, width=210)
            for words, at in zip(_between(len(inner) + 1), inner, strict=True)
        ]
        for slider, span in zip(self.sliders, self.spans, strict=True):
            again = {"spans": self.spans, "mapper": self.mapper, "colours": self.colours}
            slider.jscallback(args={"span": span}, value="span.location = cb_obj.value")
            span.js_on_change("location", CustomJS(args=again, code=RECOLOUR))
        self.table = html_table()
        self.rates = [ColumnDataSource({"x": [], "y": []}) for _ in runs]
        self.dots = [ColumnDataSource({"x": [], "y": [], "limit": []}) for _ in runs]
        self.bars, self.picture = ColumnDataSource(), ColumnDataSource()
        self.follow = Newest(self.tell)
        dragged = weakly(self._dragged)
        for i, (slider, span) in enumerate(zip(self.sliders, self.spans, strict=True)):
            slider.param.watch(self.follow, "value")
            span.on_change("location", lambda _, old, new, i=i: dragged(i, new))
        self.counted.param.watch(lambda _: self.count(), "value")
        self.shown.param.watch(lambda _: self.look(), "value")

    # ------------------------------------------------------------------------------ what is said

    @property
    def limits(self) -> list[float]:
        """The limits as they stand, rising; two on one step are one."""
        return sorted({round(float(slider.value), 2) for slider in self.sliders})

    def _dragged(self, i: int, new: float) -> None:
        self.sliders[i].value = float(np.clip(round(new, 2), 0.01, 0.99))

    def count(self) -> None:
        """Curves of the landslides that are counted now, and all that hangs on them."""
        for run, source in zip(self.runs, self.rates, strict=True):
            area, held = rate_at(counted_map(run, self.counted.value == HELD))
            some = np.linspace(0, BINS, 251).astype(int)
            _give(source, {"x": 100 * area[some], "y": 100 * held[some]})
        self.tell()

    def tell(self) -> None:
        """Table, dots and address for the limits as they stand."""
        inner = self.limits
        self.session.cuts = inner
        rows = []
        for run, name, dots in zip(self.runs, self.labels, self.dots, strict=True):
            counts = counted_map(run, self.counted.value == HELD)
            rows.append(zones_at(counts, inner).assign(run=name))
            area, held = rate_at(counts)
            at = [BINS - round(limit * BINS) for limit in inner]
            _give(dots, {"x": 100 * area[at], "y": 100 * held[at], "limit": inner})
        self.table.object = class_table(pd.concat(rows))

    def look(self) -> None:
        """The picture and the histogram of the run that is shown now."""
        run = next(run for run in self.runs if run.id == self.shown.value)
        values, bounds = read_window(run.map_path, None, None)
        left, bottom, right, top = bounds
        place = {"x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}
        _give(self.picture, {"image": [np.flipud(values)]} | place)
        cells = counted_map(run, False).cells.reshape(LEVELS, -1).sum(axis=1)
        edges = np.arange(LEVELS + 1) / LEVELS
        share = 100 * cells / cells.sum()
        middle = (edges[:-1] + edges[1:]) / 2
        _give(self.bars, {"left": edges[:-1], "right": edges[1:], "share": share, "at": middle})

    # ------------------------------------------------------------------------------------- views

    def view(self) -> pn.Column:
        """Sliders, histogram, curve, picture and table."""
        self.look()
        self.count()
        ground = ground_of(self.runs[0].area_path)
        style = {"flex": "1 1 380px", "min-width": "300px", "max-width": "620px"}
        plots = [
            pn.Column(pn.pane.Bokeh(plot, sizing_mode="stretch_width"), styles=style)
            for plot in (self._histogram(), self._curve())
        ]
        picture = pn.pane.Bokeh(self._map(ground), styles={"overflow-x": "auto"})
        return pn.Column(
            pn.FlexBox(self.shown, self.counted, gap="16px"),
            pn.FlexBox(*self.sliders, gap="4px 24px"),
            pn.FlexBox(
                *plots, picture, gap="8px", sizing_mode="stretch_width", styles=SCROLLS
            ),
            self.table, note(HOW), sizing_mode="stretch_width",
        )  # fmt: skip

    def _histogram(self) -> figure:
        fig = _figure("Cells by susceptibility", "susceptibility (0 to 1)", "cells (%)", (0, 1))
        look = {"fill_color": {"field": "at", "transform": self.mapper}, "line_color": "#777777"}
        fig.quad(
            left="left", right="right", bottom=0, top="share", source=self.bars,
            line_width=0.5, **look,
        )  # fmt: skip
        fig.y_range.start = 0
        for span in self.spans:
            fig.add_layout(span)
        return fig

    def _curve(self) -> figure:
        title = "Landslides in the most susceptible share of the area"
        fig = _figure(title, "area, most susceptible first (%)", "landslides (%)", (0, 100))
        fig.y_range = Range1d(0, 102)
        for i, name in enumerate(self.labels):
            style = line_style(i)
            fig.line("x", "y", source=self.rates[i], legend_label=name, **style)
            fig.scatter("x", "y", source=self.dots[i], size=9, color=style["color"])
        fig.legend.location = "bottom_right"
        fig.legend.label_text_font_size = "9pt"
        fig.legend.background_fill_alpha = 0.75
        return fig

    def _map(self, ground: Ground) -> figure:
        frame = figures.map_frame(ground.grid.bounds, *SIZE, ground.unit)
        left, bottom, right, top = ground.grid.bounds
        fig = figure(
            frame_width=frame["frame_width"], frame_height=frame["frame_height"],
            x_range=Range1d(left, right), y_range=Range1d(bottom, top), title="Its classes",
            tools="pan,wheel_zoom,reset,save", x_axis_label=frame["xlabel"],
            y_axis_label=frame["ylabel"],
        )  # fmt: skip
        for axis in (*fig.xaxis, *fig.yaxis):
            axis.formatter.use_scientific = False
            axis.ticker.desired_num_ticks = 3
        fig.toolbar.logo, fig.grid.visible = None, False
        fig.image(
            "image", x="x", y="y", dw="dw", dh="dh", source=self.picture, color_mapper=self.mapper
        )
        return fig


def limits_of(runs: Sequence[Run], session: Session) -> Any:
    """Classes of these runs by limits one drags; of those that made a map of cells."""
    mapped = [run for run in runs if run.has_map]
    if not mapped:
        return note(
            "None of these runs made a map of cells: there are no classes to draw limits of."
        )
    try:
        return Limits(mapped, session).view()
    except LsmError as error:
        return said(error)


def _own(run: Run) -> list[float]:
    """The run's own limits on whole steps, or fifths where they fall on one another."""
    inner = sorted({round(float(at), 2) for at in run.limits.breaks[1:-1]})
    inner = [at for at in inner if 0 < at < 1]
    return inner if len(inner) == run.limits.k - 1 else [0.2, 0.4, 0.6, 0.8]


def _between(k: int) -> list[str]:
    names = level_names(k)
    return [f"{low} | {high}" for low, high in pairwise(names)]


def _palette(inner: Sequence[float], colours: Sequence[str]) -> list[str]:
    middle = (np.arange(LEVELS) + 0.5) / LEVELS
    return [colours[i] for i in np.searchsorted(np.sort(inner), middle, side="right")]


def _figure(title: str, x: str, y: str, x_range: tuple[float, float]) -> figure:
    fig = figure(
        height=330, sizing_mode="stretch_width", min_width=300, x_range=x_range, title=title,
        x_axis_label=x, y_axis_label=y, tools="reset,save",
    )  # fmt: skip
    fig.toolbar.logo = None
    return fig


def _give(source: ColumnDataSource, data: dict[str, Any]) -> None:
    """By the server, which alone may change what Bokeh draws: a visitor is heard in a thread."""
    pn.state.execute(partial(setattr, source, "data", data))
