"""Which places a model learns from: landslides, places without one, and soft ones in between.

Every function gives a table of places, one row each, with the columns row, col (int32; of units the
number of the unit, and 0), x, y (float64, units of the CRS; NaN for units without), label (int8: 1,
0, or -1 for soft samples), target (float32), landslide_id (int32, 0 for none) and origin (text: why
it was chosen).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from lsm_core.catalog import did_you_mean
from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import grid_of
from lsm_core.heat import gaussian_heatmap, nearest_point

__all__ = [
    "STRATEGIES",
    "check_strategy",
    "gaussian_heatmap",
    "heatmap_samples",
    "landslide_places",
    "nearest_point",
    "negatives",
]

# Ways to draw negatives, with their options and what these are unless a recipe says otherwise; an
# option without a usual value (None) must be given.
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {},
    "beyond_buffer": {"metres": 500.0},
    "below_slope": {"degrees": 10.0, "factor": "slope"},
    "low_heat": {"heat": 0.1, "diameter": 13.0},
    "matched": {"factor": None},
    "own": {"file": None},
}


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


class Strategy(NamedTuple):
    """A way to draw negatives and its options, the usual ones filled in."""

    name: str
    options: dict[str, Any]


def check_strategy(chosen: str | Mapping[str, Any]) -> Strategy:
    """The strategy that a recipe names: `random`, or `{strategy: beyond_buffer, metres: 500}`.

    Raises
    ------
    RecipeError : unknown strategy or option (near names are said), one that is missing, or one
        that is not a number above 0 where a number is needed.

    >>> check_strategy({"strategy": "beyond_buffer", "metres": 300})
    Strategy(name='beyond_buffer', options={'metres': 300.0})
    """
    given = {"strategy": chosen} if isinstance(chosen, str) else dict(chosen)
    name = str(given.pop("strategy", ""))
    if name not in STRATEGIES:
        raise RecipeError(
            f"no way to draw negatives is called {name!r}: {did_you_mean(name, list(STRATEGIES))}"
        )
    usual = STRATEGIES[name]
    for option, value in given.items():
        if option not in usual:
            known = did_you_mean(str(option), list(usual)) if usual else "it has no options"
            raise RecipeError(f"negatives {name} have no option {option!r}: {known}")
        if isinstance(usual[option], float):
            given[option] = _above_zero(value, f"samples.negatives.{option}")
    missing = [o for o, value in (usual | given).items() if value is None]
    if missing:
        raise RecipeError(
            f"negatives {name} need {missing[0]}: {{strategy: {name}, {missing[0]}: ...}}"
        )
    return Strategy(name, usual | given)


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
        (see `STRATEGIES`); every cell that qualifies has the same chance.
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
    free = _plane(ds, "valid").astype(bool) & (_plane(ds, "landslide") == 0)
    if allowed is not None:
        free &= np.asarray(allowed, dtype=bool)
    known = landslide_places(ds) if landslides is None else landslides
    left_out = 0
    if name == "own":
        cells, left_out = _cells_of(ds, points, free)
    else:
        cells = np.flatnonzero(
            free & _GROUND[name](ds, known, options) if name in _GROUND else free
        )
    if name == "random" and n > len(cells):
        raise SampleError(
            f"{n} places without a landslide were asked for, but only {len(cells)} cells of "
            f"{free.size} are valid, outside landslides and allowed: ask for fewer, or widen the "
            "ground they may come from"
        )
    if name == "matched":
        drawn = _draw_matched(_factor(ds, options["factor"]), known, cells, n, rng)
    else:
        drawn = rng.choice(cells, min(n, len(cells)), replace=False)
    if n and not len(drawn):
        raise SampleError(
            f"negatives {name} ({_in_words(options)}): none of {int(free.sum())} cells that are "
            "valid, outside landslides and allowed will do: loosen its options"
        )
    rows, cols = np.unravel_index(drawn, free.shape)
    frame = _places(rows, cols, *_xy(ds, rows, cols), 0, 0, 0, "negative")
    frame.attrs |= {"not_drawn": n - len(drawn), "left_out": left_out}
    return frame


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
    if ds["landslide"].ndim == 1:
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
    frame = _places(rows, cols, *_xy(ds, rows, cols), 1, 1, rows + 1, "landslide")
    frame.attrs["left_out"] = int(held.sum()) - len(rows)
    return frame


# --------------------------------------------------------------------------------- strategies


def _beyond_buffer(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    if ds["landslide"].ndim == 1:
        xy = np.column_stack(_xy(ds, np.arange(ds["landslide"].size), 0))
        return (cKDTree(known[["x", "y"]]).query(xy)[0] > options["metres"])[:, None]
    grid = grid_of(ds)
    cells = np.isin(ds["landslide_id"].to_numpy(), known["landslide_id"])
    cells[known["row"], known["col"]] = True  # landslides that share a cell own none
    height, width = grid.step[1], grid.step[0]
    return distance_transform_edt(~cells, sampling=(height, width)) > options["metres"]


def _below_slope(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    slope = _factor(ds, options["factor"])
    return _plane(ds, slope.name) < options["degrees"]


def _low_heat(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    if ds["landslide"].ndim == 1:
        raise RecipeError("negatives low_heat need a map; of units draw them beyond_buffer")
    grid = grid_of(ds)
    radius = options["diameter"] / 2 * grid.cell_size
    return gaussian_heatmap(known[["x", "y"]], grid, radius).to_numpy() < options["heat"]


_GROUND: dict[str, Callable[[xr.Dataset, pd.DataFrame, dict[str, Any]], NDArray]] = {
    "beyond_buffer": _beyond_buffer,
    "below_slope": _below_slope,
    "low_heat": _low_heat,
}


def _draw_matched(
    factor: xr.DataArray, known: pd.DataFrame, cells: NDArray, n: int, rng: np.random.Generator
) -> NDArray:
    """Cells whose categories have the landslides' shares (largest remainder); n or fewer."""
    if factor.attrs.get("kind") != "categorical":
        raise RecipeError(f"negatives matched need a categorical factor; {factor.name} is not")
    value = factor.to_numpy().reshape(factor.shape if factor.ndim == 2 else (-1, 1))
    own = value[known["row"], known["col"]]
    codes, count = np.unique(own[own != factor.attrs.get("nodata")], return_counts=True)
    exact = n * count / max(1, count.sum())
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: n - quota.sum()]] += 1
    of = value.ravel()[cells]
    drawn = [
        rng.choice(cells[of == code], min(wanted, int((of == code).sum())), replace=False)
        for code, wanted in zip(codes, quota, strict=True)
    ]
    return np.concatenate(drawn) if drawn else cells[:0]


