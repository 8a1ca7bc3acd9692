"""Printed maps of the ground itself: the study area with its landslides by part, and its factors.

What a paper shows before its results. Layers are read no finer than the paper shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from rasterio.crs import CRS

from lsm_core import map_furniture as furniture
from lsm_core.errors import RunError
from lsm_core.grid import grid_of
from lsm_core.lattice import Bounds
from lsm_core.layer_colours import Look as Colours
from lsm_core.layer_colours import look_of
from lsm_core.legend import number
from lsm_core.map_furniture import INK, LINE, Box
from lsm_core.plot_style import RUN_COLOURS
from lsm_core.print_maps import HEIGHTS, MANY, PAGE, Layout, draw_ground, frame, lit, plan_of
from lsm_core.print_style import LETTER, MM, Look, blank, in_lines, name_of, words_of
from lsm_core.runs import Run
from lsm_core.study_area import factors, is_units, open_area
from lsm_core.terrain import hillshade

PALE = LinearSegmentedColormap.from_list(  # heights that dots stand out from
    "pale", ["#cfe3c0", "#eee9c5", "#e2cba4", "#cdb6a0", "#f7f5f2"]
)
PARTS = {  # in the order they are drawn: those under test on top
    "left_out": RUN_COLOURS[3],  # greys drown in the relief
    "training": "#000000",
    "validation": RUN_COLOURS[0],
    "test": RUN_COLOURS[1],
}
NAMES = {"train": "training", "validation": "validation", "test": "test"}  # of the samples' split
MOST_CLASSES = 10  # of a legend; two and more further ones are counted
UNITS = {"degrees": "°", "1": ""}


def area_figure(runs: Sequence[Run], look: Look) -> Figure:
    """The study area: heights over relief, landslides by part. Runs that share a split, one map.

    Landslides that are in no part are those that a gap or a sampling rule left out.

    Raises
    ------
    RunError : no run, runs of different areas, or an area of units, which has no map.
    """
    ds, crs, bounds = _ground(runs)
    shown = _of_each_split(runs)
    words = words_of(look.language)
    plan = plan_of(bounds, len(shown), look)
    titles = [in_lines(title, plan.maps[0].width, look) for title in _titles(shown, ds, words)]
    plan = plan_of(bounds, len(shown), look, 1 + max(title.count("\n") for title in titles))
    figure = blank(look, plan.height)
    image, ends = _heights(ds, plan, look)
    degrees = furniture.degrees_of(crs, bounds)
    parts = [_parts(run, ds) for run in shown]
    for i, box in enumerate(plan.maps):
        axes = furniture.map_axes(figure, box, crs, bounds)
        axes.imshow(image, extent=_extent(bounds), origin="upper", transform=axes.projection)
        for name, places in parts[i].items():
            axes.plot(places["x"], places["y"], **_dot(name, len(ds["place"])), zorder=3)
        frame(axes, i, plan, bounds, degrees, look)
        if look.titles:
            axes.set_title(titles[i], loc="left", pad=0.4 * look.size)
    sheet = furniture.sheet_of(figure, look)
    top = plan.legend.bottom + plan.legend.height
    if ends is not None:
        signs = len({name for some in parts for name in some})
        top = furniture.draw_ramp(
            sheet, plan.legend, words["height"], look, PALE, ends=ends, signs=signs
        )
    for name, text in _signs(parts, plan.legend, look, words).items():
        style = _dot(name, len(ds["place"])) | {"markersize": 3.5}
        top = furniture.draw_dot(sheet, plan.legend, top, text, style, look)
    draw_ground(figure, sheet, look, plan, crs, bounds, degrees)
    return figure


def factors_figure(runs: Sequence[Run], look: Look) -> Figure:
    """The factors that the first run learnt from, a small map each with its own legend.

    Values between their 2nd and 98th percentile; of more than ten classes those of most cells.

    Raises
    ------
    RunError : no run, runs of different areas, or an area of units, which has no map.
    """
    ds, crs, bounds = _ground(runs)
    words = words_of(look.language)
    names = _used(runs[0], ds)
    titles = [
        f"({chr(ord('a') + i)}) {name_of(name, words)}{_unit(ds[name])}"
        for i, name in enumerate(names)
    ]
    plan, strips = _factor_plan([ds[name] for name in names], bounds, look, lines=1)
    titles = [in_lines(title, plan.maps[0].width, look, 0.9) for title in titles]
    if lines := max(title.count("\n") for title in titles):
        plan, strips = _factor_plan([ds[name] for name in names], bounds, look, lines=1 + lines)
    figure = blank(look, plan.height)
    maps = []
    for i, (name, box) in enumerate(zip(names, plan.maps, strict=True)):
        values = _thinned(ds[name], plan, look)
        colours = look_of(ds[name], values)
        axes = furniture.map_axes(figure, box, crs, bounds)
        image = _painted(colours, values, look)
        axes.imshow(image, extent=_extent(bounds), origin="upper", transform=axes.projection)
        small = {"pad": 0.3 * look.size, "size": look.size * 0.9}
        axes.set_title(titles[i], loc="left", linespacing=1.05, **small)
        maps.append((colours, values))
    sheet = furniture.sheet_of(figure, look)
    for (colours, values), box in zip(maps, strips, strict=True):
        _draw_key(sheet, box, colours, values, look, words)
    bare, degrees = look.model_copy(update={"inset": False}), furniture.degrees_of(crs, bounds)
    draw_ground(figure, sheet, bare, plan, crs, bounds, degrees, share=0.9)
    return figure


# ---------------------------------------------------------------------------------- what is drawn


def _ground(runs: Sequence[Run]) -> tuple[xr.Dataset, CRS, Bounds]:
    if not runs:
        raise RunError("no study area to draw: name at least one run")
    paths = dict.fromkeys(run.area_path for run in runs)
    if len(paths) > 1:
        raise RunError(
            f"these runs are on {', '.join(path.name for path in paths)}: draw them one by one"
        )
    ds = open_area(next(iter(paths)))
    if is_units(ds):
        raise RunError(f"{runs[0].area['name']} is a table of units: there is no map of it to draw")
    grid = grid_of(ds["valid"])
    return ds, grid.crs, grid.bounds


def _titles(shown: Sequence[Run], ds: xr.Dataset, words: Mapping[str, str]) -> list[str]:
    """The area, or a letter where there are several maps; the protocol; whether it is simulated."""
    made = f", {words['simulated']}" if ds.attrs.get("simulated") else ""
    area = shown[0].area["name"].replace("_", " ").capitalize()
    first = [
        f"({chr(ord('a') + i)}) " if len(shown) > 1 else f"{area}, " for i in range(len(shown))
    ]
    return [
        f"{one}{words[run.recipe.protocol]}{made}" for one, run in zip(first, shown, strict=True)
    ]


def _of_each_split(runs: Sequence[Run]) -> list[Run]:
    """The first run of every protocol and test part."""
    found: dict[tuple[str, str], Run] = {}
    for run in runs:
        found.setdefault((run.recipe.protocol, run.metrics["test_places"]), run)
    return list(found.values())


def _parts(run: Run, ds: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Places of the landslides by part, in the order of PARTS; parts without any are left out."""
    samples = run.samples
    if "landslide_id" not in samples:
        raise RunError(f"{run.id} does not say which landslides its samples are: run it again")
    known = samples[samples["label"] == 1].drop_duplicates("landslide_id")
    part = known.set_index("landslide_id")["split"].map(NAMES)
    places = pd.DataFrame({"x": ds["place_x"].to_numpy(), "y": ds["place_y"].to_numpy()})
    places["part"] = part.reindex(ds["place"].to_numpy()).fillna("left_out").to_numpy()
    some = {name: places[places["part"] == name] for name in PARTS}
    return {name: found for name, found in some.items() if len(found)}


