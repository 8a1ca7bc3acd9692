"""One further factor of an area in form fields: what is made of a source, its kind and units."""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.own_files import found_in
from lsm_core.errors import LsmError
from lsm_core.intake import Found
from lsm_core.legend import name_columns
from lsm_core.own_sources import Entry

VALUES, CLASSES, DIRECTION = "values", "classes", "directions, 0 to 360 degrees"
DISTANCE, DENSITY, READINGS = "distance to it", "density of it", "readings between its points"
USES = {  # of a source by what it holds
    "raster": (VALUES, CLASSES, DIRECTION),
    "Polygon": (CLASSES, DISTANCE),
    "LineString": (DISTANCE, DENSITY),
    "Point": (DISTANCE, DENSITY, READINGS),
}
# Its buttons for one more and one less have no name for who hears the page; numbers are typed.
KINDS = {VALUES: "continuous", CLASSES: "categorical", DIRECTION: "cyclic"}
SHOWN = {  # fields that say something of a use
    VALUES: ("band", "units"), CLASSES: ("band", "names", "field"), DIRECTION: ("band",),
    DISTANCE: (), DENSITY: ("radius",), READINGS: ("field", "units"),
}  # fmt: skip
OWN_KEYS = {"name", "source", "distance_to", "density_of", "interpolate", "kind", "units", "names"}
OWN_KEYS |= {"field", "radius", "band"}


class FactorRow:
    """Fields of one factor made of a source; `content` is its part of the area file.

    What the fields do not know (`edges`, `categories`, ...) stays as it was.
    """

    def __init__(
        self, factor: dict[str, Any], entry: Entry, on_change: Callable[..., Any],
        on_remove: Callable[["FactorRow"], Any],
    ) -> None:  # fmt: skip
        self.factor, self.source, self.on_change = dict(factor), entry.name, on_change
        found = _found(entry)
        raster = found.kind == "raster"
        uses = USES["raster" if raster else found.geometry if found.geometry in USES else "Point"]
        columns = name_columns(entry.path) if raster and entry.path else []
        self.name = pmui.TextInput(label="Name of the factor", value=factor["name"], width=200)
        self.use = pmui.Select(
            label="Made of it", options=list(uses), value=_use(factor, uses), width=210
        )
        bands = {f"{i + 1}: {name}": i + 1 for i, name in enumerate(found.bands)}
        self.band = _select("Band", bands, factor.get("band"), 130)
        self.names = _select("Column of names", columns, factor.get("names"), 170)
        self.field = _select("Field", list(found.fields), factor.get("field"), 170)
        self.units = pmui.TextInput(
            label="Units, 1 if it has none", value=str(factor.get("units") or entry.unit or "1"),
            width=150,
        )  # fmt: skip
        self.radius = pmui.FloatInput(
            label="Radius, metres",
            value=factor.get("radius", 1000.0),
            start=1,
            width=130,
        )
        remove = pmui.Button(label="Leave it out", size="small", variant="outlined")
        remove.on_click(lambda _: on_remove(self))
        words = f"<b>{escape(entry.name)}</b> ({escape(entry.file)}): {escape(found.words)}"
        self.view = pn.Column(
            pmui.Typography(words, variant="caption", margin=(6, 10, 0, 10)),
            pn.FlexBox(
                self.name, self.use, self.band, self.names, self.field, self.units, self.radius,
                remove, align_items="center", gap="6px",
            ),
            sizing_mode="stretch_width",
        )  # fmt: skip
        for field in (
            self.name, self.use, self.band, self.names, self.field, self.units, self.radius,
        ):  # fmt: skip
            field.param.watch(self._changed, "value")
        self._raster, self._bands = raster, len(found.bands)
        self._show()

    def _changed(self, *_: Any) -> None:
        self._show()
        self.on_change()

    def _show(self) -> None:
        wanted = SHOWN[self.use.value]
        self.band.visible = "band" in wanted and self._raster and self._bands > 1
        self.names.visible = "names" in wanted and self._raster and bool(self.names.options)
        self.field.visible = "field" in wanted and not self._raster
        self.units.visible, self.radius.visible = "units" in wanted, "radius" in wanted

    def content(self) -> dict[str, Any]:
        """The factor as an area file has it."""
        kept = {key: value for key, value in self.factor.items() if key not in OWN_KEYS}
        made: dict[str, Any] = {"name": self.name.value.strip()}
        use = self.use.value
        if use in KINDS:
            made |= {"source": self.source, "kind": KINDS[use]}
        else:
            keys = {DISTANCE: "distance_to", DENSITY: "density_of", READINGS: "interpolate"}
            made[keys[use]] = self.source
        for key in ("band", "names", "field", "radius"):
            widget = getattr(self, key)
            if widget.visible and widget.value not in (None, ""):
                made[key] = widget.value
        if self.units.visible and self.units.value.strip():
            made["units"] = self.units.value.strip()
        if use == DIRECTION:
            made["units"] = "degrees"
        return made | kept


def _found(entry: Entry) -> Found:
    try:
        return found_in(entry)
    except LsmError:  # its file is not here, or is no file: what is known is the catalogue's word
        kind = "raster" if entry.data_type == "RasterDataset" else "vector"
        return Found(kind, entry.crs, bands=("1",))


def _use(factor: dict[str, Any], uses: tuple[str, ...]) -> str:
    if "density_of" in factor:
        return DENSITY
    if "distance_to" in factor:
        return DISTANCE
    if "interpolate" in factor:
        return READINGS
    wanted = {kind: use for use, kind in KINDS.items()}[factor.get("kind", "continuous")]
    return wanted if wanted in uses else uses[0]


def _select(label: str, options: Any, value: Any, width: int) -> pmui.Select:
    known = list(options.values()) if isinstance(options, dict) else options
    chosen = value if value in known else (known[0] if known else None)
    return pmui.Select(label=label, options=options, value=chosen, width=width)
