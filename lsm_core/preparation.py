"""From an area file to a study area: one YAML file and the catalogue in, one Dataset out.

`areas/balakot.yaml` shows every key of an area file.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import geopandas as gpd
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform_bounds

from lsm_core import catalog as sources
from lsm_core import distance, hydrology, legend, rasters, terrain
from lsm_core.area_file import HYDROLOGY, AreaFile, FactorPart, UnitsFile, read_area_file
from lsm_core.errors import AreaError, CrsError, InventoryError, SourceError
from lsm_core.grid import (
    INTEGER_NODATA,
    Grid,
    align,
    as_float,
    check_projected,
    grid_of,
    north_up,
)
from lsm_core.inventory import Laid, lay_inventory
from lsm_core.screening import screen_area
from lsm_core.study_area import check_area, flags
from lsm_core.unit_table import prepare_units

if TYPE_CHECKING:
    from hydromt import DataCatalog

    OnProgress = Callable[[str], object]

# Water comes from beyond the area: this much of the DEM around it is drained with it.
DRAINED_CELLS = 500
MOST_CELLS = 1_000_000_000
LOWEST, HIGHEST = -1000.0, 9000.0


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
    fingerprints = _fingerprints(area, catalog, report)
    grid, inside = _grid(area, catalog, report)
    layers, valid = _layers(area, catalog, grid, inside, report)
    laid = _inventory(area, catalog, grid, valid, report)
    ds = _assemble(layers, laid, grid, valid)
    counts = {"cells": valid.size, "valid_cells": int(valid.sum()), **laid.counts}
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
    names = [area.grid.like, area.grid.mask, area.dem, area.inventory.source]
    for factor in area.factors:
        names += [factor.source, factor.density_of]
        names += [factor.distance_to] if not factor.stream_area else []
    return sources.fingerprints(catalog, [n for n in names if n is not None], report)


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
    inside = np.ones(grid.shape, bool)
    if mask is not None:
        shapes = mask.geometry.to_crs(grid.crs.to_wkt()).dropna()
        inside = rasterize(shapes, grid.shape, transform=grid.transform).astype(bool)
        report(f"mask {spec.mask}: {inside.sum():,} cells have their centre inside")
    return grid, inside


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
        dem = grid_of(north_up(rasters.open_raster(catalog, area.dem)), projected=False)
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


def _dem(area: AreaFile, catalog: "DataCatalog", grid: Grid) -> xr.DataArray | None:
    """The DEM on the lattice of the grid, with as much beyond it as the factors can use."""
    if area.dem is None:
        return None
    raster = as_float(rasters.open_raster(catalog, area.dem))
    low, high = float(raster.min()), float(raster.max())
    if low < LOWEST or high > HIGHEST:
        raise SourceError(
            f"{area.dem} holds elevations from {low:g} to {high:g} m: state its nodata value in "
            "the catalogue (`metadata: {nodata: -9999}`), or `unit_mult` of a DEM in feet"
        )
    wet = any(f.derive in HYDROLOGY or f.stream_area for f in area.factors)
    radius = max([(f.radius or 0) for f in area.factors if f.derive] + [0])
    window = max([(f.window or 0) for f in area.factors] + [0])
    margin = max(DRAINED_CELLS * wet, int(radius / min(grid.step)) + 2, window // 2 + 1)
    have = grid_of(raster, projected=False)
    box = transform_bounds(have.crs, grid.crs, *have.bounds)
    top, left, bottom, right = grid.cover(box)
    rows, cols = grid.shape
    reach = grid.window(
        min(0, max(top, -margin)),
        min(0, max(left, -margin)),
        max(rows, min(bottom, rows + margin)),
        max(cols, min(right, cols + margin)),
    )
    return align(raster, reach, "bilinear").rename("elevation")


def _doubt_feet(area: AreaFile, catalog: "DataCatalog", report: _Report) -> None:
    """Say that elevations are taken as metres where the DEM's CRS is in another unit."""
    if area.dem is None or sources.source(catalog, area.dem).data_adapter.unit_mult:
        return
    crs = rasters.open_raster(catalog, area.dem).rio.crs
    if crs.is_projected and crs.linear_units_factor[1] != 1:
        report(
            f"MIND: the CRS of {area.dem} is in {crs.linear_units}, its elevations are taken as "
            "metres: if they are not, state unit_mult in the catalogue, or slopes are wrong"
        )


