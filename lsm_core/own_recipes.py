"""Recipes of a person's own, `<workspace>/recipes/NAME.yaml`: kept bit by bit, read like any other.

Whoever chooses factors and whoever chooses samples write one recipe: each replaces the settings it
has chosen and leaves the others as they are.
"""

import json
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsm_core.errors import RecipeError
from lsm_core.recipe import Recipe, load_recipe, make_recipe, save_recipe
from lsm_core.workspace import workspace

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


def own_recipes() -> dict[str, Path]:
    """Recipes kept in the workspace, by name."""
    return {path.stem: path for path in sorted((workspace() / "recipes").glob("*.yaml"))}


def replaced(recipe: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """The recipe with some settings replaced: dotted keys and their values, as in `keep_recipe`.

    Raises
    ------
    RecipeError : a setting that does not exist or does not go with the others.
    """
    texts = [f"{key}={json.dumps(value)}" for key, value in chosen.items()]
    name = str(chosen.get("name", recipe.name))
    return make_recipe(recipe.model_dump(mode="json"), texts, where=name)


def check_name(name: str) -> None:
    """Refuse a name that no file of a recipe can have (RecipeError)."""
    if not NAME.fullmatch(name):
        raise RecipeError(
            f"a recipe cannot be called {name!r}: give it small letters, digits, - and _, such as "
            "my_study"
        )


def keep_recipe(name: str, base: Path, chosen: Mapping[str, Any]) -> tuple[Recipe, Path]:
    """Write a recipe of the workspace: that of a file, with some settings replaced.

    Parameters
    ----------
    name : of the recipe and of its file, in small letters; one of this name is replaced whole.
    base : the recipe to begin with; its usual size is taken.
    chosen : dotted keys and their values (`{"samples.negatives": {...}}`); a mapping replaces the
        one that was there, it is not mixed with it. A section that must go is given as None.

    Raises
    ------
    RecipeError : a name that no file can have, a base that is missing, settings that do not go
        together, or a folder that cannot be written.
    """
    check_name(name)
    begun = load_recipe(base)
    own_title = {} if begun.name == name else {"title": name}
    recipe = replaced(begun, {"name": name} | own_title | dict(chosen))
    path = workspace() / "recipes" / f"{name}.yaml"
    part = path.with_name(f".{name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_recipe(recipe, part)
        os.replace(part, path)
    except OSError as error:
        raise RecipeError(f"{path} could not be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return recipe, path
