"""The rule that gives landslides their cells."""

import numpy as np
import pandas as pd
import pytest
import shapely
from boxes import ALL, GRID, UTM, cells, frame

from lsm_core import inventory
from lsm_core.catalog import load_catalog, open_vector
from lsm_core.errors import CrsError, InventoryError, SourceError
from lsm_core.grid import grid_of
from lsm_core.inventory import lay_inventory, read_points
from lsm_core.rasters import open_raster


def test_cells_by_centre():
    """A polygon owns the cells whose centres it holds, no more."""
    laid = lay_inventory(frame(cells(1, 1, 2, 3), cells(4, 6, 1, 1, shrink=-4)), GRID, ALL)
    expected = np.zeros(GRID.shape, int)
    expected[1:3, 1:4], expected[4, 6] = 1, 2
    np.testing.assert_array_equal(laid.landslide_id, expected)
    assert laid.landslide_id.dtype == np.int32


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_smallest_polygon_owns_the_shared_cell(order):
    """Whatever the order of the inventory."""
    shapes = [cells(0, 0, 4, 4), cells(1, 1, 1, 2)]
    laid = lay_inventory(frame(*(shapes[i] for i in order)), GRID, ALL)
    assert (laid.landslide_id[1, 1:3] == order.index(1) + 1).all()
    assert laid.counts["landslide_cells"] == 16


def sliver(row, col):
    """A polygon inside a cell that does not hold its centre."""
    return shapely.Point(500000 + 10 * col + 2, 4000000 - 10 * row - 2).buffer(1)


def test_polygon_without_a_centre_takes_its_cell():
    laid = lay_inventory(frame(cells(0, 0, 2, 2), sliver(1, 1), sliver(5, 5)), GRID, ALL)
    assert laid.landslide_id[1, 1] == 2
    assert laid.landslide_id[5, 5] == 3
    assert laid.counts["own_a_cell"] == 3
    assert laid.counts["landslide_cells"] == 5


def test_nobody_loses_the_only_cell():
    """Two slivers want the cells of a polygon of two: one is given, then the last is shared."""
    laid = lay_inventory(frame(cells(0, 0, 1, 2), sliver(0, 0), sliver(0, 1)), GRID, ALL)
    np.testing.assert_array_equal(laid.landslide_id[0, :3], [2, 1, 0])
    assert laid.counts["own_a_cell"] == 2
    assert laid.counts["share_a_cell"] == 1
    assert len(laid.x) == 3


def test_points_take_the_cell_they_fall_in():
    """Two points in one cell share it; a MultiPoint takes all its cells; heights are ignored."""
    points = [
        shapely.Point(500005, 3999995, 812.0),
        shapely.Point(500001, 3999991),
        shapely.MultiPoint([(500025, 3999965), (500045, 3999965)]),
    ]
    laid = lay_inventory(frame(*points), GRID, ALL)
    assert laid.landslide_id[0, 0] == 1
    assert laid.landslide_id[3, [2, 4]].tolist() == [3, 3]
    assert laid.counts["share_a_cell"] == 1


def test_counts_tell_who_was_left_out():
    """One of each kind: nobody vanishes without a count."""
    bow = shapely.Polygon(
        [(500010, 3999990), (500030, 3999970), (500030, 3999990), (500010, 3999970)]
    )
    shapes = [
        bow, None, shapely.Polygon(), shapely.LineString([(500000, 3999950), (500050, 3999950)]),
        shapely.box(600000, 3999900, 600100, 4000000), cells(0, 6, 2, 4), cells(5, 0), cells(4, 2),
    ]  # fmt: skip
    valid = ALL.copy()
    valid[5, 0] = False
    laid = lay_inventory(frame(*shapes, year=range(8)), GRID, valid)
    expected = {
        "read": 8, "repaired": 1, "without_geometry": 2, "lines": 1, "outside": 1,
        "over_the_edge": 1, "without_data": 1, "kept": 3, "own_a_cell": 3, "share_a_cell": 0,
    }  # fmt: skip
    assert expected.items() <= laid.counts.items()
    assert lay_inventory(frame(*shapes, cells(4, 2)), GRID, valid).counts["copies"] == 1
    assert laid.inventory["year"].tolist() == [0, 5, 7]
    assert laid.inventory["landslide_id"].tolist() == [1, 2, 3]
    assert laid.inventory.geometry.is_valid.all()
    assert set(np.unique(laid.landslide_id)) == {0, 1, 2, 3}


