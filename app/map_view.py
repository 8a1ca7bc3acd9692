"""Maps of runs beside each other: what is in view is read from the files, no more than is seen.

Each map is the susceptibility (or its five classes) over the hillshade of its study area and under
the landslides. A shift or a zoom reads that window from the overviews of the run's GeoTIFF; maps of
one study area move together.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import panel as pn
import panel_material_ui as pmui
import rasterio
from holoviews.streams import RangeXY
from numpy.typing import NDArray
from rasterio.windows import Window

from lsm_app.session import Ground, ground_of, said
from lsm_core import figures
from lsm_core.errors import LsmError
from lsm_core.grid import Bounds
from lsm_core.runs import LEVELS, Run
from lsm_core.zoning import level_colours, level_names

MOST_CELLS = 600  # a side, sent for one map
MOST_PLACES = 20_000  # landslides drawn on one map
MOST_OPEN = 16  # files held open by a thread
SIZES = {1: (640, 560), 2: (390, 480), 4: (390, 480)}  # of a map by their number, pixels
SMALL = (228, 330)  # three a row on a common screen
SHOWN = {"susceptibility, 0 to 1": False, "five classes, natural breaks": True}

Range = tuple[float, float] | None

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


def linked_maps(runs: Sequence[Run]) -> pn.Column:
    """Maps of runs, those of one study area linked, with opacity, what is shown, and a legend."""
    opacity = pmui.FloatSlider(label="Opacity over the hillshade", value=0.7, step=0.05, width=230)
    shown = pmui.Select(label="Shown", options=SHOWN, value=False, width=250)
    places = pmui.Switch(label="Landslides", value=True)
    legend = pn.pane.HTML(sizing_mode="stretch_width")
    box = pn.FlexBox(sizing_mode="stretch_width", gap="8px")
    streams: dict[str, RangeXY] = {}
    size = SIZES.get(len(runs), SMALL)

    def draw(*_: Any) -> None:
        """Anew, at the place that was looked at."""
        for name, old in streams.items():
            streams[name] = RangeXY(x_range=old.x_range, y_range=old.y_range)
        box[:] = [
            _map_or_words(run, label, streams, opacity, shown.value, places.value, size)
            for run, label in zip(runs, figures.labels_of(runs), strict=True)
        ]
        most = max(map(_places_of, runs), default=0)
        legend.object = legend_html(shown.value, most, sorted(set(map(_classes_of, runs))))

    shown.param.watch(draw, "value")
    places.param.watch(draw, "value")
    draw()
    choices = pn.FlexBox(shown, opacity, places, align_items="center", gap="16px")
    return pn.Column(choices, legend, box, sizing_mode="stretch_width")


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
    streams: dict[str, RangeXY],
    opacity: Any,
    classes: bool,
    places: bool,
    size: tuple[int, int],
) -> Any:
    """One map, or the sentence that says why there is none."""
    try:
        path = run.zones_path if classes else run.map_path
        ground = ground_of(run.area_path)
        stream = streams.setdefault(ground.name, RangeXY())
        k = _classes_of(run) if classes else len(LEVELS)
        overlay = run_map(
            path, ground, stream, opacity, classes=classes, places=places, size=size, k=k
        )
        return pn.pane.HoloViews(overlay.opts(title=label, backend="bokeh"), linked_axes=True)
    except LsmError as error:
        return said(error)


def run_map(
    path: Path,
    ground: Ground,
    stream: RangeXY,
    opacity: Any = 0.7,
    *,
    classes: bool = False,
    places: bool = True,
    size: tuple[int, int] = SIZES[1],
    k: int = len(LEVELS),
) -> hv.DynamicMap:
    """A GeoTIFF of a run over its ground, read anew at each change of `stream`.

    `opacity` is a number or a widget; `k` the number of classes. Maps that share a stream and a
    ground move together.
    """
    # Panel links axes of one label: only maps of one study area shall move together.
    kdims = [hv.Dimension(f"{axis} of {ground.name}") for axis in ("easting", "northing")]
    image = partial(figures.zones_image, k=k) if classes else figures.susceptibility_image

    def over(x_range: Range, y_range: Range) -> hv.Image:
        return image(*read_window(path, x_range, y_range), kdims)

    def under(x_range: Range, y_range: Range) -> hv.Image:
        seen = shade_window(ground, x_range, y_range)
        values, bounds = seen or _nothing(*_ranges(ground.grid.bounds, x_range, y_range))
        return figures.shade_image(values, bounds, kdims)

    top = hv.DynamicMap(over, streams=[stream])
    alpha = opacity.param.value_throttled if isinstance(opacity, pn.widgets.Widget) else opacity
    layers = hv.DynamicMap(under, streams=[stream]) * top.apply.opts(alpha=alpha)
    if places:
        layers *= figures.place_points(*_thinned(ground), kdims)
    frame = figures.map_frame(ground.grid.bounds, *size, ground.unit)
    left, bottom, right, top_edge = ground.grid.bounds
    frame["xlim"] = stream.x_range or (left, right)
    frame["ylim"] = stream.y_range or (bottom, top_edge)
    return layers.opts(**frame, backend="bokeh")


def _thinned(ground: Ground) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step = _every(len(ground.x))
    return ground.x[::step], ground.y[::step]


def _every(places: int) -> int:
    """Of so many landslides every n-th is drawn."""
    return max(1, -(-places // MOST_PLACES))


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
        swatch = "display:inline-block;width:14px;height:14px;margin-right:4px;vertical-align:-2px"
        items = "".join(
            f'<span><i style="{swatch};background:{colour}"></i>{level}</span>'
            for k in numbers
            for level, colour in zip(level_names(k), level_colours(k), strict=True)
        )
        return _legend(items + dot)
    colours = ",".join(figures.susceptibility_colours(12))
    bar = f"width:220px;height:12px;background:linear-gradient(90deg,{colours})"
    return _legend(f'<span>susceptibility 0</span><i style="{bar}"></i><span>1</span>{dot}')


def _legend(items: str) -> str:
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:13px"
    return f'<div style="{style}">{items}</div>'
