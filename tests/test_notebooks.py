"""Every notebook runs from its first cell to its last and shows what it says: on the sample area,
and on real areas where their data are there.

Each is executed in a kernel of its own; on the sample area a few lines of `MUST_HOLD` look at what
it has made.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
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
LONGEST = 1500  # seconds of a cell
QUICK = ("01", "02", "07", "08")  # half a minute each
SCORE = re.compile(r"<th[^>]*>(AP|AUC|ap|auc|F1|f1|precision|accuracy)</th>")
REAL = {
    "02": {"AREA": "balakot"},
    "03": {"AREA": "balakot"},
    "04": {"AREA": "balakot", "IMAGE": "emilia"},
    "05": {"AREA": "emilia"},
    "06": {"AREA": "hongkong_rest", "TARGET": "hongkong_lantau"},
    "07": {"AREA": "balakot"},
    "08": {"AREA": "balakot"},
}
MUST_HOLD = {
    "01_quick_start": """
assert forest.metrics["test_places"] == network.metrics["test_places"]
""",
    "02_factors_of_a_new_area": """
assert area.attrs["name"] == "new" and len(built.inventory) == known.sizes["place"]
assert np.median(abs(area["slope"].values - known["slope"].values)) < 1  # degrees
assert set(report.choice.kept) | set(report.choice.dropped) == set(report.tables["vif"].index)
assert "dropped" in next(iter(report.choice.dropped.values()))
assert len(two[0].encoder["factors"]) > len(two[1].encoder["factors"])
assert two[0].metrics["test_places"] == two[1].metrics["test_places"]
""",
    "03_lsgh_net": """
assert {p: r.metrics["protocol"] for p, some in first.items() for r in some.values()} == {
    "paper": "paper", "honest": "honest"}
assert all(r.metrics["overlap"]["share"] == 0 for r in first["honest"].values())
beside_paper = published.scores_beside("lsgh_net", scores)
assert {"published: Jiuzhaigou", *terms.values()} == set(beside_paper.index.get_level_values(1))
assert beside_paper.loc[("cnn", "published: Jiuzhaigou"), "AP"] == 0.9801
assert image.sum() == len(factors)
by_zone = published.zones_beside("lsgh_net", zones).drop("density", level="measure")
assert set(by_zone.index.unique("protocol")) == {"published: Jiuzhaigou", *terms.values()}
assert np.allclose(by_zone.sum(axis=1), 100, atol=0.11)  # as the paper rounds
shown_shares = pd.concat(spread)[shares[:3]]
assert len(shown_shares) >= 4 and ((shown_shares >= 0) & (shown_shares <= 1)).all(axis=None)
wide = heat_view.warmth_of(ground, 2 * radius, heat)
assert wide.warm > heat_view.warmth_of(ground, radius, heat).warm > len(ground.x)
""",
    "04_inventory_and_multiscale": """
assert len(detected.landslides) > 0 and len(chips) > 0
by = image_scores.set_index("variant")["ap"]  # a U-Net learns little of the few chips of the tests
assert by["forest_on_cells"] > 2 * unet.metrics["scores"]["prevalence"] and by.notna().all()
assert mapped and len(first["paper"]) == len(first["honest"]) == len(variants)
assert all(r.metrics["overlap"]["share"] == 0 for r in first["honest"].values())
assert first["paper"]["multiscale_cnn3d"].metrics["overlap"]["share"] > 0.5
""",
    "05_ssgan": """
assert (ssgan.samples["origin"] == "unlabelled").sum() > (ssgan.samples["label"] == 1).sum()
assert all(any(key in event for event in events) for key in losses)
assert len(pictures) >= 2 and min(len(d.landslides) for d in detections.values()) > 0
assert ssgan.metrics["overlap"]["share"] == 0
""",
    "06_transfer": """
assert len({run.metrics["test_places"] for run in ways.values()}) == 1
assert list(ways) == ["direct", "self", "inductive", "scratch"]
assert ways["direct"].metrics["roc_auc"] > 0.6  # one truth in both parts
assert match.whole and set(table["how"]) == {"direct", "inductive", "scratch"}
from lsm_app.learning_view import drawn, studies
assert len(drawn(studies() / folder.name, "roc_auc")) > 1  # the page shows the notebook's study
""",
    "07_honest_evaluation": """
by = table.set_index("split")
assert by["overlap"].iloc[1:].eq(0).all() and by["protocol"].tolist() == ["paper"] + 4 * ["honest"]
assert by["nearness alone auc"]["at random"] > by["nearness alone auc"].iloc[1:].max() + 0.05
assert by["test distance"]["at random"] < by["test distance"]["whole squares"]
assert sorted(run.recipe.split.fold for run in folds) == [1, 2, 3, 4, 5]
tested = [run.samples.query("split == 'test' and label == 1")["landslide_id"] for run in folds]
every = [number for some in tested for number in some]
assert len(every) == len(set(every)) > 0.99 * area.sizes["place"]
""",
    "08_larger_than_memory": """
