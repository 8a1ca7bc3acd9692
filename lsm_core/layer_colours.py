"""Colours of a study area's layers, on screen and in print: what suits a kind, between what values.

Nothing is drawn here.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from lsm_core.legend import UNKNOWN
from lsm_core.study_area import categories

VALUES, CYCLE, SIGNED = "viridis", "twilight", "PuOr"
ENDS = (2, 98)  # percentiles between which colours change
SHARE_BELOW = 0.1  # of the values on either side of 0, above which the colours part at 0
# Twenty colours that people tell apart, also with the common kinds of colour blindness where few.
CLASSES = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#ee7733",
    "#0077bb", "#009988", "#cc3311", "#ee3377", "#332288", "#88ccee", "#44aa99", "#117733",
    "#999933", "#ddcc77", "#cc6677", "#882255",
)  # fmt: skip


class Look(NamedTuple):
    """How a layer is drawn: `colours`, values of the first and last (`limits`), what it is called.

    Of classes `codes` says what each is: code to (name, colour), drawn in this order.
    """

    title: str
    units: str
    colours: list[str]
    limits: tuple[float, float]
    codes: dict[int, tuple[str, str]]


def look_of(layer: xr.DataArray, values: NDArray) -> Look:
    """Colours for a factor, given a sample of its values (NaN where missing).

    Values: viridis between the 2nd and 98th percentile; about 0 where a tenth lies on either side;
    directions: a wheel of colours. Classes: the colours the source states, else twenty of ours.
    """
    title = str(layer.attrs.get("long_name") or layer.name)
    units = str(layer.attrs.get("units", "1"))
    there = values[np.isfinite(values)]
    if layer.attrs["kind"] == "categorical":
        codes = _codes(layer, there)
        return Look(title, "", [c for _, c in codes.values()], (-0.5, len(codes) - 0.5), codes)
    if layer.attrs["kind"] == "cyclic":
        return Look(title, units, _scale(CYCLE), (0.0, 360.0), {})
    low, high = map(float, np.percentile(there, ENDS)) if there.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    if there.size and min((there < 0).mean(), (there > 0).mean()) > SHARE_BELOW:
        most = max(-low, high)
        return Look(title, units, _scale(SIGNED), (-most, most), {})
    return Look(title, units, _scale(VALUES), (low, high), {})


def _codes(layer: xr.DataArray, there: NDArray) -> dict[int, tuple[str, str]]:
    names = categories(layer)
    stated = str(layer.attrs.get("flag_colors", "")).split()
    colours = stated if len(stated) == len(names) else [""] * len(names)
    if not any(colours):
        colours = [CLASSES[i] if i < len(CLASSES) else UNKNOWN for i in range(len(names))]
    seen = set(np.unique(there).astype(int).tolist())
    known = zip(names.items(), colours, strict=True)
    return {code: (name, colour) for (code, name), colour in known if code in seen or not seen}


def _scale(name: str) -> list[str]:
    return [to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, 256))]
