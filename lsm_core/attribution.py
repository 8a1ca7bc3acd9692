"""What each factor gave to the score of a place: SHAP values, exact terms, integrated gradients.

Every method hands out the score of a place, less a base that knows nothing of it, among the
factors; a factor's channels, and the cells of its window, are added up. Trees: TreeSHAP (Lundberg
et al. 2020), exact. Logistic regression and bivariate models: their own terms, exact. Networks:
integrated gradients (Sundararajan, Taly & Yan 2017). Any other model: one factor at a time is set
to the training median, which does not add up.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lsm_core.effects import Subject, evenly, parts_of, share_of

TREES = (
    "HeatForest",
    *("RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier"),
    *("GradientBoostingClassifier", "HistGradientBoostingClassifier"),
)
STEPS, MOST_STEPS, GAP = 64, 4096, 1e-3
Gradient = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Contributions(NamedTuple):
    """What factors gave to places: (place, factor), in the order of the encoder's factors.

    base : score of a place nothing is known of, on `scale` ("probability" or "log-odds").
    method : in words. gap : largest difference between base plus sum and the score, on the scale;
    None where the method does not claim that they are equal.
    """

    values: NDArray[np.float64]
    base: float
    scale: str
    method: str
    gap: float | None


def contributions(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    """What each factor gave to the scores of places, by the method that fits the model.

    Parameters
    ----------
    x : (place, *encoder.seen_shape), what the model sees of the places.
    """
    model = subject.model
    if type(model).__name__ in TREES:
        return _by_shap(subject, x)
    if _is_logistic(model):
        return _by_terms(subject, x)
    if hasattr(model, "terms"):
        return _by_own_terms(subject, x)
    if hasattr(model, "predict_on_batch") and subject.encoder.combine == "channels":
        return _by_gradients(subject, x)
    return _one_at_a_time(subject, x)


def mean_contributions(
    subject: Subject, *, split: str = "test", places: int = 50
) -> tuple[pd.DataFrame, Contributions]:
    """How much each factor moves the score, on average over held-out places.

    Returns
    -------
    One row a factor, strongest first: `factor`, `mean_size` (mean of the absolute contributions),
    `mean` (with sign); and the contributions themselves.
    """
    table = evenly(subject.places(split), places)
    found = contributions(subject, subject.seen(table["row"], table["col"]))
    means = pd.DataFrame(
        {
            "factor": list(parts_of(subject.encoder)),
            "mean_size": np.abs(found.values).mean(axis=0),
            "mean": found.values.mean(axis=0),
        }
    )
    return means.sort_values("mean_size", ascending=False, ignore_index=True), found


def by_factor(values: NDArray[Any], subject: Subject) -> NDArray[np.float64]:
    """Attributions to what a model sees, (place, ...), added up to (place, factor)."""
    sums = [
        share_of(values, subject.encoder, part).reshape(len(values), -1).sum(axis=1)
        for part in parts_of(subject.encoder).values()
    ]
    return np.stack(sums, axis=1).astype(np.float64)


# ----------------------------------------------------------------------------------------- trees


def _by_shap(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    explainer = subject.kept.get("shap") or _explainer(subject.model)
    subject.kept["shap"] = explainer
    values, base = np.asarray(explainer.shap_values(x)), np.ravel(explainer.expected_value)
    if values.ndim == 3:  # one layer a class
        values = values[..., 1]
    score = subject.score(x).astype(np.float64)
    # A forest's leaves hold probabilities, a boosted tree's add to the log-odds.
    raw = "Boosting" in type(subject.model).__name__
    whole = _log_odds(score) if raw else score
    return Contributions(
        by_factor(values, subject),
        float(base[-1]),
        "log-odds" if raw else "probability",
        "SHAP values of the trees, from the mean over the training places",
        float(np.abs(values.sum(axis=1) + base[-1] - whole).max()),
    )


def _explainer(model: Any) -> Any:
    with warnings.catch_warnings():
        # shap reads parts of Matplotlib and NumPy that these announce to rename
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="shap")
        import shap
    return shap.TreeExplainer(model)


# --------------------------------------------------------------------------- logistic regression


def _is_logistic(model: Any) -> bool:
    steps = [type(step).__name__ for _, step in getattr(model, "steps", [])]
    return steps == ["StandardScaler", "LogisticRegression"]


def _by_terms(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    """Coefficient times standardised value; at the training mean every term is 0."""
    (_, scaler), (_, regression) = subject.model.steps
    terms = scaler.transform(x) * regression.coef_[0]
    base = float(regression.intercept_[0])
    whole = _log_odds(subject.model.predict_proba(x)[:, 1])
    gap = float(np.abs(terms.sum(axis=1) + base - whole).max())
    method = "terms of the regression, from the training mean"
    return Contributions(by_factor(terms, subject), base, "log-odds", method, gap)


def _by_own_terms(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    """A sum of classes says itself what each class adds, and on what scale."""
    terms, base, scale, whole = subject.model.terms(x)
    gap = float(np.abs(terms.sum(axis=1) + base - whole).max())
    return Contributions(by_factor(terms, subject), base, scale, "values of the classes", gap)


def _log_odds(p: ArrayLike) -> NDArray[np.float64]:
    p = np.clip(np.asarray(p, np.float64), 1e-15, 1 - 1e-15)
    return np.log(p / (1 - p))


# -------------------------------------------------------------------------------------- networks


def _by_gradients(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    """From the mean of what the network saw at training places: the mean window or image."""
    if "gradient" not in subject.kept:
        subject.kept["gradient"] = gradient_of(subject.model)
    baseline = subject.training.mean(axis=0, dtype=np.float64).astype(np.float32)
    values, gap = integrated_gradients(subject.score, subject.kept["gradient"], x, baseline)
    return Contributions(
        by_factor(values, subject),
        float(subject.score(baseline[None])[0]),
        "probability",
        "integrated gradients, from the mean of what the network saw in training",
        gap,
    )


def integrated_gradients(
    score: Callable[[NDArray[np.float32]], NDArray[Any]],
    gradient: Gradient,
    x: NDArray[np.float32],
    baseline: NDArray[np.float32],
    *,
    steps: int = STEPS,
    most: int = MOST_STEPS,
    tolerance: float = GAP,
) -> tuple[NDArray[np.float64], float]:
    """Integrated gradients on the straight way from a baseline to each place.

    (x - baseline) times the mean gradient at the middles of `steps` equal parts of the way. They
    add up to score(x) - score(baseline) if there are enough steps (the completeness axiom), so the
    steps are doubled until they do to `tolerance`, or to `most`.

    Parameters
    ----------
    score, gradient : of a batch: (n, ...) to (n,), and to the score's gradient (n, ...).
    x : (place, ...). baseline : (...).

    Returns
    -------
    Attributions of x's shape, and the largest difference that is left.
    """
    start = float(score(baseline[None])[0])
    result, gap = np.empty(x.shape, np.float64), 0.0
    for i, wanted in enumerate(score(x)):
        n = steps
        while True:
            result[i] = _along(gradient, x[i], baseline, n)
            left = abs(float(result[i].sum()) - (float(wanted) - start))
            if left <= tolerance or 2 * n > most:
                break
            n *= 2
        gap = max(gap, left)
    return result, gap


def _along(
    gradient: Gradient, x: NDArray[np.float32], baseline: NDArray[np.float32], steps: int
) -> NDArray[np.float64]:
    way = x.astype(np.float64) - baseline
    total = np.zeros(x.shape)
    for first in range(0, steps, STEPS):
        at = (np.arange(first, min(first + STEPS, steps)) + 0.5) / steps
        points = baseline + at.reshape(-1, *[1] * x.ndim) * way
        total += gradient(points.astype(np.float32)).sum(axis=0, dtype=np.float64)
    return way * total / steps


def gradient_of(model: Any) -> Gradient:
    """The gradient of a Keras model's score by its input, on the backend that Keras runs on.

    Dropout is off and batch normalisation uses its moving statistics, so that a place's score
    depends on that place alone and one pass gives the gradients of a whole batch.
    """
    import keras

    makers = {"tensorflow": _by_tensorflow, "torch": _by_torch, "jax": _by_jax}
    return makers[keras.backend.backend()](model)


def _by_tensorflow(model: Any) -> Gradient:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def slope(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model(x, training=False)
        return tape.gradient(score, x)

    return lambda x: np.asarray(slope(tf.constant(x)))


def _by_torch(model: Any) -> Gradient:
    import torch

    def slope(x: NDArray[np.float32]) -> NDArray[np.float32]:
        points = torch.tensor(x, requires_grad=True)
        (found,) = torch.autograd.grad(model(points, training=False).sum(), points)
        return found.detach().cpu().numpy()

    return slope


def _by_jax(model: Any) -> Gradient:
    import jax

    def total(learnt: Any, fixed: Any, x: Any) -> Any:
        return model.stateless_call(learnt, fixed, x, training=False)[0].sum()

    slope = jax.jit(jax.grad(total, argnums=2))

    def now(x: NDArray[np.float32]) -> NDArray[np.float32]:
        # Asked for anew: scoring a batch leaves the model with other arrays, and frees the old.
        learnt = [v.value for v in model.trainable_variables]
        fixed = [v.value for v in model.non_trainable_variables]
        return np.asarray(slope(learnt, fixed, x))

    return now


# ---------------------------------------------------------------------------------- other models


def _one_at_a_time(subject: Subject, x: NDArray[np.float32]) -> Contributions:
    """The score, less the score with one factor at the training median."""
    median = np.median(subject.training, axis=0).astype(np.float32)
    whole = subject.score(x).astype(np.float64)
    values = []
    for part in parts_of(subject.encoder).values():
        changed = x.copy()
        share_of(changed, subject.encoder, part)[...] = share_of(
            median[None], subject.encoder, part
        )
        values.append(whole - subject.score(changed))
    base = float(subject.score(median[None])[0])
    method = "one factor at a time set to the training median; they need not add up"
    return Contributions(np.stack(values, axis=1), base, "probability", method, None)
