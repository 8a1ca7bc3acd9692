"""The sections of a recipe, each checked by itself: what may be chosen, and what it means."""

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lsm_core import own_code
from lsm_core.section import LAST_SEED, MOST_CLASSES, Cells
from lsm_core.section import Section as Section

Protocol = Literal["honest", "paper"]
Form = Literal["onehot", "window", "table", "classes", "chip"]
Method = Literal["quantile", "equal", "natural", "geometric", "std"]

METHODS = (
    *("random", "stratified", "blocks", "clusters", "knndm"),
    *("buffered", "area", "image", "date", "column"),
)
AS_PUBLISHED = ("random", "stratified")  # what the paper protocol knows
CHIP, CHIP_STEP = 128, 16  # cells across a chip: usual, and what sides are multiples of


class Split(Section):
    """Who is tested. Without a `method`, `honest` tests whole blocks and `paper` at random.

    Methods: `random`; `stratified` (same shares of a column's values in every part); `blocks`
    (squares); `clusters` (k-means of coordinates); `knndm` (folds as far apart as the map's cells
    are from the landslides); `buffered` (at random, training at least `buffer` metres away);
    `area` (whole areas that a column names); `image` (whole years of the image that shows the
    landslide); `date` (the latest); `column` (a column says it itself); or the name of a function
    of one's own (`own_code`). Under `honest` every method
    keeps `apart` cells between training and test. Without `block`, the area's size decides (see
    `holdout.block_metres`). With `folds`, run number `fold` of so many is meant: every landslide is
    tested in one of them.
    """

    method: str | None = Field(
        None, description="who is tested, see above; null: the protocol's usual one"
    )
    seed: int = Field(1, ge=0, le=LAST_SEED, description="decides who is tested")
    test: float = Field(0.3, gt=0, lt=1, description="share of the landslides held out")
    validation: float = Field(0.15, gt=0, lt=1, description="share of the rest, for early stopping")
    block: float | None = Field(None, gt=0, description="side of a block, metres")
    apart: int | None = Field(None, ge=0, description="cells kept between training and test places")
    buffer: float | None = Field(None, ge=0, description="metres kept so, where that is more")
    validation_apart: int = Field(
        0, ge=0, description="cells kept between training and validation places, of honest maps"
    )
    clusters: int | None = Field(None, ge=2, description="k-means clusters (20, or 4 a fold)")
    column: str | None = Field(None, description="place_<field>, or a categorical factor")
    hold: tuple[str | int | float, ...] = Field((), description="values of the column to test")
    cutoff: float | str | None = Field(None, description="last date that trains (date)")
    folds: int | None = Field(None, ge=2, description="parts, each of which is tested once")
    fold: int = Field(1, ge=1, description="number of the part that is tested, from 1")

    @field_validator("cutoff", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value  # as YAML reads 2006-10-08

    @model_validator(mode="after")
    def _makes_sense(self, info: ValidationInfo) -> "Split":
        own = self.method is not None and self.method not in METHODS
        if self.method and own and not (info.context or {}).get("stored"):
            known = (*METHODS, *own_code.named("split"))
            if self.method not in known:
                raise ValueError(f"{self.method!r} is no split.method; {near(self.method, known)}")
        if self.folds is not None and self.fold > self.folds:
            raise ValueError(
                f"split.fold is {self.fold}, of {self.folds} folds: give 1 to {self.folds}"
            )
        if self.folds is not None and (self.method in ("date", "column") or own):
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
    """Gaussian heatmap samples: equal intervals of [0, 1], as many places drawn from each taken."""

    diameter: float = Field(13, gt=0, description="of a landslide's circle, cells")
    per_interval: float = Field(0.3, gt=0, description="samples per interval and landslide")
    intervals: int = Field(5, ge=2, le=20, description="equal intervals that [0, 1] is cut into")
    take: tuple[int, ...] = Field((1, 2, 3), description="those drawn from; 0 is the coolest")
    shuffled: bool = Field(False, description="a control: the same heat, dealt to random places")

    @model_validator(mode="after")
    def _intervals_are_there(self) -> "Heatmap":
        if not self.take or not set(self.take) <= set(range(self.intervals)):
            raise ValueError(
                f"samples.heatmap.take is {self.take}: name some of the intervals 0 to "
                f"{self.intervals - 1}"
            )
        if len(set(self.take)) < len(self.take):
            raise ValueError(f"samples.heatmap.take names an interval twice: {self.take}")
        return self


class Samples(Section):
    """Negatives: the name of a strategy, or `{strategy: name, option: value}` (see `sampling`).

    Two controls of the heatmap: `smoothing` s makes the training targets 1 and 0 into 1 - s/2 and
    s/2; `heatmap.shuffled` gives the soft samples' heat to places that know no landslide.
    """

    negatives: str | dict[str, Any] = Field(
        "random", description="strategy that draws places without a landslide"
    )
    negatives_per_landslide: float = Field(1.0, gt=0, description="places drawn so, a landslide")
    cells: int = Field(1, ge=1, description="of each training landslide that are learnt from")
    labelled: int | None = Field(None, ge=4, description="training places with a label; null: all")
    unlabelled: float = Field(0.0, ge=0, description="places without one, per labelled landslide")
    unlabelled_from: Literal["non-landslide", "anywhere"] = Field(
        "non-landslide", description="ground that unlabelled places are drawn from"
    )
    units: Literal["all", "sampled"] = Field(
        "all", description="of units: train on all without a landslide, or on so many as above"
    )
    heatmap: Heatmap | None = Field(None, description="soft samples round landslides")
    smoothing: float = Field(0.0, ge=0, lt=1, description="of training targets, towards 1/2")


class Chips(Section):
    """Places by chips: squares of cells on a lattice, of which whole blocks are tested.

    A model on chips (`input.form: chip`) learns from the chips as they are, any other from cells of
    training chips; both are judged on all cells of the test chips.
    """

    size: int | None = Field(
        None, ge=16, description="cells across; of a model on chips input.size"
    )
    stride: int | None = Field(None, ge=1, description="cells from chip to chip; the size if null")
    empty: float = Field(1.0, ge=0, le=1, description="share kept of training chips without any")
    augment: bool = Field(True, description="turn and mirror training chips at random")


class Breaks(Section):
    """How class limits are found among training cells; `natural` is short for {method: natural}."""

    method: Method = Field(description="how limits are found")
    k: int = Field(10, ge=2, le=MOST_CLASSES, description="classes")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value


class Input(Section):
    """What a model is shown of a place.

    `table`: the cell's values; `onehot`: the cell's classes as a square binary image; `window`: the
    cells around it; `classes`: the numbers of the cell's classes; `chip`: a square of cells, each
    of which gets a score. With `sizes` windows of several
    sizes, each resampled to the smallest, are put together: as `channels` of one sample, or as
    `samples`, of which each is learnt from, and whose scores are averaged. Factors default to all
    of the area's; `bands` of its image, or indices made of them, come after the factors (`[]` and
    bands: the image alone). Class limits (one-hot and classes) come from `classes` (limits, or a
    method), else from the `preset`, else from the method `breaks`, else from `quantiles` of the
    training cells.
    """

    form: Form = Field("table", description="what is shown of a place, see above")
    size: Cells = Field(13, description="window, or smallest side of a one-hot image, cells")
    sizes: tuple[Cells, ...] = Field((), description="of windows at several scales, cells")
    combine: Literal["channels", "samples"] = Field(
        "channels", description="how windows of several sizes are put together"
    )
    factors: tuple[str, ...] | None = Field(None, description="names, in order; null: all")
    left_out: dict[str, str] = Field(
        {}, description="factors somebody decided against, and why; for readers of the recipe"
    )
    bands: tuple[str, ...] = Field((), description="of the area's image, or indices like ndvi")
    preset: str | None = Field(None, description="published class limits, by recipe")
    classes: dict[str, Breaks | tuple[float, ...]] = Field(
        {}, description="by factor: inner limits, or a method"
    )
    breaks: Breaks | None = Field(None, description="method of factors without limits of their own")
    quantiles: int = Field(10, ge=2, le=MOST_CLASSES, description="classes of no other limits")
    codes: Literal["onehot", "scaled"] = Field(
        "onehot", description="categories in windows: a channel each, or one from 0 to 1"
    )
    surroundings: int | None = Field(
        None, ge=2, description="of a table: cells across windows whose mean and spread are added"
    )

    @model_validator(mode="before")
    @classmethod
    def _size_is_the_smallest(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("form") == "chip":
            return {"size": CHIP} | dict(value)
        sizes = value.get("sizes") if isinstance(value, Mapping) else None
        if not sizes or not all(isinstance(size, int) for size in sizes):
            return value
        return {"size": min(sizes)} | dict(value)

    @model_validator(mode="after")
    def _scales_make_sense(self) -> "Input":
        if self.sizes and self.form != "window":
            raise ValueError(f"input.sizes are of windows, not of {self.form}: set input.form")
        both = [name for name in self.left_out if name in (self.factors or ())]
        if both:
            raise ValueError(f"input.left_out says why {both[0]} is out, but input.factors has it")
        if self.surroundings and self.form != "table":
            raise ValueError(f"input.surroundings are columns of a table, not of {self.form}")
        if self.form == "chip" and self.size % CHIP_STEP:
            raise ValueError(f"chips are multiples of {CHIP_STEP} cells across, not {self.size}")
        if self.combine == "samples" and not self.sizes:
            raise ValueError("input.combine samples needs windows of several sizes: input.sizes")
        if self.bands and self.form in ("onehot", "classes"):
            raise ValueError(f"input.bands have no classes: set input.form, now {self.form}")
        if len(set(self.bands)) < len(self.bands):
            raise ValueError(f"input.bands must name each band once, got {self.bands}")
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"input.sizes are different windows, got {self.sizes}")
        if self.sizes and self.size != min(self.sizes):
            raise ValueError(
                f"windows of {self.sizes} are resampled to the smallest, not to {self.size}: "
                "leave input.size out"
            )
        return self


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
    mapping: str | None = Field(None, description="file: which factors and codes are the same")
    divergence: float | None = Field(None, gt=0, description="largest KL divergence from `against`")
    always: tuple[str, ...] = Field((), description="factors that no rule drops")
    trees: int = Field(200, ge=10, description="of the forest that importance is measured in")

    @model_validator(mode="after")
    def _divergence_from_something(self) -> "Selection":
        if self.divergence is not None and self.against is None:
            raise ValueError("selection.divergence needs selection.against: name a built area")
        if self.mapping is not None and self.against is None:
            raise ValueError("selection.mapping needs selection.against: which area is meant?")
        return self


class Model(Section):
    """What is trained, and the options of its builder."""

    name: str = Field(description="of the menu, or a function of your own")
    options: dict[str, Any] = Field({}, description="of the model's builder")


class Training(Section):
    """How it is learnt. Weights `balanced`: landslides count as much as all places without.

    Soft samples, which are neither, count as they are. Validation is not weighted. Without patience
    (null) a network trains all epochs and its last weights are kept, else those of its best epoch.
    """

    epochs: int = Field(200, ge=1, description="times all places are learnt from, at most")
    batch: int = Field(32, ge=1, description="places learnt from at once")
    learning_rate: float = Field(1e-3, gt=0, description="length of a step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="how a step is taken")
    patience: int | None = Field(50, ge=1, description="epochs without a better accuracy; or null")
    loss: str = Field("mse", description="or binary_crossentropy, focal, a function of your own")
    alpha: float = Field(0.5, ge=0, le=1, description="of focal loss: weight of landslides")
    gamma: float = Field(2.0, ge=0, description="of focal loss: how little the easy ones count")
    watch: Literal["accuracy", "loss", "average_precision"] = Field(
        "accuracy", description="what early stopping looks at, on validation places"
    )
    precision: Literal["float32", "mixed_float16"] = Field(
        "float32", description="mixed on a GPU; a processor stays at float32"
    )
    jit: bool = Field(False, description="compile each step by XLA; slower on a processor")
    weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: both classes count the same"
    )


class Transfer(Section):
    """What a run takes over from a run on another area, the source.

    `direct`: the source's model as it is. `self`: it goes on with its own confident answers on the
    target as labels. `inductive`: it is fine-tuned on target labels. `pooled`: a new model of both
    areas' labels; `scratch`: of target labels only. `labels` places of the training and validation
    ground are labelled, a share `check` of them watches; the labels of all others are not looked
    at. Without it, all are (`self`: none). The first `freeze` layers with weights, or all but the
    last -`freeze`, stay as they are; the others learn at `rate` (the training rate).
    """

    source: str | None = Field(None, description="name or folder of a finished run")
    how: Literal["direct", "self", "inductive", "scratch", "pooled"] = Field(
        description="what is taken over, see above"
    )
    labels: int | None = Field(None, ge=0, description="target places with a label; null: all")
    check: float = Field(0.2, gt=0, lt=1, description="share of them for early stopping")
    region: bool = Field(False, description="labels of one region, nearest to a landslide drawn")
    mapping: str | None = Field(None, description="file: which factors and codes are the same")
    freeze: int = Field(0, description="first layers kept; -1: all but the last")
    rate: float | None = Field(None, gt=0, description="of fine-tuning; null: the training rate")
    norms: Literal["still", "learning"] = Field("still", description="batch norm of free layers")
    rounds: int = Field(3, ge=1, description="of self-training")
    confidence: float = Field(0.9, gt=0.5, lt=1, description="of a label the model gives itself")
    share: float = Field(0.1, gt=0, le=0.5, description="of the pool, each class and round at most")
    pool: int = Field(2000, ge=10, description="cells of a map without a label, for self-training")

    @property
    def asks(self) -> int | None:
        """Target labels looked at; None for all."""
        if self.how == "direct":
            return 0
        return self.labels or 0 if self.how == "self" else self.labels

    @property
    def carries(self) -> bool:
        """Whether the source's encoder is used, and its places or its weights."""
        return self.how != "scratch"

    @model_validator(mode="after")
    def _makes_sense(self) -> "Transfer":
        if self.carries and self.source is None:
            raise ValueError(f"transfer.how {self.how} needs transfer.source: name a finished run")
        if self.how == "direct" and self.labels:
            raise ValueError("transfer.how direct takes no labels: leave transfer.labels out")
        wants = self.how not in ("direct", "self") or bool(self.labels)
        if wants and self.asks is not None and self.asks < 4:
            raise ValueError(
                f"transfer.labels is {self.labels}: 4 at least, so that both classes are learnt "
                "from and watched"
            )
        if self.mapping is not None and self.source is None:
            raise ValueError("transfer.mapping needs transfer.source: whose factors are meant?")
        return self


class Zoning(Section):
    """How the map is cut into zones.

    Methods: `natural` (Jenks), `equal` (parts of [0, 1]), `quantile` (equally many cells), `target`
    (`shares` of the training and validation landslides, or of the area, lowest zone first, which
    add up to 1), `manual` (`breaks`: all limits, one more than zones). `k` is the number of zones;
    the last two bring their own.
    """

    method: Literal["natural", "equal", "quantile", "target", "manual"] = Field(
        "natural", description="how limits are found, see above"
    )
    k: int = Field(5, ge=2, le=9, description="zones")
    shares: tuple[float, ...] = Field((), description="of target: a share a zone, lowest first")
    of: Literal["landslides", "area"] = Field("landslides", description="what the shares are of")
    breaks: tuple[float, ...] = Field((), description="of manual: all limits, from 0 to 1")

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


def near(name: str, known: Iterable[str]) -> str:
    """A question with the names that look alike, or all that are known."""
    close = difflib.get_close_matches(name, list(known), n=2)
    return f"did you mean {' or '.join(close)}?" if close else f"known here: {', '.join(known)}"
