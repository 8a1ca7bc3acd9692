"""Landslides from images: batches of chips, an ordinary run on them, and what it is judged by."""

import numpy as np
import pandas as pd
import pytest
import rasterio

from lsm_core import chips, experiment, prediction, runs
from lsm_core.detection import ChipBatches, judge_objects, overlap_of_chips, turned
from lsm_core.encoding import fit_encoder
from lsm_core.errors import RunError, Stopped
from lsm_core.metrics import average_precision
from lsm_core.objects import match_objects
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.study_area import area_path, open_area

BANDS = {"factors": [], "bands": ["blue", "green", "red", "nir"]}
UNET = {
    "name": "chips",
    "model": {"name": "attention_unet", "options": {"base": 2}},
    "input": {"form": "chip", "size": 16, **BANDS},
    "training": {"epochs": 3, "batch": 4, "learning_rate": 0.01, "patience": 3}
    | {"loss": "focal", "alpha": 0.5, "gamma": 1.0, "watch": "average_precision"},
}
FOREST = {
    "name": "cells",
    "model": {"name": "random_forest", "options": {"n_estimators": 30}},
    "input": {"form": "table", **BANDS},
    "chips": {"size": 16},
}


def run(settings, into, *changes, **more):
    return experiment.run_experiment(make_recipe(settings, ["area=sample", *changes]), into, **more)


