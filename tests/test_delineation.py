"""From scores to landslides: known answers on small maps, other programs, invariances."""

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from pydantic import ValidationError
from rasterio.crs import CRS
from scipy.ndimage import median_filter

from lsm_core.delineation import Mask, delineate, join_near, smooth
from lsm_core.delineation_settings import Delineation, FromScores, Removal
from lsm_core.errors import CrsError, GridError, RecipeError
from lsm_core.grid import Grid

UTM, FEET = CRS.from_epsg(32643), CRS.from_epsg(2263)


def scores(values, step=10.0, crs=UTM):
    values = np.asarray(values, dtype="float32")
    rows, cols = values.shape
    x, y = 500000 + step * (np.arange(cols) + 0.5), 4000000 - step * (np.arange(rows) + 0.5)
    da = xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), name="score")
    return da.rio.write_crs(crs)


def rough(seed=0, shape=(60, 70)):
    """Scores alike over some cells, so that there are objects of all sizes."""
    rng = np.random.default_rng(seed)
    field = median_filter(rng.random(shape), 3)
    return (field - field.min()) / np.ptp(field)


MAP = [
    [0.9, 0.8, 0.0, 0.0, 0.0, 0.7],
    [0.7, 0.0, 0.0, 0.6, 0.0, 0.0],
    [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
    [np.nan, 0.0, 0.0, 0.0, 0.9, 0.9],
]


# --- the table -----------------------------------------------------------------------------------


def test_a_map_by_hand():
    """Four objects with eight neighbours: areas, outlines, means, and numbers from the north."""
    found = delineate(scores(MAP), Delineation(), threshold=0.5, run="r1")
    table = found.landslides
    assert table["detection"].tolist() == [1, 2, 3, 4]
    assert table["cells"].tolist() == [3, 1, 2, 2]
    assert table["area_m2"].tolist() == [300, 100, 200, 200]
    assert table["perimeter_m"].tolist() == [80, 40, 80, 60]
    np.testing.assert_allclose(table["mean_score"], [0.8, 0.7, 0.55, 0.9], rtol=1e-6)
    np.testing.assert_allclose(table["max_score"], [0.9, 0.7, 0.6, 0.9], rtol=1e-6)
    assert set(table["run"]) == {"r1"}
    assert table.crs == UTM
    assert table.geometry.is_valid.all()
    assert table.geometry.iloc[2].geom_type == "MultiPolygon"  # touches by a corner alone
    assert found.number.tolist()[0] == [1, 1, 0, 0, 0, 2]
    assert found.counts["cells with a score"] == 23
    assert found.counts["cells detected"] == 8
    four = delineate(scores(MAP), Delineation(connect=4), threshold=0.5)
    assert four.landslides["cells"].tolist() == [3, 1, 1, 1, 2]


def test_the_threshold_itself_is_detected_and_nothing_is_an_empty_table():
    assert delineate(scores(MAP), Delineation(), threshold=0.9).counts["cells detected"] == 3
    none = delineate(scores(MAP), Delineation(simplify=5), threshold=0.95)
    assert len(none.landslides) == 0
    assert list(none.landslides.columns)[:3] == ["detection", "area_m2", "perimeter_m"]
    with pytest.raises(RecipeError, match="threshold of inf"):
        delineate(scores(MAP), Delineation(), threshold=np.inf)


def test_metres_whatever_the_unit_and_no_degrees():
    """In feet areas, outlines and the least area are in metres; degrees are refused."""
    foot = 1200 / 3937
    found = delineate(scores(MAP, crs=FEET), Delineation(), threshold=0.5).landslides
    np.testing.assert_allclose(found["area_m2"], np.array([300, 100, 200, 200]) * foot**2)
    np.testing.assert_allclose(found["perimeter_m"], np.array([80, 40, 80, 60]) * foot)
    how = Delineation(min_area=200 * foot**2)
    assert len(delineate(scores(MAP, crs=FEET), how, threshold=0.5).landslides) == 3
    with pytest.raises(CrsError, match="degrees"):
        delineate(scores(MAP, step=0.001, crs=CRS.from_epsg(4326)), Delineation(), threshold=0.5)


# --- steps ---------------------------------------------------------------------------------------


def test_majority_is_the_median_of_scores():
    """Another program's median filter, held against the threshold, inside the edge."""
    field = rough()
    for size in (3, 5):
        mine = smooth(field >= 0.5, np.ones_like(field, bool), size)
        inner = (slice(size // 2, -(size // 2)),) * 2
        np.testing.assert_array_equal(mine[inner], (median_filter(field, size) >= 0.5)[inner])


def test_cells_without_a_score_have_no_voice_and_get_none():
    """Of the two valid cells of the corner one is detected: a tie, and each stays as it is."""
    valid = np.array([[True, True], [False, False]])
    cells = np.array([[True, False], [False, False]])
    assert smooth(cells, valid, 3).tolist() == cells.tolist()
    three = np.array([[True, True], [True, False]])  # of four at a corner, not of nine
    assert smooth(three, np.ones_like(three), 3).all()
    assert smooth(three, np.array([[True, True], [True, False]]), 3).tolist() == three.tolist()
    lone = np.zeros((5, 5), bool)
    lone[2, 2] = True
    assert not smooth(lone, np.ones_like(lone), 3).any()
    found = delineate(scores(lone), Delineation(smooth=3), threshold=0.5)
    assert found.counts["cells taken by smoothing"] == 1


@pytest.mark.parametrize("metres", [9.9, 10, 14.2, 25, 60])
def test_objects_within_reach_are_one_in_a_chain_too(metres):
    """Against every pair of outlines and their distances, and scikit-learn's DBSCAN of these."""
    from sklearn.cluster import DBSCAN

    from lsm_core.grid import grid_of

    field = scores(rough(7))
    apart = delineate(field, Delineation(), threshold=0.55)
    joined = delineate(field, Delineation(join=metres), threshold=0.55)
    shapes = apart.landslides.geometry.to_numpy()
    between = shapely.distance(shapes[:, None], shapes[None])
    expected = DBSCAN(eps=metres, min_samples=1, metric="precomputed").fit(between).labels_
    here = apart.number > 0
    pairs = set(zip(expected[apart.number[here] - 1], joined.number[here], strict=True))
    assert len(pairs) == len(set(expected)) == len(joined.landslides)
    np.testing.assert_array_equal(here, joined.number > 0)  # no cell is added or lost
    assert joined.counts["objects joined to another"] == len(shapes) - len(pairs)
    assert (len(pairs) < len(shapes)) == (metres >= 10)
    first = [np.flatnonzero(joined.number.ravel() == k)[0] for k in range(1, len(pairs) + 1)]
    assert first == sorted(first)
    assert grid_of(field).cell_size == 10


def test_reach_is_in_metres_and_from_edge_to_edge():
    """Ten feet between two cells are 3.048 m."""
    grid = Grid((1, 3), Affine(10, 0, 0, 0, -10, 0), FEET)
    number = np.array([[1, 0, 2]], dtype="int32")
    assert join_near(number, grid, 3.04).max() == 2
    assert join_near(number, grid, 3.05).max() == 1
    assert join_near(number * 0, grid, 100).max() == 0


def test_masks_take_cells_or_whole_objects_and_are_counted():
    """The road crosses the first object and swallows the second; the lake touches the third."""
    road, lake = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    road[0], lake[1, 3] = True, True
    masks = {"road": Mask(road), "lake": Mask(lake, "objects")}
    found = delineate(scores(MAP), Delineation(), threshold=0.5, masks=masks)
    assert found.counts["cells taken by road"] == 3
    assert found.counts["objects taken whole by road"] == 1
    assert found.counts["cells taken by lake"] == 2
    assert found.counts["objects taken whole by lake"] == 1
    assert found.landslides["cells"].tolist() == [1, 2]
    with pytest.raises(GridError, match="mask road has"):
        delineate(scores(MAP), Delineation(), threshold=0.5, masks={"road": Mask(road[:2])})


def test_smoothing_does_not_bring_back_what_a_mask_took():
    field = rough(1)
    mask = np.zeros(field.shape, bool)
    mask[:, 30] = True  # narrower than half of the square
    how = Delineation(smooth=5)
    found = delineate(scores(field), how, threshold=0.4, masks={"road": Mask(mask)})
    assert not (found.number[mask] > 0).any()


def test_every_cell_is_accounted_for():
    """Detected cells, and what each step added and took, add up to the cells of landslides."""
    mask = rough(2) > 0.7
    how = Delineation(smooth=3, join=10, min_area=900)
    counts = delineate(scores(rough(3)), how, threshold=0.45, masks={"m": Mask(mask)}).counts
    left = counts["cells detected"]
    for words, sign in (("added by", 1), ("taken by", -1)):
        left += sign * sum(n for name, n in counts.items() if name.startswith(f"cells {words}"))
    assert left - counts["cells of these"] == counts["cells of landslides"]
    assert counts["objects smaller than the least area"] > 0
    assert counts["cells added by smoothing"] > 0
    assert counts["cells taken by m"] > 0


def test_small_objects_go_by_area_not_by_number():
    how = Delineation(min_area=200)
    found = delineate(scores(MAP), how, threshold=0.5)
    assert found.landslides["cells"].tolist() == [3, 2, 2]
    assert found.landslides["detection"].tolist() == [1, 2, 3]
    assert found.counts["objects smaller than the least area"] == 1


# --- outlines ------------------------------------------------------------------------------------


def test_outlines_cover_their_cells_and_no_other():
    """Laid on the grid again, each polygon owns the cells it was made of."""
    from lsm_core.grid import grid_of
    from lsm_core.inventory import lay_inventory

    field = scores(rough(4))
    found = delineate(field, Delineation(), threshold=0.5)
    laid = lay_inventory(found.landslides, grid_of(field), np.ones(field.shape, bool))
    np.testing.assert_array_equal(laid.landslide_id, found.number)


@pytest.mark.parametrize("tolerance", [5, 15, 40, 200])
def test_simplified_outlines_are_valid_and_none_is_lost(tolerance):
    field = scores(rough(5))
    plain = delineate(field, Delineation(), threshold=0.5).landslides
    found = delineate(field, Delineation(simplify=tolerance), threshold=0.5)
    simple = found.landslides
    assert "outlines left as they are" not in found.counts
    assert len(simple) == len(plain)
    assert simple.geometry.is_valid.all()
    assert not simple.geometry.is_empty.any()
    assert (simple["area_m2"] > 0).all()
    corners = [shapely.get_num_coordinates(t.geometry).sum() for t in (simple, plain)]
    assert corners[0] < corners[1]
    np.testing.assert_array_equal(simple["cells"], plain["cells"])


def test_tolerance_is_in_metres():
    """What 3 m simplify of 10 foot cells is what 3 / 0.3048 units would."""
    field = rough(6)
    by_feet = delineate(scores(field, crs=FEET), Delineation(simplify=3), threshold=0.5)
    same = delineate(scores(field), Delineation(simplify=3 * 3937 / 1200), threshold=0.5)
    assert by_feet.landslides.geometry.geom_equals(
        same.landslides.set_crs(FEET, allow_override=True)
    ).all()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("roads.gpkg@20", {"of": "roads.gpkg", "buffer": 20.0}),
        ("cover=Built-up+5@30", {"of": "cover", "classes": ("Built-up", "5"), "buffer": 30.0}),
        ("distance_to_roads<50", {"of": "distance_to_roads", "below": 50.0}),
        ("slope > 60.5", {"of": "slope", "above": 60.5}),
        ("water", {"of": "water"}),
    ],
)  # fmt: skip
def test_masks_as_text(text, settings):
    expected = {"of": "", "classes": (), "below": None, "above": None, "buffer": 0.0}
    assert Removal.model_validate(text).model_dump() == expected | {"takes": "cells"} | settings


def test_settings_that_make_no_sense_are_refused():
    for wrong, words in (
        ({"smooth": 4}, "no middle cell"),
        ({"masks": ["=5"]}, "is no mask"),
        ({"masks": ["slope<x"]}, "number"),
        ({"connect": 6}, "4 or 8"),
    ):
        with pytest.raises(ValidationError, match=words):
            Delineation(**wrong)
    with pytest.raises(ValidationError, match="needs a detection"):
        FromScores()
    with pytest.raises(ValidationError, match=r"changes are of inventory\.recipe"):
        FromScores(run="r", changes={"seed": 1})
    assert FromScores(run="r", smooth=3).delineation == Delineation(smooth=3)
