"""The numbers of one run: found on validation places, judged on test places, and never mixed."""

import numpy as np
import pandas as pd
import pytest

from lsm_core import metrics
from lsm_core.calibration import correct_prior, fit_calibrator
from lsm_core.evaluation import (
    calibrated,
    density_tables,
    judge_map,
    judge_places,
    landslides_of,
    zone_limits,
)
from lsm_core.recipe import Zoning
from lsm_core.threshold import choose_threshold

SHARES = {"train": 0.6, "validation": 0.5, "test": 0.3}  # of landslides


def places(n=120):
    """Every part has its own share of landslides and its own scores, so that none can be mixed."""
    rng = np.random.default_rng(4)
    parts = []
    for i, (name, share) in enumerate(SHARES.items()):
        label = (np.arange(n) < share * n).astype(int)
        score = 1 / (1 + np.exp(-(2 * label - 2 + i + rng.normal(0, 1, n))))
        parts.append(pd.DataFrame({"label": label, "split": name, "score": score}))
    return pd.concat(parts, ignore_index=True)


def part(table, name):
    own = table[table["split"] == name]
    return own["label"].to_numpy(), own["score"].to_numpy()


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibration_is_fitted_on_validation_places_alone(method):
    table = places()
    bent, found = calibrated(table, method)
    assert found == fit_calibrator(method, *part(table, "validation"))
    np.testing.assert_array_equal(bent["raw"], table["score"])
    np.testing.assert_array_equal(bent["score"], found(table["score"].to_numpy()))
    assert "raw" not in calibrated(table, "none")[0]


def test_thresholds_are_found_on_validation_and_judged_on_test():
    table = places()
    found = judge_places(table)["thresholds"]
    label, score = part(table, "test")
    for rule in ("youden", "f1", "cost", "share"):
        at, own, seen = (
            choose_threshold(*part(table, name), rule).threshold
            for name in ("validation", "test", "train")
        )
        assert len({at, own, seen}) == 3
        assert found[rule]["threshold"] == at
        judged = metrics.scores(label, score, at)
        assert found[rule]["accuracy"] == judged["accuracy"]
        assert found[rule]["recall"] == judged["recall"]


def test_where_nothing_should_be_called_a_landslide_nothing_is():
    table = places()
    check = table["split"] == "validation"
    table.loc[check, "label"] = [1] + [0] * (check.sum() - 1)
    table.loc[check, "score"] = [0.1] + [0.9] * (check.sum() - 1)
    found = judge_places(table)["thresholds"]["cost"]
    assert (found["threshold"], found["recall"], found["precision"]) == (None, 0.0, None)


def test_reliability_is_of_test_places_before_and_after():
    table = places()
    table["raw"] = np.roll(table["score"], 7)
    found = judge_places(table)["reliability"]
    label, score = part(table, "test")
    raw = table["raw"][table["split"] == "test"].to_numpy()
    assert found["test"]["error"] == metrics.expected_calibration_error(label, score)
    assert found["before"]["error"] == metrics.expected_calibration_error(label, raw)
    assert judge_places(table.assign(score=2 * table["score"]))["reliability"]["test"] is None


def test_the_prior_goes_from_the_training_places_to_the_area():
    found = judge_places(places(), prevalence=0.01)
    assert found["prior"]["sampled"] == pytest.approx(SHARES["train"])
    half = correct_prior(0.5, sampled=SHARES["train"], prevalence=0.01)
    assert found["prior"]["half_becomes"] == pytest.approx(float(half))
    assert any("60% of the training places and 1.00% of the area" in w for w in found["warnings"])
    assert judge_places(places())["prior"] is None


def on_a_map():
    """Landslides of every part, two of each in one cell, and places without."""
    rng = np.random.default_rng(2)
    n, side = 90, 20
    table = pd.DataFrame({"row": rng.integers(0, side, n), "col": rng.integers(0, side, n)})
    table.loc[3:5, ["row", "col"]] = table.loc[0:2, ["row", "col"]].to_numpy()
    table["split"] = np.resize(["train", "validation", "test"], n)
    table["label"] = np.repeat([1, 0], [60, 30])
    index = rng.random((side, side)).astype("float32")
    index[table["row"], table["col"]] += np.where(table["split"] == "test", 0.3, 0.6)
    return index, table


def by_hand(table, shape, *parts):
    count = np.zeros(shape, int)
    for row in table.itertuples():
        if row.label == 1 and row.split in parts:
            count[row.row, row.col] += 1
    return count


def test_landslides_of_a_part_are_counted_by_their_places():
    index, table = on_a_map()
    for parts in (("train",), ("train", "validation"), ("test",)):
        found = landslides_of(table, index.shape, *parts)
        np.testing.assert_array_equal(found, by_hand(table, index.shape, *parts))
    assert found.max() > 1


def test_rates_are_of_the_landslides_and_the_ground_they_name():
    index, table = on_a_map()
    train, test = (by_hand(table, index.shape, name) for name in ("train", "test"))
    ground = np.zeros(index.shape, bool)
    ground[:, :12] = True
    known = by_hand(table, index.shape, "train", "validation") > 0
    for given, fair in ((ground, ground), (None, ~known)):
        found = judge_map(index, table, given)
        seen = np.where(fair, index, np.nan)
        inside = np.where(fair, test, 0)
        assert found["rates"]["success"]["under"] == pytest.approx(
            metrics.success_rate_curve(index, train).under
        )
        assert found["rates"]["prediction"]["under"] == pytest.approx(
            metrics.success_rate_curve(seen, inside).under
        )
        assert found["boyce"] == pytest.approx(metrics.boyce_index(seen, test))
    foreign = judge_map(index, table[table["split"] != "train"], ground)
    assert foreign["rates"]["success"] is None
    assert foreign["rates"]["prediction"]["under"] > 0
    assert foreign["warnings"] == []
    nowhere = judge_map(np.where(train > 0, np.nan, index), table)
    assert nowhere["rates"] is None
    assert nowhere["warnings"][0].startswith("no rate curves: ")


def test_density_is_of_the_ground_it_names_and_limits_fall_back_with_a_warning():
    index, table = on_a_map()
    index = index / index.max()
    rng = np.random.default_rng(1)
    slides = by_hand(table, index.shape, "train", "validation", "test")
    limits, warnings = zone_limits(index, Zoning(method="quantile", k=3), slides, rng)
    assert warnings == []
    west = np.zeros(index.shape, bool)
    west[:, :7] = True
    tables = density_tables(index, slides, {"all": west | True, "west": west}, limits, rng)
    assert tables["breaks"].unique().tolist() == [
        *("equal 0.2", "natural", "quantile", "quantile, 3 zones")
    ]
    cells = tables.groupby(["where", "breaks"])["cells"].sum()
    assert set(cells["all"]) == {400}
    assert set(cells["west"]) == {7 * 20}
    held = tables.groupby(["where", "breaks"])["landslides"].sum()
    assert set(held["west"]) == {slides[:, :7].sum()}
    flat, warnings = zone_limits(np.full((4, 4), 0.5), Zoning(), np.ones((4, 4), int), rng)
    assert flat.method == "equal"
    assert warnings[0].startswith("zones by equal intervals instead of natural: ")
