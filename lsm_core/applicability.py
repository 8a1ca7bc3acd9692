"""Area of applicability: where a map is asked about places unlike all a model has learnt from.

Meyer & Pebesma (2021, Methods in Ecology and Evolution 12, 1620). The dissimilarity index of a cell
is its distance to the nearest training place, in factors scaled by their spread at training places
and weighted by their importance to the model, over the mean distance between training places. The
index of a training place, taken to the nearest place of another fold, shows which values the
model's validation has covered; its maximum without outliers is the threshold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core import metrics, prediction, runs
from lsm_core.effects import open_subject, parts_of, permutation_importance
from lsm_core.encoding import Encoder, fit_encoder
from lsm_core.errors import SampleError
from lsm_core.grid import grid_of
from lsm_core.labelling import UNLABELLED
from lsm_core.recipe import Input
from lsm_core.runs import open_run
from lsm_core.study_area import is_units, open_area, rows_of, shape_of

INSIDE, OUTSIDE = 1, 2
MOST_PAIRED = 5000  # training places whose distances to one another are averaged
BATCH = 16384  # cells looked up at once


@dataclass(frozen=True)
class Index:
    """What the dissimilarity index needs to know of the training places."""

    centre: NDArray[np.float64]  # (channel,)
    scale: NDArray[np.float64]  # (channel,), weight over spread
    places: NDArray[np.float32]  # (place, channel), scaled
    mean_distance: float
    own: NDArray[np.float64]  # (place,), index of each to the nearest place of another fold
    threshold: float


@dataclass(frozen=True)
class Applicability:
    """An index, and the encoder that turns a study area into its channels."""

    index: Index
    encoder: Encoder
    weights: dict[str, float]


# ------------------------------------------------------------------------------------- the index


def fit_index(x: ArrayLike, fold: ArrayLike, weight: ArrayLike | None = None) -> Index:
    """The dissimilarity index of training places.

    Parameters
    ----------
    x : (place, channel), no NaN; categories as 0 and 1 channels. Each is scaled by its mean and
        standard deviation here. A channel of 0 and 1 that is the same at all places takes the
        deviation it would have if one place differed, so that a category never met is far, not
        infinitely far; any other constant channel is left in its own units.
    fold : (place,), blocks or cross-validation folds; at least two.
    weight : (channel,), none negative, some above 0; by default all 1.

    Returns
    -------
    With `threshold` the largest index of a training place that is no outlier: not above the third
    quartile plus 1.5 times the distance between the quartiles. The mean distance is over all pairs,
    or over those of 5,000 places, evenly picked, where there are more.

    Raises
    ------
    SampleError : one fold only, NaN, or training places that are all alike.
    """
    x, fold = np.asarray(x, np.float64), np.asarray(fold)
    weight = np.ones(x.shape[1]) if weight is None else np.asarray(weight, np.float64)
    if not np.isfinite(x).all():
        raise SampleError("training places have missing values: encode them first")
    if len(np.unique(fold)) < 2:
        raise SampleError(
            f"the {len(x)} training places lie in one fold: at least two are needed to see how "
            "unlike one another they are; make split.block smaller"
        )
    centre = x.mean(axis=0)
    scale = weight / _spread(x)
    places = ((x - centre) * scale).astype(np.float32)
    mean_distance = _mean_distance(places)
    if mean_distance == 0:
        raise SampleError("the training places are all alike in every factor that counts")
    own = _nearest_elsewhere(places, fold) / mean_distance
    low, high = np.quantile(own, (0.25, 0.75))
    threshold = own[own <= high + 1.5 * (high - low)].max()
    return Index(centre, scale, places, mean_distance, own, float(threshold))


def dissimilarity(x: ArrayLike, index: Index) -> NDArray[np.float32]:
    """Dissimilarity of cells, (cell, channel) to (cell,): 0 at a training place, no upper bound.

    >>> index = fit_index([[0.0], [1.0], [3.0], [4.0]], [1, 1, 2, 2])
    >>> dissimilarity([[0.0], [7.0]], index).round(2)  # the mean distance is 7 / 3
    array([0.  , 1.29], dtype=float32)
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    scaled = ((np.asarray(x, np.float64) - index.centre) * index.scale).astype(np.float32)
    if not len(scaled):
        return np.empty(0, np.float32)
    nearest, _ = pairwise_distances_argmin_min(scaled, index.places)
    distance = np.linalg.norm(scaled - index.places[nearest], axis=1)
    return (distance / index.mean_distance).astype(np.float32)


