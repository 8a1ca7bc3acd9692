"""Run folders: the only memory. Written here, read here, listed and compared here.

A run is a folder with `recipe.json`, `area.json`, `status.json`, `progress.jsonl`, `encoder.json`,
`samples.parquet`, `scores.parquet`, `metrics.json` (curves included), `model/`,
`susceptibility.tif`, `zones.tif`, `density_table.csv` and `versions.json`. Every file is written
beside its place and moved there, so a killed process leaves a folder that reads as `lost`, never a
broken file.
"""

import hashlib
import importlib.metadata
import logging
import platform
import shutil
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from lsm_core import own_code, side_by_side, zoning
from lsm_core.calibration import Calibrator
from lsm_core.checkout import commit
from lsm_core.device import backend_name
from lsm_core.errors import RunError
from lsm_core.recipe import Recipe
from lsm_core.run_files import alone as alone
from lsm_core.run_files import check_inside, read_json, read_table, strange, write_json
from lsm_core.run_files import read_strips as read_strips
from lsm_core.run_files import write_bytes as write_bytes
from lsm_core.run_files import write_map as write_map
from lsm_core.run_files import write_shapes as write_shapes
from lsm_core.run_files import write_table as write_table
from lsm_core.run_files import write_text as write_text
from lsm_core.run_status import ALIVE, find_run, read_status, runs_folder, set_status
from lsm_core.run_status import FORMAT as FORMAT
from lsm_core.run_status import STATES as STATES
from lsm_core.run_status import add_progress as add_progress
from lsm_core.run_status import read_progress as read_progress
from lsm_core.zoning import Limits, Side

PACKAGES = (
    *("lsm-workbench", "keras", "tensorflow-cpu", "tensorflow", "jax", "torch"),
    *("scikit-learn", "numpy", "pandas", "xarray", "rasterio", "numba", "pyflwdir", "jenkspy"),
)
LEVELS, LEVEL_COLOURS = zoning.LEVELS, zoning.LEVEL_COLOURS
SCORE_COLUMNS = side_by_side.SCORE_COLUMNS
compare, compare_protocols = side_by_side.compare, side_by_side.compare_protocols
DENSITY_COLUMNS = (
    *("breaks", "where", "zone", "from", "to", "cells", "share_of_cells"),
    *("landslides", "share_of_landslides", "density"),
)


@dataclass(frozen=True)
class Run:
    """One run folder, read when asked. Every property is as it is on disk at the first asking."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @cached_property
    def recipe(self) -> Recipe:
        stored = read_json(self.path / "recipe.json", dict)
        try:
            return Recipe.model_validate(stored, context={"stored": True})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise strange(self.path / "recipe.json", f"{where}: {first['msg']}") from error

    @cached_property
    def area(self) -> dict[str, Any]:
        """Name, path, grid and fingerprints of the study area."""
        return read_json(self.path / "area.json", dict)

    @property
    def area_path(self) -> Path:
        if not isinstance(self.area.get("path"), str):
            raise strange(self.path / "area.json", "it names no folder")
        return Path(self.area["path"])

    @cached_property
    def metrics(self) -> dict[str, Any]:
        found = read_json(self.path / "metrics.json", dict)
        scores = found.get("scores")
        whole = isinstance(scores, dict) and isinstance(found.get("test_places"), str)
        if not whole or not all(isinstance(s, int | float | None) for s in scores.values()):
            raise strange(self.path / "metrics.json", "its scores or test places are missing")
        return found

    @cached_property
    def selection(self) -> dict[str, Any] | None:
        """Which factors were kept, and why not the others; None where the recipe chose none."""
        path = self.path / "selection.json"
        return read_json(path, dict) if path.is_file() else None

    @cached_property
    def encoder(self) -> dict[str, Any]:
        return read_json(self.path / "encoder.json", dict)

    @property
    def factors(self) -> list[str]:
        """Names of the factors it learns from, in order; none while that is not settled."""
        if self.selection:
            return list(self.selection["kept"])
        if self.recipe.input.factors is not None:
            return list(self.recipe.input.factors)
        there = (self.path / "encoder.json").is_file()
        return [str(about["name"]) for about in self.encoder.get("factors", [])] if there else []

    @cached_property
    def samples(self) -> pd.DataFrame:
        return read_table(self.path / "samples.parquet")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Test and validation places: row, col, label, split, score."""
        return read_table(self.path / "scores.parquet")

    @cached_property
    def density_table(self) -> pd.DataFrame:
        return pd.read_csv(self._file("density_table.csv"))

    @cached_property
    def calibrator(self) -> Calibrator:
        """What turns the model's scores into those of this run; older runs leave them as are."""
        path = self.path / "calibration.json"
        return Calibrator.from_json(read_json(path)) if path.exists() else Calibrator("none")

    @cached_property
    def limits(self) -> Limits:
        """The limits of the run's zones, to be applied to other maps too."""
        if (self.path / "zones.json").exists():
            return Limits.from_json(read_json(self.path / "zones.json"))
        return self.limits_by("natural")  # of an older run

    def limits_by(self, breaks: str) -> Limits:
        """Limits of the classes that the map is counted by, as "equal 0.2" (RunError: no such)."""
        table = self.density_table[self.density_table["where"] == "whole map"]
        own = table[table["breaks"] == breaks]
        if own.empty:
            kinds = ", ".join(sorted(set(table["breaks"])))
            raise RunError(f"{self.id} has no classes by {breaks!r}; it has {kinds}")
        closed: Side = "left" if breaks.startswith("equal") else "right"
        return Limits(breaks, (float(own["from"].iloc[0]), *own["to"].map(float)), closed)

    @property
    def has_map(self) -> bool:
        """False of a run on units, which has `unit_scores` instead, and of one without `map`."""
        return self.recipe.map and not self.on_units

    @property
    def on_units(self) -> bool:
        return (self.path / "susceptibility.csv").exists()

    @property
    def counted(self) -> str:
        """What its density table counts: "cells", or of a run on units "units"."""
        return "units" if self.on_units else "cells"

    @cached_property
    def unit_scores(self) -> pd.DataFrame:
        """Of a run on units: unit, label, split, score, zone, and x, y where they are known."""
        table = pd.read_csv(self._file("susceptibility.csv"), keep_default_na=True)
        return table.assign(split=table["split"].fillna(""))

    @property
    def map_path(self) -> Path:
        return self._file("susceptibility.tif")

    @property
    def zones_path(self) -> Path:
        return self._file("zones.tif")

    @property
    def status(self) -> dict[str, Any]:
        return read_status(self.path)

    @property
    def state(self) -> str:
        return str(self.status["state"])

    @property
    def tags(self) -> list[str]:
        path = self.path / "tags.json"
        return list(read_json(path, list)) if path.exists() else []

    @property
    def title(self) -> str:
        return self.recipe.title or self.recipe.name

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            why = f"it is {self.state}, not done"
            if self.state == "done" and not self.recipe.map:
                why = "it was run without a map (map: false)"
            raise RunError(f"run {self.id} has no {name}: {why}")
        check_inside(path)
        return path


