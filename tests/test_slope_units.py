"""Cells to units by hand-worked answers; a unit of no cell is said, not dropped."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from sklearn.metrics import average_precision_score, roc_auc_score

from lsm_core import slope_units, study_area
from lsm_core.errors import AreaError, CrsError, RecipeError, SampleError
from lsm_core.grid import Grid

UTM = CRS.from_epsg(32643)
GRID = Grid((4, 6), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
LEFT, TOP = 500000, 4000000


def box(row, col, rows, cols):
    """The ground of these cells."""
    x, y = LEFT + 10 * col, TOP - 10 * row
    return shapely.box(x, y - 10 * rows, x + 10 * cols, y)


def units(*shapes, crs=32643):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=crs)


# left half, right half without its last column, a hole in the left half, and one between centres
SLIVER = shapely.box(LEFT + 51, TOP - 4, LEFT + 53, TOP - 2)
HALVES = units(box(0, 0, 4, 3), box(0, 3, 4, 2), box(1, 1, 2, 1), SLIVER)


def area():
    slope = np.arange(24, dtype="float32").reshape(4, 6)
    rock = np.where(np.arange(24) % 6 < 2, 1, 2).astype("int16").reshape(4, 6)
    aspect = np.full((4, 6), 350, "float32")
    aspect[:, 1:3] = 20
    valid = np.ones((4, 6), bool)
    valid[0, 0] = False
    slope[0, 0] = np.nan
    ids = np.zeros((4, 6), "int32")
    ids[3, 0], ids[0, 4] = 1, 2
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= study_area.flags({1: "Hard", 2: "Soft"})
    ds = xr.Dataset(
        {
            "slope": (("y", "x"), slope, {"kind": "continuous", "units": "degrees"}),
            "rock": (("y", "x"), rock, rocks),
            "aspect": (("y", "x"), aspect, {"kind": "cyclic", "units": "degrees"}),
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), valid),
            "place_x": ("place", [LEFT + 5.0, LEFT + 45]),
            "place_y": ("place", [TOP - 35.0, TOP - 5]),
        },
        {"y": GRID.y, "x": GRID.x, "place": np.array([1, 2], "int32")},
        {"name": "small", "title": "Small"},
    )
    return ds.rio.write_crs(UTM)


def test_a_cell_belongs_to_the_smallest_unit_that_holds_its_centre():
    number = slope_units.lay_units(HALVES, GRID)
    expected = np.array([[1, 1, 1, 2, 2, 0]] * 4)
    expected[1:3, 1] = 3
    np.testing.assert_array_equal(number, expected)
    again = slope_units.lay_units(HALVES.to_crs(4326), GRID)
    np.testing.assert_array_equal(again, expected)


def test_values_by_unit_by_hand():
    """Mean, maximum and quantile of known cells; NaN where a unit has none."""
    number = np.array([[1, 1, 1, 1, 1, 2], [0, 0, 0, 3, 3, 3]])
    values = [[1.0, 2, 3, 4, 10, np.nan], [9, 9, 9, 7, np.nan, 5]]
    for how, wanted in (
        ("mean", [4, np.nan, 6, np.nan]),
        ("maximum", [10, np.nan, 7, np.nan]),
        ("quantile", [7.6, np.nan, 6.8, np.nan]),
        ("std", [10**0.5, np.nan, 1, np.nan]),
    ):
        found = slope_units.by_unit(values, number, 4, how)
        np.testing.assert_allclose(found, wanted, err_msg=how)
    found = slope_units.by_unit(values, number, 4, "quantile", quantile=0.5)
    np.testing.assert_allclose(found, [3, np.nan, 6, np.nan])
    with pytest.raises(RecipeError, match="called 'median': known are mean"):
        slope_units.by_unit(values, number, 4, "median")


def test_random_values_agree_with_numpy():
    rng = np.random.default_rng(0)
    number = rng.integers(0, 6, (30, 40)).astype("int32")
    values = rng.random((30, 40))
    values[rng.random((30, 40)) < 0.1] = np.nan
    for how, own in (
        ("mean", np.nanmean),
        ("maximum", np.nanmax),
        ("quantile", lambda v: np.nanquantile(v, 0.9)),
    ):
        found = slope_units.by_unit(values, number, 5, how)
        wanted = [own(values[number == i]) for i in range(1, 6)]
        np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=how)


def test_majority_takes_the_lowest_of_equals():
    number = np.array([[1, 1, 1, 2, 2, 3]])
    codes = np.array([[4, 9, 9, 8, 2, -1]])
    found = slope_units.majority(codes, number, 4, nodata=-1)
    assert found.tolist() == [9, 2, -1, -1]


def test_a_grid_area_becomes_one_of_units():
    ds = slope_units.aggregate(area(), HALVES, slope_units.HOWS)
    assert study_area.factors(ds) == [
        "slope_mean", "slope_maximum", "slope_quantile", "slope_std", "rock", "aspect",
    ]  # fmt: skip
    # left half without its invalid corner and without the hole: columns 0 to 2
    left = [1, 2, 6, 8, 12, 14, 18, 19, 20]
    assert ds["slope_mean"].values[0] == pytest.approx(np.mean(left))
    assert ds["slope_quantile"].values[0] == pytest.approx(np.quantile(left, 0.9))
    assert ds["slope_maximum"].values[:3].tolist() == [20, 22, 13]
    assert ds["rock"].values.tolist() == [1, 2, 1, -32768]
    # 3 cells that look 350 and 6 that look 20 degrees: across north, not 187
    vector = 3 * np.exp(1j * np.deg2rad(350)) + 6 * np.exp(1j * np.deg2rad(20))
    assert ds["aspect"].values[0] == pytest.approx(np.rad2deg(np.angle(vector)) % 360, abs=1e-3)
    assert ds["landslide_count"].values.tolist() == [1, 1, 0, 0]
    assert ds["valid"].values.tolist() == [True, True, True, False]
    assert np.isnan(ds["slope_mean"].values[3])
    assert ds["unit_area"].values[:3].tolist() == [1200, 800, 200]
    assert ds["slope_std"].values[0] == pytest.approx(np.std(left))
    assert ds["slope_quantile"].attrs["long_name"] == "0.9 quantile of slope"


def test_a_unit_without_a_valid_cell_holds_no_landslide_and_is_not_valid():
    """Its landslide lies where a factor is missing: no model sees it, and no count says it does."""
    ds = area()
    ds["valid"][3, 0] = False
    lone = units(box(0, 0, 4, 3), box(0, 3, 4, 2), box(3, 0, 1, 1))
    made = slope_units.aggregate(ds, lone)
    assert slope_units.landslides_by_unit(ds, lone).tolist() == [0, 1, 1]
    assert made["landslide_count"].values.tolist() == [0, 1, 0]
    assert made["landslide"].values.tolist() == [0, 1, 0]
    assert made["valid"].values.tolist() == [True, True, False]


def test_areas_are_in_square_metres_where_the_map_counts_in_feet():
    feet = area().rio.write_crs(2263)
    made = slope_units.aggregate(feet, units(*HALVES.geometry, crs=2263))
    foot = 1200 / 3937  # of the US survey
    np.testing.assert_allclose(made["unit_area"].values[:3], np.array([1200, 800, 200]) * foot**2)


def test_factors_are_chosen_each_with_its_statistics():
    ds = slope_units.aggregate(area(), HALVES, {"aspect": (), "slope": ("quantile",)}, quantile=0.5)
    assert study_area.factors(ds) == ["aspect", "slope_quantile"]
    assert ds["slope_quantile"].values[1] == pytest.approx(12.5)


def test_scores_by_unit_and_their_figures():
    score = np.where(area()["valid"], np.linspace(0, 1, 24).reshape(4, 6), np.nan)
    table = slope_units.scores_by_unit(score, area(), HALVES)
    assert table["unit"].tolist() == [1, 2, 3, 4]
    assert table["cells"].tolist() == [9, 8, 2, 0]
    assert table["landslides"].tolist() == [1, 1, 0, 0]
    assert np.isnan(table["score_mean"].iloc[3])
    judged = slope_units.judge_units(table).set_index("score")
    with_cells = table[:3]
    label = with_cells["landslides"] > 0
    for how in slope_units.SCORED:
        own = with_cells[f"score_{how}"]
        assert judged.loc[how, "roc_auc"] == pytest.approx(roc_auc_score(label, own))
        assert judged.loc[how, "average_precision"] == pytest.approx(
            average_precision_score(label, own)
        )
    assert judged["units"].tolist() == [3, 3, 3]
    with pytest.raises(SampleError, match="3 of 3 units hold a landslide"):
        slope_units.judge_units(table.assign(landslides=1))


def test_a_landslide_on_a_shared_edge_counts_once():
    ds = area()
    ds["place_x"] = ("place", [LEFT + 30.0, LEFT + 45])
    assert slope_units.landslides_by_unit(ds, HALVES).tolist() == [0, 2, 0, 0]


def test_a_landslide_in_units_that_overlap_is_the_smallest_ones():
    """Like the cells: the unit laid over the left half, whole, has its own."""
    ds = area()
    ds["place_x"], ds["place_y"] = ("place", [LEFT + 15.0, LEFT + 5]), ("place", [TOP - 15.0] * 2)
    whole = units(box(0, 0, 4, 3), box(1, 1, 2, 1))
    assert slope_units.landslides_by_unit(ds, whole).tolist() == [1, 1]


def test_units_that_were_trained_on_are_not_tested():
    samples = pd.DataFrame(
        {"row": [0, 3, 0, 1], "col": [2, 0, 3, 1], "split": ["train", "test", "test", "test"]}
    )
    assert slope_units.held_units(samples, area(), HALVES).tolist() == [
        False, True, True, False,
    ]  # fmt: skip


def test_mistakes_are_named():
    with pytest.raises(CrsError, match="the units have no CRS"):
        slope_units.lay_units(units(box(0, 0, 1, 1), crs=None), GRID)
    with pytest.raises(AreaError, match="1 of 1 units are no polygons"):
        slope_units.lay_units(units(shapely.Point(0, 0)), GRID)
    with pytest.raises(AreaError, match="no unit holds a cell"):
        slope_units.lay_units(units(box(50, 50, 1, 1)), GRID)
