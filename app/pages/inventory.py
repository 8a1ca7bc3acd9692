"""Inventory: landslides from images, found by a network and decided on by a person."""

import time
from contextlib import nullcontext
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import xarray as xr
from panel.io.state import set_curdoc

from lsm_app.chips_view import MOST, ORDERS, chips_or_words, gallery, ordered
from lsm_app.errand_view import ErrandView
from lsm_app.following import known_runs
from lsm_app.ground import built_areas
from lsm_app.layout import heading, note
from lsm_app.review_view import DETECTED, ReviewView
from lsm_app.session import Newest, Session, poll, purpose, remember, said, served
from lsm_core import errands, jobs
from lsm_core.catalog import shipped
from lsm_core.errors import LsmError, RunError
from lsm_core.recipe import load_recipe
from lsm_core.review import find_folder, new_folder
from lsm_core.runs import Run, runs_folder
from lsm_core.study_area import area_path, open_area
from lsm_core.threshold import RULES
from lsm_core.true_colour import has_image

PURPOSE = (
    "Map landslides from an image: let a network score every cell, look at what it saw, then "
    "accept, reject, change or draw polygons, and make them the inventory of a study area."
)
DETECTORS = {
    "Attention U-Net (whole chips)": "attention_unet",
    "SSGAN (windows, few labels)": "ssgan",
}
SIZES = {"demo: minutes": "demo", "bench: up to 20 minutes": "bench", "as published": "paper"}
PARTS = {"tested": "test", "validation": "validation", "taught": "train"}
LEAK = (
    "A detector repeats the landslides it was taught. Only what it finds on tested ground says "
    "what it would find elsewhere; decide on the rest with that in mind."
)


def page(session: Session) -> pn.Column:
    """The page for one session: `session.detector` is the run, `session.review` the polygons."""
    return InventoryPage(session).view


