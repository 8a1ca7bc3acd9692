"""QGIS styles (`.qml`) of the maps of a run, to be opened in the colours that the program draws."""

from collections.abc import Mapping, Sequence

import numpy as np

from lsm_core.zoning import LEVEL_COLOURS, level_colours, level_names


def map_style() -> str:
    """For `susceptibility.tif`: a colour ramp from 0 to 1."""
    return ramp_style(LEVEL_COLOURS, 0, 1)


def zone_style(k: int = 5) -> str:
    """For `zones.tif`: k named classes in colours safe for the colour-blind."""
    named = zip(level_names(k), level_colours(k), strict=True)
    return classes_style(dict(enumerate(named, start=1)))


def classes_style(classes: Mapping[int, tuple[str, str]]) -> str:
    """For a map of classes: the name and the colour of each code.

    >>> 'value="2" color="#7b3294" label="outside"' in classes_style({2: ("outside", "#7b3294")})
    True
    """
    entries = "".join(
        f'<paletteEntry value="{code}" color="{colour}" label="{name}"/>'
        for code, (name, colour) in classes.items()
    )
    return _style("paletted", f"<colorPalette>{entries}</colorPalette>")


def ramp_style(colours: Sequence[str], low: float, high: float) -> str:
    """For a map of values: colours evenly from `low` to `high`, mixed between them.

    >>> 'value="0.2" color="#ffffff"' in ramp_style(["#000000", "#ffffff"], 0, 0.2)
    True
    """
    items = "".join(
        f'<item value="{at:g}" color="{colour}" label="{at:.3g}" alpha="255"/>'
        for at, colour in zip(np.linspace(low, high, len(colours)), colours, strict=True)
    )
    ramp = f'colorRampType="INTERPOLATED" minimumValue="{low:g}" maximumValue="{high:g}"'
    shader = f"<colorrampshader {ramp}>{items}</colorrampshader>"
    return _style("singlebandpseudocolor", f"<rastershader>{shader}</rastershader>")


def _style(kind: str, inside: str) -> str:
    renderer = f'<rasterrenderer type="{kind}" band="1" opacity="1">{inside}</rasterrenderer>'
    return f'<qgis version="3.28"><pipe>{renderer}</pipe></qgis>\n'
