"""A recipe as a form, made from its schema: every setting with its meaning, range and default.

The form holds the changes to a recipe, as `lsm run RECIPE --set key=value` takes them; they are in
the address, so that a form can be kept and sent.
"""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import yaml
from pydantic import ValidationError

from lsm_app.factor_map import opened
from lsm_app.fields import Field, mistake_in, text_of
from lsm_app.ground import built_areas
from lsm_app.layout import note
from lsm_app.recipes import settings_of
from lsm_app.session import Session, is_name, said
from lsm_core import model_options, own_code
from lsm_core.encoding import chosen_factors
from lsm_core.errors import LsmError, RecipeError
from lsm_core.model_cards import MENU
from lsm_core.plain_yaml import parse_yaml
from lsm_core.recipe import Recipe, make_recipe
from lsm_core.recipe_check import check_recipe, fits_units
from lsm_core.recipe_fields import Setting, settings, words_of
from lsm_core.sections import METHODS
from lsm_core.study_area import area_path, factors, is_units, open_area, workspace

FIRST = ("area", "protocol", "size", "model.name", "seed", "map")  # above the sections
LEFT_OUT = ("name", "title")  # said when a recipe is kept under a name
TITLES = {
    "split": "Split: who is tested",
    "samples": "Samples: places learnt from",
    "chips": "Chips",
    "input": "Input: what the model is shown, window size and scales",
    "selection": "Selection of factors",
    "model": "Model options",
    "training": "Training",
    "transfer": "Transfer from another area",
    "calibration": "Calibration",
    "zoning": "Zones of the map",
    "inventory": "Inventory from a detector",
}
NAMES_OF_FACTORS = ("input.factors", "selection.always")


