"""Curves and numbers equal scikit-learn's, and the identities between them hold."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve as sk_calibration

from lsm_core.errors import SampleError
from lsm_core.metrics import (
    average_precision,
    boyce_index,
    calibration_curve,
    expected_calibration_error,
    pr_curve,
    prediction_rate_curve,
    roc_auc,
    roc_curve,
    scores,
    success_rate_curve,
)


def cases():
    """Random scores, and those that break a careless count: ties, constants, extremes."""
    rng = np.random.default_rng(4)
    for n in (2, 3, 10, 200, 3000):
        label = rng.permutation(np.arange(n) < max(1, n // 5)).astype(int)
        for score in (
            rng.random(n),
            rng.random(n, dtype="float32"),
            rng.integers(0, 3, n) / 3,
            np.full(n, 0.5),
            rng.choice([0.0, -0.0, 1.0, 5e-324, 1 - 1e-16], n),
            label.astype(float),
            1.0 - label,
            0.5 + 1e-16 * rng.integers(0, 5, n),
        ):
            yield label, score
        yield label, rng.choice([-1e300, 1e300, 0.0, 1e-308], n)


CASES = list(cases())
PROBABILITIES = [(y, s) for y, s in CASES if s.min() >= 0]


@pytest.mark.parametrize(("label", "score"), CASES)
def test_curves_and_areas_equal_scikit_learn(label, score):
    precision, recall, threshold = sk.precision_recall_curve(label, score)
    curve = pr_curve(label, score)
    np.testing.assert_allclose(curve.precision[::-1], np.append(precision[:-1], 1), atol=1e-12)
    np.testing.assert_allclose(curve.recall[::-1], recall, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold[:0:-1], threshold)
    fpr, tpr, threshold = sk.roc_curve(label, score, drop_intermediate=False)
    roc = roc_curve(label, score)
    np.testing.assert_allclose(roc.false_positive_rate, fpr, atol=1e-12)
    np.testing.assert_allclose(roc.true_positive_rate, tpr, atol=1e-12)
    np.testing.assert_array_equal(roc.threshold, threshold)
    assert abs(average_precision(label, score) - sk.average_precision_score(label, score)) < 1e-12
    assert abs(roc_auc(label, score) - sk.roc_auc_score(label, score)) < 1e-12


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(("label", "score"), PROBABILITIES)
def test_scores_equal_scikit_learn(label, score):
    said = (score >= 0.5).astype(int)
    ours = scores(label, score)
    theirs = {
        "accuracy": sk.accuracy_score(label, said),
        "precision": sk.precision_score(label, said, zero_division=np.nan),
        "recall": sk.recall_score(label, said),
        "specificity": sk.recall_score(label, said, pos_label=0),
        "f1": sk.f1_score(label, said),
        "kappa": sk.cohen_kappa_score(label, said),
        "miou": sk.jaccard_score(label, said, average="macro"),
        "mse": sk.mean_squared_error(label, score.astype(float)),
        "log_loss": sk.log_loss(label, score.astype(float)),
        "brier": sk.brier_score_loss(label, score.astype(float)),
        "prevalence": label.mean(),
    }
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-12, atol=1e-12)
    macro = scores(label, score, average="macro")
    np.testing.assert_allclose(
        [macro["precision"], macro["recall"], macro["f1"]],
        [
            sk.precision_score(label, said, average=None, zero_division=np.nan).mean(),
            sk.recall_score(label, said, average="macro"),
            sk.f1_score(label, said, average="macro"),
        ],
        rtol=1e-12,
    )


def test_the_threshold_is_reached_by_equality():
    table = scores([1, 0], [0.5, np.nextafter(0.5, 0)], threshold=0.5)
    assert table["recall"] == table["specificity"] == 1


def test_what_has_no_value_is_nan():
    none = scores([0, 0], [0.1, 0.2])
    assert np.isnan([none[k] for k in ("precision", "recall", "f1", "kappa", "miou")]).all()
    assert none["accuracy"] == none["specificity"] == 1
    assert np.isnan(scores([1, 0], [-1.0, 2.0])["log_loss"])
    assert np.isnan(scores([1, 0], [-1.0, 2.0])["brier"])
    assert scores([1, 0], [-1.0, 2.0])["mse"] == 4
    assert scores([1, 0], [1e308, -1e308])["mse"] == np.inf


# Frequency-ratio scores of four classes of C cells with L landslide cells each.
C, L = [5000, 3000, 1500, 500], [10, 30, 40, 20]
CLASS_SCORE = np.repeat([0.2, 1.0, 2.666667, 4.0], C)
CLASS_LABEL = np.concatenate([np.arange(c) < k for c, k in zip(C, L, strict=True)]).astype(int)


def test_pinned_rate_curve_and_auc():
    assert success_rate_curve(CLASS_SCORE, CLASS_LABEL).under == pytest.approx(0.765, abs=1e-12)
    assert roc_auc(CLASS_LABEL, CLASS_SCORE) == pytest.approx(0.767677, abs=5e-7)


def test_counts_per_cell_weigh_as_whole_cells_do():
    """Four cells that stand for the classes give the curve of their landslides' counts."""
    curve = success_rate_curve([0.2, 1.0, 2.67, 4.0], L)
    np.testing.assert_allclose(curve.landslides, [0, 0.2, 0.6, 0.9, 1])
    np.testing.assert_allclose(curve.area, [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(("label", "score"), CASES)
def test_success_rate_is_prevalence_and_auc(label, score):
    p = label.mean()
    identity = p / 2 + (1 - p) * roc_auc(label, score)
    assert success_rate_curve(score, label).under == pytest.approx(identity, abs=1e-12)


def test_cells_without_a_score_are_no_area_and_their_landslides_are_counted():
    score = np.array([[0.9, np.nan], [0.1, np.nan]])
    landslide = np.array([[3, 1], [0, 0]], dtype="uint8")
    curve = success_rate_curve(score, landslide)
    assert curve.left_out == 1
    assert curve.under == success_rate_curve([0.9, 0.1], [1, 0]).under


def test_prediction_rate_leaves_seen_landslides_out_of_the_area():
    score, held, seen = [0.9, 0.8, 0.7, 0.1], [0, 1, 0, 0], [1, 0, 0, 0]
    without = success_rate_curve(score[1:], held[1:])
    for got, wanted in zip(prediction_rate_curve(score, held, seen=seen), without, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert prediction_rate_curve(score, held).under == success_rate_curve(score, held).under


def test_calibration_equals_scikit_learn_off_the_edges():
    rng = np.random.default_rng(2)
    score = rng.random(500)
    label = (rng.random(500) < score).astype(int)
    observed, predicted = sk_calibration(label, score, n_bins=7)
    curve = calibration_curve(label, score, bins=7)
    np.testing.assert_allclose(curve.observed, observed)
    np.testing.assert_allclose(curve.predicted, predicted)
    assert curve.places.sum() == 500


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calibration_bins_close_on_the_left(dtype):
    score = (np.arange(11) / 10).astype(dtype)
    curve = calibration_curve(np.ones(11), score, bins=10)
    assert curve.places.tolist() == [1] * 9 + [2]


@pytest.mark.parametrize(
    ("label", "score", "words"),
    [
        ([1, 1], [0.1, 0.2], "all 2 places have label 1"),
        ([0, 0], [0.1, 0.2], "all 2 places have label 0"),
        ([0, -1], [0.1, 0.2], "labels must be 0 or 1; got -1"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [0.1], "shape"),
        ([], [], "empty"),
    ],
)
@pytest.mark.parametrize("measure", [pr_curve, roc_curve, average_precision, roc_auc])
def test_what_cannot_be_measured_is_refused(measure, label, score, words):
    with pytest.raises(SampleError, match=words):
        measure(label, score)


def test_refusals_of_tables_and_rates():
    with pytest.raises(SampleError, match="neither 'binary'"):
        scores([0, 1], [0, 1], average="micro")
    with pytest.raises(SampleError, match="threshold"):
        scores([0, 1], [0, 1], threshold=np.nan)
    with pytest.raises(SampleError, match="no landslide lies in the 1 cells"):
        success_rate_curve([0.5, np.nan], [0, 1])
    with pytest.raises(SampleError, match="negative"):
        success_rate_curve([0.5, 0.1], [-1, 1])
    with pytest.raises(SampleError, match="no probabilities"):
        calibration_curve([0, 1], [0, 1.5])


@pytest.mark.parametrize(("label", "score"), [c for c in CASES if len(c[0]) > 3])
def test_weighted_curves_and_scores_equal_scikit_learn(label, score):
    """Weights of many sizes, some of them nought; a place of weight nought is not there."""
    weight = np.random.default_rng(len(label)).choice([0.0, 0.5, 1.0, 7.25], len(label))
    weight[[np.argmax(label), np.argmin(label)]] = 2
    mine, theirs = (label, score, weight), (label, score)
    sk_ap = sk.average_precision_score(*theirs, sample_weight=weight)
    assert abs(average_precision(*mine) - sk_ap) < 1e-9
    assert abs(roc_auc(*mine) - sk.roc_auc_score(*theirs, sample_weight=weight)) < 1e-9
    kept = weight > 0
    _, recall, threshold = sk.precision_recall_curve(
        label[kept], score[kept], sample_weight=weight[kept]
    )
    curve = pr_curve(*mine)
    np.testing.assert_allclose(curve.recall[::-1], recall, atol=1e-9)
    np.testing.assert_array_equal(curve.threshold[:0:-1], threshold)
    said = score >= 0.5
    table = scores(label, score, weight=weight)
    assert abs(table["accuracy"] - sk.accuracy_score(label, said, sample_weight=weight)) < 1e-9
    assert abs(table["kappa"] - sk.cohen_kappa_score(label, said, sample_weight=weight)) < 1e-9
    assert abs(table["recall"] - sk.recall_score(label, said, sample_weight=weight)) < 1e-9
    if score.min() >= 0:
        loss = sk.log_loss(label, score.astype("float64"), sample_weight=weight)
        assert table["log_loss"] == pytest.approx(loss)
        brier = sk.brier_score_loss(label, score, sample_weight=weight)
        assert table["brier"] == pytest.approx(brier)


def test_weight_two_is_twice_the_place():
    """A weight that is a whole number is that many equal places; curves and numbers alike."""
    rng = np.random.default_rng(5)
    label, score, times = rng.integers(0, 2, 60), rng.integers(0, 9, 60) / 9, rng.integers(0, 4, 60)
    y, s = np.repeat(label, times), np.repeat(score, times)
    assert roc_auc(label, score, times) == pytest.approx(roc_auc(y, s))
    assert average_precision(label, score, times) == pytest.approx(average_precision(y, s))
    assert scores(label, score, weight=times) == pytest.approx(scores(y, s))
    tpr = roc_curve(label, score, times).true_positive_rate
    np.testing.assert_allclose(tpr, roc_curve(y, s).true_positive_rate)


@pytest.mark.parametrize(
    ("weight", "words"),
    [([1, -1], "must be finite and not"), ([1, np.nan], "must be finite"), ([1], "shape")],
)
def test_weights_that_are_none_are_refused(weight, words):
    """Also a class that has no weight at all is a class that is not there."""
    with pytest.raises(SampleError, match=words):
        roc_auc([0, 1], [0.1, 0.2], weight)
    with pytest.raises(SampleError, match="all 1 places have label 1"):
        roc_auc([0, 1], [0.1, 0.2], [0, 1])


def slow_boyce(score, landslide, width=0.1, windows=101):
    """The index as its paper tells it, window by window."""
    low, high = score.min(), score.max()
    wide = (high - low) * width
    ratios, places = [], []
    for i in range(windows):
        a = low + (high - low - wide) * i / (windows - 1)
        inside = (score >= a - 1e-12) & (score <= a + wide + 1e-12)
        if inside.any():
            found = landslide[inside].sum() / landslide.sum()
            ratios.append(round(found / inside.mean(), 10))
            places.append(a)
    kept = [i for i in range(len(ratios)) if i + 1 == len(ratios) or ratios[i] != ratios[i + 1]]
    return spearmanr([ratios[i] for i in kept], [places[i] for i in kept]).statistic


@pytest.mark.parametrize("seed", range(5))
def test_boyce_index_equals_the_window_by_window_count(seed):
    """On scores off any grid, with gaps that leave windows without area."""
    rng = np.random.default_rng(seed)
    score = np.concatenate([rng.random(400) * 0.4, 0.7 + 0.3 * rng.random(300)]) * 3.7
    landslide = rng.poisson(score)
    assert boyce_index(score, landslide) == pytest.approx(slow_boyce(score, landslide))


def test_boyce_index_knows_better_worse_and_nothing():
    """More landslides upwards is 1, downwards is -1; one score, or one ratio, has no index."""
    score = np.linspace(0, 1, 5000)
    assert boyce_index(score, (100 * score).astype(int)) > 0.99
    assert boyce_index(score, (100 * (1 - score)).astype(int)) < -0.99
    assert np.isnan(boyce_index(np.full(9, 0.3), np.arange(9)))
    holed = np.where(score > 0.9, np.nan, score)
    assert boyce_index(holed, (100 * score).astype(int)) > 0.99
    with pytest.raises(SampleError, match="no landslide"):
        boyce_index(score, np.zeros(5000))


def test_expected_calibration_error_against_a_hand_count():
    """Two bins: 3 places off by 0.1, 1 place off by 0.5; a true probability has next to none."""
    label, score = [1, 1, 0, 0], [0.7, 0.8, 0.9, 0.5]
    by_hand = (abs(np.mean([0.7, 0.8, 0.9, 0.5]) - 0.5) * 4 + 0) / 4
    assert expected_calibration_error(label, score, bins=2) == pytest.approx(by_hand)
    assert expected_calibration_error([0, 1, 1], [0.2, 0.6, 0.6], bins=2) == pytest.approx(
        (1 * 0.2 + 2 * 0.4) / 3
    )
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    assert expected_calibration_error(rng.random(50_000) < p, p) < 0.01
