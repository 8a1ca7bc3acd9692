"""Whether two models differ by more than chance.

`mcnemar`, `delong` and `auc_interval` count every place as independent: under spatial dependence
their p-values and intervals are too small. `block_bootstrap` and `paired_block_bootstrap` draw
whole blocks and respect the dependence inside them; they are the ones to decide by. `wilcoxon` and
`corrected_resampled_t` compare scores over folds or seeds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lsm_core.bootstrap import (
    Difference,
    Interval,
    block_bootstrap,
    block_draws,
    checked_level,
    difference,
    draw_values,
    limits,
    paired_block_bootstrap,
)
from lsm_core.counting import Floats, both_classes, checked
from lsm_core.errors import SampleError

__all__ = [
    "DeLong",
    "Difference",
    "Interval",
    "McNemar",
    "PairedTest",
    "auc_interval",
    "block_bootstrap",
    "block_draws",
    "corrected_resampled_t",
    "delong",
    "difference",
    "draw_values",
    "holm",
    "limits",
    "mcnemar",
    "p_in_words",
    "paired_block_bootstrap",
    "rank_groups",
    "wilcoxon",
]

FEW = 25  # discordant places, below which McNemar's test is exact


class PairedTest(NamedTuple):
    """A test's statistic and its two-sided p-value."""

    statistic: float
    p_value: float


class McNemar(NamedTuple):
    """Places that only one of the two gets right, and the test of their balance."""

    statistic: float
    p_value: float
    only_a: int
    only_b: int
    exact: bool


class DeLong(NamedTuple):
    """z, its p-value, both areas under the ROC curve, and their (2, 2) covariance."""

    statistic: float
    p_value: float
    auc_a: float
    auc_b: float
    covariance: Floats


def mcnemar(label: ArrayLike, a: ArrayLike, b: ArrayLike) -> McNemar:
    """Whether one of two classifications is right more often, on the same places.

    McNemar (1947): of the places that only one of them gets right, half should fall to each.
    Exact (binomial) with fewer than 25 such places, else chi-squared with the continuity
    correction. Counts places as independent: neighbours that are right or wrong together make the
    p-value too small.

    Parameters
    ----------
    label : 0 or 1. a, b : the two predictions, 0 or 1, of the same shape.

    Returns
    -------
    McNemar; where the two are never right alone, statistic 0 and p-value 1. The exact statistic is
    the smaller count.

    Raises
    ------
    SampleError : shapes that differ, or values other than 0 and 1.

    >>> mcnemar([1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, 0])
    McNemar(statistic=0.0, p_value=0.5, only_a=2, only_b=0, exact=True)
    """
    y, first, _ = checked(label, a)
    _, second, _ = checked(label, b)
    for said in (first, second):
        if not np.isin(said, (0, 1)).all():
            raise SampleError("McNemar's test takes predictions 0 or 1: cut the scores first")
    right_a, right_b = (first == 1) == y, (second == 1) == y
    only_a = int(np.count_nonzero(right_a & ~right_b))
    only_b = int(np.count_nonzero(right_b & ~right_a))
    n = only_a + only_b
    if n < FEW:
        p = stats.binomtest(only_a, n).pvalue if n else 1.0
        return McNemar(float(min(only_a, only_b)), float(p), only_a, only_b, True)
    squared = (abs(only_a - only_b) - 1) ** 2 / n
    return McNemar(squared, float(stats.chi2.sf(squared, 1)), only_a, only_b, False)


def delong(label: ArrayLike, a: ArrayLike, b: ArrayLike) -> DeLong:
    """Whether two scores of the same places have different areas under the ROC curve.

    DeLong, DeLong and Clarke-Pearson (1988) by the midranks of Sun and Xu (2014); ties count half.
    Counts places as independent: spatial dependence makes the p-value too small.

    Parameters
    ----------
    label : 0 or 1. a, b : scores of the same shape, finite.

    Returns
    -------
    DeLong; where the difference has no variance, p-value 1 for equal areas and 0 for others.

    Raises
    ------
    SampleError : as for `metrics.roc_curve`, or fewer than two places of a class.

    >>> test = delong([1, 1, 0, 0, 0], [.9, .4, .5, .2, .1], [.4, .3, .2, .5, .1])
    >>> round(test.auc_a, 3), round(test.auc_b, 3), round(test.p_value, 3)
    (0.833, 0.667, 0.724)
    """
    areas, covariance = _delong(label, [a, b])
    gap = areas[0] - areas[1]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    z, p = _z_test(gap, variance)
    return DeLong(z, p, float(areas[0]), float(areas[1]), covariance)


def auc_interval(label: ArrayLike, score: ArrayLike, level: float = 0.95) -> Interval:
    """Area under the ROC curve with DeLong's normal interval, kept within [0, 1]; no draws.

    Counts places as independent: under spatial dependence it is too narrow. Errors as for `delong`.

    >>> tuple(round(v, 3) for v in auc_interval([1, 1, 0, 0, 0], [.9, .4, .5, .2, .1])[:3])
    (0.833, 0.371, 1.0)
    """
    areas, covariance = _delong(label, [score])
    half = float(stats.norm.ppf((1 + checked_level(level)) / 2) * np.sqrt(covariance[0, 0]))
    area = float(areas[0])
    return Interval(area, max(0.0, area - half), min(1.0, area + half), np.empty(0))