class RecipeForm:
    """The form of one session; `recipe()` is what it says, and raises what is wrong with it.

    `on_change` is called after every change, with what is wrong (empty if nothing is).
    """

    def __init__(self, session: Session, on_change: Callable[[str], None] = lambda wrong: None):
        self.session, self.on_change = session, on_change
        self.settings: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}
        self.fields: dict[str, Field] = {}
        self.known = {found.key: found for found in settings()}
        self.first = pn.FlexBox(sizing_mode="stretch_width", gap="4px")
        self.between = pn.Column(sizing_mode="stretch_width")  # for what is to be seen at once
        self.wrong = pn.Column(sizing_mode="stretch_width")
        self.sections = pn.Column(sizing_mode="stretch_width")
        self.view = pn.Column(
            self.first, self.wrong, self.between, self.sections, sizing_mode="stretch_width"
        )
        self._own = False  # the address is being written by this form
        session.param.watch(self._from_address, ["recipe", "changes"])
        self.load()

    # ------------------------------------------------------------------------------- the recipe

    def recipe(self) -> Recipe:
        """What the form says, if it could run. Errors: RecipeError, as the core puts it."""
        made = self._made()
        sound(made)
        return made

    def _made(self) -> Recipe:
        """What the form says, each setting and section sound by itself."""
        for key, value in self.changes.items():
            found = self._option(key)
            if found is not None and (wrong := mistake_in(found, value)):
                raise RecipeError(f"{key}: {wrong}")
        recipe = make_recipe(self.settings, self.texts(), where=str(self.settings.get("name", "")))
        _check_names(recipe)
        return recipe

    def texts(self) -> list[str]:
        """The changes as `--set` takes them; a model before its options, a section before its."""
        order = sorted(self.changes, key=lambda key: (key.count("."), key != "model.name"))
        return [change_text(key, self.changes[key]) for key in order]

    def load(self) -> None:
        """Begin anew from what the session names."""
        try:
            self.settings = settings_of(self.session.recipe)
            self.changes = dict(map(_parsed, self.session.changes))
            if self.settings.get("size", "bench") == self.changes.get("size"):
                del self.changes["size"]
            if self.session.area and "area" not in self.changes:
                self.changes["area"] = self.session.area
        except LsmError as error:
            self.settings, self.changes = {}, {}
            self.first[:], self.sections[:], self.wrong[:] = [], [], [said(error)]
            self.on_change(str(error))
            return
        self._build()
        self._check()

    def _from_address(self, *_: Any) -> None:
        if not self._own:
            self.load()

    # ------------------------------------------------------------------------------- the fields

    def _build(self) -> None:
        self.fields.clear()
        first = [self._field(self.known[key]).view for key in FIRST]
        names = [name for name in TITLES if name in Recipe.model_fields]
        names += [k for k in Recipe.model_fields if k not in (*names, *FIRST, *LEFT_OUT)]
        boxes = [pn.Column(sizing_mode="stretch_width") for _ in names]
        titles = [TITLES.get(name, name.replace("_", " ").capitalize()) for name in names]
        parts = pmui.Accordion(
            *zip(titles, boxes, strict=True),
            active=[],
            title_variant="subtitle1",
            sizing_mode="stretch_width",
        )

        def fill(*_: Any) -> None:
            for number in parts.active:
                if not len(boxes[number]):
                    boxes[number].extend(self._section(names[number]))
                    self._check()

        parts.param.watch(fill, "active")
        self.parts, self.names = parts, names
        self._show()
        self.first[:], self.sections[:] = first, [parts]

    def _section(self, name: str) -> list[Any]:
        """The fields of a section, below what it is about."""
        own = [s for s in self.known.values() if s.key == name or s.key.startswith(f"{name}.")]
        if name == "model":
            own = self._options()
        shown = [s for s in own if s.key not in FIRST and s.key != "model.options"]
        inner = words_of(name) if "." in name or name not in ("model", "calibration") else ""
        if name == "model":
            inner = self._model_words()
        fields = pn.FlexBox(
            *(self._field(s).view for s in shown), sizing_mode="stretch_width", gap="2px"
        )
        self._show()
        return [*([note(escape(inner).replace("`", ""))] if inner else []), fields]

    def _field(self, found: Setting) -> Field:
        label = found.name.replace("_", " ")
        if found.key.count(".") > 1 and not found.key.startswith("model."):
            label = " ".join(found.key.split(".")[1:]).replace("_", " ")
        if found.key == "model.name":
            label = "model"
        if found.kind == "section":
            label = f"use {label}"
        made = Field(found, self.change, self._offered(found.key), label)
        self.fields[found.key] = made
        return made

    def _offered(self, key: str) -> list[Any] | None:
        """What is chosen from, where more is known than the schema says."""
        if key == "area":
            return built_areas()
        if key == "size":
            return list(self.settings.get("sizes") or [self.settings.get("size", "bench")])
        if key == "model.name":
            return [*MENU, *model_options.own_models()]
        if key == "split.method":
            return [*METHODS, *own_code.named("split")]
        if key in NAMES_OF_FACTORS:
            return self._factors()
        return None

    def _factors(self) -> list[str]:
        area = self.changes.get("area") or self.settings.get("area")
        try:
            return factors(open_area(area_path(area))) if area else []
        except LsmError:  # it is said where the area is chosen
            return []

    def _options(self) -> list[Setting]:
        try:
            return model_options.options(self._model())
        except LsmError:
            return []

    def _option(self, key: str) -> Setting | None:
        if not key.startswith("model.options."):
            return None
        return next((s for s in self._options() if s.key == key), None)

    def _model(self) -> str:
        own = (self.settings.get("model") or {}).get("name", "")
        return str(self.changes.get("model.name", own))

    def _model_words(self) -> str:
        card = MENU.get(self._model())
        if card is None:
            return "A model of your own."
        return f"{card.title}: {card.note}. It takes input of form {' or '.join(card.eats)}."

    # ------------------------------------------------------------------------------ the changes

    def change(self, key: str, value: Any) -> None:
        """Another value for a setting, and what follows from it."""
        if value is None:  # a section that is left out has no settings
            self.changes = {k: v for k, v in self.changes.items() if not k.startswith(f"{key}.")}
        self.changes[key] = value
        if key == "area":
            self._told({"area": value or ""})
            self._renew("input")
        if key == "size" and value == self.settings.get("size", "bench"):
            del self.changes["size"]
        if key == "model.name":
            self._other_model(str(value))
        self._check()

    def _other_model(self, name: str) -> None:
        """Options are those of the model; its input is one that it takes."""
        self.changes = {k: v for k, v in self.changes.items() if not k.startswith("model.options")}
        if name == (self.settings.get("model") or {}).get("name"):
            for key in ("model.name", "input.form", "samples.heatmap"):
                self.changes.pop(key, None)
        else:
            self.changes["model.options"] = {}
        card = MENU.get(name)
        form = (self.settings.get("input") or {}).get("form", "table")
        if card and self.changes.get("input.form", form) not in card.eats:
            self.changes["input.form"] = card.eats[0]
            sizes = (self.settings.get("input") or {}).get("sizes")
            if sizes and card.eats[0] != "window":
                self.changes |= {"input.sizes": [], "input.combine": "channels"}
        self._renew("model")

    def _renew(self, name: str) -> None:
        """Build a section's fields anew, where they have been looked at."""
        box = self.parts[self.names.index(name)]
        if len(box):
            box[:] = self._section(name)

    def forget(self, *_: Any) -> None:
        """Back to the recipe as it is, on the chosen area."""
        self.changes = {k: v for k, v in self.changes.items() if k == "area"}
        for name in self.names:
            self._renew(name)
        self._check()

    def _check(self) -> None:
        """Show what the form now says in every field, or what is wrong beside the right one."""
        try:
            made, recipe = self._made(), self._as_it_is()
        except LsmError as error:
            self._show_fault(error)
            return
        before = recipe.model_dump(mode="json")
        same = [
            k for k, v in self.changes.items() if v == _at(before, k, self._option(k)) and v != {}
        ]
        for key in same:
            if key not in ("area", "size", "model.name", "model.options"):
                del self.changes[key]
        self._show()
        self._told({"changes": [text for text in self.texts() if not text.startswith("area=")]})
        try:
            sound(made)
        except LsmError as error:
            self._show_fault(error)
            return
        self.wrong.clear()
        self.on_change("")

    def _show(self) -> None:
        """Put into the fields what the form says, where that is sound by itself.

        New ones have it before they are put on the page: what comes while a browser draws them,
        the browser misses.
        """
        try:
            now = self._made().model_dump(mode="json")
            before = self._as_it_is().model_dump(mode="json")
        except LsmError:  # it is said beside the field at fault
            return
        before["size"] = self.settings.get("size", "bench")
        for key, field in self.fields.items():
            option = self._option(key)
            field.show(_at(now, key, option), _at(before, key, option))

    def _as_it_is(self) -> Recipe:
        """The recipe without changes, in the chosen size."""
        size = [t for t in self.texts() if t.startswith("size=")]
        return make_recipe(self.settings, size)

    def _show_fault(self, error: LsmError) -> None:
        words = str(error)
        key = self._blamed(error)
        self._open(key or "")
        for name, field in self.fields.items():
            field.fault(words if name == key else "")
        self.wrong[:] = [said(error)]
        self.on_change(words)

    def _open(self, key: str) -> None:
        """Unfold the section that a setting stands in, so that its field is there to be seen."""
        name = key.split(".")[0]
        if name in self.names and key not in FIRST:
            number = self.names.index(name)
            if number not in self.parts.active:
                self.parts.active = [*self.parts.active, number]

    def _blamed(self, error: LsmError) -> str | None:
        """The key of the field that is at fault, by the schema or by the sentence."""
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            place = [str(part) for part in cause.errors()[0]["loc"]]
            for end in range(len(place), 0, -1):
                if ".".join(place[:end]) in self.known:
                    return ".".join(place[:end])
        named = [key for key in (*self.known, *self.fields) if key in str(error)]
        return max(named, key=len) if named else None

    def _told(self, chosen: dict[str, Any]) -> None:
        """Write to the address what the form says."""
        self._own = True
        try:
            self.session.param.update(**chosen)
        finally:
            self._own = False


