"""Where the data lie: the catalogue of sources, and the way to open one.

A catalogue is a HydroMT `data_catalog.yaml`. A source is asked for by name and never by path, so
that its unit, CRS, licence and checksum are written down once. HydroMT takes seconds to import:
only the functions that need it do so.
"""

import difflib
import hashlib
import os
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lsm_core.errors import CatalogError, CrsError, SourceError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from hydromt import DataCatalog

SIDECARS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def shipped(name: str) -> Path:
    """A file or folder that comes with the program: "data_catalog.yaml", "areas", "recipes".

    It lies at the top of the repository, or in the installed package under `shipped/`.

    >>> shipped("data_catalog.yaml").name
    'data_catalog.yaml'
    """
    package = Path(__file__).parent
    for folder in (package.parent, package / "shipped"):
        # any folder may hold an `areas`: the neighbour of an installed package is not ours
        if (folder / name).exists() and (folder.name == "shipped" or _is_repository(folder)):
            return folder / name
    raise SourceError(f"{name} was not installed with lsm_core: reinstall the package")


def load_catalog(path: str | Path | None = None) -> "DataCatalog":
    """Read a catalogue; without a path, the shipped one.

    Relative paths of its sources start at `LSM_DATA` where that is set, else at `meta: root`, taken
    from the catalogue's own folder; absolute paths and URLs stay as they are.
    """
    path = Path(path) if path is not None else shipped("data_catalog.yaml")
    if not path.is_file():
        raise CatalogError(f"no catalogue at {path}: give the path of a HydroMT data_catalog.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise CatalogError(f"{path} is not readable YAML: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise CatalogError(f"{path} holds no entries: see data_catalog.yaml for an example")
    from hydromt import DataCatalog

    root = _root(path, content.get("meta") or {})
    try:
        return DataCatalog().from_yml(str(path), root=root)
    except Exception as error:  # HydroMT raises whatever its parts raise
        raise CatalogError(f"{path} is no valid catalogue: {_one_line(error)}") from error


def source(catalog: "DataCatalog", name: str) -> Any:
    """The catalogue's entry of this name, checked to exist on disk.

    Errors: an unknown name lists near ones (CatalogError; it is never taken as a path); a missing
    file is named with its path and LSM_DATA (SourceError).
    """
    names = list(catalog.get_source_names())
    if name not in names:
        raise CatalogError(f"the catalogue has no {name!r}: {did_you_mean(name, names)}")
    entry = catalog.get_source(name)
    path = local_path(entry)
    if path is not None and not path.exists():
        root = os.environ.get("LSM_DATA")
        raise SourceError(
            f"{name}: no file at {path} (LSM_DATA is {root or 'not set'}); set LSM_DATA to the "
            "folder that holds the catalogue's data, or correct the entry"
        )
    return entry


def local_path(entry: Any) -> Path | None:
    """Path of an entry's file, or None for a source on the net."""
    uri = str(entry.full_uri)
    return None if "://" in uri else Path(uri)


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal; of a shapefile all its parts; of a folder all its files.

    Several files count in alphabetical order, each as its name's ending (its path inside a folder)
    and its bytes, so that a renamed shapefile keeps its fingerprint.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"no file at {path} to take a fingerprint of")
    digest = hashlib.sha256()
    for label, part in _parts(path):
        digest.update(label.encode())
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def fingerprints(
    catalog: "DataCatalog", names: Iterable[str], tell: Callable[[str], object]
) -> dict[str, str]:
    """The fingerprint of each source; `tell` hears whose checksum is not the catalogue's."""
    result = {}
    for name in dict.fromkeys(names):
        entry = source(catalog, name)
        path = local_path(entry)
        result[name] = fingerprint(path) if path else f"not local: {entry.full_uri}"
        stated = (entry.metadata.model_extra or {}).get("sha256")
        if path and stated and stated != result[name]:
            tell(f"warning: {name} is not the catalogue's file (its SHA-256 differs): {path}")
    return result


def open_raster(
    catalog: "DataCatalog", name: str, *, band: str | int | None = None
) -> "xr.DataArray":
    """One band (y, x) of a raster source: the first, or the one of this name or number (from 1).

    The catalogue's `unit_mult` and `unit_add` are applied, and its `nodata` and `crs` where the
    file states none. Rows stay as stored (`grid.align` turns them north up), nodata as it is.

    Errors: a file that cannot be read (SourceError), no CRS (CrsError), no such band (SourceError).
    """
    import xarray as xr

    entry = _entry(catalog, name, ("RasterDataset",))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Transform that is non-rectilinear")  # grid_of refuses it
        data = _read(name, lambda: catalog.get_rasterdataset(name))
    names = [data.name] if isinstance(data, xr.DataArray) else list(data.data_vars)
    _check_units(entry, name, [str(n) for n in names])
    raster = _band(data, name, band)
    raster.attrs.pop("source_file", None)
    raster = raster.squeeze(drop=True)
    if raster.ndim != 2:
        raise SourceError(f"{name} has dimensions {raster.dims}: store one map as its own raster")
    if not {"y", "x"} & set(raster.dims) and "xc" not in raster.coords:
        raster = raster.rename(dict(zip(raster.dims, ("y", "x"), strict=True)))
    return raster.rename(name)


