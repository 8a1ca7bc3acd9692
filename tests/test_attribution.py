"""What factors gave to a place adds up to its score, and goes to those that deserve it."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from lsm_core import models
from lsm_core.attribution import (
    by_factor,
    contributions,
    gradient_of,
    integrated_gradients,
    mean_contributions,
)
from lsm_core.effects import parts_of
from lsm_core.models.baselines import fit_estimator


def fitted(name, **options):
    def make(x, label):
        model = models.build(name, x.shape[1:], seed=1, **options)
        if models.card(name).framework == "sklearn":
            return fit_estimator(model, x, label)
        model.compile("adam", "binary_crossentropy")
        rng = np.random.default_rng(0)
        for _ in range(80):
            some = rng.choice(len(x), 64)
            model.train_on_batch(x[some], label[some, None])
        return model

    return make


def few(subject, n=12):
    places = subject.places("test").head(n)
    return subject.seen(places["row"], places["col"])


def test_shap_of_a_forest_adds_up_to_its_probability(planted):
    subject = planted("table", fitted("random_forest", n_estimators=40))
    x = few(subject)
    found = contributions(subject, x)
    score = subject.model.predict_proba(x)[:, 1]
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), score, atol=1e-9)
    assert found.gap < 1e-6
    assert found.scale == "probability"
    assert found.values.shape == (12, 4)


def test_shap_of_a_tree_of_one_split_is_by_hand(planted):
    """One split on slope: the leaf's probability less the mean, and nothing for anybody else."""
    subject = planted("table", fitted("random_forest", n_estimators=1, max_features=None))
    tree = models.build("random_forest", (6,), seed=1, n_estimators=1)
    tree.set_params(max_depth=1, max_features=None, bootstrap=False)
    train = subject.places("train")
    x = subject.seen(train["row"], train["col"])
    subject.model = fit_estimator(tree, x, train["label"])
    found = contributions(subject, x)
    names = list(parts_of(subject.encoder))
    score = subject.score(x)
    np.testing.assert_allclose(
        found.values[:, names.index("slope")], score - train["label"].mean(), atol=1e-6
    )
    others = np.delete(found.values, names.index("slope"), axis=1)
    np.testing.assert_array_equal(others, 0)


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, HistGradientBoostingClassifier])
def test_boosted_trees_add_up_in_log_odds(planted, kind):
    subject = planted(
        "table",
        lambda x, label: (
            kind(random_state=0, max_iter=20).fit(x, label)
            if kind is HistGradientBoostingClassifier
            else kind(random_state=0, n_estimators=20).fit(x, label)
        ),
    )
    x = few(subject)
    found = contributions(subject, x)
    raw = subject.model.decision_function(x)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), raw, atol=1e-6)
    assert found.scale == "log-odds"
    assert found.gap < 1e-4


def test_terms_of_a_regression_are_exact_and_zero_at_the_training_mean(planted):
    subject = planted("table", fitted("logistic_regression"))
    x = few(subject)
    found = contributions(subject, x)
    raw = subject.model.decision_function(x)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), raw, atol=1e-4)
    assert found.gap < 1e-4
    mean = subject.model[0].mean_[None].astype(np.float32)
    np.testing.assert_allclose(contributions(subject, mean).values, 0, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["frequency_ratio", "information_value", "certainty_factor", "weights_of_evidence"]
)
def test_bivariate_models_say_themselves_what_each_class_adds(planted, name):
    subject = planted("classes", fitted(name))
    found = contributions(subject, few(subject))
    assert found.gap < 1e-5
    assert np.ptp(found.values, axis=0).max() > 0.1
    strongest = mean_contributions(subject)[0]["factor"]
    assert set(strongest[:2]) == {"slope", "rock"}


@pytest.mark.parametrize(
    ("form", "size"), [("onehot", 9), pytest.param("window", 9, marks=pytest.mark.torture)]
)
def test_integrated_gradients_of_a_network_are_complete(planted, form, size):
    make = fitted("cnn", scse=True, dropout=0.5)
    subject = planted(form, make, size)
    x = few(subject, 6)
    found = contributions(subject, x)
    score = subject.score(x)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), score, atol=2e-3)
    assert found.gap <= 1e-3
    assert np.ptp(score) > 0.1
    # what differs in nothing from the mean of the training places has nothing to explain
    mean = subject.training.mean(axis=0)[None]
    assert found.base == pytest.approx(float(subject.score(mean)[0]), abs=1e-6)
    np.testing.assert_allclose(contributions(subject, mean).values, 0, atol=1e-6)
    if form == "window":  # it has no more than 80 steps to learn, and 81 cells to read
        return
    means, _ = mean_contributions(subject, places=20)
    assert set(means["factor"][:2]) == {"slope", "rock"}


def test_integrated_gradients_take_as_many_steps_as_they_need():
    asked = []

    def gradient(x):
        asked.append(len(x))
        return 20 * x**19

    x, zero = np.array([[1.0]], np.float32), np.zeros(1, np.float32)

    def score(x):
        return x[:, 0].astype(np.float64) ** 20

    values, gap = integrated_gradients(score, gradient, x, zero, steps=2, tolerance=1e-3)
    assert values[0, 0] == pytest.approx(1, abs=1e-3)
    assert gap <= 1e-3
    assert sum(asked) > 20
    _, rough = integrated_gradients(score, gradient, x, zero, steps=2, most=2)
    assert rough > 0.1


@pytest.mark.torture
def test_the_gradient_is_that_of_one_place_alone(planted):
    """Batch normalisation and dropout as in prediction: others in the batch change nothing."""
    subject = planted("window", fitted("cnn", dropout=0.5), 9)
    x = few(subject, 4)
    slope = gradient_of(subject.model)
    np.testing.assert_allclose(slope(x)[:1], slope(x[:1]), atol=1e-6)
    cell = (1, 4, 4, 1)
    step = np.zeros_like(x)
    step[cell] = 2e-3  # a larger one steps over bends of ReLU and pooling
    change = (subject.score(x + step) - subject.score(x - step))[1] / 4e-3
    assert slope(x)[cell] == pytest.approx(change, abs=2e-3)


class Strange:
    """A model of no known kind, that multiplies."""

    def predict_proba(self, x):
        p = np.clip(0.01 * x[:, 1] * (1 + x[:, 3]), 0, 1)
        return np.stack([1 - p, p], axis=1)


def test_any_other_model_is_asked_one_factor_at_a_time(planted):
    subject = planted("table", Strange())
    x = few(subject)
    found = contributions(subject, x)
    names = list(parts_of(subject.encoder))
    changed = x.copy()
    changed[:, 1] = np.median(subject.training[:, 1])
    np.testing.assert_allclose(
        found.values[:, names.index("slope")], subject.score(x) - subject.score(changed), atol=1e-6
    )
    assert found.gap is None
    assert "need not add up" in found.method
    assert (found.values[:, names.index("noise")] == 0).all()


def test_attributions_are_added_up_by_factor_and_none_is_lost(planted):
    for form, size in (("table", 1), ("window", 5), ("onehot", 9)):
        subject = planted(form, Strange() if form == "table" else Silent(), size)
        x = np.random.default_rng(0).random((3, *subject.encoder.input_shape))
        if form == "onehot":
            x[:, :, len(subject.encoder.factors) :] = 0  # beyond the last factor all is equal
        sums = by_factor(x, subject)
        assert sums.shape == (3, 4)
        np.testing.assert_allclose(sums.sum(axis=1), x.reshape(3, -1).sum(axis=1))


class Silent:
    def predict_on_batch(self, x):
        return np.zeros((len(x), 1))
