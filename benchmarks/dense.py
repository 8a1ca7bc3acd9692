"""Whole maps by window networks: dense tiles against windows, as published codes ask them.

Published codes list all windows and call `predict`, or call it for each window. They are timed on a
part of the map, and ratios are of cells a second. Weights and rasters are drawn; nothing is learnt.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Row, in_turn
from lsm_core import dense_map, models
from lsm_core.windows import cut

CHANNELS = 14
ALONE = 12  # windows asked one by one


def rows(quick: bool) -> Iterator[Row]:
    size = 512 if quick else 1024
    cnn = models.build("cnn", (13, 13, CHANNELS), scse=False, seed=1)
    raster, name = _raster(size), f"CNN without scSE on windows of 13, map of {size:,} x {size:,}"
    yield _ratio("P1", f"{name}: dense / list of windows and predict", 35, cnn, raster, _listed, 96)
    rate = _rate(lambda: _dense(cnn, raster), raster)
    alone = _rate(lambda: _one_by_one(cnn, raster), raster[:1, :ALONE])
    yield Row("P2", f"{name}: dense / predict for each window", 5000, rate / alone, at_least=True,
              note=f"{rate:,.0f} and {alone:.0f} cells/s; {ALONE} windows")  # fmt: skip
    done, most = 2 * _products(cnn) * rate / 1e9, _sgemm()
    yield Row("P3", f"{name}: share of this machine's sgemm", 0.6, done / most, "", at_least=True,
              note=f"{done:.0f} of {most:.0f} GF/s")  # fmt: skip
    deep, side = models.build("cnn3d", (22, 22, CHANNELS), seed=1), 128 if quick else 400
    name = f"3D-CNN of 128 maps on windows of 22, map of {side} x {side}"
    yield _ratio("P5", f"{name}: dense / list of windows and predict", 30, deep, _raster(side),
                 _listed, 24)  # fmt: skip
    scse = models.build("lsgh_net", (13, 13, CHANNELS), seed=1)
    name = "LSGH-Net with scSE on windows of 13, map of 128 x 128"
    yield _ratio("P6", f"{name}: first layers shared / all by windows, batches of 256", 2, scse,
                 _raster(128), _batched, 128)  # fmt: skip


def _ratio(
    row_id: str,
    what: str,
    target: float,
    model: Any,
    raster: NDArray[np.float32],
    slow: Callable[[Any, NDArray[np.float32]], object],
    side: int,
) -> Row:
    """Cells a second of dense over those of `slow`, which maps `side` x `side` cells only."""
    part = raster[:side, :side]
    ratio, note = in_turn(lambda: slow(model, part), lambda: _dense(model, raster))
    return Row(row_id, what, target, ratio * raster[..., 0].size / part[..., 0].size, at_least=True,
               note=f"{side} x {side} cells / all: {note}")  # fmt: skip


def _raster(side: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(side, side, CHANNELS)).astype(np.float32)


def _dense(model: Any, raster: NDArray[np.float32]) -> None:
    height, width = raster.shape[:2]
    key = (id(model), height, width)
    if key not in SCHEMES:
        SCHEMES[key] = dense_map.scheme_for(model, (height, width))
    scheme = SCHEMES[key]
    around = ((scheme.side // 2, (scheme.side - 1) // 2),) * 2
    for top in range(0, height, scheme.tile):
        rows = slice(top, top + scheme.tile + scheme.side - 1)
        stack = np.pad(raster, (*around, (0, 0)), "reflect")[rows]
        wanted = np.ones((min(scheme.tile, height - top), width), bool)
        for _ in dense_map.scores_of(scheme, stack, wanted):
            pass


SCHEMES: dict[Any, Any] = {}  # compiled once


def _all_windows(model: Any, raster: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, cols = np.indices(raster.shape[:2]).reshape(2, -1)
    return cut(raster, rows, cols, model.input_shape[1])


def _listed(model: Any, raster: NDArray[np.float32]) -> None:
    windows = list(_all_windows(model, raster))
    model.predict(np.array(windows), batch_size=32, verbose=0)


def _batched(model: Any, raster: NDArray[np.float32]) -> None:
    windows = _all_windows(model, raster)
    for begin in range(0, len(windows), 256):
        model.predict_on_batch(windows[begin : begin + 256])


def _one_by_one(model: Any, raster: NDArray[np.float32]) -> None:
    windows = _all_windows(model, raster[:16, :16])
    for i in range(ALONE):
        model.predict(windows[i : i + 1], verbose=0)


def _rate(job: Callable[[], object], cells: NDArray[np.float32]) -> float:
    """Cells a second, the median of five after one that warms up."""
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begin)
    return cells[..., 0].size / statistics.median(seconds[1:])


def _products(model: Any) -> int:
    """Multiplications a cell of the dense form: every weight of a kernel once, at every stride."""
    kernels = [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")]
    return sum(int(np.prod(shape)) for shape in kernels)


def _sgemm(n: int = 2048) -> float:
    """Thousand million operations a second of a product of two large matrices, the best of nine."""
    from keras import ops

    a = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(n, n)).astype(np.float32))
    best = 0.0
    for _ in range(9):
        begin = time.perf_counter()
        ops.convert_to_numpy(ops.matmul(a, a))
        best = max(best, 2 * n**3 / (time.perf_counter() - begin) / 1e9)
    return best
