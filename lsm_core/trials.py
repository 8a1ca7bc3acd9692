"""A search in a recipe's settings: each trial an ordinary run in the tuning's folder.

Trials are judged on validation places only. The test places of the chosen one are looked at once
the search is over, beside those of the recipe as it stood before: whoever sees the test scores of
thirty trials ends up choosing by them, and they are no test any more.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lsm_core import experiment, jobs, runs
from lsm_core.catalog import did_you_mean
from lsm_core.encoding import fit_encoder
from lsm_core.errors import RecipeError, RunError, SampleError, Stopped
from lsm_core.figures import page_of
from lsm_core.inner_folds import nested_splits
from lsm_core.recipe import Recipe, save_recipe
from lsm_core.run_files import replace
from lsm_core.search_space import Space, check_space, plain_space, values_of, with_values
from lsm_core.selection import choose_factors, kept_input
from lsm_core.tuning import STRATEGIES, Strategy, Trial, best_of, search, trial_table
from lsm_core.tuning_figures import save_png, search_of

log = logging.getLogger(__name__)
Follow = Callable[[dict[str, Any]], None]
Ask = Callable[[], bool]
MOVES = ("samples", "input")  # sections of a recipe that may decide which places are checked


@dataclass(frozen=True)
class Tuning:
    """What is searched, how it is judged, and the folder of its trials.

    `recipe` is the one to be tuned, with its area. `by` is a score of validation places, the higher
    the better; of `folds` inner folds of the training part, or without of the validation part.
    `checked` is a fingerprint of the validation places, the same in every trial.
    """

    recipe: Recipe
    space: Space
    area: dict[str, Any]
    checked: str
    path: Path
    by: str = "average_precision"
    strategy: Strategy = "bayes"
    seed: int = 1
    folds: int | None = None

    @property
    def header(self) -> dict[str, Any]:
        """All that decides the trials, for JSON."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "space": plain_space(self.space),
            "area": {name: self.area[name] for name in ("name", "fingerprints")},
            "checked": self.checked,
            "by": self.by,
            "folds": self.folds,
            "strategy": self.strategy,
            "seed": self.seed,
        }


class Found(NamedTuple):
    """What a tuning came to: its trials, the best, its recipe, and test scores before and after."""

    trials: list[Trial]
    best: Trial
    recipe: Recipe
    test: dict[str, dict[str, float]]


def plan_tuning(
    recipe: Recipe,
    space: Space,
    into: Path,
    *,
    by: str = "average_precision",
    strategy: Strategy = "bayes",
    seed: int = 1,
    folds: int | None = None,
) -> Tuning:
    """Check everything before the first trial. The same request gives the same folder again.

    Raises
    ------
    RecipeError : the recipe or the space has a mistake, or a key changes which places are checked.
    """
    if strategy not in STRATEGIES:
        raise RecipeError(f"strategy is {' or '.join(STRATEGIES)}, got {strategy!r}")
    if folds is not None and folds < 2:
        raise RecipeError(f"inner folds are 2 or more, got {folds}")
    if folds is not None and recipe.by_chips:
        raise RecipeError(
            "chips have no inner folds: leave --folds out (split.validation_apart keeps training "
            "chips clear of those that are checked)"
        )
    check_space(recipe, space)
    plan = experiment.plan_run(_quick(recipe))
    checked = _checked(plan)
    for key in space:
        for value in space[key].values if key.split(".")[0] in MOVES else ():
            moved = experiment.plan_run(_quick(with_values(recipe, {key: value})))
            if _checked(moved) != checked:
                raise RecipeError(
                    f"{key} changes which places are checked, so that trials could not be "
                    "compared: leave it out of the space (of a window's size, set split.apart)"
                )
    made = Tuning(recipe, space, plan.area, checked, Path(into), by, strategy, seed, folds)
    return Tuning(**(vars(made) | {"path": Path(into) / _folder_name(made)}))


