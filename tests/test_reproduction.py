"""A run that comes back, and one that does not."""

import json
import shutil

import numpy as np
import pytest
from small_runs import small_run
from typer.testing import CliRunner

from lsm_core import reproduction
from lsm_core.cli import app
from lsm_core.runs import open_run, read_json, write_json

FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table"},
    "map": True,
}


@pytest.fixture(scope="module")
def run(sample_workspace, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs"), **FOREST)


@pytest.fixture
def copy(run, tmp_path):
    """The run in another folder, to be changed."""
    return open_run(shutil.copytree(run.path, tmp_path / "copy" / run.id))


def changed(copy, file, **values):
    write_json(copy.path / file, read_json(copy.path / file) | values)
    return open_run(copy.path)


def test_the_command_runs_it_again_and_every_number_comes_back(run, tmp_path):
    done = CliRunner().invoke(app, ["reproduce", str(run.path), "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (again,) = tmp_path.iterdir()
    assert f"{run.id} run again as {again.name} (honest protocol)" in done.output
    assert "nothing it depends on has changed" in done.output
    assert "0 differ" in done.output
    table = reproduction.comparison(run, open_run(again))
    assert set(table["verdict"]) == {reproduction.SAME}
    assert {"roc_auc", "scores.f1", "histogram.count", "map", "samples"} <= set(table["number"])
    assert not table["number"].str.startswith("seconds").any()


def test_a_number_that_is_another_is_named_and_ends_with_1(run, copy, tmp_path):
    other = changed(copy, "metrics.json", roc_auc=0.125)
    done = CliRunner().invoke(app, ["reproduce", str(other.path), "--into", str(tmp_path / "new")])
    assert done.exit_code == 1
    assert "roc_auc: was 0.125, is 0." in done.output
    assert "1 differ" in done.output


def test_what_it_depended_on_is_told(run, copy):
    other = changed(copy, "versions.json", keras="1.0", commit="0123456789ab")
    other = changed(other, "area.json", name="elsewhere")
    words = reproduction.circumstances(other, run)
    assert any(line.startswith("version of keras: was 1.0, is ") for line in words)
    now = read_json(run.path / "versions.json")["commit"]
    assert f"commit of the program: was 0123456789ab, is {now}" in words
    assert "study area, name: was elsewhere, is sample" in words
    assert len(words) == 3


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        (1.0, 1.0, "the same"),
        (1.0, 1.0 + 1e-7, "close"),
        (1.0, 1.1, "differs"),
        (None, 0.5, "differs"),
        (None, None, "the same"),
        ([1.0, None], [1.0, None], "the same"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "differs"),
        ([1.0, 2.0], [1.0, 2.5], "differs"),
        ("honest", "paper", "differs"),
        (["a"], ["a"], "the same"),
        (np.array([0.5, np.nan]), np.array([0.5, np.nan]), "the same"),
        (np.array([0.5, np.nan]), np.array([0.5, 0.5]), "differs"),
        (True, 1, "the same"),
    ],
)
def test_numbers_lists_words_and_maps_are_compared(was, now, verdict):
    assert reproduction._row("it", was, now)[-1] == verdict


def test_a_run_that_is_not_done_is_refused(copy):
    other = changed(copy, "status.json", state="failed")
    done = CliRunner().invoke(app, ["reproduce", str(other.path)])
    assert "is failed, not done" in str(done.exception)


def test_a_script_gets_json(run, tmp_path):
    done = CliRunner().invoke(app, ["reproduce", str(run.path), "--into", str(tmp_path), "--json"])
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["was"] == run.id
    assert {row["verdict"] for row in told["numbers"]} == {"the same"}
