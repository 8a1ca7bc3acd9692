"""What pages say before there is anything to show, and that they see what is made since."""

import panel as pn
import panel_material_ui as pmui
import pytest
from page_text import texts
from test_figures import make_area

from lsm_app.pages import compare, export, factors, sampling, training, transfer
from lsm_app.session import Session

pn.extension("filedropper", "tabulator")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    return tmp_path


def buttons(view):
    return {b.label: b for b in view.select(pmui.Button)}


PAGES = {
    "Compare": compare.page,
    "Export": export.page,
    "Factors": factors.page,
    "Sampling": sampling.page,
    "Training": training.page,
    "Transfer": transfer.page,
}


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_page_says_what_to_do_and_leads_there(name):
    visitor = Session(page=name, part="Runs")
    view = PAGES[name](visitor)
    assert "`lsm demo`" in texts(view)
    buttons(view)["Study area"].clicks += 1
    assert visitor.page == "Study area"


@pytest.mark.parametrize("name", ["Factors", "Sampling"])
def test_an_area_built_since_is_there_at_the_next_visit(name, workspace):
    visitor = Session(page=name)
    view = PAGES[name](visitor)
    make_area(workspace)
    visitor.shown += 1
    assert visitor.area == "valley"
    assert "`lsm demo`" not in texts(view)
    choice = next(c for c in view.select(pmui.Select) if c.label == "Study area")
    assert (choice.options, choice.value) == (["valley"], "valley")
    make_area(workspace, name="hills")
    visitor.shown += 1
    assert (choice.options, choice.value) == (["hills", "valley"], "valley")
    visitor.area = "hills"
    assert choice.value == "hills"


def test_an_area_of_the_address_is_looked_at_once_it_is_built(workspace):
    visitor = Session(page="Sampling", area="valley")
    view = sampling.page(visitor)
    assert "There is no study area" in texts(view)
    make_area(workspace, name="hills")
    visitor.shown += 1
    assert "valley" in texts(view)  # the core's sentence
    assert "There is no study area" not in texts(view)
    make_area(workspace)
    visitor.shown += 1
    assert "Heat is 1 at a landslide" in texts(view)
