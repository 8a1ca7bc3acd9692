"""The study area: its contract and its folder.

On a grid a study area is an `xarray.Dataset` with dims (y, x): factors, `landslide`, `landslide_id`
and `valid`, and one `place` per landslide. Of units (rows of a table, slope units) it has the dim
`unit`: factors, `landslide` and `valid`, where they are known the coordinates `x` and `y`, and
`landslide_count` and `unit_area` (m2). Rooms that look cells up by row and column take units as a
grid of one column. On disk both are a folder: `area.zarr` and `inventory.gpkg` or `units.gpkg`.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.area_store import check_format, check_store, write_format
from lsm_core.errors import AreaError, InventoryError, LsmError
from lsm_core.file_kinds import check_first_bytes, check_layers
from lsm_core.full_memory import ran_out
from lsm_core.geopackage import save_layer
from lsm_core.grid import Grid, check_projected, grid_of
from lsm_core.replacing import bring_back, replacing
from lsm_core.sound_blocks import sound_blocks
from lsm_core.workspace import area_path as area_path
from lsm_core.workspace import workspace as workspace

KINDS = ("continuous", "categorical", "cyclic")
LAYERS = {"landslide": "uint8", "landslide_id": "int32", "valid": "bool"}
UNIT_LAYERS = {"landslide": "uint8", "valid": "bool"}
CHUNK = 512
UNIT_CHUNK = 65536
SMALL, IN_MEMORY = 16_000_000, 256_000_000  # bytes of an area: always read at once; by a run

# A Zarr group does not keep the order of its arrays, but that of the factors is that of a network's
# columns.
ORDER = "variables.json"
OVER = "over.json"  # of an area that is another one but for some layers


def factors(ds: xr.Dataset) -> list[str]:
    """Names of the factors, in the area's order.

    >>> factors(xr.Dataset({"slope": ("y", [1.0], {"kind": "continuous"}), "valid": ("y", [True])}))
    ['slope']
    """
    return [str(n) for n in ds.data_vars if n not in LAYERS and "kind" in ds[n].attrs]


def categories(da: xr.DataArray) -> dict[int, str]:
    """Code to name of a categorical factor, from its `flag_values` and `flag_meanings`.

    >>> flags = {"flag_values": [1, 4], "flag_meanings": "Water Bare_soil"}
    >>> categories(xr.DataArray([1, 4], attrs=flags))
    {1: 'Water', 4: 'Bare soil'}
    """
    names = str(da.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(da.attrs.get("flag_values", [])).tolist()
    if len(names) != len(codes):
        raise AreaError(f"{da.name}: {len(codes)} flag_values but {len(names)} flag_meanings")
    return {int(c): name.replace("_", " ") for c, name in zip(codes, names, strict=True)}


def flags(names: dict[int, str]) -> dict[str, object]:
    """The CF attributes for these categories, in order of their codes."""
    words = ["_".join(name.split()) or f"class_{code}" for code, name in sorted(names.items())]
    return {"flag_values": sorted(names), "flag_meanings": " ".join(words)}


def is_units(ds: xr.Dataset) -> bool:
    """Whether a study area is made of units (table rows, slope units) and not of a grid's cells."""
    return "unit" in ds.dims


def shape_of(ds: xr.Dataset) -> tuple[int, int]:
    """Rows and columns of a grid; units count as rows of one column."""
    return (ds.sizes["unit"], 1) if is_units(ds) else (ds.sizes["y"], ds.sizes["x"])


def rows_of(ds: xr.Dataset, rows: slice) -> xr.Dataset:
    """Some rows of a grid, or some units."""
    return ds.isel({"unit" if is_units(ds) else "y": rows})


def layer(ds: xr.Dataset, name: str) -> NDArray[Any]:
    """Values of a variable in the area's shape: (y, x), or (unit, 1)."""
    return ds[name].to_numpy().reshape(shape_of(ds))


def cells_at(ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike) -> dict[str, xr.DataArray]:
    """Pointwise indexers of places, for `isel`; of units the row is the unit's position."""
    at = xr.DataArray(np.asarray(rows), dims="sample")
    if is_units(ds):
        return {"unit": at}
    return {"y": at, "x": xr.DataArray(np.asarray(cols), dims="sample")}


