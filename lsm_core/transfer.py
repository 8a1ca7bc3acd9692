"""A model carried from one area, the source, to another, the target.

Four ways: `direct`, the source's model as it is; `self_train`, which goes on with its own confident
answers on the target; `inductive`, fine-tuned on target labels; and, to hold them against, a model
of both areas' labels (pooled) or of the target's only (scratch). What the target must be like, and
what is seen of it, is settled in `arrival`.

Sources: Front. Earth Sci. 2023, 11, 1105985 (direct, self and inductive transfer; what "self" is
is not said there: self-training is our reading); Gondwana Research 2022,
doi 10.1016/j.gr.2022.07.008 (pre-training, then fine-tuning with few labels).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from lsm_core import freezing, model_store, models, prediction, runs, training
from lsm_core.arrival import arrive, transfer_of
from lsm_core.encoding import Encoder
from lsm_core.errors import Stopped
from lsm_core.fitting import Ask, Report, balanced, batches, fit_model, options_of
from lsm_core.labelling import UNLABELLED
from lsm_core.recipe import Recipe
from lsm_core.study_area import open_area

# ------------------------------------------------------------------------------------ three ways


def direct(source: runs.Run, seed: int | None = None) -> Any:
    """The model of a finished run as it is (RunError: it has none).

    `seed` is of what it draws (dropout) where it goes on learning.
    """
    return model_store.load_model(source.path / "model", seed)


def inductive(
    model: Any,
    feed: training.Feed,
    settings: training.Settings,
    *,
    freeze: int = 0,
    norms: str = "still",
    on_progress: Report | None = None,
    should_stop: Ask | None = None,
) -> dict[str, Any]:
    """Fine-tune a trained network on other places, some of its layers frozen.

    Parameters
    ----------
    model : a Keras model, changed in place. feed : target places with labels.
    settings : as for `training.fit`. Few places make few steps: at a tenth of the rate of the first
        training they change next to nothing (docs/methods/deep_transfer.md); early stopping is what
        keeps the weights near.
    freeze, norms : see `freezing.freeze`.

    Returns
    -------
    `frozen` and `still`: names of layers; `moved`: how far each layer's weights went, 0 for frozen
    ones; `epochs`.

    Raises
    ------
    RecipeError : no layer is left to learn. RunError : a frozen weight changed.
    """
    frozen = freezing.freeze(model, freeze, norms=norms)
    before = freezing.weights_of(model)
    history = training.fit(model, feed, settings, on_progress, should_stop)
    freezing.check_frozen(model, frozen)
    return {
        "frozen": list(frozen.layers),
        "still": list(frozen.norms),
        "layers": frozen.groups,
        "moved": freezing.moved(model, before),
        "epochs": len(history),
    }


def self_train(
    score: Callable[[], NDArray[np.floating]],
    learn: Callable[[NDArray[np.intp], NDArray[np.int_]], None],
    *,
    rounds: int = 3,
    confidence: float = 0.9,
    share: float = 0.1,
) -> list[dict[str, Any]]:
    """Self-training: a model's confident answers become labels, from which it learns, and again.

    In every round the pool is scored. Places at `confidence` or above count as landslides, those at
    1 - `confidence` or below as places without; of either class the surest are taken, as many of
    the one as of the other, so that the rarer class is not drowned. What was taken in the last
    round is not kept: each round answers anew, for `share` more of the pool.

    Parameters
    ----------
    score : gives the scores of the pool, (place,), by the model as it stands.
    learn : gets the index of places and their new labels.
    share : of the pool, for each class in the first round; twice that in the second, and so on.

    Returns
    -------
    A dict a round: `round`, `confident` (places beyond the limits), `taken`, `landslides`. It ends
    early where one class has no confident place: nothing is learnt from one class alone.

    >>> told = []
    >>> learn = lambda index, label: told.append((index.tolist(), label.tolist()))
    >>> self_train(lambda: np.array([0.99, 0.5, 0.95, 0.02]), learn, rounds=1, share=0.5)
    [{'round': 1, 'confident': 3, 'taken': 2, 'landslides': 1}]
    >>> told
    [([0, 3], [1, 0])]
    """
    news = []
    for number in range(1, rounds + 1):
        given = np.asarray(score(), float)
        index, label = confident(given, confidence, round(share * number * len(given)))
        sure = int(((given >= confidence) | (given <= _unsure(confidence))).sum())
        found = {"round": number, "confident": sure, "taken": len(index)}
        news.append(found | {"landslides": int(label.sum())})
        if not len(index):
            break
        learn(index, label)
    return news


def confident(
    score: NDArray[np.floating], confidence: float, most: int
) -> tuple[NDArray[np.intp], NDArray[np.int_]]:
    """Index and label of the surest places of either class, equally many, at most `most` of each.

    Of equal scores the first are taken.
    """
    high = np.argsort(-score, kind="stable")
    low = np.argsort(score, kind="stable")
    n = min(int((score >= confidence).sum()), int((score <= _unsure(confidence)).sum()), most)
    index = np.concatenate([high[:n], low[:n]])
    return index, np.repeat([1, 0], n)


def _unsure(confidence: float) -> float:
    """1 - confidence as it is written: 1 - 0.9 is a little below 0.1."""
    return round(1 - confidence, 9)


# -------------------------------------------------------------------------------------- learning


def fit_transfer(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    path: Path,
    report: Report,
    should_stop: Ask,
) -> Any:
    """Learn as `recipe.transfer` says, store the model, and what it came from in `transfer.json`.

    Arguments and Stopped as in `fitting.fit_model`; `samples` after `target_labels.keep_labels`.
    """
    settings = transfer_of(recipe)
    labelled = samples[samples["origin"] != UNLABELLED]
    if settings.how == "scratch":
        model = fit_model(recipe, ds, encoder, labelled, path, report, should_stop)
        _write(path, recipe, labelled, {})
        return model
    source = runs.open_run(str(settings.source))
    say = f"{settings.how} transfer of {recipe.model.name} from {source.id}"
    report({"event": "stage", "stage": "training", "message": say})
    told: dict[str, Any] = {}
    if settings.how == "direct":
        model = direct(source)
    elif models.card(recipe.model.name).framework == "keras":
        model, told = _network(recipe, ds, encoder, samples, source, report, should_stop)
    else:
        model, told = _estimator(recipe, ds, encoder, samples, source)
    options = options_of(recipe)
    prediction.save_model(model, recipe.model.name, encoder.input_shape, options, path / "model")
    _write(path, recipe, labelled, told)
    if should_stop():
        raise Stopped("stopped in training; the best weights so far are kept")
    return model


def _write(path: Path, recipe: Recipe, labelled: pd.DataFrame, told: dict[str, Any]) -> None:
    hard = labelled[(labelled["split"] != "test") & (labelled["label"] >= 0)]
    found = arrive(recipe).origin | {
        "target_labels": len(hard),
        "target_landslides": int(hard["label"].sum()),
        "watching": int((hard["split"] == "validation").sum()),
    }
    runs.write_json(path / "transfer.json", found | told)


def _network(
    recipe: Recipe,
    ds: xr.Dataset,
    encoder: Encoder,
    samples: pd.DataFrame,
    source: runs.Run,
    report: Report,
    should_stop: Ask,
) -> tuple[Any, dict[str, Any]]:
    settings = transfer_of(recipe)
    rate = settings.rate or recipe.training.learning_rate
    gentle = recipe.training.model_copy(update={"learning_rate": rate})
    own = _parts(recipe, ds, encoder, samples)

    def tune(model: Any, feed: training.Feed) -> dict[str, Any]:
        return inductive(
            model,
            feed,
            gentle,
            freeze=settings.freeze,
            norms=settings.norms,
            on_progress=report,
            should_stop=should_stop,
        )

    if settings.how == "inductive":
        model = direct(source, recipe.seed)
        told = tune(model, _feed(recipe, own["train"], own["validation"]))
        return model, told | {"rate": rate}
    theirs = _parts(recipe, open_area(source.area_path), encoder, source.samples)
    check = theirs["validation"] + own["validation"]
    if settings.how == "pooled":
        model = _new(recipe, encoder)
        if models.scales_itself(model):  # as the source's own network, by source places alone
            (seen,) = theirs["train"]
            models.learn_scale(model, seen.gather(np.arange(len(seen.target))))
        feed = _feed(recipe, theirs["train"] + own["train"], check)
        training.fit(model, feed, recipe.training, report, should_stop)
        return model, {}
    model = direct(source, recipe.seed)
    pool = samples[samples["origin"] == UNLABELLED]
    epochs: list[int] = []

    def score() -> NDArray[np.float32]:
        return prediction.score_places(model, encoder, ds, pool["row"], pool["col"])

    def learn(index: NDArray[np.intp], label: NDArray[np.int_]) -> None:
        answers = pool.iloc[index].assign(
            label=label, target=label.astype("float32"), origin="own answer"
        )
        more = _parts(recipe, ds, encoder, answers)["train"]
        feed = _feed(recipe, theirs["train"] + own["train"] + more, check)
        epochs.append(tune(model, feed)["epochs"])

    rounds = _rounds(recipe, score, learn)
    return model, {"rounds": rounds, "epochs": epochs, "rate": rate}


def _estimator(
    recipe: Recipe, ds: xr.Dataset, encoder: Encoder, samples: pd.DataFrame, source: runs.Run
) -> tuple[Any, dict[str, Any]]:
    """Pooled, or self-training: a scikit-learn model has nothing to go on from, and learns anew."""
    from lsm_core.models.baselines import fit_estimator

    settings = transfer_of(recipe)
    area = open_area(source.area_path)
    both = [(area, _train(source.samples)), (ds, _train(samples))]

    def fitted(parts: list[tuple[xr.Dataset, pd.DataFrame]]) -> Any:
        full = [(of, places) for of, places in parts if len(places)]
        seen = [_seen(encoder, of, places) for of, places in full]
        label = np.concatenate([places["label"] for _, places in full])
        weight = balanced(label) if recipe.training.weights == "balanced" else None
        return fit_estimator(_new(recipe, encoder), np.concatenate(seen), label, weight)

    if settings.how == "pooled":
        return fitted(both), {}
    model = direct(source)
    pool = samples[samples["origin"] == UNLABELLED]
    x = _seen(encoder, ds, pool)

    def learn(index: NDArray[np.intp], label: NDArray[np.int_]) -> None:
        nonlocal model
        model = fitted([*both, (ds, pool.iloc[index].assign(label=label))])

    rounds = _rounds(recipe, lambda: prediction.score_inputs(model, x), learn)
    return model, {"rounds": rounds}


def _rounds(recipe: Recipe, score: Any, learn: Any) -> list[dict[str, Any]]:
    settings = transfer_of(recipe)
    return self_train(
        score,
        learn,
        rounds=settings.rounds,
        confidence=settings.confidence,
        share=settings.share,
    )


def _new(recipe: Recipe, encoder: Encoder) -> Any:
    options = options_of(recipe)
    return models.build(recipe.model.name, encoder.input_shape, seed=recipe.seed, **options)


def _train(samples: pd.DataFrame) -> pd.DataFrame:
    return samples[(samples["split"] == "train") & (samples["label"] >= 0)]


def _seen(encoder: Encoder, ds: xr.Dataset, places: pd.DataFrame) -> NDArray[np.float32]:
    return prediction.gather(encoder, ds, places["row"], places["col"])(np.arange(len(places)))


def _parts(
    recipe: Recipe, ds: xr.Dataset, encoder: Encoder, samples: pd.DataFrame
) -> dict[str, list[training.Batches]]:
    """Training and validation places of one area, as lists of none or one set of batches."""
    seen = samples[samples["origin"] != UNLABELLED]
    found: dict[str, list[training.Batches]] = {"train": [], "validation": []}
    for part, made in found.items():
        own = seen[seen["split"] == part]
        if len(own):
            shuffle = part == "train"
            made.append(batches(recipe, ds, encoder, own, recipe.training.batch, shuffle=shuffle))
    return found


def _feed(
    recipe: Recipe, train: list[training.Batches], check: list[training.Batches]
) -> training.Feed:
    return training.Feed(
        together(train, recipe.training.batch, np.random.default_rng(recipe.seed), shuffle=True),
        together(check, prediction.BATCH, np.random.default_rng(recipe.seed), shuffle=False),
    )


def together(
    parts: list[training.Batches], batch: int, rng: np.random.Generator, *, shuffle: bool
) -> training.Batches:
    """Batches of several areas' places, in one order."""
    ends = np.cumsum([len(part.target) for part in parts])
    starts = ends - [len(part.target) for part in parts]

    def gather(index: NDArray[np.intp]) -> NDArray[np.float32]:
        owner = np.searchsorted(ends, index, side="right")
        some = [parts[i].gather(index[owner == i] - starts[i]) for i in np.unique(owner)]
        return np.concatenate(some)[np.argsort(np.argsort(owner, kind="stable"))]

    weighed = [part.weight for part in parts if part.weight is not None]
    return training.Batches(
        gather,
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.label for part in parts]),
        batch,
        rng,
        shuffle=shuffle,
        weight=np.concatenate(weighed) if len(weighed) == len(parts) else None,
    )
