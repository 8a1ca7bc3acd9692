"""How unlike a factor is in two areas: Kullback-Leibler divergence on shared bins.

A model carried to an area where a factor has other values than it was trained on is guessing
there. Labels play no part.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lsm_core.design_matrix import is_category
from lsm_core.errors import SampleError

BINS = 20
SMOOTHING = 0.5
SECTORS = 8  # of a circle, for angles


def kl_divergence(
    source: ArrayLike,
    target: ArrayLike,
    *,
    bins: int = BINS,
    smoothing: float = SMOOTHING,
    cyclic: bool = False,
) -> float:
    """Kullback-Leibler divergence KL(source || target) of two samples, in nats.

    Parameters
    ----------
    source, target : values of one factor in two areas, (n,) and (m,); missing ones do not count.
        Numbers are counted in bins that both share: quantiles of the two samples, each area having
        the same weight, so that neither outliers nor the larger area decide. Values that repeat may
        leave fewer bins. Categories (text, pandas categories) are counted each for itself.
    smoothing : added to the count of every bin (0.5: Jeffreys' prior), so that a bin that is empty
        in the target gives a finite answer.
    cyclic : the values are degrees; they are counted in eight sectors.

    Returns
    -------
    0 for equal samples, never below 0, no upper limit. It depends on the bins, and two samples of
    one distribution have about (bins - 1) (1/n + 1/m) / 2. Figures of papers that state no bins
    cannot be compared with it to the digit.

    Raises
    ------
    SampleError : no value on a side, numbers against categories, infinite values, fewer than two
        bins, or smoothing below 0.

    Kullback and Leibler 1951, Ann. Math. Stat. 22:79.

    >>> kl_divergence(["marl"] * 30 + ["shale"] * 70, ["marl"] * 60 + ["shale"] * 40, smoothing=0)
    0.18378...
    """
    a, b = pd.Series(source).dropna(), pd.Series(target).dropna()
    for side, values in (("source", a), ("target", b)):
        if not len(values):
            raise SampleError(f"the {side} has no value of this factor: leave the factor out")
    if is_category(a) != is_category(b):
        raise SampleError(f"numbers cannot be held against categories: {a.dtype} and {b.dtype}")
    if bins < 2 or not smoothing >= 0:
        raise SampleError(f"give two bins at least and no negative smoothing: {bins}, {smoothing}")
    p, q = _shares(a, b, bins, smoothing, cyclic)
    seen = p > 0
    if (q[seen] == 0).any():
        return float("inf")  # only without smoothing
    return max(0.0, float((p[seen] * np.log(p[seen] / q[seen])).sum()))


def divergence(
    source: pd.DataFrame,
    target: pd.DataFrame,
    *,
    bins: int = BINS,
    smoothing: float = SMOOTHING,
    cyclic: Sequence[str] = (),
) -> pd.DataFrame:
    """`kl_divergence` of every factor that two factor tables share, the most unlike first.

    One row a factor: `kl` from source to target, `kl_back` the other way, medians (commonest
    category) of both, `source_rows`, `target_rows` with a value (where there is none, NaN).
    Categories are matched by name.

    >>> here, there = pd.DataFrame({"slope": [5.0, 9, 20]}), pd.DataFrame({"slope": [5.0, 9, 20]})
    >>> divergence(here, there)["kl"].tolist()
    [0.0]
    """
    rows = {}
    for name in [str(n) for n in source if n in target]:
        a, b = source[name].dropna(), target[name].dropna()

        def kl(of: pd.Series, to: pd.Series, angle: bool = name in cyclic) -> float:
            if not (len(of) and len(to)):
                return np.nan
            return kl_divergence(of, to, bins=bins, smoothing=smoothing, cyclic=angle)

        try:
            rows[name] = (kl(a, b), kl(b, a), _typical(a), _typical(b), len(a), len(b))
        except SampleError as error:
            raise SampleError(f"{name}: {error}") from error
    columns = ("kl", "kl_back", "source_typical", "target_typical", "source_rows", "target_rows")
    made = pd.DataFrame.from_dict(rows, "index", columns=list(columns))
    return made.sort_values("kl", ascending=False, kind="stable")


# ------------------------------------------------------------------------------------- behind


def _shares(
    a: pd.Series, b: pd.Series, bins: int, smoothing: float, cyclic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed shares of the same bins in both."""
    if is_category(a):
        names = pd.Index(pd.unique(np.concatenate([a.astype(str), b.astype(str)])))
        codes = names.get_indexer(a.astype(str)), names.get_indexer(b.astype(str))
        size = len(names)
    else:
        x, y = a.to_numpy(float), b.to_numpy(float)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise SampleError("infinite values have no bin: set them to NaN")
        if cyclic:
            codes = _sector(x), _sector(y)
            size = SECTORS
        else:
            limits = _shared_limits(x, y, bins)
            codes = np.searchsorted(limits, x, "right"), np.searchsorted(limits, y, "right")
            size = len(limits) + 1
    p, q = (np.bincount(code, minlength=size) + smoothing for code in codes)
    return p / p.sum(), q / q.sum()


def _shared_limits(x: NDArray, y: NDArray, bins: int) -> NDArray[np.float64]:
    """Inner limits of bins that hold equal shares of the two samples taken half and half.

    A value that repeats gets bins of its own at most once, and never an empty first one.
    """
    values = np.concatenate([x, y])
    weight = np.concatenate([np.full(len(x), 0.5 / len(x)), np.full(len(y), 0.5 / len(y))])
    order = np.argsort(values, kind="stable")
    values, share = values[order], np.cumsum(weight[order])
    at = np.searchsorted(share, np.arange(1, bins) / bins - 1e-12)
    limits = np.unique(values[np.minimum(at, len(values) - 1)])
    return limits[limits > values[0]]


def _sector(degrees: NDArray) -> NDArray[np.intp]:
    return (np.round(degrees * SECTORS / 360) % SECTORS).astype(np.intp)


def _typical(values: pd.Series) -> object:
    if not len(values):
        return None
    if is_category(values):
        return str(values.mode().iloc[0])
    return float(values.median())
