"""Commands that run as processes of their own, followed on a page: what they say, how far they are.

They are read from the workspace, so whoever leaves the page and comes back finds them as they are.
"""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.following import in_words
from lsm_app.session import bar_html
from lsm_core.errands import Errand, errands

MOST_SHOWN = 3
SHOWN_FOR = {"done": 120, "running": 1e9}  # seconds after its end
ELSE = 3600  # of what went wrong
SHAPES = {"running": "info", "done": "success", "stopped": "warning"}
SAID = {
    "running": "{title}: being worked on for {time}.{last}",
    "done": "{title}: done in {time}.{last}",
    "stopped": "{title}: stopped after {time}.",
    "failed": "{title} failed after {time}: {error}",
    "lost": "{title}: its process is gone. {error}",
}
LINES = "max-height:190px;overflow:auto;font-size:12px;white-space:pre-wrap;margin:0 0 0 10px"


class ErrandView:
    """One errand on the screen; `look` brings it up to date."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.state = ""
        breaking = {"overflow-wrap": "anywhere"}  # paths are long
        self.words = pmui.Alert(
            object="", margin=(5, 10), sizing_mode="stretch_width", styles=breaking
        )
        self.bar = pn.pane.HTML("", margin=(0, 10), sizing_mode="stretch_width")
        self.stop = pmui.Button(label="Stop", size="small", color="error", variant="outlined")
        self.stop.on_click(lambda _: self.end())
        self.lines = pn.pane.HTML("", sizing_mode="stretch_width")
        self.view = pn.Column(
            self.words, self.bar, self.stop, self.lines, sizing_mode="stretch_width"
        )
        self._said = (-1, True)

    def look(self) -> bool:
        """Show how it stands; whether it was done since the last look."""
        before, self.state = self.state, self.errand.state
        said = self.errand.lines
        last = f" {said[-1].removeprefix('done: ')}" if said else ""
        words = SAID[self.state].format(
            title=self.errand.about["title"], time=in_words(self.errand.seconds),
            last=last, error=self.errand.error,
        )  # fmt: skip
        self.words.param.update(object=escape(words), severity=SHAPES.get(self.state, "error"))
        alive = self.state == "running"
        self.bar.visible = self.stop.visible = alive
        self.bar.object = bar_html(self.errand.share, str(self.errand.about["title"]))
        if (len(said), alive) != self._said:
            self._said = (len(said), alive)
            self.lines.object = _lines(said, alive) if said else ""
        return before == "running" and self.state == "done"

    def end(self) -> None:
        """Stop the process."""
        self.errand.stop()
        self.look()


def _lines(said: list[str], unfolded: bool) -> str:
    text = "\n".join(escape(line) for line in said)
    return (
        f'<details {"open" if unfolded else ""} style="margin:0 10px;font-size:13px"><summary>What '
        f'was said</summary><pre tabindex="0" style="{LINES}">{text}</pre></details>'
    )


class Errands:
    """The newest errands of the workspace, and what to do when one is done."""

    def __init__(self, on_done: Callable[[Errand], Any]) -> None:
        self.on_done = on_done
        self.view = pn.Column(sizing_mode="stretch_width")
        self._views: dict[str, ErrandView] = {}

    def look(self) -> None:
        """Read them anew; the widgets stay while the errands do."""
        shown = [e for e in errands() if e.ended_ago < SHOWN_FOR.get(e.state, ELSE)]
        shown = [e for i, e in enumerate(shown) if i < MOST_SHOWN or e.state == "running"]
        for errand in shown:
            self._views.setdefault(errand.id, ErrandView(errand))
        views = [self._views[errand.id] for errand in shown]
        if [view.view for view in views] != list(self.view):
            self.view[:] = [view.view for view in views]
        for view in views:
            if view.look():
                self.on_done(view.errand)
