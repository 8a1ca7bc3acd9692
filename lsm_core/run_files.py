"""Files of a run folder: written beside their place and moved there, so that none is broken."""

import glob
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsm_core.errors import RunError
from lsm_core.geopackage import save_layer
from lsm_core.locks import alone as alone

# Whoever only asks how a run stands, or ends it, waits for none of these.
if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    import pandas as pd

    from lsm_core.grid import Grid


CACHE = 128  # megabytes of blocks that GDAL keeps; its own choice is a twentieth of all memory


def write_text(path: Path, text: str) -> None:
    replace(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """A picture, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, lambda part: part.write_bytes(data))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False))


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """A table as Parquet, or, where the name ends so, as CSV that no spreadsheet runs."""
    if path.suffix == ".csv":
        from lsm_core.safe_tables import csv_of

        replace(path, lambda part: part.write_text(csv_of(table), encoding="utf-8"))
    else:
        replace(path, lambda part: table.to_parquet(part, index=False))


def write_shapes(path: Path, shapes: "gpd.GeoDataFrame") -> None:
    """Points or polygons with their columns, as a GeoPackage. Errors: it cannot (OSError)."""
    # GDAL knows a format by its ending, and says so where it is another
    part = path.with_name(f"unfinished.{path.name}")
    try:
        save_layer(part, shapes, path.stem)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_map(
    path: Path, grid: "Grid", blocks: "Iterable[tuple[int, np.ndarray]]", dtype: str = "float32"
) -> None:
    """A cloud-optimised GeoTIFF from row blocks (first row, array), with overviews.

    float32 has NaN as nodata and averaged overviews; uint8 has 0 as nodata and nearest overviews.
    """
    import rasterio.shutil
    import rasterio.windows

    classes = dtype == "uint8"
    rows, cols = grid.shape
    profile = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": 1,
        "dtype": dtype,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": 0 if classes else float("nan"),
        "tiled": True,
        "compress": "deflate",
        "BIGTIFF": "IF_SAFER",
    }
    plain = path.with_name(f".{path.name}.plain")
    overviews = "NEAREST" if classes else "AVERAGE"

    def to_cog(part: Path) -> None:
        look = {"overview_resampling": overviews, "BIGTIFF": "IF_SAFER"}
        rasterio.shutil.copy(plain, part, driver="COG", compress="deflate", **look)
        for _ in read_strips(part):  # GDAL does not say where the disk was full at the very end
            pass

    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE):
            with rasterio.open(plain, "w", **profile) as target:
                for row, block in blocks:
                    window = rasterio.windows.Window(0, row, cols, block.shape[0])
                    target.write(block.astype(dtype), 1, window=window)
            replace(path, to_cog)
    finally:
        plain.unlink(missing_ok=True)


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside `path` and move it there in one step; of two writers at once the last wins."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """The same of one file, in a folder where others may be writing theirs."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a process that was killed had begun to write; nobody may be writing there."""
    for part in folder.rglob("*"):
        if part.name.startswith("unfinished.") or re.fullmatch(r"\..+\.(part|plain)", part.name):
            part.unlink(missing_ok=True)


def read_strips(path: Path, rows: int = 512) -> "Iterator[tuple[int, np.ndarray]]":
    """A written map, row block by row block."""
    import rasterio.windows

    with rasterio.open(path) as source:
        for row in range(0, source.height, rows):
            height = min(rows, source.height - row)
            window = rasterio.windows.Window(0, row, source.width, height)
            yield row, source.read(1, window=window)


def read_json(path: Path, kind: type = object) -> Any:
    """What a JSON file of a run holds; RunError where it is missing, damaged or of another kind."""
    check_inside(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"run {path.parent.name} has no {path.name}: it did not finish") from error
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise RunError(f"{path} is not JSON: the run folder was changed by hand") from error
    if not isinstance(found, kind):
        raise strange(path, f"it holds {str(found)[:60]}")
    return found


def strange(path: Path, why: object) -> RunError:
    """The error of a file that somebody else wrote."""
    return RunError(f"{path} was not written by this program: {str(why)[:200]}")


def check_inside(path: Path) -> None:
    """Refuse a file of a run that is a link to somewhere else: the run may be a stranger's."""
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise RunError(f"{path} leads out of the run's folder: copy the file itself")


def read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        raise RunError(f"run {path.parent.name} has no {path.name}: it did not finish")
    check_inside(path)
    try:
        # Threads gain nothing here, and where no memory is left to begin one Arrow waits for ever.
        return pd.read_parquet(path, use_threads=False, pre_buffer=False)
    except (OSError, ValueError, KeyError, TypeError) as error:  # pyarrow's are of these
        raise strange(path, " ".join(str(error).split())) from error
