"""Opening raster sources of the catalogue: which band, which date, and are rows really rows.

GeoTIFF and COG (local, or by http(s), of which only the needed blocks are fetched), NetCDF and
Zarr, whatever HydroMT reads. What comes out is lazy: `grid.crop` it before its values are used.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm_core.catalog import did_you_mean, entry_of, local_path, reading, source
from lsm_core.errors import CatalogError, SourceError
from lsm_core.file_kinds import RASTERS, check_geotiff

if TYPE_CHECKING:
    import xarray as xr
    from hydromt import DataCatalog

X_NAMES, Y_NAMES = ("x", "lon", "longitude"), ("y", "lat", "latitude")
STACKS = (".nc", ".nc4", ".zarr")
BLOCK = 512

# A server that does not answer must not hold the program for ever.
PATIENCE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}


def open_raster(
    catalog: "DataCatalog",
    name: str,
    *,
    band: str | int | None = None,
    time: str | int | None = None,
) -> "xr.DataArray":
    """One map (y, x) of a raster source: the first band, or one by name or number (from 1).

    Of a source with a time axis `time` states the date ("2023-04-28") or its number (from 1); what
    was chosen stands in words in `attrs["time"]`. The catalogue's `unit_mult` and `unit_add` are
    applied, and its `nodata` and `crs` where the file states none. Rows stay as stored
    (`grid.align` turns them north up), nodata as it is.

    Errors: a file or URL that cannot be read, no such band or date, a time axis without `time`, or
    dimensions in the order (x, y) about which the catalogue says nothing (SourceError); no CRS
    (CrsError).
    """
    raster = _band(_at(_opened(catalog, name), name, time), name, band)
    raster.attrs.pop("source_file", None)
    raster = raster.squeeze(drop=True)
    if raster.ndim != 2:
        raise SourceError(f"{name} has dimensions {raster.dims}: store one map as its own raster")
    if not {"y", "x"} & set(raster.dims) and "xc" not in raster.coords:
        raster = raster.rename(dict(zip(raster.dims, ("y", "x"), strict=True)))
    return raster.rename(name)


def open_image(
    catalog: "DataCatalog",
    name: str,
    bands: Mapping[str, str | int] | Sequence[str],
    *,
    time: str | int | None = None,
) -> "xr.DataArray":
    """Bands (band, y, x) of a raster source, as stored, under the names that `bands` gives them.

    `bands` maps a name to the source's band ({"red": "B04"}), or lists bands that keep their names.
    Date and errors as in `open_raster`.
    """
    import xarray as xr

    wanted = dict(bands) if isinstance(bands, Mapping) else {band: band for band in bands}
    data = _at(_opened(catalog, name), name, time)
    maps = [_band(data, name, band).squeeze(drop=True) for band in wanted.values()]
    names = xr.DataArray(np.array(list(wanted), dtype=str), dims="band", name="band")
    image = xr.concat(maps, names, combine_attrs="override")
    return image.rename(name)


def open_lattice(catalog: "DataCatalog", name: str) -> "xr.DataArray":
    """Any one map (y, x) of a raster source, for its grid: the first band at the first date."""
    data = _opened(catalog, name)
    return open_raster(catalog, name, time=1 if _time_axis(data) else None)


def stored_words(catalog: "DataCatalog", name: str) -> str:
    """What was put right about a source's axes, for a report; empty where nothing was."""
    if _stored(source(catalog, name)) != "rows":
        return ""
    return f"{name}: its dimensions are named (x, y) but hold (row, column); read as stored"


