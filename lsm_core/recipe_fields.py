"""The settings of a recipe, listed from its schema: meaning, kind, default and what is allowed.

A form, or a page of documentation, is made from this list, so that a new setting of a section
appears there by itself.
"""

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic.fields import FieldInfo

from lsm_core.recipe import Recipe
from lsm_core.sections import Section

Kind = Literal["truth", "whole", "number", "choice", "text", "names", "section", "free"]
KINDS: dict[Any, Kind] = {bool: "truth", int: "whole", float: "number", str: "text"}


class Setting(NamedTuple):
    """One setting, by its dotted key.

    `kind`: truth (yes or no), whole and number, choice (of `choices`), text, names (a tuple of
    texts), section (the settings below it are used or not), free (anything YAML can say). `empty`
    says that it may be null. `low` and `high` are limits with whether they belong to the range.
    """

    key: str
    kind: Kind
    default: Any
    meaning: str
    empty: bool = False
    choices: tuple[Any, ...] = ()
    low: tuple[float, bool] | None = None
    high: tuple[float, bool] | None = None

    @property
    def name(self) -> str:
        return self.key.rsplit(".", 1)[-1]

    @property
    def allowed(self) -> str:
        """What it takes, in words.

        >>> Setting("split.test", "number", 0.3, "", low=(0, False), high=(1, False)).allowed
        'above 0, below 1'
        >>> Setting("a.b", "choice", "x", "", choices=("x", "y"), empty=True).allowed
        'x or y, or null'
        """
        said = [] if self.kind != "choice" else [" or ".join(map(str, self.choices))]
        for limit, closed, open_ in ((self.low, "from", "above"), (self.high, "to", "below")):
            if limit is not None:
                said.append(f"{closed if limit[1] else open_} {limit[0]:.12g}")
        plain = {"whole": "a whole number", "number": "a number", "names": "names"}
        said = said or [plain.get(self.kind, "")]
        return ", ".join(word for word in (*said, "or null" if self.empty else "") if word)


def settings(section: type[Section] = Recipe, above: str = "") -> list[Setting]:
    """All settings of a section and of those below it, in their order.

    Settings below a section that may be null follow it; whoever sets one of them sets the section.

    >>> {s.key: s.allowed for s in settings() if s.key.startswith("samples.heatmap.")}
    {'samples.heatmap.diameter': 'above 0', 'samples.heatmap.per_interval': 'above 0', ...}
    """
    return list(_settings(section, above))


def words_of(section: str) -> str:
    """What the docstring of a section of the recipe says; of "" the recipe's own.

    >>> words_of("samples.heatmap").split(":")[0]
    'Gaussian heatmap samples'
    """
    found: type[Section] = Recipe
    for name in section.split(".") if section else ():
        found = _section_in(found.model_fields[name].annotation) or found
    return inspect.cleandoc(found.__doc__ or "")


def kind_of(annotation: Any) -> tuple[Kind, bool, tuple[Any, ...]]:
    """Kind of what a type allows, whether it may be None, and its choices.

    >>> kind_of(int | None), kind_of(Literal["adam", "sgd"])
    (('whole', True, ()), ('choice', False, ('adam', 'sgd')))
    >>> kind_of(str | float), kind_of(tuple[str, ...])
    (('free', False, ()), ('names', False, ()))
    """
    parts = [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = list(typing.get_args(annotation))
    empty = types.NoneType in parts
    parts = [part for part in parts if part is not types.NoneType]
    if len(parts) != 1:
        return "free", empty, ()
    if typing.get_origin(parts[0]) is Literal:
        return "choice", empty, typing.get_args(parts[0])
    if parts[0] == tuple[str, ...]:
        return "names", empty, ()
    return KINDS.get(parts[0], "free"), empty, ()


def _settings(section: type[Section], above: str) -> Iterator[Setting]:
    for name, info in section.model_fields.items():
        key, inner = above + name, _section_in(info.annotation)
        if inner is not None and info.default is not None:
            yield from _settings(inner, f"{key}.")
            continue
        yield _setting(key, info, is_section=inner is not None)
        if inner is not None:
            yield from _settings(inner, f"{key}.")


def _setting(key: str, info: FieldInfo, *, is_section: bool) -> Setting:
    kind, empty, choices = kind_of(info.annotation)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return Setting(
        key=key,
        kind="section" if is_section else kind,
        default=default,
        meaning=info.description or "",
        empty=empty,
        choices=choices,
        low=_limit(info, open_="gt", closed="ge"),
        high=_limit(info, open_="lt", closed="le"),
    )


def _limit(info: FieldInfo, open_: str, closed: str) -> tuple[float, bool] | None:
    """A limit that a setting's schema states, and whether it belongs to the range."""
    for mark in info.metadata:
        for name in (open_, closed):
            if getattr(mark, name, None) is not None:
                return float(getattr(mark, name)), name == closed
    return None


def _section_in(annotation: Any) -> type[Section] | None:
    """The section that a setting holds or may hold; sections among other things are free text."""
    parts = typing.get_args(annotation) or (annotation,)
    parts = tuple(part for part in parts if part is not types.NoneType)
    if len(parts) == 1 and isinstance(parts[0], type) and issubclass(parts[0], Section):
        return parts[0]
    return None
