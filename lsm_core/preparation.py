"""From an area file to a study area: one YAML file and the catalogue in, one Dataset out.

`areas/balakot.yaml` shows every key of an area file.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import geopandas as gpd
import numpy as np
import psutil
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform_bounds

from lsm_core import catalog as sources
from lsm_core import rasters
from lsm_core.area_file import AreaFile, read_area_file
from lsm_core.errors import AreaError, CrsError, InventoryError
from lsm_core.grid import Grid, check_projected, crop, grid_of, north_up
from lsm_core.inventory import Laid, lay_inventory
from lsm_core.layers import Layers, lay_layers
from lsm_core.outlines import outlines
from lsm_core.screening import screen_area
from lsm_core.study_area import check_area
from lsm_core.unit_polygons import prepare_polygons
from lsm_core.unit_table import prepare_units
from lsm_core.units_file import PolygonsFile, UnitsFile

if TYPE_CHECKING:
    from hydromt import DataCatalog

    OnProgress = Callable[[str], object]

MOST_CELLS = 1_000_000_000
BYTES, BYTES_A_FACTOR = 100, 12  # of memory a cell takes: drainage and checks, and each factor


def prepare(
    area_file: str | Path, catalog: "DataCatalog", *, on_progress: "OnProgress | None" = None
) -> xr.Dataset:
    """The study area that an area file describes, in memory: nothing is written.

    Rasters are laid on the area's grid, terrain is derived from the DEM with its margin beyond the
    area, the inventory is given its cells. `valid` is where the DEM and every raster source have
    data, inside the mask. `attrs["prepared"]` holds, as JSON, the report (`lines`), `counts` and
    the area file; `attrs["fingerprints"]` the SHA-256 of each source. `on_progress(line)` gets each
    line of the report as it comes.

    Errors: see the area file, the catalogue, `grid.align` and `inventory.lay_inventory`.
    """
    return prepare_with_inventory(area_file, catalog, on_progress=on_progress).ds


class Prepared(NamedTuple):
    """A study area, and the landslides that were kept, for `study_area.save_area`.

    Of units it holds their geometry, None where they have none.
    """

    ds: xr.Dataset
    inventory: gpd.GeoDataFrame | None


def prepare_with_inventory(
    area_file: str | Path, catalog: "DataCatalog", *, on_progress: "OnProgress | None" = None
) -> Prepared:
    """`prepare`, with the inventory that belongs beside the area."""
    area = read_area_file(area_file)
    report = _Report(on_progress or (lambda line: None))
    if isinstance(area, UnitsFile):
        return Prepared(*prepare_units(area, catalog, report))
    if isinstance(area, PolygonsFile):
        return Prepared(*prepare_polygons(area, catalog, report))
    fingerprints = _fingerprints(area, catalog, report)
    grid, inside = _grid(area, catalog, report)
    layers = lay_layers(area, catalog, grid, inside, report)
    valid = layers.valid
    laid = _inventory(area, catalog, grid, valid, report)
    ds = _assemble(layers, laid, grid)
    counts = {"cells": valid.size, "valid_cells": int(valid.sum())}
    counts |= layers.counts | laid.counts
    found = screen_area(ds)
    for flag in found:
        report(f"MIND: {flag.words}")
    about = {"lines": report.lines, "counts": counts, "flags": [f._asdict() for f in found]}
    about["area_file"] = area.model_dump(mode="json", exclude_unset=True)
    ds.attrs = {"name": area.name, "title": area.title or area.name, "prepared": json.dumps(about)}
    ds.attrs["fingerprints"] = json.dumps(fingerprints)
    check_area(ds)
    return Prepared(ds, laid.inventory)


class _Report:
    """The lines said so far, passed on as they come."""

    def __init__(self, on_progress: "OnProgress") -> None:
        self.lines: list[str] = []
        self.on_progress = on_progress

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self.on_progress(line)


def _fingerprints(area: AreaFile, catalog: "DataCatalog", report: _Report) -> dict[str, str]:
    """Look up every source before any work is done; say whose checksum is not the catalogue's."""
    parts = [part.source for part in (area.dem, area.inventory) if part is not None]
    names: list[str | None] = [area.grid.like, area.grid.mask, *parts]
    names += area.image.sources if area.image else []
    for factor in area.factors:
        names += [factor.source, factor.density_of, factor.interpolate]
        names += [factor.distance_to] if not factor.stream_area else []
    used = list(dict.fromkeys(name for name in names if name is not None))
    result = sources.fingerprints(catalog, used, report)
    for name in used:
        path = sources.local_path(sources.source(catalog, name))
        if path is not None and path.suffix.lower() == ".vrt":
            report(f"warning: {name} is a VRT: its SHA-256 is of the list, not of the files in it")
        if said := rasters.stored_words(catalog, name):
            report(said)
    return result


