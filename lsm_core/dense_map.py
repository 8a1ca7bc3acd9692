"""Maps by networks on windows: whole tiles at once where the network allows it (`dense`).

A scheme is chosen once a map. `Whole` sends tiles through the dense form. `Shared` does only the
first layers so, and scores windows of their result; of scSE, windows share more (`squeezed`). None
is left for networks that share nothing between windows.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm_core.blocks import ahead, square
from lsm_core.device import has_gpu, values_at_once
from lsm_core.windows import cut

Windows = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]

TILE, GPU_TILE = (
    512,
    2048,
)  # results along a side, at most: on a processor larger ones are no faster
FEW = 128  # where windows are still scored, which takes the time: a map that is stopped loses less
BATCH = 256  # windows a network scores at once; with more, its maps leave the processor's cache
LATE = 2048  # windows at once where but their small last maps are left to a network


class Scheme(NamedTuple):
    """How a map is made: a network on tiles, and maybe one on windows of what it gives.

    `side` is that of a window of the encoded map; `tile` the results along a side of a tile.
    `windows`, of a tile's map, is what to ask for the windows that begin in given cells, `batch` of
    them at once.
    """

    tiles: Any
    rest: Any
    side: int
    tile: int
    windows: Callable[[NDArray[np.float32]], Windows] | None = None
    batch: int = BATCH


def scheme_for(model: Any, shape: tuple[int, int]) -> Scheme | None:
    """The fastest exact way to map an area of `shape` with a network on windows.

    None for a network whose windows share no work: each is scored by itself.
    """
    from lsm_core import dense
    from lsm_core.squeezed import squeezed

    if not hasattr(model, "input_shape"):  # several networks in one, such as adversaries
        return None
    side = model.input_shape[1]
    try:
        most = GPU_TILE if has_gpu() else TILE
        tile = _tile(model, shape, dense.stride_of(model), most)
        return Scheme(dense.dense_form(model, tile), None, side, tile)
    except dense.NotDense:
        pass
    try:
        tile = _tile(model, shape, 1, min(TILE, FEW))
        start, rest = dense.start_of(model, tile)
    except dense.NotDense:
        return None
    whole = Scheme(start, rest, side, tile, partial(_cut, rest.input_shape[1]))
    if has_gpu():  # it has done its windows before the processor has squeezed them
        return whole
    try:
        of_scse, after = squeezed(rest)
        return Scheme(start, after, side, tile, of_scse.asker(), LATE)
    except dense.NotDense:
        return whole


def scores_of(
    scheme: Scheme, stack: NDArray[np.float32], wanted: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Scores of the wanted cells of a block, tile by tile, as (rows, cols, scores).

    Parameters
    ----------
    stack : (y + side - 1, x + side - 1, channel), encoded, with what their windows need.
    wanted : (y, x). Tiles without a wanted cell are not computed.
    """
    height, width = wanted.shape
    tile, across = scheme.tile, scheme.tile + scheme.side - 1
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            rows, cols = np.nonzero(wanted[top : top + tile, left : left + tile])
            if not len(rows):
                continue
            image = square(stack, top, left, across)
            found = np.asarray(scheme.tiles.predict_on_batch(image))[0]
            if scheme.windows is None:
                yield rows + top, cols + left, found[rows, cols, 0]
                continue
            windows = scheme.windows(found)
            parts = [slice(i, i + scheme.batch) for i in range(0, len(rows), scheme.batch)]
            made = ahead((some, windows(rows[some], cols[some])) for some in parts)
            for some, seen in made:
                score = ask_network(scheme.rest, seen, scheme.batch)
                yield rows[some] + top, cols[some] + left, score


def blank_work(scheme: Scheme, channels: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What a tile and what `scheme.batch` windows cost: both on zeros, to be timed.

    The second does nothing where no windows are kept.
    """
    across = scheme.tile + scheme.side - 1
    image = np.zeros((1, across, across, channels), np.float32)

    def tile() -> Any:
        found = np.asarray(scheme.tiles.predict_on_batch(image))[0]
        return scheme.windows(found) if scheme.windows else found

    if scheme.windows is None:
        return tile, lambda: None
    windows = tile()
    rows, cols = np.divmod(np.arange(scheme.batch) % scheme.tile**2, scheme.tile)
    return tile, lambda: ask_network(scheme.rest, windows(rows, cols), scheme.batch)


def _cut(side: int, found: NDArray[np.float32]) -> Windows:
    """Windows of a map, asked by the cells they begin in."""
    return lambda rows, cols: cut(found, rows + side // 2, cols + side // 2, side)


def ask_network(model: Any, x: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """Score up to `batch` samples in a batch of that size: a new shape would be compiled anew."""
    full = x
    if len(x) < batch:
        full = np.zeros((batch, *x.shape[1:]), np.float32)
        full[: len(x)] = x
    return np.asarray(model.predict_on_batch(full))[: len(x), 0]


def _tile(model: Any, shape: tuple[int, int], stride: int, most: int) -> int:
    """As large as the device's memory allows, and so that tiles share the area out evenly."""
    widest = max(_values(layer) for layer in model.layers)
    most = min(most, max(int(math.sqrt(values_at_once() / widest)), 32))
    longest = max(shape)
    tile = math.ceil(longest / math.ceil(longest / most))
    return math.ceil(tile / stride) * stride


def _values(layer: Any) -> int:
    """Numbers that a layer makes of each cell: its channels, times factors where it has them."""
    shape = layer.output.shape
    return int(shape[-1] * (shape[1] if len(shape) == 5 else 1)) if len(shape) > 2 else 1
