"""What kind a file is by its first bytes, and what no reader should be let near.

GDAL asks the bytes and not the name: a list of other files called .tif, or a query called a layer,
would have it open any file or address of the machine, or never end.
"""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from lsm_core.errors import SourceError

RASTERS, TABLES = (".tif", ".tiff"), (".csv",)
VECTORS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}
SUFFIXES = (*RASTERS, *VECTORS, *TABLES)
FIRST_BYTES = {  # of a file of this kind
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".gpkg": (b"SQLite format 3\0",),
    ".shp": (b"\0\0\x27\x0a",),
}


def check_first_bytes(path: Path) -> None:
    """Refuse a GeoTIFF, GeoPackage, shapefile or table that is something else by its first bytes.

    GDAL asks the bytes and not the name: a VRT called .tif would have it open any file or address.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return
    with path.open("rb") as file:
        start = file.read(65536)
    wanted = FIRST_BYTES.get(suffix)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix == ".geojson":
        sound = text.startswith(b"{") and b"\0" not in start
    else:
        sound = start.startswith(wanted) if wanted else bool(text) and b"\0" not in start
    if not sound:
        raise SourceError(
            f"{path.name} is not what its name says: its first bytes are not those of a "
            f"{suffix} file; save it anew and give that"
        )


def check_geotiff(path: Path) -> None:
    """Refuse a GeoTIFF of which no map can be made; what it holds is not read.

    Errors: another kind of file, damaged, complex numbers, fewer than 2 x 2 cells, or overviews
    that lie in another file (SourceError).
    """
    check_first_bytes(path)
    try:
        with open_geotiff(path) as file:
            check_sound(path, file)
            if min(file.shape) < 2:
                size = f"{file.height} x {file.width}"
                raise SourceError(f"{path.name} has {size} cells: two each way are the least")
    except RasterioError as error:
        raise SourceError(f"{path.name} cannot be read as a GeoTIFF: {one_line(error)}") from None


def open_geotiff(path: Path) -> Any:
    """The file by the reader of GeoTIFFs and no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # that is said in our words
        return rasterio.open(path, driver="GTiff")


def check_sound(path: Path, file: Any) -> None:
    """Refuse complex numbers, and overviews that lie elsewhere."""
    if any(dtype.startswith("complex") for dtype in file.dtypes):
        raise SourceError(f"{path.name} holds complex numbers: give a raster of plain ones")
    if "OVERVIEW_FILE" in file.tags(ns="OVERVIEWS"):  # read by GDAL, wherever it lies
        raise SourceError(
            f"{path.name} has its overviews in another file: make them anew (gdaladdo)"
        )


def check_layers(path: Path) -> None:
    """Refuse a GeoPackage with a layer that is a query, or that stands for another file."""
    if path.suffix.lower() != ".gpkg":
        return
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as file:
            rows = file.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
            layers = {row[0] for row in file.execute("SELECT table_name FROM gpkg_contents")}
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name} cannot be read: {one_line(error)}") from None
    for name, kind, sql in rows:
        made = " ".join(str(sql).split()).upper()
        if name in layers and (kind == "view" or made.startswith("CREATE VIRTUAL")):
            raise SourceError(
                f"the layer {name} of {path.name} is a query, which may never end: save it as a "
                "layer of its own (ogr2ogr)"
            )


def one_line(error: Exception) -> str:
    """What a reader complains of, short."""
    return " ".join(str(error).split())[:200]
