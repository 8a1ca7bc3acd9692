"""One run on the screen: how it goes, its curves, and what can be done with it."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui

from lsm_app.following import Follower
from lsm_app.layout import beside, note
from lsm_app.session import bar_html, said
from lsm_core import jobs, runs
from lsm_core.errors import LsmError
from lsm_core.figures import best_epoch, history_of, validation_of
from lsm_core.model_cards import MENU
from lsm_core.report import model_in_words
from lsm_core.runs import ALIVE, Run

NOTE = (
    "Loss on training and validation places; accuracy at threshold 0.5 and average precision (AP) "
    "on validation places, which are cut from training, never from the test places. Right: "
    "precision against recall on the validation places, of the last epoch and of the best by AP."
)
SHAPES = {
    "done": "success", "running": "info", "queued": "info", "failed": "error",
    "lost": "error", "stopped": "warning",
}  # fmt: skip
SURE = "Delete the folder of {run} for good? There is no way back."


class RunView:
    """A run: state, bar, curves, buttons; `look` brings it up to date.

    `on_clone(run)` takes its recipe to the form; `on_moved(new)` is told of another name, or of
    None where the folder was deleted.
    """

    def __init__(
        self,
        run: Run,
        on_clone: Callable[[Run], Any] = lambda run: None,
        on_moved: Callable[[Run | None], Any] = lambda run: None,
    ) -> None:
        self.run, self.on_clone, self.on_moved = run, on_clone, on_moved
        self.follower = Follower(run.path)
        self.seen = (-1, "", "")
        self.state = pmui.Alert(object="", margin=(5, 10), sizing_mode="stretch_width")
        self.about = note("")
        self.bar = pn.pane.HTML("", margin=(0, 10), sizing_mode="stretch_width")
        self.told = pn.Column(sizing_mode="stretch_width")
        self.curves = pn.Column(sizing_mode="stretch_width")
        self.pipe: hv.streams.Pipe | None = None  # epochs to the curves
        self.last = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.view = pn.Column(
            self.state, self.about, self.bar, self._buttons(), self.told, self.curves,
            sizing_mode="stretch_width",
        )  # fmt: skip
        self.look()

    def _buttons(self) -> pn.FlexBox:
        small = {"size": "small", "variant": "outlined"}
        self.button = pmui.Button(label="Stop and keep the best", color="error", **small)
        self.resume = pmui.Button(label="Go on", description="from where it was cut off", **small)
        words = "no more epochs: the best weights so far are tested and mapped"
        self.enough = pmui.Button(label="Finish with the best", description=words, **small)
        self.discard = pmui.Button(label="Discard", color="error", **small)
        self.clone = pmui.Button(label="Take to the form", **small)
        self.name = pmui.TextInput(label="Name or tag", size="small", width=220)
        self.rename = pmui.Button(label="Rename", **small)
        self.tag = pmui.Button(label="Tag", **small)
        self.button.on_click(self.stop)
        self.resume.on_click(self.go_on)
        self.enough.on_click(self.finish)
        self.discard.on_click(self.ask)
        self.clone.on_click(lambda _: self.on_clone(self.run))
        self.rename.on_click(self._named)
        self.tag.on_click(self._tagged)
        parts = (self.button, self.enough, self.resume, self.discard, self.clone)
        parts += (self.name, self.rename, self.tag)
        return pn.FlexBox(*parts, gap="4px", align_items="center", sizing_mode="stretch_width")

    # ---------------------------------------------------------------------------------- looking

    def look(self) -> None:
        """Read what is new; curves are drawn anew only after an epoch."""
        try:
            status, follower = self.run.status, self.follower.look()
        except OSError:  # deleted by somebody else
            self.on_moved(None)
            return
        state = status["state"]
        alive = state in ALIVE
        self.state.severity = SHAPES[state]
        self.state.object = escape(self._words(state, status["message"]))
        self.bar.visible = self.button.visible = alive
        self.resume.visible = not alive and state != "done"
        self.enough.visible = (
            state != "done" and follower.learns and self.run.recipe.transfer is None
        )
        self.rename.disabled = alive
        self.bar.object = bar_html(follower.percent / 100, f"training of {self.run.title}")
        seen = (len(follower.epochs), state, follower.kept)
        if seen != self.seen:
            self.seen = seen
            self._draw()

    def _words(self, state: str, message: str) -> str:
        run = self.run
        now = f"{self.follower.words}." if state == "running" else f"{message}."
        now = "" if now == "." else now.replace("..", ".")
        last = ""
        if state in ("failed", "lost", "stopped"):
            last = f" Last seen: {self.follower.words}."
        if state == "queued":
            now = f"number {_place(run)} in the queue for {jobs.device_of(run) or 'this machine'}."
        tags = f" Tags: {', '.join(run.tags)}." if run.tags else ""
        what = f"{run.title} on {run.area['name']} ({run.recipe.protocol} protocol), seed "
        what += f"{run.recipe.seed}, {run.id}."
        return f"{state.capitalize()}{': ' if now else '.'}{now}{last} {what}{tags}"

    def _draw(self) -> None:
        """The curves: made once, then only their numbers are sent, which costs little."""
        self.about.object = escape(model_in_words(Run(self.run.path)))  # as it is settled now
        epochs = list(self.follower.epochs)
        if not epochs:
            self.curves[:] = [pmui.Typography(self._no_epochs(), variant="body2")]
            return
        self.last.object = escape(_last_words(epochs, self.follower.kept))
        if self.pipe is not None and self.curves._models:  # else it is not on the screen, and
            self.pipe.send(epochs)  # would come back as it was
            return
        self.pipe = hv.streams.Pipe(data=epochs)
        title = f"{self.run.title}, {self.run.recipe.protocol} protocol"
        makers = [
            lambda data, i=i, what=what: [*history_of(data, f"{what} of {title}")][i]
            for i, what in enumerate(("Loss", "Scores"))
        ]
        if validation_of(epochs) is not None:
            makers.append(lambda data: validation_of(data, f"PR curve of {title}"))
        plots = [hv.DynamicMap(make, streams=[self.pipe]) for make in makers]
        self.curves[:] = [beside(*plots), self.last, note(NOTE)]

    def _no_epochs(self) -> str:
        card = MENU.get(self.run.recipe.model.name)
        if self.run.state == "done" or (card and card.framework != "keras"):
            return "This model is fitted in one go: it has no epochs to draw."
        return "No epoch has been finished yet."

    # ------------------------------------------------------------------------------------ doing

    def stop(self, *_: Any) -> None:
        """End the run; what the core has to say about it is shown."""
        self.button.loading = True
        self._try(lambda: jobs.stop(self.run))
        self.button.loading = False
        self.look()

    def go_on(self, *_: Any) -> None:
        """Take up a run that was cut off, from its last checkpoint."""
        self.resume.loading = True
        self._try(lambda: jobs.go_on(self.run))
        self.resume.loading = False
        self.look()

    def finish(self, *_: Any) -> None:
        """End the training here; what it has learnt is judged in the background."""
        self.enough.loading = True
        self._try(lambda: jobs.finish(self.run))
        self.enough.loading = False
        self.look()

    def ask(self, *_: Any) -> None:
        """Ask once whether the folder is to go."""
        yes = pmui.Button(label="Delete it", color="error", variant="contained", size="small")
        no = pmui.Button(label="Keep it", variant="outlined", size="small")
        yes.on_click(self.delete)
        no.on_click(lambda _: self.told.clear())
        words = SURE.format(run=self.run.id)
        if self.run.state in ALIVE:
            words = f"It is {self.run.state} and is stopped first. {words}"
        alert = pmui.Alert(object=escape(words), severity="warning", margin=(5, 10))
        self.told[:] = [alert, pn.Row(yes, no)]

    def delete(self, *_: Any) -> None:
        """Stop the run if it goes on, and delete its folder."""

        def go() -> None:
            jobs.stop(self.run)
            runs.delete_run(self.run)

        if self._try(go):
            self.on_moved(None)

    def _named(self, *_: Any) -> None:
        moved: list[Run] = []
        if self._try(lambda: moved.append(runs.rename_run(self.run, self.name.value.strip()))):
            self.on_moved(moved[0])

    def _tagged(self, *_: Any) -> None:
        word = self.name.value.strip()
        if word and self._try(lambda: runs.tag_run(self.run, word)):
            self.name.value = ""
            self.look()

    def _try(self, act: Callable[[], Any]) -> bool:
        self.told.clear()
        try:
            act()
        except LsmError as error:
            self.told[:] = [said(error)]
            return False
        return True


def _place(run: Run) -> int:
    """The run's number in the queue of its device; what runs now is not counted."""
    waiting = [r for r in jobs.queue() if jobs.device_of(r) == jobs.device_of(run)]
    names = [r.id for r in waiting if r.state == "queued"]
    return names.index(run.id) + 1 if run.id in names else 1


def _last_words(epochs: Sequence[Mapping[str, Any]], kept: str) -> str:
    """The last epoch's average precision, the best one's, and which weights were kept."""
    best, last = best_epoch(epochs), epochs[-1]
    name = "val_average_precision"
    return (
        f"Last: epoch {last['epoch']}, AP {last[name]:.3f}. "
        f"Best by AP: epoch {best['epoch']}, AP {best[name]:.3f} (validation places)."
        f"{f' {kept[0].upper()}{kept[1:]}.' if kept else ''}"
    )
