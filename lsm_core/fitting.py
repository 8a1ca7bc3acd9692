"""A recipe's model, built and fitted on its training places, and stored in the run's folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core import device, full_memory, models, prediction, runs, training
from lsm_core.bivariate import class_tables
from lsm_core.checkpoint import Checkpoint
from lsm_core.encoding import Encoder
from lsm_core.errors import RecipeError, Stopped
from lsm_core.labelling import UNLABELLED
from lsm_core.map_forecast import duration
from lsm_core.model_store import ARCHITECTURE
from lsm_core.recipe import Recipe

COMPILING = 20.0  # seconds before the first batch is learnt from
BACKWARD = 4  # times the work of scoring a place that learning from it takes
Report = Callable[[dict[str, Any]], None]
Ask = Callable[[], bool]


def fit_model(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """Build, fit and store the model; a stop leaves the best weights so far in the folder.

    Parameters
    ----------
    samples : of `protocol.draw_places`; training places are learnt from, validation places watched.
    path : the run's folder, which gets `model/`, and `bivariate.csv` of a model on classes.
    report, should_stop : get and are asked what `experiment.run_experiment` says.

    Raises
    ------
    Stopped : `should_stop` said so.
    """
    recipe = _possible(recipe, report)
    fit = models.trainer_of(recipe.model.name) or _fit_places
    model = None
    try:
        with device.precision(recipe.training.precision) as mixed:
            model = fit(recipe, ds, encoder, samples, path, report, should_stop)
    except Exception as error:
        if not (full_memory.ran_out(error) and _on_gpu(recipe)):
            raise
    if model is None:  # here the error is gone, and what it held
        note(report, device.leave_gpu())
        return fit_model(recipe, ds, encoder, samples, path, report, should_stop)
    # A stored model scores in float32, whatever it was trained in; so does the run itself.
    return prediction.load_model(path / "model") if mixed else model


def _on_gpu(recipe: Recipe) -> bool:
    return models.card(recipe.model.name).framework == "keras" and device.has_gpu()


def _possible(recipe: Recipe, report: Report) -> Recipe:
    """The recipe without what cannot be had on this machine; what is left out is told."""
    if models.card(recipe.model.name).framework != "keras":
        return recipe
    left_out = device.left_out(recipe.training)
    for why in (*(why for _, why in left_out.values()), device.missing()):
        if why:
            note(report, why)
    instead = {name: value for name, (value, _) in left_out.items()}
    training = recipe.training.model_copy(update=instead)
    return recipe.model_copy(update={"training": training})


def _fit_places(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """`fit_model` of a model that learns from places alone."""
    name, options = recipe.model.name, options_of(recipe)
    samples = samples[samples["origin"] != UNLABELLED]
    train, check = (samples[samples["split"] == part] for part in ("train", "validation"))
    note(report, f"building {name} for {len(train):,} training places")
    model = models.build(name, encoder.input_shape, seed=recipe.seed, **options)
    if models.card(name).framework == "keras":
        feed = training.Feed(
            batches(recipe, ds, encoder, train, recipe.training.batch, shuffle=True),
            batches(recipe, ds, encoder, check, prediction.BATCH, shuffle=False),
        )
        if models.scales_itself(model):
            models.learn_scale(model, feed.train.gather(np.arange(len(feed.train.target))))
        count = len(feed.train.target)
        work = {
            "learnt": BACKWARD * count,
            "mapped": int(ds["valid"].sum()) * _samples_a_place(encoder),
        }
        x = feed.train.gather(np.arange(min(prediction.BATCH, count)))
        note(report, forecast(model, x, epochs=recipe.training.epochs, **work))
        kept = Checkpoint(path)
        history = training.fit(model, feed, recipe.training, report, should_stop, kept)
        note(report, kept_words(recipe, history), kept=True)
    elif (path / "model" / ARCHITECTURE).is_file():
        return prediction.load_model(path / "model")  # of a run that was cut off later
    else:
        from lsm_core.models.baselines import fit_estimator  # a network does without scikit-learn

        x = prediction.gather(encoder, ds, train["row"], train["col"])(np.arange(len(train)))
        if encoder.form == "classes":
            runs.write_table(path / "bivariate.csv", class_tables(encoder, x, train["label"]))
        weight = balanced(train["label"]) if recipe.training.weights == "balanced" else None
        fit_estimator(model, x, train["target" if models.card(name).soft else "label"], weight)
    prediction.save_model(model, name, encoder.input_shape, options, path / "model")
    if should_stop():
        raise Stopped("stopped in training; the best weights so far are kept")
    return model


def options_of(recipe: Recipe) -> dict[str, Any]:
    """The model's options; of one that tells scales apart, how many windows lie in its channels.

    Raises
    ------
    RecipeError : an unknown option, or a number of scales, which follows from `input.sizes`.
    """
    name, options = recipe.model.name, recipe.model.options
    if "scales" in options:
        raise RecipeError(f"{name}: scales follow input.sizes: leave model.options.scales out")
    models.check_options(name, options)
    together = recipe.input.sizes and recipe.input.combine == "channels"
    if together and "scales" in models.options_of(name):
        return options | {"scales": len(recipe.input.sizes)}
    return dict(options)


def forecast(
    model: Any, x: NDArray[np.float32], *, epochs: int, learnt: float, mapped: float
) -> str:
    """About how long and how much memory it takes, from scoring one batch.

    Parameters
    ----------
    x : the batch. learnt : how many samples are scored in the time that an epoch learns.
    mapped : how many are scored for the map.
    """
    model.predict_on_batch(x)  # the first one compiles
    began = time.perf_counter()
    model.predict_on_batch(x)
    each = (time.perf_counter() - began) / len(x)
    memory = psutil.Process().memory_info().rss / 1e9
    return (
        f"about {duration(COMPILING + each * learnt * epochs)} if all {epochs} epochs are needed, "
        f"then at most {duration(each * mapped)} for the map; about {1.5 * memory:.1f} GB of memory"
    )


def note(report: Report, words: str, **more: Any) -> None:
    """Tell a person what training is about; `more` marks the news for who follows it."""
    report({"event": "stage", "stage": "training", "message": words} | more)


def kept_words(recipe: Recipe, history: list[dict[str, Any]]) -> str:
    """Which epoch's weights the model holds, and why."""
    number = next((row["epoch"] for row in history if row["kept"]), None)
    if number is None:
        return "stopped within the first epoch: the weights reached are kept"
    last = recipe.training.patience is None
    watched = recipe.training.watch.replace("_", " ")
    why = "the last: no early stopping" if last else f"the best by validation {watched}"
    return f"weights of epoch {number} of {len(history)} are kept, {why}"