def _opened(catalog: "DataCatalog", name: str) -> "xr.DataArray | xr.Dataset":
    """The source with all its bands and dates, lazily."""
    import xarray as xr

    entry = entry_of(catalog, name, ("RasterDataset",))
    if entry.driver.name == "rasterio" and str(entry.full_uri).lower().endswith(STACKS):
        raise SourceError(  # GDAL would take its axes by position, whatever they are called
            f"{name} is a NetCDF or Zarr: state `driver: raster_xarray` in the catalogue"
        )
    chunks, path = None, local_path(entry)
    if path is not None and path.suffix.lower() in RASTERS:
        check_geotiff(path)
    if path is None:
        chunks = {"x": BLOCK, "y": BLOCK}
        for key, value in PATIENCE.items():
            os.environ.setdefault(key, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Transform that is non-rectilinear")  # grid_of refuses it
        if entry.driver.name == "raster_xarray":
            data = reading(name, lambda: _xarray_source(entry, name))
        else:
            data = reading(name, lambda: catalog.get_rasterdataset(name, chunks=chunks))
    names = [data.name] if isinstance(data, xr.DataArray) else list(data.data_vars)
    _check_units(entry, name, [str(n) for n in names])
    return data


def _xarray_source(entry: Any, name: str) -> "xr.DataArray | xr.Dataset":
    """A NetCDF or Zarr source, its axes looked at before HydroMT turns them by their names."""
    uris = entry.uri_resolver.resolve(entry.full_uri, metadata=entry.metadata)
    data = entry.driver.read(uris, metadata=entry.metadata)
    return entry.data_adapter.transform(_rows_and_columns(data, entry, name), entry.metadata)


def _rows_and_columns(data: "xr.Dataset", entry: Any, name: str) -> "xr.Dataset":
    """Refuse dimensions in the order (x, y), unless the catalogue says what they hold.

    Rasters are stored row by row, so (x, y) are either truly turned, or rows and columns under
    wrong names; in a square raster nothing but the maker's word tells which.
    """
    rename = {n: n.lower() for n in map(str, data.dims)}
    turned = {}
    for variable in data.data_vars.values():
        last = [rename[str(d)] for d in variable.dims[-2:]]
        if len(last) == 2 and last[0] in X_NAMES and last[1] in Y_NAMES:
            turned[str(variable.name)] = variable.dims
    stored = _stored(entry)
    if not turned or stored == "as named":
        return data
    first = next(iter(turned))
    if stored != "rows":
        raise SourceError(
            f"the dimensions of {first} come as {turned[first]}: either x does come first, or they "
            "are rows and columns under wrong names (compare the map with another). State in the "
            "catalogue `metadata: {stored: rows}` or `metadata: {stored: as named}`"
        )
    for variable_name, dims in turned.items():
        x, y = map(str, dims[-2:])
        if data.sizes[x] != data.sizes[y]:
            raise SourceError(
                f"`stored: rows` cannot be: {variable_name} has {data.sizes[x]} {x} and "
                f"{data.sizes[y]} {y}, in this order; its dimensions are as named"
            )
        stored_map = data[variable_name]
        data[variable_name] = ((*dims[:-2], y, x), stored_map.data, stored_map.attrs)
    return data


def _stored(entry: Any) -> str:
    return str((entry.metadata.model_extra or {}).get("stored", ""))


def _time_axis(data: "xr.DataArray | xr.Dataset") -> str | None:
    for dim in map(str, data.dims):
        if dim == "time" or (dim in data.coords and data[dim].dtype.kind == "M"):
            return dim
    return None


def _at(
    data: "xr.DataArray | xr.Dataset", name: str, time: str | int | None
) -> "xr.DataArray | xr.Dataset":
    """The data at one date."""
    axis = _time_axis(data)
    if axis is None:
        if time is not None:
            raise SourceError(f"{name} has no time axis: leave out `time: {time}`")
        return data
    count = data.sizes[axis]
    dated = axis in data.coords and data[axis].dtype.kind == "M"
    days = [str(d)[:10] for d in data[axis].values] if dated else [str(i + 1) for i in range(count)]
    if time is None and count > 1:
        raise SourceError(
            f"{name} has {count} dates, {days[0]} to {days[-1]}: state one, `time: {days[0]}`, or "
            f"its number from 1 to {count}"
        )
    place = 0 if time is None else _place(days, time, name)
    chosen = data.isel({axis: place}, drop=True)
    words = f"date {place + 1} of {count}: {days[place]}"
    for raster in chosen.data_vars.values() if hasattr(chosen, "data_vars") else [chosen]:
        raster.attrs["time"] = words
    return chosen


def _place(days: list[str], time: str | int, name: str) -> int:
    if isinstance(time, int) and 1 <= time <= len(days):
        return time - 1
    matches = [i for i, day in enumerate(days) if day == str(time)]
    if len(matches) != 1:
        problem = f"{len(matches)} maps of" if matches else "no date"
        raise SourceError(
            f"{name} has {problem} {time}: it has {', '.join(days)}; give one of them, or a number "
            f"from 1 to {len(days)}"
        )
    return matches[0]


def _check_units(entry: Any, name: str, variables: list[str]) -> None:
    """HydroMT passes over a unit given for a variable that does not exist: a wrong DEM."""
    adapter = entry.data_adapter
    strange = (set(adapter.unit_mult) | set(adapter.unit_add)) - set(variables) - {"time"}
    if strange:
        raise CatalogError(
            f"{name}: unit_mult or unit_add names {', '.join(sorted(strange))}, but the file holds "
            f"{', '.join(variables)}"
        )


def _band(data: "xr.DataArray | xr.Dataset", name: str, band: str | int | None) -> "xr.DataArray":
    import xarray as xr

    if isinstance(data, xr.Dataset):
        bands = {str(n): data[n] for n in data.data_vars}
    else:
        across = [d for d in data.dims if d not in ("y", "x", "yc", "xc")]
        if not across:
            return data if band in (None, 1, data.name) else _no_band(name, band, [str(data.name)])
        if len(across) > 1:
            raise SourceError(f"{name} has dimensions {data.dims}: a raster of bands is needed")
        count = data.sizes[across[0]]
        labels: Any = data.attrs.get("long_name")
        named = isinstance(labels, list | tuple) and len(labels) == count
        if not named:
            labels = [str(i + 1) for i in range(count)]
        bands = {str(n): data.isel({across[0]: i}, drop=True) for i, n in enumerate(labels)}
        for raster in bands.values():
            raster.attrs.pop("long_name", None)
    if band is None or (isinstance(band, int) and 1 <= band <= len(bands)):
        return list(bands.values())[(band or 1) - 1]
    return bands[str(band)] if str(band) in bands else _no_band(name, band, list(bands))


def _no_band(name: str, band: str | int | None, names: list[str]) -> "xr.DataArray":
    raise SourceError(f"{name} has no band {band!r}: {did_you_mean(str(band), names)}")
