"""From an area file to a study area: the real one, areas never seen before, and every mistake."""

import json

import numpy as np
import pytest
import shapely
import xarray as xr
import yaml
from affine import Affine
from country import CENTRE, UTM, Country
from pyproj import Transformer

from lsm_core import preparation, rasters, study_area, terrain
from lsm_core.catalog import load_catalog, shipped
from lsm_core.errors import CrsError, InventoryError
from lsm_core.grid import align, as_float, grid_of, same_grid

pytestmark = pytest.mark.usefixtures("no_environment")


# --- areas never seen before --------------------------------------------------------------------


@pytest.mark.parametrize("crs", list(CENTRE))
def test_unseen_area_in_a_strange_crs(tmp_path, crs):
    """Feet or a PROJ string, a hole in the DEM, polygons in degrees: slopes and metres are true."""
    place = Country(tmp_path, crs, cell=100.0)
    road = shapely.LineString([place.transform * (0, -10), place.transform * (0, 80)])
    place.inventory([road], "road")
    place.area["factors"] += [
        "aspect",
        {"name": "distance_to_road", "distance_to": "road"},
        {"name": "road_density", "density_of": "road", "radius": 500},
    ]
    ds = place.prepare()
    study_area.check_area(ds)
    doubts = [line for line in json.loads(ds.attrs["prepared"])["lines"] if "MIND" in line]
    assert len(doubts) == ("2263" in crs)
    assert study_area.factors(ds)[2:] == ["aspect", "distance_to_road", "road_density"]
    assert (~ds.valid).sum() == 12
    assert not ds.valid[10:13, 20:24].any()
    slope, aspect = ds.slope.values[ds.valid], ds.aspect.values[ds.valid]
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.5)), atol=0.01)
    np.testing.assert_allclose(aspect, 270, atol=0.01)
    expected = (np.arange(80) + 0.5) * 100 * place.metres
    np.testing.assert_allclose(ds.distance_to_road[5], expected, rtol=1e-3)
    assert ds.distance_to_road.attrs["long_name"] == "distance to road"
    expected = np.zeros(place.shape, int)
    expected[30:34, 30:33], expected[50:53, 60:65] = 1, 2
    np.testing.assert_array_equal(ds.landslide_id, expected)
    assert ds.place_year.values.tolist() == [0, 1]


def test_classes_from_a_warped_raster(country):
    """Codes in another CRS and cell size: only known codes, named where a name is given."""
    to_degrees = Transformer.from_crs(country.crs, 4326, always_xy=True)
    west, north = to_degrees.transform(499900, 4000100)
    rock = np.full((60, 60), 3, "uint8")
    rock[:, 20:], rock[15:], rock[5, 5] = 250, 7, 255
    step = Affine(0.0004, 0, west, 0, -0.0004, north)
    country.raster("rock", rock, 255, crs="EPSG:4326", transform=step)
    country.area["factors"].append(
        {"name": "rock", "source": "rock", "kind": "categorical", "categories": {3: "Red marl"}}
    )
    lines = []
    ds = country.prepare(lines.append)
    assert study_area.categories(ds.rock) == {3: "Red marl", 7: "class 7", 250: "class 250"}
    assert set(np.unique(ds.rock)) == {-32768, 3, 7, 250}
    assert not ds.valid.values[ds.rock.values == -32768].any()
    assert not ds.valid[10:13, 20:24].any()  # rock there is, but no elevation
    assert "rock: no name is known for 2 of 3 codes: [7, 250]" in lines


def test_grid_made_from_crs_and_resolution(country):
    """A DEM in degrees on a stated grid: it covers the DEM, in whole cells of the resolution."""
    rows, cols = np.indices((80, 80))
    plane = (1000 + 2.0 * cols + rows).astype("float32")
    step = Affine(0.0002, 0, 75, 0, -0.0002, 36.15)
    country.raster("dem", plane, crs="EPSG:4326", transform=step)
    country.inventory([shapely.box(500600, 3999100, 500700, 3999200)])
    with pytest.raises(
        CrsError, match=r"dem is in degrees.*grid: \{crs: EPSG:32643, resolution: 30\}"
    ):
        country.prepare()
    country.area["grid"] = {"crs": UTM, "resolution": 30}
    ds = country.prepare()
    grid = grid_of(ds)
    assert grid.cell_size == pytest.approx(30)
    assert np.mod(grid.bounds, 30) == pytest.approx(0)
    assert 0.9 < float(ds.valid.mean()) < 1
    east, south = 2.0 / (0.0002 * 111320 * np.cos(np.radians(36.15))), 1 / (0.0002 * 110950)
    inside = ds.slope.values[10:-10, 10:-10]
    expected = np.degrees(np.arctan(np.hypot(east, south)))
    np.testing.assert_allclose(inside[np.isfinite(inside)], expected, rtol=0.005)


