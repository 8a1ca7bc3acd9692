"""Detection and susceptibility in one recipe: what is learnt from, judged on, and what leaks."""

import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import yaml
from command import lsm
from pydantic import ValidationError

from lsm_core import cli, experiment, sample_area
from lsm_core.catalog import fingerprint
from lsm_core.detected_area import about, detected_area, detection_recipe, leakage, settled
from lsm_core.errors import AreaError, InventoryError, RecipeError, RunError, Stopped
from lsm_core.inventory_of_scores import unseen_ground
from lsm_core.prediction import predict_samples
from lsm_core.protocol import draw_places, mapped_test_places
from lsm_core.recipe import load_recipe, make_recipe, save_recipe
from lsm_core.runs import create_run, list_runs, open_run, read_progress
from lsm_core.sampling import landslide_places
from lsm_core.study_area import area_path, open_area, save_area
from lsm_core.two_inventories import mapped_view

DETECTION = {
    "name": "forest_on_bands",
    "model": {"name": "random_forest", "options": {"n_estimators": 30, "min_samples_leaf": 2}},
    "input": {"factors": [], "bands": ["blue", "green", "red", "nir", "d_ndvi"]},
    "split": {"block": 6000.0},
}
CHAIN = {
    "name": "chain",
    "area": "sample",
    "model": {"name": "random_forest", "options": {"n_estimators": 30, "min_samples_leaf": 2}},
    "split": {"block": 4000.0, "apart": 4},
}


@pytest.fixture(scope="module")
def into(sample_workspace):
    return sample_workspace / "runs of chains"


@pytest.fixture(scope="module")
def chain(sample_workspace, into):
    """The settings of a chain whose detection is a recipe file with changes."""
    path = sample_workspace / "forest_on_bands.yaml"
    path.write_text(yaml.safe_dump(DETECTION))
    changes = {"split": {"test": 0.5}, "seed": 3}
    return CHAIN | {"inventory": {"recipe": str(path), "changes": changes, "min_area": 40000}}


@pytest.fixture(scope="module")
def base(sample_workspace):
    return open_area(area_path("sample"))


@pytest.fixture(scope="module")
def run(chain, into):
    return experiment.run_experiment(make_recipe(chain), into)


@pytest.fixture(scope="module")
def ds(run):
    return open_area(run.area_path)


def changed(chain, **inventory):
    return make_recipe(chain | {"inventory": chain["inventory"] | inventory})


# --- the chain -----------------------------------------------------------------------------------


def test_detection_is_run_first_and_taken_again_when_it_is_there(run, chain, into):
    """One run of detection, with the changes, for two runs of susceptibility."""
    first = [r for r in list_runs(into) if r.recipe.name == "forest_on_bands"]
    assert len(first) == 1
    assert (first[0].recipe.split.test, first[0].recipe.seed) == (0.5, 3)
    assert open_run(run.recipe.inventory.run).path == first[0].path
    again = experiment.run_experiment(changed(chain, min_area=0), into)
    assert again.recipe.inventory.run == run.recipe.inventory.run
    assert again.area_path != run.area_path
    assert len([r for r in list_runs(into) if r.recipe.name == "forest_on_bands"]) == 1


def test_landslides_are_the_detected_ones_and_the_area_is_as_it_was(run, ds, base, chain, into):
    before = fingerprint(area_path("sample"))
    detected_area(changed(chain, run=run.recipe.inventory.run, smooth=3))
    assert fingerprint(area_path("sample")) == before
    assert not np.array_equal(ds.landslide_id, base.landslide_id)
    kept = gpd.read_file(run.path / "inventory.gpkg")
    assert len(kept) == ds.sizes["place"]
    assert kept["area_m2"].min() >= 40000
    assert set(kept["run"]) == {Path(run.recipe.inventory.run).name}
    np.testing.assert_array_equal(ds.mapped_id, base.landslide_id)
    for name in ("elevation", "image", "valid"):
        np.testing.assert_array_equal(ds[name], base[name])
    told = about(run.area_path)
    assert told["counts"]["landslides"] == len(kept)
    assert told["settings"]["min_area"] == 40000


def test_nothing_is_learnt_or_tested_where_the_detector_was_taught(run, ds, base):
    """By the detector's own places and blocks, not by what the area says of itself."""
    detector = open_run(run.recipe.inventory.run)
    unseen = unseen_ground(detector, base)
    assert unseen[run.samples["row"], run.samples["col"]].all()
    taught = detector.samples[detector.samples["split"] != "test"]
    shared = run.samples.merge(taught, on=["row", "col"])
    assert shared.empty
    told = run.metrics["detection"]["leakage"]
    assert told["words"].startswith("no leak")
    assert all(part["taught"] == 0 for part in told["places"].values())
    assert 0.3 < told["untaught_share"] < 0.7
    assert not [line for line in run.metrics["warnings"] if "LEAK" in line]
    off = run.metrics["counts"]["landslides where the detector was taught"]
    assert off + run.metrics["counts"]["landslides"] == ds.sizes["place"]


