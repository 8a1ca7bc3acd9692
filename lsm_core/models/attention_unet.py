"""The attention U-Net: an image in, a score for every cell of it out.

Source: the paper on multi-scale CNNs for landslide inventories, Geomatics, Natural Hazards and Risk
2024, 15, 2383309, after Ronneberger et al. (2015) and Oktay et al. (2018). It states: four
down-samplings; 3 x 3 convolutions, ReLU, 2 x 2 max pooling; up-sampling by 2 x 2 transposed
convolutions; attention gates on the skips, which are joined to what comes up.

It does not state, and we chose: the width of the first level (`base`; 64 in the U-Net of 2015),
doubled at each level down; two convolutions a level; batch normalisation after each (by option
none); zeros beyond the image; gates that look at what comes up after its transposed convolution, so
that both have the skip's cells and nothing is resampled.

Between 16 cells of the image nothing depends on where it begins: moved by 16 cells, the scores move
along. A score sees no further than `REACH` cells.
"""

from itertools import count
from typing import Any

import keras
from keras import layers

from lsm_core.errors import RecipeError

DEPTH = 4
STEP = 2**DEPTH  # sides of an image are multiples of it
REACH = 96  # cells beyond which nothing changes a score; a multiple of STEP
BN_MOMENTUM = 0.9  # as in LSGH-Net: 0.99 hides from validation what few chips taught


def build(
    input_shape: tuple[int, ...],
    *,
    base: int = 32,
    gates: bool = True,
    batch_norm: bool = True,
    seed: int | None = None,
) -> keras.Model:
    """The network, untrained and not compiled.

    Parameters
    ----------
    input_shape : (side, side, channel), side a multiple of 16. The network takes images of any such
        sides; the shape is what it is trained on.
    base : channels of the first level; 16 times as many at the bottom.
    gates : attention on the skips; without, a plain U-Net.
    batch_norm : batch normalisation after each convolution.
    seed : of the first weights; the same seed gives the same network.

    Returns
    -------
    A model from (sample, y, x, channel) float32 to (sample, y, x, 1) float32 in (0, 1).
    """
    if input_shape[0] % STEP or base < 1:
        raise RecipeError(
            f"attention_unet: halves its image {DEPTH} times, so that input.size is a multiple of "
            f"{STEP}, got {input_shape[0]}; base is at least 1, got {base}"
        )
    seeds = count(seed) if seed is not None else None
    image = keras.Input((None, None, input_shape[-1]), name="image")
    widths = [base * 2**level for level in range(DEPTH)]
    x, skips = image, []
    for width in widths:
        skips.append(_convolve(x, width, batch_norm, seeds))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = _convolve(x, base * STEP, batch_norm, seeds)
    for width, skip in zip(widths[::-1], skips[::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2, **_first(seeds))(x)
        seen = _gate(skip, x, seeds) if gates else skip
        x = _convolve(layers.Concatenate()([seen, x]), width, batch_norm, seeds)
    score = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", **_first(seeds))(x)
    return keras.Model(image, score, name="attention_unet")


def _convolve(x: Any, width: int, batch_norm: bool, seeds: count | None) -> Any:
    """Two convolutions of 3 x 3, each with batch normalisation and ReLU."""
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=not batch_norm, **_first(seeds))(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x) if batch_norm else x
        x = layers.ReLU()(x)
    return x


def _gate(skip: Any, coarse: Any, seeds: count | None) -> Any:
    """The skip times a weight of each cell, which skip and coarse features agree on by addition."""
    width = max(skip.shape[-1] // 2, 1)
    own = layers.Dense(width, use_bias=False, **_first(seeds))(skip)
    asked = layers.Dense(width, **_first(seeds))(coarse)
    weight = layers.ReLU()(layers.Add()([own, asked]))
    weight = layers.Dense(1, activation="sigmoid", **_first(seeds))(weight)
    return layers.Multiply()([skip, weight])


def _first(seeds: count | None) -> dict[str, Any]:
    """First weights from the next seed, so that no layer's depend on Keras' global state."""
    seed = None if seeds is None else next(seeds)
    return {"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)}
