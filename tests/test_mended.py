"""What Panel's and Bokeh's threads do to one widget or page at once loses no change."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import holoviews as hv
import panel as pn
import param
import pytest
from bokeh.application.application import Application
from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager
from bokeh.document.events import ModelChangedEvent
from bokeh.events import RangesUpdate
from bokeh.models import Range1d
from bokeh.protocol import Protocol
from bokeh.server import session
from bokeh.server.connection import ServerConnection
from bokeh.server.contexts import ApplicationContext
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.session import ServerSession
from bokeh.server.tornado import DEFAULT_UNUSED_LIFETIME_MS
from holoviews.plotting.bokeh.callbacks import Callback as OfPlot
from panel.links import Callback as Linked
from panel.pane.base import Pane
from panel.reactive import Syncable
from param.parameterized import Parameters, batch_call_watchers, discard_events
from tornado.ioloop import IOLoop

from lsm_app import mended

ASKED = 12_000
OF_PLOT = ("initialize", "cleanup", "on_event", "on_change", "_schedule_event", "_schedule_change")


@pytest.fixture(autouse=True)
def as_mended(monkeypatch):
    for owner, name in (
        (Syncable, "_server_change"), (Syncable, "_change_event"), (Pane, "_update_object"),
        (DocumentCallbackManager, "trigger_on_change"), (Parameters, "_BATCH_WATCH"),
        (Parameters, "_events"), (Parameters, "_state_watchers"), (ServerSession, "__init__"),
        (ProtocolHandler, "handle"), (Linked, "registry"),
        *((OfPlot, name) for name in OF_PLOT),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, getattr(owner, name))
    mended.mend()


def test_no_widget_is_dead_after_a_change_that_comes_while_another_is_taken_from_it():
    slider, heard, doc = pn.widgets.FloatSlider(start=0, end=9), [], Document()
    doc._session_context = lambda: SimpleNamespace(id="one")
    slider._process_events = heard.append
    other = threading.Thread(target=slider._change_event, args=(doc,))

    class Looked(dict):
        """What waits to be heard; another thread takes it just when it is looked at."""

        def __bool__(self):
            other.start()
            other.join(0.3)
            return len(self) > 0

    slider._events = Looked(value=1)
    slider._server_change(doc, "root", None, "value", 1, 2)
    other.join()
    assert heard[-1]["value"] == 2 or doc.session_callbacks, "nobody will hear it"


class Met(param.Number):
    """A number that tells its object that it was set, while watchers wait to be called."""

    def __set__(self, obj, val):
        super().__set__(obj, val)
        obj.meet(self.name)


class Two(param.Parameterized):
    first, second = Met(default=0), Met(default=0)

    def __init__(self):
        self.meet, self.heard = lambda name: None, []
        super().__init__()
        self.param.watch(self.hear, ["first", "second"])

    def hear(self, *events):
        self.heard.append({event.name: event.new for event in events})


def test_watchers_are_called_after_two_threads_have_changed_one_object():
    both, begun = Two(), {name: threading.Event() for name in ("first", "second")}
    threads = [threading.Thread(target=both.param.update, kwargs={name: 1}) for name in begun]

    def meet(name):
        begun[name].set()
        if name == "first":
            begun["second"].wait(5)
        else:
            threads[0].join(5)

    both.meet = meet
    threads[0].start()
    assert begun["first"].wait(5)
    threads[1].start()
    threads[1].join(10)
    both.meet = lambda name: None
    both.param.update(first=2, second=2)
    both.param.trigger("second")
    assert both.heard == [{"first": 1}, {"second": 1}, {"first": 2, "second": 2}, {"second": 2}]


def test_batches_are_heard_once_by_who_made_them():
    both = Two()
    with batch_call_watchers(both):
        both.first, both.second, both.first = 1, 2, 3
        assert both.heard == []
    assert both.heard == [{"first": 3, "second": 2}]
    with discard_events(both):
        both.first = 4
    both.second = 5
    assert both.heard[1:] == [{"second": 5}]


def test_one_visitor_is_heard_in_order_and_holds_up_nobody_else():
    told, open_, docs = [], threading.Event(), [Document(), Document()]
    with ThreadPoolExecutor(4) as threads:
        pool = mended.InOrder(threads)

        def hear(doc, what):
            if what == "slow":
                open_.wait(5)
            if what == "wrong":
                raise ValueError(what)
            told.append(what)

        asked = [pool.submit(hear, docs[0], what) for what in ("slow", "wrong", "last")]
        pool.submit(hear, docs[1], "other").result(5)
        pool.submit(told.append, "of no page").result(5)
        open_.set()
        asked[2].result(5)
        assert str(asked[1].exception(5)) == "wrong"
        pool.submit(hear, docs[0], "anew").result(5)
    assert told == ["other", "of no page", "slow", "last", "anew"]


def test_what_threads_want_called_is_called_though_the_page_is_held_and_let_go():
    doc, asked, over = Document(), [], threading.Event()
    usual = sys.getswitchinterval()
    doc.on_change(lambda event: asked.append(getattr(event, "callback", None)))

    def hold():
        while not over.is_set():
            doc.hold()
            doc.unhold()

    other = threading.Thread(target=hold)
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    other.start()
    wanted = [doc.add_next_tick_callback(lambda: None) for _ in range(ASKED)]
    over.set()
    other.join()
    sys.setswitchinterval(usual)
    assert len(set(wanted) - set(asked)) == 0


def test_a_part_that_left_the_page_is_not_drawn():
    part, doc = pn.pane.HTML("before"), Document()
    row = pn.Row(part)
    root = row.get_root(doc)
    told = (root.ref["id"], doc, root, root, None)
    with param.parameterized.discard_events(part):
        part.object = "after"
    part._update_object(*told)
    assert "after" in root.children[0].text
    row.clear()
    part._update_object(*told)  # as a thread has asked for before


def listening():
    """What listens to the ranges of a plot."""
    drawn = hv.DynamicMap(lambda x_range, y_range: hv.Curve([1, 2]), streams=[hv.streams.RangeXY()])
    plot = hv.renderer("bokeh").get_plot(drawn, doc=Document())
    return plot.callbacks[0]


def test_of_two_plots_that_go_at_once_neither_is_written_down_for_good():
    """Else a later plot with the number in memory of one that went listens to nothing."""
    first, second = listening(), listening()
    other = threading.Thread(target=second.cleanup)

    class Looked(dict):
        """What listens; another thread takes its own off just when it was looked at."""

        def items(self):
            found = list(super().items())
            other.start()
            other.join(0.3)
            return found

    OfPlot._callbacks = Looked(OfPlot._callbacks)
    first.cleanup()
    other.join()
    assert not [one for one in OfPlot._callbacks.values() if one in (first, second)]


def test_what_is_done_on_a_plot_that_was_drawn_anew_is_passed_over():
    gone = listening()
    event = RangesUpdate(None, x0=0.0, x1=1.0, y0=0.0, y1=1.0)
    told = gone.on_event(event)  # was asked for while it was there
    gone.cleanup()
    asyncio.run(told)
    gone._schedule_event(event)
    asyncio.run(gone.on_change("start", 0.0, 1.0))
    gone._schedule_change("start", 0.0, 1.0)


def test_a_visit_is_kept_until_its_browser_comes(monkeypatch):
    """As long as a busy server may take to answer; who came and went is forgotten as ever."""
    clock = [1e6]
    monkeypatch.setattr(session, "current_time", lambda: clock[0])

    async def visit():
        context = ApplicationContext(Application(), io_loop=IOLoop.current())
        late = await context.create_session_if_needed("late")
        await context.create_session_if_needed("never")
        clock[0] += 100_000
        await context._cleanup_sessions(DEFAULT_UNUSED_LIFETIME_MS)
        assert set(context._sessions) == {"late", "never"}
        late.subscribe("a connection")
        clock[0] += 21_000
        await context._cleanup_sessions(DEFAULT_UNUSED_LIFETIME_MS)
        assert set(context._sessions) == {"late"}
        late.unsubscribe("a connection")
        clock[0] += 16_000
        await context._cleanup_sessions(DEFAULT_UNUSED_LIFETIME_MS)
        assert not context._sessions

    asyncio.run(visit())


def test_what_a_browser_said_before_it_went_is_no_error(caplog):
    message = Protocol().create("PATCH-DOC", [ModelChangedEvent(Document(), Range1d(), "end", 2)])
    gone = ServerConnection(Protocol(), None, None, SimpleNamespace(subscribe=lambda _: None))
    gone._session = None
    assert asyncio.run(ProtocolHandler().handle(message, gone)) is None
    assert all(record.levelname == "INFO" for record in caplog.records)


def test_a_link_that_another_visitor_makes_keeps_no_part_from_a_page():
    some = [pn.widgets.TextInput() for _ in range(3)]
    for one in some[:2]:
        one.jscallback(value="1")
    for _ in Linked.registry.values():  # as Panel does, while a thread
        some[2].jscallback(value="1")
    assert some[2] in Linked.registry
