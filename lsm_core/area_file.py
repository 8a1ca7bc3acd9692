"""The area file: what a person writes to have a study area built. Read and checked here.

`areas/balakot.yaml` shows every key of a grid; those of units stand in `units_file`.
"""

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from lsm_core import distance, imagery, own_code, stations, terrain
from lsm_core.catalog import did_you_mean, shipped
from lsm_core.errors import AreaError
from lsm_core.grid import How
from lsm_core.imagery import INDICES
from lsm_core.plain_yaml import read_yaml
from lsm_core.section import complaint
from lsm_core.units_file import (
    LONGEST_NAME,
    RESERVED,
    Part,
    PolygonFactor,
    PolygonsFile,
    PolygonsPart,
    UnitFactor,
    UnitsFile,
    UnitsPart,
)
from lsm_core.workspace import own_area_files

HYDROLOGY = ("flow_accumulation", "twi", "spi", "sti")
WIDEST = 2001  # cells across a window
NEEDS = {"slope_position": "radius", "relief": "window"}
DERIVED = ("elevation", *terrain.FACTORS, *NEEDS, *HYDROLOGY, *INDICES)


def derived() -> tuple[str, ...]:
    """Names of all factors that `derive` takes; those of one's own (`own_code`) come last."""
    own = own_code.named("factor")
    return (*DERIVED, *(name for name in own if name not in DERIVED))


# YAML reads an unquoted 2023-04-28 as a date, which JSON does not know.
When = Annotated[
    str | int, BeforeValidator(lambda v: v.isoformat()[:10] if isinstance(v, date) else v)
]


class GridPart(Part):
    """Either `like`, or `crs` and `resolution` (in the units of the CRS)."""

    like: str | None = None
    crs: str | int | None = None
    resolution: float | None = Field(None, gt=0)
    extent: tuple[float, float, float, float] | None = None
    mask: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "GridPart":
        if (self.like is None) == (self.crs is None) or (self.crs is None) != (
            self.resolution is None
        ):
            raise ValueError("state either `like: SOURCE`, or `crs` and `resolution`")
        if self.extent and not (
            self.extent[0] < self.extent[2] and self.extent[1] < self.extent[3]
        ):
            raise ValueError("extent is [left, bottom, right, top] in the units of the grid's CRS")
        return self


class RasterPart(Part):
    """One map of a raster source: `dem: SOURCE` is short for `dem: {source: SOURCE}`."""

    source: str
    band: str | int | None = None
    time: When | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"source": value} if isinstance(value, str) else value


class CloudsPart(Part):
    """The image's band that says what hides the ground, by `classes` (codes) or `bits` (from 0).

    Without either, the classes of Sentinel-2's SCL that do. `cells` says what becomes of hidden
    cells: `invalid` ones are no part of the area, of `nodata` ones only the image is missing.
    """

    band: str | int
    source: str | None = None
    classes: list[int] | None = Field(None, min_length=1)
    bits: list[int] | None = Field(None, min_length=1)
    buffer: float = Field(0.0, ge=0)
    cells: Literal["invalid", "nodata"] = "invalid"

    @model_validator(mode="after")
    def _one_kind(self) -> "CloudsPart":
        if self.classes is not None and self.bits is not None:
            raise ValueError("clouds are known by `classes` or by `bits`: state one of them")
        return self


class DatePart(Part):
    """One of two dates: `before: 2023-04-28` is short for `before: {time: 2023-04-28}`."""

    source: str | None = None
    time: When | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return value if isinstance(value, dict | DatePart) else {"time": value}


