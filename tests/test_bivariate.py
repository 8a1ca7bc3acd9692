"""Pinned values, identities, classes that are all or none, and the test of independence by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core.bivariate import (
    STATISTICS,
    certainty_factor,
    class_tables,
    class_values,
    conditional_independence,
    factor_classes,
    frequency_ratio,
    information_value,
    weights_of_evidence,
)
from lsm_core.encoding import encode, fit_encoder
from lsm_core.errors import RecipeError, SampleError
from lsm_core.recipe import Input

FUNCTIONS = {
    "frequency_ratio": frequency_ratio,
    "information_value": information_value,
    "certainty_factor": certainty_factor,
    "weights_of_evidence": weights_of_evidence,
}


def cells(counts, hits):
    """Classes and landslides of so many cells, of which so many are landslides."""
    classes = np.repeat(np.arange(len(counts)), counts)
    landslide = np.concatenate([np.arange(n) < h for n, h in zip(counts, hits, strict=True)])
    return classes, landslide.astype(np.uint8)


PINNED = cells((5000, 3000, 1500, 500), (10, 30, 40, 20))


def random_cells(seed=0, n=4000, k=6):
    r = np.random.default_rng(seed)
    classes = r.integers(0, k, (n // 20, 20))
    return classes, (r.random(classes.shape) < 0.05 + 0.1 * classes).astype(int)


# -------------------------------------------------------------------------------- the values


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("frequency_ratio", "frequency_ratio", (0.2, 1, 2.666667, 4)),
        ("information_value", "information_value", (-1.609438, 0, 0.980829, 1.386294)),
        ("weights_of_evidence", "w_plus", (-1.617486, 0, 0.997808, 1.417066)),
        ("weights_of_evidence", "w_minus", (0.5959, 0, -0.351273, -0.173444)),
        ("weights_of_evidence", "contrast", (-2.213387, 0, 1.349081, 1.59051)),
        (
            "weights_of_evidence",
            "studentised_contrast",
            (-6.628119, 0, 6.546308, 6.253448),
        ),
    ],
)
def test_pinned_values(name, column, values):
    table = FUNCTIONS[name](*PINNED)
    np.testing.assert_allclose(table[column], values, atol=6e-7)
    assert table.index.tolist() == [0, 1, 2, 3]
    assert table["cells"].tolist() == [5000, 3000, 1500, 500]
    assert table["landslides"].tolist() == [10, 30, 40, 20]


def test_the_certainty_factor_by_its_two_formulas():
    table = certainty_factor(*PINNED)
    p, q = np.array([10 / 5000, 30 / 3000, 40 / 1500, 20 / 500]), 0.01
    expected = [(p[0] - q) / (q * (1 - p[0])), 0, *((p[2:] - q) / (p[2:] * (1 - q)))]
    np.testing.assert_allclose(table["certainty_factor"], expected, atol=1e-12)
    # 1 - 1/FR to first order above, FR - 1 below
    np.testing.assert_allclose(table["certainty_factor"], [-0.8, 0, 0.625, 0.75], atol=0.01)


def test_variances_by_hand():
    table = weights_of_evidence(*PINNED)
    np.testing.assert_allclose(table["s2_w_plus"][0], 1 / 10 + 1 / 4990)
    np.testing.assert_allclose(table["s2_w_minus"][0], 1 / 90 + 1 / (9900 - 4990))


@pytest.mark.parametrize("seed", range(3))
def test_identities(seed):
    classes, landslide = random_cells(seed)
    fr = frequency_ratio(classes, landslide)
    assert np.average(fr["frequency_ratio"], weights=fr["cells"]) == pytest.approx(1, abs=1e-12)
    iv = information_value(classes, landslide)["information_value"]
    np.testing.assert_allclose(iv, np.log(fr["frequency_ratio"]), atol=1e-12)
    w = weights_of_evidence(classes, landslide)
    np.testing.assert_allclose(w["contrast"], w["w_plus"] - w["w_minus"])
    # the contrast is the logarithm of the odds ratio
    a, b = fr["landslides"], fr["cells"] - fr["landslides"]
    c, d = a.sum() - a, b.sum() - b
    np.testing.assert_allclose(w["contrast"], np.log(a * d / (b * c)))
    cf = certainty_factor(classes, landslide)["certainty_factor"]
    assert np.array_equal(np.sign(cf.round(12)), np.sign(iv.round(12)))
    assert not iv.isna().any()
    assert not w["corrected"].any()


def test_weights_do_not_depend_on_how_many_others_were_drawn():
    """Four times as many cells without landslides: weights stay, the frequency ratio does not."""
    few, many = cells((50, 70), (30, 20)), cells((30 + 80, 20 + 200), (30, 20))
    np.testing.assert_allclose(
        weights_of_evidence(*few)["w_plus"], weights_of_evidence(*many)["w_plus"]
    )
    assert frequency_ratio(*few)["frequency_ratio"][0] == pytest.approx(0.6 / (50 / 120))
    assert frequency_ratio(*many)["frequency_ratio"][0] == pytest.approx(0.6 / (110 / 330))


# --------------------------------------------------------------------------- all and none


def test_a_class_of_nothing_but_landslides_weighs_what_its_cells_weigh():
    """100 landslides at odds of 0.001 in the whole: one other cell lent gives ln(100 / 0.001)."""
    table = weights_of_evidence(*cells((100, 999_900 + 900), (100, 900)))
    assert table["w_plus"][0] == pytest.approx(11.51, abs=0.01)
    assert table["corrected"].tolist() == [True, True]
    assert np.isfinite(table.to_numpy(float)).all()


@pytest.mark.parametrize("name", STATISTICS)
def test_classes_that_are_all_or_none_are_finite_and_corrected_alone(name):
    classes, landslide = cells((40, 7, 1, 1, 500), (0, 7, 0, 1, 60))
    table = FUNCTIONS[name](classes, landslide)
    values = table.drop(columns="corrected", errors="ignore").to_numpy(float)
    assert np.isfinite(values).all()
    last = table.columns[2]
    assert table[last][1] >= table[last][3] - 1e-12
    assert table[last][3] > table[last][4]
    assert table[last][0] <= table[last][2] < table[last][4]
    if name != "frequency_ratio":
        # the fifth class has landslides and others, inside and outside: untouched
        none = [True, False, True, False, False]
        both = [True, True, True, True, False]
        assert table["corrected"].tolist() == (none if name == "information_value" else both)


def test_no_landslide_means_the_less_the_more_were_expected():
    table = information_value(*cells((1, 100, 10_000, 10_000), (0, 0, 0, 1000)))
    expected = np.array([1, 100, 10_000]) * 1000 / 20_101
    np.testing.assert_allclose(table["information_value"][:3], -np.log1p(expected))
    assert frequency_ratio(*cells((10, 90), (0, 9)))["frequency_ratio"][0] == 0
    cf = certainty_factor(*cells((1000, 50, 1000), (0, 50, 100)))["certainty_factor"]
    assert -1 < cf[0] < -0.9
    assert 0.9 < cf[1] < 1


def test_a_class_that_is_the_whole_says_nothing():
    table = weights_of_evidence(*cells((50,), (5,)))
    np.testing.assert_allclose(table[["w_plus", "w_minus", "contrast"]].to_numpy(), 0, atol=1e-12)
    assert frequency_ratio(*cells((50,), (5,)))["frequency_ratio"].tolist() == [1]


@pytest.mark.parametrize("name", STATISTICS)
def test_a_class_without_cells_says_nothing(name):
    values = class_values(name, [5, 0, 20], [50, 0, 90])
    assert values[1] == pytest.approx(1 if name == "frequency_ratio" else 0, abs=1e-12)
    column = "w_plus" if name == "weights_of_evidence" else name
    np.testing.assert_array_equal(
        values[[0, 2]], FUNCTIONS[name](*cells((50, 90), (5, 20)))[column]
    )


# ------------------------------------------------------------------------ what is counted


def test_what_is_masked_or_without_class_is_not_counted():
    classes, landslide = random_cells()
    wide = classes.astype(float)
    wide[:, :3] = np.nan
    wide[:2] = -1
    valid = np.ones(classes.shape, bool)
    valid[-1] = False
    table = frequency_ratio(wide, landslide, valid=valid)
    inner = (slice(2, -1), slice(3, None))
    pd.testing.assert_frame_equal(
        table, frequency_ratio(wide[inner], landslide[inner]), check_index_type=False
    )
    assert table.attrs["left_out"] == classes.size - classes[inner].size
    raster = xr.DataArray(classes, dims=("y", "x"))
    pd.testing.assert_frame_equal(
        frequency_ratio(raster, landslide, nodata=4),
        frequency_ratio(classes[classes != 4], landslide[classes != 4]),
    )


@pytest.mark.parametrize("name", STATISTICS)
def test_what_cannot_be_counted_is_refused(name):
    function = FUNCTIONS[name]
    with pytest.raises(SampleError, match=r"classes are \(3,\) but landslides \(2,\)"):
        function([1, 2, 3], [0, 1])
    with pytest.raises(SampleError, match="must be 0 or 1, got 2"):
        function([1, 2], [0, 2])
    with pytest.raises(SampleError, match="0 landslide cells and 2 others"):
        function([1, 2], [0, 0])
    with pytest.raises(SampleError, match="2 landslide cells and 0 others"):
        function([1, 2, -1], [1, 1, 0])


# ------------------------------------------------------------------------------ the area


def area(seed=1, rows=40, cols=30):
    r = np.random.default_rng(seed)
    slope = r.uniform(0, 60, (rows, cols)).astype("float32")
    rock = r.choice([3, 8], (rows, cols)).astype("int16")
    landslide = (r.random((rows, cols)) < slope / 120 + 0.1 * (rock == 8)).astype("uint8")
    valid = np.ones((rows, cols), bool)
    valid[0] = False
    dims = ("y", "x")
    legend = {"flag_values": [3, 8, 9], "flag_meanings": "Shale Marl Water", "nodata": -32768}
    return xr.Dataset(
        {
            "slope": (dims, slope, {"kind": "continuous", "units": "degrees"}),
            "rock": (dims, rock, {"kind": "categorical", "units": "1", **legend}),
            "landslide": (dims, landslide),
            "valid": (dims, valid),
        },
        {"y": np.arange(rows, 0, -1) * 30.0, "x": np.arange(cols) * 30.0},
    )


def test_the_table_of_a_factor_counts_training_places_and_no_others():
    ds = area()
    rows, cols = np.meshgrid(np.arange(5, 25), np.arange(30), indexing="ij")
    places = pd.DataFrame({"row": rows.ravel(), "col": cols.ravel()})
    places["label"] = ds["landslide"].to_numpy()[places["row"], places["col"]].astype(int)
    soft = pd.concat([places, places.head(7).assign(label=-1)])
    specs = Input(classes={"slope": (20.0, 40.0), "gone": (1.0,)})
    table = factor_classes(ds, "slope", fit_on=soft, specs=specs)
    assert table.attrs["counted"] == "600 training places"
    assert table["name"].tolist() == ["below 20", "20 to 40", "40 and above"]
    assert table["from"].fillna(-1).tolist() == [-1, 20, 40]
    assert table["to"].fillna(-1).tolist() == [20, 40, -1]
    slope, hit = ds["slope"].to_numpy()[5:25], ds["landslide"].to_numpy()[5:25]
    by_hand = weights_of_evidence(np.digitize(slope, [20, 40]), hit)
    np.testing.assert_allclose(table[by_hand.columns].to_numpy(float), by_hand.to_numpy(float))
    wild = ds.copy(deep=True)
    wild["slope"].values[25:] = 1e6
    pd.testing.assert_frame_equal(
        factor_classes(wild, "slope", fit_on=places), factor_classes(ds, "slope", fit_on=places)
    )
    assert len(factor_classes(ds, "slope", fit_on=places)) == 10


def test_exploring_counts_all_valid_cells():
    ds = area()
    table = factor_classes(ds, "rock", fit_on=None)
    assert table.attrs["counted"] == "1,170 valid cells, for exploration"
    assert table["name"].tolist() == ["Shale", "Marl", "Water"]
    assert table["landslides"].sum() == ds["landslide"].to_numpy()[1:].sum()
    assert table["cells"].tolist()[2] == 0
    assert table["frequency_ratio"].tolist()[2] == 1
    with pytest.raises(RecipeError, match="no factor 'roc'"):
        factor_classes(ds, "roc", fit_on=None)


def test_units_are_counted_like_cells():
    """The same places as a table of units give the same table."""
    ds = area()
    valid = ds["valid"].to_numpy().ravel()
    units = ds.stack(unit=("y", "x")).reset_index("unit", drop=True)
    units = units.assign_coords(unit=np.arange(valid.size))
    for name in ("slope", "rock"):
        pd.testing.assert_frame_equal(
            factor_classes(units, name, fit_on=None), factor_classes(ds, name, fit_on=None)
        )


def test_the_tables_of_all_factors_are_those_of_each():
    ds = area()
    rows, cols = (a.ravel() for a in np.meshgrid(np.arange(1, 40), np.arange(30), indexing="ij"))
    places = pd.DataFrame({"row": rows, "col": cols, "label": 0})
    places["label"] = ds["landslide"].to_numpy()[rows, cols].astype(int)
    encoder = fit_encoder(ds, Input(form="classes", breaks="natural"), fit_on=places)
    table = class_tables(encoder, encode(ds, encoder).to_numpy()[rows, cols], places["label"])
    assert table["factor"].tolist() == ["slope"] * 10 + ["rock"] * 3
    pd.testing.assert_frame_equal(
        table[table["factor"] == "slope"],
        factor_classes(ds, "slope", fit_on=places, specs=Input(breaks="natural")),
    )


# --------------------------------------------------------------------------- independence


def test_one_factor_predicts_as_many_landslides_as_there_are():
    classes, landslide = random_cells()
    test = conditional_independence(classes.ravel()[:, None], landslide.ravel())
    assert test.predicted == pytest.approx(test.observed, rel=1e-12)
    assert test.p_value == pytest.approx(0.5)


def test_independent_factors_pass_and_a_repeated_one_does_not():
    r = np.random.default_rng(5)
    landslide = (r.random(200_000) < 0.05).astype(int)
    one, two = (r.random(200_000) < 0.3 + 0.4 * landslide for _ in range(2))  # given landslide
    apart = conditional_independence(np.c_[one, two], landslide)
    assert apart.ratio == pytest.approx(1, abs=0.02)
    assert 0.01 < apart.p_value < 0.99
    same = conditional_independence(np.c_[one, one], landslide)
    assert same.ratio < 0.85
    assert same.p_value < 0.01
    gaps = np.c_[one, two, np.full(200_000, -1)]
    gaps[0, 2] = gaps[landslide.argmax(), 2] = 0
    assert conditional_independence(gaps, landslide).predicted == pytest.approx(
        apart.predicted, rel=1e-3
    )


def test_the_variance_of_the_predicted_total_by_hand():
    """Two factors of two classes: four combinations, each N_k P_k with its own error."""
    r = np.random.default_rng(6)
    classes = r.integers(0, 2, (5000, 2))
    landslide = (r.random(5000) < 0.02 + 0.03 * classes.sum(axis=1)).astype(int)
    n = landslide.sum()
    tables = [weights_of_evidence(classes[:, j], landslide) for j in range(2)]
    predicted = variance = 0.0
    for a in (0, 1):
        for b in (0, 1):
            cells = np.sum((classes == [a, b]).all(axis=1))
            odds = n / (5000 - n) * np.exp(tables[0]["w_plus"][a] + tables[1]["w_plus"][b])
            posterior = odds / (1 + odds)
            error = (1 / n + tables[0]["s2_w_plus"][a] + tables[1]["s2_w_plus"][b]) * posterior**2
            predicted += cells * posterior
            variance += cells**2 * error
    test = conditional_independence(classes, landslide)
    assert test.predicted == pytest.approx(predicted)
    assert test.s_predicted == pytest.approx(np.sqrt(variance))
    assert test.statistic == pytest.approx((predicted - n) / np.sqrt(variance))
    assert test.ratio == pytest.approx(n / predicted)
    assert "N_k^2 s2(P_k)" in test.formula
