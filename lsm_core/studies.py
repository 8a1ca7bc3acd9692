"""A study: a recipe beside its variants, each with several seeds, and the tables a paper prints.

A recipe file lists its `variants` by name: each is a mapping of what it changes, and may start
`from` another recipe. All are tested on the same places, because area, protocol, split and size are
the study's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lsm_core import comparison, metrics
from lsm_core.counting import Floats
from lsm_core.errors import RecipeError, RunError, SampleError
from lsm_core.recipe import Recipe, changes_of, make_recipe
from lsm_core.runs import Run, compare

SHARED = ("area", "protocol", "split", "size", "seed")  # what every variant has from the study
AT_HALF = ("accuracy", "precision", "specificity", "recall", "f1", "kappa", "miou", "mse")
AREAS = {"ap": metrics.average_precision, "auc": metrics.roc_auc}
SCORES = (*AT_HALF, *AREAS)
ENDS = (0.1, 0.9)  # a score outside them is one the model is all but sure of


def variant_recipes(
    settings: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    changes: Sequence[str] = (),
    only: Sequence[str] = (),
) -> dict[str, Recipe]:
    """The recipe and its variants, by name, the recipe itself first.

    Parameters
    ----------
    settings : of the recipe file, `variants` among them.
    others : settings of the recipes that a variant may start `from`, by name.
    changes : `key=value`, on top of every variant.
    only : names of those wanted; all by default.

    Raises
    ------
    RecipeError : no variants, an unknown name, a variant that changes what all must share, or one
        that is no recipe.

    >>> rf = {"name": "rf", "model": {"name": "random_forest"}}
    >>> rf["variants"] = {"few": {"model": {"options": {"n_estimators": 9}}}}
    >>> {name: made.model.options for name, made in variant_recipes(rf, {}).items()}
    {'rf': {}, 'few': {'n_estimators': 9}}
    """
    name, variants = str(settings.get("name")), settings.get("variants") or {}
    if not variants:
        raise RecipeError(f"{name} has no variants to study: list them under variants:")
    unknown = [wanted for wanted in only if wanted not in (name, *variants)]
    if unknown:
        there = ", ".join((name, *variants))
        raise RecipeError(f"no variant {unknown[0]!r} of {name}; there are: {there}")
    own = make_recipe(settings, changes, where=name)
    found = {name: own}
    for variant, over in variants.items():
        if not only or variant in only:  # another one may not go with these changes
            found[variant] = _variant(variant, over or {}, own, settings, others, changes)
    return {key: made for key, made in found.items() if not only or key in only}


def _variant(
    name: str,
    over: Mapping[str, Any],
    own: Recipe,
    settings: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    changes: Sequence[str],
) -> Recipe:
    own_way = set(over) & set(SHARED)
    if own_way:
        raise RecipeError(
            f"variant {name} changes {', '.join(sorted(own_way))}, which all of a study share, or "
            "they could not be compared: change it with --set"
        )
    start = over.get("from")
    if start is not None and start not in others:
        raise RecipeError(f"variant {name} starts from {start!r}, which is no recipe")
    base = dict(settings if start is None else others[start])
    base |= {key: settings[key] for key in SHARED if key in settings}
    base["sizes"] = {own.size: {}} | (base.get("sizes") or {})
    told = {key: value for key, value in over.items() if key != "from"}
    title = told.pop("title", None) or f"{own.title or own.name}: {name.replace('_', ' ')}"
    split = changes_of({"split": own.split.model_dump(mode="json")})
    named = changes_of({"name": name, "title": title, "size": own.size})
    return make_recipe(base, [*named, *split, *changes_of(told), *changes], where=f"variant {name}")


# ------------------------------------------------------------------------------------- tables


class Study(NamedTuple):
    """The finished runs of a study, by variant, each with its seeds in order."""

    runs: dict[str, list[Run]]

    @property
    def mapped(self) -> dict[str, list[Run]]:
        return {
            name: [run for run in some if run.has_map]
            for name, some in self.runs.items()
            if any(run.has_map for run in some)
        }


def tables(study: Study, *, draws: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """`scores`, `zones`, `spread` and `mcnemar` of a study; see the functions below.

    Raises
    ------
    RunError : no finished run, or runs that were tested on different places.
    """
    every = [run for some in study.runs.values() for run in some]
    if not every:
        raise RunError("no run of this study is finished: run it first")
    compare(every)  # refuses different test places
    return {
        "scores": score_table(study, draws=draws, rng=rng),
        "zones": zone_table(study),
        "spread": spread_table(study),
        "mcnemar": mcnemar_table(study),
    }


def score_table(study: Study, *, draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Scores of the test places: one row a variant, the mean over its seeds.

    Columns: variant, seeds, and for each of `SCORES` (at threshold 0.5, of the landslides' class)
    the value, `low` and `high` of a 95 % interval from `draws` bootstrap samples of whole blocks,
    the same for all variants (NaN without draws or with a single block), and `sd` over seeds (NaN
    of one).
    """
    first = _places(next(iter(study.runs.values()))[0])
    weights = _weights(first["block"].to_numpy(), draws, rng)
    rows = []
    for name, some in study.runs.items():
        each = [_drawn(_places(run), weights) for run in some]
        row: dict[str, Any] = {"variant": name, "seeds": len(some)}
        for score in SCORES:
            values = np.array([found[score] for found in each])  # (seed, 1 + draw)
            row[score] = values[:, 0].mean()
            row[f"{score} low"], row[f"{score} high"] = comparison.limits(
                values[:, 1:].mean(axis=0) if draws else np.array([np.nan])
            )
            row[f"{score} sd"] = values[:, 0].std(ddof=1) if len(some) > 1 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _places(run: Run) -> pd.DataFrame:
    """Test places in the order that all runs of a study share."""
    test = run.scores[run.scores["split"] == "test"]
    return test.sort_values(["row", "col", "label"], kind="stable")


