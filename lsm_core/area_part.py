"""A part of a study area as an area of its own: some of its rows and columns, and what lies there.

For a source and a target of one region, or to try on little what shall be done on much.
"""

import json
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import xarray as xr

from lsm_core.errors import AreaError
from lsm_core.grid import grid_of
from lsm_core.inventory import lay_inventory
from lsm_core.study_area import check_area, is_units

LANDSLIDES = ("landslide", "landslide_id", "place_x", "place_y")


class AreaPart(NamedTuple):
    """A study area and the inventory that belongs beside it, as `save_area` takes them."""

    ds: xr.Dataset
    inventory: gpd.GeoDataFrame


def part_of(
    ds: xr.Dataset,
    inventory: gpd.GeoDataFrame,
    name: str,
    *,
    rows: slice = slice(None),
    cols: slice = slice(None),
) -> AreaPart:
    """Rows and columns of an area on a grid, with the landslides that reach into them.

    Parameters
    ----------
    ds, inventory : of a built area (`study_area.open_area`, `study_area.inventory`).
    rows, cols : of its cells; no step.

    Returns
    -------
    Factors keep the values they had in the whole area (a slope at the cut knows what lies beyond).
    The inventory is laid anew: landslides are numbered from 1, those beyond the part are left out
    and counted in `attrs["prepared"]`. Columns of places (`place_...`) go with them.

    Raises
    ------
    AreaError : units, a step, or a part of no cell. InventoryError : no landslide reaches into it.
    """
    if is_units(ds):
        raise AreaError(f"{ds.attrs['name']} is made of units: take rows of its table instead")
    if {rows.step, cols.step} - {None, 1}:
        raise AreaError(f"rows {rows} and columns {cols} have a step: take whole strips")
    cut = ds.isel(y=rows, x=cols)
    if not cut["valid"].size:
        raise AreaError(f"rows {rows} and columns {cols} of {ds.attrs['name']} hold no cell")
    whole = inventory.assign(whole_id=inventory["landslide_id"])
    laid = lay_inventory(whole, grid_of(cut), cut["valid"].to_numpy())
    kept = laid.inventory["whole_id"].to_numpy()
    layers = [str(n) for n in cut.data_vars if "place" not in cut[n].dims and n not in LANDSLIDES]
    part = cut[layers].drop_vars("place", errors="ignore")
    part["landslide"] = (("y", "x"), (laid.landslide_id > 0).astype("uint8"))
    part["landslide_id"] = (("y", "x"), laid.landslide_id)
    part = part.assign_coords(place=np.arange(1, len(laid.x) + 1, dtype="int32"))
    part["place_x"], part["place_y"] = ("place", laid.x), ("place", laid.y)
    for field in [n for n in ds.data_vars if ds[n].dims == ("place",) and n not in LANDSLIDES]:
        part[field] = ("place", ds[field].sel(place=kept).to_numpy(), ds[field].attrs)
    order = [str(n) for n in ds.data_vars if n in part]
    part = part[[*order, *(n for n in part.data_vars if n not in order)]]
    cells = {"cells": cut["valid"].size, "valid_cells": int(cut["valid"].sum())}
    part.attrs = _about(ds, name, cells | laid.counts)
    check_area(part)
    return AreaPart(part, laid.inventory.drop(columns="whole_id"))


def _about(ds: xr.Dataset, name: str, counts: dict[str, int]) -> dict[str, object]:
    title = f"{ds.attrs.get('title') or ds.attrs['name']} (part {name})"
    told = json.loads(ds.attrs.get("prepared", "{}"))
    line = (
        f"{name} is a part of it: {counts['kept']:,} landslides of {counts['read']:,} reach into it"
    )
    told |= {"lines": [*told.get("lines", []), line], "counts": counts, "area_file": None}
    return dict(ds.attrs) | {"name": name, "title": title, "prepared": json.dumps(told)}