def _grid(
    area: AreaFile, catalog: "DataCatalog", report: _Report
) -> tuple[Grid, NDArray[np.bool_]]:
    """The area's grid, and which of its cells are inside the mask."""
    spec = area.grid
    mask = sources.open_vector(catalog, spec.mask) if spec.mask else None
    if spec.like is not None:
        grid = grid_of(north_up(rasters.open_lattice(catalog, spec.like)))
        box = spec.extent or (_bounds_in(mask, grid.crs) if mask is not None else grid.bounds)
        top, left, bottom, right = grid.cover(box)
        rows, cols = grid.shape
        whole = grid.bounds
        grid = grid.window(max(top, 0), max(left, 0), min(bottom, rows), min(right, cols))
        if min(grid.shape) < 2:
            raise AreaError(f"the area's extent {box} does not overlap {spec.like} {whole}")
    else:
        grid = _grid_of_crs(area, catalog, mask)
    width, height = grid.step
    size = f"{width:.2f} m" if abs(width - height) < 0.01 else f"{width:.2f} x {height:.2f} m"
    like = f", like {spec.like}" if spec.like else f", {spec.crs}"
    report(f"grid: {grid.shape[0]} rows x {grid.shape[1]} columns, cells of {size}{like}")
    _check_memory(grid, len(area.factors), report)
    inside = np.ones(grid.shape, bool)
    if mask is not None:
        shapes = mask.geometry.to_crs(grid.crs.to_wkt()).dropna()
        inside = rasterize(shapes, grid.shape, transform=grid.transform).astype(bool)
        report(f"mask {spec.mask}: {inside.sum():,} cells have their centre inside")
    return grid, inside


def _check_memory(grid: Grid, factors: int, report: _Report) -> None:
    """Say what a large area needs, and refuse what the machine does not have."""
    gigabytes = math.prod(grid.shape) * (BYTES + BYTES_A_FACTOR * factors) / 1e9
    here = psutil.virtual_memory().total / 1e9
    if gigabytes > here:
        raise AreaError(
            f"{math.prod(grid.shape):,} cells with {factors} factors need about {gigabytes:,.0f} "
            f"GB of memory, this machine has {here:,.0f}: make grid.resolution coarser or "
            "grid.extent smaller"
        )
    if gigabytes > 1:
        report(f"about {gigabytes:.1f} GB of memory, of {here:,.0f} GB")


def _grid_of_crs(area: AreaFile, catalog: "DataCatalog", mask: gpd.GeoDataFrame | None) -> Grid:
    spec = area.grid
    try:
        crs = check_projected(CRS.from_user_input(spec.crs), "the area's grid")
    except CRSError as error:
        raise CrsError(f"{spec.crs!r} in the area file is no CRS ({error})") from None
    box = spec.extent or (_bounds_in(mask, crs) if mask is not None else None)
    if box is None:
        if area.dem is None:
            raise AreaError("the grid has no extent: state `extent`, `mask` or a `dem` to cover")
        dem = grid_of(north_up(rasters.open_lattice(catalog, area.dem.source)), projected=False)
        box = transform_bounds(dem.crs, crs, *dem.bounds)
    step = float(spec.resolution or 0)
    lattice = Grid((1, 1), Affine(step, 0, 0, 0, -step, 0), crs)
    grid = lattice.window(*lattice.cover(box))
    if grid.shape[0] * grid.shape[1] > MOST_CELLS or min(grid.shape) < 2:
        raise AreaError(
            f"a resolution of {step:g} makes {grid.shape[0]:,} x {grid.shape[1]:,} cells: it is in "
            "the units of the grid's CRS, like the extent"
        )
    return grid


