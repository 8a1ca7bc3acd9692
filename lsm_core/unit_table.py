"""From a table of samples, or slope units, to a study area of units: no rasters, no map.

`areas/hongkong.yaml` shows every key. What a table hides is said: copies, gaps, wild values,
columns nobody uses, and columns that tell the label by themselves.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.crs import CRS

from lsm_core import catalog as sources
from lsm_core import screening
from lsm_core.errors import AreaError, InventoryError, SourceError
from lsm_core.grid import INTEGER_NODATA
from lsm_core.study_area import check_area, flags
from lsm_core.units_file import UnitFactor, UnitsFile, UnitsPart

if TYPE_CHECKING:
    from hydromt import DataCatalog

WILD = 50  # interquartile ranges from the quartiles beyond which a value is called wild
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
Tell = Callable[[str], object]


class PreparedUnits(NamedTuple):
    """A study area of units, and their geometry (None where the source has none)."""

    ds: xr.Dataset
    geometry: gpd.GeoDataFrame | None


def prepare_units(area: UnitsFile, catalog: "DataCatalog", tell: Tell) -> PreparedUnits:
    """The study area of units that an area file describes, in memory.

    Rows without a label are left out, copies as `duplicates` says, all counted. Gaps stay NaN (or
    the nodata code). Coordinates in degrees are taken to the UTM zone of their middle. A unit is
    valid where at least one factor has a value. `attrs["prepared"]` holds lines, counts, `flags` of
    `screening.screen` and the area file, `attrs["fingerprints"]` the source's SHA-256.

    Errors: a column that is missing or is no number (SourceError); a label that is not 0 and 1, or
    in a count below 0 (AreaError); one class only (InventoryError).
    """
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        tell(line)

    spec = area.units
    prints = sources.fingerprints(catalog, [spec.source], say)
    table = sources.open_table(catalog, spec.source)
    counts = {"rows": len(table)}
    table = _metric(_within(table, spec, say), say)
    columns = _columns(table, area, say)
    table = _without_copies(table, columns, spec, counts, say)
    table, count = _labelled(table, spec, counts, say)
    ds = _assemble(table, count, area, say)
    counts |= {"units": len(table), "landslide_units": int(ds["landslide"].sum())}
    counts |= {"valid_units": int(ds["valid"].sum())}
    say(f"units: {counts['units']:,}, of these {counts['landslide_units']:,} with a landslide")
    found = _screened(ds, say)
    about: dict[str, Any] = {"lines": lines, "counts": counts, "flags": found}
    about["area_file"] = area.model_dump(mode="json", exclude_unset=True)
    ds.attrs = {"name": area.name, "title": area.title or area.name, "prepared": json.dumps(about)}
    ds.attrs["fingerprints"] = json.dumps(prints)
    check_area(ds)
    geometry = table[["geometry"]] if isinstance(table, gpd.GeoDataFrame) else None
    if geometry is not None:
        geometry.insert(0, "unit", ds["unit"].to_numpy())
    return PreparedUnits(ds, geometry)


def label_of(column: pd.Series, *, count: bool = False) -> NDArray[np.float64]:
    """A column of labels as numbers: 0 and 1 (or counts, with `count`), NaN where it is empty.

    Takes 0/1, false/true, no/yes. Errors (AreaError): anything else, such as a rate.

    >>> label_of(pd.Series(["TRUE", "FALSE", None])).tolist()
    [1.0, 0.0, nan]
    """
    empty = column.isna().to_numpy()
    words = column.astype(str).str.strip().str.lower()
    yes, no = (words.isin(known).to_numpy() for known in (YES, NO))
    numbers = np.where(yes, 1.0, np.where(no, 0.0, np.nan))
    if count:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
        wrong = ~empty & ~((numbers >= 0) & (numbers == np.round(numbers)))
    else:
        wrong = ~empty & ~(yes | no)
    if wrong.any():
        some = ", ".join(map(str, column[wrong].unique()[:3]))
        wanted = "a number of landslides" if count else "0 or 1"
        cure = "" if count else ", or state `count: true` where it is a number of landslides"
        raise AreaError(
            f"{column.name} is no label: {int(wrong.sum()):,} of {len(column):,} rows hold "
            f"{some}{', ...' if wrong.sum() > 3 else ''}, where {wanted} is needed (a rate cannot "
            f"be learnt as a class); choose another column{cure}"
        )
    return numbers


# ------------------------------------------------------------------------------------- rows


def _within(table: Any, spec: UnitsPart, say: Tell) -> Any:
    """Units in the extent, or outside it; by a point inside each."""
    if spec.extent is None:
        return table
    if not isinstance(table, gpd.GeoDataFrame):
        raise AreaError(f"{spec.source} has no coordinates: leave units.extent out")
    left, bottom, right, top = spec.extent
    at = table.geometry.representative_point()
    inside = (at.x >= left) & (at.x < right) & (at.y >= bottom) & (at.y < top)
    kept = table[~inside if spec.outside else inside]
    where = "outside" if spec.outside else "in"
    say(f"{len(kept):,} of {len(table):,} units lie {where} the extent")
    if not len(kept):
        raise AreaError(f"no unit of {spec.source} lies {where} units.extent {spec.extent}")
    return kept


def _metric(table: Any, say: Tell) -> Any:
    """In metres, with valid shapes; a plain table as it is."""
    if not isinstance(table, gpd.GeoDataFrame):
        return table
    if table.crs.is_geographic:
        table = table.to_crs(table.estimate_utm_crs())
        say(f"coordinates in degrees were taken to {table.crs.to_string()}")
    shapes = table.geometry.to_numpy()
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if broken.any():
        shapes[broken] = shapely.make_valid(
            shapes[broken], method="structure", keep_collapsed=False
        )
        table = table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=table.crs))
        say(f"{int(broken.sum()):,} invalid polygons were repaired")
    return table


def _columns(table: pd.DataFrame, area: UnitsFile, say: Tell) -> list[str]:
    """The table's own columns; says which of them nobody uses."""
    spec = area.units
    own = [str(c) for c in table.columns if c != "geometry"]
    factors = [factor.column or factor.name for factor in area.factors]
    named = [spec.label, *filter(None, (spec.id, spec.area)), *factors, *spec.leave_out]
    for column in named:
        if column not in own:
            near = sources.did_you_mean(column, own)
            raise SourceError(f"{spec.source} has no column {column!r}: {near}")
    unused = [c for c in own if c not in named and c.lower() not in ("x", "y")]
    if spec.leave_out:
        say(f"left out by the area file: {', '.join(spec.leave_out)}")
    if unused:
        say(f"columns that are no factor: {', '.join(unused)}")
    return own


