"""A new run: the recipe in a form, how often it is repeated, where it runs, what it takes."""

import json
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.following import in_words
from lsm_app.ground import built_areas
from lsm_app.layout import note
from lsm_app.recipe_form import RecipeForm
from lsm_app.recipes import RUN, SEARCH, file_of, recipes_here, searches_here
from lsm_app.session import Session, said
from lsm_core import errands, jobs
from lsm_core.errors import LsmError
from lsm_core.own_recipes import keep_recipe
from lsm_core.recipe import Recipe
from lsm_core.repeats import mark, repeats
from lsm_core.runs import Run, list_runs, runs_folder

MOST_RUNS = 40  # of one click
HELP = (
    "Every setting below comes from the recipe; what you change is marked and kept in the address. "
    "The recipe's own words say what each section is about."
)
NO_AREA = (
    "There is no study area in the workspace yet. Build one under Study area, or take the sample "
    "area: real terrain, simulated landslides, ready in half a minute (`lsm demo` trains three "
    "models on it)."
)
WAITING = "Asking the program how long this takes: it draws the places and tries a few batches …"


class NewRun:
    """The form of a new run for one session; `on_start` is given the runs that were queued."""

    def __init__(self, session: Session, on_start: Callable[[list[Run]], Any]) -> None:
        self.session, self.on_start = session, on_start
        self.asked: errands.Errand | None = None
        self.of: tuple[Any, ...] = ()  # what the forecast was asked for
        self.recipe = pmui.Select(
            label="Start from", options=[], searchable=True, filter_on_search=True, width=300
        )
        self.seeds = pmui.Select(
            label="Repeats with other seeds", options=list(range(1, 21)), value=1, width=200
        )
        self.folds = pmui.Select(
            label="Folds, each tested once", options=list(range(1, 11)), value=1, width=200
        )
        self.device = pmui.Select(label="Runs on", options=_devices(), width=270)
        self.start = pmui.Button(label="Start", variant="contained", icon="play_arrow")
        self.ask = pmui.Button(label="How long will it take?", variant="outlined")
        self.back = pmui.Button(label="Undo all changes", variant="text")
        self.name = pmui.TextInput(label="Keep as recipe, under the name", width=290)
        self.keep = pmui.Button(label="Keep", variant="outlined", description="in the workspace")
        self.words = pn.Column(sizing_mode="stretch_width")
        self.told = pn.Column(sizing_mode="stretch_width")
        self.empty = pn.Column(sizing_mode="stretch_width")
        self.command = note("")
        self.form = RecipeForm(session, self._changed)
        self.start.on_click(self.begin)
        self.ask.on_click(self.forecast)
        self.back.on_click(self.form.forget)
        self.keep.on_click(self.keep_it)
        self.recipe.param.watch(self._choose, "value")
        session.param.watch(lambda _: self.look(), "recipe")
        row = {"sizing_mode": "stretch_width", "gap": "8px", "align_items": "center"}
        self.form.between[:] = [
            pn.FlexBox(self.start, self.ask, self.back, self.name, self.keep, **row),
            self.told,
            self.words,
            self.command,
        ]
        self.view = pn.Column(
            self.empty,
            note(HELP),
            pn.FlexBox(self.recipe, self.device, self.seeds, self.folds, **row),
            self.form.view,
            sizing_mode="stretch_width",
        )
        self.look()
        self._changed("")

    def look(self) -> None:
        """Recipes, runs and searches as they are now; the forecast once it is there."""
        names = [*recipes_here()]
        names += [f"{SEARCH}{p.name}" for p in searches_here() if (p / "best.yaml").is_file()]
        names += [f"{RUN}{run.id}" for run in reversed(list_runs()[-15:])]
        now = self.session.recipe
        names += [] if now in names else [now]
        if self.recipe.options != names:
            self.recipe.options = names
        if self.recipe.value != now:
            self.recipe.value = now
        self.hear()
        self._areas()

    def _areas(self) -> None:
        """With no area: what to do, and a button that does it; the fields know a new area."""
        field, there = self.form.fields.get("area"), built_areas()
        if field is not None and list(field.offered or ()) != there:
            field.offered = there
            field.widget.options = field._options()
            if not self.session.area and there:
                self.form.change("area", there[0])
        if there or len(self.empty):
            self.empty[:] = [] if there else self.empty
            return
        button = pmui.Button(label="Build the sample area", variant="contained")
        self.empty[:] = [pmui.Alert(object=NO_AREA, severity="info", margin=(5, 10)), button]
        button.on_click(self._sample)

    def _sample(self, *_: Any) -> None:
        self.empty[1].loading = True
        try:
            errands.start(["sample"], "building the sample area", "sample")
        except LsmError as error:
            self.told[:] = [said(error)]

    def _choose(self, event: Any) -> None:
        if event.new and event.new != self.session.recipe:
            self.session.param.update(recipe=event.new, changes=[])

    def _changed(self, wrong: str) -> None:
        self.start.disabled = self.ask.disabled = bool(wrong)
        if hasattr(self, "form") and self.of and self.of != self._now():
            self.asked, self.of = None, ()  # of other settings than these
            self.words.clear()
        if hasattr(self, "form") and not wrong:
            texts = [f"--set '{text}'" for text in self.form.texts() if not text.startswith("area")]
            recipe = self.session.recipe
            named = recipe if ": " not in recipe else str(_file(recipe))
            on = f" --area {self.session.area}" if self.session.area else ""
            command = " ".join([f"lsm run {named}{on}", *texts])
            self.command.object = f"The same on the command line: {escape(command)}"

    def _now(self) -> tuple[Any, ...]:
        return self.session.recipe, *self.form.texts()

    # ------------------------------------------------------------------------------------ start

    def begin(self, *_: Any) -> None:
        """Queue the runs; what is wrong is said and nothing is started."""
        self.start.loading = True
        try:
            wanted = self.wanted()
            jobs.check_room(runs_folder(), len(wanted))
            made = [
                jobs.start(recipe, runs_folder(), mark=name, on=self.device.value)
                for recipe, name in wanted
            ]
        except LsmError as error:
            self.told[:] = [said(error)]
            return
        finally:
            self.start.loading = False
        self.told.clear()
        self.on_start(made)

    def wanted(self) -> list[tuple[Recipe, str]]:
        """The recipes to run, each with what tells it from the others. Errors: RecipeError."""
        recipe = self.form.recipe()
        seeds, folds = self.seeds.value or 1, self.folds.value or 1
        if seeds * folds > MOST_RUNS:
            seeds = max(1, MOST_RUNS // folds)
            self.seeds.value = seeds
        found = repeats(recipe, seeds, folds if folds > 1 else None)
        return [(made, mark(made) if len(found) > 1 else "") for made in found]

    def keep_it(self, *_: Any) -> None:
        """Write the form as a recipe of the workspace, and go on from it."""
        try:
            self.form.recipe()  # what could not run is not kept
            chosen = {k: v for k, v in self.form.changes.items() if k != "area"}
            recipe, path = keep_recipe(self.name.value.strip(), _file(self.session.recipe), chosen)
        except LsmError as error:
            self.told[:] = [said(error)]
            return
        self.told[:] = [
            pmui.Alert(object=f"Kept: {escape(str(path))}", severity="success", margin=(5, 10))
        ]
        self.session.param.update(recipe=f"mine: {recipe.name}", changes=[])

    # --------------------------------------------------------------------------------- forecast

    def forecast(self, *_: Any) -> None:
        """Ask the program, in a process of its own, how long the recipe takes and what it needs."""
        try:
            wanted = self.form.recipe()
            arguments = ["doctor", "--recipe", str(_file(self.session.recipe)), "--json"]
            arguments += ["--area", str(wanted.area)] if wanted.area else []
            for text in self.form.texts():
                arguments += ["--set", text]
            self.asked, self.of = errands.start(arguments, "forecast"), self._now()
        except LsmError as error:
            self.words[:] = [said(error)]
            return
        self.words[:] = [pmui.Alert(object=WAITING, severity="info", margin=(5, 10))]

    def hear(self) -> None:
        """Show the forecast once it is there, and who is ahead in the queue."""
        if self.asked is None or self.asked.state == "running":
            return
        asked, self.asked = self.asked, None
        words, severity = f"No forecast: {asked.error}", "warning"
        if asked.state == "done":
            found = json.loads("\n".join(asked.lines))["expected"]
            words, severity = " ".join(line["words"] for line in found), "info"
        ahead = [run for run in jobs.queue() if jobs.device_of(run) in (None, self.device.value)]
        line = f" {len(ahead)} ahead in the queue." if ahead else " Nobody is ahead in the queue."
        took = f" (asked for {in_words(asked.seconds)})"
        self.words[:] = [pmui.Alert(object=escape(words + line + took), severity=severity)]


def _devices() -> dict[str, str]:
    """What a run can be started on, by words for people."""
    return {jobs.device_in_words(name): name for name in jobs.devices()}


def _file(name: str) -> Any:
    return file_of(name)
