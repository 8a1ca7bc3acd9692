"""The training loop of the networks: batches in, news out, the best or the last weights kept.

It knows NumPy and Keras only, and Keras is loaded by `fit`, so that importing this file costs
nothing to a run that needs no network. Which places are trained on, and what a model is shown of
them, is settled elsewhere and comes in as `Batches`.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm_core import own_code
from lsm_core.errors import RunError, SampleError, Stopped
from lsm_core.metrics import average_precision, pr_curve
from lsm_core.training_record import Packed, Record, pack, unpack

Gather = Callable[[NDArray[np.intp]], NDArray[Any]]
Report = Callable[[dict[str, Any]], None]
Ask = Callable[[], bool]

NEWS_EVERY = 0.25  # seconds between two pieces of news within an epoch
RECALLS = np.linspace(0, 1, 21)  # at which the precision of an epoch is told
TINY = 1e-7  # keeps a logarithm finite, as Keras does


class Settings(Protocol):
    """What `fit` needs to be told; a recipe's `training` section is one."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def patience(self) -> int | None: ...
    @property
    def loss(self) -> str: ...
    @property
    def alpha(self) -> float: ...
    @property
    def gamma(self) -> float: ...
    @property
    def watch(self) -> str: ...
    @property
    def jit(self) -> bool: ...


class Checkpoint(Protocol):
    """Keeps what is needed to go on; see `checkpoint.Checkpoint`."""

    def read(self) -> Packed | None: ...
    def write(self, pack: Callable[[], Packed], *, last: bool) -> None: ...


class Batches:
    """Samples in batches; what the model sees of them is gathered when a batch is asked for.

    Parameters
    ----------
    gather : from an index array to the model's input, (index, ...) float32.
    target : (sample,), what the network learns: 0 to 1.
    label : (sample,), 0, 1, or -1 where a sample has a target but no hard label.
    batch : most samples in a batch. Sizes differ by one at most, so that no lone sample is left
        over for batch normalisation.
    rng, shuffle : with `shuffle`, a new order before every epoch.
    weight : (sample,), weights of the loss.

    `len()` is the number of batches; `batches[i]` is (x, target) or (x, target, weight), with
    target of shape (index, 1). `order` is the present order of the samples.

    >>> b = Batches(lambda i: i, [0, 1, 1], [0, 1, 1], 2, np.random.default_rng(0), shuffle=False)
    >>> len(b), b[0][1].tolist()
    (2, [[0.0]])
    """

    def __init__(
        self,
        gather: Gather,
        target: ArrayLike,
        label: ArrayLike,
        batch: int,
        rng: np.random.Generator,
        shuffle: bool,
        weight: ArrayLike | None = None,
    ) -> None:
        self.gather = gather
        self.target = np.asarray(target, np.float32)
        self.label = np.asarray(label)
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        self.rng, self.shuffle = rng, shuffle
        if len(self.target) == 0:
            raise SampleError("no samples to make batches of: the split left this part empty")
        self._count = math.ceil(len(self.target) / batch)
        self.order = np.arange(len(self.target))

    def __len__(self) -> int:
        return self._count

    def members(self, number: int) -> NDArray[np.intp]:
        """Indices of the samples in a batch."""
        size = len(self.order)
        first, last = number * size // self._count, (number + 1) * size // self._count
        return self.order[first:last]

    def __getitem__(self, number: int) -> tuple[NDArray[Any], ...]:
        index = self.members(number)
        batch = (self.gather(index), self.target[index, None])
        return batch if self.weight is None else (*batch, self.weight[index])

    def judged(self) -> tuple[NDArray[Any], NDArray[Any], Any]:
        """Target and label of what scores are held against, and which of all scores, in order."""
        return self.target[self.order], self.label[self.order], slice(None)

    def start_epoch(self) -> None:
        """Shuffle, if these batches are to be shuffled."""
        if self.shuffle:
            self.rng.shuffle(self.order)


class Feed(NamedTuple):
    """What is learnt from, and what early stopping watches: never the test places."""

    train: Batches
    validation: Batches