def _one_pass(area: AreaFile, dem: xr.DataArray | None) -> xr.Dataset:
    """Terrain factors of one pass and upslope area, each done once, before the cut to the grid."""
    names = {f.derive for f in area.factors if f.derive in terrain.FACTORS and f.radius is None}
    if dem is None:
        return xr.Dataset()
    plain = terrain.derive(dem, sorted(filter(None, names))) if names else xr.Dataset()
    if any(f.derive in HYDROLOGY or f.stream_area for f in area.factors):
        plain["flow_accumulation"] = hydrology.flow_accumulation(dem)
    return plain


def _factor(
    spec: FactorPart,
    area: AreaFile,
    catalog: "DataCatalog",
    grid: Grid,
    dem: xr.DataArray | None,
    plain: xr.Dataset,
    report: _Report,
) -> xr.DataArray:
    """One factor on the grid, in the types and with the attributes of a study area."""
    if spec.source is not None:
        layer, origin = _from_raster(spec, catalog, grid, report), spec.source
    elif spec.derive is not None and dem is not None:
        layer = align(_derived(spec, dem, plain), grid, "nearest")
        origin = f"derived from {area.dem}"
    elif spec.distance_to == "streams" and dem is not None:
        upslope = plain["flow_accumulation"]
        streams = hydrology.streams(dem, spec.stream_area or 0, accumulation=upslope)
        layer = distance.distance_to(streams, grid)
        origin = f"streams of {area.dem} that drain at least {spec.stream_area:g} m2"
    elif spec.density_of is not None:
        near = sources.open_vector(catalog, spec.density_of)
        layer, origin = distance.density_of(near, grid, spec.radius or 0), spec.density_of
    else:
        name = str(spec.distance_to)
        layer, origin = distance.distance_to(sources.open_vector(catalog, name), grid), name
    kept = ("kind", "units", "long_name", "nodata", "flag_values", "flag_meanings")
    attrs = {key: layer.attrs[key] for key in kept if key in layer.attrs}
    attrs["source"] = origin
    if spec.long_name or spec.derive is None:  # "distance to faults" says more than "to a feature"
        attrs["long_name"] = spec.long_name or spec.name.replace("_", " ")
    report(f"{spec.name}: {origin}")
    values = layer.values if attrs["kind"] == "categorical" else layer.values.astype("float32")
    return xr.DataArray(values, dims=("y", "x"), attrs=attrs)


def _derived(spec: FactorPart, dem: xr.DataArray, plain: xr.Dataset) -> xr.DataArray:
    if spec.derive == "elevation":
        return dem.assign_attrs(kind="continuous", units="m", long_name="elevation")
    if spec.derive in HYDROLOGY and spec.derive != "flow_accumulation":
        return getattr(hydrology, spec.derive)(dem, accumulation=plain["flow_accumulation"])
    if spec.derive == "relief":
        return terrain.relief(dem, spec.window or 0)
    if spec.radius is not None:
        position = terrain.slope_position if spec.derive == "slope_position" else terrain.tpi
        return position(dem, spec.radius)
    return plain[str(spec.derive)]


def _from_raster(
    spec: FactorPart, catalog: "DataCatalog", grid: Grid, report: _Report
) -> xr.DataArray:
    raster = rasters.open_raster(catalog, str(spec.source), band=spec.band)
    if spec.kind == "categorical":
        return _classes(spec, catalog, align(raster, grid, "nearest"), report)
    how = spec.how or ("bilinear" if spec.kind == "continuous" else "nearest")
    layer = align(as_float(raster), grid, how)
    unit = sources.source(catalog, str(spec.source)).metadata.unit
    layer.attrs = {"kind": spec.kind, "units": spec.units or str(unit or "1")}
    return layer


