"""Forest importance and mutual information: planted factors, copies, noise, known bits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance

from lsm_core.errors import SampleError
from lsm_core.importance import forest_importance, mutual_information


@pytest.fixture
def places():
    """Slope decides (one label in ten is turned), north-facing adds, the rest is noise."""
    rng = np.random.default_rng(21)
    n = 800
    slope = rng.normal(28, 9, n)
    aspect = rng.uniform(0, 360, n)
    score = (slope - 28) / 9 + 0.8 * np.cos(np.radians(aspect))
    label = ((score > 0) ^ (rng.random(n) < 0.1)).astype(int)
    table = pd.DataFrame(
        {
            "noise": rng.normal(size=n),
            "aspect": aspect,
            "rock": rng.choice(["marl", "shale", "lime"], n),
            "slope": slope,
            "flat": 1.0,
        }
    )
    return table, label


def test_planted_factors_come_first_and_noise_is_nothing(places):
    table, label = places
    made = forest_importance(table, label, np.random.default_rng(1), trees=150, cyclic=["aspect"])
    assert made.table.index[:2].tolist() == ["slope", "aspect"]
    assert made.table.loc["slope", "permutation"] > 0.15
    assert made.table.loc["aspect", "permutation"] > 0.03
    for name in ("noise", "rock", "flat"):
        assert abs(made.table.loc[name, "permutation"]) < 0.01
    assert made.table.loc["flat", ["permutation", "impurity"]].tolist() == [0, 0]
    assert made.table["impurity"].sum() == pytest.approx(1)
    assert made.table.loc["noise", "impurity"] > 0.1  # the known flattery


def test_out_of_bag_score_is_scikit_learns():
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc"))
    label = (table["a"] + rng.normal(size=300) > 0).astype(int)
    made = forest_importance(table, label, np.random.default_rng(5), trees=100)
    seed = int(np.random.default_rng(5).integers(2**31))
    forest = RandomForestClassifier(100, oob_score=True, random_state=seed).fit(
        table.to_numpy(np.float32), label
    )
    assert made.oob_accuracy == pytest.approx(forest.oob_score_, abs=0.01)  # a tie is no landslide
    np.testing.assert_allclose(
        made.table["impurity"].reindex(list("abc")), forest.feature_importances_
    )


def test_permutation_agrees_with_scikit_learn_on_new_places():
    """Out of bag stands for held out: the same loss as on places the forest never saw."""
    rng = np.random.default_rng(3)
    x = pd.DataFrame(rng.normal(size=(3000, 2)), columns=["a", "b"])
    y = (x["a"] + 0.5 * x["b"] > 0).astype(int)
    made = forest_importance(x[:1500], y[:1500], rng, trees=100).table
    forest = RandomForestClassifier(1, random_state=1)  # a single tree, as each is judged by itself
    losses = [
        permutation_importance(
            forest.set_params(random_state=i).fit(x[:1500], y[:1500]),
            x[1500:],
            y[1500:],
            random_state=i,
        ).importances_mean
        for i in range(8)
    ]
    np.testing.assert_allclose(made.loc[["a", "b"], "permutation"], np.mean(losses, 0), atol=0.03)


def test_a_copy_shares_the_importance(places):
    table, label = places
    alone = forest_importance(table, label, np.random.default_rng(4), trees=100).table
    both = forest_importance(
        table.assign(copy=table["slope"]), label, np.random.default_rng(4), trees=100
    ).table
    assert both.loc[["slope", "copy"], "permutation"].max() < alone.loc["slope", "permutation"]
    assert (
        both.loc[["slope", "copy"], "impurity"].sum()
        > both["impurity"].drop(["slope", "copy"]).max()
    )


def test_shuffled_labels_score_at_chance(places):
    table, label = places
    shuffled = np.random.default_rng(9).permutation(label)
    made = forest_importance(table, shuffled, np.random.default_rng(1), trees=200)
    assert made.oob_auc == pytest.approx(0.5, abs=0.07)
    assert made.table["permutation"].abs().max() < 0.02


def test_same_seed_same_answer_other_seed_another(places):
    table, label = places
    a, b, c = (
        forest_importance(table, label, np.random.default_rng(seed), trees=20) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(a.table, b.table)
    assert not a.table.equals(c.table.reindex(a.table.index))


def test_rows_with_gaps_are_counted_and_too_few_refused(places):
    table, label = places
    table = table.astype({"slope": float})
    table.loc[:99, "slope"] = np.nan
    made = forest_importance(table, label, np.random.default_rng(1), trees=10)
    assert (made.rows, made.left_out) == (700, 100)
    table.loc[15:, "noise"] = np.nan
    table.loc[:15, "slope"] = 1
    with pytest.raises(SampleError, match="at least ten of each"):
        forest_importance(table[:30], label[:30], np.random.default_rng(1), trees=10)


def test_information_of_a_category_by_hand():
    """Rock a: 30 of 40 slid, rock b: 10 of 40."""
    rock = ["a"] * 40 + ["b"] * 40
    label = [1] * 30 + [0] * 10 + [1] * 10 + [0] * 30
    expected = np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    made = mutual_information(pd.DataFrame({"rock": rock}), label, np.random.default_rng(0))
    assert made.loc["rock", "nats"] == pytest.approx(expected)
    assert made.loc["rock", "share"] == pytest.approx(expected / np.log(2))


def test_information_sees_what_a_straight_line_cannot(places):
    """Landslides on middle slopes only: one bit, and no correlation."""
    rng = np.random.default_rng(6)
    slope = rng.uniform(0, 40, 4000)
    label = (abs(slope - 20) < 10).astype(int)
    table = pd.DataFrame({"noise": rng.normal(size=4000), "slope": slope})
    made = mutual_information(table, label, rng)
    assert made.index[0] == "slope"
    assert made.loc["slope", "nats"] == pytest.approx(np.log(2), abs=0.03)
    assert made.loc["noise", "nats"] < 0.03


def test_information_of_angles_turns_by_whole_sectors_and_knows_missing():
    rng = np.random.default_rng(7)
    aspect = rng.uniform(0, 360, 3000)
    label = (np.cos(np.radians(aspect)) > rng.normal(0, 0.5, 3000)).astype(int)
    gaps = np.where(np.arange(3000) % 3 == 0, np.nan, aspect)
    made = [
        mutual_information(pd.DataFrame({"aspect": a}), label, rng, cyclic=["aspect"]).loc["aspect"]
        for a in (aspect, (aspect + 90) % 360, gaps)
    ]
    assert made[0]["nats"] == pytest.approx(made[1]["nats"])
    assert made[0]["nats"] > 0.2
    assert made[2]["rows"] == 2000
