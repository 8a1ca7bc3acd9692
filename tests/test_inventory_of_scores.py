"""Thresholds on validation ground, unseen ground, and detections held against the mapped."""

import json
import sys

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr

from lsm_core import cli, experiment, runs
from lsm_core import inventory_of_scores as room
from lsm_core.delineation_settings import Delineation
from lsm_core.errors import RunError
from lsm_core.grid import grid_of
from lsm_core.holdout import blocks_of_places, hold_out
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.sampling import landslide_places
from lsm_core.splits import PARTS
from lsm_core.study_area import open_area
from lsm_core.threshold import choose_threshold

FOREST = {
    "name": "forest",
    "model": {"name": "random_forest", "options": {"n_estimators": 30, "min_samples_leaf": 2}},
    "input": {"factors": [], "bands": ["blue", "green", "red", "nir", "d_ndvi"]},
    "split": {"test": 0.5, "block": 6000.0},
    "area": "sample",
}


@pytest.fixture(scope="module")
def detector(sample_workspace):
    return experiment.run_experiment(make_recipe(FOREST), sample_workspace / "runs")


@pytest.fixture(scope="module")
def ds(detector):
    return open_area(detector.area_path)


def ground_of(run, ds, part):
    slides = landslide_places(ds)
    slides["block"] = blocks_of_places(ds, run.recipe, slides)
    return hold_out(ds, run.recipe, slides).ground == PARTS.index(part)


def test_most_landslides_are_found_where_the_detector_never_was(detector, ds):
    found = room.detect(detector, Delineation())
    grounds = room.grounds_of(detector, ds)
    told = room.held_against(found.number, ds, grounds, overlap=0.5)
    unseen = told["ground it learnt nothing from"]
    assert unseen["landslides"] > 100
    assert unseen["found"] > 0.5 * unseen["landslides"]
    assert unseen["found"] + unseen["missed"] == unseen["landslides"]
    whole = told["whole area"]
    assert whole["landslides"] == len(np.unique(ds.landslide_id)) - 1
    cell = grid_of(ds).cell_size ** 2 / 1e6
    assert whole["km2_mapped"] == pytest.approx(float(ds.landslide.sum()) * cell)
    assert whole["km2_detected"] == pytest.approx(found.landslides["area_m2"].sum() / 1e6)
    assert whole["km2_both"] <= min(whole["km2_detected"], whole["km2_mapped"])


def test_the_rule_looks_at_every_cell_of_validation_ground(detector, ds):
    """Places of a sample are half landslides: there the same rule cuts far too low."""
    found = room.detect(detector, Delineation())
    ground = ground_of(detector, ds, "validation")
    score = room.score_map(detector, ds).values
    by_hand = choose_threshold(ds.landslide.values[ground], score[ground], "f1").threshold
    assert found.threshold == by_hand
    assert f"{ground.sum():,} cells of validation ground" in found.chosen
    places = detector.scores[detector.scores["split"] == "validation"]
    at_places = choose_threshold(places["label"], places["score"], "f1").threshold
    assert at_places < found.threshold
    assert room.detect(detector, Delineation(threshold=0.7)).threshold == 0.7


def test_what_was_taught_lies_off_the_unseen_ground(detector, ds):
    unseen = room.unseen_ground(detector, ds)
    taught = detector.samples[detector.samples["split"] != "test"]
    assert not unseen[taught["row"], taught["col"]].any()
    test_ground = ground_of(detector, ds, "test")
    assert not (unseen & ~test_ground).any()
    assert unseen.sum() > 0.95 * test_ground.sum()


def test_ground_in_the_window_of_what_was_taught_is_not_unseen(detector, ds):
    """A window of 13 reaches six cells into the next block."""
    settings = FOREST | {"input": {"form": "window", "size": 13}, "model": {"name": "cnn"}}
    recipe = make_recipe(settings)
    wide = type("Wide", (), {"recipe": recipe, "samples": detector.samples, "area": detector.area})
    taught = detector.samples[detector.samples["split"] != "test"]
    far = room.unseen_ground(wide, ds)
    rows, cols = np.nonzero(far)
    gap = np.maximum(
        abs(rows[:, None] - taught["row"].to_numpy()), abs(cols[:, None] - taught["col"].to_numpy())
    ).min()
    assert gap == 7


def test_under_the_paper_protocol_nothing_is_unseen_and_places_are_weighted(sample_workspace, ds):
    recipe = make_recipe(FOREST | {"protocol": "paper", "split": {}})
    run = experiment.run_experiment(recipe, sample_workspace / "runs")
    with pytest.raises(RunError, match="leaves no ground unseen"):
        room.unseen_ground(run, ds)
    assert list(room.grounds_of(run, ds)) == ["whole area"]
    found = room.detect(run, Delineation())
    assert "validation places, weighted to" in found.chosen
    plain = run.scores[run.scores["split"] == "validation"]
    label, score = plain["label"].to_numpy(), plain["score"].to_numpy()
    area, drawn = float(ds.landslide.where(ds.valid).mean()), label.mean()
    weight = np.where(label == 1, area / drawn, (1 - area) / (1 - drawn))
    assert found.threshold == choose_threshold(label, score, "f1", weight=weight).threshold
    assert found.threshold > choose_threshold(label, score, "f1").threshold


