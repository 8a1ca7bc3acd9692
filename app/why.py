"""Why a map is as it is at a place somebody pointed at: the core is asked, in a process of its own.

An explanation loads the model, which a server must not do; `lsm explain` does, while the page goes
on answering.
"""

import threading
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app import aside
from lsm_app.layout import beside, note
from lsm_app.session import served
from lsm_core.errors import LsmError
from lsm_core.explanation_figures import why_of
from lsm_core.runs import Run

LONGEST = 180.0  # seconds an explanation may take
PERIOD = 300  # ms between looks whether the answer is there
HINT = "Tap a map to ask why it is high or low there (a network takes half a minute to load)."
BARS = "Contributions explain the model's own score; factors that say little are left out."


class Why:
    """Answers to taps on the maps: what was asked, then the sentence and the bars.

    `turn` is shared by all of one session: who holds it is asking, and nobody else may.
    """

    def __init__(self, turn: threading.Lock, longest: float = LONGEST) -> None:
        self.turn, self.longest = turn, longest
        self.words = pmui.Alert(
            object=HINT, severity="info", margin=(5, 10), sizing_mode="stretch_width"
        )
        self.bars = pn.Column(sizing_mode="stretch_width")
        self.view = pn.Column(self.words, self.bars, sizing_mode="stretch_width")
        self._answer: tuple[dict[str, Any] | None, str] | None = None
        self._watch: Any = None

    def ask(self, run: Run, x: float, y: float) -> None:
        """Start the process for a place in the CRS of the run's area; returns at once."""
        place = f"x {x:,.0f}, y {y:,.0f} on {run.title} ({run.recipe.protocol})"
        if not self.turn.acquire(blocking=False):
            self._say("One place at a time: the last one is still being explained.", "warning")
            return
        self._answer = None
        self.bars.clear()
        self._say(f"Asking why at {place} …", "info")
        self._place = place
        words = ["explain", str(run.path), f"--at={x!r},{y!r}", "--json"]
        threading.Thread(target=self._wait, args=(words,), daemon=True).start()
        if served():
            self._watch = pn.state.add_periodic_callback(self.look, period=PERIOD)

    def _wait(self, words: list[str]) -> None:
        """Wait for the process beside the server's own threads; the answer is left for `look`."""
        try:
            self._answer = aside.tell(words, self.longest), ""
        except LsmError as error:
            self._answer = None, str(error)
        finally:
            self.turn.release()

    def look(self) -> None:
        """Show the answer once it is there."""
        if self._answer is None:
            return
        (told, wrong), self._answer = self._answer, None
        if self._watch is not None:
            self._watch.stop()
        if told is None:
            self._say(f"No answer for {self._place}: {wrong}", "error")
            return
        self._say(f"{self._place}: {told['words']}", "success")
        self.bars[:] = [beside(why_of(told)), note(BARS)]

    def _say(self, words: str, severity: str) -> None:
        self.words.param.update(object=escape(words), severity=severity)