def _classes(
    spec: FactorPart, catalog: "DataCatalog", layer: xr.DataArray, report: _Report
) -> xr.DataArray:
    """int16 codes with the names of those that occur."""
    nodata = layer.attrs.get("nodata")
    valid = np.isfinite(layer.values) if nodata is None else layer.values != nodata
    codes = np.unique(layer.values[valid])
    if ((codes != np.round(codes)) | (codes <= -32768) | (codes > 32767)).any():
        raise SourceError(
            f"{spec.source} is no raster of classes: it holds {codes[:5].tolist()}..., a class is "
            "a whole number from -32767 to 32767"
        )
    path = sources.local_path(sources.source(catalog, str(spec.source)))
    known = spec.categories or (legend.category_names(path, spec.names) if path else {})
    names = {int(c): known.get(int(c), f"class {int(c)}") for c in codes}
    nameless = [code for code in names if code not in known]
    if nameless:
        report(
            f"{spec.name}: no name is known for {len(nameless)} of {len(names)} codes: {nameless}"
        )
    values = np.where(valid, layer.values, 0).astype("int16")
    values[~valid] = INTEGER_NODATA  # not in the line before: a uint8 raster would wrap it to 0
    attrs = {
        "kind": "categorical",
        "units": spec.units or "1",
        "nodata": INTEGER_NODATA,
        **flags(names),
    }
    return layer.copy(data=values).assign_attrs(attrs)


def _layers(
    area: AreaFile,
    catalog: "DataCatalog",
    grid: Grid,
    inside: NDArray[np.bool_],
    report: _Report,
) -> tuple[dict[str, xr.DataArray], NDArray[np.bool_]]:
    """Every factor in order, and the cells inside where all rasters have data."""
    dem, valid = _dem(area, catalog, grid), inside
    _doubt_feet(area, catalog, report)
    if dem is not None:
        valid = valid & np.isfinite(align(dem, grid, "nearest").values)
    plain = _one_pass(area, dem)
    layers = {}
    for spec in area.factors:
        layers[spec.name] = _factor(spec, area, catalog, grid, dem, plain, report)
        if spec.source is not None:
            valid = valid & _has_data(layers[spec.name])
    report(f"valid: {valid.sum():,} of {valid.size:,} cells have data in every raster")
    if not valid.any():
        raise SourceError("no cell has data in every raster: check their extents and nodata values")
    return layers, valid


def _has_data(layer: xr.DataArray) -> NDArray[np.bool_]:
    if layer.attrs["kind"] == "categorical":
        return layer.values != layer.attrs["nodata"]
    return np.isfinite(layer.values)


def _inventory(
    area: AreaFile, catalog: "DataCatalog", grid: Grid, valid: NDArray[np.bool_], report: _Report
) -> Laid:
    features = sources.open_vector(catalog, area.inventory.source)
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


def _assemble(
    layers: dict[str, xr.DataArray], laid: Laid, grid: Grid, valid: NDArray[np.bool_]
) -> xr.Dataset:
    ds = xr.Dataset(layers, {"y": grid.y, "x": grid.x})
    ds["landslide"] = (("y", "x"), (laid.landslide_id > 0).astype("uint8"))
    ds["landslide_id"] = (("y", "x"), laid.landslide_id)
    ds["valid"] = (("y", "x"), valid)
    ds = ds.assign_coords(place=laid.inventory["landslide_id"].to_numpy("int32"))
    ds["place_x"], ds["place_y"] = ("place", laid.x), ("place", laid.y)
    fields = laid.inventory.select_dtypes("number").columns.drop("landslide_id")
    for field in fields:
        if f"place_{field}" not in ds:
            ds[f"place_{field}"] = ("place", laid.inventory[field].to_numpy())
    return ds.rio.write_crs(grid.crs)
