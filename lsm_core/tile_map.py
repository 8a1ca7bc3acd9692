"""Scores of every cell by a network that takes images, tile by tile, as if the area were one image.

What lies beyond the area is its mirror image (the edge cell not repeated), however far: the area is
a plane without end, and a score never depends on where a tile begins. That is exact, because tiles
begin at multiples of `STEP` cells, as the network's poolings ask, and each is read with `HALO`
cells more on every side, which is further than a score of `models.attention_unet` sees. All tiles
of a map have one shape, so that the network is compiled once.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.encoding import Encoder, encode
from lsm_core.errors import Stopped
from lsm_core.study_area import layer, rows_of, shape_of
from lsm_core.windows import reflect

STEP = 16  # models.attention_unet.STEP, which is not imported: it would load a network library
HALO = 96  # its REACH
TILE = 512

Progress = Callable[[int, int], None]
Ask = Callable[[], bool]


def image_strips(
    model: Any,
    encoder: Encoder,
    ds: xr.Dataset,
    *,
    tile: int = TILE,
    wanted: NDArray[np.bool_] | None = None,
    on_progress: Progress | None = None,
    should_stop: Ask | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The map of a study area, from north to south, as (first row, scores of a row of tiles).

    Scores are (rows, x) float32, NaN where `valid` is false, or where nothing is `wanted` (y, x) in
    a whole tile. No more than a row of tiles and its halo is encoded at once. `tile` is a multiple
    of 16; small areas take smaller ones.

    Raises
    ------
    Stopped : `should_stop` said so; it is asked after every tile.
    """
    height, width = shape_of(ds)
    tile = min(tile, -(-max(height, width) // STEP) * STEP)
    for first in range(0, height, tile):
        last = min(first + tile, height)
        valid = layer(rows_of(ds, slice(first, last)), "valid").astype(bool)
        asked = valid if wanted is None else valid & wanted[first:last]
        block = np.full(valid.shape, np.nan, np.float32)
        image: NDArray[np.float32] | None = None
        for left in range(0, width, tile):
            if not asked[:, left : left + tile].any():
                continue
            if image is None:
                image = _encoded_rows(encoder, ds, first, tile)
            cols = reflect(np.arange(left - HALO, left + tile + HALO), width)
            score = np.asarray(model.predict_on_batch(image[None, :, cols]))
            part = block[:, left : left + tile]
            part[...] = score[0, HALO:-HALO, HALO:-HALO, 0][: part.shape[0], : part.shape[1]]
            if should_stop and should_stop():
                raise Stopped(f"stopped in mapping, after row {first} of {height}")
        block[~valid] = np.nan
        if on_progress:
            on_progress(last, height)
        yield first, block


def image_scores(
    model: Any, encoder: Encoder, ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike, **options: Any
) -> NDArray[np.float32]:
    """The map's scores at places, in their order; tiles without a place are not computed.

    NaN where the area is not valid. Options are those of `image_strips`.
    """
    rows, cols = np.asarray(rows), np.asarray(cols)
    wanted = np.zeros(shape_of(ds), dtype=bool)
    wanted[rows, cols] = True
    result = np.empty(len(rows), np.float32)
    for first, block in image_strips(model, encoder, ds, wanted=wanted, **options):
        here = (rows >= first) & (rows < first + len(block))
        result[here] = block[rows[here] - first, cols[here]]
    return result


def _encoded_rows(encoder: Encoder, ds: xr.Dataset, first: int, tile: int) -> NDArray[np.float32]:
    """Rows of a tile and its halo, mirrored where the area ends: (tile + 2 HALO, x, channel)."""
    needed = reflect(np.arange(first - HALO, first + tile + HALO), shape_of(ds)[0])
    start, stop = int(needed.min()), int(needed.max()) + 1
    return encode(rows_of(ds, slice(start, stop)), encoder).to_numpy()[needed - start]
