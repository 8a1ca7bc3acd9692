"""The study area's contract and its folder."""

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from boxes import ALL, GRID, UTM, cells, frame
from rasterio.crs import CRS

from lsm_core import study_area
from lsm_core.errors import AreaError, CrsError, InventoryError
from lsm_core.inventory import lay_inventory
from lsm_core.study_area import check_area, open_area, save_area


def area():
    """A small study area that keeps the contract."""
    laid = lay_inventory(frame(cells(1, 1, 2, 2), cells(4, 4)), GRID, ALL)
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, GRID.shape).astype("float32")
    slope[0, 0] = np.nan
    rock = rng.integers(1, 3, GRID.shape).astype("int16")
    rock[0, 0] = -32768
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= study_area.flags({1: "Hard  rock", 2: "Soft"})
    ds = xr.Dataset(
        {
            "slope": (("y", "x"), slope, {"kind": "continuous", "units": "degrees"}),
            "rock": (("y", "x"), rock, rocks),
            "aspect": (("y", "x"), slope * 6, {"kind": "cyclic", "units": "degrees"}),
            "landslide": (("y", "x"), (laid.landslide_id > 0).astype("uint8")),
            "landslide_id": (("y", "x"), laid.landslide_id),
            "valid": (("y", "x"), ALL & (rock > 0)),
            "place_x": ("place", laid.x),
            "place_y": ("place", laid.y),
            "place_year": ("place", np.array([2005, 2014])),
        },
        {"y": GRID.y, "x": GRID.x, "place": np.array([1, 2], "int32")},
        {"name": "small", "title": "A small area", "simulated": True},
    )
    return ds.rio.write_crs(UTM)


# --- the folder -------------------------------------------------------------------------------


def test_saved_and_reopened_is_identical(tmp_path):
    """Values, types, attributes, CRS and the order of the factors, also by plain xarray."""
    ds = area()
    path = save_area(ds, tmp_path / "areas" / "small")
    again = open_area(path)
    assert again.identical(ds)
    assert list(again.data_vars) == list(ds.data_vars)
    assert again.rio.crs == UTM
    assert {n: again[n].dtype for n in again.variables} == {n: ds[n].dtype for n in ds.variables}
    assert again.slope.chunks is None  # small: read at once
    assert open_area(path, up_to=0).slope.chunks is not None
    assert open_area(path, up_to=0).identical(ds)
    plain = xr.open_zarr(path / "area.zarr", decode_coords="all", consolidated=False)
    assert plain.identical(ds)


def test_encoding_of_a_source_file_does_not_round(tmp_path):
    """What xarray remembers of the file a variable came from is not how it is saved."""
    ds = area()
    ds.slope.encoding = {"dtype": "int16", "_FillValue": -1, "chunksizes": (3, 3)}
    assert open_area(save_area(ds, tmp_path / "small")).identical(area())


def test_reopened_area_can_be_saved_over_itself(tmp_path):
    path = save_area(area(), tmp_path / "small")
    save_area(open_area(path).assign_attrs(title="Again"), path)
    assert open_area(path).drop_attrs(deep=False).identical(area().drop_attrs(deep=False))
    assert open_area(path).attrs["title"] == "Again"
    assert [p.name for p in tmp_path.iterdir()] == ["small"]


def test_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    """A disk that fills half-way: the old area is whole, nothing else remains."""
    path = save_area(area(), tmp_path / "small")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", full)
    with pytest.raises(AreaError, match=r"could not be written.*No space left"):
        save_area(area().assign_attrs(title="New"), path)
    assert open_area(path).title == "A small area"
    assert [p.name for p in tmp_path.iterdir()] == ["small"]


