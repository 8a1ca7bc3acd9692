"""Calibrators equal scikit-learn's, come back from JSON, and know nothing but what they were given;
prior correction has its known answers."""

import json

import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from lsm_core.calibration import Calibrator, correct_prior, fit_calibrator, half_warning
from lsm_core.errors import RecipeError, SampleError
from lsm_core.metrics import expected_calibration_error, roc_auc


def bent(n=4000, seed=0):
    """Places whose scores are too sure of themselves: the truth lies at the score's root."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    return (rng.random(n) < score**2 * 0.5).astype(int), score


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_isotonic_equals_scikit_learn(dtype):
    label, score = bent()
    score = np.round(score, 2).astype(dtype)  # ties
    theirs = IsotonicRegression(out_of_bounds="clip").fit(score, label)
    asked = np.linspace(-0.5, 1.5, 501, dtype=dtype)
    found = fit_calibrator("isotonic", label, score)(asked)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, theirs.predict(asked), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_platt_equals_scikit_learn(scale):
    label, score = bent()
    theirs = _SigmoidCalibration().fit(score * scale, label)
    found = fit_calibrator("platt", label, score * scale)
    asked = np.linspace(0, scale, 101)
    np.testing.assert_allclose(found(asked), theirs.predict(asked), atol=2e-4)
    assert roc_auc(label, found(score * scale)) == pytest.approx(roc_auc(label, score))


def test_platt_of_places_it_can_part_stays_within_reason():
    """Platt's targets keep a perfect score from an endless slope."""
    found = fit_calibrator("platt", [0, 0, 0, 1, 1, 1], [0, 0.1, 0.2, 0.8, 0.9, 1])
    assert 0.7 < found(1.0) < 0.99
    assert found(0.0) == pytest.approx(1 - found(1.0), abs=1e-4)
    level = fit_calibrator("platt", [0, 1, 1], [0.5, 0.5, 0.5])
    assert level(0.5) == pytest.approx((1 / 3 + 2 * 3 / 4) / 3, abs=1e-4)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibration_mends_new_places(method):
    """Fitted on one half, the error of the other half falls to a fraction."""
    label, score = bent(20_000)
    calibrate = fit_calibrator(method, label[::2], score[::2])
    before = expected_calibration_error(label[1::2], score[1::2])
    after = expected_calibration_error(label[1::2], calibrate(score[1::2]))
    assert before > 0.3
    assert after < 0.05


@pytest.mark.parametrize("method", ["none", "isotonic", "platt"])
def test_a_calibrator_comes_back_from_json(method):
    label, score = bent(200)
    found = fit_calibrator(method, label, score)
    again = Calibrator.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    np.testing.assert_array_equal(again(score), found(score))


@pytest.mark.parametrize("method", ["none", "isotonic", "platt"])
def test_nodata_stays_nodata_and_shape_stays(method):
    label, score = bent(200)
    asked = np.array([[0.2, np.nan], [0.8, 0.9]], dtype="float32")
    found = fit_calibrator(method, label, score)(asked)
    assert found.shape == (2, 2)
    assert found.dtype == np.float32
    assert np.isnan(found).tolist() == [[False, True], [False, False]]


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(RecipeError, match="'beta' is not one of none, isotonic, platt"):
        fit_calibrator("beta", [0, 1], [0, 1])
    with pytest.raises(SampleError, match="all 2 places have label 1"):
        fit_calibrator("platt", [1, 1], [0, 1])


def test_prior_correction_has_its_known_answers():
    """0.5 becomes the prevalence; nothing changes where the shares are one; there and back."""
    p = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    assert correct_prior(0.5, sampled=0.5, prevalence=0.03) == pytest.approx(0.03)
    np.testing.assert_allclose(correct_prior(p, sampled=0.2, prevalence=0.2), p)
    there = correct_prior(p, sampled=0.5, prevalence=0.01)
    np.testing.assert_allclose(correct_prior(there, sampled=0.01, prevalence=0.5), p)
    assert there[[0, -1]].tolist() == [0.0, 1.0]
    odds = there[3] / (1 - there[3])
    assert odds == pytest.approx(9 / 99)
    assert np.isnan(correct_prior(np.nan, sampled=0.5, prevalence=0.1))


def test_prior_correction_of_a_sample_is_the_truth_of_the_whole():
    """By Bayes: probabilities among drawn places, corrected, are those among all places."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 4, 400_000)
    label = rng.random(kind.size) < np.array([0.001, 0.01, 0.03, 0.1])[kind]
    kept = label | (rng.random(kind.size) < 0.03)
    drawn = np.array([label[kept & (kind == k)].mean() for k in range(4)])
    whole = np.array([label[kind == k].mean() for k in range(4)])
    found = correct_prior(drawn, sampled=label[kept].mean(), prevalence=label.mean())
    np.testing.assert_allclose(found, whole, rtol=0.08)


def test_prior_correction_refuses_what_is_no_share():
    with pytest.raises(SampleError, match="prevalence is 0"):
        correct_prior(0.5, sampled=0.5, prevalence=0)
    with pytest.raises(SampleError, match=r"sampled is 1\.5"):
        correct_prior(0.5, sampled=1.5, prevalence=0.1)
    with pytest.raises(SampleError, match="calibrate the scores first"):
        correct_prior([2.0], sampled=0.5, prevalence=0.1)


@pytest.mark.parametrize(
    ("prevalence", "threshold", "warned"),
    [
        (0.5, 0.5, False),
        (0.34, 0.5, False),
        (0.1, 0.5, True),
        (0.3, 0.5, True),
        (0.9, 0.5, True),
        (0.1, 0.2, False),
    ],
)
def test_half_is_warned_of_on_unbalanced_places_only(prevalence, threshold, warned):
    words = half_warning(prevalence, threshold)
    assert (words is not None) == warned
    assert not warned or f"{100 * prevalence:.1f}%" in words
