"""How the parts of a page lie: headings, notes, plots beside each other, tabs filled late."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui

from lsm_app.session import said
from lsm_core.errors import LsmError

ONE = {"flex": "1 1 420px", "min-width": "300px", "max-width": "760px"}


def heading(text: str) -> pmui.Typography:
    """The name of a part."""
    return pmui.Typography(escape(text), variant="h6", margin=(14, 10, 0, 10))


def note(text: str) -> pmui.Typography:
    """How to read a part, in small letters below it."""
    return pmui.Typography(text, variant="caption", sizing_mode="stretch_width")


def or_words(make: Callable[[], Any]) -> Any:
    """What `make` makes, or the core's sentence that says why it cannot."""
    try:
        return make()
    except LsmError as error:
        return said(error)


def beside(*plots: hv.Element) -> pn.FlexBox:
    """Plots beside each other where the screen is wide, below each other where it is not."""
    panes = [
        pn.pane.HoloViews(plot, linked_axes=False, sizing_mode="stretch_width", styles=ONE)
        for plot in plots
    ]
    return pn.FlexBox(*panes, sizing_mode="stretch_width", gap="8px")


def tabs(parts: Mapping[str, Callable[[], Any]]) -> pn.Tabs:
    """Parts by name, each made when it is first looked at, or the sentence why it cannot be."""
    boxes = [pn.Column(sizing_mode="stretch_width") for _ in parts]
    makers = list(parts.values())
    whole = pn.Tabs(*zip(parts, boxes, strict=True), dynamic=True, sizing_mode="stretch_width")

    def fill(*_: Any) -> None:
        if not len(boxes[whole.active]):
            boxes[whole.active].append(or_words(makers[whole.active]))

    whole.param.watch(fill, "active")
    fill()
    return whole
