"""How many labels a model is given: several cells a landslide, a few labels only, places with none.

Every function takes and gives tables of places as `sampling` makes them.
"""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import SampleError
from lsm_core.strategy import xy_at
from lsm_core.study_area import layer

UNLABELLED = "unlabelled"


def landslide_cells(
    ds: xr.Dataset,
    slides: pd.DataFrame,
    most: int,
    rng: np.random.Generator,
    *,
    allowed: NDArray[np.bool_],
) -> pd.DataFrame:
    """Landslides by up to `most` of their cells: the place of each, then others, drawn at random.

    Parameters
    ----------
    ds : study area of a grid. slides : places of landslides, one each.
    allowed : (y, x) bool, cells that may be drawn. The places themselves always stay.

    Returns
    -------
    `slides` and as many rows more as there are such cells, with the landslide's own `landslide_id`
    and columns, origin "landslide cell".
    """
    if most == 1:
        return slides
    free = layer(ds, "valid").astype(bool) & allowed
    free[slides["row"], slides["col"]] = False
    ids = layer(ds, "landslide_id")
    rows, cols = np.nonzero(free & np.isin(ids, slides["landslide_id"].to_numpy()))
    order = rng.permutation(len(rows))
    cells = pd.DataFrame({"row": rows[order], "col": cols[order]})
    cells["landslide_id"] = ids[cells["row"], cells["col"]]
    cells = cells.groupby("landslide_id").head(most - 1)
    own = slides.drop_duplicates("landslide_id").set_index("landslide_id")
    more = own.loc[cells["landslide_id"]].reset_index()[list(slides)]
    for name in ("row", "col"):
        more[name] = cells[name].to_numpy().astype(slides[name].to_numpy().dtype)
    more["x"], more["y"] = xy_at(ds, cells["row"].to_numpy(), cells["col"].to_numpy())
    return pd.concat([slides, more.astype(slides.dtypes).assign(origin="landslide cell")])


def few_labels(places: pd.DataFrame, n: int | None, rng: np.random.Generator) -> pd.DataFrame:
    """n of the labelled places at random, both classes in the shares they have; all without n.

    Raises
    ------
    SampleError : fewer than n places, or so few that a class would be without one.
    """
    if n is None:
        return places
    slides, others = (np.flatnonzero(places["label"] == label) for label in (1, 0))
    of_slides = round(n * len(slides) / max(len(slides) + len(others), 1))
    if n > len(slides) + len(others) or not 0 < of_slides < n:
        raise SampleError(
            f"{n} labelled places were asked for, but training has {len(slides)} of landslides and "
            f"{len(others)} without: lower samples.labelled, or raise samples.cells"
        )
    kept = [rng.choice(slides, of_slides, replace=False)]
    kept += [rng.choice(others, n - of_slides, replace=False)]
    return places.iloc[np.sort(np.concatenate(kept))]


def unlabelled_places(
    ds: xr.Dataset,
    n: int,
    rng: np.random.Generator,
    *,
    allowed: ArrayLike,
    anywhere: bool = False,
) -> pd.DataFrame:
    """n different valid cells whose label nobody looks at.

    Parameters
    ----------
    allowed : (y, x) bool, cells that may be drawn.
    anywhere : landslide cells may be drawn too. Without, none is, as in the SSGAN paper, which
        takes them from non-landslide places: so the label is known after all, though not told.

    Returns
    -------
    Table of places at cell centres: label -1, target NaN, landslide_id 0, origin "unlabelled".

    Raises
    ------
    SampleError : fewer such cells.
    """
    free = layer(ds, "valid").astype(bool) & np.asarray(allowed, dtype=bool)
    if not anywhere:
        free &= layer(ds, "landslide") == 0
    cells = np.flatnonzero(free)
    if n > len(cells):
        raise SampleError(
            f"{n} unlabelled places were asked for, but only {len(cells)} cells of {free.size} are "
            "valid and on training ground: lower samples.unlabelled"
        )
    rows, cols = np.unravel_index(rng.choice(cells, n, replace=False), free.shape)
    x, y = xy_at(ds, rows, cols)
    frame = pd.DataFrame({"row": rows.astype("int32"), "col": cols.astype("int32"), "x": x, "y": y})
    return frame.assign(
        label=np.int8(-1),
        target=np.float32(np.nan),
        landslide_id=np.int32(0),
        origin=UNLABELLED,
    )
