"""Printed figures are made again from the JSON beside them, and what changed since is told."""

import json
import shutil

import pytest
from PIL import Image
from test_figures import make_area, make_run
from test_publication import runs as runs
from test_publication import workspace as workspace
from typer.testing import CliRunner

from lsm_core import cli, publication
from lsm_core.checkout import commit
from lsm_core.errors import RecipeError, RunError
from lsm_core.print_style import Look, make_look
from lsm_core.study_area import open_area, save_area


def test_a_figure_is_made_again_byte_for_byte(runs, tmp_path):
    look = make_look({"width_mm": 70, "dpi": 100, "landslides": "none"})
    files = publication.write_figure("zones", runs, look, tmp_path, ["png", "svg", "pdf", "tiff"])
    before = {path.name: path.read_bytes() for path in files}
    again = publication.rebuild(tmp_path / "zones.json", tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again} == before
    told = json.loads((tmp_path / "zones.json").read_text())
    run = told["runs"][0]
    assert (run["protocol"], run["seed"], run["split_seed"]) == ("honest", 1, 1)
    assert run["grid"]["shape"] == [90, 70]
    assert set(run["data"]) == {"susceptibility.tif", "density_table.csv"}
    assert told["options"]["width_mm"] == 70
    assert {"matplotlib", "cartopy", "python"} <= set(told["versions"])
    assert told["files"]["zones.pdf"] == publication.sha256(tmp_path / "zones.pdf")


def test_data_that_changed_is_told(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "moved", seed=5)
    publication.write_figure("roc", [run], Look(dpi=60), tmp_path)
    (run.path / "metrics.json").write_text((run.path / "metrics.json").read_text() + "\n")
    with pytest.raises(RunError, match=r"other data: .*metrics\.json changed since"):
        publication.rebuild(tmp_path / "roc.json")
    assert publication.rebuild(tmp_path / "roc.json", changes={"width_mm": 60}, anyway=True)
    with Image.open(tmp_path / "roc.png") as image:
        assert image.width == int(60 / 25.4 * 60)


@pytest.fixture
def aside(tmp_path):
    """A run on an area of its own, which a test may change."""
    area = make_area(tmp_path, "aside")
    return area, make_run(area, tmp_path / "runs", "aside")


def changed(area, **layers):
    """The area saved anew, some of its layers as they are made of what they were."""
    ds = open_area(area).load()
    for name, made in layers.items():
        ds[name] = ds[name].copy(data=made(ds[name].to_numpy()))
    save_area(ds, area)


@pytest.mark.parametrize(
    ("look", "change", "named"),
    [
        ({}, {"elevation": lambda v: v + 1}, "elevation"),
        ({}, {"place_x": lambda v: v + 1}, "place_x"),
        ({"landslides": "polygons"}, {"place_x": lambda v: v + 1}, "place_x.*inventory"),
        ({"relief": 0}, {"elevation": lambda v: v + 1}, None),  # drawn without it
        ({"landslides": "none"}, {"place_x": lambda v: v + 1}, None),
        ({}, {}, None),  # built anew from the same
    ],
)
def test_a_study_area_that_changed_is_told(aside, tmp_path, look, change, named):
    area, run = aside
    made = make_look({"width_mm": 60, "dpi": 60} | look)
    publication.write_figure("zones", [run], made, tmp_path)
    changed(area, **change)
    if named is None:
        assert publication.rebuild(tmp_path / "zones.json")
        return
    with pytest.raises(RunError, match=f"other data: .*{named} of the study area aside changed"):
        publication.rebuild(tmp_path / "zones.json")
    assert publication.rebuild(tmp_path / "zones.json", anyway=True)


def test_a_study_area_that_is_gone_is_told(aside, tmp_path):
    area, run = aside
    look = make_look({"width_mm": 60, "dpi": 60, "landslides": "none"})
    publication.write_figure("zones", [run], look, tmp_path)
    shutil.rmtree(area)
    with pytest.raises(RunError, match="elevation of the study area aside changed since"):
        publication.rebuild(tmp_path / "zones.json")


def test_another_commit_and_an_older_sidecar_are_rebuilt(runs, tmp_path):
    look = make_look({"width_mm": 60, "dpi": 60})
    first = publication.write_figure("zones", runs[:1], look, tmp_path)[0].read_bytes()
    told = json.loads((tmp_path / "zones.json").read_text())
    assert told["versions"]["commit"] == commit()
    told["versions"]["commit"] = "0123456789ab"
    del told["runs"][0]["area"]["layers"]
    (tmp_path / "zones.json").write_text(json.dumps(told))
    assert publication.rebuild(tmp_path / "zones.json")[0].read_bytes() == first


def test_a_file_that_is_no_figure_of_ours_is_told(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RunError, match="not the JSON that `lsm figures` writes"):
        publication.rebuild(tmp_path / "x.json")


def test_the_command_draws_tells_what_is_left_out_and_rebuilds(runs, tmp_path):
    names = [str(run.path) for run in runs]
    call = CliRunner().invoke(
        cli.app,
        ["figures", *names, "--to", str(tmp_path), "--figure", "roc", "--figure", "histogram",
         "--width-mm", "60", "--dpi", "72", "--format", "svg", "--language", "fr"],
    )  # fmt: skip
    assert call.exit_code == 0, call.output
    assert "Taux de faux positifs" in (tmp_path / "roc.svg").read_text()
    before = (tmp_path / "roc.svg").read_bytes()
    (tmp_path / "roc.svg").unlink()
    call = CliRunner().invoke(cli.app, ["figures", "--rebuild", str(tmp_path / "roc.json")])
    assert call.exit_code == 0, call.output
    assert (tmp_path / "roc.svg").read_bytes() == before
    call = CliRunner().invoke(cli.app, ["figures", *names])
    assert isinstance(call.exception, RecipeError)


def test_a_figure_of_ones_own_is_not_called_a_broken_file(runs, tmp_path):
    publication.write_figure("roc", runs, Look(dpi=60), tmp_path)
    told = (tmp_path / "roc.json").read_text().replace('"figure": "roc"', '"figure": "mine"')
    (tmp_path / "roc.json").write_text(told)
    with pytest.raises(RunError, match=r"figure 'mine', .* in LSM_OWN"):
        publication.rebuild(tmp_path / "roc.json")
