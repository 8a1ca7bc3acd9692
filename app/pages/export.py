"""Export: figures, maps, vectors and tables of runs, in one zip that says how it was made."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.io.state import set_curdoc

from lsm_app.errand_view import ErrandView
from lsm_app.following import known_runs
from lsm_app.layout import heading, note
from lsm_app.nothing_yet import no_runs
from lsm_app.preview import Asked, Preview
from lsm_app.print_form import PrintForm
from lsm_app.session import Session, poll, purpose, said, served
from lsm_core import errands
from lsm_core.errors import LsmError, RunError
from lsm_core.export_bundle import PARTS, USUAL, arguments_for, command_of, new_place
from lsm_core.print_style import FORMATS
from lsm_core.publication import figures as known_figures
from lsm_core.runs import Run

PURPOSE = (
    "Take results out: figures at the size a journal asks for, maps for a GIS, tables for a paper, "
    "all in one zip with everything that is needed to make it again."
)
FIRST = ("susceptibility", "zones", "curves", "rates", "density")  # figures ticked at first
NAMES = {
    "figures": "Figures for print, each with the JSON that makes it again",
    "maps": "Maps as cloud-optimised GeoTIFF, with QGIS styles",
    "vectors": "Inventory, samples and scores as GeoPackage and CSV",
    "tables": "Scores and classes as CSV and LaTeX (booktabs)",
    "model": "The trained model",
}
SMALL_FILE = 30e6  # bytes; above it the page's own connection is not for files
ROUTE = "lsm_app.exports_route"


def page(session: Session) -> pn.Column:
    """The page for one session; `session.runs` are exported, `session.printed` is the look."""
    return ExportPage(session).view


class ExportPage:
    """The widgets of one session and what they do."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.runs: list[Run] = []
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.choice = pmui.MultiChoice(
            label="Runs to export, the same as on Compare",
            **wide,
            **_options(session.runs, _done()),
        )
        known = known_figures()
        titles = {kind.title: name for name, kind in known.items()}
        figures = [name for name in session.figures if name in known] or list(FIRST)
        self.figures = pmui.MultiChoice(label="Figures", options=titles, value=figures, **wide)
        self.formats = pmui.MultiChoice(
            label="Written as", options=list(FORMATS), value=list(session.formats), **wide
        )
        self.parts = pmui.CheckBoxGroup(
            label="What goes into the zip",
            options={NAMES[name]: name for name in PARTS},
            value=list(session.parts or USUAL),
        )
        self.form = PrintForm(session.printed, lambda given: session.param.update(printed=given))
        self.shown = pmui.Select(label="Preview of", options=titles, value=figures[0], width=300)
        self.preview = Preview()
        self.make = pmui.Button(label="Make the zip", color="primary")
        self.wrong = pn.Column(**wide)
        self.command = pn.pane.HTML("", **wide)
        self.done = pn.Column(**wide)
        self.body = pn.Column(**wide)
        self.errand: ErrandView | None = None
        self.view = pn.Column(purpose(PURPOSE), self.choice, self.body, **wide)
        self._wire()
        self._doc = pn.state.curdoc if served() else None
        poll(session, self.view, self.polled, period=700)

    def _wire(self) -> None:
        session = self.session
        for widget, name in ((self.figures, "figures"), (self.formats, "formats")):
            widget.param.watch(lambda e, n=name: session.param.update(**{n: list(e.new)}), "value")
        self.parts.param.watch(lambda e: session.param.update(parts=list(e.new)), "value")
        self.choice.param.watch(lambda e: session.param.update(runs=list(e.new)), "value")
        self.shown.param.watch(lambda _: self.draw(), "value")
        session.param.watch(lambda _: self.changed(), ["runs", "printed"])
        session.param.watch(lambda _: self.told(), ["figures", "formats", "parts"])
        self.make.on_click(lambda _: self.start())

    def _parts_of_page(self) -> list[Any]:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        left = pn.Column(
            self.parts, self.figures, self.formats, self.make, self.wrong, self.done,
            styles={"flex": "1 1 380px", "min-width": "280px"},
        )  # fmt: skip
        right = pn.Column(
            self.shown, self.preview.view, styles={"flex": "2 1 420px", "min-width": "280px"}
        )
        words = "The same from a command line, or later, with the same runs in the workspace:"
        return [
            heading("Size and looks"), self.form.view,
            pn.FlexBox(left, right, gap="16px", **wide),
            heading("The command"), note(words), self.command,
        ]  # fmt: skip

    # ------------------------------------------------------------------------- what is known

    def polled(self) -> None:
        """`look` within this visitor's page: parts made outside of one ask a CDN for styles."""
        with set_curdoc(self._doc) if self._doc else nullcontext():
            self.look()

    def look(self) -> None:
        """Runs as they are now, the preview and the zip as far as they have come."""
        if self.session.page != "Export":
            return
        known = _done()
        if [run.id for run in known] != [run.id for run in self.runs] or not len(self.body):
            self.runs = known
            self.body[:] = self._parts_of_page() if known else [no_runs(self.session)]
            found = _options(self.session.runs, known)
            self.choice.param.update(**found)
            self.session.runs = found["value"]
            self.changed()
        self.preview.look()
        self._follow()

    def changed(self) -> None:
        """Other runs or another look: the preview and the command follow."""
        self.choice.value = [i for i in self.session.runs if i in self.choice.options.values()]
        if self.runs:
            self.told()
            self.draw()

    def chosen(self) -> list[Run]:
        """The runs chosen that are there, in their order."""
        by_id = {run.id: run for run in self.runs}
        return [by_id[i] for i in self.session.runs if i in by_id]

    def told(self) -> None:
        """The command of what is chosen."""
        try:
            runs, look = self.chosen(), self.form.look
            self.wrong.clear()
            names = (self.parts.value, self.figures.value, self.formats.value)
            words = arguments_for(runs, f"{_stem(runs)}.zip", look, *names)
            self.command.object = _code(command_of(words))
        except LsmError as error:
            self.wrong[:] = [said(error)]

    def draw(self) -> None:
        """Ask for the preview anew."""
        try:
            asked = tuple(str(run.path) for run in self.chosen())
            if asked and self.session.page == "Export":
                self.preview.ask(Asked(asked, self.shown.value, self.form.look))
        except LsmError as error:
            self.wrong[:] = [said(error)]

    # ------------------------------------------------------------------------------- the zip

    def start(self) -> None:
        """Make the zip, as a process of its own."""
        try:
            self.session.export = start_export(
                self.chosen(), self.form.look, self.parts.value, self.figures.value,
                self.formats.value,
            ).id  # fmt: skip
            self.errand = None
            self._follow()
        except LsmError as error:
            self.wrong[:] = [said(error)]

    def _follow(self) -> None:
        """The export of this session's address, and its zip once it is there."""
        if not self.session.export:
            return
        if self.errand is None or self.errand.errand.id != self.session.export:
            try:
                self.errand = ErrandView(errands.find_errand(self.session.export))
            except LsmError as error:
                self.done[:] = [said(error)]
                self.session.export = ""
                return
            self.done[:] = [self.errand.view]
        before = self.errand.state
        self.errand.look()
        if self.errand.state == "done" and before != "done":
            self.done[:] = [self.errand.view, download_of(place_of(self.errand.errand))]
        self.make.disabled = self.errand.state == "running"


