"""A discriminator and a generator trained against each other, batch by batch.

Like the training loop it knows NumPy and Keras only, whatever backend Keras runs on. To
`training.fit` a `Game` is a model like others, so that early stopping, progress, stops and the best
weights are the same for all networks; what is played inside a batch is settled here.

Keras reads `trainable` when it trains, not when a model is compiled. So the discriminator is frozen
round every step of the generator and thawed after it; setting it once before compiling freezes
nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from lsm_core.models.ssgan import Adversaries, body_of

GENERATED, UNLABELLED, MOVED = 2, 3, 4  # codes of samples beside 0 and 1, the classes
BETA = 0.5  # Adam's memory of the slope: less than usual, as both sides keep moving
STEP = 0.01  # along which the slope is measured, times normal numbers, in units of scaled channels


class Game:
    """Both networks as the one model that `training.fit` trains: a batch of it is a step of each.

    Parameters
    ----------
    model : of `models.ssgan`; without a generator only the labelled samples are learnt from.
    unlabelled : gather of the unlabelled samples, from indices to images; None without a generator.
    count : how many there are. Every step takes as many as the batch has labelled ones, in an order
        that is shuffled anew when all had their turn.
    rng : of that order, the noise, and the directions of the penalty.

    A step: the discriminator learns from labelled, unlabelled and as many generated samples in one
    batch (`Game.losses` tells the three parts apart); then the generator learns from new noise.
    """

    def __init__(
        self,
        model: Adversaries,
        rng: np.random.Generator,
        unlabelled: Any = None,
        count: int = 0,
    ) -> None:
        self.model, self.rng = model, rng
        self.discriminator, self.generator = model.discriminator, model.generator
        self._gather, self._order, self._at = unlabelled, rng.permutation(count), 0
        self._moved = model.gradient_penalty > 0
        self._sums: dict[str, float] = {}
        self._steps = 0
        if self.generator is not None:
            noise = keras.Input(self.generator.input_shape[1:])
            judge = body_of(self.discriminator) if model.feature_matching else self.discriminator
            self.together = keras.Model(noise, judge(self.generator(noise)), name="together")

    def compile(self, optimizer: Any = None, loss: Any = None, jit_compile: bool = False) -> None:
        """Two optimisers at the rate of the one given; the loss is the game's own."""
        rate = float(optimizer.learning_rate)
        self.model.compile(jit_compile=jit_compile)
        parts = [labelled, generated, unlabelled] if self.generator is not None else []
        self.discriminator.compile(
            keras.optimizers.Adam(rate, beta_1=BETA),
            discriminator_loss(self.model.gradient_penalty, self.model.adversarial_weight),
            metrics=parts,
            jit_compile=jit_compile,
        )
        if self.generator is not None:
            self.generator.compile(jit_compile=jit_compile)
            body_of(self.discriminator).compile(jit_compile=jit_compile)
            self.together.compile(
                keras.optimizers.Adam(rate, beta_1=BETA),
                matched if self.model.feature_matching else unlabelled,
                jit_compile=jit_compile,
            )

    def reset_metrics(self) -> None:
        """Begin the means of `losses` anew."""
        self._sums, self._steps = {}, 0

    def train_on_batch(
        self, image: Any, target: NDArray[Any], return_dict: bool = True
    ) -> dict[str, float]:
        """One step of each; `target` is (sample, 1), a landslide from 0.5 on. Gives its losses."""
        code = (np.asarray(target)[:, :1] >= 0.5).astype(np.float32)
        if self.generator is None:
            told = self.discriminator.train_on_batch(image, code, return_dict=True)
            return self._noted(_plain(told))
        real = self._gather(self._next(len(image)))
        parts = self.teach_discriminator(image, code, real)
        return self._noted(parts | {"generator": self.teach_generator(real)})

    def teach_discriminator(
        self, image: NDArray[Any], code: NDArray[Any], real: NDArray[Any]
    ) -> dict[str, float]:
        """One step of the discriminator; the generator makes the fakes as it stands."""
        n = len(image)
        made = np.asarray(self.generator.predict_on_batch(self.noise(n)))
        images, codes = [image, made, real], [code, _all(GENERATED, n), _all(UNLABELLED, n)]
        if self._moved:
            direction = self.rng.standard_normal(real.shape).astype(np.float32)
            images.append(real + STEP * direction)
            codes.append(_all(MOVED, n))
        batch = np.concatenate(images), np.concatenate(codes)
        return _plain(self.discriminator.train_on_batch(*batch, return_dict=True))

    def teach_generator(self, real: NDArray[Any]) -> float:
        """One step of the generator against the discriminator as it stands."""
        n = len(real)
        wanted = _all(UNLABELLED, n)  # to be taken for real
        if self.model.feature_matching:
            body = body_of(self.discriminator)
            wanted = np.asarray(body.predict_on_batch(real))
        with frozen(self.discriminator):
            told = self.together.train_on_batch(self.noise(n), wanted, return_dict=True)
        return float(told["loss"])

    def losses(self) -> dict[str, float]:
        """Means since the last reset: of the discriminator's three parts, and of the generator."""
        parts = ("labelled", "unlabelled", "generated", "generator")
        return {f"loss_{n}": self._sums[n] / self._steps for n in parts if n in self._sums}

    def noise(self, n: int) -> NDArray[np.float32]:
        """Normal numbers for n images."""
        size = (n, *self.generator.input_shape[1:])
        return self.rng.standard_normal(size).astype(np.float32)

    def predict_on_batch(self, image: Any) -> Any:
        return self.model.predict_on_batch(image)

    def get_weights(self) -> list[NDArray[Any]]:
        return self.model.get_weights()

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        self.model.set_weights(weights)

    def _noted(self, told: dict[str, float]) -> dict[str, float]:
        """The losses of a step, taken into the means."""
        self._steps += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in told.items()}
        return told

    def _next(self, n: int) -> NDArray[np.intp]:
        """Indices of the next n unlabelled samples."""
        taken = []
        while n > 0:
            if self._at == len(self._order):
                self.rng.shuffle(self._order)
                self._at = 0
            some = self._order[self._at : self._at + n]
            self._at, n = self._at + len(some), n - len(some)
            taken.append(some.copy())
        return np.concatenate(taken)