def test_held_against_by_hand(ds):
    """Three cells of a landslide of four found, another missed, one detection beside them false."""
    ids = np.zeros((4, 6), "int32")
    ids[0, :4], ids[3, 4:] = 1, 2
    number = np.zeros((4, 6), "int32")
    number[0, :3], number[2, 0] = 1, 2
    small = xr.Dataset(
        {"landslide_id": (("y", "x"), ids)},
        {"y": 100.0 * np.arange(4)[::-1], "x": 100.0 * np.arange(6)},
    ).rio.write_crs(32643)
    told = room.held_against(number, small, {"all": np.ones((4, 6), bool)}, overlap=0.5)["all"]
    assert (told["found"], told["missed"], told["true"], told["false"]) == (1, 1, 1, 1)
    areas = [told[f"km2_{name}"] for name in ("detected", "mapped", "both")]
    np.testing.assert_allclose(areas, [0.04, 0.06, 0.03])
    half = np.zeros((4, 6), bool)
    half[:2] = True
    assert room.held_against(number, small, {"half": half})["half"]["missed"] == 0


def test_a_detector_on_chips_is_unseen_in_its_test_chips(sample_workspace, ds):
    """The threshold is of every cell of validation chips, the ground of test chips alone."""
    chips = {"size": 32, "stride": 32}
    recipe = make_recipe(FOREST | {"name": "on_chips", "chips": chips, "split": {"test": 0.4}})
    run = experiment.run_experiment(recipe, sample_workspace / "runs")
    unseen = room.unseen_ground(run, ds)
    parts = {part: run.scores[run.scores["split"] == part] for part in PARTS}
    test, check = parts["test"], parts["validation"]
    assert unseen.sum() == len(test)
    assert unseen[test["row"], test["col"]].all()
    assert not unseen[check["row"], check["col"]].any()
    found = room.detect(run, Delineation())
    assert found.chosen == f"f1 on the {len(check):,} cells of validation chips"
    assert found.threshold == choose_threshold(check["label"], check["score"], "f1").threshold


def test_a_network_on_chips_has_learnt_nothing_from_all_of_its_test_chips(detector, ds):
    """Chips that touch share no cell: the window of a training chip takes none of its neighbour."""
    form = {"form": "chip", "size": 32, "factors": [], "bands": ["red"]}
    settings = {
        "name": "unet",
        "area": "sample",
        "input": form,
        "model": {"name": "attention_unet"},
    }
    recipe = make_recipe(settings)
    places = draw_places(ds, recipe)
    network = {"recipe": recipe, "samples": places.samples, "area": detector.area}
    unseen = room.unseen_ground(type("Network", (), network), ds)
    np.testing.assert_array_equal(unseen, places.test_ground & ds.valid.to_numpy())


# --- the command ---------------------------------------------------------------------------------


def lsm(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lsm", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_detect_writes_polygons_and_says_what_it_did(detector, ds, monkeypatch, capsys, tmp_path):
    to = tmp_path / "inventory.gpkg"
    options = ["--mask", "land_cover=Cropland@90", "--min-area", 60000, "--smooth", 1]
    assert lsm(monkeypatch, "detect", detector.id, "--to", to, *options) == 0
    said = capsys.readouterr().out
    assert "cells taken by land_cover" in said
    assert "objects smaller than the least area" in said
    assert "mapped landslides found" in said
    assert "ground it learnt nothing from" in said
    table = gpd.read_file(to)
    assert table.crs == ds.rio.crs
    assert table["area_m2"].min() >= 60000
    assert set(table["run"]) == {detector.id}
    assert lsm(monkeypatch, "detect", detector.id, "--to", to, *options, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["landslides"] == len(table)
    assert told["against"]["whole area"]["km2_detected"] == pytest.approx(
        table["area_m2"].sum() / 1e6
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "a.shp"], "name that ends in .gpkg"),
        (["--to", "a.gpkg", "--threshold", "most"], "--threshold takes a number, got 'most'"),
        (["--to", "a.gpkg", "--smooth", "4"], "no middle cell"),
        (["--to", "a.gpkg", "--mask", "land_cover=Lava"], "no class 'Lava'"),
        (["--to", "a.gpkg", "--mask", "roads"], "no factor, source or file"),
    ],
)
def test_mistakes_are_one_line(detector, monkeypatch, capsys, tmp_path, options, words):
    monkeypatch.chdir(tmp_path)
    assert lsm(monkeypatch, "detect", detector.id, *options) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("*.gpkg"))


def test_a_run_without_a_map_has_no_outlines(sample_workspace):
    recipe = make_recipe(FOREST | {"map": False, "name": "mapless"})
    run = experiment.run_experiment(recipe, sample_workspace / "runs")
    with pytest.raises(RunError, match="made no map"):
        room.detect(run, Delineation())
    assert isinstance(run, runs.Run)
