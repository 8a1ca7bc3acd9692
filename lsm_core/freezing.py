"""Fine-tuning part of a network: which layers stay as they are, and proof that they did.

Layers are counted from the input by those that have a kernel; what stands between two of them
(batch normalisation) goes with the first. A frozen batch normalisation uses the means it has and
does not renew them. Written for what every Keras layer has, so that Keras is not loaded here.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import RecipeError, RunError


class Frozen(NamedTuple):
    """What was frozen: names of layers, and their weights as they were."""

    layers: tuple[str, ...]
    norms: tuple[str, ...]  # batch normalisations that stay still among layers that learn
    before: dict[str, list[NDArray[Any]]]
    groups: int


def groups_of(model: Any) -> list[list[Any]]:
    """Layers from the input on, each with a kernel and what follows it; without layers of neither.

    A layer that standardises the input belongs to none: it never trains.
    """
    groups: list[list[Any]] = []
    for layer in model.layers:
        if not layer.weights or hasattr(layer, "learn_scale"):
            continue
        if _is_norm(layer) and groups:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def freeze(model: Any, depth: int, *, norms: str = "still") -> Frozen:
    """Freeze the first `depth` layers with a kernel, or all but the last `-depth`.

    Parameters
    ----------
    norms : "still": batch normalisation of free layers keeps its means and scales too, as few
        places cannot renew them; "learning": it learns.

    Raises
    ------
    RecipeError : nothing would be left to learn.

    The model must be compiled anew afterwards.
    """
    groups = groups_of(model)
    count = depth if depth >= 0 else max(len(groups) + depth, 0)
    if count >= len(groups):
        raise RecipeError(
            f"transfer.freeze is {depth}, but the network has {len(groups)} layers with weights: "
            f"freeze {len(groups) - 1} at most, or transfer it as it is (how: direct)"
        )
    shut = [layer for group in groups[:count] for layer in group]
    free = [layer for group in groups[count:] for layer in group]
    still = [layer for layer in free if _is_norm(layer)] if norms == "still" else []
    for layer in free:
        layer.trainable = True
    for layer in (*shut, *still):
        layer.trainable = False
    before = {layer.name: _weights(layer) for layer in (*shut, *still)}
    return Frozen(
        tuple(layer.name for layer in shut),
        tuple(layer.name for layer in still),
        before,
        len(groups),
    )


def check_frozen(model: Any, frozen: Frozen) -> None:
    """RunError where a weight of a frozen layer is not what it was, kernels and means alike."""
    for layer in model.layers:
        for old, new in zip(frozen.before.get(layer.name, []), _weights(layer), strict=False):
            if not np.array_equal(old, new):
                raise RunError(
                    f"{layer.name} was frozen, yet its weights changed: this result is not a "
                    "fine-tuning of the other layers alone"
                )


def weights_of(model: Any) -> dict[str, list[NDArray[Any]]]:
    """Copies of all weights by layer, to compare with later."""
    return {layer.name: _weights(layer) for layer in model.layers if layer.weights}


def moved(model: Any, before: dict[str, list[NDArray[Any]]]) -> dict[str, float]:
    """How far each layer's weights went: root mean square of the change over that of the weights.

    0 is a layer that is bit for bit what it was.
    """
    told = {}
    for layer in model.layers:
        if layer.name not in before:
            continue
        old = np.concatenate([w.ravel() for w in before[layer.name]]).astype(float)
        new = np.concatenate([w.ravel() for w in _weights(layer)]).astype(float)
        scale = np.sqrt(np.mean(old**2)) or 1.0
        told[str(layer.name)] = float(np.sqrt(np.mean((new - old) ** 2)) / scale)
    return told


def _weights(layer: Any) -> list[NDArray[Any]]:
    return [np.array(w, copy=True) for w in layer.get_weights()]


def _is_norm(layer: Any) -> bool:
    return hasattr(layer, "moving_mean")
