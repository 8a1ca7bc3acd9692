"""The leakage meter measures what it says."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core.errors import SampleError
from lsm_core.splits import overlap_report


def places(rows, cols, split, landslide_id=0, **more):
    frame = {"row": rows, "col": cols, "split": split, "landslide_id": landslide_id}
    return pd.DataFrame(frame | more)


def plane(rows=100, cols=120):
    ds = xr.Dataset(
        {"landslide": (("y", "x"), np.zeros((rows, cols), "uint8")),
         "valid": (("y", "x"), np.ones((rows, cols), bool))},
        {"y": 4e6 - 30.0 * np.arange(rows), "x": 5e5 + 30.0 * np.arange(cols)},
    )  # fmt: skip
    return ds.rio.write_crs(32643)


def test_windows_overlap_exactly_when_closer_than_one_window():
    for distance, share in ((12, 1.0), (13, 0.0)):
        frame = places([0, 0], [0, distance], ["train", "test"])
        report = overlap_report(frame, 13)
        assert report["share"] == share
    assert report["verdict"].startswith("clean")
    checked = places([0, 0, 0], [0, 100, 110], ["train", "validation", "test"])
    assert overlap_report(checked, 13)["share"] == 1.0  # what validation has seen is seen


def test_the_meter_counts_shared_cells_and_landslides():
    frame = places([5, 5, 9], [5, 5, 90], ["train", "test", "validation"], [7, 7, 8])
    report = overlap_report(frame, 1)
    assert (report["same_cell"], report["shared_landslides"], report["share"]) == (1, 1, 1.0)
    assert report["verdict"] == "leaks: 1 landslides are in training and test"
    assert overlap_report(places([5, 5], [5, 6], ["train", "test"]), 3)["same_cell"] == 0


def test_negatives_share_no_landslide():
    frame = places([0, 50], [0, 50], ["train", "test"], 0)
    assert overlap_report(frame, 3)["shared_landslides"] == 0


def test_no_test_places_is_an_error():
    with pytest.raises(SampleError, match="0 test and 1 training places"):
        overlap_report(places([0], [0], ["train"]), 3)


def test_distances_of_test_and_map_are_counted_between_shared_edges():
    r = np.random.default_rng(1)
    frame = places(r.integers(0, 100, 300), r.integers(0, 120, 300),
                   np.where(r.random(300) < 0.3, "test", "train"))  # fmt: skip
    ds = plane()
    ds["valid"][:40] = False
    report = overlap_report(frame, 5, ds)
    test, seen = frame[frame["split"] == "test"], frame[frame["split"] == "train"]

    def nearest(rows, cols):
        up, along = rows[:, None] - seen["row"].to_numpy(), cols[:, None] - seen["col"].to_numpy()
        return np.maximum(abs(up), abs(along)).min(axis=1)

    by_hand = nearest(test["row"].to_numpy(), test["col"].to_numpy())
    drawn = report["distances"]
    assert drawn["test"] == np.histogram(by_hand, drawn["edges"])[0].tolist()
    assert sum(drawn["test"]) == len(test)
    row, col = np.nonzero(ds["valid"].to_numpy())  # 7,200, so that all of them stand for the map
    assert drawn["map"] == np.histogram(nearest(row, col), drawn["edges"])[0].tolist()
    assert report["nearest_map_cells"][2] == np.median(nearest(row, col))
    assert len(drawn["edges"]) == len(drawn["test"]) + 1
    assert report["nearest_cells"][2] == np.median(by_hand)
    assert report["share"] == np.mean(by_hand < 5)
    assert (report["unit"], report["cell_size"]) == ("cells", 30.0)


def test_verdicts_on_distance():
    corner = places([0, 0, 3], [0, 1, 3], ["train", "train", "test"])
    report = overlap_report(corner, 1, plane())
    assert report["verdict"].startswith("optimistic: ")
    usual = report["nearest_map_cells"][2]
    among = "no test window overlaps a training window, but test places lie among"
    for share, word in ((0.45, "optimistic"), (0.55, among), (1.0, among), (1.9, "clean: no test")):
        far = places([0, int(share * usual)], [0, 0], ["train", "test"])
        tall = overlap_report(far, 1, plane(100, 120))
        assert tall["verdict"].startswith(word)
        assert not tall["verdict"].endswith("a hard test")
    lattice = np.arange(0, 60, 4)
    rows, cols = (v.ravel() for v in np.meshgrid(lattice, lattice))
    even = places(np.append(rows, 99), np.append(cols, 119), ["train"] * rows.size + ["test"])
    wide = overlap_report(even, 1, plane(60, 120))
    assert wide["verdict"].startswith("clean: ")
    assert wide["verdict"].endswith("a hard test")


def test_exact_copies_are_counted_and_gaps_are_equal():
    at = [0, 9, 18, 50, 60, 70]
    frame = places(at, at, ["train"] * 3 + ["test"] * 3)
    gap = np.copysign(np.nan, -1)  # another NaN, as arithmetic leaves it
    features = [[1.5, np.nan], [0.0, 2.0], [0.0, 2.0], [1.5, gap], [-0.0, 2.0], [1.5, 2.0]]
    report = overlap_report(frame, 3, features=features)
    assert report["duplicates"] == 2
    assert report["verdict"].startswith("suspect: 2 test places")
    assert "duplicates" not in overlap_report(frame, 3)


def units(x, y):
    n = len(x)
    return xr.Dataset(
        {"landslide": ("unit", np.zeros(n, "uint8")), "valid": ("unit", np.ones(n, bool))},
        {"x": ("unit", np.asarray(x, float)), "y": ("unit", np.asarray(y, float))},
    )


def test_units_are_as_far_apart_as_their_points_and_overlap_only_themselves():
    ds = units([0, 1, 300, 1000], [0, 0, 400, 0])
    frame = places([0, 1, 2], 0, ["train", "test", "test"],
                   x=[0.0, 1.0, 300.0], y=[0.0, 0.0, 400.0])  # fmt: skip
    report = overlap_report(frame, 1, ds)
    assert (report["share"], report["unit"]) == (0.0, "m")
    assert report["nearest_cells"] == [1.0, 125.75, 250.5, 375.25, 500.0]
    assert report["nearest_map_cells"][4] == 1000.0
    ds["valid"][3] = False
    assert overlap_report(frame, 1, ds)["nearest_map_cells"][4] == 500.0
    again = overlap_report(frame.assign(row=[1, 1, 2]), 1, ds)
    assert (again["share"], again["same_cell"]) == (0.5, 1)
    assert again["verdict"] == "leaks: 50.0% of test units are training units"
    nowhere = overlap_report(frame.assign(x=np.nan), 1, ds)
    assert nowhere["nearest_cells"] is None
    assert nowhere["verdict"] == "clean: no test unit is trained on"


def test_verdicts_on_units_speak_of_units():
    ds = units(np.arange(0, 1000, 10.0), np.zeros(100))

    def verdict(train, test):
        rows = np.append(train, test)
        split = ["train"] * len(train) + ["test"] * len(test)
        frame = places(rows, 0, split, x=10.0 * rows, y=0.0)
        return overlap_report(frame, 1, ds)["verdict"]

    every_fifth = np.arange(0, 100, 5)
    assert verdict(every_fifth[:5], [21]).endswith("training places than the map's units do")
    among = verdict(every_fifth, [11, 34])
    assert among.startswith("no test unit is trained on, but test places lie among")
    assert "(10 m at the median, the map's units 10)" in among
    hard = verdict(every_fifth[:15], [99])
    assert hard.startswith("clean: no test unit is trained on; test places lie further (290 m")
    assert "than the map's units do" in hard


def test_the_copied_rows_of_hong_kong_are_found(shared_data):
    """433 rows of the table are copies of another one."""
    table = pd.read_csv(shared_data / "hongkong" / "samples_HK_noTS.csv", encoding="utf-8-sig")
    factors = table.drop(columns=["X", "Y", "label"])
    split = np.where(np.random.default_rng(1).random(len(table)) < 0.3, "test", "train")
    frame = places(np.arange(len(table)), 0, split, x=table["X"], y=table["Y"])
    report = overlap_report(frame, 1, units(table["X"], table["Y"]), factors)
    seen = set(map(tuple, factors[split == "train"].to_numpy()))
    by_hand = sum(tuple(row) in seen for row in factors[split == "test"].to_numpy())
    assert report["duplicates"] == by_hand > 100
    assert report["verdict"].startswith(f"suspect: {by_hand} test places")
