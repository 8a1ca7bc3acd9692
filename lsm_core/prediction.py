"""Scores of places and of whole maps.

A map is scored block by block (`blocks`): a block and the margin that windows need are read and
encoded, mirrored only where the map really ends, and scored by whole tiles or batch by batch. So
every cell gets what it would get from a window of the whole encoded map, while neither that map nor
all windows are ever held.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.blocks import (
    Block,
    Encoded,
    Margin,
    blocks_of,
    cells_of,
    encode_block,
    margin_of,
    places_by_block,
    read_blocks,
)
from lsm_core.dense_map import BATCH as BATCH
from lsm_core.dense_map import Scheme, ask_network, scheme_for, scores_of
from lsm_core.encoding import Encoder, encode, one_hot_image
from lsm_core.errors import RunError, SampleError, Stopped
from lsm_core.model_store import load_model as load_model
from lsm_core.model_store import save_model as save_model
from lsm_core.run_files import strange
from lsm_core.runs import Run
from lsm_core.study_area import is_units, open_area, shape_of
from lsm_core.tile_map import HALO, TILE, for_tiles, image_scores, places_in_image, tile_of
from lsm_core.windows import cut, cut_scales

TABLE_BATCH = 65536  # cells a scikit-learn model scores at once
STRIP = 128  # rows encoded at once

Progress = Callable[[int, int], None]
Ask = Callable[[], bool]


def model_of(run: Run) -> tuple[Any, Encoder]:
    """The trained model of a run and the encoder that feeds it (RunError: the run has none)."""
    model = load_model(run.path / "model")
    try:
        return model, Encoder.from_json(run.encoder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise strange(run.path / "encoder.json", error) from error


def predict_samples(run: Run, samples: pd.DataFrame) -> NDArray[np.float32]:
    """Scores of places (columns row, col) of the run's own study area, as the run calibrates."""
    model, encoder = model_of(run)
    ds = open_area(run.area_path)
    return run.calibrator(score_places(model, encoder, ds, samples["row"], samples["col"]))


def predict_map(
    run: Run,
    area: xr.Dataset,
    *,
    on_progress: Progress | None = None,
    should_stop: Ask | None = None,
) -> xr.DataArray:
    """A susceptibility map of a study area by the model of a run.

    Parameters
    ----------
    area : the run's own or another one that has the same factors in the same units and legends.
    on_progress : gets (rows done, rows). should_stop : is asked after every batch.

    Returns
    -------
    (y, x) float32 in [0, 1] on the area's grid, NaN where the area is not valid; of units (unit,).

    Raises
    ------
    RunError : the run has no model. AreaError : the area lacks what the model needs.
    Stopped : `should_stop` said so.
    """
    model, encoder = model_of(run)
    strips = predict_strips(model, encoder, area, on_progress=on_progress, should_stop=should_stop)
    scores = run.calibrator(np.concatenate([block for _, block in strips]))
    attrs = {"long_name": "landslide susceptibility", "units": "1", "run": run.id}
    if is_units(area):
        units = {"unit": area["unit"].values}
        return xr.DataArray(scores[:, 0], units, ("unit",), "susceptibility", attrs)
    coords = {"y": area["y"], "x": area["x"], "spatial_ref": area["spatial_ref"]}
    return xr.DataArray(scores, coords, ("y", "x"), "susceptibility", attrs)


