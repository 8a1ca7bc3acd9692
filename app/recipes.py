"""Where the settings of a form come from: packaged recipes, the workspace's own, runs, searches."""

from pathlib import Path
from typing import Any

from lsm_core.catalog import did_you_mean, shipped
from lsm_core.errors import RecipeError
from lsm_core.own_recipes import own_recipes
from lsm_core.recipe import read_settings
from lsm_core.runs import open_run, runs_folder

OWN, RUN, SEARCH = "mine: ", "run: ", "search: "  # before a name, in lists and in the address


def recipes_here() -> dict[str, Path]:
    """Recipe files by what they are called here: the program's, then those of the workspace."""
    ours = {path.stem: path for path in sorted(shipped("recipes").glob("*.yaml"))}
    return ours | {f"{OWN}{name}": path for name, path in own_recipes().items()}


def searches_here() -> list[Path]:
    """Folders of searches, the newest first."""
    found = runs_folder().glob("tune-*/tuning.json")
    return [p.parent for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def file_of(name: str) -> Path:
    """The recipe file that a form starts from, by the name of a recipe, a run or a search.

    Errors: there is none of that name (RecipeError, RunError).
    """
    if name.startswith(RUN):
        return open_run(runs_folder() / _plain(name, RUN)).path / "recipe.json"
    if name.startswith(SEARCH):
        return runs_folder() / _plain(name, SEARCH) / "best.yaml"
    known = recipes_here()
    if name not in known:
        raise RecipeError(f"no recipe {name!r}; {did_you_mean(name, list(known))}")
    return known[name]


def settings_of(name: str) -> dict[str, Any]:
    """The settings that a form starts from; see `file_of`."""
    return read_settings(file_of(name))


def _plain(name: str, before: str) -> str:
    """The name of a folder, and of nothing above it."""
    plain = name.removeprefix(before)
    if Path(plain).name != plain:
        raise RecipeError(f"{plain!r} is not the name of a folder: choose one from the list")
    return plain
