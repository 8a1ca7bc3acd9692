"""What a study area can be split by: fields of its inventory, categories, columns of its units."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.catalog import did_you_mean
from lsm_core.errors import RecipeError, SampleError
from lsm_core.recipe import Split
from lsm_core.study_area import is_units, layer

IMAGE_YEAR = "place_Year_obs"


def column_name(split: Split) -> str:
    return split.column or IMAGE_YEAR


def column_at(ds: xr.Dataset, places: pd.DataFrame, name: str) -> NDArray[Any]:
    """Values of a column at places: of the inventory (place_<field>), a category, or of units."""
    known = columns(ds)
    if name not in known:
        raise RecipeError(
            f"the area has no column {name!r} to split by: {did_you_mean(name, known)}"
        )
    da = ds[name]
    if da.dims == ("place",):
        return da.sel(place=places["landslide_id"].to_numpy()).to_numpy()
    values = layer(ds, name)[places["row"], places["col"]]
    missing = values == da.attrs["nodata"] if "nodata" in da.attrs else pd.isna(values)
    return np.where(missing, np.nan, values.astype(float)) if "nodata" in da.attrs else values


def columns(ds: xr.Dataset) -> list[str]:
    """What a study area can be split by: fields of its inventory, categories, columns of units."""
    if is_units(ds):
        return [str(n) for n in ds.data_vars if ds[n].dims == ("unit",)]
    fields = [str(n) for n in ds.data_vars if ds[n].dims == ("place",)]
    return fields + [str(n) for n in ds.data_vars if ds[n].attrs.get("kind") == "categorical"]


def groups_at(ds: xr.Dataset, split: Split, places: pd.DataFrame) -> NDArray[Any]:
    """Areas or years; a place without one makes a group of its own name."""
    values = column_at(ds, places, column_name(split))
    return values if values.dtype.kind in "iuf" else values.astype(str)


def named_groups(group: NDArray[Any], split: Split) -> NDArray[np.bool_]:
    """Places whose group is in `split.hold`."""
    known = np.unique(group)
    numbers = group.dtype.kind in "iuf"
    wanted = [float(v) if numbers and not isinstance(v, str) else str(v) for v in split.hold]
    absent = [str(v) for v in wanted if v not in known.tolist()]
    held = np.isin(group, wanted) if not absent else np.zeros(len(group), bool)
    if absent or held.all():
        raise SampleError(
            f"split.hold says {', '.join(map(str, split.hold))}, but {column_name(split)} holds "
            f"{', '.join(f'{v:g}' if numbers else str(v) for v in known)[:200]}: hold some, not all"
        )
    return held


def strata_at(ds: xr.Dataset, split: Split, places: pd.DataFrame) -> NDArray[Any]:
    """Label, and the value of the column where the recipe names one; no value is a stratum too."""
    label = places["label"].to_numpy().astype(str)
    if split.column is None:
        return label
    values = column_at(ds, places, split.column).astype(str)
    return np.char.add(np.char.add(label, " "), values)


def dates_at(ds: xr.Dataset, split: Split, places: pd.DataFrame) -> NDArray[np.float64]:
    """Numbers as they are (years); dates and texts as days since 1970."""
    values = column_at(ds, places, column_name(split))
    return values.astype(float) if values.dtype.kind in "iuf" else _days(values, split)


def _days(values: ArrayLike, split: Split) -> NDArray[np.float64]:
    try:
        when = pd.to_datetime(pd.Series(np.asarray(values)), format="ISO8601")
    except (ValueError, TypeError) as error:
        raise SampleError(
            f"split.column {split.column} or split.cutoff is not a date: {str(error)[:120]}; write "
            "dates as 2006-10-08, or years as numbers"
        ) from None
    days = (when - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)
    return np.asarray(days, dtype=np.float64)


def cutoff_of(ds: xr.Dataset, split: Split, places: pd.DataFrame) -> float | None:
    """The last date that trains, in the column's numbers; of a year among days, its last day."""
    if split.cutoff is None:
        return None
    numbers = column_at(ds, places, column_name(split)).dtype.kind in "iuf"
    if numbers:
        try:
            return float(split.cutoff)
        except ValueError:
            raise SampleError(
                f"split.cutoff is {split.cutoff!r}, but {split.column} holds numbers: give one"
            ) from None
    year = str(split.cutoff).removesuffix(".0")
    return float(_days([f"{year}-12-31" if year.isdigit() else year], split)[0])
