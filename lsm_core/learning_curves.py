"""Learning curves of transfer: how much source, how many target labels, over repeated draws.

Every point is an ordinary run on the target, all of them judged on the same test places, so that a
study that was stopped goes on where it was. A draw is a seed: it decides which target places have a
label, which region is the source's, and the first weights. Runs of one draw have the same labels,
whatever they do with them, and are compared draw by draw.

Source of the plan: Gondwana Research 2022, doi 10.1016/j.gr.2022.07.008 (scale of the source,
number of target samples; accuracy and log loss).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from lsm_core import experiment
from lsm_core.at_hand import forget_networks
from lsm_core.errors import RecipeError
from lsm_core.recipe import Recipe, make_recipe
from lsm_core.runs import Run, list_runs

METRICS = ("accuracy", "log_loss", "average_precision", "roc_auc")
HOWS = ("direct", "self", "inductive", "pooled", "scratch")
LABEL_FREE = ("direct", "self")
Tell = Callable[[str], object]


class Study(NamedTuple):
    """What is asked: a recipe, two areas, sizes, draws, and the ways to transfer.

    `scales` are numbers of source places with a label, those of one region; None is all of them.
    `labels` are numbers of target places with a label; None is all. `settings` are more of the
    recipe's section `transfer` (freeze, rate, mapping ...).
    """

    recipe: Recipe
    source: str
    target: str
    scales: tuple[int | None, ...] = (None,)
    labels: tuple[int | None, ...] = (10, 30, 100, 300, 1000)
    draws: int = 10
    hows: tuple[str, ...] = HOWS
    settings: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never changed


class Cell(NamedTuple):
    """One run of a study."""

    how: str
    scale: int | None
    labels: int | None
    draw: int


def cells(study: Study) -> list[Cell]:
    """All runs on the target, draw by draw, so that a study cut short has whole draws.

    Training from scratch knows no source, direct and self-training no labels: they stand once.

    Raises
    ------
    RecipeError : an unknown way, or no draw.

    >>> rf = make_recipe({"name": "rf", "model": {"name": "random_forest"}})
    >>> asked = Study(rf, "a", "b", (100, None), (10, 30), 1, ("direct", "scratch"))
    >>> [(cell.how, cell.scale, cell.labels) for cell in cells(asked)]
    [('scratch', None, 10), ('scratch', None, 30), ('direct', 100, None), ('direct', None, None)]
    """
    unknown = [how for how in study.hows if how not in HOWS]
    if unknown:
        raise RecipeError(f"no transfer {unknown[0]!r}: {', '.join(HOWS)}")
    if study.draws < 1 or not study.labels or not study.scales:
        raise RecipeError("a study needs a draw, a number of labels and a scale at least")
    found = []
    for draw in range(study.draws):
        if "scratch" in study.hows:
            found += [Cell("scratch", None, n, draw) for n in study.labels]
        for scale in study.scales:
            for how in study.hows:
                if how in LABEL_FREE:
                    found.append(Cell(how, scale, None, draw))
                elif how != "scratch":
                    found += [Cell(how, scale, n, draw) for n in study.labels]
    return found


def source_recipe(study: Study, scale: int | None, draw: int) -> Recipe:
    """The source's own run: all its labels, or so many of one region."""
    over: list[str] = []
    if scale is not None:
        over = ["transfer.how=scratch", f"transfer.labels={scale}", "transfer.region=true"]
    return _made(study, study.source, draw, over)


def target_recipe(study: Study, cell: Cell, source: Run | None) -> Recipe:
    """A run on the target; `source` is None for training from scratch."""
    over = [f"transfer.{key}={value}" for key, value in study.settings.items()]
    over.append(f"transfer.how={cell.how}")
    if cell.labels is not None and cell.how not in LABEL_FREE:
        over.append(f"transfer.labels={cell.labels}")
    if source is not None:
        over.append(f"transfer.source={source.path}")
    return _made(study, study.target, cell.draw, over)


