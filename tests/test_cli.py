"""The doorbell: a mistake is one line, status 2 and nothing half-written; the rest works.

The raw files are made here: a hill in metres, landslides where it is steep.
"""

import json
from unittest import mock

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from command import lsm

from lsm_core import cli

SIZE, CELL = 150, 30.0
LEFT, TOP = 500000.0, 4000000.0


def write_dem(path, crs="EPSG:32643", cell=CELL, left=LEFT, top=TOP):
    y, x = np.mgrid[:SIZE, :SIZE]
    z = 1000 + 400 * np.sin(x / 17) * np.cos(y / 23) + 2 * x
    transform = Affine(cell, 0, left, 0, -cell, top)
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": SIZE, "width": SIZE}
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as target:
        target.write(z.astype("float32"), 1)


def write_landslides(path, n=120, left=LEFT, top=TOP, whole=False):
    rng = np.random.default_rng(0)
    x = left + CELL * rng.uniform(1, SIZE - 1, n)
    y = top - CELL * rng.uniform(1, SIZE - 1, n)
    shapes = shapely.buffer(shapely.points(x, y), 40)
    if whole:
        side = SIZE * CELL
        shapes = [shapely.box(left, top - side, left + side, top)]
    gpd.GeoDataFrame(geometry=shapes, crs=32643).to_file(path)


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A catalogue and an area file for a hill; each test spoils what it likes."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("LSM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    write_dem("dem.tif")
    write_landslides("slides.gpkg")
    sources = {
        "meta": {"version": "v1", "root": "."},
        "dem": {"data_type": "RasterDataset", "uri": "dem.tif", "driver": "rasterio"},
        "slides": {"data_type": "GeoDataFrame", "uri": "slides.gpkg", "driver": "pyogrio"},
    }
    area = {
        "name": "hill",
        "grid": {"like": "dem"},
        "dem": "dem",
        "inventory": {"source": "slides"},
        "factors": ["elevation", "slope", "aspect"],
    }

    def write(sources=sources, area=area):
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(sources))
        (tmp_path / "hill.yaml").write_text(yaml.safe_dump(area))
        return sources, area

    write()
    return write


PREPARE = ("prepare", "hill.yaml", "--catalog", "catalog.yaml")


def test_prepare_run_compare(raw, tmp_path, monkeypatch, capsys):
    def call(*words):
        status, out, err = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert status == 0, err
        return out

    assert "120 read" in call(*PREPARE)
    small = ("--area", "hill", "--set", "split.block=700", "--set", "split.apart=2")
    small += ("--set", "input.quantiles=5")
    forest = ("--set", "model.options.n_estimators=20")
    call("run", "random_forest", *small, *forest, "--json")
    call("run", "logistic_regression", *small, "--json")
    listed = json.loads(call("runs", "--json"))
    assert [row["state"] for row in listed] == ["done", "done"]
    out = call("compare", *[row["run"] for row in listed])
    assert "honest protocol" in out
    assert "Zoning by natural, test blocks" in out
    assert "Models with 95% intervals" in out
    assert "leakage" in out
    names = [row["run"] for row in listed]
    tables = json.loads(call("compare", *names, "--draws", "20", "--json", "--to", "tables"))
    assert set(tables) == {"scores", "zones", "models", "pairs", "nulls", "thresholds"}
    assert len(pd.read_csv("tables/pairs.csv")) == len(tables["pairs"]) == 1
    assert set(pd.read_csv("tables/leakage.csv")["run"]) == set(names)
    assert "<html>" in (tmp_path / "tables" / "leakage.html").read_text()
    call("run", "logistic_regression", *small, "--set", "protocol=paper", "--json")
    names = [row["run"] for row in json.loads(call("runs", "--json"))]
    assert "gap = random - spatial" in call("compare", "--protocols", *names, "--to", "both")
    assert "random" in pd.read_csv("both/protocols.csv")
    assert "<html>" in (tmp_path / "both" / "protocols.html").read_text()
    for words in (("predict", "--to", "no/map.tif"), ("runs", "clone", "no/recipe.yaml")):
        last = len(words) - 1 - ("--to" in words)
        words = (*words[:last], listed[0]["run"], *words[last:])
        status, _, err = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert status == 2
        assert err.strip().startswith("error: ")
        assert "is the folder there" in err
    call("predict", listed[0]["run"], "--to", "again.tif", "--zones", "zones.tif")
    folder = tmp_path / "workspace" / "runs" / listed[0]["run"]
    with rasterio.open("zones.tif") as again, rasterio.open(folder / "zones.tif") as first:
        np.testing.assert_array_equal(again.read(1), first.read(1))
    with (
        rasterio.open("again.tif") as again,
        rasterio.open(
            tmp_path / "workspace" / "runs" / listed[0]["run"] / "susceptibility.tif"
        ) as first,
    ):
        np.testing.assert_array_equal(again.read(1), first.read(1))


