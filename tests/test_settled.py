"""Defaults that are kept are those that Bokeh works out itself."""

import bokeh.model.util
import bokeh.models
import bokeh.plotting
import pytest
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.settings import settings
from bokeh.themes import Theme

from lsm_app import settled

MODELS = [
    getattr(bokeh.models, name)
    for name in ("Figure", "Plot", "ColumnDataSource", "LinearAxis", "Select", "Image", "Scatter")
    if hasattr(bokeh.models, name)
]


@pytest.fixture(autouse=True)
def kept():
    settled.settle()


def test_every_default_is_the_one_bokeh_gives():
    assert len(MODELS) > 4
    for kind in MODELS:
        for model in (kind(), kind()):  # worked out, and kept
            for name in kind.properties():
                found = kind.lookup(name)
                given = found.instance_default(model)
                wanted = settled.PLAIN(found, model)
                assert type(given) is type(wanted), (kind, name)
                assert repr(given) == repr(wanted) or hasattr(given, "id"), (kind, name)


def test_what_each_instance_has_of_its_own_is_not_shared():
    one, other = (bokeh.models.ColumnDataSource() for _ in range(2))
    one.data["x"] = [1]
    assert other.data == {}
    assert one.selected is not other.selected


def test_a_theme_is_heard():
    plain, themed = bokeh.models.LinearAxis(), bokeh.models.LinearAxis()
    assert plain.axis_line_color == "black"
    Theme(json={"attrs": {"LinearAxis": {"axis_line_color": "red"}}}).apply_to_model(themed)
    assert (plain.axis_line_color, themed.axis_line_color) == ("black", "red")


def test_settling_twice_is_settling_once():
    before = PropertyDescriptor.instance_default
    settled.settle()
    assert PropertyDescriptor.instance_default is before is not settled.PLAIN


def test_what_only_a_programmer_is_told_is_not_looked_for():
    assert not settings.perform_error_diagnostics()
    assert not settings.perform_document_validation()


def page():
    """A page of plots and widgets as ours have them, with models in every kind of place."""
    source = bokeh.models.ColumnDataSource({"x": [1, 2], "y": [3, 4]})
    plot = bokeh.plotting.figure(width=200, tools=[bokeh.models.WheelZoomTool()])
    plot.scatter("x", "y", source=source)
    plot.x_range.js_on_change("start", bokeh.models.CustomJS(args={"source": source}, code=""))
    table = bokeh.models.DataTable(source=source, columns=[bokeh.models.TableColumn(field="x")])
    tabs = bokeh.models.Tabs(tabs=[bokeh.models.TabPanel(child=table, title="t")])
    return bokeh.models.Column(plot, bokeh.models.Row(bokeh.models.Select(options=["a"]), tabs))


def test_every_model_of_a_page_is_found(monkeypatch):
    util = bokeh.model.util
    ours, theirs = page(), page()
    found = [type(model).__name__ for model in ours.references()]
    assert util.visit_immediate_value_references is not settled.PLAIN_VISIT
    monkeypatch.setattr(util, "visit_immediate_value_references", settled.PLAIN_VISIT)
    assert sorted(found) == sorted(type(model).__name__ for model in theirs.references())
    assert ours.references() == set(util.collect_models(ours))
    assert {"ColumnDataSource", "CustomJS", "BasicTicker", "Scatter", "TableColumn"} <= set(found)
