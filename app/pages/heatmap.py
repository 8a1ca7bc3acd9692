"""Heat of landslides: see what a radius warms before samples are drawn from it.

Heat depends on nothing but the distance to the nearest landslide (where circles overlap the highest
counts). So distances are sent once, and a move of the slider only gives the picture new colours, in
the browser, without a word to the server. Numbers come when the slider is let go, from the heat of
the whole grid.
"""

from functools import partial
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import BasicTicker, ColorBar, LinearColorMapper, Range1d
from bokeh.palettes import Inferno256
from bokeh.plotting import figure
from numpy.typing import NDArray
from rasterio import Affine

from lsm_app.ground import Ground, built_areas, ground_of
from lsm_app.map_view import shade_window
from lsm_app.session import Newest, Session, purpose, said
from lsm_core.errors import LsmError
from lsm_core.figures import map_frame
from lsm_core.grid import Grid
from lsm_core.recipe import Heatmap, Split
from lsm_core.sampling import gaussian_heatmap
from lsm_core.study_area import area_path, workspace

PRESETS = (7, 13, 19)  # diameters in cells of the paper: small, medium, large
WIDEST = 40  # diameter, cells
MOST_CELLS = 1_000_000  # of the picture: 2 MB, sent once
LEVELS = 1024  # of distance in the picture
COLOURS = list(Inferno256)
CLEAR = "rgba(0, 0, 0, 0)"
SIZE = (560, 560)  # of the map on the screen at most, pixels
TOUCH = 1 + 1e-6  # a cell on the circle counts, as in the heatmap
RECOLOUR = """
const n = mapper.palette.length
const colour = (_, i) => {
  const share = (widest * i) / (n - 1) / cb_obj.value
  return share <= 1 + 1e-6 ? colours[Math.round(255 * 10 ** -(share ** 2))] : "rgba(0, 0, 0, 0)"
}
mapper.palette = Array.from({length: n}, colour)
"""
CUTS = np.linspace(0, 1, 6)
TAKEN = (1, 2, 3)  # intervals the samples are drawn from
PURPOSE = (
    "Choose how far around a landslide the ground shares in its danger. Heat is 1 at a "
    "landslide's place and 0.1 on the circle; soft samples are drawn from the three middle "
    "intervals. Drag the radius and look; the numbers follow when you let go."
)
NOTE = (
    "All {n:,} landslides of {title} are warm here{simulated}. A run under the honest protocol "
    "warms only its training landslides, about {training:,} of them with the default split, and "
    "draws in training ground only; under the paper protocol it warms all. Intervals are closed on "
    "the left."
)


class Warmth(NamedTuple):
    """What a radius does to a study area: a row an interval, and cells that are warm at all."""

    table: pd.DataFrame
    warm: int


def page(session: Session) -> pn.Column:
    """The page for one session; follows `session.area` and `session.radius` (metres)."""
    body = pn.Column(sizing_mode="stretch_width")
    names = built_areas()
    choice = pmui.Select(label="Study area", options=names, width=280)

    def draw(*_: Any) -> None:
        choice.value = session.area
        try:
            body[:] = [heat_of_area(session, ground_of(area_path(session.area)))]
        except LsmError as error:
            body[:] = [said(error)]

    if not names:
        return pn.Column(purpose(PURPOSE), _no_areas(), sizing_mode="stretch_width")
    session.area = session.area or names[0]
    session.param.watch(draw, "area")
    choice.param.watch(lambda event: session.param.update(area=event.new, radius=0), "value")
    draw()
    return pn.Column(purpose(PURPOSE), choice, body, sizing_mode="stretch_width")


def _no_areas() -> pmui.Alert:
    words = (
        f"There is no study area in {escape(str(workspace() / 'areas'))} yet. `lsm demo` builds a "
        "sample, `lsm prepare AREA` builds yours; then load this page again."
    )
    return pmui.Alert(object=words, severity="info", margin=10, sizing_mode="stretch_width")


def heat_of_area(session: Session, ground: Ground) -> pn.FlexBox:
    """Map, slider and numbers of one area."""
    step = ground.grid.cell_size / 2
    if not step <= session.radius <= WIDEST * step:
        session.radius = PRESETS[1] * step
    slider = pmui.FloatSlider(
        label="Radius, metres", start=step, end=WIDEST * step, step=step, value=session.radius,
        format="0[.]0", sizing_mode="stretch_width",
    )  # fmt: skip
    rate = pmui.FloatInput(
        label="Samples per interval and landslide", value=Heatmap().per_interval, start=0.05,
        end=5, step=0.05, width=280,
    )  # fmt: skip
    presets = [
        pmui.Button(label=f"{cells} cells", variant="outlined", size="small") for cells in PRESETS
    ]
    words = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
    numbers = pn.pane.DataFrame(sizing_mode="stretch_width", styles={"font-size": "13px"})
    colours = colour_mapper(session.radius, WIDEST * step)

    def count(*_: Any) -> None:
        session.radius = slider.value
        diameter = round(slider.value / step)
        warmth = warmth_of(ground, slider.value, rate.value)
        words.object = (
            f"Radius **{slider.value:,.1f} m**, diameter **{diameter} cells** of "
            f"{ground.grid.cell_size:g} m. Warmed: **{warmth.warm / ground.cells:.1%}** of the map "
            f"({warmth.warm:,} of {ground.cells:,} valid cells). A recipe draws "
            f"**{warmth.table['samples drawn'].sum():,}** soft samples."
        )
        numbers.object = _styled(warmth.table)

    slider.jscallback(
        args={"mapper": colours, "colours": COLOURS, "widest": WIDEST * step}, value=RECOLOUR
    )
    newest = Newest(count)
    slider.param.watch(newest, "value_throttled")
    rate.param.watch(newest, "value")
    for cells, button in zip(PRESETS, presets, strict=True):
        button.on_click(partial(_choose, slider, cells * step, newest))
    count()
    side = pn.Column(
        slider,
        pn.Row(pmui.Typography("Diameter", variant="body2"), *presets),
        words, rate, numbers, pmui.Typography(_note(ground), variant="caption"),
        styles={"flex": "1 1 320px", "max-width": "480px"},
    )  # fmt: skip
    plot = pn.pane.Bokeh(
        _plot(ground, colours, WIDEST * step), styles={"max-width": "100%", "overflow-x": "auto"}
    )
    return pn.FlexBox(plot, side, gap="16px", sizing_mode="stretch_width")


