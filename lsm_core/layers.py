"""The factors of an area file, each laid on the area's grid, and where all of them have data."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from lsm_core import catalog as sources
from lsm_core import distance, hydrology, imagery, legend, own_code, rasters, stations, terrain
from lsm_core.area_file import DERIVED, HYDROLOGY, AreaFile, FactorPart
from lsm_core.area_image import lay_image
from lsm_core.errors import AreaError, SourceError
from lsm_core.grid import INTEGER_NODATA, Grid, align, as_float, crop, fit_of, grid_of, north_up
from lsm_core.map_units import classes_of
from lsm_core.study_area import flags

if TYPE_CHECKING:
    from hydromt import DataCatalog

    Report = Callable[[str], object]

# Water comes from beyond the area: this much of the DEM around it is drained with it.
DRAINED_CELLS = 500
LOWEST, HIGHEST = -1000.0, 9000.0
KEPT = ("kind", "units", "long_name", "nodata", "flag_values", "flag_meanings", "flag_colors")


class Layers(NamedTuple):
    """Factors (y, x) in the order of the area file, its image (band, y, x), and the valid cells.

    `counts` says how many cells clouds hide.
    """

    factors: dict[str, xr.DataArray]
    image: xr.DataArray | None
    valid: NDArray[np.bool_]
    counts: dict[str, int]


class _Site(NamedTuple):
    """What every factor is made from: the area, its grid, and what is derived once for several."""

    area: AreaFile
    catalog: "DataCatalog"
    grid: Grid
    report: "Report"
    dem: xr.DataArray | None
    plain: xr.Dataset
    image: xr.DataArray | None


def lay_layers(
    area: AreaFile,
    catalog: "DataCatalog",
    grid: Grid,
    inside: NDArray[np.bool_],
    report: "Report",
) -> Layers:
    """Every factor of an area file on its grid; `report(line)` hears where each came from.

    Valid are the cells `inside` where the DEM, the image (`area_image.lay_image` says what becomes
    of clouds) and every raster or map of polygons have data. Terrain uses the DEM's margin beyond
    the grid, drainage up to 500 cells of it; water is accumulated once for all factors.

    Errors: those of the rooms that make the factors; no cell valid (SourceError).
    """
    dem, valid = _dem(area, catalog, grid, report), inside
    image, counts = None, dict[str, int]()
    if area.image is not None:
        image, seen, counts = lay_image(area.image, catalog, grid, report)
        valid = valid & seen
    site = _Site(area, catalog, grid, report, dem, _one_pass(area, dem), image)
    if dem is not None:
        valid = valid & np.isfinite(align(dem, grid, "nearest").values)
    factors = {}
    for spec in area.factors:
        factors[spec.name] = _factor(spec, site)
        if spec.source is not None:
            valid = valid & _has_data(factors[spec.name])
    report(f"valid: {valid.sum():,} of {valid.size:,} cells have data in every raster")
    if not valid.any():
        raise SourceError("no cell has data in every raster: check their extents and nodata values")
    return Layers(factors, image, valid, counts)


def _dem(
    area: AreaFile, catalog: "DataCatalog", grid: Grid, report: "Report"
) -> xr.DataArray | None:
    """The DEM on the lattice of the grid, with as much beyond it as the factors can use."""
    if area.dem is None:
        return None
    name = area.dem.source
    stored = rasters.open_raster(catalog, name, band=area.dem.band, time=area.dem.time)
    wet = any(f.derive in HYDROLOGY or f.stream_area for f in area.factors)
    radius = max([(f.radius or 0) for f in area.factors if f.derive] + [0])
    window = max([(f.window or 0) for f in area.factors] + [0])
    margin = max(DRAINED_CELLS * wet, int(radius / min(grid.step)) + 2, window // 2 + 1)
    have = grid_of(north_up(stored), projected=False)
    box = transform_bounds(have.crs, grid.crs, *have.bounds)
    top, left, bottom, right = grid.cover(box)
    rows, cols = grid.shape
    reach = grid.window(
        min(0, max(top, -margin)),
        min(0, max(left, -margin)),
        max(rows, min(bottom, rows + margin)),
        max(cols, min(right, cols + margin)),
    )
    raster = as_float(crop(stored, reach))
    low, high = float(raster.min()), float(raster.max())
    if low < LOWEST or high > HIGHEST:
        raise SourceError(
            f"{name} holds elevations from {low:g} to {high:g} m: state its nodata value in "
            "the catalogue that names it, the workspace's data_catalog.yaml for your own files "
            "(`metadata: {nodata: -9999}`); of a DEM in feet its `unit_mult`"
        )
    report(f"DEM {name}{_date(stored)}: {fit_of(stored, grid, 'bilinear')}")
    _doubt_feet(name, catalog, have, report)
    return align(raster, reach, "bilinear").rename("elevation")


def _doubt_feet(name: str, catalog: "DataCatalog", have: Grid, report: "Report") -> None:
    """Say that elevations are taken as metres where the DEM's CRS is in another unit."""
    if sources.source(catalog, name).data_adapter.unit_mult or not have.crs.is_projected:
        return
    if have.metres_per_unit != 1:
        report(
            f"MIND: the CRS of {name} is in {have.crs.linear_units}, its elevations are taken as "
            "metres: if they are not, state unit_mult in the catalogue, or slopes are wrong"
        )


