"""Heat of landslides on a map: new colours in the browser as one drags, numbers when one lets go.

Heat depends on nothing but the distance to the nearest landslide (where circles overlap the highest
counts). So distances are sent once, and a move of a slider only gives the picture new colours, in
the browser, without a word to the server. Cells of the intervals that are sampled are bright, the
others faint. Numbers come from the heat of the whole grid.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    GlyphRenderer,
    LinearColorMapper,
    Range1d,
)
from bokeh.palettes import Inferno256
from bokeh.plotting import figure
from numpy.typing import NDArray
from rasterio import Affine

from lsm_app.ground import Ground
from lsm_app.map_view import shade_window
from lsm_core.figures import map_frame
from lsm_core.grid import Grid
from lsm_core.recipe import Heatmap
from lsm_core.sampling import gaussian_heatmap

PRESETS = (7, 13, 19)  # diameters in cells of the paper: small, medium, large
WIDEST = 40  # diameter, cells
MOST_CELLS = 1_000_000  # of the picture: 2 MB, sent once
LEVELS = 1024  # of distance in the picture
COLOURS = list(Inferno256)
CLEAR = "rgba(0, 0, 0, 0)"
FAINT = "40"  # opacity of heat that is not sampled, hexadecimal
SIZE = (560, 560)  # of the map on the screen at most, pixels
TOUCH = 1 + 1e-6  # a cell on the circle counts, as in the heatmap
RECOLOUR = """
const is = chosen.data
if (what == "limits") [is.low, is.high] = cb_obj.value.map(limit => [limit])
else is[what] = [cb_obj.value]
const [radius, parts] = [is.radius[0], is.intervals[0]]
const [low, high] = [is.low, is.high].map(limit => Math.round(limit[0] * parts))
const n = mapper.palette.length
const colour = (_, i) => {
  const share = (widest * i) / (n - 1) / radius
  if (share > 1 + 1e-6) return "rgba(0, 0, 0, 0)"
  const heat = 10 ** -(share ** 2)
  const part = Math.min(parts - 1, Math.floor(heat * parts))
  return colours[Math.round(255 * heat)] + (part >= low && part < high ? "" : faint)
}
mapper.palette = Array.from({length: n}, colour)
"""


class Warmth(NamedTuple):
    """What a radius does to a study area: a row an interval, and cells that are warm at all."""

    table: pd.DataFrame
    warm: int


def heat_figure(ground: Ground, colours: LinearColorMapper, widest: float) -> figure:
    """The map: hillshade and distances in the colours of their heat; these are named "heat"."""
    left, bottom, right, top = ground.grid.bounds
    frame = map_frame(ground.grid.bounds, *SIZE, ground.unit)
    plot = figure(
        frame_width=frame["frame_width"], frame_height=frame["frame_height"],
        x_range=Range1d(left, right), y_range=Range1d(bottom, top), match_aspect=True,
        x_axis_label=frame["xlabel"], y_axis_label=frame["ylabel"],
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll="wheel_zoom",
        title=f"Heat of landslides (0 to 1), {ground.name}",
    )  # fmt: skip
    for axis in (plot.xaxis, plot.yaxis):
        axis.formatter.use_scientific = False
        axis.ticker.desired_num_ticks = 4
    plot.grid.visible = False
    plot.toolbar.logo = None
    add_shade(plot, ground)
    _add_heat(plot, ground, colours, widest)
    return plot


def follow(slider: Any, what: str, mapper: LinearColorMapper, chosen: Any, widest: float) -> None:
    """Let a slider recolour the map in the browser; `what` is radius, intervals or limits."""
    args = {"mapper": mapper, "chosen": chosen, "colours": COLOURS, "widest": widest}
    slider.jscallback(args=args | {"faint": FAINT, "what": what}, value=RECOLOUR)


def chosen_source(radius: float, heat: Heatmap) -> ColumnDataSource:
    """What the sliders say, for one another: a move of one needs the values of all."""
    low, high = limits_of(heat)
    return ColumnDataSource(
        {"radius": [radius], "intervals": [heat.intervals], "low": [low], "high": [high]}
    )


def limits_of(heat: Heatmap) -> tuple[float, float]:
    """The heat from which and to which soft samples are drawn."""
    return min(heat.take) / heat.intervals, (max(heat.take) + 1) / heat.intervals


def distances(ground: Ground, widest: float) -> NDArray[np.uint16]:
    """Distance to the nearest landslide at every n-th cell: `LEVELS` steps up to `widest` metres.

    Farther cells are `LEVELS`. South up, as Bokeh draws; n such that `MOST_CELLS` are sent at most.
    """
    points = np.column_stack([ground.x, ground.y])
    heat = gaussian_heatmap(points, coarse(ground.grid), widest).values
    with np.errstate(divide="ignore"):
        share = np.sqrt(-np.log10(heat))  # heat is 10 ** -(share ** 2), share of the radius
    levels = np.where(heat > 0, np.rint(np.minimum(share, 1) * (LEVELS - 1)), LEVELS)
    return np.flipud(levels).astype(np.uint16)


def palette(radius: float, widest: float, heat: Heatmap | None = None) -> list[str]:
    """The colour of each level of `distances`: that of its heat, clear beyond the radius.

    Levels in an interval that is not sampled are faint.
    """
    heat = heat or Heatmap()
    share = np.linspace(0, widest, LEVELS) / radius
    warm = 10.0 ** -(share**2)
    part = np.minimum(heat.intervals - 1, np.floor(warm * heat.intervals)).astype(int)
    faint = np.where(np.isin(part, heat.take), "", FAINT)
    shade = np.rint(255 * warm).astype(int)
    return [
        COLOURS[i] + f if s <= TOUCH else CLEAR
        for i, f, s in zip(shade, faint, share.tolist(), strict=True)
    ]


def colour_mapper(radius: float, widest: float, heat: Heatmap | None = None) -> LinearColorMapper:
    """Colours of `distances` at a radius; `RECOLOUR` changes them in the browser."""
    colours = palette(radius, widest, heat)
    return LinearColorMapper(colours, low=0, high=LEVELS - 1, high_color=CLEAR)


def coarse(grid: Grid, most: int = MOST_CELLS) -> Grid:
    """The grid of every n-th cell, the same edges but for the last row and column."""
    n = int(np.ceil(np.sqrt(grid.shape[0] * grid.shape[1] / most)))
    shape = (-(-grid.shape[0] // n), -(-grid.shape[1] // n))
    return Grid(shape, grid.transform * Affine.scale(n), grid.crs)


def warmth_of(ground: Ground, radius: float, heat: Heatmap) -> Warmth:
    """Cells in each interval of heat over the whole grid, and samples a recipe would draw from it.

    Cells without heat are in no interval. Samples: `per_interval` for each landslide, from each of
    the intervals taken, in valid cells without a landslide; fewer where the cells run out (a run
    refuses that, and says so).
    """
    points = np.column_stack([ground.x, ground.y])
    values = gaussian_heatmap(points, ground.grid, radius).values
    cuts = np.arange(heat.intervals + 1) / heat.intervals
    inner = cuts[1:-1].astype(values.dtype)
    warm = np.flatnonzero(values)
    interval = np.searchsorted(inner, values.ravel()[warm], side="right")
    cells = np.bincount(interval, minlength=heat.intervals)
    free = np.bincount(interval[ground.free.ravel()[warm]], minlength=heat.intervals)
    wanted = round(heat.per_interval * len(points))
    drawn = [min(wanted, int(free[i])) if i in heat.take else 0 for i in range(len(free))]
    table = pd.DataFrame(
        {
            "heat": [f"{low:.2g} to {high:.2g}" for low, high in pairwise(cuts)],
            "cells": cells,
            "without landslide": free,
            "samples drawn": drawn,
        }
    )
    return Warmth(table, int(warm.size))


def add_shade(plot: figure, ground: Ground) -> None:
    """The hillshade below whatever comes next; nothing where the area has no heights."""
    seen = shade_window(ground, None, None)
    if seen is None:
        return
    values, (left, bottom, right, top) = seen
    grey = LinearColorMapper("Greys256", low=0, high=255)
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    plot.image([np.flipud(values)], color_mapper=grey, **place)


def _add_heat(
    plot: figure, ground: Ground, colours: LinearColorMapper, widest: float
) -> GlyphRenderer:
    """The picture, and a bar labelled from 0 to 1 though distances are drawn."""
    left, bottom, right, top = coarse(ground.grid).bounds
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    far = distances(ground, widest)
    drawn = plot.image([far], color_mapper=colours, global_alpha=0.8, name="heat", **place)
    scale = LinearColorMapper(COLOURS, low=0, high=1)
    bar = ColorBar(color_mapper=scale, width=10, ticker=BasicTicker(desired_num_ticks=6))
    plot.add_layout(bar, "right")
    return drawn
