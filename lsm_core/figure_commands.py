"""`lsm figures` and `lsm export`: a run's results for print, and all of it in one zip."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core.errors import RecipeError

RunNames = Annotated[
    list[str] | None, typer.Argument(help="Runs that share a figure.", metavar="RUN...")
]
Names = Annotated[
    list[str] | None, typer.Option("--figure", help="Which, as often as needed; all by default.")
]
Formats = Annotated[
    list[str] | None, typer.Option("--format", help="png, svg, pdf or tiff, as often as needed.")
]
Width = Annotated[float | None, typer.Option(help="mm: 90 is one column, 190 two.")]
Height = Annotated[float | None, typer.Option(help="mm; as high as needed by default.")]
Dpi = Annotated[int | None, typer.Option(help="Dots an inch, 300 to 600 for print.")]
Font = Annotated[str | None, typer.Option(help='Names of fonts: "DejaVu Serif, DejaVu Sans".')]
Size = Annotated[float | None, typer.Option(help="Of letters, points.")]
Language = Annotated[str | None, typer.Option(help="Of labels: en, zh, es, fr, it, de.")]
Colours = Annotated[str | None, typer.Option(help="viridis, cividis, inferno, magma, plasma.")]
Landslides = Annotated[str | None, typer.Option(help="On maps: points, polygons or none.")]
Relief = Annotated[float | None, typer.Option(help="Of maps: how dark shadows are, 0 to 1.")]
Style = Annotated[Path | None, typer.Option(help="A Matplotlib style file in place of ours.")]
Context = Annotated[Path | None, typer.Option(help="Lines or polygons to draw in the inset.")]
Breaks = Annotated[str | None, typer.Option(help="Of the classes: natural, equal 0.2.")]
Where = Annotated[str | None, typer.Option(help="Classes counted on: whole map, test blocks.")]
Flag = Annotated[bool | None, typer.Option()]


def figures(
    names: RunNames = None,
    to: Annotated[Path | None, typer.Option(help="Folder to write to.")] = None,
    figure: Names = None,
    formats: Formats = None,
    width_mm: Width = None,
    height_mm: Height = None,
    dpi: Dpi = None,
    font: Font = None,
    size: Size = None,
    language: Language = None,
    colours: Colours = None,
    landslides: Landslides = None,
    relief: Relief = None,
    style: Style = None,
    context: Context = None,
    breaks: Breaks = None,
    where: Where = None,
    inset: Flag = None,
    graticule: Flag = None,
    titles: Flag = None,
    rebuild: Annotated[
        Path | None, typer.Option(help="The JSON beside a figure: make it again.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option(help="With --rebuild: also from data that changed since.")
    ] = False,
) -> None:
    """Figures for print from finished runs: PNG, SVG, PDF (real text) or TIFF, sizes in mm.

    Beside each lies a JSON that makes the same again: lsm figures --rebuild FIGURE.json
    """
    given = {
        "width_mm": width_mm, "height_mm": height_mm, "dpi": dpi, "fonts": font, "size": size,
        "language": language, "colours": colours, "landslides": landslides, "relief": relief,
        "breaks": breaks, "where": where, "inset": inset, "graticule": graticule, "titles": titles,
        "style": str(style) if style else None, "context": str(context) if context else None,
    }  # fmt: skip
    if rebuild is not None:
        _rebuild(rebuild, to, given, anyway, bool(names or figure or formats))
        return
    if not names or to is None:
        raise RecipeError("figures of which runs, and where to? lsm figures RUN... --to DIR")
    _draw(names, to, figure, formats or ["png"], given)


def _rebuild(path: Path, to: Path | None, given: dict[str, Any], anyway: bool, more: bool) -> None:
    from lsm_core import publication

    if more:
        raise RecipeError("--rebuild takes runs, figure and formats from the JSON: leave them out")
    for made in publication.rebuild(path, to, given, anyway=anyway):
        typer.echo(made)


def _draw(
    names: list[str], to: Path, wanted: list[str] | None, formats: list[str], given: dict[str, Any]
) -> None:
    """Each figure; of all, one that these runs cannot give is told and not the end."""
    from lsm_core import publication
    from lsm_core.errors import LsmError
    from lsm_core.print_style import make_look
    from lsm_core.runs import open_run

    look, runs = make_look(given), [open_run(name) for name in names]
    for name in wanted or publication.figures():
        try:
            for path in publication.write_figure(name, runs, look, to, formats):
                typer.echo(path)
        except LsmError as error:
            if wanted:
                raise
            typer.echo(f"left out {name}: {error}")


def export(
    names: Annotated[list[str], typer.Argument(help="Finished runs.", metavar="RUN...")],
    to: Annotated[Path, typer.Option(help="Zip to write.")],
    part: Annotated[
        list[str] | None,
        typer.Option(help="figures, maps, vectors, tables or model; all but model by default."),
    ] = None,
    figure: Names = None,
    formats: Formats = None,
    width_mm: Width = None,
    height_mm: Height = None,
    dpi: Dpi = None,
    font: Font = None,
    size: Size = None,
    language: Language = None,
    colours: Colours = None,
    landslides: Landslides = None,
    relief: Relief = None,
    breaks: Breaks = None,
    where: Where = None,
    inset: Flag = None,
    graticule: Flag = None,
    titles: Flag = None,
    style: Style = None,
    context: Context = None,
) -> None:
    """Figures, maps (COG), inventory, samples and scores, tables and provenance in one zip.

    Inside, README.txt says what is what and how to build it again.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from lsm_core import export_bundle
    from lsm_core.print_style import make_look
    from lsm_core.runs import open_run

    given = {
        "width_mm": width_mm, "height_mm": height_mm, "dpi": dpi, "fonts": font, "size": size,
        "language": language, "colours": colours, "landslides": landslides, "relief": relief,
        "breaks": breaks, "where": where, "inset": inset, "graticule": graticule, "titles": titles,
        "style": str(style) if style else None, "context": str(context) if context else None,
    }  # fmt: skip
    look, runs = make_look(given), [open_run(name) for name in names]
    size_of = export_bundle.write_bundle(
        runs, to, look=look, parts=part or None, figures=figure or None,
        formats=formats or ["png", "pdf"], tell=typer.echo,
    )  # fmt: skip
    typer.echo(f"done: {to}, {size_of / 1e6:.1f} MB")


def report(
    names: Annotated[list[str], typer.Argument(help="Finished runs.", metavar="RUN...")],
    to: Annotated[Path, typer.Option(help="Folder to write.")],
    width_mm: Width = 190.0,
    dpi: Dpi = None,
    font: Font = None,
    size: Size = None,
    language: Language = None,
) -> None:
    """What a paper says of runs, made from their folders: a page, and the same as LaTeX.

    Study area, data with licences, factors, methods, scores, tests of difference, figures, limits.
    """
    from lsm_core.paper_kit import write_report
    from lsm_core.print_style import make_look
    from lsm_core.runs import open_run

    given = {"width_mm": width_mm, "dpi": dpi, "fonts": font, "size": size, "language": language}
    typer.echo(write_report([open_run(name) for name in names], to, make_look(given), typer.echo))
