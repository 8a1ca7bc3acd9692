"""Run folders: written whole, read back the same, compared only where they may be."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from lsm_core import runs
from lsm_core.errors import RunError
from lsm_core.grid import Grid
from lsm_core.recipe import make_recipe

GRID = Grid((700, 300), Affine(30, 0, 500000, 0, -30, 4000000), CRS.from_epsg(32643))


def new_run(folder, name="rf", protocol="honest", places="same", done=True):
    recipe = make_recipe({"name": name, "model": {"name": "random_forest"}, "protocol": protocol})
    path = runs.create_run(recipe, {"name": "hill", "path": str(folder / "hill")}, folder)
    numbers = dict.fromkeys(("accuracy", "precision", "specificity", "recall", "f1", "mse"), 0.5)
    metrics = {
        "protocol": protocol,
        "n": 20,
        "test_places": places,
        "scores": numbers | {"prevalence": 0.5},
        "average_precision": 0.8,
        "roc_auc": 0.7,
        "overlap": {"share": 0.0},
    }
    runs.write_json(path / "metrics.json", metrics)
    zones = {"breaks": "equal 0.2", "where": "whole map", "zone": range(1, 6)}
    zones |= {"from": np.arange(5) / 5, "to": np.arange(1, 6) / 5, "cells": 10}
    zones |= {"share_of_cells": 0.2, "landslides": 2, "share_of_landslides": 0.2, "density": 0.2}
    runs.write_table(path / "density_table.csv", pd.DataFrame(zones))
    runs.set_status(path, "done" if done else "running")
    return runs.open_run(path)


def test_a_run_comes_back_as_it_was_written(tmp_path):
    run = new_run(tmp_path)
    assert run.recipe.name == "rf"
    assert run.state == "done"
    assert runs.list_runs(tmp_path) == [run]
    assert run.density_table["share_of_cells"].sum() == pytest.approx(1)
    assert json.loads((run.path / "versions.json").read_text())["numpy"] == np.__version__
    assert not list(run.path.glob(".*.part"))


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    assert new_run(tmp_path).path != new_run(tmp_path).path


def test_a_run_whose_process_is_gone_reads_as_lost(tmp_path):
    run = new_run(tmp_path, done=False)
    assert run.state == "running"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    runs.set_status(run.path, "running", pid=child.pid)
    assert run.state == "running"
    child.kill()
    child.wait()
    assert run.state == "lost"


def test_a_run_keeps_the_time_at_which_it_was_made(tmp_path):
    run, younger = new_run(tmp_path), new_run(tmp_path)
    old = json.loads((younger.path / "status.json").read_text())
    runs.write_json(younger.path / "status.json", old | {"created": "2020-02-02T02:02:02.000"})
    runs.set_status(younger.path, "done")
    status = runs.open_run(younger.path).status
    assert status["created"] == "2020-02-02T02:02:02.000" < status["updated"]
    assert [r.path for r in runs.list_runs(tmp_path)] == [younger.path, run.path]


def test_another_process_with_the_old_number_is_not_the_run(tmp_path):
    run = new_run(tmp_path, done=False)
    status = json.loads((run.path / "status.json").read_text())
    runs.write_json(run.path / "status.json", status | {"process_started": 1.0})
    assert status["pid"] == os.getpid()
    assert run.state == "lost"


def test_progress_is_read_in_whole_lines_from_where_one_stopped(tmp_path):
    run = new_run(tmp_path)
    runs.add_progress(run.path, {"event": "epoch", "epoch": 1})
    with open(run.path / "progress.jsonl", "a") as file:
        file.write('{"event": "epo')
    events, offset = runs.read_progress(run.path)
    assert [e["epoch"] for e in events] == [1]
    with open(run.path / "progress.jsonl", "a") as file:
        file.write('ch", "epoch": 2}\n')
    events, _ = runs.read_progress(run.path, offset)
    assert [e["epoch"] for e in events] == [2]


def test_the_half_line_of_a_process_that_was_killed_is_passed_over(tmp_path):
    run = new_run(tmp_path)
    runs.add_progress(run.path, {"event": "epoch", "epoch": 1})
    with open(run.path / "progress.jsonl", "a") as file:
        file.write('{"event": "epo')
    runs.add_progress(run.path, {"event": "epoch", "epoch": 2})
    events, offset = runs.read_progress(run.path)
    assert [e["epoch"] for e in events] == [1, 2]
    assert offset == (run.path / "progress.jsonl").stat().st_size


def test_a_clock_that_is_set_anew_loses_no_running_run(tmp_path, monkeypatch):
    """The time of day at which a process began is reckoned from the clock."""
    run = new_run(tmp_path, done=False)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 1.0)
    assert run.state == "running"


def test_a_folder_that_is_being_made_is_no_run(tmp_path):
    run = new_run(tmp_path)
    shutil.copytree(run.path, tmp_path / ".half.1234.new")
    assert [r.path for r in runs.list_runs(tmp_path)] == [run.path]


def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "versions", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        new_run(tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_map_is_a_cog_with_the_values_it_was_given(tmp_path):
    index = np.random.default_rng(0).random(GRID.shape, dtype="float32")
    index[:50, :50] = np.nan
    blocks = ((row, index[row : row + 128]) for row in range(0, 700, 128))
    runs.write_map(tmp_path / "map.tif", GRID, blocks)
    with rasterio.open(tmp_path / "map.tif") as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (source.crs, source.transform) == (GRID.crs, GRID.transform)
        assert np.isnan(source.nodata)
        np.testing.assert_array_equal(source.read(1), index)
    again = np.concatenate([block for _, block in runs.read_strips(tmp_path / "map.tif", 99)])
    np.testing.assert_array_equal(again, index)
    assert [p.name for p in tmp_path.iterdir()] == ["map.tif"]


def test_a_map_that_fails_half_way_leaves_nothing(tmp_path):
    def blocks():
        yield 0, np.zeros((10, 300))
        raise ValueError("the model broke")

    with pytest.raises(ValueError, match="the model broke"):
        runs.write_map(tmp_path / "map.tif", GRID, blocks())
    assert list(tmp_path.iterdir()) == []


def test_compare_says_protocol_and_refuses_other_test_places(tmp_path):
    one, two = new_run(tmp_path), new_run(tmp_path, name="cnn")
    tables = runs.compare([one, two])
    assert tables["scores"]["model"].tolist() == ["rf", "cnn"]
    assert tables["scores"]["protocol"].tolist() == ["honest", "honest"]
    assert len(tables["zones"]) == 10
    other = new_run(tmp_path, protocol="paper", places="other")
    with pytest.raises(RunError, match="were tested on different places: rerun one"):
        runs.compare([one, other])
    with pytest.raises(RunError, match="not done, so nothing to compare"):
        runs.compare([one, new_run(tmp_path, done=False)])


def test_what_is_not_defined_is_not_a_number_in_the_table(tmp_path):
    run = new_run(tmp_path)
    scores = run.metrics["scores"] | {"precision": None}
    runs.write_json(run.path / "metrics.json", run.metrics | {"scores": scores})
    table = runs.compare([runs.open_run(run.path)])["scores"]
    assert table["precision"].dtype == "float64"
    assert table["precision"].isna().all()


def test_places_have_one_fingerprint_whatever_their_order():
    places = pd.DataFrame({"row": [1, 2, 3], "col": [4, 5, 6], "label": [1, 0, 1]})
    mark = runs.hash_places(places, "hill")
    assert mark == runs.hash_places(places.iloc[::-1], "hill")
    assert mark != runs.hash_places(places, "dale")
    assert mark != runs.hash_places(places.assign(label=[1, 1, 1]), "hill")


def test_housekeeping(tmp_path):
    run = new_run(tmp_path)
    runs.tag_run(run, "figure 3")
    run = runs.rename_run(run, "best")
    assert (run.id, run.tags) == ("best", ["figure 3"])
    assert runs.clone_run(run).area == "hill"
    for name in ("", "../out", ".hidden"):
        with pytest.raises(RunError, match="is not a folder name"):
            runs.rename_run(run, name)
    busy = new_run(tmp_path, done=False)
    with pytest.raises(RunError, match="is running and cannot be deleted"):
        runs.delete_run(busy)
    runs.delete_run(run)
    assert runs.list_runs(tmp_path) == [busy]


def test_what_is_not_a_run_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    with pytest.raises(RunError, match="no run at nothing"):
        runs.open_run("nothing")
    run = new_run(tmp_path)
    with pytest.raises(RunError, match=r"has no susceptibility\.tif"):
        _ = run.map_path
    runs.set_status(run.path, "done")
    status = json.loads((run.path / "status.json").read_text())
    runs.write_json(run.path / "status.json", status | {"format": 99})
    with pytest.raises(RunError, match="written by a newer version"):
        runs.open_run(run.path)


def test_what_networks_ran_on_is_kept_beside_the_versions(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert runs.versions()["keras backend"] == "jax"


def test_a_map_that_a_full_disk_cut_off_takes_no_place(tmp_path, monkeypatch):
    """GDAL ends well where the last bytes found no room."""
    import rasterio.shutil

    plain = rasterio.shutil.copy

    def cut(source, target, **look):
        plain(source, target, **look)
        os.truncate(target, os.path.getsize(target) - 100)

    monkeypatch.setattr(rasterio.shutil, "copy", cut)
    noise = np.random.default_rng(1).random(GRID.shape, dtype=np.float32)
    with pytest.raises(OSError, match="Read failed"):
        runs.write_map(tmp_path / "map.tif", GRID, [(0, noise)])
    assert list(tmp_path.iterdir()) == []
