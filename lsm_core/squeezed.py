"""What windows share of scSE, though each has weights of its own.

scSE (lsgh_net) multiplies a value x of a window by g + s: g, of its channel, comes from a mean over
the window, s, of its cell, from that cell alone. The convolution K that follows is linear:

    K * ((g + s) x)  =  sum over channels c of  g_c (K_c * x_c)  +  K * (s x)

Both convolutions on the right know nothing of windows: they are done once a tile. A window is left
with a sum over channels, where its own convolution would sum over channels and all cells of the
kernel: a quarter of the work for a kernel of 2 x 2. What follows (activation, the next scSE, a
pooling) is done in the same pass, while the window lies in the processor's cache. This runs on the
processor, whatever Keras runs on.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops
from numba import njit
from numpy.typing import NDArray

from lsm_core.dense_layers import NotDense, folded
from lsm_core.halo import cores, in_bands

Windows = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]
SUMS = {"reassoc", "contract", "nsz"}  # sums in any order: what lets a processor do eight at once


class Gate(NamedTuple):
    """Weights of one scSE: of its channels, by way of a few, and of its cells."""

    down: NDArray[np.float32]  # (channel, few)
    down_bias: NDArray[np.float32]
    up: NDArray[np.float32]  # (few, channel)
    up_bias: NDArray[np.float32]
    cell: NDArray[np.float32]  # (channel,)
    cell_bias: np.float32


class Squeezed(NamedTuple):
    """scSE, convolution (normalisation folded in), ReLU, scSE, a pooling of 2."""

    window: int  # cells a side at the start
    first: Gate
    kernel: NDArray[np.float32]  # (row, column, channel, channel out)
    bias: NDArray[np.float32]
    second: Gate

    def asker(self) -> Callable[[NDArray[np.float32]], Windows]:
        """What to call with the map (y, x, channel) of each tile, to ask for its windows.

        Windows are asked for by the cells they begin in. The answer is (window, m, m, channel out),
        as the layers would give it, and holds until the next but one; a tile may be asked until the
        next one is given. Memory is kept: new memory takes longer to get than to fill.
        """
        room = Room()
        left = (self.window - len(self.kernel) + 1) // 2

        def of(found: NDArray[np.float32]) -> Windows:
            shares, base = self._shared(found, room)

            def windows(rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.float32]:
                room.turn = 1 - room.turn
                shape = len(rows), left, left, len(self.bias)
                out = room.get(f"windows {room.turn}", shape)

                def some(begin: int, end: int) -> None:
                    at = slice(begin, end)
                    _windows(found, shares, base, rows[at], cols[at], self.window,
                             *self.first[:4], *self.second, out[at])  # fmt: skip

                in_bands(len(rows), some, cores())
                return out

            return windows

        return of

    def _shared(self, found: NDArray[np.float32], room: "Room") -> tuple[NDArray[np.float32], ...]:
        """K_c * x_c, (y, x, channel, channel out), and K * (s x) with the bias."""
        cell = 1 / (1 + np.exp(-(found @ self.first.cell + self.first.cell_bias)))
        size, (*_, channels, outs) = len(self.kernel), self.kernel.shape
        height, width = (length - size + 1 for length in found.shape[:2])
        shares = room.get("shares", (height, width, channels, outs))
        base = room.get("base", (height, width, outs))

        def rows(begin: int, end: int) -> None:
            _shares(found, cell, self.kernel, self.bias, begin, end, shares, base)

        in_bands(height, rows, cores())
        return shares, base


class Room(threading.local):
    """Memory that is written over and over, by name; each thread that asks has its own."""

    def __init__(self) -> None:
        self.turn = 0  # of two that take turns
        self._kept: dict[str, NDArray[np.float32]] = {}

    def get(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """An array of a shape, with whatever was in it."""
        size = math.prod(shape)
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.float32)
        return self._kept[name][:size].reshape(shape)


def squeezed(rest: keras.Model) -> tuple[Squeezed, keras.Model]:
    """The first layers of a network on windows that begins with scSE, and what follows them.

    Raises
    ------
    NotDense : it does not begin with scSE, convolution, ReLU, scSE and a pooling of 2.
    """
    graph = keras.models.clone_model(rest)  # layers of a part are marked by what it is taken from
    graph.set_weights(rest.get_weights())
    x = graph.layers[0].output
    first, x = _gate(graph, x)
    convolution, x = _next(graph, x, layers.Conv2D)
    norm, x = _next(graph, x, layers.BatchNormalization)
    _, x = _next(graph, x, layers.ReLU)
    second, x = _gate(graph, x)
    pooling, x = _next(graph, x, layers.MaxPooling2D)
    window, kernel, bias = rest.input_shape[1], *folded(convolution, norm)
    plain = convolution.padding == "valid" and {1} == {
        *convolution.strides, *convolution.dilation_rate, convolution.groups,
    }  # fmt: skip
    even = (window - len(kernel) + 1) % 2 == 0 and kernel.shape[2] % 2 == 0
    halves = pooling.pool_size == pooling.strides == (2, 2)
    if not (plain and even and halves and len(set(kernel.shape[:2])) == 1):
        raise NotDense(f"{rest.name} does not go on with a plain convolution and a pooling of 2")
    return Squeezed(window, first, kernel, bias, second), keras.Model(x, graph.output)


def _gate(graph: keras.Model, x: Any) -> tuple[Gate, Any]:
    """The weights of the scSE that takes a tensor, and what it gives."""
    mean, squeezed = _next(graph, x, layers.GlobalAveragePooling2D)
    down, squeezed = _next(graph, squeezed, layers.Dense)
    up, squeezed = _next(graph, squeezed, layers.Dense)
    cell, weight = _next(graph, x, layers.Dense)
    added, both = _next(graph, squeezed, layers.Add)
    _, product = _next(graph, x, layers.Multiply)
    takers = (_next(graph, weight, layers.Add)[0], _next(graph, both, layers.Multiply)[1])
    kinds = [keras.activations.get(name) for name in ("relu", "sigmoid", "sigmoid")]
    if (
        takers != (added, product)
        or [layer.activation for layer in (down, up, cell)] != kinds
        or cell.units != 1
        or not mean.keepdims
    ):
        raise NotDense(f"{graph.name}: {mean.name} is not part of an scSE")
    if not (down.use_bias and up.use_bias and cell.use_bias):
        raise NotDense(f"{graph.name}: a layer of the scSE at {mean.name} has no bias")
    (down, down_bias), (up, up_bias), (cell, cell_bias) = (
        map(ops.convert_to_numpy, layer.weights) for layer in (down, up, cell)
    )
    return Gate(down, down_bias, up, up_bias, cell[:, 0].copy(), cell_bias[0]), product


def _next(graph: keras.Model, x: Any, kind: type) -> tuple[Any, Any]:
    """The one layer of a kind that takes a tensor, and what it gives."""
    kinds: list[Any] = [layer for layer in graph.layers[1:] if isinstance(layer, kind)]
    takers = [
        layer for layer in kinds if any(t is x for t in layer._inbound_nodes[0].input_tensors)
    ]
    if len(takers) != 1:
        raise NotDense(f"{graph.name}: {len(takers)} layers of kind {kind.__name__}, not one")
    return takers[0], takers[0].output


# ----------------------------------------------------------------------------------- the sums


@njit(nogil=True, cache=True, fastmath=SUMS)
def _shares(x, cell, kernel, bias, begin, end, shares, base):  # type: ignore[no-untyped-def]
    """Rows `begin` to `end` of both convolutions of the tile."""
    size, channels, outs = kernel.shape[0], kernel.shape[2], kernel.shape[3]
    for r in range(begin, end):
        for c in range(base.shape[1]):
            whole = base[r, c]
            whole[:] = bias
            for ch in range(channels):
                share, k = shares[r, c, ch], kernel[0, 0, ch]
                value = x[r, c, ch]
                weighed = value * cell[r, c]
                for o in range(outs):
                    share[o] = value * k[o]
                    whole[o] += weighed * k[o]
                for tap in range(1, size * size):
                    i, j = tap // size, tap % size
                    value, k = x[r + i, c + j, ch], kernel[i, j, ch]
                    weighed = value * cell[r + i, c + j]
                    for o in range(outs):
                        share[o] += value * k[o]
                        whole[o] += weighed * k[o]


@njit(nogil=True, cache=True, fastmath=SUMS)
def _windows(  # type: ignore[no-untyped-def]
    x, shares, base, rows, cols, window,
    down, down_bias, up, up_bias,
    next_down, next_down_bias, next_up, next_up_bias, next_cell, next_cell_bias, out,
):  # fmt: skip
    """Windows from their first cell to what is left of them after the pooling.

    Two at once where one follows the other in a row: what they share is fetched once.
    """
    channels, outs = shares.shape[2], shares.shape[3]
    side = 2 * out.shape[1]
    seen = np.empty((2, side, side + 1, outs), np.float32)  # of the second one from column 1 on
    weights = np.empty((2, channels), np.float32)
    n = 0
    while n < len(rows):
        top, left = rows[n], cols[n]
        more = int(n + 1 < len(rows) and rows[n + 1] == top and cols[n + 1] == left + 1)
        for w in range(2):
            mean = _mean(x, top, left + more * w, window)
            weights[w] = _channel_weights(mean, down, down_bias, up, up_bias)
        for i in range(side):
            for q in range(side + more):
                share, start = shares[top + i, left + q], base[top + i, left + q]
                one, two = seen[0, i, q], seen[1, i, q]
                for o in range(outs):
                    one[o] = start[o]
                    two[o] = start[o]
                for ch in range(0, channels, 2):  # two at once: half as many stores
                    a, b = weights[0, ch], weights[0, ch + 1]
                    c, d = weights[1, ch], weights[1, ch + 1]
                    upper, lower = share[ch], share[ch + 1]
                    for o in range(outs):
                        u, v = upper[o], lower[o]
                        one[o] += a * u + b * v
                        two[o] += c * u + d * v
        for w in range(1 + more):
            own = seen[w, :, w : w + side]
            cell, mean = _lit(own, next_cell, next_cell_bias)
            weight = _channel_weights(mean, next_down, next_down_bias, next_up, next_up_bias)
            _pool(own, weight, cell, out[n + w])
        n += 1 + more


@njit(nogil=True, cache=True, fastmath=SUMS)
def _mean(x, top, left, window):  # type: ignore[no-untyped-def]
    mean = np.zeros(x.shape[2], np.float32)
    for i in range(window):
        for j in range(window):
            value = x[top + i, left + j]
            for ch in range(len(mean)):
                mean[ch] += value[ch]
    return mean / np.float32(window * window)


@njit(nogil=True, cache=True, fastmath=SUMS)
def _lit(seen, kernel, bias):  # type: ignore[no-untyped-def]
    """ReLU in place; weights of the cells, and the mean of each channel."""
    side, outs = seen.shape[1:]
    cell, mean = np.empty((side, side), np.float32), np.zeros(outs, np.float32)
    for i in range(side):
        for j in range(side):
            here, total = seen[i, j], bias
            for o in range(outs):
                lit = here[o] if here[o] > 0 else np.float32(0)
                here[o] = lit
                mean[o] += lit
                total += lit * kernel[o]
            cell[i, j] = _sigmoid(total)
    return cell, mean / np.float32(side * side)


@njit(nogil=True, cache=True, fastmath=SUMS)
def _pool(seen, weight, cell, out):  # type: ignore[no-untyped-def]
    """The largest of each 2 x 2 cells times their weights."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            best, r, c = out[i, j], 2 * i, 2 * j
            one, two, three, four = seen[r, c], seen[r, c + 1], seen[r + 1, c], seen[r + 1, c + 1]
            a, b, d, e = cell[r, c], cell[r, c + 1], cell[r + 1, c], cell[r + 1, c + 1]
            for o in range(len(best)):
                w = weight[o]
                upper = max(one[o] * (w + a), two[o] * (w + b))
                best[o] = max(upper, max(three[o] * (w + d), four[o] * (w + e)))


@njit(nogil=True, cache=True, fastmath=SUMS)
def _channel_weights(mean, down, down_bias, up, up_bias):  # type: ignore[no-untyped-def]
    few = down_bias.copy()
    for ch in range(len(mean)):
        for f in range(len(few)):
            few[f] += mean[ch] * down[ch, f]
    weight = up_bias.copy()
    for f in range(len(few)):
        lit = max(few[f], np.float32(0))
        for ch in range(len(weight)):
            weight[ch] += lit * up[f, ch]
    for ch in range(len(weight)):
        weight[ch] = _sigmoid(weight[ch])
    return weight


@njit(nogil=True, cache=True, fastmath=SUMS)
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return np.float32(1) / (np.float32(1) + np.exp(-x))
