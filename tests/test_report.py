"""What is said of a run when it is done."""

from types import SimpleNamespace

from lsm_core.report import result_in_words

METRICS = {
    "protocol": "honest",
    "n": 416,
    "scores": {"prevalence": 0.5, "accuracy": 0.8, "f1": 0.79},
    "average_precision": 0.822,
    "roc_auc": 0.863,
    "overlap": {"verdict": "clean"},
    "seconds": {"training": 4.2},
}


def said(**more):
    return result_in_words(
        SimpleNamespace(id="forest-1", path="runs/forest-1", metrics=METRICS | more)
    )


def test_models_that_know_one_thing_stand_beside_the_score():
    nulls = {
        "slope": {"average_precision": 0.7096, "roc_auc": 0.7839},
        "distance": {"average_precision": 0.5497, "roc_auc": 0.5618},
    }
    lines = said(null_models=nulls).splitlines()
    assert lines[1].startswith("AP 0.822  AUC 0.863")
    assert lines[2] == (
        "on the same places: slope alone AP 0.710 AUC 0.784; "
        "nearness to training landslides alone AP 0.550 AUC 0.562"
    )


def test_runs_of_before_have_none():
    assert "on the same places" not in said()
