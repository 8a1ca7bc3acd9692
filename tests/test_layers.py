"""Every way an area file makes a factor, on a country never seen; what is said, what refused."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from affine import Affine
from country import UTM, Country, write_raster

from lsm_core import hydrology, preparation, study_area
from lsm_core.catalog import load_catalog
from lsm_core.errors import AreaError, CrsError, SourceError
from lsm_core.grid import grid_of
from lsm_core.rasters import open_raster

pytestmark = pytest.mark.usefixtures("no_environment")


def said(ds):
    return json.loads(ds.attrs["prepared"])["lines"]


# --- image and indices ---------------------------------------------------------------------------


def stack(country, name="s2", dims=("time", "y", "x")):
    """Reflectance times 10,000 at two dates; one cell without data."""
    rng = np.random.default_rng(0)
    shape = (2, *country.shape)
    step, rows, cols = country.transform.a, *country.shape
    x = country.east + step * (np.arange(cols) + 0.5)
    y = country.north - step * (np.arange(rows) + 0.5)
    coords = {"time": np.array(["2023-04-28", "2023-05-23"], "datetime64[ns]"), "y": y, "x": x}
    bands = {b: (dims, rng.integers(100, 4000, shape).astype("float32")) for b in ("B04", "B08")}
    ds = xr.Dataset(bands, coords)
    ds.B04[:, 5, 5] = np.nan
    ds.to_netcdf(country.folder / f"{name}.nc")
    country.entries[name] = {"metadata": {"crs": 32643}}
    return ds


def test_image_and_index(country):
    """Bands by their role, scaled, on the grid; NDVI from them; the cell without data not valid."""
    ds = stack(country)
    country.area |= {
        "image": {
            "source": "s2", "time": "2023-05-23", "bands": {"red": "B04", "nir": "B08"},
            "scale": 0.0001,
        },
        "factors": ["elevation", "ndvi"],
    }  # fmt: skip
    built = country.prepare()
    red, nir = ds.B04[1].values * 1e-4, ds.B08[1].values * 1e-4
    np.testing.assert_allclose(built.image.sel(band="red"), red, rtol=1e-5)
    np.testing.assert_allclose(built.ndvi, (nir - red) / (nir + red), atol=1e-5)
    assert built.image.dims == ("band", "y", "x")
    assert study_area.factors(built) == ["elevation", "ndvi"]
    assert not built.valid[5, 5]
    assert int((~built.valid).sum()) == 13
    assert any("date 2 of 2: 2023-05-23" in line and "0.0001" in line for line in said(built))
    again = study_area.open_area(study_area.save_area(built, country.folder / "areas" / "nowhere"))
    assert again.identical(built)
    country.area["image"]["scale"] = 1
    with pytest.raises(SourceError, match=r"band nir is no reflectance.*scale: 0\.0001"):
        country.prepare()
    country.area["image"] |= {"scale": 0.0001, "bands": ["B04", "B08"]}
    with pytest.raises(SourceError, match=r"no band red, nir, it has B04, B08.*bands: \{red: B04"):
        country.prepare()
    del country.area["image"]
    with pytest.raises(AreaError, match="ndvi is derived from an image: state `image:"):
        country.prepare()


def test_a_date_without_quotes_is_a_date(country):
    """YAML reads 2023-05-23 as a date of its own kind; the area file takes it."""
    ds = stack(country)
    country.area["factors"].append({"name": "b4", "source": "s2", "band": "B04", "time": "DAY"})
    path = country.folder / "area.yaml"
    country.catalog()
    country.entries["s2"] = {"metadata": {"crs": 32643}}
    import yaml

    path.write_text(yaml.safe_dump(country.area).replace("DAY", "2023-05-23"))
    built = preparation.prepare(path, country.catalog())
    np.testing.assert_allclose(built.b4, ds.B04[1])


# --- stations, kernels, classes ------------------------------------------------------------------


def test_rain_of_stations_in_a_csv_with_a_byte_order_mark(country):
    """Rain that rises evenly is found again at every cell, and the error is said."""
    rng = np.random.default_rng(1)
    east, north = rng.uniform(499000, 503000, 15), rng.uniform(3998000, 4001000, 15)
    table = pd.DataFrame({"east": east, "north": north, "mm": 900 + (east - 500000) / 10})
    table.to_csv(country.folder / "gauges.csv", index=False, encoding="utf-8-sig")
    country.entries["gauges"] = {"metadata": {"crs": 32643, "x": "east", "y": "north"}}
    rain = {"name": "rain", "interpolate": "gauges", "field": "mm", "units": "mm", "least": 0}
    country.area["factors"].append(rain)
    built = country.prepare()
    np.testing.assert_allclose(built.rain[7], 900 + (built.x - 500000) / 10, atol=0.01)
    assert built.rain.attrs["units"] == "mm"
    assert any("15 stations; leaving one out at a time: RMSE" in line for line in said(built))
    table.loc[0, "mm"] += 300
    table.to_csv(country.folder / "gauges.csv", index=False, encoding="utf-8-sig")
    spiky = country.prepare()
    country.area["factors"][-1] = rain | {"smoothing": 1e6}
    off, smooth = (float(abs(ds.rain - built.rain).max()) for ds in (spiky, country.prepare()))
    assert smooth < off / 2
    country.area["factors"][-1] = rain | {"least": 1000}
    assert float(country.prepare().rain.min()) == 1000
    country.area["factors"][-1] = {"name": "rain", "interpolate": "gauges"}
    with pytest.raises(AreaError, match="interpolate needs the `field`"):
        country.prepare()


def test_kernel_density_classes_and_the_warning_of_labels(country):
    """Collapses weigh by a kernel; distances come in classes; the inventory as factor is said."""
    x, y = country.transform * (40.5, 20.5)
    country.inventory([shapely.Point(x, y)], "collapses")
    country.area["factors"] += [
        {"name": "collapses", "density_of": "collapses", "radius": 300, "kernel": "quartic"},
        {"name": "near", "distance_to": "collapses", "edges": [100, 300]},
        {"name": "leak", "distance_to": "slides"},
    ]
    built = country.prepare()
    assert float(built.collapses[20, 40]) == pytest.approx(3 / (np.pi * 0.09), rel=1e-3)
    assert study_area.categories(built.near)[2] == "100-300 m"
    assert int(built.near[20, 40]) == 1
    assert sum("flattered" in line for line in said(built)) == 1
    country.area["inventory"] = {"source": "collapses"}
    assert sum("flattered" in line for line in said(country.prepare())) == 2


# --- categories ----------------------------------------------------------------------------------


def test_polygons_of_a_shapefile_as_classes(country):
    """Names from a field; the gap between polygons is not valid, and said."""
    shapes = [country.box(-1, -1, 60, 40), country.box(-1, 41, 61, 81), country.box(5, 5, 9, 9)]
    frame = gpd.GeoDataFrame({"rock": ["marl", "granite", "tuff"]}, geometry=shapes, crs=UTM)
    frame.to_crs(32642).to_file(country.folder / "geology.shp")
    rock = {"name": "rock", "source": "geology", "kind": "categorical", "field": "rock"}
    country.area["factors"].append(rock)
    built = country.prepare()
    assert study_area.categories(built.rock) == {1: "granite", 2: "marl", 3: "tuff"}
    assert (built.rock[5:9, 5:9] == 3).all()
    assert (built.rock[:, 40] == -32768).all()
    assert not built.valid[:, 40].any()
    line = next(line for line in said(built) if line.startswith("rock:"))
    assert "16 cells in polygons of several classes" in line
    assert "60 cells in no polygon" in line
    country.area["factors"][-1] = rock | {"categories": {2: "Marlstone", 9: "of another sheet"}}
    renamed = study_area.categories(country.prepare().rock)
    assert renamed == {1: "granite", 2: "Marlstone", 3: "tuff"}
    country.area["factors"][-1] = {"name": "rock", "source": "geology"}
    with pytest.raises(SourceError, match=r"geology holds features; of polygons state `kind: cat"):
        country.prepare()
    country.area["factors"][-1] = rock | {"field": "rok"}
    with pytest.raises(SourceError, match="no field 'rok': they have rock"):
        country.prepare()


def test_colours_and_names_come_through_a_warp(country):
    """A coloured class raster in another CRS: codes unchanged, names and colours with them."""
    codes = np.random.default_rng(2).choice([1, 4, 9], (70, 70)).astype("uint8")
    to_degrees = rasterio.warp.transform(UTM, "EPSG:4326", [499800], [4000200])
    west, north = to_degrees[0][0], to_degrees[1][0]
    path = country.folder / "cover.tif"
    write_raster(path, codes, "EPSG:4326", Affine(0.0004, 0, west, 0, -0.0004, north))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (0, 0, 255), 4: (0, 128, 0), 9: (10, 20, 30)})
    (country.folder / "cover.clr").write_text("4 0 129 0 Forest\n")
    cover = {"name": "cover", "source": "cover", "kind": "categorical"}
    country.area["factors"].append(cover)
    built = country.prepare()
    assert set(np.unique(built.cover)) == {1, 4, 9}
    assert study_area.categories(built.cover) == {1: "class 1", 4: "Forest", 9: "class 9"}
    assert built.cover.attrs["flag_colors"] == "#0000ff #008100 #0a141e"
    again = study_area.open_area(study_area.save_area(built, country.folder / "areas" / "n"))
    assert again.cover.attrs["flag_colors"] == built.cover.attrs["flag_colors"]


# --- inventory of a mask, terrain ----------------------------------------------------------------


def test_a_mask_is_an_inventory(country):
    """Three patches, one joined at a corner; the very cells; polygons' words refused elsewhere."""
    mask = np.zeros(country.shape, "uint8")
    mask[30:33, 30:34] = mask[33, 34] = mask[50, 60] = mask[2, 2] = 1
    country.raster("mask", mask)
    country.area["inventory"] = {"source": "mask"}
    built = country.prepare()
    np.testing.assert_array_equal(built.landslide, mask)
    assert built.sizes["place"] == 3
    assert built.place_cells.values.tolist() == [1, 13, 1]
    assert any("15 cells of 1 are 3 patches of landslide" in line for line in said(built))
    country.area["inventory"] = {"source": "mask", "corners": False, "fewest": 2}
    assert country.prepare().sizes["place"] == 1
    country.area["inventory"] = {"source": "slides", "fewest": 2}
    with pytest.raises(AreaError, match=r"inventory.fewest is of a raster mask; slides is none"):
        country.prepare()


