"""Draws are what, where and as many as asked for."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import Grid
from lsm_core.sampling import gaussian_heatmap, landslide_places, negatives
from lsm_core.strategy import check_strategy

METRES = CRS.from_epsg(32643)
FEET = CRS.from_epsg(2263)  # New York, US survey feet
COLUMNS = {
    "row": "int32", "col": "int32", "x": "float64", "y": "float64", "label": "int8",
    "target": "float32", "landslide_id": "int32",
}  # fmt: skip


def rng(seed=1):
    return np.random.default_rng(seed)


def make_grid(rows=40, cols=60, cell=30.0, crs=METRES, height=None):
    return Grid((rows, cols), Affine(cell, 0, 5e5, 0, -(height or cell), 4e6), crs)


def area(grid=None, n=5):
    """An area with landslides in the diagonal cells, its last column invalid."""
    grid = grid or make_grid(8, 8)
    landslide = np.zeros(grid.shape, "uint8")
    landslide[np.arange(n), np.arange(n)] = 1
    valid = np.ones(grid.shape, bool)
    valid[:, -1] = False
    x, y = grid.xy(np.arange(n), np.arange(n))
    ds = xr.Dataset(
        {"landslide": (("y", "x"), landslide), "valid": (("y", "x"), valid)},
        {"y": grid.y, "x": grid.x, "place": np.arange(1, n + 1, dtype="int32")},
    )
    return ds.assign(place_x=("place", x + 3.0), place_y=("place", y - 4.0)).rio.write_crs(grid.crs)


def test_negatives_are_distinct_valid_and_outside_landslides():
    ds = area()
    frame = negatives(ds, "random", 51, rng())  # every cell there is: 64 - 8 invalid - 5
    assert not frame.duplicated(["row", "col"]).any()
    assert ds["valid"].values[frame["row"], frame["col"]].all()
    assert not ds["landslide"].values[frame["row"], frame["col"]].any()
    assert (frame[["label", "target", "landslide_id"]] == 0).all(axis=None)
    assert (frame["x"] == ds["x"].values[frame["col"]]).all()
    assert (frame["y"] == ds["y"].values[frame["row"]]).all()
    assert frame.dtypes.astype(str).to_dict().items() >= COLUMNS.items()
    with pytest.raises(SampleError, match=r"52 places .* only 51 cells of 64"):
        negatives(ds, "random", 52, rng())


def test_negatives_keep_to_allowed_ground_and_to_their_seed():
    ds = area()
    allowed = np.zeros((8, 8), bool)
    allowed[5:] = True
    frame = negatives(ds, "random", 10, rng(), allowed=allowed)
    assert frame["row"].min() >= 5
    pd.testing.assert_frame_equal(frame, negatives(ds, "random", 10, rng(), allowed=allowed))
    other = negatives(ds, "random", 10, rng(2), allowed=allowed)
    assert (frame["row"] * 8 + frame["col"] != other["row"] * 8 + other["col"]).any()
    with pytest.raises(RecipeError, match="'randon': did you mean random"):
        negatives(ds, "randon", 1, rng())


def test_negatives_are_even_over_the_ground():
    """Each of 51 cells is drawn about as often: 600 draws of 5."""
    ds, r = area(), rng()
    frames = pd.concat([negatives(ds, "random", 5, r) for _ in range(600)])
    drawn = frames.value_counts(["row", "col"])
    assert len(drawn) == 51
    assert drawn.between(29, 91).all()  # 59 expected, four standard deviations of 7.3


def ground(rows=40, cols=60):
    """A grid with a square of landslide at the left, a slope that grows eastward, three rocks."""
    grid = make_grid(rows, cols)
    ids = np.zeros(grid.shape, "int32")
    ids[10:13, 5:8] = 1
    ids[20, 5] = 2
    x, y = grid.xy([11, 20], [6, 5])
    slope = np.broadcast_to(np.arange(cols, dtype="float32"), grid.shape).copy()
    slope[0] = np.nan
    rock = np.full(grid.shape, 1, "int16")
    rock[:, 8:] = 2
    rock[:, 50:] = 3
    rock[20, 5] = 3
    ds = xr.Dataset(
        {
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), np.ones(grid.shape, bool)),
            "slope": (("y", "x"), slope, {"kind": "continuous", "units": "degrees"}),
            "rock": (("y", "x"), rock, {"kind": "categorical", "nodata": -32768}),
        },
        {"y": grid.y, "x": grid.x, "place": np.array([1, 2], "int32")},
    )
    return ds.assign(place_x=("place", x), place_y=("place", y)).rio.write_crs(grid.crs)


def test_negatives_beyond_a_buffer_of_the_known_landslides():
    ds = ground()
    r, c = np.indices((40, 60))
    metres = np.full((40, 60), np.inf)
    for row, col in np.argwhere(ds["landslide"].values):
        metres = np.minimum(metres, 30 * np.hypot(r - row, c - col))
    beyond = int((metres > 300).sum())
    chosen = {"strategy": "beyond_buffer", "metres": 300}
    frame = negatives(ds, chosen, beyond + 7, rng())
    assert frame.attrs["not_drawn"] == 7
    assert (metres[frame["row"], frame["col"]] > 300).all()
    assert len(frame) == beyond
    first = landslide_places(ds).head(1)  # the other lies in a part that may not be known
    known = negatives(ds, chosen, 2400, rng(), landslides=first)
    assert len(known) > beyond
    assert not ds["landslide"].values[known["row"], known["col"]].any()


def test_a_buffer_is_kept_from_a_landslide_that_owns_no_cell_too():
    """It shares a cell with another one, so that the map of numbers does not know it."""
    ds, chosen = ground(), {"strategy": "beyond_buffer", "metres": 300}
    shared = landslide_places(ds).head(1).assign(row=30, col=40, landslide_id=9)
    frame = negatives(ds, chosen, 5000, rng(), landslides=shared)
    apart = 30 * np.hypot(frame["row"] - 30, frame["col"] - 40)
    assert apart.min() > 300
    r, c = np.indices((40, 60))
    far = (30 * np.hypot(r - 30, c - 40) > 300) & (ds["landslide"].values == 0)
    assert len(frame) == far.sum()


def test_negatives_below_a_slope():
    frame = negatives(ground(), {"strategy": "below_slope", "degrees": 12}, 5000, rng())
    assert frame["col"].max() == 11
    assert frame["row"].min() == 1  # where the slope is unknown it is not below
    assert len(frame) == 39 * 12 - 10
    assert frame.attrs["not_drawn"] == 5000 - len(frame)


def test_negatives_of_low_heat_equal_the_heatmap():
    ds = ground()
    frame = negatives(ds, {"strategy": "low_heat", "heat": 0.5, "diameter": 9}, 5000, rng())
    heat = gaussian_heatmap(landslide_places(ds), make_grid(), 4.5 * 30).values
    free = (heat < 0.5) & (ds["landslide"].values == 0)
    assert len(frame) == free.sum() < (ds["landslide"].values == 0).sum()
    assert free[frame["row"], frame["col"]].all()


def test_matched_negatives_have_the_landslides_shares():
    ds = ground()
    chosen = {"strategy": "matched", "factor": "rock"}
    frame = negatives(ds, chosen, 101, rng())
    rock = ds["rock"].values[frame["row"], frame["col"]]
    assert sorted(np.bincount(rock, minlength=4)[1:].tolist()) == [0, 50, 51]
    assert (rock != 2).all()
    known = landslide_places(ds).iloc[[0, 0, 0, 1]]
    mostly = negatives(ds, chosen, 101, rng(), landslides=known)
    rock = ds["rock"].values[mostly["row"], mostly["col"]]
    assert np.bincount(rock).tolist() == [0, 76, 0, 25]  # of 75.75 and 25.25
    allowed = np.zeros((40, 60), bool)
    allowed[:3] = True  # 24 cells of rock 1, 30 of rock 3
    short = negatives(ds, chosen, 100, rng(), allowed=allowed)
    assert np.bincount(ds["rock"].values[short["row"], short["col"]]).tolist() == [0, 24, 0, 30]
    assert short.attrs["not_drawn"] == 46
    with pytest.raises(RecipeError, match="need a categorical factor; slope is not"):
        negatives(ds, {"strategy": "matched", "factor": "slope"}, 5, rng())
    with pytest.raises(RecipeError, match="no factor 'rok': did you mean rock"):
        negatives(ds, {"strategy": "matched", "factor": "rok"}, 5, rng())


def test_landslides_where_the_category_is_missing_have_no_share():
    ds = ground()
    ds["rock"].values[11, 6] = -32768
    ds["rock"].values[30:, 50:] = -32768
    frame = negatives(ds, {"strategy": "matched", "factor": "rock"}, 50, rng())
    assert (ds["rock"].values[frame["row"], frame["col"]] == 3).all()
    assert (len(frame), frame.attrs["not_drawn"]) == (50, 0)


def test_own_points_are_taken_where_they_may_be():
    ds = ground()
    grid = make_grid()
    x, y = grid.xy([0, 0, 11, 30, -4], [0, 0, 6, 40, 3])
    points = pd.DataFrame({"x": x + 3, "y": y})
    chosen = {"strategy": "own", "file": "points.csv"}
    frame = negatives(ds, chosen, 10, rng(), points=points)
    assert sorted(zip(frame["row"], frame["col"], strict=True)) == [(0, 0), (30, 40)]
    assert frame.attrs == {"not_drawn": 8, "left_out": 3}
    with pytest.raises(SampleError, match="need points"):
        negatives(ds, chosen, 10, rng())
    with pytest.raises(SampleError, match=r"points.csv.: none of its 2 points is in a cell"):
        negatives(ds, chosen, 10, rng(), points=points[2:3].iloc[[0, 0]])


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("beyond_bufer", "did you mean beyond_buffer"),
        ({"strategy": "beyond_buffer", "meters": 5}, "no option 'meters': did you mean metres"),
        ({"strategy": "random", "metres": 5}, "it has no options"),
        ({"strategy": "below_slope", "degrees": "ten"}, "degrees is 'ten': give a number above 0"),
        ({"strategy": "beyond_buffer", "metres": 0}, "metres is 0: give a number above 0"),
        ({"strategy": "matched"}, "need factor"),
        ({"metres": 5}, "is called ''"),
    ],
)
def test_strategies_that_do_not_exist_are_refused(chosen, words):
    with pytest.raises(RecipeError, match=words):
        check_strategy(chosen)


def test_a_strategy_without_ground_is_refused():
    with pytest.raises(SampleError, match=r"beyond_buffer \(metres 9000.0\): none of 2390 cells"):
        negatives(ground(), {"strategy": "beyond_buffer", "metres": 9000}, 5, rng())


def units():
    rows = np.arange(30)
    return xr.Dataset(
        {
            "landslide": ("unit", (rows % 3 == 0).astype("uint8")),
            "valid": ("unit", rows > 2),
            "slope": ("unit", rows.astype("float32"), {"kind": "continuous"}),
        },
        {"x": ("unit", 100.0 * rows), "y": ("unit", np.zeros(30))},
    )


def test_units_are_places_too():
    ds = units()
    slides = landslide_places(ds)
    assert slides["row"].tolist() == [3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert slides["landslide_id"].tolist() == [4, 7, 10, 13, 16, 19, 22, 25, 28]
    assert slides.attrs["left_out"] == 1
    assert (slides["x"] == 100 * slides["row"]).all()
    frame = negatives(ds, "random", 18, rng())
    assert sorted(frame["row"]) == [r for r in range(3, 30) if r % 3]
    assert (frame["col"] == 0).all()
    flat = negatives(ds, {"strategy": "below_slope", "degrees": 6}, 9, rng())
    assert sorted(flat["row"]) == [4, 5]
    buffer = {"strategy": "beyond_buffer", "metres": 150}
    far = negatives(ds, buffer, 9, rng(), landslides=slides.iloc[:2])
    assert far["row"].min() == 8
    bare = landslide_places(ds.drop_vars(["x", "y"]))
    assert bare["x"].isna().all()


def test_places_keep_their_point_and_number():
    frame = landslide_places(area())
    assert frame["row"].tolist() == frame["col"].tolist() == [0, 1, 2, 3, 4]
    assert frame["landslide_id"].tolist() == [1, 2, 3, 4, 5]
    assert frame["x"][0] == 5e5 + 15 + 3
    assert frame["y"][0] == 4e6 - 15 - 4
    assert (frame[["label", "target"]] == 1).all(axis=None)
    assert frame.attrs["left_out"] == 0
    assert frame.dtypes.astype(str).to_dict().items() >= COLUMNS.items()


def test_places_off_the_grid_or_in_invalid_cells_are_left_out_and_counted():
    ds = area()
    ds["place_x"][0] = 5e5 - 45  # west of the grid, by two columns
    ds["place_x"][1] = 5e5 + 7.5 * 30  # in the invalid column
    ds["place_y"][2] = np.nan
    ds["place_x"][4] = float(ds["place_x"][3])  # shares the cell of the fourth
    ds["place_y"][4] = float(ds["place_y"][3])
    frame = landslide_places(ds)
    assert frame["landslide_id"].tolist() == [4, 5]
    assert frame.attrs["left_out"] == 3
    with pytest.raises(SampleError, match="none of 5"):
        landslide_places(ds.assign(valid=ds["valid"] & False))