def _choose(slider: Any, radius: float, count: Any, *_: Any) -> None:
    slider.value = radius
    count()


def _note(ground: Ground) -> str:
    split = Split()
    training = round(len(ground.x) * (1 - split.test) * (1 - split.validation))
    simulated = " (simulated)" if ground.simulated else ""
    return NOTE.format(n=len(ground.x), title=ground.title, training=training, simulated=simulated)


# -------------------------------------------------------------------------------- what is shown


def distances(ground: Ground, widest: float) -> NDArray[np.uint16]:
    """Distance to the nearest landslide at every n-th cell: `LEVELS` steps up to `widest` metres.

    Farther cells are `LEVELS`. South up, as Bokeh draws; n such that `MOST_CELLS` are sent at most.
    """
    points = np.column_stack([ground.x, ground.y])
    heat = gaussian_heatmap(points, _coarse(ground.grid), widest).values
    with np.errstate(divide="ignore"):
        share = np.sqrt(-np.log10(heat))  # heat is 10 ** -(share ** 2), share of the radius
    levels = np.where(heat > 0, np.rint(np.minimum(share, 1) * (LEVELS - 1)), LEVELS)
    return np.flipud(levels).astype(np.uint16)


def palette(radius: float, widest: float) -> list[str]:
    """The colour of each level of `distances`: that of its heat, clear beyond the radius."""
    share = np.linspace(0, widest, LEVELS) / radius
    shade = np.rint(255 * 10.0 ** -(share**2)).astype(int)
    return [COLOURS[i] if s <= TOUCH else CLEAR for i, s in zip(shade, share.tolist(), strict=True)]


def colour_mapper(radius: float, widest: float) -> LinearColorMapper:
    """Colours of `distances` at a radius; `RECOLOUR` changes them in the browser."""
    return LinearColorMapper(palette(radius, widest), low=0, high=LEVELS - 1, high_color=CLEAR)


def _coarse(grid: Grid) -> Grid:
    """The grid of every n-th cell, the same edges but for the last row and column."""
    n = int(np.ceil(np.sqrt(grid.shape[0] * grid.shape[1] / MOST_CELLS)))
    shape = (-(-grid.shape[0] // n), -(-grid.shape[1] // n))
    return Grid(shape, grid.transform * Affine.scale(n), grid.crs)


def warmth_of(ground: Ground, radius: float, per_interval: float) -> Warmth:
    """Cells in each fifth of heat over the whole grid, and samples a recipe would draw from it.

    Cells without heat are in no interval. Samples: `per_interval` for each landslide, from each of
    the three middle intervals, in valid cells without a landslide; fewer where the cells run out
    (a run refuses that, and says so).
    """
    points = np.column_stack([ground.x, ground.y])
    heat = gaussian_heatmap(points, ground.grid, radius).values
    inner = CUTS[1:-1].astype(heat.dtype)
    warm = np.flatnonzero(heat)
    interval = np.searchsorted(inner, heat.ravel()[warm], side="right")
    cells = np.bincount(interval, minlength=len(CUTS) - 1)
    free = np.bincount(interval[ground.free.ravel()[warm]], minlength=len(CUTS) - 1)
    wanted = round(per_interval * len(points))
    drawn = [min(wanted, int(free[i])) if i in TAKEN else 0 for i in range(len(free))]
    table = pd.DataFrame(
        {
            "heat": [f"{low:.1f} to {high:.1f}" for low, high in pairwise(CUTS)],
            "cells": cells,
            "without landslide": free,
            "samples drawn": drawn,
        }
    )
    return Warmth(table, int(warm.size))


def _styled(table: pd.DataFrame) -> Any:
    return table.style.hide(axis="index").format("{:,}", subset=list(table.columns[1:]))


def _plot(ground: Ground, colours: LinearColorMapper, widest: float) -> figure:
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
    _add_shade(plot, ground)
    _add_heat(plot, ground, colours, widest)
    return plot


def _add_shade(plot: figure, ground: Ground) -> None:
    seen = shade_window(ground, None, None)
    if seen is None:
        return
    values, (left, bottom, right, top) = seen
    grey = LinearColorMapper("Greys256", low=0, high=255)
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    plot.image([np.flipud(values)], color_mapper=grey, **place)


def _add_heat(plot: figure, ground: Ground, colours: LinearColorMapper, widest: float) -> None:
    """The picture, and a bar labelled from 0 to 1 though distances are drawn."""
    left, bottom, right, top = _coarse(ground.grid).bounds
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    far = distances(ground, widest)
    plot.image([far], color_mapper=colours, global_alpha=0.8, **place)
    scale = LinearColorMapper(COLOURS, low=0, high=1)
    bar = ColorBar(color_mapper=scale, width=10, ticker=BasicTicker(desired_num_ticks=6))
    plot.add_layout(bar, "right")
