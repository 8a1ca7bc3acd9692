"""Scores as probabilities: calibration on validation places, and the area's own prevalence.

A model trained on as many landslides as other places gives scores for that ratio; in the area
landslides are far rarer. `correct_prior` moves a probability from the one to the other. A
calibrator bends scores until they say what was observed; it is fitted on validation places, never
on test places, and stored with the run.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from lsm_core.counting import Floats, both_classes
from lsm_core.errors import RecipeError, SampleError

Method = Literal["none", "isotonic", "platt"]
METHODS: tuple[Method, ...] = ("none", "isotonic", "platt")
UNBALANCED = (1 / 3, 2 / 3)  # outside these shares of landslides 0.5 is nobody's middle


@dataclass(frozen=True)
class Calibrator:
    """A curve from scores to probabilities.

    `isotonic` rises from one (score, probability) knot to the next and is level beyond them;
    `platt` is 1 / (1 + exp(-(slope score + intercept))); `none` leaves scores as they are.
    """

    method: Method
    score: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()
    slope: float = 1.0
    intercept: float = 0.0
    fitted_on: int = 0  # places

    def __call__(self, score: Any) -> Any:
        """Probabilities of the same shape and precision; NaN stays NaN.

        >>> Calibrator("isotonic", (0.2, 0.4), (0.0, 1.0))([0.1, 0.3, np.nan])
        array([0. , 0.5, nan])
        """
        s = np.asarray(score)
        if self.method == "none":
            return s
        dtype = s.dtype if s.dtype.kind == "f" else np.float64
        if self.method == "platt":
            return expit(self.slope * s.astype(np.float64) + self.intercept).astype(dtype)
        return np.interp(s.astype(np.float64), self.score, self.probability).astype(dtype)

    def to_json(self) -> dict[str, Any]:
        """As plain values; `from_json` gives the same calibrator back."""
        return {
            "method": self.method,
            "score": list(self.score),
            "probability": list(self.probability),
            "slope": self.slope,
            "intercept": self.intercept,
            "fitted_on": self.fitted_on,
        }

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> "Calibrator":
        lists = {name: tuple(text[name]) for name in ("score", "probability")}
        return cls(**text | lists)


def fit_calibrator(method: Method, label: ArrayLike, score: ArrayLike) -> Calibrator:
    """Fit a calibrator on validation places.

    `isotonic` is the rising step curve nearest to the labels (Zadrozny and Elkan, 2002): free in
    shape, it ties scores that it cannot tell apart, and wants a few hundred places. `platt` is
    logistic regression on the score with Platt's (1999) targets: two numbers, keeps every order.

    Parameters
    ----------
    label : 0 or 1, of validation places. score : the same shape, finite.

    Raises
    ------
    RecipeError : an unknown method. SampleError : one class only, or scores that are not finite.

    >>> fit_calibrator("isotonic", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4])([0.1, 0.2, 0.4])
    array([0. , 0.5, 1. ])
    """
    if method not in METHODS:
        raise RecipeError(f"calibration {method!r} is not one of {', '.join(METHODS)}")
    if method == "none":
        return Calibrator("none")
    y, s, _ = both_classes(label, score)
    if method == "platt":
        slope, intercept = _platt(y, s)
        return Calibrator("platt", slope=slope, intercept=intercept, fitted_on=y.size)
    from sklearn.isotonic import IsotonicRegression  # slow to import, and not always wanted

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(s, y.astype(float))
    knots = fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist()
    return Calibrator("isotonic", tuple(knots[0]), tuple(knots[1]), fitted_on=y.size)


def _platt(y: NDArray[np.bool_], s: Floats) -> tuple[float, float]:
    """Slope and intercept of least log loss against targets drawn in from 0 and 1."""
    m, n = int(y.sum()), int((~y).sum())
    target = np.where(y, (m + 1) / (m + 2), 1 / (n + 2))
    middle, spread = s.mean(), s.std() or 1.0  # the search wants numbers near 1
    x = (s - middle) / spread

    def loss(at: Floats) -> tuple[float, Floats]:
        z = at[0] * x + at[1]
        gap = expit(z) - target
        value = float(np.sum(np.logaddexp(0, z) - target * z))
        return value, np.array([gap @ x, gap.sum()])

    found = minimize(loss, [0.0, np.log((m + 1) / (n + 1))], jac=True, method="BFGS")
    slope = float(found.x[0] / spread)
    return slope, float(found.x[1] - slope * middle)


def correct_prior(probability: ArrayLike, *, sampled: float, prevalence: float) -> Any:
    """A probability learnt at one share of landslides, for a place where the share is another.

    The odds are multiplied by the ratio of the odds of the two shares (King and Zeng, 2001):
    p / (1 - p) x [t / (1 - t)] / [m / (1 - m)], m the sampled share and t the area's. Holds where
    places were drawn at random within each class; order, and so every curve, stays as it is.

    Parameters
    ----------
    probability : in [0, 1], any shape; NaN stays NaN, 0 and 1 stay what they are.
    sampled : share of landslides among the training places. prevalence : that of the area.

    Raises
    ------
    SampleError : a share that is not between 0 and 1, or a probability that is none.

    >>> correct_prior([0.5, 0.9], sampled=0.5, prevalence=0.01)
    array([0.01      , 0.08333333])
    """
    for name, share in (("sampled", sampled), ("prevalence", prevalence)):
        if not 0 < share < 1:
            raise SampleError(f"{name} is {share}: give a share of landslides between 0 and 1")
    p = np.asarray(probability, dtype=np.float64)
    if np.any((p < 0) | (p > 1)):
        raise SampleError("probabilities lie in [0, 1]: calibrate the scores first")
    up, down = prevalence / sampled, (1 - prevalence) / (1 - sampled)
    return p * up / (p * up + (1 - p) * down)


def half_warning(prevalence: float, threshold: float = 0.5) -> str | None:
    """A line of warning where 0.5 cuts scores of places that are mostly of one class; else None.

    >>> half_warning(0.5)
    >>> half_warning(0.02)
    'threshold 0.5 on places of which 2.0% are landslides: a threshold chosen on validation ...'
    """
    if threshold != 0.5 or UNBALANCED[0] <= prevalence <= UNBALANCED[1]:
        return None
    return (
        f"threshold 0.5 on places of which {100 * prevalence:.1f}% are landslides: a threshold "
        "chosen on validation places fits better, and so do AP and AUC, which need none"
    )