def test_inventory_comes_back(tmp_path):
    """With its fields; without one, the places as points."""
    laid = lay_inventory(frame(cells(1, 1, 2, 2), cells(4, 4), year=[2005, 2014]), GRID, ALL)
    path = save_area(area(), tmp_path / "small", inventory=laid.inventory)
    back = study_area.inventory(path)
    assert back.columns.tolist() == ["landslide_id", "year", "geometry"]
    assert back.crs == laid.inventory.crs
    assert back.geometry.geom_equals_exact(laid.inventory.geometry, 1e-6).all()
    assert (study_area.inventory(save_area(area(), path)).geom_type == "Point").all()


def test_missing_area_names_the_cure(tmp_path):
    with pytest.raises(AreaError, match=r"no study area in .*nowhere: build it with"):
        open_area(tmp_path / "nowhere")
    with pytest.raises(AreaError, match="build it with `lsm sample`"):
        open_area(tmp_path / "sample")
    with pytest.raises(AreaError, match="no inventory in"):
        study_area.inventory(tmp_path / "nowhere")


def test_workspace(monkeypatch, tmp_path):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    assert study_area.area_path("small") == tmp_path / "areas" / "small"
    monkeypatch.delenv("LSM_WORKSPACE")
    assert str(study_area.workspace()) == "workspace"


# --- the contract -----------------------------------------------------------------------------


def test_factors_and_categories():
    assert study_area.factors(area()) == ["slope", "rock", "aspect"]
    assert study_area.categories(area().rock) == {1: "Hard rock", 2: "Soft"}


def without_landslides(ds):
    return ds.assign(landslide=ds.landslide * 0, landslide_id=ds.landslide_id * 0)


def everywhere(ds):
    ids = ds.landslide_id * 0 + 1
    return ds.assign(landslide=ds.landslide * 0 + 1, landslide_id=ids, valid=ds.valid | True)


