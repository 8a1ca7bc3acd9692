"""Two models that know nothing of landslides: slope alone, and nearness to training landslides.

They stand beside every model, judged on the same test places. Where slope alone does as well, the
places without a landslide are trivial (flat), or the model adds little. Where nearness alone does
as well, the split lets a model score by remembering where it has seen landslides.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lsm_core.metrics import average_precision, roc_auc
from lsm_core.study_area import factor_table, factors, metres_per_unit

CLOSE = 0.02  # AUC within which a model is no better than a null model
TOO_EASY, MUCH = 0.75, 0.1  # AUC of slope alone: high in itself, and above that of random places
HALF = 100.0  # metres at which the score of nearness is one half


def slope_score(ds: xr.Dataset, places: pd.DataFrame) -> NDArray[np.float64] | None:
    """Slope as a score in [0, 1]: degrees over 90; a gap counts as the median of the places.

    None where the area has no factor named slope (in any case of letters).
    """
    names = [name for name in factors(ds) if name.lower() == "slope"]
    if not names:
        return None
    slope = factor_table(ds, places["row"], places["col"], names)[names[0]]
    if slope.notna().sum() == 0:
        return None
    return np.clip(slope.fillna(slope.median()).to_numpy() / 90, 0, 1)


def slope_auc(ds: xr.Dataset, places: pd.DataFrame) -> float | None:
    """AUC of slope alone on the places with a hard label, whatever their part.

    Of training places it says how easy the places without a landslide are to tell: where they were
    drawn on flat ground, a model learns to find flat ground. None without a factor named slope.
    """
    hard = places[places["label"] >= 0]
    score = slope_score(ds, hard)
    return None if score is None else float(roc_auc(hard["label"], score))


def easy_negatives(chosen: float, at_random: float) -> str | None:
    """What it means that slope alone tells training places better than random ones; None: fine.

    >>> easy_negatives(0.71, 0.68) is None
    True
    >>> easy_negatives(0.95, 0.68)
    'too easy: slope alone tells these places with AUC 0.950, but 0.680 on the random places ...'
    """
    if chosen < max(TOO_EASY, at_random + MUCH):
        return None
    return (
        f"too easy: slope alone tells these places with AUC {chosen:.3f}, but {at_random:.3f} on "
        "the random places of the test: a model may learn little but flat ground"
    )


def nearness_score(
    places: pd.DataFrame, train: pd.DataFrame, metres: float = 1.0
) -> NDArray[np.float64] | None:
    """Nearness to a training landslide as a score in (0, 1]: 100 / (100 + metres to the nearest).

    Parameters
    ----------
    places : to score, with x and y. train : training places with x, y and label; those of label 1
        count. metres : in a unit of x and y.

    None where places have no coordinates.

    >>> train = pd.DataFrame({"x": [0.0, 50.0], "y": [0.0, 0.0], "label": [1, 0]})
    >>> nearness_score(pd.DataFrame({"x": [0.0, 100.0], "y": [0.0, 0.0]}), train)
    array([1. , 0.5])
    """
    slides = train.loc[train["label"] == 1, ["x", "y"]].to_numpy(dtype=float)
    points = places[["x", "y"]].to_numpy(dtype=float)
    if not (len(slides) and np.isfinite(slides).all() and np.isfinite(points).all()):
        return None
    return HALF / (HALF + cKDTree(slides).query(points)[0] * metres)


def null_models(ds: xr.Dataset, samples: pd.DataFrame) -> dict[str, dict[str, float]]:
    """AP and AUC of slope alone and of nearness alone, on the test places of a run.

    Returns
    -------
    {"slope": {"average_precision", "roc_auc"}, "distance": ...}; one that the area has no values
    for is left out.
    """
    test = samples[(samples["split"] == "test") & (samples["label"] >= 0)]
    train = samples[samples["split"] == "train"]
    scores = {
        "slope": slope_score(ds, test),
        "distance": nearness_score(test, train, metres_per_unit(ds)),
    }
    return {
        name: {
            "average_precision": average_precision(test["label"], score),
            "roc_auc": roc_auc(test["label"], score),
        }
        for name, score in scores.items()
        if score is not None
    }


def null_warnings(auc: float, nulls: dict[str, dict[str, Any]]) -> list[str]:
    """What it means that a null model comes within .02 of a model's AUC, or beats it.

    >>> null_warnings(0.71, {"slope": {"roc_auc": 0.70}, "distance": {"roc_auc": 0.52}})
    ['slope alone has AUC 0.700, the model 0.710: the places without a landslide are trivial ...']
    """
    meaning = {
        "slope": "the places without a landslide are trivial (flat), or the model adds little",
        "distance": "who knows where landslides were does as well: test on blocks farther away",
    }
    name_of = {"slope": "slope alone", "distance": "nearness to training landslides alone"}
    return [
        f"{name_of[name]} has AUC {null['roc_auc']:.3f}, the model {auc:.3f}: {meaning[name]}"
        for name, null in nulls.items()
        if null["roc_auc"] >= auc - CLOSE
    ]
