"""A layer of a study area on a web map: tiles of OpenStreetMap, in web Mercator, with a graticule.

Only here does anything ask another machine, and GeoViews is slow to load: so nothing imports this
file before somebody switches the web map on, and the switch is in no address.
"""

import math
from typing import Any

import cartopy.crs as ccrs
import geoviews as gv
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.warp import calculate_default_transform, reproject, transform, transform_bounds

from lsm_app.ground import Ground
from lsm_core.cartography import place_points
from lsm_core.grid import Bounds
from lsm_core.layer_figures import Look, layer_image

WEB = CRS.from_epsg(3857)
DEGREES = CRS.from_epsg(4326)
SIZE = (620, 560)  # pixels at most
STEPS = (10, 5, 2, 1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005)  # degrees between lines
FEWEST = 3  # lines across the shorter side


def web_map(
    ground: Ground,
    look: Look | None,
    seen: tuple[NDArray[np.float32], Bounds] | None,
    slides: bool,
    opacity: float = 0.7,
) -> Any:
    """Tiles, a layer over them (`seen`: its values and bounds), landslides and a graticule."""
    box = transform_bounds(ground.grid.crs, WEB, *ground.grid.bounds)
    plot = gv.tile_sources.OSM
    if look is not None and seen is not None:
        values, bounds = to_web(*seen, ground.grid.crs, bool(look.codes))
        image = layer_image(look, values, bounds)
        drawn = gv.Image(image, crs=ccrs.GOOGLE_MERCATOR)
        plot *= drawn.opts(
            cmap=look.colours, clim=look.limits, alpha=opacity, tools=["hover"], backend="bokeh"
        )
    plot *= _graticule(box)
    if slides:
        plot *= _places(ground)
    left, bottom, right, top = box
    scale = min(SIZE[0] / (right - left), SIZE[1] / (top - bottom))
    size = {
        "frame_width": round((right - left) * scale),
        "frame_height": round((top - bottom) * scale),
    }
    return plot.opts(
        **size, xlim=(left, right), ylim=(bottom, top), active_tools=["wheel_zoom"],
        backend="bokeh",
    )  # fmt: skip


def to_web(
    values: NDArray[np.float32], bounds: Bounds, crs: CRS, classes: bool
) -> tuple[NDArray[np.float32], Bounds]:
    """Values (y, x) of any projection in web Mercator, NaN outside; of classes none is invented."""
    rows, cols = values.shape
    there, width, height = calculate_default_transform(crs, WEB, cols, rows, *bounds)
    result = np.full((height, width), np.nan, "float32")
    reproject(
        values, result, src_transform=from_bounds(*bounds, cols, rows), src_crs=crs,
        dst_transform=there, dst_crs=WEB, src_nodata=np.nan, dst_nodata=np.nan,
        resampling=Resampling.nearest if classes else Resampling.bilinear,
    )  # fmt: skip
    left, top = there.c, there.f
    return result, (left, top + height * there.e, left + width * there.a, top)


def graticule(box: Bounds) -> tuple[list[float], list[float]]:
    """Longitudes and latitudes, in degrees, of lines across a box in web Mercator: round ones."""
    west, south, east, north = transform_bounds(WEB, DEGREES, *box)
    shorter = min(east - west, north - south)
    step = next((s for s in STEPS if shorter / s >= FEWEST), STEPS[-1])
    return _multiples(west, east, step), _multiples(south, north, step)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(i * step, 6) for i in range(first, last + 1)]


def _graticule(box: Bounds) -> Any:
    left, bottom, right, top = box
    lons, lats = graticule(box)
    xs, _ = transform(DEGREES, WEB, lons, [0.0] * len(lons))
    _, ys = transform(DEGREES, WEB, [0.0] * len(lats), lats)
    lines = [[(x, bottom), (x, top)] for x in xs] + [[(left, y), (right, y)] for y in ys]
    style = {"color": "#444444", "line_width": 0.6, "line_dash": "dotted", "backend": "bokeh"}
    return gv.Path(lines, crs=ccrs.GOOGLE_MERCATOR).opts(**style)


def _places(ground: Ground) -> Any:
    x, y = transform(ground.grid.crs, WEB, ground.x.tolist(), ground.y.tolist())
    points = place_points(np.array(x), np.array(y))
    options = points.opts.get("style", backend="bokeh").kwargs
    return gv.Points(points, crs=ccrs.GOOGLE_MERCATOR).opts(
        **{k: v for k, v in options.items() if k in ("size", "color", "line_color", "line_width")},
        backend="bokeh",
    )
