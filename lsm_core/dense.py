"""Exact dense prediction: a network on windows, asked about a whole tile at once.

Neighbouring windows share most of their cells, so a network that is a chain of `valid` convolutions
and poolings does the same sums over and over. Here each is done once: the tile and its margin go
through the chain as one image, and every cell gets what it would get from its own window, but for
the last bits of arithmetic.

- Batch normalisation is folded into the convolution before it.
- Flatten and dense become a convolution as large as what is left of a window, a large one done
  among frequencies (`dense_fourier`).
- A stride, of poolings too, is done at 1, and the result dealt out into its phases, one image each
  ("fragments"): phase (i, j) holds rows i, i + s, ... of the tile, and is an ordinary image for
  what follows. At the end they are put together again.
- A convolution over factors too runs over rows and columns of each few factors, which are images
  of their own.

What is no such chain (scSE's weights are means over one window, padding inside a window, branches)
keeps its windows: `start_of` gives the chain's first layers in dense form and what is left as a
network of smaller windows.

Sources: Giusti et al., ICIP 2013 (fragments); Sermanet et al., ICLR 2014 (dense layers as
convolutions).
"""

from typing import Any

import keras
import numpy as np
from keras import layers

from lsm_core.dense_layers import NotDense as NotDense
from lsm_core.dense_layers import Stand, Step, gather, step_for, takes_norm


class DenseNetwork(keras.Model):
    """Steps from a tile with its margin, (1, y, x, channel), to a map, (1, tile, tile, k)."""

    def __init__(self, steps: list[Step], name: str) -> None:
        super().__init__(name=name)
        self.steps = tuple(steps)

    def call(self, inputs: Any) -> Any:
        """One step after the other."""
        for step in self.steps:
            inputs = step(inputs)
        return inputs


def dense_form(model: keras.Model, tile: int) -> DenseNetwork:
    """A whole network in dense form.

    Parameters
    ----------
    model : from windows (sample, n, n, channel) to (sample, k). Its weights are taken as they are.
    tile : results along a side; a multiple of `stride_of(model)`.

    Returns
    -------
    A network from (1, tile + n - 1, tile + n - 1, channel) to (1, tile, tile, k): result (r, c) is
    that of the window whose first cell is (r, c).

    Raises
    ------
    NotDense : a branch, or a layer without a dense form; the message names it.

    >>> seen = keras.Input((5, 5, 2))
    >>> x = layers.MaxPooling2D(2)(layers.Conv2D(3, 2)(seen))
    >>> model = keras.Model(seen, layers.Dense(1)(layers.Flatten()(x)))
    >>> image = np.random.default_rng(0).random((1, 8, 8, 2), "float32")
    >>> found = keras.ops.convert_to_numpy(dense_form(model, 4)(image))
    >>> window = keras.ops.convert_to_numpy(model(image[:, 2:7, 1:6]))
    >>> found.shape, bool(abs(found[0, 2, 1, 0] - window[0, 0]) < 1e-6)
    ((1, 4, 4, 1), True)
    """
    chain = _chain(model)
    if len(chain) < len(model.layers) - 1:
        raise NotDense(f"{model.name} branches after {chain[-1].name if chain else 'its input'}")
    steps, stand = _steps(chain, model.input_shape[1], tile)
    if stand.window != 1 or stand.factors != 1:
        raise NotDense(f"{model.name} ends in {stand.window} cells of a window, not in one")
    return DenseNetwork([*steps, *map(gather, reversed(stand.deals))], f"{model.name}_dense")


def start_of(model: keras.Model, tile: int) -> tuple[DenseNetwork, keras.Model]:
    """The first layers in dense form, up to a stride or branch, and the rest on windows of its map.

    The map is (1, y, x, channel); the rest is from (sample, m, m, channel) to (sample, k), and the
    window whose first cell is (r, c) is now that of m cells from (r, c).

    Raises
    ------
    NotDense : no layer can be shared between windows.
    """
    # Keras leaves marks of a part on the layers it is taken from: the network itself stays clean.
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    chain = _chain(copy)
    for end in range(len(chain), 0, -1):
        try:
            steps, stand = _steps(chain[:end], model.input_shape[1], tile)
            rest = keras.Model(chain[end - 1].output, copy.output)
        except (NotDense, ValueError):  # Keras: what follows needs more than this layer's output
            continue
        if stand.window < model.input_shape[1] and stand[2:] == Stand(0, 0)[2:]:
            return DenseNetwork(steps, f"{model.name}_start"), rest
    raise NotDense(f"{model.name} does nothing that windows could share")


def stride_of(model: keras.Model) -> int:
    """The product of the strides of all layers: tiles are a multiple of it."""
    strides = (getattr(layer, "strides", (1,)) for layer in model.layers)
    return int(np.prod([each[-1] for each in strides]))


def _chain(model: keras.Model) -> list[Any]:
    """The layers after the input, as long as each has the one before as its only input."""
    inputs, *rest = model.layers
    chain, last = [], inputs.output
    for layer in rest:
        nodes = layer._inbound_nodes
        if len(nodes) != 1 or len(nodes[0].input_tensors) != 1 or layer.input is not last:
            break
        chain.append(layer)
        last = layer.output
    return chain


def _steps(chain: list[Any], window: int, tile: int) -> tuple[list[Step], Stand]:
    stand, steps, waiting = Stand(window, tile), [], list(chain)
    while waiting:
        layer = waiting.pop(0)
        folds = takes_norm(layer) and waiting and isinstance(waiting[0], layers.BatchNormalization)
        norm = waiting.pop(0) if folds else None
        more, stand = step_for(layer, norm, stand)
        steps += more
    return steps, stand
