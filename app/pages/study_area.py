"""Study area: choose one and look at it, build one from its area file, make one of own files."""

from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.area_facts import facts
from lsm_app.area_form import AreaForm
from lsm_app.area_list import AreaList
from lsm_app.errand_view import Errands
from lsm_app.factor_map import FactorMap, opened
from lsm_app.ground import built_areas
from lsm_app.layout import InTurn, heading, note
from lsm_app.own_files import OwnFiles
from lsm_app.session import Session, poll, purpose, said
from lsm_core import errands
from lsm_core.area_draft import area_files
from lsm_core.errands import Errand
from lsm_core.errors import AreaError, LsmError
from lsm_core.own_sources import free_name
from lsm_core.plain_yaml import read_yaml
from lsm_core.study_area import area_path, is_units, workspace

PARTS = ("Map", "Checks", "Build", "New area")
SAMPLE = "sample"
PURPOSE = (
    "A study area is everything a map is made from, on one grid: terrain and other factors, the "
    "landslide inventory, and which cells are valid. Look at one, build one, or make one of your "
    "own files."
)
EMPTY = (
    "There is no study area in {folder} yet. Start with the sample area (real terrain, simulated "
    "landslides; a minute), build one that comes with the program under “Build”, or make one of "
    "your own files under “New area”. On the command line `lsm demo` and `lsm prepare AREA` do "
    "the same."
)
STEPS = (
    "1. Give a DEM and a landslide inventory: drop the files here, or choose them where they lie.\n"
    "2. Press “Draft the area”: terrain factors and what you gave besides are filled in.\n"
    "3. Change names, factors or cells if you like.\n"
    "4. Press “Build this area” and watch; then it is on the map."
)


def page(session: Session) -> pn.Column:
    """The page for one session; follows `session.area`, `look`, `factor` and `at`."""
    return StudyArea(session).view


