"""Networks, losses and blocks of one's own: functions in the Python file that LSM_OWN names.

A recipe calls them by name like those of the program (docs/own_models.md). The file is run when
one of its functions is asked for: only who sets LSM_OWN runs it, never who opens a folder.
"""

import functools
import importlib.util
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsm_core.errors import RecipeError

VARIABLE = "LSM_OWN"


def own_file() -> Path | None:
    """The file that LSM_OWN names, or None where it is not set."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().resolve() if named else None


def functions() -> dict[str, Callable[..., Any]]:
    """Public functions of one's own by name; those that the file only imports are not among them.

    Raises
    ------
    RecipeError : the file is missing, or running it fails.

    >>> functions()  # LSM_OWN is not set
    {}
    """
    path = own_file()
    if path is None:
        return {}
    try:
        return _functions_of(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RecipeError(f"{VARIABLE} names {path}, which cannot be read: {error}") from error


def function(name: str, what: str) -> Callable[..., Any]:
    """One of them. `what` it was asked for, such as "block", stands in the error."""
    known = functions()
    if name not in known:
        there = f"it has {', '.join(known)}" if known else "it has none"
        where = f"in {own_file()}; {there}" if own_file() else f"known: set {VARIABLE} to your file"
        raise RecipeError(f"no {what} {name!r} {where}")
    return known[name]


def used_source(names: Iterable[Any]) -> str | None:
    """The file's text if one of these names is a function of it: a run keeps it. Else None."""
    path = own_file()
    if path is None or not set(names) & set(functions()):
        return None
    return path.read_text("utf-8")


@functools.lru_cache(maxsize=8)
def _functions_of(path: Path, changed: int) -> dict[str, Callable[..., Any]]:
    """Run the file, again only when it has `changed`."""
    name = f"lsm_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{VARIABLE} names {path}: it must be a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except OSError:
        raise
    except Exception as error:  # whatever a user's file raises
        raise RecipeError(f"{path} fails: {type(error).__name__}: {error}") from error
    return {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_")
    }