def fit(
    model: Any,
    feed: Feed,
    settings: Settings,
    on_progress: Report | None = None,
    should_stop: Ask | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Any]]:
    """Train a Keras model; afterwards it holds the weights of its best or last epoch.

    Best is the highest validation accuracy (score >= .5 against hard labels; samples without one do
    not count), among equals the lowest validation loss (on targets). Training ends after `epochs`,
    or after `patience` epochs in which the accuracy did not rise. Without (`patience` None) nothing
    stops it early, and the weights of the last epoch are kept, whatever validation says.

    Parameters
    ----------
    model : built, with one output in (0, 1). It is compiled here.
    settings : epochs, batch, learning_rate, optimizer ("adam" or "sgd"), patience, loss ("mse",
        "binary_crossentropy" or "focal"). The size of a batch is in the feed already.
    on_progress : gets {"event": "epoch", epoch, epochs, loss, val_loss, val_accuracy,
        val_average_precision, val_precision (at recall `RECALLS`), seconds (of the epoch), eta
        (seconds, at most)} after each epoch, and
        {"event": "batch", epoch, epochs, batch, batches, loss, eta} at most four times a second.
    should_stop : is asked after every batch. A stop ends training there; the epoch under way is
        not counted. Before the first epoch is over, the weights are those reached.
    checkpoint : where the training stands is kept there after epochs; where it holds something, it
        goes on from that.

    Returns
    -------
    One dict per finished epoch: epoch, loss, val_loss, val_accuracy, val_average_precision,
    seconds, and kept: whether it is the one whose weights the model holds.

    Raises
    ------
    SampleError : training targets are all the same, or validation labels of one class only.
    RunError : the loss is no longer a number, or the checkpoint is of another model.
    RecipeError : unknown loss.

    The same seeds (of the model, of the batches' rng) on the same machine give the same weights,
    bit by bit.
    """
    import keras  # slow to load, and this module is imported for tables too

    _check(feed, settings)
    optimizer = _optimizer(keras, settings)
    # Without compilation JAX would take a step operation by operation.
    compiled = settings.jit or keras.backend.backend() == "jax"
    model.compile(optimizer=optimizer, loss=_keras_loss(settings), jit_compile=compiled)
    if isinstance(model, keras.Model):  # a step that makes Adam's variables would be traced twice
        model.optimizer.build(model.trainable_variables)
    watch = _Watch(settings, on_progress or (lambda news: None), should_stop or (lambda: False))
    record = _taken_up(model, feed, checkpoint)
    watch.begun = len(record.history)
    try:
        while not record.is_over(settings):
            result = _epoch(model, feed, settings, watch, number=len(record.history) + 1)
            curve = result.pop("val_precision", None)  # for who looks on, not for the record
            record.add(result, settings, model)
            if checkpoint is not None:
                now = functools.partial(pack, record, model, feed.train)
                checkpoint.write(now, last=record.is_over(settings))
            watch.tell_epoch(result | {"val_precision": curve})
    except Stopped:
        pass  # the caller knows: it was its own `should_stop`
    if record.kept is not None:
        model.set_weights(record.kept)
    return [row | {"kept": row["epoch"] == record.number} for row in record.history]


def _taken_up(model: Any, feed: Feed, checkpoint: Checkpoint | None) -> Record:
    """The record of a training that was cut off, the model as it was then; else a new one."""
    packed = checkpoint.read() if checkpoint is not None else None
    if packed is None:
        return Record()
    try:
        return unpack(packed, model, feed.train)
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"the checkpoint does not fit this model ({error}): delete checkpoint.npz in the run's "
            "folder to train anew"
        ) from error


def _optimizer(keras: Any, settings: Settings) -> Any:
    """Adam, or stochastic gradient descent without momentum."""
    kind = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[settings.optimizer]
    return kind(settings.learning_rate)


def _epoch(
    model: Any, feed: Feed, settings: Settings, watch: "_Watch", number: int
) -> dict[str, Any]:
    """Learn from every training batch once, then look at the validation samples once."""
    started = time.monotonic()
    model.reset_metrics()
    feed.train.start_epoch()
    total = seen = 0.0  # the mean is ours: Keras' `train_on_batch` forgets the batches before
    for i in range(len(feed.train)):
        batch = feed.train[i]
        loss = float(model.train_on_batch(*batch, return_dict=True)["loss"])
        if not math.isfinite(loss):
            raise _no_number(f"loss is {loss}", batch[0], settings, number)
        total, seen = total + loss * len(batch[1]), seen + len(batch[1])
        watch.after_batch(number, i + 1, len(feed.train), total / seen)
    checked = _validate(model, feed.validation, settings, watch)
    if not math.isfinite(checked["val_loss"]):
        raise _no_number("validation loss is not a number", feed.validation[0][0], settings, number)
    return {"epoch": number, "loss": total / seen, **checked, "seconds": time.monotonic() - started}


def _validate(model: Any, batches: Batches, settings: Settings, watch: "_Watch") -> dict[str, Any]:
    """Loss on targets, accuracy and average precision on hard labels, from one pass."""
    scores = []
    for i in range(len(batches)):
        scores.append(np.asarray(model.predict_on_batch(batches[i][0])).ravel())
        watch.ask()
    score = np.concatenate(scores).astype(np.float64)
    target, label, which = batches.judged()
    score = score[which]
    loss = _loss(settings)(target, score)
    if not math.isfinite(loss):
        return {"val_loss": loss, "val_accuracy": math.nan, "val_average_precision": math.nan}
    hard = label >= 0
    return {
        "val_loss": loss,
        "val_accuracy": float(np.mean((score[hard] >= 0.5) == (label[hard] == 1))),
        "val_average_precision": average_precision(label[hard], score[hard]),
        "val_precision": _precision_by_recall(label[hard], score[hard]),
    }


