"""Area files that can be built: those that come with the program and the workspace's own."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.ground import built_areas
from lsm_app.session import html_table
from lsm_core.area_draft import area_files
from lsm_core.errors import AreaError
from lsm_core.own_sources import Entry, entries
from lsm_core.plain_yaml import read_yaml

KEYS = ("source", "distance_to", "density_of", "interpolate", "like", "mask", "polygons")


class Listed(NamedTuple):
    """An area file: its title, what it is made of, and which of its sources are missing."""

    name: str
    title: str
    made_of: str
    missing: list[str]
    steps: int
    own: bool


def listed() -> list[Listed]:
    """Every area file by name, with what is known without building it."""
    known = entries()
    own = {path.stem for path in area_files().values() if _own(path)}
    return [_listed(name, path, known, name in own) for name, path in area_files().items()]


def _own(path: Path) -> bool:
    from lsm_core.workspace import own_area_files

    return path in own_area_files()


def _listed(name: str, path: Path, known: dict[str, Entry], own: bool) -> Listed:
    try:
        content = read_yaml(path, AreaError)
        factors, title = content.get("factors") or [], str(content.get("title") or name)
    except (AreaError, AttributeError):
        return Listed(name, "not readable", "", [], 0, own)
    units = " on units" if "units" in content else ""
    used = sources_in(content)
    missing = [source for source in used if source not in known or not known[source].there]
    words = f"{len(factors)} factors{units} of {len(used)} sources"
    return Listed(name, title, words, missing, len(factors) + 5, own)


def sources_in(content: Any) -> list[str]:
    """Names of the sources that an area file names, each once."""
    found: list[str] = []
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, str) and (key in KEYS or key in ("dem", "of")):
                found.append(value)
            else:
                found += sources_in(value)
    elif isinstance(content, list):
        found = [name for part in content for name in sources_in(part)]
    return [name for name in dict.fromkeys(found) if name != "streams"]


class AreaList:
    """The list, a choice in it, and the button that builds what is chosen."""

    def __init__(self, build: Callable[[str, int], Any], edit: Callable[[str], Any]) -> None:
        self.table = html_table()
        self.choice = pmui.Select(label="Area file", options=[], width=280)
        self.button = pmui.Button(label="Build it", color="primary", variant="contained")
        self.change = pmui.Button(label="Change a copy", variant="outlined")
        self.words = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.button.on_click(
            lambda _: build(self.choice.value, self.known[self.choice.value].steps)
        )
        self.change.on_click(lambda _: edit(self.choice.value))
        self.choice.param.watch(lambda _: self._chosen(), "value")
        self.view = pn.Column(
            pn.FlexBox(self.choice, self.button, self.change, align_items="center", gap="8px"),
            self.words, self.table, sizing_mode="stretch_width",
        )  # fmt: skip
        self.look()

    def look(self) -> None:
        """The files as they are now."""
        self.known = {item.name: item for item in listed()}
        built = set(built_areas())
        rows = [
            {
                "area file": item.name,
                "what": item.title,
                "made of": item.made_of,
                "sources": f"{len(item.missing)} missing here" if item.missing else "all here",
                "built": "yes" if item.name in built else "no",
                "whose": "yours" if item.own else "comes with the program",
            }
            for item in self.known.values()
        ]
        table = pd.DataFrame(rows).style.hide(axis="index").format(escape="html")
        left = [{"selector": "td, th", "props": "text-align: left"}]
        self.table.object = table.set_table_styles(left)
        self.choice.options = list(self.known)
        if self.choice.value not in self.known:
            self.choice.value = next(iter(self.known), None)
        self._chosen()

    def _chosen(self) -> None:
        item = self.known.get(self.choice.value or "")
        self.button.disabled = item is None or bool(item.missing)
        words = ""
        if item is not None and item.missing:
            words = (
                f"No file is here for {', '.join(item.missing)}: put the data into the folder that "
                "LSM_DATA names, or add files of your own under “New area”."
            )
        elif item is not None and item.name in built_areas():
            words = "It is built already; building it again replaces it."
        self.words.object = escape(words)
