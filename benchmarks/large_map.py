"""Maps of whole provinces: from Zarr to GeoTIFF by `lsm predict`, with memory and speed by size."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dask.array
import numpy as np
import pandas as pd
import rioxarray  # noqa: F401
import xarray as xr

from benchmarks.timing import Row, peak_gigabytes
from lsm_core import models, runs
from lsm_core.encoding import fit_encoder
from lsm_core.model_store import save_model
from lsm_core.recipe import Input, make_recipe
from lsm_core.study_area import save_area

PROVINCE = (4314, 7210)
FACTORS = 22
OPTIONS = {"scse": False}


def rows(quick: bool) -> Iterator[Row]:
    """Memory and speed, at 10^5, 10^6 and, if not quick, 3 x 10^7 cells; then how it starts."""
    shapes = [(250, 400), (1000, 1000)] if quick else [(250, 400), (1000, 1000), PROVINCE]
    for shape in shapes:
        with tempfile.TemporaryDirectory() as folder:
            area, run = random_area(shape, Path(folder) / "area"), Path(folder)
            run = _run(area, run)
            code = (
                "import sys; sys.argv = ['lsm', 'predict', "
                f"{str(run)!r}, '--area', {str(area)!r}, '--to', {str(run / 'map.tif')!r}]\n"
                "from lsm_core.cli import main\n"
                "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            )
            begin = time.perf_counter()
            peak = peak_gigabytes(code)
            seconds = time.perf_counter() - begin
        cells = shape[0] * shape[1]
        name = f"CNN without scSE on windows of 13, {shape[0]:,} x {shape[1]:,} x {FACTORS} float32"
        note = f"{seconds:.0f} s with start and writing, {seconds / cells * 1e6:.1f} s a million"
        if shape == PROVINCE:
            yield Row("P12", f"peak memory, Zarr to GeoTIFF: {name}", 3, peak, "GB", note=note)
        else:
            size = "P12s" if cells < 1e6 else "P12m"
            yield Row(
                size, f"the same, {shape[0]:,} x {shape[1]:,} cells", 3, peak, "GB", note=note
            )
    yield Row("S1", "`lsm --help`, median of 5", 0.5, _help_seconds(), "s")


NAMES = tuple(f"factor_{i}" for i in range(FACTORS))


def random_area(shape: tuple[int, int], path: Path, names: Sequence[str] = NAMES) -> Path:
    """A study area of random factors, chunk by chunk, with a landslide in every 1,000 cells."""
    height, width = shape
    coords = {"y": np.arange(height)[::-1] * 30.0, "x": np.arange(width) * 30.0}
    rng = dask.array.random.default_rng(0)
    about = {"kind": "continuous", "units": "1", "long_name": "a factor", "source": "random"}
    values = {name: (("y", "x"), rng.random(shape, "float32", chunks=512), about) for name in names}
    ids = np.zeros(shape, np.int32)
    cells = np.arange(500, ids.size, 1000)
    ids.flat[cells] = np.arange(len(cells)) + 1
    place = {"place": np.arange(len(cells)) + 1}
    ds = xr.Dataset(values, coords | place)
    ds["landslide_id"] = ("y", "x"), ids
    ds["landslide"] = ("y", "x"), (ids > 0).astype(np.uint8)
    ds["valid"] = ("y", "x"), np.ones(shape, bool)
    ds["place_x"] = "place", coords["x"][cells % width]
    ds["place_y"] = "place", coords["y"][cells // width]
    ds.attrs = {"name": path.name, "title": path.name}
    return save_area(ds.rio.write_crs("EPSG:32648"), path)


def _run(area: Path, into: Path) -> Path:
    """A run with an untrained network, which maps as fast as a trained one."""
    from lsm_core.study_area import open_area

    specs = Input(form="window", size=13)
    settings = {
        "name": "province",
        "model": {"name": "cnn", "options": OPTIONS},
        "area": "province",
    }
    path = runs.create_run(make_recipe(settings), {"name": "province", "path": str(area)}, into)
    corner = open_area(area).isel(y=slice(0, 60), x=slice(0, 60)).load()
    cells = pd.DataFrame({"row": np.arange(60), "col": np.arange(60)})
    encoder = fit_encoder(corner, specs, fit_on=cells)
    model = models.build("cnn", encoder.input_shape, seed=1, **OPTIONS)
    save_model(model, "cnn", encoder.input_shape, OPTIONS, path / "model")
    runs.write_json(path / "encoder.json", encoder.to_json())
    return path


def _help_seconds() -> float:
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "lsm_core.cli", "--help"], check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))
