"""A table's surroundings: what plain windows say, on any strip, and what is kept apart for them."""

import numpy as np
import pandas as pd
import pytest
from test_prediction import make_area

from lsm_core import models, prediction
from lsm_core.effects import put_factor
from lsm_core.encoding import Encoder, encode, fit_encoder
from lsm_core.errors import RecipeError
from lsm_core.models.baselines import fit_estimator
from lsm_core.recipe import Input, make_recipe
from lsm_core.window_statistics import mean_and_spread
from lsm_core.windows import cut

PLACES = pd.DataFrame({"row": np.arange(3, 15), "col": np.arange(2, 14)})


def encoder_of(ds, n=5):
    return fit_encoder(ds, Input(form="table", surroundings=n), fit_on=PLACES)


def test_they_are_mean_and_deviation_of_the_windows_a_network_would_see():
    z = np.random.default_rng(0).normal(900, 5, (9, 11))
    rows, cols = np.indices(z.shape).reshape(2, -1)
    for n in (2, 3, 4, 7, 12, 30):  # the last two are larger than the raster
        windows = cut(z[..., None], rows, cols, n)
        mean, spread = mean_and_spread(z, n, centre=900.0)
        np.testing.assert_allclose(mean.ravel(), windows.mean(axis=(1, 2, 3)), rtol=1e-12)
        np.testing.assert_allclose(spread.ravel(), windows.std(axis=(1, 2, 3)), rtol=1e-9)


def test_level_ground_has_no_spread_however_high_it_lies():
    for n in (3, 5, 7, 13):
        assert (mean_and_spread(np.full((6, 6), 4321.1), n, centre=17.3)[1] == 0).all()


def test_columns_follow_the_factor_and_hold_the_filled_values_of_windows():
    ds = make_area()
    encoder = encoder_of(ds, 4)
    assert Encoder.from_json(encoder.to_json()) == encoder
    plain = fit_encoder(ds, Input(form="table"), fit_on=PLACES)
    both, bare = encode(ds, encoder), encode(ds, plain)
    assert set(bare["channel"].values) < set(both["channel"].values)
    rows, cols = np.indices(ds["valid"].shape).reshape(2, -1)
    extra = 0
    for name in bare["channel"].values:
        np.testing.assert_array_equal(both.sel(channel=name), bare.sel(channel=name))
        if "=" in name:
            assert f"{name}_mean" not in both["channel"].values
            continue
        extra += 2
        seen = cut(bare.sel(channel=[name]).to_numpy().astype(float), rows, cols, 4)
        for what, wanted in (("mean", seen.mean((1, 2, 3))), ("spread", seen.std((1, 2, 3)))):
            found = both.sel(channel=f"{name}_{what}").to_numpy().ravel()
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert extra >= 4
    assert both.sizes["channel"] == bare.sizes["channel"] + extra


@pytest.mark.parametrize("n", [4, 5, 13])
def test_places_and_strips_of_any_height_see_the_same_bits(n):
    ds = make_area()
    encoder = encoder_of(ds, n)
    whole = encode(ds, encoder).to_numpy()
    for strip in (1, 3, 7, 128):
        for rows, cols, x in prediction.inputs(encoder, ds, strip=strip):
            np.testing.assert_array_equal(x, whole[rows, cols])
    seen = prediction.gather(encoder, ds, PLACES["row"], PLACES["col"])(np.arange(len(PLACES)))
    np.testing.assert_array_equal(seen, whole[PLACES["row"], PLACES["col"]])
    model = models.build("random_forest", encoder.input_shape, seed=1, n_estimators=5, n_jobs=1)
    fit_estimator(model, seen, np.arange(len(PLACES)) % 2)
    maps = [
        np.concatenate([b for _, b in prediction.predict_strips(model, encoder, ds, strip=strip)])
        for strip in (2, 128)
    ]
    np.testing.assert_array_equal(*maps)


def test_the_gap_and_the_meter_count_the_surroundings():
    settings = {"name": "r", "model": {"name": "random_forest"}}
    assert make_recipe(settings).window == 1
    recipe = make_recipe(settings, ["input.surroundings=13", "samples.heatmap={diameter: 5}"])
    assert (recipe.window, recipe.apart) == (13, 16)
    with pytest.raises(RecipeError, match="need 13: raise split"):
        make_recipe(settings, ["input.surroundings=13", "split.apart=12"])
    with pytest.raises(RecipeError, match="columns of a table, not of window"):
        make_recipe(settings, ["input={form: window, surroundings: 5}"])
    with pytest.raises(RecipeError, match=r"input\.surroundings takes numbers from 2, got 1"):
        make_recipe(settings, ["input.surroundings=1"])


def test_a_factor_that_is_set_takes_its_surroundings_along():
    """Continuous: the window is raised as a whole; a direction fills the window."""
    ds = make_area()
    encoder = encoder_of(ds, 5)
    names = list(encoder.channels)
    x = prediction.gather(encoder, ds, PLACES["row"], PLACES["col"])(np.arange(len(PLACES)))
    for factor in encoder.factors:
        if factor.kind == "categorical":
            continue
        value = np.linspace(10, 80, len(x)).astype(np.float32)
        new = put_factor(encoder, factor, dict(ds[factor.name].attrs))(x, value)
        own = (factor.name,) if factor.kind == "continuous" else (f"{factor.name}_sin",)
        at, mean, spread = (names.index(own[0] + end) for end in ("", "_mean", "_spread"))
        if factor.kind == "continuous":
            np.testing.assert_allclose(new[:, at], value, rtol=1e-6)
            np.testing.assert_allclose(
                new[:, mean] - x[:, mean], new[:, at] - x[:, at], rtol=1e-4, atol=1e-4
            )
            np.testing.assert_array_equal(new[:, spread], x[:, spread])
        else:
            np.testing.assert_allclose(new[:, at], np.sin(np.deg2rad(value)), atol=1e-6)
            np.testing.assert_array_equal(new[:, mean], new[:, at])
            assert (new[:, spread] == 0).all()
