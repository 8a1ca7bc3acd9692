"""How sure a map is: deep ensembles over seeds, and conformal prediction sets, as maps in a run.

Members of an ensemble are finished runs that differ in their seed alone (Lakshminarayanan, Pritzel
& Blundell 2017; it works for any model, a random forest too); their mean and spread (standard
deviation, n - 1) are drawn. A spread is no probability of being wrong; conformal sets (`conformal`)
are calibrated, and say so in numbers of places.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lsm_core import conformal, metrics, prediction, runs
from lsm_core.errors import RecipeError, RunError
from lsm_core.grid import Grid, grid_of
from lsm_core.study_area import is_units, open_area

NAMES_ONLY = ("seed", "name", "title")  # settings in which members of an ensemble may differ
Pair = tuple[int, NDArray[np.float32], NDArray[np.float32]]


# ------------------------------------------------------------------------------------- ensembles


def ensemble(members: Sequence[runs.Run], into: Path | None = None) -> dict[str, Any]:
    """Mean and spread of the maps of runs that differ in their seed alone.

    Writes `ensemble_mean.tif`, `ensemble_spread.tif` and `ensemble.json` into the first run's
    folder, or into `into`.

    Returns
    -------
    What `ensemble.json` holds: `members`, `seeds`; `mean_spread` over the map; `test`: average
    precision, AUC and Brier score of the mean and of each member, and the mean spread at places
    that the mean gets right and wrong at 0.5.

    Raises
    ------
    RunError : fewer than two runs, one not done, two of one seed, or runs that differ in more, such
        as test places or factors.
    """
    check_members(members)
    check_grid(members[0], "an ensemble")
    into = members[0].path if into is None else into
    grid = grid_of(open_area(members[0].area_path))
    mean_spread = write_pair(into, "ensemble", grid, _ensemble_strips(members))
    found = {
        "members": [run.id for run in members],
        "seeds": [run.recipe.seed for run in members],
        "mean_spread": mean_spread,
        "test": _ensemble_test(members),
    }
    runs.write_json(into / "ensemble.json", found)
    return found


def ensemble_in_words(found: dict[str, Any]) -> str:
    """The result of `ensemble` in two lines."""
    test = found["test"]
    aucs = ", ".join(f"{one['roc_auc']:.3f}" for one in test["members"])
    return (
        f"{len(found['seeds'])} runs, seeds {', '.join(map(str, found['seeds']))}: mean spread of "
        f"the map {found['mean_spread']:.3f}\n{test['places']:,} test places: AUC "
        f"{test['mean']['roc_auc']:.3f}, Brier {test['mean']['brier']:.3f} of the mean; AUC {aucs} "
        "of the members"
    )


def check_members(members: Sequence[runs.Run]) -> None:
    """Raise RunError where runs are not one recipe under several seeds."""
    if len(members) < 2:
        raise RunError("an ensemble needs two runs or more that differ in their seed")
    unfinished = [run.id for run in members if run.state != "done"]
    if unfinished:
        raise RunError(f"not done, so no members of an ensemble: {', '.join(unfinished)}")
    first = members[0]
    for run in members[1:]:
        other = _differences(_settings(first), _settings(run))
        if first.area.get("fingerprints") != run.area.get("fingerprints"):
            other.append("the area's sources")
        if other or first.metrics["test_places"] != run.metrics["test_places"]:
            raise RunError(
                f"{run.id} differs from {first.id} in {', '.join(other) or 'its test places'}: "
                "members of an ensemble differ in their seed alone"
            )
    seeds = [run.recipe.seed for run in members]
    if len(set(seeds)) < len(seeds):
        raise RunError(f"the runs have the seeds {seeds}: each must have its own, or they agree")


def check_grid(run: runs.Run, what: str) -> None:
    """Raise RunError where a run scores units, which have no map."""
    if is_units(open_area(run.area_path)):
        raise RunError(f"{run.id} scores units, which have no map: {what} is drawn for grids only")


def _settings(run: runs.Run) -> dict[str, Any]:
    settings = run.recipe.model_dump(mode="json")
    return {key: value for key, value in settings.items() if key not in NAMES_ONLY}


def _differences(a: Any, b: Any, at: str = "") -> list[str]:
    """Dotted names of settings that differ."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return [] if a == b else [at]
    found = (_differences(a.get(k), b.get(k), f"{at}.{k}".strip(".")) for k in sorted({*a, *b}))
    return [name for names in found for name in names]


def _ensemble_strips(members: Sequence[runs.Run]) -> Iterator[Pair]:
    strips = (runs.read_strips(run.map_path) for run in members)
    for together in zip(*strips, strict=True):
        blocks = np.stack([block for _, block in together]).astype(np.float64)
        mean, spread = blocks.mean(axis=0), blocks.std(axis=0, ddof=1)
        yield together[0][0], mean.astype(np.float32), spread.astype(np.float32)


def _ensemble_test(members: Sequence[runs.Run]) -> dict[str, Any]:
    keys = ["row", "col", "label"]
    tests = [run.scores[run.scores["split"] == "test"].set_index(keys)["score"] for run in members]
    table = pd.concat([t[~t.index.duplicated()] for t in tests], axis=1, join="inner")
    label = table.index.get_level_values("label").to_numpy()
    every = table.to_numpy(np.float64)
    mean, spread = every.mean(axis=1), every.std(axis=1, ddof=1)
    right = (mean >= 0.5) == (label == 1)
    return {
        "places": len(table),
        "mean": _numbers(label, mean),
        "members": [_numbers(label, score) for score in every.T],
        "spread_right": float(spread[right].mean()) if right.any() else None,
        "spread_wrong": float(spread[~right].mean()) if not right.all() else None,
    }


