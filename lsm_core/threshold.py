"""Where to cut a score in two: the usual rules. Choose on validation places, never on test places.

A place is called a landslide where its score is at the threshold or above.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lsm_core.counting import Floats, Tally, both_classes, tally
from lsm_core.errors import RecipeError

Rule = Literal["half", "youden", "f1", "cost", "share"]
RULES: tuple[Rule, ...] = ("half", "youden", "f1", "cost", "share")


class Threshold(NamedTuple):
    """A threshold, and what its rule reached there: recall for "half" and "share", else its sum."""

    threshold: float
    reached: float


def choose_threshold(
    label: ArrayLike,
    score: ArrayLike,
    rule: Rule = "youden",
    *,
    cost: tuple[float, float] = (1.0, 5.0),
    share: float = 0.8,
    weight: ArrayLike | None = None,
) -> Threshold:
    """The threshold that a rule picks on these places; of equally good ones the highest.

    Parameters
    ----------
    label, score, weight : as for `metrics.pr_curve`; of validation places.
    rule : "half", 0.5 whatever the scores are; "youden", largest recall + specificity - 1
        (Youden, 1950); "f1", largest F1; "cost", smallest mean cost of an error; "share", the
        highest at which at least `share` of the landslides is found.
    cost : of a false alarm, and of a missed landslide.

    Returns
    -------
    Threshold; one of the scores, save for "half". Infinite where it costs least to call nothing a
    landslide.

    Raises
    ------
    SampleError : as for `metrics.pr_curve`. RecipeError : an unknown rule, a share outside (0, 1],
        or costs that are not above 0.

    >>> choose_threshold([1, 0, 1, 0], [0.9, 0.6, 0.5, 0.1], "share", share=1)
    Threshold(threshold=0.5, reached=1.0)
    """
    if rule not in RULES:
        raise RecipeError(f"rule={rule!r} is not one of {', '.join(RULES)}")
    if not 0 < share <= 1:
        raise RecipeError(f"share={share} of the landslides: give one above 0, at most 1")
    if min(cost) <= 0:
        raise RecipeError(f"cost={cost}: a false alarm and a miss both cost more than 0")
    count = tally(*both_classes(label, score, weight))
    recall = count.hits / count.hits[-1]
    if rule == "half":
        return Threshold(0.5, float(recall[count.threshold >= 0.5][-1]))
    if rule == "share":
        at = int(np.flatnonzero(recall >= share * (1 - 1e-12))[0])
        return Threshold(float(count.threshold[at]), float(recall[at]))
    gain = _gain(count, rule, cost)
    at = int(np.argmax(np.round(gain, 12)))  # what differs by rounding alone is equally good
    reached = -gain[at] if rule == "cost" else gain[at]
    return Threshold(float(count.threshold[at]), float(reached))


def _gain(count: Tally, rule: Rule, cost: tuple[float, float]) -> Floats:
    """What the rule makes as large as it can, at every threshold."""
    hits, misses, seen = count.hits, count.misses, count.seen
    if rule == "youden":
        return hits / hits[-1] - misses / misses[-1]
    if rule == "f1":
        return 2 * hits / (seen + hits[-1])
    alarm, missed = cost
    return -(alarm * misses + missed * (hits[-1] - hits)) / seen[-1]
