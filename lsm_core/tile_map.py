"""Scores of every cell by a network that takes images, tile by tile, as if the area were one image.

What lies beyond the area is its mirror image (the edge cell not repeated), however far: the area is
a plane without end, and a score never depends on where a tile begins. That is exact, because tiles
begin at multiples of `STEP` cells, as the network's poolings ask, and each is read with `HALO`
cells more on every side, which is further than a score of `models.attention_unet` sees. All tiles
of a map have one shape, so that the network is compiled once.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.blocks import Encoded, blocks_of, encode_block, places_by_block, square
from lsm_core.device import backend_name, has_gpu, values_at_once
from lsm_core.encoding import Encoder
from lsm_core.study_area import cells_at, shape_of

STEP = 16  # models.attention_unet.STEP, which is not imported: it would load a network library
HALO = 96  # its REACH
COMPILED = 512  # cells a side of a tile, from which compiling is worth its seconds
TILE = 1536  # halos are done twice: 1.9 times the work with tiles of 512, 1.3 times with these


def tile_of(shape: tuple[int, int], model: Any, most: int = TILE) -> int:
    """Cells along a side of a tile: a multiple of `STEP`, at most `most`, for the least work.

    Fewer where the device's memory does not hold the network's widest map: that of the first level,
    whose joined skips are twice as wide as what its last layer sees.
    """
    widest = 2 * model.layers[-1].input.shape[-1]
    room = int(math.sqrt(values_at_once() / widest)) - 2 * HALO
    most = min(most, max(room // STEP * STEP, STEP))

    def cells_done(tile: int) -> int:
        return math.prod(-(-length // tile) for length in shape) * (tile + 2 * HALO) ** 2

    return min(range(STEP, most + 1, STEP), key=cells_done)


class Compiled(NamedTuple):
    """A network for images of one shape, and what has been made of it for this processor."""

    network: Any
    call: Callable[[Any], Any]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """As of any network."""
        return tuple(self.network.input_shape)

    def predict_on_batch(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """As of any network."""
        return np.asarray(self.call(x))


def for_tiles(model: Any, tile: int) -> Any:
    """The network for tiles of this size alone: of large ones compiled, up to 1.2 times as fast.

    That takes TensorFlow seconds, and other libraries do it by themselves or not at all.
    """
    if tile < COMPILED or backend_name() != "tensorflow" or has_gpu():
        return model
    import keras
    import tensorflow as tf

    across = tile + 2 * HALO
    seen = keras.Input((across, across, model.inputs[0].shape[-1]), batch_size=1)
    network = keras.Model(seen, model(seen))
    # Not by Keras, which compiles nothing where results shall be the same every time. These are.
    return Compiled(network, tf.function(network, jit_compile=True))


def image_scores(
    model: Any, part: Encoded, tile: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Scores of the wanted cells of a block, tile by tile, as (rows, cols, scores).

    `model` is what `for_tiles` gives; `part` is encoded with a margin of `HALO`, and as tall as a
    tile. Tiles without a wanted cell are not computed.
    """
    across = tile + 2 * HALO
    for left in range(0, part.block.shape[1], tile):
        rows, cols = np.nonzero(part.wanted[:, left : left + tile])
        if not len(rows):
            continue
        # What lies beyond the halo of the last cells is seen by none of them.
        score = np.asarray(model.predict_on_batch(square(part.stack, 0, left, across)))
        yield rows, cols + left, score[0, HALO + rows, HALO + cols, 0]


def places_in_image(
    model: Any,
    encoder: Encoder,
    ds: xr.Dataset,
    rows: ArrayLike,
    cols: ArrayLike,
    *,
    tile: int = TILE,
) -> NDArray[np.float32]:
    """The map's scores at places, in their order; tiles without a place are not computed.

    NaN where the area is not valid.
    """
    rows, cols = np.asarray(rows), np.asarray(cols)
    result = np.full(len(rows), np.nan, np.float32)
    tile = tile_of(shape_of(ds), model, tile)
    margin = (HALO, HALO)
    blocks = blocks_of(ds, encoder, tile, margin=margin, step=tile)
    model = for_tiles(model, tile)
    for block, here in places_by_block(blocks, rows, cols):
        r, c = rows[here] - block.first, cols[here] - block.left
        wanted, found = np.zeros(block.shape, bool), np.full(block.shape, np.nan, np.float32)
        wanted[r, c] = True
        part = encode_block(ds, encoder, block, margin, wanted)
        for at_rows, at_cols, score in image_scores(model, part, tile):
            found[at_rows, at_cols] = score
        result[here] = found[r, c]
    valid = ds["valid"].isel(cells_at(ds, rows, cols)).to_numpy().astype(bool)
    return np.where(valid, result, np.float32(np.nan))