def _cells_of(
    ds: xr.Dataset, points: pd.DataFrame | None, free: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], int]:
    """Different free cells that hold a person's own points, and how many points gave none."""
    if points is None or ds["landslide"].ndim == 1:
        raise SampleError("negatives own need points with x and y, and a study area on a grid")
    rows, cols = grid_of(ds).rowcol(points["x"], points["y"])
    inside = (rows >= 0) & (rows < free.shape[0]) & (cols >= 0) & (cols < free.shape[1])
    inside[inside] = free[rows[inside], cols[inside]]
    cells = np.unique(rows[inside] * free.shape[1] + cols[inside])
    return cells, len(points) - len(cells)


def _factor(ds: xr.Dataset, name: str) -> xr.DataArray:
    known = [str(n) for n in ds.data_vars if "kind" in ds[n].attrs]
    if name not in known:
        raise RecipeError(f"the area has no factor {name!r}: {did_you_mean(name, known)}")
    return ds[name]


def _plane(ds: xr.Dataset, name: Any) -> NDArray:
    """A layer as rows and columns; of units, one column."""
    values = ds[name].to_numpy()
    return values if values.ndim == 2 else values[:, None]


def _xy(ds: xr.Dataset, rows: ArrayLike, cols: ArrayLike) -> tuple[NDArray, NDArray]:
    """Centres of cells; points of units, NaN where they have none."""
    if ds["landslide"].ndim == 2:
        return ds["x"].to_numpy()[cols], ds["y"].to_numpy()[rows]
    nowhere = np.full(ds["landslide"].shape, np.nan)
    x, y = (ds[c].to_numpy() if c in ds.variables else nowhere for c in ("x", "y"))
    return x[rows], y[rows]


def _above_zero(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise RecipeError(f"{name} is {value!r}: give a number above 0")
    return float(value)


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
