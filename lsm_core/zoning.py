"""Zones of a susceptibility map, and how many of the landslides each one holds.

Natural breaks close on the right, as their method defines them; equal intervals on the left. The
outermost limits belong to their zones in both.
"""

from typing import Any, Literal

import jenkspy
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import InventoryError, RecipeError, SampleError

# Exact breaks take time with the square of the number of values: 0.4 s for these on one core.
SAMPLE = 10_000


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


def density_table(
    zones: xr.DataArray | ArrayLike, landslide: xr.DataArray | ArrayLike, *, k: int | None = None
) -> pd.DataFrame:
    """What each zone holds of the area and of the landslides.

    Parameters
    ----------
    zones : 1 to k, 0 outside the area. landslide : the same shape: 0 and 1, or landslides per cell.
    k : number of zones; without it the highest one found. Give it where the top zone may be empty.

    Returns
    -------
    One row a zone, also an empty one: zone, cells, share_of_cells, landslides, share_of_landslides,
    density (landslides per cell, NaN in an empty zone). Landslides outside the area are left out;
    their number is in `table.attrs["left_out"]`.

    Raises
    ------
    InventoryError : no landslide in any zone. SampleError : shapes that differ, zones above k.

    >>> density_table([1, 1, 1, 2], [0, 0, 1, 3])[["zone", "share_of_landslides", "density"]]
       zone  share_of_landslides   density
    0     1                 0.25  0.333333
    1     2                 0.75  3.000000
    """
    z, n = np.asarray(zones), np.asarray(landslide)
    if z.shape != n.shape:
        raise SampleError(f"zones have shape {z.shape}, landslides {n.shape}: they must be alike")
    if not (n >= 0).all():
        raise SampleError("landslide must be 0 or 1, or counts: got negative or missing values")
    highest = int(z.max(initial=0))
    k = highest if k is None else k
    if highest > k:
        raise SampleError(f"there is a zone {highest}, but k is {k}: give the number of zones")
    cells = np.bincount(z.ravel(), minlength=k + 1)
    slides = np.bincount(z.ravel(), weights=n.ravel(), minlength=k + 1)
    if not slides[1:].sum() > 0:
        raise InventoryError(
            f"no landslide lies in the {cells[1:].sum()} cells of the zones: check that map and "
            "inventory cover the same area"
        )
    table = pd.DataFrame(
        {
            "zone": np.arange(1, k + 1),
            "cells": cells[1:],
            "share_of_cells": cells[1:] / cells[1:].sum(),
            "landslides": slides[1:].astype(np.int64),
            "share_of_landslides": slides[1:] / slides[1:].sum(),
        }
    )
    table["density"] = table["landslides"] / table["cells"]
    table.attrs["left_out"] = int(slides[0])
    return table


def _finite(values: xr.DataArray | ArrayLike, k: int) -> NDArray[np.float64]:
    if k < 2:
        raise RecipeError(f"{k} zones were asked for: two are the least")
    every = np.asarray(values, dtype=np.float64).ravel()
    every = every[np.isfinite(every)]
    if not every.size:
        raise SampleError("the map has no values: every cell is nodata")
    return every