def _date(raster: xr.DataArray) -> str:
    return f" ({raster.attrs['time']})" if "time" in raster.attrs else ""


def _one_pass(area: AreaFile, dem: xr.DataArray | None) -> xr.Dataset:
    """Terrain factors of one pass and upslope area, each done once, before the cut to the grid."""
    names = {f.derive for f in area.factors if f.derive in terrain.FACTORS and f.radius is None}
    if dem is None:
        return xr.Dataset()
    plain = terrain.derive(dem, sorted(filter(None, names))) if names else xr.Dataset()
    if any(f.derive in HYDROLOGY or f.stream_area for f in area.factors):
        plain["flow_accumulation"] = hydrology.flow_accumulation(dem)
    return plain


def _factor(spec: FactorPart, site: _Site) -> xr.DataArray:
    """One factor on the grid, in the types and with the attributes of a study area."""
    layer, origin = _made(spec, site)
    if spec.edges is not None:
        layer = distance.distance_classes(layer, spec.edges)
    attrs = {key: layer.attrs[key] for key in KEPT if key in layer.attrs}
    attrs["source"] = origin
    if spec.long_name or spec.derive is None:  # "distance to faults" says more than "to a feature"
        attrs["long_name"] = spec.long_name or spec.name.replace("_", " ")
    site.report(f"{spec.name}: {origin}")
    if spec.derive is not None and imagery.looks_after(spec.derive):
        site.report(
            f"MIND: {spec.name} looks at the image after the landslides: it finds those that are "
            "there, and says nothing of where others will be; leave it out of susceptibility"
        )
    labels = {spec.distance_to, spec.density_of} & {site.area.inventory.source}
    if labels:
        site.report(
            f"MIND: {spec.name} is measured from the landslides of the inventory itself: it knows "
            "where they are, and every score with it is flattered"
        )
    values = layer.values if attrs["kind"] == "categorical" else layer.values.astype("float32")
    return xr.DataArray(values, dims=("y", "x"), attrs=attrs)


