"""The inventory laid on a grid: which landslide owns which cell, and where its place is."""

from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize

from lsm_core.errors import CrsError, InventoryError, SourceError
from lsm_core.file_kinds import check_first_bytes
from lsm_core.grid import TOLERANCE, Grid


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


def read_points(path: Path | str, crs: CRS) -> pd.DataFrame:
    """A person's own points, x and y in a CRS: of a vector file, or of a CSV's columns x and y.

    Features of a vector file (GeoPackage, Shapefile, GeoJSON) are brought to the CRS; those that
    are not points give a point inside. A CSV has no CRS: its x and y are taken to be in this one.
    Rows without finite coordinates are left out (their number is in `frame.attrs["left_out"]`).

    Raises
    ------
    SourceError : the file is missing, not readable or holds no point. CrsError : it has no CRS.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"no points at {path}: give the path of a CSV, GeoPackage or Shapefile")
    check_first_bytes(path)
    try:
        table = pd.read_csv(path) if path.suffix.lower() == ".csv" else gpd.read_file(path)
    except Exception as error:  # readers below pandas and GDAL raise whatever they like
        raise SourceError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if isinstance(table, gpd.GeoDataFrame):
        if table.crs is None:
            raise CrsError(f"{path} has no CRS: write it into the file (ogr2ogr -a_srs)")
        inside = table.geometry[~(table.geometry.is_empty | table.geometry.isna())]
        inside = inside.to_crs(crs).representative_point()
        frame = pd.DataFrame({"x": inside.x, "y": inside.y})
    elif {"x", "y"} <= set(table.columns):
        frame = table[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    else:
        raise SourceError(
            f"{path} has columns {', '.join(map(str, table.columns))}: x and y needed"
        )
    here = np.isfinite(frame.to_numpy(dtype=float)).all(axis=1)
    frame = pd.DataFrame(frame[here]).reset_index(drop=True)
    frame.attrs["left_out"] = len(table) - len(frame)
    if frame.empty:
        raise SourceError(f"{path} holds no point with finite x and y")
    return frame


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
            "check the CRS of the inventory, and in a table which column is x and which is y"
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
