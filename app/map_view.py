"""Maps of runs beside each other: what is in view is read from the files, no more than is seen.

Each map is the susceptibility (or its classes, or how far it may be trusted) over the hillshade of
its study area and under the landslides. A shift or a zoom reads that window from the overviews of
the run's GeoTIFF; maps of one study area move together. A tap asks why.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import holoviews as hv
import numpy as np
import panel as pn
import panel_material_ui as pmui
import rasterio
from holoviews.streams import Tap
from numpy.typing import NDArray
from rasterio.windows import Window

from lsm_app.ground import Ground, ground_of
from lsm_app.in_view import InView
from lsm_app.layout import SCROLLS, note
from lsm_app.session import Session, keep_in, said
from lsm_core import figures
from lsm_core.errors import LsmError, RunError
from lsm_core.explanation_figures import (
    LAYERS,
    layer_image,
    layer_in_words,
    layer_limits,
    layers_of,
)
from lsm_core.grid import Bounds
from lsm_core.runs import LEVELS, Run
from lsm_core.zoning import level_colours, level_names

MOST_CELLS = 600  # a side, sent for one map
MOST_PLACES = 20_000  # landslides drawn on one map
MOST_OPEN = 16  # files held open by a thread
SIZES = {1: (640, 560), 2: (390, 480), 4: (390, 480)}  # of a map by their number, pixels
SMALL = (228, 330)  # three a row on a common screen
SUSCEPTIBILITY, ZONES = "susceptibility.tif", "zones.tif"
SHOWN = {"susceptibility, 0 to 1": SUSCEPTIBILITY, "classes by the run's limits": ZONES}
MAKES = {  # what makes the other maps, by the first word of their file
    "applicability": "lsm applicability RUN",
    "dissimilarity": "lsm applicability RUN",
    "conformal": "lsm uncertainty RUN",
    "dropout": "lsm uncertainty RUN",
    "ensemble": "lsm uncertainty RUN RUN…",
}
NONE_YET = (
    "These runs have no maps of doubt yet: Compare has buttons for them, under “Maps of doubt”. On "
    "the command line `lsm applicability RUN` makes the area of applicability, "
    "`lsm uncertainty RUN` prediction sets, `lsm uncertainty RUN RUN…` (other seeds) the spread."
)

Range = tuple[float, float] | None
OnTap = Callable[[Run, float, float], object]
Hook = Callable[[Any, Any], None]  # of HoloViews, called with the plot once it is drawn

_held = threading.local()


# ------------------------------------------------------------------------------------ windows


def read_window(path: Path, x_range: Range, y_range: Range) -> tuple[NDArray[np.float32], Bounds]:
    """The cells of a GeoTIFF in view, at most `MOST_CELLS` a side, and where they lie.

    float32 with NaN for nodata. Without a range the whole raster is in view; a range wholly outside
    gives one NaN cell. Bounds are those of whole cells, so a little more than asked for.
    """
    source = _opened(path)
    x_range, y_range = _ranges(source.bounds, x_range, y_range)
    window = _window(source.transform, source.shape, x_range, y_range)
    if window is None:
        return _nothing(x_range, y_range)
    size = (min(MOST_CELLS, window.height), min(MOST_CELLS, window.width))
    values = source.read(1, window=window, out_shape=size).astype("float32")
    if source.nodata is not None and np.isfinite(source.nodata):
        values[values == source.nodata] = np.nan
    return values, rasterio.windows.bounds(window, source.transform)


def shade_window(
    ground: Ground, x_range: Range, y_range: Range
) -> tuple[NDArray[np.uint8], Bounds] | None:
    """The hillshade in view, from the finest level that fits; None where nothing is in view."""
    x_range, y_range = _ranges(ground.grid.bounds, x_range, y_range)
    for i, level in enumerate(ground.shades):
        transform = ground.grid.transform * rasterio.Affine.scale(2**i)
        window = _window(transform, level.shape, x_range, y_range)
        if window is None:
            return None
        if max(window.height, window.width) <= MOST_CELLS or i == len(ground.shades) - 1:
            rows, cols = window.toslices()
            return level[rows, cols], rasterio.windows.bounds(window, transform)
    return None


def _ranges(bounds: Bounds, x_range: Range, y_range: Range) -> tuple[Any, Any]:
    left, bottom, right, top = bounds
    return x_range or (left, right), y_range or (bottom, top)


def _window(
    transform: rasterio.Affine, shape: tuple[int, int], x_range: Any, y_range: Any
) -> Window | None:
    """Whole cells of a north-up raster that a range touches, or None."""
    (x0, x1), (y0, y1) = sorted(x_range), sorted(y_range)
    col0, row0 = ~transform * (x0, y1)
    col1, row1 = ~transform * (x1, y0)
    rows = max(0, int(np.floor(row0))), min(shape[0], int(np.ceil(row1)))
    cols = max(0, int(np.floor(col0))), min(shape[1], int(np.ceil(col1)))
    if rows[0] >= rows[1] or cols[0] >= cols[1]:
        return None
    return Window(cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0])


def _nothing(x_range: Any, y_range: Any) -> tuple[NDArray[np.float32], Bounds]:
    (x0, x1), (y0, y1) = sorted(x_range), sorted(y_range)
    return np.full((1, 1), np.nan, "float32"), (x0, y0, x1, y1)


def _opened(path: Path) -> rasterio.DatasetReader:
    """This thread's own handle, as rasterio's must not be shared; anew for a file written anew."""
    files: OrderedDict[Any, rasterio.DatasetReader] = getattr(_held, "files", OrderedDict())
    _held.files = files
    key = (str(path), path.stat().st_mtime_ns)
    if key not in files:
        files[key] = rasterio.open(path)
    files.move_to_end(key)
    while len(files) > MOST_OPEN:
        files.popitem(last=False)[1].close()
    return files[key]


# --------------------------------------------------------------------------------------- maps


def linked_maps(
    runs: Sequence[Run],
    on_tap: OnTap | None = None,
    hook: Callable[[Run], Hook | None] | None = None,
    session: Session | None = None,
) -> pn.Column:
    """Maps of runs, those of one study area linked, with opacity, what is shown, and a legend.

    The choices are kept in the session. `on_tap` is called with the run and the place somebody
    tapped, in the CRS of its area; `hook` gives what is called with a run's map once it is drawn,
    to add to it.
    """
    session, options = session or Session(), _choices(runs)
    opacity = pmui.FloatSlider(
        label="Opacity over the hillshade", value=session.opacity, step=0.05, width=230
    )
    layer = session.layer if session.layer in options.values() else SUSCEPTIBILITY
    shown = pmui.Select(label="Shown", options=options, value=layer, width=250)
    places = pmui.Switch(label="Landslides", value=session.places)
    legend = pn.pane.HTML(sizing_mode="stretch_width")
    words = note("")
    box = pn.FlexBox(sizing_mode="stretch_width", gap="8px", styles=SCROLLS)
    streams: dict[str, InView] = {}
    size = SIZES.get(len(runs), SMALL)

    def draw(*_: Any) -> None:
        """Anew, at the place that was looked at."""
        look = Look(shown.value, _limits(runs, shown.value))
        most = max(map(_places_of, runs), default=0)
        legend.object = _legend_of(look, most, runs)
        words.object = _found(runs, shown.value)
        for name, old in streams.items():
            streams[name] = InView(x_range=old.x_range, y_range=old.y_range)
        box[:] = [
            _map_or_words(run, label, streams, opacity, look, places.value, size, on_tap, hook)
            for run, label in zip(runs, figures.labels_of(runs), strict=True)
        ]

    shown.param.watch(draw, "value")
    places.param.watch(draw, "value")
    keep_in(session, layer=shown, places=places)
    keep_in(session, "value_throttled", opacity=opacity)
    draw()
    choices = pn.FlexBox(shown, opacity, places, align_items="center", gap="16px")
    none = [] if any(map(layers_of, runs)) else [note(NONE_YET)]
    return pn.Column(choices, *none, legend, box, words, sizing_mode="stretch_width")


class Look(NamedTuple):
    """Which map of the runs is shown: its file, and the values of its first and last colour."""

    name: str
    limits: tuple[float, float]


def _choices(runs: Sequence[Run]) -> dict[str, str]:
    """Name to file of every map that one of the runs has."""
    more = {name: title for run in runs for name, title in layers_of(run).items()}
    return SHOWN | {title: name for name, title in more.items()}


def _found(runs: Sequence[Run], name: str) -> str:
    """What was found when a map of doubt was made, run by run."""
    found = [(label, layer_in_words(run, name))
             for run, label in zip(runs, figures.labels_of(runs), strict=True)]  # fmt: skip
    return "; ".join(escape(f"{label}: {words}") for label, words in found if words)


def _limits(runs: Sequence[Run], name: str) -> tuple[float, float]:
    return (0.0, 1.0) if name in SHOWN.values() else layer_limits(runs, name)


def _path(run: Run, name: str) -> Path:
    """The file of a map; a run that lacks it is told what makes it."""
    if name in SHOWN.values():
        return run.zones_path if name == ZONES else run.map_path
    if name not in layers_of(run):
        makes = MAKES[re.split("[_.]", name)[0]]
        raise RunError(
            f"{run.id} has no {LAYERS[name][0]} yet: `{makes}` makes it, or a button below"
        )
    return run.path / name


def _classes_of(run: Run) -> int:
    try:
        return run.limits.k
    except LsmError:  # no zones: the map says so in its place
        return len(LEVELS)


def _places_of(run: Run) -> int:
    try:
        return len(ground_of(run.area_path).x)
    except LsmError:
        return 0


def _map_or_words(
    run: Run,
    label: str,
    streams: dict[str, InView],
    opacity: Any,
    look: Look,
    places: bool,
    size: tuple[int, int],
    on_tap: OnTap | None,
    hook: Callable[[Run], Hook | None] | None,
) -> Any:
    """One map, or the sentence that says why there is none."""
    try:
        path = _path(run, look.name)
        ground = ground_of(run.area_path)
        stream = streams.setdefault(ground.name, InView())
        draw = partial(layer_image, look.name, of_layer=look.limits)
        if look.name in SHOWN.values():
            zoned = partial(figures.zones_image, k=_classes_of(run))
            draw = zoned if look.name == ZONES else figures.susceptibility_image
        tapped = partial(on_tap, run) if on_tap else None
        overlay = run_map(
            path, ground, stream, opacity,
            draw=draw, places=places, size=size, on_tap=tapped, hook=hook(run) if hook else None,
        )  # fmt: skip
        return pn.pane.HoloViews(overlay.opts(title=label, backend="bokeh"), linked_axes=True)
    except LsmError as error:
        return said(error)


def run_map(
    path: Path,
    ground: Ground,
    stream: InView,
    opacity: Any = 0.7,
    *,
    read: Callable[[Path, Range, Range], tuple[NDArray[np.float32], Bounds]] = read_window,
    draw: Callable[..., hv.Image] = figures.susceptibility_image,
    places: bool = True,
    size: tuple[int, int] = SIZES[1],
    on_tap: Callable[[float, float], object] | None = None,
    hook: Hook | None = None,
) -> hv.DynamicMap:
    """A GeoTIFF of a run over its ground, read anew at each change of `stream`.

    `opacity` is a number or a widget; `read` gives the values in view and their bounds, `draw`
    makes an image of them and of dimensions; `on_tap` is called with the place tapped, which is
    marked; `hook` with the plot. Maps that share a stream and a ground move together.
    """
    # Panel links axes of one label: only maps of one study area shall move together.
    kdims = [hv.Dimension(f"{axis} of {ground.name}") for axis in ("easting", "northing")]

    def over(x_range: Range, y_range: Range) -> hv.Image:
        return draw(*read(path, x_range, y_range), kdims)

    def under(x_range: Range, y_range: Range) -> hv.Image:
        seen = shade_window(ground, x_range, y_range)
        values, bounds = seen or _nothing(*_ranges(ground.grid.bounds, x_range, y_range))
        return figures.shade_image(values, bounds, kdims)

    top = hv.DynamicMap(over, streams=[stream])
    alpha = opacity.param.value_throttled if isinstance(opacity, pn.widgets.Widget) else opacity
    layers = hv.DynamicMap(under, streams=[stream]) * top.apply.opts(alpha=alpha)
    if places:
        layers *= figures.place_points(*_thinned(ground), kdims)
    if on_tap:
        layers *= tap_mark(on_tap, kdims)
    frame = figures.map_frame(ground.grid.bounds, *size, ground.unit)
    left, bottom, right, top_edge = ground.grid.bounds
    frame["xlim"] = stream.x_range or (left, right)
    frame["ylim"] = stream.y_range or (bottom, top_edge)
    frame["hooks"] = [*frame["hooks"], *([hook] if hook else [])]
    return layers.opts(**frame, backend="bokeh")


def tap_mark(
    on_tap: Callable[[float, float], object],
    kdims: list[Any],
    marked: tuple[float, float] | None = None,
) -> hv.DynamicMap:
    """A cross where the map was tapped last, at first at `marked`; every tap is told."""
    tap = Tap() if marked is None else Tap(x=marked[0], y=marked[1])

    def cross(x: float | None, y: float | None) -> hv.Points:
        points = hv.Points([] if x is None else [(x, y)], kdims=kdims)
        look = {"marker": "circle_cross", "size": 16, "fill_alpha": 0.0, "line_width": 2}
        return points.opts(color="white", line_color="#e6007e", **look, backend="bokeh")

    def told(x: float | None, y: float | None) -> None:
        if x is not None and y is not None:
            on_tap(float(x), float(y))

    tap.add_subscriber(told)
    return hv.DynamicMap(cross, streams=[tap])


def _thinned(ground: Ground) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step = _every(len(ground.x))
    return ground.x[::step], ground.y[::step]


def _every(places: int) -> int:
    """Of so many landslides every n-th is drawn."""
    return max(1, -(-places // MOST_PLACES))


def _legend_of(look: Look, places: int, runs: Sequence[Run]) -> str:
    if look.name in SHOWN.values():
        return legend_html(look.name == ZONES, places, sorted(set(map(_classes_of, runs))))
    return layer_legend(*look)


def layer_legend(name: str, limits: tuple[float, float]) -> str:
    """The colours of a map of doubt: its codes by name, or its scale with both ends."""
    title, colours = LAYERS[name]
    if not isinstance(colours, str):
        return _legend(f"<b>{title}</b>" + "".join(_swatch(*entry) for entry in colours.values()))
    low, high = (f"{limit:.2g}" for limit in limits)
    more = "" if name.endswith("_mean.tif") else " and more"
    return _legend(f"<span>{title} {low}</span>{_ramp(colours)}<span>{high}{more}</span>")


def _swatch(words: str, colour: str) -> str:
    style = "display:inline-block;width:14px;height:14px;margin-right:4px;vertical-align:-2px"
    return f'<span><i style="{style};background:{colour}"></i>{words}</span>'


def _ramp(scale: str) -> str:
    colours = ",".join(hv.plotting.util.process_cmap(scale, 12))
    return f'<i style="width:220px;height:12px;background:linear-gradient(90deg,{colours})"></i>'


def legend_html(classes: bool, places: int = 0, numbers: Sequence[int] = (5,)) -> str:
    """The colours of the maps, for people: their classes, or the scale from 0 to 1.

    `places` is the most landslides of any map; where not all are drawn, it says how many are.
    `numbers` of classes the maps have: each has colours of its own.
    """
    every = _every(places)
    what = "landslide" if every == 1 else f"one of every {every} landslides"
    dot = "width:6px;height:6px;border-radius:4px;background:black;margin-right:4px"
    dot = f'<span><i style="display:inline-block;vertical-align:1px;{dot}"></i>{what}</span>'
    if classes:
        items = "".join(
            _swatch(level, colour)
            for k in numbers
            for level, colour in zip(level_names(k), level_colours(k), strict=True)
        )
        return _legend(items + dot)
    ramp = _ramp(figures.SUSCEPTIBILITY_COLOURS)
    return _legend(f"<span>susceptibility 0</span>{ramp}<span>1</span>{dot}")


def _legend(items: str) -> str:
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:13px"
    return f'<div style="{style}">{items}</div>'
