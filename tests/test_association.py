"""Correlation, association and inflation, against pandas, SciPy, statsmodels and hand sums."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from statsmodels.stats.outliers_influence import variance_inflation_factor

from lsm_core.association import cramers_v, pairs_above, pearson, spearman, vif
from lsm_core.errors import SampleError


@pytest.fixture
def table():
    """Four factors, two of them kin, offsets of real heights, and gaps here and there."""
    rng = np.random.default_rng(3)
    slope = rng.normal(25, 8, 400)
    made = pd.DataFrame(
        {
            "slope": slope,
            "relief": 3 * slope + rng.normal(0, 10, 400),
            "elevation": rng.normal(2500, 300, 400),
            "carea": np.exp(rng.normal(8, 2, 400)),
        }
    )
    made.iloc[::17, 1] = np.nan
    made.iloc[5::29, 3] = np.nan
    return made


@pytest.mark.parametrize(("ours", "method"), [(pearson, "pearson"), (spearman, "spearman")])
def test_correlation_is_that_of_pandas_pair_by_pair(table, ours, method):
    np.testing.assert_allclose(ours(table), table.corr(method), atol=1e-12)


def test_constant_factor_has_no_correlation_and_no_warning(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = pearson(table.assign(flat=1234.5))
    assert r["flat"].isna().all()
    assert r.loc["slope", "relief"] > 0.8


def test_cyclic_correlation_forgets_where_degrees_are_counted_from():
    """A factor that is highest in the north: r of raw degrees is blind to it, ours is not."""
    rng = np.random.default_rng(0)
    aspect = rng.uniform(0, 360, 2000)
    rain = np.cos(np.radians(aspect)) + rng.normal(0, 0.2, 2000)
    first = pd.DataFrame({"aspect": aspect, "rain": rain})
    turned = first.assign(aspect=(aspect + 123) % 360)
    expected = np.sqrt(0.5 / (0.5 + 0.04))
    for made in (first, turned):
        assert pearson(made, cyclic=["aspect"]).loc["aspect", "rain"] == pytest.approx(
            expected, abs=0.01
        )
    assert abs(first.corr().loc["aspect", "rain"]) < 0.05


def test_circular_linear_correlation_is_mardias_formula():
    rng = np.random.default_rng(1)
    a, x = rng.uniform(0, 2 * np.pi, 300), rng.normal(size=300)
    rc, rs, cs = (
        np.corrcoef(u, v)[0, 1] for u, v in ((x, np.cos(a)), (x, np.sin(a)), (np.cos(a), np.sin(a)))
    )
    r2 = (rc**2 + rs**2 - 2 * rc * rs * cs) / (1 - cs**2)
    made = pearson(pd.DataFrame({"a": np.degrees(a), "x": x}), cyclic=["a"])
    assert made.loc["a", "x"] == pytest.approx(np.sqrt(r2), rel=1e-12)


def test_categories_take_no_part_in_correlation(table):
    assert list(pearson(table.assign(rock="shale"))) == list(table)


def test_cramers_v_of_a_hand_table():
    """30, 10 / 10, 30: chi-square 20 over n = 80 is 0.25, its root 0.5."""
    rock = ["a"] * 40 + ["b"] * 40
    soil = ["x"] * 30 + ["y"] * 10 + ["x"] * 10 + ["y"] * 30
    made = pd.DataFrame({"rock": rock, "soil": soil})
    assert cramers_v(made, corrected=False).loc["rock", "soil"] == pytest.approx(0.5)
    # Bergsma: (0.25 - 1/79) / (2 - 1/79 - 1)
    assert cramers_v(made).loc["rock", "soil"] == pytest.approx(
        np.sqrt((0.25 - 1 / 79) / (1 - 1 / 79))
    )


def test_cramers_v_is_scipys_chi_square_and_correction_takes_the_bias():
    rng = np.random.default_rng(5)
    made = pd.DataFrame({"rock": rng.integers(0, 12, 300), "soil": rng.integers(0, 9, 300)})
    made = made.astype("category")
    counts = pd.crosstab(made["rock"], made["soil"])
    chi2 = chi2_contingency(counts, correction=False).statistic
    plain = cramers_v(made, corrected=False).loc["rock", "soil"]
    assert plain == pytest.approx(np.sqrt(chi2 / 300 / 8))
    assert plain > 0.15  # though independent
    assert cramers_v(made).loc["rock", "soil"] < plain / 1.6


def test_cramers_v_of_missing_and_single_categories():
    made = pd.DataFrame(
        {"rock": ["a", "b", None, "a"] * 10, "soil": ["x", "y", "y", "x"] * 10, "sea": "no"}
    )
    v = cramers_v(made)
    assert v.loc["rock", "soil"] == pytest.approx(1)
    assert v["sea"].isna().all()


def test_vif_of_two_is_one_over_one_less_r_squared(table):
    made = table[["slope", "relief"]].dropna()
    r = made.corr().iloc[0, 1]
    np.testing.assert_allclose(vif(made).table["vif"], 1 / (1 - r**2), rtol=1e-10)


def test_vif_is_that_of_statsmodels_with_a_constant(table):
    """Without the constant statsmodels gives nonsense for heights far above sea level."""
    whole = table.dropna()
    with_constant = np.column_stack([np.ones(len(whole)), whole])
    expected = [variance_inflation_factor(with_constant, i) for i in range(1, 5)]
    made = vif(table)
    np.testing.assert_allclose(made.table["vif"], expected, rtol=1e-8)
    np.testing.assert_allclose(made.table["tolerance"], 1 / np.array(expected), rtol=1e-8)
    assert (made.rows, made.left_out) == (len(whole), 400 - len(whole))


def test_duplicate_and_constant_columns_have_stated_answers(table):
    made = vif(table.assign(copy=-2 * table["slope"] + 7, flat=3.0)).table
    assert made.loc[["slope", "copy"], "vif"].tolist() == [np.inf, np.inf]
    assert made.loc[["slope", "copy"], "tolerance"].tolist() == [0, 0]
    assert np.isnan(made.loc["flat", "vif"])
    # the pair is one direction to everyone else
    assert made.loc["elevation", "vif"] == pytest.approx(vif(table).table.loc["elevation", "vif"])


def test_generalised_vif_forgets_base_category_and_north():
    rng = np.random.default_rng(8)
    rock = rng.choice(["marl", "shale", "lime"], 500)
    made = pd.DataFrame(
        {
            "rock": rock,
            "aspect": rng.uniform(0, 360, 500),
            "slope": rng.normal(size=500) + 2 * (rock == "shale"),
        }
    )
    renamed = made.assign(
        rock=pd.Series(rock).map({"marl": "z", "shale": "a", "lime": "m"}),
        aspect=(made["aspect"] + 77) % 360,
    )
    first, second = (vif(t, cyclic=["aspect"]).table for t in (made, renamed))
    np.testing.assert_allclose(first, second, rtol=1e-9)
    assert first["columns"].tolist() == [2, 2, 1]
    # Fox and Monette by determinants, for the rock
    x = np.column_stack(
        [rock == "marl", rock == "shale", np.cos(np.radians(made["aspect"])),
         np.sin(np.radians(made["aspect"])), made["slope"]]
    ).astype(float)  # fmt: skip
    r = np.corrcoef(x.T)
    gvif = np.linalg.det(r[:2, :2]) * np.linalg.det(r[2:, 2:]) / np.linalg.det(r)
    assert first.loc["rock", "vif"] == pytest.approx(np.sqrt(gvif), rel=1e-9)


def test_pairs_above_come_strongest_first(table):
    made = pearson(table.assign(copy=-table["slope"]))
    pairs = pairs_above(made, 0.7)
    assert pairs[["first", "second"]].iloc[0].tolist() == ["slope", "copy"]
    assert pairs["value"].iloc[0] == pytest.approx(-1)
    assert (pairs["value"].abs().diff().dropna() <= 0).all()
    assert len(pairs) == 3


def test_mistakes_are_named(table):
    with pytest.raises(SampleError, match=r"carea has infinite values"):
        pearson(table.assign(carea=np.inf))
    with pytest.raises(SampleError, match=r"cyclic names 'aspect', which is no column"):
        pearson(table, cyclic=["aspect"])
    with pytest.raises(SampleError, match=r"ndvi lacks 400"):
        vif(table.assign(ndvi=np.nan))
    with pytest.raises(SampleError, match=r"two columns 'slope'"):
        vif(pd.concat([table, table["slope"]], axis=1))
