"""Where a page keeps what was chosen: as a recipe of the workspace, which begins with another."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import heading, note
from lsm_app.recipes import OWN, file_of, recipes_here
from lsm_app.session import Session, remember, said
from lsm_core.catalog import shipped
from lsm_core.errors import LsmError, RecipeError
from lsm_core.own_recipes import check_name, keep_recipe, own_recipes, replaced
from lsm_core.recipe import Recipe, load_recipe
from lsm_core.recipe_check import check_recipe

KEEP = (
    "A kept recipe holds every setting: what is chosen on this page, and all else from the recipe "
    "it begins with. The Training page lists it; `lsm run` takes its file. Keep under the same "
    "name on the pages Factors and Sampling, and one recipe holds both."
)


def recipe_path(name: str) -> Path:
    """The file of a recipe by what `session.recipe` calls it; one of places, of cells."""
    if name in recipes_here() and not name.startswith(OWN) and name not in _shipped():
        raise RecipeError(
            f"{name} draws chips, or goes on from another run: choose a recipe of places to begin "
            "with"
        )
    return file_of(name)


def recipes_of_places() -> dict[str, str]:
    """Words to name: recipes whose places are cells, those of the workspace first."""
    own = {f"{name} (kept here)": f"{OWN}{name}" for name in own_recipes()}
    return own | {title: name for name, title in _shipped().items()}


def _shipped() -> dict[str, str]:
    """Name to words of the recipes that come with the program and whose places are cells."""
    return remember(("recipes of places",), _read_shipped)


def _read_shipped() -> dict[str, str]:
    found = {}
    for path in sorted(shipped("recipes").glob("*.yaml")):
        recipe = load_recipe(path)
        if not (recipe.by_chips or recipe.transfer or recipe.inventory):
            found[path.stem] = f"{recipe.title or recipe.name} ({path.stem})"
    return found


class RecipeBox:
    """Which recipe to begin with, under what name to keep it, and the button that does.

    `chosen` gives the page's settings by dotted keys; `session.recipe` is the recipe begun with.
    """

    def __init__(self, session: Session, chosen: Callable[[Recipe], dict[str, Any]]) -> None:
        self.session, self.chosen = session, chosen
        self.base = pmui.Select(label="Recipe to begin with", width=300)
        self.name = pmui.TextInput(label="Keep as", width=200)
        self.button = pmui.Button(label="Keep as a recipe", variant="contained")
        self.words = pn.Column(sizing_mode="stretch_width")
        self.asked = ""  # the recipe that the next press writes over
        self._fill()
        self.base.param.watch(self._begin, "value")
        self.watcher = session.param.watch(self._fill, "recipe")
        self.button.on_click(self.keep)
        row = pn.FlexBox(self.base, self.name, self.button, align_items="center", gap="12px")
        self.view = pn.Column(
            heading("Keep these choices"), row, self.words, note(KEEP), sizing_mode="stretch_width"
        )

    def recipe(self) -> Recipe:
        """The recipe begun with, as it is."""
        return load_recipe(recipe_path(self.session.recipe))

    def keep(self, *_: Any) -> None:
        """Write the recipe; say where it lies, or why not."""
        name = self.name.value.strip()
        another = name in own_recipes() and self.session.recipe != f"{OWN}{name}"
        if another and self.asked != name:
            self.asked = name
            self.words[:] = [_already(name)]
            return
        self.asked = ""
        try:
            check_name(name)
            base, chosen = recipe_path(self.session.recipe), self.chosen(self.recipe())
            check_recipe(replaced(self.recipe(), chosen))
            recipe, path = keep_recipe(name, base, chosen)
        except LsmError as error:
            self.words[:] = [said(error)]
            return
        self.session.recipe = f"{OWN}{recipe.name}"
        self._fill()
        self.words[:] = [_kept(recipe, path)]

    def close(self) -> None:
        """Follow the session no longer."""
        self.session.param.unwatch(self.watcher)

    def _fill(self, *_: Any) -> None:
        """What there is to begin with now; the list never chooses by itself."""
        name, options = self.session.recipe, recipes_of_places()
        chosen = name if name in options.values() else None
        self.base.param.update(options=options, value=chosen)
        plain = name.removeprefix(OWN)
        self.name.value = plain if name.startswith(OWN) else f"my_{plain}"

    def _begin(self, event: Any) -> None:
        if event.new:
            self.session.recipe = event.new


def _already(name: str) -> pmui.Alert:
    words = f"There is a recipe {escape(name)} already, and it is not the one begun with: give "
    words += "another name, or press again to write over it."
    return pmui.Alert(object=words, severity="warning", margin=(5, 10))


def _kept(recipe: Recipe, path: Path) -> pmui.Alert:
    words = f"Kept as **{escape(recipe.name)}** in {escape(str(path))}. "
    words += f"It is under the {recipe.protocol} protocol, model {escape(recipe.model.name)}."
    return pmui.Alert(object=words, severity="success", margin=(5, 10))
