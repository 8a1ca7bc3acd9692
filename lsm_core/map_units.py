"""Polygons of a geological, soil or land-cover map as classes on a grid."""

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.features import rasterize

from lsm_core.errors import CrsError, SourceError
from lsm_core.grid import INTEGER_NODATA
from lsm_core.lattice import Grid


class Drawn(NamedTuple):
    """Classes (y, x) int16 with `attrs["nodata"]`; code to name; and what does not fit together.

    `overlaps` counts cells whose centre lies in polygons of more than one class, `holes` those in
    none; `repaired` and `left_out` count polygons that were invalid, or none at all.
    """

    classes: xr.DataArray
    names: dict[int, str]
    overlaps: int
    holes: int
    repaired: int
    left_out: int


def classes_of(features: gpd.GeoDataFrame, field: str, grid: Grid) -> Drawn:
    """The class in `field` of the polygon that holds each cell's centre, on a grid.

    Whole numbers in `field` are the codes; texts get codes from 1 in alphabetical order, and are
    the names. Where polygons of several classes hold a centre, the smallest polygon counts, as the
    inset of a map does; a cell in none is nodata.

    Errors: no such field, more than 32,767 classes, no polygon over the grid (SourceError); no CRS
    (CrsError).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((1, 3), Affine(10, 0, 0, 0, -10, 10), CRS.from_epsg(32643))
    >>> rocks = [shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)]
    >>> rocks = gpd.GeoDataFrame({"rock": ["marl", "granite"]}, geometry=rocks, crs=32643)
    >>> drawn = classes_of(rocks, "rock", grid)
    >>> drawn.classes.values.tolist(), drawn.names, drawn.holes
    ([[2, 1, -32768]], {1: 'granite', 2: 'marl'}, 1)
    """
    if features.crs is None:
        raise CrsError("the polygons have no CRS: state it in the data catalogue")
    if field not in features:
        fields = ", ".join(str(c) for c in features.columns if c != features.geometry.name)
        raise SourceError(f"the polygons have no field {field!r}: they have {fields}")
    shapes = shapely.force_2d(features.geometry.to_crs(grid.crs.to_wkt()).to_numpy())
    use = (shapely.get_dimensions(shapes) == 2) & ~shapely.is_empty(shapes)
    use &= features[field].notna().to_numpy()
    shapes, values = shapes[use], features[field].to_numpy()[use]
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    codes, names = _codes(values, field)
    order = np.argsort(-shapely.area(shapes), kind="stable")
    drawn = _burn(shapes[order], codes[order], grid)
    if (drawn == 0).all() and not _covers(shapes, grid):
        raise SourceError("no polygon lies over the study area: check the CRS of the polygons")
    first = _burn(shapes[order[::-1]], codes[order[::-1]], grid)
    overlaps = _overlaps(shapes, codes, grid) if (first != drawn).any() else 0
    holes = int((drawn == 0).sum())
    kept = np.array([*sorted(names)])
    values = np.where(drawn == 0, INTEGER_NODATA, kept[np.maximum(drawn, 1) - 1]).astype("int16")
    layer = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), field)
    layer = layer.assign_attrs(nodata=INTEGER_NODATA).rio.write_crs(grid.crs)
    occur = {code: names[code] for code in np.unique(values[drawn > 0]).tolist()}
    return Drawn(layer, occur, overlaps, holes, int(broken.sum()), int((~use).sum()))


def _codes(values: NDArray, field: str) -> tuple[NDArray[np.int32], dict[int, str]]:
    """Position from 1 of each value's class, and the classes' codes and names."""
    numbers = all(isinstance(v, int | np.integer | float | np.floating) for v in values)
    if numbers and all(float(v).is_integer() and 0 <= abs(float(v)) <= 32767 for v in values):
        found, place = np.unique(values.astype("int64"), return_inverse=True)
        names = {int(code): f"class {int(code)}" for code in found}
    else:
        found, place = np.unique([str(v).strip() for v in values], return_inverse=True)
        names = {i + 1: str(name) for i, name in enumerate(found)}
    if len(found) > 32767:
        raise SourceError(f"{field} has {len(found):,} different values: it is no class")
    return place.ravel().astype("int32") + 1, names


def _burn(shapes: NDArray, codes: NDArray, grid: Grid) -> NDArray[np.int32]:
    if not len(shapes):
        return np.zeros(grid.shape, "int32")
    pairs = zip(shapes, codes.tolist(), strict=True)
    return rasterize(pairs, grid.shape, transform=grid.transform, dtype="int32")


def _covers(shapes: NDArray, grid: Grid) -> bool:
    return bool(shapely.intersects(shapes, shapely.box(*grid.bounds)).any())


def _overlaps(shapes: NDArray, codes: NDArray, grid: Grid) -> int:
    """Cells whose centre lies in polygons of two classes or more."""
    count = np.zeros(grid.shape, "int32")
    for code in np.unique(codes):
        count += _burn(shapes[codes == code], codes[codes == code], grid) > 0
    return int((count > 1).sum())
