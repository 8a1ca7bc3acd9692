"""Terrain factors against analytic surfaces and their own symmetries."""

import re
from collections.abc import Callable

import numpy as np
import pyproj
import pytest
import xarray as xr
from matplotlib.cbook import get_sample_data
from relief import dem_of, surface

from lsm_core import terrain
from lsm_core.errors import AreaError, CrsError, GridError

EVERY = list(terrain.FACTORS)


# --- surfaces whose answers are known


def test_a_plane_is_the_same_everywhere_even_at_corners() -> None:
    """gdaldem: slope 26.565052, aspect 216.869904 inside; and nothing is curved."""
    ds = terrain.derive(surface(lambda x, y: 500 + 0.3 * x + 0.4 * y), EVERY)
    np.testing.assert_allclose(ds.slope, 26.565052, atol=1e-5)
    np.testing.assert_allclose(ds.aspect, 216.869904, atol=1e-4)
    for name in ("plan_curvature", "profile_curvature", "curvature", "tpi"):
        np.testing.assert_allclose(ds[name], 0, atol=1e-5)


@pytest.mark.parametrize("azimuth", [0, 30, 90, 135, 180, 225, 270, 359])
def test_aspect_is_the_azimuth_of_descent(azimuth: float) -> None:
    east, north = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    found = terrain.aspect(surface(lambda x, y: -(east * x + north * y))).values
    off = (found - azimuth + 180) % 360 - 180
    np.testing.assert_allclose(off, 0, atol=1e-4)
    assert ((found >= 0) & (found < 360)).all()


def test_paraboloid_has_the_values_gdaldem_gave() -> None:
    """From gdaldem slope, aspect, TPI and TRI -alg Riley, whose float32 sums cost a digit."""
    ds = terrain.derive(
        surface(lambda x, y: 500 + 0.002 * (x - 30) ** 2 + 0.001 * (y + 30) ** 2 + 0.05 * x), EVERY
    )
    here = ds.isel(y=2, x=4)
    assert float(here.slope) == pytest.approx(5.267585, abs=1e-4)
    assert float(here.slope) == pytest.approx(np.degrees(np.arctan(np.hypot(0.09, 0.02))), abs=1e-6)
    assert float(here.aspect) == pytest.approx(257.470581, abs=1e-3)
    assert float(here.tpi) == pytest.approx(-0.225006, abs=1e-5)
    assert float(here.tri) == pytest.approx(2.357973, abs=1e-5)
    middle = ds.isel(y=3, x=3)
    assert float(middle.slope) == pytest.approx(2.862405, abs=2e-6)
    assert float(middle.aspect) == pytest.approx(270, abs=1e-5)
    assert float(middle.tri) == pytest.approx(1.399994, abs=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "c"), [(-0.02, -0.01, 0.0), (0.03, 0.01, 0.0), (0.01, -0.02, 0.015)]
)
def test_curvatures_of_a_quadratic_are_exact(a: float, b: float, c: float) -> None:
    """z = a x2 + b y2 + c xy + 0.3 x - 0.2 y: second derivatives across and along its gradient."""
    dem = surface(lambda x, y: a * x**2 + b * y**2 + c * x * y + 0.3 * x - 0.2 * y)
    ds = terrain.derive(dem, ["plan_curvature", "profile_curvature", "curvature"])
    x, y = dem.x.values[None, :], dem.y.values[:, None]
    p, q = 2 * a * x + c * y + 0.3, 2 * b * y + c * x - 0.2
    profile = (2 * a * p**2 + 2 * c * p * q + 2 * b * q**2) / (p**2 + q**2)
    plan = -(2 * a * q**2 - 2 * c * p * q + 2 * b * p**2) / (p**2 + q**2)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(ds.profile_curvature.values[inner], 100 * profile[inner], rtol=1e-5)
    np.testing.assert_allclose(ds.plan_curvature.values[inner], 100 * plan[inner], rtol=1e-5)
    np.testing.assert_allclose(ds.curvature.values[inner], -200 * (a + b), rtol=1e-5)
    np.testing.assert_allclose(
        (ds.plan_curvature - ds.profile_curvature).values[inner], -200 * (a + b), rtol=1e-5
    )


