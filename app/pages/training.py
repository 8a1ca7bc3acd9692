"""Training: how each run is doing, epoch by epoch, and the button that stops it."""

from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.following import Follower, known_runs
from lsm_app.session import Session, html_table, poll, purpose, said
from lsm_core import jobs
from lsm_core.errors import LsmError
from lsm_core.figures import history_of
from lsm_core.runs import ALIVE, Run, open_run, runs_folder

PURPOSE = (
    "Follow the runs: what is being done, how loss and validation scores go, how long it may still "
    "take. A run goes on when this page is closed; stopping keeps its folder."
)
NOTE = (
    "Loss on training and validation places; accuracy at threshold 0.5 and average precision (AP) "
    "on validation places, which are cut from training, never from the test places."
)
SHAPES = {
    "done": "success", "running": "info", "queued": "info", "failed": "error",
    "lost": "error", "stopped": "warning",
}  # fmt: skip


def page(session: Session) -> pn.Column:
    """The page for one session; `session.run` is the run looked at."""
    choice = pmui.Select(label="Run", options=[], sizing_mode="stretch_width")
    body = pn.Column(sizing_mode="stretch_width")
    table = html_table()
    views: dict[str, RunView] = {}
    seen: list[list[tuple[str, str]]] = []  # runs and states at the last look

    def look() -> None:
        if session.page != "Training":
            return
        known = known_runs()
        rows = [(run.id, state) for run, state in known]
        if seen != [rows]:
            seen[:] = [rows]
            table.object = _table(known)
            choice.options = {f"{run.id}: {state}": run.id for run, state in known}
            if known and session.run not in dict(rows):
                session.run = next((i for i, s in rows if s in ALIVE), rows[0][0])
            choice.value = session.run or None
            if not known:
                body[:] = [_nothing()]
        if session.run in views:
            views[session.run].look()

    def show(*_: Any) -> None:
        try:
            views.clear()
            views[session.run] = RunView(open_run(runs_folder() / session.run))
            body[:] = [views[session.run].view]
        except LsmError as error:
            body[:] = [said(error)]

    session.param.watch(show, "run")
    choice.param.watch(lambda event: event.new and session.param.update(run=event.new), "value")
    if session.run:
        show()
    poll(session, look)
    heading = pmui.Typography("All runs, newest first", variant="h6", margin=(14, 10, 0, 10))
    return pn.Column(
        purpose(PURPOSE), choice, body, heading, table, sizing_mode="stretch_width"
    )  # fmt: skip


class RunView:
    """One run on the screen: state, bar, curves and the button; `look` brings it up to date."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.follower = Follower(run.path)
        self.seen = (-1, "")
        self.state = pmui.Alert(object="", margin=(5, 10), sizing_mode="stretch_width")
        self.bar = pmui.LinearProgress(value=0, sizing_mode="stretch_width")
        self.button = pmui.Button(label="Stop this run", color="error", icon="stop")
        self.button.on_click(self.stop)
        self.curves = pn.Column(sizing_mode="stretch_width")
        self.view = pn.Column(
            self.state, self.bar, self.button, self.curves, sizing_mode="stretch_width"
        )
        self.look()

    def look(self) -> None:
        """Read what is new; curves are drawn anew only after an epoch."""
        status, follower = self.run.status, self.follower.look()
        state = status["state"]
        alive = state in ALIVE
        self.state.severity = SHAPES[state]
        self.state.object = escape(_words(state, status["message"], follower))
        self.bar.visible = self.button.visible = alive
        self.bar.variant = "determinate" if follower.percent >= 0 else "indeterminate"
        self.bar.value = follower.percent
        if (len(follower.epochs), state) != self.seen:
            self.seen = (len(follower.epochs), state)
            self.curves[:] = self._drawn()

    def _drawn(self) -> list[Any]:
        if not self.follower.epochs:
            return [pmui.Typography(_no_epochs(self.seen[1]), variant="body2")]
        title = f"{self.run.title}, {self.run.recipe.protocol} protocol"
        plots = history_of(self.follower.epochs, title)
        style = {"flex": "1 1 420px", "min-width": "300px", "max-width": "760px"}
        panes = [
            pn.pane.HoloViews(plot, linked_axes=False, sizing_mode="stretch_width", styles=style)
            for plot in plots
        ]
        note = pmui.Typography(NOTE, variant="caption", sizing_mode="stretch_width")
        return [pn.FlexBox(*panes, sizing_mode="stretch_width"), note]

    def stop(self, *_: Any) -> None:
        """End the run; what the core has to say about it is shown."""
        self.button.loading = True
        try:
            jobs.stop(self.run)
        except LsmError as error:
            self.curves[:] = [said(error)]
        finally:
            self.button.loading = False
        self.look()


def _words(state: str, message: str, follower: Follower) -> str:
    now = follower.words if state == "running" else message
    last = f" Last seen: {follower.words}." if state in ("failed", "lost", "stopped") else ""
    return f"{state.capitalize()}{': ' if now else '.'}{now}{last}"


def _no_epochs(state: str) -> str:
    if state == "done":
        return "This model is fitted in one go: it has no epochs to draw."
    return "No epoch has been finished yet."


def _nothing() -> pmui.Alert:
    words = (
        f"There are no runs in {escape(str(runs_folder()))} yet. `lsm demo` trains three models "
        "on a sample area; `lsm run RECIPE --area AREA` trains one on yours. Runs appear here by "
        "themselves."
    )
    return pmui.Alert(object=words, severity="info", margin=10, sizing_mode="stretch_width")


def _table(known: list[tuple[Run, str]]) -> Any:
    rows = [
        {
            "run": run.id,
            "title": run.title,
            "area": run.area["name"],
            "protocol": run.recipe.protocol,
            "state": state,
            "since": run.status["updated"][:19].replace("T", " "),
            "message": run.status["message"],
        }
        for run, state in known
    ]
    table = pd.DataFrame(rows) if rows else pd.DataFrame({"run": []})
    return table.style.hide(axis="index").format(escape="html")
