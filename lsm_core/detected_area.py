"""A study area whose landslides a detector found: detection and susceptibility in one recipe.

A recipe with an `inventory` names a finished run, or a recipe that is run first as a run of its
own. From its map the landslides are delineated and take the place of the mapped ones, in a folder
of the detection run (`detected/`): the area itself is never changed.

What leaks, and what does not. A detector that was taught the mapped landslides of a block repeats
them there: as labels its detections are the map again, and as test places they flatter. On `unseen`
ground (the default) susceptibility is learnt and tested only where the detector has learnt nothing,
neither landslides nor weights nor its threshold, so that its landslides are as good as it would
find them elsewhere. With ground `all` every detection counts, and what was taught is counted.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lsm_core import metrics, runs
from lsm_core.catalog import did_you_mean, shipped
from lsm_core.delineation_settings import FromScores
from lsm_core.errors import InventoryError, RecipeError
from lsm_core.grid import grid_of
from lsm_core.inventory import lay_inventory
from lsm_core.inventory_of_scores import (
    Detected,
    detect,
    grounds_of,
    held_against,
    in_words,
    unseen_ground,
)
from lsm_core.protocol import mapped_test_places
from lsm_core.recipe import Recipe, changes_of, load_recipe
from lsm_core.repeats import finished
from lsm_core.study_area import (
    area_path,
    inventory,
    is_units,
    open_area,
    save_over,
)

FOLDER, ABOUT = "detected", "detection.json"


def detection_recipe(recipe: Recipe) -> Recipe:
    """The recipe that is to be run first, on the same area, with its changes.

    Raises
    ------
    RecipeError : there is no such recipe, or it has an inventory of scores itself.
    """
    wanted = _settings(recipe)
    ours = {path.stem: path for path in shipped("recipes").glob("*.yaml")}
    name = str(wanted.recipe)
    if not Path(name).is_file() and Path(name).stem not in ours:
        raise RecipeError(f"inventory.recipe: no recipe {name}: {did_you_mean(name, sorted(ours))}")
    path = Path(name) if Path(name).is_file() else ours[Path(name).stem]
    first = load_recipe(path, [f"area={recipe.area}", *changes_of(wanted.changes)])
    if first.inventory is not None:
        raise RecipeError(f"inventory.recipe {name} takes its own inventory from scores: one step")
    return first


def settled(recipe: Recipe, into: Path, carry: Callable[[Recipe], runs.Run]) -> Recipe:
    """The recipe with the run of detection that its inventory comes from.

    A finished run of `inventory.recipe` on the same area in the folder `into` is taken; else
    `carry` runs it. Without an inventory, or with a run named, the recipe is as it was.
    """
    if recipe.inventory is None or recipe.inventory.run is not None or recipe.area is None:
        return recipe
    first = detection_recipe(recipe)
    path = area_path(recipe.area)
    ds = open_area(path)
    area = {"name": ds.attrs["name"], "path": str(path.resolve())}
    area |= {"fingerprints": json.loads(ds.attrs.get("fingerprints", "{}"))}
    run = finished(first, area, into) or carry(first)
    at_home = runs.runs_folder().resolve() == run.path.resolve().parent
    named = {"run": run.id if at_home else str(run.path.resolve())}
    chosen = recipe.inventory.model_copy(update=named)
    return recipe.model_copy(update={"inventory": chosen})


def detected_area(recipe: Recipe) -> Path:
    """The folder of the study area with the landslides that the recipe's detection found.

    Made once for the same run, area and settings. Beside it `detection.json` says what was counted,
    how the detections compare with the mapped landslides, and what leaks.

    Raises
    ------
    RecipeError : no run is named (see `settled`), or the area is made of units. InventoryError :
    nothing is left of the detections. Errors of `inventory_of_scores.detect`.
    """
    wanted = _settings(recipe)
    if wanted.run is None:
        raise RecipeError(
            f"inventory.recipe {wanted.recipe} has not been run yet: run this recipe with `lsm "
            "run`, which runs it first, or name a finished run in inventory.run"
        )
    base_path = area_path(str(recipe.area))
    base, run = open_area(base_path), runs.open_run(wanted.run)
    if is_units(base):
        raise RecipeError(f"{recipe.area} is made of units: an inventory of scores needs a grid")
    path = run.path / FOLDER / _key(wanted, base)
    if not (path / ABOUT).is_file():
        _build(path, base_path, base, run, wanted)
    return path


def about(path: Path) -> dict[str, Any]:
    """What `detection.json` of a detected area says: `counts`, `against`, `threshold`, `words`."""
    return json.loads((Path(path) / ABOUT).read_text(encoding="utf-8"))


def leakage(ds: xr.Dataset, samples: Any) -> dict[str, Any]:
    """How many places of a susceptibility run lie where its detector was taught, and in words.

    Parameters
    ----------
    ds : a detected area. samples : places (row, col, label, split).
    """
    taught = ~ds["untaught"].to_numpy()[samples["row"], samples["col"]]
    slides = samples["label"] == 1
    told = {
        part: {"landslides": int((slides & of).sum()), "taught": int((slides & of & taught).sum())}
        for part in ("train", "validation", "test")
        for of in [samples["split"] == part]
    }
    seen = sum(row["taught"] for row in told.values())
    share = float(ds["untaught"].to_numpy()[ds["valid"].to_numpy()].mean())
    if not seen and not taught.any():
        words = (
            "no leak: every place lies on ground that the detector learnt nothing from "
            f"({share:.0%} of the area)"
        )
    else:
        listed = ", ".join(f"{r['taught']} of {r['landslides']} {p}" for p, r in told.items())
        words = (
            f"LEAK: landslides on ground where the detector was taught the mapped ones: {listed}; "
            "there detections repeat the map: labels are better than they would be elsewhere"
        )
    return {"untaught_share": share, "places": told, "words": words}


def _settings(recipe: Recipe) -> FromScores:
    if recipe.inventory is None:
        raise RecipeError("the recipe has no inventory of scores")
    return recipe.inventory


def _key(wanted: FromScores, base: xr.Dataset) -> str:
    """Of everything a detected area follows from, but for the run in whose folder it lies."""
    kept = wanted.model_dump(mode="json", exclude={"run", "recipe", "changes"})
    made_of = [kept, base.attrs["name"], base.attrs.get("fingerprints", "")]
    text = json.dumps(made_of, sort_keys=True)
    return f"{base.attrs['name']}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _build(
    path: Path, base_path: Path, base: xr.Dataset, run: runs.Run, wanted: FromScores
) -> None:
    found = detect(run, wanted.delineation, base)
    against = held_against(found.number, base, grounds_of(run, base), overlap=wanted.overlap)
    said = in_words(found, against)
    if not len(found.landslides):
        raise InventoryError(f"nothing is left of the detections of {run.id}: {said}")
    layers, table = _layers(base, base_path, run, found, wanted)
    lines = json.loads(base.attrs.get("prepared", "{}"))
    lines["lines"] = [*lines.get("lines", []), f"landslides of {run.id}", *said.splitlines()]
    prints = json.loads(base.attrs.get("fingerprints", "{}")) | {f"run {run.id}": _weights(run)}
    layers.attrs = dict(base.attrs) | {"prepared": json.dumps(lines)}
    layers.attrs["fingerprints"] = json.dumps(prints)
    save_over(layers, path, over=base_path, inventory=table)
    facts = {"run": run.id, "threshold": found.threshold, "chosen": found.chosen}
    told = {"settings": wanted.delineation.model_dump(mode="json"), "counts": found.counts}
    runs.write_json(path / ABOUT, facts | told | {"against": against, "words": said})


def _layers(
    base: xr.Dataset, base_path: Path, run: runs.Run, found: Detected, wanted: FromScores
) -> tuple[xr.Dataset, Any]:
    """What differs from the area, and the polygons that belong beside it."""
    untaught = _untaught(base, run, wanted)
    valid = base["valid"].to_numpy()
    flat = ("y", "x")
    layers = xr.Dataset(coords={"y": base["y"], "x": base["x"]})
    if wanted.labels == "detected":
        laid = lay_inventory(found.landslides, grid_of(base), valid)
        ids, table, x, y = laid.landslide_id, laid.inventory, laid.x, laid.y
    else:
        ids, table = base["landslide_id"].to_numpy(), inventory(base_path)
        x, y = base["place_x"].to_numpy(), base["place_y"].to_numpy()
    layers["landslide"] = (flat, (ids > 0).astype("uint8"))
    layers["landslide_id"] = (flat, ids)
    layers = layers.assign_coords(place=np.arange(1, len(x) + 1, dtype="int32"))
    layers["place_x"], layers["place_y"] = ("place", x), ("place", y)
    if wanted.labels == "detected":
        for field in ("area_m2", "mean_score", "max_score"):
            layers[f"place_{field}"] = ("place", table[field].to_numpy())
    layers["mapped_id"] = (flat, base["landslide_id"].to_numpy())
    layers["mapped_x"] = ("mapped", base["place_x"].to_numpy())
    layers["mapped_y"] = ("mapped", base["place_y"].to_numpy())
    layers["untaught"] = (flat, untaught)
    layers["drawn_from"] = (flat, untaught if wanted.ground == "unseen" else valid)
    return layers, table


def _untaught(base: xr.Dataset, run: runs.Run, wanted: FromScores) -> Any:
    """A detector under the paper protocol was taught everywhere."""
    home = base.attrs["name"] == run.area["name"]
    if home and run.recipe.protocol != "honest" and wanted.ground == "all":
        return np.zeros(base["valid"].shape, dtype=bool)
    return unseen_ground(run, base)


def _weights(run: runs.Run) -> str:
    """A run is known by its samples' scores: other weights, other scores."""
    return hashlib.sha256((run.path / "scores.parquet").read_bytes()).hexdigest()


def judge_mapped(
    score: Callable[[Any, Any], Any], ds: xr.Dataset, recipe: Recipe, plan: Any
) -> dict[str, Any]:
    """The mapped landslides of the same test ground, beside what the detector leaks.

    Parameters
    ----------
    score : gives scores of cells by rows and cols. plan : has `samples` and `test_ground`.

    Returns
    -------
    `mapped`: n, landslides, average_precision, roc_auc, test_places (those of a run on the mapped
    landslides with the same split); `detection`: run, settings, counts, against, leakage;
    `warnings`, where something leaks.
    """
    places = mapped_test_places(ds, recipe, plan.test_ground)
    scores, label = score(places["row"], places["col"]), places["label"].to_numpy()
    mapped = {
        "n": len(places),
        "landslides": int(label.sum()),
        "average_precision": metrics.average_precision(label, scores),
        "roc_auc": metrics.roc_auc(label, scores),
        "test_places": runs.hash_places(places, ds.attrs["name"]),
    }
    leak = leakage(ds, plan.samples)
    warnings = [leak["words"]] if leak["words"].startswith("LEAK") else []
    told = about(Path(plan.area["path"])) | {"leakage": leak}
    return {"mapped": mapped, "detection": told, "warnings": warnings}