@pytest.fixture(scope="module")
def unet(sample_workspace, tmp_path_factory):
    return run(UNET, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def forest(sample_workspace, tmp_path_factory):
    return run(FOREST, tmp_path_factory.mktemp("runs"), "map=false")


# --------------------------------------------------------------------------------------- batches


def batches(n=6, *, augment=False, shuffle=False, batch=4):
    """Chips of 16 cells from a raster whose channel says which cell it is."""
    number = np.arange(64 * 64, dtype=np.float32).reshape(64, 64, 1)
    landslide = (np.arange(64 * 64).reshape(64, 64) % 7 == 0).astype("uint8")
    counted = np.ones((64, 64), bool)
    counted[:, :4] = False
    frame = pd.DataFrame({"row": np.full(n, 20), "col": 8 + 8 * np.arange(n)})
    frame["target"], frame["label"] = 0.1, 1
    rng = np.random.default_rng(0)
    made = ChipBatches(number, landslide, counted, frame, 16, batch, rng, shuffle, augment)
    return made, number, landslide


@pytest.mark.parametrize("augment", [False, True])
def test_image_truth_and_weight_stay_together(augment):
    made, _, landslide = batches(augment=augment)
    made.start_epoch()
    seen = set()
    for number in range(len(made)):
        x, target, weight = made[number]
        assert x.shape == target.shape == (3, 16, 16, 1)
        cell = x[..., 0].astype(int)
        assert np.array_equal(target[..., 0], landslide.ravel()[cell])
        assert np.array_equal(weight > 0, cell % 64 >= 4)
        assert weight.mean() == pytest.approx(1)
        seen |= {chip.tobytes() for chip in x}
    assert len(seen) == 6
    corner = [made[0][0][0, 0, 0, 0]] if not augment else None
    assert corner in (None, [12 * 64])


def test_chips_are_turned_anew_in_every_epoch_and_all_ways():
    made, _, _ = batches(augment=True)
    ways = set()
    for _ in range(100):
        made.start_epoch()
        ways.add(made[0][0][0].tobytes())
    assert len(ways) == 8


def test_the_eight_ways_to_turn_a_chip_are_different_and_whole():
    chip = np.arange(9).reshape(1, 3, 3, 1)
    ways = [turned(chip, np.array([way])).ravel().tolist() for way in range(8)]
    assert len({tuple(way) for way in ways}) == 8
    assert all(sorted(way) == list(range(9)) for way in ways)


def test_the_area_is_not_copied():
    made, number, _ = batches()
    before = made[0][0].copy()
    number += 1  # what the batches cut from is the array they were given
    assert np.array_equal(made[0][0], before + 1)


def test_what_is_judged_are_the_cells_that_count():
    made, _, landslide = batches()
    target, label, which = made.judged()
    cells = np.concatenate([made[i][0].ravel() for i in range(len(made))]).astype(int)
    assert np.array_equal(which, cells % 64 >= 4)
    assert np.array_equal(target, landslide.ravel()[cells[which]])
    assert target is label


# -------------------------------------------------------------------------------------- a run


def test_a_run_on_chips_is_an_ordinary_run(unet):
    assert unet.state == "done"
    names = {p.name for p in unet.path.iterdir()}
    assert {"scores.parquet", "metrics.json", "susceptibility.tif", "zones.tif", "model"} <= names
    metrics = unet.metrics
    assert metrics["overlap"]["share"] == 0
    assert metrics["overlap"]["shared_landslides"] == 0
    assert metrics["overlap"]["window"] == 16
    assert metrics["n"] == (unet.scores["split"] == "test").sum()
    test = unet.scores[unet.scores["split"] == "test"]
    assert metrics["average_precision"] == average_precision(test["label"], test["score"])
    assert len(unet.samples) < 200
    assert set(unet.samples["origin"]) == {"chip with landslides", "chip without"}


def test_scores_are_what_the_map_has_there(unet):
    with rasterio.open(unet.map_path) as file:
        index = file.read(1)
    places = unet.scores
    assert np.array_equal(index[places["row"], places["col"]], places["score"].astype("f4"))
    # Read from the folder, the network is compiled anew: the last bits may differ.
    some = prediction.predict_samples(unet, places.head(40))
    np.testing.assert_allclose(some, places["score"].head(40), atol=1e-6)
    again = prediction.predict_map(unet, open_area(area_path("sample")))
    np.testing.assert_allclose(again, index, atol=1e-6)


def test_test_cells_are_all_cells_of_test_chips(unet):
    size, chosen = 16, unet.samples
    held = chosen[chosen["split"] == "test"]
    assert (unet.scores["split"] == "test").sum() == len(held) * size**2


def test_objects_are_matched_on_the_test_cells(unet):
    ds = open_area(area_path("sample"))
    with rasterio.open(unet.map_path) as file:
        index = file.read(1)
    ground = chips.parts_of_cells(ds, unet.samples, 16) == 2
    for rule, found in unet.metrics["objects"].items():
        assert found["threshold"] == unet.metrics["thresholds"][rule]["threshold"]
        mask = np.where(ground, index >= np.float32(found["threshold"]), False)
        wanted = match_objects(mask, np.where(ground, ds["landslide_id"], 0))
        assert {name: found[name] for name in wanted} == wanted
    slides = np.unique(ds["landslide_id"].to_numpy()[ground])
    assert unet.metrics["objects"]["half"]["landslides"] == len(slides[slides > 0])


def test_objects_at_a_threshold_that_is_just_reached_and_one_that_nothing_reaches():
    scores = pd.DataFrame(
        {"row": [0, 0], "col": [0, 1], "landslide_id": [4, 0], "score": [0.6, 0.7]}
    )
    at = {"half": {"threshold": 0.6}, "f1": {"threshold": None}}
    judged = judge_objects(scores.assign(split="test"), (1, 3), at)
    assert (judged["half"]["found"], judged["half"]["objects"]) == (1, 1)
    assert (judged["f1"]["found"], judged["f1"]["objects"]) == (0, 0)


def test_a_forest_on_cells_is_judged_on_the_same_places(unet, forest):
    assert forest.metrics["test_places"] == unet.metrics["test_places"]
    assert set(forest.metrics["objects"]) == {"half", "f1"}
    assert (
        forest.metrics["objects"]["half"]["landslides"]
        == (unet.metrics["objects"]["half"]["landslides"])
    )
    assert [band["name"] for band in forest.encoder["bands"]] == BANDS["bands"]


def test_it_learns_what_a_landslide_looks_like(unet):
    assert unet.metrics["roc_auc"] > 0.6


def test_the_bands_are_scaled_by_training_chips_alone(unet):
    ds = open_area(area_path("sample")).load()
    recipe = unet.recipe
    ground = chips.parts_of_cells(ds, unet.samples, 16)
    image = ds["image"].copy()
    image.values[:, ground != 0] = 7.0
    cells = chips.draw_cells(ds, recipe, unet.samples)
    train = cells[cells["split"] == "train"]
    made = fit_encoder(ds.assign(image=image), recipe.input, fit_on=train)
    stored = [band.mean for band in made.bands]
    assert stored == [band["mean"] for band in unet.encoder["bands"]]
    # Counted out are only landslides that test chips hold too.
    assert abs(len(train) - (ground == 0).sum()) < 100


@pytest.mark.torture
def test_the_same_seed_gives_the_same_scores(unet, tmp_path):
    again = run(UNET, tmp_path, "map=false")
    assert np.array_equal(again.scores["score"], unet.scores["score"])
    other = run(UNET, tmp_path, "map=false", "seed=2")
    assert other.metrics["test_places"] == unet.metrics["test_places"]
    assert not np.array_equal(other.scores["score"], unet.scores["score"])


@pytest.mark.torture
def test_a_stop_leaves_a_run_that_can_be_read(sample_workspace, tmp_path):
    asked = iter(range(10**6))
    with pytest.raises(Stopped):
        run(UNET, tmp_path, should_stop=lambda: next(asked) > 20)
    (left,) = runs.list_runs(tmp_path)
    assert left.state == "stopped"
    prediction.model_of(left)


def test_landslides_cut_by_a_random_split_count_as_shared(sample_workspace):
    ds = open_area(area_path("sample"))
    recipe = make_recipe(UNET, ["protocol=paper"])
    samples = draw_places(ds, recipe).samples
    cells = chips.draw_cells(ds, recipe, samples)
    report = overlap_of_chips(samples, cells, 16)
    ids = [
        set(cells.loc[(cells["split"] == "test") == held, "landslide_id"]) - {0}
        for held in (True, False)
    ]
    assert report["shared_landslides"] == len(ids[0] & ids[1]) > 0
    assert report["verdict"].startswith("leaks")


def test_rooms_that_ask_about_single_places_are_told_so(unet):
    _, encoder = prediction.model_of(unet)
    ds = open_area(area_path("sample"))
    with pytest.raises(RunError, match="scores whole images"):
        prediction.gather(encoder, ds, [1], [1])
    with pytest.raises(RunError, match="scores whole images"):
        next(prediction.inputs(encoder, ds))
