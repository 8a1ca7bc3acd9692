"""The zip of an export: what is in it, what is safe in it, and that it says how it was made."""

import csv
import hashlib
import io
import json
import shlex
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from test_figures import GRID, make_area, make_run
from typer.testing import CliRunner

from lsm_core import cli, export_bundle, runs
from lsm_core.errors import RunError
from lsm_core.print_style import Look
from lsm_core.safe_tables import csv_of, latex_of

EVIL = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "%0A", "|x")


def with_places(run):
    """Samples and scores, as a run leaves them."""
    rng = np.random.default_rng(3)
    row, col = (rng.integers(0, n, 40) for n in GRID.shape)
    x, y = GRID.xy(row, col)
    split = ["train"] * 20 + ["validation"] * 5 + ["test"] * 15
    table = pd.DataFrame({"row": row, "col": col, "x": x, "y": y, "label": rng.integers(0, 2, 40)})
    table = table.assign(split=split, origin="landslide", block=0)
    table.loc[0, "origin"] = EVIL[0]
    runs.write_table(run.path / "samples.parquet", table)
    tested = table.loc[20:, ["row", "col", "label", "split"]]
    tested = tested.assign(score=rng.random(20), block=np.arange(20) // 4)
    runs.write_table(run.path / "scores.parquet", tested)
    return runs.open_run(run.path)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("export")
    area = make_area(root)
    for i, name in enumerate(("cnn", "lsgh_50%_&")):
        made = make_run(area, root / "runs", name.replace("%", "").replace("&", ""), seed=i)
        with_places(made)
        sets = np.ones(GRID.shape, np.uint8)
        runs.write_map(made.path / "conformal.tif", GRID, [(0, sets)], dtype="uint8")
    return root


@pytest.fixture(scope="module")
def both(workspace):
    return [runs.open_run(p.parent) for p in sorted((workspace / "runs").glob("*/status.json"))]


@pytest.fixture(scope="module")
def archive(both, workspace):
    path = workspace / "exports" / "all.zip"
    said = []
    export_bundle.write_bundle(
        both, path, look=Look(dpi=60), figures=["roc"], formats=["svg"], tell=said.append
    )
    assert not list(path.parent.glob(".*"))  # nothing half-written is left
    with zipfile.ZipFile(path) as opened:
        return {name.removeprefix("all/"): opened.read(name) for name in opened.namelist()}


def test_everything_is_in_it(archive, both):
    for run in both:
        for name in ("recipe.json", "area.json", "versions.json", "metrics.json"):
            own = json.loads(archive[f"runs/{run.id}/{name}"])
            assert own == json.loads((run.path / name).read_text())
        assert archive[f"runs/{run.id}/zones.tif"] == run.zones_path.read_bytes()
    assert b"<text" in archive["figures/roc.svg"]
    assert json.loads(archive["figures/roc.json"])["figure"] == "roc"


def test_the_manifest_knows_every_file(archive):
    told = json.loads(archive["manifest.json"])
    assert set(told) == set(archive) - {"manifest.json"}
    for name, digest in told.items():
        assert hashlib.sha256(archive[name]).hexdigest() == digest


def test_maps_are_cloud_optimised(archive, both):
    content = archive[f"runs/{both[0].id}/susceptibility.tif"]
    with rasterio.MemoryFile(content) as file, file.open() as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.shape == GRID.shape
    assert b'label="no landslide"' in archive[f"runs/{both[0].id}/conformal.qml"]


def test_vectors_have_their_places(archive, both, tmp_path):
    (tmp_path / "s.gpkg").write_bytes(archive[f"runs/{both[0].id}/samples.gpkg"])
    shapes = gpd.read_file(tmp_path / "s.gpkg")
    assert shapes.crs.to_epsg() == 32643
    np.testing.assert_allclose(shapes.geometry.x, both[0].samples["x"])
    (tmp_path / "i.gpkg").write_bytes(archive["areas/valley/inventory.gpkg"])
    assert len(gpd.read_file(tmp_path / "i.gpkg")) == 40
    scores = pd.read_csv(io.BytesIO(archive[f"runs/{both[0].id}/scores.csv"]))
    assert scores["x"].notna().all()


def test_no_cell_of_a_csv_is_a_formula(archive, both):
    for name, content in archive.items():
        if not name.endswith(".csv"):
            continue
        for row in csv.reader(io.StringIO(content.decode())):
            for cell in row:
                try:
                    float(cell)
                except ValueError:
                    assert not cell.startswith(("=", "+", "-", "@", "\t", "|", "%")), (name, cell)
    assert "'=cmd" in archive[f"runs/{both[0].id}/samples.csv"].decode()


@pytest.mark.parametrize("text", EVIL)
def test_a_formula_gets_an_apostrophe(text):
    table = pd.DataFrame({"name": [text, "plain"], text: [-1.5, 2.0]})
    rows = list(csv.reader(io.StringIO(csv_of(table))))
    assert rows[0] == ["name", "'" + text]
    assert rows[1] == ["'" + text, "-1.5"]  # a number stays a number
    assert rows[2][0] == "plain"


def test_latex_is_escaped_and_has_its_rules(archive):
    table = pd.DataFrame({"run_id": ["50% & #1 {x}", "b"], "AUC": [0.71, 0.9], "n": [3, 4]})
    text = latex_of(table, "Scores_1", bold={"AUC": "max"})
    assert "50\\% \\& \\#1 \\{x\\}" in text
    assert "run\\_id & AUC & n" in text
    assert "\\textbf{0.900}" in text
    assert "\\textbf{0.710}" not in text
    assert text.index("\\toprule") < text.index("\\midrule") < text.index("\\bottomrule")
    for name in (n for n in archive if n.endswith(".tex")):
        body = archive[name].decode()
        assert "\\toprule" in body
        heads = next(line for line in body.splitlines() if line.endswith("\\\\"))
        columns = body.split("\\begin{tabular}{")[1].split("}")[0]
        assert heads.count(" & ") + 1 == len(columns)


def test_the_readme_tells_the_command_that_builds_it_again(archive, both, workspace, monkeypatch):
    readme = archive["README.txt"].decode()
    line = next(
        line.strip() for line in readme.splitlines() if line.strip().startswith("lsm export")
    )
    words = shlex.split(line)
    assert words[2:4] == [run.id for run in both]
    assert words[words.index("--dpi") :][:2] == ["--dpi", "60"]
    monkeypatch.setenv("LSM_WORKSPACE", str(workspace))
    monkeypatch.chdir(workspace)
    call = CliRunner().invoke(cli.app, words[1:])
    assert call.exit_code == 0, call.output
    assert call.output.splitlines()[-1].startswith("done: all.zip, ")
    again = export_bundle.read_manifest(workspace / "all.zip")
    before = json.loads(archive["manifest.json"])
    same = {n for n in before if not n.endswith(".gpkg")}  # these hold the time
    assert {n: again[n] for n in same} == {n: before[n] for n in same}


def test_what_cannot_be_had_is_told_in_the_readme(both, workspace):
    path, said = workspace / "some.zip", []
    export_bundle.write_bundle(
        both, path, look=Look(dpi=50), parts=["figures"], formats=["png"], tell=said.append
    )
    assert any(words.startswith("left out: figure correlation") for words in said)
    with zipfile.ZipFile(path) as opened:
        assert "figure correlation: " in opened.read("some/README.txt").decode()
        assert not [n for n in opened.namelist() if n.endswith((".tif", ".csv", ".gpkg"))]


def test_mistakes_are_told_before_anything_is_written(both, workspace, tmp_path):
    live = make_run(workspace / "areas" / "valley", tmp_path / "runs", "live", state="running")
    for chosen, to, parts, words in (
        ([live], "a.zip", None, "not done"),
        (both, "a.tar", None, r"ends in \.zip"),
        (both, "a.zip", ["pictures"], "parts figures, maps"),
        ([], "a.zip", None, "at least one run"),
    ):
        with pytest.raises(RunError, match=words):
            export_bundle.write_bundle(chosen, tmp_path / to, look=Look(), parts=parts)
    assert not list(tmp_path.glob("*.zip"))


def test_of_two_that_write_one_zip_one_is_told_and_what_was_killed_goes(both, workspace):
    path = workspace / "exports" / "twice.zip"
    left = path.with_name(".twice.zip.made")
    left.mkdir(parents=True)
    (left / "half").write_text("of a process that was killed")
    with export_bundle._workroom(path) as root:
        assert list(root.iterdir()) == []
        with pytest.raises(RunError, match="another process writes"):
            export_bundle.write_bundle(both, path, look=Look(), parts=["tables"])
    assert not path.exists()
    assert not left.exists()
