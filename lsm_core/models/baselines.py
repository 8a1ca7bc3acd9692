"""Baselines on the values of the cell itself: random forests, logistic regression, boosting.

None loads a network library. All learn from hard labels and score with the probability of class 1,
but for the forest on heat, which learns from targets between 0 and 1.
"""

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lsm_core.errors import RecipeError, SampleError
from lsm_core.forest_threads import keep_warning_filters

keep_warning_filters()


def random_forest(
    input_shape: tuple[int, ...],
    *,
    n_estimators: int = 500,
    min_samples_leaf: int = 1,
    max_features: str | float | None = "sqrt",
    max_depth: int | None = None,
    n_jobs: int = 2,
    seed: int | None = None,
) -> RandomForestClassifier:
    """A random forest (Breiman 2001), unfitted. Options as in scikit-learn.

    Parameters
    ----------
    n_estimators : trees. min_samples_leaf : places in a leaf, at least.
    max_features : factors looked at for a cut: sqrt, log2, a share, or null for all.
    max_depth : cuts from root to leaf, at most; null: as many as there are. n_jobs : threads.

    The scores do not depend on `n_jobs`, but for the last bit of their double precision.
    """
    return RandomForestClassifier(
        n_estimators=n_estimators,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        max_depth=max_depth,
        n_jobs=n_jobs,
        random_state=seed,
    )


class HeatForest(RandomForestRegressor):
    """Regression trees on targets from 0 to 1 that score as a classifier does."""

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """(place, 2): 1 - score and score, the mean target of the leaves a place falls into."""
        score = np.clip(self.predict(x), 0, 1)
        return np.stack([1 - score, score], axis=1)


def random_forest_heat(
    input_shape: tuple[int, ...],
    *,
    n_estimators: int = 500,
    min_samples_leaf: int = 1,
    max_features: str | float | None = "sqrt",
    max_depth: int | None = None,
    n_jobs: int = 2,
    seed: int | None = None,
) -> HeatForest:
    """A random forest on the heat of its places, unfitted: a control of what heat does to networks.

    Of hard labels alone it makes the same forest as `random_forest` but for ties: the squared error
    of 0 and 1 is half their Gini impurity.

    Parameters
    ----------
    n_estimators : trees. min_samples_leaf : places in a leaf, at least.
    max_features : factors looked at for a cut: sqrt, log2, a share, or null for all.
    max_depth : cuts from root to leaf, at most; null: as many as there are. n_jobs : threads.
    """
    return HeatForest(
        n_estimators=n_estimators,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        max_depth=max_depth,
        n_jobs=n_jobs,
        random_state=seed,
    )


def random_forest_grid(
    input_shape: tuple[int, ...],
    *,
    n_estimators: list = [100, 300],  # noqa: B006 - read only
    max_features: list = ["sqrt", 0.5],  # noqa: B006
    min_samples_leaf: list = [1, 2, 5],  # noqa: B006
    max_depth: list = [None, 12],  # noqa: B006
    folds: int = 5,
    n_jobs: int = 2,
    seed: int | None = None,
) -> GridSearchCV:
    """A grid search for the options of a random forest, unfitted.

    The options are lists of what is tried, all with all. The forest with the highest area under the
    ROC curve, on average over the folds, is fitted again on all places. By itself the search cuts
    `folds` at random with the shares of both classes; a run judges by the folds of its protocol
    (see `forest_search`).

    Parameters
    ----------
    n_estimators : trees. max_features : factors looked at for a cut: sqrt, log2, shares, null.
    min_samples_leaf : places in a leaf, at least. max_depth : cuts from root to leaf, or null.
    folds : parts of the training places to judge by. n_jobs : threads.
    """
    grid = {
        "n_estimators": n_estimators,
        "max_features": max_features,
        "min_samples_leaf": min_samples_leaf,
        "max_depth": max_depth,
    }
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
    forest = random_forest(input_shape, n_jobs=n_jobs, seed=seed)
    return GridSearchCV(forest, grid, cv=cut, scoring="roc_auc", error_score="raise")


