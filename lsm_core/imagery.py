"""What a satellite image says about a cell: vegetation, water, bare soil.

What holds for every index:

* `image` is (band, y, x) with the bands' names as coordinate `band`, surface reflectance from 0 to
  1, float, NaN as nodata. `reflectance` makes it from the numbers that an archive stores.
* Results are float32 (y, x) on the same coordinates. A cell is NaN where a band it needs is NaN, or
  where the denominator is 0; there are no edge effects, each cell stands for itself.
* Errors: no such band, or numbers that are no reflectances (SourceError).
"""

import numpy as np
import xarray as xr

from lsm_core.errors import SourceError

INDICES = ("ndvi", "ndwi", "bsi")

# Bright clouds and snow pass 1, whole images do not: stored numbers lie in hundreds or thousands.
BRIGHTEST_MEDIAN = 1.5


def reflectance(image: xr.DataArray, *, scale: float, offset: float = 0.0) -> xr.DataArray:
    """Reflectance from stored numbers: `scale` times the number, plus `offset`. float32.

    Sentinel-2 (level 2A): scale 0.0001, and offset -0.1 from processing baseline 04.00 on unless
    the archive has taken it out. The nodata that the image states (`attrs["nodata"]`,
    `_FillValue`), NaN and infinite become NaN. Attributes `scale` and `offset` remember what was
    done.

    Errors: a scale that is not above 0, or a result that is no reflectance (SourceError).

    >>> stored = xr.DataArray([[[400]], [[2400]]], {"band": ["red", "nir"]}, ("band", "y", "x"))
    >>> reflectance(stored, scale=0.0001).values.ravel().round(4)
    array([0.04, 0.24], dtype=float32)
    """
    if not scale > 0:
        raise SourceError(f"scale={scale:g} makes no reflectance: Sentinel-2 has 0.0001, others 1")
    values = image.astype("float64")
    valid = np.isfinite(values)
    for nodata in {image.attrs.get("nodata"), image.attrs.get("_FillValue")} - {None}:
        valid &= values != nodata
    result = (values * scale + offset).where(valid).astype("float32")
    attrs = {"units": "1", "long_name": "surface reflectance", "scale": scale, "offset": offset}
    result = result.assign_attrs(attrs)
    _check_scaled(result, list(result["band"].values))
    return result


def ndvi(image: xr.DataArray, *, red: str = "red", nir: str = "nir") -> xr.DataArray:
    """Normalised difference vegetation index, (nir - red) / (nir + red), -1 to 1.

    Rouse et al. (1974). Input, edges, nodata and errors as the module says.

    >>> image = xr.DataArray([[[0.1]], [[0.4]]], {"band": ["red", "nir"]}, ("band", "y", "x"))
    >>> ndvi(image).values
    array([[0.6]], dtype=float32)
    """
    low, high = _bands(image, red, nir)
    return _index(high - low, high + low, "ndvi", "normalised difference vegetation index")


def ndwi(image: xr.DataArray, *, green: str = "green", nir: str = "nir") -> xr.DataArray:
    """Normalised difference water index, (green - nir) / (green + nir), -1 to 1; open water > 0.

    McFeeters (1996); the index of the same name by Gao (1996) is of nir and swir and means the
    water in leaves. Input, edges, nodata and errors as the module says.

    >>> image = xr.DataArray([[[0.3]], [[0.1]]], {"band": ["green", "nir"]}, ("band", "y", "x"))
    >>> ndwi(image).values
    array([[0.5]], dtype=float32)
    """
    wet, dry = _bands(image, green, nir)
    return _index(wet - dry, wet + dry, "ndwi", "normalised difference water index")


def bsi(
    image: xr.DataArray,
    *,
    blue: str = "blue",
    red: str = "red",
    nir: str = "nir",
    swir: str = "swir",
) -> xr.DataArray:
    """Bare soil index, ((swir + red) - (nir + blue)) / ((swir + red) + (nir + blue)), -1 to 1.

    Rikimaru et al. (2002), without their scaling to 0..200; swir is the band near 1.6 micrometres
    (B11 of Sentinel-2). Input, edges, nodata and errors as the module says.

    >>> bands = {"band": ["blue", "red", "nir", "swir"]}
    >>> image = xr.DataArray(np.reshape([0.1, 0.2, 0.2, 0.5], (4, 1, 1)), bands, ("band", "y", "x"))
    >>> bsi(image).values
    array([[0.4]], dtype=float32)
    """
    b, r, n, s = _bands(image, blue, red, nir, swir)
    return _index((s + r) - (n + b), (s + r) + (n + b), "bsi", "bare soil index")


def _bands(image: xr.DataArray, *names: str) -> list[xr.DataArray]:
    """These bands, in float64, after a look at whether they are reflectances."""
    if "band" not in image.dims or "band" not in image.coords:
        raise SourceError(
            f"the image has dimensions {image.dims} and names no bands: give it a coordinate "
            "`band`, e.g. image.assign_coords(band=['red', 'nir'])"
        )
    have = [str(name) for name in image["band"].values]
    absent = [name for name in names if name not in have]
    if absent:
        raise SourceError(
            f"the image has no band {', '.join(absent)}, it has {', '.join(have)}: say which band "
            f"is meant, e.g. {absent[0]}='{have[0]}' (area file: `image: {{bands: {{{absent[0]}: "
            f"{have[0]}}}}}`)"
        )
    _check_scaled(image, [image["band"].values[have.index(name)] for name in names])
    return [image.isel(band=have.index(name), drop=True).astype("float64") for name in names]


def _check_scaled(image: xr.DataArray, bands: list) -> None:
    for band in bands:
        values = image.sel(band=band).values
        values = values[np.isfinite(values)]
        if values.size and np.median(np.abs(values)) > BRIGHTEST_MEDIAN:
            raise SourceError(
                f"band {band} is no reflectance from 0 to 1: half of its cells are above "
                f"{np.median(np.abs(values)):.4g}; state the scale, e.g. imagery.reflectance(image,"
                " scale=0.0001) (area file: `image: {scale: 0.0001, offset: 0}`)"
            )


def _index(top: xr.DataArray, bottom: xr.DataArray, name: str, long_name: str) -> xr.DataArray:
    result = (top / bottom.where(bottom != 0)).astype("float32").rename(name)
    result.attrs = {"units": "1", "kind": "continuous", "long_name": long_name}
    return result
