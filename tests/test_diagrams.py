"""Diagrams say what runs stored, in values and in words, and draw."""

import re
from types import SimpleNamespace

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from test_figures import make_area, make_run

from lsm_core import figures, runs
from lsm_core.errors import RunError

AREA = np.linspace(0, 1, 5).tolist()
MORE = {
    "reliability": {
        "test": {"predicted": [0.1, 0.8], "observed": [0.2, 0.7], "places": [9, 9], "error": 0.1},
        "before": {"predicted": [0.3], "observed": [0.2], "places": [18], "error": 0.25},
    },
    "rates": {
        "success": {"area": AREA, "landslides": [0, 0.6, 0.8, 1, 1], "under": 0.725},
        "prediction": {"area": AREA, "landslides": [0, 0.5, 0.7, 0.9, 1], "under": 0.65},
    },
    "overlap": {
        "share": 0.125,
        "verdict": "leaks: 12.5% of test windows overlap",
        "window": 13,
        "distances": {"edges": [0, 10, 20, 30], "test": [3, 1, 0], "map": [5, 0, 5]},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    made = make_run(make_area(workspace), workspace / "runs")
    runs.write_json(made.path / "metrics.json", made.metrics | MORE)
    return runs.open_run(made.path)


@pytest.fixture(scope="module")
def old_run(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    return make_run(make_area(workspace), workspace / "runs")


def lines(overlay):
    return {c.label: np.column_stack([c.dimension_values(i) for i in (0, 1)]) for c in overlay}


def title(overlay):
    return hv.Store.lookup_options("bokeh", overlay, "plot").kwargs["title"]


def test_reliability_before_and_after(run):
    drawn = lines(figures.reliability_of([run]))
    after = next(v for k, v in drawn.items() if k.endswith("ECE 0.100"))
    before = next(v for k, v in drawn.items() if k.endswith("ECE 0.250 before calibration"))
    np.testing.assert_array_equal(after, [[0.1, 0.2], [0.8, 0.7]])
    np.testing.assert_array_equal(before, [[0.3, 0.2]])
    assert "12.5% of them overlap" in title(figures.reliability_of([run]))


@pytest.mark.parametrize(("kind", "under"), [("success", 0.725), ("prediction", 0.65)])
def test_rates_are_those_stored_and_named_apart(run, kind, under):
    overlay = figures.rates_of([run], kind)
    drawn = next(v for k, v in lines(overlay).items() if k.endswith(f"area {under:.3f}"))
    found = MORE["rates"][kind]
    np.testing.assert_allclose(drawn, 100 * np.column_stack([AREA, found["landslides"]]))
    assert title(overlay).lower().startswith(kind)
    with pytest.raises(RunError, match="'prediction' or 'success', got 'roc'"):
        figures.rates_of([run], "roc")


def test_leakage_draws_both_shares_the_window_and_the_verdict(run):
    overlay = figures.leakage_of(run)
    drawn = lines(overlay)
    np.testing.assert_allclose(drawn["test places"][:, 1], [0, 75, 100, 100])
    np.testing.assert_allclose(drawn["cells of the map"][:, 1], [0, 50, 50, 100])
    assert drawn["window of 13 cells"][:, 0].tolist() == [13, 13]
    assert "leaks: 12.5%" in title(overlay)


def protocols():
    row = {"model": "forest", "method": "blocks", "metric": "auc", "random": 0.9, "spatial": 0.7}
    row |= {"random low": 0.85, "random high": 0.95, "spatial low": 0.6, "spatial high": 0.8}
    row |= {"gap": 0.2, "gap low": 0.1, "gap high": 0.3}
    null = {"model": "slope alone", "method": "blocks", "metric": "auc"}
    return pd.DataFrame([row, null | {"random": 0.6, "spatial": 0.6, "gap": 0.0}])


def test_protocols_draw_both_sides_their_intervals_and_the_gap():
    overlay = figures.protocols_of(protocols())
    points = [e for e in overlay if isinstance(e, hv.Points)]
    assert [p.dimension_values(0).tolist() for p in points] == [[0.6, 0.9], [0.6, 0.7]]
    bars = [e for e in overlay if isinstance(e, hv.Segments)]
    assert [(b["x"].tolist(), b["x1"].tolist()) for b in bars] == [
        ([0.85], [0.95]),
        ([0.6], [0.8]),
    ]
    ticks = hv.Store.lookup_options("bokeh", overlay, "plot").kwargs["yticks"]
    assert ticks == [(0, "slope alone\ngap +0.000"), (1, "forest\ngap +0.200 [+0.100, +0.300]")]
    with pytest.raises(RunError, match="'ap' and 'auc' are"):
        figures.protocols_of(protocols(), "f1")


def test_older_runs_say_what_they_lack(old_run):
    for draw in (
        lambda: figures.reliability_of([old_run]),
        lambda: figures.rates_of([old_run]),
        lambda: figures.leakage_of(old_run),
    ):
        with pytest.raises(RunError, match="run it again with this version"):
            draw()
    with pytest.raises(RunError, match="name at least one run"):
        figures.reliability_of([])


def test_every_diagram_renders_and_a_page_asks_nobody(run):
    for plot in (
        figures.reliability_of([run]),
        figures.rates_of([run]),
        figures.leakage_of(run),
        figures.protocols_of(protocols()),
    ):
        page = figures.page_of(plot, "a figure")
        assert "<title>a figure</title>" in page
        assert not re.search(r"<(script|link)[^>]+(src|href)=", page)


def test_runs_of_one_meter_share_a_figure_that_names_them(run, old_run):
    assert figures.alike_in_leakage([run, old_run, run]) == [[run, run], [old_run]]
    other = SimpleNamespace(title="ANOTHER")
    assert title(figures.leakage_of(run, other)).startswith(f"{run.title} / ANOTHER, honest")