def test_extent_and_mask(country):
    """A box is cut in whole cells of the DEM; cells outside the mask are not valid."""
    whole = country.prepare()
    country.area["grid"] = {"like": "dem", "extent": list(country.box(20, 25, 60, 80).bounds)}
    part = country.prepare()
    assert (part.sizes["y"], part.sizes["x"]) == (40, 55)
    assert same_grid(part, grid_of(whole).window(20, 25, 60, 80))
    country.inventory([country.box(25, 25, 45, 45)], "park", country.crs)
    country.area["grid"]["mask"] = "park"
    masked = country.prepare()
    assert int(masked.valid.sum()) == 400
    counts = json.loads(masked.attrs["prepared"])["counts"]
    assert (counts["kept"], counts["without_data"]) == (1, 1)


def test_terrain_uses_the_margin_of_the_dem(country):
    """Factors of a part of the DEM are those of the whole, cut: also at the part's border."""
    rng = np.random.default_rng(0)
    rough = rng.uniform(800, 900, country.shape).astype("float32").cumsum(axis=0) / 20
    country.raster("dem", rough)
    country.area["factors"] += [
        "plan_curvature",
        "twi",
        {"name": "position", "derive": "slope_position", "radius": 100},
        {"name": "tpi", "derive": "tpi", "radius": 60},
        {"name": "streams", "distance_to": "streams", "stream_area": 20000},
    ]
    whole = country.prepare()
    country.area["grid"]["extent"] = list(country.box(20, 25, 55, 70).bounds)
    part = country.prepare()
    for name in study_area.factors(part):
        if name != "streams":  # a stream beyond the part may be nearer: compared below
            np.testing.assert_array_equal(part[name], whole[name][20:55, 25:70], err_msg=name)
    np.testing.assert_allclose(part.streams, whole.streams[20:55, 25:70], rtol=1e-6)


@pytest.mark.parametrize(
    "factor",
    [
        "slope",
        {"name": "tpi", "derive": "tpi", "radius": 150},
        {"name": "relief", "derive": "relief", "window": 9},
    ],
)
def test_the_margin_is_what_one_factor_alone_needs(country, factor):
    """Without drainage, which takes far more: a disc's radius, or half a window."""
    rng = np.random.default_rng(0)
    country.raster("dem", rng.uniform(800, 900, country.shape).astype("float32"))
    country.area["factors"] = [factor]
    whole = country.prepare()
    country.area["grid"]["extent"] = list(country.box(20, 25, 55, 70).bounds)
    (name,) = study_area.factors(whole)
    np.testing.assert_array_equal(country.prepare()[name], whole[name][20:55, 25:70])


def test_integer_dem_with_nodata(country):
    values = np.full(country.shape, 700, "int16")
    values[0, :5] = -32768
    country.raster("dem", values, -32768)
    ds = country.prepare()
    assert (~ds.valid).sum() == 5
    assert float(ds.elevation.min()) == 700


def test_points_of_a_table_and_a_condition(country):
    """Only rows that are landslides; a band by number; columns x and y do not hide the places."""
    table = "x,y,slide\n500105,3999905,TRUE\n500305,3999905,FALSE\n500905,3999105,TRUE\n"
    (country.folder / "points.csv").write_text(table)
    known = country.catalog()
    entry = {
        "data_type": "DataFrame",
        "driver": "pandas",
        "uri": str(country.folder / "points.csv"),
    }
    known.from_dict({"points": entry | {"metadata": {"crs": 32643}}})
    country.area["inventory"] = {"source": "points", "where": {"slide": True}}
    country.area["factors"] = [{"name": "height", "source": "dem", "band": 1, "units": "m"}]
    path = country.folder / "area.yaml"
    path.write_text(yaml.safe_dump(country.area))
    ds = preparation.prepare(path, known)
    assert ds.place_x.values.tolist() == [500105, 500905]
    assert ds.height.attrs["units"] == "m"
    path.write_text(path.read_text().replace("slide: true", "slid: true"))
    with pytest.raises(InventoryError, match="points has no field 'slid': did you mean slide"):
        preparation.prepare(path, known)


