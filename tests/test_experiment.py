"""From a recipe to a run folder: complete, repeatable, and true to its protocol."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
from sklearn.metrics import average_precision_score, roc_auc_score

from lsm_core import experiment, prediction, runs
from lsm_core.encoding import Encoder, encode
from lsm_core.errors import RecipeError, Stopped
from lsm_core.recipe import make_recipe
from lsm_core.splits import overlap_report
from lsm_core.study_area import open_area

SPLIT = {"block": 6000.0}
NETWORK = {
    "name": "lsgh_net",
    "model": {"name": "lsgh_net"},
    "split": SPLIT,
    "samples": {"heatmap": {"diameter": 7, "per_interval": 0.2}},
    "input": {"form": "onehot", "size": 13, "preset": "lsgh_net"},
    "training": {"epochs": 2, "batch": 64, "learning_rate": 0.001, "patience": 2},
}
FOREST = {
    "name": "forest",
    "model": {"name": "random_forest", "options": {"n_estimators": 50}},
    "split": SPLIT,
}


def run(settings, area, into, *changes, **more):
    recipe = make_recipe(settings, [f"area={area}", *changes])
    return experiment.run_experiment(recipe, into, **more)


@pytest.fixture(scope="module")
def forest(sample_workspace, tmp_path_factory):
    return run(FOREST, "sample", tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def network(sample_workspace, tmp_path_factory):
    return run(NETWORK, "sample", tmp_path_factory.mktemp("runs"))


def test_a_run_folder_is_complete(network):
    wanted = {
        *("recipe.json", "area.json", "status.json", "progress.jsonl", "encoder.json"),
        *("samples.parquet", "scores.parquet", "metrics.json", "model", "susceptibility.tif"),
        *("susceptibility.qml", "zones.tif", "zones.qml", "density_table.csv", "versions.json"),
        *("calibration.json", "zones.json"),
    }
    assert {p.name for p in network.path.iterdir()} == wanted
    assert network.state == "done"
    events = [e["event"] for e in runs.read_progress(network.path)[0]]
    assert events.count("epoch") == 2
    assert events[-1] == "done"


def test_the_numbers_are_those_of_the_stored_scores(network):
    test = network.scores[network.scores["split"] == "test"]
    metrics = network.metrics
    wanted = average_precision_score(test["label"], test["score"])
    assert metrics["average_precision"] == pytest.approx(wanted, abs=1e-12)
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(test["label"], test["score"]))
    assert metrics["n"] == len(test) == 2 * metrics["landslides"]
    assert set(test["label"]) == {0, 1}


def test_the_map_has_the_scores_of_the_places(network):
    with rasterio.open(network.map_path) as source:
        index = source.read(1)
    scores = network.scores
    np.testing.assert_allclose(index[scores["row"], scores["col"]], scores["score"], atol=1e-5)
    ds = open_area(network.area_path)
    np.testing.assert_array_equal(np.isfinite(index), ds["valid"].to_numpy())
    again = prediction.predict_samples(network, network.samples.head(5))
    np.testing.assert_allclose(
        again, index[network.samples["row"][:5], network.samples["col"][:5]], atol=1e-5
    )


def test_density_counts_every_cell_and_landslide_once(forest):
    with rasterio.open(forest.map_path) as source:
        index = source.read(1)
    table = forest.density_table.set_index(["breaks", "where", "zone"]).sort_index()
    whole = table.loc[("equal 0.2", "whole map")]
    by_hand = np.histogram(index[np.isfinite(index)], bins=np.linspace(0, 1, 6))[0]
    assert whole["cells"].tolist() == by_hand.tolist()
    ds = open_area(forest.area_path)
    assert whole["landslides"].sum() == ds.sizes["place"]
    blocks = table.loc[("natural", "test blocks")]
    assert blocks["landslides"].sum() == forest.metrics["landslides"]


def test_honest_runs_share_test_places_and_leak_nothing(forest, network):
    tables = runs.compare([forest, network])
    assert tables["scores"]["overlap share"].tolist() == [0.0, 0.0]
    soft = network.samples[network.samples["label"] == -1]
    assert set(soft["split"]) == {"train"}
    window = network.recipe.apart
    assert overlap_report(network.samples[network.samples["label"] >= 0], window)["share"] == 0.0


@pytest.mark.torture
def test_same_recipe_same_samples_weights_and_metrics(network, sample_workspace, tmp_path):
    again = run(NETWORK, "sample", tmp_path)
    pd.testing.assert_frame_equal(again.samples, network.samples)
    pd.testing.assert_frame_equal(again.scores, network.scores)
    one, two = (prediction.load_model(r.path / "model").get_weights() for r in (network, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    stored = [json.loads((r.path / "metrics.json").read_text()) for r in (network, again)]
    assert [m.pop("seconds") is not None for m in stored] == [True, True]
    assert stored[0] == stored[1]
    other = run(NETWORK, "sample", tmp_path, "seed=2", "training.epochs=1")
    assert not other.samples.equals(network.samples)
    assert other.metrics["test_places"] == network.metrics["test_places"]


def test_the_paper_protocol_splits_at_random(sample_workspace, tmp_path):
    paper = run(FOREST, "sample", tmp_path, "protocol=paper")
    assert paper.metrics["protocol"] == "paper"
    hard = paper.samples[paper.samples["label"] >= 0]
    assert (hard["split"] == "test").mean() == pytest.approx(0.3, abs=0.01)
    assert set(paper.density_table["where"]) == {"whole map"}


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize(
    ("name", "column"),
    [("information_value", "information_value"), ("weights_of_evidence", "w_plus")],
)
def test_a_bivariate_run_maps_what_its_table_says(
    name, column, protocol, sample_workspace, tmp_path
):
    """Every cell of the map: the values of its classes, from the stored table, added up."""
    settings = {"name": name, "model": {"name": name}, "split": SPLIT}
    settings["input"] = {"form": "classes", "breaks": {"method": "natural", "k": 6}}
    done = run(settings, "sample", tmp_path, f"protocol={protocol}")
    table = pd.read_csv(done.path / "bivariate.csv")
    ds = open_area(done.area_path)
    classes = encode(ds, Encoder.from_json(done.encoder))
    evidence = np.zeros(ds["valid"].shape)
    for factor, rows in table.groupby("factor", sort=False):
        of = classes.sel(factor=factor).to_numpy()
        evidence += np.where(of >= 0, rows[column].to_numpy()[np.maximum(of, 0)], 0)
    train = done.samples[done.samples["split"] == "train"]
    assert (table.groupby("factor")["cells"].sum() <= len(train)).all()
    assert table.groupby("factor")["landslides"].sum()["slope"] == train["label"].sum()
    if name == "weights_of_evidence":
        evidence += np.log(train["label"].mean() / (1 - train["label"].mean()))
    with rasterio.open(done.map_path) as source:
        index = source.read(1)
    valid = ds["valid"].to_numpy()
    np.testing.assert_allclose(index[valid], 1 / (1 + np.exp(-evidence[valid])), atol=1e-6)
    assert done.metrics["roc_auc"] > 0.6


def test_a_window_network_trains_and_maps(sample_workspace, tmp_path):
    window = run(
        NETWORK,
        "sample",
        tmp_path,
        "input.form=window",
        "training.epochs=1",
        "input.size=9",
        "input.factors=[elevation, slope, aspect, lithology]",
        "input.preset=null",
    )
    with rasterio.open(window.map_path) as source:
        index = source.read(1)
    scores = window.scores
    np.testing.assert_allclose(index[scores["row"], scores["col"]], scores["score"], atol=1e-5)


def test_stopping_leaves_a_readable_folder(sample_workspace, tmp_path):
    epochs = []
    with pytest.raises(Stopped):
        run(
            NETWORK,
            "sample",
            tmp_path,
            "training.epochs=50",
            on_progress=lambda e: epochs.append(e) if e["event"] == "epoch" else None,
            should_stop=lambda: len(epochs) >= 1,
        )
    (stopped,) = runs.list_runs(tmp_path)
    assert stopped.state == "stopped"
    assert (stopped.path / "model" / "architecture.json").is_file()
    assert not (stopped.path / "susceptibility.tif").exists()


def test_a_mistake_is_found_before_a_folder_is_made(sample_workspace, tmp_path):
    for change, words in (
        ("model.name=lsgh", "lsgh_net"),
        ("model.options={scs: true}", "scs"),
        ("input.form=table", "takes onehot or window"),
        ("input.factors=[slop]", "no factor 'slop'"),
        ("input.preset=lsgh", "lsgh"),
    ):
        with pytest.raises(RecipeError, match=words):
            run(NETWORK, "sample", tmp_path, change)
    for change in ("samples.heatmap={diameter: 7}", "samples.smoothing=0.1"):
        with pytest.raises(RecipeError, match="learns from hard labels"):
            run(FOREST, "sample", tmp_path, change)
    assert runs.list_runs(tmp_path) == []


def test_a_run_that_breaks_says_so(sample_workspace, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(runs, "write_map", broken)
    with pytest.raises(OSError, match="no space left"):
        run(FOREST, "sample", tmp_path)
    (failed,) = runs.list_runs(tmp_path)
    assert failed.status["state"] == "failed"
    assert failed.status["message"] == "OSError: no space left on device"


def test_a_run_judges_its_map_and_thresholds(forest):
    """Rates, Boyce index, thresholds, reliability and the statement on zones are in the run."""
    m = forest.metrics
    assert set(m["thresholds"]) == {"half", "youden", "f1", "cost", "share"}
    assert m["thresholds"]["half"]["accuracy"] == m["scores"]["accuracy"]
    assert m["thresholds"]["share"]["threshold"] != 0.5
    assert 0 < m["rates"]["prediction"]["under"] < m["rates"]["success"]["under"] <= 1
    assert -1 <= m["boyce"] <= 1
    assert 0 <= m["reliability"]["test"]["error"] < 1
    assert m["prior"]["half_becomes"] == pytest.approx(m["prior"]["area"], rel=0.1)
    assert any("0.5 on the map" in line for line in m["warnings"])
    assert m["zoning"] == "natural"
    assert m["reasonableness"]["whole map"]["reasonable"] is True
    with rasterio.open(forest.map_path) as one, rasterio.open(forest.zones_path) as two:
        np.testing.assert_array_equal(forest.limits.zone(one.read(1)), two.read(1))


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibration_and_zones_of_a_run_go_with_it(method, forest, sample_workspace, tmp_path):
    """The map, the places and a later prediction agree; the model and its order stay the same."""
    changes = [f"calibration={method}", "zoning={method: target, shares: [0.1, 0.3, 0.6]}"]
    bent = run(FOREST, "sample", tmp_path, *changes)
    assert bent.calibrator.method == method
    test = bent.scores[bent.scores["split"] == "test"]
    before = forest.scores[forest.scores["split"] == "test"]
    np.testing.assert_array_equal(test["raw"], before["score"])
    np.testing.assert_allclose(test["score"], bent.calibrator(before["score"].to_numpy()))
    assert not np.allclose(test["score"], before["score"])
    again = prediction.predict_samples(bent, test)
    np.testing.assert_allclose(again, test["score"], atol=1e-6)
    with rasterio.open(bent.map_path) as source:
        index = source.read(1)
    np.testing.assert_allclose(index[test["row"], test["col"]], test["score"], atol=1e-6)
    ds = open_area(bent.area_path)
    np.testing.assert_allclose(prediction.predict_map(bent, ds), index, atol=1e-6)
    assert bent.metrics["zoning"] == "target, 3 zones"
    assert bent.metrics["reliability"]["before"] == forest.metrics["reliability"]["test"]
    with rasterio.open(bent.zones_path) as source:
        zones = source.read(1)
    np.testing.assert_array_equal(zones, bent.limits.zone(index))
    slides = bent.samples[(bent.samples["label"] == 1) & (bent.samples["split"] != "test")]
    held = np.bincount(zones[slides["row"], slides["col"]], minlength=4)[1:] / len(slides)
    assert held[2] >= 0.6


def test_test_labels_move_no_calibration_threshold_or_zone(forest, sample_workspace):
    """With the labels of the test places shuffled, nothing that is learnt or chosen changes."""
    from lsm_core import evaluation

    places = forest.scores
    test = places["split"] == "test"
    moved = places.copy()
    moved.loc[test, "label"] = places.loc[test, "label"].to_numpy()[::-1]
    assert (moved["label"] != places["label"]).any()
    for method in ("isotonic", "platt"):
        one, other = (evaluation.calibrated(t, method)[1] for t in (places, moved))
        assert one == other
    one, other = (evaluation.judge_places(t)["thresholds"] for t in (places, moved))
    assert {r: v["threshold"] for r, v in one.items()} == {
        r: v["threshold"] for r, v in other.items()
    }
    assert one["youden"]["accuracy"] != other["youden"]["accuracy"]
    seen = [evaluation.landslides_of(t, (400, 400), "train", "validation") for t in (places, moved)]
    np.testing.assert_array_equal(*seen)
