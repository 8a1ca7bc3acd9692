"""A search in words: what is about to be tried, how long it takes, and what came of it."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from lsm_core.map_forecast import duration

if TYPE_CHECKING:
    from lsm_core.search_space import Space
    from lsm_core.trials import Found, Tuning

EDGE = 0.01  # share of a key's range that counts as its limit
STRATEGIES = {
    "bayes": "a Gaussian process with expected improvement",
    "random": "random search",
}


def plan_in_words(tuned: "Tuning", n: int, there: int) -> str:
    """What is searched, how, and by which score of which places."""
    recipe = tuned.recipe
    lines = [
        f"{recipe.title or recipe.name} on {recipe.area}: {n} trials by "
        f"{STRATEGIES[tuned.strategy]}, seed {tuned.seed}",
        f"judged by {_words(tuned.by)} of {_places(tuned)}; test places wait until it is over",
    ]
    for key, (kind, values) in tuned.space.items():
        between = ", ".join(map(str, values)) if kind == "choice" else f"{values[0]} to {values[1]}"
        lines.append(f"  {key}: {between}" + (", logarithmic" if kind.startswith("log") else ""))
    if there:
        lines.append(f"{there} trials are in {tuned.path} already and are not made again")
    return "\n".join(lines)


def forecast(seconds: float, n: int) -> str:
    """About how long a search takes, from how long its first run took.

    >>> forecast(12.4, 30)
    'the recipe as it stands took 12 s: 30 trials of that length take about 6 min'
    """
    return (
        f"the recipe as it stands took {duration(seconds)}: {n} trials of that length take "
        f"about {duration(n * seconds)}"
    )


def found_in_words(tuned: "Tuning", found: "Found") -> str:
    """The trials as a table, the best one, and test scores of it and of the recipe before."""
    lines = [trials_in_words(found, tuned.by), ""]
    failed = sum(trial.failed for trial in found.trials)
    if failed:
        lines.append(f"{failed} of {len(found.trials)} trials failed (trials.csv says why)")
    before, best = found.trials[0], found.best
    if best.number == 0:
        lines.append("no trial scored higher than the recipe as it stood (iteration 0)")
    lines.append(
        f"validation, {_words(tuned.by)}: {before.score:.4f} as it stood, {best.score:.4f} in "
        f"iteration {best.number}; the highest of {len(found.trials)}, so somewhat flattered"
    )
    for key in next(iter(found.test.values())):
        values = ", ".join(f"{found.test[name][key]:.4f} {name}" for name in found.test)
        lines.append(f"test, {_words(key)}: {values}")
    lines += edges_in_words(tuned.space, best.values if best.number else {})
    lines += [f"recipe: {tuned.path / 'best.yaml'}", f"picture: {tuned.path / 'search.html'}"]
    return "\n".join(lines)


def edges_in_words(space: "Space", values: Mapping[str, Any]) -> list[str]:
    """A line for each best value at a limit of its key: there may be better ones beyond.

    >>> from lsm_core.search_space import make_space
    >>> space = make_space({"model.options.C": {"log": [0.01, 100]}})
    >>> edges_in_words(space, {"model.options.C": 99.5})
    ['model.options.C ended at the upper limit of 100: a wider space may hold better ones']
    """
    lines = []
    for key, value in values.items():
        if (kind := space[key].kind) == "choice":
            continue
        low, high = space[key].values
        bend = math.log if kind.startswith("log") else float
        share = (bend(value) - bend(low)) / (bend(high) - bend(low))
        for name, limit, at in (("lower", low, share <= EDGE), ("upper", high, share >= 1 - EDGE)):
            if at:
                lines.append(
                    f"{key} ended at the {name} limit of {limit:g}: a wider space may hold better "
                    "ones"
                )
    return lines


def trials_in_words(found: "Found", by: str) -> str:
    """Iteration, score, then the settings: a row a trial, the best one marked."""
    table = pd.DataFrame(
        [
            {"iteration": f"{'*' if t.number == found.best.number else ''}{t.number}"}
            | {_words(by): "failed" if t.failed else f"{t.score:.4f}"}
            | {_short(key, t.values): _value(value) for key, value in t.values.items()}
            for t in found.trials
        ]
    )
    return table.to_string(index=False)


def _short(key: str, among: dict[str, object]) -> str:
    """The last part of a key, or all of it where another one ends so too."""
    last = key.split(".")[-1]
    same = [other for other in among if other.split(".")[-1] == last]
    return last if len(same) == 1 else key


def _value(value: object) -> str:
    if value is None:
        return "unset"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _places(tuned: "Tuning") -> str:
    if tuned.folds is None:
        return "the validation places"
    return f"{tuned.folds} inner folds of the training and validation places, on average"


def _words(name: str) -> str:
    return name.replace("_", " ")
