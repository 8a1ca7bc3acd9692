"""Layers of networks on windows, each as what it does to whole tiles (`dense`).

`step_for` turns a layer into steps on images, and says how the result stands for windows. Images
are (image, y, x, channel) throughout; phases of strides, and factors, are images of their own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from lsm_core.dense_fourier import LEAST, large_convolution

# What treats every value alike, so that it is used on a map as it stands.
POINTWISE = (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Activation)
WITHOUT_EFFECT = (layers.Dropout, layers.GaussianNoise, layers.GaussianDropout)
MAXIMA = (layers.MaxPooling2D, layers.MaxPooling3D)

Step = Callable[[Any], Any]


class NotDense(Exception):
    """The network, or one of its layers, has no exact dense form."""


class Stand(NamedTuple):
    """How a map stands for windows, somewhere on the way.

    `window`: rows and columns left of a window; `side`: results along a side of a fragment;
    `deals`: the strides so far; `factors`: images a fragment, one a factor (or its few); `flat`:
    whether the window is flattened.
    """

    window: int
    side: int
    deals: tuple[int, ...] = ()
    factors: int = 1
    flat: bool = False


def step_for(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    """Steps of a layer and, if not None, the normalisation after it; how their result stands.

    Raises
    ------
    NotDense : it has no dense form.
    """
    if isinstance(layer, WITHOUT_EFFECT):
        return [], stand
    if isinstance(layer, POINTWISE):
        return [layer], stand
    for kinds, make in MAKERS.items():
        if isinstance(layer, kinds):
            return make(layer, norm, stand)
    raise NotDense(f"{layer.name} ({type(layer).__name__}) has no dense form")


# ------------------------------------------------------------------------------ layer by layer


def _convolution(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    if layer.padding != "valid" or {*layer.dilation_rate, layer.groups} != {1}:
        raise NotDense(f"{layer.name} is padded, dilated or grouped")
    kernel, bias = folded(layer, norm)
    steps, deep = [], len(layer.kernel_size) == 3
    if deep:
        if layer.strides[0] != 1:
            raise NotDense(f"{layer.name} strides over factors")
        few = layer.kernel_size[0]
        steps.append(_each_few(stand.factors, few))
        stand = stand._replace(factors=stand.factors - few + 1)
        kernel = np.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])

    def convolve(x: Any) -> Any:
        return layer.activation(ops.add(ops.conv(x, kernel, 1, "valid"), bias))

    return _strided([*steps, convolve], layer, layer.kernel_size[-1], stand)


def _pooling(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    if layer.padding != "valid":
        raise NotDense(f"{layer.name} is padded")
    over, fold = (
        (ops.max_pool, ops.max) if isinstance(layer, MAXIMA) else (ops.average_pool, ops.mean)
    )
    size = layer.pool_size[-1]
    steps: list[Step] = [lambda x: over(x, size, 1, "valid")]
    if len(layer.pool_size) == 3:
        deep = layer.pool_size[0]
        if layer.strides[0] != deep:
            raise NotDense(f"{layer.name} pools factors that overlap")
        factors = stand.factors

        def pool_factors(x: Any) -> Any:
            kept = factors // deep
            x = ops.reshape(x, (-1, factors, *x.shape[1:]))[:, : kept * deep]
            x = ops.reshape(x, (-1, kept, deep, *x.shape[2:]))
            return ops.reshape(fold(x, axis=2), (-1, *x.shape[3:]))

        # Factors first: fewer images are left to be pooled over rows and columns.
        steps.insert(0, pool_factors)
        stand = stand._replace(factors=factors // deep)
    return _strided(steps, layer, size, stand)


def _strided(steps: list[Step], layer: Any, size: int, stand: Stand) -> tuple[list[Step], Stand]:
    """Steps that take `size` cells a side, and then the layer's stride."""
    stride, left = layer.strides[-1], stand.window - size + 1
    if stand.flat or left < 1 or layer.data_format != "channels_last":
        raise NotDense(f"{layer.name} does not run over rows and columns")
    sides = (getattr(layer, "kernel_size", None) or layer.pool_size)[-2:]
    if len(set(layer.strides[-2:])) > 1 or len(set(sides)) > 1:
        raise NotDense(f"{layer.name} is not square")
    if stride == 1:
        return steps, stand._replace(window=left)
    if stand.side % stride:
        raise ValueError(f"results a side, {stand.side}, are no multiple of the stride {stride}")
    window, side = (left - 1) // stride + 1, stand.side // stride
    stand = stand._replace(window=window, side=side, deals=(*stand.deals, stride))
    return [*steps, _deal(stride, side + window - 1)], stand


