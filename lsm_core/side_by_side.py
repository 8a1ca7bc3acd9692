"""Runs beside each other: which may be compared, and the tables that say how they compare."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from lsm_core import evaluation, scoreboard
from lsm_core.errors import RunError
from lsm_core.recipe import Recipe

SCORE_COLUMNS = (
    *("accuracy", "precision", "specificity", "sensitivity", "f1", "kappa", "miou"),
    *("mse", "ap", "auc"),
)


class Finished(Protocol):
    """What a comparison asks of a run."""

    @property
    def path(self) -> Path: ...
    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def area(self) -> dict[str, Any]: ...
    @property
    def metrics(self) -> dict[str, Any]: ...
    @property
    def scores(self) -> pd.DataFrame: ...
    @property
    def density_table(self) -> pd.DataFrame: ...
    @property
    def counted(self) -> str: ...


def compare(runs: Sequence[Finished], *, draws: int = 0, seed: int = 1) -> dict[str, pd.DataFrame]:
    """The papers' tables for runs judged on the same test places, fold by fold.

    Parameters
    ----------
    draws : bootstrap samples of blocks, for intervals and paired tests; 0 leaves these out.
    seed : of the draws.

    Returns
    -------
    `scores` : one row a run: accuracy, precision, specificity, sensitivity, F1, kappa, mIoU, MSE,
        AP, AUC (NaN what an older run did not store), with protocol, number of test places,
        prevalence (the AP of a model that knows nothing), overlap share and verdict; with draws,
        limits of AP and AUC.
    `zones` : one row a run and class: share of cells, share of landslides, landslide density, for
        every way the run's map was cut. Runs without a map (`map: false`) have none.
    With draws also (see `scoreboard`) `models` : runs that differ in seed or fold alone as one,
    with intervals and ranks; `pairs` : paired differences and tests; `nulls` : the null models,
    where the runs stored them; `thresholds` : scores at the thresholds chosen on validation places.

    Raises
    ------
    RunError : a run is not done, or the runs were tested on different places.
    """
    _done(runs)
    _same_test_places(runs)
    scores = pd.DataFrame([_score_row(run) for run in runs])
    scores = scores.astype(dict.fromkeys(SCORE_COLUMNS, "float64"))  # not defined: NaN
    tables = {"scores": scores, "zones": _zones([run for run in runs if run.recipe.map])}
    return tables | _judged_tables(runs, scores, draws, seed) if draws else tables


def _zones(mapped: Sequence[Finished]) -> pd.DataFrame:
    """Density tables of the runs that made a map, one below the other."""
    tables = [
        run.density_table.assign(
            run=run.id,
            counted=run.counted,
            model=run.recipe.name,
            protocol=run.recipe.protocol,
        )
        for run in mapped
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _judged_tables(
    runs: Sequence[Finished], scores: pd.DataFrame, draws: int, seed: int
) -> dict[str, pd.DataFrame]:
    entries = _entries(runs)
    each = scoreboard.judge(entries, draws, np.random.default_rng(seed))
    judged = scoreboard.together(each)
    ends = scoreboard.model_table(each)
    for name in scoreboard.JUDGED:
        for end in (f"{name} low", f"{name} high"):
            scores[end] = ends[end].to_numpy()
    return {
        "models": scoreboard.model_table(judged),
        "pairs": scoreboard.pair_table(judged),
        "nulls": scoreboard.null_table(entries),
        "thresholds": pd.concat([_threshold_rows(run) for run in runs], ignore_index=True),
    }


def compare_protocols(
    runs: Sequence[Finished], *, draws: int = 1000, seed: int = 1
) -> pd.DataFrame:
    """Each model under the paper protocol (random) and the honest one (spatial), and the gap.

    See `scoreboard.protocol_table`. Models are put together by the recipe's name; runs that differ
    in seed or fold alone are one.

    Raises
    ------
    RunError : a run is not done; runs of different areas; no model was run under both protocols;
        or runs of one protocol and split were tested on different places.
    """
    _done(runs)
    areas = sorted({run.area["name"] for run in runs})
    if len(areas) > 1:
        raise RunError(f"runs on {' and '.join(areas)}: compare protocols on one area")
    random = [run for run in runs if run.recipe.protocol == "paper"]
    spatial = [run for run in runs if run.recipe.protocol == "honest"]
    if not {run.recipe.name for run in random} & {run.recipe.name for run in spatial}:
        raise RunError(
            "no model was run under both protocols: name runs of one recipe, one with "
            "protocol=paper and one with protocol=honest"
        )
    rng = np.random.default_rng(seed)
    sides: dict[str, list[Finished]] = {}
    for run in [*random, *spatial]:
        sides.setdefault("" if run in random else run.recipe.method, []).append(run)
    judged = {}
    for method, some in sides.items():
        _same_test_places(some)
        judged[method] = scoreboard.together(scoreboard.judge(_entries(some), draws, rng))
    names = {
        entry.model: run.recipe.name
        for some in sides.values()
        for entry, run in zip(_entries(some), some, strict=True)
    }
    return scoreboard.protocol_table(
        judged.pop(""), [(method, j) for method, some in judged.items() for j in some], names
    )


def _done(runs: Sequence[Finished]) -> None:
    if not runs:
        raise RunError("nothing to compare: name at least one run (see `lsm runs`)")
    unfinished = [run.id for run in runs if run.state != "done"]
    if unfinished:
        raise RunError(f"not done, so nothing to compare: {', '.join(unfinished)}")


def _protocols_differ(runs: Sequence[Finished]) -> bool:
    return len({run.recipe.protocol for run in runs}) > 1


def _same_test_places(runs: Sequence[Finished]) -> None:
    """Runs of one fold share test places, and every model was run on the same folds."""
    first: dict[int, Finished] = {}
    folds: dict[str, set[int]] = {}
    for run in runs:
        split = run.recipe.split
        fold = split.fold if split.folds else 0
        folds.setdefault(model_key(run), set()).add(fold)
        other = first.setdefault(fold, run)
        if run.metrics["test_places"] != other.metrics["test_places"]:
            raise RunError(
                f"{run.id} ({_split_of(run)}) and {other.id} ({_split_of(other)}) were "
                "tested on different places: rerun one with the other's area, protocol and split"
                + "; protocols beside each other: lsm compare --protocols"
                * _protocols_differ(runs)
            )
    for key, own in folds.items():
        missing = set(first) - own
        if missing:
            name = next(run.recipe.name for run in runs if model_key(run) == key)
            raise RunError(
                f"{name} was not run on fold {', '.join(map(str, sorted(missing)))} as others "
                "were: run it there, or leave the others' runs out"
            )


def _split_of(run: Finished) -> str:
    recipe = run.recipe
    return f"{recipe.protocol}, {recipe.method}, split seed {recipe.split.seed}"


def model_key(run: Finished) -> str:
    """The same for runs that differ in seed or fold alone, mapped or not."""
    text = run.recipe.model_dump(mode="json")
    text["split"].pop("fold")
    return json.dumps(text | {"seed": None, "title": None, "map": None}, sort_keys=True)


def _entries(runs: Sequence[Finished]) -> list[scoreboard.Entry]:
    """Runs as the scoreboard takes them; a model bears the recipe's name where that is enough."""
    keys = [model_key(run) for run in runs]
    by_name: dict[str, set[str]] = {}
    for run, key in zip(runs, keys, strict=True):
        by_name.setdefault(run.recipe.name, set()).add(key)
    heads = {key: run.id for run, key in zip(reversed(runs), reversed(keys), strict=True)}
    return [
        _entry(run, run.recipe.name if len(by_name[run.recipe.name]) == 1 else heads[key])
        for run, key in zip(runs, keys, strict=True)
    ]


