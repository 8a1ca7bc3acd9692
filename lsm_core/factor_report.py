"""The factors of a study area, examined: every statistic of choosing factors, as tables and words.

Landslides and as many random places without one, from the whole area: to look at, and to decide on
a recipe. A run chooses on its own training places (`selection.choose_factors`); test landslides are
seen here, so nothing chosen by this page may be reported as chosen blindly.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from lsm_core import selection
from lsm_core.errors import RecipeError
from lsm_core.factor_tables import cyclic_of, factor_table, in_terms_of, some_places
from lsm_core.recipe import Selection
from lsm_core.sampling import landslide_places, negatives
from lsm_core.study_area import layer

STRONG = 0.7  # correlation from which pairs are listed
MOST_PAIRS = 3  # of the strongest, where none is strong
NAMES = {
    "vif": "VIF",
    "tolerance": "tolerance",
    "permutation": "accuracy lost",
    "impurity": "impurity share",
    "odds_ratio": "odds ratio per sd",
    "p_value": "p",
    "share": "information",
    "kl": "KL",
    "decision": "decision",
}


class Report(NamedTuple):
    """Tables by name, one row a factor or a pair; the choice; what else there is to say."""

    tables: dict[str, pd.DataFrame]
    choice: selection.Choice
    facts: dict[str, Any]
    not_shared: dict[str, str]


def examine(
    ds: xr.Dataset,
    rng: np.random.Generator,
    *,
    rules: Selection | None = None,
    other: xr.Dataset | None = None,
) -> Report:
    """Every statistic of the factors of a study area, and what the rules make of them.

    Parameters
    ----------
    ds : study area, of a grid or of units. rules : as in a recipe; the defaults without.
    other : an area to hold it against, by factors that both have under one name, kind and unit:
        random places of either, no label looked at.

    Raises
    ------
    SampleError : too few landslides or places. RecipeError : the rules leave no factor, or ask for
        a divergence and there is no other area. AreaError : categories of the two clash.
    """
    rules = rules or Selection()
    if rules.divergence is not None and other is None:
        raise RecipeError("a limit of divergence needs another area: name it with --against")
    places = _labelled_places(ds, rng)
    label = places["label"].to_numpy()
    table, cyclic = factor_table(ds, places), cyclic_of(ds)
    forest = selection.forest_importance(table, label, rng, trees=rules.trees, cyclic=cyclic)
    inflation = selection.vif(table, cyclic=cyclic)
    tables = {
        "pearson": selection.pearson(table, cyclic=cyclic),
        "spearman": selection.spearman(table, cyclic=cyclic),
        "cramers_v": selection.cramers_v(table),
        "vif": inflation.table,
        "importance": forest.table,
        "logistic": selection.univariate_logistic(table, label, cyclic=cyclic),
        "information": selection.mutual_information(table, label, rng, cyclic=cyclic),
    }
    target, not_shared = None, dict[str, str]()
    if other is not None:
        other, shared, not_shared = in_terms_of(ds, other, rules.mapping)
        if not shared:
            raise RecipeError(
                f"{_name(other)} shares no factor with {_name(ds)}, by name and units: {not_shared}"
            )
        n = selection.MOST_PLACES
        target = factor_table(other, some_places(other, n, rng), shared)
        own = factor_table(ds, some_places(ds, n, rng), shared)
        angles = [name for name in cyclic if name in shared]
        tables["divergence"] = selection.divergence(own, target, cyclic=angles)
    choice = _choice(table, label, rules, rng, cyclic, target, not_shared, other)
    facts = {
        "area": _name(ds),
        "landslides": int(label.sum()),
        "places_without": int((label == 0).sum()),
        "rows_left_out": forest.left_out,
        "oob_accuracy": forest.oob_accuracy,
        "oob_auc": forest.oob_auc,
    }
    if other is not None:
        facts["against"] = _name(other)
    return Report(tables, choice, facts, not_shared)


def first_look(
    ds: xr.Dataset, rng: np.random.Generator, rules: Selection | None = None
) -> dict[str, Any]:
    """What needs no forest, on the places of `examine`: seconds in place of minutes.

    Returns
    -------
    Plain values: facts, `tables` (pearson, cramers_v, vif, logistic), and `so_far`, what the rules
    already see of each factor in words. Which one of a pair goes, the forest has to say.
    """
    rules = rules or Selection()
    places = _labelled_places(ds, rng)
    label = places["label"].to_numpy()
    table, cyclic = factor_table(ds, places), cyclic_of(ds)
    tables = {
        "pearson": selection.pearson(table, cyclic=cyclic),
        "cramers_v": selection.cramers_v(table),
        "vif": selection.vif(table, cyclic=cyclic).table,
        "logistic": selection.univariate_logistic(table, label, cyclic=cyclic),
    }
    return {
        "area": _name(ds),
        "landslides": int(label.sum()),
        "places_without": int((label == 0).sum()),
        "so_far": {n: _so_far(n, tables, rules) for n in map(str, table)},
        "tables": {
            name: _records(found.rename_axis("factor").reset_index())
            for name, found in tables.items()
        },
    }


def _so_far(name: str, tables: dict[str, pd.DataFrame], rules: Selection) -> str:
    said = []
    if name in tables["vif"].index:
        inflation, limit = float(tables["vif"]["vif"][name]), rules.vif
        above = limit is not None and inflation > limit
        said.append(f"VIF {inflation:.3g}" + (f", above {limit:g}" if above else ""))
    limits = {"pearson": ("|r|", rules.pearson), "cramers_v": ("V", rules.cramers_v)}
    for measure, (sign, limit) in limits.items():
        matrix = tables[measure]
        others = matrix[name].drop(name).abs().dropna() if name in matrix else pd.Series()
        if len(others):
            above = limit is not None and others.max() > limit
            said.append(
                f"{sign} {others.max():.2f} with {others.idxmax()}"
                + (f", above {limit:g}" if above else "")
            )
    return "; ".join(said) or "a single value"


def factor_rows(report: Report) -> pd.DataFrame:
    """One row a factor, in order of importance: the numbers that a person decides by."""
    tables = report.tables
    made = tables["importance"][["permutation", "impurity"]]
    made = made.join(tables["vif"][["vif", "tolerance"]])
    made = made.join(tables["logistic"][["odds_ratio", "p_value"]])
    made = made.join(tables["information"][["share"]])
    if "divergence" in tables:
        made = made.join(tables["divergence"][["kl"]])
    made["decision"] = ["kept" if n in report.choice.kept else "dropped" for n in made.index]
    return made


def pair_rows(report: Report) -> pd.DataFrame:
    """Pairs at or above 0.7 in Pearson's r, Spearman's rho or Cramér's V; else the strongest."""
    rows = []
    for name, what in (("pearson", "r"), ("spearman", "rho"), ("cramers_v", "V")):
        pairs = selection.pairs_above(report.tables[name], 0.0)
        strong = pairs[pairs["value"].abs() >= STRONG]
        rows.append((strong if len(strong) else pairs[:MOST_PAIRS]).assign(measure=what))
    return pd.concat(rows, ignore_index=True)[["measure", "first", "second", "value"]]


