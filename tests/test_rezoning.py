"""Zones by moved limits are those of the map itself."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from lsm_core import rezoning
from lsm_core.density import density_table
from lsm_core.errors import RecipeError, SampleError
from lsm_core.zoning import zone

SHAPE = (70, 50)


@pytest.fixture
def values():
    """A map with values that lie exactly on limits, with 0, 1 and cells without a value."""
    rng = np.random.default_rng(3)
    found = rng.random(SHAPE).astype("float32")
    found.flat[:40] = np.repeat(np.float32([0, 0.2, 0.55, 1]), 10)
    found[60:, :7] = np.nan
    return found


@pytest.fixture
def path(values, tmp_path):
    place = tmp_path / "map.tif"
    profile = {"driver": "GTiff", "height": SHAPE[0], "width": SHAPE[1], "count": 1}
    profile |= {"dtype": "float32", "nodata": np.nan, "transform": Affine(30, 0, 0, 0, -30, 0)}
    with rasterio.open(place, "w", **profile) as file:
        file.write(values, 1)
    return place


def _slides():
    return np.random.default_rng(5).integers(0, SHAPE, (200, 2)).T


@pytest.mark.parametrize("inner", [[0.2, 0.4, 0.55, 0.8], [0.5], [0.001, 0.999]])
def test_zones_are_those_cut_from_the_map(values, path, inner, monkeypatch):
    monkeypatch.setattr(rezoning, "STRIP", 16)  # more than one strip
    rows, cols = _slides()
    found = rezoning.zones_at(rezoning.count_map(path, rows, cols), inner)
    count = np.zeros(SHAPE, int)
    np.add.at(count, (rows, cols), 1)
    zones = zone(values, [0, *inner, 1], closed="left")
    expected = density_table(zones, count, k=len(inner) + 1)
    for name in ("zone", "cells", "landslides"):
        assert found[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(found["density"], expected["density"])
    assert found["to"].tolist() == [*inner, 1]


def test_landslides_off_the_map_or_without_a_value_are_counted(path):
    found = rezoning.count_map(path, [0, 69, -1, 70], [0, 0, 5, 5])
    assert found.landslides.sum() == 1
    assert found.left_out == 3


def test_the_rate_at_a_limit_is_what_the_zones_above_it_hold(path):
    counted = rezoning.count_map(path, *_slides())
    area, held = rezoning.rate_at(counted)
    above = rezoning.zones_at(counted, [0.7]).iloc[1]
    assert area[300] == pytest.approx(above["share_of_cells"])
    assert held[300] == pytest.approx(above["share_of_landslides"])
    assert (area[-1], held[-1]) == (1, 1)


@pytest.mark.parametrize("inner", [[0.5, 0.5], [0.6, 0.4], [0.0], [1.0]])
def test_limits_that_do_not_rise_are_refused(path, inner):
    with pytest.raises(RecipeError, match="rise between 0 and 1"):
        rezoning.zones_at(rezoning.count_map(path, *_slides()), inner)


def test_a_map_of_something_else_is_refused(values, path):
    with rasterio.open(path, "r+") as file:
        file.write(values * 3, 1)
    with pytest.raises(SampleError, match="outside 0 to 1"):
        rezoning.count_map(path, *_slides())