def factor_table(
    ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike, names: Iterable[str] | None = None
) -> pd.DataFrame:
    """Factors at places, one row each: float64, NaN where a value is missing, codes as they are.

    Names default to all factors.
    """
    cells = cells_at(ds, rows, cols)
    columns = {}
    for name in factors(ds) if names is None else names:
        da = ds[name]
        values = da.isel(cells).to_numpy()
        absent = values == da.attrs.get("nodata", np.nan)
        columns[name] = np.where(absent, np.nan, values.astype("float64"))
    return pd.DataFrame(columns)


def metres_per_unit(ds: xr.Dataset) -> float:
    """Length of the CRS's unit in metres; 1 where units state no CRS."""
    if not is_units(ds):
        return grid_of(ds).metres_per_unit
    crs = ds.rio.crs if "spatial_ref" in ds.coords else None
    return float(crs.linear_units_factor[1]) if crs else 1.0


def check_area(ds: xr.Dataset) -> None:
    """Raise AreaError, CrsError, GridError or InventoryError, naming what is wrong, or pass.

    Checked: a straight north-up grid in a projected CRS; the layers and their types; kinds and
    units of factors, names of categories; landslide 0 or 1 and as landslide_id says, both classes,
    only on valid cells; places numbered 1 to n on the grid. Of units: a number each, used once;
    landslide 1 where landslide_count is above 0; x and y together, in a projected CRS if any.
    """
    dims = ("unit",) if is_units(ds) else ("y", "x")
    grid = None if is_units(ds) else grid_of(ds)
    for name, dtype in (UNIT_LAYERS if is_units(ds) else LAYERS).items():
        if name not in ds:
            raise AreaError(f"the study area has no {name!r}: prepare it again")
        if ds[name].dims != dims or ds[name].dtype != dtype:
            raise AreaError(f"{name} is {ds[name].dtype} {ds[name].dims}, not {dtype} {dims}")
    if not factors(ds):
        raise AreaError("the study area has no factor (a variable with attribute `kind`)")
    for name in factors(ds):
        _check_factor(ds[name], dims)
    if "image" in ds and (ds["image"].dims != ("band", "y", "x") or "band" not in ds.coords):
        raise AreaError(
            f"image has dimensions {ds['image'].dims}, not ('band', 'y', 'x') with names in `band`"
        )
    if grid is None:
        _check_units(ds)
    else:
        _check_landslides(ds, grid)


def save_area(
    ds: xr.Dataset, path: str | Path, *, inventory: gpd.GeoDataFrame | None = None
) -> Path:
    """Check a study area and write its folder, whole or not at all; one that was there is replaced.

    `inventory` is written beside it (column landslide_id, the source's fields, geometry); without
    one, the places themselves as points. Of units it holds the units (column unit, geometry): their
    polygons, or without one the points x and y, if there are any. Returns the path.
    """
    check_area(ds)
    if inventory is None:
        inventory = _points_of(ds)
    with replacing(Path(path)) as folder:
        write_format(folder)
        sizes = {"unit": UNIT_CHUNK} if is_units(ds) else dict.fromkeys(("y", "x"), CHUNK)
        chunked = ds.drop_encoding().chunk(sizes)
        for name in [n for n, v in ds.variables.items() if v.dtype.kind == "U"]:
            chunked[name] = chunked[name].astype(object)  # Zarr has no text of fixed length
        for variable in chunked.variables.values():
            if {"y", "x"} <= set(variable.dims):
                variable.encoding["grid_mapping"] = "spatial_ref"
        chunked.to_zarr(folder / "area.zarr", mode="w", consolidated=False)
        (folder / ORDER).write_text(json.dumps([str(name) for name in ds.data_vars]))
        if inventory is not None:
            kind = "units" if is_units(ds) else "inventory"
            save_layer(folder / f"{kind}.gpkg", inventory, kind)
    return Path(path)


