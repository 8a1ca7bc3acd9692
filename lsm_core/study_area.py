"""The study area: its contract, its folder, and the inventory laid on its grid.

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
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.features import rasterize

from lsm_core.errors import AreaError, CrsError, InventoryError
from lsm_core.grid import TOLERANCE, Grid, grid_of

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


class Laid(NamedTuple):
    """An inventory on a grid: ids (y, x) int32, the landslides kept, their places, and counts."""

    landslide_id: NDArray[np.int32]
    inventory: gpd.GeoDataFrame
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    counts: dict[str, int]


def lay_inventory(features: gpd.GeoDataFrame, grid: Grid, valid: NDArray[np.bool_]) -> Laid:
    """Give each landslide of an inventory (points or polygons, any CRS) its cells.

    A cell belongs to the polygon that holds its centre, to the smallest where several do. A polygon
    that then owns none takes the cell of its representative point, unless that cell's owner would
    lose its only one: the two then share it. A point takes the cell it falls in, by the same rule.
    Only valid cells count. A place is the representative point of the part inside the grid, or,
    where that is not valid, the centre of the landslide's nearest own cell.

    Left out and counted: features without geometry, lines, those outside the grid or wholly on
    cells without data. Counted too: invalid polygons repaired, exact copies (kept), those over the
    edge (by more than 0.01 of a cell), those that own a cell and those that share one. Landslides
    are numbered from 1 in the order of the inventory.

    Errors: no feature, none inside (both bounding boxes are said), or no cell without a landslide
    (InventoryError).
    """
    counts = {"read": len(features)}
    if not len(features):
        raise InventoryError("the inventory is empty: it must hold at least one landslide")
    if features.crs is None:
        raise CrsError("the inventory has no CRS: state it in the data catalogue")
    kept = _usable(features, grid, counts)
    counts["copies"] = int(kept.geometry.to_wkb().duplicated().sum())
    if not len(kept):
        raise InventoryError(
            f"none of the {counts['read']} features is a point or a polygon: {counts['lines']} are "
            f"lines, {counts['without_geometry']} have no geometry"
        )
    kept = _inside(kept, grid, counts)
    owner = _by_centre(kept, grid, valid)
    _give_cells(owner, kept, grid, valid)
    return _numbered(owner, kept, grid, valid, counts)


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


def _usable(features: gpd.GeoDataFrame, grid: Grid, counts: dict[str, int]) -> gpd.GeoDataFrame:
    """Points and valid polygons in the grid's CRS, without heights."""
    kept = features.to_crs(grid.crs.to_wkt())
    geometry = shapely.force_2d(kept.geometry.to_numpy())
    dimension = shapely.get_dimensions(geometry)
    broken = ~shapely.is_valid(geometry) & (dimension == 2)
    geometry[broken] = shapely.make_valid(
        geometry[broken], method="structure", keep_collapsed=False
    )
    absent = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    counts["repaired"] = int((broken & ~absent).sum())
    counts["without_geometry"] = int(absent.sum())
    counts["lines"] = int(((dimension == 1) & ~absent).sum())
    use = ~absent & (dimension != 1)
    return kept.set_geometry(gpd.GeoSeries(geometry, index=kept.index, crs=kept.crs))[use]


def _inside(kept: gpd.GeoDataFrame, grid: Grid, counts: dict[str, int]) -> gpd.GeoDataFrame:
    """Those with a part inside the grid, and that part as column `_part`."""
    left, bottom, right, top = grid.bounds
    # a point on the right or lower edge falls in no cell
    sliver = 1e-6 * abs(grid.transform.a)
    rounding = TOLERANCE * abs(grid.transform.a)
    geometry = kept.geometry.to_numpy()
    part = shapely.intersection(geometry, shapely.box(left, bottom + sliver, right - sliver, top))
    inside = ~shapely.is_empty(part) & (
        shapely.get_dimensions(part) == shapely.get_dimensions(geometry)
    )
    counts["outside"] = int((~inside).sum())
    if not inside.any():
        raise InventoryError(
            "no landslide lies in the study area: the inventory covers "
            f"{_box(kept.total_bounds)}, the area {_box(grid.bounds)} (both in the area's CRS); "
            "check the CRS of the inventory"
        )
    edge = shapely.box(left - rounding, bottom - rounding, right + rounding, top + rounding)
    over = inside & ~shapely.covered_by(geometry, edge)
    counts["over_the_edge"] = int(over.sum())
    return kept.assign(_part=part)[inside].reset_index(drop=True)


