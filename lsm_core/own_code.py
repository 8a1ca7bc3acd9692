"""Models, losses, blocks, factors, splits and figures of one's own: functions in a Python file.

`LSM_OWN` names the file. Recipes, area files and commands call its functions by name like those of
the program (docs/own_models.md, docs/howto/). The names are read without running the file; it
is run when one of its functions is asked for: only who sets LSM_OWN runs it, never who opens a
folder.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsm_core import device
from lsm_core.errors import LsmError, RecipeError

VARIABLE = "LSM_OWN"

# What a function is for is told by the names of its arguments.
KINDS: dict[str, tuple[str, ...]] = {
    "model": ("input_shape", "seed"),
    "factor": ("dem",),
    "split": ("ds", "places", "share", "rng"),
    "figure": ("runs", "look"),
}


def own_file() -> Path | None:
    """The file that LSM_OWN names, or None where it is not set."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().resolve() if named else None


def named(kind: str) -> dict[str, str]:
    """Functions of one's own of a kind by name, each with the first line of its docstring.

    The file is read and not run, so that a list of names loads no network library.

    Raises
    ------
    RecipeError : the file is missing, or no Python.

    >>> named("factor")  # LSM_OWN is not set
    {}
    """
    wanted = set(KINDS[kind])
    return {
        name: (ast.get_docstring(node) or "of your own").splitlines()[0].rstrip(".")
        for name, node in definitions().items()
        if wanted <= set(_arguments(node))
    }


def arguments(name: str) -> tuple[str, ...]:
    """Names of the arguments that a function of one's own takes."""
    return _arguments(definitions()[name])


def definitions() -> dict[str, ast.FunctionDef]:
    """Public functions of the file as they are written, by name; none where LSM_OWN is not set."""
    return _of_file(_parsed)


def call(name: str, kind: str, **given: Any) -> Any:
    """What a function of one's own gives; whatever it raises becomes one line.

    Raises
    ------
    RecipeError : no such function, or it fails; the message says where.
    """
    found = function(name, kind)
    try:
        return found(**given)
    except LsmError:
        raise
    except Exception as error:  # whatever a user's function raises
        line = _line_of(error)
        raise RecipeError(
            f"{name} in {own_file()}{line} fails: {type(error).__name__}: {error}"
        ) from error


def fingerprint() -> str:
    """File name and the first 12 digits of the SHA-256, for what was made with it."""
    path = own_file()
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" if path else ""


def functions() -> dict[str, Callable[..., Any]]:
    """Public functions of one's own by name; those that the file only imports are not among them.

    Raises
    ------
    RecipeError : the file is missing, or running it fails.

    >>> functions()  # LSM_OWN is not set
    {}
    """
    return _of_file(_functions_of)


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


def _of_file(read: Callable[[Path, int], dict[str, Any]]) -> dict[str, Any]:
    """What the file holds, by name; nothing where there is none."""
    path = own_file()
    if path is None:
        return {}
    try:
        return read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RecipeError(f"{VARIABLE} names {path}, which cannot be read: {error}") from error


def _arguments(node: ast.FunctionDef) -> tuple[str, ...]:
    given = node.args
    return tuple(a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs])


def _line_of(error: Exception) -> str:
    """The last line of one's own file that an error came through."""
    path, line, step = str(own_file()), 0, error.__traceback__
    while step is not None:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename == path else line
        step = step.tb_next
    return f", line {line}," if line else ""


@functools.lru_cache(maxsize=8)
def _parsed(path: Path, changed: int) -> dict[str, ast.FunctionDef]:
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, ValueError) as error:
        raise RecipeError(f"{path} fails: {type(error).__name__}: {error}") from error
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in found if not node.name.startswith("_")}


@functools.lru_cache(maxsize=8)
def _functions_of(path: Path, changed: int) -> dict[str, Callable[..., Any]]:
    """Run the file, again only when it has `changed`."""
    name = f"lsm_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{VARIABLE} names {path}: it must be a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    device.set_environment()  # it may load Keras
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
