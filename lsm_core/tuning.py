"""Search for the values that score highest: a Gaussian process with expected improvement.

Each proposal is learnt from all trials before it (Mockus 1978; Snoek and others 2012, as paper 2
does); random search, with the same interface, is what it must beat. A proposal follows from the
seed, its number and the trials before it, and from nothing else: a search that was cut off goes on
as if it had not been.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import qmc

from lsm_core.errors import LsmError, RecipeError, RunError, Stopped
from lsm_core.logs import discreet
from lsm_core.search_space import Dimension, Space, inside

Strategy = Literal["bayes", "random"]
STRATEGIES: tuple[Strategy, ...] = ("bayes", "random")
CANDIDATES = (
    2000  # points at which the expected improvement is looked at; the best five are refined
)
Objective = Callable[[dict[str, Any]], float]


class Trial(NamedTuple):
    """One set of values and its score; one that failed has NaN, and says why.

    Number 0 is no proposal: a setting known beforehand.
    """

    number: int
    values: dict[str, Any]
    score: float
    seconds: float = 0.0
    message: str = ""

    @property
    def failed(self) -> bool:
        return not math.isfinite(self.score)


def search(
    space: Space,
    objective: Objective,
    n: int,
    rng: np.random.Generator,
    *,
    strategy: Strategy = "bayes",
    known: Iterable[Trial] = (),
    on_trial: Callable[[Trial], object] = lambda trial: None,
) -> list[Trial]:
    """Try `n` sets of values; the best is that with the highest score.

    Parameters
    ----------
    space : of `search_space.make_space`.
    objective : from values by key to a score, the higher the better. A score that is not a number,
        or an LsmError, is a failed trial: it counts as the worst score seen so far.
    n : trials. Fewer are made where the space has fewer different points.
    rng : decides the proposals. The same generator gives the same ones, however many are asked for.
    strategy : "bayes": a few trials spread over the space (a Latin hypercube, two more than there
        are keys), then those with the highest expected improvement; or "random".
    known : trials made before, which are not made again; what is learnt from them is.
    on_trial : is called after each trial that is made.

    Returns
    -------
    All trials, those known first.

    Raises
    ------
    Stopped : the objective raised it.
    RecipeError : an unknown strategy, or no trial asked for.

    >>> from lsm_core.search_space import make_space
    >>> space = make_space({"x": {"linear": [-2, 2]}, "by": {"choice": ["square", "line"]}})
    >>> def bowl(at): return -(at["x"] - 1) ** 2 - (at["by"] == "line")
    >>> best = best_of(search(space, bowl, 12, np.random.default_rng(1)))
    >>> best.values["by"], abs(best.values["x"] - 1) < 0.1
    ('square', True)
    """
    if strategy not in STRATEGIES:
        raise RecipeError(f"strategy is {' or '.join(STRATEGIES)}, got {strategy!r}")
    if n < 1:
        raise RecipeError(f"a search takes 1 trial or more, got {n}")
    trials = sorted(known, key=lambda trial: trial.number)
    made = {trial.number for trial in trials}
    spread = _spread(space, rng) if strategy == "bayes" else []
    most = math.prod(dimension.points for dimension in space.values())
    for number in range(1, n + 1):
        seed = int(rng.integers(2**31))  # drawn for known trials too: later ones stay the same
        if number in made:
            continue
        if sum(inside(trial.values, space) for trial in trials) >= most:
            break
        values = _propose(space, trials, spread[number - 1 : number], seed, strategy)
        trials.append(_try(objective, values, number))
        on_trial(trials[-1])
    return trials


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest score; among equals the first.

    Raises
    ------
    RunError : all failed; it says why the last one did.
    """
    there = [trial for trial in trials if not trial.failed]
    if not there:
        why = trials[-1].message if trials else "none was made"
        raise RunError(f"all {len(trials)} trials failed; the last one: {why}")
    return max(there, key=lambda trial: trial.score)


def _try(objective: Objective, values: dict[str, Any], number: int) -> Trial:
    began, message = time.perf_counter(), ""
    try:
        score = float(objective(values))
        message = "" if math.isfinite(score) else f"its score is {score}"
    except Stopped:
        raise
    except LsmError as error:
        score, message = math.nan, discreet(str(error))
    score = score if math.isfinite(score) else math.nan
    return Trial(number, values, score, round(time.perf_counter() - began, 2), message)


# ---------------------------------------------------------------------------------- proposals