def test_places_lie_inside():
    """In the landslide, on the grid (not where most of the polygon is), on a valid cell."""
    half_out = shapely.box(500070, 3999950, 500470, 3999970)
    valid = ALL.copy()
    valid[0, 1:3] = False
    laid = lay_inventory(frame(half_out, cells(0, 0, 1, 4)), GRID, valid)
    rows, cols = GRID.rowcol(laid.x, laid.y)
    assert valid[rows, cols].all()
    assert laid.landslide_id[rows, cols].tolist() == [1, 2]
    assert shapely.contains_xy(laid.inventory.geometry, laid.x, laid.y).all()


def test_inventory_in_another_crs():
    """The same polygons in degrees own the same cells."""
    shapes = frame(cells(1, 1, 2, 3), cells(4, 5, 1, 2))
    there = lay_inventory(shapes.to_crs(4326), GRID, ALL).landslide_id
    np.testing.assert_array_equal(there, lay_inventory(shapes, GRID, ALL).landslide_id)


def test_balakot_inventory(shared_data, monkeypatch):
    """9,918 cells hold a centre, as the data's README says; small polygons then claim theirs."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    known = load_catalog()
    grid = grid_of(open_raster(known, "balakot_dem"))
    valid = np.ones(grid.shape, bool)
    features = open_vector(known, "balakot_landslides")
    kept = inventory._inside(inventory._usable(features, grid, {}), grid, {})
    assert (inventory._by_centre(kept, grid, valid) > 0).sum() == 9918
    laid = lay_inventory(features, grid, valid)
    assert laid.counts["read"] == laid.counts["kept"] == 3820
    assert laid.counts["repaired"] == 1
    assert laid.counts["own_a_cell"] + laid.counts["share_a_cell"] == 3820
    assert laid.counts["own_a_cell"] == len(np.unique(laid.landslide_id)) - 1


def test_inventory_mistakes():
    with pytest.raises(InventoryError, match="inventory is empty"):
        lay_inventory(frame(), GRID, ALL)
    with pytest.raises(
        InventoryError,
        match="none of the 1 features is a point or a polygon: 0 are lines, 1 have no",
    ):
        lay_inventory(frame(None), GRID, ALL)
    with pytest.raises(
        InventoryError, match=r"covers x 600000 .*the area x 500000 to 500080, y 39"
    ):
        lay_inventory(frame(shapely.box(600000, 3999900, 600100, 4000000)), GRID, ALL)
    with pytest.raises(InventoryError, match="one class only: every valid cell"):
        lay_inventory(frame(cells(0, 0, 6, 8)), GRID, ALL)
    with pytest.raises(InventoryError, match="every landslide lies on cells without data"):
        lay_inventory(frame(cells(0, 0)), GRID, ALL & False)
    with pytest.raises(CrsError, match="inventory has no CRS"):
        lay_inventory(frame(cells(0, 0), crs=None), GRID, ALL)


def test_points_of_ones_own_from_a_table_and_from_a_vector_file(tmp_path):
    table = pd.DataFrame({"name": list("abc"), "x": [500010, "?", 500020], "y": [1.0, 2.0, 3.5]})
    table.to_csv(tmp_path / "own.csv", index=False)
    points = read_points(tmp_path / "own.csv", UTM)
    assert points.to_dict("list") == {"x": [500010.0, 500020.0], "y": [1.0, 3.5]}
    assert points.attrs["left_out"] == 1
    degrees = frame(shapely.Point(75, 36), shapely.Point(), crs=4326)
    degrees.to_file(tmp_path / "own.gpkg")
    found = read_points(str(tmp_path / "own.gpkg"), UTM)
    assert found.attrs["left_out"] == 1
    assert found["x"].item() == pytest.approx(500000, abs=0.01)  # on the zone's central meridian
    assert found["y"].item() == pytest.approx(3983948.45, abs=0.01)


def test_points_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no points at"):
        read_points(tmp_path / "own.csv", UTM)
    (tmp_path / "own.csv").write_text("east,north\n1,2\n")
    with pytest.raises(SourceError, match="has columns east, north: x and y needed"):
        read_points(tmp_path / "own.csv", UTM)
    (tmp_path / "own.csv").write_text("x,y\n,2\n")
    with pytest.raises(SourceError, match="no point with finite"):
        read_points(tmp_path / "own.csv", UTM)
    (tmp_path / "own.gpkg").write_text("nothing")
    with pytest.raises(SourceError, match="is not what its name says"):
        read_points(tmp_path / "own.gpkg", UTM)