def generated_samples(model: Adversaries, n: int, seed: int) -> NDArray[np.float32]:
    """What the generator makes of the noise of a seed: (n, side, side, channel), scaled channels.

    The same seed is the same noise, so that pictures from epoch to epoch show one and the same.
    """
    noise = np.random.default_rng(seed).standard_normal((n, *model.generator.input_shape[1:]))
    return np.asarray(model.generator.predict_on_batch(noise.astype(np.float32)))


@contextmanager
def frozen(model: keras.Model) -> Iterator[None]:
    """Nothing of a model learns, kernels or moving means, while this lasts."""
    model.trainable = False
    try:
        yield
    finally:
        model.trainable = True


# ------------------------------------------------------------------------------------- losses


def discriminator_loss(penalty: float = 0.0, weight: float = 1.0) -> Any:
    """The sum of the three parts, and the penalty; (code (sample, 1), logits (sample, 2 or 3)).

    `weight` is that of telling real from fake, in all three parts, beside that of telling the two
    classes apart, which is 1.
    """

    def loss(code: Any, logits: Any) -> Any:
        if logits.shape[1] == 2:
            return labelled(code, logits)
        total = labelled(code, logits) - (1 - weight) * _taken_for_real(code, logits)
        total = total + weight * (unlabelled(code, logits) + generated(code, logits))
        return total + penalty * slope_penalty(logits) if penalty else total

    return loss


def labelled(code: Any, logits: Any) -> Any:
    """Cross-entropy over all outputs, fake among them, of the samples that have a class."""
    is_slide = ops.cast(code[:, 0] == 1, logits.dtype)
    own = is_slide * logits[:, 1] + (1 - is_slide) * logits[:, 0]
    return _mean(ops.logsumexp(logits, axis=1) - own, code[:, 0] < GENERATED)


def _taken_for_real(code: Any, logits: Any) -> Any:
    """The part of `labelled` that says nothing of the class: -log P(real)."""
    return _mean(_minus_log_real(logits), code[:, 0] < GENERATED)


def unlabelled(code: Any, logits: Any) -> Any:
    """-log P(real) of the unlabelled samples, P(real) being the sum over the classes."""
    return _mean(_minus_log_real(logits), code[:, 0] == UNLABELLED)


def generated(code: Any, logits: Any) -> Any:
    """-log P(fake) of the generated samples."""
    return _mean(ops.logsumexp(logits, axis=1) - logits[:, 2], code[:, 0] == GENERATED)


def slope_penalty(logits: Any) -> Any:
    """Half the squared slope, at unlabelled samples, of the discriminator's log odds of real.

    The penalty of Mescheder et al. (2018), on real samples only, needs the gradient of a gradient,
    which Keras does not offer alike on its backends. Here it is a one-sided difference along one
    random direction a sample, whose squared mean over directions is the squared gradient but for
    the curvature over the step. Batch normalisation sees both ends in one batch.

    `logits` : (4 n, 3) of labelled, generated, unlabelled and moved unlabelled samples, n each.
    """
    odds = ops.logsumexp(logits[:, :2], axis=1) - logits[:, 2]
    here, moved = ops.reshape(odds, (4, -1))[2], ops.reshape(odds, (4, -1))[3]
    return 0.5 * ops.mean(ops.square((moved - here) / STEP))


def matched(wanted: Any, features: Any) -> Any:
    """Squared distance of the mean features of generated and real samples, by feature."""
    return ops.mean(ops.square(ops.mean(features, axis=0) - ops.mean(wanted, axis=0)))


def _minus_log_real(logits: Any) -> Any:
    return ops.logsumexp(logits, axis=1) - ops.logsumexp(logits[:, :2], axis=1)


def _mean(value: Any, of: Any) -> Any:
    """Mean of the samples that are meant, 0 if none is."""
    weight = ops.cast(of, value.dtype)
    return ops.sum(weight * value) / ops.maximum(ops.sum(weight), 1)


def _all(code: int, n: int) -> NDArray[np.float32]:
    return np.full((n, 1), code, np.float32)


def _plain(told: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in told.items()}
