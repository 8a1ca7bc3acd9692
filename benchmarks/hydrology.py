"""TWI against pyflwdir's own share of it, in time; and its memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyflwdir
import rioxarray

from benchmarks import relief
from benchmarks.timing import Row, in_turn, peak_gigabytes
from lsm_core import hydrology

CHILD = """
import rioxarray
from lsm_core import hydrology
with rioxarray.open_rasterio({path!r}) as dem:
    hydrology.twi(dem.squeeze(drop=True))
"""


def rows(quick: bool) -> Iterator[Row]:
    shape = (relief.SHAPE[0] // 2, relief.SHAPE[1] // 2) if quick else relief.SHAPE
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name, "dem.tif"), Path(name, "large.tif")
        relief.write(small, shape)
        with rioxarray.open_rasterio(small) as file:
            dem = file.squeeze(drop=True).load()

        def theirs() -> None:
            toward = pyflwdir.dem.fill_depressions(dem.values, nodata=np.nan)[1]
            pyflwdir.from_array(toward, ftype="d8", check_ftype=False).upstream_area()

        ratio, note = in_turn(lambda: hydrology.twi(dem), theirs)
        yield Row(
            "P11", f"TWI / pyflwdir's fill and accumulation, {shape[0]:,} x {shape[1]:,} cells, "
            "both from memory to memory", 1.1, ratio, note=note,
        )  # fmt: skip
        relief.write(large)
        size = f"{relief.SHAPE[0]:,} x {relief.SHAPE[1]:,} cells"
        seen = peak_gigabytes(CHILD.format(path=str(large)))
        yield Row("P11m", f"peak memory of TWI, {size}, in a process of its own", 2.0, seen, "GB",
                  note="Python and libraries included")  # fmt: skip
