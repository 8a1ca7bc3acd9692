"""A map cut into blocks: what is read, encoded and scored at once.

A block is some rows of a map, and of a wide one some columns too, so that memory is bounded however
large the map is. It is encoded with the margin that windows need, mirrored only where the map
really ends: what a cell is shown does not depend on how the map is cut.
"""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.encoding import Encoder, encode
from lsm_core.study_area import is_units, layer, shape_of
from lsm_core.windows import reflect

Part = TypeVar("Part")
Margin = tuple[int, int]  # rows above, and columns left of a block; below, and right of it

VALUES = 40_000_000  # of an encoded block: 160 MB; one is scored while the next one is read
UNITS_A_ROW = 512  # units that count as a row: they are one cell wide


class Block(NamedTuple):
    """Rows `first` to `last` and columns `left` to `right` of a map, the ends not included."""

    first: int
    last: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.last - self.first, self.right - self.left


class Encoded(NamedTuple):
    """A block as a model sees it.

    `wanted` (y, x) marks the cells to score. `stack` (y + margin, x + margin, channel) is empty
    where there are none; `before` rows and columns of its margin lie above and left of the block.
    """

    block: Block
    wanted: NDArray[np.bool_]
    stack: NDArray
    before: int

    def cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns, from the block's first, of the cells to score."""
        rows, cols = np.nonzero(self.wanted)
        return rows, cols


def margin_of(encoder: Encoder) -> Margin:
    """What windows need round a block; even ones reach one cell further up and left.

    >>> from types import SimpleNamespace
    >>> margin_of(SimpleNamespace(across=12))
    (6, 5)
    """
    return encoder.across // 2, (encoder.across - 1) // 2


def blocks_of(
    ds: xr.Dataset, encoder: Encoder, rows: int, *, margin: Margin = (0, 0), step: int = 1
) -> list[Block]:
    """The blocks of a study area, from north to south and west to east.

    Parameters
    ----------
    rows : of a block; the last ones may have fewer. Units are many to a row.
    margin : that a block is encoded with. It counts where memory is shared out.
    step : columns of a block are a multiple of it, but for the last.
    """
    height, width = shape_of(ds)
    rows = min(rows * (UNITS_A_ROW if is_units(ds) else 1), height)
    tall = (rows + sum(margin)) * max(len(encoder.channels), 1)
    most = VALUES // tall - sum(margin)
    number = math.ceil(width / max(most // step * step, step))
    cols = math.ceil(math.ceil(width / number) / step) * step
    return [
        Block(first, min(first + rows, height), left, min(left + cols, width))
        for first in range(0, height, rows)
        for left in range(0, width, cols)
    ]


def cells_of(blocks: Iterable[Block]) -> int:
    """Cells of blocks, valid or not.

    >>> cells_of([Block(0, 2, 0, 3), Block(0, 2, 3, 4)])
    8
    """
    return sum(math.prod(block.shape) for block in blocks)


def square(stack: NDArray, top: int, left: int, side: int) -> NDArray:
    """A square of an encoded block as a batch of one, zeros where the block has ended."""
    part = stack[top : top + side, left : left + side]
    return np.pad(part, [*((0, side - length) for length in part.shape[:2]), (0, 0)])[None]


def encode_block(
    ds: xr.Dataset,
    encoder: Encoder,
    block: Block,
    margin: Margin,
    wanted: NDArray[np.bool_] | None = None,
) -> Encoded:
    """A block and its margin, encoded; nothing is read where no cell is wanted (None: all are)."""
    wanted = np.ones(block.shape, bool) if wanted is None else wanted
    if not wanted.any():
        return Encoded(block, wanted, np.empty((0, 0, len(encoder.channels))), margin[0])
    height, width = shape_of(ds)
    rows, at_rows = _needed(block.first, block.last, height, margin)
    cols, at_cols = _needed(block.left, block.right, width, margin)
    stack = encode(_part(ds, rows, cols), encoder).to_numpy()
    return Encoded(block, wanted, _taken(_taken(stack, at_rows, 0), at_cols, 1), margin[0])


def read_blocks(
    ds: xr.Dataset, encoder: Encoder, blocks: Iterable[Block], margin: Margin
) -> Iterator[Encoded]:
    """Blocks with their valid cells, the next one read and encoded while one is worked on."""

    def read(block: Block) -> Encoded:
        rows, cols = slice(block.first, block.last), slice(block.left, block.right)
        valid = np.asarray(layer(_part(ds, rows, cols), "valid"), dtype=bool)
        return encode_block(ds, encoder, block, margin, valid)

    return ahead(map(read, blocks))


def places_by_block(
    blocks: list[Block], rows: ArrayLike, cols: ArrayLike
) -> Iterator[tuple[Block, NDArray[np.intp]]]:
    """The blocks that hold places, each with the indices of its places."""
    rows, cols = np.asarray(rows), np.asarray(cols)
    tall, wide = blocks[0].shape
    across = math.ceil(max(block.right for block in blocks) / wide)
    number = rows // tall * across + cols // wide
    for some in np.unique(number):
        yield blocks[some], np.flatnonzero(number == some)


def ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The same parts, the next one made in a thread while one is worked on; two are alive."""
    with ThreadPoolExecutor(1, "reader") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _part(ds: xr.Dataset, rows: slice, cols: slice) -> xr.Dataset:
    return ds.isel(unit=rows) if is_units(ds) else ds.isel(y=rows, x=cols)


def _needed(first: int, last: int, length: int, margin: Margin) -> tuple[slice, NDArray[np.intp]]:
    """What of an axis is read, and which of it makes the block and its margin."""
    index = reflect(np.arange(first - margin[0], last + margin[1]), length)
    start = int(index.min())
    return slice(start, int(index.max()) + 1), index - start


def _taken(stack: NDArray, index: NDArray[np.intp], axis: int) -> NDArray:
    """Rows or columns by index; nothing is copied where all are taken as they lie."""
    if np.array_equal(index, np.arange(stack.shape[axis])):
        return stack
    return np.take(stack, index, axis)
