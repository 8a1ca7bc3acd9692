"""Mends of Panel and Bokeh where visitors are heard in threads: no change of theirs gets lost.

Panel takes what a visitor changed from a widget in one thread while the server puts the next change
there in another; Bokeh hands on what waits on a page while a thread adds to it. Where the two meet,
a change, or what was to be called later, went nowhere, and the widget was dead from then on. And a
part that has left the page is not drawn there any more.
"""

import functools
import threading
from typing import Any

from bokeh.document.callbacks import DocumentCallbackManager, invoke_with_curdoc
from bokeh.document.events import SessionCallbackAdded
from bokeh.server.callbacks import NextTickCallback
from panel.io.state import set_curdoc
from panel.pane.base import Pane
from panel.reactive import Syncable

_turn = threading.RLock()


def mend() -> None:
    """Mend them, in all of this process; once."""
    take_changes_whole()
    call_back_at_once()
    pass_over_what_left()


def take_changes_whole() -> None:
    """What is said to a widget is taken from it before or after the next is put there."""
    plain = Syncable._server_change

    @functools.wraps(plain)
    def put(self: Syncable, *told: Any) -> None:
        with _turn:
            plain(self, *told)

    def take(self: Syncable, doc: Any) -> None:
        with _turn:
            events, self._events = self._events, {}
        with set_curdoc(doc):
            self._process_events(events)

    Syncable._server_change = put  # type: ignore[method-assign]
    Syncable._change_event = take  # type: ignore[method-assign]


def call_back_at_once() -> None:
    """What the server shall do next is told to it at once, not kept with what is to be drawn.

    Threads ask for it, and would add to what is kept while the server hands that on.
    """
    plain = DocumentCallbackManager.trigger_on_change

    @functools.wraps(plain)
    def tell(self: DocumentCallbackManager, event: Any) -> None:
        doc, asked = self._document(), getattr(event, "callback", None)
        if doc and isinstance(event, SessionCallbackAdded) and isinstance(asked, NextTickCallback):
            invoke_with_curdoc(doc, lambda: [hear(event) for hear in self.change_callbacks()])
        else:
            plain(self, event)

    DocumentCallbackManager.trigger_on_change = tell  # type: ignore[method-assign]


def pass_over_what_left() -> None:
    """A part that has left the page before what a thread wrote on it came there is not drawn.

    Panel would look it up among the parts of the page, and find none.
    """
    plain = Pane._update_object

    @functools.wraps(plain)
    def if_there(self: Pane, ref: str, *more: Any) -> None:
        if ref in self._models:
            plain(self, ref, *more)

    Pane._update_object = if_there  # type: ignore[method-assign]
