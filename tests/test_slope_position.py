"""Height above larger surroundings, their relief, and the slope positions that follow."""

import numpy as np
import pytest
import xarray as xr
from relief import surface

from lsm_core import terrain
from lsm_core.study_area import categories


def test_tpi_of_one_cell_is_the_one_of_the_kernel(holed: xr.DataArray) -> None:
    np.testing.assert_allclose(
        terrain.tpi(holed, 30), terrain.derive(holed, ["tpi"]).tpi, atol=1e-3
    )


def test_tpi_is_height_above_the_mean_of_the_disc(holed: xr.DataArray) -> None:
    """By brute force: cells within 150 m plus half a cell, mirrored where missing."""
    z = holed.values.astype(float)
    found = terrain.tpi(holed, 150).values
    for row, col in [(40, 60), (31, 45), (0, 0), (79, 30), (59, 7)]:
        rise = []
        for down in range(-5, 6):
            for right in range(-5, 6):
                if 30 * np.hypot(down, right) > 165 or (down, right) == (0, 0):
                    continue
                r, c, s, d = row + down, col + right, row - down, col - right
                inside = 0 <= r < 80 and 0 <= c < 90 and np.isfinite(z[r, c])
                mirror = 0 <= s < 80 and 0 <= d < 90 and np.isfinite(z[s, d])
                here = z[row, col]
                rise.append(z[r, c] - here if inside else here - z[s, d] if mirror else 0)
        assert found[row, col] == pytest.approx(-np.mean(rise), abs=1e-3)


def test_relief_is_the_range_within_the_window(holed: xr.DataArray) -> None:
    np.testing.assert_array_equal(terrain.relief(holed, 3), terrain.roughness(holed))
    five = holed.rolling(y=5, x=5, center=True, min_periods=1)
    expected = (five.max() - five.min()).where(holed.notnull())
    np.testing.assert_array_equal(terrain.relief(holed, 5), expected)
    below, above = terrain.relief(holed - 4000, 5), terrain.relief(holed + 4000, 5)
    np.testing.assert_array_equal(below, above)  # a gap is neither low nor high


def test_slope_position_names_ridges_slopes_flats_and_valleys() -> None:
    """Ridges and valleys along north-south lines, 400 m apart and 20 m high, beside a plain."""
    dem = surface(lambda x, y: np.where(x < 800, 10 - 10 * np.cos(x * np.pi / 200), 0), (21, 130))
    found = terrain.slope_position(dem, 100)
    row = [categories(found)[int(code)] for code in found[10]]
    assert row[20] == row[60] == "Ridge"
    assert row[40] == "Valley"
    assert row[30] == "Mesoslope-3"
    assert row[23] == "Upslope"
    assert row[37] == "Downslope"
    assert row[120] == "Flat"
    assert list(categories(found).values()) == list(terrain.SLOPE_POSITIONS)
    assert found.dtype == np.int16


def test_slope_positions_close_on_the_left_and_flat_ends_at_five_degrees() -> None:
    deviation = np.array([-1.01, -1, -0.5, -0.3, 0, 0, 0.5, 1])
    steep = np.array([9, 9, 9, 9, 5, 4.99, 0, 0])
    assert terrain._classes(deviation, steep).tolist() == [1, 2, 4, 5, 6, 3, 9, 10]


@pytest.mark.parametrize(
    ("east", "north", "name"),
    [(8, 0, "Mesoslope-3"), (0, 8, "Mesoslope-3"), (3, 0, "Flat"), (0, 3, "Flat")],
)
def test_slope_position_of_cells_that_are_not_square(east: float, north: float, name: str) -> None:
    """A plane that falls by so many degrees is no other for cells three times as high as wide."""
    x, y = np.meshgrid(10.0 * np.arange(21), -30.0 * np.arange(21))
    z = np.tan(np.radians(east)) * x + np.tan(np.radians(north)) * y
    dem = xr.DataArray(z, {"y": y[:, 0], "x": x[0]}, ("y", "x")).rio.write_crs(32616)
    found = terrain.slope_position(dem, 60)
    assert categories(found)[int(found[10, 10])] == name


def test_slope_position_keeps_holes_and_uses_all_classes(holed: xr.DataArray) -> None:
    found = terrain.slope_position(holed, 300)
    np.testing.assert_array_equal(found == found.attrs["nodata"], holed.isnull())
    assert set(np.unique(found)) == {-32768, *range(1, 11)}
