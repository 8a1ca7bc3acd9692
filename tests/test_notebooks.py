"""Every notebook runs from its first cell to its last, on the sample area; outputs are not kept."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip(
    "nbformat", reason="no nbformat: pip install lsm-workbench[notebooks]"
)
nbclient = pytest.importorskip(
    "nbclient", reason="no nbclient: pip install lsm-workbench[notebooks]"
)

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 300  # seconds of a cell


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_and_shows_something(path, sample_workspace, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=LONGEST, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [out for cell in code_of(notebook) for out in cell.outputs]
    kinds = {kind for out in shown for kind in out.get("data", {})}
    assert "text/html" in kinds
    assert not [out for out in shown if out.output_type == "error"]
    assert sum(out.output_type in ("display_data", "execute_result") for out in shown) >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_defines_nothing_and_keeps_no_output(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    for cell in code_of(notebook):
        assert not cell.outputs
        assert cell.execution_count is None
        words = {line.split(" ", 1)[0] for line in cell.source.splitlines()}
        assert not words & {"def", "class", "%pip", "!pip"}
