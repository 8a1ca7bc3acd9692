"""Surfaces through stations: exact at them, planes kept, errors as brute force finds them."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from scipy.interpolate import RBFInterpolator

from lsm_core.errors import CrsError, SourceError
from lsm_core.grid import Grid
from lsm_core.stations import interpolate

GRID = Grid((30, 40), Affine(100, 0, 500000, 0, -100, 4000000), CRS.from_epsg(32643))


def gauges(n=20, seed=0, rain=lambda x, y: 800 + x / 50 - y / 100):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-500, 4500, n), rng.uniform(-3500, 500, n)
    points = gpd.points_from_xy(500000 + x, 4000000 + y, crs=32643)
    return gpd.GeoDataFrame({"mm": rain(x, y)}, geometry=points)


def bumpy(x, y):
    return 900 + 80 * np.sin(x / 700) + 60 * np.cos(y / 900)


def test_a_plane_stays_a_plane_in_any_crs():
    """Rain that rises evenly is foretold exactly, from stations in degrees as well."""
    expected = 800 + (GRID.x[None] - 500000) / 50 - (GRID.y[:, None] - 4000000) / 100
    for stations in (gauges(), gauges().to_crs(4326)):
        found = interpolate(stations, "mm", GRID)
        np.testing.assert_allclose(found.layer, expected, atol=0.01)
        assert found.rmse == pytest.approx(0, abs=0.01)
        assert found.plain_rmse > 10


def test_it_goes_through_the_readings():
    """A station at a cell's centre: the cell is its reading."""
    stations = gauges(rain=bumpy)
    x, y = GRID.xy(11, 22)
    there = gpd.GeoDataFrame({"mm": [1234.5]}, geometry=[shapely.Point(x, y)], crs=32643)
    all_of_them = gpd.pd.concat([stations, there], ignore_index=True)
    assert float(interpolate(all_of_them, "mm", GRID).layer[11, 22]) == pytest.approx(1234.5)


@pytest.mark.parametrize("n", [12, 70])
def test_leave_one_out_is_what_refitting_gives(n):
    """RMSE and bias against plain refits; with more than 50 stations the nearest 50 count."""
    stations = gauges(n, rain=bumpy)
    found = interpolate(stations, "mm", GRID)
    xy = np.column_stack([stations.geometry.x, stations.geometry.y]) - (500000, 4000000)
    errors = []
    for i in range(n):
        keep = np.arange(n) != i
        fit = RBFInterpolator(xy[keep] / 1000, stations.mm[keep], neighbors=min(n - 1, 50))
        errors.append(fit(xy[i : i + 1] / 1000)[0] - stations.mm[i])
    assert found.rmse == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-3)
    assert found.bias == pytest.approx(np.mean(errors), rel=1e-2, abs=1e-2)
    assert f"{n} stations; leaving one out" in found.words


def test_what_is_left_out_merged_and_raised_is_counted():
    stations = gauges(12, rain=lambda x, y: np.where(x > 2000, 0.0, 100.0))
    extra = stations.iloc[[0, 1]].assign(mm=[np.nan, 50.0])
    stations = gpd.pd.concat([stations, extra], ignore_index=True)
    found = interpolate(stations, "mm", GRID, least=0)
    assert (found.stations, found.left_out, found.merged) == (12, 1, 1)
    assert found.raised > 0
    assert float(found.layer.min()) == 0
    assert "1 without place or reading" in found.words


def test_mistakes_are_named():
    with pytest.raises(SourceError, match="no field 'rain': they have mm"):
        interpolate(gauges(), "rain", GRID)
    with pytest.raises(SourceError, match="3 stations have a point and a number"):
        interpolate(gauges(3), "mm", GRID)
    with pytest.raises(CrsError, match="no CRS"):
        interpolate(gauges().set_crs(None, allow_override=True), "mm", GRID)
    line = gpd.points_from_xy(np.arange(6) * 100, np.arange(6) * 100, crs=32643)
    with pytest.raises(SourceError, match="lie on one line"):
        interpolate(gpd.GeoDataFrame({"mm": range(6)}, geometry=line), "mm", GRID)
    with pytest.raises(SourceError, match="no numbers"):
        interpolate(gauges().assign(mm="much"), "mm", GRID)


def test_stations_at_one_place_are_averaged():
    """The same surface as from their mean."""
    stations = gauges(10, rain=bumpy)
    first, second = stations.iloc[[0]], stations.iloc[[0]]
    both = gpd.pd.concat(
        [stations.iloc[1:], first.assign(mm=700.0), second.assign(mm=900.0)], ignore_index=True
    )
    mean = stations.assign(mm=stations.mm.where(stations.index != 0, 800.0))
    np.testing.assert_allclose(
        interpolate(both, "mm", GRID).layer, interpolate(mean, "mm", GRID).layer, rtol=1e-5
    )
