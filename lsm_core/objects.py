"""Landslides found, missed and made up: a mask held against the landslides that are mapped.

The rule: a landslide is found where at least `overlap` of its cells are in the mask. An object, the
cells of the mask that touch each other (corners too), is true where at least `overlap` of its cells
are landslide cells, else false. So one object may find two landslides, and one landslide may be
found by two objects; an object more than twice as large as what it covers is false at 0.5.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label as components

from lsm_core.errors import SampleError

TOUCHING = np.ones((3, 3), dtype=int)


def match_objects(
    mask: ArrayLike, landslide_id: ArrayLike, *, overlap: float = 0.5
) -> dict[str, Any]:
    """Count landslides and objects by their overlap.

    Parameters
    ----------
    mask : (y, x), what is held to be a landslide.
    landslide_id : (y, x), number of the landslide of each cell, 0 for none. Of a landslide that
        lies only partly in the raster, the part counts.
    overlap : share of cells that is enough, above 0 and at most 1.

    Returns
    -------
    overlap; landslides, found, missed, touched (at least one cell in the mask); objects, true,
    false; recall (found of landslides), precision (true of objects), f1 of the two. None for what
    is not defined: no landslides, or no objects.

    Raises
    ------
    SampleError : shapes that differ, or an overlap out of range.

    >>> match_objects([[1, 1, 0, 1]], [[7, 7, 7, 0]])["found"]
    1
    """
    said, slide = np.asarray(mask).astype(bool), np.asarray(landslide_id)
    if said.shape != slide.shape or said.ndim != 2:
        raise SampleError(f"a mask of {said.shape} does not lie on landslides of {slide.shape}")
    if not 0 < overlap <= 1:
        raise SampleError(f"overlap={overlap} is a share of cells: above 0, at most 1")
    group, _ = components(said, TOUCHING)
    covered = _shares(slide, said)
    right = _shares(group, slide > 0)
    found, true = int((covered >= overlap).sum()), int((right >= overlap).sum())
    recall, precision = _ratio(found, len(covered)), _ratio(true, len(right))
    f1 = None
    if recall is not None and precision is not None:
        f1 = _ratio(2 * recall * precision, recall + precision)
    return {
        "overlap": overlap,
        "landslides": len(covered),
        "found": found,
        "missed": len(covered) - found,
        "touched": int((covered > 0).sum()),
        "objects": len(right),
        "true": true,
        "false": len(right) - true,
        "recall": recall,
        "precision": precision,
        "f1": f1,
    }


def _shares(number: NDArray[Any], of: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each number's cells, the share that is `of`; 0 is no number."""
    _, place = np.unique(number, return_inverse=True)
    cells = np.bincount(place.ravel())
    share = np.bincount(place.ravel(), weights=of.ravel()) / cells
    return share[np.unique(number) != 0]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
