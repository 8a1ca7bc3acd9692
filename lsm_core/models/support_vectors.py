"""A support vector machine with a radial kernel that maps an area in seconds.

It is learnt by scikit-learn. What was learnt are the support vectors and a handful of numbers, so
they are kept as such, and a kernel is one product of matrices for thousands of cells, where
scikit-learn asks cell by cell.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

BLOCK = 512  # cells whose kernels are held at once: a few megabytes, which stay in the cache


class RadialMachine:
    """A support vector machine; fitted it scores with Platt's probability."""

    def __init__(self, C: float, gamma: float | None, folds: int) -> None:
        self.C, self.gamma, self.folds = C, gamma, folds
        self.learnt: dict[str, NDArray[np.float64]] = {}

    def fit(self, x: ArrayLike, label: ArrayLike) -> "RadialMachine":
        """Learn from values (place, channel), without NaN, and labels 0 and 1."""
        x = np.asarray(x, np.float64)
        mean, std = x.mean(axis=0), x.std(axis=0)
        std[std == 0] = 1
        # All channels of deviation 1: scikit-learn's `scale`.
        gamma = 1 / x.shape[1] if self.gamma is None else self.gamma
        machine = SVC(C=self.C, gamma=gamma, cache_size=500)
        platt = CalibratedClassifierCV(machine, method="sigmoid", cv=self.folds, ensemble=False)
        (fitted,) = platt.fit((x - mean) / std, label).calibrated_classifiers_
        (curve,) = fitted.calibrators
        self.learnt = {
            "mean": mean,
            "std": std,
            "support": fitted.estimator.support_vectors_,
            "weight": fitted.estimator.dual_coef_[0],
            "shift": fitted.estimator.intercept_,
            "gamma": np.array([gamma]),
            "curve": np.array([curve.a_, curve.b_]),
        }
        return self

    def decision_function(self, x: ArrayLike) -> NDArray[np.float64]:
        """Signed distance from the boundary (place,), above 0 on the landslides' side."""
        x = np.asarray(x)
        blocks = [self._distance(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
        return np.concatenate([np.empty(0), *blocks])

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """(place, 2): 1 - score and score in (0, 1), which rises with the distance."""
        a, b = self.learnt["curve"]
        score = 1 / (1 + np.exp(a * self.decision_function(x) + b))
        return np.stack([1 - score, score], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` makes the same model of them."""
        return {name: values.tolist() for name, values in self.learnt.items()}

    def from_json(self, stored: Mapping[str, Any]) -> "RadialMachine":
        """Take over what `to_json` gave."""
        names = ("mean", "std", "support", "weight", "shift", "gamma", "curve")
        self.learnt = {name: np.asarray(stored[name], np.float64) for name in names}
        return self

    def _distance(self, x: NDArray) -> NDArray[np.float64]:
        """Of a block of cells; float32 is as exact as the values are, and four times as fast."""
        own = self.learnt
        scaled = ((x.astype(np.float64) - own["mean"]) / own["std"]).astype(np.float32)
        support = own["support"].astype(np.float32)
        apart = -2 * (scaled @ support.T)
        apart += np.square(scaled).sum(axis=1)[:, None]
        apart += np.square(support).sum(axis=1)
        apart *= -np.float32(own["gamma"][0])
        kernel = np.exp(np.minimum(apart, 0, out=apart), out=apart)
        return (kernel @ own["weight"].astype(np.float32)).astype(np.float64) + own["shift"]


def svm(
    input_shape: tuple[int, ...],
    *,
    C: float = 1.0,
    gamma: float | None = None,
    folds: int = 5,
    seed: int | None = None,
) -> RadialMachine:
    """A support vector machine with a radial kernel on standardised values, unfitted.

    Parameters
    ----------
    C : inverse penalty. gamma : of the kernel exp(-gamma distance^2); one over the number of
        channels by default.
    folds : its score is Platt's (1999): a logistic curve of the distance from the boundary, rising
        with it, fitted to the distances that so many machines give for places they did not learn
        from. The machine that scores has learnt from all. Folds are cut without regard to space, so
        the curve may be too steep; the order of the scores does not depend on it. Nothing is drawn.
    """
    return RadialMachine(C, gamma, folds)
