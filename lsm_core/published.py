"""What the papers print, and a run's own numbers beside it, each row with its protocol.

The numbers lie in `publication/papers.yaml`, by the name of the recipe that does the same here.
They were had on other ground, and mostly on a random split: a table of both says what each paper's
table looks like here, and never which of the two is better.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd
import yaml

from lsm_core.catalog import did_you_mean, shipped
from lsm_core.errors import RecipeError
from lsm_core.study_report import TITLES

MEASURES = ("share_of_cells", "share_of_landslides", "density")


@cache
def papers() -> dict[str, dict[str, Any]]:
    """All that is told of the papers, by recipe."""
    text = (shipped("publication") / "papers.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def source(recipe: str) -> str:
    """Where a paper's numbers come from, and on what terms they were had, in a line.

    >>> source("deep_transfer")
    'Gondwana Research 2022, 10.1016/j.gr.2022.07.008 (abstract), Hong Kong; what the gain is over \
is not said'
    """
    of = _paper(recipe)
    return f"{of['paper']}, {of['area']}; {of['terms']}"


def scores(recipe: str) -> pd.DataFrame:
    """The table of scores of the paper behind a recipe: a row a variant, NaN where none is given.

    >>> scores("lsgh_net").loc["cnn", ["accuracy", "ap"]].tolist()
    [0.9367, 0.9801]
    """
    table = _part(recipe, "scores")
    return pd.DataFrame.from_dict(
        table["rows"], orient="index", columns=table["columns"], dtype=float
    )


def scores_beside(recipe: str, ours: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The paper's scores with ours below each row.

    Parameters
    ----------
    recipe : whose paper. ours : tables of `studies.score_table`, by the terms they were had on.

    Returns
    -------
    Indexed by variant and terms, the paper's first; its columns, by their usual names, and AP and
    AUC of ours. Variants that the paper has not stand below.
    """
    paper = scores(recipe)
    theirs = f"published: {_paper(recipe)['area']}"
    columns = list(dict.fromkeys([*paper, "ap", "auc"]))
    rows: dict[tuple[str, str], pd.Series] = {}
    own = {terms: table.set_index("variant") for terms, table in ours.items()}
    for variant in dict.fromkeys([*paper.index, *(v for t in own.values() for v in t.index)]):
        if variant in paper.index:
            rows[variant, theirs] = paper.loc[variant]
        for terms, table in own.items():
            if variant in table.index:
                rows[variant, terms] = table.loc[variant]
    table = pd.DataFrame(list(rows.values()), index=_index(rows)).reindex(columns=columns)
    return table.astype(float).rename(columns=TITLES)


def zones_beside(
    recipe: str, ours: Mapping[str, pd.DataFrame], *, breaks: str = "equal 0.2"
) -> pd.DataFrame:
    """The paper's zoning tables with ours below, in per cent: a row a measure, a column a zone.

    `ours` : tables of `studies.zone_table`, by their terms; the whole map counts. Densities are
    landslides in 100 cells, and of two areas say as much of their cells as of their models.
    """
    theirs = f"published: {_paper(recipe)['area']}"
    rows: dict[tuple[str, str, str], list[float]] = {}
    for variant, measures in _part(recipe, "zones").items():
        shown = [name for name in MEASURES if name in measures]
        for name in shown:
            rows[variant, name, theirs] = [100 * value for value in measures[name]]
            for terms, table in ours.items():
                own = _zones_of(table, variant, breaks)
                if len(own):
                    rows[variant, name, terms] = (100 * own[name]).tolist()
    zones = [f"zone {k}" for k in range(1, len(next(iter(rows.values()))) + 1)]
    return pd.DataFrame(list(rows.values()), _index(rows), zones)


def mcnemar_beside(recipe: str, ours: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """McNemar's tests of the paper with ours below: chi-squared and p (of ours, Holm's too)."""
    theirs = f"published: {_paper(recipe)['area']}"
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for against, (statistic, p) in _part(recipe, "mcnemar").items():
        rows[against, theirs] = {"chi-squared": statistic, "p": p}
        for terms, table in ours.items():
            for row in table[table["against"] == against].to_dict("records"):
                found = {"chi-squared": row["statistic"], "p": row["p_value"]}
                rows[against, terms] = found | {"p (Holm)": row["holm"]}
    return pd.DataFrame(list(rows.values()), _index(rows))


# ------------------------------------------------------------------------------------- behind


def _paper(recipe: str) -> dict[str, Any]:
    known = papers()
    if recipe not in known:
        raise RecipeError(
            f"no published numbers for {recipe!r}; {did_you_mean(recipe, sorted(known))}"
        )
    return known[recipe]


def _part(recipe: str, name: str) -> Any:
    found = _paper(recipe)
    if name not in found:
        raise RecipeError(f"the paper behind {recipe} prints no {name} that we have")
    return found[name]


def _index(rows: Mapping[Any, Any]) -> pd.MultiIndex:
    names = ["variant", "measure", "protocol"] if len(next(iter(rows))) == 3 else None
    return pd.MultiIndex.from_tuples(list(rows), names=names or ["variant", "protocol"])


def _zones_of(table: pd.DataFrame, variant: str, breaks: str) -> pd.DataFrame:
    if table.empty:
        return table
    own = (table["variant"] == variant) & (table["breaks"] == breaks)
    return table[own & (table["where"] == "whole map")].sort_values("zone")
