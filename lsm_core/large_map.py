"""A map of any size as a GeoTIFF: block by block, in bounded memory, and never twice.

Finished blocks are kept in a folder beside the map (`.NAME.blocks`) until all are there. A map that
was stopped or killed goes on with the blocks that are missing, if model and area are still the
same; the map itself appears under its name only when it is whole.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core import cluster, prediction
from lsm_core.blocks import Block, cells_of
from lsm_core.catalog import fingerprint
from lsm_core.errors import RunError
from lsm_core.grid import grid_of
from lsm_core.map_forecast import forecast
from lsm_core.prediction import Ask, Layout, Progress
from lsm_core.run_files import sweep_beside
from lsm_core.runs import Run, alone, write_json, write_map
from lsm_core.study_area import built_at, open_area


def write_large_map(
    run: Run,
    area: Path | str,
    to: Path,
    *,
    scheduler: str | None = None,
    tell: Callable[[str], None] = lambda words: None,
    on_progress: Progress | None = None,
    should_stop: Ask | None = None,
) -> Path:
    """Map a study area with a run's model, and write the map as cloud-optimised GeoTIFF.

    Parameters
    ----------
    area : folder of a study area on a grid.
    to : the GeoTIFF. Blocks that an earlier call for the same model and area left are taken.
    scheduler : address of a dask scheduler, whose workers see the folders of run and area under the
        same names; without one, this process scores.
    tell : hears in words what will be done. on_progress gets (cells done, cells).
    should_stop : is asked after every batch, or on a cluster after every block.

    Returns
    -------
    `to`: float32 in [0, 1], NaN where the area is not valid. The scores are those of
    `prediction.predict_map`.

    Raises
    ------
    RunError : the run has no model, another process makes this map, the cluster cannot be used.
    AreaError : the area lacks what the model needs. Stopped : `should_stop` said so.
    """
    area = Path(area).resolve()
    ds = open_area(area)
    model, encoder = prediction.model_of(run)
    layout = prediction.layout_of(model, encoder, ds)
    with _kept_blocks(to, _of(run, area, ds, layout), tell) as folder:
        missing = [block for block in layout.blocks if not _file(folder, block).exists()]
        if len(missing) < len(layout.blocks):
            there = len(layout.blocks) - len(missing)
            tell(f"{there:,} of {len(layout.blocks):,} blocks are there from before")
        left = layout._replace(blocks=missing)
        done = cells_of(layout.blocks) - cells_of(missing)

        def follow(cells: int, _: int) -> None:
            if on_progress:
                on_progress(done + cells, cells_of(layout.blocks))

        if scheduler:
            found = cluster.scores_on(
                scheduler, run.path, area, missing, tell=tell, on_progress=follow, ask=should_stop
            )
        else:
            tell(str(forecast(model, encoder, ds, left)))
            found = prediction.predict_blocks(
                model, encoder, ds, left, on_progress=follow, should_stop=should_stop
            )
        try:
            for block, score in found:
                _keep(_file(folder, block), run.calibrator(score))
            write_map(to, grid_of(ds), _strips(folder, layout.blocks))
        except OSError as error:
            raise RunError(
                f"{to} could not be written ({error}): make room; the same command goes on with "
                "the blocks that are there"
            ) from error
        shutil.rmtree(folder)
    return to


# ------------------------------------------------------------------------------- blocks on disk


def _of(run: Run, area: Path, ds: xr.Dataset, layout: Layout) -> dict[str, Any]:
    """What kept blocks depend on: model, calibration, area, and how the map is cut."""
    return {
        "run": run.id,
        "model": fingerprint(run.path / "model"),
        "encoder": run.encoder,
        "calibration": run.calibrator.to_json(),
        "area": str(area),
        "sources": ds.attrs.get("fingerprints", ""),
        "built": built_at(area),
        "blocks": [list(block) for block in layout.blocks],
    }


@contextmanager
def _kept_blocks(to: Path, made_of: dict[str, Any], tell: Callable[[str], None]) -> Iterator[Path]:
    """The folder of finished blocks, for this process alone; emptied where they are of other stuff.

    A folder without a block is removed at the end.
    """
    folder = to.with_name(f".{to.name}.blocks")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{to} cannot be written ({error}): is the folder there?") from error
    busy = f"another process is making {to}: wait for it, or choose another name"
    with alone(to.with_name(f".{to.name}.lock"), busy):
        sweep_beside(to)
        known = folder / "made_of.json"
        if not known.exists() or json.loads(known.read_text()) != made_of:
            old = len(list(folder.glob("*.npy")))
            if old:
                tell(f"{old:,} blocks of another model or area were there: they are thrown away")
            shutil.rmtree(folder)
            folder.mkdir()
            write_json(known, made_of)
        try:
            yield folder
        finally:
            if folder.exists() and not list(folder.glob("*.npy")):
                shutil.rmtree(folder, ignore_errors=True)


def _file(folder: Path, block: Block) -> Path:
    return folder / f"row{block.first}_column{block.left}.npy"


def _keep(path: Path, score: NDArray[np.float32]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, score)
    os.replace(part, path)


def _strips(folder: Path, blocks: Iterable[Block]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for first, row in groupby(blocks, key=lambda block: block.first):
        yield first, np.concatenate([_kept(_file(folder, block)) for block in row], axis=1)


def _kept(path: Path) -> NDArray[np.float32]:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"{path} cannot be read ({error}): delete {path.parent} and go on"
        ) from error
