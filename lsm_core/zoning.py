"""Zones of a susceptibility map, and how many of the landslides each one holds.

Natural breaks and quantiles close on the right, as their methods define them; equal intervals,
target shares and limits given by hand on the left. The outermost limits belong to their zones in
all. Limits are found once, on one map, and hold for every other map they are applied to.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import jenkspy
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.counting import same_shape, tally
from lsm_core.density import (
    LEVEL_COLOURS,
    LEVELS,
    density_table,
    level_colours,
    level_names,
    reasonableness,
)
from lsm_core.errors import RecipeError, SampleError

__all__ = [
    "LEVELS",
    "LEVEL_COLOURS",
    "METHODS",
    "SAMPLE",
    "Limits",
    "Side",
    "density_table",
    "equal_breaks",
    "find_limits",
    "level_colours",
    "level_names",
    "natural_breaks",
    "quantile_breaks",
    "reasonableness",
    "target_breaks",
    "zone",
]

# Exact breaks take time with the square of the number of values: 0.4 s for these on one core.
SAMPLE = 10_000
METHODS = ("natural", "equal", "quantile", "target", "manual")
Side = Literal["right", "left"]


@dataclass(frozen=True)
class Limits:
    """The limits of a map's zones, and how they were found: what a run stores and applies again."""

    method: str
    breaks: tuple[float, ...]  # k + 1
    closed: Side

    @property
    def k(self) -> int:
        return len(self.breaks) - 1

    def zone(self, map: Any) -> Any:
        """Zones of this or any other map by these limits."""
        return zone(map, self.breaks, self.closed)

    def to_json(self) -> dict[str, Any]:
        """As plain values; `from_json` gives the same limits back."""
        return asdict(self)

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> "Limits":
        return cls(text["method"], tuple(text["breaks"]), text["closed"])


def find_limits(
    method: str,
    values: xr.DataArray | ArrayLike,
    k: int,
    *,
    rng: np.random.Generator,
    landslide: ArrayLike | None = None,
    shares: Sequence[float] = (),
    of: Literal["landslides", "area"] = "landslides",
    breaks: Sequence[float] = (),
) -> Limits:
    """Limits by the name of a method: natural, equal, quantile, target or manual.

    `shares`, `of` and `landslide` are for target (see `target_breaks`), `breaks` for manual.

    >>> find_limits("equal", [0.3, 0.9], 5, rng=np.random.default_rng(1)).breaks[1]
    0.2
    """
    if method not in METHODS:
        raise RecipeError(f"zoning method {method!r} is not one of {', '.join(METHODS)}")
    side: Side = "right" if method in ("natural", "quantile") else "left"
    if method == "natural":
        found = natural_breaks(values, k, rng=rng)
    elif method == "equal":
        found = equal_breaks(values, k)
    elif method == "quantile":
        found = quantile_breaks(values, k)
    elif method == "target":
        found = target_breaks(values, landslide, shares, of=of)
    else:
        found = np.asarray(breaks, dtype=np.float64)
    return Limits(method, tuple(found.tolist()), side)


