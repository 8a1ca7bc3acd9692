"""The search itself: functions whose best is known, the same seed, what is known, what fails."""

import math

import numpy as np
import pytest

from lsm_core import tuning
from lsm_core.errors import RecipeError, RunError, SampleError, Stopped
from lsm_core.search_space import make_space
from lsm_core.tuning import Trial, best_of, search

PLANE = make_space({"x": {"linear": [-5, 10]}, "y": {"linear": [0, 15]}})
MIXED = make_space(
    {
        "rate": {"log": [1e-4, 1e-1]},
        "kind": {"choice": ["a", "b", "c"]},
        "trees": {"integer": [1, 50]},
    }
)


def branin(at):
    """Its highest value is -0.397887, at three places (Dixon and Szego 1978, sign turned)."""
    x, y = at["x"], at["y"]
    bowl = (y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6) ** 2
    return -float(bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def mixed(at):
    """0 at a rate of 10^-2.5, kind a, 30 trees."""
    off = {"a": 0.0, "b": 0.5, "c": 1.0}[at["kind"]]
    return -((math.log10(at["rate"]) + 2.5) ** 2) - off - ((at["trees"] - 30) / 20) ** 2


def run(space, objective, n, seed, **options):
    return search(space, objective, n, np.random.default_rng(seed), **options)


@pytest.mark.torture
@pytest.mark.parametrize(
    ("space", "objective", "right"), [(PLANE, branin, -0.397887), (MIXED, mixed, 0)]
)
def test_the_gaussian_process_beats_random_search_at_the_same_budget(space, objective, right):
    missed = {
        how: [
            right - best_of(run(space, objective, 16, seed, strategy=how)).score
            for seed in (1, 2, 3)
        ]
        for how in ("bayes", "random")
    }
    assert min(missed["bayes"]) >= -1e-6
    assert np.mean(missed["bayes"]) < 0.5 * np.mean(missed["random"])
    assert sum(b < r for b, r in zip(*missed.values(), strict=True)) >= 2


@pytest.mark.parametrize("strategy", ["bayes", "random"])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(strategy):
    whole = run(MIXED, mixed, 8, 5, strategy=strategy)
    calls = []

    def counted(at):
        calls.append(at)
        return mixed(at)

    went_on = run(MIXED, counted, 8, 5, strategy=strategy, known=whole[:6])
    assert [trial[:3] for trial in went_on] == [trial[:3] for trial in whole]
    assert len(calls) == 2
    longer = run(MIXED, mixed, 6, 5, strategy=strategy)
    assert [trial[:3] for trial in longer] == [trial[:3] for trial in whole[:6]]
    other = run(MIXED, mixed, 6, 6, strategy=strategy)
    assert not any(a.values == b.values for a, b in zip(other, longer, strict=True))


def test_what_is_known_beforehand_is_learnt_from():
    near = Trial(0, {"rate": 10**-2.5, "kind": "a", "trees": 30}, 0.0)
    far = Trial(0, {"rate": 1e-1, "kind": "c", "trees": 1}, -5.0)
    after = [run(MIXED, mixed, 7, 3, known=[known]) for known in (near, far)]
    assert [t.values for t in after[0][1:6]] == [t.values for t in after[1][1:6]]  # the spread
    assert after[0][6].values != after[1][6].values
    assert best_of(after[0]).number == 0
    outside = Trial(0, near.values | {"kind": "d"}, 3.0)
    assert len(run(MIXED, mixed, 7, 3, known=[outside])) == 8  # no coordinate, and no error
    assert best_of([outside, *after[1]]) is outside


def test_a_trial_that_fails_counts_as_the_worst_and_says_why():
    def half(at):
        if at["x"] > 0:
            raise SampleError("nothing there")
        return math.nan if at["y"] > 14 else branin(at)

    trials = run(PLANE, half, 14, 2)
    failed = [trial for trial in trials if trial.failed]
    assert failed
    assert all((t.message == "nothing there") == (t.values["x"] > 0) for t in failed)
    assert best_of(trials).values["x"] <= 0
    late = [trial.values["x"] for trial in trials[4:]]
    assert np.mean(np.array(late) > 0) < 0.5  # two thirds of the space, if nothing were learnt
    told = [trial.score for trial in trials if not trial.failed]
    losses = tuning._losses(trials)
    assert max(losses) == losses[trials.index(failed[0])]
    assert losses[trials.index(failed[0])] == losses[[t.score for t in trials].index(min(told))]


def test_a_score_that_is_no_number_says_so_and_all_failed_is_an_error():
    trials = run(PLANE, lambda at: math.inf, 6, 1)
    assert [trial.message for trial in trials] == ["its score is inf"] * 6
    assert all(math.isnan(trial.score) for trial in trials)
    with pytest.raises(RunError, match="all 6 trials failed; the last one: its score is inf"):
        best_of(trials)


def test_a_stop_ends_the_search():
    told = []

    def stopped(at):
        if len(told) == 2:
            raise Stopped("enough")
        return 1.0

    with pytest.raises(Stopped, match="enough"):
        run(PLANE, stopped, 6, 1, on_trial=told.append)
    assert [trial.number for trial in told] == [1, 2]


@pytest.mark.parametrize("strategy", ["bayes", "random"])
def test_no_point_is_tried_twice_and_a_small_space_ends_the_search(strategy):
    space = make_space({"a": {"integer": [1, 3]}, "b": {"choice": ["u", "v"]}})
    trials = run(space, lambda at: float(at["a"]), 20, 1, strategy=strategy)
    points = {tuple(trial.values.values()) for trial in trials}
    assert len(trials) == len(points) == 6
    known = Trial(0, {"a": 2, "b": "v"}, 2.0)
    assert len(run(space, lambda at: float(at["a"]), 20, 1, strategy=strategy, known=[known])) == 6


def test_where_the_best_point_was_tried_its_neighbours_follow():
    """The best lies in a corner, which is proposed again and again, chance is not."""
    noise = iter(np.random.default_rng(0).normal(0, 0.5, 40))
    space = make_space({"x": {"integer": [1, 60]}, "y": {"integer": [1, 60]}})
    trials = run(space, lambda at: (at["x"] + at["y"]) / 10 + next(noise), 14, 1)
    late = [trial.values["x"] + trial.values["y"] for trial in trials[5:]]
    assert {"x": 60, "y": 60} in [trial.values for trial in trials[:8]]
    assert sum(value > 100 for value in late) >= 7


def test_choices_of_any_kind_are_proposed_as_they_are():
    space = make_space({"a": {"choice": [None, True, 2, 0.5, "five"]}, "b": {"linear": [0, 1]}})
    seen = [trial.values["a"] for trial in run(space, lambda at: at["b"], 12, 1)]
    assert {type(value) for value in seen} <= {type(None), bool, int, float, str}
    assert all(value in (None, True, 2, 0.5, "five") for value in seen)


def test_small_differences_are_not_taken_for_none():
    """Scores a thousandth apart are searched as those a hundred apart are."""
    fine = run(PLANE, lambda at: branin(at) / 1e5, 9, 4)
    coarse = run(PLANE, branin, 9, 4)
    for a, b in zip(fine, coarse, strict=True):
        assert a.values == pytest.approx(b.values, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "n", "words"),
    [({"strategy": "grid"}, 3, "bayes or random, got 'grid'"), ({}, 0, "1 trial or more, got 0")],
)
def test_a_wrong_order_is_refused(options, n, words):
    with pytest.raises(RecipeError, match=words):
        run(PLANE, branin, n, 1, **options)