def test_mapped_test_places_are_those_of_a_run_on_the_mapped_landslides(run, chain, into):
    """The reference: same ground, same split, other labels; its own test is the chain's mapped."""
    other = experiment.run_experiment(changed(chain, labels="mapped"), into)
    mapped = other.metrics["mapped"]
    assert mapped["test_places"] == other.metrics["test_places"]
    assert mapped["test_places"] == run.metrics["mapped"]["test_places"]
    assert run.metrics["test_places"] != mapped["test_places"]
    assert mapped["roc_auc"] == pytest.approx(other.metrics["roc_auc"])
    assert run.metrics["mapped"]["landslides"] > 30
    assert 0.6 < run.metrics["mapped"]["roc_auc"] < 1


def test_training_keeps_away_from_mapped_test_places_too(run, ds):
    places = draw_places(ds, run.recipe)
    mapped = mapped_test_places(ds, run.recipe, places.test_ground)
    known = places.samples[places.samples["split"] != "test"]
    rows = abs(known["row"].to_numpy()[:, None] - mapped["row"].to_numpy())
    cols = abs(known["col"].to_numpy()[:, None] - mapped["col"].to_numpy())
    assert np.maximum(rows, cols).min() >= run.recipe.apart


def test_on_all_ground_what_leaks_is_counted(run, chain, into, base):
    loose = experiment.run_experiment(changed(chain, ground="all"), into)
    told = loose.metrics["detection"]["leakage"]
    assert told["words"].startswith("LEAK")
    assert told["words"] in loose.metrics["warnings"]
    unseen = unseen_ground(open_run(run.recipe.inventory.run), base)
    slides = loose.samples[loose.samples["label"] == 1]
    for part, row in told["places"].items():
        own = slides[slides["split"] == part]
        assert row["landslides"] == len(own)
        assert row["taught"] == int((~unseen[own["row"], own["col"]]).sum())
    assert sum(row["taught"] for row in told["places"].values()) > 50
    assert "landslides where the detector was taught" not in loose.metrics["counts"]


def test_other_rooms_open_the_detected_area_as_any_other(run, ds, base):
    scored = predict_samples(run, run.samples)
    np.testing.assert_allclose(scored, run.scores["score"], atol=1e-6)
    view = mapped_view(ds)
    ours, theirs = landslide_places(view), landslide_places(base)
    np.testing.assert_array_equal(ours[["row", "col"]], theirs[["row", "col"]])
    np.testing.assert_array_equal(view.landslide, base.landslide)


def test_a_detector_of_another_area_was_taught_nothing_here(
    run, chain, sample_workspace, monkeypatch
):
    """Other landslides on the same terrain: the model maps them, and all ground is unseen."""
    monkeypatch.setenv("LSM_WORKSPACE", str(sample_workspace))
    other = sample_area.build(resolution=180.0, rng=np.random.default_rng(8))
    other.ds.attrs["name"] = "other"
    save_area(other.ds, area_path("other"), inventory=other.inventory)
    recipe = make_recipe(CHAIN | {"area": "other", "inventory": {"run": run.recipe.inventory.run}})
    found = open_area(detected_area(recipe))
    assert found.untaught.all()
    told = about(detected_area(recipe))["against"]
    assert list(told) == ["whole area"]
    assert told["whole area"]["found"] > 0.5 * told["whole area"]["landslides"]
    samples = draw_places(found, recipe).samples
    assert leakage(found, samples)["words"].startswith("no leak")


# --- mistakes ------------------------------------------------------------------------------------


def test_what_cannot_be_chained_is_refused(run, chain, into):
    with pytest.raises(RecipeError, match="has not been run yet"):
        experiment.plan_run(make_recipe(chain))
    with pytest.raises(RecipeError, match=r"no recipe forrest: did you mean .*forest"):
        detection_recipe(changed(chain, recipe="forrest"))
    with pytest.raises(RecipeError, match="takes its own inventory from scores"):
        detection_recipe(changed(chain, recipe="detected_inventory", changes={}))
    with pytest.raises(InventoryError, match=r"nothing is left .*threshold 2"):
        detected_area(changed(chain, run=run.recipe.inventory.run, threshold=2.0))
    with pytest.raises(RecipeError, match="for the honest protocol"):
        make_recipe(chain | {"protocol": "paper", "split": {}})
    with pytest.raises(RecipeError, match="min_aera is not a setting; did you mean min_area"):
        changed(chain, min_aera=3)
    named = changed(chain, run="some run")
    assert settled(named, into, lambda first: pytest.fail("nothing is to be run")) is named
    assert settled(run.recipe, into, pytest.fail) is run.recipe


