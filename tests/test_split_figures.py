"""One model under several splits, in a table and a picture."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lsm_core.errors import RunError
from lsm_core.metrics import roc_auc
from lsm_core.split_figures import split_table, splits_of


def run(title, protocol="honest", blocks=6, **metrics):
    """What a finished run says of itself: 60 test places, three to nine landslides a block."""
    rng = np.random.default_rng(len(title))
    label = np.tile([0, 1], 30)
    score = np.clip(0.3 * label + rng.uniform(0, 0.7, 60), 0, 1)
    scores = pd.DataFrame(
        {"label": label, "score": score, "block": np.arange(60) % blocks, "split": "test"}
    )
    overlap = {
        "share": 0.25,
        "nearest_cells": [0, 1, 7, 9, 11],
        "nearest_map_cells": [0, 1, 3, 5, 7],
    }
    told = {
        "overlap": overlap,
        "counts": {"landslides too near the test set": 12},
        "null_models": {
            "slope": {"roc_auc": 0.61, "average_precision": 0.6},
            "distance": {"roc_auc": 0.52, "average_precision": 0.5},
        },
        "roc_auc": roc_auc(label, score),
        "average_precision": 0.7,
    }
    samples = pd.DataFrame(
        {"label": [1, 1, 0, 1, -1], "split": ["train", "test", "train", "train", "train"]}
    )
    recipe = SimpleNamespace(protocol=protocol, method="blocks")
    return SimpleNamespace(
        id=title, title=title, recipe=recipe, metrics=told | metrics, samples=samples, scores=scores
    )


def test_a_row_says_who_is_tested_how_near_and_how_well():
    table = split_table([run("squares"), run("at random", "paper")], draws=60)
    row = table.iloc[0]
    assert row[["train", "validation", "test", "removed"]].tolist() == [2, 0, 1, 12]
    assert row[["test distance", "map distance", "overlap"]].tolist() == [7, 3, 0.25]
    assert row["slope alone auc"] == 0.61
    assert row["nearness alone ap"] == 0.5
    assert row["auc low"] < row["auc"] < row["auc high"]
    assert table["protocol"].tolist() == ["honest", "paper"]


def test_without_blocks_or_old_runs_what_is_not_there_is_empty():
    table = split_table([run("one block", blocks=1, null_models={})], draws=60)
    assert table[["auc low", "auc high", "slope alone auc"]].isna().all(axis=None)
    assert np.isnan(split_table([run("squares")], draws=0)["ap low"].item())


def test_the_first_split_is_drawn_at_the_top_with_its_null_models():
    table = split_table([run("squares"), run("at random", "paper")], draws=20)
    drawn = splits_of(table, "auc")
    points = {p.label: p.dframe() for p in drawn if type(p).__name__ == "Points"}
    assert points["model"]["x"].tolist() == table["auc"].tolist()[::-1]
    assert points["slope alone"]["x"].tolist() == [0.61, 0.61]
    ticks = dict(drawn.opts.get("plot", backend="bokeh").kwargs["yticks"])
    assert ticks[1] == "squares\n(honest; tested 7, map 3 cells away)"
    assert "paper" in ticks[0]


def test_nothing_to_draw_is_told():
    with pytest.raises(RunError, match="no split to tell of"):
        split_table([])
    with pytest.raises(RunError, match="no 'f1' of splits"):
        splits_of(split_table([run("squares")], draws=0), "f1")
