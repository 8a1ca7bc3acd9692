"""A study area with other landslides: those of a file, laid on the grid of a built area.

The area it is made of stays as it is; the new one stands over it (`study_area.save_over`) and holds
the landslides, their places and what was counted.
"""

import hashlib
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import xarray as xr

from lsm_core.errors import AreaError, InventoryError
from lsm_core.grid import grid_of
from lsm_core.inventory import lay_inventory
from lsm_core.study_area import area_path, is_units, open_area, save_over

FIELDS = ("area_m2", "mean_score", "max_score")  # of the polygons, kept as place_<field>


def adopt(
    polygons: Path, area: str | Path, name: str, source: str = ""
) -> tuple[Path, dict[str, int]]:
    """Make the study area `name` of another one and the polygons (or points) of a file.

    Parameters
    ----------
    polygons : a GeoPackage, or another file with a CRS. area : name or folder of a built area.
    source : said of where the polygons come from; the file's name by default.

    Returns
    -------
    The folder of the new area, and what `lay_inventory` counted.

    Raises
    ------
    AreaError : no such area, one of units, or a name that is taken or no folder's name.
    InventoryError : the file cannot be read, or leaves no landslide.
    """
    base_path = Path(area) if Path(area).is_dir() else area_path(str(area))
    base = open_area(base_path)
    if is_units(base):
        raise AreaError(f"{base_path.name} is made of units: polygons need an area on a grid")
    path = _free(name)
    features = _read(polygons)
    laid = lay_inventory(features, grid_of(base), base["valid"].to_numpy())
    layers = _layers(base, laid.landslide_id, laid.x, laid.y)
    for field in FIELDS:
        if field in laid.inventory:
            layers[f"place_{field}"] = ("place", laid.inventory[field].to_numpy(float))
    counted = ", ".join(
        f"{count:,} {what.replace('_', ' ')}" for what, count in laid.counts.items()
    )
    lines = json.loads(base.attrs.get("prepared", "{}"))
    said = f"landslides of {source or polygons.name}: {counted}"
    lines["lines"] = [*lines.get("lines", []), said]
    prints = json.loads(base.attrs.get("fingerprints", "{}"))
    prints |= {polygons.name: hashlib.sha256(polygons.read_bytes()).hexdigest()}
    layers.attrs = dict(base.attrs) | {"name": name, "prepared": json.dumps(lines)}
    title = base.attrs.get("title") or base.attrs["name"]
    layers.attrs |= {"title": f"{title}, landslides of {source or polygons.stem}"}
    layers.attrs |= {"fingerprints": json.dumps(prints)}
    return save_over(layers, path, over=base_path, inventory=laid.inventory), laid.counts


def _free(name: str) -> Path:
    """Where the new area will lie."""
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise AreaError(f"{name!r} is no name for an area: letters, numbers, - and _ make one")
    path = area_path(name)
    if path.exists():
        raise AreaError(f"there is a study area {name} already: choose another name")
    return path


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.is_file():
        raise InventoryError(f"no polygons at {path}: save the inventory first")
    try:
        return gpd.read_file(path)
    except Exception as error:  # GDAL raises whatever it likes
        raise InventoryError(f"{path.name} cannot be read: {error}") from error


def _layers(base: xr.Dataset, ids: np.ndarray, x: np.ndarray, y: np.ndarray) -> xr.Dataset:
    flat = ("y", "x")
    layers = xr.Dataset(coords={"y": base["y"], "x": base["x"]})
    layers["landslide"] = (flat, (ids > 0).astype("uint8"))
    layers["landslide_id"] = (flat, ids)
    layers = layers.assign_coords(place=np.arange(1, len(x) + 1, dtype="int32"))
    layers["place_x"], layers["place_y"] = ("place", x), ("place", y)
    return layers