def test_signs_say_dome_and_bowl() -> None:
    """On a dome: plan and general positive, profile negative; in a bowl the opposite (ArcGIS)."""
    dome = terrain.derive(surface(lambda x, y: -0.01 * (x**2 + y**2)), EVERY).isel(y=3, x=3)
    bowl = terrain.derive(surface(lambda x, y: 0.01 * (x**2 + y**2)), EVERY).isel(y=3, x=3)
    assert dome.plan_curvature > 0 > dome.profile_curvature
    assert bowl.plan_curvature < 0 < bowl.profile_curvature
    assert dome.curvature > 0 > bowl.curvature
    assert dome.tpi > 0 > bowl.tpi


def test_level_ground_has_no_aspect_but_every_other_factor() -> None:
    ds = terrain.derive(surface(lambda x, y: 0 * x + 7), EVERY)
    assert ds.aspect.isnull().all()
    for name in ["slope", *EVERY[2:-1]]:
        assert (ds[name] == 0).all()
    np.testing.assert_allclose(ds.hillshade, 1 + 254 * np.sin(np.pi / 4), rtol=1e-6)


@pytest.mark.parametrize("azimuth", [0, 90, 200])
def test_hillshade_is_full_toward_the_sun_and_dark_away_from_it(azimuth: float) -> None:
    """A plane as steep as the sun is from the zenith, turned to it; and one turned from it."""
    east, north = 5 * np.sin(np.radians(azimuth)), 5 * np.cos(np.radians(azimuth))
    altitude = 90 - np.degrees(np.arctan(5))
    to_sun, away = (surface(lambda x, y, s=s: s * (east * x + north * y)) for s in (-1, 1))
    lit = terrain.hillshade(to_sun, azimuth=azimuth, altitude=altitude)
    np.testing.assert_allclose(lit, 255, rtol=1e-5)
    assert (terrain.hillshade(away, azimuth=azimuth, altitude=altitude) == 1).all()


def test_a_grid_in_feet_is_measured_in_metres() -> None:
    """1 m up per foot east is 1 in 0.3048 (EPSG:2264 counts in US survey feet)."""
    dem = dem_of(np.tile(np.arange(7.0), (5, 1)), 1.0, crs=2264)
    np.testing.assert_allclose(terrain.slope(dem), np.degrees(np.arctan(3937 / 1200)), atol=1e-4)


def test_cells_that_are_not_square() -> None:
    x, y = np.meshgrid(20.0 * np.arange(6), -5.0 * np.arange(7))
    dem = xr.DataArray(0.3 * x + 0.4 * y, {"y": y[:, 0], "x": x[0]}, ("y", "x"))
    for method in ("horn", "zevenbergen-thorne"):
        ds = terrain.derive(dem.rio.write_crs(32616), ["slope", "aspect"], method=method)
        np.testing.assert_allclose(ds.slope, 26.565052, atol=1e-5)
        np.testing.assert_allclose(ds.aspect, 216.869904, atol=1e-4)


def test_cell_size_comes_from_coordinates_not_from_attributes() -> None:
    """A plane of 45 degrees stays one after coarsening with its attributes kept."""
    dem = surface(lambda x, y: x, (8, 8)).assign_attrs(res=(10.0, 10.0))
    coarse = dem.coarsen(y=2, x=2).mean(keep_attrs=True).rio.write_crs(32616)
    assert coarse.attrs["res"] == (10.0, 10.0)
    coarse.spatial_ref.attrs["GeoTransform"] = "0 10 0 0 0 -10"
    for cells in (coarse, coarse.chunk(3)):
        np.testing.assert_allclose(terrain.slope(cells), 45, atol=1e-5)


