"""Factor tables of study areas: factors at places, by their names, kinds and units.

A factor table is a plain `pandas.DataFrame`, one row a place and one column a factor, as the rooms
on correlation, importance and divergence take it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import RecipeError, SampleError
from lsm_core.study_area import categories, factors


def factor_table(
    ds: xr.Dataset, places: pd.DataFrame, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Factors at places: one row a place (in its order and with its index), one column a factor.

    Continuous and cyclic factors are float64, missing values NaN; a flat cell has no aspect. Codes
    become pandas categories by name, with the code behind it where two codes have one name; a code
    without a name, or that of nodata, is missing.

    Parameters
    ----------
    ds : study area, of a grid or of units. places : columns row and col, as samples have them.
    names : factors wanted; all of the area's by default.

    Raises
    ------
    RecipeError : a factor the area lacks. SampleError : no place, or some off the grid.
    """
    if not len(places):
        raise SampleError("no place to look factors up at: draw some first")
    known = factors(ds)
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise RecipeError(f"the area has no factor {unknown[0]!r}; it has {', '.join(known)}")
    at = _cells(ds, places)
    columns = {name: _column(ds[name], at) for name in names or known}
    return pd.DataFrame(columns).set_index(places.index)


def cyclic_of(ds: xr.Dataset) -> list[str]:
    """Names of the factors that are angles in degrees, as the other functions take them."""
    return [name for name in factors(ds) if ds[name].attrs["kind"] == "cyclic"]


def shared_factors(ds: xr.Dataset, other: xr.Dataset) -> tuple[list[str], dict[str, str]]:
    """Factors of `ds` that `other` has too, and why each other one is not shared.

    Shared means the same name, kind and units; a curvature per metre is not one per 100 m.
    """
    shared, not_shared = [], {}
    for name in factors(ds):
        if name not in factors(other):
            not_shared[name] = f"{_name(other)} has no factor of this name"
            continue
        for what in ("kind", "units"):
            here, there = ds[name].attrs[what], other[name].attrs[what]
            if here != there:
                not_shared[name] = f"{what} is {here!r} here, but {there!r} in {_name(other)}"
                break
        else:
            shared.append(name)
    return shared, not_shared


def some_places(ds: xr.Dataset, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Up to n different valid cells (units) of an area, each with the same chance: row and col.

    Landslides are not looked at, so that an area to carry a model to needs no label.
    """
    valid = ds["valid"].to_numpy()
    cells = np.flatnonzero(valid)
    drawn = np.sort(rng.choice(cells, min(n, len(cells)), replace=False))
    row, col = np.unravel_index(drawn, (len(valid), valid.size // len(valid)))
    return pd.DataFrame({"row": row.astype("int32"), "col": col.astype("int32")})


# ------------------------------------------------------------------------------------- behind


def _name(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("name", "the other area"))


def _cells(ds: xr.Dataset, places: pd.DataFrame) -> dict[str, xr.DataArray]:
    """Where the places are, along the dimensions of the area."""
    dims = {"unit": "row"} if "unit" in ds.dims else {"y": "row", "x": "col"}
    for dim, column in dims.items():
        n, index = ds.sizes[dim], places[column]
        off = int(((index < 0) | (index >= n)).sum())
        if off:
            raise SampleError(
                f"{off} of {len(places)} places have a {column} outside 0 to {n - 1}: they belong "
                "to another area"
            )
    return {
        dim: xr.DataArray(places[column].to_numpy(), dims="place") for dim, column in dims.items()
    }


def _column(da: xr.DataArray, at: dict[str, xr.DataArray]) -> pd.Series | NDArray:
    values = da.isel(at).to_numpy()
    if da.attrs["kind"] != "categorical":
        return values.astype(float)
    names = categories(da)
    said = list(names.values())
    labels = [n if said.count(n) == 1 else f"{n} ({c})" for c, n in names.items()]
    order = pd.Index(list(names)).get_indexer(pd.Index(values))
    return pd.Series(pd.Categorical.from_codes(order, categories=pd.Index(labels)))
