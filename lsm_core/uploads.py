"""Files that come in pieces from somewhere else, and what it takes until they are sources.

Each is written to disk as it comes, in a folder of its own, under a name of its own: what somebody
calls a file never becomes a path. The parts of a shapefile, and what lies beside a raster (its
legend), come as files of their own and find each other by the names they have.
"""

import logging
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from lsm_core import own_sources, room
from lsm_core.catalog import SIDECARS
from lsm_core.errors import CrsError, LsmError, SourceError
from lsm_core.intake import SUFFIXES
from lsm_core.own_sources import Entry
from lsm_core.workspace import own_catalog, uploads_folder

log = logging.getLogger(__name__)
LARGEST = int(os.environ.get("LSM_LARGEST_UPLOAD", 2_000_000_000))  # bytes of one file
LARGEST_LEGEND = 10_000_000  # bytes of what lies beside a raster
MOST = 20_000_000_000  # bytes of all of them
LEGENDS = (".tif.aux.xml", ".tiff.aux.xml", ".qml", ".clr")  # beside a raster
FORGOTTEN = 24 * 3600  # seconds without a piece after which what became no source is removed
NEEDED = (".shp", ".shx", ".dbf")  # parts without which a shapefile is none
LOOK = 30.0  # seconds for which it is believed what lies on disk; what comes meanwhile is added