def batches(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    places: pd.DataFrame,
    batch: int,
    *,
    shuffle: bool,
) -> training.Batches:
    """Places of an area in batches, with their targets and the recipe's weights.

    Of windows at several scales that are samples of their own, each place is there so often.
    """
    seen = prediction.gather(encoder, ds, places["row"], places["col"])
    each = _samples_a_place(encoder)

    def one_scale(index: NDArray[np.intp]) -> NDArray[np.float32]:
        return seen(index // each)[np.arange(len(index)), index % each]

    weight = None
    if shuffle and recipe.training.weights == "balanced":  # validation is looked at as it is
        weight = np.repeat(balanced(places["label"]), each)
    return training.Batches(
        one_scale if encoder.combine == "samples" else seen,
        np.repeat(places["target"].to_numpy(), each),
        np.repeat(places["label"].to_numpy(), each),
        batch,
        np.random.default_rng(recipe.seed),
        shuffle=shuffle,
        weight=weight,
    )


def balanced(label: ArrayLike) -> NDArray[np.float64]:
    """Weights (place,) by which both classes count the same and the mean place counts 1.

    Labels are 0 and 1; of soft samples, which are -1, each counts 1.

    >>> balanced([1, 0, 0, 0, -1]).round(3).tolist()
    [2.0, 0.667, 0.667, 0.667, 1.0]
    """
    label = np.asarray(label)
    weight = np.ones(len(label))
    hard = int((label >= 0).sum())
    for value in (0, 1):
        weight[label == value] = hard / (2 * max(int((label == value).sum()), 1))
    return weight


def _samples_a_place(encoder: Encoder) -> int:
    return len(encoder.scales) if encoder.combine == "samples" else 1
