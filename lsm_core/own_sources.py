"""Sources by name: those of the shipped catalogue, and files that somebody added to the workspace.

An added file becomes an entry of the workspace's own catalogue (`data_catalog.yaml`), with its
CRS, unit and SHA-256, and is from then on a source like any other. Its name is never one that the
shipped catalogue uses. Reading these lists needs no HydroMT, so a page can show them at once.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import yaml

from lsm_core import intake
from lsm_core.catalog import data_root, fingerprint, read_entries, shipped
from lsm_core.errors import CatalogError, CrsError, SourceError
from lsm_core.intake import Found
from lsm_core.lattice import crs_name
from lsm_core.workspace import own_catalog, uploads_folder, workspace

MOST_LISTED = 500  # files of the data folder


@dataclass(frozen=True)
class Entry:
    """A source of a catalogue: what it is, where its file lies (None: on the net), who may use it.

    `own` says that it is of the workspace's catalogue, `file` what its file was called.
    """

    name: str
    data_type: str
    path: Path | None
    crs: str
    unit: str
    licence: str
    notes: str
    sha256: str
    own: bool
    file: str

    @property
    def there(self) -> bool:
        """Whether its file is on this machine."""
        return self.path is not None and self.path.exists()

    def look(self) -> Found:
        """What its file holds (`intake.look_at`), in the catalogue's CRS where it states none."""
        if self.path is None or not self.path.exists():
            raise SourceError(f"{self.name}: no file at {self.path}; set LSM_DATA to its folder")
        return self.in_crs(intake.look_at(self.path))

    def in_crs(self, found: Found) -> Found:
        """What was found, in the CRS that the catalogue states where the file states none."""
        if found.crs or not self.crs:
            return found
        crs = intake.crs_of(self.crs)
        return replace(found, crs=crs_name(crs), projected=crs.is_projected)


def entries() -> dict[str, Entry]:
    """Every source by name: the workspace's own first, then those of the shipped catalogue."""
    found: dict[str, Entry] = {}
    own = own_catalog()
    if own.is_file():
        found |= _entries(own, own.parent.resolve(), True)
    path = shipped("data_catalog.yaml")
    return found | _entries(path, None, False)


def _entries(path: Path, root: Path | None, own: bool) -> dict[str, Entry]:
    content = read_entries(path)
    base = str(root or data_root(path, content.get("meta") or {}))
    rows = {str(name): row for name, row in content.items() if name != "meta"}
    return {name: _entry(name, row, base, own) for name, row in rows.items()}


def _entry(name: str, row: dict[str, Any], base: str, own: bool) -> Entry:
    uri, about = str(row.get("uri", "")), row.get("metadata") or {}
    return Entry(
        name=name,
        data_type=str(row.get("data_type", "")),
        path=None if "://" in uri or "://" in base else Path(base) / uri,
        crs=_crs_text(about.get("crs")),
        unit=str(about.get("unit") or ""),
        licence=str(about.get("source_license") or "not stated"),
        notes=str(about.get("notes") or ""),
        sha256=str(about.get("sha256") or ""),
        own=own,
        file=str(about.get("file") or Path(uri).name),
    )


def _crs_text(crs: Any) -> str:
    return f"EPSG:{crs}" if isinstance(crs, int) else str(crs or "")


# -------------------------------------------------------------------------------- adding a file


def add_source(
    path: str | Path,
    *,
    file: str | None = None,
    crs: str = "",
    unit: str = "",
    layer: str | None = None,
    x: str = "",
    y: str = "",
    licence: str = "",
) -> Entry:
    """Make a file a source of the workspace; the same one that is there already is given back.

    `file` is what it is called to people (an upload lies under another name). `crs` counts where
    the file states none; a table needs one, and its coordinate columns `x` and `y` where these are
    not plain. A file inside the workspace is named relative to it, so that the workspace can
    move.

    Errors: those of `intake.look_at`; no CRS in the file and none given (CrsError); a column that
    is not there (SourceError).
    """
    path = Path(path).resolve()
    found = intake.look_at(path, layer)
    called = Path(file or path.name).name
    row = _row(path, found, called, crs, layer, x, y)
    extra = {"unit": unit, "source_license": licence}
    row["metadata"] |= {key: text for key, text in extra.items() if text}
    row["metadata"] |= {"file": called, "sha256": fingerprint(path)}
    with _catalogue() as content:
        for name, there in content.items():
            if name != "meta" and _same(there, row):
                return entries()[name]
        name = free_name(Path(called).stem, {*content, *entries()})
        content[name] = row
    return entries()[name]


