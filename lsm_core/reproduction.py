"""Whether a run comes back: its numbers, places and map beside those of the same recipe run again.

What may differ between the two is told first: versions, the study area, the recipe. Then every
number of `metrics.json` (but for seconds), the places, and the map, cell by cell.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lsm_core.runs import Run, read_json, read_strips

CLOSE = 1e-6  # what another order of the same sums may do
LEFT_OUT = ("seconds",)  # numbers of the machine, not of the model
SAME, NEAR, OTHER = "the same", "close", "differs"
HEADLINES = ("average_precision", "roc_auc", "scores.f1", "scores.accuracy", "boyce")


def comparison(was: Run, now: Run) -> pd.DataFrame:
    """Every number of two runs of one recipe.

    Returns
    -------
    A row a number: `number` (its name in `metrics.json`, curves as one), `was`, `now` (NaN where it
    is a list, or words), `difference` (the largest one of a list; NaN where the two cannot be
    subtracted), `verdict`: "the same", "close" (at most 1e-6 apart) or "differs".

    A number that one of the runs lacks differs.
    """
    old, new = (dict(_flat(run.metrics)) for run in (was, now))
    rows = [_row(name, old.get(name), new.get(name)) for name in {**old, **new}]
    rows.append(_row("samples", *(run.samples.to_json() for run in (was, now))))
    if was.has_map and now.has_map:
        rows.append(_row("map", *(_map_of(run) for run in (was, now))))
    return pd.DataFrame(rows, columns=["number", "was", "now", "difference", "verdict"])


def circumstances(was: Run, now: Run) -> list[str]:
    """In words, what is not as it was: versions of packages, the study area, the recipe.

    >>> _changes("version of ", {"keras": "3.14", "numba": "1"}, {"keras": "3.15", "numba": "1"})
    ['version of keras: was 3.14, is 3.15']
    """
    versions = [read_json(run.path / "versions.json", dict) for run in (was, now)]
    commits = [{"commit of the program": one.pop("commit", "unknown")} for one in versions]
    areas = [dict(_flat(run.area)) for run in (was, now)]
    recipes = [dict(_flat(run.recipe.model_dump(mode="json"))) for run in (was, now)]
    return [
        *_changes("", *commits),
        *_changes("version of ", *versions),
        *_changes("study area, ", *areas),
        *_changes("recipe, ", *recipes),
    ]


def came_back(table: pd.DataFrame) -> bool:
    """Whether every number is the same, or as close as another order of sums allows."""
    return not (table["verdict"] == OTHER).any()


def in_words(was: Run, now: Run, table: pd.DataFrame, changed: list[str]) -> str:
    """What is told after a run was run again: circumstances, the main numbers, and a verdict."""
    counts = table["verdict"].value_counts()
    lines = [f"{was.id} run again as {now.id} ({was.recipe.protocol} protocol)"]
    lines += [f"  {words}" for words in changed or ["nothing it depends on has changed"]]
    told = table[table["number"].isin(HEADLINES) | (table["verdict"] == OTHER)]
    lines += [f"  {_words(row)}" for row in told.to_dict("records")]
    lines.append(
        f"of {len(table):,} numbers {counts.get(SAME, 0):,} are the same, {counts.get(NEAR, 0):,} "
        f"within {CLOSE:g}, {counts.get(OTHER, 0):,} differ"
    )
    return "\n".join(lines)


def _words(row: Mapping[Any, Any]) -> str:
    values = f"was {row['was']:.6g}, is {row['now']:.6g}: " if pd.notna(row["was"]) else ""
    return f"{row['number']}: {values}{row['verdict']}"


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as one, names joined by dots."""
    for name, value in values.items():
        if not above and name in LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _row(name: str, was: Any, now: Any) -> tuple[str, float, float, float, str]:
    apart = _apart(was, now)
    verdict = NEAR if apart <= CLOSE else OTHER
    if apart == 0 or _equal(was, now):
        apart, verdict = 0.0, SAME
    return name, _number(was), _number(now), apart, verdict


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _equal(was: Any, now: Any) -> bool:
    return type(was) is type(now) and not isinstance(was, np.ndarray) and was == now


def _apart(was: Any, now: Any) -> float:
    """The largest difference of two numbers, lists or maps; NaN where they are not of one form."""
    try:
        a, b = (np.asarray(value, dtype=np.float64) for value in (was, now))
    except (TypeError, ValueError):  # words, or a list of lists of several lengths
        return np.nan
    if was is None or now is None or a.shape != b.shape or not (np.isnan(a) == np.isnan(b)).all():
        return np.nan
    differences = np.abs(a - b)
    return float(np.nanmax(differences)) if np.isfinite(differences).any() else 0.0


def _map_of(run: Run) -> np.ndarray:
    return np.concatenate([strip for _, strip in read_strips(run.map_path)])


def _changes(what: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return [
        f"{what}{name}: was {was.get(name, 'absent')}, is {now.get(name, 'absent')}"
        for name in names
    ]
