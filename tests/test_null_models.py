"""What slope alone and nearness alone score, and what is said when a model is no better."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core.null_models import (
    easy_negatives,
    nearness_score,
    null_models,
    null_warnings,
    slope_auc,
    slope_score,
)


def area(name="slope"):
    slope = np.tile(np.arange(20, dtype="float32"), (10, 1))
    slope[3, 3] = np.nan
    ds = xr.Dataset(
        {
            name: (("y", "x"), slope, {"kind": "continuous", "units": "degrees"}),
            "landslide": (("y", "x"), (slope > 15).astype("uint8")),
            "valid": (("y", "x"), np.ones(slope.shape, bool)),
        },
        {"y": 4e6 - 30.0 * np.arange(10), "x": 5e5 + 30.0 * np.arange(20)},
    )
    return ds.rio.write_crs(32643)


def places(ds, cells, split):
    row, col, label = (np.array(v) for v in zip(*cells, strict=True))
    x, y = ds["x"].values[col], ds["y"].values[row]
    frame = {"row": row, "col": col, "label": label, "split": split, "x": x, "y": y}
    return pd.DataFrame(frame)


def test_slope_and_nearness_on_the_test_places():
    ds = area()
    samples = pd.concat([
        places(ds, [(0, 0, 1), (9, 19, 0)], "train"),
        places(ds, [(1, 12, 1)], "validation"),  # not what the model learns from
        places(ds, [(0, 12, 1), (0, 18, 1), (0, 13, 0), (0, 2, 0), (9, 0, -1)], "test"),
    ])  # fmt: skip
    nulls = null_models(ds, samples)
    # slopes 12, 18 of landslides against 13, 2; distances 12, 18 cells against 13, 2
    assert nulls["slope"]["roc_auc"] == 0.75
    assert nulls["distance"]["roc_auc"] == 0.25
    assert nulls["slope"]["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_scores_lie_between_0_and_1_and_a_gap_is_the_median():
    ds = area("Slope")
    samples = places(ds, [(0, 0, 0), (0, 4, 0), (3, 3, 0), (0, 19, 1)], "test")
    np.testing.assert_allclose(slope_score(ds, samples), np.array([0, 4, 4, 19]) / 90)
    assert slope_score(area("steepness"), samples) is None
    train = places(ds, [(0, 0, 1), (0, 19, 0)], "train")
    near = nearness_score(samples, train, 0.5)
    np.testing.assert_allclose(near[[0, 1]], [1, 100 / 160])
    assert nearness_score(samples.assign(x=np.nan), train) is None
    assert nearness_score(samples, train.iloc[1:]) is None


def test_words_where_a_null_model_does_as_well():
    nulls = {"slope": {"roc_auc": 0.70}, "distance": {"roc_auc": 0.81}}
    assert null_warnings(0.84, nulls) == []
    assert [w.split(" alone")[0] for w in null_warnings(0.82, nulls)] == [
        "nearness to training landslides"
    ]
    assert len(null_warnings(0.72, nulls)) == 2
    assert "trivial" in null_warnings(0.72, nulls)[0]


def test_slope_alone_on_the_training_places_whatever_their_part():
    ds = area()
    samples = places(ds, [(0, 12, 1), (0, 18, 1), (0, 13, 0), (0, 2, 0), (9, 0, -1)], "train")
    assert slope_auc(ds, samples) == 0.75
    assert slope_auc(area("height"), samples) is None


def test_negatives_are_too_easy_only_where_slope_tells_them_better_than_random_ones():
    assert easy_negatives(0.80, 0.78) is None  # a steep inventory: random places are as easy
    assert easy_negatives(0.60, 0.40) is None
    assert easy_negatives(0.80, 0.70).startswith("too easy")
