"""Drainage on surfaces whose answer is known, against a naive D8, and on real terrain."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyflwdir
import pytest
import rioxarray
import xarray as xr
from matplotlib.cbook import get_sample_data

from lsm_core import hydrology
from lsm_core.errors import AreaError, CrsError, GridError

DERIVED = (hydrology.flow_accumulation, hydrology.twi, hydrology.spi, hydrology.sti)


def dem_of(z: np.ndarray, cell: float = 10.0, crs: int = 32616) -> xr.DataArray:
    y, x = -cell * np.arange(z.shape[0]), cell * np.arange(z.shape[1])
    return xr.DataArray(z, {"y": y, "x": x}, ("y", "x"), "elevation").rio.write_crs(crs)


@pytest.fixture
def plane() -> xr.DataArray:
    """30 rows of 10 m falling 20 % to the south."""
    return dem_of(np.tile(-2.0 * np.arange(30), (20, 1)).T)


@pytest.fixture
def hills() -> xr.DataArray:
    """Ridges and valleys that all fall outward, without a depression or a tie, and with a hole."""
    y, x = np.mgrid[:40, :50] - np.array([20.71, 23.37])[:, None, None]
    z = 3000 - 0.9 * x**2 - 0.7 * y**2 + 40 * np.sin(3 * np.arctan2(y, x))
    z = np.round(z * 1024) / 1024  # the steps in which elevations count
    z[10:13, 20:22] = np.nan
    return dem_of(z)


@pytest.fixture(scope="module")
def jacksboro() -> xr.DataArray:
    """Real terrain in whole metres: flats and depressions everywhere."""
    with get_sample_data("jacksboro_fault_dem.npz") as data:
        dem = data["elevation"].astype("float32")
    dem[100:110, 200:220] = np.nan
    return dem_of(dem, 30.0)


@pytest.fixture(scope="module")
def balakot(shared_data: Path) -> xr.DataArray:
    path = shared_data / "balakot" / "AW3D30.tif"
    return rioxarray.open_rasterio(path, masked=True).squeeze(drop=True)


def naive_area(z: np.ndarray) -> np.ndarray:
    """Cells upslope, in plain Python: the highest first, each hands all it has to the steepest."""
    area = np.where(np.isnan(z), np.nan, 1.0)
    for flat in np.argsort(-np.nan_to_num(z.ravel(), nan=-np.inf), kind="stable"):
        row, col = divmod(int(flat), z.shape[1])
        falls = {
            (r, c): (z[row, col] - z[r, c]) / np.hypot(r - row, c - col)
            for r in range(max(row - 1, 0), min(row + 2, z.shape[0]))
            for c in range(max(col - 1, 0), min(col + 2, z.shape[1]))
            if (r, c) != (row, col) and z[r, c] < z[row, col]
        }
        if falls:
            area[max(falls, key=falls.__getitem__)] += area[row, col]
    return area


# --- known answers


def test_on_an_inclined_plane_area_grows_linearly_downslope(plane: xr.DataArray) -> None:
    """Row k drains k + 1 cells of 100 m2; per metre of width that is 10 (k + 1) m."""
    expected = np.tile(100.0 * np.arange(1, 31), (20, 1)).T
    np.testing.assert_array_equal(hydrology.flow_accumulation(plane), expected)


def test_indices_on_an_inclined_plane(plane: xr.DataArray) -> None:
    """Their formulas, with an area of 10 (k + 1) m2/m and a tangent of 0.2 up to the border."""
    catchment = np.tile(10.0 * np.arange(1, 31), (20, 1)).T
    sine = np.sin(np.arctan(0.2))
    np.testing.assert_allclose(hydrology.twi(plane), np.log(catchment / 0.2), rtol=1e-6)
    np.testing.assert_allclose(hydrology.spi(plane), catchment * 0.2, rtol=1e-6)
    np.testing.assert_allclose(
        hydrology.sti(plane), (catchment / 22.13) ** 0.6 * (sine / 0.0896) ** 1.3, rtol=1e-5
    )


def test_level_ground_is_as_wet_as_the_floor_allows() -> None:
    flat = dem_of(np.zeros((5, 5)))
    wetness = hydrology.twi(flat)
    assert float(wetness.min()) == pytest.approx(np.log(10 / hydrology.LEAST_TANGENT), rel=1e-6)
    assert np.isfinite(wetness).all()


def test_a_valley_gathers_everything_at_its_mouth() -> None:
    y, x = np.mgrid[:30, :21]
    area = hydrology.flow_accumulation(dem_of(5.0 * np.abs(x - 10) - 1.0 * y))
    assert float(area[-1, 10]) == 30 * 21 * 100
    assert float(area.sum()) > 30 * 21 * 100


def test_a_depression_is_filled_and_drained() -> None:
    """A basin in a valley floor keeps nothing back."""
    y, x = np.mgrid[:30, :21]
    z = 5.0 * np.abs(x - 10) - 1.0 * y
    z[12:16, 8:13] -= 40
    assert float(hydrology.flow_accumulation(dem_of(z))[-1, 10]) == 30 * 21 * 100


def test_streams_begin_at_the_area(plane: xr.DataArray) -> None:
    """At least 1,000 m2: from the tenth row on, and the tenth is one."""
    found = hydrology.streams(plane, 1000)
    assert found.dtype == bool
    np.testing.assert_array_equal(found.any("x"), np.arange(30) >= 9)
    assert found[9].all()


def test_a_grid_in_feet_gives_square_metres() -> None:
    dem = dem_of(np.tile(-np.arange(6.0), (5, 1)).T, 10.0, crs=2264)
    area = hydrology.flow_accumulation(dem)
    np.testing.assert_allclose(area[0], (10 * 1200 / 3937) ** 2, rtol=1e-6)


def test_cells_that_are_not_square() -> None:
    """40 m wide, 10 m high, falling 3 m a column and 1 m a row: 10 % southward, 7.5 % eastward."""
    rows, cols = np.mgrid[:8, :6]
    dem = dem_of(-3.0 * cols - 1.0 * rows).assign_coords(x=40.0 * np.arange(6))
    area = 400.0 * (rows + 1)
    inner = slice(0, -1)  # along the last row it runs on to the east
    np.testing.assert_array_equal(hydrology.flow_accumulation(dem)[inner], area[inner])
    wetness = np.log(area / 20 / 0.125)  # a square cell of 400 m2 is 20 m wide
    np.testing.assert_allclose(hydrology.twi(dem)[inner], wetness[inner], rtol=1e-6)


def test_elevations_count_in_steps(jacksboro: xr.DataArray) -> None:
    """What is less than half of 1/1024 m turns no water, not even on flats."""
    dem = jacksboro[:50, :60].astype("float64")
    found = hydrology.flow_accumulation(dem + 0.0004 * np.random.default_rng(0).random(dem.shape))
    np.testing.assert_array_equal(found, hydrology.flow_accumulation(dem))


# --- against a naive program and itself


def test_area_is_that_of_a_naive_d8(hills: xr.DataArray) -> None:
    expected = naive_area(hills.values)
    np.testing.assert_allclose(hydrology.flow_accumulation(hills), 100 * expected, rtol=1e-6)


@pytest.mark.parametrize("move", [np.rot90, np.fliplr, np.flipud])
@pytest.mark.parametrize("function", DERIVED)
def test_turning_the_dem_turns_the_drainage(
    hills: xr.DataArray, function: Callable, move: Callable
) -> None:
    turned = function(dem_of(move(hills.values)))
    np.testing.assert_allclose(turned, move(function(hills).values), rtol=1e-4)


@pytest.mark.parametrize("finer", [0, 0.3])
def test_no_water_is_lost_or_turns_in_circles(jacksboro: xr.DataArray, finer: float) -> None:
    """Real flats and depressions, in whole metres and not: what leaves is what fell, at the rim."""
    noise = finer * np.random.default_rng(0).random(jacksboro.shape)
    z, _, grid = hydrology._elevation(jacksboro.astype("float64") + noise)
    directions = hydrology._directions(z, grid)
    outlets = np.zeros(z.size, bool)
    outlets[directions.idxs_pit] = True
    outlets = outlets.reshape(z.shape)
    assert directions.upstream_area()[outlets].sum() == np.isfinite(z).sum()
    inner = jacksboro.rolling(y=3, x=3, center=True).count() == 9
    assert not (outlets & inner.values).any()


def test_large_rivers_are_those_of_pyflwdir(balakot: xr.DataArray) -> None:
    """Its own directions favour the lowest neighbour; the greatest river, 370 km2, is the same."""
    area = hydrology.flow_accumulation(balakot)
    cell = abs(balakot.rio.resolution()[0] * balakot.rio.resolution()[1])
    toward = pyflwdir.dem.fill_depressions(balakot.values.astype("float64"), nodata=np.nan)[1]
    theirs = pyflwdir.from_array(toward, ftype="d8", check_ftype=False).upstream_area() * cell
    assert float(area.max()) == pytest.approx(theirs.max(), rel=0.01)
    assert float(area.max()) / 1e6 == pytest.approx(370.5, abs=1)
    large = theirs > 20e6
    near = area.rolling(y=3, x=3, center=True, min_periods=1).max().values
    assert (near[large] > 18e6).mean() > 0.99


def test_area_follows_the_published_one_of_ecuador(shared_data: Path) -> None:
    """log10 of SAGA's catchment area (it spreads flow, so ridges and streams differ)."""
    bands = rioxarray.open_rasterio(shared_data / "ecuador" / "ta.tif")
    ours, theirs = np.log10(hydrology.flow_accumulation(bands[3])).values, bands[4].values
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.sum() > 158_000
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.7