def _made(study: Study, area: str, draw: int, over: list[str]) -> Recipe:
    plain = study.recipe.model_dump(mode="json", exclude={"transfer"})
    seed = study.recipe.seed + draw
    return make_recipe(plain, [f"area={area}", f"seed={seed}", "map=false", *over])


# -------------------------------------------------------------------------------------- running


def carry_out(
    study: Study,
    into: Path,
    tell: Tell = lambda line: None,
    should_stop: Callable[[], bool] | None = None,
    keep: Callable[[pd.DataFrame], object] = lambda rows: None,
) -> pd.DataFrame:
    """Run what is not finished in the folder, and give one row a run.

    `tell` gets a line after each run, `keep` the rows so far.

    Where a mapping is needed, or to match factors, training from scratch goes by the source of the
    first scale: it takes nothing from it but which factors there are, and what they are called.

    Returns
    -------
    `how`, `scale`, `labels`, `draw`, `run` (its folder), `n` (test places) and a column a metric.

    Raises
    ------
    Stopped : `should_stop` said so; what is finished stays.
    """
    done = _finished(into)
    wanted = cells(study)
    sources: dict[tuple[int | None, int], Run] = {}
    rows = []
    for number, cell in enumerate(wanted, start=1):
        scale = study.scales[0] if cell.how == "scratch" else cell.scale
        key = (scale, cell.draw)
        if key not in sources:
            sources[key] = _run(source_recipe(study, *key), done, into, should_stop)
        run = _run(target_recipe(study, cell, sources[key]), done, into, should_stop)
        rows.append(_row(cell, run))
        keep(pd.DataFrame(rows))
        tell(f"{number}/{len(wanted)} {_words(cell)}: AUC {rows[-1]['roc_auc']:.3f}")
    return pd.DataFrame(rows)


def _finished(into: Path) -> dict[str, Run]:
    """Finished runs of a folder by their recipe, the latest of each."""
    return {_key(run.recipe): run for run in list_runs(into) if run.state == "done"}


def _key(recipe: Recipe) -> str:
    return recipe.model_dump_json()


def _run(
    recipe: Recipe, done: dict[str, Run], into: Path, should_stop: Callable[[], bool] | None
) -> Run:
    """The finished run of this recipe on the area as it is now, or a new one."""
    there = done.get(_key(recipe))
    if there is not None and there.area["fingerprints"] == _prints(there):
        return there
    made = experiment.run_experiment(recipe, into, should_stop=should_stop)
    done[_key(recipe)] = made
    forget_networks()
    return made


def _prints(run: Run) -> dict[str, str]:
    from lsm_core.matching import fingerprints_of
    from lsm_core.study_area import open_area

    return fingerprints_of(open_area(run.area_path))


def _row(cell: Cell, run: Run) -> dict[str, Any]:
    scores = run.metrics["scores"]
    numbers = {name: scores.get(name, run.metrics.get(name)) for name in METRICS}
    return cell._asdict() | {"run": str(run.path), "n": run.metrics["n"]} | numbers


def _words(cell: Cell) -> str:
    scale = "" if cell.how == "scratch" else f" from {_said(cell.scale)} source places"
    labels = "" if cell.how in LABEL_FREE else f", {_said(cell.labels)} labels"
    return f"{cell.how}{scale}{labels}, draw {cell.draw + 1}"


def _said(n: Any) -> str:
    return "all" if n is None or n != n else f"{int(n):,}"


# --------------------------------------------------------------------------------------- tables


