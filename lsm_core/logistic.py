"""Single-factor logistic regression: what each factor alone does to the odds of a landslide.

The function takes a factor table (see `design_matrix`) and a label (row,) of 0 and 1, and learns
from what it is given. Where places are near each other, the p-values are too small.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, xlogy
from scipy.stats import chi2, norm

from lsm_core.design_matrix import check_label, check_table, columns_of, is_category

STEPS = 100  # Newton steps at most; a handful is usual
FLAT = 1e-10  # gain of log-likelihood below which a step is the last


def univariate_logistic(
    table: pd.DataFrame, label: ArrayLike, *, cyclic: Sequence[str] = ()
) -> pd.DataFrame:
    """A logistic regression on each factor alone, with a constant: one row a factor.

    `coefficient` (per unit of the factor) with its `std_error`, `z` and two-sided Wald `p_value`;
    `odds_ratio` is per standard deviation. Cyclic and categorical factors have several
    coefficients, so that these are NaN and `p_value` is that of the likelihood-ratio test with
    `columns` degrees of freedom. `rows` are those with a value; `note` says what else was done:

    - separated: a limit of the factor parts the labels, so that no finite maximum exists. The
      coefficient is Firth's (1993, Biometrika 80:27; Heinze and Schemper 2002), whose penalty keeps
      it finite; `p_value` is that of the likelihood ratio, at its limit.
    - constant, or fewer than two rows of a label: nothing can be said, all NaN.

    >>> table = pd.DataFrame({"slope": [5.0, 10, 20, 15, 25, 30], "flat": [1.0] * 6})
    >>> made = univariate_logistic(table, [0, 0, 0, 1, 1, 1])
    >>> made["coefficient"].round(3).tolist(), made["note"].tolist()
    ([0.243, nan], ['', 'constant'])
    """
    check_table(table, cyclic)
    y = check_label(table, label)
    rows = {
        n: _own_regression(columns_of(table[n], cyclic=n in cyclic), table[n], y) for n in table
    }
    made = pd.DataFrame.from_dict(rows, "index")
    return made.astype({"columns": int, "rows": int})


def _own_regression(columns: NDArray, factor: pd.Series, y: NDArray[np.int_]) -> dict[str, Any]:
    """One row of `univariate_logistic`."""
    here = np.isfinite(columns[:, 0]) if columns.shape[1] else np.zeros(len(y), dtype=bool)
    x, y = columns[here], y[here]
    row: dict[str, Any] = dict.fromkeys(("coefficient", "odds_ratio", "std_error", "z"), np.nan)
    row |= {"p_value": np.nan, "columns": x.shape[1], "rows": len(y), "note": ""}
    if np.bincount(y, minlength=2).min() < 2:
        return row | {"note": "fewer than two rows of a label"}
    spread = x.std(axis=0)
    if not (spread > 1e-12 * np.abs(x).max(axis=0)).any():
        return row | {"note": "constant", "columns": 0}
    if is_category(factor):
        gain = _likelihood_by_class(x, y) - _null_likelihood(y)
        free = x.shape[1] - 1
        return row | {"columns": free, "p_value": float(chi2.sf(2 * gain, free))}
    scaled = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if x.shape[1] > 1:
        _, _, likelihood = _logit(scaled, y, firth=False)
        return row | {"p_value": float(chi2.sf(2 * (likelihood - _null_likelihood(y)), x.shape[1]))}
    row |= _single(scaled, y)
    for per_unit in ("coefficient", "std_error"):
        row[per_unit] /= spread[0]
    return row


def _single(x: NDArray, y: NDArray[np.int_]) -> dict[str, Any]:
    """Coefficient of one standardised column; Firth's where the labels are parted by a limit."""
    limit = _parted(x[:, 0], y)
    beta, errors, _ = _logit(x, y, firth=limit is not None)
    z = beta[1] / errors[1]
    p, note = 2 * norm.sf(abs(z)), ""
    if limit is not None:
        at = y[x[:, 0] == limit]  # the rest is told apart without error
        likelihood = (
            xlogy(at.sum(), at.mean()) + xlogy((1 - at).sum(), 1 - at.mean()) if len(at) else 0
        )
        p, note = chi2.sf(2 * (likelihood - _null_likelihood(y)), 1), "separated"
    with np.errstate(over="ignore"):
        odds = float(np.exp(beta[1]))
    return {
        "coefficient": float(beta[1]),
        "odds_ratio": odds,
        "std_error": float(errors[1]),
        "z": float(z),
        "p_value": float(p),
        "note": note,
    }


def _parted(x: NDArray, y: NDArray[np.int_]) -> float | None:
    """A limit with all of one label at or below it and all of the other at or above, if any."""
    low, high = x[y == 0], x[y == 1]
    for below, above in ((low, high), (high, low)):
        if below.max() <= above.min():
            return float(below.max())
    return None


def _logit(
    x: NDArray, y: NDArray[np.int_], *, firth: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Coefficients (constant first), standard errors, log-likelihood, by Newton's steps."""
    x = np.column_stack([np.ones(len(y)), x])
    beta = np.zeros(x.shape[1])
    value, information = _likelihood(x, y, beta, firth)
    for _ in range(STEPS):
        p = expit(x @ beta)
        pull = y - p
        if firth:
            weight = p * (1 - p)
            hat = weight * np.einsum("ij,jk,ik->i", x, np.linalg.pinv(information), x)
            pull = pull + hat * (0.5 - p)
        step = np.linalg.pinv(information) @ (x.T @ pull)
        for _ in range(30):
            new, information_new = _likelihood(x, y, beta + step, firth)
            if new >= value:
                break
            step = step / 2
        else:
            break
        beta, gain, value, information = beta + step, new - value, new, information_new
        if gain < FLAT:
            break
    errors = np.sqrt(np.clip(np.diag(np.linalg.pinv(information)), 0, None))
    plain = value if not firth else _likelihood(x, y, beta, False)[0]
    return beta, errors, float(plain)


def _likelihood(x: NDArray, y: NDArray, beta: NDArray, firth: bool) -> tuple[float, NDArray]:
    """Log-likelihood (with Firth's half log determinant, if asked) and Fisher information."""
    eta = x @ beta
    p = expit(eta)
    value = float((y * eta - np.logaddexp(0, eta)).sum())
    information = (x * (p * (1 - p))[:, None]).T @ x
    if firth:
        sign, half = np.linalg.slogdet(information)
        value += 0.5 * half if sign > 0 else -np.inf
    return value, information


def _null_likelihood(y: NDArray[np.int_]) -> float:
    hits = y.sum()
    return float(xlogy(hits, hits / len(y)) + xlogy(len(y) - hits, 1 - hits / len(y)))


def _likelihood_by_class(indicator: NDArray, y: NDArray[np.int_]) -> float:
    """Of the saturated model: every class has its own share of landslides."""
    n = indicator.sum(axis=0)
    hits = y @ indicator
    return float((xlogy(hits, hits / n) + xlogy(n - hits, 1 - hits / n)).sum())
