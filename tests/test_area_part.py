"""A part of an area: the same cells and landslides, numbered anew."""

import numpy as np
import pytest

from lsm_core import study_area
from lsm_core.area_part import part_of
from lsm_core.area_report import left_out
from lsm_core.errors import AreaError


@pytest.fixture(scope="module")
def whole(sample_workspace):
    path = study_area.area_path("sample")
    return study_area.open_area(path).load(), study_area.inventory(path)


def test_two_halves_hold_the_cells_and_landslides_of_the_whole(whole, tmp_path):
    ds, inventory = whole
    middle = ds.sizes["x"] // 2
    west, east = (
        part_of(ds, inventory, name, cols=cols)
        for name, cols in (("west", slice(middle)), ("east", slice(middle, None)))
    )
    for name in ("slope", "lithology", "image"):
        both = np.concatenate([west.ds[name].values, east.ds[name].values], axis=-1)
        np.testing.assert_array_equal(both, ds[name].values)
    cut = len(west.inventory) + len(east.inventory) - len(inventory)
    assert 0 < cut < 30  # landslides that reach into both
    mapped = np.concatenate([part.ds["landslide"].values for part in (west, east)], axis=1)
    assert (mapped >= ds["landslide"].values).all()
    assert (mapped != ds["landslide"].values).sum() <= cut  # a piece without a centre takes a cell
    opened = study_area.open_area(
        study_area.save_area(west.ds, tmp_path / "west", inventory=west.inventory)
    )
    assert opened.attrs["name"] == "west"
    assert opened.sizes["place"] == len(study_area.inventory(tmp_path / "west"))


def test_what_is_known_of_a_landslide_goes_with_it(whole):
    ds, inventory = whole
    part = part_of(ds, inventory, "north", rows=slice(0, 60))
    sizes = dict(zip(inventory["landslide_id"], inventory["area_m2"], strict=True))
    kept = inventory[inventory.intersects(part.inventory.union_all())]
    assert sorted(part.ds["place_area_m2"].values) == sorted(sizes[i] for i in kept["landslide_id"])
    told = left_out(part.ds)
    outside = told.loc[told["what"].str.contains("outside the area"), "n"].item()
    assert outside == len(inventory) - len(part.inventory)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ({"rows": slice(0, 40, 2)}, "have a step"),
        ({"cols": slice(5, 5)}, "hold no cell"),
    ],
)
def test_what_is_no_part_is_refused(whole, cut, words):
    with pytest.raises(AreaError, match=words):
        part_of(*whole, "part", **cut)