# --- gaps, labels, refusals


@pytest.mark.parametrize("function", DERIVED)
def test_a_hole_stays_a_hole_of_exactly_its_cells(
    jacksboro: xr.DataArray, function: Callable
) -> None:
    found = function(jacksboro)
    np.testing.assert_array_equal(found.isnull(), jacksboro.isnull())
    assert set(found.attrs) >= {"units", "kind", "long_name", "source"}
    assert found.dtype == np.float32
    assert found.rio.crs == jacksboro.rio.crs


def test_no_stream_in_a_hole_and_nothing_in_nothing(jacksboro: xr.DataArray) -> None:
    assert not (hydrology.streams(jacksboro, 1).values & jacksboro.isnull().values).any()
    nothing = jacksboro[100:110, 200:220]
    assert hydrology.twi(nothing).isnull().all()


def test_nodata_may_be_a_number(jacksboro: xr.DataArray) -> None:
    coded = jacksboro.fillna(-32768).astype("int16").assign_attrs(nodata=-32768)
    np.testing.assert_array_equal(hydrology.twi(coded), hydrology.twi(jacksboro))


def test_accumulation_at_hand_is_used(plane: xr.DataArray) -> None:
    double = 2 * hydrology.flow_accumulation(plane)
    found = hydrology.twi(plane, accumulation=double) - hydrology.twi(plane)
    np.testing.assert_allclose(found, np.log(2), rtol=1e-5)
    turned = hydrology.twi(plane, accumulation=double.transpose("x", "y"))
    np.testing.assert_array_equal(turned, hydrology.twi(plane, accumulation=double))
    with pytest.raises(GridError, match="another grid"):
        hydrology.spi(plane, accumulation=double[1:])


def test_degrees_and_no_stream_are_refused(plane: xr.DataArray) -> None:
    with pytest.raises(CrsError, match="degrees"):
        hydrology.twi(plane.rio.write_crs(4326))
    with pytest.raises(AreaError, match="least upslope area in m2"):
        hydrology.streams(plane, 0)
    with pytest.raises(GridError, match="one layer"):
        hydrology.twi(xr.concat([plane, plane], "band"))
