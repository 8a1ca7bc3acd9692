"""How far the training of a network has come, and all that is needed to go on from there.

It knows NumPy and Keras only, as the training loop does. What is packed here lies in a file of the
run's folder (`checkpoint`); a training that goes on from it ends with the same weights, bit by bit,
as one that was never cut off.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Packed = dict[str, NDArray[Any]]


@dataclass
class Record:
    """The finished epochs, the weights to be kept so far, and how long they have not improved."""

    history: list[dict[str, Any]] = field(default_factory=list)
    kept: list[NDArray[Any]] | None = None
    number: int = 0  # of the epoch whose weights are kept
    best: tuple[float, float] = (-math.inf, -math.inf)
    waited: int = 0

    def add(self, result: dict[str, Any], settings: Any, model: Any) -> None:
        """Take in an epoch; keep its weights where they are the best, or, without patience, last.

        The rank is what is watched; among equals the validation loss decides.
        """
        self.history.append(result)
        watched = result[f"val_{settings.watch}"]
        rank = (-watched if settings.watch == "loss" else watched), -result["val_loss"]
        self.waited = 0 if rank[0] > self.best[0] else self.waited + 1
        if rank > self.best or settings.patience is None:
            self.kept, self.number = model.get_weights(), result["epoch"]
        self.best = max(rank, self.best)

    def is_over(self, settings: Any) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        patience = math.inf if settings.patience is None else settings.patience
        return len(self.history) >= settings.epochs or self.waited >= patience


def pack(record: Record, model: Any, batches: Any) -> Packed:
    """Arrays by name: the model as it is now, the kept weights, the order of samples, the record.

    `batches` : of `training.Batches`, those that are learnt from.
    """
    now = {f"now{i}": np.asarray(_plain(v)) for i, v in enumerate(_variables(model))}
    kept = {f"kept{i}": value for i, value in enumerate(record.kept or [])}
    told = {
        "history": record.history,
        "number": record.number,
        "best": record.best,
        "waited": record.waited,
        "rng": batches.rng.bit_generator.state,
    }
    return {**now, **kept, "order": batches.order, "told": np.array(json.dumps(told))}


def unpack(packed: Packed, model: Any, batches: Any) -> Record:
    """Set model and batches as they were, and give the record back.

    Raises
    ------
    ValueError, KeyError, TypeError : it is of another model, or was not written by `pack`.
    """
    variables = _variables(model)
    values = [packed[f"now{i}"] for i in range(len(variables))]
    if f"now{len(variables)}" in packed or len(packed["order"]) != len(batches.order):
        raise ValueError("it is of another model, or of other samples")
    told = json.loads(str(packed["told"]))
    kept = [packed[f"kept{i}"] for i in range(sum(name.startswith("kept") for name in packed))]
    batches.rng.bit_generator.state = told["rng"]
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    batches.order = packed["order"]
    best = tuple(told["best"])
    return Record(told["history"], kept or None, told["number"], best, told["waited"])


def _variables(model: Any) -> list[Any]:
    """All that learning changes: weights, seeds of what is drawn, what the optimiser remembers."""
    found = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    counted = {id(v) for v in model.metrics_variables}
    return [v for key, v in found.items() if key not in counted]


def _plain(variable: Any) -> Any:
    from keras import ops

    return ops.convert_to_numpy(variable)