BREACHES = {
    "no CRS": (lambda ds: ds.drop_vars("spatial_ref"), CrsError, "no coordinate reference system"),
    "degrees": (lambda ds: ds.rio.write_crs(4326), CrsError, "in degrees"),
    "no valid": (lambda ds: ds.drop_vars("valid"), AreaError, "no 'valid'"),
    "type": (lambda ds: ds.assign(valid=ds.valid.astype("int8")), AreaError, "valid is int8"),
    "factor type": (
        lambda ds: ds.assign(slope=ds.slope.astype(float)), AreaError, "slope.*float64",
    ),
    "no factor": (lambda ds: ds.drop_vars(["slope", "rock", "aspect"]), AreaError, "no factor"),
    "kind": (
        lambda ds: ds.assign(slope=ds.slope.assign_attrs(kind="odd")), AreaError, "kind 'odd'",
    ),
    "units": (
        lambda ds: ds.assign(slope=ds.slope.assign_attrs(units=None).drop_attrs().assign_attrs(
            kind="continuous")), AreaError, "states no units",
    ),
    "names": (
        lambda ds: ds.assign(rock=ds.rock.assign_attrs(flag_meanings="one")), AreaError,
        "2 flag_values but 1",
    ),
    "labels": (lambda ds: ds.assign(landslide=1 - ds.landslide), AreaError, "must be 1 where"),
    "invalid landslide": (lambda ds: ds.assign(valid=ds.valid & False), AreaError, "not valid"),
    "none": (without_landslides, InventoryError, "no landslide cell"),
    "all": (everywhere, InventoryError, "one class only"),
    "places": (lambda ds: ds.drop_dims("place"), AreaError, "no places"),
    "numbers": (lambda ds: ds.assign_coords(place=ds.place + 1), AreaError, "numbered 1 to n"),
    "image": (
        lambda ds: ds.assign(image=ds.slope.drop_attrs().expand_dims(channel=2)), AreaError,
        "not \\('band', 'y', 'x'\\)",
    ),
    "far place": (lambda ds: ds.assign(place_x=ds.place_x + 1e6), AreaError, "outside the grid"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREACHES)
def test_breaches_are_named(name, tmp_path):
    """Each breach of the contract has its error, and nothing is written."""
    breach, error, words = BREACHES[name]
    check_area(area())
    with pytest.raises(error, match=words):
        save_area(breach(area()), tmp_path / "small")
    assert not list(tmp_path.iterdir())


# --- units ------------------------------------------------------------------------------------


def units():
    """Six units that keep the contract."""
    rock = np.array([1, 2, 2, 1, -32768, 1], "int16")
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= study_area.flags({1: "Hard", 2: "Soft"})
    slope = np.array([5, 30, np.nan, 20, 11, 40], "float32")
    ds = xr.Dataset(
        {
            "slope": ("unit", slope, {"kind": "continuous", "units": "degrees"}),
            "rock": ("unit", rock, rocks),
            "landslide": ("unit", np.array([0, 1, 0, 1, 0, 1], "uint8")),
            "landslide_count": ("unit", np.array([0, 2, 0, 1, 0, 1], "int32")),
            "valid": ("unit", np.array([1, 1, 1, 1, 1, 0], bool)),
        },
        {"unit": np.arange(1, 7), "x": ("unit", np.arange(6.0)), "y": ("unit", np.zeros(6))},
        {"name": "table"},
    )
    return ds.rio.write_crs(UTM)


def test_units_are_saved_and_reopened(tmp_path):
    ds = units()
    again = open_area(save_area(ds, tmp_path / "table"))
    assert again.identical(ds)
    assert list(again.data_vars) == list(ds.data_vars)
    points = study_area.units_of(tmp_path / "table")
    assert points["unit"].tolist() == [1, 2, 3, 4, 5, 6]
    assert points.geometry.x.tolist() == ds["x"].values.tolist()


def test_units_are_rows_of_one_column():
    ds = units()
    assert study_area.shape_of(ds) == (6, 1)
    assert study_area.shape_of(area()) == GRID.shape
    assert study_area.layer(ds, "landslide").T.tolist() == [[0, 1, 0, 1, 0, 1]]
    assert study_area.rows_of(ds, slice(1, 3))["unit"].values.tolist() == [2, 3]
    assert study_area.metres_per_unit(ds) == 1
    feet = CRS.from_epsg(2229)
    assert study_area.metres_per_unit(ds.rio.write_crs(feet)) == pytest.approx(0.3048, abs=1e-5)


@pytest.mark.parametrize("ds", [units(), area()], ids=["units", "grid"])
def test_factor_table_has_gaps_where_values_are_missing(ds):
    """As the Dataset says, in order, with codes as numbers."""
    rows, cols = (np.array([4, 0, 2]), np.array([0, 0, 0]))
    table = study_area.factor_table(ds, rows, cols, ["rock", "slope"])
    assert list(table) == ["rock", "slope"]
    rock = study_area.layer(ds, "rock")[rows, cols].astype(float)
    np.testing.assert_array_equal(table["rock"], np.where(rock == -32768, np.nan, rock))
    np.testing.assert_array_equal(table["slope"], study_area.layer(ds, "slope")[rows, cols])


UNIT_BREACHES = {
    "no valid": (lambda ds: ds.drop_vars("valid"), AreaError, "no 'valid'"),
    "numbers": (lambda ds: ds.assign_coords(unit=[1, 1, 2, 3, 4, 5]), AreaError, "of its own"),
    "count": (lambda ds: ds.assign(landslide_count=ds.landslide_count * 0), AreaError, "above 0"),
    "one class": (
        lambda ds: ds.assign(valid=ds.valid & (ds.landslide == 0)), InventoryError, r"labels \[0\]",
    ),
    "x alone": (lambda ds: ds.drop_vars("y"), AreaError, "x and y, or neither"),
    "degrees": (lambda ds: ds.rio.write_crs(4326), CrsError, "in degrees"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNIT_BREACHES)
def test_breaches_of_units_are_named(name):
    breach, error, words = UNIT_BREACHES[name]
    check_area(units())
    with pytest.raises(error, match=words):
        check_area(breach(units()))
