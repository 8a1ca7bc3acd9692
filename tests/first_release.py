"""A small area and two runs on it, as the first release writes them: kept, and never made again.

`python tests/first_release.py FOLDER` makes such a folder with the program as it is; the kept one,
`tests/reference/first_release`, was made so at format 1 of runs and areas, its `versions.json` tell
with what. When a format changes, keep this folder and put one of the new format beside it.
"""

import json
import os
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401
import xarray as xr

SIDE = 20
SETTINGS = {
    "area": "tiny", "protocol": "paper", "split": {"test": 0.3, "validation": 0.2},
}  # fmt: skip
MODELS = {
    "forest": {
        "model": {"name": "random_forest", "options": {"n_estimators": 2, "max_depth": 4}},
        "input": {"form": "table"},
    },
    "network": {
        "model": {"name": "cnn3d", "options": {"maps": 2, "dense": 4}},
        "input": {"form": "window", "size": 5},
        "training": {"epochs": 3, "patience": 3},
    },
}


def tiny() -> xr.Dataset:
    """20 x 20 cells of 30 m; slope and rock decide where the 36 landslides of a cell lie."""
    rng = np.random.default_rng(1)
    slope = rng.normal(20, 6, (SIDE, SIDE)).astype("float32")
    slope[3, 4] = np.nan
    rock = rng.choice([1, 2], (SIDE, SIDE)).astype("int16")
    ids = np.zeros((SIDE, SIDE), "int32")
    likely = np.argsort(np.where(np.isnan(slope), 0, slope) + 6 * (rock == 2), axis=None)
    rows, cols = np.unravel_index(np.sort(likely[-36:]), ids.shape)
    ids[rows, cols] = np.arange(1, 37)
    legend = {"flag_values": [1, 2], "flag_meanings": "sand shale", "nodata": -32768}
    layers = {
        "slope": (slope, {"kind": "continuous", "units": "degrees"}),
        "rock": (rock, {"kind": "categorical", "units": "1"} | legend),
        "landslide": ((ids > 0).astype("uint8"), {}),
        "landslide_id": (ids, {}),
        "valid": (~np.isnan(slope), {}),
    }
    ds = xr.Dataset({n: (("y", "x"), v, a) for n, (v, a) in layers.items()})
    y, x = 3_999_985 - 30.0 * np.arange(SIDE), 500_015 + 30.0 * np.arange(SIDE)
    ds = ds.assign_coords(y=y, x=x, place=np.arange(1, 37, dtype="int32"))
    ds["place_x"], ds["place_y"] = ("place", x[cols]), ("place", y[rows])
    ds.attrs = {"name": "tiny", "title": "Tiny", "prepared": "{}", "fingerprints": "{}"}
    return ds.rio.write_crs("EPSG:32643")


def make(folder: Path) -> None:
    """The area, a forest and a small network on it, in `folder`, which names no place above it."""
    from lsm_core.experiment import run_experiment
    from lsm_core.recipe import make_recipe
    from lsm_core.study_area import save_area

    folder.mkdir(parents=True)
    os.chdir(folder)  # what is kept says "areas/tiny", wherever it was made
    os.environ["LSM_WORKSPACE"] = "."
    ds = tiny()
    points = gpd.points_from_xy(ds["place_x"], ds["place_y"], crs=32643)
    frame = gpd.GeoDataFrame({"landslide_id": ds["place"].values}, geometry=points)
    save_area(ds, "areas/tiny", inventory=frame)
    for name, settings in MODELS.items():
        run = run_experiment(make_recipe({"name": name} | SETTINGS | settings), Path("runs"))
        run.path.rename(Path("runs") / name)
        about = Path("runs", name, "area.json")
        about.write_text(json.dumps(json.loads(about.read_text()) | {"path": "areas/tiny"}))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
