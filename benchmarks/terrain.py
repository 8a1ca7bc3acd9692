"""Five terrain factors in one pass against gdaldem's slope alone."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
import rioxarray

from benchmarks import relief
from benchmarks.timing import Row, in_turn
from lsm_core import terrain

FIVE = ["slope", "aspect", "plan_curvature", "profile_curvature", "tpi"]


def rows(quick: bool) -> Iterator[Row]:
    if not shutil.which("gdaldem"):
        print("terrain: gdaldem is not installed (apt: gdal-bin), nothing to compare with")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        relief.write(folder / "dem.tif")

        def five() -> "terrain.xr.Dataset":
            with rioxarray.open_rasterio(folder / "dem.tif") as dem:
                return terrain.derive(dem.squeeze(drop=True), FIVE)

        def five_written() -> None:
            for factor, layer in five().items():
                layer.rio.to_raster(folder / f"{factor}.tif")

        def gdaldem(to: str) -> None:
            command = ["gdaldem", "slope", "dem.tif", to, "-q"]
            subprocess.run(command, cwd=folder, check=True)

        size = f"{relief.SHAPE[0]:,} x {relief.SHAPE[1]:,} cells"
        ratio, note = in_turn(five, lambda: gdaldem("/vsimem/slope.tif"))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "all"
        yield Row(
            "P9", f"five terrain factors / gdaldem slope alone, {size}; both read the GeoTIFF from "
            "disk and keep results in memory", 1.0, ratio, note=f"{note}; ours on {cores} cores, "
            "imported and compiled before; gdaldem a process on one",
        )  # fmt: skip
        ratio, note = in_turn(five_written, lambda: gdaldem("slope-gdal.tif"))
        yield Row(
            "P9w", "the same, ours writing five GeoTIFFs, gdaldem its one", 1.0, ratio, note=note
        )
        with rasterio.open(folder / "slope-gdal.tif") as file:
            theirs = file.read(1, masked=True)
        off = np.abs(five()["slope"].values - theirs).max()
        yield Row("P10", "slope, largest difference from gdaldem there", 1e-3, float(off), "deg",
                  note="gdaldem sums in float32")  # fmt: skip
