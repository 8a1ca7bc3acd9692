"""Sampling: heat, windows, negatives and the split on one map, and what leaks between its parts.

Heat and windows are redrawn in the browser while a slider is dragged; places are drawn anew by the
core when it is let go. What is on the screen is what a run of the kept recipe would learn from.
"""

from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import xarray as xr

from lsm_app import heat_view, places_view
from lsm_app.area_layers import layers_of
from lsm_app.drawn_places import (
    PROTOCOLS,
    chosen,
    counted,
    draw,
    meter,
    nearness,
    recipe_under,
    verdicts,
    windows_of,
)
from lsm_app.ground import Ground, built_areas, ground_of
from lsm_app.layout import SCROLLS, beside, fault, heading, note, or_words
from lsm_app.nothing_yet import area_choice, no_area
from lsm_app.places_view import KINDS, PlacesLayer
from lsm_app.recipe_box import RecipeBox, recipe_path
from lsm_app.sampling_controls import negatives_controls, split_controls
from lsm_app.session import Newest, Session, html_table, purpose, said, served
from lsm_core.errors import LsmError
from lsm_core.recipe import Heatmap, load_recipe
from lsm_core.study_area import area_path

WINDOWS = 3  # at most, of different sizes
MAP_WIDTH = 640  # pixels, with its axis and bar
LARGEST = 41  # cells across a window
PURPOSE = (
    "Choose which places a model learns from and which it is tested on. Drag the radius, the "
    "intervals or a window and the map follows; places are drawn anew when you let go."
)
HEAT_NOTE = (
    "Heat is 1 at a landslide's place and 0.1 on the circle; soft samples come from the bright "
    "intervals. All {n:,} landslides of {title} are warm here{simulated}: a run under the honest "
    "protocol warms only its training landslides and draws in training ground. Intervals are "
    "closed on the left."
)
METER = (
    "What the same choices would let through under either protocol. Overlap: share of test places "
    "whose window shares a cell with the window of a place that trained or checked. Slope-only and "
    "nearness-only AUC are of models that know nothing else: on training places the first says how "
    "easy the chosen negatives are, on test places both are what a real model must beat."
)


def page(session: Session) -> pn.Column:
    """The page for one session; follows `session.area`."""
    body = pn.Column(sizing_mode="stretch_width")
    looked: list[Sampling] = []

    def draw() -> None:
        while looked:
            looked.pop().close()
        if not built_areas():
            body[:] = [no_area(session)]
            return
        try:
            path = area_path(session.area)
            looked.append(Sampling(session, ground_of(path), layers_of(path)))
            body[:] = [looked[0].view]
        except LsmError as error:
            body[:] = [said(error)]

    choice = area_choice(session, draw)
    choice.param.watch(lambda event: _leave(session, event.new), "value")
    return pn.Column(purpose(PURPOSE), choice, body, sizing_mode="stretch_width")


def _leave(session: Session, area: str | None) -> None:
    """For another area, whose cells may be of another size."""
    if area and area != session.area:
        session.param.update(area=area, radius=0)


# ------------------------------------------------------------------------------ what is shown