def test_zevenbergen_thorne_takes_the_four_nearest() -> None:
    """gdaldem -alg ZevenbergenThorne on the paraboloid gives 5.267481; a plane stays one."""
    dem = surface(lambda x, y: 500 + 0.002 * (x - 30) ** 2 + 0.001 * (y + 30) ** 2 + 0.05 * x)
    here = terrain.derive(dem, EVERY, method="zevenbergen-thorne").isel(y=2, x=4)
    assert float(here.slope) == pytest.approx(5.267481, abs=1.1e-4)  # its sums are in float32
    assert float(here.slope) == pytest.approx(np.degrees(np.arctan(np.hypot(0.09, 0.02))), abs=1e-6)
    saddle = surface(lambda x, y: 0.3 * x + 0.4 * y + 1e-4 * x**2 * y)
    four = terrain.slope(saddle, method="zevenbergen-thorne")
    east = 0.3 + 2e-4 * saddle.x.values[None, :] * saddle.y.values[:, None]
    north = 0.4 + 1e-4 * saddle.x.values[None, :] ** 2
    inner = (slice(1, -1), slice(1, -1))
    expected = np.degrees(np.arctan(np.hypot(east, north)))
    np.testing.assert_allclose(four.values[inner], expected[inner], atol=1e-5)
    assert np.abs(terrain.slope(saddle).values - expected)[inner].max() > 0.1  # Horn's differs
    tilted = surface(lambda x, y: 500 + 0.3 * x + 0.4 * y)
    np.testing.assert_allclose(terrain.slope(tilted, method="zevenbergen-thorne"), 26.565052, 1e-6)
    np.testing.assert_allclose(
        terrain.aspect(tilted, method="zevenbergen-thorne"), 216.869904, atol=1e-4
    )


# --- degrees, and cells that change from row to row


def test_a_dem_in_degrees_is_refused_with_the_command_that_cures_it(
    jacksboro: xr.DataArray,
) -> None:
    lat, lon = 36.7 - np.arange(344) / 1200, -84.4 + np.arange(403) / 1200
    dem = jacksboro.assign_coords(y=lat, x=lon).rio.write_crs(4326)
    dem.encoding["source"] = "relief/my dem.tif"
    command = "gdalwarp -t_srs EPSG:32616 -tr 93 93 -r bilinear 'relief/my dem.tif' "
    for refused in (dem, dem.chunk(100)):
        with pytest.raises(CrsError, match=re.escape(command + "'relief/my dem_utm.tif'")):
            terrain.slope(refused)
        with pytest.raises(CrsError, match="in degrees"):
            terrain.tpi(refused, 300)


@pytest.mark.parametrize("crs", [4326, 4269, 4807])  # the last in grads, from Paris
def test_cells_of_degrees_are_arcs_on_the_ellipsoid(crs: int) -> None:
    """Lengths of the arcs by pyproj's geodesics."""
    unit = 0.9 if crs == 4807 else 1.0  # degrees a unit
    dem = dem_of(np.zeros((5, 4)), 0.01, crs).assign_coords(y=60 / unit - 0.01 * np.arange(5))
    width, height = terrain.ellipsoid_cells(dem)
    geod = pyproj.CRS.from_epsg(crs).get_geod()
    for row, lat in enumerate(dem.y.values * unit):
        half = 0.005 * unit
        assert width[row] == pytest.approx(geod.inv(0, lat, 2 * half, lat)[2], rel=1e-7)
        assert height[row] == pytest.approx(geod.inv(0, lat - half, 0, lat + half)[2], rel=1e-7)


def test_a_plane_in_degrees_stays_one_with_cells_of_each_row() -> None:
    """A plane of the metres at each row's own latitude, 1 m up in 2 m east: slope atan(1/2)."""
    lat, lon = 60 - np.arange(6) / 100, np.arange(7) / 100
    dem = xr.DataArray(np.zeros((6, 7)), {"y": lat, "x": lon}, ("y", "x")).rio.write_crs(4326)
    width, height = terrain.ellipsoid_cells(dem)
    dem = dem + width[:, None] * np.arange(7) / 2
    found = terrain.derive(dem, ["slope", "aspect"], cells=(width, height))
    middle = terrain.derive(dem, ["slope"], cells=(width[0], height[0])).slope
    # rows of one plane do not quite meet in the next, whose cells are wider
    np.testing.assert_allclose(found.slope, np.degrees(np.arctan(0.5)), atol=0.05)
    assert abs(float(middle[-1, 3]) - np.degrees(np.arctan(0.5))) > 0.03


