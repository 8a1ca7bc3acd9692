"""What a printed map has beside its image: scale bar, north arrow, graticule, inset and legend.

Everything that is not a map lies on a `sheet`: axes over the whole figure in millimetres from its
lower left corner.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cartopy.crs as ccrs
import numpy as np
import pyproj
from cartopy.mpl.geoaxes import GeoAxes
from cartopy.mpl.ticker import LatitudeFormatter, LongitudeFormatter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator
from rasterio.crs import CRS

from lsm_core.lattice import Bounds
from lsm_core.legend import number
from lsm_core.print_style import EM, Look

INK = "#222222"
LINE = 0.6  # points
STEPS = (
    1 / 60,
    2 / 60,
    5 / 60,
    10 / 60,
    15 / 60,
    0.5,
    1,
    2,
    5,
    10,
    30,
    90,
)  # of a graticule, degrees
WIDER = 6.0  # times the area's extent that the inset shows
LEAST_DEGREES = 1.0  # half a side of the inset


class Box(NamedTuple):
    """Left, bottom, width and height on the sheet, mm."""

    left: float
    bottom: float
    width: float
    height: float


class ScaleBar(NamedTuple):
    """Length on the ground, and the same length in the map's units at its centre."""

    metres: float
    units: float


# ----------------------------------------------------------------------------------- the ground


def projection_of(crs: CRS, bounds: Bounds) -> ccrs.Projection:
    """Cartopy's projection of any projected CRS, bounded by twice the map: its own may be unknown.

    Cartopy asks the CRS for its area of use, which one made by hand has not got.
    """
    left, bottom, right, top = bounds
    wide, high = right - left, top - bottom
    limits = (left - wide, right + wide, bottom - high, top + high)

    class Own(ccrs.Projection):
        def __init__(self) -> None:
            super().__init__(pyproj.CRS.from_wkt(crs.to_wkt()))
            self.bounds = limits
            self.threshold = min(wide, high) / 100

    return Own()


def scale_bar(crs: CRS, bounds: Bounds, share: float = 0.35) -> ScaleBar:
    """The longest of 1, 2 and 5 times a power of ten metres that takes `share` of the width.

    Its length in the map's units is measured on the ellipsoid at the centre of the map, so that a
    projection that stretches (Mercator) is allowed for.

    >>> bar = scale_bar(CRS.from_epsg(32643), (480e3, 3.8e6, 520e3, 3.84e6))
    >>> bar.metres, round(bar.units, -1)
    (10000, 10000.0)
    """
    left, bottom, right, top = bounds
    middle = (bottom + top) / 2
    wide = ground_length(crs, (left, middle), (right, middle))
    most = share * wide
    power = 10 ** math.floor(math.log10(most))
    metres = max(n * power for n in (1, 2, 5) if n * power <= most)
    metres = round(metres) if metres >= 1 else metres
    units = metres / wide * (right - left)
    for _ in range(3):  # a short bar at the centre is not as stretched as the whole width
        centre = (left + right) / 2
        found = ground_length(crs, (centre - units / 2, middle), (centre + units / 2, middle))
        units *= metres / found
    return ScaleBar(metres, units)


