"""What a model makes of a factor: what was planted is found, and a line is a line."""

import numpy as np
import pandas as pd
import pytest

from lsm_core import models
from lsm_core.effects import (
    accumulated_local_effects,
    effect_of,
    evenly,
    factor_of,
    partial_dependence,
    parts_of,
    permutation_importance,
    put_factor,
    share_of,
)
from lsm_core.encoding import encode
from lsm_core.errors import RecipeError, SampleError
from lsm_core.models.baselines import fit_estimator
from lsm_core.windows import cut


def forest(x, label):
    model = models.build("random_forest", x.shape[1:], seed=1, n_estimators=60)
    return fit_estimator(model, x, label)


class Shown:
    """A network that reads one factor's share of what it is shown."""

    def __init__(self, form, name):
        self.form, self.name, self.encoder = form, name, None

    def predict_on_batch(self, x):
        share = share_of(x, self.encoder, parts_of(self.encoder)[self.name])
        weight = np.sin(1 + np.arange(share[0].size))
        return 1 / (1 + np.exp(-share.reshape(len(x), -1) @ weight))[:, None]


class Silent:
    def predict_on_batch(self, x):
        return np.zeros((len(x), 1))


def shown(planted, form, name):
    subject = planted(form, Silent())
    subject.model = Shown(form, name)
    subject.model.encoder = subject.encoder
    return subject


# ------------------------------------------------------------------------------------ importance


def test_the_planted_factors_come_first_and_the_idle_ones_lose_nothing(planted):
    table = permutation_importance(planted("table", forest), rng=np.random.default_rng(0))
    assert table["factor"].tolist()[:2] == ["slope", "rock"]
    told = table.set_index("factor")
    assert told.loc["slope", "ap_low"] > 0.1
    assert told.loc["rock", "auc_low"] > 0.05
    for idle in ("noise", "aspect"):
        assert abs(told.loc[idle, "ap_drop"]) < 0.02
    assert (table["ap_low"] <= table["ap_drop"]).all()
    assert (table["ap_drop"] <= table["ap_high"]).all()


@pytest.mark.parametrize("form", ["window", "onehot"])
@pytest.mark.parametrize("name", ["slope", "rock", "aspect", "noise"])
def test_only_the_factor_that_is_read_matters_whatever_the_form(planted, form, name):
    subject = shown(planted, form, name)
    table = permutation_importance(subject, repeats=3, rng=np.random.default_rng(0))
    drops = table.set_index("factor")["ap_drop"]
    assert (drops.drop(name) == 0).all()
    assert drops[name] != 0


def test_importance_asks_the_part_it_is_told_to_ask(planted):
    subject = planted("table", forest)
    samples = subject.run.samples
    parts = [
        permutation_importance(subject, split=part, repeats=2, rng=np.random.default_rng(0))
        for part in ("test", "validation")
    ]
    assert not parts[0].equals(parts[1])
    samples.loc[samples["split"] == "validation", "label"] = 1
    with pytest.raises(SampleError, match="one class"):
        permutation_importance(subject, split="validation", rng=np.random.default_rng(0))


