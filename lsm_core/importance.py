"""What each factor tells of landslides: importance in a random forest, mutual information.

Every function takes a factor table (see `design_matrix`) and a label (row,) of 0 and 1, and learns
from what it is given. None of the numbers says that a factor causes anything, and where places are
near each other, out-of-bag scores are too good.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import entropy

from lsm_core.design_matrix import check_label, check_table, columns_of, is_category, whole_rows
from lsm_core.errors import SampleError

SECTORS = 8  # of a circle, where angles are counted in classes


class Forest(NamedTuple):
    """Table of `forest_importance`, how good the forest is out of bag, rows used and left out."""

    table: pd.DataFrame
    oob_accuracy: float
    oob_auc: float
    rows: int
    left_out: int


def forest_importance(
    table: pd.DataFrame,
    label: ArrayLike,
    rng: np.random.Generator,
    *,
    trees: int = 500,
    cyclic: Sequence[str] = (),
) -> Forest:
    """Importance of factors in a random forest (Breiman 2001), most important first.

    `permutation` is the accuracy that a tree loses on the rows out of its own bag when the values
    of the factor are shuffled among them, averaged over trees, and `std_error` that of this mean.
    `impurity` is the factor's share of what all splits gain in Gini impurity on the training rows;
    it sums to 1 and flatters factors with many values, noise too. All columns of a factor are
    shuffled together. Factors that say the same share their importance: each alone looks small.

    Rows with a missing value are left out and counted. A constant factor has importance 0.

    Raises
    ------
    SampleError : labels other than 0 and 1, or fewer than ten usable rows of either.

    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"slope": rng.normal(size=200), "noise": rng.normal(size=200)})
    >>> forest = forest_importance(table, table["slope"] > 0, rng, trees=30)
    >>> forest.table.index.tolist(), forest.oob_accuracy > 0.9
    (['slope', 'noise'], True)
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    from lsm_core.forest_threads import keep_warning_filters

    keep_warning_filters()
    check_table(table, cyclic)
    y = check_label(table, label)
    whole = whole_rows(table)
    y, used = y[whole], table[whole]
    _enough(y)
    x, owner = _design(used, cyclic)
    forest = RandomForestClassifier(
        trees, bootstrap=True, n_jobs=2, random_state=int(rng.integers(2**31))
    ).fit(x, y)
    impurity = np.bincount(owner, forest.feature_importances_, minlength=used.shape[1])
    loss, score, auc = _out_of_bag(forest, x, y, owner, used.shape[1], rng, roc_auc_score)
    made = pd.DataFrame(
        {
            "permutation": np.nanmean(loss, axis=0),
            "std_error": np.nanstd(loss, axis=0, ddof=1) / np.sqrt(np.isfinite(loss).sum(axis=0)),
            "impurity": impurity,
        },
        index=used.columns,
    )
    order = made.sort_values(["permutation", "impurity"], ascending=False, kind="stable")
    return Forest(order, score, auc, len(y), int((~whole).sum()))


def mutual_information(
    table: pd.DataFrame,
    label: ArrayLike,
    rng: np.random.Generator,
    *,
    cyclic: Sequence[str] = (),
) -> pd.DataFrame:
    """Mutual information of each factor and the label: one row a factor, highest first.

    `nats` is the information, of any form of relation, straight or not; `share` is that of what
    there is to know, the entropy of the label. Numbers by their three nearest neighbours (Ross
    2014, PLoS ONE 9:e87357; the little noise that parts ties comes from `rng`), never below 0;
    categories, and angles in eight sectors, by counting. Counting overstates by about
    (classes - 1) / (2 rows) nats. Each factor uses the rows that have it (`rows`).

    >>> rng = np.random.default_rng(1)
    >>> rock = pd.DataFrame({"rock": ["shale"] * 50 + ["marl"] * 50})
    >>> mutual_information(rock, [1] * 50 + [0] * 50, rng).round(3).to_dict("list")
    {'nats': [0.693], 'share': [1.0], 'rows': [100]}
    """
    check_table(table, cyclic)
    y = check_label(table, label)
    rows = {n: _information(table[n], y, rng, n in cyclic) for n in table}
    made = pd.DataFrame.from_dict(rows, "index", columns=["nats", "share", "rows"])
    return made.astype({"rows": int}).sort_values("nats", ascending=False, kind="stable")


# ------------------------------------------------------------------------------------- forest


def _enough(y: NDArray[np.int_]) -> None:
    counts = np.bincount(y, minlength=2)
    if counts.min() < 10:
        raise SampleError(
            f"{counts[1]} rows with a landslide and {counts[0]} without have a value of every "
            "factor: a forest needs at least ten of each"
        )


def _design(table: pd.DataFrame, cyclic: Sequence[str]) -> tuple[NDArray[np.float32], NDArray]:
    """All columns side by side, as a forest takes them, and the number of each one's factor."""
    parts = [columns_of(table[name], cyclic=name in cyclic) for name in table]
    owner = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    return np.hstack(parts).astype(np.float32), owner


def _out_of_bag(
    forest: Any,
    x: NDArray[np.float32],
    y: NDArray[np.int_],
    owner: NDArray,
    factors: int,
    rng: np.random.Generator,
    auc: Any,
) -> tuple[NDArray[np.float64], float, float]:
    """Accuracy lost (tree, factor), and accuracy and AUC of the votes, all out of bag."""
    loss = np.full((len(forest.estimators_), factors), np.nan)
    votes, heard = np.zeros(len(y)), np.zeros(len(y))
    for i, (tree, bag) in enumerate(
        zip(forest.estimators_, forest.estimators_samples_, strict=True)
    ):
        out = np.setdiff1d(np.arange(len(y)), bag)
        if not len(out):
            continue
        vote = _landslide_share(tree, x[out])
        votes[out] += vote
        heard[out] += 1
        right = ((vote > 0.5) == y[out]).mean()
        for k in range(factors):
            shuffled = x[out]
            shuffled[:, owner == k] = shuffled[rng.permutation(len(out))][:, owner == k]
            loss[i, k] = right - ((_landslide_share(tree, shuffled) > 0.5) == y[out]).mean()
    told = heard > 0
    share = votes[told] / heard[told]
    return loss, float(((share > 0.5) == y[told]).mean()), float(auc(y[told], share))


def _landslide_share(tree: Any, x: NDArray[np.float32]) -> NDArray[np.float64]:
    counts = tree.tree_.predict(x)
    return counts[:, 1] / counts.sum(axis=1)


# -------------------------------------------------------------------------------- information


def _information(
    factor: pd.Series, y: NDArray[np.int_], rng: np.random.Generator, cyclic: bool
) -> tuple[float, float, int]:
    """(nats, share of the label's entropy, rows) of one factor."""
    from sklearn.feature_selection import mutual_info_classif
    from sklearn.metrics import mutual_info_score

    here = factor.notna().to_numpy()
    y, factor = y[here], factor[here]
    if np.bincount(y, minlength=2).min() < 5:
        return np.nan, np.nan, len(y)
    if is_category(factor):
        nats = float(mutual_info_score(y, pd.factorize(factor)[0]))
    elif cyclic:
        sector = np.round(factor.to_numpy() * SECTORS / 360) % SECTORS
        nats = float(mutual_info_score(y, sector))
    else:
        seed = int(rng.integers(2**31))
        x = factor.to_numpy(float)[:, None]
        nats = float(mutual_info_classif(x, y, discrete_features=False, random_state=seed)[0])
    nats = max(nats, 0.0)
    return nats, min(nats / entropy(np.bincount(y)), 1.0), len(y)
