"""Whatever strangers call their runs, recipes, areas, factors and files is text on every page."""

import json
import re

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import pytest
from test_figures import make_area, make_run
from test_transfer_page import FOUND, study

from lsm_app import factor_match, session
from lsm_app.factor_study import findings
from lsm_app.frame import PAGES, importlib
from lsm_core import runs
from lsm_core.study_area import open_area, save_area

pn.extension("filedropper", "tabulator")
TAG = "<img src=x onerror=alert(1)>"


def _area(workspace, name):
    """An area whose name, title, factors, units, classes and history are tags."""
    ds = open_area(make_area(workspace, name)).load()
    rock = {"kind": "categorical", "units": "1", "long_name": TAG, "source": TAG}
    rock |= {"flag_values": [1, 2], "flag_meanings": "<img_src=x_onerror=alert(1)> marl"}
    height = ds["elevation"]
    codes = (height > height.median()).astype("int16") + 1
    ds = ds.assign({TAG: height.assign_attrs(units=TAG, long_name=TAG, source=TAG)})
    ds["rock"] = codes.astype("int16").assign_attrs(rock)
    said = {"area_file": {"title": TAG}, "lines": [TAG], "flags": [{"words": TAG}]}
    said |= {"left_out": [{"what": TAG, "n": 3, "why": TAG}]}
    ds.attrs |= {"title": TAG, "fingerprints": json.dumps({TAG: {"sha256": TAG}})}
    ds.attrs["prepared"] = json.dumps(said)
    return save_area(ds, workspace / "areas" / name)


def _carried(run, source):
    path = run.path / "recipe.json"
    settings = {"how": "direct", "source": str(source.path)}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"transfer": settings}))


def _search(folder):
    recipe = {"name": TAG, "title": TAG, "protocol": "honest"}
    about = {"recipe": recipe, "area": {"name": TAG}, "by": "roc_auc", "seed": 1}
    about |= {"strategy": "random", "space": {TAG: {"log": [1e-4, 1e-2]}}}
    trial = {"number": 0, "values": {TAG: 0.1}, "score": 0.5, "seconds": 1.0, "message": TAG}
    folder.mkdir(parents=True)
    (folder / "tuning.json").write_text(json.dumps({"tuning": about, "trials": [trial, trial]}))


