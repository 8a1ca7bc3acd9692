"""The area file of units: a table of samples or slope units, or polygons over a grid area.

`areas/hongkong.yaml` shows every key of a table, `docs/units.md` those of polygons.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESERVED = ("landslide", "landslide_id", "valid", "place", "place_x", "place_y", "x", "y", "image")
LONGEST_NAME = 100  # letters, of a folder
Statistic = Literal["mean", "maximum", "quantile", "std"]


class Part(BaseModel):
    """A section of an area file: fixed once read, and no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class UnitsPart(Part):
    """A table of samples, or slope units: where they are and which column says `landslide`.

    `label` holds 0 and 1 (or false and true); with `count` it holds numbers of landslides, and a
    unit with any is 1. `duplicates: first` keeps the first of rows that are the same in every
    column, `keep` all of them. `area` is a column of m2; of polygons it is measured without one.
    `extent` is a box [left, bottom, right, top] in the source's CRS: units in it (left and bottom
    edges included), or with `outside` all others, make up the area.
    """

    source: str
    label: str
    count: bool = False
    id: str | None = None
    area: str | None = None
    leave_out: list[str] = []
    duplicates: Literal["first", "keep"] = "first"
    extent: tuple[float, float, float, float] | None = None
    outside: bool = False


class UnitFactor(Part):
    """One factor: a column. `missing` lists values that stand for none (of a cyclic factor: flat).

    Values outside `limits` count as missing too.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    column: str = ""
    kind: Literal["continuous", "categorical", "cyclic"] = "continuous"
    units: str = "1"
    long_name: str | None = None
    categories: dict[int, str] | None = None
    missing: list[float] = []
    limits: tuple[float, float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _sound(self) -> "UnitFactor":
        if self.name in (*RESERVED, "unit", "landslide_count", "unit_area"):
            raise ValueError(f"{self.name} is a name that every study area uses: choose another")
        if self.categories and self.kind != "categorical":
            raise ValueError(f"{self.name} names categories, but is {self.kind}")
        if self.limits and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits of {self.name} are [lowest, highest] value that counts")
        return self


class UnitsFile(Part):
    """An area file of units, which has `units` in place of a grid: see `areas/hongkong.yaml`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)
    title: str = ""
    units: UnitsPart
    factors: list[UnitFactor] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "UnitsFile":
        _once([factor.name for factor in self.factors])
        used = {factor.column or factor.name for factor in self.factors}
        both = sorted(used & {*self.units.leave_out, self.units.label})
        if both:
            raise ValueError(f"{', '.join(both)} is a factor and the label or left out: choose one")
        return self


class PolygonsPart(Part):
    """Polygons of the catalogue, laid over the built area `of`, which has a grid.

    A continuous factor gives one for each of `statistics`; of `quantile`, that share of a unit's
    cells lies below the value.
    """

    polygons: str
    of: str
    statistics: tuple[Statistic, ...] = Field(("mean",), min_length=1)
    quantile: float = Field(0.9, ge=0, le=1)


class PolygonFactor(Part):
    """A factor of the grid area, with statistics of its own: `slope` is short for {name: slope}."""

    name: str
    statistics: tuple[Statistic, ...] | None = Field(None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class PolygonsFile(Part):
    """An area file whose `units` are polygons over a grid area; without `factors`, all it has."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)
    title: str = ""
    units: PolygonsPart
    factors: tuple[PolygonFactor, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "PolygonsFile":
        if self.units.of == self.name:
            raise ValueError(f"the units would replace the area {self.name} they are made of")
        _once([factor.name for factor in self.factors or ()])
        return self


def _once(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two factors are called {', '.join(twice)}")