class StudyArea:
    """One visitor's page: what is built above, its parts below, errands between them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.map: FactorMap | None = None
        self.list: AreaList | None = None
        self.files: OwnFiles | None = None
        self.mine: set[str] = set()  # errands this visitor started
        self.choice = pmui.Select(label="Study area", options=[], width=300)
        self.switch = pmui.RadioButtonGroup(
            options=list(PARTS),
            value=session.look,
            label="What to look at",
            margin=(8, 10),
            sx={"& .MuiToggleButton-root": {"whiteSpace": "nowrap"}},
        )
        self.errands = Errands(self.done)
        self.notes = pn.Column(sizing_mode="stretch_width")
        self.offer = self._empty()
        self.boxes = {part: pn.Column(sizing_mode="stretch_width") for part in PARTS}
        self.fill = {part: InTurn(box) for part, box in self.boxes.items()}
        self.made: set[str] = set()  # parts that were looked at
        self.form: AreaForm | None = None
        self.wanted: dict[str, Any] = {}  # a copy of an area file that the form shall show
        self.body = pn.Column(sizing_mode="stretch_width")
        self.choice.param.watch(lambda e: e.new and session.param.update(area=e.new), "value")
        self.switch.param.watch(lambda e: session.param.update(look=e.new), "value")
        session.param.watch(self._area_changed, "area")
        session.param.watch(lambda _: self.show(), "look")
        self.view = pn.Column(
            purpose(PURPOSE),
            pn.FlexBox(self.choice, self.switch, align_items="center", gap="16px"),
            self.offer, self.notes, self.errands.view, self.body, sizing_mode="stretch_width",
        )  # fmt: skip
        self.areas()
        self.show()
        poll(session, self.view, self.look)

    # ----------------------------------------------------------------------- what is there

    def areas(self) -> None:
        """The built areas as they are now; one is chosen where there is any."""
        built = built_areas()
        self.choice.options = built
        self.choice.visible = bool(built)
        if built and not self.session.area:
            self.session.area = built[0]
        self.choice.value = self.session.area if self.session.area in built else None
        self.notes.clear()
        self._offer()

    def _offer(self) -> None:
        """The sample area is offered while there is none, but not to who makes one of their own."""
        self.offer.visible = not self.choice.options and self.session.look != "New area"

    def _empty(self) -> pn.Column:
        words = EMPTY.format(folder=escape(str(workspace() / "areas")))
        one = pmui.Button(label="Sample area", variant="outlined")
        both = pmui.Button(label="Sample area and its runs", variant="contained")
        one.on_click(lambda _: self.start(["sample"], "the sample area", SAMPLE))
        both.on_click(
            lambda _: self.start(
                ["demo", "--no-serve"], "the sample area and three runs on it", SAMPLE
            )
        )
        alert = pmui.Alert(object=words, severity="info", margin=10, sizing_mode="stretch_width")
        return pn.Column(alert, pn.FlexBox(both, one, gap="8px"), sizing_mode="stretch_width")

    def look(self) -> None:
        """How far the errands are; areas that others built since join the list."""
        if self.session.page != "Study area":
            return
        self.errands.look()
        if built_areas() != list(self.choice.options):
            self.areas()
            if self.list is not None:
                self.list.look()
            self.show()

    # ---------------------------------------------------------------------------- the parts

    def _area_changed(self, *_: Any) -> None:
        self.choice.value = self.session.area if self.session.area in self.choice.options else None
        self.session.param.update(at="")
        self.made -= set(PARTS[:2])
        self.show()

    def show(self) -> None:
        """The part that is looked at, made when it is first looked at."""
        part = self.session.look if self.session.look in PARTS else PARTS[0]
        self.switch.value = part
        self._offer()
        if list(self.body) != [self.boxes[part]]:
            self.body[:] = [self.boxes[part]]
        if part not in self.made:
            self.made.add(part)
            makers = {"Map": self._map, "Checks": self._checks, "Build": self._build}
            self.fill[part]([makers.get(part, self._new)])

    def _path(self) -> Path | None:
        if not self.session.area:
            return None
        return area_path(self.session.area)

    def _map(self) -> Any:
        path = self._path()
        if path is None:
            return None
        if self.map is not None:
            self.map.forget()
            self.map = None
        ds = opened(path)
        if is_units(ds):
            raise AreaError(
                f"{path.name} is made of {ds.sizes['unit']:,} units, not of cells, so it has no "
                "map of cells: see its checks"
            )
        self.map = FactorMap(self.session, path)
        return self.map.view

    def _checks(self) -> Any:
        path = self._path()
        return None if path is None else facts(path, opened(path))

    def _build(self) -> Any:
        self.list = AreaList(self.build, self.edit)
        sample = pmui.Button(label="Build the sample area", variant="outlined")
        sample.disabled = area_path(SAMPLE).exists()
        sample.on_click(lambda _: self.start(["sample"], "the sample area", SAMPLE))
        words = "Real terrain, simulated landslides: to try everything out before your own data."
        return pn.Column(
            heading("Area files"), self.list.view, heading("Sample area"), sample, note(words),
            sizing_mode="stretch_width",
        )  # fmt: skip

    def _new(self) -> Any:
        self.form = form = AreaForm(self.build_own)
        self.files = OwnFiles(form.sources, form.ready)
        if self.wanted:
            form.load(self.wanted)
        return pn.Column(
            note(STEPS), heading("Your files"), self.files.view, heading("Draft"), form.view,
            sizing_mode="stretch_width",
        )  # fmt: skip

    # -------------------------------------------------------------------------- what is done

    def build(self, name: str, steps: int = 0) -> None:
        """Build an area file by name."""
        self.start(["prepare", str(area_files()[name])], f"area {name}", name, steps)

    def build_own(self, name: str) -> None:
        """Build the area file that the form has written."""
        steps = len(self.form.content()["factors"]) + 5 if self.form else 0
        self.build(name, steps)

    def edit(self, name: str) -> None:
        """Open a copy of an area file in the form."""
        path = area_files()[name]
        content = read_yaml(path, AreaError)
        if "units" in content or "dem" not in content:
            words = f"{name} has no DEM and grid, which the form is about: change its file by hand"
            self.notes[:] = [said(AreaError(f"{words} ({path.name})"))]
            return
        self.wanted = content | {"name": free_name(f"{name}_mine", set(area_files()))}
        if self.form is not None:
            self.form.load(self.wanted)
        self.session.look = "New area"

    def start(self, arguments: list[str], title: str, subject: str, steps: int = 0) -> None:
        """Start a command as a process of its own, and show it."""
        try:
            errand = errands.start(arguments, f"Building {title}", subject, steps)
        except LsmError as error:
            self.notes[:] = [said(error)]
            return
        self.mine.add(errand.id)
        self.notes.clear()
        self.offer.visible = False
        self.errands.look()

    def done(self, errand: Errand) -> None:
        """Something was built: it joins the list, and is shown to who started it."""
        built = str(errand.about["subject"])
        self.made -= set(PARTS[:2])
        self.areas()
        if self.list is not None:
            self.list.look()
        if errand.id in self.mine and built in self.choice.options:
            self.session.param.update(area=built, look="Map")
        self.show()
