"""A file is what its first bytes say; what is too large or strange never gets further."""

import json

import numpy as np
import pytest
from boxes import cells, frame
from sources import write_raster

from lsm_core import intake
from lsm_core.errors import CrsError, SourceError

HEIGHTS = np.linspace(900, 4000, 48, dtype="float32").reshape(6, 8)
VRT = '<VRTDataset rasterXSize="8" rasterYSize="6"><SRS>EPSG:32643</SRS></VRTDataset>'


def test_a_dem_and_a_raster_of_classes_are_told_apart(tmp_path):
    write_raster(tmp_path / "dem.tif", HEIGHTS)
    write_raster(tmp_path / "rock.tif", np.arange(48, dtype="int16").reshape(6, 8) % 5, nodata=0)
    dem, rock = (intake.look_at(tmp_path / f"{name}.tif") for name in ("dem", "rock"))
    assert (dem.kind, dem.shape, dem.cell, dem.crs) == ("raster", (6, 8), 10, "EPSG:32643")
    assert (dem.low, dem.high, dem.classes, dem.projected) == (900, 4000, False, True)
    assert (rock.classes, rock.low, rock.high) == (True, 1, 4)
    assert dem.middle == pytest.approx((75.0, 36.14), abs=0.01)  # 36.1447 by pyproj


def test_whole_metres_are_no_classes(tmp_path, monkeypatch):
    write_raster(tmp_path / "dem.tif", np.arange(900, 948, dtype="int16").reshape(6, 8))
    assert intake.look_at(tmp_path / "dem.tif").classes  # so few that they may be
    monkeypatch.setattr(intake, "MOST_CLASSES", 40)
    assert not intake.look_at(tmp_path / "dem.tif").classes


def test_polygons_lines_and_layers_are_told(tmp_path):
    path = tmp_path / "slides.gpkg"
    frame(cells(1, 1), cells(3, 2), year=[2005, 2010]).to_file(path, layer="scars")
    frame(cells(1, 1).boundary).to_file(path, layer="rims")
    found = intake.look_at(path)
    assert (found.features, found.geometry, found.fields) == (2, "Polygon", ("year",))
    assert found.layers == ("scars", "rims")
    assert intake.look_at(path, "rims").geometry == "LineString"


def test_a_table_has_rows_and_no_crs(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("id,Lon,Lat\n1,73,34\n2,74,35\n")
    found = intake.look_at(path)
    assert (found.kind, found.features, found.crs) == ("table", 2, "")
    assert intake.columns_xy(found.fields) == ("Lon", "Lat")


@pytest.mark.parametrize("name", ["dem.tif", "slides.gpkg", "slides.shp"])
def test_a_list_of_other_files_is_not_taken_under_any_name(tmp_path, name):
    (tmp_path / name).write_text(VRT)
    with pytest.raises(SourceError, match="not what its name says"):
        intake.look_at(tmp_path / name)


@pytest.mark.parametrize("name", ["dem.vrt", "notes.pdf", "model.tif.exe"])
def test_other_kinds_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_text(VRT)
    with pytest.raises(SourceError, match="of no kind that is taken"):
        intake.look_at(tmp_path / name)


def test_a_raster_that_would_unpack_to_more_than_is_taken_is_refused(tmp_path, monkeypatch):
    write_raster(tmp_path / "dem.tif", HEIGHTS)
    monkeypatch.setattr(intake, "MOST_VALUES", 40)
    with pytest.raises(SourceError, match="6 x 8 cells in 1 bands"):
        intake.look_at(tmp_path / "dem.tif")


def test_a_damaged_file_is_said(tmp_path):
    write_raster(tmp_path / "dem.tif", HEIGHTS)
    whole = (tmp_path / "dem.tif").read_bytes()
    (tmp_path / "dem.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="cannot be read as a GeoTIFF"):
        intake.look_at(tmp_path / "dem.tif")


def test_geojson_in_degrees_is_not_projected(tmp_path):
    shape = {"type": "Point", "coordinates": [73.5, 34.5]}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    text = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "a.geojson").write_text(json.dumps(text))
    found = intake.look_at(tmp_path / "a.geojson")
    assert (found.geometry, found.projected, found.middle) == ("Point", False, (73.5, 34.5))


def test_what_is_no_crs_is_said():
    with pytest.raises(CrsError, match="give its EPSG number"):
        intake.crs_of("the usual one")
