"""Blocks with a margin: dask's answer is NumPy's to the last bit, and comes when asked for."""

from collections.abc import Callable

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from matplotlib.cbook import get_sample_data

from lsm_core import halo, hydrology, terrain

EVERY = list(terrain.FACTORS)
# odd, uneven, single rows and columns, blocks smaller than a disc, one block
CHUNKS = [
    {"y": 17, "x": 23},
    {"y": (1, 31, 2, 46), "x": (40, 1, 3, 46)},
    {"y": -1, "x": 9},
    {"y": -1, "x": -1},
]
WIDER: dict[str, Callable] = {
    "tpi": lambda dem: terrain.tpi(dem, 150),
    "tpi of one cell": lambda dem: terrain.tpi(dem, 1),
    "slope_position": lambda dem: terrain.slope_position(dem, 300),
    "relief": lambda dem: terrain.relief(dem, 7),
    "zevenbergen-thorne": lambda dem: terrain.slope(dem, method="zevenbergen-thorne"),
    "hillshade": lambda dem: terrain.hillshade(dem, azimuth=100, altitude=20),
    "roughness": terrain.roughness,
    "tri": terrain.tri,
}


@pytest.fixture(scope="module")
def holed() -> xr.DataArray:
    """Real terrain with fractions, gaps on the borders and corners of chunks and at the edge."""
    with get_sample_data("jacksboro_fault_dem.npz") as data:
        z = data["elevation"][:80, :90].astype("float32")
    z += np.random.default_rng(0).random(z.shape).astype("float32")
    z[15:19, 21:25] = z[32:34, 40:44] = z[60, 7] = z[1, 50] = z[0, 0] = z[79, 40:50] = np.nan
    y, x = -30.0 * np.arange(80), 30.0 * np.arange(90)
    return xr.DataArray(z, {"y": y, "x": x}, ("y", "x"), "elevation").rio.write_crs(32616)


def alike(lazy: xr.DataArray, whole: xr.DataArray) -> None:
    """The same bits, labels and attributes."""
    assert isinstance(lazy.data, dask.array.Array)
    assert lazy.dtype == whole.dtype
    xr.testing.assert_identical(lazy.compute(), whole)


@pytest.mark.parametrize("chunks", CHUNKS)
def test_every_3_x_3_factor_is_the_same_by_blocks(holed: xr.DataArray, chunks: dict) -> None:
    lazy, whole = terrain.derive(holed.chunk(chunks), EVERY), terrain.derive(holed, EVERY)
    for name in EVERY:
        alike(lazy[name], whole[name])


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("name", WIDER)
def test_wider_factors_are_the_same_by_blocks(holed: xr.DataArray, name: str, chunks: dict) -> None:
    alike(WIDER[name](holed.chunk(chunks)), WIDER[name](holed))


def test_a_disc_wider_than_the_raster(holed: xr.DataArray) -> None:
    small = holed[:18, :21]
    alike(terrain.tpi(small.chunk(y=5, x=4), 700), terrain.tpi(small, 700))


def test_cells_of_each_row_follow_the_blocks(holed: xr.DataArray) -> None:
    cells = (np.linspace(20, 40, 80), np.linspace(35, 25, 80))
    whole = terrain.derive(holed, EVERY, cells=cells)
    lazy = terrain.derive(holed.chunk(y=7, x=50), EVERY, cells=cells)
    for name in EVERY:
        alike(lazy[name], whole[name])


def test_integers_with_a_nodata_number_too(holed: xr.DataArray) -> None:
    coded = holed.fillna(-32768).astype("int16").assign_attrs(nodata=-32768)
    alike(terrain.slope(coded.chunk(y=17, x=23)), terrain.slope(coded))
    alike(terrain.tpi(coded.chunk(y=17, x=23), 100), terrain.tpi(coded, 100))


def test_nothing_is_computed_before_it_is_asked_for(holed: xr.DataArray) -> None:
    """Any computing scheduler raises until the end; then one pass serves every factor."""
    read = []

    def block(values: np.ndarray, block_id: tuple | None = None) -> np.ndarray:
        read.append(block_id)
        return values

    raw = dask.array.from_array(holed.values, chunks=(40, 45))
    lazy = holed.copy(data=raw.map_blocks(block, dtype="float32", meta=np.empty((0, 0), "float32")))

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("computed too early")

    with dask.config.set(scheduler=refuse):
        ds = terrain.derive(lazy, EVERY)
        for work in WIDER.values():
            work(lazy)
    assert not read
    ds.compute(scheduler="synchronous")
    assert len(read) == 4  # each block once, for nine factors


def test_drainage_loads_the_whole(holed: xr.DataArray) -> None:
    """What drains into a cell may lie anywhere: NumPy comes back, the same numbers."""
    lazy = holed.chunk(y=17, x=23)
    for function in (hydrology.flow_accumulation, hydrology.twi, hydrology.spi, hydrology.sti):
        found = function(lazy)
        assert isinstance(found.data, np.ndarray)
        xr.testing.assert_identical(found, function(holed))
    xr.testing.assert_identical(hydrology.streams(lazy, 1e4), hydrology.streams(holed, 1e4))


def test_bands_cover_every_row_once() -> None:
    seen = np.zeros(11, int)

    def band(first: int, last: int) -> None:
        seen[first:last] += 1

    for cores in (1, 3):
        halo.in_bands(11, band, cores)
    assert (seen == 2).all()
