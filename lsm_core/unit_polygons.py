"""From polygons over a grid area to a study area of units: slope units, catchments, squares.

`docs/units.md` shows the area file. What the polygons hide is said: those without a cell of the
area, landslides in none of them.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import xarray as xr

from lsm_core import catalog as sources
from lsm_core import screening
from lsm_core.errors import AreaError
from lsm_core.grid import grid_of
from lsm_core.slope_units import How, aggregate, lay_units
from lsm_core.study_area import check_area, factors, is_units, open_area
from lsm_core.units_file import PolygonsFile
from lsm_core.workspace import area_path

if TYPE_CHECKING:
    from hydromt import DataCatalog


def prepare_polygons(
    area: PolygonsFile, catalog: "DataCatalog", tell: Callable[[str], object]
) -> tuple[xr.Dataset, gpd.GeoDataFrame]:
    """The study area of units that an area file describes, in memory, and the units' polygons.

    The grid area is taken from the workspace. Units are numbered from 1, as the polygons stand in
    their source; one that holds no valid cell stays, not valid, and is counted, and so are
    landslides whose place is in no unit. `attrs["prepared"]` holds lines, counts, `flags` of
    `screening.screen` and the area file; `attrs["fingerprints"]` the SHA-256 of the polygons beside
    those of the grid area.

    Errors: no such area, one of units, a factor it does not have, statistics of a category or a
    direction (AreaError); see `slope_units.aggregate`.
    """
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        tell(line)

    spec = area.units
    prints = sources.fingerprints(catalog, [spec.polygons], say)
    ground = open_area(area_path(spec.of))
    if is_units(ground):
        raise AreaError(f"{spec.of} is made of units itself: name an area that has a grid")
    hows = _statistics(area, ground)
    polygons = sources.open_vector(catalog, spec.polygons)
    ds = aggregate(ground, polygons, hows, quantile=spec.quantile)
    counts = _counted(ds, ground, polygons, area, say)
    found = screening.screen_area(ds)
    for flag in found:
        say(f"MIND: {flag.words}")
    about: dict[str, Any] = {"lines": lines, "counts": counts}
    about |= {"flags": [flag._asdict() for flag in found]}
    about["area_file"] = area.model_dump(mode="json", exclude_unset=True)
    ds.attrs = {"name": area.name, "title": area.title or area.name, "prepared": json.dumps(about)}
    own = json.loads(ground.attrs.get("fingerprints", "{}"))
    ds.attrs["fingerprints"] = json.dumps(own | prints)
    check_area(ds)
    shapes = polygons.geometry.to_crs(grid_of(ground).crs.to_wkt())
    return ds, gpd.GeoDataFrame(
        {"unit": ds["unit"].to_numpy()}, geometry=shapes.to_numpy(), crs=shapes.crs
    )


def _statistics(area: PolygonsFile, ground: xr.Dataset) -> Mapping[str, tuple[How, ...]]:
    """Each factor's statistics, in the order of the area file, or of the grid area without one."""
    there = factors(ground)
    if area.factors is None:
        return dict.fromkeys(there, area.units.statistics)
    hows: dict[str, tuple[How, ...]] = {}
    for factor in area.factors:
        if factor.name not in there:
            near = sources.did_you_mean(factor.name, there)
            raise AreaError(f"{area.units.of} has no factor {factor.name!r}: {near}")
        kind = ground[factor.name].attrs["kind"]
        if factor.statistics and kind != "continuous":
            taken = "its majority" if kind == "categorical" else "the mean direction"
            raise AreaError(
                f"{factor.name} is {kind}: {taken} is taken in each unit; leave statistics out"
            )
        hows[factor.name] = factor.statistics or area.units.statistics
    return hows


def _counted(
    ds: xr.Dataset,
    ground: xr.Dataset,
    polygons: gpd.GeoDataFrame,
    area: PolygonsFile,
    say: Callable[[str], object],
) -> dict[str, int]:
    """How many units, cells and landslides there are, and how many are left out; each said."""
    number = lay_units(polygons, grid_of(ground))
    valid = ground["valid"].to_numpy()
    cells = np.bincount(number[valid], minlength=len(polygons) + 1)
    own = cells[1:][cells[1:] > 0]
    counts = {
        "units": len(polygons),
        "valid_units": len(own),
        "without_cell": len(polygons) - len(own),
        "landslide_units": int(ds["landslide"].sum()),
        "landslides": int(ds["landslide_count"].sum()),
        "cells_in_no_unit": int(cells[0]),
    }
    counts["landslides_outside"] = ground.sizes["place"] - counts["landslides"]
    say(
        f"units: {counts['units']:,} polygons of {area.units.polygons} over {area.units.of}, "
        f"{counts['landslide_units']:,} with a landslide ({counts['landslides']:,} landslides)"
    )
    said = {
        "without_cell": "polygons hold no cell of the area: kept, not valid",
        "landslides_outside": "landslides lie in no unit that has cells: left out",
        "cells_in_no_unit": "cells of the area lie in no unit: left out",
    }
    for key, words in said.items():
        if counts[key]:
            say(f"{counts[key]:,} {words}")
    say(f"cells a unit: {own.min():,} to {own.max():,}, half have {np.median(own):,.0f} or more")
    return counts
