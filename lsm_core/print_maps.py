"""Maps of runs for print: susceptibility or its classes over the relief, with all a map needs.

Rasters are read no finer than the paper shows: width of the map times dots per inch.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
import xarray as xr
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rasterio.crs import CRS

from lsm_core import map_furniture as furniture
from lsm_core.errors import LsmError, RunError
from lsm_core.lattice import Bounds
from lsm_core.map_furniture import Box
from lsm_core.plot_style import told_apart
from lsm_core.print_style import MM, Look, blank, in_lines, words_of
from lsm_core.runs import Run
from lsm_core.study_area import inventory, open_area
from lsm_core.terrain import hillshade
from lsm_core.zoning import Limits, level_colours, level_names

KINDS = ("susceptibility", "zones")
HEIGHTS = ("elevation", "altitude", "dem")  # names a study area may give its heights
FLAT = 181.0  # light of flat ground, of 255: it keeps its colour
PAGE = 235.0  # mm, the tallest figure that nobody asked for
MANY = 1000  # landslides, from which dots are small and bare
USUAL = 75.0  # mm, width of a map below which they are smaller still
WIDE = 1.5  # width over height from which the legend lies below the map
TALL = 34  # letters high that a figure must be for a legend beside the map
FOOT = 13.5  # letters high of the strip below the maps


class Layout(NamedTuple):
    """Where things lie on the sheet, mm: maps row by row, inset, legend, north and scale."""

    height: float
    maps: tuple[Box, ...]
    columns: int
    inset: Box
    legend: Box
    scale: Box


def map_figure(runs: Sequence[Run], kind: str, look: Look) -> Figure:
    """Maps of runs of one area beside each other, or below, with one legend.

    Parameters
    ----------
    kind : "susceptibility" (0 to 1) or "zones" (the run's classes, or those of the look's breaks).

    Raises
    ------
    RunError : no run, runs of different grids or numbers of classes, or one without a map.
    """
    grids = [_grid_of(run, kind) for run in runs]
    if not grids:
        raise RunError("no map to draw: name at least one run")
    if len({grid[:2] for grid in grids}) > 1:
        raise RunError("these runs map different areas or grids: draw them one by one")
    crs, bounds = grids[0][0], grids[0][1]
    plan = plan_of(bounds, len(runs), look)
    titles = [in_lines(title, plan.maps[0].width, look) for title in _titles(runs, look)]
    plan = plan_of(bounds, len(runs), look, 1 + max(title.count("\n") for title in titles))
    figure = blank(look, plan.height)
    shade = _shade_of(runs[0], _cells(plan, look), look)
    degrees = furniture.degrees_of(crs, bounds)
    for i, (run, box) in enumerate(zip(runs, plan.maps, strict=True)):
        axes = furniture.map_axes(figure, box, crs, bounds)
        rgba = _coloured(run, kind, _cells(plan, look), look, shade)
        extent = (bounds[0], bounds[2], bounds[1], bounds[3])
        axes.imshow(rgba, extent=extent, origin="upper", transform=axes.projection)
        _draw_landslides(axes, run, look)
        frame(axes, i, plan, bounds, degrees, look)
        if look.titles:
            axes.set_title(titles[i], loc="left", pad=0.4 * look.size)
    _draw_beside(figure, runs[0], kind, look, plan, crs, bounds, degrees)
    return figure


def frame(axes: GeoAxes, i: int, plan: Layout, bounds: Bounds, degrees: Bounds, look: Look) -> None:
    """Ends of the i-th map, and its graticule, with labels where no other map stands between."""
    axes.set_xlim(bounds[0], bounds[2])
    axes.set_ylim(bounds[1], bounds[3])
    if look.graticule:
        last = i + plan.columns >= len(plan.maps)
        sides = [s for s, on in (("left", i % plan.columns == 0), ("bottom", last)) if on]
        furniture.draw_graticule(axes, degrees, look, words_of(look.language), sides)


def plan_of(bounds: Bounds, n: int, look: Look, lines: int = 1) -> Layout:
    """Where n maps of these bounds, and what stands beside them, lie on the sheet.

    `lines` are those of the longest title, where the look has titles.

    The legend stands to the right where the maps are tall enough for it, else below them.
    """
    shape = (bounds[2] - bounds[0]) / (bounds[3] - bounds[1])
    beside = _planned(shape, n, look, lines, below=False)
    if beside.height >= TALL * look.em and shape <= WIDE:
        return beside
    return _planned(shape, n, look, lines, below=True)


def _planned(shape: float, n: int, look: Look, lines: int, *, below: bool) -> Layout:
    em, wide = look.em, look.width_mm
    columns = min(n, 2 if wide < 130 else 3)
    rows = math.ceil(n / columns)
    left, bottom = (2.4 * em, 2.0 * em) if look.graticule else (0.5 * em, 0.5 * em)
    gap, head, right = 1.0 * em, (0.8 + 1.2 * lines) * em if look.titles else 0.6 * em, 0.5 * em
    side = 0.0 if below else min(max(10 * em, 0.24 * wide), 14 * em) + em
    foot = FOOT * em if below else 0.0
    room = wide - left - right - side - (columns - 1) * gap
    most = (look.height_mm or PAGE) - bottom - rows * head - (rows - 1) * gap - foot
    width = min(room / columns, most / rows * shape)
    high = width / shape
    height = look.height_mm or bottom + foot + rows * (high + head) + (rows - 1) * gap
    start = left + (room - columns * width) / 2
    maps = tuple(
        Box(
            start + (i % columns) * (width + gap),
            height - (i // columns + 1) * (high + head) - (i // columns) * gap,
            *(width, high),
        )
        for i in range(n)
    )
    used = columns * width + (columns - 1) * gap
    place = _below if below else _beside
    return Layout(height, maps, columns, *place(maps, start, used, side, look))


def _below(
    maps: tuple[Box, ...], start: float, used: float, side: float, look: Look
) -> tuple[Box, Box, Box]:
    """Inset, legend, and north with scale in a strip at the foot."""
    em = look.em
    bottom, high = 0.6 * em, (FOOT - 2.2) * em
    wide = used / (3 if look.inset else 2)
    legend = Box(start + 0.4 * em, bottom, wide - em, high)
    scale = Box(start + wide, bottom + 0.28 * high, wide, 0.72 * high)
    return Box(start + 2 * wide, bottom, wide, high), legend, scale


def _beside(
    maps: tuple[Box, ...], start: float, used: float, side: float, look: Look
) -> tuple[Box, Box, Box]:
    """The same in a column to the right of the maps, from their top to their foot."""
    em, x = look.em, start + used + look.em
    wide, top, floor = side - em, maps[0].bottom + maps[0].height, maps[-1].bottom
    inset = Box(x, top - min(wide, 9.5 * em), wide, min(wide, 9.5 * em))
    end = inset.bottom - 1.5 * em if look.inset else top
    return (
        inset,
        Box(x + em, floor + 7 * em, wide - em, end - floor - 7 * em),
        Box(x, floor, wide, 5.5 * em),
    )


def _draw_beside(
    figure: Figure,
    run: Run,
    kind: str,
    look: Look,
    plan: Layout,
    crs: CRS,
    bounds: Bounds,
    degrees: Bounds,
) -> None:
    words = words_of(look.language)
    sheet = furniture.sheet_of(figure, look)
    if kind == "zones":
        limits = _limits(run, look)
        names = [_level(name, words) for name in level_names(limits.k)]
        if limits.method.startswith("equal"):  # the same in all maps
            ends = zip(limits.breaks, limits.breaks[1:], strict=False)
            names = [f"{name}, {a:g}–{b:g}" for name, (a, b) in zip(names, ends, strict=True)]
        entries = list(zip(names, level_colours(limits.k), strict=True))[::-1]
        left = furniture.draw_swatches(
            sheet, plan.legend, words["susceptibility_class"], entries, look
        )
    else:
        left = furniture.draw_ramp(sheet, plan.legend, words["susceptibility"], look, look.colours)
    if look.landslides != "none":
        name = "simulated" if _simulated(run) else "landslides"
        count = len(_places(run)[0])
        style = _dots(count) | {"markersize": max(2.0, _dots(count)["markersize"] * 2)}
        furniture.draw_dot(sheet, plan.legend, left, words[name].capitalize(), style, look)
    draw_ground(figure, sheet, look, plan, crs, bounds, degrees)


def draw_ground(
    figure: Figure,
    sheet: Axes,
    look: Look,
    plan: Layout,
    crs: CRS,
    bounds: Bounds,
    degrees: Bounds,
    share: float = 0.4,
) -> None:
    """Scale (at most `share` of a map), north, and where the area lies, where the plan has them."""
    words, em = words_of(look.language), look.em
    one = plan.maps[0]
    share = min(share, 0.9 * plan.scale.width / one.width)
    bar = furniture.scale_bar(crs, bounds, share)
    furniture.draw_scale(sheet, plan.scale, bar, one.width / (bounds[2] - bounds[0]), look)
    north = furniture.north_of(crs, bounds)
    middle = plan.scale.left + plan.scale.width / 2
    furniture.draw_north(sheet, middle, plan.scale.bottom + 2.1 * em, north, look, words["north"])
    if look.inset:
        furniture.draw_inset(figure, plan.inset, degrees, look, words, _context(look, degrees))


def _titles(runs: Sequence[Run], look: Look) -> list[str]:
    """What each map is of: its run and protocol, with a letter where there are several."""
    words = words_of(look.language)
    names = told_apart([f"{run.title}, {words[run.recipe.protocol]}" for run in runs], runs)
    if len(runs) == 1:
        return names
    return [f"({chr(ord('a') + i)}) {name}" for i, name in enumerate(names)]


def _level(name: str, words: dict[str, str]) -> str:
    """A class's name; "zone 3" beyond five."""
    if name in words:
        return words[name]
    return name.replace("zone", words["zone"])


