"""Runs in one zip: figures, maps, vectors, tables, and all that is needed to build it again.

    README.txt, manifest.json                      what is what; SHA-256 of every file
    figures/   zones.pdf, zones.json, ...          `lsm figures --rebuild` makes them again
    runs/ID/   recipe.json, area.json, ...         provenance of each run
               susceptibility.tif, zones.tif       COG, with QGIS styles
               samples.gpkg, samples.csv, ...      where the run learnt and was tested, with scores
    areas/A/   inventory.gpkg, inventory.csv
    tables/    scores.csv, scores.tex, ...         of all runs beside each other

It is written beside its place and moved there. The same runs, options and versions give the same
files; only GeoPackages hold the time they were written.
"""

import json
import re
import secrets
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from lsm_core import publication
from lsm_core.errors import LsmError, RunError
from lsm_core.explanation_figures import LAYERS, layer_style
from lsm_core.grid import grid_of
from lsm_core.plot_style import labels_of
from lsm_core.print_style import Look, arguments_of
from lsm_core.run_files import alone, check_inside, write_json, write_shapes, write_text
from lsm_core.runs import Run, compare, versions
from lsm_core.safe_tables import csv_of, latex_of
from lsm_core.study_area import inventory, open_area
from lsm_core.workspace import workspace

PARTS = ("figures", "maps", "vectors", "tables", "model")
USUAL = PARTS[:4]
PROVENANCE = (
    *("recipe.json", "area.json", "versions.json", "metrics.json", "encoder.json", "status.json"),
    *("zones.json", "selection.json", "calibration.json", "tags.json", "own_code.py"),
)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the date of every file in the zip
STORED = {".png", ".pdf", ".tif", ".tiff", ".parquet"}  # packed already
HIGHER = (
    *("accuracy", "precision", "recall", "specificity", "sensitivity", "f1", "kappa", "miou"),
    *("ap", "auc"),
)
MOST_KEPT = 20  # exports in the workspace
DRAWS = 1000  # bootstrap samples of the intervals in the tables, as `lsm compare` takes
WORDY = 60  # letters from which a column of words is left out of LaTeX

Tell = Callable[[str], object]


def write_bundle(
    runs: Sequence[Run],
    to: Path,
    *,
    look: Look,
    parts: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    formats: Sequence[str] = ("png", "pdf"),
    tell: Tell = lambda words: None,
) -> int:
    """Write the zip; returns its size in bytes.

    Parameters
    ----------
    parts : of `PARTS`; all but the model by default. figures : of `publication.figures()`; all that
        these runs can give by default.
    tell : hears what is done, and what was left out and why (which the README says too).

    Raises
    ------
    RunError : no run, one that is not done, an unknown part or figure, or no name ending in .zip.
    """
    parts = _checked(runs, to, parts)
    left_out: list[str] = []

    def leave_out(words: str) -> None:
        left_out.append(words)
        tell(f"left out: {words}")

    with _workroom(to) as root:
        for run in runs:
            _provenance(run, root / "runs" / run.id, parts)
        if "figures" in parts:
            _figures(runs, root / "figures", look, figures, formats, tell, leave_out)
        if "maps" in parts:
            for run in runs:
                tell(f"maps of {run.id}")
                _maps(run, root / "runs" / run.id, leave_out)
        if "vectors" in parts:
            tell("inventory, samples and scores")
            _vectors(runs, root, leave_out)
        if "tables" in parts:
            tell("tables")
            _tables(runs, root / "tables", leave_out)
        command = command_of(arguments_for(runs, to.name, look, parts, figures, formats))
        write_text(root / "README.txt", _readme(runs, root, command, left_out))
        write_json(root / "versions.json", versions())
        write_json(root / "manifest.json", {n: publication.sha256(p) for n, p in _files(root)})
        tell("zip")
        return _zipped(root, to)


@contextmanager
def _workroom(to: Path) -> Iterator[Path]:
    """A folder beside the zip for this process alone; what one that was killed left there goes."""
    to.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another process writes {to}: wait until it has ended, or choose another name"
    with alone(to.with_name(f".{to.name}.lock"), busy):
        root = to.with_name(f".{to.name}.made")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        try:
            yield root
        finally:
            shutil.rmtree(root, ignore_errors=True)


def arguments_for(
    runs: Sequence[Run],
    to: Path | str,
    look: Look,
    parts: Sequence[str] | None,
    figures: Sequence[str] | None,
    formats: Sequence[str],
) -> list[str]:
    """The words after `lsm` that make such a zip; runs by their ids."""
    words = ["export", *[run.id for run in runs], "--to", str(to)]
    for option, values in (("--part", parts), ("--figure", figures), ("--format", formats)):
        for value in values or ():
            words += [option, value]
    return [*words, *arguments_of(look)]


