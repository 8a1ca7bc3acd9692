"""Where negatives may come from: the strategies by name, their options, and the cells they mean."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from lsm_core.catalog import did_you_mean
from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import grid_of
from lsm_core.heat import gaussian_heatmap
from lsm_core.study_area import factors, is_units, layer

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
    given: dict[str, Any] = {"strategy": chosen} if isinstance(chosen, str) else dict(chosen)
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


def _beyond_buffer(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    if is_units(ds):
        xy = np.column_stack(xy_at(ds, np.arange(ds.sizes["unit"]), np.array(0)))
        return (cKDTree(known[["x", "y"]]).query(xy)[0] > options["metres"])[:, None]
    grid = grid_of(ds)
    cells = np.isin(ds["landslide_id"].to_numpy(), known["landslide_id"])
    cells[known["row"], known["col"]] = True  # landslides that share a cell own none
    height, width = grid.step[1], grid.step[0]
    return distance_transform_edt(~cells, sampling=(height, width)) > options["metres"]


def _below_slope(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    slope = _factor(ds, options["factor"])
    return layer(ds, str(slope.name)) < options["degrees"]


def _low_heat(ds: xr.Dataset, known: pd.DataFrame, options: dict[str, Any]) -> NDArray:
    if is_units(ds):
        raise RecipeError("negatives low_heat need a map; of units draw them beyond_buffer")
    grid = grid_of(ds)
    radius = options["diameter"] / 2 * grid.cell_size
    return gaussian_heatmap(known[["x", "y"]], grid, radius).to_numpy() < options["heat"]


GROUND: dict[str, Callable[[xr.Dataset, pd.DataFrame, dict[str, Any]], NDArray]] = {
    "beyond_buffer": _beyond_buffer,
    "below_slope": _below_slope,
    "low_heat": _low_heat,
}


def draw_matched(
    ds: xr.Dataset, name: str, known: pd.DataFrame, cells: NDArray, n: int, rng: np.random.Generator
) -> NDArray:
    """Cells whose categories have the landslides' shares (largest remainder); n or fewer."""
    factor = _factor(ds, name)
    if factor.attrs.get("kind") != "categorical":
        raise RecipeError(f"negatives matched need a categorical factor; {factor.name} is not")
    value = layer(ds, name)
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


def cells_of(
    ds: xr.Dataset, points: pd.DataFrame | None, free: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], int]:
    """Different free cells that hold a person's own points, and how many points gave none."""
    if points is None or is_units(ds):
        raise SampleError("negatives own need points with x and y, and a study area on a grid")
    rows, cols = grid_of(ds).rowcol(points["x"], points["y"])
    inside = (rows >= 0) & (rows < free.shape[0]) & (cols >= 0) & (cols < free.shape[1])
    inside[inside] = free[rows[inside], cols[inside]]
    cells = np.unique(rows[inside] * free.shape[1] + cols[inside])
    return cells, len(points) - len(cells)


def _factor(ds: xr.Dataset, name: str) -> xr.DataArray:
    if name not in factors(ds):
        raise RecipeError(f"the area has no factor {name!r}: {did_you_mean(name, factors(ds))}")
    return ds[name]


def xy_at(ds: xr.Dataset, rows: NDArray, cols: NDArray) -> tuple[NDArray, NDArray]:
    """Centres of cells; points of units, NaN where they have none."""
    if not is_units(ds):
        return ds["x"].to_numpy()[cols], ds["y"].to_numpy()[rows]
    nowhere = np.full(ds.sizes["unit"], np.nan)
    x, y = (ds[c].to_numpy() if c in ds.variables else nowhere for c in ("x", "y"))
    return x[rows], y[rows]


def _above_zero(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise RecipeError(f"{name} is {value!r}: give a number above 0")
    return float(value)
