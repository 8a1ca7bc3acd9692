"""The options of the models, read from their builders' signatures; no library is loaded for it.

The source is parsed, not run: a network's options are known without Keras, and those of a builder
of one's own (`own_code`) without running its file.
"""

import ast
import functools
import re
from pathlib import Path
from typing import Any, Literal

from lsm_core import own_code
from lsm_core.errors import RecipeError
from lsm_core.model_cards import MENU
from lsm_core.recipe_fields import Setting, kind_of

NAMES: dict[str, Any] = {
    **{"Literal": Literal, "Any": Any, "str": str, "int": int, "float": float, "bool": bool},
    **{"list": list, "dict": dict, "tuple": tuple},
}
NOT_OPTIONS = ("input_shape", "seed")
# What the program sets itself (`fitting.options_of`).
FOLLOWS = ("scales",)


def options(name: str) -> list[Setting]:
    """The options of a model of the menu or of one's own, as settings `model.options.<name>`.

    The meaning is what the builder's docstring says of it.

    Raises
    ------
    RecipeError : no such model, or a file of one's own that is no Python.

    >>> [s.name for s in options("lsgh_net")], options("lsgh_net")[0].default
    (['scse', 'block', 'dropout'], True)
    """
    builder = _builder(name)
    names, defaults = _arguments(builder)
    text = _parameters(ast.get_docstring(builder) or "")
    return [
        _option(argument, default, _meaning(argument.arg, names, text))
        for argument, default in zip(_nodes(builder), defaults, strict=True)
        if argument.arg not in (*NOT_OPTIONS, *FOLLOWS)
    ]


def own_models() -> dict[str, str]:
    """Builders of one's own by name, each with the first line of its docstring."""
    return own_code.named("model")


def _builder(name: str) -> ast.FunctionDef:
    if name in MENU:
        module, function = MENU[name].builder.split(":")
        return _functions(_file(module))[function]
    found = own_code.own_file()
    if found is None or name not in own_models():
        raise RecipeError(f"no model {name!r}: there are {', '.join((*MENU, *own_models()))}")
    return _functions(found)[name]


def _file(module: str) -> Path:
    return Path(__file__).parent.parent.joinpath(*module.split(".")).with_suffix(".py")


def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except (OSError, SyntaxError) as error:
        raise RecipeError(f"{path} cannot be read as Python: {error}") from error


@functools.lru_cache(maxsize=32)
def _parsed(path: Path, changed: int) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _nodes(builder: ast.FunctionDef) -> list[ast.arg]:
    return [*builder.args.posonlyargs, *builder.args.args, *builder.args.kwonlyargs]


def _arguments(builder: ast.FunctionDef) -> tuple[list[str], list[ast.expr | None]]:
    """Names and default values of all arguments, in order."""
    first = [*builder.args.posonlyargs, *builder.args.args]
    missing = len(first) - len(builder.args.defaults)
    defaults = [*[None] * missing, *builder.args.defaults, *builder.args.kw_defaults]
    return [node.arg for node in _nodes(builder)], defaults


def _option(argument: ast.arg, default: ast.expr | None, meaning: str) -> Setting:
    kind, empty, choices = kind_of(_type(argument.annotation))
    key = f"model.options.{argument.arg}"
    return Setting(key, kind, _value(default), meaning, empty, choices)


def _value(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:  # an expression; the builder knows what it is
        return None


def _type(node: ast.expr | None) -> Any:
    """The type that an annotation names; Any where it is none of the plain ones. It is not run."""
    if node is None:
        return Any
    try:
        return _plain_type(node)
    except (TypeError, KeyError, ValueError, RecursionError):
        return Any  # whatever a file of one's own writes there


def _plain_type(node: ast.expr) -> Any:
    match node:
        case ast.Name(name):
            return NAMES[name]
        case ast.Constant(value):
            return value
        case ast.BinOp(left, ast.BitOr(), right):
            return _plain_type(left) | _plain_type(right)
        case ast.Subscript(of, ast.Tuple(parts)):
            return _plain_type(of)[tuple(map(_plain_type, parts))]
        case ast.Subscript(of, part):
            return _plain_type(of)[_plain_type(part)]
    raise TypeError(ast.unparse(node))


def _parameters(docstring: str) -> str:
    """The lines below `Parameters`, as one."""
    found = re.search(r"Parameters\n-+\n(.*?)(\n\n|\Z)", docstring, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _meaning(name: str, names: list[str], text: str) -> str:
    """What stands between `name :` and the next one."""
    ends = "|".join(map(re.escape, names))
    found = re.search(rf"(?:^|\s){re.escape(name)} : (.*?)(?=\s(?:{ends}) : |$)", text)
    return found[1].rstrip(". ") if found else ""
