"""Mends of Panel, Param and Bokeh, whose visitors are heard in threads: no change gets lost.

Panel takes what a visitor changed from a widget in one thread while the server puts the next change
there in another; Param notes at an object that its watchers are called later, for all threads;
Bokeh hands on what waits on a page while a thread adds to it. Where two threads met, a change went
nowhere, and a widget or all of a visit was dead from then on.
"""

import functools
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager, invoke_with_curdoc
from bokeh.document.events import SessionCallbackAdded
from bokeh.server.callbacks import NextTickCallback
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.session import ServerSession
from holoviews.plotting.bokeh.callbacks import Callback as OfPlot
from panel.io.state import set_curdoc, state
from panel.links import Callback as Linked
from panel.pane.base import Pane
from panel.reactive import Syncable
from param.parameterized import Parameters

log = logging.getLogger(__name__)
COMING = 120.0  # seconds a browser has to open its connection once it has the page

_turn = threading.RLock()
_turn_of_plots = threading.RLock()  # the server does not wait for it when it is told something


def mend() -> None:
    """Mend them, in all of this process; once."""
    batch_in_each_thread()
    take_changes_whole()
    call_back_at_once()
    pass_over_what_left()
    keep_maps_apart()
    await_who_comes()
    let_go_who_left()
    list_links_at_once()
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


def keep_maps_apart() -> None:
    """Which plots of HoloViews listen to what is written down by one thread at a time.

    Of two, the list of the second brings back what the first has taken off, and a later plot that
    gets its number in memory would listen to nothing. What a visitor did on a plot that was drawn
    anew meanwhile is passed over.
    """
    for name in ("initialize", "cleanup"):
        setattr(OfPlot, name, _in_turn(getattr(OfPlot, name)))
    for name in ("_schedule_event", "_schedule_change"):
        setattr(OfPlot, name, _where_drawn(getattr(OfPlot, name)))
    for name in ("on_event", "on_change"):
        plain = getattr(OfPlot, name)

        @functools.wraps(plain)
        async def heard(self: OfPlot, *told: Any, plain: Any = plain) -> None:
            if self.plot is not None:
                await plain(self, *told)

        setattr(OfPlot, name, heard)


def _in_turn(plain: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(plain)
    def alone(*told: Any, **more: Any) -> None:
        with _turn_of_plots:
            plain(*told, **more)

    return alone


def _where_drawn(plain: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(plain)
    def scheduled(self: OfPlot, *told: Any) -> None:
        if self.plot is not None:
            plain(self, *told)

    return scheduled


def await_who_comes() -> None:
    """A visit is kept for `COMING` seconds until its browser connects, not for 15.

    A browser that comes later would be given a new visit that knows nothing of the address, and
    whose parts are not those of the page it has: it would stay empty.
    """
    plain = ServerSession.__init__

    @functools.wraps(plain)
    def begin(self: ServerSession, *told: Any, **more: Any) -> None:
        plain(self, *told, **more)
        self._last_unsubscribe_time += 1000 * (COMING - 15.0)

    ServerSession.__init__ = begin  # type: ignore[method-assign]


def let_go_who_left() -> None:
    """What a browser said just before it went is no error of the server."""
    plain = ProtocolHandler.handle

    @functools.wraps(plain)
    async def handle(self: ProtocolHandler, message: Any, connection: Any) -> Any:
        if connection._session is None:
            log.info("a visitor went before what they did was heard")
            return None
        return await plain(self, message, connection)

    ProtocolHandler.handle = handle  # type: ignore[method-assign]


class _AtOnce(WeakKeyDictionary[Any, Any]):
    """Whose values are those of one moment, whoever adds one meanwhile."""

    def values(self) -> Any:
        return list(self.data.values())  # type: ignore[attr-defined]  # one step, no lock


def list_links_at_once() -> None:
    """Panel goes through all visitors' links whenever a part comes onto a page.

    Where a thread made one meanwhile, that failed and the part stayed away.
    """
    Linked.registry = _AtOnce(Linked.registry)