def predict_strips(
    model: Any,
    encoder: Encoder,
    ds: xr.Dataset,
    *,
    strip: int | None = None,
    batch: int = BATCH,
    on_progress: Progress | None = None,
    should_stop: Ask | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The map of a study area, from north to south, as (first row, scores of a strip).

    Scores are (rows, x) float32, NaN where `valid` is false; such cells cost nothing. The scores do
    not depend on `strip` and `batch` (but for the last bits of a network's arithmetic). Units are
    rows of one column: (units, 1).

    Parameters
    ----------
    strip : rows encoded at once, where no whole tiles are scored; a window's margin comes on top.
    batch : cells a network scores at once; the last batch is filled up, so that one shape is
        compiled once.
    on_progress, should_stop : see `predict_map`; both are called after every batch.
    """
    layout = layout_of(model, encoder, ds, strip)
    height, width = shape_of(ds)

    def in_rows(cells: int, _: int) -> None:
        if on_progress:
            on_progress(cells // width, height)

    found = predict_blocks(
        model, encoder, ds, layout, batch=batch, on_progress=in_rows, should_stop=should_stop
    )
    for first, strip_of in groupby(found, key=lambda each: each[0].first):
        yield first, np.concatenate([score for _, score in strip_of], axis=1)


class Layout(NamedTuple):
    """How a map is made: its blocks, the margin of each, and how tiles are scored at once, if so.

    `scheme` is that of a network on windows; `tile` cells along a side of an image's tile.
    """

    blocks: list[Block]
    margin: Margin
    scheme: Scheme | None = None
    tile: int | None = None


def layout_of(model: Any, encoder: Encoder, ds: xr.Dataset, strip: int | None = None) -> Layout:
    """The blocks a map of `ds` is made by, the same wherever it is made.

    `strip` rows a block, if not as many as suit the model; tiles of a network on windows have the
    size that suits it.
    """
    if encoder.form == "chip":
        tile = tile_of(shape_of(ds), model, strip or TILE)
        margin = (HALO, HALO)
        return Layout(blocks_of(ds, encoder, tile, margin=margin, step=tile), margin, tile=tile)
    margin = margin_of(encoder)
    scheme = scheme_of(model, encoder, shape_of(ds))
    if scheme:
        blocks = blocks_of(ds, encoder, scheme.tile, margin=margin, step=scheme.tile)
        return Layout(blocks, margin, scheme)
    return Layout(blocks_of(ds, encoder, strip or STRIP, margin=margin), margin)


def predict_blocks(
    model: Any,
    encoder: Encoder,
    ds: xr.Dataset,
    layout: Layout,
    *,
    batch: int = BATCH,
    on_progress: Progress | None = None,
    should_stop: Ask | None = None,
) -> Iterator[tuple[Block, NDArray[np.float32]]]:
    """Blocks of a layout, or some of them, each with its scores: (rows, columns), NaN if invalid.

    The next block is read and encoded while one is scored. `on_progress` gets (cells done, cells).
    """
    total = cells_of(layout.blocks)
    before = 0
    model = for_tiles(model, layout.tile) if layout.tile else model
    for part in read_blocks(ds, encoder, layout.blocks, layout.margin):
        found = np.full(part.block.shape, np.nan, np.float32)
        scored, wanted, here = 0, int(part.wanted.sum()), part.wanted.size
        for rows, cols, score in _block_scores(model, encoder, part, layout, batch):
            found[rows, cols] = score
            scored += len(rows)
            if on_progress:
                on_progress(before + here * scored // wanted, total)
            if should_stop and should_stop():
                raise Stopped(f"stopped in mapping, in the rows from {part.block.first}")
        before += here
        if on_progress:
            on_progress(before, total)
        yield part.block, found


def score_places(
    model: Any,
    encoder: Encoder,
    ds: xr.Dataset,
    rows: ArrayLike,
    cols: ArrayLike,
    *,
    batch: int = BATCH,
) -> NDArray[np.float32]:
    """Scores of places, in their order; the same a map has there. `valid` is not looked at.

    Raises
    ------
    SampleError : a place lies outside the area.
    """
    rows, cols = _inside(ds, rows, cols)
    if encoder.form == "chip":
        return places_in_image(model, encoder, ds, rows, cols)
    result = np.empty(len(rows), np.float32)
    batch = max(min(batch, len(rows)), 1)
    for part, here in _parts_with(encoder, ds, rows, cols):
        at = rows[here] - part.block.first, cols[here] - part.block.left
        for some, score in _scores(model, encoder, part, *at, batch):
            result[here[some]] = score
    return result


def score_inputs(model: Any, x: NDArray[np.float32], *, batch: int = BATCH) -> NDArray[np.float32]:
    """Scores of what a model sees, (sample, *encoder.seen_shape), as (sample,) float32.

    Of windows at several scales that are samples of their own, the mean of their scores.
    """
    step = max(min(_step(model, batch), len(x)), 1)
    some = (x[begin : begin + step] for begin in range(0, len(x), step))
    return np.concatenate([np.empty(0, np.float32), *(_score(model, each, step) for each in some)])


def inputs(
    encoder: Encoder, ds: xr.Dataset, *, strip: int = STRIP, batch: int = BATCH
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """What a model sees of every valid cell, from north to south: (rows, cols, x), at most `batch`.

    As in `predict_strips`, no more than a strip and its margin is held.
    """
    _of_places(encoder)
    margin = margin_of(encoder)
    blocks = blocks_of(ds, encoder, strip, margin=margin)
    for part in read_blocks(ds, encoder, blocks, margin):
        rows, cols = part.cells()
        for begin in range(0, len(rows), batch):
            r, c = rows[begin : begin + batch], cols[begin : begin + batch]
            x = _as_input(encoder, _look(encoder, part, r, c))
            yield r + part.block.first, c + part.block.left, x


def gather(
    encoder: Encoder, ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike
) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
    """A function from indices of places to what a model sees of them, for training.

    What the places need is encoded once and kept: their own cells or windows, or, where windows
    would take more room than the map, the encoded map, from which they are cut when asked for.

    Returns
    -------
    index (n,) -> (n, *encoder.seen_shape) float32.

    Raises
    ------
    SampleError : a place lies outside the area.
    """
    _of_places(encoder)
    rows, cols = _inside(ds, rows, cols)
    height, width = shape_of(ds)
    if len(rows) * sum(size**2 for size in encoder.scales) > height * width:
        stack = encode(ds, encoder).to_numpy()
        whole = Encoded(Block(0, height, 0, width), np.empty((0, 0), bool), stack, 0)
        return lambda index: _as_input(encoder, _look(encoder, whole, rows[index], cols[index]))
    seen: NDArray[Any] = np.empty((len(rows), *_seen_shape(encoder)), _dtype(encoder))
    for part, here in _parts_with(encoder, ds, rows, cols):
        at = rows[here] - part.block.first, cols[here] - part.block.left
        seen[here] = _look(encoder, part, *at)
    return lambda index: _as_input(encoder, seen[index])


# ------------------------------------------------------------------------------------- blocks


def _parts_with(
    encoder: Encoder, ds: xr.Dataset, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> Iterator[tuple[Encoded, NDArray[np.intp]]]:
    """The blocks that hold places, encoded, each with the places' indices."""
    margin = margin_of(encoder)
    blocks = blocks_of(ds, encoder, STRIP, margin=margin)
    for block, here in places_by_block(blocks, rows, cols):
        yield encode_block(ds, encoder, block, margin), here


def scheme_of(model: Any, encoder: Encoder, shape: tuple[int, int]) -> Scheme | None:
    """How tiles of a map are scored at once; None where each cell is scored by itself.

    Windows that are resampled are not those of a neighbour, moved: they share nothing.
    """
    if encoder.form != "window" or encoder.sizes or hasattr(model, "predict_proba"):
        return None
    return scheme_for(model, shape)


def _block_scores(
    model: Any, encoder: Encoder, part: Encoded, layout: Layout, batch: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """Rows and columns of a block and their scores, piece by piece."""
    if layout.tile:
        yield from image_scores(model, part, layout.tile)
        return
    if layout.scheme:
        yield from scores_of(layout.scheme, part.stack, part.wanted)
        return
    rows, cols = part.cells()
    for some, score in _scores(model, encoder, part, rows, cols, batch):
        yield rows[some], cols[some], score


def _scores(
    model: Any,
    encoder: Encoder,
    part: Encoded,
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    batch: int,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Scores of cells of a block, batch by batch."""
    step = _step(model, batch)
    for begin in range(0, len(rows), step):
        some = slice(begin, min(begin + step, len(rows)))
        x = _as_input(encoder, _look(encoder, part, rows[some], cols[some]))
        yield some, _score(model, x, step)


def _step(model: Any, batch: int) -> int:
    return TABLE_BATCH if hasattr(model, "predict_proba") else batch


def _score(model: Any, x: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """Scores of at most `batch` samples; of scales that are samples of their own, their mean."""
    if x.ndim == 5:  # (place, scale, row, column, channel)
        return np.mean([_score(model, x[:, i], batch) for i in range(x.shape[1])], axis=0)
    if hasattr(model, "predict_proba"):
        return model.predict_proba(x)[:, 1].astype(np.float32, copy=False)
    return ask_network(model, x, batch)


# --------------------------------------------------------------------------- what a model sees


def _look(
    encoder: Encoder, part: Encoded, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> NDArray[Any]:
    """Windows of cells of a block, or the cells' own values or classes, as encoded."""
    stack, rows, cols = part.stack, rows + part.before, cols + part.before
    if encoder.form != "window":
        return stack[rows, cols]
    if not encoder.sizes:
        return cut(stack, rows, cols, encoder.size)
    side, sizes = encoder.size, encoder.sizes
    together = cut_scales(stack, rows, cols, sizes, to=side)
    if encoder.combine == "channels":
        return together
    return np.moveaxis(together.reshape(len(rows), side, side, len(sizes), -1), 3, 1)


def _as_input(encoder: Encoder, seen: NDArray[Any]) -> NDArray[np.float32]:
    return one_hot_image(seen, encoder.side) if encoder.form == "onehot" else seen


def _seen_shape(encoder: Encoder) -> tuple[int, ...]:
    return encoder.seen_shape if encoder.form == "window" else (len(encoder.channels),)


def _of_places(encoder: Encoder) -> None:
    if encoder.form == "chip":
        raise RunError(
            "a model on chips scores whole images, and sees no single place: ask its map"
        )


def _dtype(encoder: Encoder) -> type:
    return np.int16 if encoder.form == "onehot" else np.float32


def _inside(
    ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, cols = np.asarray(rows, np.intp), np.asarray(cols, np.intp)
    height, width = shape_of(ds)
    outside = (rows < 0) | (rows >= height) | (cols < 0) | (cols >= width)
    if outside.any():
        raise SampleError(
            f"{int(outside.sum())} of {len(rows)} places lie outside the area of {height} x "
            f"{width} cells: the samples belong to another area"
        )
    return rows, cols
