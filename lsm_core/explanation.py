"""Why a model says what it says: over the held-out places of a run, and at one place."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window

from lsm_core import runs
from lsm_core.attribution import contributions, mean_contributions
from lsm_core.effects import (
    Subject,
    effect_of,
    open_subject,
    parts_of,
    permutation_importance,
    values_at,
)
from lsm_core.encoding import DIRECTIONS, FittedFactor
from lsm_core.errors import AreaError
from lsm_core.grid import grid_of
from lsm_core.study_area import categories

REPEATS, STRONGEST = 10, 3
LEAST = 0.005  # what rounds to no contribution is not told in words


def explain_run(
    run: runs.Run | Subject, *, to: Path | None = None, repeats: int = REPEATS, places: int = 50
) -> dict[str, Any]:
    """Explain a run; writes `explanation.json`, `importance.csv` and `effects.csv`.

    Parameters
    ----------
    to : folder to write to; the run's own by default.
    repeats : of permutation importance. places : test places whose contributions are averaged.

    Returns
    -------
    What `explanation.json` holds: `importance` (see `effects.permutation_importance`, on the test
    places), `contributions` (mean size and mean by factor) with their `method`, `scale` and `gap`,
    `calibrated` (whether the run's scores were bent after the model: contributions are those of
    the score before), and `effects` (partial dependence and ALE by factor). Numbers that are not
    defined are None.
    """
    subject = run if isinstance(run, Subject) else open_subject(run)
    rng = np.random.default_rng(subject.run.recipe.seed)
    importance = permutation_importance(subject, repeats=repeats, rng=rng)
    means, found = mean_contributions(subject, places=places)
    effects = pd.concat(
        [effect_of(subject, name) for name in parts_of(subject.encoder)], ignore_index=True
    )
    told = {
        "places": len(subject.places("test")),
        "repeats": repeats,
        "importance": _plain(importance),
        "method": found.method,
        "scale": found.scale,
        "base": found.base,
        "gap": found.gap,
        "calibrated": subject.run.recipe.calibration != "none",
        "contributions": _plain(means),
        "effects": _plain(effects),
    }
    folder = subject.run.path if to is None else to
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_table(folder / "importance.csv", importance.merge(means, on="factor"))
    runs.write_table(folder / "effects.csv", effects)
    runs.write_json(folder / "explanation.json", told)
    return told


def importance_in_words(told: dict[str, Any]) -> str:
    """The table of `explain_run` as the command line prints it."""
    table = pd.DataFrame(told["importance"]).merge(
        pd.DataFrame(told["contributions"]), on="factor", how="left"
    )
    lines = [
        f"permutation importance on {told['places']:,} test places, {told['repeats']} repeats: "
        "fall of AP and AUC (95 % of repeats); size: mean contribution",
        f"{'factor':24} {'AP':>7} {'':17} {'AUC':>7} {'':17} {'size':>6}",
    ]
    for row in table.to_dict("records"):
        ranges = [
            f"{row[f'{m}_drop']:7.3f} ({row[f'{m}_low']:6.3f} to {row[f'{m}_high']:6.3f})"
            for m in ("ap", "auc")
        ]
        lines.append(f"{row['factor']:24} {'  '.join(ranges)}  {row['mean_size']:6.3f}")
    of = "the score before calibration" if told["calibrated"] else "the score"
    if told["gap"] is not None:
        of = f" (they add up to {of} within {told['gap']:.0e})"
    else:
        of = f" (of {of})" if told["calibrated"] else ""
    return "\n".join([*lines, f"contributions: {told['method']}, in {told['scale']}{of}"])


def why(run: runs.Run | Subject, x: float, y: float) -> dict[str, Any]:
    """Why the map is high or low at a place.

    Parameters
    ----------
    run : a finished run, or, to be quick the next time, what `effects.open_subject` made of it.
    x, y : the place, in the CRS of the study area; the cell that holds it is explained.

    Returns
    -------
    `row`, `col`, and `x`, `y` of the cell's centre; `score`, as on the map; `model_score`, before
    the run's calibration, which the contributions explain; `calibrated`, whether there was one;
    `base`, `method`, `scale` of the contributions (see `attribution.contributions`); `factors`,
    strongest first, each with `factor`, `value` and `text` (value, unit or name), `contribution`,
    and for continuous ones `above`, the share of training places with a lower value; `inside`,
    whether the cell lies in the area of applicability (None where that was not mapped); `words`,
    all of it in a sentence or two.

    Raises
    ------
    AreaError : the place lies outside the area, or on a cell without data.
    """
    subject = run if isinstance(run, Subject) else open_subject(run)
    row, col = _cell(subject, x, y)
    seen = subject.seen([row], [col])
    own, found = subject.score(seen), contributions(subject, seen)
    factors = [
        _told(subject, factor, row, col) | {"contribution": float(given)}
        for factor, given in zip(subject.encoder.features, found.values[0], strict=True)
    ]
    grid = grid_of(subject.ds)
    centre = grid.xy(row, col)
    told = {
        "row": row,
        "col": col,
        "x": float(centre[0]),
        "y": float(centre[1]),
        "score": float(subject.run.calibrator(own)[0]),
        "model_score": float(own[0]),
        "calibrated": subject.run.recipe.calibration != "none",
        "base": found.base,
        "scale": found.scale,
        "method": found.method,
        "factors": sorted(factors, key=lambda f: -abs(f["contribution"])),
        "inside": _inside(subject.run, row, col),
    }
    return told | {"words": _in_words(told)}


def _cell(subject: Subject, x: float, y: float) -> tuple[int, int]:
    grid = grid_of(subject.ds)
    row, col = (int(index[0]) for index in grid.rowcol(np.array([x]), np.array([y])))
    if not (0 <= row < grid.shape[0] and 0 <= col < grid.shape[1]):
        left, bottom, right, top = grid.bounds
        raise AreaError(
            f"x {x:.7g}, y {y:.7g} lies outside the area: x {left:.7g} to {right:.7g}, "
            f"y {bottom:.7g} to {top:.7g} in its CRS"
        )
    if not bool(subject.ds["valid"].isel(y=row, x=col)):
        raise AreaError(f"the cell at x {x:.7g}, y {y:.7g} has no data: choose one on the map")
    return row, col


def _told(subject: Subject, factor: FittedFactor, row: int, col: int) -> dict[str, Any]:
    """A factor's value at a cell, in words too."""
    value = values_at(subject, factor.name, [row], [col])[0]
    told: dict[str, Any] = {"factor": factor.name, "value": None, "above": None}
    if factor.kind == "categorical":
        name = categories(subject.ds[factor.name]).get(int(value))
        return told | ({"text": "missing"} if name is None else {"value": int(value), "text": name})
    if factor.kind == "cyclic":
        if not np.isfinite(value):
            return told | {"text": DIRECTIONS[0]}
        sector = int((float(value) + 22.5) // 45) % 8 + 1
        return told | {"value": float(value), "text": f"{DIRECTIONS[sector]} ({value:.0f} degrees)"}
    if not np.isfinite(value):
        return told | {"text": f"missing, taken as {factor.median:.4g} {factor.units}"}
    known = _training_values(subject, factor.name)
    unit = "" if factor.units == "1" else f" {factor.units}"
    return told | {
        "value": float(value),
        "text": f"{value:.4g}{unit}",
        "above": float(np.mean(known < value)),
    }


def _training_values(subject: Subject, name: str) -> Any:
    """The factor at the training places, sorted out once."""
    key = f"values of {name}"
    if key not in subject.kept:
        train = subject.places("train")
        values = values_at(subject, name, train["row"], train["col"])
        subject.kept[key] = values[np.isfinite(values)]
    return subject.kept[key]


def _inside(run: runs.Run, row: int, col: int) -> bool | None:
    path = run.path / "applicability.tif"
    if not path.exists():
        return None
    with rasterio.open(path) as source:
        return int(source.read(1, window=Window(col, row, 1, 1))[0, 0]) == 1


def _in_words(told: dict[str, Any]) -> str:
    up = [f for f in told["factors"] if f["contribution"] >= LEAST][:STRONGEST]
    down = [f for f in told["factors"] if f["contribution"] <= -LEAST][:STRONGEST]
    words = f"Susceptibility {told['score']:.2f}"
    if up:
        words += f", raised most by {_listed(up)}"
    if down:
        words += f"{';' if up else ','} lowered most by {_listed(down)}"
    words += f". Contributions in {told['scale']}: {told['method']}."
    if told["calibrated"]:
        words += f" They are those of {told['model_score']:.2f}, the score before calibration."
    if told["inside"] is False:
        words += " The place is unlike the training places: outside the area of applicability."
    return words


def _listed(factors: list[dict[str, Any]]) -> str:
    return ", ".join(_phrase(factor) for factor in factors)


def _phrase(factor: dict[str, Any]) -> str:
    name = factor["factor"].replace("_", " ")
    above = factor["above"]
    rank = "" if above is None else f", more than {min(int(100 * above), 99)}% of training places"
    return f"{name} {factor['text']}{rank} ({factor['contribution']:+.2f})"


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them: what is not a number is None."""
    return [
        {str(k): None if isinstance(v, float) and v != v else v for k, v in row.items()}
        for row in table.to_dict("records")
    ]
