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
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.windows import Window

from lsm_core.errors import CrsError, SourceError
from lsm_core.file_kinds import RASTERS as RASTERS
from lsm_core.file_kinds import SUFFIXES as SUFFIXES
from lsm_core.file_kinds import (
    TABLES,
    VECTORS,
    check_first_bytes,
    check_layers,
    check_sound,
    one_line,
    open_geotiff,
)
from lsm_core.lattice import crs_name

MOST_VALUES = 4_000_000_000  # rows x columns x bands
MOST_IN_A_BLOCK = 100_000_000
MOST_UNPACKED = 50_000_000  # values of a raster that are unpacked to look at it: half a second
MOST_FEATURES = 5_000_000
MOST_COLUMNS, LONGEST_HEAD = 2_000, 1_000_000  # of a table, bytes of its first line
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
        holds = f"{'classes' if self.classes else 'values'} {self.low:.5g} to {self.high:.5g}"
        holds = "no value at all" if math.isnan(self.low) else holds
        size = f"{self.shape[0]:,} x {self.shape[1]:,} cells of {self.cell:.4g}{bands}"
        return f"raster, {size}, {holds}, {crs}"


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
    check_first_bytes(path)
    if suffix in RASTERS:
        return _raster(path)
    if suffix in TABLES:
        return _table(path)
    check_layers(path)
    return _vector(path, VECTORS[suffix], layer)


def crs_of(text: str) -> CRS:
    """The CRS a person wrote: "32643", "EPSG:32643", or a PROJ or WKT string; CrsError if none.

    >>> crs_name(crs_of(" 32643 "))
    'EPSG:32643'
    """
    text = text.strip()
    try:
        crs = CRS.from_epsg(int(text)) if text.isdigit() else CRS.from_user_input(text)
    except (CRSError, ValueError, OverflowError):
        crs = None
    if crs is None or not (crs.is_projected or crs.is_geographic):
        raise CrsError(
            f"{text[:80]!r} is no coordinate reference system: give its EPSG number, such as 32643"
        )
    return crs