class ImagePart(Part):
    """Bands of a raster, kept as `image` (band, y, x); `scale` and `offset` make reflectance.

    `bands` lists the source's bands, or names them: {red: B04, nir: B08}. With `before` and `after`
    (dates, or sources of their own) each band is there twice, as red_before and red_after.
    """

    source: str | None = None
    bands: list[str] | dict[str, str | int] = Field(min_length=1)
    time: When | None = None
    before: DatePart | None = None
    after: DatePart | None = None
    scale: float = Field(1.0, gt=0)
    offset: float = 0.0
    how: Literal["nearest", "bilinear", "cubic", "average"] = "bilinear"
    clouds: CloudsPart | None = None

    @model_validator(mode="after")
    def _one_date_or_two(self) -> "ImagePart":
        if (self.before is None) != (self.after is None):
            raise ValueError("`before` and `after` go together: state both dates")
        if self.before is not None and self.time is not None:
            raise ValueError("state `time`, or `before` and `after`, not both")
        if None in self.sources:
            raise ValueError("state the image's `source`, for each date or for both")
        if len(self.dates) == 2 and self.dates["before"] == self.dates["after"]:
            raise ValueError("`before` and `after` are the same image: state two dates or sources")
        return self

    @property
    def dates(self) -> dict[str, tuple[str | None, str | int | None]]:
        """Source and time of each date, by "before" and "after"; of a single one by ""."""
        if self.before is None or self.after is None:
            return {"": (self.source, self.time)}
        parts = {"before": self.before, "after": self.after}
        return {when: (part.source or self.source, part.time) for when, part in parts.items()}

    @property
    def sources(self) -> list[str | None]:
        clouds = [self.clouds.source] if self.clouds and self.clouds.source else []
        return [source for source, _ in self.dates.values()] + clouds

    @property
    def names(self) -> list[str]:
        """Of the bands it has in the study area."""
        return [f"{band}_{date}" if date else band for date in self.dates for band in self.bands]


class InventoryPart(Part):
    """`where` keeps the features whose fields have these values.

    Of a raster mask (`band`, `time`) each patch of cells that touch is a landslide: by their
    corners too, unless `corners: false`; `fewest` is the least number of cells.
    """

    source: str
    where: dict[str, bool | int | float | str] = Field(default_factory=dict)
    band: str | int | None = None
    time: When | None = None
    corners: bool = True
    fewest: int = Field(1, ge=1)


