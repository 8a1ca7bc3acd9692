"""`lsm sample`: the sample area in other cells, with other landslides."""

from typing import Annotated

import typer

from lsm_core.errors import AreaError


def sample(
    name: Annotated[str, typer.Option(help="What the area is called.")] = "sample",
    resolution: Annotated[float, typer.Option(help="Side of a cell, metres, 30 to 300.")] = 90.0,
    landslides: Annotated[int, typer.Option(help="How many; 360 cover 1 % of the area.")] = 700,
) -> None:
    """Build the sample area: real terrain, all else simulated, scars on an image among it."""
    from lsm_core import sample_area
    from lsm_core.study_area import area_path, save_area

    path = area_path(name)
    if path.exists():
        raise AreaError(f"there is an area at {path}: give another --name, or delete that folder")
    built = sample_area.build(resolution=resolution, landslides=landslides, name=name)
    save_area(built.ds, path, inventory=built.inventory)
    share = float(built.ds["landslide"].mean())
    rows, cols = (built.ds.sizes[axis] for axis in ("y", "x"))
    typer.echo(f"{rows} x {cols} cells, {len(built.inventory)} landslides on {share:.1%} of them")
    typer.echo(f"study area: {path}")
