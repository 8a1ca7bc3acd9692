"""Bivariate models add up what the tables say of each factor."""

import numpy as np
import pytest
from test_models import CLASSES

from lsm_core import models
from lsm_core.models.baselines import fit_estimator


def three_factors(n=500):
    r = np.random.default_rng(4)
    classes = r.integers(-1, 4, (n, 3))
    label = (r.random(n) < 0.1 + 0.1 * np.maximum(classes, 0).sum(axis=1) / 2).astype(int)
    classes[label == 1, 0] = np.maximum(classes[label == 1, 0], 1)  # class 0 has no landslide
    return classes.astype(np.int16), label


@pytest.mark.parametrize("name", CLASSES)
def test_a_bivariate_model_adds_up_what_the_tables_say(name):
    """Place by place, from the tables: missing and unknown classes say nothing."""
    from lsm_core import bivariate

    x, label = three_factors()
    model = fit_estimator(models.build(name, (3,)), x, label)
    column = "w_plus" if name == "weights_of_evidence" else name
    tables = [getattr(bivariate, name)(x[:, j], label)[column] for j in range(3)]
    asked = np.vstack([x[:200], [[9, -1, 2], [-1, -1, -1]]])
    neutral = float(name == "frequency_ratio")
    said = [
        [tables[j].get(c, neutral) if c >= 0 else neutral for j, c in enumerate(p)] for p in asked
    ]
    score = model.predict_proba(asked)[:, 1]
    if name == "certainty_factor":
        combined = np.array([in_parallel(place) for place in said])
        np.testing.assert_allclose(model.evidence(asked), combined, atol=1e-12)
        np.testing.assert_allclose(score, (1 + combined) / 2, atol=1e-12)
        return
    added = np.sum(said, axis=1)
    np.testing.assert_allclose(model.evidence(asked), added, atol=1e-12)
    odds = {
        "frequency_ratio": added / 3,
        "information_value": np.exp(added),
        "weights_of_evidence": np.exp(added) * label.sum() / (label == 0).sum(),
    }[name]
    np.testing.assert_allclose(score, odds / (1 + odds), atol=1e-12)
    assert ((score > 0) & (score < 1)).all()


def in_parallel(factors):
    """Certainty factors combined two by two."""
    done = 0.0
    for x in factors:
        if done >= 0 and x >= 0:
            done = done + x - done * x
        elif done < 0 and x < 0:
            done = done + x + done * x
        else:
            done = (done + x) / (1 - min(abs(done), abs(x)))
    return done


def test_certainty_factors_in_parallel_are_weights_of_evidence():
    """1 / (1 - CF) above 0 and 1 + CF below are the likelihood ratio (Heckerman 1986)."""
    x, label = three_factors()
    x = np.maximum(x, 0)
    cf, woe = (
        fit_estimator(models.build(name, (3,)), x, label)
        for name in ("certainty_factor", "weights_of_evidence")
    )
    added = -np.sign(cf.evidence(x)) * np.log1p(-np.abs(cf.evidence(x)))
    np.testing.assert_allclose(added, woe.evidence(x), atol=1e-9)


def test_one_factor_of_evidence_gives_the_share_of_landslides_in_the_class():
    """Bayes' rule with one factor only counts."""
    x, label = three_factors()
    one = x[:, 1:2]
    model = fit_estimator(models.build("weights_of_evidence", (1,)), one, label)
    shares = [label[one[:, 0] == c].mean() for c in range(4)]
    known = one[:, 0] >= 0
    prior = label[known].mean() / (1 - label[known].mean()) / (label.mean() / (1 - label.mean()))
    odds = np.array(shares) / (1 - np.array(shares)) / prior
    score = model.predict_proba(np.arange(4)[:, None])[:, 1]
    np.testing.assert_allclose(score, odds / (1 + odds), atol=1e-12)
