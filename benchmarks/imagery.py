"""Images by tiles, and how fast training is fed: an attention U-Net's map, an SSGAN's windows."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import rioxarray  # noqa: F401
import xarray as xr
from numpy.typing import NDArray

from benchmarks.timing import Row, in_turn
from lsm_core import models, prediction, tile_map
from lsm_core.adversarial import Game
from lsm_core.blocks import Block, Encoded
from lsm_core.encoding import fit_encoder
from lsm_core.recipe import Input

BANDS = 4
AROUND = 18  # cells that a published code cuts off each side of its tiles
LOOPED = 128 - 2 * AROUND  # and what it keeps of them
CHANNELS, WINDOWS = 22, 3 * 89_160  # of paper 3's largest set


def rows(quick: bool) -> Iterator[Row]:
    """P7, tiles of a U-Net against a loop over small ones; P14, feeding against training."""
    part, size = LOOPED * 6, LOOPED * (11 if quick else 33)
    net = models.build("attention_unet", (64, 64, BANDS), base=8, seed=1)
    margin = tile_map.HALO
    image = np.random.default_rng(0).random((size + 2 * margin,) * 2 + (BANDS,), dtype=np.float32)
    whole = tile_map.for_tiles(net, tile_map.tile_of((size, size), net))
    ratio, note = in_turn(lambda: _looped(net, image, part), lambda: _tiled(whole, image, size))
    ratio, note = ratio * size**2 / part**2, f"{part} x {part} cells / all: {note}"
    name = f"attention U-Net of base 8, image of {size:,} x {size:,}"
    what = f"{name}: loop over tiles of 128, {LOOPED} kept, each a call of predict / ours, exact"
    yield Row("P7", what, 15, ratio, at_least=True, note=note)
    gather = _gather(1000)
    feed = _rate(lambda index: gather(index), 64)
    learn = _rate(_learner(gather), 64)
    name = f"windows of 13 x 13 x {CHANNELS} of {WINDOWS:,} places, batches of 64"
    yield Row("P14", f"{name}: fed a second / learnt by SSGAN, width 16", 10, feed / learn,
              at_least=True, note=f"{feed:,.0f} / {learn:,.0f}")  # fmt: skip


def _tiled(net: Any, image: NDArray[np.float32], size: int) -> None:
    whole = Block(0, size, 0, size)
    tile = net.input_shape[1] - 2 * tile_map.HALO
    for top in range(0, size, tile):
        rows = image[top : top + tile + 2 * tile_map.HALO]
        block = whole._replace(first=top, last=min(top + tile, size))
        part = Encoded(block, np.ones(block.shape, bool), rows, tile_map.HALO)
        for _ in tile_map.image_scores(net, part, tile):
            pass


def _looped(net: Any, image: NDArray[np.float32], size: int) -> None:
    start = tile_map.HALO - AROUND
    across = LOOPED + 2 * AROUND
    for top in range(start, start + size, LOOPED):
        for left in range(start, start + size, LOOPED):
            net.predict(image[None, top : top + across, left : left + across], verbose=0)


def _gather(side: int) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
    """Of as many places as paper 3 learns from, on a map of `side` x `side` cells."""
    rng = np.random.default_rng(0)
    coords = {"y": np.arange(side)[::-1] * 30.0, "x": np.arange(side) * 30.0}
    about = {"kind": "continuous", "units": "1"}
    layers = {
        f"factor_{i}": (("y", "x"), rng.random((side, side), dtype=np.float32), about)
        for i in range(CHANNELS)
    }
    ds = xr.Dataset(layers, coords).rio.write_crs("EPSG:32648")
    ds["valid"] = ("y", "x"), np.ones((side, side), bool)
    cells = pd.DataFrame({"row": np.arange(99), "col": np.arange(99)})
    encoder = fit_encoder(ds, Input(form="window", size=13), fit_on=cells)
    rows, cols = rng.integers(0, side, (2, WINDOWS))
    return prediction.gather(encoder, ds, rows, cols)


def _learner(gather: Callable[[NDArray[np.intp]], NDArray[np.float32]]) -> Callable[..., object]:
    import keras

    model = models.build("ssgan", (13, 13, CHANNELS), width=16, seed=1)
    game = Game(model, np.random.default_rng(1), gather, WINDOWS)
    game.compile(keras.optimizers.Adam(0.0005))
    x, target = gather(np.arange(64)), (np.arange(64) % 2).astype(np.float32)[:, None]
    return lambda index: game.train_on_batch(x, target)


def _rate(job: Callable[[NDArray[np.intp]], object], batch: int) -> float:
    """Samples a second, the best of five rounds of ten batches at random places."""
    rng, seconds = np.random.default_rng(2), []
    for _ in range(6):
        some = rng.integers(0, WINDOWS, (10, batch))
        begin = time.perf_counter()
        for index in some:
            job(index)
        seconds.append(time.perf_counter() - begin)
    return 10 * batch / min(seconds[1:])
