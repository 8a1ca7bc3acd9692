"""Figures for print, by name: drawn from run folders, written with all that made them beside them.

    figures = {"susceptibility": ..., "curves": ...}     drawn by `print_maps`, `print_panels`, ...
    write_figure("zones", runs, look, folder, ["pdf"])   zones.pdf and zones.json
    rebuild(folder / "zones.json")                       the same again, byte for byte

The JSON beside a figure holds hashes of every file and layer it was drawn from, grid, seeds,
protocol, versions and every option. A figure is not rebuilt from data that changed, unless one says
so; what other versions make of the same data is not refused.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import rasterio
from matplotlib.figure import Figure

from lsm_core import (
    drawn_layers,
    own_code,
    print_area,
    print_factors,
    print_maps,
    print_panels,
    print_route,
)
from lsm_core.catalog import did_you_mean
from lsm_core.drawn_layers import Layers
from lsm_core.errors import LsmError, RunError
from lsm_core.print_style import FORMATS, Look, check_letters, make_look, styled
from lsm_core.run_files import read_json, write_bytes, write_json
from lsm_core.runs import Run, open_run, versions

Drawn = Callable[[Sequence[Run], Look], Figure]
FORMAT = 1  # of the JSON beside a figure
NO_DATE: dict[str, Any] = {"pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}}
DRAWN_WITH = ("matplotlib", "cartopy", "pyproj", "shapely")


class Kind(NamedTuple):
    """What a figure shows, what draws it, the files of a run and layers of its area it reads."""

    title: str
    draw: Drawn
    reads: tuple[str, ...]
    layers: Layers = drawn_layers.nothing


def _map(kind: str) -> Drawn:
    return lambda runs, look: print_maps.map_figure(runs, kind, look)


FIGURES: dict[str, Kind] = {
    "route": Kind(
        "technical route, from data to map",
        print_route.route_figure,
        ("recipe.json", "samples.parquet", "metrics.json", "selection.json", "progress.jsonl"),
        drawn_layers.of_the_ground,
    ),
    "area": Kind(
        "study area and its landslides by part",
        print_area.area_figure,
        ("samples.parquet",),
        drawn_layers.of_the_area,
    ),
    "factors": Kind(
        "factors", print_area.factors_figure, ("encoder.json",), drawn_layers.of_the_factors
    ),
    "susceptibility": Kind(
        "map of susceptibility",
        _map("susceptibility"),
        ("susceptibility.tif",),
        drawn_layers.of_the_map,
    ),
    "zones": Kind(
        "map of susceptibility classes",
        _map("zones"),
        ("susceptibility.tif", "zones.json", "density_table.csv"),
        drawn_layers.of_the_map,
    ),
    "curves": Kind("PR and ROC curves", print_panels.curves_figure, ("metrics.json",)),
    "pr": Kind("precision-recall curves", print_panels.pr_figure, ("metrics.json",)),
    "roc": Kind("ROC curves", print_panels.roc_figure, ("metrics.json",)),
    "rates": Kind("prediction and success rates", print_panels.rates_figure, ("metrics.json",)),
    "histogram": Kind("histograms of the maps", print_panels.histogram_figure, ("metrics.json",)),
    "density": Kind(
        "landslides and density by class", print_panels.density_figure, ("density_table.csv",)
    ),
    "density_table": Kind(
        "table of the classes", print_panels.density_table_figure, ("density_table.csv",)
    ),
    "reliability": Kind("reliability", print_panels.reliability_figure, ("metrics.json",)),
    "history": Kind("training history", print_panels.history_figure, ("progress.jsonl",)),
    "importance": Kind(
        "importance of factors",
        print_factors.importance_figure,
        ("explanation.json", "samples.parquet", "encoder.json"),
        drawn_layers.of_the_importance,
    ),
    "correlation": Kind(
        "correlation of factors",
        print_factors.correlation_figure,
        ("samples.parquet", "encoder.json"),
        drawn_layers.of_the_factors,
    ),
}


OWN_READS = ("metrics.json", "samples.parquet", "scores.parquet", "susceptibility.tif")


def figures() -> dict[str, Kind]:
    """Every figure by name: those of the program, then those of one's own (`own_code`)."""
    own = {name: Kind(title, _own(name), OWN_READS) for name, title in _named_own().items()}
    return FIGURES | own


def _named_own() -> dict[str, str]:
    return {k: v for k, v in own_code.named("figure").items() if k not in FIGURES}


def _own(name: str) -> Drawn:
    def drawn(runs: Sequence[Run], look: Look) -> Figure:
        made = own_code.call(name, "figure", runs=runs, look=look)
        if not isinstance(made, Figure):
            raise RunError(f"{name} must give a matplotlib Figure, got {type(made).__name__}")
        return made

    return drawn


def draw(name: str, runs: Sequence[Run], look: Look) -> Figure:
    """A figure by its name; call it inside `styled(look)`.

    Raises
    ------
    RunError : no such figure, or a run that has not what it shows. RecipeError : a font that
        lacks letters of the figure.
    """
    known = figures()
    if name not in known:
        raise RunError(f"no figure {name!r}: {did_you_mean(name, list(known))}")
    figure = known[name].draw(runs, look)
    check_letters(figure, look)
    return figure


