"""`lsm draft`: an area file from a DEM and an inventory, to be looked at and built."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm_core.errors import AreaError, CatalogError

if TYPE_CHECKING:
    from lsm_core.own_sources import Entry


def draft(
    name: Annotated[str, typer.Argument(help="What the area shall be called.")],
    dem: Annotated[str, typer.Option(help="GeoTIFF of elevations, or a source's name.")],
    inventory: Annotated[str, typer.Option(help="Landslides: a file, or a source's name.")],
    more: Annotated[
        list[str] | None, typer.Option(help="A further file or source, as often as needed.")
    ] = None,
    crs: Annotated[str, typer.Option(help="EPSG number, for files that state none.")] = "",
    x: Annotated[str, typer.Option(help="Column of a table of landslides that is x.")] = "",
    y: Annotated[str, typer.Option(help="Column of a table of landslides that is y.")] = "",
    title: str = "",
    replace: Annotated[bool, typer.Option("--replace", help="Write over an area file.")] = False,
) -> None:
    """Draft an area file: terrain factors of the DEM, the inventory, and what is given besides.

    Files become sources of the workspace's own catalogue. Change the draft as you like, then
    `lsm prepare NAME` builds it.
    """
    from lsm_core import area_draft

    path = area_draft.own_area_file(name)
    if path.exists() and not replace:
        raise AreaError(f"{path} is there already: choose another name, or --replace to write over")
    ground, slides = _entry(dem, crs), _entry(inventory, crs, x, y)
    others = [_entry(text, crs) for text in more or []]
    further = [(other.name, other.look(), other.path) for other in others]
    made = area_draft.draft_area(
        name,
        (ground.name, ground.look()),
        (slides.name, slides.look()),
        title=title,
        more=further,
    )
    path = area_draft.save_draft(made)
    typer.echo(area_draft.draft_text(made))
    for line in area_draft.not_drafted(made, further):
        typer.echo(line)
    typer.echo(f"area file: {path}; `lsm prepare {name}` builds it")


def _entry(text: str, crs: str, x: str = "", y: str = "") -> "Entry":
    """The source of this name, or the one that a file becomes, which is told."""
    from lsm_core.catalog import did_you_mean
    from lsm_core.own_sources import add_source, entries

    if Path(text).is_file():
        added = add_source(text, crs=crs, x=x, y=y)
        typer.echo(f"source {added.name}: {text}")
        return added
    known = entries()
    if text not in known:
        raise CatalogError(f"{text!r} is no file and no source: {did_you_mean(text, [*known])}")
    return known[text]
