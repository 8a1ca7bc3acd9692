"""More cells a landslide, fewer labels, places without: all on training ground, all counted."""

import numpy as np
import pandas as pd
import pytest

from lsm_core import labelling, sampling
from lsm_core.errors import SampleError
from lsm_core.leakage import overlap_report
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.study_area import area_path, open_area

BASE = {
    "name": "few",
    "split": {"apart": 13, "block": 4000},
    "input": {"form": "window", "size": 13},
    "model": {"name": "cnn"},
}


@pytest.fixture
def ds(sample_workspace):
    return open_area(area_path("sample")).load()


def drawn(ds, protocol="honest", **samples):
    settings = BASE | {"protocol": protocol, "samples": samples}
    if protocol == "paper":
        settings = settings | {"split": {}}
    return draw_places(ds, make_recipe(settings))


def test_several_cells_of_a_landslide_are_its_own_and_no_more_than_asked_for(ds):
    slides = sampling.landslide_places(ds)
    allowed = np.ones(ds["valid"].shape, bool)
    allowed[:, :50] = False
    found = labelling.landslide_cells(ds, slides, 3, np.random.default_rng(0), allowed=allowed)
    assert found.iloc[: len(slides)].equals(slides)
    more = found.iloc[len(slides) :]
    assert set(more["origin"]) == {"landslide cell"}
    assert (more["col"] >= 50).all()
    ids = ds["landslide_id"].values
    assert (ids[more["row"], more["col"]] == more["landslide_id"]).all()
    assert not found.duplicated(["row", "col", "landslide_id"]).any()
    assert found.groupby("landslide_id").size().max() == 3
    np.testing.assert_array_equal(more["x"], ds["x"].values[more["col"]])
    assert more.dtypes.equals(slides.dtypes)
    # all cells that may be drawn are, where there are fewer than asked for
    every = labelling.landslide_cells(ds, slides, 99, np.random.default_rng(0), allowed=allowed)
    free = allowed & np.isin(ids, slides["landslide_id"])
    free[slides["row"], slides["col"]] = False
    assert len(every) - len(slides) == free.sum()


def test_few_labels_keep_the_shares_of_classes():
    places = pd.DataFrame({"label": [1] * 30 + [0] * 60, "number": range(90)})
    few = labelling.few_labels(places, 12, np.random.default_rng(0))
    assert few["label"].value_counts().to_dict() == {0: 8, 1: 4}
    other = labelling.few_labels(places, 12, np.random.default_rng(1))
    assert set(few["number"]) != set(other["number"])
    assert labelling.few_labels(places, None, np.random.default_rng(0)) is places
    with pytest.raises(SampleError, match=r"91 labelled places.*30 of landslides and 60 without"):
        labelling.few_labels(places, 91, np.random.default_rng(0))
    with pytest.raises(SampleError, match=r"raise samples\.cells"):
        labelling.few_labels(places[28:], 4, np.random.default_rng(0))


@pytest.mark.parametrize("origin", ["non-landslide", "anywhere"])
def test_unlabelled_places_keep_the_gap_from_test_blocks(ds, origin):
    plain = drawn(ds)
    found = drawn(ds, unlabelled=20, unlabelled_from=origin)
    samples = found.samples
    free = samples[samples["origin"] == "unlabelled"]
    slides = (samples["split"] == "train") & (samples["label"] == 1)
    assert len(free) == 20 * slides.sum()
    assert set(free["split"]) == {"train"}
    assert set(free["label"]) == {-1}
    assert free["target"].isna().all()
    assert not found.test_ground[free["row"], free["col"]].any()
    assert overlap_report(samples, 13)["share"] == 0
    held = ds["landslide"].values[free["row"], free["col"]]
    assert held.any() == (origin == "anywhere")
    # all other places are those of a recipe without
    rest = samples[samples["origin"] != "unlabelled"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, plain.samples)
    assert found.counts["train: unlabelled"] == len(free)


def test_the_meter_sees_unlabelled_places_too_near(ds):
    samples = drawn(ds, unlabelled=2).samples
    test = samples[samples["split"] == "test"].iloc[0]
    free = samples.index[samples["origin"] == "unlabelled"]
    samples.loc[free, ["row", "col"]] = [test["row"], test["col"]]
    assert overlap_report(samples, 13)["share"] > 0


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_labels_are_limited_and_test_places_stay(ds, protocol):
    plain = drawn(ds, protocol)
    found = drawn(ds, protocol, labelled=40, cells=4, unlabelled=5)
    train = found.samples[found.samples["split"] == "train"]
    counts = train["label"].value_counts().to_dict()
    assert counts == {-1: 100, 1: 20, 0: 20}
    for part in ("test", "validation"):
        own = found.samples[found.samples["split"] == part].reset_index(drop=True)
        plainly = plain.samples[plain.samples["split"] == part].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, plainly)
    assert found.counts["train: labelled places left out"] > 40
    held = found.samples[found.samples["split"] != "train"]
    cells = set(zip(held["row"], held["col"], strict=True))
    more = train[train["origin"].isin(["landslide cell", "unlabelled"])]
    assert not cells & set(zip(more["row"], more["col"], strict=True))


def test_more_cells_bring_as_many_negatives(ds):
    found = drawn(ds, cells=3).samples
    train = found[found["split"] == "train"]
    assert (train["label"] == 1).sum() == (train["label"] == 0).sum()
    assert (train["origin"] == "landslide cell").sum() > 10
    test = found[found["split"] == "test"]
    assert overlap_report(found, 13)["share"] == 0
    assert not set(test["landslide_id"]) & set(train["landslide_id"]) - {0}


def test_too_many_unlabelled_places_are_refused(ds):
    with pytest.raises(SampleError, match=r"unlabelled places were asked for.*lower"):
        drawn(ds, unlabelled=1000)
