"""A study of transfer on disk: its tables and figures, where the Transfer page finds them."""

from pathlib import Path

import pandas as pd

from lsm_core import figures, learning_curves, transfer_figures
from lsm_core.learning_curves import Study
from lsm_core.run_files import write_json, write_table, write_text


def save_tables(to: Path, rows: pd.DataFrame, study: Study) -> None:
    """What is known so far: `runs.csv`, `learning_curves.csv`, and `study.json`, what it is about.

    `rows` are those of `learning_curves.carry_out`, all or the first of them. The Transfer page
    lists what lies in `studies` of the workspace.
    """
    recipe = study.recipe
    about = {"source": study.source, "target": study.target, "recipe": recipe.title or recipe.name}
    to.mkdir(parents=True, exist_ok=True)
    write_table(to / "runs.csv", rows)
    write_table(to / "learning_curves.csv", learning_curves.summary(rows))
    write_json(to / "study.json", about | {"protocol": recipe.protocol, "draws": study.draws})


def save_study(to: Path, rows: pd.DataFrame, study: Study) -> None:
    """Tables, what is gained over each other way, and a figure a metric as page and picture."""
    save_tables(to, rows, study)
    for than in ("scratch", "direct", "pooled"):
        gained = learning_curves.gains(rows, than)
        if len(gained):
            write_table(to / f"gains_over_{than}.csv", gained)
    table = learning_curves.summary(rows)
    if table["labels"].notna().any():
        for metric in learning_curves.METRICS:
            name = transfer_figures.NAMES[metric]
            title = f"{study.source} to {study.target}: {name} by target labels"
            drawn = transfer_figures.learning_curves_of(table, metric, title)
            write_text(to / f"{metric}.html", figures.page_of(drawn, title))
            transfer_figures.save_png(drawn, to / f"{metric}.png")