def _bounds_in(features: gpd.GeoDataFrame, crs: CRS) -> tuple[float, float, float, float]:
    left, bottom, right, top = features.to_crs(crs.to_wkt()).total_bounds.tolist()
    return left, bottom, right, top


def _features(
    area: AreaFile, catalog: "DataCatalog", grid: Grid, report: _Report
) -> gpd.GeoDataFrame:
    """The inventory's features; those of a raster mask are made."""
    spec = area.inventory
    if sources.source(catalog, spec.source).data_type != "RasterDataset":
        strange = spec.model_fields_set & {"band", "time", "corners", "fewest"}
        if strange:
            raise AreaError(f"inventory.{min(strange)} is of a raster mask; {spec.source} is none")
        return sources.open_vector(catalog, spec.source)
    mask = crop(rasters.open_raster(catalog, spec.source, band=spec.band, time=spec.time), grid)
    date = f" ({mask.attrs['time']})" if "time" in mask.attrs else ""
    found = outlines(mask, corners=spec.corners, fewest=spec.fewest)
    codes = ", ".join(f"{value:g}" for value in found.values[:5])
    report(
        f"inventory {spec.source}{date}: {found.cells:,} cells of {codes} are "
        f"{len(found.landslides):,} patches of landslide; {found.missing:,} cells without data"
    )
    return found.landslides


def _inventory(
    area: AreaFile, catalog: "DataCatalog", grid: Grid, valid: NDArray[np.bool_], report: _Report
) -> Laid:
    features = _features(area, catalog, grid, report)
    for field, value in area.inventory.where.items():
        if field not in features:
            near = sources.did_you_mean(field, [str(c) for c in features.columns])
            raise InventoryError(f"{area.inventory.source} has no field {field!r}: {near}")
        chosen = features[features[field] == value]
        report(f"inventory: {len(chosen):,} of {len(features):,} features have {field} = {value}")
        features = chosen
    laid = lay_inventory(features, grid, valid)
    words = {
        "without_geometry": "without geometry, left out", "lines": "lines, left out",
        "repaired": "invalid, repaired", "copies": "exact copies of another, kept",
        "outside": "outside the area, left out",
        "without_data": "on cells without data, left out", "over_the_edge": "over the edge",
        "own_a_cell": "own a cell", "share_a_cell": "share one",
    }  # fmt: skip
    said = [f"{laid.counts[key]:,} {text}" for key, text in words.items() if laid.counts[key]]
    report(f"inventory {area.inventory.source}: {laid.counts['read']:,} read; {'; '.join(said)}")
    report(f"landslide cells: {laid.counts['landslide_cells']:,}")
    return laid


def _assemble(layers: Layers, laid: Laid, grid: Grid) -> xr.Dataset:
    ds = xr.Dataset(layers.factors, {"y": grid.y, "x": grid.x})
    if layers.image is not None:
        ds["image"] = layers.image.drop_vars(("y", "x", "spatial_ref"))
    ds["landslide"] = (("y", "x"), (laid.landslide_id > 0).astype("uint8"))
    ds["landslide_id"] = (("y", "x"), laid.landslide_id)
    ds["valid"] = (("y", "x"), layers.valid)
    ds = ds.assign_coords(place=laid.inventory["landslide_id"].to_numpy("int32"))
    ds["place_x"], ds["place_y"] = ("place", laid.x), ("place", laid.y)
    fields = laid.inventory.select_dtypes("number").columns.drop("landslide_id")
    for field in fields:
        if f"place_{field}" not in ds:
            ds[f"place_{field}"] = ("place", laid.inventory[field].to_numpy())
    return ds.rio.write_crs(grid.crs)
