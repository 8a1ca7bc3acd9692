"""A mask becomes landslides, and the landslides the same cells again."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from scipy.ndimage import label

from lsm_core.errors import InventoryError
from lsm_core.grid import Grid
from lsm_core.inventory import lay_inventory
from lsm_core.outlines import outlines

GRID = Grid((40, 50), Affine(10, 0, 500000, 0, -10, 4000000), CRS.from_epsg(32643))


def mask(values, grid=GRID, **attrs):
    da = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), "mask", attrs)
    return da.rio.write_crs(grid.crs)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_there_and_back(corners, share):
    """Specks, rings and rings within rings: laid on their grid they own their very cells."""
    cells = np.random.default_rng(3).uniform(size=GRID.shape) < share
    cells[5:12, 5:12], cells[7:10, 7:10], cells[8, 8] = True, False, True
    found = outlines(mask(cells.astype("uint8")), corners=corners).landslides
    assert found.is_valid.all()
    laid = lay_inventory(found, GRID, np.ones(GRID.shape, bool))
    expected, count = label(cells, np.ones((3, 3)) if corners else None)
    assert len(found) == count
    np.testing.assert_array_equal(laid.landslide_id, expected)
    assert found.cells.tolist() == np.bincount(expected.ravel())[1:].tolist()
    assert laid.counts["repaired"] == 0


def test_nodata_values_and_small_ones():
    """Nodata is no landslide, other codes are, and small ones are left out when asked."""
    cells = np.zeros(GRID.shape, "int16")
    cells[2:4, 2:4], cells[10, 10], cells[20, 20:23], cells[20, 22] = 1, 2, 3, 4
    cells[30:] = -9999
    found = outlines(mask(cells, _FillValue=-9999))
    assert found.values == [1, 2, 3, 4]
    assert (found.cells, found.missing) == (8, 500)
    assert found.landslides["value"].tolist() == [1, 2, 3]
    assert outlines(mask(cells, _FillValue=-9999), fewest=2).landslides.cells.tolist() == [4, 3]
    with pytest.raises(InventoryError, match="no component of mask has 9 cells: the largest has 4"):
        outlines(mask(cells, _FillValue=-9999), fewest=9)


def test_a_south_up_mask_is_turned():
    cells = np.zeros(GRID.shape, "uint8")
    cells[3, 4] = 1
    upright = outlines(mask(cells)).landslides
    turned = outlines(mask(cells).isel(y=slice(None, None, -1))).landslides
    assert turned.geometry[0].equals(upright.geometry[0])


def test_an_empty_mask_is_refused():
    with pytest.raises(InventoryError, match="no cell of mask is set"):
        outlines(mask(np.zeros(GRID.shape, "uint8")))
