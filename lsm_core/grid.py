"""Where a raster lies: its grid, whether two rasters share one, laying a raster on another grid.

"Same grid?" is one question asked at the door.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401  (gives every DataArray its `.rio`)
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform, transform_bounds

from lsm_core.errors import CrsError, GridError, SourceError
from lsm_core.lattice import TOLERANCE as TOLERANCE
from lsm_core.lattice import Bounds, crs_name
from lsm_core.lattice import Grid as Grid
from lsm_core.lattice import check_projected as check_projected
from lsm_core.resampling import INTEGER_NODATA as INTEGER_NODATA
from lsm_core.resampling import How as How
from lsm_core.resampling import free_value, limits, sampled, shifted, warped


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


def differs(a: Grid, b: Grid) -> str:
    """In words, how two grids differ; empty where they are one (corners within 0.01 of a cell).

    >>> grid = Grid((2, 3), Affine(10, 0, 500000, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> shifted = Grid((2, 3), Affine(10, 0, 500005, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> differs(grid, shifted)
    'corners lie 5 m apart'
    """
    if same_grid(a, b):
        return ""
    if a.crs != b.crs:
        return f"CRS {crs_name(a.crs)}, not {crs_name(b.crs)}"
    if a.shape != b.shape:
        return f"{a.shape[0]} x {a.shape[1]} cells, not {b.shape[0]} x {b.shape[1]}"
    return f"corners lie {apart(a, b):.3g} m apart"


def fit_of(raster: xr.DataArray, grid: Grid, how: str) -> str:
    """In words, how a raster comes to lie on a grid, for a report."""
    source = grid_of(north_up(raster), projected=False)
    if same_grid(source, grid):
        return f"on the area's grid (corners within {max(1000 * apart(source, grid), 0.01):.2g} mm)"
    if _offset(source, grid) is not None:
        return "on the area's cells, cut to it"
    unit = "degrees" if source.crs.is_geographic else "m"
    size = abs(source.transform.a) if unit == "degrees" else source.cell_size
    return f"laid on the grid by {how}, from cells of {size:.4g} {unit} ({crs_name(source.crs)})"


def apart(a: Grid, b: Grid) -> float:
    """Metres between the corners of two grids of one CRS and shape, at the corner farthest off."""
    return max(abs(p - q) for p, q in zip(a.bounds, b.bounds, strict=True)) * a.metres_per_unit


def join(layers: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Rasters that share a grid (`same_grid`) as one Dataset, on the coordinates of the first.

    xarray alone would compare coordinates to the last bit, and make gaps of the 0.1 mm by which
    rasters of one source differ. Nothing is resampled.

    Errors: a raster on another grid (GridError: how it differs, and the call that lays it).

    >>> axis = np.arange(3.0)
    >>> a = xr.DataArray(np.ones((3, 3)), {"y": -axis, "x": axis}, ("y", "x")).rio.write_crs(32643)
    >>> b = a.assign_coords(x=a.x + 1e-4)
    >>> dict(join({"a": a, "b": b}).sizes)
    {'y': 3, 'x': 3}
    """
    names = list(layers)
    first = layers[names[0]]
    grid, result = grid_of(first), {}
    for name, layer in layers.items():
        other = grid_of(layer)
        if not same_grid(other, grid):
            how = "bilinear" if np.issubdtype(layer.dtype, np.floating) else "nearest"
            call = f"grid.align({name}, grid_of({names[0]}), {how!r})"
            raise GridError(
                f"{name} lies on another grid than {names[0]}: {differs(other, grid)}. Lay it with "
                f"{call}, or as a file: {_warp(grid, how)}"
            )
        result[name] = layer.drop_vars("spatial_ref").assign_coords(y=first["y"], x=first["x"])
    return xr.Dataset(result).rio.write_crs(grid.crs)


def _warp(grid: Grid, how: str) -> str:
    """The command that lays a file on a grid."""
    left, bottom, right, top = (f"{edge:.12g}" for edge in grid.bounds)
    rows, cols = grid.shape
    method = "near" if how == "nearest" else how
    return (
        f"gdalwarp -t_srs {shlex.quote(crs_name(grid.crs))} -te {left} {bottom} {right} {top} "
        f"-ts {cols} {rows} -r {method} IN.tif OUT.tif"
    )


def crop(raster: xr.DataArray, grid: Grid, *, margin: int = 4) -> xr.DataArray:
    """The part of a raster (y, x), lazily, that laying it on a grid can use; north up.

    `margin` cells of the raster are kept around the grid, and enough for cells of the grid that are
    larger. A raster that does not overlap the grid comes back whole, for `align` to refuse.
    """
    raster = north_up(raster)
    source = grid_of(raster, projected=False)
    box = transform_bounds(grid.crs, source.crs, *grid.bounds)
    if not np.isfinite(box).all():
        return raster
    top, left, bottom, right = source.cover(box)
    tall, wide = (bottom - top) // grid.shape[0], (right - left) // grid.shape[1]
    keep = {
        "y": slice(max(0, top - margin - tall), max(0, bottom + margin + tall)),
        "x": slice(max(0, left - margin - wide), max(0, right + margin + wide)),
    }
    part = raster.isel(keep)
    return part if min(part.sizes["y"], part.sizes["x"]) > 1 else raster


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
    _check_overlap(raster, grid_of(raster, projected=False), grid)
    raster = crop(raster, grid)
    values, valid = values_of(raster)
    source = grid_of(raster, projected=False)
    offset = _offset(source, grid)
    if offset is not None:
        values, valid = shifted(values, offset, grid.shape), shifted(valid, offset, grid.shape)
    elif how in ("nearest", "bilinear"):
        values, valid = sampled(values, valid, source, grid, how == "bilinear")
    else:
        values, valid = warped(values, valid, source, grid, how)
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
    try:
        values = turned.data if lazy else np.asarray(turned.values)
    except OSError as error:  # met only now, for a raster is read when its cells are needed
        raise SourceError(
            f"{_name(raster)} cannot be read to its end ({error.__cause__ or error}): the file is "
            "damaged or cut short, or its server went away; fetch it again"
        ) from error
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones_like(values, dtype=bool)
    stated = {raster.rio.nodata, raster.attrs.get("nodata"), raster.rio.encoded_nodata} - {None}
    for nodata in filter(np.isfinite, stated):
        # as float64, -3.4e38 is not its float32: compare in the raster's type, if that holds it
        if values.dtype.kind == "f" or (
            values.dtype.kind in "iu" and int(nodata) in range(*limits(values.dtype))
        ):
            valid &= values != np.asarray(nodata).astype(values.dtype)
    return values, valid


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


def _labelled(
    raster: xr.DataArray, values: NDArray, valid: NDArray[np.bool_], grid: Grid
) -> xr.DataArray:
    attrs = {k: v for k, v in raster.attrs.items() if k not in ("_FillValue", "nodata")}
    if values.dtype.kind == "f":
        values = np.where(valid, values, np.nan).astype(values.dtype)
    else:
        values = values.astype("int8") if values.dtype == bool else values
        nodata = free_value(values, valid)
        values = np.where(valid, values, nodata).astype(values.dtype)
        attrs["nodata"] = nodata
    result = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), raster.name, attrs)
    return result.rio.write_crs(grid.crs)
