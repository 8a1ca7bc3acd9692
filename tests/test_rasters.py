"""Raster sources: bands, dates, units, CRS, axes under wrong names, and COGs by http."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import xarray as xr
from sources import PLACE, RASTER, write_catalog, write_raster

from lsm_core import catalog, rasters
from lsm_core.errors import CatalogError, CrsError, SourceError
from lsm_core.grid import Grid, align, crop, grid_of

pytestmark = pytest.mark.usefixtures("no_environment")


STACK = "{data_type: RasterDataset, driver: raster_xarray, uri: %s}"


def test_bands_by_name_and_number(tmp_path):
    low, high = np.full((3, 4), 1, "float32"), np.full((3, 4), 2, "float32")
    write_raster(tmp_path / "two.tif", low, high, names=["low", "high"])
    known = write_catalog(tmp_path, f"two: {RASTER % 'two.tif'}")
    for band, value in ((None, 1), (1, 1), ("low", 1), (2, 2), ("high", 2)):
        raster = rasters.open_raster(known, "two", band=band)
        assert raster.dims == ("y", "x")
        assert raster.name == "two"
        assert (raster == value).all()
    with pytest.raises(SourceError, match="no band 'hihg': did you mean high"):
        rasters.open_raster(known, "two", band="hihg")
    with pytest.raises(SourceError, match="no band 3"):
        rasters.open_raster(known, "two", band=3)


def test_units_of_the_catalogue_are_applied(tmp_path):
    """A DEM in feet becomes metres, nodata kept apart; a unit for no variable is refused."""
    feet = np.array([[100, 200], [300, -9999]], "float32")
    write_raster(tmp_path / "dem.tif", feet, nodata=-9999)
    entry = "{data_type: RasterDataset, driver: rasterio, uri: dem.tif, data_adapter: %s}"
    known = write_catalog(tmp_path, f"dem: {entry % '{unit_mult: {dem: 0.3048}}'}")
    raster = rasters.open_raster(known, "dem")
    np.testing.assert_allclose(raster.values.ravel()[:3], [30.48, 60.96, 91.44], rtol=1e-6)
    assert raster.values[1, 1] == raster.rio.nodata == -9999
    known = write_catalog(tmp_path, f"dem: {entry % '{unit_mult: {elevation: 0.3048}}'}")
    with pytest.raises(CatalogError, match="names elevation, but the file holds dem"):
        rasters.open_raster(known, "dem")


def test_crs_comes_from_the_catalogue_or_is_missed(tmp_path):
    write_raster(tmp_path / "dem.tif", np.zeros((3, 3), "float32"), crs=None)
    known = write_catalog(tmp_path, f"dem: {RASTER % 'dem.tif'}")
    with pytest.raises(CrsError, match=r"dem has no coordinate reference system.*metadata: \{crs"):
        rasters.open_raster(known, "dem")
    entry = "{data_type: RasterDataset, driver: rasterio, uri: dem.tif, metadata: {crs: 32643}}"
    known = write_catalog(tmp_path, f"dem: {entry}")
    assert rasters.open_raster(known, "dem").rio.crs.to_epsg() == 32643


# --- dates, and axes under wrong names -----------------------------------------------------------


DAYS = ["2023-04-28", "2023-05-13", "2023-05-23"]


def stack(dims=("time", "y", "x")):
    """Two variables at three dates; every value tells its date, row and column as stored."""
    grid = Grid((6, 6), PLACE, "EPSG:32643")
    values = np.arange(108, dtype="float32").reshape(3, 6, 6)
    coords = {"x": grid.x, "y": grid.y, "time": np.array(DAYS, "datetime64[ns]")}
    ds = xr.Dataset({"B04": (dims, values), "B08": (dims, values + 1000)}, coords)
    return ds.rio.write_crs(32643) if dims[1] == "y" else ds


def test_a_date_is_chosen_by_name_or_number_and_said(tmp_path):
    stack().to_netcdf(tmp_path / "s.nc")
    known = write_catalog(tmp_path, f"s: {STACK % 's.nc'}")
    for time_, place in (("2023-05-13", 1), (2, 1), ("2023-04-28", 0), (3, 2)):
        raster = rasters.open_raster(known, "s", band="B04", time=time_)
        np.testing.assert_array_equal(raster, stack().B04[place])
        assert raster.attrs["time"].startswith(f"date {place + 1} of 3: 2023-0")
    with pytest.raises(SourceError, match=r"has 3 dates, 2023-04-28 to 2023-05-23: state one"):
        rasters.open_raster(known, "s", band="B04")
    for wrong in ("2023-05-14", 4, 0):
        with pytest.raises(SourceError, match=r"no date .* it has 2023-04-28, 2023-05-13"):
            rasters.open_raster(known, "s", time=wrong)
    with pytest.raises(SourceError, match="no band 'B05': did you mean B0"):
        rasters.open_raster(known, "s", band="B05", time=1)
    assert rasters.open_lattice(known, "s").shape == (6, 6)


def test_time_where_there_is_none(tmp_path):
    write_raster(tmp_path / "dem.tif", np.zeros((3, 3), "float32"))
    known = write_catalog(tmp_path, f"dem: {RASTER % 'dem.tif'}")
    with pytest.raises(SourceError, match="dem has no time axis: leave out `time: 2`"):
        rasters.open_raster(known, "dem", time=2)


def test_bands_of_an_image(tmp_path):
    """Under their own names, or under those that the area gives them, in its order."""
    stack().to_netcdf(tmp_path / "s.nc")
    known = write_catalog(tmp_path, f"s: {STACK % 's.nc'}")
    image = rasters.open_image(known, "s", {"nir": "B08", "red": "B04"}, time=2)
    assert image["band"].values.tolist() == ["nir", "red"]
    np.testing.assert_array_equal(image.sel(band="red"), stack().B04[1])
    assert rasters.open_image(known, "s", ["B04"], time=2)["band"].values.tolist() == ["B04"]
    assert image.attrs["time"] == "date 2 of 3: 2023-05-13"
    assert image.rio.crs.to_epsg() == 32643


def test_rows_and_columns_under_wrong_names(tmp_path):
    """(time, x, y) is refused until the catalogue says what is stored; then each word counts."""
    square = stack(("time", "x", "y"))
    square.to_netcdf(tmp_path / "s.nc")
    entry = "{data_type: RasterDataset, driver: raster_xarray, uri: s.nc, metadata: {crs: 32643%s}}"
    known = write_catalog(tmp_path, f"s: {entry % ''}")
    with pytest.raises(
        SourceError, match=r"come as \('time', 'x', 'y'\).*`metadata: \{stored: row"
    ):
        rasters.open_raster(known, "s", time=1)
    known = write_catalog(tmp_path, f"s: {entry % ', stored: rows'}")
    raster = rasters.open_raster(known, "s", time=2)
    np.testing.assert_array_equal(raster, square.B04.values[1])
    assert grid_of(raster).transform == PLACE
    assert "hold (row, column)" in rasters.stored_words(known, "s")
    known = write_catalog(tmp_path, f"s: {entry % ', stored: as named'}")
    np.testing.assert_array_equal(rasters.open_raster(known, "s", time=2), square.B04.values[1].T)


def test_netcdf_is_not_left_to_gdal(tmp_path):
    """GDAL takes axes by position and would walk past the names: its driver is refused."""
    stack().to_netcdf(tmp_path / "s.nc")
    known = write_catalog(tmp_path, f"s: {RASTER % 's.nc'}")
    with pytest.raises(SourceError, match="s is a NetCDF or Zarr: state `driver: raster_xarray`"):
        rasters.open_raster(known, "s", time=1)


def test_true_x_first_of_unequal_sides(tmp_path):
    """8 columns, 6 rows, x first: `rows` cannot be, `as named` gives 6 rows of 8."""
    grid = Grid((6, 8), PLACE, "EPSG:32643")
    values = np.arange(48.0).reshape(8, 6)
    xr.Dataset({"a": (("x", "y"), values)}, {"x": grid.x, "y": grid.y}).to_netcdf(tmp_path / "s.nc")
    entry = "{data_type: RasterDataset, driver: raster_xarray, uri: s.nc, metadata: {crs: 32643%s}}"
    known = write_catalog(tmp_path, f"s: {entry % ', stored: rows'}")
    with pytest.raises(SourceError, match="`stored: rows` cannot be: a has 8 x and 6 y"):
        rasters.open_raster(known, "s")
    known = write_catalog(tmp_path, f"s: {entry % ', stored: as named'}")
    np.testing.assert_array_equal(rasters.open_raster(known, "s"), values.T)


def test_emilia_chip_equals_the_mosaic(shared_data, monkeypatch):
    """The chip's DEM at every date, read as stored, is the mosaic's, cell for cell."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    known = catalog.load_catalog()
    chip = rasters.open_raster(known, "emilia_s2_chip", band="DEM", time="2023-04-28")
    mosaic = align(rasters.open_raster(known, "emilia_dem"), grid_of(chip), "nearest")
    np.testing.assert_array_equal(chip, mosaic)
    assert (mosaic != mosaic.attrs["nodata"]).all()
    assert not np.array_equal(chip.values.T, mosaic)
    entry = known.get_source("emilia_s2_chip").metadata
    monkeypatch.delitem(entry.model_extra, "stored")
    with pytest.raises(SourceError, match="State in the catalogue"):
        rasters.open_raster(known, "emilia_s2_chip", band="DEM", time=1)