def _precision_by_recall(label: NDArray[Any], score: NDArray[np.float64]) -> list[float]:
    """Precision at the highest threshold that reaches each of `RECALLS`."""
    curve = pr_curve(label, score)
    # recall 0 is reached by no place at all, of which precision says nothing
    first = np.maximum(np.searchsorted(curve.recall, RECALLS - TINY), 1)
    return [round(float(value), 4) for value in curve.precision[first]]


def _squared(target: NDArray[Any], score: NDArray[np.float64]) -> float:
    return float(np.mean((score - target) ** 2))


def _cross_entropy(target: NDArray[Any], score: NDArray[np.float64]) -> float:
    sure = np.clip(score, TINY, 1 - TINY)
    return float(-np.mean(target * np.log(sure) + (1 - target) * np.log(1 - sure)))


def _focal(
    target: NDArray[Any], score: NDArray[np.float64], alpha: float = 0.5, gamma: float = 2.0
) -> float:
    """The twin of `models.losses.focal`."""
    sure = np.clip(score, TINY, 1 - TINY)
    right = target * sure + (1 - target) * (1 - sure)
    weight = target * alpha + (1 - target) * (1 - alpha)
    return float(-np.mean(weight * (1 - right) ** gamma * np.log(right)))


LOSSES: dict[str, Callable[..., float]] = {
    "mse": _squared,
    "binary_crossentropy": _cross_entropy,
    "focal": _focal,
}


def _loss(settings: Settings) -> Callable[..., float]:
    """The loss of validation samples, by NumPy."""
    if settings.loss == "focal":
        return functools.partial(_focal, alpha=settings.alpha, gamma=settings.gamma)
    if settings.loss in LOSSES:
        return LOSSES[settings.loss]
    return functools.partial(_own, own_code.function(settings.loss, "loss"))


def _own(loss: Callable[[Any, Any], Any], target: NDArray[Any], score: NDArray[Any]) -> float:
    """A loss of one's own, which is written for Keras."""
    from keras import ops

    pair = [ops.convert_to_tensor(part.astype("float32")[:, None]) for part in (target, score)]
    return float(ops.convert_to_numpy(ops.mean(loss(*pair))))


def _keras_loss(settings: Settings) -> Any:
    """The same as Keras takes it."""
    if settings.loss == "focal":
        from lsm_core.models.losses import focal

        return focal(settings.alpha, settings.gamma)
    if settings.loss in LOSSES:
        return settings.loss
    return own_code.function(settings.loss, "loss")


class _Watch:
    """Tells the news, at most four times a second within an epoch, and asks whether to stop."""

    def __init__(self, settings: Settings, tell: Report, should_stop: Ask) -> None:
        self.epochs, self.tell, self.should_stop = settings.epochs, tell, should_stop
        self.started = self.told = time.monotonic()
        self.begun = 0  # epochs that were done before

    def ask(self) -> None:
        if self.should_stop():
            raise Stopped("stopped in training")

    def after_batch(self, epoch: int, batch: int, batches: int, loss: float) -> None:
        now = time.monotonic()
        if now - self.told >= NEWS_EVERY:
            self.told = now
            eta = self._seconds_left(epoch - 1 + batch / batches)
            where = {"epoch": epoch, "epochs": self.epochs, "batch": batch, "batches": batches}
            self.tell({"event": "batch", **where, "loss": loss, "eta": eta})
        self.ask()

    def tell_epoch(self, result: dict[str, Any]) -> None:
        eta = self._seconds_left(result["epoch"])
        self.tell({"event": "epoch", "epochs": self.epochs, **result, "eta": eta})

    def _seconds_left(self, done: float) -> float:
        """If all epochs are needed; `done` epochs are."""
        return (time.monotonic() - self.started) * (self.epochs - done) / (done - self.begun)


def _check(feed: Feed, settings: Settings) -> None:
    target = feed.train.judged()[0]
    if not np.ptp(target):
        raise SampleError(
            f"all {len(target)} training targets are {target[0]:g}: "
            "a network needs landslides and places without"
        )
    label = feed.validation.judged()[1]
    hard = label[label >= 0]
    if set(np.unique(hard).tolist()) != {0, 1}:
        raise SampleError(
            f"validation has {int((hard == 1).sum())} landslides and {int((hard == 0).sum())} "
            "places without: early stopping needs both; raise split.validation"
        )


def _no_number(what: str, x: NDArray[Any], settings: Settings, epoch: int) -> RunError:
    if not np.isfinite(x).all():
        return RunError(f"{what} in epoch {epoch} because the input holds NaN: encode it first")
    return RunError(
        f"{what} in epoch {epoch}: the learning rate {settings.learning_rate:g} is too high for "
        "this model; lower training.learning_rate"
    )
