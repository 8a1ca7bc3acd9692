"""The numbers of one run: what its places and its map say, before anything is written.

Places are a table with row, col, label (0 or 1), split ("train", "validation", "test") and score.
Thresholds and calibration are found on validation places; test places are only judged.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lsm_core import metrics, zoning
from lsm_core.calibration import Calibrator, Method, correct_prior, fit_calibrator, half_warning
from lsm_core.errors import SampleError
from lsm_core.recipe import Zoning
from lsm_core.threshold import RULES, choose_threshold
from lsm_core.zoning import Limits

RATE_POINTS = 501  # of a stored rate curve; a map has as many as different scores
USUAL = {"equal 0.2": "equal", "natural": "natural", "quantile": "quantile"}  # tables of every run
USUAL_K = 5
Counts = NDArray[np.int64]


def calibrated(
    places: pd.DataFrame, method: Method, *, check: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, Calibrator]:
    """Places with calibrated scores, and the calibrator, fitted on the validation places alone.

    What the model itself said stays in the column `raw`, where it is not the same. `check` stands
    for the validation places where a run has none: those of the area its model comes from.
    """
    if check is None:
        check = places[places["split"] == "validation"]
    found = fit_calibrator(method, check["label"], check["score"])
    if method == "none":
        return places, found
    return places.assign(raw=places["score"], score=found(places["score"].to_numpy())), found


def judge_places(
    places: pd.DataFrame, *, prevalence: float | None = None, check: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Thresholds, reliability and the prior of a run.

    Parameters
    ----------
    prevalence : share of the area's cells that are landslides.
    check : validation places of another area, for a run that has none of its own.

    Returns
    -------
    thresholds : by rule, the threshold found on validation places and the scores of the test places
        there. reliability : curve and expected calibration error of the test places, and `before`
        calibration. prior : share of landslides in training and in the area, and what a score of
        0.5 becomes when it is corrected from the one to the other. warnings : lines to print.
    """
    parts = {name: places[places["split"] == name] for name in ("train", "validation", "test")}
    test = parts["test"]
    if check is None:
        check = parts["validation"]
    thresholds = {}
    for rule in RULES:
        at = choose_threshold(check["label"], check["score"], rule).threshold
        cut = at if np.isfinite(at) else float(test["score"].max()) + 1
        table = metrics.scores(test["label"], test["score"], cut)
        thresholds[rule] = plain({"threshold": at} | table)
    reliability = {"test": _reliability(test["label"], test["score"])}
    if "raw" in places:
        reliability["before"] = _reliability(test["label"], test["raw"])
    warnings = [half_warning(float(test["label"].mean()))]
    prior = None
    sampled = float(parts["train"]["label"].mean())
    if prevalence and 0 < prevalence < 1 and 0 < sampled < 1:
        half = float(correct_prior(0.5, sampled=sampled, prevalence=prevalence))
        prior = {"sampled": sampled, "area": prevalence, "half_becomes": half}
        if half_warning(prevalence):
            warnings.append(
                f"landslides are {100 * sampled:.0f}% of the training places and "
                f"{100 * prevalence:.2f}% of the area: a score of 0.5 on the map stands for a "
                f"probability of about {half:.2g}"
            )
    return {
        "thresholds": thresholds,
        "reliability": reliability,
        "prior": prior,
        "warnings": [line for line in warnings if line],
    }


def _reliability(label: pd.Series, score: pd.Series) -> dict[str, Any] | None:
    """Nothing for scores that are no probabilities."""
    if score.min() < 0 or score.max() > 1:
        return None
    curve = metrics.calibration_curve(label, score.to_numpy())
    error = metrics.expected_calibration_error(label, score.to_numpy())
    return {name: values.tolist() for name, values in curve._asdict().items()} | {"error": error}


