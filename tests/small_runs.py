"""A run on the sample area without a map, and the maps that are made of it."""

import rasterio

from lsm_core.experiment import run_experiment
from lsm_core.recipe import make_recipe
from lsm_core.runs import open_run


def small_run(into, **settings):
    """A run of these settings, with blocks wide enough for the sample area of the tests."""
    about = {"name": "small", "area": "sample", "split": {"block": 6000.0}, "map": False}
    return open_run(run_experiment(make_recipe(about | settings), into).path)


def read_map(path):
    """Scores of a map (y, x), which is tiled."""
    with rasterio.open(path) as source:
        assert source.profile["tiled"]
        return source.read(1)
