"""What Panel's and Bokeh's threads do to one widget or page at once loses no change."""

import sys
import threading
from types import SimpleNamespace

import panel as pn
import param
import pytest
from bokeh.document import Document
from bokeh.document.callbacks import DocumentCallbackManager
from panel.pane.base import Pane
from panel.reactive import Syncable

from lsm_app import mended

ASKED = 12_000


@pytest.fixture(autouse=True)
def as_mended(monkeypatch):
    for owner, name in (
        (Syncable, "_server_change"), (Syncable, "_change_event"), (Pane, "_update_object"),
        (DocumentCallbackManager, "trigger_on_change"),
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
