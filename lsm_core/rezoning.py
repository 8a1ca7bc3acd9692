"""Zones of a map by limits one moves: the map is counted once, and every choice is read off it.

The values of a map are counted in `BINS` equal steps from 0 to 1, closed on the left, with the
landslides in each. Zones whose limits lie on steps are then sums, exact and at once, however large
the map is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import ArrayLike, NDArray
from rasterio.windows import Window

from lsm_core.density import level_names
from lsm_core.errors import RecipeError, SampleError

BINS = 1000
STRIP = 512  # rows read at a time


@dataclass(frozen=True)
class MapCount:
    """Cells and landslides of a map in `BINS` steps of susceptibility; read-only.

    `left_out` landslides lie off the map or in cells without a value.
    """

    cells: NDArray[np.int64]
    landslides: NDArray[np.int64]
    left_out: int


def count_map(path: Path | str, rows: ArrayLike, cols: ArrayLike) -> MapCount:
    """Count a GeoTIFF of values in [0, 1], strip by strip, and the landslides in its cells.

    Parameters
    ----------
    path : the map; nodata and NaN are left out. rows, cols : the cell of each landslide's place;
        each counts once, several may share a cell.

    Raises
    ------
    SampleError : values outside [0, 1], or no value at all.
    """
    rows, cols = np.asarray(rows, dtype=np.int64), np.asarray(cols, dtype=np.int64)
    cells, slides = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    with rasterio.open(path) as source:
        high, wide = source.shape
        inside = (rows >= 0) & (rows < high) & (cols >= 0) & (cols < wide)
        for top in range(0, high, STRIP):
            window = Window(0, top, wide, min(STRIP, high - top))
            values = source.read(1, window=window, masked=True).astype("float32").filled(np.nan)
            here = inside & (rows >= top) & (rows < top + STRIP)
            cells += _counted(values[np.isfinite(values)], path)
            at = values[rows[here] - top, cols[here]]
            slides += _counted(at[np.isfinite(at)], path)
    if not cells.any():
        raise SampleError(f"{path} has no values: every cell is nodata")
    for counted in (cells, slides):
        counted.setflags(write=False)
    return MapCount(cells, slides, int(rows.size - slides.sum()))


def _counted(values: NDArray[np.float32], path: Path | str) -> NDArray[np.int64]:
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise SampleError(f"{path} has values outside 0 to 1: it is no map of susceptibility")
    inner = (np.arange(1, BINS) / BINS).astype("float32")
    return np.bincount(np.searchsorted(inner, values, side="right"), minlength=BINS)


def zones_at(counted: MapCount, inner: Sequence[float]) -> pd.DataFrame:
    """What each zone holds, by limits on steps of 1 / `BINS`, closed on the left.

    Parameters
    ----------
    inner : rising limits between the zones, in (0, 1).

    Returns
    -------
    One row a zone, lowest first: zone, class, from, to, cells, share_of_cells, landslides,
    share_of_landslides, density (landslides per cell, NaN in an empty zone). Without any landslide
    its share is NaN.

    Raises
    ------
    RecipeError : limits that do not rise or leave (0, 1).

    >>> spread = np.zeros(BINS, int)
    >>> spread[[100, 900]] = 30, 10
    >>> zones_at(MapCount(spread, spread // 10, 0), [0.5])[["class", "cells", "landslides"]]
      class  cells  landslides
    0   low     30           3
    1  high     10           1
    """
    steps = np.rint(np.asarray(inner, dtype=np.float64) * BINS).astype(int)
    edges = np.concatenate([[0], steps, [BINS]])
    if not (np.diff(edges) > 0).all():
        raise RecipeError(f"limits of zones rise between 0 and 1, got {list(inner)}")
    cells = np.add.reduceat(counted.cells, edges[:-1])
    slides = np.add.reduceat(counted.landslides, edges[:-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return pd.DataFrame(
            {
                "zone": np.arange(1, len(cells) + 1),
                "class": level_names(len(cells)),
                "from": edges[:-1] / BINS,
                "to": edges[1:] / BINS,
                "cells": cells,
                "share_of_cells": cells / cells.sum(),
                "landslides": slides,
                "share_of_landslides": slides / slides.sum(),
                "density": slides / cells,
            }
        )


def rate_at(counted: MapCount) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the cells, most susceptible first, and of the landslides they hold; `BINS` + 1 each.

    Element i is what lies at or above (BINS - i) / BINS, so the i-th limit from the top is read off
    directly. Without any landslide the second is NaN.
    """
    shares = []
    for many in (counted.cells, counted.landslides):
        with np.errstate(invalid="ignore"):
            shares.append(np.concatenate([[0], np.cumsum(many[::-1])]) / many.sum())
    return shares[0], shares[1]
