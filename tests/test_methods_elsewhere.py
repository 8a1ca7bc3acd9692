"""How a run was made, of areas of units and of models that come from another area."""

import pytest
from regions import FOREST as UNITS
from regions import carried, run

from lsm_core.methods_text import limits_of, methods_of


def told(run):
    return " ".join(methods_of(run))


@pytest.fixture(scope="module")
def source(areas):
    return run(UNITS, "here", areas / "runs")


@pytest.mark.parametrize("how", ["direct", "self"])
def test_a_carried_model_that_saw_no_label_here_has_no_prior_and_is_told(source, areas, how):
    """Nothing is known of the share of landslides it learnt from, so that no sentence says it."""
    done = carried(source, "there", areas / "runs", how, UNITS)
    assert done.metrics["prior"] is None
    assert not [words for words in limits_of([done]) if "of the area's" in words]
    words = told(done)
    places = (source.samples["split"] == "train").sum()
    assert f"The model comes from here: {source.id}, learnt from {places} places there" in words
    taught = {"direct": "used as it is", "self": "its own confident answers"}[how]
    assert taught in words
    assert "no label of there was looked at" in words


def test_labels_of_the_target_are_counted(source, areas):
    words = told(carried(source, "there", areas / "runs", "pooled", UNITS, labels=60))
    assert "learnt anew from both areas, from 60 places of there with a label" in words
    words = told(run(UNITS, "there", areas / "runs", how="scratch", labels=60))
    assert "Nothing was taken over: it learnt from 60 places of there with a label" in words
    assert "comes from" not in words


def test_units_lie_metres_apart_and_not_cells(source, areas):
    """With and without a map, of which the latter leaves no table of units behind."""
    plain = told(source)
    assert "Units were split as they are" in plain
    gap = UNITS | {"split": {"block": 1500, "buffer": 300}}
    for more in ({}, {"map": True}):
        words = told(run(gap | more, "here", areas / "runs"))
        assert "Training units lie at least 300 m from test units" in words
        assert "cells from" not in words
