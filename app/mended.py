"""Mends of Panel, Param and Bokeh, whose visitors are heard in threads: no change gets lost.

Panel takes what a visitor changed from a widget in one thread while the server puts the next change
there in another; Param notes at an object that its watchers are called later, for all threads;
Bokeh hands on what waits on a page while a thread adds to it. Where two threads met, a change went
nowhere, and a widget or all of a visit was dead from then on.
"""

import functools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager, invoke_with_curdoc
from bokeh.document.events import SessionCallbackAdded
from bokeh.server.callbacks import NextTickCallback
from panel.io.state import set_curdoc, state
from panel.pane.base import Pane
from panel.reactive import Syncable
from param.parameterized import Parameters

_turn = threading.RLock()


def mend() -> None:
    """Mend them, in all of this process; once."""
    batch_in_each_thread()
    take_changes_whole()
    call_back_at_once()
    pass_over_what_left()
    if state._thread_pool is not None:
        state._thread_pool = InOrder(state._thread_pool)


class InOrder:
    """A pool of threads that does what one visitor asks for in its order, one after the other.

    So the last of several changes is heard last, and who asks for much leaves threads to others.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self._turn = threading.Lock()
        self._waiting: dict[Document, deque[Callable[[], None]]] = {}

    def submit(self, work: Callable[..., Any], *told: Any) -> "Future[Any]":
        """As of any pool; work that is told a document waits for what was asked for it before."""
        doc = next((one for one in told if isinstance(one, Document)), None)
        if doc is None:
            return self.pool.submit(work, *told)
        done: Future[Any] = Future()

        def do() -> None:
            try:
                done.set_result(work(*told))
            except BaseException as error:
                done.set_exception(error)

        with self._turn:
            first = doc not in self._waiting
            self._waiting.setdefault(doc, deque()).append(do)
        if first:
            self.pool.submit(self._next, doc)
        return done

    def shutdown(self, wait: bool = True) -> None:
        self.pool.shutdown(wait=wait)

    def _next(self, doc: Document) -> None:
        self._waiting[doc][0]()
        with self._turn:
            self._waiting[doc].popleft()
            more = bool(self._waiting[doc])
            if not more:
                del self._waiting[doc]
        if more:
            self.pool.submit(self._next, doc)


def batch_in_each_thread() -> None:
    """That watchers are called later, and what they are told then, is each thread's own.

    Of two threads in one object the second would find it noted, and note it again for ever.
    """
    kept = _Kept()

    def flag(self: Parameters) -> bool:
        return ("flag", id(self.self_or_cls)) in kept.by_key

    def put_flag(self: Parameters, value: bool) -> None:
        kept.put("flag", self.self_or_cls, value)

    Parameters._BATCH_WATCH = property(flag, put_flag)  # type: ignore[assignment,method-assign]
    for name in ("_events", "_state_watchers"):

        def listed(self: Parameters, name: str = name) -> list[Any]:
            owner = self.self_or_cls
            return kept.by_key.get((name, id(owner)), (owner, None))[1] or _Later(kept, name, owner)

        def put(self: Parameters, value: list[Any], name: str = name) -> None:
            kept.put(name, self.self_or_cls, value)

        setattr(Parameters, name, property(listed, put))


class _Kept(threading.local):
    """What this thread has yet to do for objects: by name and object; what is empty is not kept."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, int], tuple[Any, Any]] = {}

    def put(self, name: str, owner: Any, value: Any) -> None:
        if value:
            self.by_key[name, id(owner)] = owner, value  # kept too, so that no other has its id
        else:
            self.by_key.pop((name, id(owner)), None)


class _Later(list[Any]):
    """An empty list that is kept once something comes into it."""

    def __init__(self, kept: _Kept, name: str, owner: Any) -> None:
        super().__init__()
        self._put = functools.partial(kept.put, name, owner)

    def append(self, one: Any) -> None:
        super().append(one)
        self._put(self)


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
