"""Scores of runs judged on the same places, and whether they differ by more than chance.

The table is there at once; what takes bootstrap samples (intervals, ranks, tests) is computed once
for all visitors and joins it later.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import note
from lsm_app.session import html_table, remember
from lsm_core import figures
from lsm_core.comparison_report import INDEPENDENT, differences_in_words
from lsm_core.report import model_in_words
from lsm_core.runs import SCORE_COLUMNS, Run, compare

DRAWS = 300  # bootstrap samples for the intervals shown; `lsm compare` takes more
MOST_JUDGED = 64  # comparisons kept in memory: tables of a few rows
SCORES = (
    "Judged on test places with hard labels, for the landslide class; accuracy, precision, "
    "specificity, sensitivity and F1 at threshold 0.5 and above. AP and AUC need no threshold; "
    "prevalence is the AP of a model that knows nothing. Overlap is the share of test windows that "
    "overlap a training one. Best of each column in bold. Intervals (95%) come from drawing whole "
    "blocks of test places; a rank changes only where the interval of a difference leaves 0 out. "
    "Models that know one thing only (null models) stand below: what does not beat them has learnt "
    "little."
)
TESTS = (
    f"Differences with 95% intervals of {DRAWS} bootstrap samples of whole blocks; p-values of all "
    f"tests adjusted by Holm over the pairs. {INDEPENDENT} Wilcoxon's test needs runs of several "
    "seeds or folds."
)
ONE = "One model has nothing to differ from: choose another run judged on the same test places."
LATER = "…"  # where an interval will stand
HEADS = {"f1": "F1", "miou": "mIoU", "mse": "MSE", "ap": "AP", "auc": "AUC"}


class ScoreTable:
    """The papers' score table with the leakage below; `judge` adds what takes bootstrap samples."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.known = _judged.peek(runs)
        first = self.known or compare(list(runs))
        self.table = html_table(_styled(runs, first))
        self.view = pn.Column(
            self.table,
            _leakage(first["scores"].assign(run=figures.labels_of(runs))),
            _made_of(runs),
            note(SCORES),
            sizing_mode="stretch_width",
        )

    def judge(self) -> dict[str, pd.DataFrame]:
        """All tables of the comparison; intervals and ranks join the scores."""
        tables = _judged(self.runs)
        if self.known is None:
            self.table.object = _styled(self.runs, tables)
        self.known = tables
        return tables

    def tests(self) -> pn.Column:
        """Every pair of models: differences, p-values, and what they say in words."""
        pairs = self.judge()["pairs"]
        if pairs.empty:
            return pn.Column(note(ONE), sizing_mode="stretch_width")
        shown = differences_in_words(pairs)
        styled = shown.style.hide(axis="index").format(escape="html", na_rep="–")
        return pn.Column(html_table(styled), note(TESTS), sizing_mode="stretch_width")


class _Judged:
    """Tables with bootstrap samples, by the folders and times of the runs compared."""

    def __call__(self, runs: Sequence[Run]) -> dict[str, pd.DataFrame]:
        make = lambda: compare(list(runs), draws=DRAWS)  # noqa: E731
        return remember(self._key(runs), make, "judged", MOST_JUDGED)

    def peek(self, runs: Sequence[Run]) -> dict[str, pd.DataFrame] | None:
        """The tables where they are there already."""
        return pn.state.cache.get("lsm judged", {}).get(self._key(runs))

    def _key(self, runs: Sequence[Run]) -> tuple[Any, ...]:
        files = [run.path / name for run in runs for name in ("metrics.json", "scores.parquet")]
        return tuple((str(file), file.stat().st_mtime_ns if file.exists() else 0) for file in files)


_judged = _Judged()


def _styled(runs: Sequence[Run], tables: dict[str, pd.DataFrame]) -> Any:
    table = tables["scores"].assign(run=figures.labels_of(runs))
    table = table.drop(columns=["model", "protocol", "overlap verdict"])
    for name in ("ap", "auc"):
        at = table.columns.get_loc(name) + 1
        table.insert(at, f"{HEADS[name]} 95%", _limits(table, name))
        if len(tables.get("models", ())) == len(table) > 1:
            table[f"{HEADS[name]} rank"] = tables["models"][f"{name} rank"].to_numpy()
    last = len(table) - 1  # below it null models, which do not compete
    table = _with_nulls(table, tables.get("nulls", pd.DataFrame()))
    scores = [*SCORE_COLUMNS, "prevalence", "overlap share"]
    counted = ["test places", *(name for name in table if name.endswith("rank"))]
    high = [name for name in SCORE_COLUMNS if name != "mse"]
    bold = {"props": "font-weight:700"}
    styled = (
        table.style.hide(axis="index")
        .format("{:.3f}", subset=scores, na_rep="–")
        .format("{:,.0f}", subset=counted, na_rep="–")
        .format(escape="html", subset=["run"])
        .format_index(lambda name: HEADS.get(name, name), axis=1)
    )
    if len(runs) > 1:
        styled = styled.highlight_max(subset=pd.IndexSlice[:last, high], **bold)
        styled = styled.highlight_min(subset=pd.IndexSlice[:last, ["mse"]], **bold)
    return styled


def _limits(table: pd.DataFrame, name: str) -> list[str]:
    """Limits in words; dots where they are still being computed."""
    if f"{name} low" not in table:
        return [LATER] * len(table)
    ends = zip(table.pop(f"{name} low"), table.pop(f"{name} high"), strict=True)
    return ["–" if pd.isna(low) else f"{low:.3f} to {high:.3f}" for low, high in ends]


def _with_nulls(table: pd.DataFrame, nulls: pd.DataFrame) -> pd.DataFrame:
    """Null models below the runs: their AP and AUC, and a dash for what they have not."""
    if nulls.empty:
        return table
    below = nulls[["ap", "auc"]].assign(run=nulls["null model"] + " (knows nothing else)")
    whole = pd.concat([table, below], ignore_index=True)
    words = [name for name in whole if name.endswith("95%")]
    whole[words] = whole[words].fillna("–")
    return whole


def _made_of(runs: Sequence[Run]) -> Any:
    """Model, recipe and factors of each run."""
    pairs = zip(figures.labels_of(runs), runs, strict=True)
    return note(
        "<br>".join(
            f"<b>{escape(label)}</b>: {escape(model_in_words(run))}" for label, run in pairs
        )
    )


def _leakage(table: pd.DataFrame) -> pmui.Alert:
    """What the leakage meter says of each run: green where it says of all that they are clean."""
    verdicts = table.groupby("overlap verdict", sort=False)["run"].agg(", ".join)
    clean = all(str(verdict).startswith("clean") for verdict in verdicts.index)
    words = "<br>".join(
        escape(f"Leakage of {names}: {verdict}" if len(verdicts) > 1 else f"Leakage: {verdict}")
        for verdict, names in verdicts.items()
    )
    return pmui.Alert(
        object=words,
        severity="success" if clean else "warning",
        margin=(5, 10),
        sizing_mode="stretch_width",
    )
