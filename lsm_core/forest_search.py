"""A random forest whose options are chosen on its training places, by the folds of the protocol.

Remote Sensing 2022, 14, 2866 finds the forest it compares with by grid search and states neither
grid nor folds. Here every trial is judged as the run itself is: under `honest` the training places
are split again by blocks and with the same gap, under `paper` at random.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import models, prediction, runs
from lsm_core.encoding import Encoder
from lsm_core.errors import SampleError, Stopped
from lsm_core.fitting import Ask, Report, options_of
from lsm_core.inner_folds import nested_splits
from lsm_core.metrics import roc_auc
from lsm_core.models.baselines import fit_estimator
from lsm_core.recipe import Recipe

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def fit_by_search(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """Choose a forest by grid search on training places, fit it on all of them, and store it.

    Arguments as of `fitting.fit_model`. Neither validation nor test places are looked at. The run's
    folder gets `model/` and `search.json`: the folds, what was chosen, and each trial with its area
    under the ROC curve (mean, standard deviation, each fold), the best first.

    Raises
    ------
    SampleError : a fold in which landslides, or places without, are missing. Stopped : between two
        forests, `should_stop` said so; nothing is stored then.
    """
    options = options_of(recipe)
    search = models.build(recipe.model.name, encoder.input_shape, seed=recipe.seed, **options)
    train = samples[(samples["split"] == "train") & (samples["label"] >= 0)].reset_index(drop=True)
    folds = _folds(ds, recipe, train, search.cv.n_splits)
    judge = _Judge(search.param_grid, len(folds), report, should_stop)
    x = prediction.gather(encoder, ds, train["row"], train["col"])(np.arange(len(train)))
    fit_estimator(search.set_params(cv=folds, scoring=judge), x, train["label"])
    found = summary(search, folds)
    runs.write_json(path / "search.json", found)
    best = found["trials"][0]
    message = f"chosen: {in_words(found['chosen'])}; AUC {best['mean']:.3f} on {len(folds)} folds"
    report({"event": "stage", "stage": "training", "message": message})
    model = search.best_estimator_
    prediction.save_model(model, recipe.model.name, encoder.input_shape, options, path / "model")
    return model


def summary(search: Any, folds: list[Fold]) -> dict[str, Any]:
    """What a fitted search tried, and what it chose, as plain values."""
    found = search.cv_results_
    trials = []
    for number in np.argsort(found["rank_test_score"], kind="stable"):
        scores = [float(found[f"split{f}_test_score"][number]) for f in range(len(folds))]
        numbers = {"mean": float(np.mean(scores)), "sd": float(np.std(scores)), "folds": scores}
        trials.append({"options": found["params"][number], **numbers})
    return {
        "judged_by": "area under the ROC curve, mean over folds of the training places",
        "chosen": search.best_params_,
        "folds": [{"train": len(train), "check": len(check)} for train, check in folds],
        "trials": trials,
    }


def in_words(options: dict[str, Any]) -> str:
    """Options in one line.

    >>> in_words({"max_depth": None, "n_estimators": 300})
    'max_depth none, n_estimators 300'
    """
    return ", ".join(f"{k} {'none' if v is None else v}" for k, v in options.items())


def _folds(ds: xr.Dataset, recipe: Recipe, train: pd.DataFrame, count: int) -> list[Fold]:
    """Numbers of the places (rows of `train`) that learn and that check, fold by fold."""
    folds = []
    for frame in nested_splits(ds, recipe, train, count):
        parts = [frame[frame["split"] == name] for name in ("train", "validation")]
        for name, part in zip(("learn", "check"), parts, strict=True):
            if part["label"].nunique() < 2:
                raise SampleError(
                    f"of {len(part)} training places that {name} in one fold of the search, "
                    f"{int(part['label'].sum())} are landslides: both kinds are needed; set "
                    "model.options.folds lower, or make split.block smaller"
                )
        folds.append((parts[0].index.to_numpy(), parts[1].index.to_numpy()))
    return folds


class _Judge:
    """Scores a forest on one fold; tells of each trial when all its folds are done."""

    def __init__(self, grid: dict[str, list[Any]], folds: int, report: Report, ask: Ask) -> None:
        self.grid, self.folds, self.report, self.ask = grid, folds, report, ask
        self.trials = int(np.prod([len(values) for values in grid.values()]))
        self.done: list[float] = []

    def __call__(self, model: Any, x: NDArray[np.float32], label: NDArray[Any]) -> float:
        auc = roc_auc(label, model.predict_proba(x)[:, 1])
        self.done.append(auc)
        if len(self.done) % self.folds == 0:
            self._tell(model)
        if self.ask():
            raise Stopped("stopped in the search; nothing was chosen yet")
        return auc

    def _tell(self, model: Any) -> None:
        options = {name: model.get_params()[name] for name in self.grid}
        mean = np.mean(self.done[-self.folds :])
        trial = f"trial {len(self.done) // self.folds} of {self.trials}"
        message = f"{trial}: AUC {mean:.3f}, {in_words(options)}"
        self.report({"event": "stage", "stage": "training", "message": message})
