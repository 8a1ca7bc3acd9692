"""The foreman: from a recipe to a run folder. Reads like the method section of a paper.

The area is opened, places are drawn under the recipe's protocol, the encoder is fitted on training
places, the model is trained, judged on held-out places, and maps the whole area. Every mistake a
user can make is found before the run folder is made.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import detected_area, evaluation, full_memory, metrics, prediction, runs, transfer
from lsm_core.arrival import checked_by
from lsm_core.calibration import Calibrator
from lsm_core.checkpoint import NAME as CHECKPOINT
from lsm_core.detection import judge_objects, overlap_of_chips
from lsm_core.encoding import count_filled
from lsm_core.errors import AreaError, LsmError, RunError, Stopped
from lsm_core.fitting import Ask, Report, fit_model
from lsm_core.grid import grid_of
from lsm_core.null_models import null_models, null_warnings
from lsm_core.planning import Plan as Plan
from lsm_core.planning import plan_run as plan_run
from lsm_core.protocol import scored
from lsm_core.qgis_style import map_style, zone_style
from lsm_core.recipe import Recipe
from lsm_core.sampling import landslide_places
from lsm_core.screening import screen
from lsm_core.splits import overlap_report
from lsm_core.study_area import (
    built_at,
    factor_table,
    factors,
    inventory,
    is_units,
    layer,
    shape_of,
)
from lsm_core.unit_scores import density_by_area, drawn, score_table

CURVE_POINTS = 5_000  # of a stored curve


def run_experiment(
    recipe: Recipe,
    into: Path,
    on_progress: Report | None = None,
    should_stop: Ask | None = None,
) -> runs.Run:
    """Run a recipe; leaves one run folder in `into`.

    Parameters
    ----------
    recipe : with its study area named.
    on_progress : is called with a mapping that has `event`: stage, batch, epoch, map or done.
    should_stop : is asked after every batch and strip.

    Raises
    ------
    LsmError : a user's mistake; found before the folder is made.
    Stopped : `should_stop` said so; the folder says `stopped` and stays readable.
    """
    recipe = detected_area.settled(
        recipe, into, lambda first: run_experiment(first, into, on_progress, should_stop)
    )
    plan = plan_run(recipe)
    path = runs.create_run(recipe, plan.area, into)
    return carry_out(plan, path, on_progress, should_stop)


def carry_out(
    plan: Plan, path: Path, on_progress: Report | None = None, should_stop: Ask | None = None
) -> runs.Run:
    """Do what was planned in an existing run folder, and say in it how it ended."""

    def report(event: dict[str, Any]) -> None:
        runs.add_progress(path, event)
        if on_progress:
            on_progress(event)

    runs.set_status(path, "running")
    try:
        _carry_out(plan, path, report, should_stop or (lambda: False))
    except (Stopped, KeyboardInterrupt) as error:
        runs.set_status(path, "stopped", str(error))
        raise
    except BaseException as error:
        full = full_memory.ran_out(error)
        words = str(error) if isinstance(error, LsmError) else f"{type(error).__name__}: {error}"
        words = full_memory.full_in_words(error) if full else words
        with suppress(OSError, MemoryError):  # no room for a word: it will say `lost`
            runs.set_status(path, "failed", words)
        if full:
            raise RunError(words) from error
        raise
    runs.set_status(path, "done")
    report({"event": "done"})
    (path / CHECKPOINT).unlink(missing_ok=True)
    return runs.open_run(path)


def _carry_out(plan: Plan, path: Path, report: Report, should_stop: Ask) -> None:
    ds, encoder = plan.ds, plan.encoder
    clock = _Clock()
    runs.write_table(path / "samples.parquet", plan.samples)
    runs.write_json(path / "encoder.json", encoder.to_json())
    if plan.selection is not None:
        runs.write_json(path / "selection.json", plan.selection)

    fit = fit_model if plan.recipe.transfer is None else transfer.fit_transfer
    model = fit(plan.recipe, ds, encoder, plan.samples, path, report, should_stop)
    clock.lap("training")

    report({"event": "stage", "stage": "evaluating", "message": "scoring held-out places"})
    check = checked_by(plan.recipe)
    scores, calibrator = evaluation.calibrated(
        _score(model, plan), plan.recipe.calibration, check=check
    )
    if check is not None:
        check = check.assign(score=calibrator(check["score"].to_numpy()))
    runs.write_table(path / "scores.parquet", scores)
    runs.write_json(path / "calibration.json", calibrator.to_json())
    clock.lap("evaluating")

    judged = _judge(scores, plan)
    prevalence = float(ds["landslide"].where(ds["valid"]).mean())
    _add(judged, evaluation.judge_places(scores, prevalence=prevalence, check=check))
    if plan.recipe.transfer is not None:
        judged["transfer"] = runs.read_json(path / "transfer.json")
    judged["counts"] = plan.counts
    if plan.recipe.inventory is not None:
        _add(judged, _mapped(model, calibrator, plan, path))
    if plan.recipe.by_chips:
        judged["objects"] = judge_objects(scores, shape_of(ds), judged["thresholds"])
    if plan.recipe.map:
        _map(model, calibrator, plan, scores, judged, path, report, should_stop, clock)
    judged["filled"] = count_filled(ds, encoder)
    _check_area(plan)
    judged["seconds"] = clock.laps
    runs.write_json(path / "metrics.json", judged)


def _check_area(plan: Plan) -> None:
    """A grid is read as it is needed: one built anew meanwhile would have been half of each."""
    if is_units(plan.ds) or "built" not in plan.area:
        return
    if built_at(plan.area["path"]) != plan.area["built"]:
        raise AreaError(
            f"{plan.area['name']} was built anew while this run read it, so that its numbers would "
            "be of both: run it again"
        )


def _mapped(model: Any, calibrator: Calibrator, plan: Plan, path: Path) -> dict[str, Any]:
    """Of a run on detected landslides: the mapped ones of its test ground; its own are kept."""

    def score(rows: pd.Series, cols: pd.Series) -> NDArray[np.float32]:
        return calibrator(prediction.score_places(model, plan.encoder, plan.ds, rows, cols))

    runs.write_shapes(path / "inventory.gpkg", inventory(plan.area["path"]))
    return detected_area.judge_mapped(score, plan.ds, plan.recipe, plan)


def _add(judged: dict[str, Any], more: dict[str, Any]) -> None:
    judged |= more | {"warnings": judged.get("warnings", []) + more["warnings"]}


def _map(
    model: Any,
    calibrator: Calibrator,
    plan: Plan,
    scores: pd.DataFrame,
    judged: dict[str, Any],
    path: Path,
    report: Report,
    should_stop: Ask,
    clock: "_Clock",
) -> None:
    """The map of the whole area, its zones, and what they say of the landslides: into `judged`."""
    ds = plan.ds
    report({"event": "stage", "stage": "mapping", "message": "mapping the whole area"})
    strips = prediction.predict_strips(
        model,
        plan.encoder,
        ds,
        on_progress=lambda done, total: report({"event": "map", "done": done, "total": total}),
        should_stop=should_stop,
    )
    bent = ((row, calibrator(block)) for row, block in strips)
    if is_units(ds):
        index = np.concatenate([block for _, block in bent])
    else:
        runs.write_map(path / "susceptibility.tif", grid_of(ds), bent)
        runs.write_text(path / "susceptibility.qml", map_style())
        strips = runs.read_strips(path / "susceptibility.tif")
        index = np.concatenate([block for _, block in strips])
    clock.lap("mapping")

    report({"event": "stage", "stage": "zoning", "message": "zones and landslide density"})
    zoned = _zone(plan, index, path)
    clock.lap("zoning")

    _add(judged, evaluation.judge_map(index, scores, plan.test_ground))
    _add(judged, zoned)
    judged["histogram"] = _histogram(index)
    judged["counts"] = plan.counts | {"cells mapped": int(np.isfinite(index).sum())}


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 2)
        self._last = now


# --------------------------------------------------------------------------------- evaluation


def _score(model: Any, plan: Plan) -> pd.DataFrame:
    """Scores of every place that has a hard label."""
    places = plan.places[plan.places["label"] >= 0]
    score = prediction.score_places(model, plan.encoder, plan.ds, places["row"], places["col"])
    return places[["row", "col", "label", "landslide_id", "split", "block"]].assign(score=score)


def _judge(scores: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    """Numbers and curves of the test places; beside them those of validation and training."""
    test = scores[scores["split"] == "test"]
    label, score = test["label"].to_numpy(), test["score"].to_numpy()
    held = {
        "protocol": plan.recipe.protocol,
        "n": len(test),
        "landslides": int(label.sum()),
        "test_places": runs.hash_places(test, plan.area["name"]),
        "scores": _defined(metrics.scores(label, score)),
        "scores_macro": _defined(metrics.scores(label, score, average="macro")),
        "curves": {
            "pr": _plain(metrics.pr_curve(label, score)),
            "roc": _plain(metrics.roc_curve(label, score)),
        },
        "overlap": _overlap(plan),
    }
    held |= _null_models(plan, metrics.roc_auc(label, score))
    seen = {part: scores[scores["split"] == part] for part in ("validation", "train")}
    both = {part: _areas(places) if len(places) else None for part, places in seen.items()}
    return held | _areas(test) | both


def _overlap(plan: Plan) -> dict[str, Any]:
    """The leakage meter, copies of a place's factor values among what it counts, but for images."""
    samples, features = plan.samples, None
    if plan.cells is not None:
        return overlap_of_chips(samples, plan.cells, plan.recipe.chip)
    if not plan.encoder.bands:
        features = factor_table(plan.ds, samples["row"], samples["col"], plan.recipe.input.factors)
    return overlap_report(samples, plan.recipe.window, plan.ds, features)


