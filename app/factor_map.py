"""The map of one layer of a study area: over its hillshade, under its landslides, read in windows.

A tap tells all the values of the cell.
"""

import json
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import geopandas as gpd
import holoviews as hv
import numpy as np
import panel as pn
import panel_material_ui as pmui
import xarray as xr
from numpy.typing import NDArray

from lsm_app.ground import Ground, ground_of
from lsm_app.in_view import InView
from lsm_app.layout import note
from lsm_app.map_view import MOST_CELLS, Range, shade_window, tap_mark
from lsm_app.session import Newest, Session, html_table, remember
from lsm_core import cartography, layer_figures
from lsm_core.area_report import values_at
from lsm_core.grid import Bounds
from lsm_core.layer_figures import Look
from lsm_core.legend import number
from lsm_core.study_area import factors, inventory, open_area

SIZE = (620, 560)  # pixels at most
MOST_OUTLINES = 1500  # polygons in view, above which landslides are points
MOST_POINTS = 20_000
NOTHING = "no factor"
GAP = np.full((1, 2), np.nan)
TAP = "Tap the map, or write a place: all values of the cell are shown here."
BOX = {"flex": "1 1 520px", "min-width": "300px", "max-width": "100%", "overflow-x": "auto"}
WEB = (
    "Tiles by OpenStreetMap (© OpenStreetMap contributors) are fetched from its servers while this "
    "switch is on, which tells them where you look; without a network the layer stands on white. "
    "Values of cells are told on the other map."
)
HINT = "Outside the area there is nothing to tell."


def opened(path: Path) -> xr.Dataset:
    """A study area, opened and checked once for all visitors; read only."""
    store = path / "area.zarr"
    changed = store.stat().st_mtime_ns if store.is_dir() else 0
    return remember(("area", str(path.resolve()), changed), lambda: open_area(path), "areas")


