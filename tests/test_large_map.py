"""Large maps: kept blocks, going on after a kill, one maker at a time, nothing half-written."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_runs import read_map, small_run

from lsm_core import blocks, large_map, prediction
from lsm_core.calibration import Calibrator
from lsm_core.errors import RunError, Stopped
from lsm_core.map_forecast import Forecast, forecast, scoring_seconds
from lsm_core.runs import open_run, write_json
from lsm_core.study_area import area_path, open_area, shape_of

FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table"},
}
PLATT = Calibrator("platt", slope=2.0, fitted_on=9)
SMALL = "from lsm_core import blocks, prediction; blocks.VALUES, prediction.STRIP = 72_000, 40"


@pytest.fixture(scope="module")
def run(sample_workspace, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs"), **FOREST)


@pytest.fixture(scope="module")
def expected(run):
    return prediction.predict_map(run, open_area(area_path("sample"))).to_numpy()


@pytest.fixture
def small(monkeypatch):
    """Many blocks of the sample area of the tests, 170 x 160 cells."""
    monkeypatch.setattr(blocks, "VALUES", 72_000)
    monkeypatch.setattr(prediction, "STRIP", 40)


def test_the_map_is_that_of_the_model_however_it_is_cut(run, expected, tmp_path, small):
    told, moved = [], []
    with pytest.raises(RunError, match="is the folder there"):
        large_map.write_large_map(run, area_path("sample"), tmp_path / "maps" / "a.tif")
    to = large_map.write_large_map(
        run,
        area_path("sample"),
        tmp_path / "a.tif",
        tell=told.append,
        on_progress=lambda *at: moved.append(at),
    )
    np.testing.assert_array_equal(read_map(to), expected)
    assert [path.name for path in to.parent.iterdir()] == ["a.tif"]
    assert moved == sorted(moved)
    assert moved[-1] == (expected.size, expected.size)
    (words,) = told
    assert "cells in 15 blocks: about" in words
    assert words.endswith("GB of memory")


def test_a_map_that_was_stopped_goes_on_where_it_was(run, expected, tmp_path, small, monkeypatch):
    to, area = tmp_path / "a.tif", area_path("sample")
    asked = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        large_map.write_large_map(run, area, to, should_stop=lambda: next(asked))
    assert not to.exists()
    assert len(list((tmp_path / ".a.tif.blocks").glob("*.npy"))) == 4

    read_again = []
    encoded = blocks.encode_block
    monkeypatch.setattr(blocks, "encode_block", lambda *a: read_again.append(a[2]) or encoded(*a))
    told, moved = [], []
    large_map.write_large_map(
        run, area, to, tell=told.append, on_progress=lambda *at: moved.append(at)
    )
    assert told[0] == "4 of 15 blocks are there from before"
    assert len(read_again) == 11
    assert moved[0][0] > 4 / 20 * expected.size
    np.testing.assert_array_equal(read_map(to), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("what", [pytest.param("model", marks=pytest.mark.torture), "calibration"])
def test_blocks_of_another_model_are_not_taken(run, expected, tmp_path, small, what):
    to, area = tmp_path / "a.tif", area_path("sample")
    if what == "model":
        other = small_run(tmp_path / "runs", **FOREST, seed=5)
    else:  # the same run, calibrated later
        shutil.copytree(run.path, tmp_path / "runs" / run.id)
        write_json(tmp_path / "runs" / run.id / "calibration.json", PLATT.to_json())
        other = open_run(tmp_path / "runs" / run.id)
    asked = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        large_map.write_large_map(other, area, to, should_stop=lambda: next(asked))
    told = []
    large_map.write_large_map(run, area, to, tell=told.append)
    assert told[0] == "4 blocks of another model or area were there: they are thrown away"
    np.testing.assert_array_equal(read_map(to), expected)


@pytest.mark.torture
def test_a_map_that_was_killed_goes_on_too(run, expected, tmp_path):
    """With -9, in the middle of a block, and twice."""
    to = tmp_path / "a.tif"
    code = f"""
import time
from pathlib import Path
{SMALL}
from lsm_core import large_map, runs
def slowly(*at): time.sleep(0.1)
large_map.write_large_map(runs.open_run({str(run.path)!r}), {str(area_path("sample"))!r},
                          Path({str(to)!r}), on_progress=slowly, tell=print)
"""
    there = 0
    for _ in range(2):
        made = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        while len(list(tmp_path.glob(".a.tif.blocks/*.npy"))) < there + 3:
            assert made.poll() is None
            time.sleep(0.01)
        made.send_signal(signal.SIGKILL)
        made.wait()
        there = len(list(tmp_path.glob(".a.tif.blocks/*.npy")))
        assert there < 15
        assert not to.exists()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{there} of 15 blocks are there from before" in done.stdout
    np.testing.assert_array_equal(read_map(to), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_what_was_begun_when_it_was_killed_is_removed(run, tmp_path, small):
    left, others = tmp_path / ".a.tif.0a1b2c3d.part", tmp_path / ".b.tif.0a1b2c3d.part"
    left.touch()
    others.touch()
    large_map.write_large_map(run, area_path("sample"), tmp_path / "a.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == [others.name, "a.tif"]


def test_one_process_makes_a_map(run, tmp_path, small):
    to, area = tmp_path / "a.tif", area_path("sample")
    refused = []

    def again(*_):
        with pytest.raises(RunError, match=r"another process is making .*a\.tif") as error:
            large_map.write_large_map(run, area, to)
        refused.append(error)

    large_map.write_large_map(run, area, to, on_progress=lambda *at: refused or again())
    assert len(refused) == 1
    assert to.exists()


def test_a_forecast_counts_cells_and_memory(run, monkeypatch):
    model, encoder = prediction.model_of(run)
    ds = open_area(area_path("sample"))
    layout = prediction.layout_of(model, encoder, ds)
    whole = forecast(model, encoder, ds, layout)
    assert whole.cells == int(ds["valid"].sum())
    assert whole.blocks == 2
    half = forecast(model, encoder, ds, layout._replace(blocks=layout.blocks[:1]))
    height, width = shape_of(ds)
    assert half.cells == round(whole.cells * 128 / height)
    assert whole.seconds > 0
    wide = blocks.Block(0, 128, 0, 100 * width)
    more = forecast(model, encoder, ds, layout._replace(blocks=[wide]))
    encoded = 4 * 3 * 128 * 99 * width * len(encoder.channels)
    assert more.gigabytes - half.gigabytes == pytest.approx(encoded / 1e9, rel=0.2)
    nothing = forecast(model, encoder, ds, layout._replace(blocks=[]))
    assert (nothing.cells, nothing.seconds) == (0, 0)
    assert str(Forecast(1234567, 12, 90, 1.44)) == (
        "1,234,567 cells in 12 blocks: about 2 min on this machine, and about 1.4 GB of memory"
    )


def test_scoring_takes_as_long_as_its_cells(run):
    model, encoder = prediction.model_of(run)
    ds = open_area(area_path("sample"))
    layout = prediction.layout_of(model, encoder, ds)
    one, ten = (scoring_seconds(model, encoder, layout, n) for n in (1e5, 1e6))
    assert 3 < ten / one < 30


def test_a_full_disk_leaves_no_map_and_says_so(run, tmp_path, small, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large_map.np, "save", full)
    with pytest.raises(RunError, match=r"No space left on device.*goes on"):
        large_map.write_large_map(run, area_path("sample"), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