def test_water_is_accumulated_once(country, monkeypatch):
    """Five factors of drainage, one accumulation."""
    calls = []
    once = hydrology.flow_accumulation
    monkeypatch.setattr(hydrology, "flow_accumulation", lambda dem: calls.append(1) or once(dem))
    country.area["factors"] = [
        "twi", "spi", "sti", "flow_accumulation",
        {"name": "streams", "distance_to": "streams", "stream_area": 20000},
    ]  # fmt: skip
    built = country.prepare()
    assert len(calls) == 1
    assert float(built.flow_accumulation.max()) > 400


def test_how_each_raster_lay_is_said(country):
    """On the grid within a fraction of a millimetre, cut, or warped and from what."""
    same = np.ones(country.shape, "float32")
    nudge = Affine.translation(4e-5, 0) * country.transform
    country.raster("same", same, transform=nudge)
    country.raster(
        "wide", np.ones((80, 100), "float32"), transform=Affine(20, 0, 499900, 0, -20, 4000100)
    )
    country.raster(
        "coarse", np.ones((20, 30), "float32"), transform=Affine(90, 0, 499900, 0, -90, 4000100)
    )
    country.area["factors"] += [{"name": n, "source": n} for n in ("same", "wide", "coarse")]
    lines = {line.split(":")[0]: line for line in said(country.prepare())}
    assert lines["same"].endswith("on the area's grid (corners within 0.04 mm)")
    assert lines["wide"].endswith("on the area's cells, cut to it")
    assert lines["coarse"].endswith("by bilinear, from cells of 90 m (EPSG:32643)")


