"""Tuning splits the training part again, by the same rule and with the same gap."""

import pandas as pd
import pytest
from test_holdout import HEAT, METHODS, WINDOW, area, recipe

from lsm_core.inner_folds import nested_splits
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.splits import overlap_report


@pytest.mark.parametrize("method", METHODS)
def test_tuning_splits_the_training_part_again_with_the_same_gap(method):
    ds = area()
    chosen = recipe(method, samples=HEAT, input={"form": "window", "size": 5})
    samples = draw_places(ds, chosen).samples
    seen = samples[(samples["split"] != "test") & (samples["label"] >= 0)]
    checked = []
    for frame in nested_splits(ds, chosen, samples, 3):
        check = frame[frame["split"] == "validation"]
        train = frame[frame["split"] == "train"]
        checked += check.index.tolist()
        assert set(check["label"]) == {0, 1}
        hard = frame[frame["label"] >= 0]
        as_test = hard.assign(split=hard["split"].replace("validation", "test"))
        if set(train["label"]) >= {1}:
            assert overlap_report(as_test, chosen.apart)["share"] == 0.0
        soft = frame[frame["label"] < 0]
        slides = train[train["label"] == 1]
        assert set(soft["landslide_id"]) <= set(slides["landslide_id"])
        everything = pd.concat([as_test, soft])
        if len(train):
            assert overlap_report(everything, 5)["share"] == 0.0
            assert overlap_report(everything, 5)["shared_landslides"] == 0
        gone = frame.attrs["removed"]
        assert gone + len(frame) == (samples["split"] != "test").sum()
    assert sorted(checked) == sorted(seen.index)


def test_training_keeps_clear_of_what_checks_where_that_is_asked_for():
    """Test and validation places stay; without it early stopping looks at windows half seen."""
    ds = area()
    chosen = [
        recipe("blocks", f"split.validation_apart={n}", samples=HEAT, input=WINDOW) for n in (0, 13)
    ]
    (usual, _, counts), (clear, _, more) = (draw_places(ds, one) for one in chosen)
    for name in ("test", "validation"):
        before, after = (frame[frame["split"] == name] for frame in (usual, clear))
        pd.testing.assert_frame_equal(before.reset_index(drop=True), after.reset_index(drop=True))

    def overlap(samples, window):
        seen = samples[samples["split"] != "test"]
        return overlap_report(
            seen.assign(split=seen["split"].replace("validation", "test")), window
        )["share"]

    assert overlap(usual, 9) > 0
    assert overlap(clear, 13) == 0 < overlap(clear, 15)
    gone = more["landslides too near the validation set"]
    assert gone == counts["train: landslide"] - more["train: landslide"] > 0
    assert more["train: negative"] == more["train: landslide"]
    assert "landslides too near the validation set" not in counts


def test_tuning_as_published_leaves_out_soft_samples_of_landslides_that_check():
    ds = area()
    settings = {"name": "r", "model": {"name": "x"}, "protocol": "paper", "samples": HEAT}
    chosen = make_recipe(settings | {"input": WINDOW})
    samples = draw_places(ds, chosen).samples
    for frame in nested_splits(ds, chosen, samples, 3):
        check = frame[(frame["split"] == "validation") & (frame["label"] == 1)]
        soft = frame[frame["label"] < 0]
        assert len(soft)
        assert not set(soft["landslide_id"]) & set(check["landslide_id"])