def command_of(arguments: Sequence[str]) -> str:
    """The same for a terminal."""
    return shlex.join(["lsm", *arguments])


def _checked(runs: Sequence[Run], to: Path, parts: Sequence[str] | None) -> tuple[str, ...]:
    wanted = tuple(parts or USUAL)
    if to.suffix.lower() != ".zip":
        raise RunError(f"an export is a zip, got {to.name}: give a name that ends in .zip")
    if not runs:
        raise RunError("nothing to export: name at least one run")
    for run in runs:
        if run.state != "done":
            raise RunError(f"{run.id} is {run.state}, not done: only finished runs are exported")
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise RunError(f"an export has parts {', '.join(PARTS)}; got {', '.join(unknown)}")
    return wanted


# ----------------------------------------------------------------------------------- the parts


def _provenance(run: Run, into: Path, parts: Sequence[str]) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for name in PROVENANCE:
        if (run.path / name).is_file():
            check_inside(run.path / name)
            shutil.copy2(run.path / name, into / name)
    if "model" in parts and (run.path / "model").is_dir():
        for path in (run.path / "model", *(run.path / "model").rglob("*")):
            check_inside(path)
        shutil.copytree(run.path / "model", into / "model")


def _figures(
    runs: Sequence[Run],
    into: Path,
    look: Look,
    wanted: Sequence[str] | None,
    formats: Sequence[str],
    tell: Tell,
    leave_out: Tell,
) -> None:
    for name in wanted or publication.figures():
        try:
            tell(f"figure: {name}")
            publication.write_figure(name, runs, look, into, formats)
        except LsmError as error:
            if wanted:
                raise
            leave_out(f"figure {name}: {error}")


def _maps(run: Run, into: Path, leave_out: Tell) -> None:
    """Every GeoTIFF of the run, which are cloud-optimised as they are, with its QGIS style."""
    found = sorted(run.path.glob("*.tif"))
    for path in found:
        check_inside(path)
        shutil.copy2(path, into / path.name)
        style = path.with_suffix(".qml")
        if style.is_file():
            shutil.copy2(style, into / style.name)
        elif path.name in LAYERS:
            write_text(into / style.name, layer_style(run, path.name))
    if not found:
        leave_out(f"maps of {run.id}: it made none")


def _vectors(runs: Sequence[Run], root: Path, leave_out: Tell) -> None:
    for path in dict.fromkeys(run.area_path for run in runs):
        try:
            slides = inventory(path)
        except LsmError as error:
            leave_out(f"inventory: {error}")
            continue
        folder = root / "areas" / path.name
        folder.mkdir(parents=True, exist_ok=True)
        write_shapes(folder / "inventory.gpkg", slides)
        _csv(folder / "inventory.csv", _with_places(slides))
    for run in runs:
        try:
            _places(run, root / "runs" / run.id)
        except LsmError as error:
            leave_out(f"samples of {run.id}: {error}")


def _places(run: Run, into: Path) -> None:
    """Samples, and the scores of test and validation places, as points and as CSV."""
    if run.on_units:
        _csv(into / "unit_scores.csv", run.unit_scores)
        return
    import geopandas as gpd

    crs = grid_of(open_area(run.area_path)).crs.to_wkt()
    samples = run.samples
    scores = run.scores.merge(
        samples[["row", "col", "x", "y"]].drop_duplicates(["row", "col"]),
        on=["row", "col"],
        how="left",
    )
    for name, table in (("samples", samples), ("scores", scores)):
        points = gpd.GeoDataFrame(
            table, geometry=gpd.points_from_xy(table["x"], table["y"]), crs=crs
        )
        write_shapes(into / f"{name}.gpkg", points)
        _csv(into / f"{name}.csv", table)


def _with_places(shapes: Any) -> pd.DataFrame:
    """Columns of a layer, with x and y of a point inside each shape, its area and its WKT."""
    inside = shapes.geometry.representative_point()
    table = pd.DataFrame(shapes.drop(columns=shapes.geometry.name))
    return table.assign(x=inside.x, y=inside.y, wkt=shapes.geometry.to_wkt(rounding_precision=3))


