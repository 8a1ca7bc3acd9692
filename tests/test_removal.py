"""Masks from an area's factors, from sources of the catalogue and from files."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from country import Country

from lsm_core.delineation_settings import Removal
from lsm_core.errors import RecipeError, SourceError
from lsm_core.removal import needs_catalog, removal_mask


@pytest.fixture
def country(tmp_path, monkeypatch):
    """Cells of 20 m; a cover of three classes, a road along the middle of row 30."""
    monkeypatch.delenv("LSM_DATA", raising=False)
    country = Country(tmp_path)
    cover = np.ones(country.shape, "uint8")
    cover[:, 10:12] = 5
    cover[0, 0] = 0
    country.raster("cover", cover, 0)
    country.inventory([country.box(30, 30, 34, 33), country.box(50, 60, 53, 65)])
    country.area["factors"] += [
        {"name": "land_cover", "source": "cover", "kind": "categorical",
         "categories": {1: "Forest", 5: "Built-up"}},
    ]  # fmt: skip
    y = country.north - 20 * 30.5
    road = gpd.GeoDataFrame(
        geometry=[shapely.LineString([(country.east, y), (country.east + 1600, y)])], crs=32643
    )
    road.to_crs(4326).to_file(tmp_path / "road.gpkg")
    country.ds = country.prepare()
    return country


def mask(country, text):
    return removal_mask(Removal.model_validate(text), country.ds, country.catalog())


def test_classes_of_a_factor_by_name_or_code(country):
    expected = np.zeros(country.shape, bool)
    expected[:, 10:12] = True
    for text in ("land_cover=built-up", "land_cover=5", "cover=5"):  # the last one is the source
        np.testing.assert_array_equal(mask(country, text), expected)
    both = mask(country, "land_cover=Forest+Built-up")
    assert not both[0, 0]  # no data is no class
    assert both.sum() == 60 * 80 - 1
    with pytest.raises(RecipeError, match=r"no class 'Bult-up': did you mean Built-up"):
        mask(country, "land_cover=Bult-up")
    with pytest.raises(RecipeError, match="no class '7'"):
        mask(country, "land_cover=7")


def test_a_buffer_is_in_metres_between_centres(country):
    """Class 5 in columns 10 and 11, and 40 m to either side of them: two cells of 20 m."""
    found = mask(country, "land_cover=5@40")
    assert np.flatnonzero(found[20]).tolist() == [8, 9, 10, 11, 12, 13]
    assert np.flatnonzero(mask(country, "land_cover=5@39")[20]).tolist() == [9, 10, 11, 12]


def test_values_below_and_above_leave_out_what_has_none(country):
    low, high = mask(country, "elevation<600"), mask(country, "elevation>600")
    height = country.ds.elevation.values
    np.testing.assert_array_equal(low, np.nan_to_num(height, nan=1e9) < 600)
    np.testing.assert_array_equal(high, np.nan_to_num(height, nan=-1e9) > 600)
    assert not (low | high)[11, 22]  # the DEM has no data there
    with pytest.raises(RecipeError, match="say where it counts"):
        mask(country, "elevation@50")


def test_features_count_where_they_touch_and_around(country):
    """A line in degrees along row 30: its row alone, and with 25 m the rows beside it."""
    for name in ("road", str(country.folder / "road.gpkg")):
        assert np.unique(np.nonzero(mask(country, name))[0]).tolist() == [30]
        assert np.unique(np.nonzero(mask(country, f"{name}@25"))[0]).tolist() == [29, 30, 31]
    with pytest.raises(RecipeError, match="count where they lie"):
        mask(country, "road=3")


def test_what_is_not_there_is_named(country):
    with pytest.raises(SourceError, match=r"no factor, source or file .*did you mean.*road"):
        mask(country, "roads")
    files = [Removal(of=str(country.folder / "road.gpkg")), Removal(of="elevation", below=3)]
    assert not needs_catalog(files, country.ds)
    assert needs_catalog([*files, Removal(of="road")], country.ds)