def _null_models(plan: Plan, auc: float) -> dict[str, Any]:
    """Slope alone and nearness alone on the test places; factors that tell the label."""
    nulls = null_models(plan.ds, plan.places)
    train = scored(plan.places, "train")
    names = plan.recipe.input.factors or factors(plan.ds)
    table = factor_table(plan.ds, train["row"], train["col"], names)
    kinds = {name: plan.ds[name].attrs["kind"] for name in names}
    flags = screen(table, train["label"], kinds) if len(train) else []
    return {
        "null_models": nulls,
        "flags": [flag._asdict() for flag in flags],
        "warnings": null_warnings(auc, nulls) + [flag.words for flag in flags],
    }


def _defined(scores: dict[str, float]) -> dict[str, float | None]:
    """None for what is not defined, such as the precision of a model that predicts nothing."""
    return {name: value if np.isfinite(value) else None for name, value in scores.items()}


def _areas(places: pd.DataFrame) -> dict[str, float]:
    label, score = places["label"], places["score"]
    return {
        "average_precision": metrics.average_precision(label, score),
        "roc_auc": metrics.roc_auc(label, score),
    }


def _plain(curve: Any) -> dict[str, list[float | None]]:
    """A curve as lists; JSON has no infinity, so the opening point has no threshold.

    Of the curve of very many places an even choice of points, both ends among them.
    """
    n = len(curve[0])
    kept = np.unique(np.linspace(0, n - 1, min(n, CURVE_POINTS)).round().astype(int))
    return {
        name: [float(v) if np.isfinite(v) else None for v in np.asarray(values)[kept]]
        for name, values in curve._asdict().items()
    }


