"""Defaults that are kept are those that Bokeh works out itself."""

import bokeh.models
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
