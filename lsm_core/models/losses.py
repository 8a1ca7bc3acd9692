"""Losses that Keras does not have as we need them, of `keras.ops` alone."""

from collections.abc import Callable
from typing import Any

from keras import ops

TINY = 1e-7  # keeps a logarithm finite, as Keras does


def focal(alpha: float, gamma: float) -> Callable[[Any, Any], Any]:
    """Focal loss of targets 0 and 1: -a (1 - p)^gamma log p, p the chance given to what is true.

    `a` is `alpha` where there is a landslide and 1 - `alpha` elsewhere. With gamma 0 and alpha 0.5
    it is half of the binary cross-entropy; the larger gamma, the less count cells that are told
    apart already. Source: Lin et al., ICCV 2017, of which the inventory paper (Geomatics, Natural
    Hazards and Risk 2024, 15, 2383309) gives equation 1.

    Returns
    -------
    A function of (target, score), both (..., 1), to (...): Keras takes the mean, with weights.

    >>> import numpy as np
    >>> score = np.array([[0.5], [0.5]], "float32")
    >>> loss = focal(0.25, 2)(np.array([[1.0], [0.0]], "float32"), score)
    >>> [round(float(value), 4) for value in loss]
    [0.0433, 0.13]
    """

    def loss(target: Any, score: Any) -> Any:
        target = ops.cast(target, score.dtype)
        score = ops.clip(score, TINY, 1 - TINY)
        right = target * score + (1 - target) * (1 - score)
        weight = target * alpha + (1 - target) * (1 - alpha)
        return ops.mean(-weight * ops.power(1 - right, gamma) * ops.log(right), axis=-1)

    return loss
