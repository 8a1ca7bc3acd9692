"""Slope units and other polygons laid on a grid: factors, scores and landslides by unit.

A cell belongs to the unit that holds its centre, to the smallest where units overlap. A unit that
holds no valid cell has no values; it stays in every table and is counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from rasterio.features import rasterize

from lsm_core.errors import AreaError, CrsError, RecipeError, SampleError
from lsm_core.grid import INTEGER_NODATA, Grid, grid_of
from lsm_core.metrics import average_precision, roc_auc
from lsm_core.study_area import check_area, factors

How = Literal["mean", "maximum", "quantile", "std"]
HOWS: tuple[How, ...] = ("mean", "maximum", "quantile", "std")
SCORED: tuple[How, ...] = ("mean", "maximum", "quantile")  # a spread ranks no unit
QUANTILE = 0.9


def lay_units(polygons: gpd.GeoDataFrame, grid: Grid) -> NDArray[np.int32]:
    """Position (from 1) of the unit that holds each cell's centre, (y, x); 0 for none.

    Errors: no CRS (CrsError), no polygon on the grid, or a feature that is none (AreaError).
    """
    if polygons.crs is None:
        raise CrsError("the units have no CRS: write it into the file (ogr2ogr -a_srs)")
    shapes = shapely.force_2d(polygons.to_crs(grid.crs.to_wkt()).geometry.to_numpy())
    strange = shapely.is_missing(shapes) | (shapely.get_dimensions(shapes) != 2)
    if strange.any() or not len(shapes):
        raise AreaError(
            f"{int(strange.sum())} of {len(shapes)} units are no polygons: give polygons only"
        )
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    number = np.zeros(grid.shape, dtype=np.int32)
    order = np.argsort(-shapely.area(shapes), kind="stable")
    rasterize(
        zip(shapes[order], (order + 1).tolist(), strict=True), out=number, transform=grid.transform
    )
    if not number.any():
        raise AreaError("no unit holds a cell of the area: check that they cover the same ground")
    return number


def by_unit(
    values: ArrayLike, number: NDArray[np.int32], n: int, how: How, *, quantile: float = QUANTILE
) -> NDArray[np.float64]:
    """One value a unit, from those of its cells: NaN cells do not count, a unit of none is NaN.

    Parameters
    ----------
    values : (y, x). number : (y, x), of `lay_units`. n : number of units.
    how : "std" is that of the cells at hand (divided by their number): 0 of a single cell.
    quantile : share of the unit's cells below the value, with `how="quantile"` (linear between).

    >>> number = np.array([[1, 1, 2, 0]])
    >>> by_unit([[0.2, 0.6, np.nan, 1.0]], number, 3, "mean")
    array([0.4, nan, nan])
    """
    if how not in HOWS:
        raise RecipeError(f"no way to sum up a unit is called {how!r}: known are {', '.join(HOWS)}")
    cells = _cells(values, number)
    found = {
        "mean": lambda: cells.mean(),
        "maximum": lambda: cells.max(),
        "quantile": lambda: cells.quantile(quantile),
        "std": lambda: cells.std(ddof=0),
    }[how]()
    return found.reindex(np.arange(1, n + 1)).to_numpy(dtype=np.float64)


def majority(
    codes: ArrayLike, number: NDArray[np.int32], n: int, *, nodata: int
) -> NDArray[np.int16]:
    """The most frequent category of each unit, the lowest code of those equally frequent.

    >>> majority([[3, 5, 5, 7]], np.array([[1, 1, 1, 2]]), 3, nodata=-1)
    array([ 5,  7, -1], dtype=int16)
    """
    code, unit = np.asarray(codes).ravel(), number.ravel()
    here = (unit > 0) & (code != nodata)
    table = pd.DataFrame({"unit": unit[here], "code": code[here]}).value_counts().reset_index()
    table = table.sort_values(["unit", "count", "code"], ascending=[True, False, True])
    first = table.drop_duplicates("unit").set_index("unit")["code"]
    return first.reindex(np.arange(1, n + 1), fill_value=nodata).to_numpy(dtype=np.int16)


def aggregate(
    ds: xr.Dataset,
    polygons: gpd.GeoDataFrame,
    hows: Iterable[How] | Mapping[str, Iterable[How]] = ("mean",),
    *,
    quantile: float = QUANTILE,
) -> xr.Dataset:
    """A study area of units from one on a grid.

    Continuous factors give one factor for each of `hows` (slope_mean, slope_maximum,
    slope_quantile, slope_std), cyclic ones the direction of their mean vector, categories the
    majority. With a mapping, `hows` names the factors to use, each with its own. A unit holds a
    landslide where it holds the place of one; `landslide_count` says how many. A unit without a
    valid cell is not valid. Numbered by position, from 1.

    Errors: see `lay_units` and `study_area.check_area`.
    """
    grid, n = grid_of(ds), len(polygons)
    number = lay_units(polygons, grid)
    number = np.where(ds["valid"].to_numpy(), number, 0).astype(np.int32)
    layers: dict[str, xr.DataArray] = {}
    asked = hows if isinstance(hows, Mapping) else dict.fromkeys(factors(ds), tuple(hows))
    for name, own in asked.items():
        layers |= _factor_by_unit(ds[name], number, n, tuple(own), quantile)
    units = xr.Dataset(layers)
    count = landslides_by_unit(ds, polygons)
    cells = np.bincount(number.ravel(), minlength=n + 1)[1:]
    units["landslide"] = ("unit", ((count > 0) & (cells > 0)).astype("uint8"))
    units["landslide_count"] = ("unit", np.where(cells > 0, count, 0).astype("int32"))
    units["valid"] = ("unit", cells > 0)
    shapes = polygons.to_crs(grid.crs.to_wkt()).geometry
    inner = shapes.representative_point()
    units["unit_area"] = ("unit", shapes.area.to_numpy() * grid.metres_per_unit**2)
    units = units.assign_coords(
        unit=np.arange(1, n + 1, dtype="int32"),
        x=("unit", inner.x.to_numpy()),
        y=("unit", inner.y.to_numpy()),
    )
    units.attrs = {"name": f"{ds.attrs['name']}-units", "title": f"{ds.attrs['title']} (units)"}
    units = units.rio.write_crs(grid.crs)
    check_area(units)
    return units


def landslides_by_unit(ds: xr.Dataset, polygons: gpd.GeoDataFrame) -> NDArray[np.int64]:
    """Landslides of a grid area whose place each unit holds, the smallest where several do."""
    points = shapely.points(ds["place_x"].to_numpy(), ds["place_y"].to_numpy())
    shapes = polygons.to_crs(grid_of(ds).crs.to_wkt()).geometry
    place, unit = shapes.sindex.query(points, predicate="intersects")
    held = pd.DataFrame({"place": place, "area": shapes.area.to_numpy()[unit], "unit": unit})
    owner = held.sort_values(["place", "area", "unit"]).drop_duplicates("place")["unit"]
    return np.bincount(owner, minlength=len(polygons))


def scores_by_unit(
    score: ArrayLike, ds: xr.Dataset, polygons: gpd.GeoDataFrame, *, quantile: float = QUANTILE
) -> gpd.GeoDataFrame:
    """A map of scores summed up by unit, with the polygons.

    Parameters
    ----------
    score : (y, x) on the grid of `ds`, NaN where it is not valid.

    Returns
    -------
    The polygons with columns unit (from 1), cells, score_mean, score_maximum, score_quantile (of
    0.9), landslides (places inside) and the geometry. A unit without a scored cell has NaN scores
    and 0 cells.
    """
    value, n = np.asarray(score, dtype=np.float64), len(polygons)
    number = lay_units(polygons, grid_of(ds))
    here = np.where(np.isfinite(value), number, 0).ravel()
    columns: dict[str, Any] = {"unit": np.arange(1, n + 1)}
    columns["cells"] = np.bincount(here, minlength=n + 1)[1:]
    for how in SCORED:
        columns[f"score_{how}"] = by_unit(value, number, n, how, quantile=quantile)
    columns["landslides"] = landslides_by_unit(ds, polygons)
    return gpd.GeoDataFrame(columns, geometry=polygons.geometry.to_numpy(), crs=polygons.crs)


def judge_units(table: pd.DataFrame) -> pd.DataFrame:
    """How well the scores find the units that hold a landslide: one row a column `score_...`.

    Returns
    -------
    score, units (those with a score), landslide_units, prevalence, average_precision, roc_auc.

    Raises
    ------
    SampleError : units of one class only.
    """
    rows = []
    for name in [str(c) for c in table.columns if str(c).startswith("score_")]:
        own = table[np.isfinite(table[name])]
        label = (own["landslides"] > 0).to_numpy()
        if label.all() or not label.any():
            raise SampleError(
                f"{int(label.sum())} of {len(own)} units hold a landslide: units with and without "
                "one are needed to judge scores"
            )
        rows.append(
            {
                "score": name.removeprefix("score_"),
                "units": len(own),
                "landslide_units": int(label.sum()),
                "prevalence": float(label.mean()),
                "average_precision": average_precision(label, own[name]),
                "roc_auc": roc_auc(label, own[name]),
            }
        )
    return pd.DataFrame(rows)


def held_units(
    samples: pd.DataFrame, ds: xr.Dataset, polygons: gpd.GeoDataFrame
) -> NDArray[np.bool_]:
    """Units that hold a test place and no place of training or validation."""
    number, n = lay_units(polygons, grid_of(ds)), len(polygons)
    unit = number[samples["row"], samples["col"]]
    is_test = (samples["split"] == "test").to_numpy()
    held, seen = (np.bincount(unit[w], minlength=n + 1)[1:] > 0 for w in (is_test, ~is_test))
    return held & ~seen


def _cells(values: ArrayLike, number: NDArray[np.int32]) -> Any:
    value = np.asarray(values, dtype=np.float64).ravel()
    unit = number.ravel()
    here = (unit > 0) & np.isfinite(value)
    return pd.Series(value[here]).groupby(unit[here])


def _factor_by_unit(
    da: xr.DataArray, number: NDArray[np.int32], n: int, hows: tuple[How, ...], quantile: float
) -> dict[str, xr.DataArray]:
    name, kind = str(da.name), da.attrs["kind"]
    if kind == "categorical":
        attrs = da.attrs | {"nodata": INTEGER_NODATA}
        codes = majority(da.to_numpy(), number, n, nodata=INTEGER_NODATA)
        return {name: xr.DataArray(codes, dims="unit", attrs=attrs)}
    if kind == "cyclic":
        angle = np.deg2rad(da.to_numpy().astype(np.float64))
        east, north = (by_unit(f(angle), number, n, "mean") for f in (np.sin, np.cos))
        values = np.rad2deg(np.arctan2(east, north)) % 360
        return {name: xr.DataArray(values.astype("float32"), dims="unit", attrs=dict(da.attrs))}
    found = {}
    for how in hows:
        values = by_unit(da.to_numpy(), number, n, how, quantile=quantile).astype("float32")
        first = f"{quantile:g} quantile" if how == "quantile" else how
        words = f"{first} of {da.attrs.get('long_name', name)}"
        attrs = da.attrs | {"long_name": words}
        found[f"{name}_{how}"] = xr.DataArray(values, dims="unit", attrs=attrs)
    return found