def ground_length(crs: CRS, one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres on the ellipsoid between two places of a projected CRS."""
    to = _to_degrees(crs)
    (lon0, lat0), (lon1, lat1) = to.transform(*one), to.transform(*other)
    return float(pyproj.Geod(ellps="WGS84").inv(lon0, lat0, lon1, lat1)[2])


def north_of(crs: CRS, bounds: Bounds) -> float:
    """Degrees clockwise from the top of the map to true north, at its centre."""
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    to = _to_degrees(crs)
    lon, lat = to.transform(x, y)
    x1, y1 = to.transform(lon, lat + 1e-3, direction="INVERSE")
    return math.degrees(math.atan2(x1 - x, y1 - y))


def degrees_of(crs: CRS, bounds: Bounds) -> Bounds:
    """West, south, east and north of a map, by places along its edges."""
    left, bottom, right, top = bounds
    x, y = np.linspace(left, right, 21), np.linspace(bottom, top, 21)
    xs = np.concatenate([x, x, np.full(21, left), np.full(21, right)])
    ys = np.concatenate([np.full(21, bottom), np.full(21, top), y, y])
    lon, lat = _to_degrees(crs).transform(xs, ys)
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _to_degrees(crs: CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs.to_wkt(), 4326, always_xy=True)


def ticks_between(low: float, high: float, most: int = 4) -> list[float]:
    """Round degrees or minutes between two limits, at most so many.

    >>> [round(tick, 3) for tick in ticks_between(73.25, 73.55)]
    [73.25, 73.333, 73.417, 73.5]
    """
    for step in STEPS:
        ticks = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
        if len(ticks) <= most:
            return [float(tick) for tick in ticks]
    return []


# ------------------------------------------------------------------------------------ drawn


def sheet_of(figure: Figure, look: Look) -> Axes:
    """Axes over the whole figure, in mm."""
    wide, high = figure.get_size_inches() * 25.4
    sheet = figure.add_axes((0, 0, 1, 1), label="sheet", zorder=5)
    sheet.set(xlim=(0, wide), ylim=(0, high))
    sheet.axis("off")
    sheet.patch.set_alpha(0)
    return sheet


def map_axes(figure: Figure, box: Box, crs: CRS, bounds: Bounds) -> GeoAxes:
    """Axes of a map whose box has the shape of its bounds."""
    wide, high = figure.get_size_inches() * 25.4
    rectangle = (box.left / wide, box.bottom / high, box.width / wide, box.height / high)
    axes = figure.add_axes(rectangle, projection=projection_of(crs, bounds))
    left, bottom, right, top = bounds
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_facecolor("white")
    axes.spines["geo"].set(linewidth=LINE, edgecolor=INK)
    return axes


def draw_graticule(
    axes: GeoAxes, degrees: Bounds, look: Look, words: Mapping[str, str], sides: Sequence[str]
) -> None:
    """Lines of longitude and latitude, labelled on `sides` ("bottom", "left")."""
    west, south, east, north = degrees
    labels = {side: {"bottom": "x", "left": "y"}[side] for side in sides}
    lines = axes.gridlines(
        crs=ccrs.PlateCarree(), draw_labels=labels or False, linewidth=0.3, color=INK, alpha=0.35
    )
    wide = axes.get_position().width * axes.figure.get_size_inches()[0] * 72 / look.size
    aside, below = 0.04 * (east - west), 0.03 * (north - south)  # no label hangs over a corner
    most = min(5, max(2, int(wide / 7)))
    lines.xlocator = FixedLocator(ticks_between(west + aside, east - aside, most))
    lines.ylocator = FixedLocator(ticks_between(south + below, north - below))
    if not labels:
        return
    names = {key: words[key] for key in ("east", "west", "north", "south")}
    lines.xformatter = LongitudeFormatter(dms=True, cardinal_labels=names)
    lines.yformatter = LatitudeFormatter(dms=True, cardinal_labels=names)
    small = {"size": look.size * 0.8, "color": INK}
    lines.xlabel_style = small | {"rotation": 0}
    lines.ylabel_style = small | {"rotation": 90, "va": "center"}
    lines.xpadding = lines.ypadding = look.size * 0.35
    lines.rotate_labels = None


def draw_scale(sheet: Axes, box: Box, bar: ScaleBar, mm_per_unit: float, look: Look) -> Rectangle:
    """A scale bar at the foot of the box, half black and half white; returns its outline."""
    length, em = bar.units * mm_per_unit, look.em
    left = box.left + max(0.0, (box.width - length) / 2)
    high = 0.4 * em
    outline = Rectangle(
        (left, box.bottom), length, high, fill=False, ec=INK, lw=LINE, gid="scale bar"
    )
    sheet.add_patch(outline)
    sheet.add_patch(Rectangle((left, box.bottom), length / 2, high, fc=INK, ec=INK, lw=LINE))
    unit, value = ("km", bar.metres / 1000) if bar.metres >= 1000 else ("m", bar.metres)
    marks = [(0.0, "0"), (0.5, f"{value / 2:g}"), (1.0, f"{value:g} {unit}")]
    for share, words in marks if length > 7 * em else marks[::2]:
        x, y = left + share * length, box.bottom + high + 0.25 * em
        sheet.text(x, y, words, ha="center", va="bottom", size=look.size * 0.8, color=INK)
    return outline


def draw_north(
    sheet: Axes, x: float, bottom: float, turned: float, look: Look, letter: str
) -> None:
    """An arrow to true north, `turned` degrees clockwise from the top of the map."""
    high = 3.2 * look.em
    shape = np.array([[0, 1.0], [0.3, 0.0], [0, 0.22], [-0.3, 0.0]]) * high
    angle = math.radians(-turned)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    points = (shape - [0, high / 2]) @ turn.T + [x, bottom + high / 2]
    sheet.add_patch(Polygon(points, fc="white", ec=INK, lw=LINE))
    sheet.add_patch(Polygon(points[[0, 2, 3]], fc=INK, ec=INK, lw=LINE))
    up = (points[0] - points[2]) / np.linalg.norm(points[0] - points[2])
    x, y = points[0] + 0.7 * look.em * up
    sheet.text(x, y, letter, ha="center", va="center", size=look.size, weight="bold", color=INK)


def draw_inset(
    figure: Figure,
    box: Box,
    degrees: Bounds,
    look: Look,
    words: Mapping[str, str],
    context: Sequence[Any] = (),
) -> GeoAxes:
    """Where the area lies: its box in red, among round degrees, over lines (lon, lat) if given."""
    west, south, east, north = degrees
    lon, lat = (west + east) / 2, (south + north) / 2
    half = max(LEAST_DEGREES, WIDER / 2 * max(east - west, north - south))
    side = min(box.width - 2.4 * look.em, box.height - 1.6 * look.em)
    wide, high = figure.get_size_inches() * 25.4
    left, bottom = box.left + box.width - side, box.bottom + box.height - side
    rectangle = (left / wide, bottom / high, side / wide, side / high)
    axes = figure.add_axes(rectangle, projection=ccrs.PlateCarree(), label="inset")
    stretch = 1 / max(0.2, math.cos(math.radians(lat)))
    axes.set_xlim(lon - half * min(stretch, 3), lon + half * min(stretch, 3))
    axes.set_ylim(lat - half, lat + half)
    axes.set_aspect("auto")
    axes.spines["geo"].set(linewidth=LINE, edgecolor=INK)
    for line in context:
        axes.plot(*np.asarray(line).T[:2], color="#777777", lw=0.4)
    frame = Rectangle((west, south), east - west, north - south, fc="#d7191c33", ec="#d7191c", lw=1)
    frame.set_gid("area")
    axes.add_patch(frame)
    _few_degrees(axes, lon, lat, half, look, words)
    return axes


def _few_degrees(
    axes: GeoAxes, lon: float, lat: float, half: float, look: Look, words: Mapping[str, str]
) -> None:
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    xs, ys = ticks_between(x0, x1, 2), ticks_between(y0, y1, 2)
    small = {"size": look.size * 0.65, "color": INK}
    for x in xs:
        axes.axvline(x, color=INK, lw=0.3, alpha=0.35)
        side = words["east"] if x >= 0 else words["west"]
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(
            f"{abs(x):g}°{side}", (x, 0), xytext=(0, -2), ha="center", va="top", **place, **small
        )
    for y in ys:
        axes.axhline(y, color=INK, lw=0.3, alpha=0.35)
        side = words["north"] if y >= 0 else words["south"]
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(
            f"{abs(y):g}°{side}", (0, y), xytext=(-2, 0), ha="right", va="center",
            rotation=90, **place, **small,
        )  # fmt: skip


# ------------------------------------------------------------------------------------- legends


def draw_ramp(
    sheet: Axes,
    box: Box,
    title: str,
    look: Look,
    colours: Any,
    *,
    ends: tuple[float, float] = (0.0, 1.0),
    signs: int = 1,
) -> float:
    """A colour bar that hangs from the top of the box, with room for so many signs below it.

    `ends` are the values of its foot and its top; returns what is left below.
    """
    top = _heading(sheet, box, title, look)
    room = (1.5 + 1.5 * signs) * look.em
    high = min(9 * look.em, max(2 * look.em, top - box.bottom - room))
    left, wide, bottom = box.left, 1.1 * look.em, top - high
    ramp = np.linspace(1, 0, 256)[:, None]
    sheet.imshow(
        ramp, cmap=colours, vmin=0, vmax=1, extent=(left, left + wide, bottom, top),
        aspect="auto", interpolation="nearest", zorder=2,
    )  # fmt: skip
    sheet.add_patch(Rectangle((left, bottom), wide, high, fill=False, ec=INK, lw=LINE, zorder=3))
    parts = next((n for n in (4, 2) if high > 1.2 * n * look.em), 1)  # no two numbers touch
    for value in np.linspace(0, 1, parts + 1):
        y = bottom + value * high
        sheet.plot([left + wide, left + wide + 0.3 * look.em], [y, y], color=INK, lw=LINE)
        sheet.text(
            left + wide + 0.5 * look.em,
            y,
            number(ends[0] + value * (ends[1] - ends[0])),
            va="center",
            size=look.size * 0.8,
            color=INK,
        )
    return bottom - look.em


def draw_swatches(
    sheet: Axes, box: Box, title: str, entries: Sequence[tuple[str, str]], look: Look
) -> float:
    """Classes by (name, colour), the first on top; returns what is left below."""
    top = _heading(sheet, box, title, look)
    wide, high, step = 1.6 * look.em, 1.0 * look.em, 1.45 * look.em
    for i, (name, colour) in enumerate(entries):
        y = top - i * step - high
        sheet.add_patch(Rectangle((box.left, y), wide, high, fc=colour, ec=INK, lw=0.3))
        sheet.text(
            box.left + wide + 0.5 * look.em, y + high / 2, name,
            va="center", size=look.size * 0.875, color=INK,
        )  # fmt: skip
    return top - len(entries) * step - 0.3 * look.em


def draw_dot(
    sheet: Axes, box: Box, top: float, words: str, style: Mapping[str, Any], look: Look
) -> float:
    """The sign of landslides, with its words, below `top`; returns what is left below."""
    y = top - 0.5 * look.em
    sheet.plot([box.left + 0.8 * look.em], [y], **style)
    lines = textwrap.fill(words, max(8, int((box.width - 2.1 * look.em) / look.em / 0.5)))
    sheet.text(
        box.left + 2.1 * look.em, y + 0.45 * look.em, lines,
        va="top", size=look.size * 0.875, color=INK, linespacing=1.05,
    )  # fmt: skip
    return top - (1.2 * lines.count("\n") + 1.4) * look.em


def _heading(sheet: Axes, box: Box, title: str, look: Look) -> float:
    """A title that hangs from the top of the box, in as many lines as it needs.

    Lines end between words; where one is wider than the box, its letters are smaller.
    """
    letters = max(8, int(box.width / look.em / 0.55))
    lines = textwrap.wrap(title, letters, break_long_words=False) or [""]
    widest = max(TextPath((0, 0), word, size=1).get_extents().width for word in lines) * EM
    size = min(0.9 * look.size, box.width / max(widest, 1e-9))
    top = box.bottom + box.height
    sheet.text(box.left, top, "\n".join(lines), va="top", size=size, color=INK, linespacing=1.1)
    return top - len(lines) * 1.15 * look.em - 0.5 * look.em
