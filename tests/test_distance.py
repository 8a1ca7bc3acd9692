"""Distances and densities: known answers, another program's, and invariances."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from lsm_core.catalog import load_catalog, open_vector
from lsm_core.distance import density_of, distance_classes, distance_to
from lsm_core.errors import CrsError, SourceError
from lsm_core.grid import Grid

UTM = CRS.from_epsg(32643)
GRID = Grid((70, 90), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
CENTRES = shapely.points(*np.meshgrid(GRID.x, GRID.y))


def frame(*shapes, crs=32643):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


def mixture(rng):
    """Crooked lines, a holed polygon and points, some of them beyond the grid."""
    lines = [
        shapely.LineString(rng.uniform(-300, 1200, (6, 2)) + np.array([500000, 3999200]))
        for _ in "abc"
    ]
    hole = (
        shapely.Point(500400, 3999700)
        .buffer(150)
        .difference(shapely.Point(500400, 3999700).buffer(80))
    )
    points = shapely.MultiPoint(rng.uniform(-500, 1500, (4, 2)) + np.array([500000, 3999200]))
    return [*lines, hole, points]


def test_distance_agrees_with_shapely():
    """Lines, a polygon with a hole and points, in every cell, to a tenth of a millimetre."""
    shapes = mixture(np.random.default_rng(1))
    expected = shapely.distance(CENTRES, shapely.GeometryCollection(shapes))
    np.testing.assert_allclose(distance_to(frame(*shapes), GRID), expected, atol=1e-4)
    assert (expected == 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_tiles_miss_no_nearest_segment(seed):
    """Many short segments far and near: leaving out the far ones by tile changes nothing."""
    rng = np.random.default_rng(seed)
    starts = rng.uniform(-2000, 3000, (400, 2)) + np.array([500000, 3999000])
    shapes = shapely.linestrings(np.stack([starts, starts + rng.normal(0, 30, (400, 2))], axis=1))
    expected = shapely.distance(CENTRES, shapely.union_all(shapes))
    np.testing.assert_allclose(distance_to(frame(*shapes), GRID), expected, atol=1e-3)


def test_features_beyond_the_grid_count():
    """The only road runs 1 km west of the grid: distances grow from there."""
    road = shapely.LineString([(499000, 3990000), (499000, 4010000)])
    np.testing.assert_allclose(distance_to(frame(road), GRID)[0], 1005 + 10 * np.arange(90))


def test_distance_in_feet_and_degrees_is_metres():
    """A grid in US survey feet, a road in degrees: still metres from the centre of each cell."""
    feet = CRS.from_epsg(2263)
    grid = Grid((20, 20), Affine(100, 0, 980000, 0, -100, 200000), feet)
    road = frame(shapely.LineString([(980000, 190000), (980000, 210000)]), crs=feet.to_wkt())
    expected = (50 + 100 * np.arange(20)) * 1200 / 3937
    np.testing.assert_allclose(distance_to(road, grid)[3], expected, rtol=1e-6)
    np.testing.assert_allclose(distance_to(road.to_crs(4326), grid)[3], expected, rtol=1e-3)


def test_distance_to_cells_of_a_raster():
    """Centre to centre, on cells that are not square, features in the margin counted."""
    wide = Grid((5, 7), Affine(20, 0, 500000, 0, -10, 4000000), UTM)
    cells = np.zeros(wide.shape, bool)
    cells[2, 1] = True
    streams = xr.DataArray(cells, {"y": wide.y, "x": wide.x}, ("y", "x")).rio.write_crs(UTM)
    rows, cols = np.indices(wide.shape)
    expected = np.hypot(10 * (rows - 2), 20 * (cols - 1))
    np.testing.assert_allclose(distance_to(streams, wide), expected, rtol=1e-6)
    inner = wide.window(1, 2, 5, 7)
    np.testing.assert_allclose(distance_to(streams, inner), expected[1:, 2:], rtol=1e-6)
    with pytest.raises(SourceError, match="no true cell"):
        distance_to(streams & False, wide)


def test_real_faults(shared_data, monkeypatch):
    """Balakot's 53 fault lines against shapely, on 500 cells of the real grid."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    faults = open_vector(load_catalog(), "balakot_faults")
    grid = Grid((987, 826), Affine(28.555, 0, 339253.754, 0, -28.555, 3846704.877), UTM)
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, 987, 500), rng.integers(0, 826, 500)
    expected = shapely.distance(shapely.points(*grid.xy(rows, cols)), faults.union_all())
    np.testing.assert_allclose(distance_to(faults, grid).values[rows, cols], expected, rtol=1e-6)


