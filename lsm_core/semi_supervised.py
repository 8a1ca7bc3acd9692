"""A recipe's discriminator and generator, fitted on labelled and unlabelled places, and stored.

What is fitted, and against what, stands in `adversarial`; here a recipe becomes its batches, and
the news of training become pictures in the run's folder.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import generated_figures, models, prediction, runs, training
from lsm_core.adversarial import Game, generated_samples
from lsm_core.encoding import Encoder
from lsm_core.errors import Stopped
from lsm_core.fitting import Ask, Report, forecast, kept_words, note, options_of
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
    many = f"{len(train):,} labelled and {free.sum():,} unlabelled places"
    note(report, f"building {name} for {many}")
    model = models.build(name, encoder.input_shape, seed=recipe.seed, **options)
    rng = np.random.default_rng([recipe.seed, 1])
    real = prediction.gather(encoder, ds, samples[free]["row"], samples[free]["col"])
    game = Game(model, rng, real, int(free.sum()))
    times = max(1, round(int(free.sum()) / len(train)))
    feed = training.Feed(
        _batches(recipe, ds, encoder, train, times=times, shuffle=True),
        _batches(recipe, ds, encoder, check, times=1, shuffle=False),
    )
    count, epochs = len(feed.train.target), recipe.training.epochs
    x = feed.train.gather(np.arange(prediction.BATCH) % count)
    work = {"learnt": count * (ALONE if game.generator is None else AGAINST)}
    note(report, forecast(game, x, epochs=epochs, mapped=int(ds["valid"].sum()), **work))

    def tell(news: dict[str, Any]) -> None:
        report(news | game.losses())
        if news["event"] == "epoch" and model.generator is not None:
            _picture(recipe, encoder, model, real, news["epoch"], path)

    history = training.fit(game, feed, recipe.training, tell, should_stop)
    note(report, kept_words(recipe, history))
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
