"""Where a raster lies: its grid, whether two rasters share one, laying a raster on another grid.

"Same grid?" is one question asked at the door.
"""

import shlex
from pathlib import Path
from typing import Literal

import numpy as np
import rioxarray  # noqa: F401  (gives every DataArray its `.rio`)
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject, transform, transform_bounds

from lsm_core.errors import CrsError, GridError
from lsm_core.lattice import TOLERANCE as TOLERANCE
from lsm_core.lattice import Bounds, crs_name
from lsm_core.lattice import Grid as Grid
from lsm_core.lattice import check_projected as check_projected

How = Literal["nearest", "bilinear", "cubic", "average"]

INTEGER_NODATA = -32768


def grid_of(raster: xr.DataArray | xr.Dataset, *, projected: bool = True) -> Grid:
    """The grid of a raster, read from its coordinates, never from an attribute.

    Errors: no CRS or one in degrees (CrsError); rotated, south-up, unevenly spaced or smaller than
    2 x 2 cells (GridError). `north_up` turns a south-up raster. `projected=False` lets degrees
    pass, for a raster that is only to be warped: its `cell_size` means nothing.
    """
    crs = _crs(raster)
    _check_axes(raster)
    if projected:
        check_projected(crs, _name(raster), cure=_reprojection(raster) if crs.is_geographic else "")
    left, width = _spacing(raster, "x")
    top, height = _spacing(raster, "y")
    if width < 0 or height > 0:
        raise GridError("the raster is stored south-up or mirrored: call grid.north_up first")
    return Grid((raster.sizes["y"], raster.sizes["x"]), Affine(width, 0, left, 0, height, top), crs)


def as_float(raster: xr.DataArray) -> xr.DataArray:
    """Values as float32, north up, NaN wherever the raster states nodata."""
    raster = north_up(raster).transpose("y", "x")
    values, valid = values_of(raster)
    result = raster.copy(data=np.where(valid, values, np.nan).astype("float32"))
    result.attrs = {k: v for k, v in raster.attrs.items() if k not in ("_FillValue", "nodata")}
    return result.drop_encoding()


def layer_of(
    raster: xr.DataArray, *, projected: bool = True, lazy: bool = False
) -> tuple[NDArray, NDArray[np.bool_], Grid]:
    """Values (y, x) of a raster of one layer, where they are data, and the grid.

    NaN, infinite and the stated nodata are no data. With `lazy`, dask arrays stay dask arrays;
    `projected` as in `grid_of`. Errors: several layers (GridError), and those of `grid_of`.
    """
    raster = raster.squeeze(drop=True)
    grid = grid_of(raster, projected=projected)
    if raster.ndim != 2:
        raise GridError(
            f"one layer is needed, this has {dict(raster.sizes)}: select one, e.g. isel(band=0)"
        )
    return *values_of(raster, lazy), grid


def north_up(raster: xr.DataArray) -> xr.DataArray:
    """The raster with north in the first row and west in the first column, flipped where needed."""
    _check_axes(raster)
    if raster.sizes["y"] > 1 and raster["y"][0] < raster["y"][-1]:
        raster = raster.isel(y=slice(None, None, -1))
    if raster.sizes["x"] > 1 and raster["x"][0] > raster["x"][-1]:
        raster = raster.isel(x=slice(None, None, -1))
    return raster


def same_grid(a: Grid | xr.DataArray | xr.Dataset, b: Grid | xr.DataArray | xr.Dataset) -> bool:
    """Whether two grids (or rasters) are one: same shape and CRS, corners within 0.01 of a cell.

    >>> grid = Grid((2, 3), Affine(10, 0, 500000, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> nudged = Grid((2, 3), Affine(10, 0, 500000.05, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> shifted = Grid((2, 3), Affine(10, 0, 500005, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> same_grid(grid, nudged), same_grid(grid, shifted)
    (True, False)
    """
    a = a if isinstance(a, Grid) else grid_of(a)
    b = b if isinstance(b, Grid) else grid_of(b)
    return a.shape == b.shape and _offset(a, b) == (0, 0)


