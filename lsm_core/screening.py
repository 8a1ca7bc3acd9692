"""Does a column tell the label by itself? What a sceptic looks at first.

A factor that knows too much was made from the inventory, or stands in for it. A strong honest
factor (slope) orders places well everywhere; a leak shows at the ends: a tail of values that holds
landslides and nothing else, a gap or a stand-in value that goes with the label.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, norm

from lsm_core.metrics import roc_auc
from lsm_core.study_area import factor_table, factors, shape_of

ALONE = 0.95  # area under the curve of one factor, from which it is too good to be true
TAIL = 0.01  # share of the places without a landslide that a tail may hold
EXCESS, LEAST = 3.0, 0.05  # times the landslides expected in that tail, and the least share of them
SURE = 0.95  # of the most that such a tail holds of all ground without a landslide
GAP = 0.2  # difference between the landslide shares of places with and without a value
STAND_IN, ABOVE_NEXT = 0.05, 10  # share of places with one value, times the next most frequent one
FEWEST = 300  # places of each class, below which tails say nothing
EDGE = 0.01  # share of the places beyond a value, below which it is an end of the range
DRAWN = 20_000  # places of each class of a grid that are looked at


class Flag(NamedTuple):
    """`what`: "leak", "gap" or "stand-in"; the factor; and the words."""

    what: str
    factor: str
    words: str


def screen(table: pd.DataFrame, label: ArrayLike, kinds: Mapping[str, str]) -> list[Flag]:
    """What is suspicious about factors, given the label; nothing where all is well.

    Flags of each factor:

    - `leak`: its values alone part the classes with an AUC of 0.95 or more (categories by their
      landslide share);
    - `leak`: a tail with 1 % of the places without a landslide holds 5 % or more of those with one,
      and three times what two normal distributions with the factor's own AUC would put there
      (binormal curve: Phi(sqrt(2) Phi^-1(AUC) + Phi^-1(t)), where t is what that tail may hold of
      all ground without a landslide: the upper 95 % limit of Clopper and Pearson, 0.022 of 353
      places, 0.012 of 8,000), from 300 places of each class on;
    - `gap`: the landslide share of places without a value differs by 0.2 or more (30 places or
      more, 5 standard errors); a cyclic factor has none on flat ground, which is no gap;
    - `stand-in`: one value inside the range of a continuous factor (1 % of the places or more on
      either side) stands in 5 % of the places or more, and ten times as often as any other, and the
      landslide share there differs from that elsewhere: by 0.2 where half of the places p hold one,
      by 0.2 x 4 p (1 - p) where fewer do, and 5 standard errors. What is written where nothing was
      measured; without that difference, as of a curvature on ground in steps, it tells no label.

    Parameters
    ----------
    table : (place, factor) float, NaN where missing. label : (place,) of 0 and 1.
    kinds : kind of each factor ("continuous", "categorical", "cyclic").

    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 1000)
    >>> table = pd.DataFrame({"rate": 10.0 * y + rng.random(1000), "slope": rng.random(1000)})
    >>> [(f.what, f.factor) for f in screen(table, y, dict.fromkeys(table, "continuous"))]
    [('leak', 'rate')]
    """
    y = np.asarray(label) > 0
    found: list[Flag] = []
    for name in table:
        values, kind = table[name].to_numpy(dtype="float64"), kinds[str(name)]
        here = np.isfinite(values)
        checks = [_gap(str(name), here, y) if kind != "cyclic" else None]
        if y[here].any() and not y[here].all():
            checks += [_alone(str(name), values[here], y[here], kind)]
            if kind == "continuous":
                checks += [_tail(str(name), values[here], y[here]) if checks[-1] is None else None]
                checks += [_stand_in(str(name), values[here], y[here])]
        found += [flag for flag in checks if flag is not None]
    return found


def screen_area(ds: xr.Dataset, names: list[str] | None = None, *, seed: int = 0) -> list[Flag]:
    """`screen` of a study area's valid units, or of up to 20,000 cells of each class of a grid."""
    names = factors(ds) if names is None else names
    label = ds["landslide"].to_numpy().reshape(shape_of(ds))
    valid = ds["valid"].to_numpy().reshape(shape_of(ds))
    rng = np.random.default_rng(seed)
    rows, cols = [], []
    for value in (0, 1):
        row, col = np.nonzero(valid & (label == value))
        some = np.sort(rng.permutation(len(row))[:DRAWN])
        rows.append(row[some])
        cols.append(col[some])
    at = np.concatenate(rows), np.concatenate(cols)
    kinds = {name: str(ds[name].attrs["kind"]) for name in names}
    return screen(factor_table(ds, *at, names), label[at], kinds)


