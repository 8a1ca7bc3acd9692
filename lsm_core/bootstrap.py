"""How sure a number is: intervals from blocks of places drawn again and again.

Places near each other are alike, so a test set of a thousand places holds less than a thousand
places' worth of news. Drawing whole blocks respects the dependence inside them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm_core.counting import Floats, both_classes, checked
from lsm_core.errors import RecipeError, SampleError

Metric = Callable[[NDArray, NDArray], float]


class Interval(NamedTuple):
    """A value, its limits, and the bootstrap's values (NaN where a draw had one class only)."""

    value: float
    low: float
    high: float
    draws: Floats


class Difference(NamedTuple):
    """a - b with its limits; the statistic is the difference over its standard error."""

    statistic: float
    p_value: float
    value: float
    low: float
    high: float
    draws: Floats


def block_draws(block: ArrayLike, n: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Places of n bootstrap samples: as many blocks as there are, drawn with repeats, each whole.

    Raises
    ------
    SampleError : fewer than two blocks, which is too few to draw from. RecipeError : n below 1.

    >>> [len(d) for d in block_draws([7, 7, 7, 9, 9, 9], 2, np.random.default_rng(1))]
    [6, 6]
    """
    if n < 1:
        raise RecipeError(f"{n} bootstrap samples: draw at least 1")
    _, which = np.unique(np.asarray(block).ravel(), return_inverse=True)
    count = int(which.max(initial=-1)) + 1
    if count < 2:
        raise SampleError(
            f"an interval needs places of several blocks, got {count}: test more of the area"
        )
    order = np.argsort(which, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(which))[:-1])
    return [np.concatenate([members[i] for i in rng.integers(0, count, count)]) for _ in range(n)]


def draw_values(
    label: ArrayLike, score: ArrayLike, draws: Sequence[NDArray[np.intp]], metric: Metric
) -> Floats:
    """A metric on every bootstrap sample; NaN where the sample had one class and no value."""
    y, s, _ = checked(label, score)
    values = np.full(len(draws), np.nan)
    for i, places in enumerate(draws):
        drawn = y[places]
        if drawn.any() and not drawn.all():
            values[i] = metric(drawn, s[places])
    return values


def block_bootstrap(
    label: ArrayLike,
    score: ArrayLike,
    block: ArrayLike,
    metric: Metric,
    n: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
) -> Interval:
    """A metric with its percentile interval, from blocks drawn with repeats.

    Respects dependence inside a block; blocks must be larger than its reach, and a few dozen of
    them are wanted: with fewer the interval is too narrow (Lahiri, 2003).

    Parameters
    ----------
    label, score : as for `metrics.roc_curve`. block : the block of each place, any values.
    metric : called with labels and scores of a sample. n : samples. level : of the interval.

    Returns
    -------
    Interval; its value is the metric of the places as they are. Samples of one class are NaN in
    `draws` and left out of the limits.

    Raises
    ------
    SampleError : one class or one block only.

    >>> label, score, block = [1, 0, 1, 0, 1, 0], [.9, .1, .8, .3, .2, .4], [1, 1, 2, 2, 3, 3]
    >>> metric = lambda y, s: float(np.mean((s >= 0.5) == y))
    >>> block_bootstrap(label, score, block, metric, 200, np.random.default_rng(1))[:3]
    (0.8333333333333334, 0.5, 1.0)
    """
    y, s, _ = both_classes(label, score)
    draws = draw_values(y, s, block_draws(_blocks(y, block), n, rng), metric)
    return Interval(float(metric(y, s)), *limits(draws, level), draws)


def paired_block_bootstrap(
    label: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    block: ArrayLike,
    metric: Metric,
    n: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
) -> Difference:
    """The difference of a metric between two scores of the same places, from the same samples.

    As `block_bootstrap`; both scores are judged on every sample, so what makes a sample hard for
    both cancels out.

    >>> label, block = [1, 0, 1, 0, 1, 0], [1, 1, 2, 2, 3, 3]
    >>> metric = lambda y, s: float(np.mean((s >= 0.5) == y))
    >>> a, b = [.9, .1, .8, .3, .7, .4], [.9, .1, .8, .6, .7, .6]
    >>> d = paired_block_bootstrap(label, a, b, block, metric, 200, np.random.default_rng(1))
    >>> round(d.value, 3), round(d.low, 3), round(d.high, 3)
    (0.333, 0.167, 0.5)
    """
    y, first, _ = both_classes(label, a)
    _, second, _ = both_classes(label, b)
    samples = block_draws(_blocks(y, block), n, rng)
    draws = draw_values(y, first, samples, metric) - draw_values(y, second, samples, metric)
    return difference(float(metric(y, first)) - float(metric(y, second)), draws, level)


def difference(value: float, draws: Floats, level: float = 0.95) -> Difference:
    """A difference and what bootstrap samples made of it, as a test against 0.

    The p-value is twice the share of samples on the far side of 0, with one added to both counts,
    so that it is never 0 (Davison and Hinkley, 1997).

    >>> difference(0.1, np.array([0.0, 0.1, 0.2, 0.1])).p_value
    0.8
    """
    known = draws[np.isfinite(draws)]
    tail = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    spread = float(known.std(ddof=1)) if known.size > 1 else 0.0
    p = float(min(1.0, 2 * (tail + 1) / (known.size + 1)))
    z = value / spread if spread else (0.0 if value == 0 else float(np.copysign(np.inf, value)))
    return Difference(z, p, value, *limits(draws, level), draws)


def limits(draws: Floats, level: float = 0.95) -> tuple[float, float]:
    """Percentile limits of bootstrap values; NaN is left out, and of nothing there are none.

    >>> limits(np.array([1.0, 2.0, 3.0, np.nan]), 0.5)
    (1.5, 2.5)
    """
    known = draws[np.isfinite(draws)]
    if not known.size:
        return float("nan"), float("nan")
    outside = (1 - checked_level(level)) / 2
    low, high = np.quantile(known, [outside, 1 - outside])
    return float(low), float(high)


def _blocks(y: NDArray, block: ArrayLike) -> NDArray:
    blocks = np.asarray(block).ravel()
    if blocks.size != y.size:
        raise SampleError(f"{y.size} places but {blocks.size} blocks: give the block of each place")
    return blocks


def checked_level(level: float) -> float:
    """The level of an interval, refused where it is no share."""
    if not 0 < level < 1:
        raise RecipeError(f"level={level} of an interval: give a share such as 0.95")
    return level