def _numbers(label: NDArray[Any], score: NDArray[np.float64]) -> dict[str, float]:
    return {
        "average_precision": metrics.average_precision(label, score),
        "roc_auc": metrics.roc_auc(label, score),
        "brier": float(np.mean((score - label) ** 2)),
    }


# ------------------------------------------------------------------------------- conformal sets


def conformal_sets(
    run: runs.Run,
    *,
    alpha: float = 0.1,
    on: str = "validation",
    by: str = "auto",
    class_conditional: bool = True,
) -> dict[str, Any]:
    """Prediction sets of a run, calibrated on places it never learnt from, judged on test places.

    Writes `conformal.tif` (codes of `conformal.SETS`) and `conformal.json` into the run's folder.

    Parameters
    ----------
    on : "validation", or "test": every test block is judged by thresholds from the other ones, and
        the map gets those of all. There are more test blocks than validation blocks, and these
        steered the early stopping of a network.
    by : "block" (holds for a place of a new block), "place", or "auto": by block if there are
        enough blocks for alpha (`conformal.blocks_needed`), else by place.

    Returns
    -------
    What `conformal.json` holds: the thresholds; `test`, see `conformal.coverage`, its blocks being
    the test blocks; `map`: share of cells by set (empty for
    units, which have no map); `words`.
    """
    if by not in ("auto", "block", "place") or on not in ("validation", "test"):
        raise RecipeError(f"by is auto, block or place, got {by!r}; on validation or test: {on!r}")
    scores = run.scores
    known, test = (scores[scores["split"] == part] for part in (on, "test"))
    if by == "auto":
        by = "block" if _enough_blocks(known, alpha, class_conditional) else "place"

    def fit(places: pd.DataFrame) -> conformal.Conformal:
        return conformal.calibrate(
            places["label"],
            places["score"],
            alpha=alpha,
            block=places["block"] if by == "block" else None,
            class_conditional=class_conditional,
        )

    fitted = fit(known)
    judged = conformal.coverage(*_set_of_each(test, fitted, fit, on), test["block"], alpha)
    judged["blocks_of_calibration"] = int(known["block"].nunique())
    cells = {} if is_units(open_area(run.area_path)) else _map_of_sets(run, fitted)
    found = fitted.to_json() | {
        "on": on,
        "test": judged,
        "map": cells,
        "words": _coverage_in_words(fitted, judged, on),
    }
    runs.write_json(run.path / "conformal.json", found)
    return found


def _map_of_sets(run: runs.Run, fitted: conformal.Conformal) -> dict[str, float]:
    """Write `conformal.tif`; gives the share of cells by set."""
    count = np.zeros(5, np.int64)

    def codes() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for first, block in runs.read_strips(run.map_path):
            code = conformal.sets(block, fitted)
            count[:] += np.bincount(code.ravel(), minlength=5)
            yield first, code

    grid = grid_of(open_area(run.area_path))
    runs.write_map(run.path / "conformal.tif", grid, codes(), dtype="uint8")
    cells = max(int(count[1:].sum()), 1)
    return {name: int(count[code]) / cells for code, name in conformal.SETS.items()}


def _enough_blocks(known: pd.DataFrame, alpha: float, class_conditional: bool) -> bool:
    parts = [part for _, part in known.groupby("label")] if class_conditional else [known]
    fewest = min((part["block"].nunique() for part in parts), default=0)
    return fewest > conformal.blocks_needed(alpha)  # one may be left out to be judged


def _set_of_each(
    test: pd.DataFrame,
    fitted: conformal.Conformal,
    fit: Callable[[pd.DataFrame], conformal.Conformal],
    on: str,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Label and set of every test place; of its own block nothing went into the thresholds."""
    label, score = test["label"].to_numpy(), test["score"].to_numpy(np.float64)
    if on != "test":
        return label, conformal.sets(score, fitted)
    code, block = np.zeros(len(test), np.uint8), test["block"].to_numpy()
    for number in np.unique(block):
        here = block == number
        code[here] = conformal.sets(score[here], fit(test[~here]))
    return label, code


def _coverage_in_words(fitted: conformal.Conformal, judged: dict[str, Any], on: str) -> str:
    low, _, middle, _, high = judged["by_block"]
    return (
        f"{fitted.words} of {on}; on test places {judged['coverage']:.1%} are covered, by block "
        f"{low:.0%} to {high:.0%} (median {middle:.0%}), {judged['blocks_below']:.0%} of the "
        f"{len(judged['blocks'])} test blocks below {1 - fitted.alpha:.0%}"
    )


# ------------------------------------------------------------------------------------------ maps


def write_pair(folder: Path, name: str, grid: Grid, strips: Iterator[Pair]) -> float:
    """Write `name`_mean.tif and `name`_spread.tif from one pass; gives the mean spread.

    The spread waits in a temporary file, so that no more than a strip is held.
    """
    total, cells = 0.0, 0
    with tempfile.TemporaryDirectory() as waiting:
        kept = np.lib.format.open_memmap(
            Path(waiting) / "spread.npy", "w+", dtype="float32", shape=grid.shape
        )

        def means() -> Iterator[tuple[int, NDArray[np.float32]]]:
            for first, mean, spread in strips:
                kept[first : first + len(spread)] = spread
                yield first, mean

        def spreads() -> Iterator[tuple[int, NDArray[np.float32]]]:
            nonlocal total, cells
            for first in range(0, grid.shape[0], prediction.STRIP):
                block = np.asarray(kept[first : first + prediction.STRIP])
                total += float(np.nansum(block, dtype=np.float64))
                cells += int(np.isfinite(block).sum())
                yield first, block

        runs.write_map(folder / f"{name}_mean.tif", grid, means())
        runs.write_map(folder / f"{name}_spread.tif", grid, spreads())
    return total / max(cells, 1)
