"""Learning curves of transfer: a study started from the page, and those that are in the workspace.

A study is many runs; it goes on where it was stopped. What is known so far is drawn.
"""

import time
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.errand_view import ErrandView
from lsm_app.layout import beside, heading, note, or_words
from lsm_app.session import Session, html_table, said
from lsm_core import errands
from lsm_core.errors import LsmError, RecipeError
from lsm_core.run_files import read_json
from lsm_core.runs import open_run, runs_folder
from lsm_core.study_area import workspace
from lsm_core.transfer_figures import NAMES, learning_curves_of

ABOUT = (
    "How much is gained with how many target labels: every point is a mean of runs on the same "
    "test places over draws, each with other labels; bands are 95% intervals of that mean. A study "
    "of the defaults is some thirty runs."
)
HOWS = ["direct", "self", "inductive", "pooled", "scratch"]
FILE = "learning_curves.csv"


class LearningView:
    """Studies of the workspace; `look` draws what came in."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.labels = pmui.TextInput(label="Target labels, by comma", value="10,30,100", width=220)
        self.draws = pmui.Select(label="Draws", options=list(range(1, 21)), value=3, width=130)
        self.hows = pmui.MultiChoice(
            label="Ways", options=HOWS, value=["direct", "inductive", "scratch"], width=380
        )
        self.start = pmui.Button(label="Start the study", variant="contained")
        self.start.on_click(self.begin)
        self.told = pn.Column(sizing_mode="stretch_width")
        self.choice = pmui.Select(label="Study", options=[], width=380)
        self.metric = pmui.Select(
            label="Score", options={v: k for k, v in NAMES.items()}, value="roc_auc", width=160
        )
        self.body = pn.Column(sizing_mode="stretch_width")
        self.errand: ErrandView | None = None
        self.seen: Any = None
        for part in (self.choice, self.metric):
            part.param.watch(lambda _: self.draw(), "value")
        row = {"gap": "8px", "align_items": "center"}
        self.view = pn.Column(
            heading("Learning curves"), note(ABOUT),
            pn.FlexBox(self.labels, self.draws, self.hows, self.start, **row), self.told,
            pn.FlexBox(self.choice, self.metric, **row), self.body,
            sizing_mode="stretch_width",
        )  # fmt: skip

    def begin(self, *_: Any) -> None:
        """Start `lsm transfer study` with the recipe of the source run."""
        try:
            if not (self.session.source and self.session.target):
                raise RecipeError("choose a source run and a target area first")
            source = open_run(runs_folder() / self.session.source)
            here, there = source.area["name"], self.session.target
            folder = studies() / f"{source.recipe.name}-{here}-{there}-{time.strftime('%H%M%S')}"
            arguments = ["transfer", "study", str(source.path / "recipe.json")]
            arguments += ["--source", here, "--area", there, "--labels", self.labels.value]
            arguments += ["--draws", str(self.draws.value or 1), "--how", ",".join(self.hows.value)]
            arguments += ["--to", str(folder)]
            title = f"learning curves from {here} to {there}"
            steps = self._steps()
            self.errand = ErrandView(errands.start(arguments, title, title, steps))
            self.told[:] = [self.errand.view]
        except LsmError as error:
            self.told[:] = [said(error)]

    def _steps(self) -> int:
        """Lines the study says: one a run on the target."""
        free = sum(how in ("direct", "self") for how in self.hows.value)
        with_labels = len(self.hows.value) - free
        return (self.draws.value or 1) * (
            free + with_labels * len([n for n in self.labels.value.split(",") if n.strip()])
        )

    def look(self) -> None:
        """Studies as they are now."""
        if self.errand is None:
            going = [e for e in errands.errands() if e.about["title"].startswith("learning curves")]
            if going and going[0].state == "running":
                self.errand = ErrandView(going[0])
                self.told[:] = [self.errand.view]
        if self.errand is not None:
            self.errand.look()
        names = {path.parent.name: path for path in studies().glob(f"*/{FILE}")}
        newest = sorted(names, key=lambda name: names[name].stat().st_mtime, reverse=True)
        if list(self.choice.options) != newest:
            self.choice.options = newest
            if self.choice.value not in newest:
                self.choice.value = newest[0] if newest else None
        if not newest and not len(self.body):
            self.body[:] = [note("No study yet: start one above.")]
        elif self.choice.value in names:
            now = (self.choice.value, names[self.choice.value].stat().st_mtime)
            if now != self.seen:
                self.seen = now
                self.draw()

    def draw(self) -> None:
        """Curves, and the table behind them, of the chosen study."""
        if self.choice.value:
            path = studies() / self.choice.value
            self.body[:] = [or_words(lambda: drawn(path, self.metric.value))]


def drawn(path: Path, metric: str) -> pn.Column:
    """Curves of a study's folder and their table, with the protocol they were judged by."""
    table = pd.read_csv(path / FILE)
    about = read_json(path / "study.json") if (path / "study.json").is_file() else {}
    if about:
        title = f"{about['recipe']}, {about['source']} to {about['target']} ({about['protocol']})"
    else:
        title = f"{path.name} (protocol {_protocol(path)})"
    parts: list[Any] = []
    if table["labels"].notna().any():
        parts.append(beside(learning_curves_of(table, metric, title)))
    gained = path / "gains_over_scratch.csv"
    parts += [html_table(_styled(table)), *(_gains(gained) if gained.is_file() else [])]
    return pn.Column(*parts, sizing_mode="stretch_width")


def _protocol(path: Path) -> str:
    """Of the runs that a study of an older version was made of, where they are still there."""
    try:
        first = pd.read_csv(path / "runs.csv")["run"].iloc[0]
        return str(open_run(first).recipe.protocol)
    except (LsmError, OSError, KeyError, IndexError):
        return "not recorded"


def _styled(table: pd.DataFrame) -> Any:
    shown = pd.DataFrame({"way": table["how"]})
    shown["source places"] = [
        _count(v, h == "scratch") for v, h in zip(table["scale"], table["how"], strict=True)
    ]
    free = table["how"].isin(["direct", "self"])
    shown["target labels"] = [
        _count(v, none) for v, none in zip(table["labels"], free, strict=True)
    ]
    shown["draws"] = table["draws"]
    for metric, name in NAMES.items():
        low, high = table[f"{metric} low"], table[f"{metric} high"]
        shown[name] = [
            f"{m:.3f}" if pd.isna(a) else f"{m:.3f} ({a:.3f} to {b:.3f})"
            for m, a, b in zip(table[metric], low, high, strict=True)
        ]
    return shown.style.hide(axis="index").format(escape="html")


def _gains(path: Path) -> list[Any]:
    table = pd.read_csv(path)
    lines = [
        f"{_count(row['labels'], False)} labels: AUC {row['roc_auc']:+.3f} "
        f"({row['roc_auc low']:+.3f} to {row['roc_auc high']:+.3f})"
        for row in table.to_dict("records")
    ]
    how = table["how"].iloc[0] if len(table) else "inductive"
    return [note(f"{escape(str(how))} against scratch, draw by draw: {'; '.join(lines)}.")]


def _count(value: Any, none: bool) -> str:
    return "none" if none else "all" if pd.isna(value) else f"{int(value):,}"


def studies() -> Path:
    """Where studies live: `studies` in the workspace."""
    return workspace() / "studies"
