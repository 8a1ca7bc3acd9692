"""Single-factor logistic regression: statsmodels, limits at separation, sets of columns."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from lsm_core.errors import SampleError
from lsm_core.logistic import univariate_logistic


@pytest.fixture
def places():
    rng = np.random.default_rng(11)
    slope = rng.normal(28, 9, 600)
    label = (rng.random(600) < 1 / (1 + np.exp(-(slope - 30) / 8))).astype(int)
    table = pd.DataFrame(
        {
            "slope": slope,
            "elevation": rng.normal(2500, 400, 600).astype("float32"),
            "aspect": rng.uniform(0, 360, 600),
            "rock": rng.choice(["marl", "shale", "lime"], 600),
        }
    )
    table.iloc[::50, 0] = np.nan
    return table, label


def test_coefficients_errors_and_p_are_those_of_statsmodels(places):
    table, label = places
    made = univariate_logistic(table, label, cyclic=["aspect"])
    for name in ("slope", "elevation"):
        here = table[name].notna()
        x = table.loc[here, name].astype(float)
        fit = sm.Logit(label[here], sm.add_constant(x)).fit(disp=0)
        got = made.loc[name]
        assert got["coefficient"] == pytest.approx(fit.params[name], rel=1e-5)
        assert got["std_error"] == pytest.approx(fit.bse[name], rel=1e-5)
        assert got["z"] == pytest.approx(fit.tvalues[name], rel=1e-5)
        assert got["p_value"] == pytest.approx(fit.pvalues[name], rel=1e-4)
        assert got["odds_ratio"] == pytest.approx(np.exp(fit.params[name] * x.std(ddof=0)))
        assert got["rows"] == here.sum()
    assert made.loc["slope", "p_value"] < 1e-10


def test_several_columns_have_the_likelihood_ratio_of_statsmodels(places):
    table, label = places
    made = univariate_logistic(table, label, cyclic=["aspect"])
    angle = np.radians(table["aspect"])
    designs = {
        "aspect": np.column_stack([np.cos(angle), np.sin(angle)]),
        "rock": pd.get_dummies(table["rock"], drop_first=True).to_numpy(float),
    }
    for name, x in designs.items():
        fit = sm.Logit(label, sm.add_constant(x)).fit(disp=0)
        assert made.loc[name, "p_value"] == pytest.approx(fit.llr_pvalue, rel=1e-6)
        assert made.loc[name, "columns"] == 2
        assert np.isnan(made.loc[name, "coefficient"])


@pytest.mark.parametrize("turn", [1, -1])
def test_separation_is_finite_stated_and_significant(turn):
    """A quarter of 40 places, parted by a limit without error: the likelihood ratio is known."""
    x = turn * np.arange(40.0)
    y = (np.arange(40) >= 30).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = univariate_logistic(pd.DataFrame({"x": x}), y).loc["x"]
    assert made["note"] == "separated"
    assert np.isfinite(made[["coefficient", "std_error", "z", "odds_ratio"]].astype(float)).all()
    assert np.sign(made["coefficient"]) == turn
    from scipy.stats import chi2

    deviance = -2 * (10 * np.log(0.25) + 30 * np.log(0.75))
    assert made["p_value"] == pytest.approx(chi2.sf(deviance, 1))


def test_firth_gives_the_published_answer_of_a_two_by_two_table():
    """In a 2 x 2 table Firth's log odds ratio is the one with 1/2 added to every count."""
    x = np.array([0] * 10 + [1] * 12)
    y = np.array([0] * 10 + [1] * 12)
    made = univariate_logistic(pd.DataFrame({"x": x}), y).loc["x"]
    assert made["coefficient"] == pytest.approx(np.log(10.5 / 0.5 * 12.5 / 0.5), rel=1e-5)


def test_separation_but_for_ties_at_the_limit():
    """3 of 0 and 2 of 1 share the limit; the likelihood can only come up to theirs."""
    x = np.array([0.0] * 8 + [1.0] * 5 + [2.0] * 7)
    y = np.array([0] * 8 + [0, 0, 0, 1, 1] + [1] * 7)
    made = univariate_logistic(pd.DataFrame({"x": x}), y).loc["x"]
    from scipy.stats import chi2

    full = 2 * np.log(0.4) + 3 * np.log(0.6)
    null = 9 * np.log(9 / 20) + 11 * np.log(11 / 20)
    assert made["note"] == "separated"
    assert made["p_value"] == pytest.approx(chi2.sf(2 * (full - null), 1))


def test_constant_missing_and_one_sided_factors_have_stated_answers():
    y = [0, 0, 0, 1, 1, 1]
    table = pd.DataFrame(
        {
            "flat": [4.0] * 6,
            "gone": [np.nan] * 6,
            "half": [1.0, 2, 3, np.nan, np.nan, np.nan],
            "sea": ["no"] * 6,
        }
    )
    made = univariate_logistic(table, y)
    assert made["note"].tolist() == [
        "constant",
        *["fewer than two rows of a label"] * 2,
        "constant",
    ]
    assert made["p_value"].isna().all()
    assert made["rows"].tolist() == [6, 0, 3, 6]


def test_a_category_that_is_all_landslide_is_finite():
    y = [0, 0, 0, 1, 1, 1, 1, 0]
    made = univariate_logistic(pd.DataFrame({"rock": list("aaabbbba")}), y).loc["rock"]
    assert 0 < made["p_value"] < 0.01


def test_labels_must_be_both():
    with pytest.raises(SampleError, match=r"labels must be 0 and 1, both present; got \[1\]"):
        univariate_logistic(pd.DataFrame({"x": [1.0, 2]}), [1, 1])
    with pytest.raises(SampleError, match="one a row"):
        univariate_logistic(pd.DataFrame({"x": [1.0, 2]}), [1])
