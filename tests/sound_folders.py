"""An area folder and a run folder as they should be, and copies of them to spoil."""

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401
import xarray as xr
from strangers import PLACE, SIDE, hills

from lsm_core import study_area
from lsm_core.lattice import Grid, crs_name
from lsm_core.recipe import make_recipe

RECIPE = {
    "name": "small", "area": "tiny", "protocol": "paper", "map": False,
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "split": {"test": 0.4, "validation": 0.3},
}  # fmt: skip


@functools.cache
def _kept() -> Path:
    """A folder for what is built once; it goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="strangers-")
    _kept_alive.append(folder)
    return Path(folder.name)


_kept_alive: list[tempfile.TemporaryDirectory] = []


@functools.cache
def sound_area() -> Path:
    """A built area of 20 x 20 cells with 25 landslides of a cell each."""
    from rasterio.crs import CRS

    grid = Grid((SIDE, SIDE), PLACE, CRS.from_epsg(32643))
    assert crs_name(grid.crs) == "EPSG:32643"
    ids = np.zeros((SIDE, SIDE), "int32")
    rows, cols = np.mgrid[2:SIDE:4, 1:SIDE:4]
    ids[rows, cols] = np.arange(1, rows.size + 1).reshape(rows.shape)
    rock = np.where(np.arange(SIDE) < 9, 1, 2) * np.ones((SIDE, 1))
    legend = {"flag_values": [1, 2], "flag_meanings": "sand shale", "nodata": -32768}
    layers = {
        "elevation": (hills(), {"kind": "continuous", "units": "m"}),
        "rock": (rock.astype("int16"), {"kind": "categorical", "units": "1"} | legend),
        "landslide": ((ids > 0).astype("uint8"), {}),
        "landslide_id": (ids, {}),
        "valid": (np.ones((SIDE, SIDE), bool), {}),
    }
    ds = xr.Dataset({n: (("y", "x"), v, a) for n, (v, a) in layers.items()})
    x, y = grid.xy(rows.ravel(), cols.ravel())
    ds = ds.assign_coords(y=grid.y, x=grid.x, place=np.arange(1, rows.size + 1, dtype="int32"))
    ds["place_x"], ds["place_y"] = ("place", x), ("place", y)
    ds.attrs = {"name": "tiny", "title": "Tiny", "prepared": "{}", "fingerprints": "{}"}
    frame = gpd.GeoDataFrame(
        {"landslide_id": ds["place"].values}, geometry=gpd.points_from_xy(x, y), crs=32643
    )
    path = _kept() / "ws" / "areas" / "tiny"
    return study_area.save_area(ds.rio.write_crs(grid.crs), path, inventory=frame)


@functools.cache
def sound_run() -> Path:
    """A finished run of a small forest on it."""
    from lsm_core.experiment import run_experiment

    sound_area()
    was = os.environ.get("LSM_WORKSPACE")
    os.environ["LSM_WORKSPACE"] = str(_kept() / "ws")
    try:
        return run_experiment(make_recipe(RECIPE), _kept() / "ws" / "runs").path
    finally:
        if was is None:
            del os.environ["LSM_WORKSPACE"]
        else:
            os.environ["LSM_WORKSPACE"] = was


def area(place) -> Path:
    """A copy to spoil, beside the workspace."""
    return shutil.copytree(sound_area(), place.files / "tiny")


def run(place) -> Path:
    """A copy to spoil, beside the workspace."""
    return shutil.copytree(sound_run(), place.files / "run")


def changed(file: Path, **changes) -> None:
    """JSON with some values changed."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
