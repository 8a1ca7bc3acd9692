"""Values of one raster at the cells of another grid: copied, sampled between, or warped."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from lsm_core.errors import GridError
from lsm_core.lattice import Grid

How = Literal["nearest", "bilinear", "cubic", "average"]
INTEGER_NODATA = -32768


def shifted(values: NDArray, offset: tuple[int, int], shape: tuple[int, int]) -> NDArray:
    """Copy whole cells; beyond the source the result is zero (False)."""
    result = np.zeros(shape, values.dtype)
    starts = [max(0, -o) for o in offset]
    stops = [min(n, size - o) for n, size, o in zip(shape, values.shape, offset, strict=True)]
    here = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
    there = tuple(slice(a + o, b + o) for a, b, o in zip(starts, stops, offset, strict=True))
    result[here] = values[there]
    return result


def sampled(
    values: NDArray, valid: NDArray[np.bool_], source: Grid, grid: Grid, bilinear: bool
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Values at the cells' centres: of the source cell there, or between the four centres around.

    Not left to GDAL's warper. Given a nodata value, it moves integers that equal it by one; and its
    bilinear kernel widens with the target's cells, which ripples the slopes of a warped DEM by some
    per cent, where interpolation keeps a plane a plane. A cell is valid if the source cell there
    is; neighbours without data do not count.
    """
    result, inside = np.zeros(grid.shape, values.dtype), np.zeros(grid.shape, bool)
    back = Transformer.from_crs(grid.crs.to_wkt(), source.crs.to_wkt(), always_xy=True)
    to_cells = ~source.transform
    for row in range(grid.shape[0]):
        x, y = back.transform(grid.x, np.full(grid.shape[1], grid.y[row]))
        col_at, row_at = to_cells * (x, y)
        here = (row_at >= 0) & (row_at < source.shape[0])
        here &= (col_at >= 0) & (col_at < source.shape[1])
        rows, cols = row_at[here].astype(int), col_at[here].astype(int)
        inside[row, here] = valid[rows, cols]
        if bilinear:
            result[row, here] = _between(values, valid, row_at[here] - 0.5, col_at[here] - 0.5)
        else:
            result[row, here] = values[rows, cols]
    return result, inside


def _between(values: NDArray, valid: NDArray, row_at: NDArray, col_at: NDArray) -> NDArray:
    """Bilinear mean of the valid ones among the four cells around; 0 where there is none."""
    first_row, first_col = np.floor(row_at), np.floor(col_at)
    total, weights = np.zeros(row_at.shape), np.zeros(row_at.shape)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows = np.clip(first_row + down, 0, values.shape[0] - 1).astype(int)
        cols = np.clip(first_col + right, 0, values.shape[1] - 1).astype(int)
        weight = abs(1 - down - (row_at - first_row)) * abs(1 - right - (col_at - first_col))
        weight = weight * valid[rows, cols]
        total += np.where(weight > 0, weight * values[rows, cols], 0)
        weights += weight
    return total / np.where(weights > 0, weights, 1)


def warped(
    values: NDArray, valid: NDArray[np.bool_], source: Grid, grid: Grid, how: How
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Cubic or average by GDAL's warper (placed within 1/8 of a cell), NaN where no data are."""
    result = np.full(grid.shape, np.nan, values.dtype)
    reproject(
        np.where(valid, values, np.nan), result, src_transform=source.transform,
        src_crs=source.crs, dst_transform=grid.transform, dst_crs=grid.crs, src_nodata=np.nan,
        dst_nodata=np.nan, resampling=Resampling[how],
    )  # fmt: skip
    return result, np.isfinite(result)


def free_value(values: NDArray, valid: NDArray[np.bool_]) -> int:
    """An integer that the type can hold and that no valid cell holds."""
    low, high = limits(values.dtype)
    used = set(np.unique(values[valid]).tolist())
    for value in (INTEGER_NODATA, low, high - 1):
        if value in range(low, high) and value not in used:
            return value
    raise GridError(f"the raster uses both ends of {values.dtype}: store it in a wider type")


def limits(dtype: np.dtype) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1
