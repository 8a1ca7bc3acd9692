"""Everything that is settled before a run folder is made: area, places, factors, encoder.

Every mistake a user can make is found here.
"""

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import detected_area, models
from lsm_core.arrival import arrive
from lsm_core.chips import draw_cells
from lsm_core.encoding import Encoder, fit_encoder
from lsm_core.errors import RecipeError, SampleError
from lsm_core.fitting import options_of
from lsm_core.protocol import draw_places, scored
from lsm_core.recipe import Recipe
from lsm_core.recipe_check import check_recipe
from lsm_core.selection import choose_factors, kept_input
from lsm_core.splits import PARTS
from lsm_core.study_area import IN_MEMORY, area_path, built_at, open_area
from lsm_core.target_labels import asks_labels, keep_labels


class Plan(NamedTuple):
    """Everything that is settled before a run folder is made."""

    recipe: Recipe
    ds: xr.Dataset
    area: dict[str, Any]
    encoder: Encoder
    samples: pd.DataFrame
    test_ground: NDArray[np.bool_] | None
    counts: dict[str, int]
    selection: dict[str, Any] | None = None  # which factors, and why not the others
    cells: pd.DataFrame | None = None  # of chips, which are the samples then

    @property
    def places(self) -> pd.DataFrame:
        """What is scored: the samples, or the cells of chips."""
        return self.samples if self.cells is None else self.cells


def plan_run(recipe: Recipe) -> Plan:
    """Open the area, check the model, draw the places; on those of training choose and encode."""
    if recipe.area is None:
        raise RecipeError("the recipe names no study area: give one with --area")
    card = models.card(recipe.model.name)
    check_recipe(recipe, card)
    options_of(recipe)  # are checked
    path, given = area_path(recipe.area), None
    if recipe.inventory is not None:
        path = detected_area.detected_area(recipe)
    if recipe.transfer is None:
        ds = open_area(path, up_to=IN_MEMORY)
    else:
        path, ds, recipe, given, _ = arrive(recipe)
    built = built_at(path)
    places = draw_places(ds, recipe)
    if recipe.transfer is not None:
        places = keep_labels(ds, recipe, places)
    cells = draw_cells(ds, recipe, places.samples) if recipe.input.form == "chip" else None
    judged = places.samples if cells is None else cells
    _both_classes(judged, PARTS if asks_labels(recipe) else ("test",))
    train = judged[judged["split"] == "train"]
    chosen = choose_factors(ds, recipe, fit_on=train)
    encoder = given or fit_encoder(ds, kept_input(recipe.input, chosen), fit_on=train)
    models.check_shape(card, encoder.input_shape)
    area = {
        "name": ds.attrs["name"],
        "path": str(path.resolve()),
        "fingerprints": json.loads(ds.attrs.get("fingerprints", "{}")),
        "built": built,
    }
    return Plan(recipe, ds, area, encoder, *places, selection=chosen, cells=cells)


def _both_classes(samples: pd.DataFrame, parts: tuple[str, ...]) -> None:
    """Units are split as they are: a small part may have caught no landslide."""
    for part in parts:
        label = scored(samples, part)["label"]
        if label.nunique() < 2:
            raise SampleError(
                f"the {part} part has {len(label)} places, {int(label.sum())} of them landslides: "
                "both are needed; enlarge it (split.test, split.validation), make split.block "
                "smaller, or take another split.seed"
            )