def utm_of(longitude: float, latitude: float) -> int:
    """EPSG number of the UTM zone (WGS 84) of a place.

    >>> utm_of(73.4, 34.7), utm_of(-79.1, -4.0)
    (32643, 32717)
    """
    zone = min(int((longitude + 180) // 6) % 60, 59) + 1
    return (32600 if latitude >= 0 else 32700) + zone


def _raster(path: Path) -> Found:
    try:
        with open_geotiff(path) as file:
            check_sound(path, file)
            _check_size(path, file)
            values = _sample(file)
            values = values[np.isfinite(values)].astype("float64")
            x, y = file.xy(file.height // 2, file.width // 2)
            return Found(
                "raster",
                **_crs_words(path, file.crs),
                bands=tuple(d or str(i + 1) for i, d in enumerate(file.descriptions)),
                shape=(file.height, file.width),
                cell=math.sqrt(abs(file.transform.determinant)),
                low=float(values.min()) if values.size else math.nan,
                high=float(values.max()) if values.size else math.nan,
                classes=_like_classes(values),
                middle=_place(file.crs, x, y),
            )
    except RasterioError as error:
        raise SourceError(f"{path.name} cannot be read as a GeoTIFF: {one_line(error)}") from None


def _sample(file: Any) -> np.ndarray:
    """Values of the first band here and there; of a raster without fitting overviews, of blocks."""
    shape = tuple(min(n, LOOKED_AT) for n in file.shape)
    wanted = max(n / m for n, m in zip(file.shape, shape, strict=True))
    factor = max([f for f in file.overviews(1) if f <= wanted], default=1)
    if file.height * file.width / factor**2 <= MOST_UNPACKED:
        return file.read(1, out_shape=shape, masked=True).compressed()
    rows, cols = file.block_shapes[0]
    down, across = -(-file.height // rows), -(-file.width // cols)
    many = min(down * across, max(1, MOST_UNPACKED // (rows * cols)))
    step = max(1, rows * cols * many // LOOKED_AT**2)
    read = []
    for block in np.linspace(0, down * across - 1, many).astype(int):
        row, col = int(block) // across, int(block) % across
        window = Window(col * cols, row * rows, cols, rows).intersection(
            Window(0, 0, file.width, file.height)
        )
        read.append(file.read(1, window=window, masked=True).compressed()[::step])
    return np.concatenate(read)


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
    if not all(map(math.isfinite, file.transform)) or not file.transform.determinant:
        raise SourceError(
            f"{path.name} has cells of no size, or a corner that is no number: write its "
            "georeference into it anew"
        )


def _like_classes(values: np.ndarray) -> bool:
    found = np.unique(values[:: max(1, len(values) // 50_000)])
    return bool(len(found) and len(found) <= MOST_CLASSES and (found == np.round(found)).all())


def _crs_words(path: Path, crs: CRS | None) -> dict[str, Any]:
    if not crs:
        return {"crs": "", "projected": False}
    if not (crs.is_projected or crs.is_geographic):
        raise SourceError(
            f"{path.name} has a CRS of no place on Earth ({crs_name(crs)}): write the right one "
            "into it (gdal_edit -a_srs, ogr2ogr -a_srs)"
        )
    return {"crs": crs_name(crs), "projected": bool(crs.is_projected)}


def _place(crs: CRS | None, x: float, y: float) -> tuple[float, float] | None:
    if not crs:
        return None
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(crs.to_wkt(), 4326, always_xy=True).transform(x, y)
    return (float(lon), float(lat)) if abs(lon) <= 180 and abs(lat) <= 90 else None


def _vector(path: Path, driver: str, layer: str | None) -> Found:
    import pyogrio
    from pyogrio.errors import CRSError as NoCrs
    from pyogrio.errors import DataSourceError

    try:
        layers = tuple(str(name) for name, kind in pyogrio.list_layers(path) if kind)
        if not layers:
            raise SourceError(f"{path.name} holds no layer with a geometry")
        about = pyogrio.read_info(path, layer=layer or layers[0])
    except (DataSourceError, NoCrs, ValueError) as error:
        raise SourceError(f"{path.name} cannot be read: {one_line(error)}") from None
    if about["driver"] != driver or about["features"] > MOST_FEATURES:
        raise SourceError(
            f"{path.name} is a {about['driver']} of {about['features']:,} features: a {driver} of "
            f"at most {MOST_FEATURES:,} is taken"
        )
    crs = crs_of(about["crs"]) if about["crs"] else None
    left, bottom, right, top = about["total_bounds"] or (math.nan,) * 4
    return Found(
        "vector",
        **_crs_words(path, crs),
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
        with path.open("rb") as file:
            start = file.readline(LONGEST_HEAD + 1)
            rows = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
            file.seek(max(len(start), file.tell() - 1))
            rows += file.read(1) not in (b"\n", b"")
        if len(start) > LONGEST_HEAD:
            raise SourceError(
                f"the first line of {path.name} is longer than {LONGEST_HEAD / 1e6:g} MB: it is to "
                "name the columns; rows are parted by line ends"
            )
        fields = next(csv.reader([start.decode("utf-8-sig")]))
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise SourceError(f"{path.name} cannot be read as a CSV in UTF-8: {error}") from None
    if not 2 <= len(fields) <= MOST_COLUMNS:
        raise SourceError(
            f"{path.name} has {len(fields):,} columns ({', '.join(fields[:3])[:80]}): 2 to "
            f"{MOST_COLUMNS:,} are taken, parted by commas"
        )
    return Found("table", fields=tuple(fields), features=rows)


def columns_xy(fields: tuple[str, ...]) -> tuple[str, str]:
    """The columns of a table that look like its coordinates, "" where none does.

    >>> columns_xy(("id", "Lon", "Lat")), columns_xy(("Breite", "Laenge"))
    (('Lon', 'Lat'), ('', ''))
    """
    small = {name.strip().lower(): name for name in reversed(fields)}
    x, y = (next((small[n] for n in names if n in small), "") for names in (X_COLUMNS, Y_COLUMNS))
    return x, y
