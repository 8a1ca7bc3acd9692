"""Which layers of a study area a printed figure is drawn from, and fingerprints of their values.

A fingerprint is of values and of what they mean, not of files: an area built again from the same
data has the same.
"""

import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from lsm_core.errors import LsmError
from lsm_core.print_maps import HEIGHTS
from lsm_core.print_style import Look
from lsm_core.runs import Run
from lsm_core.study_area import factors, inventory, open_area

Layers = Callable[[Run, xr.Dataset, Look], Sequence[str]]
INVENTORY = "inventory"  # the shapes of landslides, which lie beside the layers
PLACES = ("place_x", "place_y")
MEANING = ("kind", "units", "flag_values", "flag_meanings", "nodata")
ROWS = 1024  # read at once


def nothing(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    """Of a figure that a run folder alone is enough for."""
    return ()


def of_the_map(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    """Below a run's map: heights for the relief, landslides as the look wants them."""
    signs = {"points": PLACES, "polygons": (*PLACES, INVENTORY), "none": ()}[look.landslides]
    return (*(_heights(ds) if look.relief else ()), *signs)


def of_the_ground(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    """Where the area has a value, and so how large it is."""
    return ("valid",)


def of_the_area(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    return (*_heights(ds), "valid", *PLACES)


def of_the_factors(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    """The factors that a run learnt from, or all where it says none that the area holds."""
    known = factors(ds)
    told = [str(about["name"]) for about in run.encoder.get("factors", [])]
    return [name for name in told if name in known] or known


def of_the_importance(run: Run, ds: xr.Dataset, look: Look) -> Sequence[str]:
    """None where `lsm explain` left its table, else what a forest learns from."""
    explained = (run.path / "explanation.json").is_file()
    return () if explained else of_the_factors(run, ds, look)


def _heights(ds: xr.Dataset) -> Sequence[str]:
    return [name for name in HEIGHTS if name in ds][:1]


def fingerprints(run: Run, layers: Layers, look: Look) -> dict[str, str]:
    """SHA-256 by layer of what is there now; empty where the study area is gone."""
    if layers is nothing:
        return {}
    try:
        ds = open_area(run.area_path)
        names = layers(run, ds, look)
        shapes = {INVENTORY: _of_shapes(run)} if INVENTORY in names else {}
        return {name: _of_layer(ds[name]) for name in names if name in ds} | shapes
    except LsmError:
        return {}


def _of_layer(layer: xr.DataArray) -> str:
    meaning = {key: np.asarray(layer.attrs[key]).tolist() for key in MEANING if key in layer.attrs}
    digest = hashlib.sha256(json.dumps([layer.shape, str(layer.dtype), meaning]).encode())
    for start in range(0, layer.shape[0], ROWS):
        digest.update(np.ascontiguousarray(layer[start : start + ROWS].to_numpy()).tobytes())
    return digest.hexdigest()


def _of_shapes(run: Run) -> str:
    return hashlib.sha256(b"".join(inventory(run.area_path).geometry.to_wkb())).hexdigest()
