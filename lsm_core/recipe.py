"""A recipe: everything a person chose for one run, seed and area included.

A recipe is read from YAML, can be changed with `--set key=value`, is refused when it names a
setting that does not exist, and goes to JSON and back unchanged. The keys under `sizes:` hold what
differs between a quick run (`bench`) and the published one (`paper`); `size:` picks one of them.
"""

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lsm_core.errors import RecipeError

Protocol = Literal["honest", "paper"]
Form = Literal["onehot", "window", "table", "classes"]
Method = Literal["quantile", "equal", "natural", "geometric", "std"]


METHODS = (
    *("random", "stratified", "blocks", "clusters", "knndm"),
    *("buffered", "area", "image", "date", "column"),
)
AS_PUBLISHED = ("random", "stratified")  # what the paper protocol knows


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(Section):
    """Who is tested. Without a `method`, `honest` tests whole blocks and `paper` at random.

    Methods: `random`; `stratified` (same shares of a column's values in every part); `blocks`
    (squares); `clusters` (k-means of coordinates); `knndm` (folds as far apart as the map's cells
    are from the landslides); `buffered` (at random, training at least `buffer` metres away);
    `area` (whole areas that a column names); `image` (whole years of the image that shows the
    landslide); `date` (the latest); `column` (a column says it itself). Under `honest` every method
    keeps `apart` cells between training and test. Without `block`, the area's size decides (see
    `holdout.block_metres`). With `folds`, run number `fold` of so many is meant: every landslide is
    tested in one of them.
    """

    method: str | None = None
    seed: int = 1
    test: float = Field(0.3, gt=0, lt=1, description="share of the landslides held out")
    validation: float = Field(0.15, gt=0, lt=1, description="share of the rest, for early stopping")
    block: float | None = Field(None, gt=0, description="side of a block, metres")
    apart: int | None = Field(None, ge=0, description="cells kept between training and test places")
    buffer: float | None = Field(None, ge=0, description="metres kept so, where that is more")
    clusters: int | None = Field(None, ge=2, description="k-means clusters (20, or 4 a fold)")
    column: str | None = Field(None, description="place_<field>, or a categorical factor")
    hold: tuple[str | int | float, ...] = Field((), description="values of the column to test")
    cutoff: float | str | None = Field(None, description="last date that trains (date)")
    folds: int | None = Field(None, ge=2)
    fold: int = Field(1, ge=1)

    @field_validator("cutoff", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value  # as YAML reads 2006-10-08

    @model_validator(mode="after")
    def _makes_sense(self) -> "Split":
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"{self.method!r} is no split.method; {_near(self.method, METHODS)}")
        if self.folds is not None and self.fold > self.folds:
            raise ValueError(
                f"split.fold is {self.fold}, of {self.folds} folds: give 1 to {self.folds}"
            )
        if self.folds is not None and self.method in ("date", "column"):
            raise ValueError(f"split.method {self.method} makes one split: leave split.folds out")
        if self.method in ("area", "column", "date") and self.column is None:
            raise ValueError(
                f"split.method {self.method} needs split.column: the column that says it"
            )
        if self.hold and self.method not in ("area", "image"):
            raise ValueError(
                "split.hold names areas or image years: set split.method to area or image"
            )
        return self


class Heatmap(Section):
    """Gaussian heatmap samples: the middle intervals of [0, 1], as many drawn from each."""

    diameter: float = Field(13, gt=0, description="of a landslide's circle, cells")
    per_interval: float = Field(0.3, gt=0, description="samples per interval and landslide")


class Samples(Section):
    """Negatives: the name of a strategy, or `{strategy: name, option: value}` (see `sampling`)."""

    negatives: str | dict[str, Any] = "random"
    negatives_per_landslide: float = Field(1.0, gt=0)
    units: Literal["all", "sampled"] = Field(
        "all", description="of units: train on all without a landslide, or on so many as above"
    )
    heatmap: Heatmap | None = None


class Breaks(Section):
    """How class limits are found among training cells; `natural` is short for {method: natural}."""

    method: Method
    k: int = Field(10, ge=2, description="classes")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value


class Input(Section):
    """What a model is shown of a place.

    `table`: the cell's values; `onehot`: the cell's classes as a square binary image; `window`: the
    cells around it; `classes`: the numbers of the cell's classes. Factors default to all of the
    area's. Class limits (one-hot and classes) come from `classes` (limits, or a method), else from
    the `preset`, else from the method `breaks`, else from `quantiles` of the training cells.
    """

    form: Form = "table"
    size: int = Field(13, ge=1, description="window, or smallest side of a one-hot image, cells")
    factors: tuple[str, ...] | None = None
    preset: str | None = None
    classes: dict[str, Breaks | tuple[float, ...]] = {}
    breaks: Breaks | None = None
    quantiles: int = Field(10, ge=2)
    codes: Literal["onehot", "scaled"] = "onehot"