# --------------------------------------------------------------------------------------- images


def _grid_of(run: Run, kind: str) -> tuple[CRS, Bounds]:
    if kind not in KINDS:
        raise RunError(f"maps are of {', '.join(KINDS)}, got {kind!r}")
    with rasterio.open(run.map_path) as source:
        return source.crs, tuple(source.bounds)


def _cells(plan: Layout, look: Look) -> tuple[int, int]:
    """Dots (down, across) that one map has on the paper."""
    box = plan.maps[0]
    return math.ceil(box.height / MM * look.dpi), math.ceil(box.width / MM * look.dpi)


def _limits(run: Run, look: Look) -> Limits:
    """Of the classes that a map shows: the run's own, unless the look names other breaks."""
    return run.limits if look.breaks == Look().breaks else run.limits_by(look.breaks)


def _read(
    path: Path, most: tuple[int, int], *, classes: bool
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A raster in no more cells (down, across) than `most`, NaN for nodata; for classes unmixed."""
    with rasterio.open(path) as source:
        shape = (min(most[0], source.height), min(most[1], source.width))
        method = rasterio.enums.Resampling.nearest if classes else rasterio.enums.Resampling.average
        values = source.read(1, out_shape=shape, resampling=method, masked=True)
    return values.astype("float32").filled(np.nan), shape


def _coloured(
    run: Run, kind: str, most: tuple[int, int], look: Look, shade: NDArray | None
) -> NDArray[np.uint8]:
    """Colours (y, x, 4) of a map, darkened where the relief is in shadow; clear without a value."""
    values, shape = _read(run.map_path, most, classes=kind == "zones")
    if kind == "zones":
        limits = _limits(run, look)
        scale: Any = ListedColormap(level_colours(limits.k))
        rgba = scale(np.maximum(limits.zone(values), 1).astype(int) - 1)
    else:
        rgba = colormaps[look.colours](np.clip(np.nan_to_num(values), 0, 1))
    if shade is not None:
        rows = (np.arange(shape[0]) + 0.5) * shade.shape[0] / shape[0]
        cols = (np.arange(shape[1]) + 0.5) * shade.shape[1] / shape[1]
        light = shade[rows.astype(int)][:, cols.astype(int)]
        rgba[..., :3] = lit(rgba[..., :3], light, look.relief)
    rgba[..., 3] = np.isfinite(values)
    return (rgba * 255).round().astype("uint8")


def lit(rgb: NDArray, light: NDArray, strength: float) -> NDArray:
    """Colours towards black in shadow and towards white in light; flat ground keeps its own."""
    shadow = np.clip(1 - light / FLAT, 0, 1)[..., None] * strength
    glow = np.clip((light - FLAT) / (255 - FLAT), 0, 1)[..., None] * strength * 0.3
    return rgb * (1 - shadow) * (1 - glow) + glow


def _shade_of(run: Run, most: tuple[int, int], look: Look) -> NDArray[np.float32] | None:
    """Hillshade of the area, its heights read no finer than the paper shows; None without any."""
    ds = _area(run)
    name = next((name for name in HEIGHTS if ds is not None and name in ds), None)
    if ds is None or name is None or not look.relief:
        return None
    step = max(1, min(ds.sizes["y"] // most[0], ds.sizes["x"] // most[1]))
    part = ds[name][::step, ::step].load()
    return np.nan_to_num(hillshade(part).to_numpy(), nan=FLAT).astype("float32")


def _area(run: Run) -> xr.Dataset | None:
    """The run's study area; None where it is gone: the map can be drawn without."""
    try:
        return open_area(run.area_path)
    except LsmError:
        return None


def _simulated(run: Run) -> bool:
    ds = _area(run)
    return ds is not None and bool(ds.attrs.get("simulated", False))


# ----------------------------------------------------------------------------------- landslides


def _places(run: Run) -> tuple[NDArray, NDArray]:
    ds = _area(run)
    if ds is None:
        raise RunError(
            f"the study area of {run.id} is not in {run.area_path} any more: build it again, or "
            "leave the landslides out (--landslides none)"
        )
    return ds["place_x"].to_numpy(), ds["place_y"].to_numpy()


def _draw_landslides(axes: GeoAxes, run: Run, look: Look) -> None:
    """Dots at the landslides' places, or their outlines where the inventory has polygons."""
    if look.landslides == "none":
        return
    x, y = _places(run)
    rings = _rings(run) if look.landslides == "polygons" else []
    if rings:
        axes.add_collection(
            PolyCollection(rings, facecolor="black", edgecolor="black", linewidth=0.15, zorder=3)
        )
        return
    wide = axes.get_position().width * look.width_mm
    axes.plot(x, y, **_dots(len(x), wide), zorder=3)


def _dots(n: int, width_mm: float = USUAL) -> dict[str, Any]:
    """The sign of landslides on a map: of many a small one, the smaller the map the smaller."""
    few = {"markersize": 2.0, "markeredgecolor": "white", "markeredgewidth": 0.25}
    many = {"markersize": 0.9 * min(1, width_mm / USUAL), "markeredgewidth": 0.0}
    return {"linestyle": "none", "marker": "o", "color": "black"} | (few if n <= MANY else many)


def _rings(run: Run) -> list[NDArray]:
    """Outer rings of the inventory's polygons in the map's CRS."""
    with rasterio.open(run.map_path) as source:
        shapes = inventory(run.area_path).to_crs(source.crs.to_wkt()).geometry
    parts = shapes.explode(index_parts=False)
    parts = parts[parts.geom_type == "Polygon"]
    return [np.asarray(part.exterior.coords)[:, :2] for part in parts]


def _context(look: Look, degrees: Bounds) -> list[NDArray]:
    """Lines (lon, lat) of the file drawn in the inset."""
    if look.context is None:
        return []
    import geopandas as gpd

    if not Path(look.context).is_file():
        raise RunError(f"no file {look.context} to draw in the inset")
    west, south, east, north = degrees
    span = furniture.WIDER * max(east - west, north - south, furniture.LEAST_DEGREES)
    shapes = gpd.read_file(look.context).to_crs(4326)
    near = shapes.cx[west - span : east + span, south - span : north + span].geometry
    lines = near.boundary.where(near.geom_type.str.contains("Polygon"), near)
    lines = lines.explode(index_parts=False)
    return [np.asarray(line.coords) for line in lines if line.geom_type.endswith("String")]
