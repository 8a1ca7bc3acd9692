"""An encoder: what was learnt of each factor on training places, and what it makes of a place.

It is a value: it goes to JSON and back unchanged. `encoding` makes one, and encodes by it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

DIRECTIONS = ("flat", "N", "NE", "E", "SE", "S", "SW", "W", "NW")

FORMS_OF_CLASSES = ("onehot", "classes")


@dataclass(frozen=True)
class FittedFactor:
    """What was learnt of one factor."""

    name: str
    kind: str
    units: str
    median: float = 0.0  # of training cells; fills gaps. These three are of continuous factors only
    mean: float = 0.0
    std: float = 1.0  # 1 too where all training cells are equal
    edges: tuple[float, ...] = ()  # inner limits of classes, closed on the left
    limits: str = ""  # where they come from: "recipe", "preset lsgh_net", "quantiles", ...
    merged: int = 0  # limits found that fell on another one or outside the values
    codes: tuple[int, ...] = ()  # of the categories, in the legend's order
    names: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        if self.kind == "categorical":
            return len(self.codes)
        return len(DIRECTIONS) if self.kind == "cyclic" else len(self.edges) + 1


@dataclass(frozen=True)
class Encoder:
    """How to turn a study area into what a model eats; made by `fit_encoder`."""

    form: str
    size: int
    codes: str
    factors: tuple[FittedFactor, ...]
    unused: tuple[str, ...] = ()  # factors with limits in the recipe that the area does not have
    sizes: tuple[int, ...] = ()  # windows of several sizes, each resampled to `size` cells
    combine: str = "channels"  # or "samples": how they are put together
    bands: tuple[FittedFactor, ...] = ()  # of the image, and indices made of them
    surroundings: int = 0  # of a table: cells across windows whose mean and spread are columns too

    @property
    def features(self) -> tuple[FittedFactor, ...]:
        """Factors, then bands, in the order of their channels."""
        return (*self.factors, *self.bands)

    @property
    def side(self) -> int:
        """Cells across the model's image: of a one-hot image, room for all factors and classes."""
        if self.form == "onehot":
            return max(self.size, len(self.factors), *(f.classes for f in self.factors))
        return self.size if self.form in ("window", "chip") else 1

    @property
    def scales(self) -> tuple[int, ...]:
        """Cells across each window round a place; none but for windows."""
        return (self.sizes or (self.size,)) if self.form == "window" else ()

    @property
    def across(self) -> int:
        """Cells across what is looked at round a place: the largest window, else 1."""
        return max(1, self.surroundings, *self.scales)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names along the last dimension of what `encode` gives."""
        return tuple(name for f in self.features for name in channels_of(f, self))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample of the model: (side, side, 1), (size, size, channels) or (channels,).

        Of windows of several sizes, all channels of the first, then of the second; with `combine`
        "samples" each size is a sample of its own.
        """
        if self.form == "onehot":
            return (self.side, self.side, 1)
        n = len(self.channels)
        if self.form == "chip":
            return (self.size, self.size, n)
        if self.form != "window":
            return (n,)
        together = len(self.scales) if self.combine == "channels" else 1
        return (self.size, self.size, together * n)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Shape of what is seen of one place: the model's, or (scale, size, size, channels)."""
        apart = (len(self.scales),) if self.combine == "samples" else ()
        return (*apart, *self.input_shape)

    def classes_of(self, name: str) -> tuple[str, ...]:
        """What each class of a factor holds: a category, a direction, or "from to below to"."""
        factor = next(f for f in self.features if f.name == name)
        if factor.kind != "continuous":
            return factor.names if factor.kind == "categorical" else DIRECTIONS
        words = [f"{edge:g}" for edge in factor.edges]
        if not words:
            return ("all",)
        inner = [f"{low} to {high}" for low, high in pairwise(words)]
        return (f"below {words[0]}", *inner, f"{words[-1]} and above")

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dump`; `from_json` gives the same encoder back, bit by bit."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Encoder":
        """The encoder that `to_json` wrote."""
        rest = {k: _tupled(v) for k, v in stored.items() if k not in ("factors", "bands")}
        factors, bands = (_fitted(stored.get(part, ())) for part in ("factors", "bands"))
        return cls(factors=factors, bands=bands, **rest)


def channels_of(factor: FittedFactor, encoder: Encoder) -> tuple[str, ...]:
    """Names of a factor's channels, in their order: its own, then what its surroundings add."""
    own = _own_channels(factor, encoder)
    if not encoder.surroundings or factor.kind == "categorical":
        return own
    return (*own, *(f"{name}_{what}" for what in ("mean", "spread") for name in own))


def _own_channels(factor: FittedFactor, encoder: Encoder) -> tuple[str, ...]:
    if encoder.form in FORMS_OF_CLASSES or factor.kind == "continuous":
        return (factor.name,)
    if factor.kind == "cyclic":
        return (f"{factor.name}_sin", f"{factor.name}_cos")
    if encoder.codes == "scaled":
        return (factor.name,)
    return tuple(f"{factor.name}={name}" for name in factor.names)


def _fitted(stored: Iterable[Mapping[str, Any]]) -> tuple[FittedFactor, ...]:
    return tuple(FittedFactor(**{k: _tupled(v) for k, v in f.items()}) for f in stored)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
