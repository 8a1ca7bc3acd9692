"""Chips: where they lie, who of them is tested, and which of their cells count."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core import chips
from lsm_core.errors import RecipeError, SampleError
from lsm_core.leakage import overlap_report
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.sampling import landslide_places
from lsm_core.study_area import area_path, open_area
from lsm_core.windows import cut

UNET = {
    "name": "chips",
    "model": {"name": "attention_unet"},
    "input": {"form": "chip", "size": 16, "bands": ["red", "nir"], "factors": []},
}
CELLS = {
    "name": "cells",
    "model": {"name": "random_forest"},
    "input": {"form": "table", "bands": ["red", "nir"], "factors": []},
    "chips": {"size": 16},
}


def area(shape=(70, 90), slides=((3, 3, 6, 6), (40, 40, 44, 50), (60, 80, 63, 84))):
    """A grid with rectangular landslides (top, left, bottom, right) and an invalid corner."""
    number = np.zeros(shape, np.int32)
    for i, (top, left, bottom, right) in enumerate(slides, start=1):
        number[top:bottom, left:right] = i
    valid = np.ones(shape, bool)
    valid[:4, -4:] = False
    coords = {"y": 10.0 * np.arange(shape[0])[::-1], "x": 10.0 * np.arange(shape[1])}
    layers = {"landslide_id": number, "landslide": (number > 0).astype("uint8"), "valid": valid}
    ds = xr.Dataset({name: (("y", "x"), values) for name, values in layers.items()}, coords)
    return ds.rio.write_crs("EPSG:32643")


def recipe(*changes, of=UNET):
    return make_recipe(of, changes)


@pytest.fixture(scope="module")
def sample(sample_workspace):
    ds = open_area(area_path("sample"))
    return ds, landslide_places(ds)


def drawn(sample, *changes):
    ds, slides = sample
    return chips.draw_chips(ds, recipe(*changes), slides)


def squares(frame, size):
    """The cells of each chip, as sets of (row, col), from the cut of a raster of numbers."""
    number = np.arange(300 * 300).reshape(300, 300, 1)
    return cut(number, frame["row"], frame["col"], size).reshape(len(frame), -1)


def test_chips_lie_side_by_side_and_a_rest_belongs_to_none():
    found = chips._lattice(area(), recipe())
    held = squares(found, 16)
    assert len(found) == 4 * 5
    assert len(np.unique(held)) == held.size == 20 * 256
    assert held.min() == 0
    assert (held // 300).max() == 63  # of 70 rows
    assert (held % 300).max() == 79
    exact = chips._lattice(area(shape=(64, 96)), recipe())  # no rest at all
    assert len(exact) == 4 * 6


def test_a_stride_below_the_size_makes_chips_overlap():
    found = chips._lattice(area(), recipe("chips.stride=8"))
    assert len(found) == 7 * 10
    assert np.unique(np.diff(np.unique(found["row"]))).tolist() == [8]


def test_a_chip_is_labelled_by_its_valid_landslide_cells():
    ds = area(slides=((3, 3, 6, 6), (0, 84, 6, 90)))
    found = chips._lattice(ds, recipe("chips.stride=2"))
    by_place = found.set_index(["row", "col"])
    first = by_place.loc[(8, 8)]
    assert (first["label"], first["origin"]) == (1, "chip with landslides")
    assert first["target"] == pytest.approx(9 / 256)
    corner = by_place.loc[(8, 82)]  # columns 74 to 89: 36 landslide cells, 16 of them invalid
    assert corner["target"] == pytest.approx(20 / 240)


@pytest.mark.parametrize(
    "changes", [(), ("chips.stride=8",), ("split.apart=20", "split.block=5760")]
)
def test_under_honest_no_training_chip_overlaps_a_test_chip(sample, changes):
    found, ground, _counts = drawn(sample, *changes)
    assert set(found["split"]) == {"train", "validation", "test"}
    held, seen = (
        squares(found[m], 16) for m in (found["split"] == "test", found["split"] != "test")
    )
    assert not np.intersect1d(held, seen).size
    report = overlap_report(found, 16)
    assert report["share"] == 0
    assert report["nearest_cells"][0] >= (20 if "split.apart=20" in changes else 16)
    assert ground.sum() == len(np.unique(held))
    # Inner chips only: nothing of a test chip lies beyond the ground that is said to be tested.
    assert set(np.flatnonzero(ground)) == {
        cell // 300 * ground.shape[1] + cell % 300 for cell in np.unique(held).tolist()
    }


def test_training_chips_keep_clear_of_validation_chips_where_asked(sample):
    """By the distance of centres; test and validation chips stay, and it is counted."""
    usual, _, _ = drawn(sample, "chips.stride=8")
    apart, _, counts = drawn(sample, "chips.stride=8", "split.validation_apart=24")

    def nearest(frame):
        check, train = (frame[frame["split"] == p] for p in ("validation", "train"))
        gap = [abs(train[of].to_numpy() - check[of].to_numpy()[:, None]) for of in ("row", "col")]
        return np.maximum(*gap).min()

    assert nearest(usual) < 24 <= nearest(apart)
    gone = counts["training chips too near to a validation chip, left out"]
    assert 0 < gone == len(usual) - len(apart)
    for part in ("test", "validation"):
        both = (f.loc[f["split"] == part, ["row", "col"]].to_numpy() for f in (usual, apart))
        np.testing.assert_array_equal(*both)
    assert recipe("split.validation_apart=5").validation_apart_chips == 16  # never a cell shared
    with pytest.raises(SampleError, match="no chip is left for train"):
        drawn(sample, "chips.stride=8", "split.validation_apart=200")


def test_a_block_of_chips_is_in_one_part(sample):
    found, _, _ = drawn(sample, "split.block=5760")  # 32 cells of 180 m: 2 x 2 chips
    assert found.groupby("block")["split"].nunique().max() == 1
    assert found.groupby("block").size().max() >= 4


def test_chips_across_two_parts_are_left_out_and_counted(sample):
    found, _, counts = drawn(sample, "chips.stride=8")
    everything = counts["chips on the lattice"]
    gone = sum(n for name, n in counts.items() if name.endswith("left out"))
    assert counts["chips in two parts, left out"] > 0
    assert len(found) == everything - gone


def test_test_chips_follow_the_split_alone(sample):
    def tested(*changes):
        found, _, _ = drawn(sample, *changes)
        return set(found.loc[found["split"] == "test", ["row", "col"]].itertuples(index=False))

    usual = tested()
    assert tested("seed=9", "chips.empty=0", "chips.augment=false") == usual
    assert tested("split.seed=9") != usual


def test_a_share_of_training_chips_without_landslides_is_kept(sample):
    def bare(*changes):
        found, _, counts = drawn(sample, *changes)
        without = found[found["label"] == 0].groupby("split").size()
        return without, counts["training chips without landslides, left out"]

    all_of_them, none_gone = bare()
    half, gone = bare("chips.empty=0.5")
    assert none_gone == 0
    assert half["train"] == round(all_of_them["train"] / 2) == all_of_them["train"] - gone
    assert half.drop("train").equals(all_of_them.drop("train"))
    assert "train" not in bare("chips.empty=0")[0]


def test_under_paper_chips_are_dealt_at_random(sample):
    found, ground, _ = drawn(sample, "protocol=paper", "split.test=0.2", "split.validation=0.25")
    share = found["split"].value_counts() / len(found)
    assert share.round(2).to_dict() == {"train": 0.6, "validation": 0.2, "test": 0.2}
    assert ground is None
    by_seed = [
        drawn(sample, "protocol=paper", "split.test=0.2", *more)[0]["split"].tolist()
        for more in ([], ["seed=9"], ["split.seed=2"])
    ]
    assert by_seed[0] == by_seed[1] != by_seed[2]
    fold, _, _ = drawn(sample, "protocol=paper", "split.folds=4", "split.validation=0.5")
    assert (fold["split"].value_counts() / len(fold)).round(2).to_dict() == pytest.approx(
        {"train": 0.38, "validation": 0.38, "test": 0.25}, abs=0.011
    )


def test_a_landslide_across_the_border_is_judged_and_not_learnt_from():
    ds = area(shape=(64, 64), slides=((10, 10, 12, 22), (30, 30, 31, 31), (50, 50, 52, 52)))
    found = pd.DataFrame({"row": [8, 8], "col": [8, 24], "split": ["train", "test"], "block": 0})
    usable = chips.counted(ds, found, recipe())
    assert not usable[10:12, 10:22].any()
    assert usable.sum() == ds["valid"].to_numpy().sum() - 24
    cells = chips.draw_cells(ds, recipe(), found)
    train, test = (cells[cells["split"] == part] for part in ("train", "test"))
    assert len(train) == 256 - 12  # 6 of the 12 columns lie in each chip
    assert train["label"].sum() == 0
    assert test["label"].sum() == 12
    assert set(test.loc[test["label"] == 1, "landslide_id"]) == {1}
    published = chips.draw_cells(ds, recipe("protocol=paper"), found)
    assert published.loc[published["split"] == "train", "label"].sum() == 12


def test_cells_are_valid_once_each_and_where_they_say():
    ds = area()
    overlapping = pd.DataFrame(
        {
            "row": [8, 8, 48],
            "col": [72, 80, 45],
            "split": ["train", "train", "test"],
            "block": [1, 2, 3],
        }
    )
    cells = chips.draw_cells(ds, recipe(), overlapping)
    assert not cells.duplicated(["row", "col"]).any()
    train = cells[cells["split"] == "train"]
    assert len(train) == 16 * 24 - 4 * 2  # of the invalid corner, two columns lie in the chips
    at = cells["row"], cells["col"]
    assert np.array_equal(ds["y"].to_numpy()[at[0]], cells["y"])
    assert np.array_equal(ds["x"].to_numpy()[at[1]], cells["x"])
    assert np.array_equal(ds["landslide"].to_numpy()[at], cells["label"])
    assert set(cells.loc[cells["split"] == "test", "block"]) == {3}


def test_a_model_on_cells_learns_from_training_chips_and_is_judged_on_the_same_cells(sample):
    ds, _ = sample
    on_chips = draw_places(ds, recipe())
    on_cells = draw_places(ds, recipe("samples.negatives_per_landslide=3", of=CELLS))
    judged = chips.draw_cells(ds, recipe(), on_chips.samples)
    part = on_cells.samples
    for name in ("validation", "test"):
        ours, theirs = (f.loc[f["split"] == name, ["row", "col", "label"]] for f in (judged, part))
        assert np.array_equal(ours, theirs)
    train = part[part["split"] == "train"]
    assert (train["label"] == 0).sum() == 3 * train["label"].sum()
    every = judged[(judged["split"] == "train")]
    assert train["label"].sum() == every["label"].sum()
    assert set(train[["row", "col"]].itertuples(index=False)) <= set(
        every[["row", "col"]].itertuples(index=False)
    )


def test_training_cells_to_look_at_are_limited(sample, monkeypatch):
    ds, _slides = sample
    monkeypatch.setattr(chips, "MOST", 1000)
    found, _, _ = drawn(sample)
    cells = chips.draw_cells(ds, recipe(), found)
    assert (cells["split"] == "train").sum() == 1000
    assert (cells["split"] == "test").sum() > 5000


def test_what_chips_cannot_be_is_refused(sample):
    _ds, _slides = sample
    with pytest.raises(SampleError, match="fewer than a chip of 256"):
        drawn(sample, "input.size=256")
    with pytest.raises(SampleError, match=r"block\(s\)|is left for"):
        drawn(sample, "split.block=20000")
    for wrong, words in (
        ("input.size=40", "multiples of 16"),
        ("chips.size=32", "leave it out"),
        ("split.method=random", "for the paper protocol"),
        ("split.method=clusters", "by blocks or at random"),
        ("samples.heatmap={diameter: 7}", "no heatmap samples"),
        ("samples.smoothing=0.1", "samples.smoothing is of places"),
        ("samples.cells=3", "samples.cells is of places"),
        ("samples.labelled=50", "samples.labelled is of places"),
        ("samples.unlabelled=1", "samples.unlabelled is of places"),
        ("split.buffer=500", "split.apart cells, not split.buffer metres"),
        ("selection={}", "leave selection out"),
    ):
        with pytest.raises(RecipeError, match=words):
            recipe(wrong)
    with pytest.raises(RecipeError, match=r"give chips\.size"):
        recipe("chips.size=null", of=CELLS)


def test_a_chip_is_128_cells_unless_said():
    assert make_recipe(UNET | {"input": {"form": "chip"}}).chip == 128