assert len(strips.blocks) > 1 and difference < 1e-6 and same
""",
}


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def marked(path):
    """Those that train networks for minutes are in `make torture`."""
    slow = not path.stem.startswith(QUICK)
    return pytest.param(path, id=path.stem, marks=[pytest.mark.torture] if slow else [])


@pytest.fixture
def no_choices(monkeypatch):
    """What somebody chose outside for a notebook."""
    for name in ("AREA", "TARGET", "IMAGE", "SIZE", "SEEDS", "DRAWS", "LABELS", "MODEL", "WORKERS"):
        monkeypatch.delenv(f"LSM_NOTEBOOK_{name}", raising=False)


@pytest.fixture(scope="module")
def own_workspace(sample_workspace, tmp_path_factory):
    """The sample area in a workspace that no other test file sees: notebooks add sources."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copytree(sample_workspace / "areas" / "sample", folder / "areas" / "sample")
    return folder


@pytest.fixture(scope="module")
def real_workspace(shared_data, tmp_path_factory):
    """A workspace with the real areas of the notebooks."""
    folder = tmp_path_factory.mktemp("real")
    for name in sorted({name for chosen in REAL.values() for name in chosen.values()}):
        made = ["-m", "lsm_core.cli", "prepare", name]
        env = os.environ | {"LSM_WORKSPACE": str(folder), "LSM_DATA": str(shared_data)}
        subprocess.run([sys.executable, *made], env=env, check=True, capture_output=True)
    return folder


def executed(path, where, more=""):
    """The outputs of a notebook, from its first cell to its last, and of more code."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(more))
    resources = {"metadata": {"path": str(where)}}
    nbclient.NotebookClient(notebook, timeout=LONGEST, resources=resources).execute()
    return [out for cell in code_of(notebook) for out in cell.outputs]


@pytest.mark.parametrize("path", [marked(path) for path in NOTEBOOKS])
def test_a_notebook_runs_and_shows_what_it_says(
    path, no_choices, own_workspace, tmp_path, monkeypatch
):
    monkeypatch.setenv("LSM_WORKSPACE", str(own_workspace))
    shows(executed(path, tmp_path, MUST_HOLD[path.stem]))


@pytest.mark.torture
@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=[path.stem for path in NOTEBOOKS[1:]])
def test_a_notebook_runs_on_real_data(path, no_choices, real_workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(real_workspace))
    for name, area in REAL[path.stem[:2]].items():
        monkeypatch.setenv(f"LSM_NOTEBOOK_{name}", area)
    shows(executed(path, tmp_path))


def shows(shown):
    kinds = {kind for out in shown for kind in out.get("data", {})}
    assert "text/html" in kinds
    assert not [out for out in shown if out.output_type == "error"]
    assert sum(out.output_type in ("display_data", "execute_result") for out in shown) >= 4
    drawn = [out["data"] for out in shown if "text/html" in out.get("data", {})]
    for data in drawn:
        page = "".join(data["text/html"])
        assert not SCORE.search(page) or re.search("honest|paper|random split", page), page[:2000]
    words = [
        out["data"]["text/plain"] for out in shown if set(out.get("data", {})) == {"text/plain"}
    ]
    assert not [text for text in words if text.startswith(":")]  # a figure that is only named


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_defines_nothing_and_keeps_no_output(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in code_of(notebook):
        assert not cell.outputs
        assert cell.execution_count is None
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            assert not isinstance(node, ast.Lambda) or node.lineno == node.end_lineno


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_opens_with_what_one_learns_and_one_place_of_choices(path):
    notebook = nbformat.read(path, as_version=4)
    opening = notebook.cells[0]
    assert opening.cell_type == "markdown"
    assert re.match(r"# .+\n\n(.|\n)*You will\n\n(- .+\n?)+", opening.source)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert not re.search(r"/(work|root|home|tmp|Users|mnt)/|[A-Z]:\\\\", text)
    chosen = [i for i, cell in enumerate(notebook.cells) if "environ" in cell.source]
    assert chosen == ([] if path.stem == "01_quick_start" else [1])
    names = set(re.findall(r"LSM_NOTEBOOK_[A-Z]+", notebook.cells[1].source))
    assert names <= set(re.findall(r"LSM_NOTEBOOK_[A-Z]+", opening.source))


def test_every_notebook_is_looked_at():
    assert {path.stem for path in NOTEBOOKS} <= set(MUST_HOLD)
