"""What a file is, looked at before anything uses it: its kind, CRS, size, bands or fields.

A file may come from a stranger. So its first bytes, not its name, say what it is; only readers of
GeoTIFF, GeoPackage, shapefile, GeoJSON and plain text are let near it (a VRT may name any file or
address); and how much it would unpack to is asked before it is unpacked.
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from lsm_core.errors import CrsError, SourceError
from lsm_core.lattice import crs_name

RASTERS, TABLES = (".tif", ".tiff"), (".csv",)
VECTORS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}
SUFFIXES = (*RASTERS, *VECTORS, *TABLES)
FIRST_BYTES = {  # of a file of this kind
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".gpkg": (b"SQLite format 3\0",),
    ".shp": (b"\0\0\x27\x0a",),
}
MOST_VALUES = 4_000_000_000  # rows x columns x bands
MOST_IN_A_BLOCK = 100_000_000
MOST_FEATURES = 5_000_000
LOOKED_AT = 400  # cells a side of a raster that are read to say what it holds
MOST_CLASSES = 60  # different whole numbers that still look like classes
X_COLUMNS = ("x", "lon", "longitude", "easting", "east", "utm_x", "x_coord", "lng")
Y_COLUMNS = ("y", "lat", "latitude", "northing", "north", "utm_y", "y_coord")


@dataclass(frozen=True)
class Found:
    """What a file holds.

    `kind` is "raster", "vector" or "table"; `crs` a name such as EPSG:32643, "" where the file
    states none. Of rasters: bands, (rows, columns), cell side in units of the CRS, the range of the
    values of the first band, and whether they look like classes. Of vectors and tables: layers,
    fields, the number of features and their geometry ("Polygon", "LineString", "Point").
    `middle` is (longitude, latitude), where it is known.
    """

    kind: str
    crs: str = ""
    projected: bool = False
    bands: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)
    cell: float = math.nan
    low: float = math.nan
    high: float = math.nan
    classes: bool = False
    layers: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    features: int = 0
    geometry: str = ""
    middle: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """One line: what it is and how large.

        >>> Found("vector", "EPSG:32643", features=3820, geometry="Polygon").words
        '3,820 features (Polygon), EPSG:32643'
        """
        crs = self.crs or "no CRS stated"
        if self.kind != "raster":
            what = f"features ({self.geometry})" if self.kind == "vector" else "rows"
            return f"{self.features:,} {what}, {crs}"
        bands = f", {len(self.bands)} bands" if len(self.bands) > 1 else ""
        holds = "classes" if self.classes else "values"
        size = f"{self.shape[0]:,} x {self.shape[1]:,} cells of {self.cell:.4g}{bands}"
        return f"raster, {size}, {holds} {self.low:.5g} to {self.high:.5g}, {crs}"


def look_at(path: str | Path, layer: str | None = None) -> Found:
    """What a GeoTIFF, GeoPackage, shapefile, GeoJSON or CSV holds; nothing but a sample is read.

    Of several layers `layer` is looked at, or the first.

    Errors: another kind of file, one that is not what its name says, damaged, without georeference,
    or larger than this program takes (SourceError).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(
            f"{path.name} is of no kind that is taken: give a GeoTIFF (.tif), GeoPackage (.gpkg), "
            "shapefile, GeoJSON or CSV"
        )
    _check_first_bytes(path, suffix)
    if suffix in RASTERS:
        return _raster(path)
    return _table(path) if suffix in TABLES else _vector(path, VECTORS[suffix], layer)


def crs_of(text: str) -> CRS:
    """The CRS a person wrote: "32643", "EPSG:32643", or a PROJ or WKT string; CrsError if none.

    >>> crs_name(crs_of(" 32643 "))
    'EPSG:32643'
    """
    text = text.strip()
    try:
        return CRS.from_epsg(int(text)) if text.isdigit() else CRS.from_user_input(text)
    except CRSError:
        raise CrsError(
            f"{text!r} is no coordinate reference system: give its EPSG number, such as 32643"
        ) from None