def _weights(block: NDArray, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each place counts: once, and then as often as each bootstrap sample draws it."""
    once = np.ones((1, len(block)), np.int64)
    try:
        samples = comparison.block_draws(block, draws, rng) if draws else []
    except SampleError:  # a single block: nothing to draw from
        return once
    return np.concatenate([once, *(np.bincount(s, minlength=len(block))[None] for s in samples)])


def _drawn(test: pd.DataFrame, weights: NDArray[np.int64]) -> dict[str, Floats]:
    """Every score, on the places as they are and on each bootstrap sample."""
    label, score = test["label"].to_numpy(), test["score"].to_numpy(dtype=np.float64)
    each = [
        metrics.scores(label, score, weight=weight)
        | {name: area(label, score, weight) for name, area in AREAS.items()}
        for weight in weights
    ]
    return {name: np.array([found[name] for found in each]) for name in SCORES}


def zone_table(study: Study) -> pd.DataFrame:
    """The zoning tables of the maps, the mean over a variant's maps.

    Columns: variant, maps, breaks, where, zone, from, to, share_of_cells, share_of_landslides,
    density (landslides a cell). Empty where no run made a map.
    """
    keys = ["breaks", "where", "zone"]
    rows = []
    for name, some in study.mapped.items():
        together = pd.concat([run.density_table for run in some])
        shares = ["from", "to", "share_of_cells", "share_of_landslides", "density"]
        mean = together.groupby(keys, sort=False)[shares].mean().reset_index()
        rows.append(mean.assign(variant=name, maps=len(some)))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def spread_table(study: Study) -> pd.DataFrame:
    """How a map's scores are spread, the mean over a variant's maps.

    Columns: variant, maps, share of cells below .1 and from .9 up, share of cells and landslides in
    the two upper classes of natural breaks, and landslide density in the top 0.2 interval.
    """
    rows = []
    for name, some in study.mapped.items():
        found = pd.DataFrame([_spread(run) for run in some]).mean()
        rows.append({"variant": name, "maps": len(some)} | found.to_dict())
    return pd.DataFrame(rows)


def _spread(run: Run) -> dict[str, float]:
    histogram = run.metrics["histogram"]
    count, edges = np.asarray(histogram["count"], float), np.asarray(histogram["edges"])
    share, middle = count / count.sum(), (edges[:-1] + edges[1:]) / 2
    table = run.density_table
    table = table[table["where"] == "whole map"]
    upper = table[(table["breaks"] == "natural") & (table["zone"] >= 4)]
    top = table[(table["breaks"] == "equal 0.2") & (table["zone"] == 5)]
    return {
        "below 0.1": float(share[middle < ENDS[0]].sum()),
        "from 0.9": float(share[middle > ENDS[1]].sum()),
        "high and very high, cells": float(upper["share_of_cells"].sum()),
        "high and very high, landslides": float(upper["share_of_landslides"].sum()),
        "density from 0.8": float(top["density"].iloc[0]),
    }


def mcnemar_table(study: Study) -> pd.DataFrame:
    """McNemar's test of the first variant against every other, on the runs of the first seed.

    Columns: variant, against, statistic (chi-squared, or the smaller count where fewer than 25
    places differ), p_value, holm (adjusted over the rows), only_variant and only_against: places
    that only one of them gets right at threshold 0.5. Places count as independent, which neighbours
    are not, so that the p-values are too small.
    """
    (name, runs), *others = study.runs.items()
    seed = runs[0].recipe.seed
    rows = []
    for against, some in others:
        same = [run for run in some if run.recipe.seed == seed]
        if same:
            one, two = _places(runs[0]), _places(same[0])
            cut = one["score"].to_numpy() >= 0.5, two["score"].to_numpy() >= 0.5
            test = comparison.mcnemar(one["label"].to_numpy(), *cut)
            rows.append((name, against, *test[:2], test.only_a, test.only_b))
    columns = ("variant", "against", "statistic", "p_value", "only_variant", "only_against")
    table = pd.DataFrame(rows, columns=list(columns))
    table.insert(4, "holm", comparison.holm(table["p_value"]) if rows else [])
    return table
