"""LSGH-Net: five convolutions, each followed by scSE attention, that end in one cell.

Source: the landslide susceptibility paper on Gaussian heatmap sampling, Remote Sensing 2022, 14,
2866. It states: an enlarged LeNet-5; convolution, batch normalisation, ReLU and scSE each time;
max pooling; dropout 0.5; a feature of 1 x 1 x 256 before the dense layers; one sigmoid output that
is trained on the heat value. Its figure 5 reads as 32, 64, 128, 192 and 256 channels.

It does not state, and we chose: the kernel and pooling sizes (`stages`); scSE's reduction of 2; 64
units in the dense layer before the output; dropout on the flattened feature; no bias where batch
normalisation follows; Keras' usual first weights; moving means with a momentum of 0.9, because
with Keras' 0.99 a few hundred landslides take some twenty epochs until validation sees what was
learnt.

scSE: Roy, Navab & Wachinger, MICCAI 2018. A 1 x 1 convolution is written as a dense layer on the
channels, which is the same sum and, on maps this small, faster. For the same reason a convolution
whose kernel covers all that is left is done as a matrix product.
"""

from itertools import count
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from lsm_core import own_code
from lsm_core.errors import RecipeError

WIDTHS = (32, 64, 128, 192, 256)
BN_MOMENTUM = 0.9


class Stage(NamedTuple):
    """One convolution: how many channels it makes, its kernel's side, whether a pooling follows."""

    width: int
    kernel: int
    pool: bool


class Conv2D(layers.Conv2D):
    """Keras' convolution, without bias, as a matrix product where its kernel covers the whole map.

    Weights, and the names they are stored by, are Keras' own.
    """

    def call(self, inputs: Any) -> Any:
        """(sample, row, column, channel) to the same with `filters` channels."""
        if self.use_bias or tuple(inputs.shape[1:3]) != self.kernel_size:
            return super().call(inputs)
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        seen = ops.reshape(inputs, (-1, kernel.shape[0]))
        return ops.reshape(ops.matmul(seen, kernel), (-1, 1, 1, self.filters))


def build(
    input_shape: tuple[int, ...],
    *,
    scse: bool = True,
    block: str | None = None,
    dropout: float = 0.5,
    seed: int | None = None,
) -> keras.Model:
    """The network, untrained and not compiled.

    Parameters
    ----------
    input_shape : (side, side, channel), side at least 7.
    scse : squeeze-and-excitation after each convolution; the paper reports both.
    block : name of a function of one's own (`own_code`) that stands in scSE's place: from the map
        (sample, row, column, channel) and `seed` to a map of the same shape.
    dropout : share of the flattened feature set to zero while training, in [0, 1).
    seed : of first weights and dropout; the same seed gives the same network.

    Returns
    -------
    A model from (sample, side, side, channel) float32 to (sample, 1) float32 in (0, 1).
    """
    if not 0 <= dropout < 1:
        raise RecipeError(f"dropout is a share in [0, 1), got {dropout}")
    seeds = count(seed) if seed is not None else None
    image = keras.Input(input_shape, name="image")
    x = image
    for stage in stages(input_shape[0]):
        x = Conv2D(stage.width, stage.kernel, use_bias=False, **_first(seeds))(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x)
        x = layers.ReLU()(x)
        if block is not None:
            x = _own_block(block, x, seeds)
        elif scse:
            x = _scse(x, seeds)
        if stage.pool:
            x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(dropout, seed=seed)(x)
    x = layers.Dense(64, activation="relu", **_first(seeds))(x)
    score = layers.Dense(1, activation="sigmoid", dtype="float32", **_first(seeds))(x)
    return keras.Model(image, score, name="lsgh_net")


def stages(side: int) -> list[Stage]:
    """Kernels and poolings that bring an image of `side` cells, at least 7, to a single cell.

    The rule: 3 x 3 first; before a pooling of 2 the kernel is 3 where that leaves an even size and
    2 where not, so that no pooling drops a row; a second pooling only where 6 cells or more are
    left; the last kernel is what remains. Kernels never exceed what is left.

    >>> [(stage.kernel, stage.pool) for stage in stages(13)]  # 13 11 10 | 5 3 1 1
    [(3, False), (2, True), (3, False), (3, False), (1, False)]
    """
    left = side - 2
    to_first_pool = _kernel_to_even(left)
    left = (left - to_first_pool + 1) // 2
    third = min(3, left)
    left = left - third + 1
    second_pool = left >= 6
    fourth = _kernel_to_even(left) if second_pool else min(3, left)
    left = (left - fourth + 1) // (2 if second_pool else 1)
    kernels = (3, to_first_pool, third, fourth, left)
    pools = (False, True, False, second_pool, False)
    return [Stage(*stage) for stage in zip(WIDTHS, kernels, pools, strict=True)]


def _kernel_to_even(left: int) -> int:
    return 3 if left % 2 == 0 else 2


def _scse(x: Any, seeds: count | None) -> Any:
    """x times the weight of its channel, plus x times the weight of its cell."""
    channels = x.shape[-1]
    channel = layers.GlobalAveragePooling2D(keepdims=True)(x)
    channel = layers.Dense(channels // 2, activation="relu", **_first(seeds))(channel)
    channel = layers.Dense(channels, activation="sigmoid", **_first(seeds))(channel)
    cell = layers.Dense(1, activation="sigmoid", **_first(seeds))(x)
    if x.shape[1:3] == (1, 1):
        # Keras on TensorFlow takes (n, 1, 1, 1) that is added to (n, 1, 1, n) for a bias of the
        # channels: a batch of as many samples as channels would get weights of other samples.
        return layers.Add()([layers.Multiply()([x, channel]), layers.Multiply()([x, cell])])
    # The two weights are added before they meet x: one multiplication of the map instead of two.
    return layers.Multiply()([x, layers.Add()([channel, cell])])


def _own_block(name: str, x: Any, seeds: count | None) -> Any:
    after = own_code.function(name, "block")(x, seed=None if seeds is None else next(seeds))
    if tuple(after.shape) != tuple(x.shape):
        raise RecipeError(
            f"block {name} must leave a map's shape as it is: got {tuple(after.shape)[1:]} "
            f"from {tuple(x.shape)[1:]}"
        )
    return after


def _first(seeds: count | None) -> dict[str, Any]:
    """First weights from the next seed, so that no layer's depend on Keras' global state."""
    seed = None if seeds is None else next(seeds)
    return {"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)}
