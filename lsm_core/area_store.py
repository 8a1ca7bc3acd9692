"""What the folder of a study area may be, looked at before Zarr opens it.

It may come from a stranger. Zarr's older form unpacks by whatever codec a file names, one of which
runs code; sizes are believed; a link leads to any file of the machine.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsm_core.errors import AreaError

CODECS = {  # that only pack and unpack
    *("bytes", "zstd", "blosc", "gzip", "crc32c", "transpose", "sharding_indexed"),
    *("vlen-utf8", "vlen-bytes"),
}
MOST_VALUES = 20_000_000_000  # of one array: a billion cells of an image of twenty bands
LARGEST = 5_000_000  # bytes of what describes an array
FORMAT = 1  # of the folder, as `format.json` says; of one without it, 1
OLD = (".zarray", ".zgroup", ".zattrs", ".zmetadata")


def write_format(area: Path) -> None:
    """Say in an area's folder which form it is of."""
    (area / "format.json").write_text(json.dumps(FORMAT))


def check_format(area: Path) -> None:
    """Refuse an area that a later version of this program wrote (AreaError)."""
    path = area / "format.json"
    try:
        found = json.loads(path.read_text("utf-8")) if path.is_file() else FORMAT
    except (OSError, ValueError, RecursionError) as error:
        raise AreaError(f"{path} was not written by this program ({error}): {_CURE}") from None
    if type(found) is not int or found < 1:
        raise AreaError(f"{path} was not written by this program ({str(found)[:60]}): {_CURE}")
    if found > FORMAT:
        raise AreaError(
            f"{area} was written by a newer version (format {found}, known to {FORMAT}): update "
            f"this program, or {_CURE}"
        )


def check_store(area: Path) -> None:
    """Refuse an area's folder that this program did not write (AreaError): see above."""
    inside = area.resolve()
    for entry in _entries(inside):
        path = Path(entry.path)
        if entry.is_symlink() and not path.resolve().is_relative_to(inside):
            raise AreaError(f"{path} leads out of the study area's folder: copy the file itself")
        if entry.name in OLD:
            raise AreaError(
                f"{path} is of Zarr's older form, in which a file may run code: {_CURE}"
            )
        if entry.name == "zarr.json":
            _check_described(path)


_CURE = "build the area again with `lsm prepare`"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def _check_described(path: Path) -> None:
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST / 1e6:.0f} MB")
        about = json.loads(path.read_text("utf-8"))
        if about["node_type"] == "array":
            _check_array(path, about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AreaError(f"{path} was not written by this program ({error}): {_CURE}") from None


def _check_array(path: Path, about: dict[str, Any]) -> None:
    if min([*about["shape"], 0]) < 0 or math.prod(about["shape"]) > MOST_VALUES:
        size = " x ".join(f"{n:,}" for n in about["shape"])
        raise AreaError(f"{path} claims {size} values, of which {MOST_VALUES:,} are taken: {_CURE}")
    chunk = about["chunk_grid"]["configuration"]["chunk_shape"]
    if min([*chunk, 1]) < 1 or math.prod(chunk) > MOST_VALUES:
        raise ValueError(f"its blocks are {chunk}")
    strange = {codec["name"] for codec in _codecs(about["codecs"])} - CODECS
    if strange:
        raise AreaError(
            f"{path} is packed by {', '.join(sorted(strange))}, which no area is: {_CURE}"
        )


def _codecs(codecs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for codec in codecs:
        yield codec
        about = codec.get("configuration") or {}
        yield from _codecs([*about.get("codecs", ()), *about.get("index_codecs", ())])
