"""Which places a model learns from: landslides, places without one, and soft ones in between.

Every function gives a table of places, one row each, with the columns row, col (int32; of units the
number of the unit, and 0), x, y (float64, units of the CRS; NaN for units without), label (int8: 1,
0, or -1 for soft samples), target (float32), landslide_id (int32, 0 for none) and origin (text: why
it was chosen).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import SampleError
from lsm_core.grid import grid_of
from lsm_core.heat import gaussian_heatmap, nearest_point
from lsm_core.strategy import GROUND, cells_of, check_strategy, draw_matched, xy_at
from lsm_core.study_area import is_units, layer

__all__ = [
    "gaussian_heatmap",
    "heatmap_samples",
    "landslide_places",
    "nearest_point",
    "negatives",
    "shuffled_heat",
    "smoothed",
]


def heatmap_samples(
    heat: xr.DataArray,
    parent: ArrayLike,
    allowed: ArrayLike,
    *,
    ids: ArrayLike,
    per_interval: int,
    rng: np.random.Generator,
    intervals: int = 5,
    take: tuple[int, ...] = (1, 2, 3),
) -> pd.DataFrame:
    """Soft samples: as many cells from each of some equal intervals of heat.

    Parameters
    ----------
    heat : (y, x), of `gaussian_heatmap`.
    parent : (y, x), of `nearest_point`: the point each cell's heat comes from.
    allowed : (y, x) bool: cells that may be drawn (valid, no landslide, in training ground).
    ids : landslide_id of each point, in the order the heatmap had them.
    per_interval : places drawn from each interval, without replacement.
    intervals, take : [0, 1] is cut into so many equal intervals, closed on the left (the last on
        both sides), and those numbered in `take`, from 0, are drawn from.

    Returns
    -------
    Table of places: target is the heat, label -1, landslide_id the parent's, origin "heat 0.2-0.4".

    Raises
    ------
    SampleError : an interval has fewer cells than asked for; the message counts them.
    """
    value = heat.to_numpy()
    parents, free = np.asarray(parent), np.asarray(allowed, dtype=bool)
    for name, array in (("parent", parents), ("allowed", free)):
        if array.shape != value.shape:
            raise SampleError(f"{name} has shape {array.shape}, the heatmap {value.shape}")
    # Limits in the heat's own precision, and i / n rather than i * 0.2: 3 * 0.2 exceeds 0.6.
    limits = (np.arange(intervals + 1) / intervals).astype(value.dtype)
    limits[-1] = np.inf
    cells = [
        np.flatnonzero(free & (value >= limits[i]) & (value < limits[i + 1]) & (parents >= 0))
        for i in take
    ]
    names = [f"heat {i / intervals:g}-{(i + 1) / intervals:g}" for i in take]
    _enough(per_interval, {n: len(c) for n, c in zip(names, cells, strict=True)})
    drawn = np.concatenate([rng.choice(c, per_interval, replace=False) for c in cells])
    rows, cols = np.unravel_index(drawn, value.shape)
    owner = np.asarray(ids)[parents[rows, cols]]
    origin = np.repeat(names, per_interval)
    x, y = heat["x"].to_numpy()[cols], heat["y"].to_numpy()[rows]
    return _places(rows, cols, x, y, -1, value[rows, cols], owner, origin)


def negatives(
    ds: xr.Dataset,
    strategy: str | Mapping[str, Any],
    n: int,
    rng: np.random.Generator,
    *,
    allowed: ArrayLike | None = None,
    landslides: pd.DataFrame | None = None,
    points: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Places without a landslide: n different cells, valid and outside every landslide.

    Parameters
    ----------
    ds : study area, of a grid or of units. strategy : how they are drawn, by name or with options
        (see `strategy.STRATEGIES`); every cell that qualifies has the same chance.
        `random` : any such cell. `beyond_buffer` : more than `metres` from a landslide's cells.
        `below_slope` : where `factor`, slope, is below `degrees`. `low_heat` : where the heat of
        the landslides, with circles of `diameter` cells, is below `heat`. `matched` : the
        categories of `factor` have the landslides' shares. `own` : cells that hold `points`.
    allowed : (y, x) bool, cells that may be drawn, where not all may (training ground, heat 0).
    landslides : table of the places that may be known (those of training), for the strategies that
        look at landslides; all without.
    points : x and y in the CRS of the area, for `own`.

    Returns
    -------
    Table of places at cell centres, label and target 0, origin "negative". `random` gives n places;
    another strategy may find less ground, and says in `frame.attrs["not_drawn"]` how many of n
    could not be drawn; `own` leaves out points off the map, on cells that may not be drawn, or in a
    cell with another one (`frame.attrs["left_out"]`).

    Raises
    ------
    SampleError : `random` has fewer such cells, another strategy has none. RecipeError : an unknown
        strategy, option or factor.
    """
    name, options = check_strategy(strategy)
    free = layer(ds, "valid").astype(bool) & (layer(ds, "landslide") == 0)
    if allowed is not None:
        free &= np.asarray(allowed, dtype=bool)
    known = landslide_places(ds) if landslides is None else landslides
    left_out = 0
    if name == "own":
        cells, left_out = cells_of(ds, points, free)
    else:
        cells = np.flatnonzero(free & GROUND[name](ds, known, options) if name in GROUND else free)
    if name == "random" and n > len(cells):
        raise SampleError(
            f"{n} places without a landslide were asked for, but only {len(cells)} cells of "
            f"{free.size} are valid, outside landslides and allowed: ask for fewer, or widen the "
            "ground they may come from"
        )
    if name == "matched":
        drawn = draw_matched(ds, options["factor"], known, cells, n, rng)
    else:
        drawn = rng.choice(cells, min(n, len(cells)), replace=False)
    if n and not len(drawn) and points is not None:
        raise SampleError(
            f"negatives {name} ({_in_words(options)}): none of its {len(points)} points is in a "
            "cell that is valid, outside landslides and in the ground of this part: training, "
            "validation and each fold take theirs from their own ground; give more points"
        )
    if n and not len(drawn):
        raise SampleError(
            f"negatives {name} ({_in_words(options)}): none of {int(free.sum())} cells that are "
            "valid, outside landslides and allowed will do: loosen its options"
        )
    rows, cols = np.unravel_index(drawn, free.shape)
    frame = _places(rows, cols, *xy_at(ds, rows, cols), 0, 0, 0, "negative")
    frame.attrs |= {"not_drawn": n - len(drawn), "left_out": left_out}
    return frame


