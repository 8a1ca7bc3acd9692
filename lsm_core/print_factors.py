"""Printed figures of what a run's factors say: their importance and their correlation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lsm_core import selection
from lsm_core.errors import RunError
from lsm_core.factor_tables import cyclic_of, factor_table
from lsm_core.plot_style import RUN_COLOURS
from lsm_core.print_style import Look, blank, in_lines, name_of, words_of
from lsm_core.run_files import read_json
from lsm_core.runs import Run
from lsm_core.study_area import factors, open_area

SIGNED = "PuOr_r"  # diverging, colour-blind safe
TREES = 300  # of the forest asked where the run was not explained


def importance_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Bars of importance with 95 % intervals, a panel a run that `lsm explain` explained.

    There it is the fall of average precision at test places when a factor is shuffled. Of other
    runs it is the accuracy that a random forest loses out of bag on their training places: what the
    factors say, not what a model leans on. Runs that learnt from the same places share its panel.
    """
    if not runs:
        raise RunError("no importance to draw: name at least one run")
    words = words_of(look.language)
    panels = _panels(runs, words)
    rows = max(len(panel.table) for panel in panels)
    columns = min(len(panels), 1 if look.width_mm < 120 else 2)
    lines = -(-len(panels) // columns)
    figure = blank(look, lines * (1.7 * look.em * rows + 7 * look.em))
    figure.set_layout_engine("constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for i, (title, table, term) in enumerate(panels):
        axes = grid.flat[i]
        names = [name_of(name, words) for name in table.index]
        axes.barh(
            names, table["value"], color=RUN_COLOURS[0],
            xerr=np.abs(table[["below", "above"]].to_numpy().T),
            error_kw={"lw": 0.6, "capsize": 1.5, "ecolor": "#333333"},
        )  # fmt: skip
        axes.axvline(0, color="#333333", lw=0.5)
        axes.grid(False, axis="y")
        letter = f"({chr(ord('a') + i)}) " if len(panels) > 1 else ""
        room = 0.7 * look.width_mm / columns  # names of factors stand beside it
        axes.set_title(in_lines(letter + title, room, look), loc="left")
        axes.set_xlabel(f"{words[term]} (95 %)")
    return figure


def correlation_figure(runs: Sequence[Run], look: Look) -> Figure:
    """Pearson's r of the factors at the first run's training places, below the diagonal."""
    if not runs:
        raise RunError("no correlation to draw: name at least one run")
    words = words_of(look.language)
    matrix = correlation_table(runs[0])
    names = [name_of(str(name), words) for name in matrix]
    n = len(names)
    values = matrix.to_numpy(float).copy()
    values[np.triu_indices(n)] = np.nan
    figure = blank(look, look.width_mm * 0.85)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    shown = axes.imshow(values[1:, :-1], cmap=SIGNED, vmin=-1, vmax=1, aspect="auto")
    small = min(look.size * 0.8, look.width_mm / n / 0.3528 * 0.22)
    for row, col in zip(*np.nonzero(np.isfinite(values)), strict=True):
        colour = "white" if abs(values[row, col]) > 0.7 else "black"
        number = f"{values[row, col]:.2f}".replace("-", "−")
        axes.text(col, row - 1, number, ha="center", va="center", size=small, color=colour)
    axes.set_xticks(range(n - 1), names[:-1], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n - 1), names[1:])
    axes.grid(False)
    bar = axes.inset_axes((0.55, 0.93, 0.42, 0.04))  # in the corner that holds no pair
    figure.colorbar(shown, cax=bar, orientation="horizontal", label=words["correlation"])
    return figure


def correlation_table(run: Run) -> pd.DataFrame:
    """Pearson's r of a run's factors at its training places; categories take no part.

    Raises
    ------
    RunError : fewer than two such factors.
    """
    table, cyclic, _ = _training_table(run)
    matrix = selection.pearson(table, cyclic=cyclic)
    if len(matrix) < 2:
        raise RunError(f"{run.id} has {len(matrix)} factors with numbers: a correlation needs two")
    return matrix


class Panel(NamedTuple):
    """`table`: value by factor, least first, and how far below and above it reaches; its term."""

    title: str
    table: pd.DataFrame
    term: str


def _panels(runs: Sequence[Run], words: Mapping[str, str]) -> list[Panel]:
    made: list[Panel] = []
    shared: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        if (run.path / "explanation.json").is_file():
            title = f"{run.title}, {words[run.recipe.protocol]}"
            made.append(Panel(title, _explained(run), "fall_of_ap"))
        else:
            shared.setdefault(_learnt_from(run), []).append(run)
    for same in shared.values():
        title = words["forest_on_training"].format(runs=", ".join(run.title for run in same))
        title += f", {words[same[0].recipe.protocol]}"
        made.append(Panel(title, _of_a_forest(same[0]), "accuracy_lost"))
    return made


def _explained(run: Run) -> pd.DataFrame:
    told = pd.DataFrame(read_json(run.path / "explanation.json")["importance"]).set_index("factor")
    made = pd.DataFrame({"value": told["ap_drop"]})
    made["below"], made["above"] = made["value"] - told["ap_low"], told["ap_high"] - made["value"]
    return made.sort_values("value")


def _of_a_forest(run: Run) -> pd.DataFrame:
    table, cyclic, label = _training_table(run)
    rng = np.random.default_rng(run.recipe.seed)
    forest = selection.forest_importance(table, label, rng, trees=TREES, cyclic=cyclic).table
    made = pd.DataFrame({"value": forest["permutation"]})
    made["below"] = made["above"] = 2 * forest["std_error"]
    return made.sort_values("value")


def _learnt_from(run: Run) -> tuple[Any, ...]:
    """Tells runs apart that a forest would be fitted differently for."""
    table, _, label = _training_table(run)
    rows = pd.util.hash_pandas_object(table.assign(label=label), index=False)
    return (run.recipe.protocol, *table.columns, *rows.sort_values())


def _training_table(run: Run) -> tuple[pd.DataFrame, list[str], Any]:
    """Factors at the run's labelled training places, which are angles, and the labels."""
    ds = open_area(run.area_path)
    known = factors(ds)
    used = [factor["name"] for factor in run.encoder["factors"] if factor["name"] in known]
    places = run.samples
    places = places[(places["split"] == "train") & (places["label"] >= 0)]
    if not used or places.empty:
        raise RunError(f"{run.id} learnt from no factor, or its training places are not stored")
    table = factor_table(ds, places, used)
    return table, [n for n in cyclic_of(ds) if n in used], places["label"].to_numpy()