def _errand(folder):
    folder.mkdir(parents=True)
    about = {"title": TAG, "subject": TAG, "steps": 0, "arguments": [TAG], "pid": 1}
    (folder / "errand.json").write_text(json.dumps(about | {"process_started": 0, "started": 9e9}))
    for name in ("said.txt", "errors.txt"):
        (folder / name).write_text(f"{TAG}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two areas and runs of every state, one apart from the others, one carried, one underway."""
    root = tmp_path_factory.mktemp("workspace")
    here, there = (_area(root, name) for name in (TAG, f"{TAG} 2"))
    source = make_run(here, root / "runs", TAG, seed=1)
    runs.tag_run(source, TAG)
    make_run(here, root / "runs", TAG, seed=2)
    make_run(here, root / "runs", TAG, seed=3, test_seed=2)
    without = make_run(here, root / "runs", "without", seed=4)
    recipe = without.path / "recipe.json"
    recipe.write_text(json.dumps(json.loads(recipe.read_text()) | {"map": False, "title": TAG}))
    (without.path / "susceptibility.tif").unlink()
    without.path.rename(without.path.with_name(TAG))
    for state in ("failed", "running", "done"):
        run = make_run(there, root / "runs", TAG, state=state)
        _carried(run, source)
        runs.add_progress(run.path, {"event": "stage", "stage": TAG, "message": TAG})
        runs.set_status(run.path, state, TAG)
    _search(root / "runs" / f"tune-{TAG}")
    _errand(root / "errands" / "20260101-000000-abcdef")
    study(root / "studies" / TAG, dict.fromkeys(("recipe", "source", "target", "protocol"), TAG))
    gain = {"labels": [10], "roc_auc": [0.1], "roc_auc low": [0.0], "roc_auc high": [0.2]}
    gains = pd.DataFrame(gain | {"how": [TAG]})
    gains.to_csv(root / "studies" / TAG / "gains_over_scratch.csv")
    (root / "recipes").mkdir()
    (root / "recipes" / f"{TAG}.yaml").write_text(f"name: '{TAG}'\nmodel: {{name: cnn}}\n")
    (root / "areas" / f"{TAG}.yaml").write_text(f"name: '{TAG}'\ntitle: '{TAG}'\n")
    return root


def shown(view):
    """The HTML of every part of a page, its tabs turned one by one."""
    for tabs in view.select(lambda part: isinstance(part, pn.Tabs | pmui.Tabs)):
        for number in range(len(tabs)):
            tabs.active = number
    for part in view.select():
        found = getattr(part, "object", None)
        if isinstance(found, str) or hasattr(found, "to_html"):
            yield found if isinstance(found, str) else found.to_html()


def no_tag(view):
    parts = list(shown(view))
    told = "\n".join(parts)
    found = re.findall(".{0,70}<img src=x.{0,70}", told)
    assert not found, "\n".join(found)
    return told


def visitor(page, **chosen):
    done = [run for run in runs.list_runs() if run.state == "done"]
    source = next(run for run in done if run.tags)
    about = {"area": TAG, "runs": [run.id for run in done if run.recipe.transfer is None]}
    about |= {"source": source.id, "target": f"{TAG} 2", "run": source.id, "recipe": f"mine: {TAG}"}
    return session.Session(page=page, **about | chosen)


LOOKS = [
    *(("Study area", {"look": look}) for look in ("Checks", "Build", "New area")),
    *(("Study area", {"factor": name, "at": "[300500, 3800500]"}) for name in (TAG, "rock")),
    *(("Factors", {"classed": name, "second": f"{TAG} 2"}) for name in (TAG, "rock")),
    ("Sampling", {}),
    *(("Training", {"part": part}) for part in ("New run", "Runs", "Search")),
    ("Training", {"part": "Runs", "run": TAG}),
    ("Compare", {}), ("Inventory", {}), ("Transfer", {}), ("Export", {}),
]  # fmt: skip


@pytest.mark.parametrize(("page", "chosen"), LOOKS)
def test_names_of_strangers_are_no_tags_on_a_page(workspace, page, chosen):
    module = importlib.import_module(f"lsm_app.pages.{PAGES[page]}")
    told = no_tag(module.page(visitor(page, **chosen)))
    assert "&lt;img" in told or page in ("Factors", "Sampling", "Inventory")


def test_names_of_factors_are_no_tags_in_what_was_found(workspace):
    """A study of the factors, as the program tells it, and a match of two areas."""
    row = {"factor": TAG, "permutation": 0.1, "std_error": 0.1, "impurity": 0.1, "vif": 2.0}
    row |= {"tolerance": 0.5, "odds_ratio": 1.0, "p_value": 0.1, "share": 0.1, "kl": 0.1, TAG: 1.0}
    names = ("pearson", "cramers_v", "vif", "importance", "logistic", "information", "divergence")
    study = {"tables": {name: [row, row | {"factor": "rock"}] for name in names}}
    study |= {"landslides": 1, "places_without": 1, "oob_accuracy": 0.5, "oob_auc": 0.5}
    study |= {"area": TAG, "against": TAG, "not_shared": [TAG]}
    assert "&lt;img" in no_tag(findings(study))
    view = factor_match.FactorMatch(visitor("Transfer"))
    pairs = {"pairs": {TAG: TAG}, "clashes": {TAG: TAG}, "unused": [TAG], "notes": [TAG]}
    view.show(FOUND | pairs | {"missing": {f"{TAG} 2": TAG}, "divergence": {TAG: {"kl": 0.5}}})
    assert "&lt;img" in no_tag(view.view)