def wilcoxon(a: ArrayLike, b: ArrayLike) -> PairedTest:
    """Signed-rank test of paired values, such as the scores of two models fold by fold.

    Wilcoxon (1945); exact up to 50 pairs without ties, pairs without a difference left out. With n
    pairs no p-value below 2 / 2^n can be had: five folds cannot say 0.05. Takes folds as
    independent, which shared training places make them not; see `corrected_resampled_t`.

    Raises
    ------
    SampleError : lengths that differ, no pair, or values that are not finite.

    >>> wilcoxon([.7, .8, .75, .9, .6], [.6, .75, .74, .7, .57])
    PairedTest(statistic=0.0, p_value=0.0625)
    """
    gap = _differences(a, b, least=1)
    if not gap.any():
        return PairedTest(0.0, 1.0)
    found = stats.wilcoxon(gap)
    return PairedTest(float(found.statistic), float(found.pvalue))


def corrected_resampled_t(a: ArrayLike, b: ArrayLike, *, test_to_train: float) -> PairedTest:
    """t-test of paired values over folds or repeats whose training sets overlap.

    Nadeau and Bengio (2003): the variance of the mean is (1 / k + test_to_train) times that of the
    k differences, and t has k - 1 degrees of freedom.

    Parameters
    ----------
    a, b : scores of two models, in the same order. test_to_train : number of test places over that
        of training places.

    Raises
    ------
    SampleError : fewer than two pairs, lengths that differ, values that are not finite, or a ratio
        that is not above 0.

    >>> round(corrected_resampled_t([.7, .8, .75], [.6, .75, .74], test_to_train=0.5).statistic, 3)
    1.296
    """
    gap = _differences(a, b, least=2)
    if not test_to_train > 0:
        raise SampleError(f"test_to_train is {test_to_train}: give a ratio of places above 0")
    variance = (1 / gap.size + test_to_train) * np.var(gap, ddof=1)
    mean = float(gap.mean())
    if variance < 1e-30:
        return (
            PairedTest(0.0, 1.0) if mean == 0 else PairedTest(float(np.copysign(np.inf, mean)), 0.0)
        )
    t = mean / float(np.sqrt(variance))
    return PairedTest(t, float(2 * stats.t.sf(abs(t), gap.size - 1)))


def holm(p: ArrayLike) -> Floats:
    """p-values adjusted for having asked several questions (Holm, 1979), in their order.

    Raises
    ------
    SampleError : a value outside [0, 1] or missing.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise SampleError(f"p-values lie in [0, 1], got {values.tolist()}")
    order = np.argsort(values)
    raised = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty(values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


def rank_groups(value: ArrayLike, parted: ArrayLike) -> list[int]:
    """Ranks from 1 (the highest value) that change only where intervals part.

    Parameters
    ----------
    value : of each model; NaN comes last. parted : (model, model), True where the interval of the
        difference leaves 0 out.

    Returns
    -------
    A rank a model: two that do not part share one, and so does every model between them.

    >>> apart = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=bool)
    >>> rank_groups([0.8, 0.9, 0.5], apart)
    [1, 1, 3]
    """
    order = np.argsort(-np.asarray(value, dtype=np.float64), kind="stable")
    apart = np.asarray(parted, dtype=bool)[np.ix_(order, order)]
    ranks = np.empty(order.size, dtype=int)
    rank = 1
    for i in range(order.size):
        if i and apart[:i, i:].all():
            rank = i + 1
        ranks[order[i]] = rank
    return ranks.tolist()


def _delong(label: ArrayLike, many: Sequence[ArrayLike]) -> tuple[Floats, Floats]:
    """Areas and their covariance, from midranks among all places and among those of each class."""
    places = [both_classes(label, score) for score in many]
    y = places[0][0]
    m, n = int(y.sum()), int((~y).sum())
    if min(m, n) < 2:
        raise SampleError(f"{m} landslides and {n} places without: DeLong's test needs two of each")
    ranks = [(stats.rankdata(s), stats.rankdata(s[y]), stats.rankdata(s[~y])) for _, s, _ in places]
    over = np.array([(every[y] - own) / n for every, own, _ in ranks])
    under = np.array([1 - (every[~y] - own) / m for every, _, own in ranks])
    covariance = np.atleast_2d(np.cov(over)) / m + np.atleast_2d(np.cov(under)) / n
    return over.mean(axis=1), covariance


def _z_test(gap: float, variance: float) -> tuple[float, float]:
    if variance < 1e-18:  # what rounding leaves of nothing
        same = abs(gap) < 1e-12
        return (0.0, 1.0) if same else (float(np.copysign(np.inf, gap)), 0.0)
    z = float(gap / np.sqrt(variance))
    return z, float(2 * stats.norm.sf(abs(z)))


def _differences(a: ArrayLike, b: ArrayLike, least: int) -> Floats:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise SampleError(f"{first.shape} against {second.shape} values: give pairs, fold by fold")
    if first.size < least:
        raise SampleError(f"{first.size} pairs: run at least {least} folds or seeds")
    gap = first - second
    if not np.isfinite(gap).all():
        raise SampleError("a score is missing or not finite: leave that fold out of both")
    return gap


def p_in_words(p: float | None) -> str:
    """A p-value as a table shows it; nothing where it is not defined.

    >>> [p_in_words(p) for p in (0.0312, 2e-9, float("nan"))]
    ['0.031', '< 0.001', '']
    """
    if p is None or np.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
