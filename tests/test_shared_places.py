"""Test places of several runs, and what a threshold says of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, recall_score
from test_figures import make_area, make_run

from lsm_core import runs
from lsm_core.errors import RunError
from lsm_core.shared_places import counts_at, nearest_threshold, rates_at, shared_places

RNG = np.random.default_rng(4)
LABEL = RNG.integers(0, 2, 120)
SCORES = np.clip(0.2 * LABEL[:, None] + RNG.random((120, 2)) * 0.8, 0, 1)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root)
    return [make_run(area, root / "runs", name) for name in ("cnn", "forest")]


def _write(run, order, score):
    cells = pd.DataFrame({"row": np.arange(120) % 80, "col": np.arange(120) % 60, "label": LABEL})
    table = cells.assign(split=["test"] * 100 + ["train"] * 20, score=score)
    runs.write_table(run.path / "scores.parquet", table.iloc[order])
    return runs.Run(run.path)


def test_scores_of_one_place_stand_in_one_row(two):
    first = _write(two[0], np.arange(120), SCORES[:, 0])
    second = _write(two[1], RNG.permutation(120), SCORES[:, 1])
    places = shared_places([first, second])
    assert len(places) == 100
    kept = pd.DataFrame(SCORES[:100], columns=["score 0", "score 1"])
    expected = kept.assign(row=np.arange(100) % 80, col=np.arange(100) % 60, label=LABEL[:100])
    merged = places.merge(expected, on=["row", "col", "label"], suffixes=("", " own"))
    assert (merged["score 1"] == merged["score 1 own"]).all()


def test_other_places_are_refused(two):
    first = _write(two[0], np.arange(120), SCORES[:, 0])
    second = _write(two[1], np.arange(10, 120), SCORES[:, 1])
    with pytest.raises(RunError, match="judged on different places"):
        shared_places([first, second])


@pytest.mark.parametrize("threshold", [0.3, 0.55, float(SCORES[7, 0])])
def test_counts_and_rates_are_scikit_learns(threshold):
    said = SCORES[:, 0] >= threshold
    told, rates = (f(LABEL, SCORES[:, 0], threshold) for f in (counts_at, rates_at))
    assert told["precision"] == pytest.approx(precision_score(LABEL, said))
    assert rates["recall"] == told["recall"] == pytest.approx(recall_score(LABEL, said))
    assert rates["false positive rate"] == pytest.approx(said[LABEL == 0].mean())


def test_nothing_predicted_has_no_precision_but_a_place_on_the_curve():
    assert np.isnan(counts_at(LABEL, SCORES[:, 0], 2.0)["precision"])
    assert rates_at(LABEL, SCORES[:, 0], 2.0)["precision"] == 1


@pytest.mark.parametrize(
    ("kind", "x", "y"), [("pr", "recall", "precision"), ("roc", "fpr", "recall")]
)
def test_the_threshold_nearest_to_a_point_of_a_curve_is_that_of_the_point(kind, x, y):
    threshold = float(np.sort(SCORES[:, 1])[50])
    rates = rates_at(LABEL, SCORES[:, 1], threshold)
    rates["fpr"] = rates["false positive rate"]
    assert nearest_threshold(LABEL, SCORES, rates[x], rates[y], kind) == (1, threshold)