# --- Zarr, lists of files ------------------------------------------------------------------------


def test_zarr_with_and_without_a_crs(tmp_path):
    ds = stack().isel(time=0, drop=True)
    ds.drop_vars("spatial_ref").to_zarr(tmp_path / "s.zarr", zarr_format=2, consolidated=True)
    known = write_catalog(tmp_path, f"s: {STACK % 's.zarr'}")
    with pytest.raises(CrsError, match=r"s has no coordinate reference system.*metadata: \{crs"):
        rasters.open_raster(known, "s", band="B08")
    entry = "{data_type: RasterDataset, driver: raster_xarray, uri: s.zarr, metadata: {crs: 32643}}"
    known = write_catalog(tmp_path, f"s: {entry}")
    np.testing.assert_array_equal(rasters.open_raster(known, "s", band="B08"), ds.B08)


# --- by http -------------------------------------------------------------------------------------

SERVER = """
import http.server, os, re, sys
class Ranges(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_HEAD(self): self.answer(False)
    def do_GET(self): self.answer(True)
    def answer(self, body):
        path = os.path.join(sys.argv[1], os.path.basename(self.path))
        if not os.path.isfile(path):
            self.send_error(404); return
        size = os.path.getsize(path); first, last = 0, size - 1
        asked = re.match(r"bytes=(\\d+)-(\\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body:
            with open(path, "rb") as file:
                file.seek(first); self.wfile.write(file.read(last - first + 1))
            print(f"{last - first + 1}\\n", end="", flush=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def served(tmp_path):
    """A folder served with ranges by another process (GDAL holds the lock while it waits)."""
    (tmp_path / "server.py").write_text(SERVER)
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, str(tmp_path / "server.py"), str(tmp_path)]
        process = subprocess.Popen(command, stdout=log)
    try:
        for _ in range(100):
            if (tmp_path / "log").read_text().strip():
                break
            time.sleep(0.1)
        port, *_ = (tmp_path / "log").read_text().split()
        sent = lambda: sum(map(int, (tmp_path / "log").read_text().split()[1:]))  # noqa: E731
        yield tmp_path, f"http://127.0.0.1:{port}", sent
    finally:
        process.kill()
        process.wait()


def test_a_cog_by_http_is_read_by_its_window(served):
    """The cells of the area, equal to the local file's, for a few per cent of the file's bytes."""
    folder, url, sent = served
    values = np.random.default_rng(0).normal(500, 5, (1500, 1500)).astype("float32")
    profile = {"height": 1500, "width": 1500, "count": 1, "dtype": "float32", "nodata": -9999}
    with rasterio.open(
        folder / "big.tif", "w", driver="COG", crs="EPSG:32643", transform=PLACE, blocksize=256,
        **profile,
    ) as file:  # fmt: skip
        file.write(values, 1)
    size = os.path.getsize(folder / "big.tif")
    adapter = "data_adapter: {unit_mult: {big: 2}}"
    feet = f"{{data_type: RasterDataset, driver: rasterio, uri: {url}/big.tif, {adapter}}}"
    known = write_catalog(folder, f"dem: {feet}\ngone: {RASTER % f'{url}/gone.tif'}")
    grid = Grid((1500, 1500), PLACE, rasterio.CRS.from_epsg(32643)).window(600, 620, 700, 740)
    laid = align(crop(rasters.open_raster(known, "dem"), grid), grid, "nearest")
    np.testing.assert_allclose(laid, 2 * values[600:700, 620:740])
    assert 0 < sent() < size / 8, (sent(), size)
    with pytest.raises(SourceError, match=r"gone cannot be read: .*404.*check the address"):
        rasters.open_raster(known, "gone")


def test_a_server_that_is_not_there(tmp_path):
    known = write_catalog(tmp_path, f"dem: {RASTER % 'http://127.0.0.1:9/dem.tif'}")
    with pytest.raises(SourceError, match=r"dem cannot be read: .*check the address in a browser"):
        rasters.open_raster(known, "dem")
