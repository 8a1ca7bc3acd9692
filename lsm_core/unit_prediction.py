"""A run's model on units: on a study area that is a table of them, or on polygons over a map."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from lsm_core.errors import RunError, SourceError
from lsm_core.prediction import Progress, predict_map
from lsm_core.runs import Run, write_shapes, write_table
from lsm_core.slope_units import held_units, judge_units, scores_by_unit
from lsm_core.unit_scores import drawn, score_table

NOBODY = pd.DataFrame({"row": pd.Series(dtype=int), "split": pd.Series(dtype=str)})


def predict_table(run: Run, ds: xr.Dataset, area: Path, to: Path) -> pd.DataFrame:
    """Score the units of a study area and write them: `.csv`, `.parquet`, or `.gpkg` with shapes.

    Parameters
    ----------
    ds : units, the run's own or others with the same factors. area : their folder. to : the file.

    Returns
    -------
    The table of `unit_scores.score_table`, the zones those of the run's limits.

    Raises
    ------
    SourceError : another ending. AreaError : the area lacks a factor, or shapes for a GeoPackage.
    """
    if to.suffix not in (".csv", ".parquet", ".gpkg"):
        raise SourceError(f"{to}: units have no map; name a .csv, .parquet or .gpkg file")
    score = predict_map(run, ds).to_numpy()
    own = ds.attrs["name"] == run.area["name"]
    table = score_table(ds, score, run.limits.zone(score), run.samples if own else NOBODY)
    if to.suffix != ".gpkg":
        write_table(to, table)
        return table
    shapes = drawn(table, area)
    if shapes is None:
        raise RunError(f"{ds.attrs['name']} has no coordinates to draw: write a .csv instead")
    write_shapes(to, shapes)
    return table


def predict_polygons(
    run: Run,
    ds: xr.Dataset,
    polygons: gpd.GeoDataFrame,
    to: Path,
    *,
    on_progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """Map a grid area, sum the scores up by polygon, write and judge them.

    Parameters
    ----------
    ds : a study area on a grid, the run's own or another. to : a GeoPackage: the polygons with
        their cells, mean, maximum and 0.9 quantile of the scores, landslides, and `held`: 1 where
        nothing was trained on inside (all of them on another area than the run's).

    Returns
    -------
    AP and AUC at that support, one row a way to sum up (`slope_units.judge_units`): of `all units`,
    and of `held-out units`, those with a test place and none of training or validation, where the
    run was trained on this area. A table is left out where it has units of one class only.
    """
    if to.suffix != ".gpkg":
        raise SourceError(f"{to}: units are written as a GeoPackage; name a .gpkg file")
    score = predict_map(run, ds, on_progress=on_progress).to_numpy()
    table = scores_by_unit(score, ds, polygons)
    groups = {"all units": table}
    own = ds.attrs["name"] == run.area["name"]
    held = held_units(run.samples, ds, polygons) if own else np.ones(len(table), dtype=bool)
    if own:
        groups["held-out units"] = table[held]
    write_shapes(to, table.assign(held=held.astype("uint8")))
    return {name: judge_units(part) for name, part in groups.items() if _both(part)}


def _both(table: pd.DataFrame) -> bool:
    scored = table[np.isfinite(table["score_mean"])]
    return (scored["landslides"] > 0).nunique() == 2
