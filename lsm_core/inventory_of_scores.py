"""The landslides that a run's map of scores shows, and how they compare with the mapped ones."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core import runs
from lsm_core.catalog import load_catalog
from lsm_core.delineation import Mask, delineate
from lsm_core.delineation_settings import Delineation
from lsm_core.errors import RunError
from lsm_core.grid import grid_of
from lsm_core.holdout import blocks_of_places, hold_out
from lsm_core.objects import match_objects
from lsm_core.prediction import predict_map
from lsm_core.protocol import draw_places
from lsm_core.removal import needs_catalog, removal_mask
from lsm_core.sampling import landslide_places
from lsm_core.splits import PARTS, near
from lsm_core.study_area import is_units, open_area, shape_of
from lsm_core.threshold import choose_threshold

Cells = NDArray[np.bool_]


class Detected(NamedTuple):
    """Polygons, their number in each cell (y, x), counts, and what the threshold was chosen on."""

    landslides: gpd.GeoDataFrame
    number: NDArray[np.int32]
    counts: dict[str, int]
    threshold: float
    chosen: str


def detect(
    run: runs.Run, how: Delineation, ds: xr.Dataset | None = None, *, catalog: Any = None
) -> Detected:
    """The landslides of a run's map.

    Parameters
    ----------
    ds : study area, the run's own by default. Of another area the run's model makes the map first.
    catalog : for masks that name a source; the shipped one by default.

    A rule picks the threshold on ground that the run validated on: every cell of it, for a map
    holds far fewer landslides than the places of a sample. Where there is no such ground (paper
    protocol), on the validation places, weighted to the share of landslides in the area.

    Raises
    ------
    RunError : the run is not done, or has no map. Errors of `delineate` and `removal_mask`.
    """
    _has_map(run)
    home = open_area(run.area_path)
    ds = home if ds is None else ds
    score = score_map(run, ds)
    at, chosen = _threshold(run, home, how, score if ds is home else None)
    if catalog is None and needs_catalog(how.masks, ds):
        catalog = load_catalog()
    masks: dict[str, Mask] = {}
    for spec in how.masks:
        name = f"{spec.of} ({len(masks) + 1})" if spec.of in masks else spec.of
        masks[name] = Mask(removal_mask(spec, ds, catalog), spec.takes)
    return Detected(*delineate(score, how, threshold=at, masks=masks, run=run.id), at, chosen)


def score_map(run: runs.Run, ds: xr.Dataset) -> xr.DataArray:
    """The run's map (y, x) on an area's grid: of its own as stored, of another one made now."""
    if ds.attrs["name"] != run.area["name"]:
        return predict_map(run, ds)
    values = np.concatenate([block for _, block in runs.read_strips(run.map_path)])
    if values.shape != (ds.sizes["y"], ds.sizes["x"]):
        raise RunError(f"the area of {run.id} was prepared anew since it ran: run it again")
    score = xr.DataArray(values, {"y": ds.y, "x": ds.x}, ("y", "x"), name="score")
    return score.rio.write_crs(grid_of(ds).crs)


def unseen_ground(run: runs.Run, ds: xr.Dataset) -> Cells:
    """Cells (y, x) that the run has learnt nothing from: its test ground; of another area, all.

    Cells in the window of a training or validation place are left out.

    Raises
    ------
    RunError : a run under the paper protocol learns everywhere.
    """
    if ds.attrs["name"] != run.area["name"]:
        return ds["valid"].to_numpy()
    ground = draw_places(ds, run.recipe).test_ground
    if ground is None:
        raise RunError(
            f"{run.id} ran under the paper protocol, which leaves no ground unseen: detect with a "
            "run under the honest protocol, or set inventory.ground to all"
        )
    places = run.samples[run.samples["split"] != "test"]
    return ground & ds["valid"].to_numpy() & ~_seen_from(run, places, shape_of(ds))


def grounds_of(run: runs.Run, ds: xr.Dataset) -> dict[str, Cells]:
    """Where to compare: all of the area, and the ground that the run has learnt nothing from."""
    grounds = {"whole area": ds["valid"].to_numpy()}
    if ds.attrs["name"] == run.area["name"] and run.recipe.protocol == "honest":
        grounds["ground it learnt nothing from"] = unseen_ground(run, ds)
    return grounds


def held_against(
    number: NDArray[np.int32],
    ds: xr.Dataset,
    grounds: Mapping[str, Cells],
    *,
    overlap: float = 0.5,
) -> dict[str, dict[str, Any]]:
    """Detections against the mapped landslides of an area, on each ground: see `match_objects`.

    Beside its counts: km2 detected and km2 mapped, by cells, and of these the km2 that are both.
    """
    cell = np.prod(grid_of(ds).step) / 1e6
    mapped = ds["landslide_id"].to_numpy()
    told = {}
    for name, ground in grounds.items():
        said, slides = ground & (number > 0), np.where(ground, mapped, 0)
        areas = {
            "km2_detected": float(said.sum() * cell),
            "km2_mapped": float((slides > 0).sum() * cell),
            "km2_both": float((said & (slides > 0)).sum() * cell),
        }
        told[name] = match_objects(said, slides, overlap=overlap) | areas
    return told


def in_words(found: Detected, told: Mapping[str, Mapping[str, Any]]) -> str:
    """What was done step by step, and how it compares, for a person."""
    lines = [f"threshold {found.threshold:.3g}: {found.chosen}"]
    lines += [f"{count:12,} {name}" for name, count in found.counts.items()]
    for name, row in told.items():
        lines.append(
            f"{name}: {row['found']} of {row['landslides']} mapped landslides found, "
            f"{row['missed']} missed; of {row['objects']} detections {row['false']} are false "
            f"(overlap of {row['overlap']:.0%}); {row['km2_detected']:.3f} km2 against "
            f"{row['km2_mapped']:.3f} km2 mapped, {row['km2_both']:.3f} km2 in both"
        )
    return "\n".join(lines)


def _has_map(run: runs.Run) -> None:
    if run.state != "done":
        raise RunError(f"{run.id} is {run.state}, not done: nothing to delineate")
    if is_units(open_area(run.area_path)):
        raise RunError(f"{run.id} is of units, which have outlines already: take a run on a grid")
    if not run.recipe.map:
        raise RunError(f"{run.id} made no map: run its recipe again with map: true")


def _threshold(
    run: runs.Run, home: xr.Dataset, how: Delineation, score: xr.DataArray | None
) -> tuple[float, str]:
    if not isinstance(how.threshold, str):
        return how.threshold, "as given"
    rule = how.threshold
    if run.recipe.by_chips:  # every cell of the chips that validated
        places = run.scores[run.scores["split"] == "validation"]
        at = choose_threshold(places["label"], places["score"], rule).threshold
        return at, f"{rule} on the {len(places):,} cells of validation chips"
    if run.recipe.protocol == "honest":
        slides = landslide_places(home)
        slides["block"] = blocks_of_places(home, run.recipe, slides)
        ground = hold_out(home, run.recipe, slides).ground == PARTS.index("validation")
        values = (score_map(run, home) if score is None else score).to_numpy()
        here = ground & np.isfinite(values)
        label = home["landslide"].to_numpy()[here]
        at = choose_threshold(label, values[here], rule).threshold
        return at, f"{rule} on the {len(label):,} cells of validation ground"
    places = run.scores[run.scores["split"] == "validation"]
    share, drawn = float(home["landslide"].where(home["valid"]).mean()), places["label"].mean()
    weight = np.where(places["label"] == 1, share / drawn, (1 - share) / (1 - drawn))
    at = choose_threshold(places["label"], places["score"], rule, weight=weight).threshold
    return at, f"{rule} on {len(places):,} validation places, weighted to {share:.2%} landslides"


def _seen_from(run: runs.Run, places: Any, shape: tuple[int, int]) -> Cells:
    if run.recipe.by_chips:  # test chips share no cell with others, and keep their own distance
        return np.zeros(shape, dtype=bool)
    return near(places["row"], places["col"], shape, run.recipe.window // 2 + 1)