def test_real_terrain_in_degrees_has_the_slope_of_its_metres() -> None:
    """Horn in plain NumPy with the cell sizes of each row, by pyproj's geodesics."""
    with get_sample_data("jacksboro_fault_dem.npz") as data:
        z, step = data["elevation"].astype("float32"), float(data["dx"])
        west, north = float(data["xmin"]), float(data["ymin"])  # its ymin is the greatest latitude
    lat, lon = north - step * (np.arange(344) + 0.5), west + step * (np.arange(403) + 0.5)
    dem = xr.DataArray(z, {"y": lat, "x": lon}, ("y", "x")).rio.write_crs(4326)
    found = terrain.derive(dem, ["slope"], cells=terrain.ellipsoid_cells(dem)).slope[1:-1, 1:-1]
    geod = pyproj.Geod(ellps="WGS84")
    width = np.array([geod.inv(0, at, step, at)[2] for at in lat])[1:-1, None]
    height = np.array([geod.inv(0, at - step / 2, 0, at + step / 2)[2] for at in lat])[1:-1, None]
    weights = np.array([1, 2, 1])
    right = sum(w * (z[k : 342 + k, 2:] - z[k : 342 + k, :-2]) for k, w in enumerate(weights))
    up = sum(w * (z[:-2, k : 401 + k] - z[2:, k : 401 + k]) for k, w in enumerate(weights))
    expected = np.degrees(np.arctan(np.hypot(right / 8 / width, up / 8 / height)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cells_of_each_row_are_those_of_its_row(holed: xr.DataArray) -> None:
    """A row's result with sizes of its own is that of the raster all in the row's size."""
    width, height = np.linspace(20, 40, 80), np.linspace(35, 25, 80)
    found = terrain.derive(holed, EVERY, cells=(width, height))
    for row in (0, 31, 79):
        alone = terrain.derive(holed, EVERY, cells=(width[row], height[row]))
        xr.testing.assert_equal(found.isel(y=row), alone.isel(y=row))
    even = terrain.derive(holed, EVERY, cells=(30, 30))
    xr.testing.assert_equal(even, terrain.derive(holed, EVERY))
    for wrong in ((width[:5], 30), (30, 0), (30, np.nan)):
        with pytest.raises(GridError, match="one number or one a row"):
            terrain.derive(holed, EVERY, cells=wrong)
    with pytest.raises(GridError, match="not in degrees"):
        terrain.ellipsoid_cells(holed)


# --- gaps, edges, symmetry


@pytest.mark.parametrize("name", EVERY)
def test_a_hole_stays_a_hole_of_exactly_its_cells(holed: xr.DataArray, name: str) -> None:
    found = terrain.derive(holed, [name])[name]
    level = terrain.slope(holed) == 0 if name == "aspect" else False
    np.testing.assert_array_equal(found.isnull(), holed.isnull() | level)


def test_nodata_may_be_a_number(holed: xr.DataArray) -> None:
    """An integer DEM that states -32768 gives what the float one with NaN gives."""
    coded = holed.fillna(-32768).astype("int16").assign_attrs(nodata=-32768)
    xr.testing.assert_equal(
        terrain.derive(coded, EVERY).drop_attrs(), terrain.derive(holed, EVERY).drop_attrs()
    )


def test_gradient_beside_a_gap_is_one_sided() -> None:
    """On a plane no gap, wherever it lies, changes a neighbour's slope or aspect."""
    dem = surface(lambda x, y: 0.3 * x + 0.4 * y, (12, 12))
    dem[3, 4] = dem[3, 5] = dem[0, 8] = dem[11, 11] = dem[7, 0] = dem[9, 9] = np.nan
    ds = terrain.derive(dem, ["slope", "aspect", "curvature", "tpi"])
    here = dem.notnull().values
    np.testing.assert_allclose(ds.slope.values[here], 26.565052, atol=1e-5)
    np.testing.assert_allclose(ds.aspect.values[here], 216.869904, atol=1e-4)
    np.testing.assert_allclose(ds.curvature.values[here], 0, atol=1e-5)
    np.testing.assert_allclose(ds.tpi.values[here], 0, atol=1e-5)


def test_a_margin_gives_true_values_at_the_border(jacksboro: xr.DataArray) -> None:
    whole = terrain.derive(jacksboro[:60, :60], EVERY)
    part = terrain.derive(jacksboro[9:51, 9:51], EVERY)
    xr.testing.assert_equal(whole[{"y": slice(10, 50), "x": slice(10, 50)}],
                            part[{"y": slice(1, 41), "x": slice(1, 41)}])  # fmt: skip


TURNS: dict[str, tuple[Callable, Callable]] = {
    "quarter turn": (np.rot90, lambda azimuth: azimuth - 90),
    "half turn": (lambda z: np.rot90(z, 2), lambda azimuth: azimuth + 180),
    "east to west": (np.fliplr, lambda azimuth: -azimuth),
    "north to south": (np.flipud, lambda azimuth: 180 - azimuth),
}


@pytest.mark.parametrize("turn", TURNS)
def test_turning_the_dem_turns_the_factors(holed: xr.DataArray, turn: str) -> None:
    """Edges and holes too, so their rule prefers no side. (The sun of hillshade does not turn.)"""
    move, azimuth = TURNS[turn]
    before = terrain.derive(holed, EVERY)
    turned = dem_of(move(holed.values), 30.0)
    after = terrain.derive(turned, EVERY)
    for name in set(EVERY) - {"aspect", "hillshade"}:
        np.testing.assert_allclose(after[name], move(before[name].values), rtol=1e-4, atol=1e-4)
    off = (after.aspect.values - azimuth(move(before.aspect.values)) + 180) % 360 - 180
    assert np.nanmax(np.abs(off)) < 1e-3
    np.testing.assert_array_equal(after.aspect.isnull(), move(before.aspect.isnull().values))
    for function in (terrain.tpi, terrain.slope_position):
        np.testing.assert_allclose(
            function(turned, 150), move(function(holed, 150).values), atol=1e-3
        )


# --- labels and refusals


def test_labels_are_kept(jacksboro: xr.DataArray) -> None:
    ds = terrain.derive(jacksboro, EVERY)
    assert list(ds.data_vars) == EVERY
    assert ds.rio.crs == jacksboro.rio.crs
    xr.testing.assert_equal(ds.x, jacksboro.x)
    for name in EVERY:
        assert set(ds[name].attrs) >= {"units", "kind", "long_name", "source"}
        assert ds[name].dtype == np.float32
    assert ds.aspect.attrs["kind"] == "cyclic"


def test_a_band_of_one_is_taken_and_of_two_refused(jacksboro: xr.DataArray) -> None:
    dem = jacksboro[:9, :9]
    xr.testing.assert_equal(terrain.slope(dem.expand_dims(band=[1])), terrain.slope(dem))
    with pytest.raises(GridError, match=r"one layer.*select"):
        terrain.slope(xr.concat([dem, dem], "band"))


def test_unknown_places_are_refused(jacksboro: xr.DataArray) -> None:
    with pytest.raises(CrsError, match="no coordinate reference system"):
        terrain.slope(jacksboro.drop_vars("spatial_ref"))


def test_settings_out_of_range_are_refused(jacksboro: xr.DataArray) -> None:
    with pytest.raises(AreaError, match=r"'slop'.*choose among slope, aspect"):
        terrain.derive(jacksboro, ["slop"])
    with pytest.raises(AreaError, match=r"'florinsky' is none of horn, zevenbergen-thorne"):
        terrain.slope(jacksboro, method="florinsky")
    with pytest.raises(AreaError, match="odd number of cells"):
        terrain.relief(jacksboro, 4)
    with pytest.raises(AreaError, match="metres, more than 0"):
        terrain.tpi(jacksboro, 0)
