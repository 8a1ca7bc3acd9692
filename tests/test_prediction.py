"""A map is what windows of the whole encoded area would give, whatever the strips and batches."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr

from lsm_core import blocks, models, prediction
from lsm_core.calibration import Calibrator
from lsm_core.encoding import encode, fit_encoder, one_hot_image
from lsm_core.errors import RunError, SampleError, Stopped
from lsm_core.models.baselines import fit_estimator
from lsm_core.prediction import (
    gather,
    load_model,
    predict_map,
    predict_samples,
    predict_strips,
    save_model,
    score_places,
)
from lsm_core.recipe import Input
from lsm_core.windows import cut

# Keras 3.15 turns its variables into arrays in a way that NumPy 2 frowns upon, when saving weights.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:keras.src.backend.tensorflow.core"
)

HEIGHT, WIDTH = 23, 17


def make_area(height=HEIGHT):
    rng = np.random.default_rng(0)
    shape = (height, WIDTH)
    slope = rng.random(shape, dtype=np.float32) * 60
    slope[3, 4] = np.nan
    aspect = rng.random(shape, dtype=np.float32) * 360
    aspect[5, 5] = np.nan
    valid = rng.random(shape) > 0.1
    legend = {"flag_values": [1, 2, 4], "flag_meanings": "clay sand rock", "nodata": -32768}
    layers = {
        "slope": (slope, {"kind": "continuous", "units": "degrees"}),
        "aspect": (aspect, {"kind": "cyclic", "units": "degrees"}),
        "geology": (
            rng.choice([1, 2, 4], shape).astype(np.int16),
            {"kind": "categorical", "units": "1"} | legend,
        ),
        "landslide": ((rng.random(shape) > 0.8).astype(np.uint8), {}),
        "landslide_id": (np.zeros(shape, np.int32), {}),
        "valid": (valid, {}),
    }
    coords = {"y": -30.0 * np.arange(height), "x": 30.0 * np.arange(WIDTH)}
    ds = xr.Dataset({n: (("y", "x"), v, a) for n, (v, a) in layers.items()}, coords)
    return ds.rio.write_crs("EPSG:32648")


@pytest.fixture
def ds():
    return make_area()


def encoder_of(ds, form, size=5):
    cells = pd.DataFrame({"row": np.arange(10), "col": np.arange(10)})
    return fit_encoder(ds, Input(form=form, size=size), fit_on=cells)


class Ruler:
    """A network that measures its input: another input, another score."""

    def __init__(self):
        self.shapes = set()

    def predict_on_batch(self, x):
        self.shapes.add(x.shape)
        flat = x.reshape(len(x), -1).astype(np.float64)
        return (flat * np.sin(np.arange(flat.shape[1]) + 1)).sum(axis=1)[:, None]


class RulerOfTables(Ruler):
    def predict_proba(self, x):
        score = self.predict_on_batch(x)
        return np.concatenate([1 - score, score], axis=1)


def expected_map(ds, encoder):
    """From the whole encoded map at once."""
    stack = encode(ds, encoder).to_numpy()
    rows, cols = (index.ravel() for index in np.indices(ds["valid"].shape))
    if encoder.form == "window":
        x = cut(stack, rows, cols, encoder.size)
    else:
        x = stack[rows, cols]
        x = one_hot_image(x, encoder.side) if encoder.form == "onehot" else x
    score = Ruler().predict_on_batch(x).reshape(ds["valid"].shape)
    return np.where(ds["valid"], score, np.nan).astype(np.float32)


def whole(strips):
    blocks = list(strips)
    assert [row for row, _ in blocks] == list(
        np.cumsum([0, *(len(block) for _, block in blocks)])[:-1]
    )
    return np.concatenate([block for _, block in blocks])


# ------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize("strip", [1, 2, 7, 23, 100])
@pytest.mark.parametrize(("form", "size"), [("window", 5), ("window", 8), ("onehot", 13)])
def test_strips_are_rows_of_the_map_from_the_whole_encoded_area(ds, form, size, strip):
    encoder = encoder_of(ds, form, size)
    strips = predict_strips(Ruler(), encoder, ds, strip=strip, batch=50)
    np.testing.assert_array_equal(whole(strips), expected_map(ds, encoder))


@pytest.mark.parametrize(("form", "size"), [("window", 5), ("window", 8), ("onehot", 13)])
def test_blocks_of_a_wide_area_are_columns_of_the_same_map(ds, form, size, monkeypatch):
    encoder = encoder_of(ds, form, size)
    for values in (1, 300):
        monkeypatch.setattr(blocks, "VALUES", values)
        strips = predict_strips(Ruler(), encoder, ds, strip=7, batch=50)
        np.testing.assert_array_equal(whole(strips), expected_map(ds, encoder))
        margin = blocks.margin_of(encoder)
        assert len(blocks.blocks_of(ds, encoder, 7, margin=margin)) > 4
        rows, cols = np.nonzero(ds["valid"].to_numpy())
        score = score_places(Ruler(), encoder, ds, rows[::-7], cols[::-7])
        np.testing.assert_array_equal(score, expected_map(ds, encoder)[rows[::-7], cols[::-7]])


@pytest.mark.parametrize("height", [1, 2, 4])
def test_a_map_thinner_than_the_window_is_mirrored_again_and_again(height):
    encoder = encoder_of(make_area(), "window", 13)
    thin = make_area().isel(y=slice(0, height))
    for strip in (1, 3):
        strips = predict_strips(Ruler(), encoder, thin, strip=strip)
        np.testing.assert_array_equal(whole(strips), expected_map(thin, encoder))


def test_tables_are_scored_by_probability_of_a_landslide(ds):
    encoder = encoder_of(ds, "table")
    strips = predict_strips(RulerOfTables(), encoder, ds, strip=10)
    np.testing.assert_array_equal(whole(strips), expected_map(ds, encoder))


def test_networks_are_given_one_shape_only(ds):
    ruler, encoder = Ruler(), encoder_of(ds, "window")
    list(predict_strips(ruler, encoder, ds, strip=6, batch=32))
    assert ruler.shapes == {(32, *encoder.input_shape)}


def test_cells_that_are_not_valid_are_nan_and_cost_nothing(ds):
    ds["valid"][:] = False
    ruler = Ruler()
    assert np.isnan(whole(predict_strips(ruler, encoder_of(ds, "onehot"), ds, strip=6))).all()
    assert not ruler.shapes


def test_a_strip_reads_no_more_than_its_rows_and_the_margin(ds, monkeypatch):
    read = []

    def spy(part, encoder):
        read.append(part.sizes["y"])
        return encode(part, encoder)

    monkeypatch.setattr(blocks, "encode", spy)
    list(predict_strips(Ruler(), encoder_of(ds, "window", 5), ds, strip=6))
    assert read == [8, 10, 10, 7]


def test_a_stop_ends_within_the_batch_and_progress_reaches_the_last_row(ds):
    encoder = encoder_of(ds, "onehot")
    seen = []
    list(predict_strips(Ruler(), encoder, ds, batch=32, on_progress=lambda *at: seen.append(at)))
    assert seen == sorted(seen)
    assert seen[-1] == (HEIGHT, HEIGHT)
    assert len(set(seen)) > 5  # it moves
    ruler, asked = Ruler(), iter([False, False, True])
    calls = []
    ruler.predict_on_batch = lambda x: calls.append(1) or np.zeros((len(x), 1))
    with pytest.raises(Stopped, match="mapping"):
        list(predict_strips(ruler, encoder, ds, batch=32, should_stop=lambda: next(asked)))
    assert len(calls) == 3


# ----------------------------------------------------------------------------------- places


@pytest.mark.parametrize("form", ["window", "onehot", "table"])
def test_places_score_what_the_map_has_there_in_the_order_given(ds, form, monkeypatch):
    monkeypatch.setattr(prediction, "STRIP", 4)
    ds["valid"][:] = True
    encoder, model = encoder_of(ds, form), RulerOfTables() if form == "table" else Ruler()
    rows, cols = [22, 0, 9, 9, 3], [16, 0, 3, 3, 11]
    score = score_places(model, encoder, ds, rows, cols)
    assert score.dtype == np.float32
    np.testing.assert_array_equal(score, expected_map(ds, encoder)[rows, cols])
    assert len(score_places(model, encoder, ds, [], [])) == 0


@pytest.mark.parametrize("form", ["window", "onehot", "table"])
@pytest.mark.parametrize("places", [6, 60])  # of 60 windows the map is kept instead
def test_training_sees_what_the_map_sees(ds, form, places, monkeypatch):
    monkeypatch.setattr(prediction, "STRIP", 4)
    encoder = encoder_of(ds, form)
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(0, HEIGHT, places), rng.integers(0, WIDTH, places)
    index = np.array([5, 0, 3])
    ds["valid"][:] = True
    x = gather(encoder, ds, pd.Series(rows), pd.Series(cols))(index)
    assert x.dtype == np.float32
    assert x.shape == (3, *encoder.input_shape)
    score = Ruler().predict_on_batch(x)[:, 0].astype(np.float32)
    np.testing.assert_array_equal(score, expected_map(ds, encoder)[rows[index], cols[index]])


@pytest.mark.parametrize("form", ["window", "onehot", "table"])
def test_what_is_seen_of_every_cell_gives_the_map(ds, form):
    encoder, model = encoder_of(ds, form), RulerOfTables() if form == "table" else Ruler()
    susceptibility = np.full(ds["valid"].shape, np.nan, np.float32)
    for rows, cols, x in prediction.inputs(encoder, ds, strip=6, batch=50):
        assert len(x) <= 50
        susceptibility[rows, cols] = prediction.score_inputs(model, x, batch=32)
    np.testing.assert_array_equal(susceptibility, expected_map(ds, encoder))


def test_windows_are_kept_only_where_they_take_less_room_than_the_map(ds, monkeypatch):
    encoded = []
    for room in (blocks, prediction):
        monkeypatch.setattr(
            room, "encode", lambda d, e: encoded.append(d.sizes["y"]) or encode(d, e)
        )
    monkeypatch.setattr(prediction, "STRIP", 4)
    encoder = encoder_of(ds, "window", 5)
    gather(encoder, ds, [0] * 15, [0] * 15)
    assert encoded == [6]
    gather(encoder, ds, [0] * 16, [0] * 16)
    assert encoded == [6, HEIGHT]


def test_places_of_another_area_are_refused(ds):
    encoder = encoder_of(ds, "table")
    for call in (
        lambda: score_places(RulerOfTables(), encoder, ds, [0, 23], [0, 0]),
        lambda: gather(encoder, ds, [-1, 5], [0, 0]),
    ):
        with pytest.raises(SampleError, match="1 of 2 places lie outside the area of 23 x 17"):
            call()


# ---------------------------------------------------------------------------- models on disk


TABLES = [name for name, card in models.MENU.items() if card.framework == "sklearn"]


@pytest.mark.parametrize("name", [*TABLES, "lsgh_net", "cnn3d"])
def test_a_stored_model_scores_as_before(name, tmp_path):
    """Every network passes the same in the exam of the menu."""
    network = models.MENU[name].framework == "keras"
    shape, options = ((7, 7, 2) if network else (4,)), {}
    if name == "lsgh_net":
        options = {"scse": False}
    if name == "random_forest":
        options = {"n_estimators": 12, "max_features": 0.5}
    if name == "random_forest_grid":
        options = {"n_estimators": [12], "max_features": [0.5], "n_jobs": 1}
    rng = np.random.default_rng(0)
    x = rng.random((40, *shape), dtype=np.float32)
    model = models.build(name, shape, seed=3, **options)
    if network:
        model.compile("adam", "mse", run_eagerly=True)
        model.train_on_batch(x, np.arange(40)[:, None] % 2)
    else:
        if models.MENU[name].eats == ("classes",):
            x = np.floor(5 * x)
        fit_estimator(model, x, (np.arange(40) % 3 == 0).astype(int))  # a prior of its own

    def scores(m):
        return m.predict_on_batch(x) if network else m.predict_proba(x)

    save_model(model, name, shape, options, tmp_path / "model")
    again = scores(load_model(tmp_path / "model"))
    np.testing.assert_allclose(again, scores(model), rtol=0, atol=1e-6 if network else 0)
    stored = json.loads((tmp_path / "model" / "architecture.json").read_text())
    assert stored == {"model": name, "input_shape": list(shape), "options": options}
    plain = "model.json" if hasattr(model, "from_json") else "model.skops"
    kind = "weights.weights.h5" if network else plain
    assert {f.name for f in (tmp_path / "model").iterdir()} == {"architecture.json", kind}


@pytest.fixture
def stored_network(tmp_path):
    save_model(models.build("cnn", (7, 7, 1)), "cnn", (7, 7, 1), {}, tmp_path)
    return tmp_path


def test_what_was_not_stored_here_is_not_opened(tmp_path):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    text = {"model": "random_forest", "input_shape": [2], "options": {}}
    (tmp_path / "architecture.json").write_text(json.dumps(text))
    skops.io.dump(FunctionTransformer(subprocess.getoutput), tmp_path / "model.skops")
    with pytest.raises(RunError, match=r"subprocess.getoutput.*not opened"):
        load_model(tmp_path)
    (tmp_path / "model.skops").write_bytes(b"\x80\x04pickle")
    with pytest.raises(RunError, match=r"model.skops is missing or damaged"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"prior": 0.5}')
    with pytest.raises(RunError, match=r"model.json was not written by this program"):
        load_model(tmp_path)
    (tmp_path / "model.json").unlink()
    (tmp_path / "model.skops").unlink()
    with pytest.raises(RunError, match=r"model.skops is missing or damaged"):
        load_model(tmp_path)


def test_a_folder_without_a_whole_model_is_an_error(tmp_path, stored_network):
    with pytest.raises(RunError, match="the run ended before one was trained"):
        load_model(tmp_path / "nothing")
    architecture = stored_network / "architecture.json"
    written = architecture.read_text()
    architecture.write_text(written.replace("[7, 7, 1]", "[9, 9, 1]"))
    with pytest.raises(RunError, match="does not fit its architecture"):
        load_model(stored_network)
    for text in ("{", "[1]", '{"model": "cnn"}'):
        architecture.write_text(text)
        with pytest.raises(RunError, match="not written by this program"):
            load_model(stored_network)
    architecture.write_text(written)
    weights = stored_network / "weights.weights.h5"
    weights.unlink()  # HDF5 may still hold the old file after the mismatch above
    weights.write_bytes(b"nothing")
    with pytest.raises(RunError, match="does not fit its architecture"):
        load_model(stored_network)


# ----------------------------------------------------------------------------------- runs


@pytest.fixture
def run(ds, tmp_path, monkeypatch):
    """What a run folder of a random forest offers, and its area."""
    encoder = encoder_of(ds, "table")
    rows, cols = np.nonzero(ds["valid"].to_numpy())
    x = gather(encoder, ds, rows, cols)(np.arange(len(rows)))
    model = models.build("random_forest", encoder.input_shape, seed=1, n_estimators=5)
    fit_estimator(model, x, ds["landslide"].to_numpy()[rows, cols])
    save_model(model, "random_forest", encoder.input_shape, {"n_estimators": 5}, tmp_path / "model")
    monkeypatch.setattr(prediction, "open_area", lambda path: ds)
    stored = json.loads(json.dumps(encoder.to_json()))
    return SimpleNamespace(
        path=tmp_path,
        encoder=stored,
        area_path=tmp_path,
        id="a-run",
        calibrator=Calibrator("none"),
    )


def test_the_map_of_a_run_lies_on_the_areas_grid_and_agrees_with_its_samples(run, ds):
    susceptibility = predict_map(run, ds)
    assert susceptibility.dims == ("y", "x")
    assert susceptibility.dtype == np.float32
    assert susceptibility.rio.crs == ds.rio.crs
    xr.testing.assert_equal(susceptibility["x"], ds["x"])
    np.testing.assert_array_equal(susceptibility.notnull(), ds["valid"])
    rows, cols = np.nonzero(ds["valid"].to_numpy())
    score = predict_samples(run, pd.DataFrame({"row": rows, "col": cols}))
    np.testing.assert_array_equal(score, susceptibility.to_numpy()[rows, cols])
    landslide = ds["landslide"].to_numpy()[rows, cols]
    assert score[landslide == 1].mean() > score[landslide == 0].mean() + 0.3


def test_a_real_network_maps_as_it_scores_places(ds):
    encoder = encoder_of(ds, "window", 7)
    model = models.build("lsgh_net", encoder.input_shape, seed=1)
    susceptibility = whole(predict_strips(model, encoder, ds, strip=9, batch=64))
    rows, cols = np.nonzero(ds["valid"].to_numpy())
    score = score_places(model, encoder, ds, rows, cols)
    np.testing.assert_allclose(score, susceptibility[rows, cols], atol=1e-6)
    assert np.ptp(score) > 0


@pytest.mark.torture
def test_scoring_tables_never_loads_a_network_library():
    code = (
        "import sys, lsm_core.prediction, lsm_core.training, skops.io\n"
        "print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
