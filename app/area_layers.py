"""A study area's layers for drawing places: read once for all visitors, factors when asked for."""

from pathlib import Path

import xarray as xr

from lsm_app.session import remember
from lsm_core.study_area import LAYERS, factors, open_area

ALWAYS = "slope"  # in any case of letters; what a model that knows slope alone knows


def layers_of(path: Path | str) -> xr.Dataset:
    """The study area in a folder, its labels and slope in memory; treat it as read-only.

    Errors: no such area, or one that breaks its contract (AreaError).
    """
    path = Path(path)
    store = path / "area.zarr"
    changed = store.stat().st_mtime_ns if store.is_dir() else 0
    return remember(("layers", str(path.resolve()), changed), lambda: _read(path))


def _read(path: Path) -> xr.Dataset:
    ds = open_area(path)
    places = [str(name) for name in ds.data_vars if ds[name].dims == ("place",)]
    slopes = [name for name in factors(ds) if name.lower() == ALWAYS]
    for name in (*LAYERS, *places, *slopes):
        if name in ds:
            ds[name].load()
    return ds
