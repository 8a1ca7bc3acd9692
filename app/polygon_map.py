"""Polygons over a true-colour image, to be chosen, reshaped and drawn with the mouse.

The picture is read anew for what is in view, never finer than the screen. Polygons are sent once
and coloured by their state; only the one that is being changed can be changed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import panel as pn
import xarray as xr
from bokeh.events import RangesUpdate, Tap
from bokeh.models import (
    ColumnDataSource,
    HoverTool,
    PanTool,
    PolyEditTool,
    Range1d,
    ResetTool,
    TapTool,
    WheelZoomTool,
)
from bokeh.plotting import figure
from shapely.geometry.base import BaseGeometry

from lsm_app.ground import unit_of
from lsm_app.session import Newest, served
from lsm_core.cartography import map_frame
from lsm_core.grid import Grid, grid_of
from lsm_core.review import Piece, Review
from lsm_core.true_colour import colour_bands, picture, stretch_of

MOST_CELLS = 600  # a side of the picture sent
COLOURS = {"undecided": "#E69F00", "accepted": "#56B4E9", "rejected": "#999999"}
DASHES = {"undecided": "solid", "accepted": "solid", "rejected": "dotted"}
EDITED = "#FF2DA0"
SIZE = (620, 560)  # pixels at most
BOX = {"max-width": "100%", "overflow-x": "auto"}

Corners = list[tuple[float, float]]


def nobody(*_: Any) -> None:
    """Hears it where the map is there to be looked at."""


class PolygonMap:
    """The map; `on_choose(numbers)` hears which polygons were tapped, `on_tap(x, y)` where,
    `on_shape(corners)` the outline that was changed of the one put there by `edit`.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        on_choose: Callable[[list[int]], Any] = nobody,
        on_shape: Callable[[Corners], Any] = nobody,
        on_tap: Callable[[float, float], Any] = nobody,
    ) -> None:
        self.ds, self.grid = ds, grid_of(ds)
        self.on_choose, self.on_shape, self.on_tap = on_choose, on_shape, on_tap
        self.stretch = stretch_of(ds, colour_bands(ds))
        self.image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.all = ColumnDataSource(_columns([]))
        self.edited = ColumnDataSource(_outline([], []))
        self.figure = _frame(self.grid)
        self.chosen: list[int] = []
        self._columns = _columns([])
        self._ranges: tuple[Any, ...] = (None, None, None, None)
        self._read = Newest(lambda: self.view_window(*self._ranges))
        self._telling = False
        self._doc = pn.state.curdoc if served() else None
        self._layers()
        self._tools()
        self.view_window(*_ends(self.grid))
        self.pane = pn.Column(pn.pane.Bokeh(self.figure), styles=BOX)

    def _layers(self) -> None:
        plot = self.figure
        plot.image_rgba("image", "x", "y", "dw", "dh", source=self.image)
        look = {"fill_alpha": 0.12, "line_width": 1.5, "source": self.all}
        self.patches = plot.patches(
            "xs", "ys", fill_color="colour", line_color="colour", line_dash="dash",
            selection_fill_alpha=0.35, selection_line_width=3, nonselection_fill_alpha=0.08,
            nonselection_line_alpha=0.9, **look,
        )  # fmt: skip
        self.shape = plot.patches(
            "xs", "ys", source=self.edited, fill_alpha=0.1, fill_color=EDITED, line_color=EDITED,
            line_width=2.5,
        )  # fmt: skip
        self.corners = plot.scatter([], [], size=9, color=EDITED, line_color="white")

    def _tools(self) -> None:
        self.tap = tap = TapTool(renderers=[self.patches])
        self.change = change = PolyEditTool(renderers=[self.shape], vertex_renderer=self.corners)
        tips = [("polygon", "@number"), ("state", "@state"), ("mean score", "@score{0.00}")]
        hover = HoverTool(renderers=[self.patches], tooltips=tips)
        wheel = WheelZoomTool()
        self.figure.add_tools(PanTool(), wheel, tap, change, hover, ResetTool())
        self.figure.toolbar.active_scroll = wheel
        self.figure.toolbar.active_tap = tap
        self.figure.toolbar.logo = None
        self.figure.on_event(RangesUpdate, self._moved)
        self.figure.on_event(Tap, self._touched)
        self.all.selected.on_change("indices", self._tapped)
        self.edited.on_change("data", self._reshaped)

    # ------------------------------------------------------------------------ what is shown

    def _put(self, change: Callable[[], Any]) -> None:
        """Change what is drawn; nobody is told. Served, when the page's turn has come: a callback
        of Panel's may run in another thread, which must not touch Bokeh's models."""

        def work() -> None:
            before, self._telling = self._telling, True
            try:
                change()
            finally:
                self._telling = before

        if self._doc is None:
            work()
        else:
            self._doc.add_next_tick_callback(work)

    def show(self, review: Review, shown: Sequence[str]) -> None:
        """The polygons of these states, in their colours."""
        rows = [(n, p) for n, p in sorted(review.pieces.items()) if p.state in shown]
        new = _columns(rows)
        old, self._columns = self._columns, new
        if all(old[name] == new[name] for name in ("number", "xs", "ys")):
            other = [i for i, state in enumerate(new["state"]) if state != old["state"][i]]
            names = ("state", "colour", "dash")  # outlines may be long, and are as they were
            patches = {name: [(i, new[name][i]) for i in other] for name in names}
            if other:
                self._put(lambda: self.all.patch(patches))
            return
        self._put(lambda: self.all.update(data=new))
        self.choose(self.chosen)

    def choose(self, numbers: Sequence[int]) -> None:
        """Mark these polygons; nobody is told."""
        place = {int(n): i for i, n in enumerate(self._columns["number"])}
        self.chosen = [n for n in numbers if n in place]
        indices = [place[n] for n in self.chosen]
        self._put(lambda: self.all.selected.update(indices=indices))

    def edit(self, shape: BaseGeometry | None) -> None:
        """Put the outer ring of a shape where it can be changed; None: nothing is there."""
        data = _outline([], []) if shape is None else _outline(*_ring(shape))
        tool = self.tap if shape is None else self.change
        self._put(lambda: self.edited.update(data=data))
        self._put(lambda: self.corners.data_source.update(data={"x": [], "y": []}))
        self._put(lambda: self.figure.toolbar.update(active_tap=tool))

    def sketch(self, corners: Corners) -> None:
        """Show an outline that is being drawn, with its corners."""
        xs, ys = ([corner[i] for corner in corners] for i in (0, 1))
        self._put(lambda: self.edited.update(data=_outline(xs, ys)))
        self._put(lambda: self.corners.data_source.update(data={"x": xs, "y": ys}))

    def look_at(self, shape: BaseGeometry) -> None:
        """Move the view to a shape, with ground around it, at equal scales."""
        left, bottom, right, top = shape.bounds
        ratio = self.figure.frame_width / self.figure.frame_height
        wide = max(right - left, (top - bottom) * ratio, 20 * min(self.grid.step)) * 1.6
        high = wide / ratio
        x, y = (left + right) / 2, (bottom + top) / 2

        def move() -> None:
            self.figure.x_range.update(start=x - wide / 2, end=x + wide / 2)
            self.figure.y_range.update(start=y - high / 2, end=y + high / 2)

        self._put(move)
        self.view_window(x - wide / 2, x + wide / 2, y - high / 2, y + high / 2)

    def view_window(self, x0: Any, x1: Any, y0: Any, y1: Any) -> None:
        """Read the picture of what is in view."""
        if x0 is None or x1 is None or y0 is None or y1 is None:
            return
        rows, cols = _window(self.grid, (x0, x1), (y0, y1))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        seen = picture(self.ds, rows, cols, most=MOST_CELLS, stretch=self.stretch)
        left, top = self.grid.transform * (cols.start, rows.start)
        right, bottom = self.grid.transform * (cols.stop, rows.stop)
        packed = np.ascontiguousarray(seen[::-1]).view(np.uint32)[..., 0]
        place = {"x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}
        self._put(lambda: self.image.update(data={"image": [packed]} | place))

    def _moved(self, event: Any) -> None:
        """The view was moved: the picture is read beside the server's own thread."""
        self._ranges = (event.x0, event.x1, event.y0, event.y1)
        if self._doc is None:
            self.view_window(*self._ranges)
        else:
            threading.Thread(target=self._read, daemon=True).start()

    # --------------------------------------------------------------------------- what is heard

    def _tapped(self, attr: str, old: Any, new: Any) -> None:
        if not self._telling:
            numbers = self._columns["number"]
            self.chosen = [int(numbers[i]) for i in new if i < len(numbers)]
            self.on_choose(self.chosen)

    def _reshaped(self, attr: str, old: Any, new: Any) -> None:
        if self._telling:
            return
        data: Mapping[str, Any] = self.edited.data
        for xs, ys in zip(data["xs"], data["ys"], strict=False):
            self.on_shape(list(zip(map(float, xs), map(float, ys), strict=False)))

    def _touched(self, event: Any) -> None:
        if event.x is not None and event.y is not None:
            self.on_tap(float(event.x), float(event.y))


def _columns(rows: Sequence[tuple[int, Piece]]) -> dict[str, list[Any]]:
    rings = [_ring(piece.geometry) for _, piece in rows]
    return {
        "xs": [ring[0] for ring in rings],
        "ys": [ring[1] for ring in rings],
        "number": [number for number, _ in rows],
        "state": [piece.state for _, piece in rows],
        "score": [piece.mean_score for _, piece in rows],
        "colour": [COLOURS[piece.state] for _, piece in rows],
        "dash": [DASHES[piece.state] for _, piece in rows],
    }


def _outline(xs: Sequence[float], ys: Sequence[float]) -> dict[str, list[Any]]:
    """One polygon, without a corner where there is none: Bokeh's tool goes on asking for it."""
    return {"xs": [list(xs)], "ys": [list(ys)]}


def _ring(shape: BaseGeometry) -> tuple[list[float], list[float]]:
    """Corners of the outer ring (of several parts, of the largest), the first not repeated."""
    parts = [part for part in getattr(shape, "geoms", [shape]) if part.geom_type == "Polygon"]
    xy = np.asarray(max(parts, key=lambda part: part.area).exterior.coords)[:-1, :2]
    return xy[:, 0].tolist(), xy[:, 1].tolist()


def _ends(grid: Grid) -> tuple[float, float, float, float]:
    left, bottom, right, top = grid.bounds
    return left, right, bottom, top


def _frame(grid: Grid) -> figure:
    left, right, bottom, top = _ends(grid)
    frame = map_frame(grid.bounds, *SIZE)
    plot = figure(
        x_range=Range1d(left, right), y_range=Range1d(bottom, top), tools="",
        frame_width=frame["frame_width"], frame_height=frame["frame_height"],
        background_fill_color="#f2f2f2",
        x_axis_label=f"easting ({unit_of(grid)})", y_axis_label=f"northing ({unit_of(grid)})",
    )  # fmt: skip
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.formatter.use_scientific = False
    plot.xaxis.ticker.desired_num_ticks = 4
    plot.grid.visible = False
    return plot


def _window(grid: Grid, x: tuple[Any, Any], y: tuple[Any, Any]) -> tuple[slice, slice]:
    """Whole cells that a range touches."""
    (x0, x1), (y0, y1) = sorted(x), sorted(y)
    col0, row0 = ~grid.transform * (x0, y1)
    col1, row1 = ~grid.transform * (x1, y0)
    height, width = grid.shape
    rows = slice(max(0, int(np.floor(row0))), min(height, int(np.ceil(row1))))
    return rows, slice(max(0, int(np.floor(col0))), min(width, int(np.ceil(col1))))
