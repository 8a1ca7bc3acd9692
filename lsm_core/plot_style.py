"""How figures look: colours, dashes, letters, frames, and what titles and legends say.

Colours are safe for the colour-blind (Okabe and Ito), and lines differ in dash too.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from lsm_core.runs import Run

RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dashed", "dotdash", "dotted")
OVER_IT = {"legend_position": "top", "legend_offset": (0, 4)}  # of the legend; pixels
SIZES = {"title": "10.5pt", "labels": "10pt", "ticks": "9pt", "legend": "9pt"}


def labels_of(runs: Sequence[Run]) -> list[str]:
    """A label a run: title and protocol, and what tells it from others of the same."""
    return told_apart([f"{run.title} ({run.recipe.protocol})" for run in runs], runs)


def told_apart(labels: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Labels, each the only one: where two are the same with what tells their runs apart.

    That is the recipe's name, else the model, else seed and fold, else the folder.
    """
    more = (
        [""] * len(runs),
        [run.recipe.name for run in runs],
        [run.recipe.model.name for run in runs],
        [_repeat(run) for run in runs],
        [f"{run.recipe.name}, {_repeat(run)}" for run in runs],
    )
    tried = [[", ".join(filter(None, pair)) for pair in zip(labels, m, strict=True)] for m in more]
    folders = [f"{label}, {run.id}" for label, run in zip(labels, runs, strict=True)]
    return [
        next((some[i] for some in tried if some.count(some[i]) == 1), folders[i])
        for i in range(len(runs))
    ]


def _repeat(run: Run) -> str:
    split = run.recipe.split
    return f"seed {run.recipe.seed}" + (f", fold {split.fold}" if split.folds else "")


def title_of(runs: Sequence[Run], what: str) -> str:
    """What is drawn, and below it: area, protocol, test places and their overlap with training.

    Where runs differ in one of these, the title lists both; of more overlaps it says the ends.
    """
    areas = listed(run.area["name"] for run in runs)
    protocols = listed(run.recipe.protocol for run in runs)
    places = listed(f"{run.metrics['n']:,}" for run in runs)
    shares = [run.metrics["overlap"]["share"] for run in runs]
    overlap = listed(f"{share:.1%}" for share in shares)
    if overlap.count("/") > 1:
        overlap = f"{min(shares):.1%} to {max(shares):.1%}"
    where = f"{areas}, {protocols} protocol, {places} test places"
    return f"{what}\n{where}\n{overlap} of them overlap training"


def listed(values: Iterable[Any]) -> str:
    """Different values, each once, in their order."""
    return " / ".join(dict.fromkeys(str(value) for value in values))


def line_style(i: int) -> dict[str, Any]:
    """Colour and dash of the i-th line of a plot."""
    return {
        "color": RUN_COLOURS[i % len(RUN_COLOURS)],
        "line_dash": DASHES[i % len(DASHES)],
        "line_width": 2,
    }


def frame(above: bool = False) -> dict[str, Any]:
    """Options of a plot: as wide as there is room, letters as everywhere, no logo.

    With `above`, its legend is a row over it.
    """
    place = OVER_IT if above else {}
    return place | {
        "responsive": True,
        "min_width": 300,
        "height": 360,
        "fontsize": SIZES,
        "show_grid": True,
        "gridstyle": {"grid_line_alpha": 0.4},
        "legend_opts": {
            "background_fill_alpha": 0.75,
            "padding": 4,
            "spacing": 14 if above else 0,
            "label_height": 14,
            "glyph_height": 14,
            "label_text_font_size": SIZES["legend"],
        },
        "active_tools": [],
        "hooks": [bare],
    }


def bare(plot: Any, element: Any) -> None:
    """No logo; and a plot of fixed frame takes what room it needs: to Bokeh, no sizing mode."""
    plot.state.toolbar.logo = None
    if plot.state.sizing_mode == "fixed":
        plot.state.sizing_mode = None
