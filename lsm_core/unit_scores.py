"""Scores of units, which have no map: a table, and the same with points or polygons."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.study_area import units_of


def score_table(
    ds: xr.Dataset, score: ArrayLike, zones: ArrayLike, samples: pd.DataFrame
) -> pd.DataFrame:
    """One row a unit: unit, x, y, label, landslide_count, area_m2, split, score, zone.

    Parameters
    ----------
    score, zones : (unit,) or (unit, 1); NaN and 0 where a unit is not valid.
    samples : who trained, checked and tested (row is the unit's position); others have no split.

    Columns the area does not have (x, y, landslide_count, area_m2) are left out.
    """
    columns: dict[str, NDArray] = {"unit": ds["unit"].to_numpy()}
    names = {"x": "x", "y": "y", "landslide_count": "landslide_count", "area_m2": "unit_area"}
    known = {to: ds[name].to_numpy() for to, name in names.items() if name in ds.variables}
    columns |= {name: known[name] for name in ("x", "y") if name in known}
    columns["label"] = ds["landslide"].to_numpy()
    columns |= {name: known[name] for name in ("landslide_count", "area_m2") if name in known}
    split = np.full(ds.sizes["unit"], "", dtype=object)
    split[samples["row"].to_numpy()] = samples["split"].to_numpy()
    columns["split"] = split
    columns["score"] = np.asarray(score).ravel()
    columns["zone"] = np.asarray(zones).ravel()
    return pd.DataFrame(columns)


def drawn(table: pd.DataFrame, area: Path) -> gpd.GeoDataFrame | None:
    """The table with the units' shapes from an area's folder; None where they have none."""
    if not (area / "units.gpkg").is_file():
        return None
    shapes = units_of(area)
    geometry = shapes.set_index("unit").geometry.reindex(table["unit"])
    return gpd.GeoDataFrame(table, geometry=geometry.to_numpy(), crs=shapes.crs)


def density_by_area(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """What each zone holds of the ground: one row a zone, also an empty one.

    Parameters
    ----------
    table : of `score_table`, with area_m2. k : number of zones.

    Returns
    -------
    zone, units, area_km2, share_of_area, landslides (of landslide_count where it is known, else
    units with one), share_of_landslides, landslides_per_km2 (NaN in an empty zone).

    >>> table = pd.DataFrame({"zone": [1, 2], "area_m2": [3e6, 1e6], "label": [0, 1]})
    >>> density_by_area(table, 2)["share_of_area"].tolist()
    [0.75, 0.25]
    """
    number = table["landslide_count" if "landslide_count" in table else "label"]
    own = pd.DataFrame(
        {
            "zone": table["zone"],
            "units": 1,
            "area_km2": table["area_m2"] / 1e6,
            "landslides": number,
        }
    )
    found = own.groupby("zone").sum().reindex(range(1, k + 1), fill_value=0).reset_index()
    found.insert(3, "share_of_area", found["area_km2"] / found["area_km2"].sum())
    found["share_of_landslides"] = found["landslides"] / found["landslides"].sum()
    found["landslides_per_km2"] = found["landslides"] / found["area_km2"].where(
        found["area_km2"] > 0
    )
    return found
