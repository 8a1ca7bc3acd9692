"""How good a score is: curves and numbers, all from one count over the sorted scores.

`label` is 1 where there is a landslide and 0 where there is none; `score` is higher where one is
more likely. Places with one and the same score are one step of every curve. Numbers agree with
scikit-learn's definitions (average precision is the step sum, not the trapezoid). Where a function
takes `weight`, a place of weight 2 counts as two places would. The thresholds that `threshold`
chooses come from the same count.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from lsm_core.counting import Floats, both_classes, checked, same_shape, tally
from lsm_core.errors import SampleError


class PrCurve(NamedTuple):
    """One point a distinct score, from the highest; it opens at recall 0, precision 1."""

    precision: Floats
    recall: Floats
    threshold: Floats  # infinite at the opening point, where nothing is predicted


class RocCurve(NamedTuple):
    """One point a distinct score, from the highest; it opens at (0, 0)."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    threshold: Floats  # infinite at the opening point


class RateCurve(NamedTuple):
    """Share of the landslides found in the most susceptible share of the area."""

    area: Floats
    landslides: Floats
    threshold: Floats  # infinite at the opening point
    under: float  # area under the curve, by trapezoids
    left_out: float  # landslides in cells without a score


class CalibrationCurve(NamedTuple):
    """What was observed where a probability was predicted; empty bins are left out."""

    predicted: Floats  # mean score of the bin
    observed: Floats  # share of landslides in the bin
    places: NDArray[np.int64]  # in the bin