class FactorPart(Part):
    """One factor, from exactly one of derive, source, distance_to, density_of and interpolate."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    derive: str | None = None
    source: str | None = None
    distance_to: str | None = None
    density_of: str | None = None
    interpolate: str | None = None
    field: str | None = None
    method: stations.Kernel | None = None
    smoothing: float | None = Field(None, ge=0)
    least: float | None = None
    kernel: distance.Kernel | None = None
    edges: list[float] | None = None
    radius: float | None = Field(None, gt=0)
    window: int | None = Field(None, gt=1, le=WIDEST)
    stream_area: float | None = Field(None, gt=0)
    band: str | int | None = None
    time: When | None = None
    how: How | None = None
    kind: Literal["continuous", "categorical", "cyclic"] = "continuous"
    units: str | None = None
    long_name: str | None = None
    names: str | None = None
    categories: dict[int, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"name": value, "derive": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> "FactorPart":
        allowed = {
            "derive": {"radius", "window"},
            "source": {"band", "time", "field", "how", "kind", "units", "names", "categories"},
            "distance_to": {"stream_area", "edges"},
            "density_of": {"radius", "kernel", "edges"},
            "interpolate": {"field", "method", "smoothing", "least", "units"},
        }
        origins = [key for key in allowed if getattr(self, key) is not None]
        if len(origins) != 1:
            raise ValueError(f"state exactly one of {', '.join(allowed)}")
        strange = self.model_fields_set - {"name", "long_name", origins[0]} - allowed[origins[0]]
        if strange:
            raise ValueError(f"{', '.join(sorted(strange))} says nothing beside {origins[0]}")
        if self.name in RESERVED:
            raise ValueError(f"{self.name} is a name that every study area uses: choose another")
        self._check_parameters()
        return self

    def _check_parameters(self) -> None:
        if self.derive is not None:
            known = derived()
            if self.derive not in known and not imagery.is_dated(self.derive):
                near = did_you_mean(self.derive, list(known))
                raise ValueError(
                    f"no factor {self.derive!r} is derived from a DEM or image: {near}"
                )
            wanted = {NEEDS.get(self.derive, "")} | ({"radius"} if self.derive == "tpi" else set())
            if self.derive in known[len(DERIVED) :]:
                wanted = set(own_code.arguments(self.derive))
            given = {key for key in ("radius", "window") if getattr(self, key) is not None}
            if given - wanted or set(NEEDS.get(self.derive, "").split()) - given:
                needs = NEEDS.get(self.derive) or "neither radius nor window"
                raise ValueError(f"{self.derive} takes {needs}")
        if self.density_of is not None and self.radius is None:
            raise ValueError("density_of needs a radius in metres")
        if self.interpolate is not None and self.field is None:
            raise ValueError("interpolate needs the `field` that holds the stations' readings")
        if (self.distance_to == "streams") != (self.stream_area is not None):
            raise ValueError(
                "`distance_to: streams` goes with `stream_area` (m2), and only with it"
            )
        if self.kind != "continuous" and self.how not in (None, "nearest"):
            raise ValueError(f"a {self.kind} factor is laid on the grid by `how: nearest` only")


class AreaFile(Part):
    """The whole area file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)
    title: str = ""
    grid: GridPart
    dem: RasterPart | None = None
    image: ImagePart | None = None
    inventory: InventoryPart
    factors: list[FactorPart] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "AreaFile":
        names = [factor.name for factor in self.factors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two factors are called {', '.join(twice)}")
        derived = {f.derive for f in self.factors if f.derive}
        streams = any(f.stream_area for f in self.factors)
        seen = {name for name in derived if name in INDICES or imagery.is_dated(name)}
        if self.dem is None and (streams or derived - seen):
            raise ValueError("factors are derived from a DEM, but no `dem: SOURCE` is stated")
        if self.image is None and seen:
            raise ValueError(
                f"{', '.join(sorted(seen))} is derived from an image: state "
                "`image: {source: SOURCE, bands: {red: B04, nir: B08}, scale: 0.0001}`"
            )
        known = [*self.image.names, *imagery.channel_names(self.image.names)] if self.image else []
        for name in sorted(seen - set(known)):
            raise ValueError(
                f"no factor {name!r} comes of this image: {did_you_mean(name, known)} (of one date "
                "it has ndvi, of `before` and `after` ndvi_before, ndvi_after, d_ndvi, ratio_red)"
            )
        return self


Kind = type[AreaFile] | type[UnitsFile] | type[PolygonsFile]


def read_area_file(path: str | Path) -> AreaFile | UnitsFile | PolygonsFile:
    """Read and check an area file, by path or by name: of a shipped one ("balakot"), or of one
    written in the workspace.

    Errors: no such file, no YAML, an unknown or missing key, near names said (AreaError).
    """
    path = _find(path)
    kind: Kind = AreaFile
    try:
        content = read_yaml(path, AreaError)
        if isinstance(content, dict) and "units" in content:
            of_polygons = isinstance(content["units"], dict) and {"polygons", "of"} & {
                *content["units"]
            }
            kind = PolygonsFile if of_polygons else UnitsFile
        return kind.model_validate(content)
    except ValidationError as error:
        words = "; ".join(in_words(found, kind) for found in error.errors())
        raise AreaError(f"{path}: {words}") from None


def _find(path: str | Path) -> Path:
    with suppress(OSError):  # a name longer than any file's
        if Path(path).is_file():
            return Path(path)
    names = {file.stem: file for file in [*own_area_files(), *shipped("areas").glob("*.yaml")]}
    if str(path) not in names:
        near = did_you_mean(str(path), list(names))
        raise AreaError(
            f"no area file {str(path)[:200]}: give a path or the name of a known area; {near}"
        )
    return names[str(path)]


def in_words(error: Any, kind: Kind) -> str:
    """One of pydantic's findings as a clause: where, what, what to do."""
    where = [str(step) for step in error["loc"]]
    if error["type"] == "extra_forbidden":
        parts: dict[Kind, dict[str, type[Part]]] = {
            AreaFile: {
                "grid": GridPart,
                "inventory": InventoryPart,
                "dem": RasterPart,
                "image": ImagePart,
                "factors": FactorPart,
            },
            UnitsFile: {"units": UnitsPart, "factors": UnitFactor},
            PolygonsFile: {"units": PolygonsPart, "factors": PolygonFactor},
        }
        inner: dict[str, type[Part]] = {"clouds": CloudsPart, "before": DatePart, "after": DatePart}
        part = parts[kind].get(where[0], kind) if len(where) > 1 else kind
        part = inner.get(where[1], part) if where[0] == "image" and len(where) > 2 else part
        near = did_you_mean(where[-1], list(part.model_fields))
        return f"unknown key {'.'.join(where)!r}: {near}"
    return complaint(error, ".".join(where) or "area")
