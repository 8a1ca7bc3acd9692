"""Maps of runs: susceptibility, zones, hillshade and landslides, in their own projection."""

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from numpy.typing import NDArray

from lsm_core.grid import Bounds
from lsm_core.plot_style import SIZES, bare
from lsm_core.runs import Run
from lsm_core.zoning import level_colours

SUSCEPTIBILITY_COLOURS = "viridis"
MANY, VERY_MANY = 300, 3000  # landslides, of which smaller dots leave the map to be seen


def map_of(
    susceptibility: Run | xr.DataArray,
    shade: xr.DataArray | None = None,
    places: pd.DataFrame | None = None,
    *,
    opacity: float = 0.65,
    title: str = "",
    most: int = 1000,
) -> hv.Overlay:
    """A susceptibility map in its own projection, over a hillshade and under its landslides.

    Parameters
    ----------
    susceptibility : a run, or (y, x) values in [0, 1] with NaN where there are none.
    shade : (y, x) hillshade, 0 to 255, on any grid of the same CRS; left out where None.
    places : columns x and y; left out where None.
    most : a run's map is read at no more than this many cells a side (from its overviews).

    Equal scales on both axes; axes in the units of the CRS.
    """
    if isinstance(susceptibility, Run):
        title = title or f"{susceptibility.title}, {susceptibility.recipe.protocol} protocol"
        susceptibility = _read_decimated(susceptibility, most)
    layers = [] if shade is None else [shade_image(shade.values, bounds_of(shade))]
    values, bounds = susceptibility.values, bounds_of(susceptibility)
    layers.append(
        susceptibility_image(values, bounds).opts(alpha=opacity, colorbar=True, backend="bokeh")
    )
    if places is not None:
        layers.append(place_points(places["x"].to_numpy(), places["y"].to_numpy()))
    return hv.Overlay(layers).opts(title=title, **map_frame(bounds), backend="bokeh")


def susceptibility_image(
    values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")
) -> hv.Image:
    """Values in [0, 1] (y, x), north up, NaN clear."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["susceptibility"])
    return image.opts(cmap=SUSCEPTIBILITY_COLOURS, clim=(0, 1), backend="bokeh")


def susceptibility_colours(n: int) -> list[str]:
    """`n` colours of the susceptibility scale, lowest first, as hexadecimal text."""
    return list(hv.plotting.util.process_cmap(SUSCEPTIBILITY_COLOURS, n))


def zones_image(
    values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y"), k: int = 5
) -> hv.Image:
    """Classes 1 to k (y, x), north up, NaN clear, in the colours of the QGIS style."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["class"])
    return image.opts(cmap=list(level_colours(k)), clim=(0.5, k + 0.5), backend="bokeh")


def shade_image(values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")) -> hv.Image:
    """A hillshade (y, x), 0 to 255, in grey."""
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["light"])
    return image.opts(cmap="gray", clim=(0, 255), backend="bokeh")


def place_points(x: NDArray, y: NDArray, kdims: Sequence[Any] = ("x", "y")) -> hv.Points:
    """Landslide places as black dots, rimmed with white where they are few, small where many."""
    points = hv.Points((x, y), kdims=list(kdims), label="landslides")
    few = len(x) <= MANY  # of many, a rim would be all there is to see
    return points.opts(
        size=4 if few else 2 if len(x) <= VERY_MANY else 1.5,
        color="black",
        line_color="white" if few else None,
        line_width=0.5,
        show_legend=False,
        backend="bokeh",
    )


def map_frame(bounds: Bounds, wide: int = 460, high: int = 460, unit: str = "m") -> dict[str, Any]:
    """Options of a map: equal scales, as large as fits `wide` x `high` pixels, axes in units."""
    left, bottom, right, top = bounds
    scale = min(wide / (right - left), high / (top - bottom))
    return {
        "frame_width": round((right - left) * scale),
        "frame_height": round((top - bottom) * scale),
        "xlabel": f"easting ({unit})",
        "ylabel": f"northing ({unit})",
        "xformatter": "%d",
        "yformatter": "%d",
        "xticks": 3,
        "fontsize": SIZES,
        "active_tools": ["wheel_zoom"],
        "toolbar": "above",
        "bgcolor": "#f2f2f2",
        "hooks": [bare],
    }


def bounds_of(raster: xr.DataArray) -> Bounds:
    """Outer edges (left, bottom, right, top) of a north-up raster, from its coordinates."""
    x, y = raster["x"].values, raster["y"].values
    half_x, half_y = (x[-1] - x[0]) / (len(x) - 1) / 2, (y[0] - y[-1]) / (len(y) - 1) / 2
    return float(x[0] - half_x), float(y[-1] - half_y), float(x[-1] + half_x), float(y[0] + half_y)


def _read_decimated(run: Run, most: int) -> xr.DataArray:
    with rasterio.open(run.map_path) as source:
        step = max(1.0, max(source.shape) / most)
        rows, cols = (max(2, round(n / step)) for n in source.shape)
        values = source.read(1, out_shape=(rows, cols))
        left, bottom, right, top = source.bounds
    x = left + (np.arange(cols) + 0.5) * (right - left) / cols
    y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
    return xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), "susceptibility")
