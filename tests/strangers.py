"""Files that strangers made: cases of what may be wrong with them, and how each must end.

A case writes a file and gives back what is to be tried with it. `refused(words)`: an LsmError that
says these words; `right`: it goes well, and what is tried asserts what is right.
"""

import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import yaml
from affine import Affine
from country import Country

from lsm_core import preparation
from lsm_core.study_area import area_path, save_area
from lsm_core.uploads import Uploads

SIDE = 20  # cells of the area that all share
PLACE = Affine(20, 0, 500000, 0, -20, 4000000)


@dataclass(frozen=True)
class Case:
    """What is wrong, how it is made, and the words of the error; None where all goes well."""

    name: str
    make: Callable[["Place"], Callable[[], object]]
    words: str | None
    torture: bool = False


CASES: dict[str, Case] = {}


def add(name: str, make: Callable, words: str | None = None, *, torture: bool = False) -> Callable:
    """Keep a case under a name, as tables of cases do."""
    if name in CASES:
        raise ValueError(f"two cases are called {name}")
    CASES[name] = Case(name, make, words, torture)
    return make


def refused(words: str, *, torture: bool = False) -> Callable:
    return lambda make: add(make.__name__, make, words, torture=torture)


def right(make: Callable | None = None, *, torture: bool = False) -> Callable:
    if make is None:
        return lambda made: right(made, torture=torture)
    return add(make.__name__, make, torture=torture)


def equal(got: object, wanted: object) -> None:
    """What a case that is right asserts in a line."""
    assert got == wanted


class Place:
    """A folder with a workspace in it, a folder of strange files, and other people's beside."""

    def __init__(self, root: Path) -> None:
        self.root, self.workspace = root, root / "ws"
        self.files, self.beside = root / "files", root / "beside"
        for folder in (self.files, self.beside):
            folder.mkdir(parents=True)
        (self.beside / "private.txt").write_text("nobody's business")
        self._country: Country | None = None

    @property
    def country(self) -> Country:
        """A country of 20 x 20 cells with two landslides, ready to be spoilt."""
        if self._country is None:
            self._country = Country(self.files, shape=(SIDE, SIDE))
            self._country.inventory([self.box(3, 3, 5, 6), self.box(12, 10, 15, 13)])
            self._country.area["factors"] = ["elevation"]
        return self._country

    def box(self, row0: float, col0: float, row1: float, col1: float):
        return self.country.box(row0, col0, row1, col1)

    def prepare(self, **changes):
        """What `lsm prepare` does, in this process: build the area and save it."""
        self.country.area |= changes
        path = self.files / "area.yaml"
        path.write_text(yaml.safe_dump(self.country.area))
        catalog = self.country.catalog()
        return lambda: self._prepared(path, catalog)

    def _prepared(self, path, catalog):
        made = preparation.prepare_with_inventory(path, catalog)
        save_area(made.ds, area_path(made.ds.attrs["name"]), inventory=made.inventory)
        return made.ds

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.files / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def upload(self, *paths: Path, called: str | None = None):
        """Send files in two pieces each, as the page does; the last one's entry."""

        def send():
            uploads = Uploads()
            for path in paths:
                data, name = path.read_bytes(), path.name if called is None else called
                half = len(data) // 2
                uploads.receive(name, data[:half], first=True, last=False)
                entry = uploads.receive(name, data[half:], first=False, last=True)
            return entry

        return send

    def raster(self, name="dem.tif", values=None, **profile) -> Path:
        """A sound GeoTIFF of 20 x 20 cells, or as `profile` says."""
        values = hills() if values is None else np.asarray(values)
        about = {"height": values.shape[-2], "width": values.shape[-1], "dtype": values.dtype}
        about |= {"count": 1, "crs": "EPSG:32643", "transform": PLACE, "driver": "GTiff"}
        path = self.files / name
        with rasterio.open(path, "w", **about | profile) as file:
            file.write(values if values.ndim == 3 else values[np.newaxis])
        return path


def hills() -> np.ndarray:
    """Elevations of a slope, metres."""
    return np.add.outer(np.linspace(900, 1200, SIDE), np.linspace(0, 90, SIDE)).astype("float32")


# ------------------------------------------------------------------------ inside a small TIFF


def tags(data: bytes) -> dict[int, int]:
    """Where the value field of each tag of the first page lies (little-endian, classic TIFF)."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = (start + 2 + 12 * i for i in range(count))
    return {struct.unpack_from("<H", data, at)[0]: at + 8 for at in entries}


def with_tag(path: Path, tag: int, value: int, form: str = "<I") -> Path:
    """The file with another value of a tag that is stored in place."""
    data = bytearray(path.read_bytes())
    at = tags(data)[tag]
    struct.pack_into("<H", data, at - 6, 4 if form == "<I" else 3)  # its type: LONG, or SHORT
    struct.pack_into(form, data, at, value)
    path.write_bytes(data)
    return path


def with_doubles(path: Path, tag: int, *values: float) -> Path:
    """The file with other doubles of a tag that is stored elsewhere."""
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, tags(data)[tag])
    struct.pack_into(f"<{len(values)}d", data, at, *values)
    path.write_bytes(data)
    return path


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    """The file with some bytes in place of others, as many."""
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) >= 1, f"{old!r} is not in {path.name}"
    path.write_bytes(data.replace(old, new))
    return path


def plain(text: str) -> str:
    """A pattern of these very words."""
    return re.escape(text)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def bomb(place) -> bytes:
    """A pickle that leaves a file where it is opened."""
    return pickle.dumps(Bomb(place.beside / "pwned"))