def natural_breaks(
    values: xr.DataArray | ArrayLike, k: int, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Limits of k zones with the least squared deviation inside them (Jenks, Fisher).

    Exact, in float64, on all values where there are at most 10,000, else on so many drawn at
    random; the outermost limits are always the least and the greatest of all values.

    Parameters
    ----------
    values : any shape; NaN is left out. k : number of zones. rng : used for the draw.

    Returns
    -------
    k + 1 limits, each one of the values; zone i holds (limit i - 1, limit i], the first zone its
    lower limit too. The first two are equal where the least value is a zone by itself.

    Raises
    ------
    SampleError : fewer than k different values. RecipeError : k below 2.

    >>> natural_breaks([1, 2, 9, 10, 20, 21], 3, rng=np.random.default_rng(1))
    array([ 1.,  2., 10., 21.])
    """
    every = _finite(values, k)
    some = every if every.size <= SAMPLE else rng.choice(every, SAMPLE, replace=False)
    some = np.sort(some)
    # Sums of squares lose digits far from zero, so the values are centred, and the limits found
    # among them are read off the values as they were.
    centred = some - some.mean()
    different = int(np.count_nonzero(np.diff(centred))) + 1
    if different < k:
        raise SampleError(
            f"{k} zones need as many different values, but the map has {different}: "
            "choose fewer zones, or look why the model's scores are so few"
        )
    found = np.searchsorted(centred, jenkspy.jenks_breaks(centred, k)[1:-1], side="right") - 1
    return np.concatenate([[every.min()], some[found], [every.max()]])


def equal_breaks(
    values: xr.DataArray | ArrayLike, k: int, *, limits: tuple[float, float] | None = (0, 1)
) -> NDArray[np.float64]:
    """Limits of k equally wide zones: with five, the 0.2 intervals of a susceptibility index.

    Parameters
    ----------
    values : any shape; NaN is left out.
    limits : the outermost limits; None takes the least and the greatest of the values.

    Raises
    ------
    SampleError : values outside the limits, or with None fewer than two different values.

    >>> equal_breaks([0.3, 0.9], 5)
    array([0. , 0.2, 0.4, 0.6, 0.8, 1. ])
    """
    every = _finite(values, k)
    low, high = every.min(), every.max()
    if limits is not None:
        if low < limits[0] or high > limits[1]:
            raise SampleError(
                f"values from {low:g} to {high:g} leave the limits {limits[0]:g} to {limits[1]:g}: "
                "give limits that hold them, or limits=None"
            )
        low, high = limits
    if not low < high:
        raise SampleError(f"all values are {low:g}: there is nothing to divide into zones")
    # i / k is the nearest number to 0.6 there is; adding up steps of 0.2 gives one above it.
    return low + (high - low) * (np.arange(k + 1) / k)


def quantile_breaks(values: xr.DataArray | ArrayLike, k: int) -> NDArray[np.float64]:
    """Limits of k zones with equally many cells.

    NaN is left out. Where a value is so frequent that limits fall on one another they are merged,
    and there are fewer zones.

    Raises
    ------
    SampleError : fewer than two different values. RecipeError : k below 2.

    >>> quantile_breaks(np.arange(11), 5)
    array([ 0.,  2.,  4.,  6.,  8., 10.])
    """
    breaks = np.unique(np.quantile(_finite(values, k), np.arange(k + 1) / k))
    if breaks.size < 2:
        raise SampleError(f"all values are {breaks[0]:g}: there is nothing to divide into zones")
    return breaks


def target_breaks(
    values: xr.DataArray | ArrayLike,
    landslide: ArrayLike | None,
    shares: Sequence[float],
    *,
    of: Literal["landslides", "area"] = "landslides",
) -> NDArray[np.float64]:
    """Limits such that each zone holds a wanted share of the landslides, or of the area.

    From the highest values down, each limit is the highest at which the zones above hold at least
    their shares together; so with many ties a zone holds more than it was to.

    Parameters
    ----------
    values : any shape, NaN outside the area. landslide : the same shape, 0 and 1 or counts, of
        training and validation landslides; unused for the area. shares : of each zone, lowest
        first; they add up to 1.

    Returns
    -------
    k + 1 limits, to be closed on the left.

    Raises
    ------
    RecipeError : shares that are not above 0 or do not add up to 1.
    SampleError : no landslide, or so many ties that two limits fall on one another.

    >>> target_breaks([0.1, 0.2, 0.3, 0.9], [0, 1, 0, 1], [0.5, 0.5])
    array([0.1, 0.9, 0.9])
    """
    if len(shares) < 2 or min(shares) <= 0 or not np.isclose(sum(shares), 1):
        raise RecipeError(f"shares of zones are above 0 and add up to 1, got {tuple(shares)}")
    every = _finite(values, len(shares))
    if of == "area":
        slides = np.ones(every.size, dtype=np.int64)
    else:
        s, n = same_shape(values, np.zeros(0) if landslide is None else landslide, "landslide")
        slides = n[np.isfinite(s)]
    if not slides.sum() > 0:
        raise SampleError("no training landslide lies on the map: target shares need some")
    count = tally(slides, every)
    held = count.hits / count.hits[-1]
    wanted = np.cumsum(np.asarray(shares, dtype=np.float64)[::-1])[:-1]
    at = np.searchsorted(held, wanted * (1 - 1e-12))
    breaks = np.concatenate([[every.min()], count.threshold[at][::-1], [every.max()]])
    if (np.diff(breaks)[1:-1] <= 0).any():
        raise SampleError(
            "limits fall on one another, for many cells have one and the same value: ask for "
            f"fewer zones than {len(shares)}, or larger shares"
        )
    return breaks


def zone(
    map: xr.DataArray | ArrayLike,
    breaks: ArrayLike,
    closed: Literal["right", "left"] = "right",
) -> Any:
    """Number of every cell's zone, from 1 (lowest values) to k; 0 where the map is NaN.

    Parameters
    ----------
    map : any shape. breaks : k + 1 rising limits; an outermost one may equal its neighbour.
    closed : the end at which an inner limit belongs to a zone: "right" for natural breaks, "left"
        for equal intervals.

    Returns
    -------
    uint8 of the same shape (a DataArray where one was given). Values beyond the outermost limits
    belong to the outermost zones. Limits are taken in the map's own precision.

    Raises
    ------
    RecipeError : limits that do not rise, more than 255 zones, or another word for `closed`.

    >>> zone([0.1, 0.2, 0.9, np.nan], [0, 0.2, 1]), zone([0.2], [0, 0.2, 1], closed="left")
    (array([1, 1, 2, 0], dtype=uint8), array([2], dtype=uint8))
    """
    if closed not in ("right", "left"):
        raise RecipeError(f"closed={closed!r} is neither 'right' nor 'left'")
    limits = np.asarray(breaks, dtype=np.float64)
    steps = np.diff(limits)
    if not 2 <= limits.size <= 256 or not ((steps >= 0).all() and (steps[1:-1] > 0).all()):
        raise RecipeError(f"zones need 2 to 256 rising limits, got {limits.tolist()}")
    values = np.asarray(map)
    inner = limits[1:-1].astype(values.dtype if values.dtype.kind == "f" else np.float64)
    side: Literal["left", "right"] = "left" if closed == "right" else "right"
    zones = (np.searchsorted(inner, values, side=side) + 1).astype(np.uint8)
    zones = np.where(np.isnan(values), np.uint8(0), zones)
    if not isinstance(map, xr.DataArray):
        return zones
    attrs = {"long_name": "susceptibility zone", "units": "1", "nodata": 0}
    return map.copy(data=zones).assign_attrs(attrs, breaks=limits.tolist())


def _finite(values: xr.DataArray | ArrayLike, k: int) -> NDArray[np.float64]:
    if k < 2:
        raise RecipeError(f"{k} zones were asked for: two are the least")
    every = np.asarray(values, dtype=np.float64).ravel()
    every = every[np.isfinite(every)]
    if not every.size:
        raise SampleError("the map has no values: every cell is nodata")
    return every
