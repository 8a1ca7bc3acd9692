"""The study area: its contract and its folder.

A study area is an `xarray.Dataset` with dims (y, x): factors, `landslide`, `landslide_id` and
`valid`, and one `place` per landslide. On disk it is a folder: `area.zarr`, `inventory.gpkg`.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import AreaError, InventoryError
from lsm_core.grid import Grid, grid_of

KINDS = ("continuous", "categorical", "cyclic")
LAYERS = {"landslide": "uint8", "landslide_id": "int32", "valid": "bool"}
CHUNK = 512

# A Zarr group does not keep the order of its arrays, but that of the factors is that of a network's
# columns.
ORDER = "variables.json"


def workspace() -> Path:
    """Folder of built areas and runs: `LSM_WORKSPACE`, else `./workspace`."""
    return Path(os.environ.get("LSM_WORKSPACE", "workspace"))


def area_path(name: str) -> Path:
    """Where the built area of this name lies in the workspace."""
    return workspace() / "areas" / name


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


def check_area(ds: xr.Dataset) -> None:
    """Raise AreaError, CrsError, GridError or InventoryError, naming what is wrong, or pass.

    Checked: a straight north-up grid in a projected CRS; the layers and their types; kinds and
    units of factors, names of categories; landslide 0 or 1 and as landslide_id says, both classes,
    only on valid cells; places numbered 1 to n on the grid.
    """
    grid = grid_of(ds)
    for name, dtype in LAYERS.items():
        if name not in ds:
            raise AreaError(f"the study area has no {name!r}: prepare it again")
        if ds[name].dims != ("y", "x") or ds[name].dtype != dtype:
            raise AreaError(f"{name} is {ds[name].dtype} {ds[name].dims}, not {dtype} ('y', 'x')")
    if not factors(ds):
        raise AreaError("the study area has no factor (a variable with attribute `kind`)")
    for name in factors(ds):
        _check_factor(ds[name])
    _check_landslides(ds, grid)


def save_area(
    ds: xr.Dataset, path: str | Path, *, inventory: gpd.GeoDataFrame | None = None
) -> Path:
    """Check a study area and write its folder, whole or not at all; one that was there is replaced.

    `inventory` is written beside it (column landslide_id, the source's fields, geometry); without
    one, the places themselves as points. Returns the path.
    """
    check_area(ds)
    if inventory is None:
        points = gpd.points_from_xy(ds.place_x, ds.place_y, crs=grid_of(ds).crs.to_wkt())
        inventory = gpd.GeoDataFrame({"landslide_id": ds.place.values}, geometry=points)
    with _replacing(Path(path)) as folder:
        chunked = ds.drop_encoding().chunk(dict.fromkeys(("y", "x"), CHUNK))
        for name in [n for n, v in ds.variables.items() if v.dtype.kind == "U"]:
            chunked[name] = chunked[name].astype(object)  # Zarr has no text of fixed length
        for variable in chunked.variables.values():
            if {"y", "x"} <= set(variable.dims):
                variable.encoding["grid_mapping"] = "spatial_ref"
        chunked.to_zarr(folder / "area.zarr", mode="w", consolidated=False)
        (folder / ORDER).write_text(json.dumps([str(name) for name in ds.data_vars]))
        inventory.to_file(folder / "inventory.gpkg", layer="inventory", driver="GPKG")
    return Path(path)


def open_area(path: str | Path) -> xr.Dataset:
    """Open the study area in a folder, lazily, check it, and keep its order of variables."""
    path = Path(path)
    if not ((path / "area.zarr").is_dir() and (path / ORDER).is_file()):
        raise AreaError(f"no study area in {path}: build it with `lsm prepare {path.name}`")
    ds = xr.open_zarr(path / "area.zarr", decode_coords="all", consolidated=False)
    check_area(ds)
    order = json.loads((path / ORDER).read_text())
    return ds[order] if set(order) == set(ds.data_vars) else ds


def inventory(path: str | Path) -> gpd.GeoDataFrame:
    """The landslides of a study area's folder: landslide_id, the source's fields, geometry."""
    file = Path(path) / "inventory.gpkg"
    if not file.is_file():
        raise AreaError(f"no inventory in {path}: build it with `lsm prepare {Path(path).name}`")
    return gpd.read_file(file)


def _check_factor(da: xr.DataArray) -> None:
    kind = da.attrs["kind"]
    if kind not in KINDS:
        raise AreaError(f"{da.name} is of kind {kind!r}: one of {', '.join(KINDS)} is needed")
    dtype = "int16" if kind == "categorical" else "float32"
    if da.dims != ("y", "x") or da.dtype != dtype:
        raise AreaError(f"{da.name} ({kind}) is {da.dtype} {da.dims}, not {dtype} ('y', 'x')")
    if kind == "categorical" and not categories(da):
        raise AreaError(f"{da.name} is categorical but names no category (flag_values)")
    if "units" not in da.attrs:
        raise AreaError(f"{da.name} states no units: give '1' for a number without")


def _check_landslides(ds: xr.Dataset, grid: Grid) -> None:
    landslide, ids = ds.landslide.values, ds.landslide_id.values
    if not np.array_equal(landslide, ids > 0):
        raise AreaError("landslide must be 1 where landslide_id is above 0, and 0 elsewhere")
    if (ids[~ds.valid.values] > 0).any():
        raise AreaError("there are landslides on cells that are not valid: lay the inventory again")
    if not landslide.any():
        raise InventoryError("the study area has no landslide cell")
    if landslide[ds.valid.values].all():
        raise InventoryError("one class only: every valid cell of the study area is a landslide")
    if "place" not in ds.coords or not {"place_x", "place_y"} <= set(ds.data_vars):
        raise AreaError("the study area has no places (place, place_x, place_y): prepare it again")
    if not np.array_equal(ds.place, np.arange(1, ds.sizes["place"] + 1)) or (
        ids.max() > ds.sizes["place"]
    ):
        raise AreaError("places must be numbered 1 to n, and every landslide_id be one of them")
    rows, cols = grid.rowcol(ds.place_x.values, ds.place_y.values)
    if not _on_grid(rows, cols, grid).all():
        raise AreaError("there are places outside the grid")


def _on_grid(rows: NDArray, cols: NDArray, grid: Grid) -> NDArray[np.bool_]:
    return (rows >= 0) & (rows < grid.shape[0]) & (cols >= 0) & (cols < grid.shape[1])


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new folder beside `path` that takes its place when all went well, and vanishes if not."""
    mark = uuid.uuid4().hex[:8]
    new, old = (path.with_name(f".{path.name}.{kind}-{mark}") for kind in ("new", "old"))
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
    except OSError as error:
        raise AreaError(f"{path} could not be written ({error}): is the disk full?") from error
    finally:
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
