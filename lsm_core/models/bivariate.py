"""Bivariate models: what the classes of a place say, added up factor by factor.

Each of the four counts the training places of every class, landslides among them, takes the
statistic of `lsm_core.bivariate` as the class's value, and adds up the values of a place's classes.
The sum is squashed into (0, 1), rising with it, so that 0.5 stands for "no more and no less than
all training places":

frequency_ratio      m / (1 + m), m the mean ratio of the factors
information_value    1 / (1 + exp(-sum))
certainty_factor     (1 + CF) / 2, the factors' CF combined in parallel: x + y - xy where both are
                     above 0, x + y + xy where both are below, else (x + y) / (1 - min(|x|, |y|))
weights_of_evidence  1 / (1 + exp(-sum of w_plus - ln(prior odds))): the posterior probability of
                     Bayes' rule for factors independent given landslide or none. A class says all
                     that its factor says, so the w_minus of the other classes are not added again

How many negatives were sampled for each landslide is the prior. It enters the frequency ratio, the
information value and the certainty factor of every class (at 1:1 no ratio is above 2), and the
posterior probability as one summand; w_plus and the ranking of places by it do not depend on it.

Certainty factors and weights of evidence rank places alike: 1 / (1 - CF) above 0 and 1 + CF below
are the likelihood ratio whose logarithm w_plus is, so that the parallel rule adds up w_plus
(Heckerman 1986). Where no value is missing they differ in the squashing alone.

A class that no training place had, and a missing value, say nothing: the ratio 1, else 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm_core.bivariate import class_values


class SumOfClasses:
    """A bivariate model: fitted it holds the value of every class of every factor."""

    def __init__(self, statistic: str) -> None:
        self.statistic = statistic
        self.neutral = 1.0 if statistic == "frequency_ratio" else 0.0
        self.prior = 0.5  # landslides among the training places
        self.values: list[NDArray[np.float64]] = []

    def fit(self, x: ArrayLike, label: ArrayLike) -> "SumOfClasses":
        """Learn from classes (place, factor), -1 where missing, and labels 0 and 1.

        SampleError: a factor is known at landslides only, or nowhere else.
        """
        classes, hit = np.asarray(x).astype(np.int64), np.asarray(label).astype(np.int64)
        self.prior = float(hit.mean())
        self.values = [self._learnt(column, hit) for column in classes.T]
        return self

    def evidence(self, x: ArrayLike) -> NDArray[np.float64]:
        """What the classes of places (place, factor) say: the sum of their values, (place,).

        Of certainty factors it is the combined factor.
        """
        terms = self._values_of(x)
        if self.statistic != "certainty_factor":
            return terms.sum(axis=1)
        # The parallel rule adds up -ln(1 - |x|) with the sign of x, in whatever order.
        added = np.sum(-np.sign(terms) * np.log1p(-np.abs(terms)), axis=1)
        return -np.sign(added) * np.expm1(-np.abs(added))

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """(place, 2): 1 - score and score in (0, 1), which rises with the evidence."""
        score = self._squashed(self.evidence(x))
        return np.stack([1 - score, score], axis=1)

    def terms(self, x: ArrayLike) -> tuple[NDArray[np.float64], float, str, NDArray[np.float64]]:
        """What each class adds, (place, factor); the base it adds to, the scale, and the whole.

        The scale is that on which the model adds: log-odds; for the frequency ratio the mean
        ratio, of which a class gives what it has above 1; for certainty factors -ln(1 - |CF|),
        with the sign of CF.
        """
        values, score = self._values_of(x), self.predict_proba(x)[:, 1]
        if self.statistic == "frequency_ratio":
            share = (values - 1) / values.shape[1]
            return share, 1.0, "mean ratio", score / (1 - score)
        if self.statistic == "certainty_factor":
            whole = 2 * score - 1
            added = -np.sign(values) * np.log1p(-np.abs(values))
            return added, 0.0, "certainty", -np.sign(whole) * np.log1p(-np.abs(whole))
        odds = self.prior / (1 - self.prior)
        base = float(np.log(odds)) if self.statistic == "weights_of_evidence" else 0.0
        return values, base, "log-odds", np.log(score / (1 - score))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` makes the same model of them."""
        return {"prior": self.prior, "values": [v.tolist() for v in self.values]}

    def from_json(self, stored: Mapping[str, Any]) -> "SumOfClasses":
        """Take over what `to_json` gave."""
        self.prior = float(stored["prior"])
        self.values = [np.asarray(v, np.float64) for v in stored["values"]]
        return self

    def _learnt(self, classes: NDArray[np.int64], hit: NDArray[np.int64]) -> NDArray[np.float64]:
        seen = classes >= 0
        cells = np.bincount(classes[seen])
        hits = np.bincount(classes[seen & (hit == 1)], minlength=len(cells))
        return class_values(self.statistic, hits, cells)

    def _values_of(self, x: ArrayLike) -> NDArray[np.float64]:
        """The value of every class (place, factor)."""
        classes = np.asarray(x).astype(np.int64)
        terms = np.full(classes.shape, self.neutral)
        for column, values in enumerate(self.values):
            known = (classes[:, column] >= 0) & (classes[:, column] < len(values))
            terms[known, column] = values[classes[known, column]]
        return terms

    def _squashed(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.statistic == "frequency_ratio":
            mean = evidence / len(self.values)
            return mean / (1 + mean)
        if self.statistic == "certainty_factor":
            return (1 + evidence) / 2
        if self.statistic == "weights_of_evidence":
            evidence = evidence + np.log(self.prior / (1 - self.prior))
        return 1 / (1 + np.exp(-evidence))


def frequency_ratio(input_shape: tuple[int, ...], *, seed: int | None = None) -> SumOfClasses:
    """The mean frequency ratio of a place's classes (Lee and Talib 2005). Nothing is drawn."""
    return SumOfClasses("frequency_ratio")


def information_value(input_shape: tuple[int, ...], *, seed: int | None = None) -> SumOfClasses:
    """The sum of the information values of a place's classes (Yin and Yan 1988)."""
    return SumOfClasses("information_value")


def certainty_factor(input_shape: tuple[int, ...], *, seed: int | None = None) -> SumOfClasses:
    """Certainty factors combined by the parallel rule (Shortliffe and Buchanan 1975)."""
    return SumOfClasses("certainty_factor")


def weights_of_evidence(input_shape: tuple[int, ...], *, seed: int | None = None) -> SumOfClasses:
    """The posterior probability by weights of evidence (Bonham-Carter 1994)."""
    return SumOfClasses("weights_of_evidence")
