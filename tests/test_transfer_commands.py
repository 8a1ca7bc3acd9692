"""`lsm transfer`: matching with a draft, a carried run, a small study, and paper 4's tables."""

import json

import numpy as np
import pandas as pd
import pytest
from command import lsm
from regions import FOREST, carried, region, run

from lsm_core import study_area, transfer_report
from lsm_core.errors import RunError

MAPPED = FOREST | {"map": True}


@pytest.fixture(scope="module")
def forest(areas):
    return run(MAPPED, "here", areas / "runs")


@pytest.fixture(scope="module")
def direct(forest, areas):
    return carried(forest, "there", areas / "runs", "direct", MAPPED)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*words, status=0):
        got, out, err = lsm("transfer", *map(str, words), monkeypatch=monkeypatch, capsys=capsys)
        assert got == status, err
        return out + err

    return call


def test_two_tables_with_other_endings_and_codes_are_refused_drafted_and_then_carried(
    forest, areas, call, tmp_path
):
    ds = region("upper", 5, rocks={1: "Soft", 2: "Hard", 3: "chalk"}, prints="e")
    ds = ds.rename(slope="slope_19b", rock="rock_19b")
    study_area.save_area(ds, study_area.area_path("upper"))
    said = call(forest.path, "--area", "upper", "--into", tmp_path, status=2)
    assert "slope is missing (it has slope_19b" in said
    assert "--draft FILE" in said
    assert not list(tmp_path.iterdir())
    said = call("match", forest.path, "upper", "--draft", "map.yaml", status=2)
    assert "MISSING in upper: rock (it has rock_19b" in said
    text = (tmp_path / "map.yaml").read_text()
    assert "codes: {1: 2, 2: 1, 3: FILL_IN}" in text
    said = call(forest.path, "--area", "upper", "--mapping", "map.yaml", status=2)
    assert "FILL_IN stands at rock, code 3" in said
    (tmp_path / "map.yaml").write_text(text.replace("FILL_IN", "3"))
    said = call("match", forest.path, "upper", "--draft", "map.yaml", status=2)
    assert "map.yaml is there already" in said
    assert "2 factors match" in call("match", forest.path, "upper", "--mapping", "map.yaml")
    found = json.loads(call("match", forest.path, "upper", "--mapping", "map.yaml", "--json"))
    assert found["units"] == {"slope": "degrees", "rock": "1"}
    said = call(forest.path, "--area", "upper", "--mapping", "map.yaml", "--into", tmp_path / "r")
    assert "direct transfer from" in said
    (folder,) = (tmp_path / "r").iterdir()
    assert "upper_as_here" in folder.name


def test_landslides_and_ground_by_class_add_up(forest, direct):
    table = transfer_report.zone_table([forest, direct])
    assert table["how"].unique().tolist() == ["its own", "direct"]
    for done, own in zip(
        (forest, direct), (t for _, t in table.groupby("run", sort=False)), strict=True
    ):
        ds = study_area.open_area(done.area_path)
        assert own["landslides"].sum() == int(ds["landslide"].sum())
        assert own["share_of_cells"].sum() == pytest.approx(1)
        assert own["share_of_landslides"].sum() == pytest.approx(1)
    with pytest.raises(RunError, match="name at least one"):
        transfer_report.zone_table([])


def test_a_table_is_of_the_places_that_a_model_learnt_from(forest, direct, areas):
    """Direct: the source's; pooled: both; and slope, which makes the landslides, is known by it."""
    own = transfer_report.training_table(forest)
    places = int((forest.samples["split"] == "train").sum())
    assert own.attrs["places"] == places
    assert own.loc["slope", "p_value"] < 1e-10
    assert own.loc["slope", "vif"] == pytest.approx(1, abs=0.1)
    pd.testing.assert_frame_equal(transfer_report.training_table(direct), own)
    pooled = carried(forest, "there", areas / "runs", "pooled", FOREST, labels=60)
    assert transfer_report.training_table(pooled).attrs["places"] == places + 48
    with pytest.raises(RunError, match="made no map"):
        transfer_report.zone_table([pooled])


def test_tables_and_the_roc_are_written(forest, direct, call, tmp_path):
    said = call("tables", forest.path, direct.path, "--to", "out")
    assert "landslides by class" in said
    assert "share of the area" in said
    written = {file.name for file in (tmp_path / "out").iterdir()}
    factors = {f"factors_{done.id}.csv" for done in (forest, direct)}
    assert written == {"zones.csv", "roc.html", "roc.png"} | factors
    assert (tmp_path / "out/roc.png").read_bytes()[:4] == b"\x89PNG"
    zones = pd.read_csv(tmp_path / "out/zones.csv")
    assert set(zones["run"]) == {forest.id, direct.id}


@pytest.mark.torture
def test_a_study_leaves_tables_and_goes_on_from_what_is_finished(call, areas, tmp_path):
    (tmp_path / "rf.yaml").write_text(json.dumps(FOREST))
    asked = ("study", "rf.yaml", "--source", "here", "--area", "there", "--labels", "20,40")
    asked += ("--how", "direct,scratch", "--into", "runs", "--to", "out")
    assert "3/3 direct" in call(*asked, "--draws", 1)
    first = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert len(first) == 4
    call(*asked, "--draws", 2)
    assert first < {folder.name for folder in (tmp_path / "runs").iterdir()}
    rows = pd.read_csv(tmp_path / "out/runs.csv")
    assert rows.groupby("how").size().to_dict() == {"direct": 2, "scratch": 4}
    table = pd.read_csv(tmp_path / "out/learning_curves.csv").set_index(["how", "labels"])
    own = rows.query("how == 'scratch' and labels == 40")["roc_auc"]
    assert table.loc[("scratch", 40), "roc_auc"] == pytest.approx(own.mean())
    assert np.isfinite(table["roc_auc low"]).all()
    assert (tmp_path / "out/roc_auc.png").is_file()
    said = call(*asked, "--labels", "few", status=2)
    assert "--labels takes numbers by comma" in said
