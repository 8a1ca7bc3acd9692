"""Indices of an image: known answers, invariances, and numbers that are no reflectances."""

import numpy as np
import pytest
import xarray as xr

from lsm_core import imagery
from lsm_core.errors import AreaError, SourceError

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


# --- two dates -----------------------------------------------------------------------------------


def twice(seed=1):
    """Blue to swir before and after, the twelfth cell of red after missing."""
    values = np.random.default_rng(seed).uniform(0.01, 0.6, (10, 6, 7)).astype("float32")
    values[7, 1, 5] = np.nan
    names = [f"{band}_{date}" for date in ("before", "after") for band in NAMES]
    return xr.DataArray(values, {"band": names}, ("band", "y", "x"))


def test_change_between_two_dates():
    """Later minus earlier and later over earlier, of bands and indices, against plain arrays."""
    it = twice()
    old, new = it.values[:5].astype("float64"), it.values[5:].astype("float64")
    ndvi = [(b[3] - b[2]) / (b[3] + b[2]) for b in (old, new)]
    expected = {
        "ndvi_before": ndvi[0],
        "ndvi_after": ndvi[1],
        "d_ndvi": ndvi[1] - ndvi[0],
        "d_red": new[2] - old[2],
        "ratio_swir": new[4] / old[4],
        "red_after": new[2],
    }
    for name, values in expected.items():
        found = imagery.channel(it, name)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6)
        assert (found.name, found.dtype, found.attrs["kind"]) == (name, "float32", "continuous")
    assert np.isnan(imagery.channel(it, "d_ndvi")[1, 5])
    assert "after minus before" in imagery.channel(it, "d_ndvi").attrs["long_name"]
    it[0] = 0
    assert np.isnan(imagery.channel(it, "ratio_blue")).all()


def test_every_channel_that_is_named_can_be_made_and_no_other():
    it = twice()
    for name in imagery.channel_names(it.band.values):
        assert imagery.channel(it, name).shape == (6, 7)
    for name in ("ndvi", "red", "d_green_before", "ratio_ndvi"):
        with pytest.raises(AreaError, match=f"no band '{name}'"):
            imagery.channel(it, name)
    with pytest.raises(AreaError, match="did you mean d_ndwi or d_ndvi"):
        imagery.channel(it, "d_ndiv")
    assert imagery.channel_names(NAMES) == list(imagery.INDICES)


def test_a_plain_band_with_a_twin_before_is_the_later_date():
    """As the sample area has it: red and red_before."""
    it = twice()
    plain = it.assign_coords(band=[*(f"{band}_before" for band in NAMES), *NAMES])
    for name in ("d_ndvi", "ratio_red", "ndvi_after", "bsi_before"):
        xr.testing.assert_equal(imagery.channel(plain, name), imagery.channel(it, name))
    xr.testing.assert_equal(
        imagery.channel(plain, "ndvi"), imagery.channel(it, "ndvi_after").rename("ndvi")
    )
    assert imagery.looks_after("ndvi_after")
    assert not imagery.looks_after("red_before")
