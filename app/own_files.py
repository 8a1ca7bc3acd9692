"""Own files become sources: dropped on the page, or chosen where they lie already.

A dropped file is written to disk piece by piece as it comes; nothing of it stays in memory.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import note
from lsm_app.session import html_table, said
from lsm_core import intake
from lsm_core.errors import CrsError, LsmError, SourceError
from lsm_core.intake import Found
from lsm_core.own_sources import (
    Entry,
    add_source,
    data_file,
    data_files,
    data_folder,
    entries,
    remove_source,
)
from lsm_core.uploads import LARGEST, Uploads

CHUNK = 5_000_000  # bytes of a piece
MOST_EARLY = 20  # pieces of one visitor that wait for those before them; the server has 4 threads
MOST_FILES = 1000  # of one visitor that are half here
MOST_LINES = 40  # of what became of files
COLOURS = {"taken": "#1b5e20", "waiting": "#0d47a1", "refused": "#b71c1c"}
# Of many files the list scrolls; its words are dark enough to read.
SCROLLS = """
.filepond--root { max-height: 200px; }
.filepond--item-panel, [data-filepond-item-state] .filepond--item-panel {
  background-color: #1b5e20 !important;
}
.filepond--file-info-sub, .filepond--file-status-sub { opacity: 1 !important; }
"""
TAKEN = (
    "GeoTIFF (.tif, with its .aux.xml where it names classes), GeoPackage (.gpkg), CSV of points, "
    f"or all parts of a shapefile (.shp, .shx, .dbf, .prj); up to {LARGEST / 1e9:g} GB each."
)


class Dropper(pn.widgets.FileDropper):
    """A file dropper that hands on each piece as it comes and keeps none.

    `on_refused` is called with the name of a file whose pieces are no longer waited for, and why.
    """

    def __init__(
        self, on_piece: Callable[..., Any], on_refused: Callable[..., Any], **params: Any
    ) -> None:
        super().__init__(**params)
        self._on_piece, self._on_refused = on_piece, on_refused
        self._turn = threading.Lock()
        self._next: dict[str, int] = {}  # number of the piece that a file is at
        self._early: dict[tuple[str, int], Any] = {}

    def _process_event(self, event: Any) -> None:
        """Hand on one piece after the other: the server hears each in a thread of its own."""
        if event.event_name == "delete_event":  # its cross was pressed: what was taken stays
            return
        name, number = event.data["name"], event.data["chunk"]
        with self._turn:
            if name not in self._next and len(self._next) >= MOST_FILES:
                self._refuse({name}, f"{MOST_FILES:,} files are half here: end some first")
                return
            self._early[name, number] = event.data
            at = 1 if number == 1 else self._next.get(name, 1)
            while (data := self._early.pop((name, at), None)) is not None:
                self._next[name] = at = at + 1
                self._hand_on(data)
            self._check_early()

    def _check_early(self) -> None:
        """Forget files whose pieces come without those before them, as no browser sends them."""
        held = sum(len(data["data"]) for data in self._early.values())
        if len(self._early) > MOST_EARLY or held > MOST_EARLY * CHUNK:
            names = {name for name, _ in self._early}
            self._early.clear()
            self._refuse(names, "its pieces come out of order: give it once more")

    def _refuse(self, names: set[str], why: str) -> None:
        for name in sorted(names):
            self._on_refused(name, SourceError(f"{Path(name).name[:99]}: {why}"))

    def _hand_on(self, data: Any) -> None:
        piece = data["data"]
        piece = piece.encode() if isinstance(piece, str) else bytes(piece)
        first, last = data["chunk"] == 1, data["chunk"] == data["total_chunks"]
        if last:
            del self._next[data["name"]]
        self._on_piece(data["name"], piece, first=first, last=last)


class OwnFiles:
    """The part of a page where files become sources; `on_change` is called after each.

    `on_coming` is told whether files are still being uploaded.
    """

    def __init__(
        self, on_change: Callable[[], Any], on_coming: Callable[[bool], Any] = lambda _: None
    ) -> None:
        self.on_change, self.on_coming = on_change, on_coming
        self.uploads = Uploads()
        self.dropper = Dropper(
            self.receive, self._not_taken, multiple=True, chunk_size=CHUNK, previews=[],
            label="Files to upload", sizing_mode="stretch_width", max_width=520, height=230,
            margin=(5, 10), stylesheets=[SCROLLS],
        )  # fmt: skip
        self.chosen = pmui.MultiChoice(
            label="Files that lie on this machine already", options=data_files(),
            sizing_mode="stretch_width", max_width=520,
        )  # fmt: skip
        self.use = pmui.Button(label="Use these files", variant="outlined")
        self.use.on_click(lambda _: self.use_chosen())
        self.crs = pmui.TextInput(
            label="EPSG number of these coordinates, such as 32643", width=330, visible=False
        )
        self.crs.param.watch(lambda _: self.give_crs(), "value")
        self.came: dict[str, tuple[str, str]] = {}  # of each file how it fares, and words
        self.list = pn.pane.HTML("", sizing_mode="stretch_width")
        self.words = pn.Column(self.list, sizing_mode="stretch_width")
        self.table = html_table()
        self.remove = pmui.Select(label="Source to take out", options=[], width=260)
        self.take_out = pmui.Button(label="Take it out", variant="outlined", color="error")
        self.take_out.on_click(lambda _: self.remove_chosen())
        there = [self.chosen, self.use] if data_files() else [note(_no_folder())]
        style = {"flex": "1 1 330px", "max-width": "560px"}
        self.view = pn.Column(
            pn.FlexBox(
                pn.Column(self.dropper, note(TAKEN), styles=style),
                pn.Column(*there, self.words, self.crs, styles=style),
                sizing_mode="stretch_width", gap="16px",
            ),
            self.table,
            pn.FlexBox(self.remove, self.take_out, align_items="center", gap="8px"),
            sizing_mode="stretch_width",
        )  # fmt: skip
        self.show()

    def receive(self, file: str, piece: bytes, *, first: bool, last: bool) -> None:
        """One piece of a dropped file."""
        name = Path(file).name
        if first:
            self.on_coming(True)
        elif self.came.get(name, ("",))[0] == "refused":
            return
        try:
            entry = self.uploads.receive(file, piece, first=first, last=last)
        except LsmError as error:
            self._refused(name, error)
        else:
            if last:
                self._took(name, entry)
        finally:
            self.on_coming(self.uploads.coming)

    def use_chosen(self) -> None:
        """Make sources of the chosen files of the machine; of each is said what became of it."""
        for name in list(self.chosen.value):
            path = data_file(name)
            try:
                entry = add_source(path)
            except LsmError as error:
                if isinstance(error, CrsError):
                    self.uploads.pending[name] = path
                self._refused(name, error)
            else:
                self._took(name, entry)
        self.chosen.value = []

    def give_crs(self) -> None:
        """Take what waits for a CRS."""
        if not self.crs.value.strip():
            return
        waiting = list(self.uploads.pending)
        try:
            taken = self.uploads.with_crs(self.crs.value)
        except LsmError as error:
            self._say(error)
            return
        self.crs.value = ""
        for name, entry in zip(waiting, taken, strict=True):
            self._took(name, entry)

    def remove_chosen(self) -> None:
        """Take a source out of the workspace's catalogue."""
        try:
            remove_source(self.remove.value)
        except LsmError as error:
            self._say(error)
        self.changed()

    def changed(self) -> None:
        """Show the sources as they are now, and tell the page."""
        self.show()
        self.on_change()

    def show(self) -> None:
        """The workspace's own sources, one row each."""
        own = [entry for entry in entries().values() if entry.own]
        self.crs.visible = bool(self.uploads.pending)
        self.table.object = _table(own) if own else None
        self.remove.options = [entry.name for entry in own]
        self.remove.visible = self.take_out.visible = bool(own)

    def _took(self, name: str, entry: Entry | None) -> None:
        """A file is whole: it is a source, part of one, or waits for the others."""
        if entry is not None:
            self._tell(name, "taken", _as_part(name, entry))
        else:
            self._tell(name, "waiting", "")
        for other in [n for n, (how, _) in self.came.items() if how == "waiting"]:
            missing = [] if other in self.uploads.pending else self.uploads.missing(other)
            or_crs = ", or for its EPSG number below" if missing and self.uploads.pending else ""
            if missing:
                self.came[other] = ("waiting", f"here, waits for {', '.join(missing)}{or_crs}")
            elif other not in self.uploads.pending:
                self.came[other] = ("taken", _as_part(other, entry) if entry else "whole")
        self._say(None)
        self.changed()

    def _not_taken(self, file: str, error: LsmError) -> None:
        """A dropped file of which not all pieces came."""
        self.uploads.forget(file)
        self._refused(Path(file).name, error)
        self.on_coming(self.uploads.coming)

    def _refused(self, name: str, error: LsmError) -> None:
        self._tell(name, "waiting" if name in self.uploads.pending else "refused", str(error))
        self._say(None)

    def _tell(self, name: str, how: str, words: str) -> None:
        """The newest stands last."""
        self.came.pop(name, None)
        self.came[name] = (how, words)

    def _say(self, error: LsmError | None) -> None:
        self.list.object = _lines(self.came)
        self.words[:] = [self.list, *([said(error)] if error else [])]
        self.crs.visible = bool(self.uploads.pending)