def judge_map(
    index: NDArray[np.float32], places: pd.DataFrame, test_ground: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Success rate, prediction rate and Boyce index of a map.

    The success rate is of training landslides over the whole map: how well the map fits what it was
    made from. The prediction rate and the Boyce index are of test landslides only, over the test
    ground, or, without one, over all cells but those of training and validation landslides. A
    model that came from elsewhere and learnt from no landslide here has no success rate (None).
    """
    slides = {part: landslides_of(places, index.shape, part) for part in ("train", "test")}
    if test_ground is None:
        used = landslides_of(places, index.shape, "train", "validation") > 0
    else:
        used = ~test_ground
    fair = np.where(used, np.nan, index)
    try:
        held = metrics.prediction_rate_curve(index, slides["test"], seen=used)
        rates = {
            "success": (
                _rate(metrics.success_rate_curve(index, slides["train"]))
                if slides["train"].any()
                else None
            ),
            "prediction": _rate(held),
        }
        boyce = metrics.boyce_index(fair, slides["test"])
    except SampleError as error:  # all of one part's landslides off the map
        return {"rates": None, "boyce": None, "warnings": [f"no rate curves: {error}"]}
    return {"rates": rates, "boyce": plain({"boyce": boyce})["boyce"], "warnings": []}


def landslides_of(places: pd.DataFrame, shape: tuple[int, ...], *parts: str) -> Counts:
    """Landslides of some parts in each cell, by their places."""
    rows = places[(places["label"] == 1) & places["split"].isin(parts)]
    count = np.zeros(shape, dtype=np.int64)
    np.add.at(count, (rows["row"].to_numpy(), rows["col"].to_numpy()), 1)
    return count


def _rate(curve: metrics.RateCurve) -> dict[str, Any]:
    """Between its points a rate curve is straight, so a fine even grid holds it."""
    area = np.linspace(0, 1, RATE_POINTS)
    found = np.interp(area, curve.area, curve.landslides)
    return {"area": area.tolist(), "landslides": found.tolist(), "under": curve.under}


# -------------------------------------------------------------------------------------- zones


def zone_limits(
    index: NDArray[np.float32], wanted: Zoning, landslides: Counts, rng: np.random.Generator
) -> tuple[Limits, list[str]]:
    """Limits of a map's zones as a recipe wants them, from training and validation landslides.

    Where the map's values do not allow it (too few different ones), equal intervals, and a warning.
    """
    try:
        found = zoning.find_limits(
            wanted.method,
            index,
            wanted.k,
            rng=rng,
            landslide=landslides,
            shares=wanted.shares,
            of=wanted.of,
            breaks=wanted.breaks,
        )
    except SampleError as error:
        equal = zoning.find_limits("equal", index, wanted.k, rng=rng)
        return equal, [f"zones by equal intervals instead of {wanted.method}: {error}"]
    return found, []


def density_tables(
    index: NDArray[np.float32],
    landslides: Counts,
    grounds: Mapping[str, NDArray[np.bool_]],
    chosen: Limits,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Density tables by equal intervals, natural breaks, quantiles and the chosen limits.

    Each over every ground; columns `breaks` (which limits), `where` (which ground), `from`, `to`
    beside those of `zoning.density_table`. What a map's values do not allow is left out.
    """
    limits = {chosen_name(chosen): chosen}
    for name, method in USUAL.items():
        if name not in limits:
            try:
                limits[name] = zoning.find_limits(method, index, USUAL_K, rng=rng)
            except SampleError:  # too few different values for this one
                continue
    order = sorted(limits, key=lambda name: [*USUAL, name].index(name))
    zoned = {name: limits[name].zone(index) for name in order}
    tables = []
    for where, ground in grounds.items():
        for name in order:
            edges = np.asarray(limits[name].breaks)
            table = zoning.density_table(
                np.where(ground, zoned[name], 0), landslides, k=limits[name].k
            )
            spans = {"from": edges[:-1], "to": edges[1:]}
            tables.append(table.assign(breaks=name, where=where, **spans))
    return pd.concat(tables, ignore_index=True)


def chosen_name(limits: Limits) -> str:
    """What a run's own limits are called in its density tables."""
    usual = {method: name for name, method in USUAL.items()}
    if limits.method in usual and limits.k == USUAL_K:
        return usual[limits.method]
    return f"{limits.method}, {limits.k} zones"


def reasonableness(tables: pd.DataFrame, name: str, counted: str = "cells") -> dict[str, Any]:
    """`zoning.reasonableness` of the limits called `name`, by ground."""
    own = tables[tables["breaks"] == name]
    return {
        str(where): plain(zoning.reasonableness(table, counted))
        for where, table in own.groupby("where", sort=False)
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """None for numbers that are not defined or not finite, for JSON has none of them."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in values.items()
    }