def test_an_area_that_is_gone_is_named(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.area_path, copy)
    (copy / "over.json").write_text('"/nowhere/at/all"')
    with pytest.raises(AreaError, match=r"/nowhere/at/all, which is gone"):
        open_area(copy)


def test_the_shipped_recipe_chains(sample_workspace):
    recipe = load_recipe(Path("recipes/detected_inventory.yaml"), ["area=sample"])
    first = detection_recipe(recipe)
    assert first.area == "sample"
    assert first.split.test == 0.5
    assert "d_ndvi" in first.input.bands
    again = make_recipe(recipe.model_dump(mode="json"))
    assert again == recipe
    with pytest.raises(ValidationError):
        recipe.inventory.threshold = 0.5


def test_the_command_says_what_was_run_first_and_what_it_is_worth(
    chain, sample_workspace, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "chain.yaml"
    save_recipe(make_recipe(chain), file)
    monkeypatch.setattr(sys, "argv", ["lsm", "run", str(file), "--into", str(tmp_path / "runs")])
    with suppress(SystemExit):
        cli.main()
    said = capsys.readouterr().out
    assert said.index("first the detection, forest_on_bands") < said.index("mapped landslides of")
    assert "detector: no leak" in said
    assert "mapped landslides found" in said
    assert len(list_runs(tmp_path / "runs")) == 2


def resumed(settings, folder):
    """What the process of a job does with a queued run: the run, and how the command ended."""
    path = create_run(make_recipe(settings), {"name": "sample", "path": "sample"}, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lsm", "resume", str(path)])
        try:
            cli.main()
        except SystemExit as leave:
            return open_run(path), leave.code or 0
    return open_run(path), 0


@pytest.mark.torture
def test_a_job_detects_first_and_does_not_wait_for_itself(chain, tmp_path, run):
    done, ended = resumed(chain, tmp_path)
    assert (done.state, ended) == ("done", 0)
    first, second = sorted(list_runs(tmp_path), key=lambda one: one.recipe.name)
    assert (first.path, second.recipe.name) == (done.path, "forest_on_bands")
    assert open_run(done.recipe.inventory.run).path == second.path
    assert done.metrics["mapped"] == run.metrics["mapped"]
    began, ended = (read_progress(one.path)[0][at]["time"] for one, at in ((done, 0), (second, -1)))
    assert began >= ended


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [(Stopped("stopped in training"), "stopped", 130), (RunError("no such luck"), "failed", 2)],
)
def test_a_job_whose_detection_ends_early_says_so(chain, tmp_path, monkeypatch, error, state, code):
    def ends(*given):
        raise error

    monkeypatch.setattr(experiment, "carry_out", ends)
    left, ended = resumed(chain, tmp_path)
    assert (left.state, ended) == (state, code)
    assert str(error) in left.status["message"]


@pytest.mark.torture
def test_a_study_detects_first_and_once(chain, into, run, tmp_path, monkeypatch, capsys):
    """Its variants share the detection; without a run of it nothing can be told."""
    settings = chain | {"variants": {"few": {"model": {"options": {"n_estimators": 5}}}}}
    file = tmp_path / "chain.yaml"
    file.write_text(yaml.safe_dump(settings))
    words = ["study", str(file), "--seeds", "1", "--draws", "0", "--json"]
    how = {"monkeypatch": monkeypatch, "capsys": capsys}
    status, _, told = lsm(*words, "--no-run", "--into", str(tmp_path / "runs"), **how)
    assert (status, "forest_on_bands, has not been run" in told) == (2, True)
    status, said, _ = lsm(*words, "--into", str(tmp_path / "runs"), **how)
    assert status == 0
    made = [one.recipe.name for one in list_runs(tmp_path / "runs")]
    assert made == ["forest_on_bands", "chain", "few"]
    again = lsm(*words, "--no-run", "--into", str(tmp_path / "runs"), **how)
    assert again[:2] == (0, said)
    scores = json.loads(said)["scores"]
    assert [row["variant"] for row in scores] == ["chain", "few"]
    assert scores[0]["auc"] == pytest.approx(run.metrics["roc_auc"])
