"""What a satellite image says about a cell: vegetation, water, bare soil.

What holds for every index:

* `image` is (band, y, x) with the bands' names as coordinate `band`, surface reflectance from 0 to
  1, float, NaN as nodata. `reflectance` makes it from the numbers that an archive stores.
* Results are float32 (y, x) on the same coordinates. A cell is NaN where a band it needs is NaN, or
  where the denominator is 0; there are no edge effects, each cell stands for itself.
* Errors: no such band, or numbers that are no reflectances (SourceError).
"""

import difflib
import re
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr

from lsm_core.errors import AreaError, SourceError

INDICES = ("ndvi", "ndwi", "bsi")
DATES = ("before", "after")
NAME = re.compile(r"^(?:(d|ratio)_)?(.*?)(?:_(before|after))?$")  # of a channel

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


def with_bands(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """A study area with bands of its image, and indices made of them, as layers of their own.

    Parameters
    ----------
    ds : with `image` (band, y, x) where any name is given; any part of an area gives that part.
    names : of the image's bands, of `INDICES`, or of changes between two dates: see `channel`.
        An index needs the bands its function names: blue, green, red, nir, swir.

    Returns
    -------
    `ds` and, by these names, (y, x) float32 layers of kind continuous, NaN as nodata. A layer that
    was called so is hidden by it.

    Raises
    ------
    AreaError : the area has no image, or that no such band. SourceError : bands that an index
        needs are missing or no reflectances.

    >>> image = xr.DataArray([[[0.1]], [[0.4]]], {"band": ["red", "nir"]}, ("band", "y", "x"))
    >>> seen = with_bands(xr.Dataset({"image": image}), ["nir", "ndvi"])
    >>> [round(float(seen[name][0, 0]), 6) for name in ("nir", "ndvi")], seen.nir.attrs["kind"]
    ([0.4, 0.6], 'continuous')
    """
    names = list(names)
    if names and "image" not in ds:
        raise AreaError(
            f"{ds.attrs.get('name', 'the area')} has no image to take {', '.join(names)} from: "
            "leave input.bands out, or state `image:` in its area file and prepare it again"
        )
    return ds.assign({name: channel(ds["image"], name) for name in names})


def channel(image: xr.DataArray, name: str) -> xr.DataArray:
    """One map of an image by its name: a band, an index, or the change of either.

    Parameters
    ----------
    image : (band, y, x). Of two dates its bands are called red_before and red_after; where a band
        has a twin `_before`, the plain name (red) means the later date too.
    name : a band of the image; an index (`INDICES`), of two dates `ndvi_before` or `ndvi_after`;
        `d_red` or `d_ndvi`, the later date minus the earlier; `ratio_red`, the later over the
        earlier. A band that is called like any of these is the band.

    Returns
    -------
    (y, x) float32 of kind continuous; NaN where a band it needs is NaN, or a denominator 0.

    Raises
    ------
    AreaError : the image has nothing of this name; near names are said. SourceError : bands that an
        index needs are missing, or are no reflectances.

    >>> names = ["red_before", "nir_before", "red_after", "nir_after"]
    >>> image = xr.DataArray(np.reshape([0.1, 0.4, 0.2, 0.3], (4, 1, 1)), dims=("band", "y", "x"))
    >>> image = image.assign_coords(band=names)
    >>> [round(float(channel(image, n)[0, 0]), 3) for n in ("d_ndvi", "ratio_red", "ndvi_before")]
    [-0.4, 2.0, 0.6]
    """
    have = [str(band) for band in image["band"].values]
    if name in have:
        return _band(image, name)
    kind, what, when = _parsed(name)
    if name in channel_names(have):
        if kind == "":
            return _quantity(_dated(image, when) if when else image, what).rename(name)
        old, new = (_quantity(_dated(image, date), what) for date in ("before", "after"))
        change = new - old if kind == "d" else new / old.where(old != 0)
        words = "after minus before" if kind == "d" else "after over before"
        attrs = {"units": "1", "kind": "continuous"}
        attrs["long_name"] = f"{old.attrs['long_name']}, {words}"
        return change.astype("float32").rename(name).drop_attrs().assign_attrs(attrs)
    known = [*have, *(n for n in channel_names(have) if n not in have)]
    near = difflib.get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise AreaError(f"the image has no band {name!r}, nor is it an index: {hint}")


def channel_names(bands: Iterable[str]) -> list[str]:
    """What `channel` makes of an image with these bands, besides the bands.

    >>> channel_names(["red_before", "red_after"])[:3]
    ['ndvi_before', 'ndvi_after', 'ndwi_before']
    """
    have = list(bands)
    twins = [b.removesuffix("_before") for b in have if b.endswith("_before")]
    twins = [b for b in twins if b in have or f"{b}_after" in have]
    names = (
        [] if have and not set(have) - {f"{b}_{d}" for b in twins for d in DATES} else [*INDICES]
    )
    if twins:
        names += [f"{index}_{date}" for index in INDICES for date in DATES]
        names += [f"d_{what}" for what in (*twins, *INDICES)] + [f"ratio_{b}" for b in twins]
    return names


def is_dated(name: str) -> bool:
    """Whether a channel's name speaks of one of two dates, or of the change between them.

    >>> [is_dated(name) for name in ("ndvi", "ndvi_before", "d_red")]
    [False, True, True]
    """
    kind, _, when = _parsed(name)
    return bool(kind or when)


def looks_after(name: str) -> bool:
    """Whether a channel's name says that it is of the later date, or of the change to it.

    >>> [looks_after(name) for name in ("ndvi", "ndvi_before", "ndvi_after", "d_red")]
    [False, False, True, True]
    """
    kind, _, when = _parsed(name)
    return bool(kind) or when == "after"


def _parsed(name: str) -> tuple[str, str, str]:
    """Change ("", "d", "ratio"), band or index, and date ("", "before", "after") of a name."""
    (parts,) = NAME.findall(name)
    return parts


def _dated(image: xr.DataArray, when: str) -> xr.DataArray:
    """The bands of one of two dates, under their plain names."""
    have = [str(band) for band in image["band"].values]
    plain = {b.removesuffix(f"_{when}"): b for b in have if b.endswith(f"_{when}")}
    if when == "after" and not plain:
        plain = {b: b for b in have if f"{b}_before" in have}
    at = [have.index(name) for name in plain.values()]
    return image.isel(band=at).assign_coords(band=list(plain))


def _quantity(image: xr.DataArray, what: str) -> xr.DataArray:
    indices: dict[str, Callable[[xr.DataArray], xr.DataArray]]
    indices = {"ndvi": ndvi, "ndwi": ndwi, "bsi": bsi}
    return indices[what](image) if what in indices else _band(image, what)


def _band(image: xr.DataArray, name: str) -> xr.DataArray:
    have = [str(each) for each in image["band"].values]
    attrs = {"units": str(image.attrs.get("units", "1")), "kind": "continuous"}
    layer = image.isel(band=have.index(name), drop=True).astype("float32")
    return layer.rename(name).drop_attrs().assign_attrs(attrs, long_name=f"band {name}")


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
