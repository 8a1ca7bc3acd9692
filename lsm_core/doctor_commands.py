"""`lsm doctor`: what this machine has, and how long a network would take on it."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core.errors import RunError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]
PUBLISHED = ["lsgh_net", "multiscale_cnn3d"]


def doctor(
    recipe: Annotated[
        str | None, typer.Option(help="Recipe to try out; by default two networks.")
    ] = None,
    area: Annotated[str | None, typer.Option(help="Built area to try it on.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="key=value.")] = None,
    probe: Annotated[bool, typer.Option(help="Time a few batches of a network.")] = True,
    as_json: Json = False,
) -> None:
    """Say what this machine has: versions, device, data, workspace, and how long a run takes."""
    from lsm_core import device

    facts = _facts()
    told: dict[str, Any] = {"networks": None, "problem": None, "expected": []}
    try:
        found = device.find()
        told["networks"] = found._asdict() | {"words": found.in_words()}
    except RunError as error:  # it is what a doctor is asked for
        told["problem"] = str(error)
    if probe and told["networks"]:
        told["expected"] = _expected(recipe, area, changes)
    if as_json:
        typer.echo(json.dumps(facts | told, indent=1))
        return
    facts["networks"] = told["networks"]["words"] if told["networks"] else told["problem"]
    width = max(map(len, facts))
    typer.echo("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))
    for line in told["expected"]:
        typer.echo(line["words"])


def _facts() -> dict[str, Any]:
    from lsm_core import jobs, runs
    from lsm_core.catalog import data_root, read_entries, shipped
    from lsm_core.study_area import workspace

    listed = shipped("data_catalog.yaml")
    root = data_root(listed, read_entries(listed).get("meta") or {})
    there = "://" in root or Path(root).is_dir()
    said = "" if os.environ.get("LSM_DATA") else " (LSM_DATA is not set)"

    return runs.versions() | {
        "device": jobs.device(),
        "processors": str(os.cpu_count()),
        "data": f"{root}{said}" if there else f"{root}{said}: no such folder",
        "LSM_WORKSPACE": str(workspace().resolve()),
    }


def _expected(
    recipe: str | None, area: str | None, changes: list[str] | None
) -> list[dict[str, Any]]:
    """Forecasts for an area; without one, paces of the published networks."""
    from lsm_core import probe
    from lsm_core.foreground import recipe_of

    if area or recipe:
        names = [recipe] if recipe else PUBLISHED
        return [probe.expected(recipe_of(name, area, changes)) for name in names]
    return [
        {"model": name, "words": probe.pace_in_words(name, pace)} | pace._asdict()
        for name, pace in probe.usual_paces().items()
    ]
