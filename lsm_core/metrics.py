"""How good a score is: curves and numbers, all from one count over the sorted scores.

`label` is 1 where there is a landslide and 0 where there is none; `score` is higher where one is
more likely. Places with one and the same score are one step of every curve. Numbers agree with
scikit-learn's definitions (average precision is the step sum, not the trapezoid).
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import SampleError

Floats = NDArray[np.float64]


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


def pr_curve(label: ArrayLike, score: ArrayLike) -> PrCurve:
    """Precision and recall at every threshold, from the highest score down.

    Parameters
    ----------
    label : 0 or 1, any shape. score : the same shape, finite.

    Raises
    ------
    SampleError : one class only, another label than 0 and 1, or a score that is not finite.

    >>> pr_curve([1, 0, 1], [0.9, 0.5, 0.5])
    PrCurve(precision=array([1. , 1. , 0.66666667]), recall=array([0. , 0.5, 1. ]),
            threshold=array([inf, 0.9, 0.5]))
    """
    threshold, hits, seen = _counts(*_both_classes(label, score))
    precision = np.concatenate([[1.0], hits[1:] / seen[1:]])
    return PrCurve(precision, hits / hits[-1], threshold)


def average_precision(label: ArrayLike, score: ArrayLike) -> float:
    """Sum over thresholds of the rise in recall times the precision there.

    A score that says nothing has the prevalence. Input and errors as for `pr_curve`.

    >>> round(average_precision([1, 0, 1], [0.9, 0.5, 0.5]), 4)
    0.8333
    """
    curve = pr_curve(label, score)
    return float(np.sum(np.diff(curve.recall) * curve.precision[1:]))


def roc_curve(label: ArrayLike, score: ArrayLike) -> RocCurve:
    """False and true positive rate at every threshold. Input and errors as for `pr_curve`.

    >>> roc_curve([1, 0, 1], [0.9, 0.5, 0.5]).true_positive_rate
    array([0. , 0.5, 1. ])
    """
    threshold, hits, seen = _counts(*_both_classes(label, score))
    misses = seen - hits
    return RocCurve(misses / misses[-1], hits / hits[-1], threshold)


def roc_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Chance that a landslide scores above a place without one; a tie counts half.

    Input and errors as for `pr_curve`.

    >>> roc_auc([1, 0, 1], [0.9, 0.5, 0.5])
    0.75
    """
    _, hits, seen = _counts(*_both_classes(label, score))
    misses = seen - hits
    twice = np.sum(np.diff(misses) * (hits[1:] + hits[:-1]))  # whole numbers: nothing is rounded
    return float(twice / (2 * hits[-1] * misses[-1]))


def scores(
    label: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    average: Literal["binary", "macro"] = "binary",
) -> dict[str, float]:
    """The numbers of a results table, at one threshold.

    Parameters
    ----------
    label : 0 or 1, any shape. score : the same shape, finite.
    threshold : a place is predicted a landslide where score >= threshold.
    average : precision, recall and F1 of landslides ("binary"), or the mean of those of both
        classes ("macro").

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
    y, s = _checked(label, score)
    said = s >= threshold
    tp, fp = int(np.sum(said & y)), int(np.sum(said & ~y))
    fn, tn = int(np.sum(y)) - tp, int(np.sum(~y)) - fp
    table = _of_counts(tp, fp, fn, tn)
    if average == "macro":
        other = _of_counts(tn, fn, fp, tp)
        for name in ("precision", "recall", "f1"):
            table[name] = (table[name] + other[name]) / 2
    return table | _of_probabilities(y, s)


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
    s, n = _same_shape(score, landslide, "landslide")
    if not np.all(n >= 0):
        raise SampleError("landslide must be 0 or 1, or counts: got negative or missing values")
    known = np.isfinite(s)
    if not n[known].sum() > 0:
        raise SampleError(
            f"no landslide lies in the {known.sum()} cells that have a score: check that map and "
            "inventory cover the same area"
        )
    threshold, found, seen = _counts(n[known], s[known])
    share, area = found / found[-1], seen / seen[-1]
    under = float(np.sum(np.diff(area) * (share[1:] + share[:-1])) / 2)
    return RateCurve(area, share, threshold, under, float(n[~known].sum()))


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
    s, n = _same_shape(score, landslide, "landslide")
    _, used = _same_shape(score, seen, "seen")
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
    y, s = _checked(label, score)
    if s.min() < 0 or s.max() > 1:
        raise SampleError(f"scores from {s.min():g} to {s.max():g} are no probabilities in [0, 1]")
    which = np.searchsorted(edges.astype(np.float64), s, side="right")
    count = np.bincount(which, minlength=bins)
    full = count > 0
    mean = np.bincount(which, s, bins)[full] / count[full]
    share = np.bincount(which, y, bins)[full] / count[full]
    return CalibrationCurve(mean, share, count[full])


def _counts(
    weight: NDArray, score: Floats
) -> tuple[Floats, NDArray[np.int64] | Floats, NDArray[np.int64]]:
    """Thresholds from the highest score down, with the weight and the number of places at or above.

    Equal scores are one step. The first entry is the empty count, at an infinite threshold.
    """
    order = np.argsort(score)[::-1]
    ranked = score[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    whole = weight.dtype.kind in "bu"
    summed = np.cumsum(weight[order], dtype=np.int64 if whole else np.float64)
    return (
        np.concatenate([[np.inf], ranked[last]]),
        np.concatenate([[0], summed[last]]),
        np.concatenate([[0], last + 1]),
    )


def _of_counts(tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
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


def _of_probabilities(y: NDArray[np.bool_], s: Floats) -> dict[str, float]:
    with np.errstate(over="ignore"):  # a score of 1e200 has an infinite error
        mse = float(np.mean((s - y) ** 2))
    proper = s.min() >= 0 and s.max() <= 1
    tiny = np.finfo(np.float64).eps
    p = np.clip(np.where(y, s, 1 - s), tiny, 1 - tiny)  # the chance given to what happened
    return {
        "mse": mse,
        "log_loss": float(-np.mean(np.log(p))) if proper else np.nan,
        "brier": mse if proper else np.nan,
        "prevalence": float(np.mean(y)),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _same_shape(score: ArrayLike, other: ArrayLike, name: str) -> tuple[Floats, NDArray]:
    """Both flat, the score in float64."""
    s, o = np.asarray(score), np.asarray(other)
    if s.shape != o.shape:
        raise SampleError(f"score has shape {s.shape}, {name} {o.shape}: give one value per place")
    return s.ravel().astype(np.float64), o.ravel()


def _checked(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    s, y = _same_shape(score, label, "label")
    if not y.size:
        raise SampleError("no places to score: the set is empty")
    strange = y[(y != 0) & (y != 1)]
    if strange.size:
        raise SampleError(
            f"labels must be 0 or 1; got {strange[0]} and {strange.size - 1} more: "
            "leave unlabelled places out first"
        )
    bad = np.count_nonzero(~np.isfinite(s))
    if bad:
        raise SampleError(
            f"{bad} of {s.size} scores are not finite: leave places without a prediction out first"
        )
    return y.astype(bool), s


def _both_classes(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    y, s = _checked(label, score)
    if y.all() or not y.any():
        raise SampleError(
            f"all {y.size} places have label {int(y[0])}: a curve needs landslides and places "
            "without, so draw negatives or choose a larger test set"
        )
    return y, s
