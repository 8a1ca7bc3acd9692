"""What is to be said of a built study area: checks in words, its sources, the values of a cell."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lsm_core.grid import grid_of
from lsm_core.lattice import crs_name
from lsm_core.own_sources import Entry
from lsm_core.study_area import categories, factors, is_units, shape_of

ADDED = {True: "as it was added", False: "differs from what was added"}
STATED = {True: "as in the catalogue", False: "differs from the catalogue"}
CARDINAL = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def checks(ds: xr.Dataset) -> pd.DataFrame:
    """What an area is, one row each: `what` and `words`, numbers with their units.

    CRS, cells, extent, valid cells, landslides, prevalence, factors, image, dates.
    """
    valid, landslide = (int(ds[name].sum()) for name in ("valid", "landslide"))
    cells = int(np.prod(shape_of(ds)))
    rows = [("contract", "kept: layers, units, kinds, places and labels are as they should be")]
    rows += _of_units(ds) if is_units(ds) else _of_grid(ds)
    what = "units" if is_units(ds) else "cells"
    rows.append(("valid", f"{valid:,} of {cells:,} {what} ({valid / cells:.1%})"))
    if "place" in ds.sizes:
        rows.append(("landslides", f"{ds.sizes['place']:,} in the inventory"))
    share = landslide / valid if valid else 0.0
    words = f"{landslide:,} of {valid:,} valid {what} hold a landslide: {share:.2%}"
    rows.append(("prevalence", words))
    kinds = pd.Series([str(ds[name].attrs["kind"]) for name in factors(ds)]).value_counts()
    rows.append(("factors", f"{kinds.sum()}: " + ", ".join(f"{n} {k}" for k, n in kinds.items())))
    if "image" in ds:
        rows.append(("image", ", ".join(map(str, ds["image"]["band"].to_numpy()))))
    if ds.attrs.get("simulated"):
        rows.append(("simulated", "yes: real terrain, all else is made up; for trying out only"))
    return pd.DataFrame(rows, columns=["what", "words"])


def _of_grid(ds: xr.Dataset) -> list[tuple[str, str]]:
    grid = grid_of(ds)
    (rows, cols), (width, height) = grid.shape, grid.step
    left, bottom, right, top = grid.bounds
    square = abs(width - height) < 0.01
    size = f"{width:.2f} m" if square else f"{width:.2f} x {height:.2f} m"
    area = rows * cols * width * height / 1e6
    return [
        ("CRS", crs_name(grid.crs)),
        ("cells", f"{rows:,} rows x {cols:,} columns of {size}, {area:,.0f} km2 in all"),
        ("extent", f"x {left:,.0f} to {right:,.0f}, y {bottom:,.0f} to {top:,.0f} (outer edges)"),
    ]


def _of_units(ds: xr.Dataset) -> list[tuple[str, str]]:
    crs = crs_name(ds.rio.crs) if "spatial_ref" in ds.coords else "none stated"
    rows = [("CRS", crs), ("units", f"{ds.sizes['unit']:,} units (no cells, so no maps of cells)")]
    if "x" in ds.coords:
        low, high = ({c: float(f(ds[c])) for c in "xy"} for f in (np.min, np.max))
        words = ", ".join(f"{c} {low[c]:,.0f} to {high[c]:,.0f}" for c in "xy")
        rows.append(("extent", words))
    return rows


def factor_rows(ds: xr.Dataset) -> pd.DataFrame:
    """One row a factor: name, kind, units, range or classes, missing valid cells, origin.

    Each factor is read once, whole; `missing` counts valid cells without a value (of aspect they
    are flat).
    """
    valid = ds["valid"].to_numpy()
    rows = []
    for name in factors(ds):
        da = ds[name]
        values = da.to_numpy()[valid]
        nodata = da.attrs.get("nodata")
        there = np.isfinite(values) if nodata is None else values != nodata
        rows.append(
            {
                "factor": name,
                "kind": da.attrs["kind"],
                "units": "" if da.attrs["units"] == "1" else da.attrs["units"],
                "holds": _range(da, values[there]),
                "missing": int((~there).sum()),
                "from": str(da.attrs.get("source", "")),
            }
        )
    return pd.DataFrame(rows)


def _range(da: xr.DataArray, values: np.ndarray) -> str:
    if not values.size:
        return "nothing"
    if da.attrs["kind"] == "categorical":
        return f"{len(np.unique(values))} of {len(categories(da))} classes"
    low, high = float(values.min()), float(values.max())
    wide = high - low
    if not 1e-3 <= wide < np.inf:
        return f"{low:.3g} to {high:.3g}"
    digits = max(0, 3 - int(np.ceil(np.log10(wide))))
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def prepared(ds: xr.Dataset) -> dict[str, Any]:
    """What was said while the area was built: `lines`, `counts`, `flags`, `area_file`."""
    about = json.loads(ds.attrs.get("prepared") or "{}")
    return {"lines": [], "counts": {}, "flags": [], "area_file": None} | about


NO_LOSS = (
    "cells", "valid_cells", "read", "kept", "own_a_cell", "landslide_cells",
    "rows", "units", "landslide_units", "valid_units",
)  # fmt: skip
LEFT_OUT = {
    "without_geometry": "landslides without geometry: nothing says where they are",
    "lines": "lines in the inventory: a landslide is a polygon or a point",
    "outside": "landslides outside the area",
    "without_data": "landslides on cells without data",
    "repaired": "landslides whose polygon was invalid: repaired and kept",
    "copies": "landslides that are exact copies of another: kept",
    "over_the_edge": "landslides over the edge of the area: their part inside is kept",
    "share_a_cell": "landslides too small for a cell of their own: they share one, and stay places",
}


def left_out(ds: xr.Dataset) -> pd.DataFrame:
    """What was left out or put right and why: `n` and `what`, only where n is above 0."""
    about = prepared(ds)
    counts: Mapping[str, Any] = about["counts"]
    rows = [(counts[key], words) for key, words in LEFT_OUT.items() if counts.get(key)]
    cells = counts.get("cells", 0) - counts.get("valid_cells", counts.get("cells", 0))
    if cells:
        rows.append((cells, "cells without data in a raster, or outside the mask: not valid"))
    known = {*LEFT_OUT, *NO_LOSS}
    rows += [
        (n, key.replace("_", " ")) for key, n in counts.items() if key not in known and n and n > 0
    ]
    return pd.DataFrame(rows, columns=["n", "what"])


def source_rows(ds: xr.Dataset, known: Mapping[str, Entry]) -> pd.DataFrame:
    """The sources an area was built from: file, CRS, licence, SHA-256, whether it is still so.

    `known` is `own_sources.entries()`; a source that it lacks is said to be of another catalogue.
    """
    rows = []
    for name, digest in json.loads(ds.attrs.get("fingerprints") or "{}").items():
        entry = known.get(name)
        stated = entry.sha256 if entry else ""
        words = ADDED if entry and entry.own else STATED
        rows.append(
            {
                "source": name,
                "file": entry.file if entry else "of another catalogue",
                "CRS": entry.crs if entry else "",
                "licence": entry.licence if entry else "not stated",
                "SHA-256 when built": digest,
                "checked": words[stated == digest] if stated else "the catalogue states none",
            }
        )
    columns = ["source", "file", "CRS", "licence", "SHA-256 when built", "checked"]
    return pd.DataFrame(rows, columns=columns)


def values_at(ds: xr.Dataset, x: float, y: float) -> pd.DataFrame | None:
    """All that is known of the cell at a place: `layer`, `value`, `units`; None outside the area.

    A class is named, a direction said, a missing value called so. First come the place of the
    cell's centre, whether it is valid, and its landslide with the fields of the inventory.
    """
    grid = grid_of(ds)
    row, col = (int(i) for i in grid.rowcol(x, y))
    if not (0 <= row < grid.shape[0] and 0 <= col < grid.shape[1]):
        return None
    layers = [*factors(ds), "landslide_id", "valid"]
    cell = ds[layers].isel(y=row, x=col).load()
    unit = "m" if grid.metres_per_unit == 1 else grid.crs.linear_units
    valid, slide = bool(cell["valid"]), int(cell["landslide_id"])
    rows = [("row, column", f"{row}, {col}", "from 0")]
    rows += [(axis, f"{float(cell[axis]):,.1f}", unit) for axis in ("x", "y")]
    rows.append(("valid", "yes" if valid else "no: a source has no data here", ""))
    rows.append(("landslide", f"number {slide}" if slide else "none", ""))
    rows += _of_landslide(ds, slide) if slide else []
    rows += [(name, *_value(cell[name])) for name in factors(ds)]
    return pd.DataFrame(rows, columns=["layer", "value", "units"])


def _of_landslide(ds: xr.Dataset, number: int) -> list[tuple[str, str, str]]:
    fields = [str(n) for n in ds.data_vars if str(n).startswith("place_")]
    place = ds[fields].sel(place=number).load()
    shown = [name for name in fields if name not in ("place_x", "place_y")]
    return [(name.replace("place_", "its ", 1), f"{place[name].item():g}", "") for name in shown]


def _value(da: xr.DataArray) -> tuple[str, str]:
    value, units = da.item(), str(da.attrs["units"])
    units = "" if units == "1" else units
    if da.attrs["kind"] == "categorical":
        if value == da.attrs.get("nodata"):
            return "missing", ""
        return f"{value}: {categories(da).get(value, 'without a name')}", units
    if not np.isfinite(value):
        return ("flat, or missing" if da.attrs["kind"] == "cyclic" else "missing"), units
    if da.attrs["kind"] == "cyclic" and units == "degrees":
        return f"{value:.1f} ({CARDINAL[round(value / 45) % 8]})", units
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}", units
