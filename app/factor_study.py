"""The factors of an area examined by `lsm factors`, in a process of its own, and what it found.

A forest takes some ten seconds and more, which a server must not spend; what needs none is asked
for first. What was found is kept for all visitors until the area changes.
"""

import json
import threading
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import panel as pn

from lsm_app import aside
from lsm_app.layout import beside, note, or_words, tabs
from lsm_app.session import html_table, remember
from lsm_core.comparison import p_in_words
from lsm_core.errors import LsmError
from lsm_core.factor_figures import correlation_of, divergence_of, importance_of
from lsm_core.legend import number
from lsm_core.study_area import area_path

LONGEST = 600.0  # seconds
FOUND = "factors"  # the shelf of what was found
MOST = 12  # areas and rules whose findings are kept
RULES: dict[str, Any] = {"pearson": 0.7, "vif": 10.0, "divergence": None}
NOTES = {
    "pearson": "Pearson's r of numeric factors at landslides and as many random places; aspect as "
    "cosine and sine, so without a sign. Cramér's V is of categories.",
    "vif": "Variance inflation: how well the other factors together tell this one. Above 10 (SSGAN "
    "paper) or 4 (mining landslides) a factor is said to repeat the others.",
    "importance": "A forest of {trees} trees on {landslides:,} landslides and {without:,} random "
    "places: accuracy lost out of bag when a factor is shuffled, with two standard errors. Out of "
    "bag accuracy {accuracy:.3f}, AUC {auc:.3f}; near places help each other, so spatial test "
    "places score lower.",
    "kl": "Kullback-Leibler divergence (nats) from random places of {here} to those of {there}, no "
    "label looked at: where it is large, a model carried there is asked what it has never seen.",
}
GROWS = "This comes with the forest, once it has grown."
NO_SECOND = "Choose a second area above to see how unlike its factors are."
COLUMNS = {
    "permutation": "accuracy lost", "impurity": "impurity share", "vif": "VIF", "p_value": "p",
    "odds_ratio": "odds ratio per sd", "share": "information", "kl": "KL",
}  # fmt: skip


class Study:
    """What `lsm factors` found on an area; None until it is there.

    `first` is what needs no forest, and comes earlier.
    """

    def __init__(self, area: str, second: str, rules: Mapping[str, Any]) -> None:
        self.key = _key(area, second, rules)
        self.words = ["factors", area, "--json"]
        self.words += ["--against", second] if second else []
        for name, value in rules.items():
            self.words += ["--set", f"{name}={json.dumps(value)}"]
        self.first: dict[str, Any] | None = None
        self.found: dict[str, Any] | None = None
        self.wrong = ""
        self.thread = threading.Thread(target=self._work, daemon=True)

    def started_now(self) -> bool:
        """Begin in another thread; False where it has begun before."""
        if self.thread.ident is not None:
            return False
        self.thread.start()
        return True

    @property
    def busy(self) -> bool:
        return self.thread.is_alive()

    def _work(self) -> None:
        try:
            if self.key not in pn.state.cache.get(f"lsm {FOUND}", {}):
                self.first = remember(("first", *self.key), self._ask_first, FOUND, MOST)
            self.found = remember(self.key, self._ask, FOUND, MOST)
        except LsmError as error:
            self.wrong = str(error)

    def _ask_first(self) -> dict[str, Any]:
        return aside.tell([*self.words, "--quick"], LONGEST)

    def _ask(self) -> dict[str, Any]:
        return aside.tell(self.words, LONGEST)


def _key(area: str, second: str, rules: Mapping[str, Any]) -> tuple[Any, ...]:
    """Areas that were built anew are examined anew."""
    stores = [area_path(name) / "area.zarr" for name in (area, second) if name]
    changed = [(str(s), s.stat().st_mtime_ns if s.is_dir() else 0) for s in stores]
    return (*changed, json.dumps(dict(rules), sort_keys=True))


def table_of(found: Mapping[str, Any], name: str) -> pd.DataFrame:
    """A table of what was found, factors as its rows; what is not defined is NaN."""
    table = pd.DataFrame(found["tables"][name]).set_index("factor").rename_axis(None)
    return table.apply(pd.to_numeric, errors="coerce")


