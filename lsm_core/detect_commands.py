"""`lsm detect`, `lsm adopt`: from a run's scores to an inventory, and on to a study area."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core.errors import RecipeError


def detect(
    name: Annotated[str, typer.Argument(help="A finished run that made a map.")],
    to: Annotated[Path, typer.Option(help="GeoPackage to write.")],
    area: Annotated[
        str | None, typer.Option(help="Another built area; the run's own by default.")
    ] = None,
    threshold: Annotated[
        str, typer.Option(help="A number, or a rule: f1, youden, half, cost, share.")
    ] = "f1",
    smooth: Annotated[int, typer.Option(help="Majority of so many cells across; odd.")] = 1,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            help="Factor, source or file that takes detections, with a buffer in metres: "
            "land_cover=Built-up+Water@30, distance_to_roads<50, roads.gpkg@20."
        ),
    ] = None,
    join: Annotated[float, typer.Option(help="Metres within which objects are one.")] = 0,
    connect: Annotated[int, typer.Option(help="4: by sides; 8: by corners too.")] = 8,
    min_area: Annotated[float, typer.Option(help="Least area, m2.")] = 0,
    simplify: Annotated[float, typer.Option(help="Metres that an outline may be moved.")] = 0,
    overlap: Annotated[
        float, typer.Option(help="Share of cells by which landslides match, above 0 to 1.")
    ] = 0.5,
    catalog: Annotated[Path | None, typer.Option(help="Another data catalogue.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")] = False,
) -> None:
    """Landslides of a run's map as polygons, and how they compare with the mapped ones."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from lsm_core import inventory_of_scores as room
    from lsm_core.catalog import load_catalog
    from lsm_core.runs import open_run, write_shapes
    from lsm_core.study_area import area_path, open_area

    given = {"threshold": _number(threshold), "smooth": smooth, "masks": mask or [], "join": join}
    how = _settings(given | {"connect": connect, "min_area": min_area, "simplify": simplify})
    if to.suffix.lower() != ".gpkg":
        raise RecipeError(f"--to takes a GeoPackage, got {to}: give a name that ends in .gpkg")
    run = open_run(name)
    ds = open_area(area_path(area) if area else run.area_path)
    found = room.detect(run, how, ds, catalog=load_catalog(catalog) if catalog else None)
    grounds = room.grounds_of(run, ds)
    told = room.held_against(found.number, ds, grounds, overlap=overlap)
    write_shapes(to, found.landslides)
    if as_json:
        facts = {"threshold": found.threshold, "chosen": found.chosen, "counts": found.counts}
        typer.echo(json.dumps(facts | {"against": told, "to": str(to)}, indent=1))
        return
    typer.echo(room.in_words(found, told))
    typer.echo(f"inventory: {to}")


def adopt(
    polygons: Annotated[Path, typer.Argument(help="GeoPackage of landslides.")],
    area: Annotated[str, typer.Option(help="Built area whose grid and factors are taken.")],
    name: Annotated[str, typer.Option(help="What the new area is called.")],
    source: Annotated[str, typer.Option(help="Said of where they come from.")] = "",
) -> None:
    """A study area with these landslides in place of its own; the old one stays as it is."""
    from lsm_core.adopted_area import adopt as lay

    path, counts = lay(polygons, area, name, source)
    for what, count in counts.items():
        typer.echo(f"{count:12,} {what.replace('_', ' ')}")
    typer.echo(f"study area: {path}")


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _settings(given: dict[str, Any]) -> Any:
    """The options checked, with the first complaint as a user's mistake."""
    from pydantic import ValidationError

    from lsm_core.delineation_settings import Delineation
    from lsm_core.section import complaint

    try:
        return Delineation.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]).replace("_", "-") if first["loc"] else "options"
        raise RecipeError(complaint(first, f"--{where}")) from error