def pr_curve(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> PrCurve:
    """Precision and recall at every threshold, from the highest score down.

    Parameters
    ----------
    label : 0 or 1, any shape. score : the same shape, finite. weight : of each place, 0 or more.

    Raises
    ------
    SampleError : one class only, another label than 0 and 1, a score that is not finite, or a
        negative weight.

    >>> pr_curve([1, 0, 1], [0.9, 0.5, 0.5])
    PrCurve(precision=array([1. , 1. , 0.66666667]), recall=array([0. , 0.5, 1. ]),
            threshold=array([inf, 0.9, 0.5]))
    """
    threshold, hits, seen = tally(*both_classes(label, score, weight))
    precision = np.concatenate([[1.0], hits[1:] / seen[1:]])
    return PrCurve(precision, hits / hits[-1], threshold)


def average_precision(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Sum over thresholds of the rise in recall times the precision there.

    A score that says nothing has the prevalence (`scores` gives it), so never compare the average
    precision of two sets whose prevalence differs. Input and errors as for `pr_curve`.

    >>> round(average_precision([1, 0, 1], [0.9, 0.5, 0.5]), 4)
    0.8333
    """
    curve = pr_curve(label, score, weight)
    return float(np.sum(np.diff(curve.recall) * curve.precision[1:]))


def roc_curve(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> RocCurve:
    """False and true positive rate at every threshold. Input and errors as for `pr_curve`.

    >>> roc_curve([1, 0, 1], [0.9, 0.5, 0.5]).true_positive_rate
    array([0. , 0.5, 1. ])
    """
    count = tally(*both_classes(label, score, weight))
    return RocCurve(count.misses / count.misses[-1], count.hits / count.hits[-1], count.threshold)


def roc_auc(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Chance that a landslide scores above a place without one; a tie counts half.

    Input and errors as for `pr_curve`.

    >>> roc_auc([1, 0, 1], [0.9, 0.5, 0.5])
    0.75
    """
    count = tally(*both_classes(label, score, weight))
    hits, misses = count.hits, count.misses
    twice = np.sum(np.diff(misses) * (hits[1:] + hits[:-1]))  # whole numbers: nothing is rounded
    return float(twice / (2 * hits[-1] * misses[-1]))


def scores(
    label: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    average: Literal["binary", "macro"] = "binary",
    weight: ArrayLike | None = None,
) -> dict[str, float]:
    """The numbers of a results table, at one threshold.

    Parameters
    ----------
    label : 0 or 1, any shape. score : the same shape, finite.
    threshold : a place is predicted a landslide where score >= threshold.
    average : precision, recall and F1 of landslides ("binary"), or the mean of those of both
        classes ("macro").
    weight : of each place, 0 or more.

    Returns
    -------
    accuracy, precision, recall, specificity, f1, kappa, miou (mean over both classes of
    intersection over union), mse (of the score), log_loss (natural; scores kept 2.2e-16 from 0 and
    1), brier, prevalence. What would divide by zero is NaN: precision where nothing is predicted,
    recall without landslides, and so on. log_loss and brier are NaN for scores outside [0, 1],
    which are no probabilities.

    Raises
    ------
    SampleError : no places, another label than 0 and 1, a score or a threshold that is not finite.

    >>> table = scores([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    >>> table["accuracy"], table["precision"], table["kappa"]
    (0.5, 0.5, 0.0)
    """
    if average not in ("binary", "macro"):
        raise SampleError(f"average={average!r} is neither 'binary' nor 'macro'")
    if not np.isfinite(threshold):
        raise SampleError(f"the threshold is {threshold}: give a number")
    y, s, w = checked(label, score, weight)
    said = s >= threshold
    tp, fp, fn, tn = (_sum(k, w) for k in (said & y, said & ~y, ~said & y, ~said & ~y))
    table = _of_counts(tp, fp, fn, tn)
    if average == "macro":
        other = _of_counts(tn, fn, fp, tp)
        for name in ("precision", "recall", "f1"):
            table[name] = (table[name] + other[name]) / 2
    return table | _of_probabilities(y, s, w)


def success_rate_curve(score: ArrayLike, landslide: ArrayLike) -> RateCurve:
    """Cumulative share of the landslides against the share of the area, most susceptible first.

    For the landslides the model was made from; see `prediction_rate_curve` for others
    (Chung and Fabbri, 2003). With one landslide a cell at most and prevalence p, the area under the
    curve is p / 2 + (1 - p) times the area under the ROC curve.

    Parameters
    ----------
    score : susceptibility, any shape, NaN outside the area.
    landslide : the same shape: 0 and 1, or the number of landslides in each cell.

    Returns
    -------
    RateCurve; `left_out` counts landslides in cells without a score.

    Raises
    ------
    SampleError : no landslide in the area, a negative number of them, or shapes that differ.

    >>> curve = success_rate_curve([0.9, 0.5, 0.1, 0.1], [1, 0, 0, 0])
    >>> curve.area, curve.landslides, curve.under
    (array([0.  , 0.25, 0.5 , 1.  ]), array([0., 1., 1., 1.]), 0.875)
    """
    s, n, left_out = _landslides_of(score, landslide)
    threshold, found, seen = tally(n, s)
    share, area = found / found[-1], seen / seen[-1]
    under = float(np.sum(np.diff(area) * (share[1:] + share[:-1])) / 2)
    return RateCurve(area, share, threshold, under, left_out)


def prediction_rate_curve(
    score: ArrayLike, landslide: ArrayLike, *, seen: ArrayLike | None = None
) -> RateCurve:
    """As `success_rate_curve`, for landslides that the model has not seen.

    Parameters
    ----------
    score : susceptibility, NaN outside the area. landslide : those held out, 0 and 1 or counts.
    seen : True in cells of landslides used for training. They leave the area (and `left_out`
        does not count them), for they are neither hits nor false alarms; without it the whole area
        counts.

    >>> prediction_rate_curve([0.9, 0.8, 0.1], [0, 1, 0], seen=[1, 0, 0]).landslides
    array([0., 1., 1.])
    """
    if seen is None:
        return success_rate_curve(score, landslide)
    s, n = same_shape(score, landslide, "landslide")
    _, used = same_shape(score, seen, "seen")
    return success_rate_curve(s[used == 0], n[used == 0])


def calibration_curve(label: ArrayLike, score: ArrayLike, bins: int = 10) -> CalibrationCurve:
    """Mean score against share of landslides, in equal bins of [0, 1].

    Bins close on the left, the last on both sides. Scores must lie in [0, 1].

    >>> calibration_curve([0, 1, 1, 1], [0.1, 0.2, 0.9, 1.0], bins=2)
    CalibrationCurve(predicted=array([0.15, 0.95]), observed=array([0.5, 1. ]),
        places=array([2, 2]))
    """
    # Cut in the scores' own precision: 0.7 as float32 lies below 0.7 as float64.
    edges = (np.arange(1, bins) / bins).astype(np.result_type(np.asarray(score), np.float16))
    y, s, _ = checked(label, score)
    if s.min() < 0 or s.max() > 1:
        raise SampleError(f"scores from {s.min():g} to {s.max():g} are no probabilities in [0, 1]")
    which = np.searchsorted(edges.astype(np.float64), s, side="right")
    count = np.bincount(which, minlength=bins)
    full = count > 0
    mean = np.bincount(which, s, bins)[full] / count[full]
    share = np.bincount(which, y, bins)[full] / count[full]
    return CalibrationCurve(mean, share, count[full])


def expected_calibration_error(label: ArrayLike, score: ArrayLike, bins: int = 10) -> float:
    """Mean distance between what was predicted and what was observed, bins weighing their places.

    Naeini, Cooper and Hauskrecht (2015), on the bins of `calibration_curve`.

    >>> round(expected_calibration_error([0, 1, 1, 1], [0.1, 0.2, 0.9, 1.0], bins=2), 3)
    0.2
    """
    curve = calibration_curve(label, score, bins)
    gap = np.abs(curve.predicted - curve.observed)
    return float(np.average(gap, weights=curve.places))


def boyce_index(
    score: ArrayLike, landslide: ArrayLike, *, width: float = 0.1, windows: int = 101
) -> float:
    """Whether landslides become more frequent as susceptibility rises: from -1 to 1, chance 0.

    The continuous Boyce index of Hirzel et al. (2006). A window slides over the range of scores; in
    each, the share of the landslides is divided by the share of the area; the index is Spearman's
    rank correlation of that ratio with the window's place. Windows without area are left out, and
    of a run of equal ratios the last one counts. It needs no places without landslides.

    Parameters
    ----------
    score, landslide : as for `success_rate_curve`. width : of the window, as share of the range.
    windows : how many, evenly from the lowest to the highest place; closed at both ends.

    Returns NaN where it is not defined: one and the same score everywhere, or one and the same
    ratio in all windows.

    >>> round(boyce_index(np.arange(100) / 100, np.arange(100) // 10), 3)
    1.0
    """
    s, n, _ = _landslides_of(score, landslide)
    low, wide = s.min(), np.ptp(s) * width
    order = np.argsort(s)
    ranked, found = s[order], np.concatenate([[0], np.cumsum(n[order])])
    start = np.linspace(low, max(s.max() - wide, low), windows)
    stop = np.append(start[:-1] + wide, s.max())
    first, last = np.searchsorted(ranked, start, "left"), np.searchsorted(ranked, stop, "right")
    area = last - first
    start, area = start[area > 0], area[area > 0]
    slides = (found[last] - found[first])[last > first]
    ratio = np.round((slides / found[-1]) / (area / s.size), 10)
    turn = np.append(ratio[:-1] != ratio[1:], True)
    if wide == 0 or np.count_nonzero(turn) < 2:
        return float("nan")
    return float(spearmanr(ratio[turn], start[turn]).statistic)


def _landslides_of(score: ArrayLike, landslide: ArrayLike) -> tuple[Floats, NDArray, float]:
    """Scores and landslides of the cells that have a score; landslides in the others, counted."""
    s, n = same_shape(score, landslide, "landslide")
    if not np.all(n >= 0):
        raise SampleError("landslide must be 0 or 1, or counts: got negative or missing values")
    known = np.isfinite(s)
    if not n[known].sum() > 0:
        raise SampleError(
            f"no landslide lies in the {known.sum()} cells that have a score: check that map and "
            "inventory cover the same area"
        )
    return s[known], n[known], float(n[~known].sum())


def _sum(which: NDArray[np.bool_], weight: Floats | None) -> float:
    return int(np.count_nonzero(which)) if weight is None else float(weight[which].sum())


def _of_counts(tp: float, fp: float, fn: float, tn: float) -> dict[str, float]:
    """Numbers of the four counts, for the class that tp counts."""
    n = tp + fp + fn + tn
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    return {
        "accuracy": (tp + tn) / n,
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "specificity": _share(tn, tn + fp),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "kappa": _share((tp + tn) / n - chance, 1 - chance),
        "miou": (_share(tp, tp + fp + fn) + _share(tn, tn + fp + fn)) / 2,
    }


def _of_probabilities(y: NDArray[np.bool_], s: Floats, w: Floats | None) -> dict[str, float]:
    with np.errstate(over="ignore"):  # a score of 1e200 has an infinite error
        mse = float(np.average((s - y) ** 2, weights=w))
    proper = s.min() >= 0 and s.max() <= 1
    tiny = np.finfo(np.float64).eps
    p = np.clip(np.where(y, s, 1 - s), tiny, 1 - tiny)  # the chance given to what happened
    return {
        "mse": mse,
        "log_loss": float(-np.average(np.log(p), weights=w)) if proper else np.nan,
        "brier": mse if proper else np.nan,
        "prevalence": float(np.average(y, weights=w)),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
