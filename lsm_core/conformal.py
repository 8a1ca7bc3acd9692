"""Conformal prediction sets: which of the two answers a model cannot rule out at a place.

Split conformal prediction (Vovk, Gammerman & Shafer 2005; Lei et al. 2018) on the score of the true
answer: a label is kept where one minus its probability is no larger than a threshold, which is a
corrected quantile of the same number over calibration places that the model never learnt from. If
calibration places and a new place are exchangeable, the set holds the truth with a probability of
at least 1 - alpha. Places near each other are not; with `block`, blocks are what is exchangeable.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import RecipeError, SampleError

NEITHER, STABLE, LANDSLIDE, BOTH = 4, 1, 2, 3
SETS = {STABLE: "no landslide", LANDSLIDE: "landslide", BOTH: "both", NEITHER: "none"}


@dataclass(frozen=True)
class Conformal:
    """Thresholds of a conformal predictor; infinite where calibration cannot carry the coverage."""

    alpha: float
    stable: float  # largest 1 - p at which "no landslide" is kept; p its probability
    landslide: float
    by: str  # "block" or "place": what is taken as exchangeable
    class_conditional: bool
    places: int
    blocks: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite threshold is None."""
        return {k: None if v == np.inf else v for k, v in asdict(self).items()}

    @property
    def words(self) -> str:
        each = " for each class" if self.class_conditional else ""
        unit = f"{self.blocks} blocks" if self.by == "block" else f"{self.places} places"
        if np.inf in (self.stable, self.landslide):
            return (
                f"{unit} cannot carry {1 - self.alpha:.0%} coverage{each}: a label without a "
                "threshold is always kept; use more calibration blocks or a larger alpha"
            )
        return f"{1 - self.alpha:.0%} coverage{each}, calibrated on {unit}"


def calibrate(
    label: ArrayLike,
    score: ArrayLike,
    *,
    alpha: float = 0.1,
    block: ArrayLike | None = None,
    class_conditional: bool = True,
) -> Conformal:
    """Thresholds of prediction sets, from calibration places.

    Parameters
    ----------
    label, score : (place,), 0 or 1 and the model's probability of 1. The model must not have learnt
        from these places.
    alpha : share of new places whose set may miss the truth, in (0, 1).
    block : (place,), the block of each. With it every block counts the same, 1 / (blocks + 1), its
        places sharing that weight, and the rest lies at infinity; then the coverage holds for a
        place of a new block (hierarchical conformal prediction, Lee, Barber & Willett 2023).
        Without, places are taken as exchangeable, each with weight 1 / (places + 1).
    class_conditional : a threshold for each class from its own places (Mondrian, Vovk 2012). The
        coverage then holds for landslides and for other places separately, so that it does not
        depend on how many of each were drawn.

    Raises
    ------
    RecipeError : alpha outside (0, 1). SampleError : no place, scores outside [0, 1], or a class
        without a place.

    >>> calibrate([1] * 9, np.arange(1, 10) / 10, alpha=0.2, class_conditional=False).landslide
    0.8
    """
    label, score = np.asarray(label), np.asarray(score, np.float64)
    if not 0 < alpha < 1:
        raise RecipeError(f"alpha is a share between 0 and 1, got {alpha}: 0.1 is usual")
    if not len(label) or not ((score >= 0) & (score <= 1)).all():
        raise SampleError(
            f"{len(label)} calibration places: at least one is needed, with scores from 0 to 1"
        )
    strange = np.where(label == 1, 1 - score, score)
    group = np.arange(len(label)) if block is None else np.asarray(block)
    parts = [label == 0, label == 1] if class_conditional else [np.ones(len(label), bool)] * 2
    if not all(part.any() for part in parts):
        raise SampleError("calibration needs places of both classes: raise split.validation")
    stable, landslide = (_threshold(strange[part], group[part], alpha) for part in parts)
    return Conformal(
        alpha,
        stable,
        landslide,
        "place" if block is None else "block",
        class_conditional,
        len(label),
        len(np.unique(group)),
    )


def blocks_needed(alpha: float) -> int:
    """Fewest calibration blocks (or places) with which coverage 1 - alpha has a finite threshold.

    >>> blocks_needed(0.1)
    9
    """
    return int(np.ceil(round(1 / alpha, 9))) - 1


def _threshold(strange: NDArray[np.float64], group: NDArray[Any], alpha: float) -> float:
    """The 1 - alpha quantile where each group weighs 1 / (groups + 1), and infinity the last."""
    _, inverse, size = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(strange, kind="stable")
    weight = np.cumsum((1 / size[inverse])[order]) / (len(size) + 1)
    reached = np.flatnonzero(weight >= 1 - alpha - 1e-12)
    return float(strange[order[reached[0]]]) if len(reached) else np.inf


def sets(score: ArrayLike, fitted: Conformal) -> NDArray[np.uint8]:
    """The prediction set of every score, any shape: a code of `SETS`; 0 where the score is NaN.

    >>> fitted = Conformal(0.1, 0.4, 0.4, "place", True, 50, 50)
    >>> [SETS[int(code)] for code in sets([0.2, 0.5, 0.9], fitted)]
    ['no landslide', 'none', 'landslide']
    """
    score = np.asarray(score, np.float64)
    with np.errstate(invalid="ignore"):
        stable, landslide = score <= fitted.stable, 1 - score <= fitted.landslide
    code = np.where(stable, np.where(landslide, BOTH, STABLE), LANDSLIDE)
    code = np.where(stable | landslide, code, NEITHER)
    return np.where(np.isnan(score), 0, code).astype(np.uint8)


def covered(label: ArrayLike, code: ArrayLike) -> NDArray[np.bool_]:
    """Whether each place's set, a code of `SETS`, holds its label."""
    label, code = np.asarray(label), np.asarray(code)
    return (code == BOTH) | (code == np.where(label == 1, LANDSLIDE, STABLE))


def coverage(
    label: ArrayLike, code: ArrayLike, block: ArrayLike, alpha: float = 0.1
) -> dict[str, Any]:
    """Empirical coverage of places that neither training nor calibration has seen.

    Parameters
    ----------
    label, code, block : (place,), each place's label, set (code of `SETS`) and block.

    Returns
    -------
    `coverage`, `landslides`, `others` : share of places whose set holds the truth: all, and of each
        class (None without one). `sets` : share of places by set. `blocks` : one entry a block
        (block, places, coverage). `by_block` : minimum, quartiles and maximum of these.
        `blocks_below` : share of blocks whose coverage is below 1 - alpha.
    """
    label, code, block = np.asarray(label), np.asarray(code), np.asarray(block)
    held = covered(label, code)
    table = pd.DataFrame({"block": block, "held": held}).groupby("block")["held"]
    per_block = table.agg(["size", "mean"])
    return {
        "coverage": float(held.mean()),
        "landslides": _mean(held[label == 1]),
        "others": _mean(held[label == 0]),
        "sets": {name: float(np.mean(code == number)) for number, name in SETS.items()},
        "by_block": np.quantile(per_block["mean"], (0, 0.25, 0.5, 0.75, 1)).tolist(),
        "blocks_below": float(np.mean(per_block["mean"] < 1 - alpha)),
        "blocks": [
            {"block": int(number), "places": int(n), "coverage": float(share)}
            for number, n, share in per_block.itertuples()
        ],
    }


def _mean(held: NDArray[np.bool_]) -> float | None:
    return float(held.mean()) if len(held) else None
