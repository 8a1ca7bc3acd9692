"""Compare runs: scores, curves, maps, picked places, classes and tests beside each other."""

import threading
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.compared import comparison
from lsm_app.following import Follower, known_runs, loaded, places_of
from lsm_app.layout import InTurn, note
from lsm_app.nothing_yet import no_runs
from lsm_app.session import Newest, Session, bar_html, poll, purpose
from lsm_core.runs import ALIVE, Run

AT_FIRST = 4  # runs compared before anybody chooses
PURPOSE = (
    "See which model finds the landslides it has not been trained on, and where on the map they "
    "differ. Runs share a plot only if they were judged on the same test places."
)


def page(session: Session) -> pn.Column:
    """The page for one session; `session.runs` holds the ids compared."""
    strip = pn.Column(sizing_mode="stretch_width")
    choice = pmui.MultiChoice(
        label="Runs compared", sizing_mode="stretch_width", **options_of(session.runs)
    )
    content = pn.Column(sizing_mode="stretch_width")
    seen: list[dict[str, str]] = []  # states at the last look
    by_hand = [bool(session.runs)]  # whether somebody chose, here or by the address
    put: list[str] = []  # what the page itself has chosen last
    followers: dict[str, Follower] = {}
    turn = threading.Lock()  # of asking why at a place: one at a time in this session

    def look() -> None:
        """Runs and their states as they are now; what is done since the last look joins in."""
        if session.page != "Compare":
            return
        known = known_runs()
        show_live([(run, state) for run, state in known if state in ALIVE], followers, strip)
        now = {run.id: state for run, state in known}
        if seen == [now]:
            return
        before = seen.pop() if seen else {}
        seen.append(now)
        fresh = {i for i, s in now.items() if s == "done" and before.get(i) in ALIVE}
        if by_hand[0]:  # others' runs stay out of what somebody is looking at
            fresh &= set(session.started)
        done = [run for run, state in known if state == "done"]
        wanted = chosen(session.runs, done, fresh)
        if wanted == session.runs and (fresh & set(wanted) or not before):
            newest()  # nothing is chosen anew, but it is there to be drawn now
        put[:] = wanted
        choice.param.update(options=named(done), value=list(wanted))
        session.runs = wanted

    def draw(*_: Any) -> None:
        choice.value = list(session.runs)
        picked = [loaded(run) for run, _ in known_runs() if run.id in session.runs]
        picked.sort(key=lambda run: session.runs.index(run.id))
        none = partial(note, "Choose at least one run above.")
        nothing = none if choice.options else partial(no_runs, session)
        in_turn(comparison(picked, session, turn) if picked else [nothing])

    def pick(event: Any) -> None:
        by_hand[0] |= list(event.new) not in (put, session.runs)
        session.runs = list(event.new)

    in_turn = InTurn(content)
    newest = Newest(draw)
    session.param.watch(newest, "runs")
    choice.param.watch(pick, "value")
    poll(session, content, look)
    return pn.Column(purpose(PURPOSE), strip, choice, content, sizing_mode="stretch_width")


def options_of(wanted: Sequence[str]) -> dict[str, Any]:
    """Names and choice as the page opens: what a browser gets while it draws them, it misses."""
    done = [run for run, state in known_runs() if state == "done"]
    return {"options": named(done), "value": chosen(wanted, done, set())}


def named(runs: Sequence[Run]) -> dict[str, str]:
    """The id of each run by its name."""
    return dict(zip(names_of(runs), [run.id for run in runs], strict=True))


def names_of(runs: Sequence[Run]) -> list[str]:
    """Title, area, protocol and time of each run; its folder's name where that is not enough.

    Where another recipe has the same title, the recipe's name stands beside it.
    """
    times = [run.status["created"][:16].replace("T", " ") for run in runs]
    recipes: dict[str, set[str]] = {}
    for run in runs:
        recipes.setdefault(run.title, set()).add(run.recipe.name)
    more = [f" ({r.recipe.name})" if len(recipes[r.title]) > 1 else "" for r in runs]
    short = [
        f"{run.title}{name}, {run.area['name']}, {run.recipe.protocol}, {time}"
        for run, time, name in zip(runs, times, more, strict=True)
    ]
    return [
        name if short.count(name) == 1 else f"{name} ({run.id})"
        for name, run in zip(short, runs, strict=True)
    ]


def chosen(wanted: Sequence[str], done: Sequence[Run], fresh: set[str]) -> list[str]:
    """Ids to compare: those wanted that still exist, and fresh ones judged on the same places.

    Where nothing is wanted: the newest run and those judged on its test places, `AT_FIRST` at most.
    Fresh ones join up to as many: whoever chose more is not given what others have trained since.
    `done` is newest first.
    """
    by_id = {run.id: run for run in done}
    kept = [i for i in wanted if i in by_id]
    if not kept:
        return [run.id for run in _alike(done[0], done)][:AT_FIRST] if done else []
    alike = {run.id for run in _alike(by_id[kept[0]], done)} if fresh else set()
    joining = [run.id for run in done if run.id in fresh & alike and run.id not in kept]
    return kept + joining[: max(0, AT_FIRST - len(kept))]


def _alike(first: Run, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run is first or places_of(run) == places_of(first)]


# ------------------------------------------------------------------------------------ live strip


def show_live(
    alive: Sequence[tuple[Run, str]], followers: dict[str, Follower], strip: pn.Column
) -> None:
    """One line for each queued or running run; the widgets stay while the runs do."""
    ids = [run.id for run, _ in alive]
    if [row.name for row in strip] != ids:
        strip[:] = [_live_row(run) for run, _ in alive]
    for row, (run, state) in zip(strip, alive, strict=True):
        follower = followers.setdefault(run.id, Follower(run.path)).look()
        words = follower.words if state == "running" else "waiting for its turn"
        row[0].object = f"**{escape(run.title)}** ({run.recipe.protocol}), {state}: {escape(words)}"
        share = follower.percent / 100 if state == "running" else 0.0
        row[1].object = bar_html(share, f"training of {run.title}")


def _live_row(run: Run) -> pn.Column:
    bar = pn.pane.HTML("", sizing_mode="stretch_width")
    line = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
    return pn.Column(line, bar, name=run.id, sizing_mode="stretch_width")
