"""An area's image as a person sees it: red, green and blue, stretched. Nothing learns from it."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import AreaError

TRUE = ("red", "green", "blue")
FALSE = ("nir", "red", "green")  # where there is no blue band: vegetation is red
ENDS = (2.0, 98.0)  # percentiles that become black and white
ENOUGH = 400  # cells a side that the percentiles are taken from


def has_image(ds: xr.Dataset) -> bool:
    """Whether a study area has an image that can be looked at."""
    return "image" in ds and bool(colour_bands(ds, strict=False))


def colour_bands(ds: xr.Dataset, *, strict: bool = True) -> tuple[str, ...]:
    """Names of the bands shown as red, green and blue; of two dates those after.

    Raises
    ------
    AreaError : the area has no image, or one without these bands (empty where not `strict`).
    """
    names = [str(name) for name in ds["image"]["band"].values] if "image" in ds else []
    for wanted in (TRUE, FALSE):
        found = [_band(name, names) for name in wanted]
        if all(found):
            return tuple(found)
    if not strict:
        return ()
    have = f"its image has {', '.join(names)}" if names else "it has no image"
    raise AreaError(f"no picture of {ds.attrs.get('name', 'the area')}: {have}; {TRUE} are needed")


def stretch_of(ds: xr.Dataset, bands: Sequence[str]) -> NDArray[np.float32]:
    """Values of black and white of each band, (band, 2), from evenly spaced cells of the area."""
    image = ds["image"].sel(band=list(bands))
    step = max(1, max(image.sizes["y"], image.sizes["x"]) // ENOUGH)
    values = image[:, ::step, ::step].to_numpy()
    ends = [np.nanpercentile(band, ENDS) if np.isfinite(band).any() else (0, 1) for band in values]
    return np.asarray(ends, dtype="float32")


def picture(
    ds: xr.Dataset,
    rows: slice = slice(None),
    cols: slice = slice(None),
    *,
    most: int = 600,
    stretch: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Red, green, blue and opacity (y, x, 4) of a window, in no more than `most` cells a side.

    Cells without data are clear. Larger windows are thinned, not averaged.
    """
    bands = colour_bands(ds)
    ends = stretch_of(ds, bands) if stretch is None else stretch
    part = ds["image"].sel(band=list(bands)).isel(y=rows, x=cols)
    step = max(1, -(-max(part.sizes["y"], part.sizes["x"]) // most))
    values = part[:, ::step, ::step].transpose("y", "x", "band").to_numpy()
    low, high = ends[:, 0], np.maximum(ends[:, 1], ends[:, 0] + 1e-9)
    there = np.isfinite(values).all(axis=-1)
    made = np.zeros((*values.shape[:2], 4), dtype="uint8")
    scaled = np.clip((np.nan_to_num(values) - low) / (high - low), 0, 1)
    made[..., :3] = (255 * scaled).round()
    made[..., 3] = np.where(there, 255, 0)
    return made


def _band(name: str, names: Sequence[str]) -> str:
    """The band of this name, of two dates the later; empty where there is none."""
    return next((n for n in (name, f"{name}_after") if n in names), "")
