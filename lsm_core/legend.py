"""What the classes of a raster are called, and their colours: attribute table, QGIS style, .clr."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import rasterio

from lsm_core.errors import SourceError

UNKNOWN = "#808080"
LARGEST = 20_000_000  # bytes of a legend, which is read at once
NO_TABLE = (".nc", ".nc4", ".h5", ".hdf", ".zarr")


class Legend(NamedTuple):
    """Code to name, code to colour ("#rrggbb"), and the files they were read from."""

    names: dict[int, str]
    colours: dict[int, str]
    files: list[str]


def legend_of(path: str | Path, column: str | None = None) -> Legend:
    """Names and colours of a raster's classes, from what lies beside it and in it.

    Looked at in this order, the first that knows a code counts: the attribute table or the category
    names in `.aux.xml` (`column` is the column of names), the QGIS style `.qml`, the ESRI colour
    file `.clr`, the colour table in the raster.

    Errors: an XML or colour file that cannot be read, or declares entities; no such column
    (SourceError).
    """
    path = Path(path)
    qml, clr = _style(path.with_suffix(".qml")), _colour_file(path.with_suffix(".clr"))
    named = [(f"{path.name}.aux.xml", category_names(path, column)), (qml.files, qml.names)]
    coloured = [
        (f"{path.name}.aux.xml", _table_colours(path)),
        (qml.files, qml.colours),
        (clr.files, clr.colours),
        (f"the colour table of {path.name}", _colour_table(path)),
    ]
    named.append((clr.files, clr.names))
    files: list[str] = []
    for file, found in named + coloured:
        files += ([file] if isinstance(file, str) else file) if found else []
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    for _, found in reversed(named):
        names |= found
    for _, found in reversed(coloured):
        colours |= found
    return Legend(names, colours, list(dict.fromkeys(files)))


def flag_colors(codes: list[int], colours: Mapping[int, str]) -> dict[str, str]:
    """The attribute `flag_colors` for these codes in order, grey where none is known; or nothing.

    >>> flag_colors([1, 4], {4: "#ff0000"})
    {'flag_colors': '#808080 #ff0000'}
    """
    if not set(codes) & set(colours):
        return {}
    return {"flag_colors": " ".join(colours.get(code, UNKNOWN) for code in codes)}


def category_names(path: str | Path, column: str | None = None) -> dict[int, str]:
    """Code to name, from the attribute table in a raster's `.aux.xml`; empty where there is none.

    `column` is the table's column of names; without one, the first column of text. Read with the
    standard library: rasterio does not read attribute tables. A document that declares types or
    entities is refused.
    """
    path = Path(f"{path}.aux.xml")
    root = _parsed(path)
    table = None if root is None else root.find(".//GDALRasterAttributeTable")
    if root is None or table is None:
        listed = [] if root is None else root.findall(".//CategoryNames/Category")
        texts = [(cell.text or "").strip() for cell in listed]
        return {i: text for i, text in enumerate(texts) if text}
    fields = _fields(table)
    code, label = _columns(path, fields, column)
    try:
        return {int(float(row[code])): row[label].strip() for row in _rows(table)}
    except (ValueError, OverflowError, IndexError) as error:
        raise _no_table(path.with_name(path.name.removesuffix(".aux.xml")), error) from None


def name_columns(path: str | Path) -> list[str]:
    """Columns of text of the attribute table in a raster's `.aux.xml`: any may name its classes."""
    root = _parsed(Path(f"{path}.aux.xml"))
    table = None if root is None else root.find(".//GDALRasterAttributeTable")
    return [] if table is None else [name for name, kind in _fields(table) if kind == "2"]


def _parsed(path: Path) -> ElementTree.Element | None:
    """The document, or None without a file. QGIS writes a bare document type, more is refused."""
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise SourceError(f"{path} is larger than {LARGEST / 1e6:.0f} MB: no legend is")
    text = path.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"<!DOCTYPE[^\[\]<>]*>", "", text, count=1)
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise SourceError(f"{path} declares a document type or entities: delete it or save it anew")
    try:
        # entities were refused above
        return ElementTree.fromstring(text)  # nosec B314
    except ElementTree.ParseError as error:
        raise SourceError(
            f"{path} is not readable XML ({error}): delete it or save it anew"
        ) from None


def _fields(table: ElementTree.Element) -> list[tuple[str, str | None]]:
    return [(f.findtext("Name") or "", f.findtext("Type")) for f in table.findall("FieldDefn")]


def _rows(table: ElementTree.Element) -> list[list[str]]:
    return [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]


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


def _table_colours(path: Path) -> dict[int, str]:
    """Colours of an attribute table with columns Red, Green, Blue (0 to 255, or 0 to 1)."""
    root = _parsed(Path(f"{path}.aux.xml"))
    table = None if root is None else root.find(".//GDALRasterAttributeTable")
    if table is None:
        return {}
    names = [name.lower() for name, _ in _fields(table)]
    if not {"value", "red", "green", "blue"} <= set(names):
        return {}
    where = [names.index(n) for n in ("value", "red", "green", "blue")]
    try:
        rows = [[float(row[i]) for i in where] for row in _rows(table)]
        shares = any(0 < v < 1 for row in rows for v in row[1:])
        return {int(row[0]): _hex(*(v * 255 if shares else v for v in row[1:])) for row in rows}
    except (ValueError, OverflowError, IndexError) as error:
        raise _no_table(path, error) from None


def _no_table(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path}.aux.xml is no attribute table that can be read ({error}): delete it or save it "
        "anew"
    )


def _style(path: Path) -> Legend:
    """Palette of a QGIS raster style."""
    root = _parsed(path)
    names, colours = {}, {}
    for entry in [] if root is None else root.iter("paletteEntry"):
        try:
            code = float(entry.get("value", ""))
        except ValueError:
            continue
        if code.is_integer():
            colours[int(code)] = (entry.get("color") or UNKNOWN)[:7].lower()
            if (entry.get("label") or "").strip():
                names[int(code)] = str(entry.get("label")).strip()
    return Legend(names, colours, [path.name])


def _colour_file(path: Path) -> Legend:
    """`code red green blue [name]`, one a line; a fourth number is opacity."""
    if not path.is_file():
        return Legend({}, {}, [])
    if path.stat().st_size > LARGEST:
        raise SourceError(f"{path} is larger than {LARGEST / 1e6:.0f} MB: no legend is")
    names, colours = {}, {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            code, rgb = int(float(words[0])), [float(word) for word in words[1:4]]
            colours[code] = _hex(*rgb)
        except (ValueError, TypeError, OverflowError):
            raise SourceError(
                f"{path} is no colour file: a line is `code red green blue`, got {line!r}"
            ) from None
        rest = words[5:] if len(words) > 4 and words[4].isdigit() else words[4:]
        if rest:
            names[code] = " ".join(rest)
    return Legend(names, colours, [path.name])


def _colour_table(path: Path) -> dict[int, str]:
    if path.is_dir() or path.suffix.lower() in NO_TABLE:
        return {}
    try:
        with rasterio.open(path) as file:
            return {code: _hex(*rgba[:3]) for code, rgba in file.colormap(1).items()}
    except (rasterio.RasterioIOError, ValueError):  # no raster, or no table in it
        return {}


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{min(255, max(0, round(v))):02x}" for v in (red, green, blue))


def number(value: float) -> str:
    """A number of a legend: as short as it may be, large ones whole.

    >>> [number(value) for value in (0.25, 1234.5, 0.0, -3.14159)]
    ['0.25', '1,234', '0', '-3.14']
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
