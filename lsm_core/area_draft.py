"""A first draft of an area file, made of a DEM and an inventory, for a person to change and build.

Terrain factors that most studies use come from the DEM alone; a further source is taken for what it
looks like. Nothing is built here: the draft is the content of an area file.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lsm_core import own_code
from lsm_core.area_file import DERIVED, AreaFile, derived, in_words
from lsm_core.catalog import shipped
from lsm_core.errors import AreaError
from lsm_core.imagery import INDICES
from lsm_core.intake import Found, utm_of
from lsm_core.legend import name_columns
from lsm_core.workspace import area_path, own_area_files

TPI_CELLS, RELIEF_CELLS = 10, 11  # radius of the position index; side of the relief's window
USUAL = (
    "elevation", "slope", "aspect", "plan_curvature", "profile_curvature", "tpi", "relief", "twi",
    "distance_to_streams",
)  # fmt: skip
STREAM_AREA = 1_000_000.0  # m2 that drain together where a stream starts
METRES_A_DEGREE = 111_320.0
ELEVATION = re.compile(r"dem|dtm|dsm|elev|srtm|aw3d|height|altitude|copernicus", re.I)
LANDSLIDES = re.compile(r"landslide|slide|lsl|inventory|scar|rutsch|frane|deslizam", re.I)


def draft_area(
    name: str,
    dem: tuple[str, Found],
    inventory: tuple[str, Found],
    *,
    title: str = "",
    more: Sequence[tuple[str, Found, Path | None]] = (),
) -> dict[str, Any]:
    """The content of an area file: terrain from a DEM, an inventory, and further sources.

    Each source comes with what `intake.look_at` found in it, a further one also with its path (a
    legend may lie beside it). The grid is the DEM's, or, of a DEM in degrees, one of its UTM zone
    with cells about as large. Rasters become factors, lines distances; other features are left out.

    Errors: a DEM that is no raster, or an inventory without features (AreaError).
    """
    (dem_name, found), (inventory_name, slides) = dem, inventory
    if found.kind != "raster":
        raise AreaError(f"{dem_name} is no raster of elevations: choose a DEM")
    if slides.kind != "raster" and not slides.features:
        raise AreaError(f"{inventory_name} holds no landslide: choose another inventory")
    factors = terrain_factors(metres(found), ground_of(found))
    taken = {factor["name"] for factor in factors} | {"landslide", "valid"}
    for source, about, path in more:
        factor = factor_of(source, about, path)
        if factor and source not in (dem_name, inventory_name) and factor["name"] not in taken:
            taken.add(factor["name"])
            factors.append(factor)
    return {
        "name": name,
        "title": title or name,
        "grid": grid_part(dem_name, found),
        "dem": dem_name,
        "inventory": {"source": inventory_name},
        "factors": factors,
    }


def not_drafted(
    draft: Mapping[str, Any], more: Sequence[tuple[str, Found, Path | None]]
) -> list[str]:
    """Of the further sources those that no factor is made of, each with what to do."""
    used = {str(value) for factor in draft["factors"] for value in factor.values()}
    used |= {draft["dem"], draft["inventory"]["source"]}
    return [_why_not(source, found) for source, found, _ in more if source not in used]


def _why_not(source: str, found: Found) -> str:
    fields = ", ".join(found.fields)
    if found.geometry == "Polygon":
        row = f"{{name: {source}, source: {source}, kind: categorical, field: ...}}"
        return (
            f"{source} is no factor yet: polygons need the field of their classes. Add {row} to "
            f"the factors; fields: {fields}"
        )
    if found.kind != "raster":
        return (
            f"{source} is no factor yet: points give a distance (distance_to: {source}), or values "
            f"interpolated from a field (docs/data.md); fields: {fields}"
        )
    return f"{source} is no factor: there is one of its name already; add it under another name"


def grid_part(
    dem: str, found: Found, crs: str = "", resolution: float | None = None
) -> dict[str, Any]:
    """The grid of an area: the DEM's own, or one of another CRS or cell size over its ground."""
    if found.projected and not crs and resolution is None:
        return {"like": dem}
    if not crs and not found.projected and found.middle is not None:
        crs = f"EPSG:{utm_of(*found.middle)}"
    return {"crs": crs or found.crs, "resolution": resolution or metres(found)}


def metres(found: Found) -> float:
    """Side of a DEM's cells, metres: of degrees that of their length on a meridian, two digits.

    >>> metres(Found("raster", projected=True, cell=28.555)), metres(Found("raster", cell=1 / 3600))
    (28.555, 31.0)
    """
    return found.cell if found.projected else float(f"{found.cell * METRES_A_DEGREE:.2g}")