def _without_copies(
    table: Any, columns: list[str], spec: UnitsPart, counts: dict[str, int], say: Tell
) -> Any:
    """Drop rows that are the same in every column but the first; copies leak across a split."""
    compared = [c for c in columns if c != spec.id]
    if isinstance(table, gpd.GeoDataFrame):
        key = table[compared].assign(_shape=table.geometry.to_wkb())
    else:
        key = table[compared]
    copies = key.duplicated().to_numpy()
    counts["copies"] = int(copies.sum())
    if not copies.any():
        return table
    drop = spec.duplicates == "first"
    done = "left out, the first of each kept" if drop else "kept: under a random split they leak"
    say(f"{copies.sum():,} rows are exact copies of another row: {done}")
    return table[~copies] if drop else table


def _labelled(
    table: Any, spec: UnitsPart, counts: dict[str, int], say: Tell
) -> tuple[Any, NDArray[np.float64]]:
    """Rows that have a label, and how many landslides each holds."""
    number = label_of(table[spec.label], count=spec.count)
    known = np.isfinite(number)
    counts["without_label"] = int((~known).sum())
    if not known.all():
        say(f"{counts['without_label']:,} rows have no {spec.label} and are left out")
    if len(np.unique(number[known] > 0)) < 2:
        raise InventoryError(
            f"one class only: all {int(known.sum()):,} rows of {spec.source} have the same "
            f"{spec.label}; rows with and without a landslide are needed"
        )
    return table[known], number[known]


# ---------------------------------------------------------------------------------- dataset


def _assemble(
    table: pd.DataFrame, count: NDArray[np.float64], area: UnitsFile, say: Tell
) -> xr.Dataset:
    ds = xr.Dataset({factor.name: _factor(factor, table, say) for factor in area.factors})
    ds["landslide"] = ("unit", (count > 0).astype("uint8"))
    gaps = np.column_stack([_missing(ds[factor.name]) for factor in area.factors])
    ds["valid"] = ("unit", ~gaps.all(axis=1))
    if area.units.count:
        ds["landslide_count"] = ("unit", count.astype("int32"))
    ds = ds.assign_coords(unit=_numbers(table, area.units))
    return _placed(ds, table, area.units, say)


def _numbers(table: pd.DataFrame, spec: UnitsPart) -> NDArray[np.int32]:
    """The unit's own number: the column `id`, else its row in the source, from 1."""
    if spec.id is None:
        return (table.index.to_numpy() + 1).astype("int32")
    number = pd.to_numeric(table[spec.id], errors="coerce")
    if number.isna().any() or (number % 1 != 0).any() or not number.is_unique:
        raise AreaError(
            f"{spec.id} does not number the units: it must hold whole numbers, each once; leave "
            "`id` out to number them by row"
        )
    return number.to_numpy("int32")