def tune(
    tuned: Tuning,
    n: int,
    follow: Follow = lambda event: None,
    should_stop: Ask = lambda: False,
) -> Found:
    """Carry out what is not done yet of `n` trials, and say what was found.

    Trials that a former call left in the folder are not made again: one that was cut off is. The
    first is the recipe as it stands, number 0, which is not counted.

    Parameters
    ----------
    follow : gets the events of the run under way and, after each trial, {"event": "trial", number,
        score, best, seconds, message}.
    should_stop : is asked as in `experiment.run_experiment`.

    Raises
    ------
    Stopped : `should_stop` said so. The same call goes on where it stopped.
    RunError : another process searches in this folder; or all trials failed.
    """
    with _alone(tuned):
        trials = read_trials(tuned)

        def keep(trial: Trial) -> None:
            trials.append(trial)
            _write(tuned, trials)
            told = trial.message or f"{tuned.by} {trial.score:.4f}"
            log.info("%s, trial %d of %d: %s", tuned.path.name, trial.number, n, told)
            follow({"event": "trial", **_plain(trial), "best": _plain(best_of(trials))["score"]})

        def objective(values: Mapping[str, Any]) -> float:
            return _score(tuned, values, len(trials), follow, should_stop)

        if not trials:
            keep(_as_it_stands(tuned, objective))
        rng = np.random.default_rng(tuned.seed)
        options: dict[str, Any] = {"strategy": tuned.strategy, "known": trials, "on_trial": keep}
        trials = search(tuned.space, objective, n, rng, **options)
        return _conclude(tuned, trials, follow, should_stop)


def read_trials(tuned: Tuning) -> list[Trial]:
    """The finished trials in a tuning's folder, in order; none where there is no such folder."""
    path = tuned.path / "tuning.json"
    return _trials_in(runs.read_json(path)) if path.is_file() else []


def runs_of(tuned: Tuning, number: int) -> list[runs.Run]:
    """The runs of a trial, one a fold."""
    return [run for run in runs.list_runs(tuned.path) if f"-{_mark(number)}-" in run.id]


# ---------------------------------------------------------------------------------- one trial


def _as_it_stands(tuned: Tuning, objective: Callable[[Mapping[str, Any]], float]) -> Trial:
    """Trial 0. A mistake in it is the user's: it is raised."""
    began = time.perf_counter()
    score = objective({})
    if not math.isfinite(score):
        raise RunError(f"the recipe as it stands has no {tuned.by} on its validation places")
    seconds = round(time.perf_counter() - began, 2)
    return Trial(0, values_of(tuned.recipe, tuned.space), score, seconds)


def _score(
    tuned: Tuning, values: Mapping[str, Any], number: int, follow: Follow, should_stop: Ask
) -> float:
    """The mean score of the validation places of a trial's runs."""
    plan = experiment.plan_run(_quick(with_values(tuned.recipe, values)))
    if _checked(plan) != tuned.checked:
        raise SampleError("these values change which places are checked: not comparable")
    found = []
    for mark, part in _parts(tuned, plan, number):
        validation = _carry_out(tuned, part, mark, follow, should_stop).metrics["validation"]
        if tuned.by not in validation:
            near = did_you_mean(tuned.by, list(validation))
            raise RecipeError(f"validation places have no score {tuned.by!r}; {near}")
        found.append(_number(validation[tuned.by]))
    return float(np.mean(found))


def _parts(
    tuned: Tuning, plan: experiment.Plan, number: int
) -> Iterator[tuple[str, experiment.Plan]]:
    """What is run: the plan itself, or the plan on each inner fold, all learnt anew from it."""
    if tuned.folds is None:
        yield _mark(number), plan
        return
    test = plan.samples[plan.samples["split"] == "test"]
    inner = nested_splits(plan.ds, plan.recipe, plan.samples, tuned.folds)
    for fold, frame in enumerate(inner, start=1):
        samples = pd.concat([frame, test], ignore_index=True)
        train = samples[samples["split"] == "train"]
        chosen = choose_factors(plan.ds, plan.recipe, fit_on=train)
        encoder = fit_encoder(plan.ds, kept_input(plan.recipe.input, chosen), fit_on=train)
        part = plan._replace(samples=samples, encoder=encoder, selection=chosen)
        yield f"{_mark(number)}-fold{fold}", part


def _carry_out(
    tuned: Tuning, plan: experiment.Plan, mark: str, follow: Follow, should_stop: Ask
) -> runs.Run:
    """A finished run of this mark and recipe, or a new one; what was left half done goes."""
    for run in runs.list_runs(tuned.path):
        if f"-{mark}-2" not in run.id:  # the mark, then the time
            continue
        if run.state == "done" and run.recipe == plan.recipe:
            return run
        runs.delete_run(run)
    path = runs.create_run(plan.recipe, plan.area, tuned.path, mark)
    try:
        with jobs.turn(path, should_stop):
            return experiment.carry_out(plan, path, follow, should_stop)
    except Stopped as stopped:
        runs.set_status(path, "stopped", str(stopped))
        raise