def _alone(name: str, values: NDArray[np.float64], y: NDArray[np.bool_], kind: str) -> Flag | None:
    score = values
    if kind != "continuous":
        sector = values if kind == "categorical" else np.floor(values / 45)
        score = pd.Series(y).groupby(sector).transform("mean").to_numpy()
    auc = max(roc_auc(y, score), 1 - roc_auc(y, score))
    if auc < ALONE:
        return None
    return Flag(
        "leak",
        name,
        f"{name} alone tells landslides from other places (AUC {auc:.3f}): it knows the label; "
        "leave it out, or say why it may know",
    )


def _tail(name: str, values: NDArray[np.float64], y: NDArray[np.bool_]) -> Flag | None:
    if min(y.sum(), (~y).sum()) < FEWEST:
        return None
    auc = float(roc_auc(y, values))
    allowed = int(TAIL * (~y).sum())
    most = float(beta.ppf(SURE, allowed + 1, (~y).sum() - allowed))  # few places: a tail by chance
    for sign, side in ((1, "above"), (-1, "below")):
        signed = sign * values
        limit = np.sort(signed[~y])[-1 - allowed]
        share = float(np.mean(signed[y] > limit))
        own = max(auc if sign > 0 else 1 - auc, 0.5)
        expected = float(norm.cdf(np.sqrt(2) * norm.ppf(own) + norm.ppf(most)))
        if share >= max(LEAST, EXCESS * expected):
            return Flag(
                "leak",
                name,
                f"{name} {side} {sign * limit:.4g} holds {share:.0%} of the landslides and at most "
                f"{TAIL:.0%} of the other places, where {expected:.0%} would go with its AUC of "
                f"{max(auc, 1 - auc):.2f}: some labels look made from it; leave it out, or say why",
            )
    return None


def _gap(name: str, here: NDArray[np.bool_], y: NDArray[np.bool_]) -> Flag | None:
    gone = int((~here).sum())
    if min(gone, int(here.sum())) < 30:
        return None
    without, others = float(y[~here].mean()), float(y[here].mean())
    error = np.sqrt(y.mean() * (1 - y.mean()) * (1 / gone + 1 / here.sum()))
    if abs(without - others) < max(GAP, 5 * error):
        return None
    return Flag(
        "gap",
        name,
        f"{name} is missing at {gone:,} places, {without:.0%} of them landslides, against "
        f"{others:.0%} elsewhere: the gap itself tells the label",
    )


def _stand_in(name: str, values: NDArray[np.float64], y: NDArray[np.bool_]) -> Flag | None:
    different, number = np.unique(values, return_counts=True)
    if len(different) < 50:
        return None
    top = int(number.argmax())
    count, runner_up = int(number[top]), int(np.delete(number, top).max())
    beyond = min(number[:top].sum(), number[top + 1 :].sum())
    if beyond < EDGE * len(values) or count < max(STAND_IN * len(values), ABOVE_NEXT * runner_up):
        return None
    those = values == different[top]
    there, elsewhere, p = float(y[those].mean()), float(y[~those].mean()), float(y.mean())
    error = np.sqrt(p * (1 - p) * (1 / count + 1 / (len(y) - count)))
    if abs(there - elsewhere) < max(GAP * 4 * p * (1 - p), 5 * error):
        return None
    return Flag(
        "stand-in",
        name,
        f"{name} is {different[top]:g} at {count:,} of {len(values):,} places, "
        f"{there:.0%} of them landslides against {elsewhere:.0%} elsewhere: if it is what was "
        "written where nothing was measured, make it nodata (of a table: `missing`)",
    )