def shuffled_heat(
    ds: xr.Dataset, soft: pd.DataFrame, rng: np.random.Generator, *, allowed: ArrayLike
) -> pd.DataFrame:
    """Soft samples at places that have nothing to do with their heat: a control of the heatmap.

    As many as `soft` has, with its targets, each at a random cell that is valid, allowed and
    outside every landslide, near one or not. They have no parent (landslide_id 0), and "shuffled"
    stands before their origin.

    Raises
    ------
    SampleError : fewer such cells than samples.
    """
    places = negatives(ds, "random", len(soft), rng, allowed=allowed)
    kept = {name: soft[name].to_numpy() for name in ("label", "target")}
    return places.assign(**kept, origin=("shuffled " + soft["origin"]).to_numpy())


def smoothed(samples: pd.DataFrame, smoothing: float) -> pd.DataFrame:
    """Hard labels as targets: y (1 - s) + s / 2 at training places, y at all others.

    Label smoothing (Szegedy et al. 2016) of two classes. Soft samples keep their targets.

    >>> places = pd.DataFrame({"label": [1, 0, -1, 1], "target": np.float32([1, 0, 0.3, 1])})
    >>> places["split"] = ["train", "train", "train", "test"]
    >>> smoothed(places, 0.2)["target"].to_numpy()
    array([0.9, 0.1, 0.3, 1. ], dtype=float32)
    """
    label, trains = samples["label"].to_numpy(), (samples["split"] == "train").to_numpy()
    share = np.where(trains, smoothing, 0.0)
    hard = label * (1 - share) + share / 2
    target = np.where(label >= 0, hard, samples["target"]).astype(np.float32)
    return samples.assign(target=target)


def landslide_places(ds: xr.Dataset) -> pd.DataFrame:
    """One place a landslide: the cell that holds its point, and the point's own x and y.

    Landslides whose point is off the grid or in an invalid cell are left out; their number is in
    `frame.attrs["left_out"]`. Two landslides may share a cell; both stay. Of units, each that holds
    a landslide is one place, numbered from 1 by its row.

    Returns
    -------
    Table of places, label and target 1, origin "landslide", in the order of the study area.

    Raises
    ------
    SampleError : none is left.
    """
    if is_units(ds):
        return _landslide_units(ds)
    grid = grid_of(ds)
    x, y = ds["place_x"].to_numpy(), ds["place_y"].to_numpy()
    here = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    rows, cols = grid.rowcol(x[here], y[here])
    inside = (rows >= 0) & (rows < grid.shape[0]) & (cols >= 0) & (cols < grid.shape[1])
    inside[inside] = ds["valid"].to_numpy()[rows[inside], cols[inside]]
    here, rows, cols = here[inside], rows[inside], cols[inside]
    if not here.size:
        raise SampleError(
            f"none of {len(x)} landslides lies in a valid cell: check that inventory and factors "
            "cover the same ground"
        )
    ids = ds["place"].to_numpy()[here]
    frame = _places(rows, cols, x[here], y[here], 1, 1, ids, "landslide")
    frame.attrs["left_out"] = len(x) - len(here)
    return frame


def _landslide_units(ds: xr.Dataset) -> pd.DataFrame:
    held = ds["landslide"].to_numpy() > 0
    rows = np.flatnonzero(held & ds["valid"].to_numpy())
    if not rows.size:
        raise SampleError(f"none of {int(held.sum())} units with a landslide has all its factors")
    cols = np.zeros_like(rows)
    frame = _places(rows, cols, *xy_at(ds, rows, cols), 1, 1, rows + 1, "landslide")
    frame.attrs["left_out"] = int(held.sum()) - len(rows)
    return frame


def _in_words(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _places(
    rows: NDArray,
    cols: NDArray,
    x: NDArray,
    y: NDArray,
    label: int,
    target: ArrayLike,
    landslide_id: ArrayLike,
    origin: ArrayLike,
) -> pd.DataFrame:
    """The table every function gives; single values are those of all rows."""
    columns = {
        "row": (rows, np.int32),
        "col": (cols, np.int32),
        "x": (x, np.float64),
        "y": (y, np.float64),
        "label": (label, np.int8),
        "target": (target, np.float32),
        "landslide_id": (landslide_id, np.int32),
    }
    n = len(rows)
    filled = {k: np.broadcast_to(np.asarray(v, dtype=t), n) for k, (v, t) in columns.items()}
    return pd.DataFrame(filled).assign(origin=np.broadcast_to(np.asarray(origin), n).astype(object))


def _enough(wanted: int, found: dict[str, int]) -> None:
    if wanted < 1:
        raise SampleError(f"{wanted} heat samples per interval: ask for at least 1")
    if min(found.values()) < wanted:
        counts = ", ".join(f"{name} has {count}" for name, count in found.items())
        raise SampleError(
            f"{wanted} heat samples per interval were asked for, but {counts} allowed cells: "
            f"lower samples.heatmap.per_interval (to {min(found.values())} places here) "
            "or enlarge samples.heatmap.diameter"
        )
