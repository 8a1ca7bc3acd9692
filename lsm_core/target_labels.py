"""Which target places have a label: the first n of one order, so that 30 labels hold the 10.

The test part is never touched. What has no label stays among the training places with label -1 and
no target, origin "unlabelled": its factors may be looked at, its label may not. On a map these are
random cells instead of the places drawn for training, of which half would be landslides.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lsm_core.errors import SampleError
from lsm_core.factor_tables import some_places
from lsm_core.holdout import blocks_of_places, stream, too_near
from lsm_core.labelling import UNLABELLED
from lsm_core.protocol import Places
from lsm_core.recipe import Recipe
from lsm_core.strategy import xy_at
from lsm_core.study_area import is_units


def asks_labels(recipe: Recipe) -> bool:
    """Whether a run looks at labels of training and validation places of its area."""
    return recipe.transfer is None or recipe.transfer.asks != 0


def keep_labels(ds: xr.Dataset, recipe: Recipe, places: Places) -> Places:
    """The places with the labels that `recipe.transfer` asks for, and no others.

    Of n labels as large a share are landslides as of the training and validation part, at least
    two of either class; the share `check` of them watches, the rest trains. Which are drawn follows
    `recipe.seed` alone. With `region` they are those nearest to a landslide drawn at random, and
    all others are left out.

    Raises
    ------
    SampleError : fewer places of a class than asked for.
    """
    settings = recipe.transfer
    assert settings is not None
    if settings.asks is None:
        return places
    samples = places.samples
    hard = samples[(samples["split"] != "test") & (samples["label"] >= 0)]
    counts = dict(places.counts)
    chosen = _drawn(recipe, hard) if settings.asks else {}
    kept = samples[samples["split"] == "test"]
    parts = [kept, *(hard.loc[index].assign(split=part) for part, index in chosen.items())]
    if settings.asks:
        labelled = pd.concat(parts[1:])
        parts.append(_soft_of(samples, labelled))
        counts["target labels"] = len(labelled)
    if not settings.region:
        seen = hard.index.difference(pd.Index(np.concatenate([*chosen.values(), []])))
        pool = _pool(ds, recipe, kept, hard.loc[seen])
        counts["target places without a label"] = len(pool)
        parts.append(pool)
    whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return Places(whole.astype(samples.dtypes.to_dict()), places.test_ground, counts)


def _drawn(recipe: Recipe, hard: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Index of the labelled places, by the part they play."""
    settings = recipe.transfer
    assert settings is not None
    n = settings.asks or 0
    slides = hard["label"] == 1
    wanted = int(np.clip(round(n * slides.mean()), 2, n - 2))
    rng = stream(recipe.seed, "target labels")
    order = _outward(hard, rng) if settings.region else rng.permutation(len(hard))
    parts: dict[str, list[NDArray[Any]]] = {"train": [], "validation": []}
    for count, own in ((wanted, slides), (n - wanted, ~slides)):
        index = hard.index.to_numpy()[order][own.to_numpy()[order]]
        if len(index) < count:
            raise SampleError(
                f"{n} target labels were asked for, {count} of them "
                f"{'landslides' if own is slides else 'places without'}, but training and "
                f"validation ground has {len(index)}: lower transfer.labels (to "
                f"{_most(slides)} here) or split.test"
            )
        index = index[:count]
        if settings.region:  # else near and far would part checking from training
            index = rng.permutation(index)
        watched = max(1, round(settings.check * count))
        parts["validation"].append(index[:watched])
        parts["train"].append(index[watched:])
    return {name: np.concatenate(both) for name, both in parts.items()}


def _most(slides: pd.Series) -> int:
    return len(slides) - 4


def _outward(hard: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places in order of distance from a landslide drawn at random."""
    slides = hard[hard["label"] == 1]
    middle = slides.iloc[rng.integers(len(slides))][["x", "y"]].to_numpy(dtype=float)
    if not np.isfinite(hard[["x", "y"]].to_numpy(dtype=float)).all():
        raise SampleError("transfer.region needs coordinates, which these units do not have")
    return cKDTree(hard[["x", "y"]]).query(middle, k=len(hard))[1]


def _soft_of(samples: pd.DataFrame, labelled: pd.DataFrame) -> pd.DataFrame:
    """Soft samples of the landslides that are learnt from."""
    known = labelled.loc[(labelled["label"] == 1) & (labelled["split"] == "train"), "landslide_id"]
    return samples[(samples["label"] < 0) & samples["landslide_id"].isin(known)]


def _pool(ds: xr.Dataset, recipe: Recipe, test: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Places whose label is not looked at: of units all others, of a map random cells."""
    settings = recipe.transfer
    assert settings is not None
    if is_units(ds):
        found = others
    else:
        rng = stream(recipe.split.seed, "unlabelled cells")
        cells = some_places(ds, 2 * settings.pool, rng)
        near = too_near(ds, recipe, test)[cells["row"], cells["col"]]
        cells = cells[~near]
        cells = cells.iloc[np.sort(rng.permutation(len(cells))[: settings.pool])]
        x, y = xy_at(ds, cells["row"].to_numpy(), cells["col"].to_numpy())
        found = cells.assign(x=x, y=y)
        found["block"] = blocks_of_places(ds, recipe, found)
    return found.assign(label=-1, target=np.nan, landslide_id=0, origin=UNLABELLED, split="train")
