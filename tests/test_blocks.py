"""Blocks of a map: together the map, bounded, with their margin, read ahead, only where due."""

import math
import threading

import numpy as np
import pandas as pd
import pytest
from test_prediction import HEIGHT, WIDTH, make_area

from lsm_core import blocks
from lsm_core.encoding import encode, fit_encoder
from lsm_core.recipe import Input
from lsm_core.windows import reflect


@pytest.fixture
def ds():
    return make_area()


@pytest.fixture
def encoder(ds):
    cells = pd.DataFrame({"row": np.arange(10), "col": np.arange(10)})
    return fit_encoder(ds, Input(form="window", size=6), fit_on=cells)


@pytest.mark.parametrize(("rows", "step", "values"), [(7, 1, 10**9), (7, 1, 500), (4, 4, 600)])
def test_every_cell_lies_in_one_block_and_memory_is_kept(
    ds, encoder, rows, step, values, monkeypatch
):
    monkeypatch.setattr(blocks, "VALUES", values)
    times = np.zeros((HEIGHT, WIDTH), int)
    for block in blocks.blocks_of(ds, encoder, rows, margin=(3, 2), step=step):
        times[block.first : block.last, block.left : block.right] += 1
        assert block.right == WIDTH or block.right % step == 0
        encoded = math.prod(length + 5 for length in block.shape) * len(encoder.channels)
        assert encoded <= values
    assert (times == 1).all()


def test_a_block_is_never_narrower_than_a_step(ds, encoder, monkeypatch):
    monkeypatch.setattr(blocks, "VALUES", 1)
    found = blocks.blocks_of(ds, encoder, 4, margin=(3, 2), step=5)
    assert [block.right for block in found[:4]] == [5, 10, 15, WIDTH]


def test_a_block_is_a_part_of_the_mirrored_map(ds, encoder):
    whole = encode(ds, encoder).to_numpy()
    for block in (
        blocks.Block(0, 3, 0, 4),
        blocks.Block(9, 12, 5, 9),
        blocks.Block(20, HEIGHT, 15, WIDTH),
    ):
        part = blocks.encode_block(ds, encoder, block, (3, 2))
        rows = reflect(np.arange(block.first - 3, block.last + 2), HEIGHT)
        cols = reflect(np.arange(block.left - 3, block.right + 2), WIDTH)
        np.testing.assert_array_equal(part.stack, whole[rows][:, cols])
        assert (part.before, part.wanted.all()) == (3, True)


def test_blocks_without_a_valid_cell_are_not_read(ds, encoder, monkeypatch):
    ds["valid"][:7] = False
    read = []
    monkeypatch.setattr(blocks, "encode", lambda d, e: read.append(d.sizes["y"]) or encode(d, e))
    parts = list(blocks.read_blocks(ds, encoder, blocks.blocks_of(ds, encoder, 7), (3, 2)))
    assert read == [12, 12, 5]
    assert [part.wanted.any() for part in parts] == [False, True, True, True]


def test_the_next_block_is_read_while_one_is_worked_on(ds, encoder, monkeypatch):
    begun = [threading.Event() for _ in range(4)]
    events = iter(begun)
    monkeypatch.setattr(blocks, "encode", lambda d, e: next(events).set() or encode(d, e))
    ds["valid"][:] = True
    parts = blocks.read_blocks(ds, encoder, blocks.blocks_of(ds, encoder, 7), (3, 2))
    next(parts)
    assert begun[1].wait(10)
    assert not begun[2].is_set()
    parts.close()


def test_what_goes_wrong_in_reading_is_told(ds, encoder):
    parts = blocks.read_blocks(ds.drop_vars("slope"), encoder, [blocks.Block(0, 4, 0, 4)], (3, 2))
    with pytest.raises(Exception, match="slope"):
        list(parts)


def test_places_find_their_blocks(ds, encoder, monkeypatch):
    monkeypatch.setattr(blocks, "VALUES", 500)
    found = blocks.blocks_of(ds, encoder, 7, margin=(3, 2))
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, HEIGHT, 40), rng.integers(0, WIDTH, 40)
    seen = []
    for block, here in blocks.places_by_block(found, rows, cols):
        assert ((rows[here] >= block.first) & (rows[here] < block.last)).all()
        assert ((cols[here] >= block.left) & (cols[here] < block.right)).all()
        seen += list(here)
    assert sorted(seen) == list(range(40))
