"""An address names what lies in the workspace; a path in it is refused, in words."""

import pytest
from page_text import texts

from lsm_app import frame, recipe_form
from lsm_app.session import KEPT, Session
from lsm_core.errors import RecipeError

PATHS = ["/etc", "../secret", "..", ".hidden", "a/b", "a\\b", "--to=/tmp/x", "a\nb"]
NAMES = ("area", "second", "run", "source", "target")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_refused_in_words(name, path):
    session = Session(**{name: path})
    assert getattr(session, name) == ""
    assert session.refused.startswith(f"{path!r} is the name of nothing in this workspace")
    setattr(session, name, "sample-2")
    session.param.update(**{name: path})
    assert getattr(session, name) == ""


@pytest.mark.parametrize("name", ["", "sample", "ä b", "forest-sample-honest-20260101-101010-2"])
def test_a_name_is_taken(name):
    session = Session(area=name)
    assert (session.area, session.refused) == (name, "")


def test_an_area_elsewhere_is_not_opened_and_the_page_says_so(workspace, monkeypatch):
    """Nor one that a visitor asks for later, over the page's connection."""
    opened = []
    monkeypatch.setattr("lsm_core.study_area.open_area", opened.append)
    (workspace.parent / "private" / "area.zarr").mkdir(parents=True)
    session = Session(page="Sampling", area=str(workspace.parent / "private"))
    main = frame.frame(frame.PAGES, session).main[0]
    assert "is the name of nothing in this workspace" in texts(main)
    session.refused = ""
    session.area = "../../private"
    assert "is the name of nothing in this workspace" in texts(main)
    assert not opened
    assert "refused" not in KEPT


@pytest.mark.parametrize(
    "change",
    ["area=/etc", "selection.against=/etc", "transfer.source=/etc/x"],
)
def test_a_form_takes_no_paths_from_elsewhere(workspace, change):
    more = ["transfer.how=direct"] * change.startswith("transfer")
    form = recipe_form.RecipeForm(Session(recipe="random_forest", changes=[change, *more]))
    with pytest.raises(RecipeError, match="is the name of nothing in this workspace"):
        form.recipe()


def test_a_form_takes_a_run_of_this_workspace_by_its_folder(workspace):
    changes = ["area=sample", "transfer.how=direct", f"transfer.source={workspace}/runs/a"]
    form = recipe_form.RecipeForm(Session(recipe="random_forest", changes=changes))
    assert form.recipe().transfer.source == f"{workspace}/runs/a"