def in_words(report: Report) -> str:
    """The report as the command line prints it."""
    f = report.facts
    head = (
        f"{f['area']}: {f['landslides']:,} landslides and {f['places_without']:,} random places "
        f"without; {f['rows_left_out']:,} lack a value and do not count in VIF and forest"
    )
    forest = (
        f"forest, out of bag: accuracy {f['oob_accuracy']:.3f}, AUC {f['oob_auc']:.3f} "
        "(near places help each other: spatial test places score lower)"
    )
    rows = factor_rows(report).rename(columns=NAMES)
    pairs = pair_rows(report).to_string(index=False, float_format="{:.2f}".format)
    parts = [head, forest, rows.to_string(float_format="{:.3g}".format, na_rep="")]
    parts += ["", "strongest pairs (aspect as cosine and sine, so without a sign)", pairs]
    if "against" in f:
        parts += ["", *_against_words(report)]
    kept = report.choice.kept
    parts += ["", f"the rules keep {len(kept)} of {len(rows)}: {', '.join(kept)}"]
    return "\n".join(parts + [f"  {name} {why}" for name, why in report.choice.dropped.items()])


def to_json(report: Report) -> dict[str, Any]:
    """Plain values; what is not defined, or infinite, is null."""
    tables = {name: _records(table) for name, table in with_names(report).items()}
    return {
        **report.facts,
        "kept": list(report.choice.kept),
        "dropped": report.choice.dropped,
        "not_shared": report.not_shared,
        "tables": tables,
    }


def with_names(report: Report) -> dict[str, pd.DataFrame]:
    """All tables with the factor's name as a column, as they go to CSV files."""
    tables = {n: t.rename_axis("factor").reset_index() for n, t in report.tables.items()}
    why = report.choice.dropped | dict.fromkeys(report.choice.kept, "kept")
    tables["decision"] = pd.DataFrame({"factor": list(why), "decision": list(why.values())})
    return tables


# ------------------------------------------------------------------------------------- behind


def _labelled_places(ds: xr.Dataset, rng: np.random.Generator) -> pd.DataFrame:
    """All landslides, and as many places without one, or all there are."""
    slides = landslide_places(ds)
    free = int((layer(ds, "valid").astype(bool) & (layer(ds, "landslide") == 0)).sum())
    drawn = negatives(ds, "random", min(len(slides), free), rng)
    return pd.concat([slides, drawn], ignore_index=True)


def _choice(
    table: pd.DataFrame,
    label: np.ndarray,
    rules: Selection,
    rng: np.random.Generator,
    cyclic: list[str],
    target: pd.DataFrame | None,
    not_shared: dict[str, str],
    other: xr.Dataset | None,
) -> selection.Choice:
    """As a run would choose; what the other area lacks, or has in other units, goes first."""
    lacking = {n: f"dropped: {w}" for n, w in not_shared.items() if n not in rules.always}
    left = table.drop(columns=list(lacking))
    choice = selection.keep_factors(
        left,
        label,
        rules,
        rng,
        cyclic=[name for name in cyclic if name in left],
        target=target,
        target_name="" if other is None else _name(other),
    )
    return choice._replace(dropped=lacking | choice.dropped)


def _name(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("name", "area"))


def _against_words(report: Report) -> list[str]:
    where = report.facts["against"]
    names = {"kl": "KL", "kl_back": "KL back", "source_typical": "median here"}
    names |= {"target_typical": f"median in {where}"}
    shown = report.tables["divergence"].rename(columns=names)
    return [
        f"KL: from random places here to random places of {where}, in nats, 20 shared bins",
        shown.to_string(float_format="{:.2f}".format),
    ]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna() & ~table.isin([np.inf, -np.inf]), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]
