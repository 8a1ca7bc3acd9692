"""Models beside each other: scores with intervals, paired tests, ranks, and two protocols.

Runs that differ in seed or fold alone are one model, judged by the mean of its runs. Intervals come
from drawing whole blocks of test places; every model is judged on the same draws, so that
differences are paired. Ranks change only where the interval of a difference leaves 0 out.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lsm_core import comparison, metrics
from lsm_core.counting import Floats
from lsm_core.errors import SampleError

JUDGED: dict[str, Callable[..., float]] = {
    "ap": metrics.average_precision,
    "auc": metrics.roc_auc,
}
NULLS = {"slope": "slope alone", "distance": "nearness to training landslides alone"}


@dataclass(frozen=True)
class Entry:
    """One run as the scoreboard sees it; test places in one order for all runs that share them."""

    run: str
    model: str  # the same for runs that differ in seed or fold alone
    fold: int
    seed: int
    places: str  # fingerprint of the test places
    label: NDArray
    score: NDArray
    block: NDArray
    test_to_train: float
    values: dict[str, float]  # by name in JUDGED, as the run stored them
    nulls: dict[str, dict[str, float]] = field(default_factory=dict)
    overlap: float = float("nan")


@dataclass(frozen=True)
class Judged:
    """One model: its runs' mean, and the mean on every bootstrap sample, by name in JUDGED."""

    model: str
    entries: tuple[Entry, ...]
    values: dict[str, float]
    draws: dict[str, Floats]


def judge(entries: Sequence[Entry], draws: int, rng: np.random.Generator) -> list[Judged]:
    """Every run by itself, under its own name, all on one and the same bootstrap samples.

    Draws are NaN where the test places lie in fewer than two blocks, or the run stored no scores.
    """
    samples: dict[str, list[NDArray[np.intp]]] = {}
    for entry in entries:
        if entry.places not in samples:
            samples[entry.places] = _samples(entry, draws, rng)
    return [Judged(e.run, (e,), e.values, _drawn(e, samples[e.places], draws)) for e in entries]


def together(judged: Sequence[Judged]) -> list[Judged]:
    """Runs of one model as one, by the mean, in the order of their first run."""
    models: dict[str, list[Judged]] = {}
    for one in judged:
        models.setdefault(one.entries[0].model, []).append(one)
    return [
        Judged(
            model,
            tuple(one.entries[0] for one in own),
            {name: float(np.mean([one.values[name] for one in own])) for name in JUDGED},
            {name: np.mean([one.draws[name] for one in own], axis=0) for name in JUDGED},
        )
        for model, own in models.items()
    ]