def _as_part(name: str, entry: Entry) -> str:
    return f"source {entry.name}" if Path(name).name == entry.file else f"part of {entry.name}"


def _lines(came: dict[str, tuple[str, str]]) -> str:
    """What became of each file, a line each."""
    rows = [
        f'<li style="color:{COLOURS[how]}"><b>{how}</b> {escape(name)}: {escape(words)}</li>'
        for name, (how, words) in list(came.items())[-MOST_LINES:]
    ]
    style = "margin:4px 10px;padding-left:18px;font-size:13px;overflow-wrap:anywhere"
    return f'<ul role="log" style="{style}">{"".join(rows)}</ul>' if rows else ""


def _no_folder() -> str:
    folder = data_folder()
    return (
        f"Files below {escape(str(folder))} could be chosen here, but there are none."
        if folder
        else ("Files of this machine can be chosen here where LSM_DATA names their folder.")
    )


def _table(own: list[Entry]) -> Any:
    rows = [{"source": entry.name, "file": entry.file, "holds": words_of(entry)} for entry in own]
    left = [{"selector": "td, th", "props": "text-align: left"}]
    return pd.DataFrame(rows).style.hide(axis="index").format(escape="html").set_table_styles(left)


def words_of(entry: Entry) -> str:
    """What a source holds, in a line, or why nobody knows."""
    try:
        return found_in(entry).words
    except LsmError as error:
        return str(error)


def found_in(entry: Entry) -> Found:
    """`entry.look()`, done once for as long as the file stays as it is."""
    if entry.path is None or not entry.path.exists():
        return entry.look()
    return entry.in_crs(_found(str(entry.path), entry.path.stat().st_mtime_ns))


def found_if_there(entry: Entry | None) -> Found | None:
    """The same; None where there is no such file, or it cannot be read."""
    try:
        return found_in(entry) if entry else None
    except LsmError:
        return None


@lru_cache(maxsize=256)
def _found(path: str, changed: int) -> Found:
    return intake.look_at(path)