def write_figure(
    name: str,
    runs: Sequence[Run],
    look: Look,
    into: Path,
    formats: Sequence[str] = ("png",),
    stem: str = "",
) -> list[Path]:
    """Draw a figure and write it in each format, and the JSON that makes it again.

    Returns the files, the JSON last. Nothing is left half-written.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise RunError(f"figures are written as {', '.join(FORMATS)}, got {unknown or 'none'}")
    into.mkdir(parents=True, exist_ok=True)
    stem = stem or name
    with styled(look):
        figure = draw(name, runs, look)
        files = [_save(figure, into / f"{stem}.{ending}", look) for ending in formats]
    told = sidecar(name, runs, look, files)
    write_json(into / f"{stem}.json", told)
    return [*files, into / f"{stem}.json"]


def _save(figure: Figure, path: Path, look: Look) -> Path:
    ending = path.suffix[1:]
    options: dict[str, Any] = {"metadata": NO_DATE[ending]} if ending in NO_DATE else {}
    if ending == "tiff":
        options["pil_kwargs"] = {"compression": "tiff_lzw"}
    picture = BytesIO()
    figure.savefig(picture, format=ending, dpi=look.dpi, **options)
    write_bytes(path, picture.getvalue())
    return path


# --------------------------------------------------------------------------------- what made it


def sidecar(name: str, runs: Sequence[Run], look: Look, files: Sequence[Path]) -> dict[str, Any]:
    """What a figure was made from and how: enough to make it again, and to see that it is it."""
    own = {n: v for n in DRAWN_WITH if (v := _version(n))}
    options = look.model_dump(mode="json")
    told: dict[str, Any] = {
        "format": FORMAT,
        "figure": name,
        "title": figures()[name].title,
        "runs": [_of_run(name, run, look) for run in runs],
        "options": options,
        "files": {path.name: sha256(path) for path in files},
        "versions": versions() | own,
        "rebuild": f"lsm figures --rebuild {files[0].stem}.json" if files else "",
    }
    if name not in FIGURES:
        told["own_code"] = own_code.fingerprint()
    if look.context:
        told["context"] = sha256(Path(look.context))
    return told


def _of_run(name: str, run: Run, look: Look) -> dict[str, Any]:
    recipe, reads = run.recipe, figures()[name].reads
    told: dict[str, Any] = {
        "id": run.id,
        "path": str(run.path),
        "title": run.title,
        "protocol": recipe.protocol,
        "seed": recipe.seed,
        "split_seed": recipe.split.seed,
        "area": {k: run.area[k] for k in ("name", "fingerprints") if k in run.area}
        | {"layers": drawn_layers.fingerprints(run, figures()[name].layers, look)},
        "test_places": _or_none(lambda: run.metrics["test_places"]),
        "data": {f: sha256(run.path / f) for f in reads if (run.path / f).is_file()},
        "versions": _or_none(lambda: read_json(run.path / "versions.json")),
    }
    if "susceptibility.tif" in told["data"]:
        told["grid"] = _grid(run)
    return told


def _grid(run: Run) -> dict[str, Any]:
    with rasterio.open(run.map_path) as source:
        return {
            "shape": list(source.shape),
            "transform": list(source.transform)[:6],
            "crs": source.crs.to_string(),
        }


def _or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (LsmError, KeyError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def sha256(path: Path) -> str:
    """Fingerprint of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# ----------------------------------------------------------------------------------- made again


def rebuild(
    path: Path,
    into: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    anyway: bool = False,
) -> list[Path]:
    """Make a figure again from the JSON beside it, in its own formats.

    Runs are looked for where they were, then by name in the workspace. `changes` are options of the
    look; without any, the files are the same bytes where the data and the versions are.

    Raises
    ------
    RunError : not such a file, a run that is gone, or data that changed (drawn `anyway` if asked).
    """
    told = _read(path)
    runs = [_found(entry) for entry in told["runs"]]
    drawn_with = make_look(told["options"])
    moved = [
        words
        for run, entry in zip(runs, told["runs"], strict=True)
        for words in _changed(told["figure"], run, entry, drawn_with)
    ]
    if told.get("own_code") and told["own_code"] != own_code.fingerprint():
        moved.append(f"{told['own_code']} (the code that draws it)")
    if moved and not anyway:
        raise RunError(
            f"{path.name} was drawn from other data: {', '.join(moved)} changed since; --anyway "
            "draws what is there now"
        )
    look = make_look(told["options"] | {k: v for k, v in (changes or {}).items() if v is not None})
    formats = list(dict.fromkeys(Path(name).suffix[1:] for name in told["files"]))
    return write_figure(told["figure"], runs, look, into or path.parent, formats, path.stem)


def _changed(name: str, run: Run, entry: Mapping[str, Any], look: Look) -> Iterator[str]:
    """The files of a run, and the layers of its study area, that are not what they were."""
    for file, was in entry["data"].items():
        if not (run.path / file).is_file() or sha256(run.path / file) != was:
            yield f"{run.id}/{file}"
    layers = entry["area"].get("layers")
    if layers is None:  # of an older figure
        return
    now = drawn_layers.fingerprints(run, figures()[name].layers, look)
    for layer in {**layers, **now}:
        if layers.get(layer) != now.get(layer):
            yield f"{layer} of the study area {run.area['name']}"


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise KeyError("format")
        name = str(told["figure"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is not the JSON that `lsm figures` writes beside a figure: {error}"
        ) from error
    if name not in figures():
        raise RunError(
            f"{path} is of a figure {name!r}, which is none of the program's: if it is your own, "
            "name the file that holds it in LSM_OWN"
        )
    return dict(told)


def _found(entry: Mapping[str, Any]) -> Run:
    """The run where it was, else by its name in the workspace."""
    path = Path(entry["path"])
    return open_run(path if (path / "recipe.json").is_file() else entry["id"])