def _samples(entry: Entry, draws: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    try:
        return comparison.block_draws(entry.block, draws, rng) if draws else []
    except SampleError:  # one block: nothing to draw from
        return []


def _drawn(entry: Entry, samples: list[NDArray[np.intp]], draws: int) -> dict[str, Floats]:
    if not samples or not entry.label.size:
        return {name: np.full(max(draws, 1), np.nan) for name in JUDGED}
    return {
        name: comparison.draw_values(entry.label, entry.score, samples, metric)
        for name, metric in JUDGED.items()
    }


def model_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """One row a model: runs, mean, interval, spread over its runs and rank, for AP and for AUC."""
    table = pd.DataFrame({"model": [j.model for j in judged]})
    table["runs"] = [len(j.entries) for j in judged]
    for name in JUDGED:
        values = [j.values[name] for j in judged]
        ends = [comparison.limits(j.draws[name]) for j in judged]
        table[name] = values
        table[f"{name} low"], table[f"{name} high"] = zip(*ends, strict=True)
        table[f"{name} sd"] = [_spread([e.values[name] for e in j.entries]) for j in judged]
        table[f"{name} rank"] = comparison.rank_groups(values, _parted(judged, name))
    return table


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _parted(judged: Sequence[Judged], name: str) -> NDArray[np.bool_]:
    parted = np.zeros((len(judged), len(judged)), dtype=bool)
    for i, j in itertools.combinations(range(len(judged)), 2):
        low, high = comparison.limits(judged[i].draws[name] - judged[j].draws[name])
        parted[i, j] = parted[j, i] = low > 0 or high < 0
    return parted


def pair_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """One row a pair of models: differences with intervals, tests, and p-values adjusted by Holm.

    Columns: a, b; for AP and AUC the difference a - b, its limits and p-value by paired block
    bootstrap; DeLong's and McNemar's (threshold 0.5) statistic and p-value, for models of one run
    each; Wilcoxon's and the corrected t-test's p-value of AP, for models of several runs. Every
    column named `... p` has one named `... p holm`, adjusted over the pairs. What cannot be had is
    NaN. DeLong and McNemar take places as independent, which neighbours are not.
    """
    rows = [_pair(a, b) for a, b in itertools.combinations(judged, 2)]
    table = pd.DataFrame(rows)
    for column in [name for name in table if str(name).endswith(" p")]:
        p = table[column].to_numpy(dtype=np.float64, copy=True)
        p[np.isfinite(p)] = comparison.holm(p[np.isfinite(p)])
        table[f"{column} holm"] = p
    return table


def _pair(a: Judged, b: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {"a": a.model, "b": b.model}
    for name in JUDGED:
        value = a.values[name] - b.values[name]
        draws = a.draws[name] - b.draws[name]
        found = comparison.difference(value, draws)
        row |= {f"{name} difference": value, f"{name} low": found.low, f"{name} high": found.high}
        row[f"{name} p"] = found.p_value if np.isfinite(draws).any() else np.nan
    return row | _places_tests(a, b) | _repeat_tests(a, b)


def _places_tests(a: Judged, b: Judged) -> dict[str, float]:
    names = ("delong z", "delong p", "mcnemar statistic", "mcnemar p")
    one, two = a.entries[0], b.entries[0]
    if len(a.entries) > 1 or len(b.entries) > 1 or not one.label.size or not two.label.size:
        return dict.fromkeys(names, np.nan)
    areas = comparison.delong(one.label, one.score, two.score)
    said = comparison.mcnemar(one.label, one.score >= 0.5, two.score >= 0.5)
    return dict(zip(names, (*areas[:2], *said[:2]), strict=True))


def _repeat_tests(a: Judged, b: Judged) -> dict[str, float]:
    first, second = ({(e.fold, e.seed): e for e in j.entries} for j in (a, b))
    shared = sorted(first.keys() & second.keys())
    if len(shared) < 2:
        return dict.fromkeys(("wilcoxon p", "corrected t p"), np.nan)
    x, y = ([own[key].values["ap"] for key in shared] for own in (first, second))
    ratio = float(np.mean([first[key].test_to_train for key in shared]))
    corrected = comparison.corrected_resampled_t(x, y, test_to_train=ratio)
    return {"wilcoxon p": comparison.wilcoxon(x, y).p_value, "corrected t p": corrected.p_value}


def null_table(entries: Iterable[Entry]) -> pd.DataFrame:
    """AP and AUC of the null models, mean and range over the runs that stored them."""
    found: dict[str, list[dict[str, float]]] = {}
    for entry in entries:
        for name, values in entry.nulls.items():
            found.setdefault(NULLS.get(name, name), []).append(values)
    rows = []
    for null, many in found.items():
        row: dict[str, Any] = {"null model": null, "runs": len(many)}
        for short, long in (("ap", "average_precision"), ("auc", "roc_auc")):
            several = [one[long] for one in many]
            row[short] = float(np.mean(several))
            row |= {f"{short} least": min(several), f"{short} most": max(several)}
        rows.append(row)
    return pd.DataFrame(rows)


def protocol_table(
    random: Sequence[Judged], spatial: Sequence[tuple[str, Judged]], names: dict[str, str]
) -> pd.DataFrame:
    """Each model at random and in space: values, intervals, and the gap between them.

    Parameters
    ----------
    random, spatial : models under either; spatial ones with the split's method. Their test places
        differ, so the gap's interval comes from drawing blocks of each on its own.
    names : what model of which recipe, by `Judged.model`; those of one name are put side by side.

    Returns
    -------
    One row a model, method and metric: model, method, metric, random, random low, random high,
    spatial, spatial low, spatial high, gap (random - spatial), gap low, gap high, random overlap,
    spatial overlap. Null models follow, without intervals.
    """
    rows = []
    for one in random:
        for method, other in spatial:
            if names[one.model] == names[other.model]:
                own = [j for m, j in spatial if m == method]
                label = _pair_name(one, other, random, own, names)
                rows += [_gap(label, method, name, one, other) for name in JUDGED]
    rows += _null_gaps(random, spatial)
    return pd.DataFrame(rows)


def _pair_name(
    one: Judged,
    other: Judged,
    random: Iterable[Judged],
    spatial: Iterable[Judged],
    names: dict[str, str],
) -> str:
    """The recipe's name; with the runs', where several on a side have it."""
    name = names[one.model]
    sides = ((one, random), (other, spatial))
    more = [j.model for j, some in sides if sum(names[s.model] == name for s in some) > 1]
    return ", ".join([name, *more])


def _gap(model: str, method: str, name: str, one: Judged, other: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "method": method, "metric": name}
    gap = comparison.limits(one.draws[name] - other.draws[name])
    for side, judged in (("random", one), ("spatial", other)):
        low, high = comparison.limits(judged.draws[name])
        row |= {side: judged.values[name], f"{side} low": low, f"{side} high": high}
    row |= {"gap": row["random"] - row["spatial"], "gap low": gap[0], "gap high": gap[1]}
    row["random overlap"], row["spatial overlap"] = (_overlap(j) for j in (one, other))
    return row


def _overlap(judged: Judged) -> float:
    return float(np.mean([entry.overlap for entry in judged.entries]))


def _null_gaps(
    random: Sequence[Judged], spatial: Sequence[tuple[str, Judged]]
) -> list[dict[str, Any]]:
    rows = []
    for method in dict.fromkeys(method for method, _ in spatial):
        sides = [
            null_table(entry for judged in some for entry in judged.entries)
            for some in (random, [judged for m, judged in spatial if m == method])
        ]
        if any(side.empty for side in sides):
            continue
        both = sides[0].merge(sides[1], on="null model", suffixes=("", " spatial"))
        for null in both.to_dict(orient="records"):
            for name in JUDGED:
                row = {"model": null["null model"], "method": method, "metric": name}
                row |= {"random": null[name], "spatial": null[f"{name} spatial"]}
                rows.append(row | {"gap": row["random"] - row["spatial"]})
    return rows