def logistic_regression(
    input_shape: tuple[int, ...], *, C: float = 1.0, max_iter: int = 1000, seed: int | None = None
) -> Pipeline:
    """Logistic regression on standardised values, unfitted.

    Means and deviations are part of the pipeline, so they are learnt from the training places and
    from nothing else.

    Parameters
    ----------
    C : inverse L2 penalty. max_iter : steps of the solver, at most.
    """
    regression = LogisticRegression(C=C, max_iter=max_iter, random_state=seed)
    return make_pipeline(StandardScaler(), regression)


def gradient_boosting(
    input_shape: tuple[int, ...],
    *,
    max_iter: int = 200,
    learning_rate: float = 0.05,
    max_leaf_nodes: int = 15,
    min_samples_leaf: int = 10,
    l2_regularization: float = 0.0,
    seed: int | None = None,
) -> HistGradientBoostingClassifier:
    """Gradient boosting of trees on binned values (Friedman 2001; Ke and others 2017), unfitted.

    Options as in scikit-learn. It never stops early: that would cut places off the training part at
    random, whatever the split.

    Parameters
    ----------
    max_iter : trees. learning_rate : what a tree adds is shrunk so. max_leaf_nodes : leaves a tree.
    min_samples_leaf : places in a leaf, at least. l2_regularization : penalty on leaves.
    """
    return HistGradientBoostingClassifier(
        max_iter=max_iter,
        learning_rate=learning_rate,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=l2_regularization,
        early_stopping=False,
        random_state=seed,
    )


def fit_estimator(
    model: Any, x: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None
) -> Any:
    """Fit a baseline on its training places, and return it.

    Parameters
    ----------
    model : from a builder of this room, or any with `fit` and `predict_proba`.
    x : (sample, channel), no NaN.
    label : (sample,) of 0 and 1, both present; of a regressor targets from 0 to 1, not all equal.
    weight : (sample,), how much each counts; all the same without.

    Raises
    ------
    SampleError : NaN in `x`, other labels than these, or only one of them.
    RecipeError : scikit-learn refuses an option's value, or the model takes no weights.
    """
    x, label = np.asarray(x, np.float32), np.asarray(label)
    label = _targets(label) if isinstance(model, RegressorMixin) else _classes(label)
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).any(axis=1).sum())
        raise SampleError(
            f"{bad} of {len(x)} training places have missing values: encode them first"
        )
    weights = {} if weight is None else {_weight_of(model): np.asarray(weight)}
    try:
        return model.fit(x, label, **weights)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"scikit-learn refuses an option of the model: {reason}") from error


def _classes(label: NDArray[Any]) -> NDArray[np.int_]:
    label = label.astype(int)
    classes = np.unique(label).tolist()
    if classes != [0, 1]:
        raise SampleError(
            f"a baseline learns from labels 0 and 1, got {classes} in {len(label)} training places"
        )
    return label


def _targets(target: NDArray[Any]) -> NDArray[np.float64]:
    target = target.astype(np.float64)
    low, high = float(target.min(initial=np.inf)), float(target.max(initial=-np.inf))
    if not 0 <= low < high <= 1:
        raise SampleError(
            f"{len(target)} training targets go from {low:g} to {high:g}: a forest on heat learns "
            "from targets between 0 and 1 that are not all the same"
        )
    return target


def _weight_of(model: Any) -> str:
    """What `fit` calls the weights; those of a pipeline go to its last step."""
    if isinstance(model, Pipeline):
        return f"{model.steps[-1][0]}__sample_weight"
    if "sample_weight" not in inspect.signature(model.fit).parameters:
        raise RecipeError(
            f"{type(model).__name__} takes no sample weights: set training.weights to none"
        )
    return "sample_weight"