def save_over(
    layers: xr.Dataset, path: str | Path, *, over: str | Path, inventory: gpd.GeoDataFrame
) -> Path:
    """Write an area that is another one (`over`) but for some layers, its places and attributes.

    Only these are written; `open_area` reads the rest where it lies. Returns the path.
    """
    with replacing(Path(path)) as folder:
        write_format(folder)
        layers.drop_encoding().to_zarr(folder / "area.zarr", mode="w", consolidated=False)
        (folder / OVER).write_text(json.dumps(str(Path(over).resolve())))
        save_layer(folder / "inventory.gpkg", inventory, "inventory")
    open_area(path)
    return Path(path)


def built_at(path: str | Path) -> int:
    """When the area in a folder was built, as a number that is another for every building."""
    return (Path(path) / "area.zarr" / "zarr.json").stat().st_mtime_ns


def _open_over(path: Path, up_to: int) -> xr.Dataset:
    below = Path(_stored(path / OVER, str))
    if not below.is_dir():
        raise AreaError(f"{path} stands on the study area {below}, which is gone: prepare it again")
    if (below / OVER).is_file():
        raise AreaError(f"{path} stands on {below}, which stands on another: prepare it again")
    base = open_area(below, up_to=up_to)
    mine = _opened(path)
    names = [str(n) for n in base.data_vars if "place" not in base[n].dims]
    ds = base[names].drop_vars("place", errors="ignore").assign(mine.data_vars)
    ds.attrs = mine.attrs
    check_area(ds)
    return ds


def open_area(path: str | Path, *, up_to: int = SMALL) -> xr.Dataset:
    """Open the study area in a folder, check it, and keep its order of variables.

    A grid of more than `up_to` bytes is opened lazily; a smaller one is read at once, which is
    sooner where it is asked often, and so are units, which are a table.
    """
    path = Path(path)
    bring_back(path)
    check_format(path)
    if (path / OVER).is_file():
        return _open_over(path, up_to)
    if not ((path / "area.zarr").is_dir() and (path / ORDER).is_file()):
        how = "lsm sample" if path.name == "sample" else f"lsm prepare {path.name}"
        raise AreaError(f"no study area in {path}: build it with `{how}`")
    order = _stored(path / ORDER, list)
    ds = _opened(path, decode_coords="all")
    ds = _reading(path, ds.load) if is_units(ds) or ds.nbytes <= up_to else ds
    _reading(path, lambda: check_area(ds))
    return ds[order] if set(map(str, order)) == set(ds.data_vars) else ds


def _opened(path: Path, **how: Any) -> xr.Dataset:
    check_store(path)
    with sound_blocks():
        ds: xr.Dataset = _reading(
            path, lambda: xr.open_zarr(path / "area.zarr", consolidated=False, **how)
        )
    return ds


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    """What `read()` gives; what Zarr, xarray and rioxarray complain of, in words."""
    try:
        return read()
    except LsmError:
        raise
    except Exception as error:  # they raise whatever they like
        if ran_out(error):
            raise
        words = " ".join(str(error).split())[:200]
        raise AreaError(
            f"the study area in {path} cannot be read ({words}): build it again with `lsm prepare`"
        ) from error