class Sampling:
    """One area on the screen: controls beside the map, the meter below, and the box that keeps."""

    def __init__(self, session: Session, ground: Ground, ds: xr.Dataset) -> None:
        self.session, self.ground, self.ds = session, ground, ds
        self.cell = ground.grid.cell_size
        self.step = self.cell / 2
        if not self.step <= session.radius <= heat_view.WIDEST * self.step:
            session.radius = heat_view.PRESETS[1] * self.step
        self.box = RecipeBox(session, lambda base: chosen(session, base, self.cell))
        self.words = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.numbers = html_table()
        self.legend = pn.pane.HTML(sizing_mode="stretch_width")
        self.counts = note("")
        self.verdict = pn.Column(sizing_mode="stretch_width")
        self.wrong = pn.Column(sizing_mode="stretch_width")  # above the fields, to be seen
        self.fields: dict[str, Any] = {}  # by the keys of their settings
        self.meter = html_table()
        self.curves = pn.Column(sizing_mode="stretch_width")
        self.plot, self.layer, heat = self._map()
        self.draw = Newest(self._draw)
        self.closed = False
        self.late = False  # whether something changed while another page was looked at
        controls = pmui.Tabs(
            ("Heat", self._heat_controls(*heat)),
            ("Windows", self._window_controls()),
            ("Negatives", negatives_controls(session, ds)),
            ("Split", split_controls(session, ds, self.fields)),
            sizing_mode="stretch_width",
        )
        # On a telephone, which is narrower than the map, it scrolls.
        fits = SCROLLS | {"max-width": f"min(100%, {MAP_WIDTH}px)", "min-width": "0"}
        left = pn.Column(self.plot, self.legend, self.counts, styles=fits)
        side = pn.Column(
            self._shown(), self.wrong, controls, self.verdict,
            styles={"flex": "1 1 320px", "max-width": "440px"},
        )  # fmt: skip
        self.view = pn.Column(
            pn.FlexBox(left, side, gap="16px", sizing_mode="stretch_width"),
            heading("What leaks, and what is too easy"),
            self.meter, self.curves, note(METER), self.box.view,
            sizing_mode="stretch_width",
        )  # fmt: skip
        follow = ["radius", "heat", "soft", "sizes", "negatives", "ratio", "protocol", "split"]
        self.watchers = [
            session.param.watch(self.draw, [*follow, "recipe"]),
            session.param.watch(lambda _: self.late and self.draw(), "shown"),
        ]
        self.draw()

    def close(self) -> None:
        """Follow the session no longer: another area has taken the place."""
        for watcher in self.watchers:
            self.session.param.unwatch(watcher)
        self.box.close()
        self.closed = True

    # -------------------------------------------------------------------------------- the map

    def _map(self) -> tuple[pn.pane.Bokeh, PlacesLayer, tuple[Any, Any]]:
        widest = heat_view.WIDEST * self.step
        heat = self._heat()
        mapper = heat_view.colour_mapper(self.session.radius, widest, heat)
        figure = heat_view.heat_figure(self.ground, mapper, widest)
        figure.title.text = f"Heat of landslides (0 to 1) and places, {self.ground.name}"
        layer = PlacesLayer(figure, self.ground, self._sides())
        layer.only(self.session.layers)
        source = heat_view.chosen_source(self.session.radius, heat)
        return pn.pane.Bokeh(figure), layer, (mapper, source)

    def _heat(self) -> Heatmap:
        try:
            return Heatmap.model_validate(self.session.heat)
        except ValueError:  # of an address somebody wrote; the drawing says what is wrong with it
            return Heatmap()

    def _sides(self) -> list[int]:
        """One number a slider, 0 for none."""
        sizes = sorted(int(size) for size in self.session.sizes)[:WINDOWS]
        return sizes + [0] * (WINDOWS - len(sizes))

    def _shown(self) -> pmui.CheckBoxGroup:
        boxes = pmui.CheckBoxGroup(
            label="Shown on the map", options={v: k for k, v in KINDS.items()},
            value=list(self.session.layers), inline=True,
        )  # fmt: skip

        def show(event: Any) -> None:
            self.session.layers = list(event.new)
            pn.state.execute(partial(self.layer.only, self.session.layers))

        boxes.param.watch(show, "value")
        return boxes

    # ------------------------------------------------------------------------------- controls

    def _heat_controls(self, mapper: Any, source: Any) -> pn.Column:
        session, heat, widest = self.session, self._heat(), heat_view.WIDEST * self.step
        radius = pmui.FloatSlider(
            label="Radius, metres", start=self.step, end=widest, step=self.step,
            value=session.radius, format="0[.]0", sizing_mode="stretch_width",
        )  # fmt: skip
        parts = pmui.IntSlider(
            label="Equal intervals of heat", start=2, end=10, value=heat.intervals,
            sizing_mode="stretch_width",
        )  # fmt: skip
        limits = pmui.RangeSlider(
            label="Heat that is sampled", start=0, end=1, step=1 / heat.intervals,
            value=heat_view.limits_of(heat), format="0.00", sizing_mode="stretch_width",
        )  # fmt: skip
        rate = pmui.FloatInput(
            label="Samples per interval and landslide", value=heat.per_interval, start=0.05,
            end=5, step=0.05, width=260,
        )  # fmt: skip
        self.fields["samples.heatmap.per_interval"] = rate
        soft = pmui.Switch(label="Soft samples (off: hard labels only)", value=session.soft)
        for slider, what in ((radius, "radius"), (parts, "intervals"), (limits, "limits")):
            heat_view.follow(slider, what, mapper, source, widest)

        def write(*_: Any) -> None:
            n = parts.value
            limits.step = 1 / n
            low = min(round(limits.value[0] * n), n - 1)
            high = max(low + 1, round(limits.value[1] * n))
            limits.value = (low / n, high / n)
            take = list(range(low, high))
            session.heat = {"intervals": n, "take": take, "per_interval": rate.value}

        radius.param.watch(lambda e: session.param.update(radius=e.new), "value_throttled")
        parts.param.watch(write, "value_throttled")
        limits.param.watch(write, "value_throttled")
        rate.param.watch(write, "value")
        soft.param.watch(lambda e: session.param.update(soft=e.new), "value")
        simulated = " (simulated)" if self.ground.simulated else ""
        words = HEAT_NOTE.format(n=len(self.ground.x), title=self.ground.title, simulated=simulated)
        return pn.Column(
            radius, self._presets(radius), parts, limits, rate, soft, self.words, self.numbers,
            note(escape(words)), sizing_mode="stretch_width",
        )  # fmt: skip

    def _presets(self, radius: Any) -> pn.Row:
        buttons = [
            pmui.Button(label=f"{cells} cells", variant="outlined", size="small")
            for cells in heat_view.PRESETS
        ]

        def choose(cells: int, *_: Any) -> None:
            radius.value = cells * self.step
            self.session.radius = cells * self.step

        for cells, button in zip(heat_view.PRESETS, buttons, strict=True):
            button.on_click(partial(choose, cells))
        return pn.Row(pmui.Typography("Diameter", variant="body2"), *buttons)

    def _window_controls(self) -> pn.Column:
        labels = ("Window, cells across (0: the cell alone)", "Second scale (0: none)", "Third")
        sliders = [
            pmui.IntSlider(
                label=label, start=0, end=LARGEST, value=size, sizing_mode="stretch_width"
            )
            for label, size in zip(labels, self._sides(), strict=True)
        ]
        length = places_view.cell_length(self.ground)
        for i, slider in enumerate(sliders):
            places_view.follow_window(slider, i, self.layer.windows, length)

        def write(*_: Any) -> None:
            self.session.sizes = [slider.value for slider in sliders if slider.value > 0]

        for slider in sliders:
            slider.param.watch(write, "value_throttled")
        words = (
            "Squares round one landslide, in the middle of the map, show how much of the ground a "
            "model sees. Test and training places under the honest protocol keep the largest "
            "window and the heat's radius apart. Recipes of tables see the cell alone."
        )
        return pn.Column(*sliders, note(words), sizing_mode="stretch_width")

    # --------------------------------------------------------------------------------- numbers

    def _draw(self) -> None:
        """Places under both protocols; those of the chosen one on the map."""
        self.late = served() and self.session.page != "Sampling"
        if self.late or self.closed:
            return
        self._say_heat()
        try:
            base = load_recipe(recipe_path(self.session.recipe))
            found = {
                name: draw(self.ds, recipe_under(self.session, base, self.cell, name))
                for name in sorted(PROTOCOLS, key=lambda name: name != self.session.protocol)
            }
        except LsmError as error:
            self._say_wrong(error)
            return
        self._say_wrong(None)
        own = found[self.session.protocol]
        samples, sides = own.places.samples, windows_of(self.session, base)
        self.legend.object = places_view.legend(samples, sides)
        self.counts.object = escape(counted(own))
        self.verdict[:] = [*verdicts(own)]
        self.meter.object = meter(list(found.values()))
        self.curves[:] = [or_words(lambda: beside(*map(nearness, found.values())))]
        pn.state.execute(partial(self.layer.show, samples, own.places.test_ground))

    def _say_wrong(self, error: LsmError | None) -> None:
        """At the field it is about, and above them all; the places drawn last stay on the map."""
        self.wrong[:] = [said(error)] if error else []
        for key, field in self.fields.items():
            if "error_state" in field.param:
                fault(field, str(error or "").partition(f"{key} ")[2])

    def _say_heat(self) -> None:
        session, heat = self.session, self._heat()
        warmth = heat_view.warmth_of(self.ground, session.radius, heat)
        cells = round(session.radius / self.step)
        share = warmth.warm / self.ground.cells
        self.words.object = (
            f"Radius **{session.radius:,.1f} m**, diameter **{cells} cells** of {self.cell:.4g} m. "
            f"Warmed: **{share:.1%}** of the map ({warmth.warm:,} of {self.ground.cells:,} valid "
            f"cells). Round all of them a recipe draws **{warmth.table['samples drawn'].sum():,}** "
            "soft samples; under the honest protocol only round those it trains on, as the legend "
            "of the map counts them."
        )
        table = warmth.table
        self.numbers.object = table.style.hide(axis="index").format(
            "{:,}", subset=list(table.columns[1:])
        )