def open_vector(catalog: "DataCatalog", name: str) -> "gpd.GeoDataFrame":
    """The features of a vector source, or the points of a table with coordinates, in their own CRS.

    A table (`data_type: DataFrame`) states `crs` and, unless they are called x and y, its
    coordinate columns: `metadata: {crs: 32717, x: east, y: north}`. Rows without coordinates become
    features without geometry. An empty source gives an empty frame.

    Errors: a file that cannot be read (SourceError), no CRS (CrsError).
    """
    import geopandas as gpd

    entry = _entry(catalog, name, ("GeoDataFrame", "DataFrame"))
    if entry.data_type == "DataFrame":
        return _points(_read(name, lambda: catalog.get_dataframe(name)), entry, name)
    data = _read(name, lambda: catalog.get_geodataframe(name, handle_nodata=_no_error()))
    if data is None:  # HydroMT's word for a source without features
        return gpd.GeoDataFrame(geometry=[], crs=entry.metadata.crs)
    return data


def open_table(catalog: "DataCatalog", name: str) -> "pd.DataFrame | gpd.GeoDataFrame":
    """A table as it is, or with its geometry: points where the catalogue states a CRS, or shapes.

    A byte-order mark before the first column's name is taken off.
    """
    entry = _entry(catalog, name, ("GeoDataFrame", "DataFrame"))
    if entry.data_type == "GeoDataFrame" or entry.metadata.crs is not None:
        return open_vector(catalog, name)
    table = _read(name, lambda: catalog.get_dataframe(name))
    return table.rename(columns=lambda c: str(c).lstrip("\ufeff"))


def category_names(path: str | Path, column: str | None = None) -> dict[int, str]:
    """Code to name, from the attribute table in a raster's `.aux.xml`; empty where there is none.

    `column` is the table's column of names; without one, the first column of text. Read with the
    standard library: rasterio does not read attribute tables. A document that declares types or
    entities is refused.
    """
    path = Path(f"{path}.aux.xml")
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    if "<!" in text.replace("<!--", ""):
        raise SourceError(f"{path} declares a document type or entities: delete it or save it anew")
    try:
        table = ElementTree.fromstring(text).find(".//GDALRasterAttributeTable")
    except ElementTree.ParseError as error:
        raise SourceError(
            f"{path} is not readable XML ({error}): delete it or save it anew"
        ) from None
    if table is None:
        return {}
    fields = [(f.findtext("Name") or "", f.findtext("Type")) for f in table.findall("FieldDefn")]
    code, label = _columns(path, fields, column)
    rows = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
    return {int(float(row[code])): row[label].strip() for row in rows}


def did_you_mean(name: str, names: list[str]) -> str:
    """The near names, or all of them, as the end of an error message.

    >>> did_you_mean("slpoe", ["slope", "twi"])
    'did you mean slope?'
    """
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"it knows {', '.join(sorted(names))}"


def _is_repository(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _root(path: Path, meta: dict) -> str:
    root = os.environ.get("LSM_DATA") or str(meta.get("root") or "")
    if "://" in root:
        return root
    base = Path.cwd() if os.environ.get("LSM_DATA") else path.parent
    return str((base / root).resolve())


def _parts(path: Path) -> list[tuple[str, Path]]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return [(p.relative_to(path).as_posix(), p) for p in files]
    if path.suffix.lower() == ".shp":
        parts = [(ending, path.with_suffix(ending)) for ending in sorted(SIDECARS)]
        return [(ending, part) for ending, part in parts if part.is_file()]
    return [("", path)]


def _entry(catalog: "DataCatalog", name: str, kinds: tuple[str, ...]) -> Any:
    entry = source(catalog, name)
    if entry.data_type not in kinds:
        raise CatalogError(
            f"{name} is a {entry.data_type} in the catalogue; a {' or '.join(kinds)} is needed"
        )
    return entry


def _read(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # HydroMT and the readers below it raise whatever they like
        if "CRS not defined" in str(error):
            raise CrsError(
                f"{name} has no coordinate reference system (CRS): state it in the catalogue, "
                "`metadata: {crs: 32643}`, or write it into the file (gdal_edit -a_srs, ogr2ogr)"
            ) from error
        raise SourceError(f"{name} cannot be read: {_one_line(error)}") from error


def _no_error() -> Any:
    from hydromt.error import NoDataStrategy

    return NoDataStrategy.IGNORE


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


def _points(table: "pd.DataFrame", entry: Any, name: str) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import pandas as pd

    table = table.rename(columns=lambda c: str(c).lstrip("\ufeff"))
    extra = entry.metadata.model_extra or {}
    x, y = str(extra.get("x", "x")), str(extra.get("y", "y"))
    for column in (x, y):
        if column not in table:
            near = did_you_mean(column, [str(c) for c in table.columns])
            raise SourceError(
                f"{name} has no column {column!r}: {near} (catalogue: `metadata: {{x: .., y: ..}}`)"
            )
    if entry.metadata.crs is None:
        raise CrsError(f"{name} has no CRS: state it in the catalogue, `metadata: {{crs: 32717}}`")
    numbers = table[[x, y]].apply(pd.to_numeric, errors="coerce")
    points = gpd.GeoSeries.from_xy(numbers[x], numbers[y], crs=entry.metadata.crs)
    points[numbers.isna().any(axis=1)] = None
    return gpd.GeoDataFrame(table, geometry=points)


def _columns(
    path: Path, fields: list[tuple[str, str | None]], column: str | None
) -> tuple[int, int]:
    """Positions of the code and of the name in an attribute table; type 2 is text."""
    names = [name for name, _ in fields]
    codes = [i for i, name in enumerate(names) if name.lower() == "value"]
    texts = [i for i, (_, kind) in enumerate(fields) if kind == "2"]
    if column is not None:
        texts = [i for i, name in enumerate(names) if name == column]
    if not codes or not texts:
        wanted = column or "a column of text"
        raise SourceError(f"{path} lacks VALUE or {wanted}: it holds {', '.join(names)}")
    return codes[0], texts[0]
