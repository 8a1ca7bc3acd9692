"""Objects: landslides found, missed and made up, on masks drawn by hand."""

import numpy as np
import pytest

from lsm_core.errors import SampleError
from lsm_core.objects import match_objects


def drawn(*rows: str) -> np.ndarray:
    """A raster from digits; a dot is 0."""
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows])


SLIDES = drawn(
    "11..22..",
    "11..22..",
    "........",
    "33......",
    "33....44",
)


def test_half_of_a_landslide_is_enough_and_a_quarter_is_not():
    mask = drawn(
        "11..1...",  # all of 1's upper row: half of it; a quarter of 2
        "........",
        "........",
        "........",
        ".....1..",  # beside 4, none of its cells
    )
    found = match_objects(mask, SLIDES)
    assert (found["landslides"], found["found"], found["missed"]) == (4, 1, 3)
    assert found["touched"] == 2
    assert (found["objects"], found["true"], found["false"]) == (3, 2, 1)
    assert found["recall"] == 1 / 4
    assert found["precision"] == 2 / 3
    assert found["f1"] == pytest.approx(2 * (1 / 4) * (2 / 3) / (1 / 4 + 2 / 3))


def test_the_share_that_is_enough_is_said():
    mask = drawn("11..1...", "........", "........", "........", "........")
    assert match_objects(mask, SLIDES, overlap=0.25)["found"] == 2
    assert match_objects(mask, SLIDES, overlap=0.51)["found"] == 0


def test_an_object_too_large_is_false_though_it_finds_its_landslide():
    mask = drawn("11111...", "111111..", "........", "........", "........")
    found = match_objects(mask, SLIDES)
    assert found["found"] == 2  # 1 whole, 3 of 4 cells of 2
    assert (found["objects"], found["true"]) == (1, 1)  # 7 of 11 cells are landslides
    wide = match_objects(np.ones_like(SLIDES), SLIDES)
    assert (wide["found"], wide["objects"], wide["false"]) == (4, 1, 1)  # 14 of 40


def test_an_object_half_of_which_is_landslide_is_true():
    mask = drawn("........", ".....11.", "........", "........", "........")
    found = match_objects(mask, SLIDES)
    assert (found["objects"], found["true"], found["found"]) == (1, 1, 0)


def test_cells_that_touch_by_a_corner_are_one_object():
    mask = drawn("1.......", ".1......", "..1.....", "........", "........")
    assert match_objects(mask, SLIDES)["objects"] == 1


def test_what_is_not_defined_is_none():
    nothing = match_objects(np.zeros_like(SLIDES), SLIDES)
    assert (nothing["objects"], nothing["precision"], nothing["f1"]) == (0, None, None)
    assert nothing["missed"] == 4
    bare = match_objects(SLIDES > 0, np.zeros_like(SLIDES))
    assert (bare["landslides"], bare["recall"], bare["false"]) == (0, None, 4)


def test_rasters_that_do_not_fit_and_shares_out_of_range_are_refused():
    with pytest.raises(SampleError, match="does not lie on"):
        match_objects(SLIDES[:2] > 0, SLIDES)
    with pytest.raises(SampleError, match="share of cells"):
        match_objects(SLIDES > 0, SLIDES, overlap=0)