def _signs(
    parts: Sequence[dict[str, pd.DataFrame]], box: Box, look: Look, words: Mapping[str, str]
) -> dict[str, str]:
    """What the legend says of each part that is drawn: of one map how many, where there is room."""
    plain = {name: words[name] for name in PARTS if any(name in some for some in parts)}
    if len(parts) > 1:
        return plain
    counted = {name: f"{text} ({len(parts[0][name]):,})" for name, text in plain.items()}
    letters = (box.width / look.em - 2.1) / 0.5
    return counted if max(map(len, counted.values())) <= letters else plain


def _used(run: Run, ds: xr.Dataset) -> list[str]:
    """Factors of a run that its area holds, classes last."""
    known = factors(ds)
    told = [factor["name"] for factor in run.encoder.get("factors", [])]
    used = [name for name in told if name in known] or known
    return sorted(used, key=lambda name: ds[name].attrs["kind"] == "categorical")


def _unit(layer: xr.DataArray) -> str:
    """What follows the name of a factor that is measured; directions have letters below."""
    measured = layer.attrs["kind"] == "continuous"
    unit = UNITS.get(layer.attrs["units"], layer.attrs["units"]) if measured else ""
    whole = unit.replace(" ", "\u00a0")  # no line ends inside it
    return f" ({whole})" if unit else ""