# --- spoiled and odd variants of real data -------------------------------------------------------


@pytest.fixture
def balakot(shared_data, tmp_path):
    """A corner of Balakot: its DEM (m), its landslides and faults, as files of one's own."""
    place = Country(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_DATA", str(shared_data))
        known = load_catalog()
        dem = open_raster(known, "balakot_dem")[400:520, 300:440]
    dem.rio.to_raster(tmp_path / "dem.tif")
    frame = gpd.read_file(shared_data / "balakot" / "landslides.shp")
    frame.to_file(tmp_path / "slides.gpkg")
    gpd.read_file(shared_data / "balakot" / "Confirmed_faults.shp").to_file(
        tmp_path / "faults.gpkg"
    )
    place.area["factors"] += [
        "aspect", "twi", {"name": "faults", "distance_to": "faults"},
    ]  # fmt: skip
    place.dem = dem
    return place


def close(a, b, cells=None):
    for name in study_area.factors(a):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-3, err_msg=name)
    np.testing.assert_array_equal(a.landslide_id, b.landslide_id)


def test_south_up_and_feet_and_zarr(balakot):
    """The same ground stored from the south, in feet, as Zarr: the same area comes out."""
    expected = balakot.prepare()
    dem, folder = balakot.dem, balakot.folder
    dem.isel(y=slice(None, None, -1)).rio.to_raster(folder / "dem.tif")
    close(balakot.prepare(), expected)
    (dem / 0.3048).astype("float32").rio.to_raster(folder / "dem.tif")
    balakot.entries["dem"] = {"data_adapter": {"unit_mult": {"dem": 0.3048}}}
    close(balakot.prepare(), expected)
    (folder / "dem.tif").unlink()
    del balakot.entries["dem"]
    plain = dem.drop_attrs().drop_encoding().drop_vars("spatial_ref").rename("height")
    plain.to_dataset().to_zarr(folder / "dem.zarr", zarr_format=2)
    with pytest.raises(CrsError, match=r"dem has no coordinate reference system.*metadata: \{crs"):
        balakot.prepare()
    balakot.entries["dem"] = {"metadata": {"crs": 32643}}
    close(balakot.prepare(), expected)


