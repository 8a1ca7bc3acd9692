"""Scores of a map's blocks by the workers of a dask cluster.

A block is a task. Each worker opens run and area once, under the names they have here, so they lie
on a disk that all machines share. The scores are those of one process, to the last bit where the
machines are alike; a worker that dies costs the blocks it was at, which others do again.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

import lsm_core
from lsm_core import models, prediction
from lsm_core.blocks import Block, cells_of
from lsm_core.errors import RunError, Stopped
from lsm_core.runs import open_run
from lsm_core.study_area import open_area

WAIT = 30  # seconds for a scheduler to answer, and for a first worker
OPENING = threading.Lock()


def scores_on(
    address: str,
    run: Path,
    area: Path,
    blocks: Sequence[Block],
    *,
    tell: Callable[[str], None] = lambda words: None,
    on_progress: prediction.Progress | None = None,
    ask: prediction.Ask | None = None,
) -> Iterator[tuple[Block, NDArray[np.float32]]]:
    """Blocks with their scores (before calibration), in the order in which they are finished.

    Parameters
    ----------
    address : of the scheduler, such as "tcp://10.0.0.1:8786".
    run, area : folders, which every worker has under these names.
    on_progress : gets (cells done, cells) after every block. ask : whether to stop, asked as often.

    Raises
    ------
    RunError : no scheduler, no worker, a worker that lacks the folders or runs another version or
        backend, or a block that killed several workers.
    Stopped : `ask` said so.
    """
    from distributed import Client, as_completed
    from distributed.scheduler import KilledWorker

    try:
        client = Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(
            f"no dask scheduler answers at {address} ({error}): start one with `dask scheduler`"
        ) from error
    with client:
        tell(_checked(client, address, run, area))
        total, left = cells_of(blocks), cells_of(blocks)
        tasks = {
            client.submit(_score, str(run), str(area), tuple(block), pure=False): block
            for block in blocks
        }
        try:
            for task, score in as_completed(tasks, loop=client.loop, with_results=True):
                block = tasks.pop(task)
                left -= cells_of([block])
                yield block, score
                if on_progress:
                    on_progress(total - left, total)
                if ask and ask():
                    raise Stopped(f"stopped in mapping, {len(tasks):,} blocks left")
        except KilledWorker as error:
            raise RunError(
                f"a block killed several workers ({error}): they have too little memory, or crash "
                "on this model; see their logs"
            ) from error
        finally:
            client.cancel(list(tasks))


def _checked(client: Any, address: str, run: Path, area: Path) -> str:
    """Who will work, in words; refused where they would not do what this process does."""
    client.wait_for_workers(1, timeout=WAIT)
    keras = models.card(open_run(run).recipe.model.name).framework == "keras"
    found: dict[str, tuple[str, str, list[str]]] = client.run(_describe, run, area, keras)
    ours = _describe(run, area, keras)
    for worker, theirs in found.items():
        if theirs[2]:
            raise RunError(
                f"worker {worker} has no {' and no '.join(theirs[2])}: run and area must lie on a "
                "disk that all machines share, under the same name"
            )
        if theirs[:2] != ours[:2]:
            raise RunError(
                f"worker {worker} runs {' on '.join(theirs[:2])}, this process "
                f"{' on '.join(ours[:2])}: install the same version and backend"
            )
    return f"{len(found):,} workers at {address}"


def _describe(run: Path, area: Path, network: bool) -> tuple[str, str, list[str]]:
    """Version, backend of networks, and which folders are not there."""
    missing = [str(folder) for folder in (run, area) if not folder.is_dir()]
    backend = "any backend"
    if network:
        import keras

        backend = keras.backend.backend()
    return f"version {lsm_core.__version__}", backend, missing


def _score(run: str, area: str, block: tuple[int, int, int, int]) -> NDArray[np.float32]:
    # What is read lazily is read here: the cluster's turn would wait for this very task to end.
    with dask.config.set(scheduler="threads"):
        with OPENING:  # a worker of several threads opens once
            model, encoder, ds, layout = _opened(run, area)
        only = layout._replace(blocks=[Block(*block)])
        ((_, score),) = prediction.predict_blocks(model, encoder, ds, only)
    return score


@cache
def _opened(run: str, area: str) -> tuple[Any, Any, Any, prediction.Layout]:
    model, encoder = prediction.model_of(open_run(run))
    ds = open_area(area)
    return model, encoder, ds, prediction.layout_of(model, encoder, ds)
