"""How long a map will take and how much memory it needs, told before it is begun."""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import psutil
import xarray as xr

from lsm_core import dense_map, prediction
from lsm_core.blocks import cells_of
from lsm_core.device import VALUES
from lsm_core.encoding import Encoder
from lsm_core.prediction import Layout
from lsm_core.study_area import shape_of
from lsm_core.tile_map import for_tiles

PROBED = 4096  # cells that are scored to tell how long all will take
SCRATCH = 3  # times a tile's widest map that a network holds at once
GDAL = 0.13  # gigabytes that writing takes (run_files.CACHE)
SECONDS = 0.5  # of timed work


class Forecast(NamedTuple):
    """What a map needs: seconds of scoring on this machine, and gigabytes, all in all."""

    cells: int
    blocks: int
    seconds: float
    gigabytes: float

    def __str__(self) -> str:
        return (
            f"{self.cells:,} cells in {self.blocks:,} blocks: about {duration(self.seconds)} on "
            f"this machine, and about {self.gigabytes:.1f} GB of memory"
        )


def forecast(model: Any, encoder: Encoder, ds: xr.Dataset, layout: Layout) -> Forecast:
    """How long the blocks of a layout will take, from scoring zeros, and how much memory.

    Reading is not counted: it goes on beside scoring, and is the longer only for models of tables.
    """
    height, width = shape_of(ds)
    blocks, margin = layout.blocks, sum(layout.margin)
    tall, wide = (max((block.shape[i] for block in blocks), default=0) + margin for i in (0, 1))
    cells = int(ds["valid"].sum()) * cells_of(blocks) / (height * width)
    encoded, strip = 4 * tall * wide * len(encoder.channels), 8 * tall * width
    tiled = layout.scheme is not None or layout.tile is not None
    tiles = SCRATCH * 4 * VALUES if tiled else 0  # in a GPU's memory, where there is one
    held = psutil.Process().memory_info().rss
    seconds = scoring_seconds(model, encoder, layout, cells)
    gigabytes = (held + 3 * encoded + strip + tiles) / 1e9 + GDAL
    return Forecast(round(cells), len(blocks), seconds, gigabytes)


def scoring_seconds(model: Any, encoder: Encoder, layout: Layout, cells: float) -> float:
    """Seconds that scoring `cells` of a layout's blocks takes, told from a tile or batch of zeros.

    All tiles are counted, also those that will hold no valid cell.
    """
    tile = layout.scheme.tile if layout.scheme else layout.tile
    if tile is None:
        n = PROBED if hasattr(model, "predict_proba") else prediction.BATCH
        x = np.zeros((n, *encoder.seen_shape), np.float32)
        return _warm_seconds(lambda: prediction.score_inputs(model, x)) * cells / n
    tiles = sum(math.prod(-(-n // tile) for n in block.shape) for block in layout.blocks)
    if layout.scheme is None:
        side = tile + sum(layout.margin)
        image = np.zeros((1, side, side, len(encoder.channels)), np.float32)
        network = for_tiles(model, tile)
        return tiles * _warm_seconds(lambda: network.predict_on_batch(image))
    whole, windows = dense_map.blank_work(layout.scheme, len(encoder.channels))
    kept = 0.0 if layout.scheme.rest is None else _warm_seconds(windows) / layout.scheme.batch
    return tiles * _warm_seconds(whole) + cells * kept


def _warm_seconds(act: Callable[[], Any]) -> float:
    act()  # the first one compiles
    return median_seconds(act, least=1)


def median_seconds(act: Callable[[], Any], *, least: int = 3) -> float:
    """Median seconds of an act, done for `SECONDS`, and at least so often."""
    laps: list[float] = []
    while len(laps) < least or sum(laps) < SECONDS:
        began = perf_counter()
        act()
        laps.append(perf_counter() - began)
    return float(np.median(laps))


def duration(seconds: float) -> str:
    """Seconds in words, as coarse as a forecast is.

    >>> [duration(s) for s in (0.24, 4, 89, 400, 9000)]
    ['0.2 s', '4 s', '89 s', '7 min', '2.5 h']
    """
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
