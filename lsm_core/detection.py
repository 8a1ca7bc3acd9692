"""Landslides from images: a network fitted on chips; what it finds held against mapped ones.

The network is `models.attention_unet`; which chips train is settled in `chips`; the map is made in
`tile_map`. Cells that do not count, because the area is not valid there or because their landslide
is under test, weigh nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import models, prediction, training
from lsm_core.checkpoint import Checkpoint
from lsm_core.chips import counted
from lsm_core.encoding import Encoder, encode
from lsm_core.errors import Stopped
from lsm_core.fitting import BACKWARD, Ask, Report, forecast, kept_words, note, options_of
from lsm_core.leakage import overlap_report
from lsm_core.objects import match_objects
from lsm_core.recipe import Recipe
from lsm_core.windows import cut

RULES = ("half", "f1")  # thresholds at which objects are matched


class ChipBatches(training.Batches):
    """Chips in batches, cut from the encoded area when a batch is asked for.

    Parameters
    ----------
    stack : (y, x, channel) float32, the encoded area; it is kept, not copied.
    landslide : (y, x), 1 where there is one. counted : (y, x), False where a cell weighs nothing.
    chips : row and col of their centres. size : cells across.
    batch, rng, shuffle : as of `training.Batches`.
    augment : turn each chip by a random quarter and mirror it or not, anew in every epoch.

    `batches[i]` is (x, target, weight): (chip, size, size, channel), (chip, size, size, 1) and
    (chip, size, size), weights such that the cells that count have a mean of 1 over the batch.
    """

    def __init__(
        self,
        stack: NDArray[np.float32],
        landslide: NDArray[Any],
        counted: NDArray[np.bool_],
        chips: pd.DataFrame,
        size: int,
        batch: int,
        rng: np.random.Generator,
        shuffle: bool,
        augment: bool = False,
    ) -> None:
        rows, cols = chips["row"].to_numpy(), chips["col"].to_numpy()
        self.cells = np.stack([landslide > 0, counted], axis=-1)
        self.augment = augment

        def gather(index: NDArray[np.intp]) -> NDArray[np.float32]:
            return cut(stack, rows[index], cols[index], size)

        def truth(index: NDArray[np.intp]) -> NDArray[np.bool_]:
            return cut(self.cells, rows[index], cols[index], size)

        self.truth = truth
        super().__init__(gather, chips["target"], chips["label"], batch, rng, shuffle)
        self.turns = np.zeros(len(chips), dtype=int)

    def __getitem__(self, number: int) -> tuple[NDArray[Any], ...]:
        index = self.members(number)
        x, truth = self.gather(index), self.truth(index)
        if self.augment:
            turns = self.turns[index]
            x, truth = turned(x, turns), turned(truth, turns)
        counts = truth[..., 1].astype(np.float32)
        return x, truth[..., :1].astype(np.float32), counts / max(float(counts.mean()), 1e-9)

    def start_epoch(self) -> None:
        """Shuffle, and draw how each chip is turned."""
        super().start_epoch()
        if self.augment:
            self.turns = self.rng.integers(8, size=len(self.turns))

    def judged(self) -> tuple[NDArray[Any], NDArray[Any], Any]:
        """Target and label, 0 or 1, of the cells that count, and which cells of all these are."""
        slide, counts = self.truth(self.order).reshape(-1, 2).T
        label = slide[counts].astype(np.int8)
        return label, label, counts


def turned(chips: NDArray[Any], turns: NDArray[np.intp]) -> NDArray[Any]:
    """Chips (chip, y, x, channel), each in one of eight ways: quarter turns, mirrored from 4 on.

    >>> turned(np.arange(4).reshape(1, 2, 2, 1), np.array([1]))[0, :, :, 0]
    array([[1, 3],
           [0, 2]])
    """
    return np.stack(
        [
            np.rot90(chip[::-1] if turn >= 4 else chip, turn % 4)
            for chip, turn in zip(chips, turns.tolist(), strict=True)
        ]
    )


def fit_on_chips(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """Build, fit and store a network on chips; see `fitting.fit_model`, which calls it.

    Parameters
    ----------
    samples : chips, of `chips.draw_chips`.

    Raises
    ------
    SampleError : cells of one class only in training or validation.
    Stopped : `should_stop` said so; the best weights so far are kept.
    """
    name, options, settings = recipe.model.name, options_of(recipe), recipe.training
    stack = encode(ds, encoder).to_numpy()
    landslide, usable = ds["landslide"].to_numpy(), counted(ds, samples, recipe)

    def batches(part: str) -> ChipBatches:
        return ChipBatches(
            stack,
            landslide,
            usable,
            samples[samples["split"] == part],
            recipe.chip,
            settings.batch,
            np.random.default_rng(recipe.seed),
            shuffle=part == "train",
            augment=part == "train" and recipe.chips_or_usual.augment,
        )

    train = batches("train")
    note(report, f"building {name} for {len(train.order):,} training chips")
    model = models.build(name, encoder.input_shape, seed=recipe.seed, **options)
    mapped = 4 * ds["landslide"].size / recipe.chip**2  # a tile is read with its halo
    learnt = BACKWARD * len(train.order)
    note(report, forecast(model, train[0][0], epochs=settings.epochs, learnt=learnt, mapped=mapped))
    feed = training.Feed(train, batches("validation"))
    history = training.fit(model, feed, settings, report, should_stop, Checkpoint(path))
    note(report, kept_words(recipe, history), kept=True)
    prediction.save_model(model, name, encoder.input_shape, options, path / "model")
    if should_stop():
        raise Stopped("stopped in training; the best weights so far are kept")
    return model


def judge_objects(
    scores: pd.DataFrame, shape: tuple[int, int], thresholds: Mapping[str, Any]
) -> dict[str, Any]:
    """Landslides found and objects made up on the test cells, by the rule of `objects`.

    Parameters
    ----------
    scores : cells with row, col, landslide_id, split and score.
    thresholds : of `evaluation.judge_places`; objects are matched at 0.5 and at the threshold that
        gives the validation cells the highest F1.

    Returns
    -------
    By rule ("half", "f1"), `objects.match_objects` with the threshold.
    """
    test = scores[scores["split"] == "test"]
    at = test["row"].to_numpy(), test["col"].to_numpy()
    slide, score = np.zeros(shape, dtype=np.int32), np.full(shape, -np.inf)
    slide[at], score[at] = test["landslide_id"], test["score"]
    judged = {}
    for rule in RULES:
        threshold = thresholds[rule]["threshold"]
        mask = score >= (np.inf if threshold is None else threshold)
        judged[rule] = {"threshold": threshold} | match_objects(mask, slide)
    return judged


def overlap_of_chips(chips: pd.DataFrame, cells: pd.DataFrame, size: int) -> dict[str, Any]:
    """The leakage meter of chips; landslides in both parts are looked for in their cells.

    `leakage.overlap_report` with the chips as windows. Under `paper` a landslide may lie across
    the border of two chips; such ones count as shared.
    """
    report = overlap_report(chips, size)
    held = cells["split"] == "test"
    ids = (set(cells.loc[part & (cells["label"] == 1), "landslide_id"]) for part in (held, ~held))
    shared = len(set.intersection(*ids) - {0})
    if shared:
        verdict = f"leaks: cells of {shared} landslides are in training and test"
        report |= {"shared_landslides": shared, "verdict": verdict}
    return report
