"""Heat of landslides: see what a radius warms before samples are drawn from it.

The picture follows the slider: heat is computed and sent at no more than `MOST_CELLS` cells, as one
byte each, into a picture that is already there. Numbers come when the slider is let go, from the
whole grid.
"""

from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, LinearColorMapper, Range1d
from bokeh.palettes import Inferno256
from bokeh.plotting import figure
from lsm_app.map_view import shade_window
from lsm_app.session import Ground, Newest, Session, built_areas, ground_of, purpose, said
from numpy.typing import NDArray
from rasterio import Affine

from lsm_core.errors import LsmError
from lsm_core.figures import map_frame
from lsm_core.grid import Grid
from lsm_core.recipe import Heatmap, Split
from lsm_core.sampling import gaussian_heatmap
from lsm_core.study_area import area_path, workspace

PRESETS = (7, 13, 19)  # diameters in cells of the paper: small, medium, large
WIDEST = 40  # diameter, cells
MOST_CELLS = 230_000  # of one picture: 0.2 MB a step
SIZE = (560, 560)  # of the map on the screen at most, pixels
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
    return pmui.Alert(object=words, alert_type="info", sizing_mode="stretch_width")


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
    presets = pmui.RadioButtonGroup(
        label="Diameters of the paper, cells",
        options={f"{d}": d for d in PRESETS},
        value=None,
        size="small",
    )
    words = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
    numbers = pn.pane.DataFrame(sizing_mode="stretch_width", styles={"font-size": "13px"})
    source = ColumnDataSource({"image": [preview(ground, session.radius)]})

    def picture() -> None:
        warm = preview(ground, slider.value)
        _on_screen(lambda: source.data.update(image=[warm]))

    def count(*_: Any) -> None:
        session.radius = slider.value
        diameter = round(slider.value / step)
        presets.value = diameter if diameter in PRESETS else None
        warmth = warmth_of(ground, slider.value, rate.value)
        words.object = (
            f"Radius **{slider.value:,.1f} m**, diameter **{diameter} cells** of "
            f"{ground.grid.cell_size:g} m. Warmed: **{warmth.warm / ground.cells:.1%}** of the map "
            f"({warmth.warm:,} of {ground.cells:,} valid cells). A recipe draws "
            f"**{warmth.table['samples drawn'].sum():,}** soft samples."
        )
        numbers.object = _styled(warmth.table)

    slider.param.watch(Newest(picture), "value")
    newest = Newest(count)
    slider.param.watch(newest, "value_throttled")
    rate.param.watch(newest, "value")
    presets.param.watch(lambda event: _choose(slider, event.new, step, newest), "value")
    count()
    side = pn.Column(
        slider, presets, words, rate, numbers, pmui.Typography(_note(ground), variant="caption"),
        styles={"flex": "1 1 320px", "max-width": "480px"},
    )  # fmt: skip
    plot = pn.pane.Bokeh(_plot(ground, source), styles={"max-width": "100%", "overflow-x": "auto"})
    return pn.FlexBox(plot, side, gap="16px", sizing_mode="stretch_width")


def _choose(slider: Any, diameter: int | None, step: float, count: Any) -> None:
    if diameter is not None and round(slider.value / step) != diameter:
        slider.value = diameter * step
        count()


def _note(ground: Ground) -> str:
    split = Split()
    training = round(len(ground.x) * (1 - split.test) * (1 - split.validation))
    simulated = " (simulated)" if ground.simulated else ""
    return NOTE.format(n=len(ground.x), title=ground.title, training=training, simulated=simulated)


def _on_screen(change: Any) -> None:
    """Change Bokeh models where their session may be changed: on its own thread, in its turn."""
    document = pn.state.curdoc
    if document and document.session_context:
        document.add_next_tick_callback(change)
    else:
        change()


# -------------------------------------------------------------------------------- what is shown


def preview(ground: Ground, radius: float) -> NDArray[np.uint8]:
    """Heat at every n-th cell, 0 to 255, south up as Bokeh draws it; n such that few are sent."""
    heat = gaussian_heatmap(np.column_stack([ground.x, ground.y]), _coarse(ground.grid), radius)
    return np.flipud(np.rint(255 * heat.values)).astype(np.uint8)


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
    cuts = CUTS.astype(heat.dtype)
    warm = heat[heat > 0]
    cells = np.histogram(warm, cuts)[0]
    free = np.histogram(heat[ground.free & (heat > 0)], cuts)[0]
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


def _plot(ground: Ground, source: ColumnDataSource) -> figure:
    left, bottom, right, top = ground.grid.bounds
    frame = map_frame(ground.grid.bounds, *SIZE, ground.unit)
    plot = figure(
        frame_width=frame["frame_width"], frame_height=frame["frame_height"],
        x_range=Range1d(left, right), y_range=Range1d(bottom, top), match_aspect=True,
        x_axis_label=frame["xlabel"], y_axis_label=frame["ylabel"],
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll="wheel_zoom",
        title=f"Heat of landslides (0 to 1), {ground.title}",
    )  # fmt: skip
    for axis in (plot.xaxis, plot.yaxis):
        axis.formatter.use_scientific = False
        axis.ticker.desired_num_ticks = 4
    plot.grid.visible = False
    plot.toolbar.logo = None
    _add_shade(plot, ground)
    _add_heat(plot, ground, source)
    return plot


def _add_shade(plot: figure, ground: Ground) -> None:
    seen = shade_window(ground, None, None)
    if seen is None:
        return
    values, (left, bottom, right, top) = seen
    grey = LinearColorMapper("Greys256", low=0, high=255)
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    plot.image([np.flipud(values)], color_mapper=grey, **place)


def _add_heat(plot: figure, ground: Ground, source: ColumnDataSource) -> None:
    """The picture, and a bar labelled from 0 to 1 though bytes are sent."""
    clear = LinearColorMapper(Inferno256, low=1, high=255, low_color="rgba(0, 0, 0, 0)")
    left, bottom, right, top = _coarse(ground.grid).bounds
    place = {"x": left, "y": bottom, "dw": right - left, "dh": top - bottom}
    plot.image("image", source=source, color_mapper=clear, global_alpha=0.8, **place)
    scale = LinearColorMapper(Inferno256, low=0, high=1)
    bar = ColorBar(color_mapper=scale, width=10, ticker=BasicTicker(desired_num_ticks=6))
    plot.add_layout(bar, "right")
