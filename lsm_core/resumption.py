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
    was, now = read_json(run.path / "versions.json", dict), versions()
    if was != now:
        if _packages(was) != _packages(now):
            (run.path / CHECKPOINT).unlink(missing_ok=True)
            shutil.rmtree(run.path / "model", ignore_errors=True)
        else:  # what it has learnt stays, and that another commit went on with it is said
            now["commit"] = _one_after_another(was.get("commit", "unknown"), now["commit"])
        write_json(run.path / "versions.json", now)


def _one_after_another(was: str, now: str) -> str:
    """
    >>> _one_after_another("1a", "2b"), _one_after_another("1a, then 2b", "2b")
    ('1a, then 2b', '1a, then 2b')
    """
    return was if was.split(", then ")[-1] == now else f"{was}, then {now}"


def _packages(versions: dict[str, str]) -> dict[str, str]:
    return {name: number for name, number in versions.items() if name != "commit"}


def _places(samples: pd.DataFrame) -> dict[str, str]:
    """A fingerprint of the places of each part."""
    return {str(part): hash_places(some, "") for part, some in samples.groupby("split")}
