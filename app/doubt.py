"""Maps of doubt of the runs compared, made by the program in a process of its own when asked for.

They take a minute or more and load the model, which a server must not do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.io.callbacks import PeriodicCallback

from lsm_app.errand_view import ErrandView
from lsm_app.layout import heading, note
from lsm_app.session import said, served
from lsm_core import errands, figures
from lsm_core.errors import LsmError
from lsm_core.runs import Run

MAKES = {  # command to what its button says
    "applicability": "Make the area of applicability",
    "uncertainty": "Make prediction sets",
}
SPREAD = "Make mean and spread of the seeds"
ABOUT = (
    "Area of applicability: where the model may be asked, and cells unlike all training places. "
    "Prediction sets: how sure it is, and of a network with dropout the spread of its passes. Of "
    "runs that differ in their seed alone: mean and spread of their maps. Each joins the list of "
    "what is shown above once it is made."
)
PERIOD = 1000  # ms between looks
BUT_SEED = {"seed", "name", "title"}  # what runs of one model may differ in


class Doubt:
    """Buttons for runs with a map, and how far what was asked for is; `on_done` redraws the maps.

    Who comes back while something is being made, sees it.
    """

    def __init__(self, runs: Sequence[Run], on_done: Callable[[], Any]) -> None:
        self.runs, self.on_done = runs, on_done
        options = dict(zip(figures.labels_of(runs), [run.id for run in runs], strict=True))
        self.choice = pmui.Select(
            label="Of the run", options=options, value=runs[0].id, width=300, visible=len(runs) > 1
        )
        self.wrong = pn.Column(sizing_mode="stretch_width")
        self.told = pn.Column(sizing_mode="stretch_width")
        self.views: dict[str, ErrandView] = {}
        self._watch: Any = None
        buttons = []
        for command, label in MAKES.items():
            buttons.append(pmui.Button(label=label, variant="outlined", size="small"))
            buttons[-1].on_click(lambda _, command=command: self.make(command, [self.choice.value]))
        if differ_in_seed(runs):
            buttons.append(pmui.Button(label=SPREAD, variant="outlined", size="small"))
            buttons[-1].on_click(lambda _: self.make("uncertainty", [run.id for run in runs]))
        row = pn.FlexBox(self.choice, *buttons, align_items="center", gap="8px")
        self.view = pn.Column(
            heading("Maps of doubt"), row, self.wrong, self.told, note(ABOUT),
            sizing_mode="stretch_width",
        )  # fmt: skip
        self._find()

    def make(self, command: str, ids: Sequence[str]) -> None:
        """Start `lsm COMMAND RUN...`; what is wrong is said."""
        paths = [str(run.path) for run in self.runs if run.id in ids]
        subject = f"{command} of {', '.join(ids)}"
        try:
            errands.start([command, *paths], subject, subject)
        except LsmError as error:
            self.wrong[:] = [said(error)]
            return
        self.wrong.clear()
        self._find()

    def _find(self) -> None:
        """What is being made of these runs, by whoever asked for it."""
        ids = {run.id for run in self.runs}
        for errand in errands.errands():
            command, _, of = str(errand.about["subject"]).partition(" of ")
            if command in MAKES and set(of.split(", ")) <= ids and errand.state == "running":
                self.views.setdefault(errand.id, ErrandView(errand))
        self.look()  # before they are on the page, which would not hear of it
        self.told[:] = [view.view for view in self.views.values()]

    def look(self) -> None:
        """How far each is; the maps are drawn anew after one."""
        ended = [view for view in self.views.values() if view.look()]
        alive = any(view.state == "running" for view in self.views.values())
        if alive and self._watch is None and served():
            self._follow()
        if not alive and self._watch is not None:
            self._watch.stop()
            self._watch = None
        if ended:
            self.on_done()

    def _follow(self) -> None:
        """Look again and again, until all have ended or this visitor leaves."""
        again = self._watch = PeriodicCallback(callback=self.look, period=PERIOD, background=True)
        pn.state.execute(again.start, schedule=True)  # by the server: this may be another thread
        pn.state.on_session_destroyed(lambda _: again.stop())


def differ_in_seed(runs: Sequence[Run]) -> bool:
    """Whether these are several runs of one recipe, each with a seed of its own."""
    plain = [run.recipe.model_dump(exclude=BUT_SEED) for run in runs]
    seeds = {run.recipe.seed for run in runs}
    return len(runs) > 1 and len(seeds) == len(runs) and all(p == plain[0] for p in plain)
