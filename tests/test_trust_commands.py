"""What the three commands print and leave behind."""

import json
import sys

import pytest
from forests import forest

from lsm_core import cli, experiment
from lsm_core.recipe import make_recipe

FOREST = forest(n_estimators=20)


@pytest.fixture(scope="module")
def pair(sample_workspace):
    into = sample_workspace / "runs"
    return [
        experiment.run_experiment(make_recipe(FOREST, [f"seed={seed}"]), into) for seed in (1, 2)
    ]


def lsm(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lsm", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_explain_prints_the_table_and_the_reason(pair, monkeypatch, capsys, tmp_path):
    run = pair[0]
    assert lsm(monkeypatch, "explain", run.id, "--repeats", 1, "--to", tmp_path) == 0
    assert "permutation importance on" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {
        "explanation.json",
        "importance.csv",
        "effects.csv",
    }
    place = run.samples.iloc[0]
    assert lsm(monkeypatch, "explain", run.id, "--at", f"{place.x},{place.y}", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["row"], told["col"]) == (place.row, place.col)
    assert lsm(monkeypatch, "explain", run.id, "--at", "here") == 2
    assert "--at takes x,y" in capsys.readouterr().err


def test_uncertainty_of_one_run_and_of_several(pair, monkeypatch, capsys):
    assert lsm(monkeypatch, "uncertainty", pair[0].id, "--alpha", 0.2) == 0
    assert "80% coverage" in capsys.readouterr().out
    assert (pair[0].path / "conformal.tif").is_file()
    assert not (pair[0].path / "dropout.json").exists()
    assert lsm(monkeypatch, "uncertainty", pair[0].id, pair[1].id) == 0
    assert "2 runs, seeds 1, 2: mean spread" in capsys.readouterr().out
    assert (pair[0].path / "ensemble_spread.tif").is_file()
    assert lsm(monkeypatch, "uncertainty", pair[0].id, pair[0].id) == 2
    assert "each must have its own" in capsys.readouterr().err


def test_applicability_writes_its_maps(pair, monkeypatch, capsys):
    assert lsm(monkeypatch, "applicability", pair[0].id, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.5 < found["share_inside"] < 1
    parts = found["test"]
    assert parts["inside"]["places"] + parts["outside"]["places"] == pair[0].metrics["n"]
    for name in ("dissimilarity.tif", "applicability.tif", "applicability.json"):
        assert (pair[0].path / name).is_file()
    assert lsm(monkeypatch, "applicability", pair[0].id, "--area", "sample", "--no-weighted") == 0
    said = capsys.readouterr().err.splitlines()
    assert "applicability: 100 %" in said  # which the dashboard reads
    assert (pair[0].path / "applicability_sample.tif").is_file()
    weights = json.loads((pair[0].path / "applicability_sample.json").read_text())["weights"]
    assert set(weights.values()) == {1.0}
