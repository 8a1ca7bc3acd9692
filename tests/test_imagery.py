"""Indices of an image: known answers, invariances, and numbers that are no reflectances."""

import numpy as np
import pytest
import xarray as xr

from lsm_core import imagery
from lsm_core.errors import SourceError

NAMES = ["blue", "green", "red", "nir", "swir"]


def image(values, names=NAMES):
    values = np.asarray(values, "float32")
    return xr.DataArray(values, {"band": names[: len(values)]}, ("band", "y", "x"))


def spread(seed=0):
    return image(np.random.default_rng(seed).uniform(0.01, 0.6, (5, 6, 7)))


def test_formulas_as_published():
    """Each index cell by cell against its formula in plain arrays, float32 out."""
    it = spread()
    blue, green, red, nir, swir = it.values.astype("float64")
    expected = {
        "ndvi": (nir - red) / (nir + red),
        "ndwi": (green - nir) / (green + nir),
        "bsi": (swir + red - nir - blue) / (swir + red + nir + blue),
    }
    assert set(expected) == set(imagery.INDICES)
    for name, values in expected.items():
        found = getattr(imagery, name)(it)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-7)
        assert found.dtype == "float32"
        assert found.attrs["kind"] == "continuous"


def test_bands_go_by_name_not_by_place():
    """Another order of bands, or other names that are stated, changes nothing."""
    it = spread()
    turned = it.isel(band=[4, 2, 0, 3, 1])
    renamed = it.assign_coords(band=["B02", "B03", "B04", "B08", "B11"])
    xr.testing.assert_equal(imagery.bsi(it), imagery.bsi(turned))
    xr.testing.assert_equal(imagery.ndvi(it), imagery.ndvi(renamed, red="B04", nir="B08"))
    with pytest.raises(SourceError, match=r"no band red, nir, it has B02, B03.*bands: \{red: B02"):
        imagery.ndvi(renamed)
    with pytest.raises(SourceError, match="names no bands"):
        imagery.ndvi(it.rename(band="channel"))


def test_nodata_and_empty_denominators_are_nan():
    it = spread()
    it[2, 0, 0] = np.nan
    it[2:4, 1, 1] = 0
    it[2, 2, 2], it[3, 2, 2] = -0.125, 0.125  # an offset can push dark cells below 0
    ndvi = imagery.ndvi(it)
    for cell in ((0, 0), (1, 1), (2, 2)):
        assert np.isnan(ndvi[cell])
    assert int(np.isnan(ndvi).sum()) == 3
    assert not np.isnan(imagery.ndwi(it)[0, 0])


def test_reflectance_scales_and_keeps_nodata_out():
    """The same image stored as counts with an offset gives the same index; 0 is nodata there."""
    it = spread()
    stored = np.round((it + 0.1) * 10000).astype("int16")
    stored[:, 3, 3] = 0
    scaled = imagery.reflectance(stored.assign_attrs(nodata=0), scale=1e-4, offset=-0.1)
    assert np.isnan(scaled[:, 3, 3]).all()
    assert scaled.attrs["offset"] == -0.1
    np.testing.assert_allclose(imagery.ndvi(scaled)[:3], imagery.ndvi(it)[:3], atol=5e-3)


def test_numbers_that_are_no_reflectance_are_refused():
    """Stored counts, a byte image and a scale of 0: each says what to state."""
    counts = spread() * 10000
    with pytest.raises(SourceError, match=r"no reflectance from 0 to 1.*scale: 0\.0001"):
        imagery.ndvi(counts)
    with pytest.raises(SourceError, match="no reflectance"):
        imagery.reflectance(counts, scale=1)
    with pytest.raises(SourceError, match="scale=0 makes no reflectance"):
        imagery.reflectance(counts, scale=0)
    cloudy = spread()
    cloudy[:, :2] = 1.7
    assert imagery.ndvi(cloudy).notnull().all()
