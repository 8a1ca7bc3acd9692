"""A recipe's model, built and fitted on its training places, and stored in the run's folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import xarray as xr

from lsm_core import models, prediction, runs, training
from lsm_core.bivariate import class_tables
from lsm_core.encoding import Encoder
from lsm_core.errors import Stopped
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
    name, options = recipe.model.name, recipe.model.options
    train, check = (samples[samples["split"] == part] for part in ("train", "validation"))
    message = f"building {name} for {len(train):,} training places"
    report({"event": "stage", "stage": "training", "message": message})
    model = models.build(name, encoder.input_shape, seed=recipe.seed, **options)
    if models.card(name).framework == "keras":
        feed = training.Feed(
            _batches(recipe, ds, encoder, train, recipe.training.batch, shuffle=True),
            _batches(recipe, ds, encoder, check, prediction.BATCH, shuffle=False),
        )
        forecast = _forecast(model, feed, recipe.training.epochs, int(ds["valid"].sum()))
        report({"event": "stage", "stage": "training", "message": forecast})
        training.fit(model, feed, recipe.training, report, should_stop)
    else:
        from lsm_core.models.baselines import fit_estimator  # a network does without scikit-learn

        x = prediction.gather(encoder, ds, train["row"], train["col"])(np.arange(len(train)))
        if encoder.form == "classes":
            runs.write_table(path / "bivariate.csv", class_tables(encoder, x, train["label"]))
        fit_estimator(model, x, train["label"])
    prediction.save_model(model, name, encoder.input_shape, options, path / "model")
    if should_stop():
        raise Stopped("stopped in training; the best weights so far are kept")
    return model


def _forecast(model: Any, feed: training.Feed, epochs: int, cells: int) -> str:
    """About how long and how much memory, from scoring one batch of the map's size."""
    x = feed.train.gather(np.arange(min(prediction.BATCH, len(feed.train.target))))
    model.predict_on_batch(x)  # the first one compiles
    began = time.perf_counter()
    model.predict_on_batch(x)
    per_place = (time.perf_counter() - began) / len(x)
    learning = COMPILING + BACKWARD * per_place * len(feed.train.target) * epochs
    mapping = per_place * cells
    memory = psutil.Process().memory_info().rss / 1e9
    return (
        f"about {_duration(learning)} if all {epochs} epochs are needed, then "
        f"{_duration(mapping)} for the map; about {1.5 * memory:.1f} GB of memory"
    )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _batches(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    places: pd.DataFrame,
    batch: int,
    *,
    shuffle: bool,
) -> training.Batches:
    return training.Batches(
        prediction.gather(encoder, ds, places["row"], places["col"]),
        places["target"].to_numpy(),
        places["label"].to_numpy(),
        batch,
        np.random.default_rng(recipe.seed),
        shuffle=shuffle,
    )
