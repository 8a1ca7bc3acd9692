"""What zones hold: their names, their landslides, and whether that is what zones should say."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from lsm_core.errors import InventoryError, SampleError

LEVELS = ("very low", "low", "moderate", "high", "very high")
LEVEL_COLOURS = ("#2c7bb6", "#abd9e9", "#ffffbf", "#fdae61", "#d7191c")


def level_names(k: int) -> tuple[str, ...]:
    """Names of k zones, lowest first: words up to five, numbers beyond.

    >>> level_names(3), level_names(6)[0]
    (('low', 'moderate', 'high'), 'zone 1')
    """
    words: dict[int, tuple[str, ...]] = {
        2: ("low", "high"),
        3: LEVELS[1:4],
        4: LEVELS[1:],
        5: LEVELS,
    }
    return words.get(k) or tuple(f"zone {i}" for i in range(1, k + 1))


def level_colours(k: int) -> tuple[str, ...]:
    """Colours of k zones, safe for the colour-blind, evenly along those of five.

    >>> level_colours(2)
    ('#2c7bb6', '#d7191c')
    """
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in LEVEL_COLOURS])
    at = np.linspace(0, len(rgb) - 1, k)
    mixed = np.array([np.interp(at, np.arange(len(rgb)), channel) for channel in rgb.T]).T
    return tuple("#" + "".join(f"{round(v):02x}" for v in colour) for colour in mixed)


def density_table(
    zones: xr.DataArray | ArrayLike, landslide: xr.DataArray | ArrayLike, *, k: int | None = None
) -> pd.DataFrame:
    """What each zone holds of the area and of the landslides.

    Parameters
    ----------
    zones : 1 to k, 0 outside the area. landslide : the same shape: 0 and 1, or landslides per cell.
    k : number of zones; without it the highest one found. Give it where the top zone may be empty.

    Returns
    -------
    One row a zone, also an empty one: zone, cells, share_of_cells, landslides, share_of_landslides,
    density (landslides per cell, NaN in an empty zone). Landslides outside the area are left out;
    their number is in `table.attrs["left_out"]`.

    Raises
    ------
    InventoryError : no landslide in any zone. SampleError : shapes that differ, zones above k.

    >>> density_table([1, 1, 1, 2], [0, 0, 1, 3])[["zone", "share_of_landslides", "density"]]
       zone  share_of_landslides   density
    0     1                 0.25  0.333333
    1     2                 0.75  3.000000
    """
    z, n = np.asarray(zones), np.asarray(landslide)
    if z.shape != n.shape:
        raise SampleError(f"zones have shape {z.shape}, landslides {n.shape}: they must be alike")
    if not (n >= 0).all():
        raise SampleError("landslide must be 0 or 1, or counts: got negative or missing values")
    highest = int(z.max(initial=0))
    k = highest if k is None else k
    if highest > k:
        raise SampleError(f"there is a zone {highest}, but k is {k}: give the number of zones")
    cells = np.bincount(z.ravel(), minlength=k + 1)
    slides = np.bincount(z.ravel(), weights=n.ravel(), minlength=k + 1)
    if not slides[1:].sum() > 0:
        raise InventoryError(
            f"no landslide lies in the {cells[1:].sum()} cells of the zones: check that map and "
            "inventory cover the same area"
        )
    table = pd.DataFrame(
        {
            "zone": np.arange(1, k + 1),
            "cells": cells[1:],
            "share_of_cells": cells[1:] / cells[1:].sum(),
            "landslides": slides[1:].astype(np.int64),
            "share_of_landslides": slides[1:] / slides[1:].sum(),
        }
    )
    table["density"] = table["landslides"] / table["cells"]
    table.attrs["left_out"] = int(slides[0])
    return table


def reasonableness(table: pd.DataFrame, counted: str = "cells") -> dict[str, Any]:
    """Whether zones say what a map of susceptibility should: much found, in little, rising.

    Landslides should fall into the high zones, these should take a small part of the area, and
    density should rise from zone to zone.

    Parameters
    ----------
    table : of `density_table`, one row a zone, lowest first. counted : what its cells are: of a
        map "cells", whose share is one of the area; "units" are large and small.

    Returns
    -------
    area_high, landslides_high : shares in the zones above the middle one (high and very high of
    five). landslides_lowest : share in the lowest zone. monotone : whether density rises from zone
    to zone, empty zones left out. reasonable : all three hold: monotone, a larger share of the
    landslides than of the area above the middle, a smaller one in the lowest. words : a sentence.

    >>> table = density_table([1, 1, 1, 2, 2, 3], [0, 0, 0, 1, 0, 1])
    >>> reasonableness(table)["words"]
    'reasonable: high holds 50.0% of the landslides in 16.7% of the area, low holds 0.0%...'
    """
    k = len(table)
    names = level_names(k)
    high = table["zone"] > (k + 1) / 2
    density = table["density"].dropna()
    found = {
        "area_high": float(table.loc[high, "share_of_cells"].sum()),
        "landslides_high": float(table.loc[high, "share_of_landslides"].sum()),
        "landslides_lowest": float(table["share_of_landslides"].iloc[0]),
        "monotone": bool(density.is_monotonic_increasing and density.is_unique),
    }
    lowest = found["landslides_lowest"] < table["share_of_cells"].iloc[0]
    fine = found["monotone"] and found["landslides_high"] > found["area_high"] and bool(lowest)
    above = " and ".join(names[i - 1] for i in table.loc[high, "zone"])
    words = (
        f"{'reasonable' if fine else 'not reasonable'}: {above} "
        f"{'holds' if high.sum() == 1 else 'hold'} {100 * found['landslides_high']:.1f}% of the "
        f"landslides in {100 * found['area_high']:.1f}% of the "
        f"{'area' if counted == 'cells' else counted}, {names[0]} holds "
        f"{100 * found['landslides_lowest']:.1f}%, density "
        f"{'rises' if found['monotone'] else 'does not rise'} from zone to zone"
    )
    return found | {"reasonable": fine, "words": words}
