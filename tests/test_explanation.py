"""A run is explained in its folder, and a place in words that are true of it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lsm_core import effects, models
from lsm_core.errors import AreaError
from lsm_core.explanation import explain_run, importance_in_words, why
from lsm_core.grid import Grid, grid_of
from lsm_core.models.baselines import fit_estimator
from lsm_core.runs import write_map


def forest(x, label):
    model = models.build("random_forest", x.shape[1:], seed=1, n_estimators=60)
    return fit_estimator(model, x, label)


def place(subject, row, col):
    return float(subject.ds["x"][col]), float(subject.ds["y"][row])


def test_a_run_is_explained_in_its_folder(planted):
    subject = planted("table", forest)
    told = explain_run(subject, repeats=3, places=20)
    folder = subject.run.path
    assert json.loads((folder / "explanation.json").read_text()) == told
    assert [row["factor"] for row in told["importance"]][:2] == ["slope", "rock"]
    assert {row["factor"] for row in told["contributions"][:2]} == {"slope", "rock"}
    table = pd.read_csv(folder / "importance.csv")
    assert table.columns.tolist() == [
        *("factor", "ap_drop", "ap_low", "ap_high", "auc_drop", "auc_low", "auc_high"),
        *("mean_size", "mean"),
    ]
    effects_table = pd.read_csv(folder / "effects.csv")
    assert set(effects_table["factor"]) == {"noise", "slope", "rock", "aspect"}
    words = importance_in_words(told)
    assert words.splitlines()[2].startswith("slope")
    assert "SHAP" in words
    elsewhere = folder / "elsewhere"
    explain_run(subject, to=elsewhere, repeats=1, places=2)
    assert (elsewhere / "explanation.json").is_file()


def test_why_tells_the_values_of_the_cell_and_adds_up(planted):
    subject = planted("table", forest)
    ds, train = subject.ds, subject.places("train")
    row, col = 20, 50
    assert bool(ds["valid"][row, col])
    x, y = place(subject, row, col)
    told = why(subject, x + 7, y - 7)
    assert (told["row"], told["col"]) == (row, col)
    assert told["score"] == pytest.approx(subject.score(subject.seen([row], [col]))[0])
    total = told["base"] + sum(f["contribution"] for f in told["factors"])
    assert total == pytest.approx(told["score"], abs=1e-6)
    sizes = [abs(f["contribution"]) for f in told["factors"]]
    assert sizes == sorted(sizes, reverse=True)
    of = {f["factor"]: f for f in told["factors"]}
    slope = float(ds["slope"][row, col])
    assert of["slope"]["value"] == pytest.approx(slope)
    known = ds["slope"].to_numpy()[train["row"], train["col"]]
    assert of["slope"]["above"] == pytest.approx(np.mean(known < slope))
    assert of["rock"]["text"] == {1: "sand", 2: "shale", 7: "lime"}[int(ds["rock"][row, col])]
    assert told["inside"] is None
    assert told["words"].startswith(f"Susceptibility {told['score']:.2f}, ")
    strongest = told["factors"][0]
    assert f"{strongest['factor']} {strongest['text']}" in told["words"]
    assert json.loads(json.dumps(told)) == told


def test_the_sentence_keeps_the_sides_apart(planted):
    subject = planted("table", forest)
    ds = subject.ds
    valid = ds["valid"].to_numpy()
    steep = np.where(valid & (ds["rock"] == 2).to_numpy(), ds["slope"], -np.inf)
    flat = np.where(valid & (ds["rock"] != 2).to_numpy(), ds["slope"], np.inf)
    high = why(subject, *place(subject, *np.unravel_index(np.argmax(steep), steep.shape)))
    low = why(subject, *place(subject, *np.unravel_index(np.argmin(flat), flat.shape)))
    assert high["score"] > 0.8 > 0.2 > low["score"]
    assert "raised most by slope" in high["words"]
    assert "rock shale (+" in high["words"]
    assert "lowered most by slope" in low["words"]
    assert "more than 9" in high["words"]


def test_gaps_and_flat_ground_have_words(planted):
    subject = planted("table", forest)
    subject.ds["slope"][20, 50] = np.nan
    subject.ds["aspect"][20, 50] = np.nan
    subject.ds["rock"][20, 50] = -32768
    told = {f["factor"]: f for f in why(subject, *place(subject, 20, 50))["factors"]}
    assert told["slope"]["text"].startswith("missing, taken as ")
    assert told["aspect"]["text"] == "flat"
    assert told["rock"]["text"] == "missing"
    subject.ds["aspect"][20, 50] = 170.0
    told = {f["factor"]: f for f in why(subject, *place(subject, 20, 50))["factors"]}
    assert told["aspect"]["text"] == "S (170 degrees)"


def test_a_place_outside_the_area_of_applicability_is_said_to_be(planted):
    subject = planted("table", forest)
    mask = np.ones((60, 60), np.uint8)
    mask[20, 50] = 2
    ds = subject.ds
    grid = grid_of(ds)
    assert isinstance(grid, Grid)
    write_map(subject.run.path / "applicability.tif", grid, [(0, mask)], dtype="uint8")
    told = why(subject, *place(subject, 20, 50))
    assert told["inside"] is False
    assert "outside the area of applicability" in told["words"]
    row, col = map(int, np.argwhere(ds["valid"].to_numpy())[0])
    assert why(subject, *place(subject, row, col))["inside"] is True


def test_the_score_is_that_of_the_map_where_a_run_is_calibrated(planted):
    subject = planted("table", forest)
    subject.run.calibrator = lambda score: np.asarray(score) / 2
    told = why(subject, *place(subject, 20, 50))
    assert told["score"] == pytest.approx(told["model_score"] / 2)


def test_a_calibrated_run_says_that_contributions_are_those_of_the_score_before(planted):
    subject = planted("table", forest)
    plain, table = why(subject, *place(subject, 20, 50)), explain_run(subject, repeats=1, places=9)
    assert not plain["calibrated"]
    assert "before calibration" not in plain["words"]
    assert "add up to the score within" in importance_in_words(table)
    subject.run.recipe = subject.run.recipe.model_copy(update={"calibration": "platt"})
    subject.run.calibrator = lambda score: np.asarray(score) / 2
    told, table = why(subject, *place(subject, 20, 50)), explain_run(subject, repeats=1, places=9)
    total = told["base"] + sum(f["contribution"] for f in told["factors"])
    assert total == pytest.approx(told["model_score"], abs=1e-6)
    assert f"those of {told['model_score']:.2f}, the score before calibration" in told["words"]
    assert "add up to the score before calibration within" in importance_in_words(table)
    assert "(of the score before calibration)" in importance_in_words(table | {"gap": None})


def test_a_place_that_cannot_be_explained_is_an_error(planted):
    subject = planted("table", forest)
    with pytest.raises(AreaError, match=r"outside the area: x -15 to 1785"):
        why(subject, 1e6, 0)
    row, col = map(int, np.argwhere(~subject.ds["valid"].to_numpy())[0])
    with pytest.raises(AreaError, match="no data"):
        why(subject, *place(subject, row, col))


def test_a_run_is_opened_when_a_run_is_given(planted, monkeypatch):
    subject = planted("table", forest)
    monkeypatch.setattr("lsm_core.explanation.open_subject", lambda run: subject)
    run = SimpleNamespace(path=subject.run.path)
    assert why(run, *place(subject, 20, 50))["row"] == 20
    assert isinstance(subject, effects.Subject)