def test_report_and_fingerprints(country):
    """A changed file is warned of, not refused; the report is kept with the area."""
    known = country.catalog()
    known.get_source("dem").metadata.sha256 = "0" * 64
    path = country.folder / "area.yaml"
    path.write_text(yaml.safe_dump(country.area))
    lines = []
    built = preparation.prepare_with_inventory(path, known, on_progress=lines.append)
    about = json.loads(built.ds.attrs["prepared"])
    assert about["lines"] == lines
    assert lines[0].startswith("warning: dem is not the catalogue's file (its SHA-256 differs)")
    assert any("2 read; 2 own a cell" in line for line in lines)
    assert about["counts"]["valid_cells"] == 60 * 80 - 12
    assert about["area_file"]["grid"] == {"like": "dem"}
    assert set(json.loads(built.ds.attrs["fingerprints"])) == {"dem", "slides"}
    assert built.inventory.landslide_id.tolist() == [1, 2]


def test_prepared_saved_and_reopened_is_identical(country):
    ds = country.prepare()
    again = study_area.open_area(study_area.save_area(ds, country.folder / "areas" / "nowhere"))
    assert again.identical(ds)
    assert list(again) == list(ds)


# --- the real ones ------------------------------------------------------------------------------


def test_shipped_area_files_are_right():
    names = sorted(path.stem for path in shipped("areas").glob("*.yaml"))
    assert {"balakot", "ecuador", "emilia"} <= set(names)
    assert [preparation.read_area_file(name).name for name in names] == names


def test_balakot(shared_data, monkeypatch):
    """The eleven factors in order, every cell valid, the sums the data's README gives."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    lines = []
    ds = preparation.prepare("balakot", load_catalog(), on_progress=lines.append)
    assert study_area.factors(ds) == [
        "elevation", "slope", "aspect", "plan_curvature", "profile_curvature", "slope_position",
        "twi", "distance_to_faults", "distance_to_streams", "lithology", "land_cover",
    ]  # fmt: skip
    assert dict(ds.sizes) == {"y": 987, "x": 826, "place": 3820}
    assert bool(ds.valid.all())
    assert len(study_area.categories(ds.lithology)) == 9
    assert study_area.categories(ds.lithology)[19] == "Murree"
    assert len(study_area.categories(ds.land_cover)) == 11
    assert study_area.categories(ds.land_cover)[4] == "Forest"
    assert float(ds.elevation.min()) == pytest.approx(905.23, abs=0.01)
    assert not any(line.startswith("warning") for line in lines)
    assert any("3,820 read; 1 invalid, repaired" in line for line in lines)


def test_ecuador(shared_data, monkeypatch):
    """Bands by name, landslides by a condition; 619 cells without data."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    ds = preparation.prepare("ecuador", load_catalog())
    assert int((~ds.valid).sum()) == 619
    assert ds.sizes["place"] == 175
    rows, cols = grid_of(ds).rowcol(ds.place_x, ds.place_y)
    np.testing.assert_allclose(ds.slope.values[rows, cols], ds.place_slope, atol=1e-4)


def test_emilia(shared_data, monkeypatch):
    """The chip: DEM equal to its own, NDVI of the stored bands, 631 cells of 29 landslides."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    known = load_catalog()
    ds = preparation.prepare("emilia", known)
    assert dict(ds.sizes) == {"y": 128, "x": 128, "band": 5, "place": 29}
    with xr.open_dataset(shared_data / "emilia" / "italy_s2_4120.nc") as chip:
        chip = chip.load().sel(time="2023-04-28")
    np.testing.assert_array_equal(ds.elevation, chip.DEM)
    np.testing.assert_array_equal(ds.landslide, chip.MASK)
    red, nir = chip.B04.values.astype(float), chip.B08.values.astype(float)
    np.testing.assert_allclose(ds.ndvi, (nir - red) / (nir + red), atol=1e-5)
    assert ds["band"].values.tolist() == ["blue", "green", "red", "nir", "swir"]
    assert int(ds.landslide.sum()) == 631
    assert bool(ds.valid.all())
    # the margin of the mosaic is used: no one-sided differences at the chip's edge
    wider = align(
        rasters.open_raster(known, "emilia_dem"), grid_of(ds).window(-1, -1, 129, 129), "nearest"
    )
    assert (wider != wider.attrs["nodata"]).mean() > 0.99
    slope = terrain.slope(as_float(wider))[1:-1, 1:-1]
    np.testing.assert_allclose(ds.slope, slope, atol=1e-3)
