"""The frame round the pages: its menu, what it tells the browser, pages that come and go."""

import gc
import json
import weakref
from urllib.parse import quote

import panel as pn
import pytest
from page_text import texts
from test_app import made as made

from lsm_app import frame, main, session

pn.extension()


def test_the_menu_changes_the_page(workspace):
    visitor = session.Session()
    whole = frame.frame(main.PAGES, visitor)
    whole.sidebar[0].active = list(main.PAGES).index("Training")
    assert visitor.page == "Training"
    assert "Follow the runs" in texts(whole.main[0])


def test_the_browser_itself_says_that_a_page_is_being_made_until_it_is_told_otherwise(workspace):
    whole = frame.frame(main.PAGES, session.Session(page="Training"))
    root = whole.get_root()
    told = [
        callback.code
        for model in root.references()
        for callbacks in model.js_property_callbacks.values()
        for callback in callbacks
    ]
    assert sum("Opening ${name}" in code for code in told) == 1
    assert sum('getElementById("lsm-busy")?.remove()' in code for code in told) == 1
    menu, there = whole.sidebar[0], whole.main[1]
    before = there.value
    menu.active = list(main.PAGES).index("Export")
    assert there.value != before
    assert json.loads(there.value)["last"]["page"] == "Export"


def test_the_browser_is_told_of_a_page_that_cannot_be_made_too(workspace, monkeypatch):
    whole = frame.frame(main.PAGES, session.Session(page="Training"))
    monkeypatch.setattr("lsm_app.pages.export.page", lambda session: 1 / 0)
    menu, there = whole.sidebar[0], whole.main[1]
    before = there.value
    with pytest.raises(ZeroDivisionError):
        menu.active = list(main.PAGES).index("Export")
    assert there.value != before


def test_a_plain_address_opens_where_one_was_last_or_where_one_begins(
    workspace, tmp_path, monkeypatch
):
    def opened(last=""):
        visitor = session.Session()
        frame.begin(visitor, last)
        return visitor.page, visitor.area

    assert opened() == ("Compare", "")
    assert opened(quote('{"page": "Factors", "area": "valley"}')) == ("Factors", "valley")
    assert opened(quote('{"page": "Factors", "area": "../valley"}')) == ("Factors", "")
    assert opened('{"page": "Nothing", "area": "gone"}') == ("Compare", "")
    assert opened("[1]") == opened("nonsense") == ("Compare", "")
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    assert opened() == ("Study area", "")


def test_a_page_that_is_left_is_forgotten(workspace):
    """Nothing of the server's keeps what a visitor saw, or memory would grow with every visit."""
    whole = frame.frame(main.PAGES, session.Session(page="Training"))
    held = weakref.ref(whole)
    del whole
    gc.collect()
    assert held() is None


def test_a_page_that_comes_back_is_told_before_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    visitor = session.Session(page="Compare")
    told = []
    visitor.param.watch(lambda event: told.append((event.name, visitor.page)), ["coming", "shown"])
    frame.frame(frame.PAGES, visitor)
    visitor.page = "Export"
    visitor.page = "Compare"
    assert told == [("shown", "Compare"), ("shown", "Export"), ("coming", "Compare"),
                    ("shown", "Compare")]  # fmt: skip
