"""Test places that several runs were judged on, and what each run says of some of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lsm_core.errors import RunError
from lsm_core.runs import Run

BY = ["row", "col", "label"]


def shared_places(runs: Sequence[Run]) -> pd.DataFrame:
    """The test places of runs judged on the same ones: row, col, label and a score a run.

    Scores are in columns `score 0`, `score 1` and so on, in the order of the runs.

    Raises
    ------
    RunError : no run, one that stored no scores of places, or runs judged on different places.
    """
    if not runs:
        raise RunError("no places to show: name at least one run")
    tables = [_of(run) for run in runs]
    for run, table in zip(runs, tables, strict=True):
        if not table[BY].equals(tables[0][BY]):
            raise RunError(f"{run.id} and {runs[0].id} were judged on different places")
    return tables[0][BY].assign(
        **{f"score {i}": table["score"].to_numpy() for i, table in enumerate(tables)}
    )


def _of(run: Run) -> pd.DataFrame:
    places = run.scores
    if not {*BY, "split", "score"} <= set(places):
        raise RunError(f"{run.id} stored no scores of its test places")
    test = places[places["split"] == "test"]
    return test.sort_values([*BY, "score"]).reset_index(drop=True)


def counts_at(label: ArrayLike, score: ArrayLike, threshold: float) -> dict[str, float]:
    """What a threshold says of places: found, missed, false alarms, rightly left, and rates.

    Precision and recall are NaN where nothing is predicted, or no landslide is among the places.

    >>> told = counts_at([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1], 0.5)
    >>> told["found"], told["missed"], told["false alarms"], told["rightly left"]
    (1, 1, 1, 1)
    """
    truth, said = np.asarray(label) == 1, np.asarray(score) >= threshold
    found, missed = int((truth & said).sum()), int((truth & ~said).sum())
    false, left = int((~truth & said).sum()), int((~truth & ~said).sum())
    return {
        "found": found,
        "missed": missed,
        "false alarms": false,
        "rightly left": left,
        "precision": found / (found + false) if found + false else float("nan"),
        "recall": found / (found + missed) if found + missed else float("nan"),
    }


def rates_at(label: ArrayLike, score: ArrayLike, threshold: float) -> dict[str, float]:
    """Where a threshold lies on the curves: recall, precision and the false positive rate.

    Precision is 1 where nothing is predicted, as the precision-recall curve ends.

    >>> rates_at([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1], 0.5)
    {'recall': 0.5, 'precision': 0.5, 'false positive rate': 0.5}
    """
    told = counts_at(label, score, threshold)
    others = told["false alarms"] + told["rightly left"]
    return {
        "recall": told["recall"],
        "precision": 1.0 if np.isnan(told["precision"]) else told["precision"],
        "false positive rate": told["false alarms"] / others if others else float("nan"),
    }


def nearest_threshold(
    label: ArrayLike, scores: NDArray[np.float64], x: float, y: float, kind: str = "pr"
) -> tuple[int, float]:
    """The run and threshold of the curve that passes nearest to a point somebody pointed at.

    Parameters
    ----------
    scores : (place, run). x, y : recall and precision (`kind="pr"`), or false and true positive
        rate ("roc").

    >>> scores = np.array([[0.9, 0.1], [0.2, 0.9], [0.8, 0.3], [0.1, 0.2]])
    >>> nearest_threshold([1, 1, 0, 0], scores, 0.5, 1.0)
    (0, 0.9)
    """
    truth = np.asarray(label) == 1
    best = (np.inf, 0, 0.5)
    for i, score in enumerate(np.asarray(scores, dtype=np.float64).T):
        order = np.argsort(-score, kind="stable")
        hits, seen = np.cumsum(truth[order]), np.arange(1, len(order) + 1)
        recall = hits / max(truth.sum(), 1)
        if kind == "pr":
            away = np.hypot(recall - x, hits / seen - y)
        else:
            away = np.hypot((seen - hits) / max((~truth).sum(), 1) - x, recall - y)
        last = np.append(score[order][1:] != score[order][:-1], True)  # equal scores are one step
        at = int(np.argmin(np.where(last, away, np.inf)))
        if away[at] < best[0]:
            best = (float(away[at]), i, float(score[order][at]))
    return best[1], best[2]
