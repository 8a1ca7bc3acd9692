"""Grids: read from coordinates, compared with a tolerance, and rasters laid on them."""

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from lsm_core.errors import CrsError, GridError
from lsm_core.grid import (
    Grid,
    align,
    as_float,
    crop,
    differs,
    grid_of,
    join,
    north_up,
    same_grid,
)

UTM = CRS.from_epsg(32643)
GRID = Grid((6, 8), Affine(10, 0, 500000, 0, -10, 4000000), UTM)


def raster(grid, values=None, nodata=None):
    if values is None:
        values = np.arange(np.prod(grid.shape), dtype="float32").reshape(grid.shape)
    da = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), "layer")
    if nodata is not None:
        da.attrs["_FillValue"] = nodata
    return da.rio.write_crs(grid.crs)


def test_grid_comes_back_from_its_raster():
    """Shape, transform and CRS survive the way through coordinates."""
    assert grid_of(raster(GRID)) == GRID
    assert hash(grid_of(raster(GRID))) == hash(GRID)


def test_grid_ignores_stale_attributes():
    """A raster coarsened with its attributes kept has the cell size of its coordinates."""
    stale = raster(GRID).assign_attrs(res=(10, 10), transform=tuple(GRID.transform))
    stale.spatial_ref.attrs["GeoTransform"] = "500000 10 0 4000000 0 -10"
    assert grid_of(stale.coarsen(y=2, x=2).mean(keep_attrs=True)).cell_size == 20


def test_cell_size_of_feet_is_metres():
    """US survey feet: 100 ft are 30.48006 m, in cell size and step alike."""
    grid = Grid((4, 4), Affine(100, 0, 0, 0, -100, 0), CRS.from_epsg(2263))
    assert grid.cell_size == pytest.approx(100 * 1200 / 3937)
    assert grid.step == (grid.cell_size, grid.cell_size)


def test_rowcol_is_the_inverse_of_xy():
    """Centres fall in their own cells; a point outside gets a cell outside."""
    rows, cols = np.indices(GRID.shape)
    np.testing.assert_array_equal(GRID.rowcol(*GRID.xy(rows, cols)), (rows, cols))
    assert GRID.rowcol(499999, 4000001) == (-1, -1)


def test_window_and_cover_are_inverse():
    """The box of a window covers that window, a hair's breadth of rounding forgiven."""
    window = GRID.window(-1, 2, 4, 9)
    left, bottom, right, top = window.bounds
    assert GRID.cover((left - 0.01, bottom, right + 0.01, top)) == (-1, 2, 4, 9)
    assert window.shape == (5, 7)


def test_same_grid_tolerates_rounding_not_shifts():
    """0.1 mm is the same grid; half a cell, another shape or CRS is not."""
    shape, move = GRID.shape, Affine.translation
    assert same_grid(GRID, Grid(shape, move(1e-4, 1e-4) * GRID.transform, UTM))
    assert not same_grid(GRID, Grid(shape, move(5, 0) * GRID.transform, UTM))
    assert not same_grid(GRID, Grid((6, 7), GRID.transform, UTM))
    assert not same_grid(GRID, Grid(shape, GRID.transform, CRS.from_epsg(32642)))


def test_balakot_layers_share_a_grid(shared_data):
    """The three real rasters differ in their last digits and are still one grid."""
    names = ("AW3D30", "Geology", "Landcover")
    grids = [
        grid_of(rioxarray.open_rasterio(shared_data / "balakot" / f"{n}.tif").squeeze(drop=True))
        for n in names
    ]
    assert grids[0] != grids[1]
    assert same_grid(grids[0], grids[1])
    assert same_grid(grids[0], grids[2])


def test_no_crs_is_refused():
    with pytest.raises(CrsError, match=r"no coordinate reference system.*catalogue"):
        grid_of(raster(GRID).drop_vars("spatial_ref"))


def test_degrees_are_refused_with_the_cure():
    grid = Grid((3, 3), Affine(0.1, 0, 70, 0, -0.1, 30), CRS.from_epsg(4326))
    with pytest.raises(CrsError, match=r"in degrees \(EPSG:4326\).*grid: \{crs: EPSG:32643, res"):
        grid_of(raster(grid))


def test_rotated_uneven_and_tiny_rasters_are_refused(tmp_path):
    path = tmp_path / "rotated.tif"
    turned = Affine.translation(500000, 4000000) * Affine.rotation(20) * Affine.scale(10, -10)
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", crs=UTM, transform=turned, **profile) as file:
        file.write(np.zeros((1, 4, 4), "float32"))
    with pytest.raises(GridError, match=r"no straight `y` axis.*rotated"):
        grid_of(rioxarray.open_rasterio(path).squeeze(drop=True))
    with pytest.raises(GridError, match="not evenly spaced"):
        grid_of(raster(GRID).isel(x=[0, 1, 5]))
    with pytest.raises(GridError, match=r"1 cell.*along y"):
        grid_of(raster(GRID).isel(y=[0]))


