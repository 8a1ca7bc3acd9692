"""What a search may change in a recipe: dotted keys, and the values each may take.

In YAML, one line a key:

    training.learning_rate: {log: [1e-4, 1e-2]}
    model.options.dropout: {linear: [0, 0.6]}
    model.options.n_estimators: {integer: [100, 1000]}     # or log_integer
    training.optimizer: {choice: [adam, sgd]}
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from lsm_core import models
from lsm_core.catalog import did_you_mean, shipped
from lsm_core.errors import LsmError, RecipeError
from lsm_core.plain_yaml import read_yaml
from lsm_core.recipe import Recipe, make_recipe

Kind = Literal["linear", "log", "integer", "log_integer", "choice"]
KINDS: tuple[Kind, ...] = ("linear", "log", "integer", "log_integer", "choice")
SEARCHED = ("samples", "input", "selection", "model", "training")  # sections of a recipe
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 reads 1e-4 as a word


class Dimension(NamedTuple):
    """The values of one key: all from the lower to the upper limit, both included; or a choice.

    >>> Dimension("log", (1e-4, 1e-2)).at(0.5)
    0.001
    >>> Dimension("integer", (1, 4)).points, Dimension("choice", ("adam", "sgd")).at(0.6)
    (4, 'sgd')
    """

    kind: Kind
    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at a share of the way, in [0, 1): even shares are values equally likely."""
        if self.kind == "choice":
            return self.values[int(share * len(self.values))]
        low, high = self.values
        if self.kind == "integer":
            return low + int(share * (high - low + 1))
        if self.kind == "linear":
            return low + share * (high - low)
        if self.kind == "log":
            found = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
            return min(max(float(f"{found:.12g}"), low), high)
        low, high = math.log(low - 0.5), math.log(high + 0.5)
        return min(max(round(math.exp(low + share * (high - low))), self.values[0]), self.values[1])

    def holds(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.values
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = not self.kind.endswith("integer") or isinstance(value, int)
        return number and whole and self.values[0] <= value <= self.values[1]

    @property
    def points(self) -> float:
        """How many different values there are."""
        if self.kind == "choice":
            return len(self.values)
        return self.values[1] - self.values[0] + 1 if self.kind.endswith("integer") else math.inf


Space = dict[str, Dimension]


def load_space(name: Path | str) -> Space:
    """A space from a YAML file, or one that comes with the program (`recipes/spaces/<name>.yaml`).

    Raises
    ------
    RecipeError : no such file or name, or a line that is no space.
    """
    path = Path(name)
    if not path.is_file():
        ours = {p.stem: p for p in (shipped("recipes") / "spaces").glob("*.yaml")}
        if str(name) not in ours:
            raise RecipeError(
                f"no file {name}, and no space of that name comes with the program; "
                f"{did_you_mean(str(name), sorted(ours))}"
            )
        path = ours[str(name)]
    return make_space(read_yaml(path, RecipeError), where=path.name)


def space_name(recipe: Recipe) -> str:
    """The space that comes with the program for a recipe's model."""
    card = models.card(recipe.model.name)
    return "classes" if card.eats == ("classes",) else card.name


def make_space(lines: Any, where: str = "space") -> Space:
    """A space from a mapping of dotted keys to `{kind: values}`.

    >>> make_space({"training.learning_rate": {"log": ["1e-4", 0.01]}})
    {'training.learning_rate': Dimension(kind='log', values=(0.0001, 0.01))}

    Raises
    ------
    RecipeError : not such a mapping, an unknown kind, limits that do not rise, one choice only.
    """
    if not isinstance(lines, Mapping) or not lines:
        raise RecipeError(f"{where} holds no mapping of keys to values to search")
    return {str(key): _dimension(line, f"{where}: {key}") for key, line in lines.items()}


def plain_space(space: Space) -> dict[str, dict[str, list[Any]]]:
    """A space as `make_space` reads it, for JSON."""
    return {key: {kind: list(values)} for key, (kind, values) in space.items()}


def _dimension(line: Any, where: str) -> Dimension:
    if not isinstance(line, Mapping) or len(line) != 1:
        raise RecipeError(f"{where} takes one of {', '.join(KINDS)}, such as {{linear: [0, 1]}}")
    kind, values = next(iter(line.items()))
    if kind not in KINDS:
        raise RecipeError(f"{where}: no kind {kind!r}; {did_you_mean(str(kind), list(KINDS))}")
    if not isinstance(values, list):
        raise RecipeError(f"{where}: {kind} takes a list, got {values!r}")
    values = tuple(float(v) if isinstance(v, str) and NUMBER.fullmatch(v) else v for v in values)
    if kind == "choice":
        different = {json.dumps(value) for value in values}
        if len(different) < max(len(values), 2):
            raise RecipeError(f"{where}: choice takes two or more different values, got {values}")
        return Dimension("choice", values)
    return Dimension(kind, _limits(kind, values, where))


def _limits(kind: str, values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    wanted = int if kind.endswith("integer") else int | float
    right = all(isinstance(v, wanted) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not right or not values[0] < values[1]:
        what = "whole numbers" if wanted is int else "numbers"
        raise RecipeError(f"{where}: {kind} takes two {what}, the lower first, got {values}")
    if kind.startswith("log") and values[0] <= 0:
        raise RecipeError(f"{where}: {kind} takes limits above 0, got {values}")
    return values if wanted is int else tuple(float(v) for v in values)


# --------------------------------------------------------------------------- spaces and recipes


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values at some dotted keys.

    Raises
    ------
    RecipeError : a key is no setting, or a value is not allowed there.
    """
    changes = [f"{key}={yaml.safe_dump(value)}" for key, value in values.items()]
    made = make_recipe(recipe.model_dump(mode="json"), changes, where=recipe.name)
    models.check_options(made.model.name, made.model.options)
    return made


def values_of(recipe: Recipe, space: Space) -> dict[str, Any]:
    """What a recipe says at the keys of a space; an option it does not set is None.

    >>> from lsm_core.recipe import make_recipe
    >>> recipe = make_recipe({"name": "rf", "model": {"name": "random_forest"}})
    >>> values_of(recipe, make_space({"training.learning_rate": {"log": [1e-4, 1]}}))
    {'training.learning_rate': 0.001}
    """
    return {key: _value_at(recipe.model_dump(mode="json"), key.split(".")) for key in space}


def _value_at(settings: Any, keys: list[str]) -> Any:
    for key in keys:
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    return settings


def inside(values: Mapping[str, Any], space: Space) -> bool:
    """Whether a space holds these values."""
    return all(dimension.holds(values[key]) for key, dimension in space.items())


def check_space(recipe: Recipe, space: Space) -> None:
    """Every key is a setting of the recipe that may be searched, and takes the values at its ends.

    What decides who is tested or checked (`split`, `seed`, `area`, `protocol`) is no matter of
    choice by score, and what comes after the score (`calibration`, `zoning`) does not change it.

    Raises
    ------
    RecipeError : naming the key, with near names where it is unknown.
    """
    for key, dimension in space.items():
        section = key.split(".")[0]
        if section in Recipe.model_fields and (section not in SEARCHED or "." not in key):
            raise RecipeError(f"{key} is not searched: a space is of {', '.join(SEARCHED)}")
        for value in dimension.values:
            try:
                with_values(recipe, {key: value})
            except LsmError as error:
                raise RecipeError(f"space: {key} at {value!r}: {error}") from error