def test_line_density_agrees_with_cut_lines():
    """Length inside the circle, as shapely cuts it (its circle is a polygon of many sides)."""
    rng = np.random.default_rng(2)
    lines = [
        shapely.LineString(rng.uniform(-300, 1200, (5, 2)) + np.array([500000, 3999200]))
        for _ in "ab"
    ]
    ours = density_of(frame(*lines), GRID, 150).values
    for row, col in rng.integers(0, 70, (40, 2)):
        circle = CENTRES[row, col].buffer(150, quad_segs=500)
        length = sum(shapely.intersection(line, circle).length for line in lines)
        assert ours[row, col] == pytest.approx(length / 1000 / (np.pi * 0.15**2), abs=1e-4)
    assert (ours > 0).any()


def test_line_density_does_not_depend_on_vertices():
    """Cutting a line into pieces adds no length."""
    line = shapely.LineString([(500000, 3999300), (500900, 3999800)])
    np.testing.assert_allclose(
        density_of(frame(line), GRID, 200),
        density_of(frame(line.segmentize(7)), GRID, 200),
        rtol=1e-5,
    )


def test_point_density():
    """Three points within the radius of every cell near them: 3 per circle, in 1/km2."""
    points = [shapely.Point(500455, 3999655)] * 3
    density = density_of(frame(*points), GRID, 100)
    assert density.attrs["units"] == "1/km2"
    assert float(density.max()) == pytest.approx(3 / (np.pi * 0.01))
    assert int((density > 0).sum()) == int((shapely.distance(CENTRES, points[0]) <= 100).sum())


@pytest.mark.parametrize("kernel", ["uniform", "quartic", "gaussian"])
def test_kernel_density_adds_up_to_the_points(kernel):
    """Every point weighs 1: the density summed over the map is their number."""
    rng = np.random.default_rng(4)
    points = shapely.points(rng.uniform((500300, 3999500), (500600, 3999800), (25, 2)))
    radius = 60 if kernel == "gaussian" else 200
    density = density_of(frame(*points), GRID, radius, kernel=kernel)
    assert density.attrs["units"] == "1/km2"
    assert float(density.sum()) * 1e-4 == pytest.approx(25, rel=0.01)


def test_kernels_as_published():
    """A single point: the quartic and the Gaussian formula at every distance, 0 beyond."""
    point = shapely.Point(500455, 3999655)
    apart = shapely.distance(CENTRES, point) / 1000
    quartic = 3 / (np.pi * 0.15**2) * np.clip(1 - (apart / 0.15) ** 2, 0, None) ** 2
    found = density_of(frame(point), GRID, 150, kernel="quartic")
    np.testing.assert_allclose(found, quartic, rtol=1e-5, atol=1e-6)
    gauss = np.exp(-(apart**2) / (2 * 0.05**2)) / (2 * np.pi * 0.05**2)
    found = density_of(frame(point), GRID, 50, kernel="gaussian").values
    np.testing.assert_allclose(found, np.where(apart <= 0.2, gauss, 0), rtol=1e-3, atol=1e-6)


def test_points_beyond_the_grid_count_in_a_density():
    """A collapse 55 m west of the grid is felt inside."""
    density = density_of(frame(shapely.Point(499945, 3999655)), GRID, 100, kernel="quartic")
    assert float(density[34, 0]) > 0
    assert float(density[34, 5]) == 0


def test_distance_classes():
    """Closed on the left, named, gaps kept."""
    metres = distance_to(frame(shapely.LineString([(500000, 3990000), (500000, 4010000)])), GRID)
    metres[0, 0] = np.nan
    classes = distance_classes(metres, [105, 300])
    assert classes[0, 0] == -32768
    assert np.unique(classes[1, :10]).tolist() == [1]
    assert int(classes[1, 10]) == 2  # 105 m
    assert int(classes[1, 30]) == 3
    assert classes.attrs["flag_meanings"] == "below_105_m 105-300_m 300_m_and_more"
    with pytest.raises(SourceError, match="must rise"):
        distance_classes(metres, [300, 100])


def test_mistakes_are_named():
    square = shapely.box(500000, 3999900, 500100, 4000000)
    with pytest.raises(SourceError, match="no feature"):
        distance_to(frame(None, shapely.Point()), GRID)
    with pytest.raises(CrsError, match="no CRS"):
        distance_to(gpd.GeoDataFrame(geometry=[square]), GRID)
    with pytest.raises(SourceError, match="lines or of points"):
        density_of(frame(square), GRID, 100)
    with pytest.raises(SourceError, match="radius above 0"):
        density_of(frame(square.exterior), GRID, 0)
    with pytest.raises(SourceError, match="none of uniform, quartic"):
        density_of(frame(square.centroid), GRID, 100, kernel="round")
    with pytest.raises(SourceError, match="a quartic density is of points"):
        density_of(frame(square.exterior), GRID, 100, kernel="quartic")