def test_south_up_is_turned():
    """A raster stored from the south is refused by grid_of, and laid right by align."""
    south = raster(GRID).isel(y=slice(None, None, -1))
    with pytest.raises(GridError, match="south-up"):
        grid_of(south)
    xr.testing.assert_equal(north_up(south), raster(GRID))
    np.testing.assert_array_equal(align(south, GRID, "nearest"), raster(GRID))


@pytest.mark.parametrize("how", ["nearest", "bilinear", "cubic", "average"])
def test_same_lattice_copies_cells(how):
    """A window with a margin holds the very cells, NaN beyond, whatever the method."""
    laid = align(raster(GRID), GRID.window(-1, 2, 4, 10), how)
    assert np.isnan(laid[0]).all()
    assert np.isnan(laid[:, 6:]).all()
    np.testing.assert_array_equal(laid[1:, :6], raster(GRID)[:4, 2:])


def test_nearest_agrees_with_gdal():
    """Nearest across CRS equals GDAL's, which places cells within 1/8 of one only."""
    rng = np.random.default_rng(0)
    source = Grid((300, 300), Affine(0.001, 0, 73, 0, -0.001, 35), CRS.from_epsg(4326))
    values = rng.integers(1, 9, source.shape).astype("int16")
    target = Grid((200, 200), Affine(30, 0, 325000, 0, -30, 3870000), UTM)
    ours = align(raster(source, values), target, "nearest")
    gdal = np.zeros(target.shape, "int16")
    reproject(
        values, gdal, src_transform=source.transform, src_crs=source.crs,
        dst_transform=target.transform, dst_crs=UTM, resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    mine = np.where(ours == ours.attrs["nodata"], 0, ours)
    assert (mine != 0).mean() > 0.9
    assert (mine == gdal).mean() > 0.99


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_warping_integers_makes_no_phantom_values(dtype):
    """Only values of the source appear, and nodata is one that no cell uses."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    values = np.full((40, 40), 7, dtype)
    values[:20], values[:, 30:], values[5, 5] = 1, high - 1, high
    source = Grid((40, 40), Affine(30, 0, 500000, 0, -30, 4000000), UTM)
    finer = Grid((50, 50), Affine(25, 0, 499900, 0, -25, 4000100), UTM)
    next_zone = Grid((60, 60), Affine(25, 0, 1040000, 0, -25, 4016900), CRS.from_epsg(32642))
    for grid in (finer, next_zone):
        laid = align(raster(source, values, nodata=high), grid, "nearest")
        nodata = laid.attrs["nodata"]
        assert laid.dtype == dtype
        assert nodata in (-32768, low, high)
        seen = set(np.unique(laid)) - {nodata}
        assert seen
        assert seen <= {1, 7, high - 1}
        assert (laid == nodata).any()


def test_nodata_is_no_value_of_the_data():
    """Where -32768 is a measurement, nodata is another number; a type without one is refused."""
    values = np.array([[-32768, 5], [6, 7]], "int16")
    small = Grid((2, 2), GRID.transform, UTM)
    laid = align(raster(small, values), small.window(0, 0, 3, 2), "nearest")
    assert laid.attrs["nodata"] == 32767
    np.testing.assert_array_equal(laid, [[-32768, 5], [6, 7], [32767, 32767]])
    with pytest.raises(GridError, match="uses both ends of uint8"):
        align(raster(small, np.array([[0, 255], [1, 1]], "uint8")), small, "nearest")


@pytest.mark.parametrize("nodata", [np.nan, -9999.0, -3.4028234663852886e38])
def test_float_nodata_is_nan(nodata):
    """NaN, -9999 and GDAL's -3.4e38 all become NaN, and do not bleed into warped cells."""
    values = np.full((20, 20), 100, "float32")
    values[8:12, 8:12] = nodata
    source = Grid((20, 20), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
    da = raster(source, values, nodata)
    assert np.isnan(align(da, source, "nearest")).sum() == 16
    assert np.isnan(as_float(da)).sum() == 16
    warped = align(da, Grid((50, 50), Affine(4, 0, 500000, 0, -4, 4000000), UTM), "bilinear")
    np.testing.assert_allclose(warped.values[np.isfinite(warped)], 100, rtol=1e-6)
    assert np.isnan(warped[25, 25])


def test_bilinear_keeps_a_plane():
    """A plane z = x + 2y is itself after bilinear warping to another cell size, inside."""
    source = Grid((40, 40), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
    plane = (source.x[None, :] - 500000) + 2 * (source.y[:, None] - 4000000)
    target = Grid((30, 30), Affine(7, 0, 500050, 0, -7, 3999950), UTM)
    expected = (target.x[None, :] - 500000) + 2 * (target.y[:, None] - 4000000)
    np.testing.assert_allclose(
        align(raster(source, plane), target, "bilinear"), expected, atol=1e-6
    )


def test_average_of_a_coarser_grid():
    """Cells three times as wide hold the mean of the nine within."""
    coarse = Grid((2, 2), Affine(30, 0, 500000, 0, -30, 4000000), UTM)
    expected = raster(GRID)[:6, :6].coarsen(y=3, x=3).mean()
    np.testing.assert_allclose(align(raster(GRID), coarse, "average"), expected, rtol=1e-6)


def test_no_overlap_says_both_boxes():
    far = Grid((6, 8), Affine(10, 0, 600000, 0, -10, 4000000), UTM)
    with pytest.raises(GridError, match=r"layer does not overlap.*500000 to 500080.*600000"):
        align(raster(GRID), far, "nearest")


def test_integers_are_not_averaged():
    with pytest.raises(GridError, match="how='bilinear' would invent"):
        align(raster(GRID, np.ones(GRID.shape, "int16")), GRID, "bilinear")
    with pytest.raises(GridError, match="how='mode' is none of nearest"):
        align(raster(GRID), GRID, "mode")


# --- joining, cropping --------------------------------------------------------------------------


def test_join_forgives_rounding_and_names_the_command():
    """0.1 mm apart: one Dataset without gaps. Half a cell, another CRS or shape: words and cure."""
    a, b = raster(GRID), raster(GRID, np.ones(GRID.shape, "int16"))
    nudged = b.assign_coords(x=b.x + 1e-4, y=b.y - 1e-4)
    joined = join({"a": a, "b": nudged})
    assert joined.sizes == {"y": 6, "x": 8}
    assert joined.b.dtype == "int16"
    np.testing.assert_array_equal(joined.x, a.x)
    assert grid_of(joined) == GRID
    with pytest.raises(GridError, match=r"b lies on another grid than a: corners lie 5 m apart.*"
                       r"grid\.align\(b, grid_of\(a\), 'nearest'\).*gdalwarp -t_srs EPSG:32643 "
                       r"-te 500000 3999940 500080 4000000 -ts 8 6 -r near IN"):  # fmt: skip
        join({"a": a, "b": b.assign_coords(x=b.x + 5)})
    with pytest.raises(GridError, match=r"6 x 7 cells, not 6 x 8.*'bilinear'"):
        join({"a": a, "b": a[:, :7]})
    with pytest.raises(GridError, match="CRS EPSG:32642, not EPSG:32643"):
        join({"a": a, "b": a.drop_vars("spatial_ref").rio.write_crs(32642)})


def test_balakot_layers_join(shared_data):
    """The real rasters, under 0.1 mm apart, joined without a gap; xarray alone would make some."""
    layers = {
        n: rioxarray.open_rasterio(shared_data / "balakot" / f"{n}.tif").squeeze(drop=True)
        for n in ("AW3D30", "Geology", "Landcover")
    }
    grids = [grid_of(layer) for layer in layers.values()]
    assert grids[0] != grids[1]
    assert [differs(g, grids[0]) for g in grids] == ["", "", ""]
    joined = join(layers)
    assert dict(joined.sizes) == {"y": 987, "x": 826}
    for name, layer in layers.items():
        np.testing.assert_array_equal(joined[name], layer)


@pytest.mark.parametrize("how", ["nearest", "bilinear", "cubic", "average"])
def test_no_phantom_nodata_inside(how):
    """A raster full of data warped to a grid within it: every cell has data, whatever the way."""
    source = Grid((300, 300), Affine(0.001, 0, 73, 0, -0.001, 35), CRS.from_epsg(4326))
    values = np.random.default_rng(0).uniform(1, 2, source.shape).astype("float32")
    for cell in (20, 250):
        count = 20000 // cell
        inner = Grid((count, count), Affine(cell, 0, 322000, 0, -cell, 3870000), UTM)
        laid = align(raster(source, values, -9999.0), inner, how)
        assert np.isfinite(laid).all()
        assert 0.7 < float(laid.min()) <= float(laid.max()) < 2.3  # cubic overshoots


def test_a_full_integer_raster_keeps_every_value():
    """No nodata stated: 0 and the type's ends are data, and come through a warp inside."""
    values = np.random.default_rng(0).choice([0, 1, 254], (80, 80)).astype("uint8")
    source = Grid((80, 80), Affine(30, 0, 500000, 0, -30, 4000000), UTM)
    inner = Grid((50, 50), Affine(40, 0, 500100, 0, -40, 3999900), UTM)
    laid = align(raster(source, values), inner, "nearest")
    assert laid.attrs["nodata"] not in (0, 1, 254)
    assert set(np.unique(laid)) == {0, 1, 254}


@pytest.mark.parametrize("how", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("cell", [7.0, 45.0])
def test_cropping_first_changes_nothing(how, cell):
    """The crop of a larger raster, turned south or not, gives what the whole gives."""
    values = np.random.default_rng(1).normal(size=(200, 220)).cumsum(axis=0)
    source = Grid((200, 220), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
    whole = raster(source, values)
    grid = Grid((12, 14), Affine(cell, 0, 500703, 0, -cell, 3999201), UTM)
    part = crop(whole.isel(y=slice(None, None, -1)), grid)
    assert part.size < whole.size / 4
    assert np.isfinite(align(whole, grid, how)).all()
    np.testing.assert_allclose(align(part, grid, how), align(whole, grid, how), atol=1e-6)
    expected = align(whole.isel(y=slice(20, 190), x=slice(20, 200)), grid, how)
    np.testing.assert_allclose(align(part, grid, how), expected, atol=1e-6)
