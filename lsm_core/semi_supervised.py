"""A recipe's discriminator and generator, fitted on labelled and unlabelled places, and stored.

What is fitted, and against what, stands in `adversarial`; here a recipe becomes its batches, and
the news of training become pictures in the run's folder.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import xarray as xr
from numpy.typing import NDArray

from lsm_core import generated_figures, models, prediction, runs, training
from lsm_core.adversarial import Game, generated_samples
from lsm_core.encoding import Encoder
from lsm_core.errors import Stopped
from lsm_core.fitting import COMPILING, Ask, Report, duration, kept_words, options_of
from lsm_core.labelling import UNLABELLED
from lsm_core.recipe import Recipe

PICTURES = 10  # of generated samples in a whole training, and one after its first epoch
SHOWN = 6  # generated samples on a picture, and as many real ones
ALONE, AGAINST = 5, 25  # times the work of scoring a labelled place that learning from it takes


def fit_adversaries(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """Build, fit and store an SSGAN or its discriminator alone, as `fitting.fit_model` does.

    Unlabelled places are learnt from by the SSGAN only; where there are more of them than labelled
    ones, an epoch goes so often through the labelled ones, of the discriminator alone too. Pictures
    of what the generator makes of the same noise lie in `generated/`, by epoch.

    Raises
    ------
    Stopped : `should_stop` said so; the best weights so far are stored.
    """
    name, options = recipe.model.name, options_of(recipe)
    free = samples["origin"] == UNLABELLED
    train, check = (samples[(samples["split"] == p) & ~free] for p in ("train", "validation"))
    message = f"building {name} for {len(train):,} labelled and {free.sum():,} unlabelled places"
    report({"event": "stage", "stage": "training", "message": message})
    model = models.build(name, encoder.input_shape, seed=recipe.seed, **options)
    rng = np.random.default_rng([recipe.seed, 1])
    real = prediction.gather(encoder, ds, samples[free]["row"], samples[free]["col"])
    game = Game(model, rng, real, int(free.sum()))
    times = max(1, round(int(free.sum()) / len(train)))
    feed = training.Feed(
        _batches(recipe, ds, encoder, train, times=times, shuffle=True),
        _batches(recipe, ds, encoder, check, times=1, shuffle=False),
    )
    message = _forecast(game, feed, recipe.training.epochs, int(ds["valid"].sum()))
    report({"event": "stage", "stage": "training", "message": message})

    def tell(news: dict[str, Any]) -> None:
        report(news | game.losses())
        if news["event"] == "epoch" and model.generator is not None:
            _picture(recipe, encoder, model, real, news["epoch"], path)

    history = training.fit(game, feed, recipe.training, tell, should_stop)
    report({"event": "stage", "stage": "training", "message": kept_words(recipe, history)})
    prediction.save_model(model, name, encoder.input_shape, options, path / "model")
    if should_stop():
        raise Stopped("stopped in training; the best weights so far are kept")
    return model


def _batches(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    places: pd.DataFrame,
    *,
    times: int,
    shuffle: bool,
) -> training.Batches:
    """Batches in which every place comes `times` times an epoch."""
    seen, n = prediction.gather(encoder, ds, places["row"], places["col"]), len(places)
    return training.Batches(
        lambda index: seen(index % n),
        np.tile(places["target"].to_numpy(), times),
        np.tile(places["label"].to_numpy(), times),
        recipe.training.batch if shuffle else prediction.BATCH,
        np.random.default_rng(recipe.seed),
        shuffle=shuffle,
    )


def _forecast(game: Game, feed: training.Feed, epochs: int, cells: int) -> str:
    """About how long and how much memory, from scoring one batch of the map's size."""
    count = len(feed.train.target)
    x = feed.train.gather(np.arange(prediction.BATCH) % count)
    game.predict_on_batch(x)  # the first one compiles
    began = time.perf_counter()
    game.predict_on_batch(x)
    per_sample = (time.perf_counter() - began) / len(x)
    work = ALONE if game.generator is None else AGAINST
    learning = COMPILING + work * per_sample * count * epochs
    memory = psutil.Process().memory_info().rss / 1e9
    return (
        f"about {duration(learning)} if all {epochs} epochs are needed, then "
        f"{duration(per_sample * cells)} for a map; about {1.5 * memory:.1f} GB of memory"
    )


def _picture(
    recipe: Recipe,
    encoder: Encoder,
    model: Any,
    real: Any,
    epoch: int,
    path: Path,
) -> None:
    """Generated beside real samples, after the first epoch and every tenth part of all."""
    every = max(1, recipe.training.epochs // PICTURES)
    if epoch != 1 and epoch % every:
        return
    made: NDArray[np.float32] = generated_samples(model, SHOWN, recipe.seed)
    png = generated_figures.samples_png(
        {"generated": made, "real": real(np.arange(SHOWN))}, encoder.channels, f"epoch {epoch}"
    )
    runs.write_bytes(path / "generated" / f"epoch_{epoch:04d}.png", png)
