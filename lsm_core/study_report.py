"""A study in words and pictures: the tables a paper prints, and the figures beside them."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lsm_core.runs import write_table, write_text
from lsm_core.studies import Study

TITLES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "specificity": "specificity",
    "recall": "sensitivity",
    "f1": "F1",
    "kappa": "kappa",
    "miou": "mIoU",
    "mse": "MSE",
    "ap": "AP",
    "auc": "AUC",
}
CUTS = {"equal 0.2": "equal intervals of 0.2", "natural": "natural breaks"}


def terms_of(study: Study) -> str:
    """On what the numbers of a study were had: area, protocol, split, test places, size."""
    first = next(iter(study.runs.values()))[0]
    metrics = first.metrics
    return (
        f"{first.area['name']}, {metrics['protocol']} protocol, {first.recipe.method} split, "
        f"{metrics['n']:,} test places, prevalence {metrics['scores']['prevalence']:.2f}, "
        f"size {first.recipe.size}"
    )


def study_in_words(study: Study, tables: Mapping[str, pd.DataFrame], draws: int) -> str:
    """The tables of `studies.tables` as text; every one says its protocol."""
    terms = terms_of(study)
    parts = [_scores(tables["scores"], terms, draws), _overlap(study)]
    if len(tables["spread"]):
        spread = tables["spread"].set_index("variant").rename_axis(None)
        title = f"How maps are spread ({terms}; shares of cells or landslides; density per cell)"
        parts.append(f"{title}\n{spread.to_string(float_format='{:.4f}'.format)}")
    for breaks, words in CUTS.items():
        parts += _zones(tables["zones"], breaks, f"{words}, {terms}")
    if len(tables["mcnemar"]):
        shown = tables["mcnemar"].to_string(index=False, float_format=_p)
        title = f"McNemar at threshold 0.5, first seed, p adjusted by Holm ({terms})"
        parts.append(f"{title}\n{shown}\nPlaces are taken as independent: p is too small.")
    return "\n\n".join(part for part in parts if part)


def _scores(table: pd.DataFrame, terms: str, draws: int) -> str:
    """One block of the means, one of the limits, one of the spread over seeds."""
    shown = pd.DataFrame({"seeds": table["seeds"]})
    for name, title in TITLES.items():
        shown[title] = table[name].map("{:.3f}".format)
    for name in ("f1", "kappa", "miou", "ap", "auc"):
        if table[f"{name} low"].notna().all():
            ends = zip(table[f"{name} low"], table[f"{name} high"], strict=True)
            shown[f"{TITLES[name]} 95%"] = [f"{low:.3f} to {high:.3f}" for low, high in ends]
        if table[f"{name} sd"].notna().any():
            shown[f"{TITLES[name]} sd"] = table[f"{name} sd"].map("{:.3f}".format)
    shown.index = pd.Index(table["variant"], name="")
    title = (
        f"Scores ({terms}; threshold 0.5; mean over seeds, sd over seeds, limits by {draws:,} "
        "bootstrap samples of whole blocks)"
    )
    return f"{title}\n{shown.to_string()}"


def _overlap(study: Study) -> str:
    share = {
        name: max(run.metrics["overlap"]["share"] for run in some)
        for name, some in study.runs.items()
    }
    if not any(share.values()):
        return "leakage: no test window overlaps a training window"
    words = ", ".join(f"{name} {100 * value:.1f}%" for name, value in share.items())
    return f"leakage, test windows that overlap training windows: {words}"


def _zones(zones: pd.DataFrame, breaks: str, terms: str) -> list[str]:
    """Share of cells, of landslides and density by class, one table for each ground."""
    if zones.empty:
        return []
    parts = []
    for where, some in zones[zones["breaks"] == breaks].groupby("where", sort=False):
        rows = {}
        for name, own in some.groupby("variant", sort=False):
            own = own.sort_values("zone")
            for measure in ("share_of_cells", "share_of_landslides", "density"):
                rows[name, measure.replace("_", " ") + " %"] = (100 * own[measure]).tolist()
        columns = [f"zone {k}" for k in range(1, len(next(iter(rows.values()))) + 1)]
        table = pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows), columns)
        parts.append(f"Zones by {terms}, {where}\n{table.to_string(float_format='{:.2f}'.format)}")
    return parts


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def write_study(folder: Path, study: Study, tables: Mapping[str, pd.DataFrame], words: str) -> None:
    """`study.txt`, a CSV a table, and `study.html` with the figures, into a folder."""
    from lsm_core import figures, study_figures  # heavy, and not needed by what is only said

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "study.txt", words + "\n")
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table)
    page = figures.page_of(study_figures.study_page(study, tables["scores"]), "study")
    write_text(folder / "study.html", page)