def _heights(
    ds: xr.Dataset, plan: Layout, look: Look
) -> tuple[NDArray[np.float64], tuple[float, float] | None]:
    """Colours (y, x, 4) of the ground, and the heights that the first and last colour stand for."""
    name = next((name for name in HEIGHTS if name in ds), None)
    if name is None:
        valid = _thinned(ds["valid"], plan, look) > 0
        return np.dstack([np.full((*valid.shape, 3), 0.93), valid]), None
    values = _thinned(ds[name], plan, look)
    ends = float(np.nanmin(values)), float(np.nanmax(values))
    rgba = PALE(np.nan_to_num((values - ends[0]) / max(ends[1] - ends[0], 1e-9)))
    if look.relief:
        part = _part(ds[name], plan, look)
        light = np.nan_to_num(hillshade(part.load()).to_numpy(), nan=181.0)
        rgba[..., :3] = lit(rgba[..., :3], light, look.relief)
    rgba[..., 3] = np.isfinite(values)
    return rgba, ends


def _part(layer: xr.DataArray, plan: Layout, look: Look) -> xr.DataArray:
    """Every so many cells of a layer: no more than there are dots on the paper."""
    box = plan.maps[0]
    across = box.width / MM * look.dpi
    step = max(1, int(layer.sizes["x"] // across))
    return layer[::step, ::step]


def _thinned(layer: xr.DataArray, plan: Layout, look: Look) -> NDArray[np.float32]:
    """The values of a layer as floats, NaN for nodata, as many as the paper shows."""
    values = _part(layer, plan, look).to_numpy()
    nodata = layer.attrs.get("nodata")
    found = values.astype("float32")
    if nodata is not None:
        found[values == nodata] = np.nan
    return found


def _painted(colours: Colours, values: NDArray, look: Look) -> NDArray[np.float64]:
    """Colours (y, x, 4) of a factor; clear without a value."""
    if colours.codes:
        index = np.full(values.shape, 0)
        for place, code in enumerate(colours.codes):
            index[values == code] = place
        rgba = ListedColormap(colours.colours)(index)
    else:
        low, high = colours.limits
        scale = _scale(colours, look)
        rgba = scale(np.nan_to_num(np.clip((values - low) / (high - low), 0, 1)))
    rgba[..., 3] = np.isfinite(values)
    return rgba


def _scale(colours: Colours, look: Look) -> Any:
    """Its own colours; those of the look for plain values."""
    plain = colours.limits[0] != -colours.limits[1] and colours.limits != (0.0, 360.0)
    return colormaps[look.colours] if plain else ListedColormap(colours.colours)


def _extent(bounds: Bounds) -> tuple[float, float, float, float]:
    return bounds[0], bounds[2], bounds[1], bounds[3]


def _dot(name: str, n: int) -> dict[str, Any]:
    size = {"markersize": 1.1, "markeredgewidth": 0.0} if n > MANY else {"markersize": 2.4}
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.25}
    return {"linestyle": "none", "marker": "o", "color": PARTS[name]} | edge | size


# --------------------------------------------------------------------------- where it lies, keys


def _factor_plan(
    layers: Sequence[xr.DataArray], bounds: Bounds, look: Look, lines: int
) -> tuple[Layout, list[Box]]:
    """Where the maps, and the key below each, lie on the sheet; scale and north at the foot."""
    em, shape = look.em, (bounds[2] - bounds[0]) / (bounds[3] - bounds[1])
    columns = min(len(layers), 2 if look.width_mm < 80 else 3 if look.width_mm < 130 else 4)
    rows = [layers[i : i + columns] for i in range(0, len(layers), columns)]
    keys = [max(_key_height(layer) for layer in row) * em for row in rows]
    free = len(layers) % columns > 0  # a place in the last row, for scale and north
    gap, head, foot = 1.2 * em, (0.8 + lines) * em, 0.5 * em if free else 6.5 * em
    most = (look.height_mm or PAGE) - foot - sum(keys) - len(rows) * (head + gap)
    room = look.width_mm - (columns + 1) * gap
    width = min(room / columns, max(most, 5 * em) / len(rows) * shape)
    high = width / shape
    height = look.height_mm or foot + sum(keys) + len(rows) * (high + head + gap)
    left = (look.width_mm - columns * width - (columns - 1) * gap) / 2
    maps, strips, top = [], [], height
    for row, key in zip(rows, keys, strict=True):
        bottom = top - head - high
        for i in range(len(row)):
            x = left + i * (width + gap)
            maps.append(Box(x, bottom, width, high))
            strips.append(Box(x, bottom - key, width, key - 0.5 * em))
        top = bottom - key - gap
    beside = Box(maps[-1].left + width + gap, maps[-1].bottom + 0.3 * high, width, 5 * em)
    below = Box(look.width_mm / 2 - width / 2, 0.8 * em, width, 5 * em)
    scale = beside if free else below
    nothing = Box(0, 0, 0, 0)
    return Layout(height, tuple(maps), columns, nothing, nothing, scale), strips


def _key_height(layer: xr.DataArray) -> float:
    """Of a factor's key, in letters."""
    if layer.attrs["kind"] != "categorical":
        return 3.0
    count = len(np.atleast_1d(layer.attrs.get("flag_values", [])))
    return 1.15 * min(count, MOST_CLASSES + 1) + 0.8


def _draw_key(
    sheet: Axes,
    box: Box,
    colours: Colours,
    values: NDArray,
    look: Look,
    words: Mapping[str, str],
) -> None:
    if colours.codes:
        _draw_classes(sheet, box, colours, values, look)
        return
    em, top = look.em, box.bottom + box.height
    high = 0.8 * em
    sheet.imshow(
        np.linspace(0, 1, 256)[None, :], cmap=_scale(colours, look), vmin=0, vmax=1,
        extent=(box.left, box.left + box.width, top - high, top), aspect="auto", zorder=2,
    )  # fmt: skip
    outline = Rectangle((box.left, top - high), box.width, high, fill=False, ec=INK, lw=LINE)
    sheet.add_patch(outline)
    for share, text, side in _ends(colours, values, words):
        x = box.left + share * box.width
        y, size = top - high - 0.25 * em, look.size * 0.75
        sheet.text(x, y, text, ha=side, va="top", size=size, color=INK)


def _ends(
    colours: Colours, values: NDArray, words: Mapping[str, str]
) -> list[tuple[float, str, str]]:
    """What stands below a key: where along it, the words, and how they are laid.

    An end beyond which values have the same colour says so (≤, ≥).
    """
    if colours.limits == (0.0, 360.0):
        letters = [words[key] for key in ("north", "east", "south", "west", "north")]
        sides = ["left", "center", "center", "center", "right"]
        return [(i / 4, *one) for i, one in enumerate(zip(letters, sides, strict=True))]
    low, high = colours.limits
    least = "≤ " if np.nanmin(values) < low else ""
    most = "≥ " if np.nanmax(values) > high else ""
    ends = (f"{least}{number(low)}", f"{most}{number(high)}")
    return [
        (at, text.replace("-", "−"), side)
        for at, text, side in zip((0.0, 1.0), ends, ("left", "right"), strict=True)
    ]


def _draw_classes(sheet: Axes, box: Box, colours: Colours, values: NDArray, look: Look) -> None:
    """Swatches and names, those of most cells where there are too many."""
    em, top = look.em, box.bottom + box.height
    cells = {code: int((values == code).sum()) for code in colours.codes}
    most = MOST_CLASSES + (len(cells) == MOST_CLASSES + 1)
    kept = sorted(sorted(cells, key=lambda code: -cells[code])[:most])
    letters = max(6, int((box.width - 1.6 * em) / (0.75 * em) / LETTER))
    entries = [(colours.codes[code][0], colours.codes[code][1]) for code in kept]
    if more := len(cells) - len(kept):
        entries.append((f"+ {more}", "none"))
    shown = _shortened([name for name, _ in entries], letters)
    for i, (name, (_, colour)) in enumerate(zip(shown, entries, strict=True)):
        y = top - (i + 1) * 1.15 * em
        if colour != "none":
            patch = Rectangle((box.left, y), 1.2 * em, 0.8 * em, fc=colour, ec=INK, lw=0.3)
            sheet.add_patch(patch)
        sheet.text(
            box.left + 1.6 * em, y + 0.4 * em, name,
            va="center", size=look.size * 0.75, color=INK,
        )  # fmt: skip


def _shortened(names: Sequence[str], letters: int) -> list[str]:
    """Names of no more than so many letters; of those that begin alike, both ends are kept.

    >>> _shortened(["Bare ground (river)", "Bare ground (rock)", "Forest"], 12)
    ['Bare …(river', 'Bare …(rock)', 'Forest']
    """
    short = [n if len(n) <= letters else f"{n[: letters - 1].rstrip()}…" for n in names]
    tails = [n.split()[-1][: letters // 2] for n in names]
    return [
        f"{name[: letters - 1 - len(tail)]}…{tail}" if short.count(one) > 1 else one
        for name, one, tail in zip(names, short, tails, strict=True)
    ]
