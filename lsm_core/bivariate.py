"""How often each class of a factor holds landslides: four statistics, their tables and their test.

With `cells` all counted cells of a class (landslides among them) and the share of landslides among
all counted cells, every statistic says how far the class departs from the whole. Counts stand as
they are wherever they can: only where a class has no landslide, or nothing but landslides, it is
lent one cell of the missing kind, and with it as many of the other kind as the whole has to each.
So a class without landslides has an information value of -ln(1 + the landslides expected in it):
finite, never above zero, and the lower the more cells say so. The column `corrected` says where.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from lsm_core.encoding import Encoder, encode, fit_encoder
from lsm_core.errors import SampleError
from lsm_core.recipe import Input

STATISTICS = (
    *("frequency_ratio", "information_value", "certainty_factor"),
    "weights_of_evidence",
)
Counts = NDArray[np.float64]


class Independence(NamedTuple):
    """Whether factors are as independent as weights of evidence take them to be."""

    observed: float  # landslides n
    predicted: float  # landslides T that the posterior probabilities add up to
    ratio: float  # n / T; 1 if independent, the less the more alike the factors are
    s_predicted: float  # standard deviation of T
    statistic: float  # (T - n) / s(T)
    p_value: float  # of so large a T - n, one-sided
    formula: str = "Agterberg and Cheng 2002: (T - n) / s(T), s2(T) = sum of N_k^2 s2(P_k)"


def frequency_ratio(
    classes: ArrayLike, landslide: ArrayLike, *, valid: ArrayLike | None = None, nodata: Any = -1
) -> pd.DataFrame:
    """A class's share of the landslides over its share of the cells (Lee and Talib 2005).

    Parameters
    ----------
    classes : class of each cell, any shape. Cells of class `nodata` or NaN are not counted.
    landslide : 0 or 1, of the same shape. valid : true where a cell counts; all, by default.

    Returns
    -------
    One row a class, by its number: `cells`, `landslides`, `frequency_ratio` (1: as often as in the
    whole; 0 in a class without landslides). Its mean over all cells is 1. `attrs["left_out"]`
    counts the cells that were not counted.

    Raises
    ------
    SampleError : shapes differ, landslide is not 0 or 1, or only one of them is left to count.

    >>> frequency_ratio([1, 1, 1, 2], [1, 0, 0, 1])["frequency_ratio"].round(3).tolist()
    [0.667, 2.0]
    """
    table, hits, others = _counted(classes, landslide, valid, nodata)
    return table.assign(frequency_ratio=_frequency_ratio(hits, others))


def information_value(
    classes: ArrayLike, landslide: ArrayLike, *, valid: ArrayLike | None = None, nodata: Any = -1
) -> pd.DataFrame:
    """Logarithm of the frequency ratio (Yin and Yan 1988): above 0, more often than in the whole.

    Parameters, errors: see `frequency_ratio`. Returns columns `cells`, `landslides`,
    `information_value`, `corrected` (true in a class without landslides).

    >>> information_value([1, 1, 1, 2], [1, 0, 0, 1])["information_value"].round(3).tolist()
    [-0.405, 0.693]
    """
    table, hits, others = _counted(classes, landslide, valid, nodata)
    return table.assign(information_value=_information_value(hits, others), corrected=hits == 0)


def certainty_factor(
    classes: ArrayLike, landslide: ArrayLike, *, valid: ArrayLike | None = None, nodata: Any = -1
) -> pd.DataFrame:
    """Certainty factor of a class (Shortliffe and Buchanan 1975; Chung and Fabbri 1993), -1 to 1.

    With p the class's share of landslides and q that of the whole: (p - q) / (p (1 - q)) where p is
    at least q, else (p - q) / (q (1 - p)).

    Parameters, errors: see `frequency_ratio`. Returns columns `cells`, `landslides`,
    `certainty_factor`, `corrected` (true where a class has no landslide, or nothing else).

    >>> certainty_factor([1, 1, 1, 2, 2], [1, 0, 0, 1, 0])["certainty_factor"].round(3).tolist()
    [-0.25, 0.333]
    """
    table, hits, others = _counted(classes, landslide, valid, nodata)
    return table.assign(
        certainty_factor=_certainty_factor(hits, others), corrected=(hits == 0) | (others == 0)
    )


def weights_of_evidence(
    classes: ArrayLike, landslide: ArrayLike, *, valid: ArrayLike | None = None, nodata: Any = -1
) -> pd.DataFrame:
    """Weights of evidence of being in a class and of not being in it (Bonham-Carter 1994).

    w_plus = ln(P(class | landslide) / P(class | no landslide)), w_minus the same of all other
    classes together, contrast their difference; s2 are variances, 1 / (landslides) + 1 / (other
    cells) inside and outside of the class.

    Parameters, errors: see `frequency_ratio`. Returns columns `cells`, `landslides`, `w_plus`,
    `s2_w_plus`, `w_minus`, `s2_w_minus`, `contrast`, `studentised_contrast` (contrast over its
    standard deviation), `corrected`. The correction reaches the other classes together too, where
    these have no landslide, or nothing else; a class that is the whole has weights of 0.

    >>> w = weights_of_evidence([1, 1, 1, 2, 2], [1, 0, 0, 1, 0])
    >>> w["contrast"].round(3).tolist()
    [-0.693, 0.693]
    """
    table, hits, others = _counted(classes, landslide, valid, nodata)
    return table.assign(**_weights(hits, others))


def class_values(statistic: str, landslides: ArrayLike, cells: ArrayLike) -> Counts:
    """The statistic a model adds up, from counts by class; of weights of evidence it is w_plus.

    A class without cells says nothing: 1 for the frequency ratio, 0 for the others.
    """
    hits = np.asarray(landslides, np.float64)
    others = np.asarray(cells, np.float64) - hits
    _both(hits.sum(), others.sum())
    if statistic == "weights_of_evidence":
        return _weights(hits, others)["w_plus"]
    return {
        "frequency_ratio": _frequency_ratio,
        "information_value": _information_value,
        "certainty_factor": _certainty_factor,
    }[statistic](hits, others)


def statistics_of(landslides: ArrayLike, cells: ArrayLike) -> pd.DataFrame:
    """All statistics from counts by class: one row a class, columns as in `class_tables`.

    Parameters
    ----------
    landslides : landslide cells of each class. cells : all its cells, landslides among them.

    Raises
    ------
    SampleError : no landslide cell, or no other.

    >>> statistics_of([1, 1], [3, 1])["frequency_ratio"].round(3).tolist()
    [0.667, 2.0]
    """
    hits = np.asarray(landslides, np.float64)
    others = np.asarray(cells, np.float64) - hits
    _both(hits.sum(), others.sum())
    return pd.DataFrame(_all(hits, others))


# ------------------------------------------------------------------------------------- tables


def class_tables(encoder: Encoder, classes: ArrayLike, landslide: ArrayLike) -> pd.DataFrame:
    """All statistics of every class of every factor, one below the other.

    Parameters
    ----------
    encoder : of form "classes" or "onehot". classes : (place, factor), as `encode` gives them.
    landslide : (place,) of 0 and 1.

    Returns
    -------
    One row a class: factor, class, name, from, to (limits; NaN where open, and for categories and
    aspect), cells, landslides, and the columns of the four statistics. A class without cells is
    there too, and says nothing.
    """
    classes = np.asarray(classes, dtype=np.int64)
    tables = []
    for column, factor in enumerate(encoder.factors):
        names = encoder.classes_of(factor.name)
        edges = [np.nan, *factor.edges, np.nan]
        if factor.kind != "continuous":
            edges = [np.nan] * (len(names) + 1)
        head = {"factor": factor.name, "class": range(len(names)), "name": names}
        limits = {"from": edges[:-1], "to": edges[1:]}
        _, hits, others = _counted(classes[:, column], landslide, None, -1, k=len(names))
        tables.append(pd.DataFrame(head | limits).assign(**_all(hits, others)))
    return pd.concat(tables, ignore_index=True)


def factor_classes(
    ds: xr.Dataset, name: str, *, fit_on: pd.DataFrame | None, specs: Input | None = None
) -> pd.DataFrame:
    """All statistics of the classes of one factor of a study area, for looking at it.

    Parameters
    ----------
    fit_on : training places (row, col, label): class limits are found among them, and they are
        counted; soft labels are not. None finds and counts on all valid cells and their
        `landslide`: for exploration only, since test landslides are then seen.
    specs : the recipe's input, for limits, presets and methods; ten quantiles by default.

    Returns
    -------
    As `class_tables`; `attrs["counted"]` says on what.

    Raises
    ------
    RecipeError, SampleError : see `fit_encoder` and `frequency_ratio`.
    """
    specs = specs or Input()
    own = {key: value for key, value in specs.classes.items() if key == name}
    specs = specs.model_copy(update={"form": "classes", "factors": (name,), "classes": own})
    counted = "training places" if fit_on is not None else "valid cells, for exploration"
    places = _all_cells(ds) if fit_on is None else fit_on[fit_on["label"] >= 0]
    encoder = fit_encoder(ds, specs, fit_on=places)
    classes = encode(ds, encoder).to_numpy()[places["row"], places["col"]]
    table = class_tables(encoder, classes, places["label"])
    table.attrs["counted"] = f"{len(places):,} {counted}"
    return table


def _all_cells(ds: xr.Dataset) -> pd.DataFrame:
    valid = ds["valid"].to_numpy()
    label = ds["landslide"].to_numpy()[valid]
    rows, cols = np.nonzero(valid if valid.ndim == 2 else valid[:, None])
    return pd.DataFrame({"row": rows, "col": cols, "label": label})


# ------------------------------------------------------------------------------- independence


def conditional_independence(classes: ArrayLike, landslide: ArrayLike) -> Independence:
    """Do factors repeat one another? The overall ratio and the test of Agterberg and Cheng.

    Weights of evidence add up as if factors were independent given landslide or none. Where they
    are not, the posterior probabilities P_k of the unique combinations k of classes, N_k cells
    each, add up to more landslides T than the n there are: T = sum of N_k P_k.

    The variance of that sum is taken as that of N_k P_k, each with its own error: s2(T) = sum of
    N_k^2 s2(P_k), where s2(P_k) = (1 / n + sum of s2_w_plus) P_k^2 (Bonham-Carter, Agterberg and
    Wright 1989; P_k small). Combinations share weights, so their errors are not independent, and
    s(T) is too small rather than too large. ArcSDM squares N_k s(P_k) as here; EIS Toolkit adds up
    the s(P_k) themselves under the root, without the cells or the square, which is not a variance.

    It is a test on the cells of an area. Among places drawn one to one, too much evidence for and
    too much against even out, and T is near n whatever the factors.

    Parameters
    ----------
    classes : (place, factor) integers, -1 where missing (which adds no weight).
    landslide : (place,) of 0 and 1.

    Raises
    ------
    SampleError : see `frequency_ratio`.

    >>> same = np.repeat([[0, 0], [1, 1]], 500, axis=0)
    >>> landslide = np.arange(1000) % 10 < np.repeat([1, 3], 500)
    >>> test = conditional_independence(same, landslide)  # one factor, counted twice
    >>> round(test.observed), round(test.predicted)
    (200, 235)
    """
    classes = np.asarray(classes, dtype=np.int64)
    if classes.ndim != 2:
        raise SampleError(f"classes are {classes.shape}: give (place, factor), a column a factor")
    n = float(np.sum(np.asarray(landslide)))
    combinations, cells = np.unique(classes, axis=0, return_counts=True)
    others = len(classes) - n
    _both(n, others)
    logit = np.full(len(combinations), np.log(n / others))
    variance = np.full(len(combinations), 1 / n)
    for column in range(classes.shape[1]):
        table = weights_of_evidence(classes[:, column], landslide)
        known = table.reindex(combinations[:, column])
        logit += known["w_plus"].fillna(0).to_numpy()
        variance += known["s2_w_plus"].fillna(0).to_numpy()
    posterior = 1 / (1 + np.exp(-logit))
    predicted = float(np.sum(cells * posterior))
    s = float(np.sqrt(np.sum(np.square(cells * posterior) * variance)))
    z = (predicted - n) / s
    return Independence(n, predicted, n / predicted, s, z, float(norm.sf(z)))


# ------------------------------------------------------------------------------------ counting


def _counted(
    classes: ArrayLike,
    landslide: ArrayLike,
    valid: ArrayLike | None,
    nodata: Any,
    k: int | None = None,
) -> tuple[pd.DataFrame, Counts, Counts]:
    """Cells and landslides by class; landslides and other cells again as numbers to reckon with.

    With `k`, classes 0 to k - 1 are there whether they have cells or not.
    """
    c, hit = np.asarray(classes), np.asarray(landslide)
    if c.shape != hit.shape or (valid is not None and np.shape(valid) != c.shape):
        raise SampleError(f"classes are {c.shape} but landslides {hit.shape}: give one shape")
    counts = c == c if valid is None else np.asarray(valid, bool) & (c == c)  # NaN is not itself
    if nodata is not None:
        counts = counts & (c != nodata)
    c, hit = c[counts], hit[counts]
    strange = np.setdiff1d(hit, [0, 1])
    if strange.size:
        raise SampleError(f"landslide must be 0 or 1, got {strange[0]}: leave such cells out")
    found, place = np.unique(c, return_inverse=True)
    if k is not None:
        found, place = np.arange(k), c
    size = len(found)
    cells = np.bincount(place, minlength=size)
    hits = np.bincount(place[hit.astype(bool)], minlength=size)
    _both(hits.sum(), cells.sum() - hits.sum())
    index = pd.Index(found, name="class")
    table = pd.DataFrame({"cells": cells, "landslides": hits}, index=index)
    table.attrs["left_out"] = int(counts.size - counts.sum())
    return table, hits.astype(np.float64), (cells - hits).astype(np.float64)


def _both(hits: float, others: float) -> None:
    if not (hits > 0 and others > 0):
        raise SampleError(
            f"{hits:.0f} landslide cells and {others:.0f} others are counted: both are needed"
        )


def _lend(hits: Counts, others: Counts, odds: float) -> tuple[Counts, Counts]:
    """Where a kind is missing, one of it, and as many of the other as the whole has to each."""
    none, only = hits == 0, others == 0
    lent_hits = np.where(none, 1.0, np.where(only, hits + odds, hits))
    lent_others = np.where(none, others + 1 / odds, np.where(only, 1.0, others))
    return lent_hits, lent_others


# ---------------------------------------------------------------------------------- statistics


def _frequency_ratio(hits: Counts, others: Counts) -> Counts:
    cells = hits + others
    share = hits.sum() / cells.sum()
    return np.divide(hits, cells * share, out=np.ones_like(hits), where=cells > 0)


def _information_value(hits: Counts, others: Counts) -> Counts:
    lent, beside = _lend(hits, others, hits.sum() / others.sum())
    lent, beside = np.where(hits == 0, lent, hits), np.where(hits == 0, beside, others)
    return np.log(lent / (lent + beside)) - np.log(hits.sum() / (hits.sum() + others.sum()))


def _certainty_factor(hits: Counts, others: Counts) -> Counts:
    lent, beside = _lend(hits, others, hits.sum() / others.sum())
    p, q = lent / (lent + beside), hits.sum() / (hits.sum() + others.sum())
    return (p - q) / np.where(p >= q, p * (1 - q), q * (1 - p))


def _weights(hits: Counts, others: Counts) -> dict[str, NDArray]:
    odds = hits.sum() / others.sum()
    inside = _lend(hits, others, odds)
    outside_hits, outside_others = hits.sum() - hits, others.sum() - others
    outside = _lend(outside_hits, outside_others, odds)
    w_plus, w_minus = (np.log(a / b) - np.log(odds) for a, b in (inside, outside))
    s2_plus, s2_minus = (1 / a + 1 / b for a, b in (inside, outside))
    zero = (hits == 0) | (others == 0) | (outside_hits == 0) | (outside_others == 0)
    return {
        "w_plus": w_plus,
        "s2_w_plus": s2_plus,
        "w_minus": w_minus,
        "s2_w_minus": s2_minus,
        "contrast": w_plus - w_minus,
        "studentised_contrast": (w_plus - w_minus) / np.sqrt(s2_plus + s2_minus),
        "corrected": zero,
    }


def _all(hits: Counts, others: Counts) -> dict[str, NDArray]:
    return {
        "cells": (hits + others).astype(np.int64),
        "landslides": hits.astype(np.int64),
        "frequency_ratio": _frequency_ratio(hits, others),
        "information_value": _information_value(hits, others),
        "certainty_factor": _certainty_factor(hits, others),
    } | _weights(hits, others)
