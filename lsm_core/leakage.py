"""The leakage meter: how much of the test set a model has seen already, in numbers and in words.

Places of a grid are as far apart as their rows or columns (Chebyshev, cells), which is what decides
whether two windows overlap. Units have no rows and columns: they are as far apart as their points,
in metres, and overlap only with themselves.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from lsm_core.errors import SampleError
from lsm_core.grid import grid_of

BINS = 40  # of the counts of distances


def overlap_report(
    samples: pd.DataFrame,
    window: int,
    area: xr.Dataset | None = None,
    features: ArrayLike | None = None,
) -> dict[str, Any]:
    """How much of the test set a model has seen already.

    Parameters
    ----------
    samples : places with row, col, split and landslide_id (units: x and y in metres too); training
        and validation count as seen, soft samples among them; test places of every label count.
    window : cells across what the model sees round a place (1: only the cell itself).
    area : with it, distances stand beside those of the map's cells. Needed where it is of units.
    features : (sample, factor) values, row for row with `samples`: with them, exact copies count.

    Returns
    -------
    `share` : of test windows that overlap a seen window (Chebyshev distance below `window`).
    `same_cell` : test places whose very cell was seen. `shared_landslides` : landslides in both.
    `nearest_cells` : quartiles of the distance from a test place to the nearest seen place, cells
        (units: metres; None without coordinates). `nearest_map_cells` : the same from map cells.
    `distances` : for drawing: `edges`, and how many `test` places and `map` cells lie between
        ([from, to), the last closed). `unit` : "cells" or "m".
    `duplicates` : with `features`, test places with the very values of a seen place (gaps equal).
    `verdict` : in words, one line; it begins with clean, optimistic, suspect or leaks.

    Raises
    ------
    SampleError : no test place or none seen.
    """
    held = (samples["split"] == "test").to_numpy()
    known = samples["split"].isin(["train", "validation"]).to_numpy()
    test, seen = samples[held], samples[known]
    if test.empty or seen.empty:
        raise SampleError(f"{len(test)} test and {len(seen)} training places: both are needed")
    units = area is not None and area["landslide"].ndim == 1
    slides = set(test["landslide_id"]) & set(seen["landslide_id"]) - {0}
    report: dict[str, Any] = {"window": window}
    if units:
        share = np.isin(test["row"], seen["row"])
        same = int(share.sum())
    else:
        nearest = _tree(seen, units).query(_points(test, units), p=np.inf)[0]
        share, same = nearest < window, int(np.sum(nearest < 1))
    report |= {"share": float(np.mean(share)), "same_cell": same, "shared_landslides": len(slides)}
    if features is not None:
        values = np.asarray(features, dtype=np.float64)
        report["duplicates"] = int(np.isin(_keys(values[held]), _keys(values[known])).sum())
    report |= _distances(test, seen, area, units)
    return report | {"verdict": _verdict(report)}


def _points(places: pd.DataFrame, units: bool) -> NDArray[np.float64]:
    return places[["x", "y"] if units else ["row", "col"]].to_numpy(dtype=float)


def _tree(places: pd.DataFrame, units: bool) -> cKDTree:
    return cKDTree(_points(places, units))


def _distances(
    test: pd.DataFrame, seen: pd.DataFrame, area: xr.Dataset | None, units: bool
) -> dict[str, Any]:
    """Nearest distances of test places and of the map, as quartiles and on shared edges."""
    if units and not np.isfinite(_points(pd.concat([test, seen]), units)).all():
        return {"unit": "m", "nearest_cells": None}
    tree, norm = _tree(seen, units), 2 if units else np.inf
    near = {"test": tree.query(_points(test, units), p=norm)[0]}
    report: dict[str, Any] = {"unit": "m" if units else "cells"}
    report["nearest_cells"] = _quartiles(near["test"])
    if area is not None:
        near["map"] = tree.query(_map_points(area, units), p=norm)[0]
        report["nearest_map_cells"] = _quartiles(near["map"])
        if not units:
            report["cell_size"] = grid_of(area).cell_size
    furthest = max(float(d.max()) for d in near.values())
    edges = np.linspace(0, max(BINS, np.ceil(furthest)), BINS + 1)
    counts = {name: np.histogram(d, edges)[0].tolist() for name, d in near.items()}
    return report | {"distances": {"edges": edges.tolist()} | counts}


def _map_points(area: xr.Dataset, units: bool, n: int = 5000) -> NDArray[np.float64]:
    """An even spread of about n valid cells of the map, or of units with coordinates."""
    if units:
        points = np.column_stack([area["x"].to_numpy(), area["y"].to_numpy()]).astype(float)
        points = points[area["valid"].to_numpy() & np.isfinite(points).all(axis=1)]
    else:
        points = np.argwhere(area["valid"].to_numpy()).astype(float)
    return points[:: max(1, len(points) // n)]


def _keys(values: NDArray[np.float64]) -> NDArray:
    """One comparable value a row; NaN equals NaN, and 0 equals -0."""
    plain = np.ascontiguousarray(np.where(np.isnan(values), np.nan, values + 0.0))
    return plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()


def _quartiles(distance: NDArray[np.float64]) -> list[float]:
    return [float(q) for q in np.quantile(distance, (0, 0.25, 0.5, 0.75, 1))]


def _verdict(report: dict[str, Any]) -> str:
    units = report["unit"] == "m"
    if report["shared_landslides"]:
        return f"leaks: {report['shared_landslides']} landslides are in training and test"
    if report["share"] > 0:
        words = "units are training units" if units else "windows overlap a training window"
        return f"leaks: {report['share']:.1%} of test {words}"
    if report.get("duplicates"):
        return f"suspect: {report['duplicates']} test places have a training place's exact values"
    usual, near = report.get("nearest_map_cells"), report["nearest_cells"]
    ground = "units" if units else "cells"
    if usual and near[2] < 0.5 * usual[2]:
        return f"optimistic: test places lie closer to training places than the map's {ground} do"
    apart = "no test unit is trained on" if units else "no test window overlaps a training window"
    if usual and near[2] <= usual[2]:
        return (
            f"{apart}, but test places lie among training places "
            f"({near[2]:,.0f} {report['unit']} at the median, the map's {ground} {usual[2]:,.0f}): "
            "the scores tell how well gaps are filled, not how another valley would fare"
        )
    if usual and near[2] > 2 * usual[2]:
        return (
            f"clean: {apart}; test places lie further ({near[2]:,.0f} {report['unit']} at the "
            f"median) from training than the map's {ground} do ({usual[2]:,.0f}): a hard test"
        )
    return f"clean: {apart}"
