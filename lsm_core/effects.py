"""What a model makes of a factor, over many places: importance, partial dependence, ALE.

All of it asks the trained model again with one factor changed. A factor's channels (sine and
cosine, one per category, its column of a one-hot image, its layers of a window) change together.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core import metrics, prediction
from lsm_core.encoder import channels_of
from lsm_core.encoding import DIRECTIONS, Encoder, FittedFactor, encode
from lsm_core.errors import RecipeError, SampleError
from lsm_core.imagery import with_bands
from lsm_core.runs import Run
from lsm_core.study_area import IN_MEMORY, categories, cells_at, open_area

Score = Callable[[NDArray[np.float32]], NDArray[Any]]
Put = Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float32]]
MOST_TRAINING = 1000  # training places that stand for all, evenly picked


@dataclass
class Subject:
    """A finished run, opened once and asked often: model, encoder, study area."""

    run: Run
    model: Any
    encoder: Encoder
    ds: xr.Dataset
    kept: dict[str, Any] = dataclasses.field(default_factory=dict)  # what is slow to make twice

    def places(self, split: str) -> pd.DataFrame:
        """The run's places of one part that have a hard label."""
        samples = self.run.samples
        return samples[(samples["split"] == split) & (samples["label"] >= 0)]

    def seen(self, rows: ArrayLike, cols: ArrayLike) -> NDArray[np.float32]:
        """What the model sees of places, (place, *encoder.seen_shape)."""
        rows = np.asarray(rows)
        return prediction.gather(self.encoder, self.ds, rows, cols)(np.arange(len(rows)))

    def score(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's own scores, before the run's calibration, if it has one."""
        return prediction.score_inputs(self.model, x)

    @property
    def training(self) -> NDArray[np.float32]:
        """What the model saw of up to 1,000 of its training places."""
        if "training" not in self.kept:
            places = self.places("train")
            if places.empty:  # carried here without a label: factors of its unlabelled places do
                places = self.run.samples[self.run.samples["split"] == "train"]
            places = evenly(places, MOST_TRAINING)
            self.kept["training"] = self.seen(places["row"], places["col"])
        return self.kept["training"]


def open_subject(run: Run) -> Subject:
    """A run, ready to be asked (RunError: it has no model)."""
    model, encoder = prediction.model_of(run)
    bands = [band.name for band in encoder.bands]
    ds = open_area(run.area_path, up_to=IN_MEMORY)
    return Subject(run, model, encoder, with_bands(ds, bands))


def evenly(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Up to `most` rows, evenly picked, in their order."""
    if len(table) <= most:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, most).round().astype(int)]


def parts_of(encoder: Encoder) -> dict[str, slice]:
    """The channels (of a one-hot image: the column) of every factor."""
    parts, at = {}, 0
    for factor in encoder.features:
        width = len(channels_of(factor, encoder))
        parts[factor.name] = slice(at, at + width)
        at += width
    return parts


def share_of(x: NDArray[Any], encoder: Encoder, part: slice) -> NDArray[Any]:
    """A factor's share of what a model sees; a view, so that it can be written to.

    Of windows at several scales, (place, ..., scale, channel): all of them.
    """
    if encoder.form == "window" and encoder.sizes and encoder.combine == "channels":
        x = x.reshape(*x.shape[:-1], len(encoder.sizes), -1, copy=False)
    return x[:, :, part] if encoder.form == "onehot" else x[..., part]


# ------------------------------------------------------------------------------------ importance


def permutation_importance(
    subject: Subject, *, split: str = "test", repeats: int = 10, rng: np.random.Generator
) -> pd.DataFrame:
    """What a model loses when a factor's values are dealt out anew among held-out places.

    Breiman (2001), on places the model never saw. All channels of a factor, and its whole window,
    go with the place they are taken from. Two factors that tell the same story share their
    importance: each alone can look dispensable.

    Parameters
    ----------
    split : "test" (the held-out blocks) or "validation".
    repeats : how often each factor is dealt out.

    Returns
    -------
    One row a factor, most important first: `factor`; `ap_drop`, mean fall of average precision;
    `ap_low`, `ap_high`, its range of 95 % over the repeats; `auc_drop`, `auc_low`, `auc_high`.
    Values below 0 are chance: the model did no worse.

    Raises
    ------
    SampleError : fewer than two such places, or one class only.
    """
    places = subject.places(split)
    label = places["label"].to_numpy()
    if len(np.unique(label)) < 2:
        raise SampleError(f"{len(places)} {split} places of one class: importance needs both")
    x = subject.seen(places["row"], places["col"])
    whole = _judged(label, subject.score(x))
    rows = []
    for name, part in parts_of(subject.encoder).items():
        drops = []
        for _ in range(repeats):
            dealt = x.copy()
            share_of(dealt, subject.encoder, part)[...] = share_of(x, subject.encoder, part)[
                rng.permutation(len(x))
            ]
            drops.append(whole - _judged(label, subject.score(dealt)))
        mean, (low, high) = np.mean(drops, axis=0), np.quantile(drops, (0.025, 0.975), axis=0)
        row: dict[str, Any] = {"factor": name}
        for i, metric in enumerate(("ap", "auc")):
            row |= {f"{metric}_drop": mean[i], f"{metric}_low": low[i], f"{metric}_high": high[i]}
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.sort_values("ap_drop", ascending=False, kind="stable", ignore_index=True)


