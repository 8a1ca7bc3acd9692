"""A recipe: everything a person chose for one run, seed and area included.

A recipe is read from YAML, can be changed with `--set key=value`, is refused when it names a
setting that does not exist, and goes to JSON and back unchanged. The keys under `sizes:` hold what
differs between a quick run (`bench`) and the published one (`paper`); `size:` picks one of them.
The keys under `variants:` hold what a study runs beside the recipe (see `studies`).
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from lsm_core.delineation_settings import FromScores
from lsm_core.errors import RecipeError
from lsm_core.plain_yaml import NotYaml, parse_yaml, read_yaml
from lsm_core.section import LAST_SEED, complaint
from lsm_core.sections import AS_PUBLISHED as AS_PUBLISHED
from lsm_core.sections import METHODS as METHODS
from lsm_core.sections import Breaks as Breaks
from lsm_core.sections import Chips as Chips
from lsm_core.sections import Form as Form
from lsm_core.sections import Heatmap as Heatmap
from lsm_core.sections import Input as Input
from lsm_core.sections import Method as Method
from lsm_core.sections import Model as Model
from lsm_core.sections import Protocol as Protocol
from lsm_core.sections import Samples as Samples
from lsm_core.sections import Section as Section
from lsm_core.sections import Selection as Selection
from lsm_core.sections import Split as Split
from lsm_core.sections import Training as Training
from lsm_core.sections import Transfer as Transfer
from lsm_core.sections import Zoning as Zoning
from lsm_core.sections import near

LONGEST_NAME = 150  # letters; area, protocol and time follow in the name of a run's folder


class Recipe(Section):
    """One run: what is learnt where, from which places, and how it is judged."""

    name: str = Field(description="of the recipe; run folders begin with it")
    title: str = Field("", description="in tables and figures; the name without")
    area: str | None = Field(None, description="built study area")
    protocol: Protocol = Field(
        "honest", description="honest: blocks held out, kept apart; paper: at random, as published"
    )
    size: str = Field(
        "bench", description="of the sizes the recipe has: demo is quick, bench usual, paper full"
    )
    seed: int = Field(
        1,
        ge=0,
        le=LAST_SEED,
        description="of negatives, first weights and order; the split has its own",
    )
    split: Split = Field(Split(), description="who is tested")
    samples: Samples = Field(Samples(), description="places learnt from")
    chips: Chips | None = Field(None, description="places by chips, squares of cells")
    input: Input = Field(Input(), description="what a model is shown of a place")
    selection: Selection | None = Field(None, description="factors chosen on training places")
    model: Model = Field(description="what is trained")
    training: Training = Field(Training(), description="how it is learnt")
    transfer: Transfer | None = Field(None, description="what is taken over from another area")
    calibration: Literal["none", "isotonic", "platt"] = Field(
        "none", description="of scores to probabilities, on validation places"
    )
    zoning: Zoning = Field(Zoning(), description="how the map is cut into zones")
    inventory: FromScores | None = Field(
        None, description="landslides from a detector's scores in place of the mapped ones"
    )
    map: bool = Field(
        True, description="false: judged on its places alone, quicker for repeats and trials"
    )

    @field_validator("name")
    @classmethod
    def _one_folder(cls, value: str) -> str:
        if not value.isprintable() or not 0 < len(value) <= LONGEST_NAME:
            raise ValueError(f"a name has 1 to {LONGEST_NAME} letters on one line")
        if "/" in value or "\\" in value or value.startswith("."):
            raise ValueError("a name has no slash and no leading dot: run folders are called so")
        return value

    @field_validator("area")
    @classmethod
    def _does_not_climb(cls, value: str | None) -> str | None:
        if value is not None and (not value.isprintable() or ".." in Path(value).parts):
            raise ValueError("an area is the name of a built one, on one line and without ..")
        return value

    @property
    def window(self) -> int:
        """Cells across what a model sees round a place; 1 for a one-hot image or a bare table."""
        if self.input.surroundings:
            return self.input.surroundings
        widest = max(self.input.sizes, default=self.input.size)
        return widest if self.input.form in ("window", "chip") else 1

    @property
    def reach(self) -> int:
        """Cells a training place must keep from a test place: the window plus the heat's radius."""
        heat = self.samples.heatmap
        return self.window + (math.ceil(heat.diameter / 2) if heat else 0)

    @property
    def named_code(self) -> tuple[str, ...]:
        """What may name functions of one's own: model, loss, split, options that are words."""
        options = (value for value in self.model.options.values() if isinstance(value, str))
        return (self.model.name, self.training.loss, self.method, *options)

    @property
    def by_chips(self) -> bool:
        """Whether places are chips, or cells of chips."""
        return self.input.form == "chip" or self.chips is not None

    @property
    def chips_or_usual(self) -> Chips:
        return self.chips or Chips()

    @property
    def chip(self) -> int:
        """Cells across a chip."""
        return self.chips_or_usual.size or self.input.size

    @property
    def apart_chips(self) -> int:
        """Cells from the first row, or column, of a training chip to that of a test chip."""
        return max(self.apart, self.chip)

    @property
    def validation_apart_chips(self) -> int:
        """The same from a training chip to a validation chip; 0 where none is asked for."""
        apart = self.split.validation_apart
        return max(apart, self.chip) if apart else 0

    @property
    def method(self) -> str:
        """How it is split: the recipe's own method, or the usual one of its protocol."""
        return self.split.method or ("blocks" if self.protocol == "honest" else "random")

    @property
    def apart(self) -> int:
        """Cells kept between training and test places under the honest protocol."""
        return self.reach if self.split.apart is None else self.split.apart

    @model_validator(mode="after")
    def _apart_is_enough(self) -> "Recipe":
        if self.protocol == "honest" and self.apart < self.reach:
            raise ValueError(
                f"split.apart is {self.apart} cells, but a window of {self.window} and the heat's "
                f"radius need {self.reach}: raise split.apart, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _chips_make_sense(self) -> "Recipe":
        if not self.by_chips:
            return self
        own = self.chips_or_usual.size
        if self.input.form == "chip" and own not in (None, self.input.size):
            raise ValueError("chips.size is input.size where the model takes chips: leave it out")
        if self.input.form != "chip" and own is None:
            raise ValueError(f"give chips.size: the model takes {self.input.form} input")
        if self.method not in ("blocks", "random"):
            raise ValueError(f"chips are split by blocks or at random, not by {self.method}")
        if self.protocol == "honest" and self.method == "random":
            raise ValueError("chips at random are for the paper protocol: set split.method: blocks")
        if self.samples.heatmap:
            raise ValueError("chips have no heatmap samples: leave samples.heatmap out")
        for name in ("smoothing", "cells", "labelled", "unlabelled"):
            if getattr(self.samples, name) != getattr(Samples(), name):
                raise ValueError(f"samples.{name} is of places, not of chips: leave it out")
        if self.split.buffer:
            raise ValueError("chips keep split.apart cells, not split.buffer metres: leave it out")
        if self.selection:
            raise ValueError("factors are chosen at places, not on chips: leave selection out")
        return self

    @model_validator(mode="after")
    def _detected_are_honest(self) -> "Recipe":
        if self.inventory is not None and self.transfer is not None:
            raise ValueError("an inventory of scores and transfer are two runs: leave one out")
        if self.inventory is not None and (self.protocol != "honest" or self.by_chips):
            raise ValueError(
                "an inventory of scores is for the honest protocol and models of places: what a "
                "detector was taught and what is tested must lie apart"
            )
        return self

    @model_validator(mode="after")
    def _published_split(self) -> "Recipe":
        if self.protocol == "paper" and self.method not in AS_PUBLISHED:
            raise ValueError(
                f"split.method {self.method} is for the honest protocol; under paper everything is "
                f"split at random: {' or '.join(AS_PUBLISHED)}, or set protocol to honest"
            )
        return self


def load_recipe(path: Path | str, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a YAML or JSON file.

    Parameters
    ----------
    path : the file.
    changes : texts of the form `key=value`, keys dotted (`training.epochs=20`), values as YAML.

    Raises
    ------
    RecipeError : the file is missing or not a mapping, or a setting is unknown or out of range.
    """
    return make_recipe(read_settings(path), changes, where=Path(path).name)


def read_settings(path: Path | str) -> dict[str, Any]:
    """What a recipe file says, not yet checked.

    Raises
    ------
    RecipeError : the file is missing or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(
            f"no recipe at {path}: give the path of a YAML file, or a name from recipes/"
        )
    text = read_yaml(path, RecipeError)
    if not isinstance(text, dict):
        held = "nothing" if text is None else type(text).__name__
        raise RecipeError(f"{path} holds {held}, not a mapping of settings")
    return text


def make_recipe(
    settings: Mapping[str, Any], changes: Iterable[str] = (), where: str = "recipe"
) -> Recipe:
    """A checked recipe from a mapping; the chosen size's settings and then `changes` come on top.

    >>> r = make_recipe({"name": "rf", "model": {"name": "random_forest"}}, ["training.epochs=3"])
    >>> r.training.epochs, r.protocol, r.apart
    (3, 'honest', 1)
    """
    changed = [_parse_change(c) for c in changes]
    plain = {k: v for k, v in settings.items() if k not in ("sizes", "variants")}
    sizes = settings.get("sizes") or {}
    if not (isinstance(sizes, Mapping) and all(isinstance(s, Mapping) for s in sizes.values())):
        raise RecipeError(f"{where}: sizes is a mapping of names to settings, got {sizes!r:.80}")
    size = dict(changed).get("size", plain.get("size", "bench"))
    if sizes and not (isinstance(size, str) and size in sizes):
        raise RecipeError(f"{where}: size {size!r} is not one of {', '.join(map(str, sizes))}")
    merged = _merge(plain, sizes.get(size, {}) if sizes else {}) | {"size": size}
    for key, value in changed:
        merged = _put(merged, key.split("."), value)
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_in_words(error)}") from error


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe as YAML; `load_recipe` gives the same recipe back."""
    path.write_text(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
    )


def _parse_change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set takes key=value, got {text!r}: for example training.epochs=20")
    try:
        return key.strip(), parse_yaml(value)
    except NotYaml as error:
        raise RecipeError(f"--set {key}: {value[:60]!r} is no value: {error}") from None


def changes_of(settings: Mapping[str, Any], above: str = "") -> list[str]:
    """A mapping of settings as the texts that `--set` takes; an empty mapping changes nothing.

    >>> changes_of({"training": {"epochs": 3, "patience": None}, "samples": {"heatmap": None}})
    ['training.epochs=3', 'training.patience=null', 'samples.heatmap=null']
    """
    found: list[str] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += changes_of(value, f"{above}{key}.")
        else:
            found.append(f"{above}{key}={json.dumps(value, default=str)}")
    return found


def _put(base: Any, keys: list[str], value: Any) -> dict[str, Any]:
    """`base` with `value` at the end of the path of keys, in place of what was there."""
    inner = dict(base) if isinstance(base, Mapping) else {}
    first, *rest = keys
    return inner | {first: _put(inner.get(first), rest, value) if rest else value}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _in_words(error: ValidationError) -> str:
    """The first complaint of a validation, with near names where a key is unknown."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _settings_beside(first["loc"])
        return f"{place} is not a setting; {near(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    return complaint(first, place)


def _settings_beside(loc: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[Section]] = {
        "split": Split,
        "samples": Samples,
        "chips": Chips,
        "heatmap": Heatmap,
        "input": Input,
        "selection": Selection,
        "model": Model,
        "training": Training,
        "transfer": Transfer,
        "zoning": Zoning,
        "inventory": FromScores,
    }
    parents = [sections[str(p)] for p in loc[:-1] if str(p) in sections]
    return list((parents[-1] if parents else Recipe).model_fields)
