"""Where a carried model arrives: the target as the source knows it, or a refusal.

The target is read by the source's encoder, so that scaling, class limits and categories are those
of the source; factors must mean the same in both (`matching`), and what a mapping file says is made
a built area of its own, so that all other rooms find the target in the source's terms.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from lsm_core import matching, models, runs
from lsm_core.encoding import Encoder
from lsm_core.errors import AreaError, RecipeError
from lsm_core.recipe import Recipe, Transfer
from lsm_core.study_area import IN_MEMORY, area_path, is_units, open_area, save_area, units_of
from lsm_core.study_area import inventory as inventory_of


class Arrival(NamedTuple):
    """The target in the terms of the source: its folder, Dataset, the recipe, and what matched."""

    path: Path
    ds: xr.Dataset
    recipe: Recipe
    encoder: Encoder | None  # the source's; None where the target is learnt from by itself
    origin: dict[str, Any]


def transfer_of(recipe: Recipe) -> Transfer:
    """The recipe's section `transfer` (RecipeError: it has none)."""
    if recipe.transfer is None:
        raise RecipeError("the recipe has no section transfer: nothing is to be carried")
    return recipe.transfer


def arrive(recipe: Recipe) -> Arrival:
    """Open the target as the source knows it, or refuse.

    Raises
    ------
    RunError : no such source, or it is not done. RecipeError : the recipe's model or input is not
    the source's, or a model that cannot be fine-tuned. AreaError : factors clash, or are missing.
    """
    settings = transfer_of(recipe)
    if recipe.area is None:
        raise RecipeError("the recipe names no study area: give one with --area")
    path = area_path(recipe.area)
    ds = open_area(path, up_to=IN_MEMORY)
    if settings.source is None:
        return Arrival(path, ds, recipe, None, {"how": settings.how})
    source = runs.open_run(settings.source)
    encoder = Encoder.from_json(source.encoder)
    if encoder.form == "chip":
        raise RecipeError(f"{source.id} learnt from chips: map them with `lsm predict` instead")
    _same_model(recipe, source)
    if encoder.scales and is_units(ds):
        raise AreaError(f"{recipe.area} is made of units: windows of {source.id} need a grid")
    known = matching.known_of_encoder(encoder)
    mapping = matching.load_mapping(settings.mapping) if settings.mapping else {}
    prints = source.area.get("fingerprints", {})
    found = matching.match(
        known,
        ds,
        mapping,
        same_origin=matching.shared_origin(prints, matching.fingerprints_of(ds)),
    )
    matching.refuse(found, source.id, recipe.area)
    notes = [*found.notes, *_cells(source, ds)]
    if mapping:
        path, ds = _mapped(path, ds, source.area["name"], known, mapping)
    names: dict[str, Any] = {"factors": tuple(known)}
    if settings.carries:  # else class limits of the recipe are the target's own affair
        names["classes"] = {}
    origin = {
        "how": settings.how,
        "source": source.id,
        "source_path": str(source.path),
        "source_area": source.area["name"],
        "source_fingerprints": prints,
        "source_model": source.recipe.model.name,
        "source_places": int((source.samples["split"] == "train").sum()),
        "factors": found.pairs,
        "not_used": list(found.unused),
        "notes": notes,
    }
    arrived = recipe.model_copy(update={"input": recipe.input.model_copy(update=names)})
    return Arrival(path, ds, arrived, encoder if settings.carries else None, origin)


def _same_model(recipe: Recipe, source: runs.Run) -> None:
    settings, card = transfer_of(recipe), models.card(recipe.model.name)
    if recipe.selection is not None and settings.carries:
        raise RecipeError(
            "the source has chosen its factors: leave the section selection out of a transfer"
        )
    if source.state != "done":
        raise RecipeError(f"the source {source.id} is {source.state}: only a finished run will do")
    for what, own, theirs in (
        ("model", recipe.model, source.recipe.model),
        ("input.form", recipe.input.form, source.recipe.input.form),
        ("input.size", recipe.window, source.recipe.window),  # the gap to test places follows it
    ):
        if own != theirs and settings.carries:
            raise RecipeError(f"{what} is {own} here, but {theirs} in the source {source.id}")
    if settings.how == "inductive" and card.framework != "keras":
        raise RecipeError(
            f"{card.name} cannot be fine-tuned: it has no weights that go on learning. Take a "
            "network, or transfer.how pooled, which learns from both areas"
        )
    if settings.how not in ("direct", "scratch") and models.trainer_of(recipe.model.name):
        raise RecipeError(
            f"{card.name} is trained by a loop of its own: transfer.how direct or scratch only"
        )


def _cells(source: runs.Run, target: xr.Dataset) -> list[str]:
    try:
        return matching.cell_size_note(open_area(source.area_path), target)
    except AreaError:
        return [
            f"the source's area {source.area['name']} is not there any more: cells not compared"
        ]


def _mapped(
    path: Path,
    ds: xr.Dataset,
    source_area: str,
    known: dict[str, matching.Known],
    mapping: dict[str, matching.FactorMapping],
) -> tuple[Path, xr.Dataset]:
    """The target as a built area of its own, `<target>_as_<source>`, made anew where it is old."""
    name = f"{ds.attrs['name']}_as_{source_area}"
    mark = matching.stamp(known, mapping, matching.fingerprints_of(ds))
    place = area_path(name)
    if place.is_dir():
        there = open_area(place)
        if there.attrs.get("mapped") == mark:
            return place, there
    made = matching.as_source(ds.load(), known, mapping)
    made = made.assign_attrs(name=name, mapped=mark)
    try:
        shapes = units_of(path) if is_units(ds) else inventory_of(path)
    except AreaError:  # units without a place
        shapes = None
    save_area(made, place, inventory=shapes)
    return place, open_area(place, up_to=IN_MEMORY)


def checked_by(recipe: Recipe) -> pd.DataFrame | None:
    """Validation places by which a run without target labels sets thresholds: the source's.

    With the scores that the source's model gave them. None where the run has labels of its own.
    """
    settings = recipe.transfer
    if settings is None or settings.asks != 0:
        return None
    scores = runs.open_run(str(settings.source)).scores
    scores = scores.assign(score=scores["raw"] if "raw" in scores else scores["score"])
    return scores[scores["split"] == "validation"]