def _judged(label: NDArray[Any], score: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([metrics.average_precision(label, score), metrics.roc_auc(label, score)])


# --------------------------------------------------------------------------------------- effects


def partial_dependence(score: Score, put: Put, x: NDArray[Any], grid: ArrayLike) -> NDArray[Any]:
    """Mean score of all places when a factor is set to each value of a grid (Friedman 2001).

    Parameters
    ----------
    score : from (place, ...) to (place,). put : from x and (place,) values to x with the factor set
        to them. grid : (value,).

    Where factors go together this asks about places that cannot be; ALE does not.
    """
    return np.array(
        [score(put(x, np.full(len(x), value))).mean(dtype=np.float64) for value in np.asarray(grid)]
    )


def accumulated_local_effects(
    score: Score, put: Put, x: NDArray[Any], value: ArrayLike, *, bins: int = 12
) -> pd.DataFrame:
    """Accumulated local effects of a continuous factor, first order (Apley & Zhu 2020).

    The range of the factor is cut at its quantiles; in each bin the score's change from the lower
    to the upper limit is averaged over the places that lie in it, and the means are added up. The
    curve is moved so that its mean over the places is 0. Of a linear model it is its straight line.

    Parameters
    ----------
    score, put : as for `partial_dependence`. value : (place,), the factor's value, no NaN.

    Returns
    -------
    One row a limit: `value`, `ale`, and `places`, how many lie in the bin below it (0 in the first
    row). Quantiles that fall together are merged; a factor of one value gives one row.
    """
    value = np.asarray(value, np.float64)
    edges = np.unique(np.quantile(value, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    if len(edges) == 1:
        return pd.DataFrame({"value": edges, "ale": [0.0], "places": [0]})
    k = np.clip(np.searchsorted(edges, value, side="left"), 1, len(edges) - 1)
    change = score(put(x, edges[k])).astype(np.float64) - score(put(x, edges[k - 1]))
    places = np.bincount(k, minlength=len(edges))
    total = np.bincount(k, weights=change, minlength=len(edges))
    ale = np.cumsum(np.divide(total, places, out=np.zeros(len(edges)), where=places > 0))
    middle = (ale[1:] + ale[:-1]) / 2
    ale -= np.average(middle, weights=places[1:])
    return pd.DataFrame({"value": edges, "ale": ale, "places": places})


def put_factor(encoder: Encoder, factor: FittedFactor, attrs: dict[str, Any]) -> Put:
    """How to set a factor of what a model sees to given values, in the area's units.

    In a window a continuous factor is shifted as a whole, so that the centre gets the value and the
    relief about it stays; a direction or a category fills the window. In a one-hot image the
    value's class is set. `attrs` are those of the area's layer. NaN of a direction is flat. Means
    and spreads of a table's surroundings follow as those of such a window would.
    """
    alone = dataclasses.replace(encoder, factors=(factor,), bands=(), surroundings=0)
    part = parts_of(encoder)[factor.name]

    def put(x: NDArray[np.float32], value: NDArray[Any]) -> NDArray[np.float32]:
        code = _encoded(alone, factor, attrs, value)
        x = x.copy()
        share = share_of(x, encoder, part)
        if encoder.form == "onehot":
            share[...] = 0
            known = np.flatnonzero(code[:, 0] >= 0)
            share[known, code[known, 0], 0, 0] = 1
        elif encoder.form == "window":
            code = code.reshape(len(code), *[1] * (share.ndim - 2), -1)
            if factor.kind == "continuous":
                code = share + (code - _centre(share, encoder))
            share[...] = code
        else:
            _put_in_table(share, code, factor)
        return x

    return put


def _put_in_table(share: NDArray[Any], code: NDArray[Any], factor: FittedFactor) -> None:
    """A factor's own columns; behind them may be the means and spreads of its surroundings."""
    own = code.shape[1]
    if share.shape[1] > own and factor.kind == "continuous":
        share[:, own : 2 * own] += code - share[:, :own]
    elif share.shape[1] > own:
        share[:, own : 2 * own], share[:, 2 * own :] = code, 0
    share[:, :own] = code


def _centre(share: NDArray[Any], encoder: Encoder) -> NDArray[Any]:
    """A factor at the window's own cell; at several scales the smallest has it as it is."""
    middle = slice(encoder.size // 2, encoder.size // 2 + 1)
    if share.ndim == 4:
        return share[:, middle, middle]
    smallest = encoder.scales.index(encoder.size)
    scale = slice(smallest, smallest + 1)
    if encoder.combine == "samples":
        return share[:, scale, middle, middle]
    return share[:, middle, middle, scale]


def _encoded(
    alone: Encoder, factor: FittedFactor, attrs: dict[str, Any], value: NDArray[Any]
) -> NDArray[Any]:
    """Values as the encoder writes them, (place, channel), by an area of one row."""
    dtype = np.int16 if factor.kind == "categorical" else np.float32
    layers = {
        factor.name: (("y", "x"), np.asarray(value)[None].astype(dtype), attrs),
        "valid": (("y", "x"), np.ones((1, len(value)), bool)),
    }
    row = xr.Dataset(layers, {"y": [0.0], "x": np.arange(len(value), dtype=float)})
    return encode(row, alone).to_numpy()[0]


def factor_of(subject: Subject, name: str) -> FittedFactor:
    """A factor of the run's encoder (RecipeError lists them)."""
    known = {factor.name: factor for factor in subject.encoder.features}
    if name not in known:
        raise RecipeError(f"the run has no factor {name!r}: it has {', '.join(known)}")
    return known[name]


def values_at(subject: Subject, name: str, rows: ArrayLike, cols: ArrayLike) -> NDArray[Any]:
    """The area's own values of a factor at places; NaN or the nodata code where there is none."""
    return subject.ds[name].isel(cells_at(subject.ds, rows, cols)).to_numpy()


def effect_of(
    subject: Subject, name: str, *, split: str = "test", places: int = 500, bins: int = 12
) -> pd.DataFrame:
    """Partial dependence and ALE of one factor, at held-out places.

    Parameters
    ----------
    places : as many, evenly picked. bins : of ALE, by quantiles.

    Returns
    -------
    `factor`, `value`, `label` (the value in words), `partial_dependence`, `ale`, `places`. A
    continuous factor has a row for each limit of the bins, a category or direction one for each;
    these have no order, so no ALE (NaN). Places without the factor's value are left out.
    """
    factor = factor_of(subject, name)
    attrs = dict(subject.ds[name].attrs)
    table = evenly(subject.places(split), places)
    value = values_at(subject, name, table["row"], table["col"])
    x, put = subject.seen(table["row"], table["col"]), put_factor(subject.encoder, factor, attrs)
    if factor.kind == "continuous":
        there = np.isfinite(value)
        x, value = x[there], value[there]
        found = accumulated_local_effects(subject.score, put, x, value, bins=bins)
        found["label"] = [f"{v:g} {factor.units}" for v in found["value"]]
    else:
        found = _classes_of(subject, factor, value)
    grid = found["value"].to_numpy()
    found["partial_dependence"] = partial_dependence(subject.score, put, x, grid)
    found["factor"] = name
    return found[["factor", "value", "label", "partial_dependence", "ale", "places"]]


def _classes_of(subject: Subject, factor: FittedFactor, value: NDArray[Any]) -> pd.DataFrame:
    """Categories, or eight directions and flat, with how many places have each."""
    if factor.kind == "categorical":
        names = categories(subject.ds[factor.name])
        legend = {float(code): names.get(code, str(code)) for code in factor.codes}
        count = [int((value == code).sum()) for code in factor.codes]
    else:
        angles = [np.nan, *np.arange(8) * 45.0]
        legend = dict(zip(angles, DIRECTIONS, strict=True))
        sector = np.floor((np.nan_to_num(value.astype(float)) + 22.5) / 45) % 8
        count = [int((~np.isfinite(value)).sum())]
        count += [int(((sector == i) & np.isfinite(value)).sum()) for i in range(8)]
    rows = {"value": list(legend), "label": list(legend.values()), "ale": np.nan, "places": count}
    return pd.DataFrame(rows)