def _same(there: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether they are one file, of the same name and bytes, read in the same way."""
    kept = (workspace() / str(there.get("uri"))).exists()
    return kept and all(there.get(key) == row[key] for key in ("driver", "data_type", "metadata"))


def _row(
    path: Path, found: Found, called: str, crs: str, layer: str | None, x: str, y: str
) -> dict[str, Any]:
    if not found.crs and not crs.strip():
        raise CrsError(
            f"{called} does not state the coordinate reference system (CRS) of its coordinates: "
            "give its EPSG number, such as 32643 (to `lsm draft` as --crs 32643)"
        )
    about: dict[str, Any] = {}
    if number := re.fullmatch(r"EPSG:(\d+)", found.crs):
        about["crs"] = int(number.group(1))
    elif not found.crs:  # one that has no number stands in the file itself, or is kept whole
        given = intake.crs_of(crs)
        about["crs"] = given.to_epsg() or given.to_wkt()
    row = {"uri": _uri(path), "metadata": about}
    if found.kind == "raster":
        return row | {"data_type": "RasterDataset", "driver": "rasterio"}
    if found.kind == "vector":
        chosen = layer or found.layers[0]
        driver = {"name": "pyogrio", "options": {"layer": chosen}}
        return row | {"data_type": "GeoDataFrame", "driver": driver}
    first, second = intake.columns_xy(found.fields)
    about |= {"x": x or first, "y": y or second}
    if not (about["x"] and about["y"]):
        raise SourceError(
            f"{called}: which columns are x and y? There are {', '.join(found.fields)}. Call them "
            f"x and y, or lon and lat, or say so (to `lsm draft` as --x {found.fields[0]} --y ...)"
        )
    missing = {about["x"], about["y"]} - set(found.fields)
    if missing:
        raise SourceError(f"{called} has no column {', '.join(missing)}: {', '.join(found.fields)}")
    return row | {"data_type": "DataFrame", "driver": "pandas"}


def _uri(path: Path) -> str:
    inside = workspace().resolve()
    return path.relative_to(inside).as_posix() if path.is_relative_to(inside) else str(path)


def free_name(text: str, taken: set[str]) -> str:
    """A name for a source or an area, made of a file's name, that nobody has.

    >>> free_name("AW3D30 (2020)", {"aw3d30_2020"}), free_name("30 m", set())
    ('aw3d30_2020_2', 's_30_m')
    """
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "file"
    name = name if name[0].isalpha() else f"s_{name}"
    numbers = (name if i == 1 else f"{name}_{i}" for i in range(1, len(taken) + 2))
    return next(tried for tried in numbers if tried not in taken)


def renew_source(name: str) -> Entry:
    """Take the SHA-256 of a source's files again, after one came to lie beside them."""
    path = entries()[name].path
    with _catalogue() as content:
        if path is not None and name in content:
            content[name]["metadata"]["sha256"] = fingerprint(path)
    return entries()[name]


def remove_source(name: str) -> None:
    """Take a source out of the workspace's catalogue; a file that was uploaded is deleted.

    Errors: no such source there (CatalogError).
    """
    with _catalogue() as content:
        if name == "meta" or name not in content:
            raise CatalogError(f"the workspace's catalogue has no {name!r}: nothing to take out")
        path = (workspace() / str(content.pop(name)["uri"])).resolve()
    inside = uploads_folder().resolve()
    if path.is_relative_to(inside) and path.parent != inside:
        shutil.rmtree(path.parent, ignore_errors=True)


@contextmanager
def _catalogue() -> Iterator[dict[str, Any]]:
    """The workspace's catalogue, to be changed by one at a time, written whole or not at all."""
    path = own_catalog()
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=30):
        content = read_entries(path) if path.is_file() else {"meta": {"version": "v1"}}
        yield content
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
        os.replace(new, path)


# ----------------------------------------------------------------------------- files to choose


def data_folder() -> Path | None:
    """The folder of the machine's own data: `LSM_DATA`, else where the shipped catalogue looks."""
    path = shipped("data_catalog.yaml")
    root = Path(data_root(path, read_entries(path).get("meta") or {}))
    return root if root.is_dir() else None


def data_files() -> list[str]:
    """Files of the data folder that could be sources, relative to it, by name; `MOST_LISTED` most.

    Links that lead out of the folder are not followed.
    """
    root = data_folder()
    if root is None:
        return []
    inside = root.resolve()
    found = (p for p in sorted(root.rglob("*")) if p.suffix.lower() in intake.SUFFIXES)
    kept = [p for p in found if p.is_file() and p.resolve().is_relative_to(inside)]
    return [p.relative_to(root).as_posix() for p in kept[:MOST_LISTED]]


def data_file(name: str) -> Path:
    """The file of that name in `data_files`; SourceError for any other."""
    root = data_folder()
    if root is None or name not in data_files():
        raise SourceError(f"{name!r} is no file of the data folder {root}: choose one of its list")
    return root / name
