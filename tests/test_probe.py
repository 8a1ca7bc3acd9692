"""Forecasts: the sums are those of the pace, and what cannot be tried is refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from lsm_core import dense_map, device, map_forecast, probe
from lsm_core.errors import RecipeError, RunError
from lsm_core.probe import Pace
from lsm_core.recipe import make_recipe

SETTINGS = {
    "name": "net",
    "area": "sample",
    "model": {"name": "cnn"},
    "split": {"block": 6000.0},
    "input": {"form": "window", "size": 7},
    "training": {"epochs": 10},
}


def test_a_forecast_counts_places_epochs_and_cells(sample_workspace, monkeypatch):
    from lsm_core import experiment

    tried = []

    def measure(name, x, options, settings):
        tried.append((name, x.shape))
        return Pace(5.0, 1e-3, 1e-4)

    monkeypatch.setattr(probe, "measure", measure)
    monkeypatch.setattr(probe.prediction, "scheme_of", lambda *asked: None)
    recipe = make_recipe(SETTINGS)
    plan = experiment.plan_run(recipe)
    train, check = ((plan.samples["split"] == part).sum() for part in ("train", "validation"))
    cells = int(plan.ds["valid"].sum())
    found = probe.forecast(recipe)
    assert found["places"] == train
    assert found["cells"] == cells
    assert found["training_seconds"] == pytest.approx(5 + 10 * (train * 1e-3 + check * 1e-4))
    assert found["map_seconds"] == pytest.approx(cells * 1e-4)
    assert tried == [("cnn", (256, 7, 7, plan.encoder.input_shape[-1]))]

    apart = make_recipe(
        SETTINGS | {"input": {"form": "window", "sizes": [7, 9], "combine": "samples"}}
    )
    twice = probe.forecast(apart)
    assert twice["map_seconds"] == pytest.approx(2 * cells * 1e-4)
    assert tried[1][1] == tried[0][1]

    unmapped = probe.forecast(make_recipe(SETTINGS | {"map": False}))
    assert unmapped["map_seconds"] is None
    assert unmapped["words"].endswith("for 10 epochs, no map")


@pytest.mark.parametrize("options", [{"scse": False}, {"scse": True}])
def test_a_map_by_tiles_takes_as_long_as_its_tiles_and_what_keeps_its_windows(
    options, sample_workspace, monkeypatch
):
    monkeypatch.setattr(probe, "measure", lambda *asked: Pace(5.0, 1e-3, 1e6))
    monkeypatch.setattr(
        map_forecast, "median_seconds", lambda act, least: 7.0 if act() is not None else 0.0
    )
    monkeypatch.setattr(dense_map, "TILE", 100)
    recipe = make_recipe(SETTINGS | {"model": {"name": "cnn", "options": options}})
    found = probe.forecast(recipe)
    windows = 7 * found["cells"] / dense_map.LATE if options["scse"] else 0
    assert found["map_seconds"] == pytest.approx(7 * 4 + windows)  # 170 x 160 cells


def test_the_pace_is_that_of_the_network(monkeypatch):
    """A larger one takes longer, by a sample."""
    monkeypatch.setattr(map_forecast, "SECONDS", 0.1)
    x = np.random.default_rng(0).random((256, 4, 4, 6), dtype=np.float32)
    small, large = (
        probe.measure("cnn3d", x, {"maps": maps}, probe.Training(batch=64)) for maps in (1, 256)
    )
    assert large.learn > small.learn
    assert large.score > small.score
    assert small.start > small.learn * 64


@pytest.mark.parametrize(
    ("model", "form", "words"),
    [("random_forest", "table", "is no network"), ("ssgan", "window", "in a way of its own")],
)
def test_what_cannot_be_tried_is_refused(model, form, words):
    recipe = make_recipe(SETTINGS | {"model": {"name": model}, "input": {"form": form}})
    with pytest.raises(RecipeError, match=words):
        probe.forecast(recipe)


def doctor(*options):
    from lsm_core.cli import app

    done = CliRunner().invoke(app, ["doctor", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_doctor_says_the_device_and_how_long(monkeypatch):
    monkeypatch.setattr(probe, "usual_paces", lambda: {"lsgh_net": Pace(1.0, 2e-3, 1e-4)})
    told = json.loads(doctor("--json"))
    assert told["networks"]["kind"] in ("cpu", "gpu")
    assert told["problem"] is None
    assert told["expected"][0]["learn"] == 2e-3
    assert told["LSM_WORKSPACE"]
    monkeypatch.setenv("LSM_DATA", "gone")
    assert json.loads(doctor("--json", "--no-probe"))["data"].endswith("gone: no such folder")
    words = doctor()
    assert device.find().in_words() in words
    assert "lsgh_net: about 2 s an epoch of 1,000 places" in words
    assert json.loads(doctor("--json", "--no-probe"))["expected"] == []


def test_the_doctor_says_plainly_that_the_backend_is_missing(monkeypatch):
    def find():
        raise RunError("networks run on jax, which is not installed")

    monkeypatch.setattr(device, "find", find)
    told = json.loads(doctor("--json"))
    assert told["networks"] is None
    assert told["problem"] == "networks run on jax, which is not installed"
    assert told["expected"] == []
    assert "jax, which is not installed" in doctor()