def _normalisation(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    if stand.flat and stand.window > 1:
        raise NotDense(f"{layer.name} stands between flatten and dense")
    scale, shift = _scale_and_shift(layer)
    return [lambda x: ops.add(ops.multiply(x, scale), shift)], stand


def _flatten(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    return [], stand._replace(flat=True)


def _over_all(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    """A mean or maximum over what is left of a window."""
    if stand.flat:
        raise NotDense(f"{layer.name} follows a flattening")
    top = isinstance(layer, layers.GlobalMaxPooling2D)
    over, size = ops.max_pool if top else ops.average_pool, stand.window
    return [lambda x: over(x, size, 1, "valid")], stand._replace(window=1, flat=not layer.keepdims)


def _dense(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    """On a flattened window a convolution of its size, else on the channels of each cell."""
    if not stand.flat:
        return [layer], stand
    kernel, bias = folded(layer, norm)
    size, factors = stand.window, stand.factors
    kernel = kernel.reshape(factors, size, size, -1, layer.units)  # the order of flattening
    kernel = np.moveaxis(kernel, 0, 2).reshape(size, size, -1, layer.units)

    over = large_convolution(kernel) if size >= LEAST else _plain_convolution(kernel)

    def convolve(x: Any) -> Any:
        if factors > 1:
            x = _factors_as_channels(x, factors)
        return layer.activation(ops.add(over(x), bias))

    return [convolve], stand._replace(window=1, factors=1)


def _plain_convolution(kernel: NDArray[np.float32]) -> Step:
    return lambda x: ops.conv(x, kernel, 1, "valid")


def _reshape(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    """Channels told apart into scale and factor: what is done with them comes with `_permute`."""
    if stand.factors != 1 or tuple(layer.target_shape[:2]) != (stand.window,) * 2:
        raise NotDense(f"{layer.name} mixes rows, columns and channels")
    steps: list[Step] = [_factors_as_images(layer.target_shape[3])]
    return steps, stand._replace(factors=layer.target_shape[3])


def _permute(layer: Any, norm: Any, stand: Stand) -> tuple[list[Step], Stand]:
    if layer.dims != (4, 1, 2, 3):
        raise NotDense(f"{layer.name} mixes rows, columns and channels")
    return [], stand


MAKERS: dict[Any, Callable[[Any, Any, Stand], tuple[list[Step], Stand]]] = {
    (layers.Conv2D, layers.Conv3D): _convolution,
    (layers.MaxPooling2D, layers.AveragePooling2D): _pooling,
    (layers.MaxPooling3D, layers.AveragePooling3D): _pooling,
    layers.BatchNormalization: _normalisation,
    layers.Flatten: _flatten,
    (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D): _over_all,
    layers.Dense: _dense,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
}


# ------------------------------------------------------------------------------ images and weights


def _deal(stride: int, side: int) -> Step:
    """Images into their stride x stride phases of `side` cells, which come first among images."""

    def deal(x: Any) -> Any:
        x = x[:, : side * stride, : side * stride]
        x = ops.reshape(x, (-1, side, stride, side, stride, x.shape[-1]))
        x = ops.transpose(x, (2, 4, 0, 1, 3, 5))
        return ops.reshape(x, (-1, side, side, x.shape[-1]))

    return deal


def gather(stride: int) -> Step:
    """The phases put together again."""

    def gather(x: Any) -> Any:
        side, channels = x.shape[1], x.shape[-1]
        x = ops.reshape(x, (stride, stride, -1, side, side, channels))
        x = ops.transpose(x, (2, 3, 0, 4, 1, 5))
        return ops.reshape(x, (-1, side * stride, side * stride, channels))

    return gather


def _factors_as_images(factors: int) -> Step:
    """(image, y, x, scale and factor) to an image a factor, its scales as channels."""

    def split(x: Any) -> Any:
        x = ops.reshape(x, (-1, *x.shape[1:3], x.shape[-1] // factors, factors))
        return ops.reshape(ops.transpose(x, (0, 4, 1, 2, 3)), (-1, *x.shape[1:4]))

    return split


def _factors_as_channels(x: Any, factors: int) -> Any:
    x = ops.transpose(ops.reshape(x, (-1, factors, *x.shape[1:])), (0, 2, 3, 1, 4))
    return ops.reshape(x, (-1, *x.shape[1:3], factors * x.shape[-1]))


def _each_few(factors: int, few: int) -> Step:
    """An image for each `few` factors that follow each other, theirs as channels."""

    def slide(x: Any) -> Any:
        x = ops.reshape(x, (-1, factors, *x.shape[1:]))
        left = factors - few + 1
        x = ops.concatenate([x[:, i : i + left] for i in range(few)], axis=-1)
        return ops.reshape(x, (-1, *x.shape[2:]))

    return slide


def takes_norm(layer: Any) -> bool:
    """Whether a normalisation that follows can be folded in."""
    kinds = (layers.Conv2D, layers.Conv3D, layers.Dense)
    return isinstance(layer, kinds) and layer.activation is keras.activations.linear


def folded(layer: Any, norm: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a layer, with the normalisation after it, if any."""
    kernel = ops.convert_to_numpy(layer.kernel)
    width = kernel.shape[-1]
    bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(width, np.float32)
    if norm is None:
        return kernel, bias
    scale, shift = _scale_and_shift(norm)
    return kernel * scale, bias * scale + shift


def _scale_and_shift(norm: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a batch normalisation does when it does not learn: x times the one, plus the other."""
    mean, variance = map(ops.convert_to_numpy, (norm.moving_mean, norm.moving_variance))
    gamma = ops.convert_to_numpy(norm.gamma) if norm.scale else 1.0
    beta = ops.convert_to_numpy(norm.beta) if norm.center else 0.0
    scale = gamma / np.sqrt(variance.astype(np.float64) + norm.epsilon)
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)
