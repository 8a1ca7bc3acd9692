"""The part of a recipe that makes an inventory of scores: thresholds, masks, sizes, from whom."""

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from lsm_core.sections import Section

TEXT = re.compile(
    r"^(?P<of>[^=<>@]+?)(=(?P<classes>[^@]+)|<(?P<below>[^@]+)|>(?P<above>[^@]+))?(@(?P<buffer>.+))?$"
)


class Removal(Section):
    """Ground where nothing that is detected is a landslide: roads, built-up land, water.

    `of` is a factor of the area, a source of the catalogue, or a vector file. Of a factor or a
    raster state `classes` (names or codes), or values `below` or `above` a number; a vector counts
    where it lies. `buffer` is added around, in metres. It takes the `cells` it covers, or the whole
    `objects` that touch it. As text: `land_cover=Built-up+Water@30`, `distance_to_roads<50`,
    `roads.gpkg@20`.
    """

    of: str = Field(min_length=1)
    classes: tuple[int | str, ...] = ()
    below: float | None = None
    above: float | None = None
    buffer: float = Field(0.0, ge=0)
    takes: Literal["cells", "objects"] = "cells"

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = TEXT.match(value.strip())
        if found is None:
            raise ValueError(
                f"{value!r} is no mask: give a factor, a source or a file, with classes or a "
                "number and a buffer in metres, as in land_cover=Built-up+Water@30"
            )
        parts = {key: text.strip() for key, text in found.groupdict().items() if text}
        if "classes" in parts:
            parts["classes"] = tuple(name.strip() for name in parts["classes"].split("+"))
        return parts

    @model_validator(mode="after")
    def _one_rule(self) -> "Removal":
        if bool(self.classes) + (self.below is not None) + (self.above is not None) > 1:
            raise ValueError(f"mask {self.of}: state classes, below or above, only one of them")
        return self


class Delineation(Section):
    """How scores become landslides, step by step in this order.

    `threshold`: a number, or the rule that picks it on validation ground. `smooth`: each cell takes
    the majority of the square of so many cells around it, which is the median of their scores held
    against the threshold. `masks`: see `Removal`. Cells that touch (`connect` 8: by a corner too)
    are one object, objects no farther apart than `join` metres one landslide. `min_area` in m2;
    `simplify`: metres that an outline may be moved.
    """

    threshold: float | Literal["f1", "youden", "half", "cost", "share"] = Field(
        "f1", description="score from which a cell counts, or the rule that picks it"
    )
    smooth: int = Field(1, ge=1, description="cells across, an odd number; 1: not at all")
    masks: tuple[Removal, ...] = Field((), description="ground where nothing is a landslide")
    connect: Literal[4, 8] = Field(8, description="neighbours that touch; 8: by a corner too")
    join: float = Field(0.0, ge=0, description="metres between objects of one landslide")
    min_area: float = Field(0.0, ge=0, description="of a landslide, m2")
    simplify: float = Field(0.0, ge=0, description="metres that an outline may be moved")

    @model_validator(mode="after")
    def _odd(self) -> "Delineation":
        if self.smooth % 2 == 0:
            raise ValueError(f"smooth={self.smooth} has no middle cell: give an odd number")
        return self


class FromScores(Delineation):
    """The inventory that a run of detection finds in the area, in place of the mapped one.

    `run` names a finished run; `recipe` a recipe that is run first, with `changes`, on the same
    area. `ground`: landslides are learnt from and tested on `unseen` ground alone, which the
    detector has learnt nothing from; `all` takes every detection, those that the detector was
    taught too, and says so. `labels: mapped` learns from the mapped landslides on the same ground,
    with the same test places: what detected ones are to be held against.
    """

    run: str | None = Field(None, description="finished run of detection")
    recipe: str | None = Field(None, description="recipe of detection that is run first")
    changes: dict[str, Any] = Field({}, description="of the recipe, as key: value")
    ground: Literal["unseen", "all"] = Field(
        "unseen", description="where landslides are learnt from and tested"
    )
    labels: Literal["detected", "mapped"] = Field(
        "detected", description="landslides learnt from and tested"
    )
    overlap: float = Field(0.5, gt=0, le=1, description="share of cells by which landslides match")

    @model_validator(mode="after")
    def _from_someone(self) -> "FromScores":
        if self.run is None and self.recipe is None:
            raise ValueError(
                "inventory needs a detection: name a finished `run`, or a `recipe` to run first"
            )
        if self.changes and self.recipe is None:
            raise ValueError("inventory.changes are of inventory.recipe: a run is as it was")
        return self

    @property
    def delineation(self) -> Delineation:
        """Its way from scores to landslides alone."""
        return Delineation(**{name: getattr(self, name) for name in Delineation.model_fields})