def _placed(ds: xr.Dataset, table: Any, spec: UnitsPart, say: Tell) -> xr.Dataset:
    """With x and y of points, or of a point inside each polygon, and areas."""
    if spec.area is not None:
        ds["unit_area"] = ("unit", _number(table, spec.area))
    if not isinstance(table, gpd.GeoDataFrame):
        say("the table has no coordinates: spatial splits are not possible on it")
        return ds
    geometry = table.geometry
    polygons = geometry.geom_type.str.endswith("Polygon").to_numpy()
    if polygons.all() and spec.area is None:
        ds["unit_area"] = ("unit", geometry.area.to_numpy())
    points = geometry.representative_point() if polygons.any() else geometry
    ds = ds.assign_coords(x=("unit", points.x.to_numpy()), y=("unit", points.y.to_numpy()))
    lost = int(geometry.isna().sum())
    if lost:
        say(f"{lost:,} units have no coordinates")
    twice = int(pd.DataFrame({"x": ds["x"], "y": ds["y"]}).duplicated().sum()) - max(lost - 1, 0)
    if twice > 0:
        say(f"{twice:,} units lie at the very place of another one")
    return ds.rio.write_crs(CRS.from_wkt(table.crs.to_wkt()))


def _factor(spec: UnitFactor, table: pd.DataFrame, say: Tell) -> xr.DataArray:
    """One column, in the types and with the attributes of a study area."""
    values = _number(table, spec.column or spec.name)
    absent = ~np.isfinite(values)
    if absent.any():
        say(f"{spec.name}: {absent.sum():,} of {len(values):,} values are missing")
    stand_in = np.isin(values, spec.missing)
    if stand_in.any():
        listed = ", ".join(f"{value:g}" for value in spec.missing)
        say(f"{spec.name}: {stand_in.sum():,} values ({listed}) stand for none")
    low, high = spec.limits or (-np.inf, np.inf)
    beyond = ~absent & ~stand_in & ((values < low) | (values > high))
    if beyond.any():
        say(f"{spec.name}: {beyond.sum():,} values outside {low:g} to {high:g} count as missing")
    absent |= stand_in | beyond
    attrs = {"kind": spec.kind, "units": spec.units}
    attrs |= {"long_name": spec.long_name or spec.name.replace("_", " ")}
    attrs["source"] = spec.column or spec.name
    if spec.kind == "categorical":
        return _codes(spec, values, absent, attrs)
    if spec.kind == "continuous":
        _say_wild(spec.name, values[~absent], say)
    return xr.DataArray(
        np.where(absent, np.nan, values).astype("float32"), dims="unit", attrs=attrs
    )


def _codes(
    spec: UnitFactor, values: NDArray[np.float64], absent: NDArray[np.bool_], attrs: dict[str, Any]
) -> xr.DataArray:
    found = np.unique(values[~absent])
    if ((found % 1 != 0) | (np.abs(found) > 32767)).any():
        raise SourceError(
            f"{spec.name} is no column of categories: it holds {found[:5].tolist()}..., a category "
            "is a whole number from -32767 to 32767"
        )
    names = spec.categories or {}
    legend = {int(code): names.get(int(code), f"class {int(code)}") for code in found}
    codes = np.where(absent, INTEGER_NODATA, np.where(absent, 0, values)).astype("int16")
    attrs |= {"nodata": INTEGER_NODATA, **flags(names | legend)}
    return xr.DataArray(codes, dims="unit", attrs=attrs)


def _number(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    numbers = pd.to_numeric(table[column], errors="coerce")
    text = numbers.isna() & table[column].notna()
    if text.any():
        raise SourceError(
            f"column {column} holds {text.sum():,} values that are no numbers, such as "
            f"{table.loc[text, column].iloc[0]!r}: give categories a number each"
        )
    return numbers.to_numpy(dtype="float64")


def _say_wild(name: str, values: NDArray[np.float64], say: Tell) -> None:
    if not len(values):
        return
    q1, q3 = np.quantile(values, (0.25, 0.75))
    wild = (values < q1 - WILD * (q3 - q1)) | (values > q3 + WILD * (q3 - q1))
    if q3 > q1 and wild.any():
        say(
            f"{name}: {wild.sum():,} values are wild ({values[wild].min():g} to "
            f"{values[wild].max():g}, half of all lie in {q1:g} to {q3:g}): kept; `limits` of the "
            "factor makes them missing"
        )


def _missing(da: xr.DataArray) -> NDArray[np.bool_]:
    if da.attrs["kind"] == "categorical":
        return da.to_numpy() == INTEGER_NODATA
    return np.isnan(da.to_numpy())


def _screened(ds: xr.Dataset, say: Tell) -> list[dict[str, str]]:
    """Flags of the whole table, each said."""
    found = screening.screen_area(ds)
    for flag in found:
        say(f"MIND: {flag.words}")
    return [flag._asdict() for flag in found]
