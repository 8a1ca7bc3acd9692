"""Units of a run drawn where they are: points or polygons in the colours of their scores."""

import geopandas as gpd
import holoviews as hv
import holoviews.plotting.bokeh
import numpy as np
import shapely

from lsm_core.errors import RunError
from lsm_core.plot_style import SIZES
from lsm_core.runs import Run
from lsm_core.zoning import level_colours

SCORES = "viridis"


def units_of(run: Run, *, classes: bool = False, width: int = 560) -> hv.Element:
    """The units of a run, coloured by score (0 to 1) or by zone; those without are left out.

    Equal scales on both axes, in the units of the CRS.

    Raises
    ------
    RunError : the run has a map instead, is not done, or its units have no coordinates.
    """
    file = run.path / "susceptibility.gpkg"
    if not file.is_file():
        if not run.on_units:
            raise RunError(f"run {run.id} has a map and no table of units: draw the map")
        raise RunError(f"the units of {run.area['name']} have no coordinates: there is no map")
    table = gpd.read_file(file)
    table = table[np.isfinite(table["score"]) & ~table.geometry.isna()]
    column = "zone" if classes else "score"
    colours = level_colours(run.limits.k) if classes else SCORES
    limits = (0.5, run.limits.k + 0.5) if classes else (0.0, 1.0)
    style = {"color": column, "cmap": list(colours) if classes else colours, "clim": limits}
    polygons = shapely.get_dimensions(table.geometry.to_numpy()).max(initial=0) == 2
    made = _polygons(table, column) if polygons else _points(table, column)
    more = {"line_color": "#555555", "line_width": 0.3} if polygons else {"size": 4}
    return made.opts(
        **style,
        **more,
        colorbar=True,
        data_aspect=1,
        width=width,
        height=width,
        tools=["hover"],
        title=f"{run.title} ({run.recipe.protocol}): {len(table):,} units",
        fontsize=SIZES,
        backend="bokeh",
    )


def _points(table: gpd.GeoDataFrame, column: str) -> hv.Points:
    columns = {"easting": table.geometry.x, "northing": table.geometry.y}
    columns |= {name: table[name] for name in ("score", "zone", "label", "unit")}
    first = [column, *(name for name in ("score", "zone", "label", "unit") if name != column)]
    return hv.Points(columns, ["easting", "northing"], first)


def _polygons(table: gpd.GeoDataFrame, column: str) -> hv.Polygons:
    names = ("score", "zone", "label", "unit")
    rows = []
    for shape, *values in zip(table.geometry, *(table[name] for name in names), strict=True):
        for part in shapely.get_parts(shape):
            ring = shapely.get_coordinates(part.exterior)
            holes = [shapely.get_coordinates(hole) for hole in part.interiors]
            row = {"easting": ring[:, 0], "northing": ring[:, 1], "holes": [holes]}
            rows.append(row | dict(zip(names, values, strict=True)))
    first = [column, *(name for name in names if name != column)]
    return hv.Polygons(rows, ["easting", "northing"], first)