def _made(spec: FactorPart, site: _Site) -> tuple[xr.DataArray, str]:
    """A factor's layer, and in words where it comes from."""
    area, catalog, grid = site.area, site.catalog, site.grid
    if spec.source is not None:
        if sources.source(catalog, spec.source).data_type == "RasterDataset":
            return _from_raster(spec, site)
        return _from_polygons(spec, site)
    if site.image is not None and _of_image(str(spec.derive)):
        layer = imagery.channel(site.image, str(spec.derive))
        return layer, f"from the image {site.image.attrs['source']}"
    if spec.derive is not None and site.dem is not None and area.dem is not None:
        layer = align(_derived(spec, site.dem, site), grid, "nearest")
        by = f" by {own_code.fingerprint()}" if spec.derive not in DERIVED else ""
        return layer, f"derived from {area.dem.source}{by}"
    if spec.stream_area and site.dem is not None and area.dem is not None:
        upslope = site.plain["flow_accumulation"]
        streams = hydrology.streams(site.dem, spec.stream_area, accumulation=upslope)
        origin = f"streams of {area.dem.source} that drain at least {spec.stream_area:,.0f} m2"
        return distance.distance_to(streams, grid), origin
    if spec.interpolate is not None:
        return _from_stations(spec, site)
    name = str(spec.density_of or spec.distance_to)
    near = sources.open_vector(catalog, name)
    if spec.density_of is not None:
        kernel = spec.kernel or "uniform"
        layer = distance.density_of(near, grid, spec.radius or 0, kernel=kernel)
        return layer, f"{name}, {kernel} within {spec.radius:g} m"
    return distance.distance_to(near, grid), f"{name}, {len(near):,} features"


def _of_image(name: str) -> bool:
    return name in imagery.INDICES or imagery.is_dated(name)


def _derived(spec: FactorPart, dem: xr.DataArray, site: _Site) -> xr.DataArray:
    if spec.derive not in DERIVED:
        return _of_own(spec, dem)
    if spec.derive == "elevation":
        return dem.assign_attrs(kind="continuous", units="m", long_name="elevation")
    if spec.derive in HYDROLOGY and spec.derive != "flow_accumulation":
        return getattr(hydrology, spec.derive)(dem, accumulation=site.plain["flow_accumulation"])
    if spec.derive == "relief":
        return terrain.relief(dem, spec.window or 0)
    if spec.radius is not None:
        position = terrain.slope_position if spec.derive == "slope_position" else terrain.tpi
        return position(dem, spec.radius)
    return site.plain[str(spec.derive)]


def _of_own(spec: FactorPart, dem: xr.DataArray) -> xr.DataArray:
    """A factor of one's own, checked; the DEM is handed over as a copy that says nothing of itself.

    What is computed from it would inherit its name and unit.
    """
    usual = {"kind": "continuous", "units": "1", "long_name": spec.name.replace("_", " ")}
    bare = dem.copy()
    bare.attrs = {key: value for key, value in dem.attrs.items() if key not in usual}
    sizes = {k: v for k in ("radius", "window") if (v := getattr(spec, k)) is not None}
    made = own_code.call(str(spec.derive), "factor", dem=bare, **sizes)
    if not isinstance(made, xr.DataArray) or made.shape != dem.shape:
        got = f"{type(made).__name__} of shape {getattr(made, 'shape', None)}"
        raise AreaError(
            f"{spec.derive} must give an xarray.DataArray on the DEM's {dem.shape} cells; got {got}"
        )
    attrs = usual | {key: made.attrs[key] for key in usual if key in made.attrs}
    if attrs["kind"] not in ("continuous", "cyclic"):
        raise AreaError(
            f"{spec.derive} is {attrs['kind']}: a factor of one's own is continuous or cyclic; "
            "classes come from a source, or from class limits in a recipe"
        )
    if attrs["kind"] == "cyclic" and attrs["units"] != "degrees":
        raise AreaError(
            f"{spec.derive} is cyclic, in {attrs['units']}: a cyclic factor is in degrees; if this "
            "is none, say kind='continuous' in its attrs (what comes of aspect inherits aspect's)"
        )
    return dem.copy(data=np.asarray(made.values, dtype=np.float32)).assign_attrs(attrs)


def _from_raster(spec: FactorPart, site: _Site) -> tuple[xr.DataArray, str]:
    name = str(spec.source)
    if spec.field is not None:
        raise SourceError(f"{spec.name}: `field` is of polygons, {name} is a raster: use `band`")
    raster = rasters.open_raster(site.catalog, name, band=spec.band, time=spec.time)
    classed = spec.kind == "categorical"
    how = spec.how or ("bilinear" if spec.kind == "continuous" else "nearest")
    origin = f"{name}{_date(raster)}, {fit_of(raster, site.grid, how)}"
    part = crop(raster, site.grid)
    if classed:
        return _classes(spec, site, align(part, site.grid, "nearest")), origin
    layer = align(as_float(part), site.grid, how)
    unit = sources.source(site.catalog, name).metadata.unit
    layer.attrs = {"kind": spec.kind, "units": spec.units or str(unit or "1")}
    return layer, origin