def _tables(runs: Sequence[Run], into: Path, leave_out: Tell) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for name, table in tables_of(runs, leave_out).items():
        _csv(into / f"{name}.csv", table)
        caption = f"{name.replace('_', ' ').capitalize()}: {', '.join(labels_of(runs))}"
        bold = {c: "max" for c in HIGHER if c in table} | ({"mse": "min"} if "mse" in table else {})
        best = bold if name == "scores" and len(table) > 1 else {}
        short = [c for c in table if table[c].astype(str).str.len().max() < WORDY]
        text = latex_of(table[short], caption, bold=best)
        write_text(into / f"{name}.tex", "% needs \\usepackage{booktabs}\n" + text)


def tables_of(runs: Sequence[Run], leave_out: Tell = lambda words: None) -> dict[str, pd.DataFrame]:
    """Tables of runs: those of a comparison where they can be compared, and zones of each.

    Runs judged on different test places share no table: each group of them has its own, numbered.
    """
    found: dict[str, pd.DataFrame] = {}
    groups = _judged_alike(runs, leave_out)
    for i, some in enumerate(groups):
        made = compare(some, draws=DRAWS)
        number = f"_{i + 1}" if len(groups) > 1 else ""
        tables = {k: v for k, v in made.items() if isinstance(v, pd.DataFrame) and k != "zones"}
        found |= {f"{name}{number}": table for name, table in tables.items() if not table.empty}
    zones = []
    for run, label in zip(runs, labels_of(runs), strict=True):
        try:
            zones.append(run.density_table.assign(run=label, protocol=run.recipe.protocol))
        except (LsmError, OSError) as error:
            leave_out(f"zones of {run.id}: {error}")
    if zones:
        table = pd.concat(zones, ignore_index=True)
        first = ["run", "protocol"]
        found["zones"] = table[first + [c for c in table if c not in first]]
    return found


def _judged_alike(runs: Sequence[Run], leave_out: Tell) -> list[list[Run]]:
    """All runs where they can be compared, else those of the same test places together."""
    try:
        compare(list(runs))
    except LsmError as error:
        why = str(error)
    else:
        return [list(runs)]
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(run.metrics["test_places"], []).append(run)
    if len(alike) > 1:
        why = (
            f"runs were judged on {len(alike)} sets of test places, and each has tables of its own"
        )
    leave_out(f"one table of all scores: {why}")
    return list(alike.values())


def _csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, csv_of(table))


# -------------------------------------------------------------------------------------- the zip


def _readme(runs: Sequence[Run], root: Path, command: str, left_out: Sequence[str]) -> str:
    lines = ["Landslide susceptibility: exported runs", ""]
    for run in runs:
        recipe = run.recipe
        lines.append(
            f"  {run.id}: {run.title} on {run.area['name']}, {recipe.protocol} protocol, seed "
            f"{recipe.seed}, split seed {recipe.split.seed}"
        )
    lines += ["", "Build this zip again, with the same runs in the workspace:", f"  {command}"]
    lines += ["", "Make a run again from its recipe:"]
    lines += [f"  lsm run runs/{run.id}/recipe.json --area {run.area['name']}" for run in runs]
    if (root / "figures").is_dir():
        lines += ["", "Make one figure again (options may follow: --width-mm 190 --format pdf):"]
        lines.append("  lsm figures --rebuild figures/NAME.json")
    lines += ["", "Maps are cloud-optimised GeoTIFF; .qml are their QGIS styles. In CSV files an"]
    lines.append("apostrophe stands before text that a spreadsheet could take for a formula.")
    lines += ["manifest.json holds the SHA-256 of every file."]
    if left_out:
        lines += ["", "Left out:", *(f"  {words}" for words in left_out)]
    return "\n".join(lines) + "\n"


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix(), path


def _zipped(root: Path, to: Path) -> int:
    part = to.with_name(f".{to.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            for name, path in _files(root):
                info = zipfile.ZipInfo(f"{to.stem}/{name}", LONG_AGO)
                info.external_attr = 0o644 << 16
                packed = path.suffix in STORED
                info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                with open(path, "rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return to.stat().st_size


def new_place(name: str) -> Path:
    """A zip's place in the workspace, `exports/RANDOM/NAME.zip`, that nobody guesses.

    The folder is made; of older ones the last `MOST_KEPT` stay.
    """
    folder = exports_folder()
    place = folder / secrets.token_hex(16)
    place.mkdir(parents=True)
    older = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    for old in older[:-MOST_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:60] or "export"
    return place / f"{stem}.zip"


def exports_folder() -> Path:
    """Where exports that were asked for on the screen lie: `exports` in the workspace."""
    return workspace() / "exports"


def read_manifest(path: Path) -> dict[str, str]:
    """Names and fingerprints of the files of an export."""
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/manifest.json"))
        return dict(json.loads(archive.read(name)))
