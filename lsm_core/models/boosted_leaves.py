"""Boosted trees whose leaves are read by a logistic regression (GBDT + LR).

Source: He and others (2014), Practical lessons from predicting clicks on ads at Facebook: the leaf
of each tree that a place falls into is one category of that tree; the categories, one-hot, are what
a linear model learns from. The paper on multi-scale 3D-CNN (Geomatics, Natural Hazards and Risk
2024, 15, 2383309) compares with it and states no setting.

A regression on one-hot leaves adds up one number a tree, so that the fitted model is trees with the
regression's numbers in their leaves, and is stored as these.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

BLOCK = 4096  # cells that fall through the trees at once: their numbers stay in the cache


class LeafRegression:
    """Trees, and a number in each leaf; the sum of a place's numbers is its log-odds."""

    def __init__(self, boosting: GradientBoostingClassifier, regression: LogisticRegression):
        self.boosting, self.regression = boosting, regression
        self.intercept, self.depth = 0.0, 0
        self.feature = self.left = self.right = np.zeros((0, 0), np.intp)  # (tree, node)
        self.threshold = self.weight = np.zeros((0, 0))

    def fit(
        self, x: ArrayLike, label: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "LeafRegression":
        """Learn from values (place, channel), without NaN, and labels 0 and 1.

        The regression learns from the places that the trees learnt from, as published, and so
        believes the trees more than it would on places of its own.
        """
        x = np.asarray(x, np.float32)
        self.boosting.fit(x, label, sample_weight=sample_weight)
        onehot = OneHotEncoder()
        leaves = onehot.fit_transform(self.boosting.apply(x)[:, :, 0])
        self.regression.fit(leaves, label, sample_weight=sample_weight)
        self._take_over(onehot.categories_)
        return self

    def decision_function(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-odds of places (place,)."""
        x = np.asarray(x, np.float32)  # what trees are cut in
        blocks = [self._added(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
        return np.concatenate([np.empty(0), *blocks])

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """(place, 2): 1 - score and score in (0, 1)."""
        score = 1 / (1 + np.exp(-self.decision_function(x)))
        return np.stack([1 - score, score], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` makes the same model of them."""
        arrays = {name: getattr(self, name).tolist() for name in ARRAYS}
        return arrays | {"intercept": self.intercept, "depth": self.depth}

    def from_json(self, stored: Mapping[str, Any]) -> "LeafRegression":
        """Take over what `to_json` gave."""
        for name, kind in ARRAYS.items():
            setattr(self, name, np.asarray(stored[name], kind))
        self.intercept, self.depth = float(stored["intercept"]), int(stored["depth"])
        return self

    def _take_over(self, leaves: list[NDArray[np.float64]]) -> None:
        """Trees as arrays; a leaf leads to itself, and holds its number of the regression."""
        trees = [tree.tree_ for tree in self.boosting.estimators_[:, 0]]
        shape = (len(trees), max(tree.node_count for tree in trees))
        itself = np.broadcast_to(np.arange(shape[1]), shape)
        self.feature, self.left, self.right = np.zeros(shape, np.intp), itself.copy(), itself.copy()
        self.threshold, self.weight = np.zeros(shape), np.zeros(shape)
        numbers = iter(self.regression.coef_[0])
        for t, (tree, own) in enumerate(zip(trees, leaves, strict=True)):
            forks = np.flatnonzero(tree.children_left >= 0)
            self.feature[t, forks] = tree.feature[forks]
            self.threshold[t, forks] = tree.threshold[forks]
            self.left[t, forks] = tree.children_left[forks]
            self.right[t, forks] = tree.children_right[forks]
            for leaf in own.astype(int):
                self.weight[t, leaf] = next(numbers)
        self.intercept = float(self.regression.intercept_[0])
        self.depth = max(int(tree.max_depth) for tree in trees)

    def _added(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        tree = np.arange(len(self.feature))
        node = np.zeros((len(x), len(tree)), np.intp)
        place = np.arange(len(x))[:, None]
        for _ in range(self.depth):
            below = x[place, self.feature[tree, node]] <= self.threshold[tree, node]
            node = np.where(below, self.left[tree, node], self.right[tree, node])
        return self.weight[tree, node].sum(axis=1) + self.intercept


ARRAYS: dict[str, type] = {
    **dict.fromkeys(("feature", "left", "right"), np.intp),
    **dict.fromkeys(("threshold", "weight"), np.float64),
}


def gbdt_lr(
    input_shape: tuple[int, ...],
    *,
    n_estimators: int = 100,
    learning_rate: float = 0.1,
    max_depth: int = 3,
    min_samples_leaf: int = 10,
    C: float = 1.0,
    max_iter: int = 1000,
    seed: int | None = None,
) -> LeafRegression:
    """Boosted trees and a logistic regression on their leaves, unfitted.

    Options as in scikit-learn. The seed decides between cuts that are equally good.

    Parameters
    ----------
    n_estimators : trees. learning_rate : what a tree adds is shrunk so.
    max_depth : cuts from root to leaf, at most. min_samples_leaf : places in a leaf, at least.
    C : inverse L2 penalty of the regression. max_iter : steps of its solver, at most.
    """
    boosting = GradientBoostingClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        random_state=seed,
    )
    return LeafRegression(boosting, LogisticRegression(C=C, max_iter=max_iter))