class Uploads:
    """Files of one visitor on their way to become sources.

    `pending` are files that state no CRS, by the names they had: `with_crs` takes them.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self.pending: dict[str, Path] = {}
        self._coming: dict[str, Path] = {}
        self._shapes: dict[str, Path] = {}  # stem to folder
        self._known: dict[str, str] = {}  # stem of a shapefile to its source
        self._rasters: dict[str, Entry] = {}  # and other files that stand alone
        self._legends: dict[str, Path] = {}

    def receive(self, file: str, data: bytes, *, first: bool, last: bool) -> Entry | None:
        """Write a piece of a file; the source it became, after the last piece that it takes.

        Errors: an ending that is not taken, a file too large, no room, and those of
        `own_sources.add_source`; nothing of such a file is left.
        """
        if first:
            self._coming[file] = self._place(file)
        path = self._coming.get(file)
        if path is None:  # it was refused before
            return None
        try:
            if path.stat().st_size + len(data) > self.largest:
                raise SourceError(f"{Path(file).name} is larger than {self.largest / 1e6:,.0f} MB")
            _disk.write(path, data, anew=first)
        except SourceError:
            self._drop(file)
            raise
        except OSError as error:
            self._drop(file)
            raise SourceError(
                f"{Path(file).name} could not be kept here ({error.strerror}): give it once more"
            ) from error
        if not last:
            return None
        return self._whole(file, self._coming.pop(file))

    def forget(self, file: str) -> None:
        """Remove what came of a file that is half here, if it is."""
        if file in self._coming:
            self._drop(file)

    @property
    def coming(self) -> bool:
        """Whether a file is half here."""
        return bool(self._coming)

    def missing(self, file: str) -> list[str]:
        """Names of the files that one which came still waits for; none of what is a source.

        Of the parts of a shapefile the others that it needs, of a legend its raster.
        """
        ending, stem = _parts(file)
        name = Path(file).name
        if ending in LEGENDS:
            raster = name.removesuffix(".aux.xml") if ending.endswith(".aux.xml") else ""
            raster = raster or name[: -len(ending)] + ".tif"
            return [raster] if name.lower() in self._legends else []
        if ending not in SIDECARS or stem in self._known or stem not in self._shapes:
            return []
        there = {path.suffix for path in self._shapes[stem].glob("data.*")}
        lacking = [part for part in NEEDED if part not in there]
        return [name[: -len(ending)] + part for part in lacking or [".prj"]]

    def with_crs(self, crs: str) -> list[Entry]:
        """Take the files that state no CRS, which is now given; CrsError if it is none."""
        taken = []
        for file, path in list(self.pending.items()):
            taken.append(own_sources.add_source(path, file=file, crs=crs))
            ending, stem = _parts(file)
            if ending in SIDECARS:
                self._known[stem] = taken[-1].name
            del self.pending[file]
        return taken

    def _place(self, file: str) -> Path:
        ending, stem = _parts(file)
        forget_unfinished()
        folder = self._shapes.setdefault(stem, _folder()) if ending in SIDECARS else _folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"data{ending}"
        path.write_bytes(b"")
        return path

    def _whole(self, file: str, path: Path) -> Entry | None:
        ending, stem = _parts(file)
        if ending in LEGENDS:
            self._check_legend(file, path)
            self._legends[Path(file).name.lower()] = path
            return self._lay_beside()
        if ending in SIDECARS:
            return self._shape(stem, path.parent, Path(file).stem)
        entry = self._add(Path(file).name, path)
        self._rasters[Path(file).name.lower()] = entry
        self._lay_beside()
        return entry

    def _shape(self, stem: str, folder: Path, called: str) -> Entry | None:
        if stem in self._known:
            return own_sources.renew_source(self._known[stem])
        coming = {path.name for path in self._coming.values() if path.parent == folder}
        there = {path.suffix for path in folder.iterdir() if path.name not in coming}
        if not set(NEEDED) <= there:
            return None
        try:
            entry = self._add(f"{called}.shp", folder / "data.shp")
        except CrsError:
            if ".prj" not in there:
                return None  # it may still come; `pending` says what is missing
            raise
        self._known[stem] = entry.name
        return entry

    def _add(self, file: str, path: Path) -> Entry:
        self.pending.pop(file, None)
        try:
            entry = own_sources.add_source(path, file=file)
            if entry.path != path:  # the same was there already
                shutil.rmtree(path.parent, ignore_errors=True)
            return entry
        except CrsError:
            self.pending[file] = path
            raise
        except LsmError as error:
            shutil.rmtree(path.parent, ignore_errors=True)
            self._shapes = {s: f for s, f in self._shapes.items() if f != path.parent}
            # it lies under a name of ours, which the visitor does not know
            raise type(error)(str(error).replace(path.name, Path(file).name)) from None

    def _lay_beside(self) -> Entry | None:
        """Put legends beside the rasters they belong to, as far as these are there."""
        laid = None
        for file, entry in self._rasters.items():
            raster = str(entry.path)
            stem = file.rsplit(".", 1)[0]
            places = {f"{file}.aux.xml": f"{raster}.aux.xml"}
            places |= {stem + e: raster.rsplit(".", 1)[0] + e for e in (".qml", ".clr")}
            for name in set(places) & set(self._legends):
                found = self._legends.pop(name)
                shutil.move(found, places[name])
                found.parent.rmdir()
                laid = entry
        return laid

    def _check_legend(self, file: str, path: Path) -> None:
        """GDAL reads what lies beside a raster, and would open another file that it names."""
        if path.stat().st_size <= LARGEST_LEGEND and b"OVERVIEW" not in path.read_bytes().upper():
            return
        shutil.rmtree(path.parent, ignore_errors=True)
        raise SourceError(
            f"{Path(file).name} is larger than {LARGEST_LEGEND / 1e6:.0f} MB or names other files: "
            "only names and colours of classes are taken"
        )

    def _drop(self, file: str) -> None:
        path = self._coming.pop(file)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds other parts, or is gone
            path.parent.rmdir()


def forget_unfinished() -> list[Path]:
    """Remove uploads that became no source and got no piece for a day; their folders.

    Such are left by who closed the page half-way, and by a server that ended. Sources stay, and so
    does whatever is not of the kind that is made here; all of it where there is no catalogue that
    could tell. Errors: the workspace's catalogue cannot be read (CatalogError).
    """
    if not own_catalog().is_file():
        return []
    used = {entry.path.parent for entry in own_sources.entries().values() if entry.path}
    ours = (p for p in uploads_folder().resolve().glob("*") if re.fullmatch("[0-9a-f]{32}", p.name))
    old = [p for p in ours if p not in used and _touched(p) < time.time() - FORGOTTEN]
    for folder in old:
        log.info("an upload that was never finished is removed: %s", folder.name)
        shutil.rmtree(folder, ignore_errors=True)
    return old


def _touched(folder: Path) -> float:
    """When the last piece came."""
    try:
        return max(p.stat().st_mtime for p in (folder, *folder.iterdir()))
    except OSError:  # it goes, or comes, just now
        return time.time()


def ending_of(file: str) -> str:
    """The ending of a file that is taken, in small letters: of a source or of what lies beside it.

    >>> ending_of("Geology.tif.aux.xml"), ending_of("DEM.TIF")
    ('.tif.aux.xml', '.tif')
    """
    name = Path(file).name.lower()
    taken = sorted({*LEGENDS, *SUFFIXES, *SIDECARS}, key=len, reverse=True)
    for ending in taken:
        if name.endswith(ending) and name != ending:
            return ending
    raise SourceError(
        f"{Path(file).name} is of no kind that is taken: give a GeoTIFF (.tif, with its .aux.xml), "
        "GeoPackage (.gpkg), CSV, GeoJSON, or the parts of a shapefile (.shp, .shx, .dbf, .prj)"
    )


def _parts(file: str) -> tuple[str, str]:
    ending = ending_of(file)
    return ending, Path(file).name[: -len(ending)].lower()


def _folder() -> Path:
    return uploads_folder().resolve() / uuid.uuid4().hex


class _Disk:
    """How much room there is for what comes: all visitors of a server ask here, one at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._looked = -LOOK
        self._uploads = self._all = 0  # bytes that lay there when it was looked at
        self._came = 0  # bytes since

    def write(self, path: Path, data: bytes, *, anew: bool) -> None:
        """Add a piece to a file; SourceError where there is no room. `anew` : look at the disk."""
        with self._turn:
            if anew or time.monotonic() > self._looked + LOOK:
                self._look()
            self._check(len(data))
            with path.open("ab") as out:
                out.write(data)
            self._came += len(data)

    def _look(self) -> None:
        self._looked, self._came = time.monotonic(), 0
        self._uploads, self._all = room.bytes_of(uploads_folder()), room.bytes_of_all()

    def _check(self, more: int) -> None:
        there = self._uploads + self._came
        if there + more > MOST:
            raise SourceError(
                f"uploads hold {there / 1e9:.1f} GB of the {MOST / 1e9:.0f} GB there is room for, "
                "and this would be too much: take sources out that nobody needs"
            )
        if words := room.full(self._all + self._came + more):
            raise SourceError(words)


_disk = _Disk()
