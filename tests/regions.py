"""Two regions and the way from one to the other, for several test files."""

import json

import numpy as np
import xarray as xr
from rasterio.crs import CRS

from lsm_core import experiment, study_area
from lsm_core.recipe import make_recipe

N = 700
ROCKS = {1: "Hard", 2: "Soft", 3: "Loose"}
BASE = {"split": {"block": 1500}, "map": False, "training": {"epochs": 12, "batch": 32}}
BASE["training"] |= {"learning_rate": 0.01, "loss": "binary_crossentropy", "patience": 6}
ANN = BASE | {"name": "ann", "model": {"name": "ann", "options": {"hidden": [16, 8]}}}
FOREST = BASE | {"name": "rf", "model": {"name": "random_forest", "options": {"n_estimators": 30}}}


def region(name, seed, shift=0.0, rocks=ROCKS, prints="a", sign=1):
    """Units over 9 x 9 km; landslides follow slope (or, with sign -1, shun it) and soft rock."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 9000, (2, N))
    slope = rng.uniform(0, 60, N)
    rock = rng.integers(1, 4, N).astype("int16")
    label = (sign * (slope - 30) + 8 * (rock == 2) + rng.normal(0, 8, N) > 4).astype("uint8")
    legend = {"kind": "categorical", "units": "1", "nodata": -32768} | study_area.flags(rocks)
    degrees = {"kind": "continuous", "units": "degrees"}
    ds = xr.Dataset(
        {
            "slope": ("unit", (slope + shift).astype("float32"), degrees),
            "rock": ("unit", rock, legend),
            "landslide": ("unit", label),
            "valid": ("unit", np.ones(N, bool)),
        },
        {"unit": np.arange(1, N + 1, dtype="int32"), "x": ("unit", x), "y": ("unit", y)},
        {"name": name, "title": name, "fingerprints": json.dumps({name: prints})},
    )
    return ds.rio.write_crs(CRS.from_epsg(32643))


def save_regions():
    """In the workspace: `here`, a like one `there`, one `reversed`, one whose codes `clash`."""
    for ds in (
        region("here", 1),
        region("there", 2, shift=5, prints="b"),
        region("reversed", 3, prints="c", sign=-1),
        region("clash", 4, rocks={1: "Soft", 2: "Hard", 3: "Loose"}, prints="d"),
    ):
        study_area.save_area(ds, study_area.area_path(ds.attrs["name"]))


def run(settings, area, into, **settings_of_transfer):
    recipe = make_recipe(settings, [f"area={area}"])
    if settings_of_transfer:
        changes = [f"transfer.{key}={value}" for key, value in settings_of_transfer.items()]
        recipe = make_recipe(settings, [f"area={area}", *changes])
    return experiment.run_experiment(recipe, into)


def carried(source, area, into, how, settings=ANN, **more):
    return run(settings, area, into, how=how, source=source.path, **more)
