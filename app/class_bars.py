"""Categories of a factor, or directions: bars of what they hold, a table, and the map of them."""

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, LinearColorMapper, Span
from bokeh.plotting import figure

from lsm_app.ground import Ground
from lsm_app.heat_view import CLEAR, coarse
from lsm_app.layout import note
from lsm_app.limits_view import INSIDE, MAP_CELLS, OUTSIDE, STATISTICS, classes_over, colours_of
from lsm_app.session import html_table
from lsm_core.encoding import encode, fit_encoder
from lsm_core.recipe import Input

ROW = 22  # pixels a class takes
WORDS = "These classes are the area's own and have no limits to drag. Counted on {counted}."


class ClassBars:
    """A categorical or cyclic factor on the screen; `show` draws another statistic.

    `table` is that of `bivariate.factor_classes`.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        ground: Ground | None,
        name: str,
        table: pd.DataFrame,
        statistic: str,
    ) -> None:
        self.table = table[table["cells"] > 0].reset_index(drop=True)
        self.names = [str(n) for n in self.table["name"]]
        self.source = ColumnDataSource(
            {"name": self.names, "value": [0.0] * len(self.names), "colour": self._colours(table)}
        )
        self.graph, self.neutral = self._graph()
        self.show(statistic)
        panes = [pn.Column(self.graph_pane(), self._shares(), styles={"flex": "1 1 420px"})]
        if ground is not None:
            plot = _map(ds, ground, name, colours_of(len(table)))
            panes.append(pn.pane.Bokeh(plot, styles={"max-width": "100%", "overflow-x": "auto"}))
        numbers = html_table(_styled(self.table))
        self.view = pn.Column(
            pn.FlexBox(*panes, gap="12px", sizing_mode="stretch_width"),
            numbers,
            note(WORDS.format(counted=table.attrs["counted"])),
            sizing_mode="stretch_width",
        )

    def graph_pane(self) -> pn.pane.Bokeh:
        return pn.pane.Bokeh(self.graph, sizing_mode="stretch_width")

    def show(self, statistic: str) -> None:
        """Draw the bars of another statistic."""
        words, neutral = STATISTICS[statistic]

        def change() -> None:
            self.graph.xaxis.axis_label = words
            self.neutral.location = neutral
            values = {
                "value": self.table[statistic].to_numpy(),
                "from": [neutral] * len(self.names),
            }
            self.source.data = dict(self.source.data) | values

        pn.state.execute(change)

    def _colours(self, table: pd.DataFrame) -> list[str]:
        every = colours_of(len(table))
        return [every[i] for i in np.flatnonzero(table["cells"] > 0)]

    def _graph(self) -> tuple[figure, Any]:
        self.source.data["from"] = [0.0] * len(self.names)
        plot = figure(
            height=90 + ROW * len(self.names), sizing_mode="stretch_width",
            y_range=self.names[::-1], tools="hover", toolbar_location=None,
            tooltips=[("class", "@name"), ("value", "@value{0.000}")],
        )  # fmt: skip
        plot.hbar(
            y="name", left="from", right="value", height=0.8, color="colour", source=self.source
        )
        neutral = Span(location=0, dimension="height", line_color="#333333", line_dash="dotted")
        plot.add_layout(neutral)
        return plot, neutral

    def _shares(self) -> pn.pane.Bokeh:
        """Shares of landslide cells and of other cells, class by class."""
        slid, cells = self.table["landslides"], self.table["cells"]
        plot = figure(
            height=90 + ROW * len(self.names), sizing_mode="stretch_width",
            y_range=self.names[::-1], tools="", toolbar_location=None,
            x_axis_label="share of cells (%)",
        )  # fmt: skip
        parts = {
            "landslide cells": (INSIDE, slid, 0.2),
            "other cells": (OUTSIDE, cells - slid, -0.2),
        }
        for words, (colour, count, off) in parts.items():
            plot.hbar(
                y=[(name, off) for name in self.names], left=0,
                right=(100 * count / count.sum()).to_numpy(), height=0.36, color=colour,
                legend_label=words,
            )  # fmt: skip
        plot.legend.label_text_font_size = "9pt"
        return pn.pane.Bokeh(plot, sizing_mode="stretch_width")


def _map(ds: xr.Dataset, ground: Ground, name: str, colours: list[str]) -> figure:
    """The classes over the hillshade, every n-th cell."""
    plot = classes_over(ground, name)
    left, bottom, right, top = ground.grid.bounds
    small = coarse(ground.grid, MAP_CELLS)
    step = round(small.transform.a / ground.grid.transform.a)
    part = ds.isel(y=slice(None, None, step), x=slice(None, None, step))[[name, "valid"]]
    first = pd.DataFrame({"row": [0], "col": [0]})
    encoder = fit_encoder(part, Input(form="classes", factors=(name,)), fit_on=first)
    at = encode(part, encoder).to_numpy()[..., 0]
    mapper = LinearColorMapper(colours, low=0, high=len(colours) - 1, low_color=CLEAR)
    left, bottom, right, top = small.bounds
    plot.image(
        [np.ascontiguousarray(np.flipud(at.astype(np.int16)))], x=left, y=bottom,
        dw=right - left, dh=top - bottom, color_mapper=mapper, global_alpha=0.75,
    )  # fmt: skip
    return plot


def _styled(table: pd.DataFrame) -> Any:
    heads = {"frequency_ratio": "FR", "information_value": "IV", "certainty_factor": "CF"}
    heads |= {"w_plus": "W+", "w_minus": "W-", "contrast": "C", "studentised_contrast": "C / s"}
    shown = table[["name", "cells", "landslides", *heads]]
    return (
        shown.style.hide(axis="index")
        .format("{:,.0f}", subset=["cells", "landslides"])
        .format("{:.3f}", subset=list(heads), na_rep="–")
        .format(escape="html", subset=["name"])
        .format_index(lambda name: heads.get(name, name), axis=1)
    )
