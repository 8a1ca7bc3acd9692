"""What Panel's and Bokeh's threads do to one widget or page at once loses no change."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import panel as pn
import param
import pytest
from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager
from panel.pane.base import Pane
from panel.reactive import Syncable
from param.parameterized import Parameters, batch_call_watchers, discard_events

from lsm_app import mended

ASKED = 12_000


@pytest.fixture(autouse=True)
def as_mended(monkeypatch):
    for owner, name in (
        (Syncable, "_server_change"), (Syncable, "_change_event"), (Pane, "_update_object"),
        (DocumentCallbackManager, "trigger_on_change"), (Parameters, "_BATCH_WATCH"),
        (Parameters, "_events"), (Parameters, "_state_watchers"),
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
