"""What lies under every map: study areas of the workspace, read once for all visitors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_app.session import remember
from lsm_core.errors import AreaError
from lsm_core.grid import Grid, grid_of
from lsm_core.study_area import is_units, open_area, workspace
from lsm_core.terrain import hillshade

HEIGHTS = ("elevation", "altitude", "dem")  # names a study area may give its heights
COARSEST = 512  # cells a side, below which a hillshade needs no coarser level
STRIP = 1024  # rows of a hillshade lit at a time


@dataclass(frozen=True)
class Ground:
    """What lies under every map of a study area; arrays are read-only.

    `shades` is a hillshade (y, x) uint8 and its halvings, finest first; empty without heights.
    `free` (y, x) is true in valid cells without a landslide; `cells` counts the valid ones.
    """

    name: str
    title: str
    grid: Grid
    shades: tuple[NDArray[np.uint8], ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    free: NDArray[np.bool_]
    cells: int
    simulated: bool

    @property
    def unit(self) -> str:
        """Short name of the grid's unit of length."""
        return unit_of(self.grid)


def unit_of(grid: Grid) -> str:
    """Short name of a grid's unit of length."""
    return "m" if grid.metres_per_unit == 1 else grid.crs.linear_units


def built_areas() -> list[str]:
    """Names of the study areas in the workspace, by name."""
    names = (path.parent.name for path in (workspace() / "areas").glob("*/area.zarr"))
    return sorted(name for name in names if not name.startswith("."))  # so begins one being made


def ground_of(path: Path | str) -> Ground:
    """The ground of the study area in a folder, read once for all visitors.

    Errors: no such area, or one that breaks its contract (AreaError).
    """
    path = Path(path)
    store = path / "area.zarr"
    changed = store.stat().st_mtime_ns if store.is_dir() else 0
    return remember(("ground", str(path.resolve()), changed), lambda: _read_ground(path))


def _read_ground(path: Path) -> Ground:
    ds = open_area(path)
    if is_units(ds):
        raise AreaError(f"{path.name} is made of units, not of cells: choose an area with a map")
    height = next((name for name in HEIGHTS if name in ds), None)
    x, y = (_frozen(ds[name].values.astype("float64")) for name in ("place_x", "place_y"))
    valid = ds["valid"].values
    return Ground(
        name=path.name,
        title=str(ds.attrs.get("title") or ds.attrs.get("name") or path.name),
        grid=grid_of(ds),
        shades=() if height is None else _halvings(_lit(ds[height])),
        x=x,
        y=y,
        free=_frozen(valid & (ds["landslide"].values == 0)),
        cells=int(valid.sum()),
        simulated=bool(ds.attrs.get("simulated", False)),
    )


def _lit(dem: xr.DataArray) -> NDArray[np.uint8]:
    """The hillshade in strips, each with a row of its neighbours, so that no seam shows."""
    rows = dem.sizes["y"]
    light = np.empty(dem.shape, np.uint8)
    for top in range(0, rows, STRIP):
        above, bottom = max(0, top - 1), min(rows, top + STRIP)
        part = dem.isel(y=slice(above, min(rows, bottom + 1))).load()
        strip = hillshade(part).values[top - above : bottom - above]
        light[top:bottom] = np.nan_to_num(strip, nan=255)
    return _frozen(light)


def _halvings(light: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels = [light]
    while max(levels[-1].shape) > COARSEST:
        last = levels[-1]
        even = np.pad(last, [(0, n % 2) for n in last.shape], mode="edge").astype(np.uint16)
        four = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
        levels.append(_frozen((four // 4).astype(np.uint8)))
    return tuple(levels)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
