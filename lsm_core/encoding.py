"""From factors to numbers a model can eat: classes, scaled values, one-hot channels and images.

An `Encoder` is fitted on training places and remembers all it learnt from them; `encode` only
looks things up, cell by cell, so a part of a study area gives exactly that part of the whole.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.classing import PRESETS as PRESETS
from lsm_core.classing import class_of, find_limits, preset_limits, rising
from lsm_core.classing import classify as classify
from lsm_core.encoder import DIRECTIONS as DIRECTIONS
from lsm_core.encoder import FORMS_OF_CLASSES, channels_of
from lsm_core.encoder import Encoder as Encoder
from lsm_core.encoder import FittedFactor as FittedFactor
from lsm_core.errors import AreaError, RecipeError, SampleError
from lsm_core.imagery import with_bands
from lsm_core.recipe import Breaks, Input
from lsm_core.study_area import categories, cells_at, factors, is_units, layer, shape_of
from lsm_core.window_statistics import mean_and_spread

# What a factor's `limits` says of the method that found them.
LIMITS = {
    "quantile": "quantiles",
    "equal": "equal intervals",
    "natural": "natural breaks",
    "geometric": "geometric intervals",
    "std": "standard deviations",
}


def fit_encoder(ds: xr.Dataset, specs: Input, *, fit_on: pd.DataFrame) -> Encoder:
    """Learn from training places how to encode: medians, means, deviations and class limits.

    Parameters
    ----------
    ds : study area.
    specs : the recipe's input. Without `factors`, all of the area's; `bands` of its image are
        scaled as continuous factors are, and come after them. Class limits (one-hot and
        classes) come from `classes`, else from the preset, else from the method `breaks` among the
        training cells (`classing.find_limits`), else they are quantiles of these.
    fit_on : training places (columns row, col); nothing else is looked at, but for the legends of
        categories. A place that stands twice counts twice; missing values do not count.

    A preset may name factors the area lacks. So may `classes` where `factors` is not given; these
    are kept in `encoder.unused`.

    Raises
    ------
    RecipeError : a factor the area lacks, an unknown preset, limits that do not rise, that belong
        to a factor of another kind or one not used, or whose units are not the area's.
    SampleError : no training places, some off the grid, or a factor missing in all of them.
    """
    names = chosen_factors(ds, specs)
    preset = _preset(specs.preset)
    unused = tuple(name for name in specs.classes if name not in names)
    if unused and specs.factors is not None:
        raise RecipeError(
            f"input.classes has limits for {unused[0]!r}, which is not in input.factors: "
            f"{_near(unused[0], names)}"
        )
    cells = _cells(ds, fit_on)
    fitted = [_fit(ds[name], cells, specs, preset) for name in names]
    learnt = tuple(fitted)
    seen = with_bands(ds, specs.bands)
    bands = tuple(_fit(seen[name], cells, specs, {}) for name in specs.bands)
    return Encoder(
        specs.form,
        specs.size,
        specs.codes,
        learnt,
        unused,
        specs.sizes,
        specs.combine,
        bands,
        specs.surroundings or 0,
    )


def chosen_factors(ds: xr.Dataset, specs: Input) -> list[str]:
    """Names of the area's factors that a recipe's input takes, in order; all where it names none.

    Errors: as of `fit_encoder`, by name alone (RecipeError).
    """
    known = factors(ds)
    names = list(known if specs.factors is None else specs.factors)
    for name in names:
        if name not in known:
            raise RecipeError(f"the area has no factor {name!r}: {_near(name, known)}")
    if len(set(names)) < len(names) or not (names or specs.bands):
        raise RecipeError(f"input.factors must name each factor once, got {names}")
    both = [name for name in specs.bands if name in names]
    if both:
        raise RecipeError(
            f"{both[0]} is among the factors and in input.bands: leave it out of one of them"
        )
    return names


def encode(ds: xr.Dataset, encoder: Encoder) -> xr.DataArray:
    """A study area, or any part of one, as a model eats it.

    Returns
    -------
    Form "onehot": (y, x, factor) int16 class, -1 where a category is missing; "classes": the same,
    -1 where anything is missing, and nothing is filled. "window" and "table": (y, x, channel)
    float32. Continuous factors are scaled to training mean 0 and deviation 1 in
    windows and raw in tables; cyclic ones (degrees) give sine and cosine; categories one channel
    each, or with codes "scaled" one channel from 0 (lowest code of the legend) to 1 (highest).
    Units give (unit, 1, factor or channel).

    With `surroundings` n, a table's continuous and cyclic channels (filled) are followed by their
    mean and standard deviation over the n x n window, by the rule of `windows`; of a part of an
    area these are exact where its windows lie within the part, or meet the area's own edge.

    Missing values: continuous take the training median, a cyclic one is 0, 0, categories all zero
    (`count_filled` counts them). A cyclic NaN in a valid cell is flat: its own class in one-hot, 0,
    0 elsewhere. Aspect classes reach 22.5 degrees to either side, closed on the left.

    A lazy Dataset is loaded, factor by factor; give a slice of rows to keep it small.

    Raises
    ------
    AreaError : a factor that is missing or of another kind, in other units, with a category the
        encoder does not know or knows by another name.
    """
    ds, valid = _checked(ds, encoder)
    onehot = encoder.form in FORMS_OF_CLASSES
    channels = encoder.channels
    shape = (*shape_of(ds), len(channels))
    stack = np.empty(shape, dtype=np.int16 if onehot else np.float32)
    at = 0
    for factor in encoder.features:
        values = layer(ds, factor.name)
        missing = _missing(values, ds[factor.name])
        width = len(channels_of(factor, encoder))
        out = stack[..., at : at + width]
        if onehot:
            fill = encoder.form == "onehot"
            out[..., 0] = _class_of(values, missing, valid, factor, fill=fill)
        else:
            _fill(out, values, missing, factor, encoder)
            if encoder.surroundings and factor.kind != "categorical":
                _add_surroundings(out, factor, encoder.surroundings)
        at += width
    last = "factor" if onehot else "channel"
    coords = {"unit": ds["unit"].values} if is_units(ds) else {"y": ds["y"], "x": ds["x"]}
    dims = ("unit", "column", last) if is_units(ds) else ("y", "x", last)
    return xr.DataArray(stack, coords | {last: list(channels)}, dims, "encoded")


def count_filled(ds: xr.Dataset, encoder: Encoder) -> dict[str, int]:
    """Cells of each factor without a value, which `encode` fills. Flat aspect is a value.

    In form "classes" they stay without one: these are the cells of class -1.
    """
    ds, valid = _checked(ds, encoder)
    counts = {}
    for factor in encoder.features:
        missing = _missing(layer(ds, factor.name), ds[factor.name])
        counts[factor.name] = int(np.sum(missing & ~valid if factor.kind == "cyclic" else missing))
    return counts


def one_hot_image(classes: ArrayLike, size: int) -> NDArray[np.float32]:
    """Classes of places as square binary images: rows are classes, columns are factors.

    Parameters
    ----------
    classes : (sample, factor) integers, -1 for missing (an empty column). size : cells across,
        `encoder.side`; what the factors leave free is zero.

    Returns
    -------
    (sample, size, size, 1) float32.

    Raises
    ------
    RecipeError : more factors, or a higher class, than the size has room for.

    >>> one_hot_image([[2, -1, 0]], 3)[0, :, :, 0]
    array([[0., 0., 1.],
           [0., 0., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    c = np.asarray(classes)
    needed = max(c.shape[1], int(c.max(initial=-1)) + 1)
    if needed > size:
        raise RecipeError(f"a one-hot image of side {size} is too small: {needed} are needed")
    image = np.zeros((len(c), size, size, 1), dtype=np.float32)
    image[np.arange(len(c))[:, None], np.maximum(c, 0), np.arange(c.shape[1]), 0] = c >= 0
    return image


# ------------------------------------------------------------------------------------ fitting


def _fit(
    da: xr.DataArray, cells: dict[str, xr.DataArray], specs: Input, preset: Mapping[str, Any]
) -> FittedFactor:
    name, kind, units = str(da.name), da.attrs["kind"], str(da.attrs.get("units", ""))
    if kind != "continuous":
        if name in specs.classes:
            raise RecipeError(f"input.classes.{name}: {kind} factors have their own classes")
        legend = categories(da) if kind == "categorical" else {}
        return FittedFactor(name, kind, units, codes=tuple(legend), names=tuple(legend.values()))
    values = da.isel(cells).to_numpy()
    values = values[np.isfinite(values)]
    if not values.size:
        raise SampleError(f"{name} is missing at every training place: leave it out of the factors")
    wide = values.astype(np.float64)
    fitted = FittedFactor(
        name, kind, units, float(np.median(wide)), float(wide.mean()), float(wide.std()) or 1.0
    )
    if specs.form not in FORMS_OF_CLASSES:
        return fitted
    given = specs.classes.get(name)
    if given is None and name in preset:
        edges = preset_limits(preset, name, units, str(specs.preset))
        limits, merged = f"preset {specs.preset}", 0
    elif given is None or isinstance(given, Breaks):
        breaks = given or specs.breaks or Breaks(method="quantile", k=specs.quantiles)
        edges, merged = find_limits(values, breaks.method, breaks.k)
        limits = LIMITS[breaks.method]
    else:
        edges, limits, merged = rising(given, f"classes.{name}"), "recipe", 0
    return dataclasses.replace(fitted, edges=edges, limits=limits, merged=merged)


def _cells(ds: xr.Dataset, fit_on: pd.DataFrame) -> dict[str, xr.DataArray]:
    """Training places as pointwise indexers."""
    rows, cols = fit_on["row"].to_numpy(), fit_on["col"].to_numpy()
    if not len(rows):
        raise SampleError("no training places to fit the encoder on: the training part is empty")
    height, width = shape_of(ds)
    off = (rows < 0) | (rows >= height) | (cols < 0) | (cols >= width)
    if off.any():
        raise SampleError(f"{off.sum()} of {len(off)} training places lie off the study area")
    return cells_at(ds, rows, cols)


def _preset(name: str | None) -> Mapping[str, tuple[float, ...]]:
    if name is not None and name not in PRESETS:
        raise RecipeError(f"there is no preset {name!r} of class limits: {_near(name, PRESETS)}")
    return PRESETS[name] if name else {}


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"


# ----------------------------------------------------------------------------------- encoding


def _checked(ds: xr.Dataset, encoder: Encoder) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    """Refuse an area that is not like the one the encoder knows; give bands and valid cells."""
    ds = with_bands(ds, [band.name for band in encoder.bands])
    known = factors(ds)
    for factor in encoder.features:
        if factor.name not in known:
            raise AreaError(
                f"the model needs the factor {factor.name!r}, which the area lacks: "
                f"{_near(factor.name, known)}"
            )
        attrs = ds[factor.name].attrs
        for what, wanted in (("kind", factor.kind), ("units", factor.units)):
            got = str(attrs.get(what, ""))
            if got != wanted:
                raise AreaError(
                    f"{factor.name} has {what} {got!r} here, but {wanted!r} where the encoder was "
                    "fitted: prepare both areas alike"
                )
        if factor.kind == "categorical":
            _same_legend(factor, categories(ds[factor.name]))
    return ds, layer(ds, "valid").astype(bool)


def _same_legend(factor: FittedFactor, legend: Mapping[int, str]) -> None:
    for code, name in zip(factor.codes, factor.names, strict=True):
        if legend.get(code, name) != name:
            raise AreaError(
                f"{factor.name}: code {code} is {legend[code]!r} here, but {name!r} where the "
                "encoder was fitted: give both areas one legend"
            )


def _missing(values: NDArray, da: xr.DataArray) -> NDArray[np.bool_]:
    if da.attrs["kind"] == "categorical":
        nodata = da.attrs.get("nodata")
        return np.zeros(values.shape, bool) if nodata is None else values == nodata
    return ~np.isfinite(values)


def _class_of(
    values: NDArray,
    missing: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    factor: FittedFactor,
    *,
    fill: bool,
) -> NDArray[np.int16]:
    if factor.kind == "categorical":
        return _place_in_legend(values, missing, factor)
    if factor.kind == "cyclic":
        return np.where(missing, np.where(valid, 0, -1), _direction(values)).astype(np.int16)
    if fill:
        return class_of(_filled(values, missing, factor), factor.edges)
    return np.where(missing, np.int16(-1), class_of(values, factor.edges))


def _fill(
    out: NDArray[np.float32],
    values: NDArray,
    missing: NDArray[np.bool_],
    factor: FittedFactor,
    encoder: Encoder,
) -> None:
    """Write a factor's channels."""
    if factor.kind == "continuous":
        filled = _filled(values, missing, factor)
        if encoder.form != "table":
            filled = (filled.astype(np.float64) - factor.mean) / factor.std
        out[..., 0] = filled
    elif factor.kind == "cyclic":
        angle = np.deg2rad(np.where(missing, 0, values).astype(np.float64))
        out[..., 0] = np.where(missing, 0, np.sin(angle))
        out[..., 1] = np.where(missing, 0, np.cos(angle))
    else:
        # The last row is that of a missing category, which has place -1.
        out[...] = _category_rows(factor, encoder.codes)[_place_in_legend(values, missing, factor)]


def _add_surroundings(out: NDArray[np.float32], factor: FittedFactor, size: int) -> None:
    """Behind a factor's own channels their means over the windows, then their spreads."""
    own = out.shape[-1] // 3
    centre = factor.mean if factor.kind == "continuous" else 0.0
    for k in range(own):
        mean, spread = mean_and_spread(out[..., k], size, centre=centre)
        out[..., own + k], out[..., 2 * own + k] = mean, spread


def _category_rows(factor: FittedFactor, codes: str) -> NDArray[np.float32]:
    """Channels of each category, in the legend's order, and of a missing one."""
    if codes == "onehot":
        return np.eye(len(factor.codes) + 1, len(factor.codes), dtype=np.float32)
    low, high = min(factor.codes), max(factor.codes)
    scaled = [(code - low) / max(high - low, 1) for code in factor.codes]
    return np.array([*scaled, 0], dtype=np.float32)[:, None]


def _filled(values: NDArray, missing: NDArray[np.bool_], factor: FittedFactor) -> NDArray:
    return np.where(missing, values.dtype.type(factor.median), values)


def _direction(degrees: NDArray) -> NDArray[np.int64]:
    """Place in DIRECTIONS of an angle from north."""
    sector = np.floor((np.nan_to_num(degrees.astype(np.float64), posinf=0, neginf=0) + 22.5) / 45)
    return sector.astype(np.int64) % 8 + 1


def _place_in_legend(
    values: NDArray, missing: NDArray[np.bool_], factor: FittedFactor
) -> NDArray[np.int16]:
    """Place of every code in the legend, -1 where there is none."""
    codes = np.array(factor.codes)
    order = np.argsort(codes)
    nearest = np.minimum(np.searchsorted(codes[order], values), len(codes) - 1)
    place = order[nearest].astype(np.int16)
    unknown = values[(codes[place] != values) & ~missing]
    if unknown.size:
        raise AreaError(
            f"{factor.name} holds code {unknown[0]} in {np.sum(unknown == unknown[0])} cells, but "
            f"the encoder knows {', '.join(map(str, factor.codes))} only: use an area with the "
            "legend of the one it was fitted on"
        )
    return np.where(missing, np.int16(-1), place)