def _checked(plan: experiment.Plan) -> str:
    places = plan.places
    return runs.hash_places(places[places["split"] == "validation"], plan.area["name"])


def _quick(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"map": False})


def _mark(number: int) -> str:
    return f"trial{number:03d}"


# -------------------------------------------------------------------------------- the results


def _conclude(tuned: Tuning, trials: list[Trial], follow: Follow, should_stop: Ask) -> Found:
    """Only now are test places looked at: of the best trial and of the recipe as it stood."""
    best = best_of(trials)
    values = best.values if best.number else {}
    recipe = with_values(tuned.recipe, values)
    if best.number:
        recipe = recipe.model_copy(
            update={
                "name": f"{recipe.name}_tuned",
                "title": f"{recipe.title or recipe.name}, tuned",
            }
        )
    test = {}
    for name, number, wanted in (("as it stood", 0, {}), ("tuned", best.number, values)):
        found = [run for run in runs_of(tuned, number) if tuned.folds is None]
        if not found:
            plan = experiment.plan_run(_quick(with_values(tuned.recipe, wanted)))
            mark = f"whole{number:03d}"
            found = [_carry_out(tuned, plan, mark, follow, should_stop)]
        told = found[-1].metrics
        test[name] = {key: told[key] for key in told["validation"] if key in told}
    _write(tuned, trials, {"best": _plain(best), "test": test})
    replace(tuned.path / "best.yaml", lambda part: save_recipe(recipe, part))
    _draw(tuned, trials)
    return Found(trials, best, recipe, test)


def _write(tuned: Tuning, trials: Sequence[Trial], more: Mapping[str, Any] | None = None) -> None:
    text = {"tuning": tuned.header, "trials": [_plain(trial) for trial in trials]}
    runs.write_json(tuned.path / "tuning.json", text | dict(more or {}))
    table = trial_table(trials)
    table["run"] = [", ".join(run.id for run in runs_of(tuned, t.number)) for t in trials]
    runs.write_table(tuned.path / "trials.csv", table.rename(columns={"score": tuned.by}))


def _draw(tuned: Tuning, trials: Sequence[Trial]) -> None:
    """The search as a page and as a picture, beside those that differ in strategy or seed alone."""
    tables = {f"{tuned.strategy}, seed {tuned.seed}": trial_table(trials)}
    for path in sorted(tuned.path.parent.glob(f"{_stem(tuned)}-*/tuning.json")):
        other = runs.read_json(path)
        name = f"{other['tuning']['strategy']}, seed {other['tuning']['seed']}"
        tables.setdefault(name, trial_table(_trials_in(other)))
    title = f"{tuned.recipe.title or tuned.recipe.name} on {tuned.area['name']}"
    figure = search_of(tables, plain_space(tuned.space), by=tuned.by, title=title)
    runs.write_text(tuned.path / "search.html", page_of(figure, "search"))
    save_png(figure, tuned.path / "search.png")


def _plain(trial: Trial) -> dict[str, Any]:
    return trial._asdict() | {"score": None if trial.failed else trial.score}


def _trials_in(text: Mapping[str, Any]) -> list[Trial]:
    return [Trial(**row | {"score": _number(row["score"])}) for row in text["trials"]]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# --------------------------------------------------------------------------------- the folder


def _stem(tuned: Tuning) -> str:
    """What the folders of searches have in common that differ in strategy and seed alone."""
    same = {k: v for k, v in tuned.header.items() if k not in ("strategy", "seed")}
    code = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:6]
    return f"tune-{tuned.recipe.name}-{tuned.area['name']}-{code}"


def _folder_name(tuned: Tuning) -> str:
    return f"{_stem(tuned)}-{tuned.strategy}-seed{tuned.seed}"


def _alone(tuned: Tuning) -> AbstractContextManager[None]:
    tuned.path.mkdir(parents=True, exist_ok=True)
    busy = f"another process searches in {tuned.path}: wait for it, or end it"
    return runs.alone(tuned.path / ".lock", busy)