def _histogram(index: NDArray[np.float32]) -> dict[str, list[float]]:
    count, edges = np.histogram(index[np.isfinite(index)], bins=50, range=(0, 1))
    return {"edges": edges.tolist(), "count": count.tolist()}


def _zone(plan: Plan, index: NDArray[np.float32], path: Path) -> dict[str, Any]:
    """Zones as the recipe wants them, as a map and as limits to apply elsewhere; density tables."""
    rng = np.random.default_rng(plan.recipe.seed)
    seen = evaluation.landslides_of(plan.places, index.shape, "train", "validation")
    limits, warnings = evaluation.zone_limits(index, plan.recipe.zoning, seen, rng)
    zones = limits.zone(index)
    if is_units(plan.ds):
        _write_units(plan, index, zones, limits.k, path)
    else:
        runs.write_map(path / "zones.tif", grid_of(plan.ds), [(0, zones)], dtype="uint8")
        runs.write_text(path / "zones.qml", zone_style(limits.k))
    runs.write_json(path / "zones.json", limits.to_json())
    grounds = {"whole map": np.ones(index.shape, dtype=bool)}
    if plan.test_ground is not None:
        grounds["test blocks"] = plan.test_ground
    tables = evaluation.density_tables(index, landslide_count(plan.ds), grounds, limits, rng)
    runs.write_table(path / "density_table.csv", tables[list(runs.DENSITY_COLUMNS)])
    name = evaluation.chosen_name(limits)
    counted = "units" if is_units(plan.ds) else "cells"
    statement = evaluation.reasonableness(tables, name, counted)
    return {"zoning": name, "reasonableness": statement, "warnings": warnings}


def _write_units(
    plan: Plan, index: NDArray[np.float32], zones: NDArray[np.uint8], k: int, path: Path
) -> None:
    """What stands for the map of units: their scores as a table, with shapes if they have any."""
    table = score_table(plan.ds, index, zones, plan.samples)
    runs.write_table(path / "susceptibility.csv", table)
    shapes = drawn(table, Path(plan.area["path"]))
    if shapes is not None:
        runs.write_shapes(path / "susceptibility.gpkg", shapes)
    if "area_m2" in table:
        runs.write_table(path / "density_by_area.csv", density_by_area(table, k))


def landslide_count(ds: xr.Dataset) -> NDArray[np.int64]:
    """Landslides by the cell that holds their place: each counts once, whatever its size.

    Of units, the landslides each holds, or 1 where their number is not known.
    """
    if "landslide_count" in ds:
        return np.where(layer(ds, "valid"), layer(ds, "landslide_count"), 0).astype(np.int64)
    slides = landslide_places(ds)
    count = np.zeros(shape_of(ds), dtype=np.int64)
    np.add.at(count, (slides["row"], slides["col"]), 1)
    return count