def summary(rows: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Mean and 95 % interval over the draws, one row a way, scale and number of labels.

    The interval is Student's of the mean over draws: it says how sure the mean is for these test
    places, not how another region would do. With one draw it is not defined (NaN).

    Returns
    -------
    `how`, `scale`, `labels` (NaN: all, or none needed), `draws`, and for each metric its mean under
    its name, `<metric> low`, `<metric> high` and `<metric> sd`.
    """
    made = []
    for key, group in rows.groupby(["how", "scale", "labels"], dropna=False, sort=False):
        row: dict[str, Any] = dict(zip(("how", "scale", "labels"), key, strict=True))
        row["draws"] = len(group)
        for metric in metrics:
            row |= _interval(metric, group[metric].to_numpy(float))
        made.append(row)
    return pd.DataFrame(made)


def gains(
    rows: pd.DataFrame, than: str, how: str = "inductive", metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """What one way gains over another, draw by draw: mean difference, interval and p value.

    Draws share labels and test places, so that the difference of a draw is that of the ways. The p
    value is of the paired t test. Of `direct`, `self` and `scratch` the run with the same draw (and
    scale, and labels) counts, where the way has them.

    Returns
    -------
    One row a scale and number of labels: `draws`, and for each metric its mean difference under its
    name (above 0: `how` is higher), low, high, sd and `<metric> p`.
    """
    one, other = (rows[rows["how"] == name] for name in (how, than))
    keys = ["draw"]
    keys += ["scale"] if than != "scratch" and how != "scratch" else []
    keys += ["labels"] if than not in LABEL_FREE and how not in LABEL_FREE else []
    both = one.merge(other, on=keys, suffixes=("", " other"))
    made = []
    for key, group in both.groupby(["scale", "labels"], dropna=False, sort=False):
        row: dict[str, Any] = dict(zip(("scale", "labels"), key, strict=True))
        row |= {"how": how, "than": than, "draws": len(group)}
        for metric in metrics:
            difference = (group[metric] - group[f"{metric} other"]).to_numpy(float)
            row |= _interval(metric, difference)
            row[f"{metric} p"] = _p(difference)
        made.append(row)
    return pd.DataFrame(made)


def _interval(metric: str, values: np.ndarray) -> dict[str, float]:
    mean = float(values.mean())
    found = {
        metric: mean,
        f"{metric} low": np.nan,
        f"{metric} high": np.nan,
        f"{metric} sd": np.nan,
    }
    if len(values) > 1:
        sd = float(values.std(ddof=1))
        half = float(stats.t.ppf(0.975, len(values) - 1)) * sd / np.sqrt(len(values))
        found |= {f"{metric} low": mean - half, f"{metric} high": mean + half, f"{metric} sd": sd}
    return found


def _p(difference: np.ndarray) -> float:
    if len(difference) < 2:
        return np.nan
    sd = difference.std(ddof=1)
    if sd == 0:
        return 1.0 if difference[0] == 0 else 0.0
    t = difference.mean() / (sd / np.sqrt(len(difference)))
    return float(2 * stats.t.sf(abs(t), len(difference) - 1))


def in_words(table: pd.DataFrame, metrics: Sequence[str] = METRICS) -> str:
    """A summary as the command line prints it: mean and interval of every metric."""
    shown = table[["how", "draws"]].copy()
    where = list(zip(table["how"], table["scale"], table["labels"], strict=True))
    shown.insert(1, "source", ["" if how == "scratch" else _said(s) for how, s, _ in where])
    shown.insert(2, "labels", ["none" if how in LABEL_FREE else _said(n) for how, _, n in where])
    for metric in metrics:
        shown[metric] = [
            f"{m:.3f}" if np.isnan(lo) else f"{m:.3f} [{lo:.3f}, {hi:.3f}]"
            for m, lo, hi in zip(
                table[metric], table[f"{metric} low"], table[f"{metric} high"], strict=True
            )
        ]
    return shown.to_string(index=False)


def gains_in_words(rows: pd.DataFrame, than: str, how: str = "inductive") -> str:
    """The gain of one way over another in AUC and log loss, a line a scale and number of labels."""
    table = gains(rows, than, how)
    lines = [f"{how} against {than}, draw by draw:"]
    for row in table.to_dict("records"):
        where = f"source {_said(row['scale'])}, {_said(row['labels'])} labels"
        lines.append(
            f"  {where}: AUC {row['roc_auc']:+.3f} "
            f"[{row['roc_auc low']:+.3f}, {row['roc_auc high']:+.3f}], log loss "
            f"{row['log_loss']:+.3f} [{row['log_loss low']:+.3f}, {row['log_loss high']:+.3f}]"
        )
    return "\n".join(lines) if len(table) else ""
