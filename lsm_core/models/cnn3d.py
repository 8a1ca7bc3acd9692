"""The 3D-CNN: convolutions over factor, row and column together.

Source: the paper on multi-scale 3D-CNN and attention U-Net, Geomatics, Natural Hazards and Risk
2024, 15, 2383309. It states: an input of c factors by n by n cells; for the simplest form one
convolution with N = 128 maps and kernels of m x m x m, m = 3, pooling of 2, a dense layer of 64;
for the form used, small kernels of 3 stacked two and then three times as in VGG, with batch
normalisation.

It does not state, and we chose: for `vgg` 32 and 64 maps, `same` padding (a window of 12 cells has
no room for five valid convolutions and two poolings), ReLU throughout and no dropout unless asked.
One sigmoid output stands for its two softmax outputs: the same model with half the numbers.

The factors are neighbours along the first axis in the recipe's order, as published, although that
order means nothing: a kernel of 3 sees three factors that happen to be listed together.
"""

from itertools import count
from typing import Any, Literal

import keras
from keras import layers

from lsm_core.errors import RecipeError

BN_MOMENTUM = 0.9  # as in LSGH-Net: 0.99 hides from validation what few landslides taught
VGG = ((1, 1), (2, 2, 2))  # maps of each convolution, in those of the first


def build(
    input_shape: tuple[int, ...],
    *,
    form: Literal["simple", "vgg"] = "simple",
    scales: int = 1,
    maps: int | None = None,
    kernel: int = 3,
    dense: int = 64,
    dropout: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """The network, untrained and not compiled.

    Parameters
    ----------
    input_shape : (side, side, channel); with several scales all channels of the first scale, then
        those of the second, as `windows.cut_scales` gives them.
    form : one convolution (`simple`) or two and three small ones (`vgg`).
    scales : windows of how many sizes lie in the channels; each becomes a channel of the first
        convolution, beside the others at the same factor and cell.
    maps : of the convolution of `simple` (128, as published), or of the first stack of `vgg` (32);
        the second has twice as many.
    kernel : of the convolution of `simple`; cut to the number of factors.
    dense : units before the output. dropout : share of them set to zero while training, in [0, 1).
    seed : of first weights and dropout.

    Returns
    -------
    A model from (sample, side, side, channel) float32 to (sample, 1) float32 in (0, 1).
    """
    side, _, channels = input_shape
    _check(scales, channels, dropout, maps)
    seeds = count(seed) if seed is not None else None
    image = keras.Input(input_shape, name="image")
    x = layers.Reshape((side, side, scales, channels // scales))(image)
    x = layers.Permute((4, 1, 2, 3))(x)  # factor, row, column, scale
    if form == "simple":
        x = layers.Conv3D(maps or 128, _fitting(x, kernel), activation="relu", **_first(seeds))(x)
        x = layers.MaxPooling3D(_fitting(x, 2))(x)
    else:
        for wide in VGG:
            x = _stack(x, tuple(times * (maps or 32) for times in wide), seeds)
    x = layers.Flatten()(x)
    x = layers.Dense(dense, activation="relu", **_first(seeds))(x)
    x = layers.Dropout(dropout, seed=seed)(x)
    score = layers.Dense(1, activation="sigmoid", dtype="float32", **_first(seeds))(x)
    return keras.Model(image, score, name="cnn3d")


def _stack(x: Any, widths: tuple[int, ...], seeds: count | None) -> Any:
    """Convolutions of 3, each with batch normalisation and ReLU, then one pooling."""
    for width in widths:
        x = layers.Conv3D(width, 3, padding="same", use_bias=False, **_first(seeds))(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x)
        x = layers.ReLU()(x)
    return layers.MaxPooling3D(_fitting(x, 2))(x)


def _fitting(x: Any, wanted: int) -> tuple[int, int, int]:
    """A kernel or pooling of `wanted`, cut to what is left along each axis."""
    depth, height, width = (min(wanted, left) for left in x.shape[1:4])
    return depth, height, width


def _first(seeds: count | None) -> dict[str, Any]:
    """First weights from the next seed, so that no layer's depend on Keras' global state."""
    seed = None if seeds is None else next(seeds)
    return {"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)}


def _check(scales: int, channels: int, dropout: float, maps: int | None) -> None:
    if scales < 1 or channels % scales:
        raise RecipeError(f"cnn3d: {channels} channels are not {scales} scales of as many factors")
    if not 0 <= dropout < 1:
        raise RecipeError(f"dropout is a share in [0, 1), got {dropout}")
    if maps is not None and maps < 1:
        raise RecipeError(f"maps is at least 1, got {maps}")
