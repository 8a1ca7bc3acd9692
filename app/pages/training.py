"""Training: a new run from a recipe, the runs in their queue, the search for better settings."""

from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.following import known_runs
from lsm_app.layout import heading, or_words
from lsm_app.new_run import NewRun
from lsm_app.nothing_yet import nothing_yet
from lsm_app.recipes import RUN
from lsm_app.run_view import RunView
from lsm_app.search_view import SearchView
from lsm_app.session import Session, html_table, poll, purpose, said
from lsm_core import jobs
from lsm_core.errors import LsmError
from lsm_core.runs import ALIVE, Run, open_run, runs_folder

PURPOSE = (
    "Follow the runs, and start new ones from a recipe: what is being done, how loss and "
    "validation scores go, how long it may still take. A run goes on when this page is closed; "
    "everybody who opens it sees the same queue."
)
START = (
    "Start one under New run, or make the sample area and three runs on it in one click under "
    "Study area (`lsm demo` does the same). Runs appear here by themselves."
)
PARTS = ("New run", "Runs", "Search")
MOST_ROWS = 60  # of the table of all runs


def page(session: Session) -> pn.Column:
    """The page for one session; `session.part` is what is looked at, `session.run` which run."""
    parts: dict[str, Any] = {}
    boxes = [pn.Column(sizing_mode="stretch_width") for _ in PARTS]
    if session.part not in PARTS:
        alive = any(state in ALIVE for _, state in known_runs())
        session.part = "Runs" if session.run or alive else "New run"
    whole = pmui.Tabs(
        *zip(PARTS, boxes, strict=True),
        active=PARTS.index(session.part),
        sizing_mode="stretch_width",
    )
    makers = {
        "New run": lambda: NewRun(session, started),
        "Runs": lambda: RunList(session),
        "Search": lambda: SearchView(session),
    }

    def started(made: list[Run]) -> None:
        session.started += [run.id for run in made]
        session.param.update(run=made[0].id, part="Runs")

    def show(*_: Any) -> None:
        number = PARTS.index(session.part) if session.part in PARTS else 0
        if not len(boxes[number]):
            made = or_words(makers[PARTS[number]])
            parts[PARTS[number]] = made if hasattr(made, "view") else None
            boxes[number].append(getattr(made, "view", made))
        whole.active = number

    def look() -> None:
        if session.page == "Training" and parts.get(session.part):
            parts[session.part].look()

    session.param.watch(show, "part")
    whole.param.watch(lambda event: session.param.update(part=PARTS[event.new]), "active")
    show()
    poll(session, whole, look)
    return pn.Column(purpose(PURPOSE), whole, sizing_mode="stretch_width")


class RunList:
    """The queue, one run looked at, and a table of all; `look` brings them up to date."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.queue = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.choice = pmui.Select(
            label="Run", options=[], searchable=True, filter_on_search=True,
            sizing_mode="stretch_width",
        )  # fmt: skip
        self.body = pn.Column(sizing_mode="stretch_width")
        self.table = html_table()
        self.shown: RunView | None = None
        self.seen: list[Any] = []
        self.view = pn.Column(
            self.queue, self.choice, self.body, heading("All runs, newest first"), self.table,
            sizing_mode="stretch_width",
        )  # fmt: skip
        session.param.watch(self.show, "run")
        self.choice.param.watch(self._chosen, "value")
        self.look()
        if self.shown is None and session.run:
            self.show()

    def _chosen(self, event: Any) -> None:
        if event.new:
            self.session.run = event.new

    def look(self) -> None:
        """Runs and their states as they are now."""
        known = known_runs()
        rows = [(run.id, state, tuple(run.tags)) for run, state in known]
        if self.seen != [rows]:
            self.seen[:] = [rows]
            self._list(known)
        if self.shown is not None:
            self.shown.look()

    def _list(self, known: list[tuple[Run, str]]) -> None:
        self.table.object = _table(known)
        self.queue.object = _queue_words()
        self.choice.options = [run.id for run, _ in known]
        states = {run.id: state for run, state in known}
        if known and self.session.run not in states:
            alive = [name for name, state in states.items() if state in ALIVE]
            self.session.run = (alive or list(states))[-1 if alive else 0]
        self.choice.value = self.session.run or None
        if not known:
            self.shown = None
            words = f"There are no runs in {escape(str(runs_folder()))} yet. {START}"
            self.body[:] = [nothing_yet(self.session, words, "Study area")]
        elif self.shown is None:
            self.show()

    def show(self, *_: Any) -> None:
        """Look at the session's run."""
        self.shown = None
        try:
            run = open_run(runs_folder() / self.session.run)
            self.shown = RunView(run, self._to_form, self._moved)
            self.body[:] = [self.shown.view]
        except LsmError as error:
            self.body[:] = [said(error)]
        if self.session.run in self.choice.options:
            self.choice.value = self.session.run

    def _to_form(self, run: Run) -> None:
        self.session.param.update(recipe=f"{RUN}{run.id}", changes=[], part="New run")

    def _moved(self, run: Run | None) -> None:
        """Another name, or none: the folder is gone."""
        self.shown = None
        if run is not None:
            self.session.run = run.id
        self.seen.clear()
        self.look()


def _queue_words() -> str:
    """Who runs now, and who waits in which order."""
    line: list[str] = []
    waiting = 0
    for run in jobs.queue():
        where = jobs.device_of(run) or "the foreground"
        running = run.state == "running"
        waiting += not running
        state = "running" if running else f"waiting, number {waiting}"
        line.append(
            f"<li>{escape(run.title)} on {escape(run.area['name'])}: {state} ({where})</li>"
        )
    if not line:
        return "<b>Queue:</b> empty; nothing is running."
    return f"<b>Queue</b> ({len(line)}):<ul>{''.join(line)}</ul>"


def _table(known: list[tuple[Run, str]]) -> Any:
    rows = [
        {
            "run": run.id,
            "title": run.title,
            "area": run.area["name"],
            "protocol": run.recipe.protocol,
            "seed": run.recipe.seed,
            "state": state,
            "since": run.status["updated"][:19].replace("T", " "),
            "tags": ", ".join(run.tags),
            "message": run.status["message"],
        }
        for run, state in known[:MOST_ROWS]
    ]
    table = pd.DataFrame(rows) if rows else pd.DataFrame({"run": []})
    return table.style.hide(axis="index").format(escape="html")