def start_export(
    runs: Sequence[Run],
    look: Any,
    parts: Sequence[str],
    figures: Sequence[str],
    formats: Sequence[str],
) -> errands.Errand:
    """Start `lsm export` into a place of its own in the workspace; returns at once."""
    if not runs:
        raise RunError("nothing to export: choose at least one run")
    place = new_place(_stem(runs))
    arguments = arguments_for(runs, place, look, parts, figures, formats)
    steps = len(figures) * ("figures" in parts) + len(runs) * ("maps" in parts) + 4
    return errands.start(
        arguments, f"export of {_stem(runs)}", f"exports/{place.parent.name}", steps
    )


def place_of(errand: errands.Errand) -> Path:
    """The zip that an export writes."""
    arguments = errand.about["arguments"]
    return Path(arguments[arguments.index("--to") + 1])


def download_of(path: Path) -> Any:
    """How one gets the zip: by a route of the server, by the page if it is small, or from disk."""
    if not path.is_file():
        return pmui.Alert(object="The zip was deleted: make it again.", severity="warning")
    size = path.stat().st_size
    words = f"{path.name}, {size / 1e6:.1f} MB"
    if served() and ROUTE in sys.modules:
        address = f"{pn.state.base_url or '/'}exports/{path.parent.name}/{path.name}"
        style = (
            "display:inline-block;padding:8px 14px;border-radius:4px;background:#0072B5;color:white"
        )
        link = f'<a href="{escape(address, quote=True)}" download style="{style}">Download '
        return pn.pane.HTML(f"{link}{escape(words)}</a>")
    if size <= SMALL_FILE:
        return pmui.FileDownload(file=str(path), filename=path.name, label=f"Download {words}")
    return pmui.Alert(
        object=escape(
            f"The zip is ready: {path}. It has {size / 1e6:.0f} MB, too large for the page itself; "
            f"`lsm serve` (or `panel serve app/ --plugins {ROUTE}`) offers it here."
        ),
        severity="info",
    )


def _stem(runs: Sequence[Run]) -> str:
    """A name for the zip: its areas and how many runs."""
    areas = "-".join(dict.fromkeys(str(run.area["name"]) for run in runs)) or "export"
    return f"{areas}-{len(runs)}-run{'s' if len(runs) != 1 else ''}"


def _done() -> list[Run]:
    return [run for run, state in known_runs() if state == "done"]


def _options(wanted: Sequence[str], known: Sequence[Run]) -> dict[str, Any]:
    """Names and choice of runs: those wanted that are there, or the newest."""
    names = {_label(run): run.id for run in known}
    kept = [i for i in wanted if i in names.values()]
    return {"options": names, "value": kept or list(names.values())[:1]}


def _label(run: Run) -> str:
    time = run.status["created"][:16].replace("T", " ")
    return f"{run.title}, {run.area['name']}, {run.recipe.protocol}, {time} ({run.id})"


def _code(words: str) -> str:
    style = "white-space:pre-wrap;word-break:break-word;font-size:12px;margin:0 10px"
    return f'<pre tabindex="0" aria-label="command" style="{style}">{escape(words)}</pre>'
