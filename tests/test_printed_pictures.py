"""Every printed figure looks as it did when somebody looked at it.

Small pictures are kept in `baseline`; `LSM_BASELINE=1` writes them anew, to be looked at. What is
drawn is made up, or of a forest on the sample area where that does not do.
"""

import json
import os
from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images
from small_runs import small_run
from test_figures import make_area, make_run

from lsm_core import publication
from lsm_core.print_style import make_look

BASELINE = Path(__file__).parent / "baseline"
LOOK = {"width_mm": 60, "dpi": 60, "relief": 0.3, "size": 6}
NEAR = 2  # root mean square of the difference, of 255
OF_A_FOREST = (
    *("route", "area", "factors", "importance", "correlation"),
    *("rates", "reliability"),
)
FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table", "factors": ("slope", "twi", "aspect", "lithology")},
    "map": True,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    area = make_area(root)
    return [make_run(area, root / "runs", name, seed=i) for i, name in enumerate(("cnn", "lsgh"))]


@pytest.fixture(scope="module")
def real(sample_workspace, tmp_path_factory):
    run = small_run(tmp_path_factory.mktemp("runs"), **FOREST)
    drops = {"slope": 0.2, "twi": 0.05, "aspect": 0.01, "lithology": -0.004}
    rows = [
        {"factor": name, "ap_drop": drop, "ap_low": drop - 0.01, "ap_high": drop + 0.02}
        for name, drop in drops.items()
    ]
    (run.path / "explanation.json").write_text(json.dumps({"importance": rows}))
    return [run]


@pytest.mark.parametrize("name", publication.FIGURES)
def test_figures_look_as_they_did(made, real, tmp_path, name):
    runs = real if name in OF_A_FOREST else made
    look = make_look(LOOK | ({"width_mm": 120} if name == "route" else {}))
    picture = publication.write_figure(name, runs, look, tmp_path)[0]
    kept = BASELINE / f"{name}.png"
    if os.environ.get("LSM_BASELINE"):
        kept.write_bytes(picture.read_bytes())
    assert compare_images(str(kept), str(picture), tol=NEAR) is None