def align(raster: xr.DataArray, grid: Grid, how: How) -> xr.DataArray:
    """Lay a raster (y, x) on a grid: crop, pad or warp.

    `how` is "nearest" (the only one for integers), "bilinear" (between the four centres around),
    "cubic", or "average" (of all cells inside: for a grid much coarser than the raster). On the
    same lattice (offsets within 0.01 of a whole cell) cells are copied, whatever `how` says.

    Returns (y, x) on the coordinates of `grid`: floats with NaN as nodata; integers keep their type
    and state theirs in `attrs["nodata"]` (-32768, or another where the type cannot hold it or the
    data use it). Cells beyond the raster are nodata; "nearest" never makes a value of its own.

    Errors: no CRS (CrsError), no overlap (GridError), integers with a `how` that makes new values.
    """
    if how not in How.__args__:  # type: ignore[attr-defined]
        raise GridError(f"how={how!r} is none of {', '.join(How.__args__)}")  # type: ignore[attr-defined]
    if not np.issubdtype(raster.dtype, np.floating) and how != "nearest":
        raise GridError(
            f"{_name(raster)} holds {raster.dtype} and how={how!r} would invent "
            "values between them: use nearest, or convert it to float first"
        )
    raster = north_up(raster)
    values, valid = values_of(raster)
    source = grid_of(raster, projected=False)
    _check_overlap(raster, source, grid)
    offset = _offset(source, grid)
    if offset is not None:
        values, valid = _shifted(values, offset, grid.shape), _shifted(valid, offset, grid.shape)
    elif how in ("nearest", "bilinear"):
        values, valid = _sampled(values, valid, source, grid, how == "bilinear")
    else:
        values, valid = _warped(values, valid, source, grid, how)
    return _labelled(raster, values, valid, grid)


def _check_axes(raster: xr.DataArray | xr.Dataset) -> None:
    for name in ("y", "x"):
        if name not in raster.dims or name not in raster.coords or raster[name].ndim != 1:
            raise GridError(
                f"the raster has no straight `{name}` axis (dimensions {tuple(raster.dims)}): "
                "it is rotated or not a raster; warp it to a north-up grid first (gdalwarp)"
            )


def _crs(raster: xr.DataArray | xr.Dataset) -> CRS:
    crs = raster.rio.crs
    if crs is None:
        raise CrsError(
            f"{_name(raster)} has no coordinate reference system (CRS): state it in the data "
            "catalogue (`metadata: {crs: 32643}`) or write it with gdal_edit -a_srs"
        )
    return crs


