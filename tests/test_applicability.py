"""Inside is what training knows, outside what it never saw; and the index is the published one."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from lsm_core import applicability, prediction
from lsm_core.applicability import (
    INSIDE,
    OUTSIDE,
    applicability_of,
    dissimilarity,
    dissimilarity_at,
    dissimilarity_strips,
    fit_applicability,
    fit_index,
    inside,
)
from lsm_core.effects import parts_of, permutation_importance
from lsm_core.errors import SampleError
from lsm_core.models.baselines import fit_estimator, random_forest
from lsm_core.recipe import make_recipe

NAMES = ["noise", "slope", "rock", "aspect"]


def forest(x, label):
    return fit_estimator(random_forest(x.shape[1:], seed=1, n_estimators=20), x, label)


def by_hand(x, fold, weight, new):
    """Equations 1 to 4 of the paper, with all distances written out."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    a, b = ((v - mean) / deviation * weight for v in (x, new))
    average = pdist(a).mean()
    between = cdist(a, a)
    between[fold[:, None] == fold[None]] = np.inf
    own = between.min(axis=1) / average
    low, high = np.quantile(own, (0.25, 0.75))
    threshold = own[own <= high + 1.5 * (high - low)].max()
    return cdist(b, a).min(axis=1) / average, own, threshold


def test_the_index_is_the_papers():
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(300, 4)), rng.normal(size=(50, 4)) * 3
    fold, weight = rng.integers(0, 7, 300), np.array([1.0, 0.2, 3.0, 0.5])
    index = fit_index(x, fold, weight)
    wanted, own, threshold = by_hand(x, fold, weight, new)
    np.testing.assert_allclose(dissimilarity(new, index), wanted, rtol=1e-4)
    np.testing.assert_allclose(index.own, own, rtol=1e-4)
    assert index.threshold == pytest.approx(threshold, rel=1e-5)
    assert index.threshold < index.own.max()  # an outlier was left out


def test_units_and_a_common_weight_change_nothing():
    rng = np.random.default_rng(1)
    x, new, fold = rng.normal(size=(200, 3)), rng.normal(size=(20, 3)), np.arange(200) % 5
    one = fit_index(x, fold, [1, 2, 3])
    units = np.array([1000.0, 0.01, 7.0])
    other = fit_index(x * units + 5, fold, [10, 20, 30])
    np.testing.assert_allclose(
        dissimilarity(new * units + 5, other), dissimilarity(new, one), rtol=2e-3, atol=1e-5
    )


def test_training_places_are_inside_and_what_lies_far_off_is_outside():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3))
    index = fit_index(x, np.arange(400) % 8)
    assert dissimilarity(x, index).max() < 1e-3
    assert (inside(dissimilarity(x, index), index.threshold) == INSIDE).all()
    far = rng.normal(size=(100, 3)) + np.array([9, 0, 0])
    assert (inside(dissimilarity(far, index), index.threshold) == OUTSIDE).all()
    same = inside(dissimilarity(rng.normal(size=(2000, 3)), index), index.threshold)
    assert (same == INSIDE).mean() > 0.9


def test_a_factor_without_weight_has_no_say():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2))
    index = fit_index(x, np.arange(200) % 4, [1, 0])
    assert dissimilarity([[x[7, 0], 1e3]], index)[0] < 1e-3


def test_folds_in_patches_give_a_wider_threshold_than_single_places():
    """Blocks differ, so the nearest place of another block is farther than the nearest place."""
    rng = np.random.default_rng(4)
    fold = np.repeat(np.arange(10), 30)
    x = rng.normal(size=(10, 3))[fold] * 2 + rng.normal(size=(300, 3))
    assert fit_index(x, fold).threshold > 1.3 * fit_index(x, np.arange(300)).threshold


def test_a_category_never_met_is_far_and_a_constant_factor_is_no_error():
    rng = np.random.default_rng(5)
    met = np.eye(3)[rng.integers(0, 2, 300)]  # the third category never occurs
    x = np.column_stack([rng.normal(size=300), met, np.full(300, 7.0)])
    index = fit_index(x, np.arange(300) % 6)
    one_of_them = np.array([1.0] + [0.0] * 299)
    assert index.scale[3] == pytest.approx(1 / one_of_them.std())  # as if one place had it
    assert index.scale[4] == 1.0
    known = [0.0, 1, 0, 0, 7]
    assert dissimilarity([known], index)[0] < index.threshold
    assert dissimilarity([[0.0, 0, 0, 1, 7]], index)[0] > 3 * index.threshold


