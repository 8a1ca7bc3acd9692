"""A page in a notebook without a net holds the library of its widgets once."""

import panel as pn
import panel_material_ui as pmui
import pytest
from bokeh.document import Document
from panel.models.esm import ReactiveESM
from pyviz_comms import Comm

from lsm_app import in_notebook

pn.extension()


@pytest.fixture
def page():
    inner = pmui.Column(pmui.Select(options=["a"]), pmui.Button(label="b"))
    return pn.Column(pn.Row(pmui.Checkbox(label="c")), inner)


def libraries(root):
    return {model.id: len(model.esm) for model in root.select({"type": ReactiveESM})}


def test_one_widget_brings_the_library_that_a_browser_makes_first(page, monkeypatch):
    monkeypatch.setenv("PANEL_INLINE", "true")
    found = libraries(root := page._render_model(Document(), Comm()))
    assert len(found) > 3
    (whole,) = (name for name, size in found.items() if size)
    assert found[whole] > 1_000_000
    checkbox = next(iter(root.select({"class_name": "Checkbox"})))
    assert whole == checkbox.id  # parts before the whole, the first before the second


def test_what_comes_later_brings_none(page, monkeypatch):
    monkeypatch.setenv("PANEL_INLINE", "true")
    root = page._render_model(Document(), Comm())
    page.append(pmui.Button(label="later"))
    assert sum(size > 0 for size in libraries(root).values()) == 1


def test_with_a_net_each_names_the_address_of_the_library(page, monkeypatch):
    monkeypatch.setenv("PANEL_INLINE", "false")
    before = libraries(page._render_model(Document(), Comm()))
    assert len(set(before.values())) == 1
    assert 0 < max(before.values()) < 1000


def test_order_is_that_of_what_is_written():
    written = {"type": "object", "id": "whole", "attributes": {"children": [
        {"type": "object", "id": "first", "attributes": {}}, {"id": "first"},
        {"type": "map", "entries": [("x", {"type": "object", "id": "second"})]},
    ]}}  # fmt: skip
    assert list(in_notebook._in_turn(written)) == ["first", "second", "whole"]