def _reprojection(raster: xr.DataArray | xr.Dataset) -> str:
    """The command that lays a raster in degrees on metres of its UTM zone, cells about as large."""
    x, y = float(raster["x"].mean()), float(raster["y"].mean())
    (lon,), (lat,) = transform(_crs(raster), CRS.from_epsg(4326), [x], [y])
    zone = (32600 if lat >= 0 else 32700) + min(int((lon + 180) // 6) % 60, 59) + 1
    # units_factor: radians in one unit of the CRS
    cell = abs(_spacing(raster, "y")[1]) * _crs(raster).units_factor[1] * 6_371_000
    source = Path(raster.encoding.get("source") or "dem.tif")
    files = shlex.join([str(source), str(source.with_name(f"{source.stem}_utm.tif"))])
    step = f"{float(f'{cell:.2g}'):g}"
    return f"gdalwarp -t_srs EPSG:{zone} -tr {step} {step} -r bilinear {files}"


def _name(raster: xr.DataArray | xr.Dataset) -> str:
    return str(getattr(raster, "name", None) or "the raster")


def _spacing(raster: xr.DataArray | xr.Dataset, name: str) -> tuple[float, float]:
    """Outer edge before the first centre, and the signed step, of one axis."""
    centres = np.asarray(raster[name].values, dtype="float64")
    if centres.size < 2:
        raise GridError(f"the raster has {centres.size} cell(s) along {name}: two are the least")
    step = (centres[-1] - centres[0]) / (centres.size - 1)
    even = centres[0] + step * np.arange(centres.size)
    if step == 0 or np.abs(centres - even).max() > 0.1 * abs(step):
        raise GridError(f"`{name}` coordinates are not evenly spaced: resample the raster first")
    return float(centres[0] - step / 2), float(step)


def _offset(a: Grid, b: Grid) -> tuple[int, int] | None:
    """Whole (rows, columns) from a's first cell to b's, or None if they share no lattice."""
    if a.crs != b.crs:
        return None
    inverse = ~a.transform
    col0, row0 = inverse * (b.transform * (0, 0))
    col1, row1 = inverse * (b.transform * (b.shape[1], b.shape[0]))
    row, col = round(row0), round(col0)
    off = (row0 - row, col0 - col, row1 - row - b.shape[0], col1 - col - b.shape[1])
    return (row, col) if max(map(abs, off)) <= TOLERANCE else None


def values_of(raster: xr.DataArray, lazy: bool = False) -> tuple[NDArray, NDArray[np.bool_]]:
    """Values (y, x), and where they are data: NaN, infinite and the stated nodata are not."""
    turned = raster.transpose("y", "x")
    values = turned.data if lazy else np.asarray(turned.values)
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones_like(values, dtype=bool)
    stated = {raster.rio.nodata, raster.attrs.get("nodata"), raster.rio.encoded_nodata} - {None}
    for nodata in filter(np.isfinite, stated):
        # as float64, -3.4e38 is not its float32: compare in the raster's type, if that holds it
        if values.dtype.kind == "f" or (
            values.dtype.kind in "iu" and int(nodata) in range(*_limits(values.dtype))
        ):
            valid &= values != np.asarray(nodata).astype(values.dtype)
    return values, valid


def _limits(dtype: np.dtype) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1


def _check_overlap(raster: xr.DataArray, source: Grid, grid: Grid) -> None:
    left, bottom, right, top = transform_bounds(source.crs, grid.crs, *source.bounds)
    west, south, east, north = grid.bounds
    if left >= east or right <= west or bottom >= north or top <= south:
        raise GridError(
            f"{_name(raster)} does not overlap the study area: it covers "
            f"{_box((left, bottom, right, top))}, the area {_box(grid.bounds)} "
            f"({crs_name(grid.crs)}); check its CRS and the area's extent"
        )


def _box(bounds: Bounds) -> str:
    left, bottom, right, top = bounds
    return f"x {left:.6g} to {right:.6g}, y {bottom:.7g} to {top:.7g}"


def _shifted(values: NDArray, offset: tuple[int, int], shape: tuple[int, int]) -> NDArray:
    """Copy whole cells; beyond the source the result is zero (False)."""
    result = np.zeros(shape, values.dtype)
    starts = [max(0, -o) for o in offset]
    stops = [min(n, size - o) for n, size, o in zip(shape, values.shape, offset, strict=True)]
    here = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
    there = tuple(slice(a + o, b + o) for a, b, o in zip(starts, stops, offset, strict=True))
    result[here] = values[there]
    return result


def _sampled(
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


def _warped(
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


def _labelled(
    raster: xr.DataArray, values: NDArray, valid: NDArray[np.bool_], grid: Grid
) -> xr.DataArray:
    attrs = {k: v for k, v in raster.attrs.items() if k not in ("_FillValue", "nodata")}
    if values.dtype.kind == "f":
        values = np.where(valid, values, np.nan).astype(values.dtype)
    else:
        values = values.astype("int8") if values.dtype == bool else values
        nodata = _free_value(values, valid)
        values = np.where(valid, values, nodata).astype(values.dtype)
        attrs["nodata"] = nodata
    result = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), raster.name, attrs)
    return result.rio.write_crs(grid.crs)


def _free_value(values: NDArray, valid: NDArray[np.bool_]) -> int:
    """An integer that the type can hold and that no valid cell holds."""
    low, high = _limits(values.dtype)
    used = set(np.unique(values[valid]).tolist())
    for value in (INTEGER_NODATA, low, high - 1):
        if value in range(low, high) and value not in used:
            return value
    raise GridError(f"the raster uses both ends of {values.dtype}: store it in a wider type")