def numbers_of(found: Mapping[str, Any]) -> pd.DataFrame:
    """One row a factor, most important first: the numbers a person decides by, as far as known."""
    kept = {"importance": ["permutation", "impurity"], "logistic": ["odds_ratio", "p_value"]}
    kept |= {"vif": ["vif"], "information": ["share"], "divergence": ["kl"]}
    order = ("importance", "vif", "logistic", "information", "divergence")
    parts = [table_of(found, name)[kept[name]] for name in order if name in found["tables"]]
    made = parts[0].join(parts[1:])
    of_vif = table_of(found, "vif").index
    made.loc[of_vif, "vif"] = made.loc[of_vif, "vif"].fillna(np.inf)  # JSON has no infinity
    return made


def findings(found: Mapping[str, Any], trees: int = 200) -> pn.Tabs:
    """Tables and figures of a study, each made when it is looked at."""
    return tabs(
        {
            "All numbers": lambda: _numbers(found),
            "Pearson": lambda: _noted(NOTES["pearson"], _pearson(found)),
            "VIF": lambda: _noted(NOTES["vif"], html_table(_vif(found))),
            "Importance": lambda: _importance(found, trees),
            "KL beside a second area": lambda: _divergence(found),
        }
    )


# ------------------------------------------------------------------------------------- behind


def _noted(words: str, *parts: Any) -> pn.Column:
    return pn.Column(*parts, note(words), sizing_mode="stretch_width")


def _numbers(found: Mapping[str, Any]) -> pn.Column:
    table = numbers_of(found).rename(columns=COLUMNS).rename_axis("factor").reset_index()
    styled = table.style.hide(axis="index").format(
        number, subset=list(table.columns[1:]), na_rep="–"
    )
    if "p" in table:
        styled.format(p_in_words, subset=["p"], na_rep="–")
    grown = "importance" in found["tables"]
    first = "Most important first. " if grown else "Importance and information come later. "
    return _noted(
        f"{first}Odds ratio and p of a logistic regression on the factor alone; "
        "information is the share of the label's entropy that the factor tells.",
        html_table(styled.format(escape="html", subset=["factor"])),
    )


def _pearson(found: Mapping[str, Any]) -> Any:
    plots: list[Callable[[], Any]] = []
    for name, title in (("pearson", "Pearson's r"), ("cramers_v", "Cramér's V of categories")):
        matrix = _square(found, name)
        if len(matrix) > 1:
            plots.append(lambda m=matrix, t=title: beside(correlation_of(m, t)))
    return pn.FlexBox(*[or_words(plot) for plot in plots], gap="8px")


def _square(found: Mapping[str, Any], name: str) -> pd.DataFrame:
    matrix = table_of(found, name) if found["tables"].get(name) else pd.DataFrame()
    return matrix.reindex(columns=matrix.index)


def _vif(found: Mapping[str, Any]) -> Any:
    table = table_of(found, "vif").sort_values("vif", ascending=False, na_position="first")
    table = table.rename_axis("factor").reset_index()
    table["vif"] = table["vif"].fillna(np.inf)
    shown = table.rename(columns=COLUMNS)[["factor", "VIF", "tolerance"]]
    styled = shown.style.hide(axis="index").format(escape="html", subset=["factor"])
    return styled.format("{:.2f}", subset=["VIF", "tolerance"], na_rep="–")


def _importance(found: Mapping[str, Any], trees: int) -> Any:
    if "importance" not in found["tables"]:
        return note(GROWS)
    table = table_of(found, "importance")
    words = NOTES["importance"].format(
        trees=trees, landslides=found["landslides"], without=found["places_without"],
        accuracy=found["oob_accuracy"], auc=found["oob_auc"],
    )  # fmt: skip
    plots = [importance_of(table, measure=measure) for measure in ("permutation", "impurity")]
    return _noted(words, beside(*plots))


def _divergence(found: Mapping[str, Any]) -> Any:
    if "divergence" not in found["tables"]:
        return note(GROWS if "importance" not in found["tables"] else NO_SECOND)
    table = table_of(found, "divergence")
    words = NOTES["kl"].format(here=escape(found["area"]), there=escape(found["against"]))
    missing = ", ".join(found["not_shared"])
    words += f" Not shared: {escape(missing)}." if missing else ""
    plot = divergence_of(table)
    return _noted(words, or_words(lambda: beside(plot)))
