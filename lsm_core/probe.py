"""How long a network would take on this machine, told from a few batches of it."""

import time
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from lsm_core import device, experiment, map_forecast, models, prediction
from lsm_core.errors import RecipeError
from lsm_core.fitting import options_of
from lsm_core.map_forecast import duration, median_seconds
from lsm_core.recipe import Recipe
from lsm_core.report import plan_in_words
from lsm_core.sections import Training
from lsm_core.study_area import is_units

# The networks of the published recipes, on 14 factors: what they see, options, batch.
USUAL: dict[str, tuple[tuple[int, int, int], dict[str, Any], int]] = {
    "lsgh_net": ((13, 13, 1), {}, 32),
    "cnn3d": ((12, 12, 42), {"scales": 3, "maps": 32}, 64),
}


class Pace(NamedTuple):
    """Seconds until the first batches were done, and of learning from and scoring one sample."""

    start: float
    learn: float
    score: float


def usual_paces() -> dict[str, Pace]:
    """The pace of the published networks, on random numbers: of `USUAL`, by name.

    Raises
    ------
    RunError : the backend is not installed.
    """
    paces = {}
    for name, (shape, options, batch) in USUAL.items():
        x = np.random.default_rng(0).random((prediction.BATCH, *shape), dtype=np.float32)
        paces[name] = measure(name, x, options, Training(batch=batch))
    return paces


def expected(recipe: Recipe) -> dict[str, Any]:
    """What a recipe would train on and about how long it would take, in `words`.

    Of a network that learns from places the words of `forecast` stand behind; of any other model
    nothing is timed. Errors as of `forecast`, but none for such a model.
    """
    card = models.card(recipe.model.name)
    plan = experiment.plan_run(recipe)
    told = plan_in_words(recipe, plan.counts, units=is_units(plan.ds)).splitlines()
    found: dict[str, Any] = {"recipe": recipe.name, "model": card.name}
    if card.framework == "keras" and not card.trainer:
        found = forecast(recipe, plan)
    elif card.framework == "keras":
        found["words"] = f"{card.title} is trained in a way of its own: its first epoch tells"
    else:
        found["words"] = f"{card.title} is fitted in one go, in seconds or minutes"
    held = psutil.Process().memory_info().rss / 1e9
    found["gigabytes"] = 1.5 * held
    found["words"] = "\n".join([*told, f"{found['words']}; about {1.5 * held:.1f} GB of memory."])
    return found


def forecast(recipe: Recipe, plan: experiment.Plan | None = None) -> dict[str, Any]:
    """How long a recipe would take on its area: its places are drawn, its network is tried out.

    Returns
    -------
    recipe, model, area, size; places (training), cells (of the map), epochs; `training_seconds` if
    all epochs are needed, `map_seconds` (None without a map), and all of it in `words`. Reading
    the area and judging the run take some seconds more.

    Raises
    ------
    RecipeError : the model is no network, or is trained in a way of its own.
    RunError : the backend is not installed. AreaError and others : as of `experiment.plan_run`.
    """
    card = models.card(recipe.model.name)
    if card.framework != "keras" or card.trainer:
        why = "is no network" if card.framework != "keras" else "is trained in a way of its own"
        raise RecipeError(f"{card.name} {why}: only networks that learn from places can be tried")
    plan = plan or experiment.plan_run(recipe)
    settings, split = recipe.training, plan.samples["split"].value_counts()
    checked = int(split.get("validation", 0))
    train = plan.samples[plan.samples["split"] == "train"]
    some = train.iloc[np.linspace(0, len(train) - 1, prediction.BATCH).astype(int)]
    gather = prediction.gather(plan.encoder, plan.ds, some["row"], some["col"])
    apart = len(plan.encoder.scales) if plan.encoder.combine == "samples" else 1
    x = gather(np.arange(len(some)))
    x = x[:, 0] if apart > 1 else x
    pace = measure(card.name, x, options_of(recipe), settings)
    each = pace.learn * split["train"] + pace.score * checked
    found = {
        "recipe": recipe.name,
        "model": card.name,
        "area": plan.area["name"],
        "size": recipe.size,
        "places": int(split["train"]),
        "cells": int(plan.ds["valid"].sum()),
        "epochs": settings.epochs,
        "training_seconds": pace.start + float(each) * apart * settings.epochs,
        "map_seconds": None,
    }
    if recipe.map:
        found["map_seconds"] = _map_seconds(plan, pace, x.shape[1:], apart)
    return found | {"words": in_words(found)}


def _map_seconds(plan: experiment.Plan, pace: Pace, seen: tuple[int, ...], apart: int) -> float:
    """Of whole tiles where the network can be asked for them, else cell by cell."""
    model = models.build(plan.recipe.model.name, seen, seed=1, **options_of(plan.recipe))
    layout = prediction.layout_of(model, plan.encoder, plan.ds)
    cells = int(plan.ds["valid"].sum())
    if layout.scheme is None:
        return pace.score * apart * cells
    return map_forecast.scoring_seconds(model, plan.encoder, layout, cells)


def measure(name: str, x: NDArray[np.float32], options: dict[str, Any], settings: Training) -> Pace:
    """The pace of a new network of the menu on samples like `x`, (sample, ...), at least a batch.

    Scores are taken of all of `x` at once, as for a map; learning is in batches of the settings,
    with their precision as far as this machine has it.
    """
    import keras

    target = (np.arange(len(x)) % 2).astype(np.float32)[:, None]
    batch = x[: settings.batch], target[: settings.batch]
    began = time.perf_counter()
    with device.precision(settings.precision):
        model = models.build(name, x.shape[1:], seed=1, **options)
    jit = (settings.jit and device.can_compile()) or keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(settings.learning_rate), "mse", jit_compile=jit)
    for _ in range(2):  # the second is the first without compiling
        float(model.train_on_batch(*batch, return_dict=True)["loss"])
    start = time.perf_counter() - began
    learn = median_seconds(lambda: float(model.train_on_batch(*batch, return_dict=True)["loss"]))
    np.asarray(model.predict_on_batch(x))
    score = median_seconds(lambda: np.asarray(model.predict_on_batch(x)))
    return Pace(start, learn / len(batch[0]), score / len(x))


def in_words(found: dict[str, Any]) -> str:
    """One line of a forecast.

    >>> in_words({"recipe": "lsgh_net", "area": "balakot", "size": "bench", "epochs": 60,
    ...           "training_seconds": 181, "map_seconds": 70.2})
    'lsgh_net on balakot, size bench: about 3 min for 60 epochs, 70 s for the map'
    """
    learnt = f"about {duration(found['training_seconds'])} for {found['epochs']} epochs"
    mapped = "no map" if found["map_seconds"] is None else f"{duration(found['map_seconds'])} for"
    mapped += "" if found["map_seconds"] is None else " the map"
    return f"{found['recipe']} on {found['area']}, size {found['size']}: {learnt}, {mapped}"


def pace_in_words(name: str, pace: Pace) -> str:
    """One line of a pace.

    >>> pace_in_words("cnn3d", Pace(4.0, 2e-3, 3e-4))
    'cnn3d: about 2 s an epoch of 1,000 places, 5 min for a map of a million cells'
    """
    return (
        f"{name}: about {duration(1000 * pace.learn)} an epoch of 1,000 places, "
        f"{duration(1e6 * pace.score)} for a map of a million cells"
    )
