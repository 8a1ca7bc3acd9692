"""What is said of a built area is what is in it."""

import json

import numpy as np
import pytest
import xarray as xr
from test_figures import GRID, make_area

from lsm_core import area_report
from lsm_core.own_sources import Entry
from lsm_core.study_area import flags, open_area


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    """The valley, with rocks, directions, a gap and what was said while it was built."""
    ds = open_area(make_area(tmp_path_factory.mktemp("ws"))).load()
    rock = np.full(GRID.shape, 2, "int16")
    rock[:10], rock[10:12, :5] = 4, -32768
    attrs = {
        "kind": "categorical",
        "units": "1",
        "nodata": -32768,
        **flags({2: "a", 4: "b c", 9: "d"}),
    }
    ds["rock"] = (("y", "x"), rock, attrs)
    aspect = np.full(GRID.shape, 100, "float32")
    aspect[0] = np.nan
    ds["aspect"] = (("y", "x"), aspect, {"kind": "cyclic", "units": "degrees"})
    valid = np.ones(GRID.shape, bool)
    valid[10] = False
    ds["valid"] = (("y", "x"), valid)
    ds["place_year"] = ("place", np.arange(2000, 2040))
    counts = {"cells": 6300, "valid_cells": 6230, "copies": 6, "outside": 0, "hidden_cells": 3}
    ds.attrs["prepared"] = json.dumps({"lines": ["grid: ..."], "counts": counts})
    ds.attrs["fingerprints"] = json.dumps({"dem": "ab", "slides": "cd", "rain": "ef"})
    return ds


def words(table, what):
    return table.set_index("what").loc[what, "words"]


def test_checks_are_in_words_with_their_units(ds):
    table = area_report.checks(ds)
    assert words(table, "CRS") == "EPSG:32643"
    assert words(table, "cells").startswith("90 rows x 70 columns of 30.00 m, 6 km2")
    assert words(table, "valid") == "6,230 of 6,300 cells (98.9%)"
    assert words(table, "landslides") == "40 in the inventory"
    assert words(table, "prevalence") == "40 of 6,230 valid cells hold a landslide: 0.64%"
    assert words(table, "factors") == "3: 1 continuous, 1 categorical, 1 cyclic"


def test_missing_cells_are_counted_among_valid_ones(ds):
    rows = area_report.factor_rows(ds).set_index("factor")
    assert rows["missing"].to_dict() == {"elevation": 0, "rock": 5, "aspect": 70}
    assert rows.loc["rock", "holds"] == "2 of 3 classes"


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((1268.4, 2157.2), "1,268 to 2,157"),
        ((1.751e-5, 33.82), "0.0 to 33.8"),
        ((-0.7719, 0.7051), "-0.77 to 0.71"),
        ((2e-7, 4.25e-6), "2e-07 to 4.25e-06"),
        ((7.0, 7.0), "7 to 7"),
    ],
)
def test_the_range_of_a_factor_has_three_digits_of_its_width(ds, ends, words):
    heights = ds["elevation"].copy(data=np.linspace(*ends, ds["elevation"].size).reshape(90, 70))
    wide = ds.assign(elevation=heights, valid=xr.ones_like(ds["valid"]))
    rows = area_report.factor_rows(wide).set_index("factor")
    assert rows.loc["elevation", "holds"] == words


def test_what_was_left_out_is_said_with_the_reason(ds):
    table = area_report.left_out(ds)
    assert table["n"].tolist() == [6, 70, 3]
    assert "exact copies" in table["what"][0]
    assert "without data in a raster" in table["what"][1]


def test_sources_are_held_against_the_catalogue(ds):
    def entry(name, digest, own):
        return Entry(name, "RasterDataset", None, "EPSG:1", "m", "CC0", "", digest, own, "a.tif")

    def said(own):
        entries = {"dem": entry("dem", "ab", own), "slides": entry("slides", "xx", own)}
        return area_report.source_rows(ds, entries)

    none = "the catalogue states none"
    table = said(own=False)
    assert table["checked"].tolist() == ["as in the catalogue", "differs from the catalogue", none]
    assert said(own=True)["checked"].tolist() == [
        "as it was added", "differs from what was added", none,
    ]  # fmt: skip
    assert table["licence"].tolist() == ["CC0", "CC0", "not stated"]


def test_a_cell_tells_all_its_values(ds):
    x, y = float(ds["place_x"][4]), float(ds["place_y"][4])
    table = area_report.values_at(ds, x, y).set_index("layer")["value"]
    row, col = (int(i) for i in GRID.rowcol(x, y))
    assert table["row, column"] == f"{row}, {col}"
    assert (table["landslide"], table["its year"]) == ("number 5", "2004")
    assert table["elevation"] == f"{float(ds['elevation'][row, col]):,.5g}"
    assert table["rock"] == ("4: b c" if row < 10 else "2: a")
    assert table["aspect"] == "100.0 (E)"


def test_gaps_and_the_outside_are_said(ds):
    left, _, _, top = GRID.bounds
    gap = area_report.values_at(ds, left + 45, top - 30 * 10 - 10).set_index("layer")["value"]
    assert (gap["rock"], gap["valid"]) == ("missing", "no: a source has no data here")
    flat = area_report.values_at(ds, left + 45, top - 10).set_index("layer")["value"]
    assert (flat["aspect"], flat["rock"]) == ("flat, or missing", "4: b c")
    assert area_report.values_at(ds, left - 1, top - 10) is None


def test_units_have_no_cells_to_speak_of(shared_data):
    from lsm_core.catalog import load_catalog
    from lsm_core.preparation import prepare

    units = prepare("nagaland", load_catalog())
    table = area_report.checks(units)
    assert words(table, "units").startswith("832 units")
    assert area_report.left_out(units)["what"].str.contains("units").sum() <= 1