def utm_of(longitude: float, latitude: float) -> int:
    """EPSG number of the UTM zone (WGS 84) of a place.

    >>> utm_of(73.4, 34.7), utm_of(-79.1, -4.0)
    (32643, 32717)
    """
    zone = min(int((longitude + 180) // 6) % 60, 59) + 1
    return (32600 if latitude >= 0 else 32700) + zone


def _check_first_bytes(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        start = file.read(65536)
    wanted = FIRST_BYTES.get(suffix)
    if not start or (wanted and not start.startswith(wanted)) or (not wanted and b"\0" in start):
        raise SourceError(
            f"{path.name} is not what its name says: its first bytes are not those of a "
            f"{suffix} file; save it anew and give that"
        )


def _raster(path: Path) -> Found:
    try:
        with rasterio.open(path, driver="GTiff") as file:
            _check_size(path, file)
            shape = tuple(min(n, LOOKED_AT) for n in file.shape)
            values = file.read(1, out_shape=shape, masked=True).compressed()
            values = values[np.isfinite(values)].astype("float64")
            x, y = file.xy(file.height // 2, file.width // 2)
            return Found(
                "raster",
                **_crs_words(file.crs),
                bands=tuple(d or str(i + 1) for i, d in enumerate(file.descriptions)),
                shape=(file.height, file.width),
                cell=math.sqrt(abs(file.transform.determinant)),
                low=float(values.min()) if values.size else math.nan,
                high=float(values.max()) if values.size else math.nan,
                classes=_like_classes(values),
                middle=_place(file.crs, x, y),
            )
    except RasterioError as error:
        raise SourceError(f"{path.name} cannot be read as a GeoTIFF: {_line(error)}") from None


def _check_size(path: Path, file: Any) -> None:
    if file.height * file.width * file.count > MOST_VALUES or (
        max(rows * cols for rows, cols in file.block_shapes) > MOST_IN_A_BLOCK
    ):
        raise SourceError(
            f"{path.name} has {file.height:,} x {file.width:,} cells in {file.count} bands, which "
            f"is more than is taken ({MOST_VALUES:,} values, in blocks of {MOST_IN_A_BLOCK:,}): "
            "cut it, or make it coarser"
        )
    if file.transform.is_identity:
        raise SourceError(
            f"{path.name} does not say where on Earth it lies: write its georeference into it"
        )


def _like_classes(values: np.ndarray) -> bool:
    found = np.unique(values[:: max(1, len(values) // 50_000)])
    return bool(len(found) and len(found) <= MOST_CLASSES and (found == np.round(found)).all())


def _crs_words(crs: CRS | None) -> dict[str, Any]:
    if not crs:
        return {"crs": "", "projected": False}
    return {"crs": crs_name(crs), "projected": bool(crs.is_projected)}


def _place(crs: CRS | None, x: float, y: float) -> tuple[float, float] | None:
    if not crs:
        return None
    (lon,), (lat,) = transform(crs, CRS.from_epsg(4326), [x], [y])
    return (float(lon), float(lat)) if math.isfinite(lon) and math.isfinite(lat) else None


def _vector(path: Path, driver: str, layer: str | None) -> Found:
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        layers = tuple(str(name) for name, kind in pyogrio.list_layers(path) if kind)
        if not layers:
            raise SourceError(f"{path.name} holds no layer with a geometry")
        about = pyogrio.read_info(path, layer=layer or layers[0])
    except (DataSourceError, ValueError) as error:
        raise SourceError(f"{path.name} cannot be read: {_line(error)}") from None
    if about["driver"] != driver or about["features"] > MOST_FEATURES:
        raise SourceError(
            f"{path.name} is a {about['driver']} of {about['features']:,} features: a {driver} of "
            f"at most {MOST_FEATURES:,} is taken"
        )
    crs = crs_of(about["crs"]) if about["crs"] else None
    left, bottom, right, top = about["total_bounds"] or (math.nan,) * 4
    return Found(
        "vector",
        **_crs_words(crs),
        layers=layers,
        fields=tuple(map(str, about["fields"])),
        features=int(about["features"]),
        geometry=_plain(about["geometry_type"]),
        middle=_place(crs, (left + right) / 2, (bottom + top) / 2),
    )


def _plain(geometry: str | None) -> str:
    """Polygon, LineString or Point, whatever the layer calls its own.

    >>> _plain("MultiPolygon Z"), _plain("Unknown")
    ('Polygon', 'Unknown')
    """
    found = re.search("Polygon|LineString|Point", geometry or "")
    return found.group() if found else str(geometry)


def _table(path: Path) -> Found:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            fields = next(csv.reader(file))
            rows = sum(1 for line in file if line.strip())
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise SourceError(f"{path.name} cannot be read as a CSV in UTF-8: {error}") from None
    if len(fields) < 2:
        raise SourceError(
            f"{path.name} has one column only ({fields[:1]}): columns are parted by commas"
        )
    return Found("table", fields=tuple(fields), features=rows)


def columns_xy(fields: tuple[str, ...]) -> tuple[str, str]:
    """The columns of a table that look like its coordinates; the first two where none does.

    >>> columns_xy(("id", "Lon", "Lat"))
    ('Lon', 'Lat')
    """
    small = {name.strip().lower(): name for name in reversed(fields)}
    found = [next((small[n] for n in names if n in small), "") for names in (X_COLUMNS, Y_COLUMNS)]
    return (found[0], found[1]) if all(found) else (fields[0], fields[1])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
