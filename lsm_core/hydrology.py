"""Drainage from a DEM: upslope area, streams, and the indices built on them.

Depressions are filled (Wang and Liu 2006, by pyflwdir); every cell drains to its steepest neighbour
(D8, O'Callaghan and Mark 1984), across filled flats toward their outlet. What holds for all:

* `dem` is (y, x), north up, on a projected grid, elevations in metres; results are (y, x) on the
  same coordinates, NaN (False for streams) where the elevation is missing, and nowhere else.
* Water leaves at the raster's edge and at the edge of missing elevations. Upslope area is therefore
  too small wherever the catchment reaches beyond the DEM: give it a margin to the divides.
* Specific catchment area is upslope area over the cell size, in m2 per m. Slope is that of
  `terrain.slope` (Horn; edges and gaps as there), of the DEM before filling; its tangent counts as
  at least 0.001.
* Elevations count in steps of 1/1024 m, which makes the fill exact (up to 16 km).
* The whole raster is worked on at once, at about 50 bytes a cell: what drains into a cell may lie
  anywhere, so there are no tiles. A DEM of dask chunks is loaded whole; results are NumPy arrays.
* D8 knows eight directions and never spreads: on smooth slopes flow runs in parallel lines.
* Errors: no CRS or one in degrees (CrsError); not a north-up raster of one layer (GridError).

`twi`, `spi`, `sti` and `streams` take `accumulation=flow_accumulation(dem)` where it is at hand.
"""

import numpy as np
import pyflwdir
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from lsm_core.errors import AreaError, GridError
from lsm_core.grid import Grid, layer_of, same_grid
from lsm_core.halo import cores, in_bands
from lsm_core.neighbourhood import factors

# A flat cell would have an infinite wetness; 0.001 is 0.06 degrees, below what a DEM can tell.
LEAST_TANGENT = 0.001

STEPS_PER_METRE = 1024


def flow_accumulation(dem: xr.DataArray) -> xr.DataArray:
    """Upslope area in m2: of all cells that drain through a cell, its own included. float32.

    Edges, nodata and errors as the module says.

    >>> fall = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(-fall, (5, 1)).T, {"y": -fall, "x": fall}, ("y", "x"))
    >>> flow_accumulation(dem.rio.write_crs(32643))[:, 1].values
    array([1., 2., 3., 4., 5.], dtype=float32)
    """
    z, valid, grid = _elevation(dem)
    if not valid.any():
        return _labelled(dem, z, "flow_accumulation", "m2", "upslope area (D8)")
    directions = _directions(z, grid)
    del z  # it is wide, and so is what follows
    area = directions.upstream_area().astype(np.float32)
    area *= grid.step[0] * grid.step[1]
    area[~valid] = np.nan
    return _labelled(dem, area, "flow_accumulation", "m2", "upslope area (D8)")


def twi(dem: xr.DataArray, *, accumulation: xr.DataArray | None = None) -> xr.DataArray:
    """Topographic wetness index: ln(specific catchment area / tan(slope)), area in m2 per m.

    Beven and Kirkby (1979). Area, slope and its floor, edges, nodata and errors as the module says.

    >>> fall = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(-fall, (5, 1)).T, {"y": -fall, "x": fall}, ("y", "x"))
    >>> np.exp(twi(dem.rio.write_crs(32643))[:, 1].values).round(3)
    array([1., 2., 3., 4., 5.], dtype=float32)
    """
    index, tangent = _catchment_and_tangent(dem, accumulation)
    index /= tangent
    np.log(index, out=index)
    return _labelled(dem, index, "twi", "1", "topographic wetness index")


def spi(dem: xr.DataArray, *, accumulation: xr.DataArray | None = None) -> xr.DataArray:
    """Stream power index: specific catchment area times tan(slope), in m2 per m.

    Moore, Grayson and Ladson (1991). Heavily skewed: take its logarithm for linear models. Area,
    slope and its floor, edges, nodata and errors as the module says.

    >>> fall = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(-fall, (5, 1)).T, {"y": -fall, "x": fall}, ("y", "x"))
    >>> spi(dem.rio.write_crs(32643))[:, 1].values
    array([1., 2., 3., 4., 5.], dtype=float32)
    """
    catchment, tangent = _catchment_and_tangent(dem, accumulation)
    return _labelled(dem, catchment * tangent, "spi", "m", "stream power index")


def sti(dem: xr.DataArray, *, accumulation: xr.DataArray | None = None) -> xr.DataArray:
    """Sediment transport index: (area / 22.13)^0.6 (sin(slope) / 0.0896)^1.3, without unit.

    Moore and Burch (1986); area is the specific catchment area in m2 per m. 1 on the standard plot
    of the soil loss equation (22.13 m at 9 %). Slope and its floor, edges, nodata and errors as the
    module says.

    >>> fall = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(-fall, (5, 1)).T, {"y": -fall, "x": fall}, ("y", "x"))
    >>> round(float(sti(dem.rio.write_crs(32643))[0, 1]), 3)
    2.287
    """
    catchment, tangent = _catchment_and_tangent(dem, accumulation)
    sine = np.sin(np.arctan(tangent))
    index = (catchment / 22.13) ** 0.6 * (sine / 0.0896) ** 1.3
    return _labelled(dem, index, "sti", "1", "sediment transport index")


