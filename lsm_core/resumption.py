"""A run that was cut off is taken up again only where it would end as it was begun."""

import shutil

import pandas as pd

from lsm_core.checkpoint import NAME as CHECKPOINT
from lsm_core.errors import RunError
from lsm_core.planning import Plan
from lsm_core.run_files import read_json, sweep, write_json
from lsm_core.runs import Run, hash_places, versions


def clear(run: Run, plan: Plan) -> None:
    """Make the folder ready: half-written files go, and what other versions have learnt.

    Raises
    ------
    RunError : the area was built from other files since, or other places would be drawn.
    """
    was = run.area.get("fingerprints")
    if was is not None and was != plan.area["fingerprints"]:
        raise RunError(
            f"{run.id} was begun on {plan.area['name']} as it was built from other files: run its "
            f"recipe anew (`lsm runs clone {run.id} recipe.yaml`)"
        )
    if (run.path / "samples.parquet").is_file() and _places(run.samples) != _places(plan.samples):
        raise RunError(
            f"{run.id} had drawn other places than are drawn now: its study area was changed, or "
            f"the program; run its recipe anew (`lsm runs clone {run.id} recipe.yaml`)"
        )
    sweep(run.path)
    if read_json(run.path / "versions.json") != (now := versions()):
        (run.path / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(run.path / "model", ignore_errors=True)
        write_json(run.path / "versions.json", now)


def _places(samples: pd.DataFrame) -> dict[str, str]:
    """A fingerprint of the places of each part."""
    return {str(part): hash_places(some, "") for part, some in samples.groupby("split")}
