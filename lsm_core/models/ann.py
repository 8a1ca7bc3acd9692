"""The plain network of the paper on landslides in mining areas: factor values in, one score out.

Source: Frontiers in Earth Science 2023, 11, 1105985, an artificial neural network on 13 factors.
It states nothing of layers, activation, loss or rate. Chosen here: two hidden layers of 64 and 32
with ReLU, dropout 0.2, one sigmoid. The network standardises its input itself, by means and
deviations that are taken from training places (`models.learn_scale`), so that they travel with its
weights: an area it is carried to is seen on the scale of the area it was trained on.
"""

from itertools import count
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from lsm_core.errors import RecipeError
from lsm_core.models.lsgh_net import _first


class Standardise(layers.Layer):
    """(x - mean) / deviation, channel by channel; both are kept as weights that never train."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = (input_shape[-1],)
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
        self.deviation = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="deviation"
        )

    def call(self, x: Any) -> Any:
        return (x - self.mean) / self.deviation

    def learn_scale(self, x: NDArray[np.float32]) -> None:
        """Take both from training places, (sample, channel).

        A channel that is the same at all of them keeps its own units.
        """
        wide = x.astype(np.float64)
        deviation = wide.std(axis=0)
        self.set_weights([wide.mean(axis=0), np.where(deviation > 0, deviation, 1.0)])


def build(
    input_shape: tuple[int, ...],
    *,
    hidden: list = [64, 32],  # noqa: B006 - read only
    dropout: float = 0.2,
    seed: int | None = None,
) -> keras.Model:
    """The network, untrained and not compiled.

    Parameters
    ----------
    input_shape : (channel,), of form `table`.
    hidden : units of each hidden layer, at least one.
    dropout : share of the last hidden layer set to zero while training, in [0, 1).
    seed : of first weights and dropout; the same seed gives the same network.

    Returns
    -------
    A model from (sample, channel) float32 to (sample, 1) float32 in (0, 1).
    """
    if not 0 <= dropout < 1:
        raise RecipeError(f"dropout is a share in [0, 1), got {dropout}")
    if not hidden or not all(isinstance(n, int) and n > 0 for n in hidden):
        raise RecipeError(f"hidden lists the units of each layer, such as [64, 32], got {hidden}")
    seeds = count(seed) if seed is not None else None
    values = keras.Input(input_shape, name="values")
    x = Standardise(name="standardise")(values)
    for units in hidden:
        x = layers.Dense(units, activation="relu", **_first(seeds))(x)
    x = layers.Dropout(dropout, seed=seed)(x)
    score = layers.Dense(1, activation="sigmoid", dtype="float32", **_first(seeds))(x)
    return keras.Model(values, score, name="ann")