class Selection(Section):
    """Which factors a run keeps, decided on its training places, rule by rule in this order.

    A rule that is null is not applied. The limits that papers state: VIF 10, which is tolerance 0.1
    (SSGAN), VIF 4 and p 0.05 (mining landslides); the others are ours (see docs/factors.md).
    """

    pearson: float | None = Field(0.7, gt=0, le=1, description="largest |r| of two factors")
    cramers_v: float | None = Field(0.7, gt=0, le=1, description="largest V of two categories")
    vif: float | None = Field(10, ge=1, description="largest variance inflation; 1 / tolerance")
    p_value: float | None = Field(None, gt=0, lt=1, description="of a regression on it alone")
    importance: float | None = Field(0.0, description="accuracy lost by shuffling: above this")
    against: str | None = Field(None, description="built area to carry the model to, unlabelled")
    divergence: float | None = Field(None, gt=0, description="largest KL divergence from `against`")
    always: tuple[str, ...] = Field((), description="factors that no rule drops")
    trees: int = Field(200, ge=10, description="of the forest that importance is measured in")

    @model_validator(mode="after")
    def _divergence_from_something(self) -> "Selection":
        if self.divergence is not None and self.against is None:
            raise ValueError("selection.divergence needs selection.against: name a built area")
        return self


class Model(Section):
    name: str
    options: dict[str, Any] = {}


class Training(Section):
    epochs: int = Field(200, ge=1)
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    patience: int = Field(50, ge=1, description="epochs without a better validation accuracy")
    loss: Literal["mse", "binary_crossentropy"] = "mse"


class Zoning(Section):
    """How the map is cut into zones.

    Methods: `natural` (Jenks), `equal` (parts of [0, 1]), `quantile` (equally many cells), `target`
    (`shares` of the training and validation landslides, or of the area, lowest zone first, which
    add up to 1), `manual` (`breaks`: all limits, one more than zones). `k` is the number of zones;
    the last two bring their own.
    """

    method: Literal["natural", "equal", "quantile", "target", "manual"] = "natural"
    k: int = Field(5, ge=2, le=9)
    shares: tuple[float, ...] = ()
    of: Literal["landslides", "area"] = "landslides"
    breaks: tuple[float, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _bring_k(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        own = {"target": value.get("shares"), "manual": (value.get("breaks") or [0])[1:]}
        zones = own.get(str(value.get("method")))
        return {"k": len(zones)} | dict(value) if zones else value

    @model_validator(mode="after")
    def _makes_sense(self) -> "Zoning":
        for name, method in (("shares", "target"), ("breaks", "manual")):
            if bool(getattr(self, name)) != (self.method == method):
                raise ValueError(f"zoning.{name} and zoning.method {method} need each other")
        zones = {"target": len(self.shares), "manual": len(self.breaks) - 1}.get(self.method)
        if zones not in (None, self.k):
            raise ValueError(f"zoning.k is {self.k}, but {zones} zones are described: leave k out")
        if self.shares and not (min(self.shares) > 0 and math.isclose(sum(self.shares), 1)):
            raise ValueError(f"zoning.shares must be above 0 and add up to 1, got {self.shares}")
        if any(b <= a for a, b in itertools.pairwise(self.breaks)):
            raise ValueError(f"zoning.breaks must rise, got {self.breaks}")
        return self


class Recipe(Section):
    name: str
    title: str = ""
    area: str | None = None
    protocol: Protocol = "honest"
    size: str = "bench"
    seed: int = 1
    split: Split = Split()
    samples: Samples = Samples()
    input: Input = Input()
    selection: Selection | None = None
    model: Model
    training: Training = Training()
    calibration: Literal["none", "isotonic", "platt"] = "none"
    zoning: Zoning = Zoning()

    @property
    def window(self) -> int:
        """Cells across what a model sees round a place; 1 for a table or a one-hot image."""
        return self.input.size if self.input.form == "window" else 1

    @property
    def reach(self) -> int:
        """Cells a training place must keep from a test place: the window plus the heat's radius."""
        heat = self.samples.heatmap
        return self.window + (math.ceil(heat.diameter / 2) if heat else 0)

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
    path = Path(path)
    if not path.is_file():
        raise RecipeError(
            f"no recipe at {path}: give the path of a YAML file, or a name from recipes/"
        )
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(text, dict):
        raise RecipeError(f"{path} holds {type(text).__name__}, not a mapping of settings")
    return make_recipe(text, changes, where=path.name)


def make_recipe(
    settings: Mapping[str, Any], changes: Iterable[str] = (), where: str = "recipe"
) -> Recipe:
    """A checked recipe from a mapping; the chosen size's settings and then `changes` come on top.

    >>> r = make_recipe({"name": "rf", "model": {"name": "random_forest"}}, ["training.epochs=3"])
    >>> r.training.epochs, r.protocol, r.apart
    (3, 'honest', 1)
    """
    changed = [_parse_change(c) for c in changes]
    plain = {k: v for k, v in settings.items() if k != "sizes"}
    sizes = settings.get("sizes") or {}
    size = dict(changed).get("size", plain.get("size", "bench"))
    if sizes and size not in sizes:
        raise RecipeError(f"{where}: size {size!r} is not one of {', '.join(sizes)}")
    merged = _merge(plain, sizes.get(size, {})) | {"size": size}
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
    return key.strip(), yaml.safe_load(value)


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
        return f"{place} is not a setting; {_near(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    got = f" (got {first['input']!r})" if place else ""
    return f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}{got}"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(known)}"


def _settings_beside(loc: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[Section]] = {
        "split": Split,
        "samples": Samples,
        "heatmap": Heatmap,
        "input": Input,
        "selection": Selection,
        "model": Model,
        "training": Training,
        "zoning": Zoning,
    }
    parents = [sections[str(p)] for p in loc[:-1] if str(p) in sections]
    return list((parents[-1] if parents else Recipe).model_fields)
