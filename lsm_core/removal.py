"""Ground where nothing that is detected is a landslide, from factors, sources or files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rasterio.features import rasterize

from lsm_core import catalog as sources
from lsm_core import rasters
from lsm_core.delineation_settings import Removal
from lsm_core.distance import distance_to
from lsm_core.errors import RecipeError, SourceError
from lsm_core.grid import Grid, align, crop, grid_of, north_up, values_of
from lsm_core.study_area import categories, factors

if TYPE_CHECKING:
    from hydromt import DataCatalog

Cells = NDArray[np.bool_]


def removal_mask(spec: Removal, ds: xr.Dataset, catalog: "DataCatalog | None" = None) -> Cells:
    """The cells (y, x) of a study area that a mask covers, its buffer with them.

    `spec.of` is looked for among the area's factors, then among the sources of the catalogue (of
    whose rasters the first band is taken), then as a vector file. Factor and raster cells count by
    class or value, cells without data never; of features every cell that they touch. The buffer is
    measured from features, or from the centres of the raster's cells, to a cell's centre.

    Errors: nothing of that name, or a file that cannot be read (SourceError, CatalogError); a class
    that there is not, or a rule where none is meant or none is given (RecipeError).
    """
    grid = grid_of(ds)
    if spec.of in factors(ds):
        return _around(_by_rule(spec, ds[spec.of]), grid, spec.buffer)
    if catalog is not None and spec.of in catalog.get_source_names():
        if sources.source(catalog, spec.of).data_type == "RasterDataset":
            stored = rasters.open_raster(catalog, spec.of)
            laid = align(crop(north_up(stored), grid), grid, "nearest")
            return _around(_by_rule(spec, laid), grid, spec.buffer)
        return _of_features(spec, sources.open_vector(catalog, spec.of), grid)
    if Path(spec.of).is_file():
        return _of_features(spec, sources.read_polygons(spec.of), grid)
    known = [*factors(ds), *(catalog.get_source_names() if catalog is not None else [])]
    raise SourceError(
        f"mask {spec.of}: no factor, source or file of that name: "
        f"{sources.did_you_mean(spec.of, [str(name) for name in known])}"
    )


def needs_catalog(specs: Iterable[Removal], ds: xr.Dataset) -> bool:
    """Whether any of the masks is neither a factor nor a file."""
    return any(s.of not in factors(ds) and not Path(s.of).is_file() for s in specs)


def _by_rule(spec: Removal, layer: xr.DataArray) -> Cells:
    values, known = values_of(layer)
    if layer.attrs.get("nodata") is not None:
        known = known & (values != layer.attrs["nodata"])
    if spec.classes:
        return known & np.isin(values, _codes(spec, layer))
    if spec.below is not None:
        return known & (np.where(known, values, np.inf) < spec.below)
    if spec.above is not None:
        return known & (np.where(known, values, -np.inf) > spec.above)
    raise RecipeError(
        f"mask {spec.of} is a raster: say where it counts, by classes ({spec.of}=5), or below or "
        f"above a number ({spec.of}<50)"
    )


def _codes(spec: Removal, layer: xr.DataArray) -> list[int]:
    """Codes of classes that are given by name or by number."""
    names = {name.lower(): code for code, name in categories(layer).items()}
    codes = []
    for given in spec.classes:
        text = str(given).strip().lower()
        if text in names:
            codes.append(names[text])
        elif text.lstrip("-").isdigit() and (not names or int(text) in names.values()):
            codes.append(int(text))
        else:
            near = sources.did_you_mean(str(given), list(categories(layer).values()))
            raise RecipeError(f"mask {spec.of} has no class {given!r}: {near}")
    return codes


def _of_features(spec: Removal, features: gpd.GeoDataFrame, grid: Grid) -> Cells:
    if spec.classes or spec.below is not None or spec.above is not None:
        raise RecipeError(f"mask {spec.of} holds features, which count where they lie: no rule")
    if features.crs is None:
        raise SourceError(f"mask {spec.of} has no CRS: write it into the file (ogr2ogr -a_srs)")
    shapes = features.geometry.to_crs(grid.crs.to_wkt())
    shapes = shapes[~(shapes.is_empty | shapes.isna())]
    if shapes.empty:
        return np.zeros(grid.shape, dtype=bool)
    touched = rasterize(shapes, grid.shape, transform=grid.transform, all_touched=True) > 0
    if not spec.buffer:
        return touched
    frame = gpd.GeoDataFrame(geometry=shapes)
    return touched | (distance_to(frame, grid).values <= spec.buffer)


def _around(cells: Cells, grid: Grid, buffer: float) -> Cells:
    if not buffer or not cells.any():
        return cells
    marked = xr.DataArray(cells, {"y": grid.y, "x": grid.x}, ("y", "x")).rio.write_crs(grid.crs)
    return distance_to(marked, grid).values <= buffer