def test_vectors_of_every_format_and_crs(balakot):
    """GeoJSON in degrees, a shapefile in another zone: landslides and distances as before."""
    expected = balakot.prepare()
    folder = balakot.folder
    for name, target in (("slides", "geojson"), ("faults", "shp")):
        frame = gpd.read_file(folder / f"{name}.gpkg")
        (folder / f"{name}.gpkg").unlink()
        frame.to_crs(4326 if target == "geojson" else 32642).to_file(folder / f"{name}.{target}")
    found = balakot.prepare()
    np.testing.assert_allclose(found.faults, expected.faults, rtol=1e-5, atol=0.5)
    assert (found.landslide_id != expected.landslide_id).mean() < 1e-3


def test_whole_metres_with_nodata(balakot):
    """int16 with a hole: the hole alone is not valid; heights are within half a metre."""
    expected = balakot.prepare()
    heights = balakot.dem.round().astype("int16")
    heights[10:14, 20:30] = -9999
    heights.rio.write_nodata(-9999).rio.to_raster(balakot.folder / "dem.tif")
    found = balakot.prepare()
    assert int((~found.valid).sum()) == 40
    assert float(abs(found.elevation - expected.elevation).max()) <= 0.5


def test_layers_of_a_geopackage(balakot):
    """Several layers and none stated, or one that is not there: which there are is said."""
    frame = gpd.read_file(balakot.folder / "slides.gpkg")
    (balakot.folder / "slides.gpkg").unlink()
    frame.head(3).to_file(balakot.folder / "slides.gpkg", layer="old")
    frame.to_file(balakot.folder / "slides.gpkg", layer="all")
    with pytest.raises(SourceError, match=r"slides holds the layers old, all: state one.*layer:"):
        balakot.prepare()
    driver = {"name": "pyogrio", "options": {"layer": "al"}}
    balakot.entries["slides"] = {"driver": driver}
    with pytest.raises(SourceError, match=r"slides has no layer 'al': did you mean all"):
        balakot.prepare()
    driver["options"]["layer"] = "all"
    assert int(balakot.prepare().landslide.sum()) > 100


def test_vectors_without_a_crs(balakot):
    frame = gpd.read_file(balakot.folder / "faults.gpkg")
    (balakot.folder / "faults.gpkg").unlink()
    frame.to_file(balakot.folder / "faults.shp")
    (balakot.folder / "faults.prj").unlink()
    with pytest.raises(
        CrsError, match=r"faults has no coordinate reference system.*metadata: \{crs"
    ):
        balakot.prepare()
    balakot.entries["faults"] = {"metadata": {"crs": 32643}}
    assert grid_of(balakot.prepare()).shape == (120, 140)


def test_a_vrt_is_read_and_said(balakot):
    vrt = (
        '<VRTDataset rasterXSize="140" rasterYSize="120"><SRS>EPSG:32643</SRS><GeoTransform>'
        f"{', '.join(map(str, grid_of(balakot.dem).transform.to_gdal()))}</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename '
        'relativeToVRT="1">tile.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    expected = balakot.prepare()
    (balakot.folder / "dem.tif").rename(balakot.folder / "tile.tif")
    (balakot.folder / "dem.vrt").write_text(vrt)
    balakot.entries["dem"] = {"uri": "dem.vrt"}
    (balakot.folder / "dem.tif").write_text("replaced by the entry's uri")
    found = balakot.prepare()
    close(found, expected)
    assert any("dem is a VRT: its SHA-256 is of the list" in line for line in said(found))