def test_mistakes_are_named():
    with pytest.raises(SampleError, match="one fold"):
        fit_index([[0.0], [1.0]], [1, 1])
    with pytest.raises(SampleError, match="all alike"):
        fit_index([[1.0], [1.0]], [1, 2])
    with pytest.raises(SampleError, match="missing values"):
        fit_index([[np.nan], [1.0]], [1, 2])


# ----------------------------------------------------------------------------------- study areas


def fit(subject, **more):
    train = subject.places("train")
    return fit_applicability(subject.ds, NAMES, fit_on=train, fold=train["block"], **more)


def test_the_map_has_the_index_of_its_places_whatever_the_strips(planted, monkeypatch):
    subject = planted("table", forest)
    fitted, ds = fit(subject), subject.ds
    whole = np.concatenate([block for _, block in dissimilarity_strips(fitted, ds)])
    np.testing.assert_array_equal(np.isfinite(whole), ds["valid"].to_numpy())
    monkeypatch.setattr(prediction, "STRIP", 7)
    again = list(dissimilarity_strips(fitted, ds))
    assert [row for row, _ in again] == list(range(0, 60, 7))
    np.testing.assert_allclose(np.concatenate([b for _, b in again]), whole, atol=1e-6)
    test = subject.places("test")
    at = dissimilarity_at(fitted, ds, test["row"], test["col"])
    np.testing.assert_allclose(at, whole[test["row"], test["col"]], atol=1e-6)
    train = subject.places("train")
    assert whole[train["row"], train["col"]].max() < 1e-3


def test_a_corner_of_other_terrain_is_masked_and_judged_with_source_places(planted):
    subject = planted("table", forest)
    fitted, other = fit(subject), subject.ds.copy(deep=True)
    other["slope"][:20, :20] += 60
    mask = np.concatenate(
        [inside(b, fitted.index.threshold) for _, b in dissimilarity_strips(fitted, other)]
    )
    valid = other["valid"].to_numpy()
    assert (mask[:20, :20][valid[:20, :20]] == OUTSIDE).all()
    assert (mask[20:][valid[20:]] == INSIDE).mean() > 0.9
    assert (mask[~valid] == 0).all()


def test_weights_go_to_all_channels_of_a_factor_and_negative_ones_are_nought(planted):
    subject = planted("table", forest)
    fitted = fit(subject, weights={"slope": 2.0, "rock": 1.0, "noise": -0.3})
    parts = parts_of(fitted.encoder)
    scale = fitted.index.scale
    assert (scale[parts["noise"]] == 0).all()
    assert (scale[parts["aspect"]] == 0).all()
    assert (scale[parts["rock"]] > 0).all()
    assert fitted.weights == {"noise": 0.0, "slope": 2.0, "rock": 1.0, "aspect": 0.0}
    assert set(fit(subject, weights={"slope": -1.0}).weights.values()) == {1.0}


def test_a_run_is_judged_from_its_training_places_and_weighed_on_validation(planted, monkeypatch):
    subject = planted("table", forest)
    asked = []

    def spy(subject, **options):
        asked.append(options["split"])
        return permutation_importance(subject, **options)

    monkeypatch.setattr(applicability, "open_subject", lambda run: subject)
    monkeypatch.setattr(applicability, "permutation_importance", spy)
    honest = applicability_of(subject.run, repeats=1)
    assert asked == ["validation"]
    assert honest.weights["slope"] > honest.weights["noise"] >= 0
    wanted = fit(subject, weights=honest.weights)  # of training places, by block
    np.testing.assert_allclose(honest.index.own, wanted.index.own)
    train = subject.places("train")
    subject.run.recipe = make_recipe(
        {"name": "planted", "model": {"name": "random_forest"}, "protocol": "paper"}
    )
    paper = applicability_of(subject.run, weighted=False)
    alone = fit_applicability(subject.ds, NAMES, fit_on=train, fold=np.arange(len(train)))
    np.testing.assert_allclose(paper.index.own, alone.index.own)
    assert asked == ["validation"]
