"""The one pass over sorted scores from which every curve is made, and the checks before it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import SampleError

Floats = NDArray[np.float64]


class Tally(NamedTuple):
    """What lies at or above each threshold, from the highest score down; opens with nothing."""

    threshold: Floats  # infinite at the opening
    hits: NDArray  # weight of the landslides
    seen: NDArray  # weight of all places

    @property
    def misses(self) -> NDArray:
        """Weight of the places without a landslide."""
        return self.seen - self.hits


def tally(hit: NDArray, score: Floats, weight: NDArray | None = None) -> Tally:
    """Count once: equal scores are one step, and whole numbers are added up without rounding.

    Parameters
    ----------
    hit : what a place adds to the hits: 0 or 1, or a number of landslides.
    score : of one size with `hit`, finite.
    weight : above 0, of a place, on hits and on what is seen; None counts every place once.

    >>> tally(np.array([1, 0, 1]), np.array([0.9, 0.5, 0.5]))
    Tally(threshold=array([inf, 0.9, 0.5]), hits=array([0, 1, 2]), seen=array([0, 1, 3]))
    """
    hit = hit if weight is None else hit * weight
    order = np.argsort(score)[::-1]
    ranked = score[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    whole = hit.dtype.kind in "bui"
    hits = np.cumsum(hit[order], dtype=np.int64 if whole else np.float64)[last]
    seen = last + 1 if weight is None else np.cumsum(weight[order], dtype=np.float64)[last]
    return Tally(
        np.concatenate([[np.inf], ranked[last]]),
        np.concatenate([[0], hits]),
        np.concatenate([[0], seen]),
    )


def same_shape(score: ArrayLike, other: ArrayLike, name: str) -> tuple[Floats, NDArray]:
    """Both flat, the score in float64."""
    s, o = np.asarray(score), np.asarray(other)
    if s.shape != o.shape:
        raise SampleError(f"score has shape {s.shape}, {name} {o.shape}: give one value per place")
    return s.ravel().astype(np.float64), o.ravel()


def checked(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], Floats, Floats | None]:
    """Labels, scores and weights, flat; places of weight 0 are left out, as if they were not there.

    Raises
    ------
    SampleError : shapes that differ, no places, another label than 0 and 1, a score that is not
        finite, a weight that is negative or not finite.
    """
    s, y = same_shape(score, label, "label")
    w = None
    if weight is not None:
        w = same_shape(score, weight, "weight")[1].astype(np.float64)
        if not (np.isfinite(w) & (w >= 0)).all():
            raise SampleError("weights must be finite and not negative: drop such places, or mend")
        s, y, w = s[w > 0], y[w > 0], w[w > 0]
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
    return y.astype(bool), s, w


def both_classes(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], Floats, Floats | None]:
    """As `checked`; one class alone is refused too, for it has no curve."""
    y, s, w = checked(label, score, weight)
    if y.all() or not y.any():
        raise SampleError(
            f"all {y.size} places have label {int(y[0])}: a curve needs landslides and places "
            "without, so draw negatives or choose a larger test set"
        )
    return y, s, w
