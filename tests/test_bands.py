"""Bands of the image beside the factors: scaled on training cells, strip by strip, by name."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from lsm_core import imagery, models, prediction
from lsm_core.effects import Subject, effect_of, parts_of, permutation_importance
from lsm_core.encoding import Encoder, count_filled, encode, fit_encoder
from lsm_core.errors import AreaError, RecipeError, SampleError, SourceError
from lsm_core.experiment import run_experiment
from lsm_core.models.baselines import fit_estimator
from lsm_core.recipe import Input, make_recipe
from lsm_core.windows import cut

BANDS = ("blue", "green", "red", "nir")


def area(rows=30, cols=20, seed=3):
    """Slope, and an image with a gap outside the training rows."""
    r = np.random.default_rng(seed)
    image = r.uniform(0.05, 0.4, (4, rows, cols)).astype("float32")
    image[3, 20, 4] = np.nan
    attrs = {"kind": "continuous", "units": "degrees"}
    return xr.Dataset(
        {
            "slope": (("y", "x"), r.uniform(0, 60, (rows, cols)).astype("float32"), attrs),
            "valid": (("y", "x"), np.ones((rows, cols), bool)),
            "image": (("band", "y", "x"), image, {"units": "1"}),
        },
        {"y": np.arange(rows, 0, -1) * 30.0, "x": np.arange(cols) * 30.0, "band": list(BANDS)},
    )


def training(ds):
    rows, cols = np.meshgrid(np.arange(5, 15), np.arange(ds.sizes["x"]), indexing="ij")
    return pd.DataFrame({"row": rows.ravel(), "col": cols.ravel()})


def made(ds, **settings):
    return fit_encoder(ds, Input(**{"form": "window", **settings}), fit_on=training(ds))


@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        ({"factors": (), "bands": ("red", "nir")}, ("red", "nir")),
        ({}, ("slope",)),
        ({"bands": ("nir", "ndvi")}, ("slope", "nir", "ndvi")),
    ],
)
def test_optical_factor_and_joint_sets(settings, channels):
    ds = area()
    encoder = made(ds, size=13, **settings)
    assert encoder.channels == channels
    assert encoder.input_shape == (13, 13, len(channels))
    assert encode(ds, encoder).channel.values.tolist() == list(channels)


def test_bands_are_scaled_by_training_cells_only():
    ds = area()
    encoder = made(ds, factors=(), bands=("nir", "ndvi"))
    seen = encode(ds, encoder).values
    red, nir = ds["image"].values[2:].astype(float)
    for channel, truth in enumerate([nir, (nir - red) / (nir + red)]):
        part = truth[5:15]
        expected = (truth - part.mean()) / part.std()
        expected[20, 4] = (np.median(part) - part.mean()) / part.std()
        np.testing.assert_allclose(seen[..., channel], expected, atol=1e-5)
    wild = ds.copy(deep=True)
    wild["image"].values[:, 15:] *= 2
    assert made(wild, factors=(), bands=("nir", "ndvi")) == encoder
    assert count_filled(ds, encoder) == {"nir": 1, "ndvi": 1}


def test_a_table_holds_raw_bands():
    ds = area()
    seen = encode(ds, made(ds, form="table", bands=("red",)))
    np.testing.assert_array_equal(seen.values[..., 1], ds["image"].values[2])


def test_a_slice_of_the_code_is_the_code_of_the_slice():
    ds = area()
    settings = {"form": "window", "factors": (), "bands": ("red", "ndwi")}
    encoder = made(ds, **settings)
    whole = encode(ds, encoder)
    for part in (slice(0, 1), slice(3, 22), slice(29, 30)):
        xr.testing.assert_identical(encode(ds.isel(y=part), encoder), whole.isel(y=part))
    lazy = ds.chunk({"y": 7, "x": 6})
    assert fit_encoder(lazy, Input(**settings), fit_on=training(ds)) == encoder
    xr.testing.assert_identical(encode(lazy.isel(y=slice(3, 22)), encoder), whole[3:22])


class Weigher:
    """A network that weighs all it sees of a window."""

    def predict_on_batch(self, x):
        flat = x.reshape(len(x), -1)
        return (flat @ np.sin(1 + np.arange(flat.shape[1])))[:, None]


def test_a_map_by_strips_is_the_map_of_the_whole():
    ds = area()
    encoder = made(ds, size=5, bands=("nir", "ndvi"))
    rows, cols = (a.ravel() for a in np.indices((30, 20)))
    windows = cut(encode(ds, encoder).to_numpy(), rows, cols, 5)
    strips = prediction.predict_strips(Weigher(), encoder, ds, strip=7)
    found = np.concatenate([block for _, block in strips])
    whole = Weigher().predict_on_batch(windows).reshape(30, 20)
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-3)


def test_an_encoder_with_bands_survives_json_and_older_ones_have_none():
    ds = area()
    encoder = made(ds, bands=("red", "ndvi"))
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder
    older = {k: v for k, v in made(ds).to_json().items() if k != "bands"}
    assert Encoder.from_json(older).bands == ()


def test_a_factor_of_that_name_gives_way_or_is_refused():
    """An area may hold NDVI as a factor too: the optical set takes that of the image."""
    ds = area()
    ds["ndvi"] = ds["slope"].assign_attrs(units="1") * 0
    ds["ndvi"].attrs = {"kind": "continuous", "units": "1"}
    seen = encode(ds, made(ds, factors=(), bands=("ndvi",))).values
    assert seen.std() > 0.5
    with pytest.raises(RecipeError, match=r"ndvi is among the factors and in input\.bands"):
        made(ds, bands=("ndvi",))


def test_bands_that_are_not_there_are_named():
    ds = area()
    with pytest.raises(AreaError, match="no band 'rde', nor is it an index: did you mean red"):
        made(ds, bands=("rde",))
    with pytest.raises(AreaError, match=r"no image to take red from: leave input\.bands out"):
        made(ds.drop_vars("image"), bands=("red",))
    with pytest.raises(SourceError, match="no band swir"):
        made(ds, bands=("bsi",))
    with pytest.raises(AreaError, match="no image to take nir"):
        encode(ds.drop_vars("image"), made(ds, bands=("nir",)))
    with pytest.raises(RecipeError, match="each factor once"):
        made(ds, factors=())
    with pytest.raises(ValidationError, match=r"input\.bands have no classes"):
        Input(form="onehot", bands=("red",))
    with pytest.raises(ValidationError, match="each band once"):
        Input(form="table", bands=("red", "red"))
    ds["image"].values[0, 5:15] = np.nan
    with pytest.raises(SampleError, match="blue is missing at every training place"):
        made(ds, bands=("blue",))


def test_a_band_called_like_an_index_is_the_band():
    ds = area().assign_coords(band=["blue", "green", "red", "ndvi"])
    layer = imagery.with_bands(ds, ["ndvi"])["ndvi"]
    np.testing.assert_array_equal(layer, ds["image"].values[3])


def test_what_a_model_leans_on_tells_bands_apart(planted):
    """A band is dealt out and has an effect like any factor; one that is not looked at has none."""
    subject = planted("table", Weigher())
    ds = subject.ds.assign_coords(band=["red", "nir"])
    image = np.stack([ds["slope"].values, ds["noise"].values]).astype("float32")
    ds["image"] = (("band", "y", "x"), image, {"units": "1"})
    train = subject.run.samples[subject.run.samples["split"] == "train"]
    specs = Input(form="table", factors=("noise",), bands=("red", "nir"))
    encoder = fit_encoder(ds, specs, fit_on=train)
    assert parts_of(encoder) == {"noise": slice(0, 1), "red": slice(1, 2), "nir": slice(2, 3)}
    x = prediction.gather(encoder, ds, train["row"], train["col"])(np.arange(len(train)))
    model = models.build("logistic_regression", x.shape[1:], seed=1)
    model = fit_estimator(model, x, train["label"])
    seen = Subject(subject.run, model, encoder, imagery.with_bands(ds, ["red", "nir"]))
    lost = permutation_importance(seen, rng=np.random.default_rng(0), repeats=3)
    assert lost["factor"].iloc[0] == "red"
    effect = effect_of(seen, "red")["partial_dependence"]
    assert effect.iloc[-1] > effect.iloc[0] + 0.3


def test_a_run_on_the_image_alone(sample_workspace, tmp_path):
    """The optical set trains, is judged and maps; the area opened again gives the same scores."""
    settings = {
        "name": "optical",
        "area": "sample",
        "split": {"apart": 3, "block": 4000},
        "input": {"form": "table", "factors": [], "bands": [*BANDS, "ndvi"]},
        "model": {"name": "random_forest", "options": {"n_estimators": 20}},
    }
    run = run_experiment(make_recipe(settings), tmp_path)
    assert run.encoder["bands"][4]["name"] == "ndvi"
    assert run.metrics["scores"]["accuracy"] > 0.6
    assert "duplicates" not in run.metrics["overlap"]
    score = prediction.predict_samples(run, run.scores)
    np.testing.assert_allclose(score, run.scores["score"], atol=1e-6)
    refused = make_recipe(settings | {"selection": {}})
    with pytest.raises(RecipeError, match="selection chooses among factors"):
        run_experiment(refused, tmp_path)