class InventoryPage:
    """The four steps of one session: a detector, its chips, its polygons, an inventory."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.review: ReviewView | None = None
        self.errand: ErrandView | None = None
        self.runs: list[Run] = []
        self.wrong = pn.Column(**self.wide)
        self.doing = pn.Column(**self.wide)
        self.boxes = {name: pn.Column(**self.wide) for name in ("Detector", "Chips", "Polygons")}
        self._detector_widgets()
        self._chip_widgets()
        self._polygon_widgets()
        self.tabs = pmui.Tabs(*self.boxes.items(), dynamic=True, **self.wide)
        if session.step in self.boxes:
            self.tabs.active = list(self.boxes).index(session.step)
        self.tabs.param.watch(lambda e: self._turned(list(self.boxes)[e.new]), "active")
        self.view = pn.Column(
            purpose(PURPOSE), self.run_choice, self.wrong, self.doing, self.tabs, **self.wide
        )
        self._doc = pn.state.curdoc if served() else None
        poll(session, self.view, self.polled, period=1000)

    # ---------------------------------------------------------------------------- the detector

    def _detector_widgets(self) -> None:
        session = self.session
        self.area = pmui.Select(label="Study area with an image", options=[], width=300)
        self.recipe = pmui.Select(label="Detector", options=DETECTORS, width=300)
        self.size = pmui.Select(label="Size", options=SIZES, value="demo", width=220)
        self.seed = pmui.IntInput(label="Seed", value=1, start=0, width=110)
        self.start = pmui.Button(label="Train and map", color="primary")
        self.start.on_click(lambda _: self.guard(self.train))
        self.live = pn.Column(**self.wide)
        self.sample = pmui.Button(label="Build the sample area", variant="outlined")
        self.sample.on_click(lambda _: self.guard(self.build_sample))
        self.empty = pn.Column(**self.wide)
        self.run_choice = pmui.Select(label="Finished run", **self._runs_now(), **self.wide)
        self.run_choice.param.watch(
            lambda e: e.new and session.param.update(detector=e.new), "value"
        )
        session.param.watch(lambda _: self._chosen_run(), "detector")
        session.param.watch(lambda _: self._chosen_review(), "review")
        row = pn.FlexBox(
            self.area, self.recipe, self.size, self.seed, self.start, align_items="center",
            gap="10px", **self.wide,
        )  # fmt: skip
        self.boxes["Detector"][:] = [
            heading("Train a detector"), self.empty, row, self.live, note(LEAK)
        ]  # fmt: skip
        self._areas()

    def train(self) -> None:
        """Queue the recipe on the area; it goes on when the page is closed."""
        if not self.area.value:
            raise RunError("choose a study area that has an image first")
        changes = [f"area={self.area.value}", f"size={self.size.value}", f"seed={self.seed.value}"]
        recipe = load_recipe(shipped("recipes") / f"{self.recipe.value}.yaml", changes)
        run = jobs.start(recipe, runs_folder())
        self.live[:] = [
            pmui.Alert(
                object=f"{escape(run.id)} is queued; the Training page follows it, and it appears "
                "above when it is done.",
                severity="info",
            )
        ]

    def build_sample(self) -> None:
        """The sample area, which has an image, as a process of its own."""
        started = errands.start(["sample"], "building the sample area", "sample")
        self.session.mapping = started.id

    # -------------------------------------------------------------------------------- chips

    def _chip_widgets(self) -> None:
        self.part = pmui.Select(label="Chips that were", options=PARTS, width=200)
        self.order = pmui.Select(label="First those with", options=list(ORDERS), width=220)
        self.counted = pmui.Typography("", variant="body2", **self.wide)
        self.pictures = pn.pane.HTML("", **self.wide)
        draw = Newest(self.show_chips)
        for widget in (self.part, self.order):
            widget.param.watch(draw, "value")
        words = (
            "Image, the same with mapped landslides outlined, scores from 0 (violet) to 1 "
            f"(yellow); the first {MOST}."
        )
        self.boxes["Chips"][:] = [
            pn.FlexBox(self.part, self.order, gap="10px", **self.wide), self.counted, note(words),
            self.pictures,
        ]  # fmt: skip
        self._chips_of: tuple[str, ...] = ()

    def show_chips(self, *_: Any) -> None:
        """The chips of the run, once somebody looks at them."""
        run = self.run
        if run is None or self.session.step != "Chips":
            return
        asked = (run.id, self.part.value, self.order.value)
        if asked == self._chips_of:
            return
        self._chips_of = asked
        try:
            ds = _area_of(run)
            chips, words = chips_or_words(run, ds, [self.part.value])
            self.counted.object = escape(f"{run.title}, {run.recipe.protocol} protocol: {words}")
            self.pictures.object = gallery(run, ds, ordered(chips, self.order.value))
        except LsmError as error:
            self.counted.object, self.pictures.object = escape(str(error)), ""

    # ------------------------------------------------------------------------------- polygons

    def _polygon_widgets(self) -> None:
        rules = {f"by rule: {rule}": rule for rule in RULES} | {"a number": "number"}
        self.rule = pmui.Select(label="Threshold", options=rules, value="f1", width=180)
        self.number = pmui.FloatInput(
            label="Number", value=0.5, start=0, end=1, step=0.05, width=130
        )
        self.smooth = pmui.Select(label="Smoothing (cells across)", options=[1, 3, 5, 7], width=200)
        self.least = pmui.FloatInput(label="Least area (m2)", value=0, start=0, step=100, width=160)
        self.join = pmui.FloatInput(label="Join within (m)", value=0, start=0, step=10, width=150)
        self.simple = pmui.FloatInput(label="Simplify by (m)", value=0, start=0, step=5, width=150)
        self.masks = pmui.TextInput(
            label="Masks, with ;", placeholder="land_cover=Built-up+Water@30; roads.gpkg@20",
            width=330,
        )  # fmt: skip
        self.detect = pmui.Button(label="Make polygons", color="primary")
        self.detect.on_click(lambda _: self.guard(self.make))
        self.seen = pn.Column(**self.wide)
        self.name = pmui.TextInput(label="Name of the new study area", width=260)
        self.send = pmui.Button(label="Make a study area of what is accepted", color="primary")
        self.send.on_click(lambda _: self.guard(self.adopt))
        self.save = pmui.Button(label="Save as GeoPackage", variant="outlined")
        self.save.on_click(lambda _: self.guard(self.keep))
        self.saved = pn.Column(**self.wide)
        self.rest = pn.Column(
            heading("Make it an inventory"),
            pn.FlexBox(
                self.save, self.name, self.send, align_items="center", gap="10px", **self.wide
            ),
            self.saved, visible=False, **self.wide,
        )  # fmt: skip
        row = pn.FlexBox(
            self.rule, self.number, self.smooth, self.least, self.join, self.simple, self.masks,
            self.detect, align_items="center", gap="10px", **self.wide,
        )  # fmt: skip
        self.boxes["Polygons"][:] = [row, self.seen, self.rest]
        self.rule.param.watch(
            lambda e: self.number.param.update(visible=e.new == "number"), "value"
        )
        self.number.visible = False

    def make(self) -> None:
        """`lsm detect` into a folder of its own."""
        if self.run is None:
            raise RunError("choose a finished run first")
        folder = new_folder(self.run.id)
        rule = self.rule.value
        words = ["detect", str(self.run.path), "--to", str(folder / DETECTED)]
        words += ["--threshold", str(self.number.value) if rule == "number" else rule]
        words += ["--smooth", str(self.smooth.value), "--min-area", str(self.least.value)]
        words += ["--join", str(self.join.value), "--simplify", str(self.simple.value)]
        for mask in (self.masks.value or "").split(";"):
            words += ["--mask", mask.strip()] if mask.strip() else []
        started = errands.start(
            words, f"polygons of {self.run.title}", f"inventories/{folder.name}"
        )
        self.session.mapping = started.id
        self.session.review = folder.name

    def keep(self) -> None:
        """Write what is accepted, and offer it."""
        path, count = self._open().save()
        name = f"{self.session.review.split('-', 3)[-1][:60]}.gpkg"
        self.saved[:] = [
            note(f"{count} polygons: {escape(str(path))}"),
            pmui.FileDownload(file=str(path), filename=name, label=f"Download {name}"),
        ]

    def adopt(self) -> None:
        """Make a study area of what is accepted, as a process of its own."""
        path, _ = self._open().save()
        run = self.run
        base = run.area["path"] if run else ""
        name = (self.name.value or "").strip()
        words = ["adopt", str(path), "--area", base, "--name", name]
        words += ["--source", f"a review of detections of {run.id}" if run else "a review"]
        started = errands.start(words, f"study area {name}", name)
        self.session.mapping = started.id

    def _open(self) -> ReviewView:
        if self.review is None:
            raise RunError("make polygons first")
        return self.review

    # --------------------------------------------------------------------------- how it stands

    @property
    def run(self) -> Run | None:
        """The run chosen, if it is there."""
        return next((run for run in self.runs if run.id == self.session.detector), None)

    def guard(self, work: Any) -> None:
        """Do it; the core's sentence says what cannot be done."""
        self.wrong.clear()
        try:
            work()
        except LsmError as error:
            self.wrong[:] = [said(error)]
        self.look()

    def polled(self) -> None:
        """`look` within this visitor's page: parts made outside of one ask a CDN for styles."""
        with set_curdoc(self._doc) if self._doc else nullcontext():
            self.look()

    def look(self) -> None:
        """Areas, runs and what is being worked on, as they are now."""
        if self.session.page != "Inventory":
            return
        self._areas()
        before = [run.id for run in self.runs]
        now = self._runs_now()
        if before != [run.id for run in self.runs]:
            self.run_choice.param.update(**now)
        self.show_chips()
        if self.review is None and self.session.review:
            self._chosen_review()
        self._follow()

    def _runs_now(self) -> dict[str, Any]:
        """Names of finished runs and the chosen one, a detector if none is, for the choice.

        A page opens with them: what comes while a browser draws it, the browser misses.
        """
        known = self.runs = [r for r, state in known_runs() if state == "done" and _seen(r)]
        if self.run is None and known:
            self.session.detector = next((r for r in known if r.recipe.by_chips), known[0]).id
        options = {_label(run): run.id for run in known}
        return {"options": options, "value": self.session.detector or None}

    def _areas(self) -> None:
        there = [
            name for name in built_areas() if (area_path(name) / "area.zarr" / "image").is_dir()
        ]
        if list(self.area.options) != there or not len(self.empty):
            self.area.options = there
            if there and self.area.value not in there:
                self.area.value = self.session.area if self.session.area in there else there[0]
            words = "No study area has an image yet: name one where an area is built (Study area, "
            words += "Its image). The sample area (of `lsm demo`) has one:"
            none = [pmui.Alert(object=words, severity="info"), self.sample]
            self.empty[:] = [pn.Spacer(height=1)] if there else none
            self.start.disabled = not there

    def _chosen_run(self) -> None:
        if self.run_choice.value != self.session.detector and self.run is not None:
            self.run_choice.value = self.session.detector
        self.show_chips()

    def _chosen_review(self) -> None:
        """The polygons of the address, once they are there."""
        self.review = None
        self.seen.clear()
        self.rest.visible = False
        try:
            folder = find_folder(self.session.review)
            if self.run is not None and (folder / DETECTED).is_file():
                self.review = ReviewView(folder, _area_of(self.run))
                self.seen[:] = [self.review.view]
                self.rest.visible = True
                day = time.strftime("%m%d")
                self.name.value = self.name.value or f"{self.run.area['name']}_reviewed_{day}"
        except LsmError as error:
            self.seen[:] = [said(error)]

    def _follow(self) -> None:
        """The process that was started last."""
        if not self.session.mapping:
            return
        try:
            if self.errand is None or self.errand.errand.id != self.session.mapping:
                self.errand = ErrandView(errands.find_errand(self.session.mapping))
                self.doing[:] = [self.errand.view]
            if self.errand.look():
                self._chosen_review()
        except LsmError:
            self.session.mapping = ""
            self.doing.clear()

    def _turned(self, name: str) -> None:
        self.session.step = name
        self.show_chips()


def _seen(run: Run) -> bool:
    """Whether a run has a map over an image."""
    image = Path(run.area["path"]) / "area.zarr" / "image"
    return image.is_dir() and (run.path / "susceptibility.tif").is_file()


def _area_of(run: Run) -> xr.Dataset:
    path = run.area_path
    changed = (path / "area.zarr").stat().st_mtime_ns if (path / "area.zarr").is_dir() else 0
    ds = remember(("image of", str(path), changed), lambda: open_area(path))
    if not has_image(ds):
        raise RunError(f"the image of {path.name} has no red, green and blue to look at")
    return ds


def _label(run: Run) -> str:
    time = run.status["created"][:16].replace("T", " ")
    return f"{run.title}, {run.area['name']}, {run.recipe.protocol}, {time} ({run.id})"
