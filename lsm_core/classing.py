"""Class limits: published presets, and methods that find limits among the values they are given.

Limits are inner ones and rise; class i holds [limit i - 1, limit i), closed on the left, the first
and the last class are open to the outside. So k classes have k - 1 limits, and a place beyond all
that was seen in training still has a class.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import RecipeError, SampleError
from lsm_core.zoning import SAMPLE, natural_breaks

Limits = tuple[float, ...]

# Inner class limits as published; aspect has the nine classes of `encoding.DIRECTIONS` in both, and
# categories are classes already.
PRESETS: dict[str, dict[str, Limits]] = {
    # LSGH-Net (Remote Sensing 2022, 14, 2866), Table 2, its distances taken for km.
    "lsgh_net": {
        "slope": (10, 20, 30, 35, 40, 45, 50, 55, 60, 65),
        "curvature": (-3.5, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 2.5),
        "ndvi": (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
        "distance_to_roads": tuple(500.0 * i for i in range(1, 13)),
        "distance_to_streams": tuple(100.0 * i for i in range(1, 11)),
    },
    # Multi-scale 3D-CNN (Geomatics, Natural Hazards and Risk 2024, 15, 2383309), Table 2. Where a
    # class ends at 0.120 and the next begins at -0.120 the limits rise only with the second, which
    # is taken; so for 0.178; 6456 is taken for 6.456. Its nine classes of distance to rivers run
    # over a page break, and those of roads are not legible.
    "multiscale_cnn3d": {
        "elevation": (317, 527, 750, 1037),
        "slope": (8.382, 15.680, 23.664, 33.440),
        "plan_curvature": (-0.460, -0.120, 0.137, 0.478),
        "profile_curvature": (-0.569, -0.178, 0.116, 0.507),
        "relief": (45, 80, 120, 176),
        "roughness": (1.054, 1.137, 1.261, 1.509),
        "rainfall": (1000, 1200, 1400, 1600),
        "twi": (3.277, 6.456, 9.542, 12.067),
        "ndvi": (0.500, 0.632, 0.736, 0.816),
        "distance_to_streams": (
            *(603.738, 1297.998, 2012.461, 2747.581),
            *(3520.369, 4374.037, 5331.313, 6468.114),
        ),
    },
}

# The units in which those limits are meant. The papers give none for curvature; their limits fit
# ArcGIS's curvature, which is a hundred times that per metre. That roughness, from 1 to 3.3, is the
# surface's area over that of its plan.
PRESET_UNITS = {
    "slope": "degrees",
    "curvature": "1/100 m",
    "plan_curvature": "1/100 m",
    "profile_curvature": "1/100 m",
    "elevation": "m",
    "relief": "m",
    "roughness": "1",
    "rainfall": "mm/yr",
    "twi": "1",
    "ndvi": "1",
    "distance_to_roads": "m",
    "distance_to_streams": "m",
}


def classify(factor: xr.DataArray | ArrayLike, breaks: ArrayLike) -> Any:
    """Class of every cell: 0 below the first limit, k below the next, and so on.

    Parameters
    ----------
    factor : any shape. breaks : inner limits, rising; class i holds [breaks[i - 1], breaks[i]).

    Returns
    -------
    int16 of the same shape (a DataArray where one was given), -1 where the factor is NaN. Limits
    are taken in the factor's own precision, so that 0.35 as float32 reaches a limit of 0.35.

    Raises
    ------
    RecipeError : limits that do not rise or are not finite.

    >>> classify([5.0, 10.0, 99.0, np.nan], [10, 20])
    array([ 0,  1,  2, -1], dtype=int16)
    """
    limits = rising(breaks, "breaks")
    classes = class_of(np.asarray(factor), limits)
    if not isinstance(factor, xr.DataArray):
        return classes
    attrs = {"kind": "categorical", "units": "1", "nodata": -1, "breaks": list(limits)}
    return factor.copy(data=classes).assign_attrs(attrs)


def find_limits(values: ArrayLike, method: str, k: int) -> tuple[Limits, int]:
    """Inner limits of k classes, found among values by a method of `METHODS`.

    `equal`: equally wide. `quantile`: equally many values. `natural`: least squared deviation
    inside the classes (Jenks 1967, Fisher 1958), exact for up to 10,000 values, else on so many
    evenly taken from the sorted ones. `geometric`: each class wider than the one before by the same
    factor, that factor which makes the counts most alike (least sum of squared counts, the idea of
    ArcGIS's geometrical interval); it may be below 1. `std`: one standard deviation wide, laid
    symmetrically round the mean.

    Parameters
    ----------
    values : any shape, the training places'; what is not finite is left out. k : classes, 2 or
        more.

    Returns
    -------
    Rising limits, and how many of the k - 1 were merged: one that equals another or does not lie
    above the least value (and, with `std`, one above the greatest) would only make an empty class.

    Raises
    ------
    RecipeError : an unknown method, or k below 2. SampleError : no finite value.

    >>> find_limits([0, 1, 2, 3, 4, 5, 6, 10], "equal", 5)
    ((2.0, 4.0, 6.0, 8.0), 0)
    >>> find_limits([0, 1, 2, 3, 4, 5, 6, 10], "quantile", 4)
    ((2.0, 4.0, 6.0), 0)
    """
    if method not in METHODS:
        raise RecipeError(f"no method {method!r} for class limits: there are {', '.join(METHODS)}")
    if k < 2:
        raise RecipeError(f"{k} classes are none to tell apart: give 2 or more")
    every = np.asarray(values)
    every = np.sort(every[np.isfinite(every)], axis=None)
    if not every.size:
        raise SampleError("there is no value to find class limits among")
    found = np.unique(METHODS[method](every, k))
    kept = tuple(float(limit) for limit in found if every[0] < limit <= every[-1])
    return kept, k - 1 - len(kept)


def rising(breaks: ArrayLike, name: str) -> Limits:
    """Limits as they are kept; `name` is for the error (RecipeError) where they do not rise."""
    edges = np.asarray(breaks, dtype=np.float64)
    if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise RecipeError(f"class limits ({name}) must be finite and rise, got {edges.tolist()}")
    return tuple(edges.tolist())


def preset_limits(preset: Mapping[str, Limits], name: str, units: str, called: str) -> Limits:
    """A factor's limits of a preset; RecipeError where the area's units are not the preset's."""
    if units != PRESET_UNITS[name]:
        raise RecipeError(
            f"preset {called} gives limits of {name} in {PRESET_UNITS[name]}, but the area holds "
            f"{units or 'no units'}: give your own in input.classes.{name}, or prepare it in those"
        )
    return rising(preset[name], name)


def class_of(values: NDArray, edges: Limits) -> NDArray[np.int16]:
    """`classify` on a bare array, its limits checked before."""
    precise = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    limits = np.array(edges, dtype=precise)
    classes = np.searchsorted(limits, values, side="right").astype(np.int16)
    classes[np.isnan(values)] = -1
    return classes


# ------------------------------------------------------------------------------------ methods


def _equal(values: NDArray, k: int) -> NDArray:
    low, high = float(values[0]), float(values[-1])
    return low + (high - low) * (np.arange(1, k) / k)


def _quantile(values: NDArray, k: int) -> NDArray:
    """Each limit one of the values."""
    return np.quantile(values, np.arange(1, k) / k, method="higher")


def _natural(values: NDArray, k: int) -> NDArray:
    """The least value of each class but the first: zoning's limits are the greatest of each."""
    at = np.linspace(0, values.size - 1, min(values.size, SAMPLE)).round().astype(int)
    some = values[at]
    different = len(np.unique(some))
    if different < 2:
        return np.array([])
    # Nothing is drawn: no more values are handed over than are taken whole.
    upper = natural_breaks(some, min(k, different), rng=np.random.default_rng(0))[1:-1]
    return values[np.searchsorted(values, upper, side="right")]


def _geometric(values: NDArray, k: int) -> NDArray:
    low, high = float(values[0]), float(values[-1])
    factors = 2.0 ** np.linspace(-3, 3, 1201)
    tried = [_widths(factor, k) * (high - low) + low for factor in factors]
    counts = [
        np.diff(np.searchsorted(values, edges), prepend=0, append=len(values)) for edges in tried
    ]
    uneven = np.array([np.sum(count.astype(float) ** 2) for count in counts])
    nearest_to_equal = np.lexsort((np.abs(np.log(factors)), uneven))
    return tried[nearest_to_equal[0]]


def _widths(factor: float, k: int) -> NDArray:
    """Inner limits between 0 and 1, each class `factor` times as wide as the one before."""
    edges = np.cumsum(factor ** np.arange(k))
    return edges[:-1] / edges[-1]


def _std(values: NDArray, k: int) -> NDArray:
    wide = values.astype(np.float64)
    return wide.mean() + wide.std() * (np.arange(1, k) - k / 2)


METHODS: dict[str, Callable[[NDArray, int], NDArray]] = {
    "equal": _equal,
    "quantile": _quantile,
    "natural": _natural,
    "geometric": _geometric,
    "std": _std,
}
