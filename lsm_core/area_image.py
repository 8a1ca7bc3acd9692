"""The image of an area file on the area's grid: its bands, of one date or two, and its clouds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core import imagery, rasters
from lsm_core.area_file import CloudsPart, ImagePart
from lsm_core.clouds import HIDDEN, SCENE_CLASSES, cloud_mask
from lsm_core.grid import Grid, align, as_float, crop, fit_of, north_up

if TYPE_CHECKING:
    from hydromt import DataCatalog

    Report = Callable[[str], object]


class LaidImage(NamedTuple):
    """Reflectance (band, y, x), NaN under clouds; the cells it leaves valid; counts of clouds."""

    image: xr.DataArray
    valid: NDArray[np.bool_]
    counts: dict[str, int]


def lay_image(spec: ImagePart, catalog: "DataCatalog", grid: Grid, report: "Report") -> LaidImage:
    """An image's bands on the grid, as reflectance, without what its clouds hide.

    Of two dates the bands are called red_before and red_after, and a cell that is hidden at one
    date is missing at that date. Hidden cells are counted for each date; they are not valid, or,
    with `cells: nodata`, valid without an image. Cells without data for any other reason are not
    valid. `report(line)` hears what was opened, how it was laid, and what clouds took.

    Errors: those of `rasters.open_image`, `imagery.reflectance` and `clouds.cloud_mask`.
    """
    layers, names, valid, counts = [], [], np.ones(grid.shape, bool), {}
    said: dict[str, str] = {}
    for date, (source, time) in spec.dates.items():
        bands, when = _bands(spec, catalog, str(source), time, grid, report)
        said[date] = f"{source}{when}"
        if spec.clouds is None:
            seen = np.isfinite(bands.values).all(axis=0)
        else:
            name = spec.clouds.source or str(source)
            hidden = _hidden(spec.clouds, catalog, name, time, grid)
            seen = np.isfinite(bands.values).all(axis=0) & ~hidden
            if spec.clouds.cells == "nodata":
                seen |= hidden
            bands = bands.where(~xr.DataArray(hidden, dims=("y", "x")))
            counts[f"cloud_cells_{date}" if date else "cloud_cells"] = int(hidden.sum())
            report(_clouds_in_words(spec.clouds, hidden, said[date]))
        valid &= seen
        layers.append(bands)
        names += [f"{band}_{date}" if date else str(band) for band in bands["band"].values]
    image = xr.concat(layers, "band").assign_coords(band=np.array(names, dtype=str))
    attrs = layers[0].attrs | {"source": "; ".join(dict.fromkeys(said.values()))}
    return LaidImage(image.assign_attrs(attrs), valid, counts)


def _bands(
    spec: ImagePart,
    catalog: "DataCatalog",
    source: str,
    time: str | int | None,
    grid: Grid,
    report: "Report",
) -> tuple[xr.DataArray, str]:
    """Reflectance (band, y, x) at one date, and in words which date it is."""
    stored = rasters.open_image(catalog, source, spec.bands, time=time)
    when = f" ({stored.attrs['time']})" if "time" in stored.attrs else ""
    bands = [
        align(as_float(crop(stored.isel(band=i, drop=True), grid)), grid, spec.how)
        for i in range(stored.sizes["band"])
    ]
    image = xr.concat(bands, stored["band"]).drop_attrs(deep=False)
    report(
        f"image {source}{when}: bands {', '.join(map(str, stored['band'].values))}; "
        f"reflectance = {spec.scale:g} x stored {spec.offset:+g}; "
        f"{fit_of(stored.isel(band=0, drop=True), grid, spec.how)}"
    )
    return imagery.reflectance(image, scale=spec.scale, offset=spec.offset), when


def _hidden(
    clouds: CloudsPart,
    catalog: "DataCatalog",
    source: str,
    time: str | int | None,
    grid: Grid,
) -> NDArray[np.bool_]:
    stored = rasters.open_raster(catalog, source, band=clouds.band, time=time)
    band = align(crop(north_up(stored), grid), grid, "nearest")
    return cloud_mask(band, grid, classes=clouds.classes, bits=clouds.bits, buffer=clouds.buffer)


def _clouds_in_words(clouds: CloudsPart, hidden: NDArray[np.bool_], image: str) -> str:
    if clouds.bits is not None:
        what = f"bits {', '.join(map(str, clouds.bits))}"
    elif clouds.classes is not None:
        what = f"classes {', '.join(map(str, clouds.classes))}"
    else:
        what = ", ".join(f"{code} {SCENE_CLASSES[code]}" for code in HIDDEN)
    round_them = f", and {clouds.buffer:g} m around" if clouds.buffer else ""
    fate = "not valid" if clouds.cells == "invalid" else "without an image, valid"
    return (
        f"clouds of {image}: {hidden.sum():,} of {hidden.size:,} cells ({hidden.mean():.1%}) are "
        f"hidden by {clouds.band} ({what}{round_them}) and {fate}"
    )
