"""Polygons as classes: codes, names, insets, holes, overlaps, and the real geology of Balakot."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from lsm_core.catalog import load_catalog, open_vector
from lsm_core.errors import CrsError, SourceError
from lsm_core.grid import Grid, grid_of
from lsm_core.map_units import classes_of
from lsm_core.rasters import open_raster

GRID = Grid((20, 30), Affine(10, 0, 500000, 0, -10, 4000000), CRS.from_epsg(32643))


def box(row0, col0, row1, col1):
    left, top = GRID.transform * (col0, row0)
    right, bottom = GRID.transform * (col1, row1)
    return shapely.box(left, bottom, right, top)


def rocks(*pairs, field="rock"):
    shapes, values = zip(*pairs, strict=True)
    return gpd.GeoDataFrame({field: values}, geometry=list(shapes), crs=32643)


def test_insets_holes_and_overlaps():
    """The inset wins, the strip beyond is a hole, the cells of two classes are counted."""
    features = rocks((box(5, 5, 9, 9), "marl"), (box(0, 0, 20, 20), "granite"))
    for turned in (features, features.iloc[::-1], features.to_crs(4326)):
        drawn = classes_of(turned, "rock", GRID)
        expected = np.full(GRID.shape, -32768)
        expected[:, :20], expected[5:9, 5:9] = 1, 2
        np.testing.assert_array_equal(drawn.classes, expected)
        assert drawn.names == {1: "granite", 2: "marl"}
        assert (drawn.overlaps, drawn.holes) == (16, 200)


def test_overlap_of_one_class_with_itself_is_none():
    drawn = classes_of(rocks((box(0, 0, 20, 20), "a"), (box(0, 10, 20, 30), "a")), "rock", GRID)
    assert (drawn.overlaps, drawn.holes) == (0, 0)


def test_whole_numbers_are_the_codes():
    """7 and -3 stay 7 and -3, also as the floats that a gap in the column makes of them."""
    features = rocks((box(0, 0, 20, 9), 7), (box(0, 9, 20, 30), -3), (box(0, 0, 1, 1), None))
    drawn = classes_of(features, "rock", GRID)
    assert np.unique(drawn.classes).tolist() == [-3, 7]
    assert drawn.names == {-3: "class -3", 7: "class 7"}
    assert drawn.left_out == 1
    assert (drawn.classes[:, :9] == 7).all()


def test_invalid_polygons_are_repaired_and_counted():
    left, bottom, right, top = GRID.bounds
    bow = shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)])
    drawn = classes_of(rocks((bow, "a")), "rock", GRID)
    assert drawn.repaired == 1
    assert 0 < drawn.holes < GRID.shape[0] * GRID.shape[1]


def test_a_repaired_polygon_has_its_true_size():
    """A bow's signed area is 0: taken for the smallest, it would hide the inset in its wing."""
    left, bottom, right, top = GRID.bounds
    bow = shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)])
    drawn = classes_of(rocks((bow, "a"), (box(9, 26, 11, 28), "b")), "rock", GRID)
    assert int((drawn.classes == 2).sum()) == 4


def test_lines_are_left_out_and_only_what_occurs_is_named():
    """A fault is no class, a unit beyond the grid neither; blanks round a name do not count."""
    fault = shapely.LineString([box(0, 0, 1, 1).centroid, box(19, 29, 20, 30).centroid])
    features = rocks(
        (box(0, 0, 20, 15), "marl"),
        (box(0, 15, 20, 30), " marl "),
        (box(50, 0, 60, 5), "basalt"),
        (fault, "fault"),
    )
    drawn = classes_of(features, "rock", GRID)
    assert drawn.left_out == 1
    assert drawn.names == {2: "marl"}
    assert (drawn.classes == 2).all()


def test_an_overlap_of_one_class_is_not_counted_beside_an_inset():
    halves = (box(0, 0, 20, 20), "a"), (box(0, 10, 20, 30), "a")
    drawn = classes_of(rocks(*halves, (box(5, 5, 9, 9), "b")), "rock", GRID)
    assert drawn.overlaps == 16


def test_mistakes_are_named():
    features = rocks((box(0, 0, 20, 20), "a"))
    with pytest.raises(SourceError, match="no field 'rok': they have rock"):
        classes_of(features, "rok", GRID)
    with pytest.raises(CrsError, match="no CRS"):
        classes_of(features.set_crs(None, allow_override=True), "rock", GRID)
    with pytest.raises(SourceError, match="no polygon lies over the study area"):
        classes_of(rocks((shapely.box(0, 0, 10, 10), "a")), "rock", GRID)


def test_balakot_geology_equals_its_raster(shared_data, monkeypatch):
    """The published raster was made from these polygons: nine formations, each the same cells."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    known = load_catalog()
    codes = open_raster(known, "balakot_geology")
    polygons = open_vector(known, "balakot_geology_polygons")
    drawn = classes_of(polygons, "Formation", grid_of(codes))
    assert (drawn.overlaps, drawn.holes, drawn.repaired) == (0, 0, 1)
    pairs = np.unique(np.stack([codes.values, drawn.classes.values]).reshape(2, -1), axis=1)
    assert pairs.shape == (2, 9)
    assert len(set(pairs[0])) == len(set(pairs[1])) == 9
