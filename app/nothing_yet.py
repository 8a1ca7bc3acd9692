"""What a page says while it has nothing to show, and the way to where that is made."""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.ground import built_areas
from lsm_app.session import Session
from lsm_core.runs import runs_folder
from lsm_core.study_area import workspace

WIDE = {"sizing_mode": "stretch_width"}


def nothing_yet(session: Session, words: str, *pages: str) -> pn.Column:
    """Words, and a button for each page where what is missing is made."""
    buttons = [pmui.Button(label=page, variant="outlined") for page in pages]
    for button in buttons:
        button.on_click(lambda _, to=button.label: session.param.update(page=to))
    alert = pmui.Alert(object=words, severity="info", margin=10, **WIDE)
    return pn.Column(alert, pn.FlexBox(*buttons, gap="8px", margin=(0, 10)), **WIDE)


def no_area(session: Session) -> pn.Column:
    """For a page that shows a study area."""
    words = (
        f"There is no study area in {escape(str(workspace() / 'areas'))} yet. The sample area is "
        "built in one click under Study area, or by `lsm demo`; your own is built there too."
    )
    return nothing_yet(session, words, "Study area")


def no_runs(session: Session) -> pn.Column:
    """For a page that shows finished runs, which appear there by themselves."""
    words = (
        f"There are no finished runs in {escape(str(runs_folder()))} yet. The sample area and "
        "three runs on it are made in one click under Study area, or by `lsm demo`; Training "
        "trains a model on an area of yours. Runs appear here by themselves."
    )
    return nothing_yet(session, words, "Study area", "Training")


def area_choice(session: Session, draw: Callable[[], Any]) -> pmui.Select:
    """The built areas, looked for anew at each visit of the page; the first where none is chosen.

    `draw` is called when there are others than before, and when another one is chosen.
    """
    choice = pmui.Select(label="Study area", options=[], width=260)

    known: list[list[str]] = []

    def look(*_: Any) -> None:
        names = built_areas()
        if known == [names]:
            return
        known[:] = [names]
        choice.options = names
        if names and not session.area:
            session.area = names[0]  # is drawn as any other
        else:
            changed()

    def changed(*_: Any) -> None:
        choice.value = session.area if session.area in choice.options else None
        draw()

    session.param.watch(changed, "area")
    session.param.watch(look, "shown")
    look()
    return choice