def sound(recipe: Recipe) -> None:
    """Refuse what could not run, in the core's own sentence; of the area only names are looked at.

    Errors: RecipeError; of an area that cannot be opened AreaError.
    """
    check_recipe(recipe)
    if recipe.area not in built_areas():
        return
    ds = opened(area_path(recipe.area))
    if is_units(ds):
        fits_units(recipe)
    if recipe.transfer is None:  # a factor may have another name where the model comes from
        chosen_factors(ds, recipe.input)


def _check_names(recipe: Recipe) -> None:
    """A visitor trains on what lies in the workspace; paths elsewhere are for the command line."""
    named = {"area": recipe.area}
    named["selection.against"] = recipe.selection and recipe.selection.against
    named["transfer.source"] = recipe.transfer and recipe.transfer.source
    for key, name in named.items():
        inside = name and Path(name).resolve().is_relative_to(workspace().resolve())
        if name and not (inside or is_name(name)):
            raise RecipeError(f"{key}: {name!r} is the name of nothing in this workspace")


def _at(plain: Mapping[str, Any], key: str, option: Setting | None = None) -> Any:
    """The value at a dotted key; of an option that is not set, its default."""
    found: Any = plain
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None if option is None else option.default
        found = found[name]
    return found


def _parsed(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key.strip(), parse_yaml(value)


def change_text(key: str, value: Any) -> str:
    """A change as `--set` takes it.

    >>> change_text("training.patience", None), change_text("samples.negatives", "3")
    ('training.patience=null', "samples.negatives='3'")
    """
    if value is None:
        return f"{key}=null"
    text = yaml.safe_dump(value, width=10**6) if isinstance(value, str) else text_of(value)
    return f"{key}=" + text.removesuffix("\n").removesuffix("\n...")