def _classes(spec: FactorPart, site: _Site, layer: xr.DataArray) -> xr.DataArray:
    """int16 codes with names and colours of those that occur."""
    nodata = layer.attrs.get("nodata")
    valid = np.isfinite(layer.values) if nodata is None else layer.values != nodata
    codes = np.unique(layer.values[valid])
    if ((codes != np.round(codes)) | (codes <= -32768) | (codes > 32767)).any():
        raise SourceError(
            f"{spec.source} is no raster of classes: it holds {codes[:5].tolist()}..., a class is "
            "a whole number from -32767 to 32767"
        )
    path = sources.local_path(sources.source(site.catalog, str(spec.source)))
    found = legend.legend_of(path, spec.names) if path else legend.Legend({}, {}, [])
    known = spec.categories or found.names
    names = {int(c): known.get(int(c), f"class {int(c)}") for c in codes}
    nameless = [code for code in names if code not in known]
    if nameless:
        site.report(
            f"{spec.name}: no name is known for {len(nameless)} of {len(names)} codes: {nameless}"
        )
    values = np.where(valid, layer.values, 0).astype("int16")
    values[~valid] = INTEGER_NODATA  # not in the line before: a uint8 raster would wrap it to 0
    return layer.copy(data=values).assign_attrs(_categorical(spec, names, found.colours))


def _categorical(
    spec: FactorPart, names: dict[int, str], colours: dict[int, str]
) -> dict[str, object]:
    attrs = {"kind": "categorical", "units": spec.units or "1", "nodata": INTEGER_NODATA}
    return {**attrs, **flags(names), **legend.flag_colors(sorted(names), colours)}


def _from_polygons(spec: FactorPart, site: _Site) -> tuple[xr.DataArray, str]:
    """Classes of a map of polygons: `field` names them, `categories` may rename the codes."""
    name = str(spec.source)
    if spec.field is None or spec.kind != "categorical":
        raise SourceError(
            f"{spec.name}: {name} holds features; of polygons state `kind: categorical` and the "
            "`field` of the class, of points use `interpolate`, `density_of` or `distance_to`"
        )
    drawn = classes_of(sources.open_vector(site.catalog, name), spec.field, site.grid)
    names = drawn.names | {c: n for c, n in (spec.categories or {}).items() if c in drawn.names}
    said = [
        (drawn.overlaps, "cells in polygons of several classes, the smallest polygon taken"),
        (drawn.holes, "cells in no polygon, not valid"),
        (drawn.repaired, "invalid polygons repaired"),
        (drawn.left_out, "features without polygon or class left out"),
    ]
    notes = "".join(f"; {count:,} {words}" for count, words in said if count)
    layer = drawn.classes.assign_attrs(_categorical(spec, names, {}))
    return layer, f"{name}, {len(names)} classes of {spec.field}{notes}"


def _from_stations(spec: FactorPart, site: _Site) -> tuple[xr.DataArray, str]:
    name = str(spec.interpolate)
    made = stations.interpolate(
        sources.open_vector(site.catalog, name),
        str(spec.field),
        site.grid,
        kernel=spec.method or "thin_plate_spline",
        smoothing=spec.smoothing or 0.0,
        least=spec.least,
    )
    unit = spec.units or sources.source(site.catalog, name).metadata.unit or "1"
    return made.layer.assign_attrs(units=str(unit)), f"{name}, {spec.field}: {made.words}"


def _has_data(layer: xr.DataArray) -> NDArray[np.bool_]:
    if layer.attrs["kind"] == "categorical":
        return layer.values != layer.attrs["nodata"]
    return np.isfinite(layer.values)
