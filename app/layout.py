"""How the parts of a page lie: headings, notes, plots beside each other, tabs filled late."""

import itertools
import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui
from panel.io.state import set_curdoc

from lsm_app.session import said, served
from lsm_core.errors import LsmError

SCROLLS = {"max-width": "100%", "overflow-x": "auto"}  # what a telephone is too narrow for
# In the browser, once what came into a part is drawn.
SHOWS = """
  setTimeout(() => {
    for (const view of Bokeh.index.query((one) => one.model === cb_obj))
      view.el.scrollIntoView({behavior: "smooth", block: "%s"})
  }, 300)
"""
ONE = {"flex": "1 1 420px", "min-width": "300px", "max-width": "760px"}


def heading(text: str) -> pmui.Typography:
    """The name of a part."""
    return pmui.Typography(escape(text), variant="h6", margin=(14, 10, 0, 10))


def note(text: str) -> pmui.Typography:
    """How to read a part, in small letters below it."""
    return pmui.Typography(text, variant="caption", sizing_mode="stretch_width")


def into_view(part: pn.Column, block: str = "center") -> pn.Column:
    """The same part, scrolled to on the screen whenever something comes into it."""
    part.jscallback(tags=SHOWS % block)  # the browser knows its children by another name
    times = itertools.count()
    part.param.watch(lambda event: event.new and part.param.update(tags=[next(times)]), "objects")
    return part


def fault(field: Any, words: str = "") -> None:
    """Say below a field what is wrong with it; without words, that nothing is."""
    field.param.update(error_state=bool(words), helper_text=words)


def or_words(make: Callable[[], Any]) -> Any:
    """What `make` makes, or the core's sentence that says why it cannot."""
    try:
        return make()
    except LsmError as error:
        return said(error)


def beside(*plots: hv.Element) -> pn.FlexBox:
    """Plots beside each other where the screen is wide, below each other where it is not."""
    panes = [
        pn.pane.HoloViews(plot, linked_axes=False, sizing_mode="stretch_width", styles=ONE)
        for plot in plots
    ]
    return pn.FlexBox(*panes, sizing_mode="stretch_width", gap="8px")


def tabs(parts: Mapping[str, Callable[[], Any]]) -> pn.Tabs:
    """Parts by name, each made when it is first looked at, or the sentence why it cannot be."""
    boxes = [pn.Column(sizing_mode="stretch_width") for _ in parts]
    makers = list(parts.values())
    whole = pn.Tabs(*zip(parts, boxes, strict=True), dynamic=True, sizing_mode="stretch_width")

    def fill(*_: Any) -> None:
        if not len(boxes[whole.active]):
            boxes[whole.active].append(or_words(makers[whole.active]))

    whole.param.watch(fill, "active")
    fill()
    return whole


def weakly(method: Callable[..., Any], *first: Any) -> Callable[..., None]:
    """The method, called while its object lives, for libraries that keep what they call for good.

    What they kept would keep all of a visit's page.
    """
    found = weakref.WeakMethod(method)

    def call(*given: Any) -> None:
        alive = found()
        if alive is not None:
            alive(*first, *given)

    return call


BROKEN = "This part could not be made: an error of the program, written to the server's log."
MORE = "More of this page is being made …"
LONGEST = 60.0  # seconds the server may take to put one part on the page


def _gone(doc: Any) -> bool:
    """Whether nobody looks at a page any more: its tab was closed."""
    session = getattr(doc.session_context, "session", None)
    return session is None or session.connection_count == 0


class InTurn:
    """Parts of a page made one after the other, so that the first is seen while the rest is made.

    Served, a part is made in a thread of the visitor's own and then put on the page by the server,
    which answers others between two parts. Else all are made at once. A new call ends an older one.
    """

    def __init__(self, box: pn.Column) -> None:
        self.box = box
        self._calls = 0

    def __call__(self, parts: Sequence[Callable[[], Any]]) -> None:
        """Fill the box anew; a part that is None only did something."""
        self._calls += 1
        # A place for each: what is drawn already would be drawn again if its neighbours changed.
        slots = [pn.Column(sizing_mode="stretch_width") for _ in parts]
        if not served():
            self.box[:] = slots
            for slot, make in zip(slots, parts, strict=True):
                self._put(or_words(make), slot)
            return
        more = note(MORE)
        self.box[:] = [*slots, more]
        told = (pn.state.curdoc, self._calls, parts, slots, more)
        threading.Thread(target=self._work, args=told, daemon=True).start()

    def _work(self, doc: Any, call: int, parts: Any, slots: Any, more: Any) -> None:
        with set_curdoc(doc):
            for slot, make in zip(slots, parts, strict=True):
                if call != self._calls or _gone(doc):
                    return
                try:
                    part = or_words(make)
                except Exception:
                    logging.getLogger(__name__).exception("a part of the page")
                    part = pmui.Alert(object=BROKEN, severity="error")
                self._wait(partial(self._put, part, slot))
            self._wait(partial(more.param.update, visible=False))

    @staticmethod
    def _wait(work: Callable[[], Any]) -> None:
        """Have the server do something to the page, and wait until it has."""
        done = threading.Event()

        def do() -> None:
            try:
                work()
            finally:
                done.set()

        pn.state.execute(do, schedule=True)
        done.wait(LONGEST)

    @staticmethod
    def _put(part: Any, slot: pn.Column) -> None:
        if part is not None:
            slot.append(part)
