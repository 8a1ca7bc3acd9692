"""Factor tables of study areas: factors at places, by their names, kinds and units.

A factor table is a plain `pandas.DataFrame`, one row a place and one column a factor, as the rooms
on correlation, importance and divergence take it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from lsm_core import matching, study_area
from lsm_core.errors import AreaError, RecipeError, SampleError
from lsm_core.study_area import categories, factors, shape_of


def factor_table(
    ds: xr.Dataset, places: pd.DataFrame, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Factors at places: one row a place (in its order and with its index), one column a factor.

    As `study_area.factor_table`, with categories by their names in place of codes.

    Continuous and cyclic factors are float64, missing values NaN; a flat cell has no aspect. Names
    are pandas categories, with the code behind where two codes have one name; a code without a name
    is missing.

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
    _check_places(ds, places)
    made = study_area.factor_table(ds, places["row"], places["col"], names or known)
    for name in [n for n in made if ds[n].attrs["kind"] == "categorical"]:
        made[name] = _named(made[name], categories(ds[name]))
    return made.set_index(places.index)


def cyclic_of(ds: xr.Dataset) -> list[str]:
    """Names of the factors that are angles in degrees, as the other functions take them."""
    return [name for name in factors(ds) if ds[name].attrs["kind"] == "cyclic"]


def shared_factors(
    ds: xr.Dataset,
    other: xr.Dataset,
    mapping: Mapping[str, matching.FactorMapping] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Factors of `ds` that `other` has too, and why each other one is not shared.

    Shared means the same name, kind, units and categories, as `matching.match` has it, or what a
    mapping file says; a curvature per metre is not one per 100 m, and code 3 is no rock.

    Raises
    ------
    AreaError : categories clash. A factor that is lacking, or in other units, is left out; one that
        only looks the same is not passed over.
    """
    same = matching.shared_origin(matching.fingerprints_of(ds), matching.fingerprints_of(other))
    found = matching.match(matching.known_of(ds), other, mapping, same_origin=same)
    rocks = {n: why for n, why in found.clashes.items() if ds[n].attrs["kind"] == "categorical"}
    if rocks:
        said = "; ".join(f"{name}: {why}" for name, why in rocks.items())
        raise AreaError(
            f"{_name(ds)} (the source) and {_name(other)} (the target) are not the same in {said}. "
            "Say in a mapping file what is (`--mapping FILE`, in a recipe `selection.mapping`), or "
            "leave the factor out (`input.factors`)"
        )
    lacking = {n: f"{_name(other)} has no factor of this name{w}" for n, w in found.missing.items()}
    why = lacking | found.clashes
    return list(found.pairs), {name: why[name] for name in factors(ds) if name in why}


def in_terms_of(
    ds: xr.Dataset, other: xr.Dataset, mapping: str | None
) -> tuple[xr.Dataset, list[str], dict[str, str]]:
    """The other area with names, units and codes of this one, and `shared_factors`.

    `mapping` is a mapping file's path, if there is one.
    """
    said = matching.load_mapping(mapping) if mapping else {}
    shared, not_shared = shared_factors(ds, other, said)
    said = {name: how for name, how in said.items() if name in shared}
    if said:
        other = matching.as_source(other, matching.known_of(ds, shared), said)
    return other, shared, not_shared


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


def _check_places(ds: xr.Dataset, places: pd.DataFrame) -> None:
    for column, n in zip(("row", "col"), shape_of(ds), strict=True):
        off = int(((places[column] < 0) | (places[column] >= n)).sum())
        if off:
            raise SampleError(
                f"{off} of {len(places)} places have a {column} outside 0 to {n - 1}: they belong "
                "to another area"
            )


def _named(codes: pd.Series, names: dict[int, str]) -> pd.Series:
    said = list(names.values())
    labels = [n if said.count(n) == 1 else f"{n} ({code})" for code, n in names.items()]
    order = pd.Index(list(names), dtype=float).get_indexer(pd.Index(codes))
    return pd.Series(pd.Categorical.from_codes(order, categories=pd.Index(labels)))