def missing_file(write):
    (write.folder / "dem.tif").unlink()


def unknown_entry(write):
    write(area=write.area | {"dem": "dme", "grid": {"like": "dme"}})


def no_crs(write):
    write_dem("dem.tif", crs=None)


def degrees(write):
    write_dem("dem.tif", crs="EPSG:4326", cell=0.0003, left=73.0, top=34.0)


def no_overlap(write):
    write_dem("far.tif", left=LEFT + 1e6)
    far = {"data_type": "RasterDataset", "uri": "far.tif", "driver": "rasterio"}
    factor = {"name": "rain", "source": "far", "kind": "continuous", "units": "mm"}
    write(
        sources=write.sources | {"far": far},
        area=write.area | {"factors": [*write.area["factors"], factor]},
    )


def inventory_outside(write):
    write_landslides("slides.gpkg", left=LEFT + 1e5)


def inventory_empty(write):
    empty = gpd.GeoDataFrame({"a": []}, geometry=[], crs=32643)
    empty.to_file("slides.gpkg")


def one_class(write):
    write_landslides("slides.gpkg", whole=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing_file, "dem.tif"),
        (unknown_entry, "dem"),
        (no_crs, "no coordinate reference system"),
        (degrees, "resolution"),
        (no_overlap, "overlap"),
        (inventory_outside, "outside|no landslide lies in"),
        (inventory_empty, "inventory is empty"),
        (one_class, "one class only"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(raw, tmp_path, monkeypatch, capsys, spoil, words):
    raw.folder = tmp_path
    raw.sources, raw.area = raw()
    spoil(raw)
    status, _, err = lsm(*PREPARE, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    complaint = err.strip().splitlines()
    assert len(complaint) == 1
    assert complaint[0].startswith("error: ")
    assert any(word in complaint[0] for word in words.split("|")), complaint[0]
    assert not [p for p in (tmp_path / "workspace").rglob("*") if p.is_file()]


def test_more_samples_than_there_are(raw, tmp_path, monkeypatch, capsys):
    lsm(*PREPARE, monkeypatch=monkeypatch, capsys=capsys)
    greedy = ("--area", "hill", "--set", "protocol=paper")
    greedy += ("--set", "samples.negatives_per_landslide=900")
    status, _, err = lsm("run", "random_forest", *greedy, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert "places without a landslide were asked for" in err
    assert not (tmp_path / "workspace" / "runs").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("run", "random_forst", "--area", "hill"), "no recipe of that name"),
        (("run", "random_forest"), "names no study area"),
        (("run", "random_forest", "--area", "hill"), "no study area in"),
        (("run", "cnn", "--area", "x", "--set", "model.options={scs: true}"), "scs"),
        (("run", "random_forest", "--area", "x", "--set", "input.form=onehot"), "takes table"),
        (("stop", "nothing"), "no run at nothing"),
        (("compare", "nothing"), "no run at nothing"),
        (("prepare", "nowhere"), "nowhere"),
    ],
)
def test_other_mistakes_are_one_line_too(raw, monkeypatch, capsys, words, complaint):
    status, _, err = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert err.startswith("error: ")
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("Couldn't serialize\nthrift: std::bad_alloc\n"), "memory ran out ("),
        (OSError(28, "No space\nleft"), "[Errno 28] No space left: is the folder"),
    ],
)
def test_errors_of_the_system_are_one_line_too(monkeypatch, capsys, error, told):
    """Libraries in C say in their own words, of several lines, that a disk or memory is full."""
    monkeypatch.setattr(cli, "app", mock.Mock(side_effect=error))
    status, _, complained = lsm(monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert complained.startswith(f"error: {told}")
    assert complained.count("\n") == 1
