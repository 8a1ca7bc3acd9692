"""Where the data lie: the catalogue of sources, and the way to open one.

A catalogue is a HydroMT `data_catalog.yaml`. A source is asked for by name and never by path, so
that its unit, CRS, licence and checksum are written down once. HydroMT takes seconds to import:
only the functions that need it do so.
"""

import difflib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsm_core.errors import CatalogError, CrsError, SourceError
from lsm_core.file_kinds import VECTORS, check_first_bytes, check_layers
from lsm_core.logs import without_secrets as without_secrets
from lsm_core.plain_yaml import read_yaml
from lsm_core.workspace import own_catalog

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from hydromt import DataCatalog

SIDECARS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
ONE_LAYER = (".shp", ".geojson", ".json", ".csv", ".parquet", ".fgb")


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
    """Read a catalogue; without a path, the shipped one and, where there is one, the workspace's.

    Relative paths of its sources start at `LSM_DATA` where that is set, else at `meta: root`, taken
    from the catalogue's own folder; absolute paths and URLs stay as they are. Those of the
    workspace's own catalogue start at the workspace.
    """
    if path is not None:
        return _read_into(None, Path(path))
    catalog = _read_into(None, shipped("data_catalog.yaml"))
    own = own_catalog()
    return _read_into(catalog, own, str(own.parent.resolve())) if own.is_file() else catalog


def _read_into(catalog: "DataCatalog | None", path: Path, root: str | None = None) -> "DataCatalog":
    content = read_entries(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # its bars are not ours
        from hydromt import DataCatalog

    root = root or data_root(path, content.get("meta") or {})
    try:
        return (catalog or DataCatalog()).from_yml(str(path), root=root)
    except Exception as error:  # HydroMT raises whatever its parts raise
        raise CatalogError(f"{path} is no valid catalogue: {_one_line(error)}") from error


def read_entries(path: Path) -> dict[str, Any]:
    """A catalogue as it is written: its entries by name, and `meta`."""
    if not path.is_file():
        raise CatalogError(f"no catalogue at {path}: give the path of a HydroMT data_catalog.yaml")
    content = read_yaml(path, CatalogError)
    if not isinstance(content, dict):
        raise CatalogError(f"{path} holds no entries: see data_catalog.yaml for an example")
    return content


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
        address = without_secrets(str(entry.full_uri))
        result[name] = fingerprint(path) if path else f"not local: {address}"
        stated = (entry.metadata.model_extra or {}).get("sha256")
        if path and stated and stated != result[name]:
            tell(f"warning: {name} is not the catalogue's file (its SHA-256 differs): {path}")
    return result


def open_vector(catalog: "DataCatalog", name: str) -> "gpd.GeoDataFrame":
    """The features of a vector source, or the points of a table with coordinates, in their own CRS.

    A table (`data_type: DataFrame`) states `crs` and, unless they are called x and y, its
    coordinate columns: `metadata: {crs: 32717, x: east, y: north}`. Rows without coordinates become
    features without geometry. An empty source gives an empty frame. Of a file of several layers the
    entry states one: `driver: {name: pyogrio, options: {layer: NAME}}`.

    Errors: a file that cannot be read, no such layer or several (SourceError), no CRS (CrsError).
    """
    import geopandas as gpd

    entry = entry_of(catalog, name, ("GeoDataFrame", "DataFrame"))
    if entry.data_type == "DataFrame":
        return _points(reading(name, lambda: catalog.get_dataframe(name)), entry, name)
    path = local_path(entry)
    if path is not None and path.suffix.lower() in VECTORS:
        check_first_bytes(path)
        check_layers(path)
    _check_layer(entry, name)
    data = reading(name, lambda: catalog.get_geodataframe(name, handle_nodata=_no_error()))
    if data is None:  # HydroMT's word for a source without features
        return gpd.GeoDataFrame(geometry=[], crs=entry.metadata.crs)
    return data


def open_table(catalog: "DataCatalog", name: str) -> "pd.DataFrame | gpd.GeoDataFrame":
    """A table as it is, or with its geometry: points where the catalogue states a CRS, or shapes.

    A byte-order mark before the first column's name is taken off.
    """
    entry = entry_of(catalog, name, ("GeoDataFrame", "DataFrame"))
    if entry.data_type == "GeoDataFrame" or entry.metadata.crs is not None:
        return open_vector(catalog, name)
    table = reading(name, lambda: catalog.get_dataframe(name))
    return table.rename(columns=lambda c: str(c).lstrip("\ufeff"))


def entry_of(catalog: "DataCatalog", name: str, kinds: tuple[str, ...]) -> Any:
    """The entry of this name, if it is of one of these `data_type`s; CatalogError if not."""
    entry = source(catalog, name)
    if entry.data_type not in kinds:
        raise CatalogError(
            f"{name} is a {entry.data_type} in the catalogue; a {' or '.join(kinds)} is needed"
        )
    return entry


def reading(name: str, read: Callable[[], Any]) -> Any:
    """What `read()` gives; whatever goes wrong becomes a SourceError or CrsError with the cure."""
    try:
        return read()
    except Exception as error:  # HydroMT and the readers below it raise whatever they like
        if "CRS not defined" in str(error):
            raise CrsError(
                f"{name} has no coordinate reference system (CRS): state it in the catalogue, "
                "`metadata: {crs: 32643}`, or write it into the file (gdal_edit -a_srs, ogr2ogr)"
            ) from error
        raise SourceError(f"{name} cannot be read: {_one_line(error)}{_cure(error)}") from error


def read_polygons(path: str | Path) -> "gpd.GeoDataFrame":
    """Polygons of a vector file that is in no catalogue, such as slope units to sum a map up by."""
    import geopandas as gpd

    if not Path(path).is_file():
        raise SourceError(f"no file at {path}: give a GeoPackage, Shapefile or GeoJSON of polygons")
    check_first_bytes(Path(path))
    return reading(str(path), lambda: gpd.read_file(path))


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
    return without_secrets(" ".join(str(error).split()))[:300]


def data_root(path: Path, meta: dict) -> str:
    """Where the relative paths of a catalogue start: `LSM_DATA`, else its `meta: root`."""
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


def _cure(error: Exception) -> str:
    text = str(error)
    if "HTTP" in text or "CURL" in text.upper() or "resolve host" in text:
        return (
            ": check the address in a browser and the network; the server must answer range "
            "requests, or download the file and state its path"
        )
    return ""


def _check_layer(entry: Any, name: str) -> None:
    """Refuse a layer that is not there, and the silent choice of the first of several."""
    path = local_path(entry)
    if path is None or path.suffix.lower() in ONE_LAYER or entry.driver.name != "pyogrio":
        return
    import pyogrio

    layers = [str(row[0]) for row in reading(name, lambda: pyogrio.list_layers(path))]
    asked = entry.driver.options.get_kwargs().get("layer")
    if asked is not None and str(asked) not in layers:
        raise SourceError(f"{name} has no layer {asked!r}: {did_you_mean(str(asked), layers)}")
    if asked is None and len(layers) > 1:
        raise SourceError(
            f"{name} holds the layers {', '.join(layers)}: state one in the catalogue, "
            f"`driver: {{name: pyogrio, options: {{layer: {layers[0]}}}}}`"
        )


def _no_error() -> Any:
    from hydromt.error import NoDataStrategy

    return NoDataStrategy.IGNORE


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