def ground_of(found: Found) -> float:
    """Square metres that a DEM covers, roughly; infinite where its size is not known."""
    return found.shape[0] * found.shape[1] * metres(found) ** 2 or math.inf


def terrain_choices(cell: float, ground: float = math.inf) -> dict[str, dict[str, Any]]:
    """Every factor a DEM gives by itself, by name, with sizes that suit cells of so many metres.

    Of a small DEM (`ground`, m2) a stream starts where a hundredth of it drains together.

    >>> terrain_choices(30)["tpi"]
    {'name': 'tpi', 'derive': 'tpi', 'radius': 300.0}
    """
    radius = float(f"{TPI_CELLS * cell:.2g}")
    sizes: dict[str, dict[str, Any]] = {
        "tpi": {"radius": radius},
        "slope_position": {"radius": radius},
        "relief": {"window": RELIEF_CELLS},
    }
    suit = {"radius": radius, "window": RELIEF_CELLS}
    for name in derived()[len(DERIVED) :]:
        taken = own_code.arguments(name)
        sizes[name] = {key: size for key, size in suit.items() if key in taken}
    names = [name for name in derived() if name not in INDICES]
    choices = {name: {"name": name, "derive": name, **sizes.get(name, {})} for name in names}
    streams = {
        "distance_to": "streams",
        "stream_area": min(STREAM_AREA, float(f"{ground / 100:.1g}")),
    }
    return choices | {"distance_to_streams": {"name": "distance_to_streams", **streams}}


def terrain_factors(cell: float, ground: float = math.inf) -> list[dict[str, Any]]:
    """Those that most studies use.

    >>> [factor["name"] for factor in terrain_factors(30)][-3:]
    ['relief', 'twi', 'distance_to_streams']
    """
    choices = terrain_choices(cell, ground)
    return [choices[name] for name in USUAL]


def factor_of(source: str, found: Found, path: Path | None = None) -> dict[str, Any] | None:
    """The factor a source looks like, or None where it looks like none."""
    if found.kind == "raster" and found.classes:
        named = name_columns(path)[-1:] if path is not None else []
        names = {"names": named[0]} if named else {}
        return {"name": source, "source": source, "kind": "categorical", **names}
    if found.kind == "raster":
        return {"name": source, "source": source, "kind": "continuous"}
    if found.geometry == "LineString":
        return {"name": f"distance_to_{source}", "distance_to": source}
    return None


def guess_dem(found: Mapping[str, Found]) -> str | None:
    """The source that looks most like a DEM: one called so, else a raster of values."""
    rasters = [n for n, f in found.items() if f.kind == "raster" and not f.classes]
    return next((n for n in rasters if ELEVATION.search(n)), next(iter(rasters), None))


def guess_inventory(found: Mapping[str, Found]) -> str | None:
    """The source that looks most like landslides: one called so, else polygons, else points."""
    vectors = [n for n, f in found.items() if f.kind != "raster" and f.geometry != "LineString"]
    vectors.sort(key=lambda n: found[n].geometry != "Polygon")
    return next((n for n in vectors if LANDSLIDES.search(n)), next(iter(vectors), None))


# ---------------------------------------------------------------------------------- on paper


def check_draft(draft: Mapping[str, Any]) -> AreaFile:
    """The draft as an area file, or an AreaError that names every key that is wrong.

    A name that a shipped area has is wrong, too.
    """
    try:
        area = AreaFile.model_validate(dict(draft))
    except ValidationError as error:
        raise AreaError("; ".join(in_words(found, AreaFile) for found in error.errors())) from None
    if area.name in {path.stem for path in shipped("areas").glob("*.yaml")}:
        raise AreaError(f"name {area.name} is that of a shipped area: choose another")
    return area


def draft_text(draft: Mapping[str, Any]) -> str:
    """The YAML of an area file."""
    return yaml.safe_dump(dict(draft), sort_keys=False, allow_unicode=True, width=100)


def own_area_file(name: str) -> Path:
    """Where the workspace's own area file of this name lies."""
    return area_path(name).with_suffix(".yaml")


def save_draft(draft: Mapping[str, Any]) -> Path:
    """Check a draft and write it among the workspace's area files; one of this name is replaced.

    Errors: what is wrong with it (AreaError).
    """
    path = own_area_file(check_draft(draft).name)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(draft_text(draft), "utf-8")
    os.replace(new, path)
    return path


def area_files() -> dict[str, Path]:
    """Area files by name: those of the workspace, then the shipped ones."""
    shipped_files = sorted(shipped("areas").glob("*.yaml"))
    return {path.stem: path for path in [*shipped_files, *own_area_files()]}
