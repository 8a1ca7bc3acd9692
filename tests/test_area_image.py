"""Images of two dates and their clouds, from an area file to the study area."""

import json

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from country import Country
from rasterio.crs import CRS

from lsm_core import imagery
from lsm_core.area_file import read_area_file
from lsm_core.clouds import cloud_mask
from lsm_core.errors import AreaError, SourceError
from lsm_core.grid import Grid
from lsm_core.preparation import prepare

GRID = Grid((5, 6), Affine(20, 0, 0, 0, -20, 0), CRS.from_epsg(32643))
DATES = ["2023-04-28", "2023-05-13", "2023-05-23"]


def flags(values):
    return xr.DataArray(np.asarray(values), dims=("y", "x"), name="flags")


# --- the mask ------------------------------------------------------------------------------------


def test_classes_hide_as_stated_or_as_sentinel_2_has_them():
    scene = flags(np.arange(12).reshape(3, 4))
    grid = Grid((3, 4), GRID.transform, GRID.crs)
    assert np.flatnonzero(cloud_mask(scene, grid)).tolist() == [0, 1, 3, 8, 9, 10]
    assert np.flatnonzero(cloud_mask(scene, grid, classes=[6, 11])).tolist() == [6, 11]


def test_bits_hide_whichever_else_is_set():
    """QA60 has clouds in bit 10 and cirrus in bit 11."""
    stored = [[0, 1 << 10, 1 << 11, (1 << 10) | 1, 1, 1 << 9]]
    grid = Grid((1, 6), GRID.transform, GRID.crs)
    found = cloud_mask(flags(stored), grid, bits=[10, 11])
    assert found.tolist() == [[False, True, True, True, False, False]]
    assert cloud_mask(flags(stored), grid, bits=[0, 0]).tolist() == [
        [False] * 3 + [True] * 2 + [False]
    ]
    with pytest.raises(SourceError, match="numbered from 0, got -1"):
        cloud_mask(flags(stored), grid, bits=[-1])


def test_around_clouds_in_metres_whatever_the_unit_of_the_crs():
    """Cells of 20 m and of 20 feet: 45 m reach two cells of the one and seven of the other."""
    scene = np.full((1, 12), 4)
    scene[0, 0] = 9
    metres = Grid((1, 12), GRID.transform, GRID.crs)
    feet = Grid((1, 12), GRID.transform, CRS.from_epsg(2263))
    assert cloud_mask(flags(scene), metres, buffer=45).sum() == 3
    assert cloud_mask(flags(scene), feet, buffer=45).sum() == 8


def test_what_is_no_band_of_classes_is_refused():
    with pytest.raises(SourceError, match="no band of classes or bits"):
        cloud_mask(flags([[0.5, 4, 4, 4, 4, 4]]), GRID)
    unknown = flags([[4.0, np.nan]])
    assert cloud_mask(unknown, Grid((1, 2), GRID.transform, GRID.crs)).tolist() == [[False, True]]


# --- from an area file ---------------------------------------------------------------------------


@pytest.fixture
def country(tmp_path, monkeypatch):
    """Three dates of two bands and SCL; rows 0 to 3 under clouds at first, 40 on at the last."""
    monkeypatch.delenv("LSM_DATA", raising=False)
    country = Country(tmp_path)
    rows, cols = country.shape
    step = country.transform.a
    coords = {
        "time": np.array(DATES, "datetime64[ns]"),
        "y": country.north - step * (np.arange(rows) + 0.5),
        "x": country.east + step * (np.arange(cols) + 0.5),
    }
    rng = np.random.default_rng(3)
    shape = (3, rows, cols)
    bands = {b: (("time", "y", "x"), rng.integers(100, 4000, shape)) for b in ("B04", "B08")}
    scene = np.full(shape, 4)
    scene[0, :4], scene[1], scene[2, 40:] = 9, 9, 3
    ds = xr.Dataset(bands | {"SCL": (("time", "y", "x"), scene)}, coords)
    ds.to_netcdf(tmp_path / "s2.nc")
    country.entries["s2"] = {"metadata": {"crs": 32643}}
    country.stack = ds
    country.area |= {
        "image": {
            "source": "s2", "bands": {"red": "B04", "nir": "B08"}, "scale": 0.0001,
            "before": DATES[0], "after": DATES[2],
        },
        "factors": ["elevation", "d_ndvi", "ndvi_before"],
    }  # fmt: skip
    return country


def ndvi(stack, date):
    red, nir = (stack[b][date].values.astype(float) for b in ("B04", "B08"))
    return (nir - red) / (nir + red)


def about(ds):
    return json.loads(ds.attrs["prepared"])


