"""Neighbourhood sums on every core, and block by block on dask arrays with a margin round each."""

import math
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

# (block, its rows' numbers in the raster, cores it may use) -> (layer, y, x) of the block
Work = Callable[[NDArray, NDArray[np.int64], int], NDArray]


def over(z: Any, reach: tuple[int, int], work: Work, *, layers: int, dtype: type) -> Any:
    """Do `work` on a raster: at once if `z` is a NumPy array, later and by blocks if a dask array.

    z : (y, x) floats, NaN where there is no data.
    reach : rows and columns from a cell to the farthest one that its result depends on. A block
        comes with so many more on every side, NaN beyond the raster; what `work` gives for these
        is cut off. Blocks smaller than their reach are joined first.
    work : takes a block, the row numbers of its rows (those of the first and last row beyond the
        raster), and a number of cores. If each cell's result depends on nothing but its
        surroundings, and NaN means the same as the raster's end, then the blocks' answer is the
        whole raster's to the last bit.

    Returns (layer, y, x) of `dtype`, an array of the kind of `z`.

    >>> double = lambda block, rows, cores: 2 * block[None]
    >>> over(np.ones((2, 2)), (0, 0), double, layers=1, dtype=float).shape
    (1, 2, 2)
    """
    if isinstance(z, np.ndarray):
        return work(z, np.arange(z.shape[0]), cores())
    from dask.array import map_blocks
    from dask.array.overlap import overlap

    down, across = (min(far, size) for far, size in zip(reach, z.shape, strict=True))
    padded = overlap(z, {0: down, 1: across}, boundary=np.nan)
    heights = tuple(size - 2 * down for size in padded.chunks[0])
    widths = tuple(size - 2 * across for size in padded.chunks[1])
    starts = np.cumsum([0, *heights])

    def block(values: NDArray, block_id: tuple[int, ...] = (0, 0, 0)) -> NDArray:
        first = starts[block_id[1]] - down
        rows = np.arange(first, first + values.shape[0]).clip(0, starts[-1] - 1)
        result = work(np.ascontiguousarray(values), rows, 1)
        return result[:, down : values.shape[0] - down, across : values.shape[1] - across]

    chunks = ((layers,), heights, widths)
    meta: NDArray = np.empty((0, 0, 0), dtype)
    return map_blocks(block, padded, dtype=dtype, new_axis=0, chunks=chunks, meta=meta)


def room_for(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Room for float32 results, in memory pages of ordinary size.

    NumPy asks for huge pages. For results as large as a raster times factors, the system may then
    take four times as long to find and clear them as the kernel takes to fill them.
    """
    size = math.prod(shape)
    if size == 0:
        return np.empty(shape, dtype=np.float32)
    return np.frombuffer(mmap.mmap(-1, 4 * size), dtype=np.float32).reshape(shape)


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_bands(rows: int, work: Callable[[int, int], None], cores: int) -> None:
    """Call work(first, last) on bands of rows, on so many cores: kernels must let go of the GIL.

    Threads of our own rather than numba's, whose pool must not be entered from two threads at once.
    """
    if cores == 1:
        work(0, rows)
        return
    edges = np.linspace(0, rows, min(rows, 4 * cores) + 1).astype(int)
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
