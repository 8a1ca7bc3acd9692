"""Columns that tell the label are caught, strong honest factors are not."""

import numpy as np
import pandas as pd
import pytest

from lsm_core.screening import screen

N = 4000
CONTINUOUS = "continuous"


def label():
    return np.repeat([0, 1], N // 2)


def flags(column, y=None, kind=CONTINUOUS):
    found = screen(pd.DataFrame({"it": column}), label() if y is None else y, {"it": kind})
    return [flag.what for flag in found]


def normal(shift, seed=0):
    """Two normal classes: an honest factor of any strength."""
    return np.random.default_rng(seed).normal(size=N) + shift * label()


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5, 2.0, -1.5])
def test_honest_factors_pass(shift):
    """Up to an AUC of 0.92, in either direction."""
    assert flags(normal(shift)) == []


@pytest.mark.parametrize("shift", [3.0, -3.0])
def test_a_factor_that_is_the_label_is_caught(shift):
    """An AUC of 0.98."""
    assert flags(normal(shift)) == ["leak"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_tail_made_from_the_inventory_is_caught(sign):
    """A tenth of the landslides were mapped because this was extreme; the rest know nothing."""
    column = normal(0.0)
    column[-N // 20 :] = sign * (6 + np.arange(N // 20) / N)
    assert flags(column) == ["leak"]
    few = np.r_[0:250, N - 250 : N]  # 1 % of 250 places is no tail to speak of
    assert flags(column[few], label()[few]) == []


def test_few_places_make_a_tail_by_chance():
    """The 99th percentile of 353 places is known to a third of its size: no cry at 7 % beyond it.

    Ranks of two uniform classes, of which the landslides reach a little further: AUC .55.
    """
    few = np.r_[np.linspace(0, 1, 353), np.linspace(0, 1.065, 353)]
    y = np.repeat([0, 1], 353)
    assert np.mean(few[353:] > np.sort(few[:353])[-4]) > 0.065
    assert flags(few, y) == []
    many = np.r_[np.linspace(0, 1, 35300), np.linspace(0, 1.065, 35300)]
    assert flags(many, np.repeat([0, 1], 35300)) == ["leak"]


def test_categories_and_directions_by_their_landslide_share():
    code = np.where(label() == 1, 7.0, 3.0)
    code[:40], code[-40:] = 7, 3
    assert flags(code, kind="categorical") == ["leak"]
    assert flags(np.random.default_rng(0).integers(1, 4, N).astype(float), kind="categorical") == []
    assert flags(np.where(label() == 1, 350.0, 10.0), kind="cyclic") == ["leak"]


def test_a_gap_that_goes_with_the_label_is_caught():
    column = normal(0.0)
    column[:600] = np.nan  # no landslide among these
    assert flags(column) == ["gap"]
    assert flags(column, kind="cyclic") == []  # flat ground has no aspect, and no landslides
    evenly = normal(0.0)
    evenly[::7] = np.nan
    assert flags(evenly) == []


def test_a_stand_in_is_caught_and_an_end_of_the_range_is_not():
    column = normal(0.0)
    column[: N // 4] = 0.0  # no landslide among these
    assert flags(column) == ["stand-in"]
    assert flags(np.where(column == 0, -9.0, column)) == []  # like flat ground in a slope
    assert flags(np.round(normal(0.0), 1)) == []  # all values are frequent


def test_a_frequent_value_that_says_nothing_of_landslides_is_let_be():
    """A curvature is 0 on half of the ground where elevations come in steps."""
    rng = np.random.default_rng(1)
    for share in (0.5, 0.04):
        y = (rng.random(N) < share).astype(int)
        column = np.where(rng.random(N) < 0.47, 0.0, rng.normal(size=N))
        assert flags(column, y) == []
        assert flags(np.where((y == 0) & (rng.random(N) < 0.3), 0.5, rng.normal(size=N)), y) == [
            "stand-in"
        ]


def test_hong_kong_gives_itself_away(shared_data):
    """The rate of movement made part of the labels; slope is stronger, and honest."""
    table = pd.read_csv(shared_data / "hongkong" / "samples_HK.csv", encoding="utf-8-sig")
    table = table.drop_duplicates()
    columns = ["DEM", "slope", "curvature", "NDVI", "TWI", "dis2road", "dis2faults", "DV"]
    found = screen(table[columns], table["label"], dict.fromkeys(columns, CONTINUOUS))
    assert [f.factor for f in found if f.what == "leak"] == ["DV"]
    flat = ["SPI", "TWI"]  # -5 and 6, where no landslide is
    found = screen(table[flat], table["label"], dict.fromkeys(flat, CONTINUOUS))
    assert [(f.what, f.factor) for f in found] == [("stand-in", "SPI"), ("stand-in", "TWI")]
    without = pd.read_csv(shared_data / "hongkong" / "samples_HK_noTS.csv", encoding="utf-8-sig")
    found = screen(without[columns], without["label"], dict.fromkeys(columns, CONTINUOUS))
    assert [f.factor for f in found if f.what == "leak"] == []
