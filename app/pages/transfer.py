"""Transfer: a model carried to another area; what matches, the ways, and learning curves."""

from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.carried_runs import CarriedRuns
from lsm_app.factor_match import FactorMatch
from lsm_app.following import known_runs
from lsm_app.ground import built_areas
from lsm_app.learning_view import LearningView
from lsm_app.nothing_yet import no_runs, nothing_yet
from lsm_app.session import Session, poll, purpose, said
from lsm_core.errors import AreaError
from lsm_core.runs import Run

PURPOSE = (
    "Carry a model that was trained where there is much data to an area where there is little: "
    "see which factors mean the same there and how unlike they are, run it as it is, self-trained, "
    "fine-tuned and from scratch, and compare them on the same test places of the target."
)
NO_AREA = "There is no other area to carry a model to: build one under Study area."
NO_SUCH = "{} is no built area that this model can be carried to: choose another."


def page(session: Session) -> pn.Column:
    """The page for one session; `session.source` is a run, `session.target` an area."""
    source = pmui.Select(
        label="Source: a finished run", searchable=True, filter_on_search=True,
        sizing_mode="stretch_width", **_sources(session),
    )  # fmt: skip
    target = pmui.Select(label="Target: a built area", width=300, **_targets(session))
    empty = pn.Column(sizing_mode="stretch_width")
    parts = [FactorMatch(session), CarriedRuns(session), LearningView(session)]
    body = pn.Column(*(part.view for part in parts), sizing_mode="stretch_width")

    told: list[tuple[bool, bool, str]] = []  # what `empty` speaks of, so that its buttons stay

    def tell(runs: bool, areas: bool, target: str) -> None:
        if told == [(runs, areas, target)]:
            return
        told[:] = [(runs, areas, target)]
        if not runs:
            empty[:] = [no_runs(session)]
        elif not areas:
            empty[:] = [nothing_yet(session, NO_AREA, "Study area")]
        else:
            empty[:] = [said(AreaError(NO_SUCH.format(target)))] if target else []

    def look() -> None:
        if session.page != "Transfer":
            return
        for choice, now in ((source, _sources(session)), (target, _targets(session))):
            if (choice.options, choice.value) != (now["options"], now["value"]):
                choice.param.update(**now)
        done, areas = bool(source.options), bool(target.options)
        body.visible = done and bool(target.value)
        tell(done, areas, "" if body.visible else session.target)
        for part in parts if body.visible else ():
            part.look()

    def chosen(name: str, event: Any) -> None:
        if event.new and event.new != getattr(session, name):
            session.param.update(**{name: event.new})
            look()

    source.param.watch(lambda event: chosen("source", event), "value")
    target.param.watch(lambda event: chosen("target", event), "value")
    session.param.watch(lambda event: source.param.update(value=event.new), "source")
    session.param.watch(lambda event: target.param.update(value=event.new), "target")
    poll(session, body, look)
    row = pn.FlexBox(source, target, gap="8px", sizing_mode="stretch_width")
    return pn.Column(purpose(PURPOSE), row, empty, body, sizing_mode="stretch_width")


def _sources(session: Session) -> dict[str, Any]:
    """Names of finished runs and the chosen one, the newest if none is, for the choice.

    A page opens with them: what comes while a browser draws it, the browser misses.
    """
    done = [run for run, state in known_runs() if state == "done" and _is_source(run)]
    if not session.source and done:
        session.source = done[0].id
    return {"options": {_name(run): run.id for run in done}, "value": session.source or None}


def _targets(session: Session) -> dict[str, Any]:
    """Areas that the source may be carried to, and the chosen one, if it is there."""
    run = next((run for run, _ in known_runs() if run.id == session.source), None)
    here = run.area["name"] if run else None
    areas = [name for name in built_areas() if name != here and "_as_" not in name]
    if not session.target and areas:
        session.target = areas[0]
    return {"options": areas, "value": session.target if session.target in areas else None}


def _is_source(run: Run) -> bool:
    """A run of its own area's labels; a carried one is no source anybody means."""
    return run.recipe.transfer is None or run.recipe.transfer.source is None


def _name(run: Run) -> str:
    return f"{run.title}, {run.area['name']}, {run.recipe.protocol} ({run.id})"