def streams(
    dem: xr.DataArray, area: float, *, accumulation: xr.DataArray | None = None
) -> xr.DataArray:
    """Where a stream runs: cells whose upslope area is at least `area` m2. Boolean.

    Edges, nodata and errors as the module says; an area that is not positive is an AreaError.

    >>> fall = np.arange(5.0)
    >>> dem = xr.DataArray(np.tile(-fall, (5, 1)).T, {"y": -fall, "x": fall}, ("y", "x"))
    >>> streams(dem.rio.write_crs(32643), 4)[:, 1].values
    array([False, False, False,  True,  True])
    """
    if not area > 0:
        raise AreaError(f"area={area} makes no stream: give the least upslope area in m2, e.g. 1e6")
    upslope = _accumulation(dem, accumulation)
    return _labelled(
        dem, upslope >= area, "streams", "1", f"upslope area of {area:,.0f} m2 and more"
    )


def _directions(z: NDArray, grid: Grid) -> pyflwdir.FlwdirRaster:
    """Where each cell drains to."""
    return pyflwdir.from_array(_codes(z, grid), ftype="d8", check_ftype=False)


def _codes(z: NDArray, grid: Grid) -> NDArray[np.uint8]:
    filled, toward = pyflwdir.dem.fill_depressions(z, nodata=np.nan)
    in_bands(z.shape[0], lambda a, b: _steepest(filled, a, b, *grid.step, toward), cores())
    return toward


def _accumulation(dem: xr.DataArray, accumulation: xr.DataArray | None) -> NDArray:
    if accumulation is None:
        accumulation = flow_accumulation(dem)
    elif not same_grid(accumulation, dem.squeeze(drop=True)):
        raise GridError("accumulation lies on another grid than the DEM: make it from this DEM")
    return accumulation.transpose("y", "x").values


def _catchment_and_tangent(
    dem: xr.DataArray, accumulation: xr.DataArray | None
) -> tuple[NDArray, NDArray]:
    """Specific catchment area in m2 per m, and the tangent of the slope, at least the floor."""
    dem = dem.compute()  # a lazy one would be read twice
    upslope = _accumulation(dem, accumulation)
    values, valid, grid = layer_of(dem)
    if not valid.all() or values.dtype != np.float32:
        values = np.where(valid, values.astype(np.float64), np.nan)
    width, height = (np.full(grid.shape[0], side) for side in grid.step)
    (tangent,) = factors(values, ["tangent"], width, height, cores=cores())
    catchment = (upslope / np.float32(grid.cell_size)).astype(np.float32, copy=False)
    return catchment, np.maximum(tangent, np.float32(LEAST_TANGENT), out=tangent)


def _elevation(dem: xr.DataArray) -> tuple[NDArray, NDArray[np.bool_], Grid]:
    """Elevations (y, x) in steps of 1/1024 m with NaN for nodata, where they are, and their grid.

    pyflwdir keeps its queue in float32 and adds what it fills: in these steps neither rounds, so a
    filled cell is exactly level with its outlet, and no two cells can drain into each other.
    """
    values, valid, grid = layer_of(dem)
    z = np.full(grid.shape, np.nan, dtype=np.float32)
    np.copyto(z, values, where=valid, casting="unsafe")
    z *= STEPS_PER_METRE
    np.rint(z, out=z)
    z /= STEPS_PER_METRE
    return z, valid, grid


def _labelled(
    dem: xr.DataArray, values: NDArray, name: str, units: str, long_name: str
) -> xr.DataArray:
    dem = dem.squeeze(drop=True).transpose("y", "x")
    source = f"derived from {dem.attrs.get('source') or dem.name or 'DEM'}"
    attrs = {"units": units, "kind": "continuous", "long_name": long_name, "source": source}
    if values.dtype == bool:
        del attrs["kind"]  # a mask is not a factor
    result = xr.DataArray(values, {"y": dem["y"], "x": dem["x"]}, ("y", "x"), name, attrs)
    return result.rio.write_crs(dem.rio.crs, inplace=True)


@njit(nogil=True, cache=True)
def _steepest(filled, first, last, width, height, toward):  # type: ignore[no-untyped-def]
    """Turn each cell to its steepest lower neighbour; on the rim, out of the DEM if none is lower.

    pyflwdir points every cell at the neighbour that flooded it first: the lowest, not the steepest,
    and on a level rim from cell to cell. Only level cells inside keep that direction. No loop can
    form: the steepest neighbour is strictly lower, the flood's was flooded earlier.
    """
    rows, cols = filled.shape
    diagonal = np.hypot(width, height)
    codes = ((32, 64, 128), (16, 0, 1), (8, 4, 2))
    for row in range(first, last):
        for col in range(cols):
            here = filled[row, col]
            if here != here:
                continue
            best, rim = 0.0, False
            for down in range(-1, 2):
                for right in range(-1, 2):
                    r, c = row + down, col + right
                    if r < 0 or c < 0 or r >= rows or c >= cols or filled[r, c] != filled[r, c]:
                        rim = True
                        continue
                    step = height if right == 0 else width if down == 0 else diagonal
                    fall = (here - filled[r, c]) / step
                    if fall > best:
                        best = fall
                        toward[row, col] = codes[down + 1][right + 1]
            if rim and best == 0.0:
                toward[row, col] = 0