def _entry(run: Finished, model: str) -> scoreboard.Entry:
    metrics, split = run.metrics, run.recipe.split
    stored = (run.path / "scores.parquet").exists()
    places = run.scores if stored else pd.DataFrame(columns=["row", "col", "label", "split"])
    test = places[places["split"] == "test"].sort_values(["row", "col", "label"])
    train = int((places["split"] == "train").sum())
    return scoreboard.Entry(
        run=run.id,
        model=model,
        fold=split.fold if split.folds else 0,
        seed=run.recipe.seed,
        places=metrics["test_places"],
        label=test["label"].to_numpy(dtype=np.int64),
        score=test["score"].to_numpy() if stored else np.empty(0),
        block=test["block"].to_numpy() if stored else np.empty(0),
        test_to_train=len(test) / max(train, 1),
        values={"ap": metrics["average_precision"], "auc": metrics["roc_auc"]},
        nulls=metrics.get("null_models") or {},
        overlap=metrics["overlap"]["share"],
    )


def _threshold_rows(run: Finished) -> pd.DataFrame:
    """Scores of the test places at the thresholds chosen on validation places, one row a rule."""
    found = run.metrics.get("thresholds")
    if found is None:  # an older run
        stored = (run.path / "scores.parquet").exists()
        found = evaluation.judge_places(run.scores)["thresholds"] if stored else {}
    rows = [{"run": run.id, "model": run.recipe.name, "rule": r} | v for r, v in found.items()]
    return pd.DataFrame(rows)


def _score_row(run: Finished) -> dict[str, Any]:
    metrics = run.metrics
    values = metrics["scores"] | {
        "sensitivity": metrics["scores"]["recall"],
        "ap": metrics["average_precision"],
        "auc": metrics["roc_auc"],
    }
    head = {"run": run.id, "model": run.recipe.name, "protocol": run.recipe.protocol}
    tail = {"test places": metrics["n"], "prevalence": metrics["scores"]["prevalence"]}
    tail["overlap share"] = metrics["overlap"]["share"]
    tail["overlap verdict"] = metrics["overlap"].get("verdict", "")
    return head | {name: values.get(name) for name in SCORE_COLUMNS} | tail
