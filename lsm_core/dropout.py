"""MC dropout: one network asked many times with its dropout left on (Gal & Ghahramani 2016).

The mean and the spread of its answers are maps in the run folder. A spread is no probability of
being wrong: it tells where the network's own answer hangs on few of its units.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core import models, prediction, runs
from lsm_core.encoding import Encoder
from lsm_core.errors import RecipeError, RunError
from lsm_core.grid import grid_of
from lsm_core.study_area import is_units, open_area
from lsm_core.uncertainty import Pair, check_grid, write_pair

PASSES = 30
Sampler = Callable[[NDArray[np.float32]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def mc_dropout(
    run: runs.Run,
    *,
    passes: int = PASSES,
    seed: int | None = None,
    on_progress: prediction.Progress | None = None,
) -> dict[str, Any]:
    """Mean and spread of a network's answers with its dropout left on.

    Writes `dropout_mean.tif`, `dropout_spread.tif` and `dropout.json` into the run's folder.

    Parameters
    ----------
    passes : answers per cell, at least 2. seed : of the dropout; by default the recipe's.

    Returns
    -------
    What `dropout.json` holds: `passes`, `seed`, and `mean_spread` over the map.

    Raises
    ------
    RunError : the model is no network, or has no dropout, or averages scales that are samples.
    """
    check_grid(run, "MC dropout")
    model, encoder = prediction.model_of(run)
    if encoder.combine == "samples":
        raise RunError(f"run {run.id} averages scales: MC dropout knows one score a place only")
    seed = run.recipe.seed if seed is None else seed
    ds = open_area(run.area_path)
    sampler = dropout_sampler(model, passes=passes, seed=seed, bend=run.calibrator)
    strips = _dropout_strips(sampler, encoder, ds, on_progress)
    spread = write_pair(run.path, "dropout", grid_of(ds), strips)
    found = {"passes": passes, "seed": seed, "mean_spread": spread}
    runs.write_json(run.path / "dropout.json", found)
    return found


def can_drop(run: runs.Run) -> bool:
    """Whether MC dropout can be drawn for a run: a network with dropout, on a grid."""
    card = models.card(run.recipe.model.name)
    if card.framework != "keras" or is_units(open_area(run.area_path)):
        return False
    return has_dropout(prediction.model_of(run)[0])


def has_dropout(model: Any) -> bool:
    """Whether MC dropout says anything of a model."""
    return hasattr(model, "layers") and bool(_dropouts(model))


def dropout_sampler(
    model: Any,
    *,
    passes: int = PASSES,
    seed: int = 0,
    batch: int = prediction.BATCH,
    bend: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
) -> Sampler:
    """A function from what a network sees to mean and spread of `passes` answers with dropout on.

    Only the dropout layers differ from prediction: batch normalisation keeps its moving statistics.
    What comes before the first dropout is the same in every pass and is computed once, where all of
    the network runs through it (where not, as with skip connections, the whole network is asked
    again). The same seed and the same batches give the same answers. `bend` is the run's
    calibration, done to every answer.

    Returns
    -------
    From at most `batch` samples to two (sample,) float64.
    """
    if not has_dropout(model):
        raise RunError(
            "MC dropout needs a network with dropout above 0: train one with "
            "model.options.dropout, or use an ensemble of runs with other seeds"
        )
    if passes < 2:
        raise RecipeError(f"a spread needs at least 2 passes, got {passes}")
    trunk, head = _cut(model)
    awake = _awake(head, seed)

    def sample(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        full = np.zeros((batch, *x.shape[1:]), np.float32)
        full[: len(x)] = x
        seen = full if trunk is None else np.asarray(trunk.predict_on_batch(full))
        again = np.tile(seen, (passes, *[1] * (seen.ndim - 1)))
        score = np.asarray(awake.predict_on_batch(again), np.float64).reshape(passes, batch)
        score = np.asarray(bend(score[:, : len(x)]), np.float64)
        return score.mean(axis=0), score.std(axis=0, ddof=1)

    return sample


def _dropout_strips(
    sampler: Sampler, encoder: Encoder, ds: xr.Dataset, on_progress: prediction.Progress | None
) -> Iterator[Pair]:
    height, width = ds.sizes["y"], ds.sizes["x"]
    mean = np.full((prediction.STRIP, width), np.nan, np.float32)
    spread, first = mean.copy(), 0
    for rows, cols, x in prediction.inputs(encoder, ds, strip=prediction.STRIP):
        while rows[0] >= first + prediction.STRIP:
            yield first, mean.copy(), spread.copy()
            first += prediction.STRIP
            mean[:], spread[:] = np.nan, np.nan
        mean[rows - first, cols], spread[rows - first, cols] = sampler(x)
        if on_progress:
            on_progress(int(rows[-1]) + 1, height)
    while first < height:
        left = min(prediction.STRIP, height - first)
        yield first, mean[:left].copy(), spread[:left].copy()
        first += prediction.STRIP
        mean[:], spread[:] = np.nan, np.nan


def _dropouts(model: Any) -> list[Any]:
    """Dropout layers that do something, in the model's order, those of inner models too."""
    import keras

    kinds = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
    found: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, kinds) and layer.rate > 0:
            found.append(layer)
        elif hasattr(layer, "layers"):
            found += _dropouts(layer)
    return found


def _cut(model: Any) -> tuple[Any, Any]:
    """The model up to its first dropout and from there; (None, model) where it cannot be cut."""
    import keras

    first = _dropouts(model)[0]
    if first not in model.layers:
        return None, model
    try:
        head = keras.Model(first.input, model.output)
    except ValueError:  # a path goes round the dropout
        return None, model
    return keras.Model(model.input, first.input), head


def _awake(model: Any, seed: int) -> Any:
    """A copy whose dropout layers drop in prediction too, each from a seed of its own."""
    import keras

    numbers = iter(range(1000))

    def copy(layer: Any) -> Any:
        kind, config = type(layer), layer.get_config()
        if layer in dropping:
            kind = type(f"Awake{kind.__name__}", (kind,), {"call": _always(kind)})
            config = config | {"seed": seed + next(numbers)}
        return kind.from_config(config)

    dropping = _dropouts(model)
    awake = keras.models.clone_model(model, clone_function=copy, recursive=True)
    awake.set_weights(model.get_weights())
    return awake


def _always(kind: type) -> Callable[..., Any]:
    def call(self: Any, inputs: Any, training: bool | None = None) -> Any:
        return kind.call(self, inputs, training=True)  # type: ignore[attr-defined]

    return call
