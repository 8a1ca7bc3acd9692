"""The catalogue: names, roots, units, fingerprints and the ways a source can be wrong."""

import hashlib
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sources import RASTER, write_catalog, write_raster

from lsm_core import catalog
from lsm_core.errors import CatalogError, CrsError, SourceError

pytestmark = pytest.mark.usefixtures("no_environment")


def test_unknown_name_lists_near_ones_and_is_no_path(tmp_path):
    """A file of that very name does not make it a source."""
    write_raster(tmp_path / "dme", np.zeros((3, 3), "float32"))
    known = write_catalog(tmp_path, f"dem: {RASTER % 'dem.tif'}")
    for name in ("dme", str(tmp_path / "dme")):
        with pytest.raises(CatalogError, match=r"has no '.*dme'.*(did you mean|it knows) dem"):
            catalog.source(known, name)


def test_missing_file_names_path_and_variable(tmp_path):
    known = write_catalog(tmp_path, f"dem: {RASTER % 'gone.tif'}")
    with pytest.raises(SourceError, match=r"no file at .*gone\.tif \(LSM_DATA is not set\)"):
        catalog.source(known, "dem")


def test_roots(tmp_path, monkeypatch):
    """`meta: root` starts at the catalogue's folder, LSM_DATA replaces it, absolute paths stay."""
    inside, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (inside, elsewhere):
        folder.mkdir()
        write_raster(folder / "dem.tif", np.zeros((3, 3), "float32"))
    text = f"dem: {RASTER % 'dem.tif'}\nfixed: {RASTER % (inside / 'dem.tif')}"
    known = write_catalog(tmp_path, text, "version: v1, root: data")
    assert catalog.local_path(catalog.source(known, "dem")) == inside / "dem.tif"
    monkeypatch.setenv("LSM_DATA", str(elsewhere))
    known = write_catalog(tmp_path, text, "version: v1, root: data")
    assert catalog.local_path(catalog.source(known, "dem")) == elsewhere / "dem.tif"
    assert catalog.local_path(catalog.source(known, "fixed")) == inside / "dem.tif"


def test_broken_catalogues(tmp_path):
    with pytest.raises(CatalogError, match="no catalogue at"):
        catalog.load_catalog(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(CatalogError, match="not readable YAML"):
        catalog.load_catalog(tmp_path / "bad.yaml")
    (tmp_path / "odd.yaml").write_text("meta: {version: v1}\ndem: {data_type: Nonsense, uri: a}")
    with pytest.raises(CatalogError, match="no valid catalogue"):
        catalog.load_catalog(tmp_path / "odd.yaml")


def test_wrong_kinds_and_unreadable_files(tmp_path):
    (tmp_path / "dem.tif").write_text("no raster")
    vector = "{data_type: GeoDataFrame, driver: pyogrio, uri: dem.tif}"
    known = write_catalog(tmp_path, f"dem: {RASTER % 'dem.tif'}\nlines: {vector}")
    with pytest.raises(SourceError, match="lines cannot be read"):
        catalog.open_vector(known, "lines")
    with pytest.raises(CatalogError, match="dem is a RasterDataset in the catalogue; a GeoData"):
        catalog.open_vector(known, "dem")


def test_empty_vector_is_an_empty_frame(tmp_path):
    gpd.GeoDataFrame({"a": []}, geometry=[], crs=32643).to_file(tmp_path / "none.gpkg")
    entry = "{data_type: GeoDataFrame, driver: pyogrio, uri: none.gpkg, metadata: {crs: 32643}}"
    assert len(catalog.open_vector(write_catalog(tmp_path, f"none: {entry}"), "none")) == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_points_of_a_table(tmp_path, encoding):
    """Named coordinate columns, with or without a byte-order mark; a gap is a missing geometry."""
    (tmp_path / "p.csv").write_text("east,north,slide\n1,2,TRUE\n3,,FALSE\n", encoding=encoding)
    entry = "{data_type: DataFrame, driver: pandas, uri: p.csv, metadata: {%s}}"
    known = write_catalog(tmp_path, f"p: {entry % 'crs: 32717, x: east, y: north'}")
    points = catalog.open_vector(known, "p")
    assert points.crs.to_epsg() == 32717
    assert points.geometry[0] == shapely.Point(1, 2)
    assert points.geometry[1] is None
    assert points.slide.tolist() == [True, False]
    with pytest.raises(SourceError, match="p has no column 'est': did you mean east"):
        catalog.open_vector(write_catalog(tmp_path, f"p: {entry % 'crs: 32717, x: est'}"), "p")
    with pytest.raises(CrsError, match="p has no CRS"):
        catalog.open_vector(write_catalog(tmp_path, f"p: {entry % 'x: east, y: north'}"), "p")


def test_fingerprint_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert catalog.fingerprint(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(SourceError, match="no file at"):
        catalog.fingerprint(tmp_path / "b")


def test_fingerprint_of_a_shapefile_knows_its_parts(tmp_path):
    """A change of the attributes alone is seen; a lock or index beside it is not one."""
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs=32643)
    frame.to_file(tmp_path / "p.shp")
    before = catalog.fingerprint(tmp_path / "p.shp")
    (tmp_path / "p.shp.lock").write_text("")
    assert catalog.fingerprint(tmp_path / "p.shp") == before
    frame.assign(a=2).to_file(tmp_path / "p.shp")
    assert catalog.fingerprint(tmp_path / "p.shp") != before


def test_shipped_catalogue_agrees_with_the_data(shared_data, monkeypatch):
    """Every entry exists, states unit, CRS, licence and citation, and its checksum is right."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    known = catalog.load_catalog()
    names = list(known.get_source_names())
    assert {"balakot_dem", "ecuador_landslides", "nagaland_slope_units"} <= set(names)
    for name in names:
        entry = catalog.source(known, name)
        missing = {
            "unit": entry.metadata.unit,
            "crs": entry.metadata.crs,
            "source_license": entry.metadata.source_license,
            "paper_ref": entry.metadata.paper_ref,
        }
        assert all(missing.values()), (name, missing)
        assert catalog.fingerprint(catalog.local_path(entry)) == entry.metadata.sha256, name


def test_importing_the_catalogue_does_not_import_hydromt():
    code = "import sys, lsm_core.catalog; sys.exit('hydromt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