def test_the_same_generator_gives_the_same_importance(planted):
    subject = planted("table", forest)
    one, two = (
        permutation_importance(subject, repeats=2, rng=np.random.default_rng(7)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, two)


# --------------------------------------------------------------------------------------- effects


def put_column(x, value):
    x = x.copy()
    x[:, 0] = value
    return x


def test_ale_of_a_linear_model_is_its_line_and_mean_zero():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    x[:, 1] += 2 * x[:, 0]  # goes together with the first: ALE must not take its part

    def score(x):
        return 3 * x[:, 0] - 5 * x[:, 1] + 7

    table = accumulated_local_effects(score, put_column, x, x[:, 0], bins=9)
    slopes = np.diff(table["ale"]) / np.diff(table["value"])
    np.testing.assert_allclose(slopes, 3, atol=1e-9)
    assert table["places"].sum() == 500
    middle = (table["ale"].to_numpy()[1:] + table["ale"].to_numpy()[:-1]) / 2
    assert np.average(middle, weights=table["places"][1:]) == pytest.approx(0, abs=1e-12)
    assert (table["places"][1:] > 0).all()


def test_ale_takes_the_local_change_where_partial_dependence_takes_all():
    """x0 * x1 with x1 = x0: the effect of x0 is x0^2 / 2 locally, flat on the average of x1."""
    x = np.repeat(np.linspace(-1, 1, 401)[:, None], 2, axis=1)

    def score(x):
        return x[:, 0] * x[:, 1]

    table = accumulated_local_effects(score, put_column, x, x[:, 0], bins=40)
    wanted = table["value"] ** 2 / 2
    found = table["ale"] - table["ale"].min()
    np.testing.assert_allclose(found, wanted - wanted.min(), atol=0.02)
    flat = partial_dependence(score, put_column, x, [-1, 0, 1])
    np.testing.assert_allclose(flat, 0, atol=1e-12)


def test_values_that_tie_are_one_limit():
    x = np.array([[0.0], [0], [0], [0], [1], [2]])
    table = accumulated_local_effects(lambda x: x[:, 0], put_column, x, x[:, 0], bins=6)
    assert table["value"].tolist() == [0, 1, 2]
    assert table["places"].tolist() == [0, 5, 1]
    one = accumulated_local_effects(lambda x: x[:, 0], put_column, x[:3], x[:3, 0])
    assert one["ale"].tolist() == [0.0]


@pytest.mark.parametrize("form", ["table", "window", "onehot"])
@pytest.mark.parametrize("name", ["slope", "rock", "aspect"])
def test_a_factor_put_to_its_own_value_changes_nothing_at_the_centre(planted, form, name):
    subject = shown(planted, form, name)
    ds, places = subject.ds, subject.places("test").head(40)
    value = ds[name].to_numpy()[places["row"], places["col"]]
    put = put_factor(subject.encoder, factor_of(subject, name), dict(ds[name].attrs))
    x = subject.seen(places["row"], places["col"])
    again = put(x, value)
    if form == "window":
        middle = subject.encoder.size // 2
        part = parts_of(subject.encoder)[name]
        np.testing.assert_allclose(
            again[:, middle, middle, part], x[:, middle, middle, part], atol=1e-6
        )
        if name == "slope":  # the relief about the centre stays
            np.testing.assert_allclose(again, x, atol=1e-5)
    else:
        np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("form", ["table", "window", "onehot"])
def test_a_factor_put_to_a_value_is_what_such_a_cell_would_be(planted, form):
    subject = shown(planted, form, "slope")
    ds = subject.ds
    changed = ds.copy(deep=True)
    changed["slope"] = ds["slope"] + (33 - ds["slope"][9, 50])
    places = ([9], [50])
    put = put_factor(subject.encoder, factor_of(subject, "slope"), dict(ds["slope"].attrs))
    found = put(subject.seen(*places), np.array([33.0]))
    subject.ds = changed
    np.testing.assert_allclose(found, subject.seen(*places), atol=2e-5)
    if form == "window":
        stack = encode(changed, subject.encoder).to_numpy()
        np.testing.assert_allclose(found, cut(stack, *places, subject.encoder.size), atol=2e-5)


def test_effects_have_the_shape_that_was_planted(planted):
    subject = planted("table", forest)
    slope = effect_of(subject, "slope", bins=6)
    assert slope["ale"].iloc[-1] - slope["ale"].iloc[0] > 0.4
    assert (np.diff(slope["partial_dependence"]) > -0.05).all()
    assert slope["label"].iloc[0].endswith("degrees")
    rock = effect_of(subject, "rock").set_index("label")
    assert rock["partial_dependence"].idxmax() == "shale"
    assert rock["ale"].isna().all()
    assert rock["places"].sum() == len(evenly(subject.places("test"), 500))
    aspect = effect_of(subject, "aspect")
    assert aspect["label"].tolist()[:3] == ["flat", "N", "NE"]
    assert np.ptp(aspect["partial_dependence"]) < 0.1


def test_an_unknown_factor_is_named(planted):
    with pytest.raises(RecipeError, match="no factor 'slop': it has noise, slope"):
        effect_of(planted("table", forest), "slop")