def _spread(x: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = x.std(axis=0)
    never = np.sqrt((1 - 1 / len(x)) / len(x))
    binary = np.isin(x, (0, 1)).all(axis=0)
    return np.where(spread > 0, spread, np.where(binary, never, 1.0))


def _mean_distance(places: NDArray[np.float32]) -> float:
    from scipy.spatial.distance import pdist

    step = -(-len(places) // MOST_PAIRED)
    return float(pdist(places[::step].astype(np.float64)).mean())


def _nearest_elsewhere(places: NDArray[np.float32], fold: NDArray[Any]) -> NDArray[np.float64]:
    """Distance of every place to the nearest one of another fold."""
    from sklearn.metrics import pairwise_distances_argmin_min

    nearest = np.empty(len(places))
    for name in np.unique(fold):
        here = fold == name
        _, nearest[here] = pairwise_distances_argmin_min(places[here], places[~here])
    return nearest


# ----------------------------------------------------------------------------------- study areas


def fit_applicability(
    ds: xr.Dataset,
    names: list[str],
    *,
    fit_on: pd.DataFrame,
    fold: ArrayLike,
    weights: Mapping[str, float] | None = None,
    more: tuple[xr.Dataset, pd.DataFrame, ArrayLike] | None = None,
) -> Applicability:
    """The index of training places of a study area; `ds` may be another than the one to be judged.

    Parameters
    ----------
    names : the factors that count. Cyclic ones as sine and cosine, categories one channel each;
        gaps are filled as for a model, with the training median or no category.
    fit_on : training places (row, col) of `ds`. fold : of each, see `fit_index`.
    weights : importance by factor; those below 0 count as 0. All of a factor's channels take its
        weight. Without, or with none above 0, every factor counts the same.
    more : training places of a second area, with their folds: (its study area, places, fold).
    """
    encoder = fit_encoder(ds, Input(form="table", factors=tuple(names)), fit_on=fit_on)
    x = _seen(encoder, ds, fit_on)
    if more is not None and len(more[1]):
        x = np.concatenate([x, _seen(encoder, more[0], more[1])])
        fold = [f"here {name}" for name in np.asarray(fold)]
        fold += [f"there {name}" for name in np.asarray(more[2])]
    weights = {name: max(float((weights or {}).get(name, 0.0)), 0.0) for name in names}
    if not any(weights.values()):
        weights = dict.fromkeys(names, 1.0)
    of_channel = np.empty(len(encoder.channels))
    for name, part in parts_of(encoder).items():
        of_channel[part] = weights[name]
    return Applicability(fit_index(x, fold, of_channel), encoder, weights)


def _seen(encoder: Encoder, ds: xr.Dataset, places: pd.DataFrame) -> NDArray[np.float32]:
    return prediction.gather(encoder, ds, places["row"], places["col"])(np.arange(len(places)))


def dissimilarity_strips(
    fitted: Applicability, ds: xr.Dataset, *, on_progress: prediction.Progress | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The dissimilarity index of a study area, as (first row, (rows, x) float32), NaN if invalid.

    The area may be another one than that of the training places, with the same factors. Units are
    rows of one column.
    """
    height = shape_of(ds)[0]
    step = height if is_units(ds) else prediction.STRIP
    for first in range(0, height, step):
        part = rows_of(ds, slice(first, first + step))
        block = np.full(shape_of(part), np.nan, np.float32)
        for rows, cols, x in prediction.inputs(fitted.encoder, part, batch=BATCH):
            block[rows, cols] = dissimilarity(x, fitted.index)
        if on_progress:
            on_progress(first + len(block), height)
        yield first, block


def dissimilarity_at(
    fitted: Applicability, ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike
) -> NDArray[np.float32]:
    """The dissimilarity index of places of a study area."""
    rows = np.asarray(rows)
    return dissimilarity(
        prediction.gather(fitted.encoder, ds, rows, cols)(np.arange(len(rows))), fitted.index
    )


# ------------------------------------------------------------------------------------------ runs


def applicability_of(run: runs.Run, *, weighted: bool = True, repeats: int = 5) -> Applicability:
    """The index of a run's training places.

    Under the honest protocol the folds are its blocks; under the paper's, which splits at random,
    every place is a fold of its own. Weights are the permutation importance (drop in average
    precision) on the validation places: the test places have no say.

    Of a model that was carried here from another area the training places are those it learnt from
    there, and of this area those with a label; folds and weights are the source's.
    """
    transfer = run.recipe.transfer
    if transfer is not None and transfer.carries:
        there = open_run(str(transfer.source))
        subject, more = open_subject(there), (open_area(run.area_path), *_learnt_from(run))
        train, fold = _learnt_from(there)
        run = there
    else:
        subject, more = open_subject(run), None
        train, fold = _learnt_from(run)
    weights = None
    if weighted:
        table = permutation_importance(
            subject, split="validation", repeats=repeats, rng=np.random.default_rng(run.recipe.seed)
        )
        weights = dict(zip(table["factor"], table["ap_drop"], strict=True))
    names = [factor.name for factor in subject.encoder.factors]
    return fit_applicability(subject.ds, names, fit_on=train, fold=fold, weights=weights, more=more)


def _learnt_from(run: runs.Run) -> tuple[pd.DataFrame, ArrayLike]:
    """A run's training places but those without a label, and the fold of each."""
    train = run.samples[run.samples["split"] == "train"]
    if "origin" in train:
        train = train[train["origin"] != UNLABELLED]
    return train, train["block"] if run.recipe.protocol == "honest" else np.arange(len(train))


def area_of_applicability(
    run: runs.Run,
    area: Path | None = None,
    *,
    weighted: bool = True,
    on_progress: prediction.Progress | None = None,
) -> dict[str, Any]:
    """Where a run's model may be asked: two maps and `applicability.json` in its folder.

    `dissimilarity.tif` is the index (float32), `applicability.tif` 1 inside and 2 outside the area
    of applicability; of units, `applicability.csv` has both. For another `area` (its folder) names
    end in `_` and the area's name.

    Returns
    -------
    What `applicability.json` holds: `threshold`, `mean_distance`, `folds`, `weights`; `cells`
    mapped and `share_inside`; for the run's own area also `test`: number of test places inside and
    outside, with average precision, AUC, Brier score and prevalence of each (None where it is not
    defined). `words` says it in a sentence.
    """
    fitted = applicability_of(run, weighted=weighted)
    own = open_area(run.area_path)
    ds = own if area is None else open_area(area)
    end = "" if area is None else f"_{ds.attrs['name']}"
    threshold = fitted.index.threshold
    strips = dissimilarity_strips(fitted, ds, on_progress=on_progress)
    counts = (_write_table if is_units(ds) else _write_maps)(run.path, end, ds, strips, threshold)
    found: dict[str, Any] = {
        "area": ds.attrs["name"],
        "threshold": threshold,
        "mean_distance": fitted.index.mean_distance,
        "places": len(fitted.index.places),
        "folds": "block" if run.recipe.protocol == "honest" else "place",
        "weights": fitted.weights,
        "cells": sum(counts.values()),
        "counted": "units" if is_units(ds) else "cells",
        "share_inside": counts[INSIDE] / max(sum(counts.values()), 1),
    }
    if area is None:
        found["test"] = _judged(run, fitted, own)
    found["words"] = _in_words(found)
    runs.write_json(run.path / f"applicability{end}.json", found)
    return found


def _write_maps(
    folder: Path,
    end: str,
    ds: xr.Dataset,
    strips: Iterator[tuple[int, NDArray[np.float32]]],
    threshold: float,
) -> dict[int, int]:
    """The index and the mask of a grid; gives the cells inside and outside."""
    index_path = folder / f"dissimilarity{end}.tif"
    runs.write_map(index_path, grid_of(ds), strips)
    counts = {INSIDE: 0, OUTSIDE: 0}

    def masks() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for first, block in runs.read_strips(index_path):
            mask = inside(block, threshold)
            for code in counts:
                counts[code] += int((mask == code).sum())
            yield first, mask

    runs.write_map(folder / f"applicability{end}.tif", grid_of(ds), masks(), dtype="uint8")
    return counts


def _write_table(
    folder: Path,
    end: str,
    ds: xr.Dataset,
    strips: Iterator[tuple[int, NDArray[np.float32]]],
    threshold: float,
) -> dict[int, int]:
    """The same of units, which have no map: `applicability.csv`, one row a unit."""
    index = np.concatenate([block for _, block in strips])[:, 0]
    mask = inside(index, threshold)
    table = pd.DataFrame({"unit": np.arange(len(index)), "dissimilarity": index})
    runs.write_table(folder / f"applicability{end}.csv", table.assign(inside=mask == INSIDE))
    return {code: int((mask == code).sum()) for code in (INSIDE, OUTSIDE)}


def inside(index: ArrayLike, threshold: float) -> NDArray[np.uint8]:
    """1 inside, 2 outside the area of applicability, 0 where the index is NaN.

    >>> inside([0.1, 0.5, 0.6, np.nan], 0.5).tolist()
    [1, 1, 2, 0]
    """
    index = np.asarray(index, np.float32)
    mask = np.where(index <= np.float32(threshold), INSIDE, OUTSIDE)
    return np.where(np.isnan(index), 0, mask).astype(np.uint8)


def _judged(run: runs.Run, fitted: Applicability, ds: xr.Dataset) -> dict[str, Any]:
    """How well the model does on test places inside and outside."""
    test = run.scores[run.scores["split"] == "test"]
    mask = inside(dissimilarity_at(fitted, ds, test["row"], test["col"]), fitted.index.threshold)
    parts = {"inside": test[mask == INSIDE], "outside": test[mask == OUTSIDE]}
    return {name: _numbers(part["label"], part["score"]) for name, part in parts.items()}


def _numbers(label: pd.Series, score: pd.Series) -> dict[str, float | int | None]:
    both = label.nunique() == 2
    return {
        "places": len(label),
        "prevalence": float(label.mean()) if len(label) else None,
        "average_precision": metrics.average_precision(label, score) if both else None,
        "roc_auc": metrics.roc_auc(label, score) if both else None,
        "brier": float(np.mean((score - label) ** 2)) if len(label) else None,
    }


def _in_words(found: dict[str, Any]) -> str:
    words = (
        f"{found['share_inside']:.1%} of {found['cells']:,} {found['counted']} of {found['area']} "
        f"lie inside the area of applicability (dissimilarity index up to {found['threshold']:.3f})"
    )
    for name, numbers in found.get("test", {}).items():
        auc = numbers["roc_auc"]
        judged = "AUC not defined" if auc is None else f"AUC {auc:.3f}"
        words += f"; {numbers['places']:,} test places {name}: {judged}"
    return words
