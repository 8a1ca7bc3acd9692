"""An area whose landslides were detected, and which remembers the mapped ones.

Beside the layers of a study area such an area has `mapped_id` (y, x), the mapped landslide of each
cell, `mapped_x` and `mapped_y`, their places, `untaught` (y, x), the ground that the detector has
learnt nothing from, and `drawn_from` (y, x), the ground where places may be drawn.

Blocks are held out by the mapped landslides, so that runs on detected and on mapped ones that share
their split are judged on the same ground and the same mapped places.
"""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import SampleError
from lsm_core.holdout import NOBODY, Held, blocks_of_places, hold_out
from lsm_core.recipe import Recipe
from lsm_core.sampling import landslide_places
from lsm_core.splits import PARTS

EXTRA = ("mapped_id", "mapped_x", "mapped_y", "untaught", "drawn_from")


def knows_mapped(ds: xr.Dataset) -> bool:
    """Whether an area's landslides were detected, or drawn from part of its ground."""
    return "mapped_id" in ds


def mapped_view(ds: xr.Dataset) -> xr.Dataset:
    """The area with its mapped landslides in place of the detected ones."""
    ids = ds["mapped_id"]
    rest = ds.drop_dims("place").drop_vars(["landslide", "landslide_id"])
    view = rest.assign(landslide_id=ids, landslide=(ids > 0).astype("uint8"))
    view = view.assign_coords(place=np.arange(1, ds.sizes["mapped"] + 1, dtype="int32"))
    view["place_x"] = ("place", ds["mapped_x"].to_numpy())
    view["place_y"] = ("place", ds["mapped_y"].to_numpy())
    return view


def on_drawn_ground(ds: xr.Dataset, slides: pd.DataFrame) -> pd.DataFrame:
    """The landslides that places may be drawn from; all of an area that knows no such ground."""
    if not knows_mapped(ds):
        return slides
    here = ds["drawn_from"].to_numpy()[slides["row"], slides["col"]]
    kept = slides[here].reset_index(drop=True)
    kept.attrs = dict(slides.attrs)
    return kept


def hold_out_by_map(ds: xr.Dataset, recipe: Recipe, slides: pd.DataFrame) -> Held:
    """`hold_out`; of detected landslides by the parts of the ground that mapped ones would give.

    Ground that is not drawn from belongs to no part.
    """
    if not knows_mapped(ds):
        return hold_out(ds, recipe, slides)
    view = mapped_view(ds)
    mapped = on_drawn_ground(ds, landslide_places(view))
    if mapped.empty:
        raise SampleError(
            "no mapped landslide lies on ground that the detector has not learnt from: give its "
            "recipe a larger split.test"
        )
    mapped["block"] = blocks_of_places(view, recipe, mapped)
    held = hold_out(view, recipe, mapped)
    ground = np.where(ds["drawn_from"].to_numpy(), held.ground, NOBODY).astype(np.uint8)
    number = np.minimum(ground[slides["row"], slides["col"]], len(PARTS))
    return Held(np.array([*PARTS, ""])[number], ground, held.counts)


def mapped_under_test(ds: xr.Dataset, test_ground: NDArray[np.bool_]) -> pd.DataFrame:
    """Places of the mapped landslides on the ground that is tested."""
    slides = on_drawn_ground(ds, landslide_places(mapped_view(ds)))
    return slides[test_ground[slides["row"], slides["col"]]]