# ---------------------------------------------------------------------------------- the folder


def create_run(recipe: Recipe, area: dict[str, Any], into: Path, mark: str = "") -> Path:
    """A new run folder, `queued`, named after recipe, area, protocol, the mark and the time."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    parts = (recipe.name, area["name"], recipe.protocol, mark, stamp)
    name = "-".join(part for part in parts if part)
    if Path(name).name != name or "\0" in name:
        raise RunError(f"{name!r} is not a folder name: no slashes in names of recipes and areas")
    into.mkdir(parents=True, exist_ok=True)
    new = into / f".{name}.{uuid.uuid4().hex[:8]}.new"
    try:
        new.mkdir()
        write_json(new / "recipe.json", recipe.model_dump(mode="json"))
        write_json(new / "area.json", area)
        write_json(new / "versions.json", versions())
        if own := own_code.used_source(recipe.named_code):
            write_text(new / "own_code.py", own)
        set_status(new, "queued")
        return _named(new, into, name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _named(new: Path, into: Path, name: str) -> Path:
    """Move a folder to `into/name`, or `name-2` and so on where that is taken."""
    for number in range(1, 1000):
        path = into / (name if number == 1 else f"{name}-{number}")
        try:
            return new.rename(path)
        except OSError:
            if not path.exists():
                raise
    raise RunError(f"{into} holds a thousand runs named {name}: delete some")


def versions() -> dict[str, str]:
    """What computed a run: commit, Python, platform, packages that matter, what networks run on."""
    found = {
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    found["keras backend"] = backend_name()  # of those that may be installed beside each other
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


# ------------------------------------------------------------------------------------- reading


def open_run(path: Path | str) -> Run:
    """A run by its folder, or by its name in the workspace; see `run_status.find_run`."""
    return Run(find_run(path))


def list_runs(folder: Path | None = None) -> list[Run]:
    """The runs of a folder, oldest first; the workspace's by default."""
    folder = runs_folder() if folder is None else Path(folder)
    found = folder.glob("*/status.json") if folder.is_dir() else iter(())
    folders = [p.parent for p in found if not p.parent.name.startswith(".")]  # one being made does
    runs = [Run(p.resolve()) for p in folders if (p / "recipe.json").is_file()]
    made = {run: when for run in runs if (when := _created(run))}
    return sorted(made, key=lambda run: (made[run], run.id))


def _created(run: Run) -> str:
    """When a run was made; "" of one that cannot be read, which is said in the log."""
    try:
        return str(run.status["created"])
    except RunError as error:
        logging.getLogger(__name__).warning("left out of the list: %s", error)
        return ""


def hash_places(places: pd.DataFrame, area: str) -> str:
    """A fingerprint of test places, by area, cell and label and not by order."""
    cells = places[["row", "col", "label"]].astype("int64").sort_values(["row", "col", "label"])
    return hashlib.sha256(area.encode() + cells.to_numpy().tobytes()).hexdigest()[:16]


# ---------------------------------------------------------------------------------- housekeeping


def tag_run(run: Run, tag: str) -> None:
    write_json(run.path / "tags.json", [*run.tags, tag])


def rename_run(run: Run, name: str) -> Run:
    """Give a run another folder name; refused while it runs."""
    _at_rest(run, "renamed")
    if not name or Path(name).name != name or name.startswith("."):
        raise RunError(f"{name!r} is not a folder name: no slashes, no leading dot")
    target = run.path.with_name(name)
    if target.exists():
        raise RunError(f"there is a run named {name} already: choose another name")
    run.path.rename(target)
    return Run(target)


def delete_run(run: Run) -> None:
    _at_rest(run, "deleted")
    shutil.rmtree(run.path)


def clone_run(run: Run) -> Recipe:
    """The recipe of a run with its area, to run again or to change."""
    return run.recipe.model_copy(update={"area": run.recipe.area or run.area["name"]})


def _at_rest(run: Run, what: str) -> None:
    if run.state in ALIVE:
        raise RunError(f"{run.id} is {run.state} and cannot be {what}: `lsm stop {run.id}` first")
