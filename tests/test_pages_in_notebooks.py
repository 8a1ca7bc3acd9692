"""A page in a notebook goes on looking between two cells, while it is on the screen."""

import asyncio
import gc

import panel as pn
import pytest
from test_figures import make_area, make_run

from lsm_app import session
from lsm_core import runs

nbformat = pytest.importorskip("nbformat", reason="pip install lsm-workbench[notebooks]")
nbclient = pytest.importorskip("nbclient", reason="pip install lsm-workbench[notebooks]")
SHOW = """
import panel as pn
from lsm_app.pages import training
from lsm_app.session import Session
pn.extension("filedropper", "tabulator")
page = training.page(Session(page="Training", part="Runs"))
page
"""
SAY = 'print(" ".join(str(getattr(part, "object", "")) for part in page.select()))'


def said(cell):
    return "".join(out.get("text", "") for out in cell.outputs)


@pytest.mark.torture
def test_a_run_that_ends_between_two_cells_is_seen_to_have_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    run = make_run(make_area(tmp_path), tmp_path / "runs", "live", state="running")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in (SHOW, SAY, SAY)]
    client = nbclient.NotebookClient(notebook, timeout=120)
    first, before, after = notebook.cells
    with client.setup_kernel():
        client.execute_cell(first, 0)
        client.execute_cell(before, 1)
        runs.set_status(run.path, "failed", "the disk is full")
        asyncio.run(asyncio.sleep(3))  # the kernel has nothing to do
        client.execute_cell(after, 2)
    assert "Running: epoch 5" in said(before)
    assert "Failed: the disk is full" in said(after)


def watched(part, visitor, period=10):
    """A part of a page that is looked after, and how often that was done."""
    looks = []
    session.poll(visitor, part, lambda: looks.append(1), period)
    return looks


def test_a_part_is_looked_after_while_it_is_drawn_and_until_it_is_gone():
    async def story():
        part, visitor = pn.Column(), session.Session()
        looks = watched(part, visitor)
        await asyncio.sleep(0.1)
        assert len(looks) == 1  # nobody has it on the screen
        root = part.get_root()
        await asyncio.sleep(0.1)
        assert len(looks) > 2
        part._cleanup(root)  # as where its output is cleared
        seen = len(looks)
        await asyncio.sleep(0.1)
        assert len(looks) == seen
        before = len(asyncio.all_tasks())
        del part, visitor, root
        gc.collect()
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) == before - 1

    asyncio.run(story())


def test_without_a_loop_it_is_looked_at_once():
    part, visitor = pn.Column(), session.Session()
    assert watched(part, visitor) == [1]
    assert visitor.looks == []