def layer_window(
    ds: xr.Dataset, name: str, ground: Ground, x_range: Range, y_range: Range
) -> tuple[NDArray[np.float32], Bounds]:
    """A layer in view: every n-th cell, `MOST_CELLS` a side at most, and where they lie.

    float32 with NaN where missing. A range wholly outside gives one NaN cell.
    """
    left, bottom, right, top = ground.grid.bounds
    (x0, x1), (y0, y1) = sorted(x_range or (left, right)), sorted(y_range or (bottom, top))
    first_row, first_col, last_row, last_col = ground.grid.cover((x0, y0, x1, y1))
    rows = max(0, first_row), min(ground.grid.shape[0], last_row)
    cols = max(0, first_col), min(ground.grid.shape[1], last_col)
    if rows[0] >= rows[1] or cols[0] >= cols[1]:
        return np.full((1, 1), np.nan, "float32"), (x0, y0, x1, y1)
    step = -(-max(rows[1] - rows[0], cols[1] - cols[0]) // MOST_CELLS)
    part = ds[name][rows[0] : rows[1] : step, cols[0] : cols[1] : step].load()
    values = part.values.astype("float32")
    if "nodata" in part.attrs:
        values[part.values == part.attrs["nodata"]] = np.nan
    west, north = ground.grid.transform * (cols[0], rows[0])
    wide, high = (n * step for n in reversed(values.shape))
    east, south = ground.grid.transform * (cols[0] + wide, rows[0] + high)
    return values, (float(west), float(south), float(east), float(north))


def overview(path: Path, name: str) -> tuple[NDArray[np.float32], Bounds]:
    """A layer as a whole, read once for all visitors."""
    ground = ground_of(path)
    key = ("overview", str(path.resolve()), (path / "area.zarr").stat().st_mtime_ns, name)
    return remember(key, lambda: layer_window(opened(path), name, ground, None, None), "layers", 24)


def outlines(path: Path) -> gpd.GeoDataFrame:
    """The landslides of an area, in the area's CRS, read once for all visitors."""
    key = ("outlines", str(path.resolve()), (path / "inventory.gpkg").stat().st_mtime_ns)
    crs = ground_of(path).grid.crs.to_wkt()
    return remember(key, lambda: inventory(path).to_crs(crs), "outlines")


class FactorMap:
    """The map with its switches; `session.factor` is what is shown, `session.at` the cell told."""

    def __init__(self, session: Session, path: Path) -> None:
        self.session, self.path = session, path
        self.ground, self.ds = ground_of(path), opened(path)
        names = factors(self.ds)
        if session.factor not in (*names, NOTHING):
            session.factor = next((n for n in ("slope", *names) if n in names), NOTHING)
        titles = {self._title(name): name for name in names} | {"hillshade only": NOTHING}
        self.choice = pmui.Select(
            label="Layer shown", options=titles, value=session.factor, width=280
        )
        self.opacity = pmui.FloatSlider(label="Opacity over the hillshade", value=0.7, step=0.05,
                                        start=0, end=1, width=220)  # fmt: skip
        self.slides = pmui.Switch(label="Landslides", value=True)
        self.web = pmui.Switch(label="Web map", value=False)  # in no address: a link must not ask
        self.legend = pn.pane.HTML("", sizing_mode="stretch_width")
        self.box = pn.Column(styles=BOX)
        self.cell = html_table()
        self.told = note(TAP)
        self.written = pmui.TextInput(
            label=f"Place: x, y ({self.ground.unit})", placeholder="by hand", width=260
        )
        self.stream = InView()
        side = pn.Column(
            self.written, self.told, self.cell, styles={"flex": "1 1 280px", "max-width": "430px"}
        )
        controls = pn.FlexBox(
            self.choice, self.opacity, self.slides, self.web, align_items="center", gap="16px"
        )
        self.view = pn.Column(
            controls, self.legend,
            pn.FlexBox(self.box, side, sizing_mode="stretch_width", gap="12px"),
            sizing_mode="stretch_width",
        )  # fmt: skip
        draw = Newest(self.draw)
        self.choice.param.watch(self._choose, "value")
        self._watch = session.param.watch(self._follow, "factor")
        self.slides.param.watch(draw, "value")
        self.web.param.watch(draw, "value")
        self.written.param.watch(lambda e: self.find(e.new), "value")
        self.draw()
        if place := self._mark():
            self.tell(*place)

    def forget(self) -> None:
        """Follow the session no longer: another area's map has taken this one's place."""
        self.session.param.unwatch(self._watch)

    def _title(self, name: str) -> str:
        attrs = self.ds[name].attrs
        units = "" if attrs["units"] == "1" else f" ({attrs['units']})"
        return f"{name.replace('_', ' ')}{units}"

    def _choose(self, event: Any) -> None:
        self.session.factor = event.new

    def _follow(self, *_: Any) -> None:
        if self.session.factor in self.choice.options.values():
            self.choice.value = self.session.factor
            self.draw()

    def draw(self) -> None:
        """The map anew, where it was looked at."""
        name = self.session.factor
        look = None
        if name != NOTHING:
            look = layer_figures.look_of(self.ds[name], overview(self.path, name)[0])
        self.legend.object = legend(look)
        if self.web.value:
            self.box[:] = self._web_map(name, look)
            return
        self.stream = InView(x_range=self.stream.x_range, y_range=self.stream.y_range)
        overlay = area_map(
            self.path, name, look, self.stream, self.opacity, self.slides.value, self.tell,
            self._mark(),
        )  # fmt: skip
        self.box[:] = [pn.pane.HoloViews(overlay, linked_axes=False)]

    def _web_map(self, name: str, look: Look | None) -> list[Any]:
        """Tiles below the layer; what draws them is loaded only now."""
        from lsm_app.web_map import web_map

        seen = overview(self.path, name) if look else None
        plot = web_map(self.ground, look, seen, self.slides.value, self.opacity.value)
        return [pn.pane.HoloViews(plot, linked_axes=False), note(WEB)]

    def _mark(self) -> tuple[float, float] | None:
        return _place(self.session.at)

    def find(self, text: str) -> None:
        """All values of the cell at "x, y", and its mark on the map."""
        if not text.strip():
            return
        place = _place(f"[{text}]")
        if place is None:
            left, bottom, right, top = self.ground.grid.bounds
            middle = f"{(left + right) / 2:.0f}, {(bottom + top) / 2:.0f}"
            self.told.object = f"Write x and y with a comma between, as {middle}."
            return
        self.tell(*place)
        self.draw()

    def tell(self, x: float, y: float) -> None:
        """All values of the cell there."""
        self.session.at = json.dumps([round(x, 2), round(y, 2)])
        table = values_at(self.ds, x, y)
        self.told.object = HINT if table is None else f"The cell at x {x:,.0f}, y {y:,.0f}:"
        self.cell.object = None
        if table is not None:
            self.cell.object = table.style.hide(axis="index").format(escape="html")


def _place(text: str) -> tuple[float, float] | None:
    try:
        x, y = (float(number) for number in json.loads(text))
    except (ValueError, TypeError):  # an address somebody wrote by hand
        return None
    return (x, y) if np.isfinite([x, y]).all() else None


def area_map(
    path: Path,
    name: str,
    look: Look | None,
    stream: InView,
    opacity: Any,
    slides: bool,
    on_tap: Callable[[float, float], object],
    marked: tuple[float, float] | None = None,
) -> hv.DynamicMap:
    """A layer over the hillshade, read anew at each change of `stream`, and the landslides."""
    ground, ds = ground_of(path), opened(path)
    kdims = [hv.Dimension(f"{axis} of {ground.name}") for axis in ("easting", "northing")]

    def under(x_range: Range, y_range: Range) -> hv.Image:
        seen = shade_window(ground, x_range, y_range)
        nothing = (np.full((1, 1), np.nan, "float32"), ground.grid.bounds)
        return cartography.shade_image(*(seen or nothing), kdims)

    def over(x_range: Range, y_range: Range) -> hv.Image:
        whole = x_range is None and y_range is None
        seen = overview(path, name) if whole else layer_window(ds, name, ground, x_range, y_range)
        return layer_figures.layer_image(look, *seen, kdims)

    layers = hv.DynamicMap(under, streams=[stream])
    if look is not None:
        top = hv.DynamicMap(over, streams=[stream])
        alpha = opacity.param.value_throttled if isinstance(opacity, pn.widgets.Widget) else opacity
        layers = layers * top.apply.opts(alpha=alpha)
    if slides:
        lines, points = (partial(part, path, ground, kdims) for part in (_lines, _points))
        layers *= hv.DynamicMap(lines, streams=[stream])
        layers *= hv.DynamicMap(points, streams=[stream])
    layers *= tap_mark(on_tap, kdims, marked)
    frame = cartography.map_frame(ground.grid.bounds, *SIZE, ground.unit)
    left, bottom, right, top_edge = ground.grid.bounds
    frame["xlim"] = stream.x_range or (left, right)
    frame["ylim"] = stream.y_range or (bottom, top_edge)
    return layers.opts(**frame, backend="bokeh")


def _in_view(path: Path, x_range: Range, y_range: Range) -> gpd.GeoDataFrame:
    found = outlines(path)
    if x_range is None or y_range is None:
        return found
    (x0, x1), (y0, y1) = sorted(x_range), sorted(y_range)
    return found.cx[x0:x1, y0:y1]


def _lines(path: Path, ground: Ground, kdims: list[Any], x_range: Range, y_range: Range) -> hv.Path:
    """Outlines of the landslides in view, where they are few enough."""
    seen = _in_view(path, x_range, y_range)
    rings: list[NDArray[np.float64]] = []
    if len(seen) <= MOST_OUTLINES:
        shapes = seen.geometry.explode()
        shapes = shapes[shapes.geom_type == "Polygon"]
        # One path with gaps: HoloViews takes a millisecond and more for each path of its own.
        rings = [part for shape in shapes for part in (_ring(shape), GAP)]
    line = [np.concatenate(rings)] if rings else []
    style = {"color": "black", "line_width": 1.3, "backend": "bokeh"}
    return hv.Path(line, kdims=kdims).opts(**style)


def _ring(polygon: Any) -> NDArray[np.float64]:
    return np.asarray(polygon.exterior.coords)[:, :2]


def _points(
    path: Path, ground: Ground, kdims: list[Any], x_range: Range, y_range: Range
) -> hv.Points:
    """Places of the landslides, where there are too many for outlines, or they have none."""
    seen = _in_view(path, x_range, y_range)
    drawn = seen.geometry.geom_type.isin(("Polygon", "MultiPolygon")).any()
    if len(seen) <= MOST_OUTLINES and drawn:
        return cartography.place_points(np.array([]), np.array([]), kdims)
    numbers = seen["landslide_id"].to_numpy()[:: -(-max(len(seen), 1) // MOST_POINTS)] - 1
    return cartography.place_points(ground.x[numbers], ground.y[numbers], kdims)


def legend(look: Look | None) -> str:
    """Colours of the layer with their values, or its classes by name, and the landslides."""
    items = []
    if look is not None and look.codes:
        items = [f"<b>{escape(look.title)}</b>"]
        items += [_swatch(f"{code}: {name}", c) for code, (name, c) in look.codes.items()]
    elif look is not None:
        units = "" if look.units == "1" else f" {look.units}"
        low, high = (f"{number(limit)}{units}" for limit in look.limits)
        ends = "" if look.limits == (0.0, 360.0) else ", beyond them the same colour"
        ramp = f"linear-gradient(90deg,{','.join(look.colours[::15])})"
        items = [
            f"<b>{escape(look.title)}</b><span>{escape(low)}</span>"
            f'<i style="width:200px;height:12px;background:{ramp}"></i>'
            f"<span>{escape(high)}{ends}</span>"
        ]
    items.append("<span><b>&#9675;</b> landslide: its outline, or a dot where they are many</span>")
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:13px"
    return f'<div style="{style};margin:0 10px">{"".join(items)}</div>'


def _swatch(words: str, colour: str) -> str:
    style = "display:inline-block;width:14px;height:14px;margin-right:4px;vertical-align:-2px"
    return f'<span><i style="{style};background:{colour}"></i>{escape(words)}</span>'
