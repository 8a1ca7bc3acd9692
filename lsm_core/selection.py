"""Which factors to keep, by stated rules, each dismissal in words.

`keep_factors` applies the rules of `recipe.Selection` to a table of factors; `choose_factors` does
so for a run, on its training places. All that the rules rest on can be had from here too.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lsm_core.association import cramers_v, pairs_above, pearson, spearman, vif
from lsm_core.design_matrix import check_label, check_table
from lsm_core.divergence import divergence, kl_divergence
from lsm_core.errors import RecipeError
from lsm_core.factor_tables import (
    cyclic_of,
    factor_table,
    in_terms_of,
    shared_factors,
    some_places,
)
from lsm_core.importance import forest_importance, mutual_information
from lsm_core.logistic import univariate_logistic
from lsm_core.recipe import Input, Recipe, Selection
from lsm_core.study_area import area_path, open_area

__all__ = [
    "Choice",
    "choose_factors",
    "cramers_v",
    "cyclic_of",
    "divergence",
    "factor_table",
    "forest_importance",
    "keep_factors",
    "kept_input",
    "kl_divergence",
    "mutual_information",
    "pairs_above",
    "pearson",
    "shared_factors",
    "some_places",
    "spearman",
    "univariate_logistic",
    "vif",
]

MOST_PLACES = 5000  # of the other area, to hold a run's training places against
STREAM = 7301  # of random numbers, so that no other draw of the recipe's seed is repeated


class Choice(NamedTuple):
    """Factors kept, in their order; why each other one was dropped; the numbers it rests on."""

    kept: tuple[str, ...]
    dropped: dict[str, str]
    evidence: dict[str, Any]


def keep_factors(
    table: pd.DataFrame,
    label: ArrayLike,
    rules: Selection,
    rng: np.random.Generator,
    *,
    cyclic: Sequence[str] = (),
    target: pd.DataFrame | None = None,
    target_name: str = "the other area",
) -> Choice:
    """Apply the rules in order, and say in words why a factor is dropped.

    0. A factor that `target` lacks cannot be carried there; one with a single value says nothing.
    1. Of two with |r| above `pearson`, or categories with V above `cramers_v`, the one with less
       importance in a forest of all factors goes (its share of impurity; if equal, the later one),
       the strongest pair first.
    2. While a `vif` is above the limit, the factor with the highest goes.
    3. `p_value`: not significant in a logistic regression of its own.
    4. `importance`: shuffling it costs a forest of the factors left no more than this accuracy out
       of bag. They are judged, and go, together.
    5. KL `divergence` above the limit, from the rows labelled 0 here to those of `target`, whose
       labels nobody asks for.

    This is the order of the paper on mining landslides (Front. Earth Sci. 2023, 11, 1105985):
    correlation, importance, divergence, with the inflation of SSGAN and LSGH-Net's correlation and
    importance in their places. `rules.always` names factors that stay whatever rule says.

    Rows without a value of every factor left do not count in 1 (importance), 2 and 4.

    Raises
    ------
    RecipeError : the rules leave no factor, or `always` names none of the table's.
    SampleError : labels other than 0 and 1, or too few rows.

    >>> rng = np.random.default_rng(1)
    >>> slope = rng.normal(25, 9, 300)
    >>> table = pd.DataFrame({"slope": slope, "relief": 3 * slope, "datum": 0.0})
    >>> choice = keep_factors(table, slope > 25, Selection(trees=20), rng)
    >>> choice.kept
    ('slope',)
    >>> print(choice.dropped["datum"])
    dropped: the same value at all 300 places
    """
    check_table(table, cyclic)
    check_label(table, label)
    unknown = [name for name in rules.always if name not in table]
    if unknown:
        raise RecipeError(
            f"selection.always names {unknown[0]!r}, which is not among {list(table)}"
        )
    judge = _Judge(table, np.asarray(label).astype(int), rules, rng, cyclic)
    judge.lacking(target, target_name)
    judge.constant()
    judge.alike(pearson(judge.left, cyclic=judge.angles), rules.pearson, "|r|")
    judge.alike(cramers_v(judge.left), rules.cramers_v, "Cramér's V")
    judge.inflated()
    judge.insignificant()
    judge.unimportant()
    judge.unlike(target, target_name)
    if judge.left.empty:
        raise RecipeError(
            f"the rules of selection leave no factor of {len(table.columns)}: the last to go was "
            f"{list(judge.dropped.items())[-1]}; set a rule to null, or name it in always"
        )
    return Choice(tuple(judge.names), judge.dropped, judge.evidence)


def choose_factors(
    ds: xr.Dataset, recipe: Recipe, *, fit_on: pd.DataFrame
) -> dict[str, Any] | None:
    """A run's choice, from its training places alone, as `selection.json` keeps it.

    None without a section `selection` in the recipe. Candidates are `input.factors`, or all of the
    area's. Soft samples have no label and take no part.

    Returns
    -------
    `kept`, `dropped` (name to words), `places`, `rules`, `evidence`.

    Raises
    ------
    RecipeError, SampleError : as `keep_factors`. AreaError : no built area named `against`, or its
        categories clash with this one's.
    """
    rules = recipe.selection
    if rules is None:
        return None
    if recipe.input.factors == ():
        raise RecipeError(
            "the section selection chooses among factors, but input.factors is empty: leave it out"
        )
    hard = fit_on[fit_on["label"] >= 0]
    table = factor_table(ds, hard, recipe.input.factors)
    rng = np.random.default_rng([recipe.seed, STREAM])
    target: pd.DataFrame | None = None
    lacking: dict[str, str] = {}
    if rules.against is not None:
        other = open_area(area_path(rules.against))
        other, shared, lacking = in_terms_of(ds[list(table)], other, rules.mapping)
        lacking = {n: f"dropped: {why}" for n, why in lacking.items() if n not in rules.always}
        target = factor_table(other, some_places(other, MOST_PLACES, rng), shared)
    table = table.drop(columns=list(lacking))
    if table.empty:
        raise RecipeError(
            f"{rules.against} shares none of the factors, by name and units: {lacking}; choose "
            "another area as selection.against"
        )
    choice = keep_factors(
        table,
        hard["label"],
        rules,
        rng,
        cyclic=[name for name in cyclic_of(ds) if name in table],
        target=target,
        target_name=rules.against or "",
    )
    return {
        "kept": list(choice.kept),
        "dropped": lacking | choice.dropped,
        "places": len(hard),
        "rules": rules.model_dump(mode="json"),
        "evidence": choice.evidence,
    }


def kept_input(specs: Input, choice: dict[str, Any] | None) -> Input:
    """The recipe's input with the factors chosen; class limits of those dropped go with them.

    >>> specs = Input(classes={"slope": (10, 20), "aspect": (90, 180)})
    >>> specs = kept_input(specs, {"kept": ["slope"], "dropped": {"aspect": "dropped: ..."}})
    >>> specs.factors, list(specs.classes)
    (('slope',), ['slope'])
    """
    if choice is None:
        return specs
    classes = {name: v for name, v in specs.classes.items() if name not in choice["dropped"]}
    return specs.model_copy(update={"factors": tuple(choice["kept"]), "classes": classes})


# -------------------------------------------------------------------------------------- rules


class _Judge:
    """The factors still standing, why the others fell, and what was measured on the way."""

    def __init__(
        self,
        table: pd.DataFrame,
        label: NDArray,
        rules: Selection,
        rng: np.random.Generator,
        cyclic: Sequence[str],
    ) -> None:
        self.left, self.label, self.rules, self.rng = table, label, rules, rng
        self.cyclic = cyclic
        self.dropped: dict[str, str] = {}
        self.evidence: dict[str, Any] = {}
        self._share: pd.Series | None = None

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.left]

    @property
    def angles(self) -> list[str]:
        return [name for name in self.cyclic if name in self.left]

    def drop(self, name: str, why: str) -> None:
        self.left = self.left.drop(columns=name)
        self.dropped[name] = f"dropped: {why}"

    def share(self) -> pd.Series:
        """Each factor's share of impurity in a forest of all that vary; fitted when first asked."""
        if self._share is None:
            forest = self._forest()
            self._share = forest.table["impurity"]
        return self._share

    def _forest(self) -> Any:
        trees = self.rules.trees
        return forest_importance(self.left, self.label, self.rng, trees=trees, cyclic=self.angles)

    def lacking(self, target: pd.DataFrame | None, where: str) -> None:
        for name in [] if target is None else [n for n in self.names if n not in target]:
            if name not in self.rules.always:
                self.drop(name, f"{where} lacks it")

    def constant(self) -> None:
        for name in self.names:
            different = self.left[name].nunique()
            if different < 2:
                places = f"at all {len(self.left):,} places"
                self.drop(name, f"the same value {places}" if different else f"no value {places}")

    def alike(self, matrix: pd.DataFrame, limit: float | None, what: str) -> None:
        """Of each pair above the limit, the strongest first, the one of less importance goes."""
        if limit is None:
            return
        strong = pairs_above(matrix, limit)
        strong = strong[strong["value"].abs() > limit]
        self.evidence[f"pairs above {limit:g} in {what}"] = strong.to_dict("records")
        for first, second, value in strong.itertuples(index=False):
            if not {first, second} <= set(self.left):
                continue
            free = [name for name in (first, second) if name not in self.rules.always]
            if not free:
                continue
            share = self.share()
            loser = free[-1] if len(free) == 1 or share[first] >= share[second] else first
            winner = second if loser == first else first
            why = f"{what} = {abs(value):.2f} with {winner}, which "
            if len(free) == 1:
                self.drop(loser, why + "is always kept")
            else:
                words = f"({share[winner]:.2f} against {share[loser]:.2f})"
                self.drop(loser, f"{why}has the higher share of impurity {words}")

    def inflated(self) -> None:
        """The most inflated goes until none is above the limit."""
        if self.rules.vif is None or self.left.empty:
            return
        while True:
            made = vif(self.left, cyclic=self.angles).table
            free = made.drop(index=[n for n in self.rules.always if n in made.index])
            high = free[free["vif"] > self.rules.vif]
            if high.empty:
                break
            worst = high.index[high["vif"] >= high["vif"].max() * (1 - 1e-6)]
            name = str(worst[-1] if len(worst) == 1 else self.share()[worst[::-1]].idxmin())
            value, tolerance = high.loc[name, ["vif", "tolerance"]]
            words = f"variance inflation {value:.1f}, above {self.rules.vif:g}"
            self.drop(name, f"{words} (tolerance {tolerance:.2f})")
        self.evidence["vif"] = _plain(made["vif"])

    def insignificant(self) -> None:
        limit = self.rules.p_value
        if limit is None or self.left.empty:
            return
        made = univariate_logistic(self.left, self.label, cyclic=self.angles)
        self.evidence["p_value"] = _plain(made["p_value"])
        for name, p in made["p_value"].items():
            if not p < limit and name not in self.rules.always:
                self.drop(str(name), f"p = {p:.2f} in a regression of its own, not below {limit:g}")

    def unimportant(self) -> None:
        limit = self.rules.importance
        if limit is None or self.left.empty:
            return
        forest = self._forest()
        made = forest.table
        self.evidence["importance"] = _plain(made["permutation"])
        self.evidence["forest"] = {
            "oob_accuracy": forest.oob_accuracy,
            "oob_auc": forest.oob_auc,
            "rows": forest.rows,
            "rows_left_out": forest.left_out,
        }
        for name, loss in made["permutation"].items():
            if not loss > limit and name not in self.rules.always:
                lost = f"shuffling it costs a forest of the factors left {loss:.4f} of its accuracy"
                self.drop(str(name), f"{lost}, not more than {limit:g}")

    def unlike(self, target: pd.DataFrame | None, where: str) -> None:
        if target is None or self.left.empty:
            return
        made = divergence(self.left[self.label == 0], target, cyclic=self.angles)
        self.evidence["divergence"] = _plain(made["kl"])
        limit = self.rules.divergence
        for name, kl in made["kl"].items() if limit is not None else ():
            if not kl <= limit and name not in self.rules.always:
                words = f"KL divergence {kl:.2f} from here to {where}"
                self.drop(str(name), f"{words}, above {limit:g}")


def _plain(values: pd.Series) -> dict[str, float | None]:
    """For JSON, which has neither NaN nor infinity."""
    return {str(k): float(v) if np.isfinite(v) else None for k, v in values.items()}