def _spread(space: Space, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The first points: as many strata of every key as points, each hit once."""
    shares = qmc.LatinHypercube(len(space), rng=rng).random(len(space) + 2)
    return [_at(space, row) for row in shares]


def _at(space: Space, shares: Iterable[float]) -> dict[str, Any]:
    return {
        key: dimension.at(float(share))
        for (key, dimension), share in zip(space.items(), shares, strict=True)
    }


def _propose(
    space: Space,
    trials: Sequence[Trial],
    spread: Sequence[dict[str, Any]],
    seed: int,
    strategy: Strategy,
) -> dict[str, Any]:
    """The next point, none that was tried: from the spread while it lasts, then by strategy."""
    told = [trial for trial in trials if inside(trial.values, space)]
    tried = [trial.values for trial in told]
    rng = np.random.default_rng(seed)
    for point in spread:
        if point not in tried:
            return point
    if strategy == "bayes" and told and not spread:
        for point in _most_improving(space, told, seed):
            if point not in tried:
                return point
    while (point := _at(space, rng.random(len(space)))) in tried:
        pass  # there are others, or the search had ended
    return point


def _most_improving(space: Space, told: Sequence[Trial], seed: int) -> Iterator[dict[str, Any]]:
    """Where a Gaussian process expects most to be gained over the best score, best point first.

    Scores are standardised first: scikit-optimize asks for an improvement of at least 0.01, which
    is much of what separates two models' average precision, and little of a standard deviation.
    Where trials are noisy the best point may be one that was tried, so that others must follow.
    """
    from skopt import Optimizer  # imports scikit-learn: only where a search needs it
    from skopt.acquisition import gaussian_ei

    losses = _losses(told)
    process = Optimizer(
        [_axis(dimension) for dimension in space.values()],
        base_estimator="GP",
        n_initial_points=0,
        acq_func="EI",
        acq_optimizer_kwargs={"n_points": CANDIDATES},
        random_state=seed,
        avoid_duplicates=False,
    )
    with warnings.catch_warnings():
        # what it says of a point proposed again: it is skipped by whoever asks
        warnings.filterwarnings("ignore", "The objective has been evaluated at point", UserWarning)
        process.tell([_coordinates(space, trial.values) for trial in told], losses)
        yield _point(space, process.ask())
    others = process.space.rvs(CANDIDATES, random_state=seed)
    gain = gaussian_ei(process.space.transform(others), process.models[-1], min(losses))
    for i in np.argsort(-gain):
        yield _point(space, others[i])


def _point(space: Space, coordinates: Iterable[Any]) -> dict[str, Any]:
    return {
        key: _value(dimension, x)
        for (key, dimension), x in zip(space.items(), coordinates, strict=True)
    }


def _losses(told: Sequence[Trial]) -> list[float]:
    """Standardised scores, the sign turned; a failed trial has the worst of them."""
    score = np.array([trial.score for trial in told])
    there = score[np.isfinite(score)]
    score[~np.isfinite(score)] = there.min() if len(there) else 0.0
    spread = score.std()
    return ((score.mean() - score) / (spread if spread > 0 else 1.0)).tolist()


def _axis(dimension: Dimension) -> Any:
    """A dimension as scikit-optimize has it; choices by their number, whatever they are."""
    from skopt.space import Categorical, Integer, Real

    kind, values = dimension
    if kind == "choice":
        return Categorical(list(range(len(values))))
    prior = "log-uniform" if kind.startswith("log") else "uniform"
    return (Integer if kind.endswith("integer") else Real)(*values, prior=prior)


def _coordinates(space: Space, values: Mapping[str, Any]) -> list[Any]:
    return [
        dimension.values.index(values[key]) if dimension.kind == "choice" else values[key]
        for key, dimension in space.items()
    ]


def _value(dimension: Dimension, x: Any) -> Any:
    """Plain Python of what scikit-optimize gives, kept within limits that rounding may pass."""
    if dimension.kind == "choice":
        return dimension.values[int(x)]
    low, high = dimension.values
    whole = dimension.kind.endswith("integer")
    return min(max(round(x) if whole else float(x), low), high)


# ------------------------------------------------------------------------------------- tables


def trial_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial, in order: iteration, score, best_so_far, a column a key, seconds, message.

    Iteration 0 is what was known beforehand; a failed trial has no score.

    >>> trials = [Trial(1, {"x": 3}, 0.2), Trial(2, {"x": 4}, math.nan), Trial(3, {"x": 5}, 0.1)]
    >>> trial_table(trials)[["iteration", "score", "best_so_far", "x"]].values.tolist()
    [[1.0, 0.2, 0.2, 3.0], [2.0, nan, 0.2, 4.0], [3.0, 0.1, 0.2, 5.0]]
    """
    table = pd.DataFrame(
        [
            {"iteration": t.number, "score": t.score}
            | t.values
            | {"seconds": t.seconds, "message": t.message}
            for t in trials
        ]
    )
    table.insert(2, "best_so_far", table["score"].cummax().ffill())
    return table