def test_two_dates_and_their_change(country):
    """Bands at both dates by name, and the change of NDVI as it is by hand."""
    built = country.prepare()
    names = ["nir_before", "red_before", "nir_after", "red_after"]  # keys go out in order
    assert built.band.values.tolist() == names
    np.testing.assert_allclose(
        built.image.sel(band="nir_after"), country.stack.B08[2] * 1e-4, rtol=1e-5
    )
    change = ndvi(country.stack, 2) - ndvi(country.stack, 0)
    np.testing.assert_allclose(built.d_ndvi, change, atol=1e-5)
    np.testing.assert_allclose(built.ndvi_before, ndvi(country.stack, 0), atol=1e-5)
    assert set(imagery.channel_names(built.band.values)) >= {"d_ndvi", "ratio_red", "bsi_after"}
    lines = about(built)["lines"]
    assert any("date 1 of 3: 2023-04-28" in line for line in lines)
    assert any("date 3 of 3: 2023-05-23" in line for line in lines)
    minded = [line.split()[1] for line in lines if "looks at the image after" in line]
    assert minded == ["d_ndvi"]


def test_hidden_cells_are_counted_and_not_valid(country):
    """Four rows hidden before and twenty after; the DEM alone lacks twelve cells more."""
    country.area["image"]["clouds"] = {"band": "SCL"}
    built = country.prepare()
    counts = about(built)["counts"]
    assert counts["cloud_cells_before"] == 4 * 80
    assert counts["cloud_cells_after"] == 20 * 80
    assert not built.valid[:4].any()
    assert not built.valid[40:].any()
    assert int(built.valid.sum()) == 36 * 80 - 12
    assert built.d_ndvi[:4].isnull().all()
    assert built.ndvi_before[:4].isnull().all()
    assert built.ndvi_before[40:].notnull().all()
    said = [line for line in about(built)["lines"] if line.startswith("clouds of s2")]
    assert "320 of 4,800 cells (6.7%) are hidden by SCL" in said[0]
    assert "3 cloud shadow" in said[1]


def test_hidden_cells_may_stay_valid_without_an_image(country):
    country.area["image"]["clouds"] = {"band": "SCL", "classes": [9], "cells": "nodata"}
    built = country.prepare()
    assert about(built)["counts"]["cloud_cells_before"] == 320
    assert about(built)["counts"]["cloud_cells_after"] == 0  # 3 is not among the classes
    assert int(built.valid.sum()) == 4800 - 12
    assert built.d_ndvi[:4].isnull().all()
    assert built.d_ndvi[4:].notnull().all()


def test_dates_may_be_files_of_their_own(country):
    """A clear image before and another after, neither with a time axis."""
    for name, date in (("old", 0), ("new", 2)):
        country.stack.isel(time=date, drop=True).to_netcdf(country.folder / f"{name}.nc")
        country.entries[name] = {"metadata": {"crs": 32643}}
    image = country.area["image"]
    del image["source"]
    image |= {"before": {"source": "old"}, "after": {"source": "new"}}
    image["clouds"] = {"band": "SCL"}
    built = country.prepare()
    change = ndvi(country.stack, 2) - ndvi(country.stack, 0)
    np.testing.assert_allclose(built.d_ndvi[4:40], change[4:40], atol=1e-5)
    assert set(json.loads(built.attrs["fingerprints"])) >= {"old", "new"}
    assert about(built)["counts"]["cloud_cells_after"] == 1600


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"after": None}, "`before` and `after` go together"),
        ({"time": DATES[0]}, "state `time`, or `before` and `after`"),
        ({"after": DATES[0]}, "are the same image"),
        ({"source": None}, "state the image's `source`"),
        ({"clouds": {"band": "SCL", "classes": [3], "bits": [1]}}, "`classes` or by `bits`"),
        ({"clouds": {"band": "SCL", "klasses": [3]}}, "unknown key .*did you mean classes"),
        ({"before": None, "after": None, "time": DATES[0]}, "no factor 'd_ndvi' comes of this"),
    ],
)
def test_an_image_part_that_makes_no_sense(country, change, words):
    country.area["image"] |= change
    with pytest.raises(AreaError, match=words):
        country.prepare()


def test_emilia_as_it_was_before_and_after(shared_data, monkeypatch):
    """Real: NDVI falls on the mapped landslides, and its fall tells them from the rest."""
    from sklearn.metrics import roc_auc_score

    from lsm_core.catalog import load_catalog

    monkeypatch.setenv("LSM_DATA", str(shared_data))
    assert read_area_file("emilia_change").image.clouds is not None
    ds = prepare("emilia_change", load_catalog())
    mask = ds.landslide.values[ds.valid.values] == 1
    change = ds.d_ndvi.values[ds.valid.values]
    assert about(ds)["counts"]["cloud_cells_before"] == 64  # thin cirrus
    assert about(ds)["counts"]["cloud_cells_after"] == 0
    assert np.median(change[mask]) < np.median(change[~mask]) - 0.1
    assert roc_auc_score(mask, -change) > 0.8
