"""Heat has its known values and equals brute force; soft samples are as many as asked for."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_sampling import COLUMNS, FEET, METRES, make_grid, rng

from lsm_core.errors import RecipeError, SampleError
from lsm_core.sampling import gaussian_heatmap, heatmap_samples, nearest_point


def distances(points, grid):
    """(point, y, x) metres from each point to each cell centre."""
    x, y = np.meshgrid(grid.x, grid.y)
    dx = points[:, 0, None, None] - x
    dy = points[:, 1, None, None] - y
    return np.hypot(dx, dy) * grid.metres_per_unit


def brute_force(points, grid, radius):
    d = distances(points, grid)
    heat = np.exp(-(d**2) * math.log(10) / radius**2)
    return np.where(d <= radius * (1 + 1e-6), heat, 0).max(axis=0)


def scattered(grid, n, margin):
    left, bottom, right, top = grid.bounds
    r = rng(5)
    x = r.uniform(left - margin, right + margin, n)
    return np.column_stack([x, r.uniform(bottom - margin, top + margin, n)])


@pytest.mark.parametrize(
    "grid",
    [make_grid(), make_grid(crs=FEET), make_grid(cell=20, height=33.0)],
    ids=["metres", "feet", "oblong"],
)
@pytest.mark.parametrize("cells", [0.4, 3.5, 6.5, 9.5])
def test_heat_and_parent_equal_brute_force(grid, cells):
    """Points inside, on the edge and outside; radii from below a cell to ten cells."""
    radius = cells * grid.cell_size
    points = scattered(grid, 60, 12 * grid.transform.a)
    heat = gaussian_heatmap(points, grid, radius)
    np.testing.assert_allclose(heat, brute_force(points, grid, radius), atol=1e-6)
    parent = nearest_point(points, grid, radius)
    assert ((parent >= 0) == (heat.values > 0)).all()
    d = distances(points, grid)
    own = np.take_along_axis(d, np.maximum(parent, 0)[None], axis=0)[0]
    np.testing.assert_allclose(own[parent >= 0], d.min(axis=0)[parent >= 0], rtol=1e-6)


def test_known_values_at_the_centre_on_the_circle_and_beyond():
    grid = make_grid()
    x, y = grid.xy(20, 30)
    heat = gaussian_heatmap([[x, y]], grid, radius=6 * 30.0).values
    assert heat[20, 30] == 1
    on_circle = [heat[20, 36], heat[20, 24], heat[14, 30], heat[26, 30]]
    np.testing.assert_allclose(on_circle, 0.1, atol=1e-7)
    assert heat[20, 37] == 0
    assert heat[25, 34] == 0
    assert heat[20, 33] == pytest.approx(10**-0.25, abs=1e-6)


def test_a_rounded_distance_still_touches_the_circle():
    """A radius a millionth of a millionth short of the cell centre does not lose the cell."""
    grid = make_grid()
    x, y = grid.xy(20, 30)
    heat = gaussian_heatmap([[x, y]], grid, radius=90 * (1 - 5e-7)).values
    assert heat[20, 33] == pytest.approx(0.1, abs=1e-6)
    assert gaussian_heatmap([[x, y]], grid, radius=90 * (1 - 5e-6)).values[20, 33] == 0


def test_heat_lies_on_its_grid_and_takes_a_table():
    grid = make_grid()
    table = pd.DataFrame({"landslide_id": [7], "x": [grid.x[3]], "y": [grid.y[2]]})
    heat = gaussian_heatmap(table, grid, 100)
    assert float(heat.sel(x=grid.x[3], y=grid.y[2])) == 1
    assert heat.dtype == np.float32
    assert heat.rio.crs == METRES
    assert not gaussian_heatmap(np.empty((0, 2)), grid, 100).any()


def test_heat_refuses_what_it_cannot_use():
    with pytest.raises(RecipeError, match="radius is 0"):
        gaussian_heatmap([[0, 0]], make_grid(), 0)
    with pytest.raises(SampleError, match="1 of 2 points"):
        gaussian_heatmap([[0, 0], [np.nan, 0]], make_grid(), 30)
    with pytest.raises(SampleError, match=r"shape \(3,\)"):
        nearest_point([1, 2, 3], make_grid(), 30)


def hot(points=12, radius=195.0):
    grid = make_grid()
    at = scattered(grid, points, 0)
    return gaussian_heatmap(at, grid, radius), nearest_point(at, grid, radius)


def test_heat_samples_are_equal_numbers_from_the_middle_three():
    heat, parent = hot()
    allowed = rng(9).random(heat.shape) < 0.7
    ids = np.arange(12) * 10 + 3
    frame = heatmap_samples(heat, parent, allowed, ids=ids, per_interval=25, rng=rng())
    assert frame["origin"].value_counts(sort=False).to_dict() == {
        "heat 0.2-0.4": 25,
        "heat 0.4-0.6": 25,
        "heat 0.6-0.8": 25,
    }
    low = frame["origin"].str[5:8].astype(float)
    assert (frame["target"] >= low).all()
    assert (frame["target"] < low + 0.2).all()
    assert not frame.duplicated(["row", "col"]).any()
    assert allowed[frame["row"], frame["col"]].all()
    assert (frame["target"] == heat.values[frame["row"], frame["col"]]).all()
    assert (frame["landslide_id"] == ids[parent[frame["row"], frame["col"]]]).all()
    assert (frame["label"] == -1).all()
    assert frame.dtypes.astype(str).to_dict().items() >= COLUMNS.items()
    again = heatmap_samples(heat, parent, allowed, ids=ids, per_interval=25, rng=rng())
    pd.testing.assert_frame_equal(frame, again)
    other = heatmap_samples(heat, parent, allowed, ids=ids, per_interval=25, rng=rng(2))
    assert (frame["row"] != other["row"]).any()


def test_a_heat_on_a_limit_belongs_to_the_interval_above():
    """0.6 lies in [0.6, 0.8), in float32 and float64 alike."""
    for dtype in ("float32", "float64"):
        values = np.array([[0.2, 0.4, 0.6, 0.8, 1.0]], dtype=dtype)
        heat = xr.DataArray(values, {"y": [0.0], "x": np.arange(5.0)}, ("y", "x"))
        parent, every = np.zeros((1, 5), int), np.ones((1, 5), bool)
        frame = heatmap_samples(
            heat, parent, every, ids=[1], per_interval=1, rng=rng(), take=(1, 2, 3)
        )
        assert frame["col"].tolist() == [0, 1, 2]
        with pytest.raises(SampleError, match=r"heat 0.8-1 has 2 allowed"):
            heatmap_samples(heat, parent, every, ids=[1], per_interval=3, rng=rng(), take=(4,))


def test_too_many_heat_samples_are_refused_with_the_counts():
    heat, parent = hot(points=1)
    every = np.ones(heat.shape, bool)
    value = heat.values
    middle = int(((value >= 0.4) & (value < 0.6)).sum())
    with pytest.raises(SampleError, match=f"heat 0.4-0.6 has {middle}, .*per_interval"):
        heatmap_samples(heat, parent, every, ids=[1], per_interval=999, rng=rng())
    with pytest.raises(SampleError, match="at least 1"):
        heatmap_samples(heat, parent, every, ids=[1], per_interval=0, rng=rng())
    with pytest.raises(SampleError, match="allowed has shape"):
        heatmap_samples(heat, parent, every[1:], ids=[1], per_interval=1, rng=rng())