def _stored(path: Path, kind: type) -> Any:
    """A small JSON file of an area."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AreaError(f"{path} was not written by this program: {error}") from None
    if not isinstance(found, kind):
        raise AreaError(f"{path} was not written by this program: it holds {str(found)[:60]}")
    return found


def inventory(path: str | Path) -> gpd.GeoDataFrame:
    """The landslides of a study area's folder: landslide_id, the source's fields, geometry."""
    return _beside(path, "inventory")


def units_of(path: str | Path) -> gpd.GeoDataFrame:
    """The units of a study area's folder with their geometry: column unit, points or polygons.

    Raises AreaError where the units have no place, or the area is a grid.
    """
    return _beside(path, "units")


def _beside(path: str | Path, kind: str) -> gpd.GeoDataFrame:
    file = Path(path) / f"{kind}.gpkg"
    if not file.is_file():
        raise AreaError(f"no {kind} in {path}: build it with `lsm prepare {Path(path).name}`")
    check_first_bytes(file)
    check_layers(file)
    return _reading(file, lambda: gpd.read_file(file))


def _points_of(ds: xr.Dataset) -> gpd.GeoDataFrame | None:
    """Places of landslides, or of units; None where units have none."""
    if not is_units(ds):
        points = gpd.points_from_xy(ds.place_x, ds.place_y, crs=grid_of(ds).crs.to_wkt())
        return gpd.GeoDataFrame({"landslide_id": ds.place.values}, geometry=points)
    if "x" not in ds.coords:
        return None
    crs = ds.rio.crs if "spatial_ref" in ds.coords else None
    points = gpd.points_from_xy(ds["x"], ds["y"], crs=crs.to_wkt() if crs else None)
    return gpd.GeoDataFrame({"unit": ds["unit"].values}, geometry=points)


def _check_factor(da: xr.DataArray, dims: tuple[str, ...]) -> None:
    kind = da.attrs["kind"]
    if kind not in KINDS:
        raise AreaError(f"{da.name} is of kind {kind!r}: one of {', '.join(KINDS)} is needed")
    dtype = "int16" if kind == "categorical" else "float32"
    if da.dims != dims or da.dtype != dtype:
        raise AreaError(f"{da.name} ({kind}) is {da.dtype} {da.dims}, not {dtype} {dims}")
    if kind == "categorical" and not categories(da):
        raise AreaError(f"{da.name} is categorical but names no category (flag_values)")
    if "units" not in da.attrs:
        raise AreaError(f"{da.name} states no units: give '1' for a number without")


def _check_units(ds: xr.Dataset) -> None:
    if "unit" not in ds.coords or not ds.indexes["unit"].is_unique:
        raise AreaError(
            "every unit needs a number of its own (coordinate `unit`): prepare it again"
        )
    landslide = ds["landslide"].to_numpy()
    if "landslide_count" in ds and not np.array_equal(landslide, ds["landslide_count"] > 0):
        raise AreaError("landslide must be 1 where landslide_count is above 0, and 0 elsewhere")
    found = np.unique(landslide[ds["valid"].to_numpy()]).tolist()
    if found != [0, 1]:
        raise InventoryError(f"units with and without a landslide are needed, got labels {found}")
    if ("x" in ds.coords) != ("y" in ds.coords):
        raise AreaError("units have x and y, or neither: prepare the area again")
    if "spatial_ref" in ds.coords:
        check_projected(ds.rio.crs, "the units' coordinates")


def _check_landslides(ds: xr.Dataset, grid: Grid) -> None:
    landslide, ids, valid = ds["landslide"], ds["landslide_id"], ds["valid"]
    # In one pass, chunk by chunk: an area may be larger than memory.
    of_layers = {
        "apart": (landslide != (ids > 0)).any(),
        "on gaps": ((ids > 0) & ~valid).any(),
        "none": (landslide == 0).all(),
        "all": ((landslide == 1) | ~valid).all(),
        "last": ids.max(),
    }
    told = {name: found.item() for name, found in xr.Dataset(of_layers).compute().items()}
    if told["apart"]:
        raise AreaError("landslide must be 1 where landslide_id is above 0, and 0 elsewhere")
    if told["on gaps"]:
        raise AreaError("there are landslides on cells that are not valid: lay the inventory again")
    if told["none"]:
        raise InventoryError("the study area has no landslide cell")
    if told["all"]:
        raise InventoryError("one class only: every valid cell of the study area is a landslide")
    if "place" not in ds.coords or not {"place_x", "place_y"} <= set(ds.data_vars):
        raise AreaError("the study area has no places (place, place_x, place_y): prepare it again")
    if not np.array_equal(ds.place, np.arange(1, ds.sizes["place"] + 1)) or (
        told["last"] > ds.sizes["place"]
    ):
        raise AreaError("places must be numbered 1 to n, and every landslide_id be one of them")
    rows, cols = grid.rowcol(ds.place_x.values, ds.place_y.values)
    if not _on_grid(rows, cols, grid).all():
        raise AreaError("there are places outside the grid")


def _on_grid(rows: NDArray, cols: NDArray, grid: Grid) -> NDArray[np.bool_]:
    return (rows >= 0) & (rows < grid.shape[0]) & (cols >= 0) & (cols < grid.shape[1])
