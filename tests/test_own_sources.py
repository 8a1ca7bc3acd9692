"""A file that somebody adds is a source like any other, also for `lsm prepare`."""

import numpy as np
import pytest
import yaml
from boxes import cells, frame
from sources import write_raster

from lsm_core import catalog, own_sources, rasters
from lsm_core.errors import CatalogError, CrsError, SourceError

HEIGHTS = np.linspace(900, 4000, 48, dtype="float32").reshape(6, 8)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace, and beside it a folder of data with a DEM, polygons and a table."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.setenv("LSM_DATA", str(data))
    write_raster(data / "My DEM (30m).tif", HEIGHTS)
    frame(cells(1, 1), cells(3, 2)).to_file(data / "slides.gpkg", layer="scars")
    (data / "points.csv").write_text("id,east,north\n1,500010,3999980\n")
    (data / "notes.txt").write_text("nothing")
    return tmp_path


def test_an_added_raster_opens_by_name_with_its_crs_and_fingerprint(place):
    path = place / "data" / "My DEM (30m).tif"
    entry = own_sources.add_source(path, unit="m")
    assert (entry.name, entry.own, entry.there, entry.unit) == ("my_dem_30m", True, True, "m")
    assert entry.sha256 == catalog.fingerprint(path)
    known = catalog.load_catalog()
    assert "balakot_dem" in known.get_source_names()
    opened = rasters.open_raster(known, "my_dem_30m")
    assert np.array_equal(opened.values, HEIGHTS)


def test_the_same_file_is_added_once_and_another_gets_another_name(place):
    path = place / "data" / "My DEM (30m).tif"
    first, again = own_sources.add_source(path), own_sources.add_source(path)
    assert first == again
    write_raster(place / "data" / "balakot_dem.tif", HEIGHTS)
    other = own_sources.add_source(place / "data" / "balakot_dem.tif")
    assert other.name == "balakot_dem_2"  # the shipped catalogue has a balakot_dem


def test_a_layer_and_a_table_open_too(place):
    own_sources.add_source(place / "data" / "slides.gpkg")
    with pytest.raises(CrsError, match="EPSG number"):
        own_sources.add_source(place / "data" / "points.csv")
    own_sources.add_source(place / "data" / "points.csv", crs="32643")
    known = catalog.load_catalog()
    assert len(catalog.open_vector(known, "slides")) == 2
    point = catalog.open_vector(known, "points")
    assert (point.crs.to_epsg(), point.geometry[0].x) == (32643, 500010)


def test_files_inside_the_workspace_move_with_it(place, monkeypatch):
    folder = place / "ws" / "uploads" / "a1"
    folder.mkdir(parents=True)
    write_raster(folder / "data.tif", HEIGHTS)
    own_sources.add_source(folder / "data.tif", file="hills.tif")
    (place / "ws").rename(place / "moved")
    monkeypatch.setenv("LSM_WORKSPACE", str(place / "moved"))
    assert own_sources.entries()["hills"].there
    assert rasters.open_raster(catalog.load_catalog(), "hills").shape == (6, 8)
    own_sources.remove_source("hills")
    assert "hills" not in own_sources.entries()
    assert not (place / "moved" / "uploads" / "a1").exists()


def test_taking_a_source_out_leaves_a_file_that_was_not_uploaded(place):
    path = place / "data" / "slides.gpkg"
    own_sources.remove_source(own_sources.add_source(path).name)
    assert path.exists()
    with pytest.raises(CatalogError, match="nothing to take out"):
        own_sources.remove_source("slides")


def test_files_of_the_data_folder_are_listed_and_none_outside_it(place):
    (place / "data" / "away.tif").symlink_to(place / "elsewhere.tif")
    write_raster(place / "elsewhere.tif", HEIGHTS)
    assert own_sources.data_files() == ["My DEM (30m).tif", "points.csv", "slides.gpkg"]
    for name in ("../elsewhere.tif", "away.tif", "/etc/passwd"):
        with pytest.raises(SourceError, match="no file of the data folder"):
            own_sources.data_file(name)


def test_the_catalogue_is_one_that_hydromt_reads(place):
    own_sources.add_source(place / "data" / "slides.gpkg", licence="CC0")
    row = yaml.safe_load((place / "ws" / "data_catalog.yaml").read_text())["slides"]
    assert row["driver"] == {"name": "pyogrio", "options": {"layer": "scars"}}
    assert row["metadata"]["source_license"] == "CC0"
    assert own_sources.entries()["slides"].crs == "EPSG:32643"
