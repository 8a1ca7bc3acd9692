"""Settings of figures for print as widgets; what is chosen is a `Look` of the core."""

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_core.figures import BREAKS, WHERE
from lsm_core.print_style import COLOURS, Look, font_names, languages, make_look

ONE_COLUMN, TWO_COLUMNS = 90.0, 190.0
SMALL = {"width": 150}
LABELS = {
    "width_mm": "Width (mm)",
    "height_mm": "Height (mm), 0: any",
    "dpi": "Dots an inch",
    "size": "Letters (pt)",
    "fonts": "Font",
    "language": "Language of labels",
    "colours": "Colours of susceptibility",
    "landslides": "Landslides on maps",
    "relief": "Shadows of the relief",
    "breaks": "Classes by",
    "where": "Classes counted on",
    "inset": "Inset",
    "graticule": "Graticule",
    "titles": "Titles",
}


class PrintForm:
    """The widgets, and `given`: what differs from the usual look.

    `on_change` is called with it after each change somebody makes.
    """

    def __init__(
        self, given: Mapping[str, Any], on_change: Callable[[dict[str, Any]], Any]
    ) -> None:
        self.on_change = on_change
        usual = Look()
        start = {name: given.get(name, getattr(usual, name)) for name in LABELS}
        self.widgets = _widgets(start)
        for widget in self.widgets.values():
            widget.param.watch(self._changed, "value")
        one = pmui.Button(label="One column, 90 mm", size="small", variant="outlined")
        two = pmui.Button(label="Two columns, 190 mm", size="small", variant="outlined")
        one.on_click(lambda _: self.widgets["width_mm"].param.update(value=ONE_COLUMN))
        two.on_click(lambda _: self.widgets["width_mm"].param.update(value=TWO_COLUMNS))
        self.view = pn.FlexBox(
            one, two, *self.widgets.values(), align_items="center", gap="10px",
            sizing_mode="stretch_width",
        )  # fmt: skip

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the usual look, as it goes into the address."""
        usual = Look()
        found: dict[str, Any] = {}
        for name, widget in self.widgets.items():
            value = widget.value
            if name == "height_mm":
                value = value or None
            if name == "fonts":
                value = [value]
            if value != (list(usual.fonts) if name == "fonts" else getattr(usual, name)):
                found[name] = value
        return found

    @property
    def look(self) -> Look:
        """The look chosen; RecipeError says which setting cannot be."""
        return make_look(self.given)

    def _changed(self, _: Any) -> None:
        self.on_change(self.given)


def _widgets(start: Mapping[str, Any]) -> dict[str, Any]:
    """One widget a setting, in the order of `LABELS`."""
    tongues = {name: code for code, name in languages().items()}
    fonts = font_names()
    font = start["fonts"][0]
    made = {
        "width_mm": _number(start, "width_mm", 30, 500, 5.0),
        "height_mm": _number(
            start | {"height_mm": start["height_mm"] or 0}, "height_mm", 0, 500, 5.0
        ),
        "dpi": _choice(start, "dpi", [150, 300, 450, 600, 1200]),
        "size": _number(start, "size", 4, 24, 0.5),
        "fonts": _choice({"fonts": font}, "fonts", [*([] if font in fonts else [font]), *fonts]),
        "language": _choice(start, "language", tongues),
        "colours": _choice(start, "colours", list(COLOURS)),
        "landslides": _choice(start, "landslides", ["points", "polygons", "none"]),
        "relief": _number(start, "relief", 0, 1, 0.1),
        "breaks": _choice(start, "breaks", list(BREAKS)),
        "where": _choice(start, "where", list(WHERE)),
    }
    for name in ("inset", "graticule", "titles"):
        made[name] = pmui.Switch(label=LABELS[name], value=bool(start[name]))
    return made


def _number(start: Mapping[str, Any], name: str, low: float, high: float, step: float) -> Any:
    value = min(max(float(start[name]), low), high)
    return pmui.FloatInput(
        label=LABELS[name], value=value, start=low, end=high, step=step, format="0[.]0", **SMALL
    )


def _choice(start: Mapping[str, Any], name: str, options: Any) -> Any:
    known = list(options.values()) if isinstance(options, dict) else list(options)
    if start[name] not in known:  # of an address somebody wrote
        known.append(start[name])
        options = options | {str(start[name]): start[name]} if isinstance(options, dict) else known
    wide = 190 if name in ("fonts", "language", "colours") else 150
    return pmui.Select(label=LABELS[name], options=options, value=start[name], width=wide)
