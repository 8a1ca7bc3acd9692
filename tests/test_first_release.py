"""What the first release wrote opens and says the same; what a later one writes is refused.

The folder was made by `python tests/first_release.py`, and is not made again: see there.
"""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from first_release import MODELS, tiny
from small_runs import read_map

from lsm_core import metrics, prediction, runs
from lsm_core.area_store import FORMAT
from lsm_core.errors import AreaError, RunError
from lsm_core.study_area import inventory, open_area, save_area

KEPT = Path(__file__).parent / "reference" / "first_release"


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A copy of the kept folder, as the workspace: from there its runs name their area."""
    folder = shutil.copytree(KEPT, tmp_path / "release")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LSM_WORKSPACE", ".")
    return folder


def test_it_is_small():
    assert sum(p.stat().st_size for p in KEPT.rglob("*") if p.is_file()) < 300_000


def test_its_area_opens_and_holds_what_was_put_in(release):
    ds, was = open_area("areas/tiny"), tiny()
    for name in was.data_vars:
        np.testing.assert_array_equal(ds[name], was[name], err_msg=name)
        assert ds[name].attrs.items() >= was[name].attrs.items()
    assert list(ds.data_vars) == list(was.data_vars)
    assert len(inventory("areas/tiny")) == 36


@pytest.mark.parametrize("name", ["forest", pytest.param("network", marks=pytest.mark.torture)])
def test_its_runs_say_the_same(release, name):
    run = runs.open_run(name)
    test = run.scores[run.scores["split"] == "test"]
    assert metrics.roc_auc(test["label"], test["score"]) == run.metrics["roc_auc"]
    assert runs.hash_places(test, "tiny") == run.metrics["test_places"]
    hard = run.samples[run.samples["label"] >= 0].merge(run.scores, on=["row", "col"])
    scored = prediction.predict_samples(run, hard[["row", "col"]])
    np.testing.assert_allclose(scored, hard["score"], atol=1e-6)
    made = prediction.predict_map(run, open_area(run.area_path)).to_numpy()
    np.testing.assert_allclose(made, read_map(run.map_path), atol=1e-6)
    assert np.isnan(made).sum() == 1


def test_a_forest_of_another_scikit_learn_opens_and_says_so(release, caplog):
    folder = release / "runs" / "forest" / "model"
    with zipfile.ZipFile(folder / "model.skops") as kept:
        files = {name: kept.read(name) for name in kept.namelist()}
    with zipfile.ZipFile(folder / "model.skops", "w") as changed:
        for name, text in files.items():
            changed.writestr(name, re.sub(rb'"\\"\d+\.\d+\.\d+\\""', rb'"\\"1.4.0\\""', text))
    run = runs.open_run("forest")
    test = run.scores[["row", "col"]]
    np.testing.assert_allclose(
        prediction.predict_samples(run, test), run.scores["score"], atol=1e-6
    )
    (line,) = caplog.messages
    assert "model.skops was written with scikit-learn 1.4.0, and this is" in line


def test_its_runs_are_compared_with_those_of_today(release):
    tables = runs.compare([runs.open_run(name) for name in MODELS], draws=50)
    assert len(tables["scores"]) == len(MODELS)


def test_a_run_of_a_later_release_is_refused_and_left_out_of_lists(release, caplog):
    from lsm_app.following import known_runs

    path = release / "runs" / "forest" / "status.json"
    path.write_text(json.dumps({"format": 2, "state": "archived"}))
    told = "forest was written by a newer version .format 2, known to 1.: update this program"
    with pytest.raises(RunError, match=told):
        runs.open_run("forest")
    assert [run.id for run in runs.list_runs()] == ["network"]
    assert [run.id for run, _ in known_runs()] == ["network"]
    assert told[:20] in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [("2", "tiny was written by a newer version .* update this program"),
     ("0", "was not written by this program"), ('"1"', "was not written by this program"),
     ("{", "was not written by this program")],
)  # fmt: skip
def test_an_area_of_a_later_release_is_refused(release, text, words):
    (release / "areas/tiny/format.json").write_text(text)
    with pytest.raises(AreaError, match=words):
        open_area("areas/tiny")


def test_an_area_says_its_format_and_one_that_does_not_is_of_the_first(release):
    path = save_area(tiny(), release / "areas" / "new") / "format.json"
    assert json.loads(path.read_text()) == FORMAT == 1
    path.unlink()
    open_area("areas/new")