def _box(bounds: NDArray | tuple[float, ...]) -> str:
    left, bottom, right, top = bounds
    return f"x {left:.7g} to {right:.7g}, y {bottom:.7g} to {top:.7g}"


def _by_centre(kept: gpd.GeoDataFrame, grid: Grid, valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number from 1 of the smallest polygon that holds each valid cell's centre; 0 for none."""
    owner = np.zeros(grid.shape, "int32")
    polygons = np.flatnonzero(shapely.get_dimensions(kept.geometry) == 2)
    polygons = polygons[np.argsort(-kept.geometry.area.to_numpy()[polygons], kind="stable")]
    if len(polygons):
        shapes = zip(kept.geometry.iloc[polygons], (polygons + 1).tolist(), strict=True)
        rasterize(shapes, out=owner, transform=grid.transform)
    return np.where(valid, owner, 0).astype("int32")


def _give_cells(
    owner: NDArray[np.int32], kept: gpd.GeoDataFrame, grid: Grid, valid: NDArray[np.bool_]
) -> None:
    """Let those without a cell take one, in the order of the inventory. Changes `owner`."""
    owned = np.bincount(owner.ravel(), minlength=len(kept) + 1)
    for i in np.flatnonzero(owned[1:] == 0):
        part = kept["_part"].iloc[i]
        points = part if shapely.get_dimensions(part) == 0 else part.representative_point()
        xy = shapely.get_coordinates(points)
        cells = [
            (r, c) for r, c in zip(*grid.rowcol(xy[:, 0], xy[:, 1]), strict=True) if valid[r, c]
        ]
        free = [cell for cell in cells if owner[cell] == 0]
        # a landslide of several points takes every free cell, else one that its owner can spare
        for cell in free or [c for c in cells if owned[owner[c]] > 1][:1]:
            owned[owner[cell]] -= 1
            owner[cell] = i + 1
            owned[i + 1] += 1


def _numbered(
    owner: NDArray[np.int32],
    kept: gpd.GeoDataFrame,
    grid: Grid,
    valid: NDArray[np.bool_],
    counts: dict[str, int],
) -> Laid:
    """Leave out who lies on no valid cell, number the rest, and find their places."""
    owns = np.bincount(owner.ravel(), minlength=len(kept) + 1)[1:] > 0
    points = shapely.get_coordinates(shapely.point_on_surface(kept["_part"].to_numpy()))
    rows, cols = grid.rowcol(points[:, 0], points[:, 1])
    stands = valid[rows, cols]
    for i in np.flatnonzero(owns & ~stands):
        own = np.column_stack(np.nonzero(owner == i + 1))
        row, col = own[np.abs(own - (rows[i], cols[i])).sum(axis=1).argmin()]
        points[i] = grid.xy(row, col)
    use = owns | stands
    number = np.concatenate([[0], np.where(use, np.cumsum(use), 0)]).astype("int32")
    ids = number[owner]
    counts["without_data"] = int((~use).sum())
    counts["kept"] = int(use.sum())
    counts["own_a_cell"] = int(owns.sum())
    counts["share_a_cell"] = int((use & ~owns).sum())
    counts["landslide_cells"] = int((ids > 0).sum())
    if not use.any():
        raise InventoryError(
            "every landslide lies on cells without data: check the nodata of factors"
        )
    if (ids[valid] > 0).all():
        raise InventoryError("one class only: every valid cell of the study area is a landslide")
    table = kept.drop(columns="_part")[use].reset_index(drop=True)
    taken = {c: f"{c}_source" for c in table.columns if str(c).lower() in ("fid", "landslide_id")}
    table = table.rename(columns=taken)
    table.insert(0, "landslide_id", np.arange(1, len(table) + 1, dtype="int32"))
    return Laid(ids, table, points[use, 0], points[use, 1], counts)
