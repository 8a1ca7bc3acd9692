"""The image of an area in form fields: its source, what its bands show, and their scale."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import note
from lsm_app.own_files import found_if_there
from lsm_core.errors import AreaError
from lsm_core.intake import Found
from lsm_core.own_sources import Entry

NONE = "no image"
USUAL = ("red", "green", "blue", "nir")
ABOUT = (
    "An image lets networks find landslides under Inventory. Bands as name=band, band being its "
    "number or name in the file: red=3, nir=4 (vegetation needs red and nir). Scale makes "
    "reflectance, 0 to 1, of what is stored: 0.0001 for Sentinel-2, 0.00392 for 0 to 255."
)


class ImageFields:
    """Fields of `image:` in an area file; what they do not know (dates, clouds) stays as it was."""

    def __init__(self, on_change: Callable[[], Any]) -> None:
        self.known: dict[str, Entry] = {}
        self.part: dict[str, Any] = {}
        self.source = pmui.Select(label="Image", options={NONE: ""}, value="", width=330)
        self.bands = pmui.TextInput(label="What its bands show", width=330)
        self.scale = pmui.FloatInput(label="Scale", value=1.0, start=0, width=140)
        self.note = note(ABOUT)
        self.source.param.watch(lambda _: self._chosen(), "value")
        for field in (self.source, self.bands, self.scale):
            field.param.watch(lambda _: on_change(), "value")
        row = pn.FlexBox(self.source, self.bands, self.scale, align_items="start", gap="8px")
        self.view = pn.Column(row, self.note, sizing_mode="stretch_width")
        self._chosen()

    def load(self, part: Mapping[str, Any], rasters: Sequence[Entry]) -> None:
        """The fields as an area file has them; `rasters` are sources that may hold an image."""
        self.known = {entry.name: entry for entry in rasters}
        self.source.param.update(options={NONE: ""} | {n: n for n in self.known}, value="")
        if part.get("source") in self.known:
            bands = part["bands"]
            pairs = bands.items() if isinstance(bands, Mapping) else zip(bands, bands, strict=True)
            self.source.value = part["source"]
            self.bands.value = ", ".join(f"{name}={band}" for name, band in pairs)
            self.scale.value = part.get("scale", 1.0)
        self.part = dict(part)  # after the choice, which forgets it

    def content(self) -> dict[str, Any]:
        """`image` of the area file, or nothing. Errors: bands that cannot be read (AreaError)."""
        if not self.source.value:
            return {"image": self.part} if self.part else {}
        own = {"source": self.source.value, "bands": read_bands(self.bands.value)}
        return {"image": self.part | own | {"scale": self.scale.value}}

    def fields(self) -> dict[str, Any]:
        """Fields by their place in the area file."""
        names = ("source", "bands", "scale")
        return {f"image.{name}": getattr(self, name) for name in names}

    def _chosen(self) -> None:
        """Another image: what the last one's bands show says nothing of it."""
        name = self.source.value
        self.bands.visible = self.scale.visible = self.note.visible = bool(name)
        self.part = {}
        found = found_if_there(self.known.get(name))
        if found is not None:
            bands, scale = guess(found)
            self.bands.value, self.scale.value = bands, scale


def guess(found: Found) -> tuple[str, float]:
    """What bands and scale may be: names where the file has them, else red, green, blue, nir.

    >>> guess(Found("raster", bands=("1", "2", "3"), high=255.0))
    ('red=1, green=2, blue=3', 0.00392)
    >>> guess(Found("raster", bands=("B04", "B08"), high=9000.0))
    ('b04=B04, b08=B08', 0.0001)
    """
    if all(name.isdigit() for name in found.bands):
        pairs = list(zip(USUAL, found.bands, strict=False))
    else:
        pairs = [(re.sub(r"\W+", "_", name).strip("_").lower(), name) for name in found.bands]
    scale = 1.0 if not found.high > 1 else 0.00392 if found.high <= 255 else 0.0001
    return ", ".join(f"{name}={band}" for name, band in pairs), scale


def read_bands(text: str) -> dict[str, str | int]:
    """Names and the bands they stand for. Errors: AreaError.

    >>> read_bands("red=3, nir = B08")
    {'red': 3, 'nir': 'B08'}
    """
    found: dict[str, str | int] = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        name, equals, band = (part.strip() for part in pair.partition("="))
        if not (name and equals and band) or name in found:
            raise AreaError(
                f"image.bands is written as name=band, each name once, such as red=3, nir=4; got "
                f"{pair!r}"
            )
        found[name] = int(band) if band.isdigit() else band
    if not found:
        raise AreaError("image.bands says for no band what it shows: write red=3, nir=4, say")
    return found
