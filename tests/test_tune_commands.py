"""What `lsm tune` prints, when, and what it leaves behind."""

import json
import sys

import pytest

from lsm_core import cli, trials, tuning_report
from lsm_core.recipe import load_recipe

RECIPE = """
name: forest
title: Small forest
model: {name: random_forest, options: {n_estimators: 8, n_jobs: 1}}
split: {block: 6000}
"""


@pytest.fixture
def call(sample_workspace, tmp_path, monkeypatch):
    """`lsm tune` on a small forest, in a folder of the test's own."""
    monkeypatch.setattr(trials, "save_png", lambda figure, path: None)
    (tmp_path / "forest.yaml").write_text(RECIPE)
    before = ["lsm", "tune", str(tmp_path / "forest.yaml"), "--area", "sample"]

    def run(*more):
        monkeypatch.setattr(sys, "argv", [*before, "--into", str(tmp_path), *map(str, more)])
        try:
            cli.main()
        except SystemExit as end:
            return end.code
        return 0

    return run


def test_what_is_printed_before_during_and_after(call, capsys, tmp_path):
    assert call("--n", 2) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Small forest on sample: 2 trials by a Gaussian process")
    assert "model.options.min_samples_leaf: 1 to 100, logarithmic" in out
    assert "2 trials of that length take about" in out + err
    before, after = out.split("iteration average precision min_samples_leaf max_features")
    assert "test" not in before.replace("test places wait until it is over", "")
    assert "test, roc auc:" in after
    (folder,) = tmp_path.glob("tune-forest-sample-*")
    assert (folder / "search.html").stat().st_size > 10_000
    assert load_recipe(folder / "best.yaml").area == "sample"
    assert call("--n", 2) == 0
    assert "3 trials are in" in capsys.readouterr().out


def test_json_for_a_script(call, capsys, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("model.options.min_samples_leaf: {integer: [1, 4]}\n")
    options = ("--n", 1, "--space", space, "--strategy", "random", "--by", "roc_auc", "--json")
    assert call(*options) == 0
    told = json.loads(capsys.readouterr().out)
    assert [trial["iteration"] for trial in told["trials"]] == [0, 1]
    best = max(trial["roc_auc"] for trial in told["trials"])
    assert told["best"]["score"] == best
    assert load_recipe(told["recipe"]).model.name == "random_forest"
    assert set(told["test"]) == {"as it stood", "tuned"}


def test_mistakes_are_one_line_and_exit_status_2(call, capsys, tmp_path):
    (tmp_path / "space.yaml").write_text("model.options.min_leaf: {integer: [1, 4]}\n")
    assert call("--space", tmp_path / "space.yaml") == 2
    assert "has no option 'min_leaf'" in capsys.readouterr().err
    assert call("--space", "forests") == 2
    assert "no space of that name comes with the program" in capsys.readouterr().err
    assert not list(tmp_path.glob("tune-*"))


@pytest.mark.parametrize(
    ("seconds", "n", "words"),
    [(8, 3, "about 24 s"), (40, 30, "about 20 min"), (600, 30, "about 5.0 h")],
)
def test_how_long_it_takes_is_told_in_fitting_units(seconds, n, words):
    assert words in tuning_report.forecast(seconds, n)
