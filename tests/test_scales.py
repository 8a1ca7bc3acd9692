"""Windows at several scales: at every cell, edges included, what plain slices resampled give."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_prediction import HEIGHT, WIDTH, Ruler, make_area, whole

from lsm_core import experiment, fitting, prediction, runs
from lsm_core.effects import parts_of, put_factor, share_of
from lsm_core.encoding import Encoder, encode, fit_encoder
from lsm_core.errors import RecipeError
from lsm_core.recipe import Input, make_recipe
from lsm_core.windows import bilinear_matrix

SIZES = (6, 4, 9)


def encoder_of(ds, combine="channels", sizes=SIZES):
    cells = pd.DataFrame({"row": np.arange(10), "col": np.arange(10)})
    return fit_encoder(ds, Input(form="window", sizes=sizes, combine=combine), fit_on=cells)


def by_hand(ds, encoder, row, col):
    """(scale, row, column, channel) of one place: slices of a mirrored map, two matrices."""
    stack = encode(ds, encoder).to_numpy().astype(np.float64)
    margin = 20
    wide = np.pad(stack, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    scales = []
    for size in SIZES:
        top, left = row + margin - size // 2, col + margin - size // 2
        window = wide[top : top + size, left : left + size]
        m = bilinear_matrix(size, min(SIZES)).astype(np.float64)
        scales.append(np.einsum("ir,rck,jc->ijk", m, window, m))
    return np.stack(scales)


@pytest.fixture
def ds():
    return make_area()


@pytest.mark.parametrize("combine", ["channels", "samples"])
@pytest.mark.parametrize("strip", [3, 100])
def test_every_cell_sees_its_windows_whatever_the_strip(ds, combine, strip):
    encoder = encoder_of(ds, combine)
    seen = np.zeros((HEIGHT, WIDTH), bool)
    for rows, cols, x in prediction.inputs(encoder, ds, strip=strip, batch=37):
        for row, col, one in zip(rows, cols, x, strict=True):
            wanted = by_hand(ds, encoder, row, col)
            if combine == "channels":
                wanted = np.concatenate(list(wanted), axis=-1)
            assert one.shape == encoder.seen_shape
            np.testing.assert_allclose(one, wanted, atol=1e-5)
            seen[row, col] = True
    np.testing.assert_array_equal(seen, ds["valid"])


def test_shapes_and_margins_follow_from_the_sizes(ds):
    together, apart = encoder_of(ds), encoder_of(ds, "samples")
    n = len(together.channels)
    assert n == 6
    assert together.input_shape == together.seen_shape == (4, 4, 3 * n)
    assert apart.input_shape == (4, 4, n)
    assert apart.seen_shape == (3, 4, 4, n)
    assert together.across == 9
    for encoder in (together, apart):
        assert Encoder.from_json(encoder.to_json()) == encoder
    plain = {k: v for k, v in together.to_json().items() if k not in ("sizes", "combine")}
    older = Encoder.from_json(plain)  # written before there were scales
    assert older.scales == (4,)
    assert older.input_shape == older.seen_shape == (4, 4, n)


class Halved(Ruler):
    def predict_on_batch(self, x):
        return np.tanh(super().predict_on_batch(x))


@pytest.mark.parametrize("combine", ["channels", "samples"])
@pytest.mark.parametrize("strip", [1, 7, 100])
def test_a_map_is_what_each_place_scores(ds, combine, strip):
    """As samples: the mean of the scores of the scales, not the score of their mean."""
    encoder, model = encoder_of(ds, combine), Halved()
    index = whole(prediction.predict_strips(model, encoder, ds, strip=strip, batch=50))
    expected = np.full(index.shape, np.nan)
    for row, col in zip(*np.nonzero(ds["valid"].to_numpy()), strict=True):
        scales = by_hand(ds, encoder, row, col)
        x = scales if combine == "samples" else np.concatenate(list(scales), axis=-1)[None]
        expected[row, col] = model.predict_on_batch(x).mean()
    np.testing.assert_allclose(index, expected, atol=1e-4)
    rows, cols = np.array([22, 0, 11]), np.array([16, 0, 3])
    score = prediction.score_places(model, encoder, ds, rows, cols)
    there = np.isfinite(index[rows, cols])
    np.testing.assert_allclose(score[there], index[rows, cols][there], atol=1e-5)


@pytest.mark.parametrize("places", [1, 40])  # of 40 places the map is kept, not the windows
def test_as_samples_every_place_trains_with_every_scale(ds, places):
    encoder = encoder_of(ds, "samples")
    table = pd.DataFrame({"row": np.arange(places) % 23, "col": np.arange(places) % 17})
    table = table.assign(label=np.arange(places) % 2, target=np.linspace(0, 1, places))
    recipe = make_recipe({"name": "m", "model": {"name": "cnn3d"}})
    batches = fitting.batches(recipe, ds, encoder, table, 1000, shuffle=False)
    x, target = batches[0]
    assert x.shape == (3 * places, *encoder.input_shape)
    for k in range(places):
        wanted = by_hand(ds, encoder, table["row"][k], table["col"][k])
        np.testing.assert_allclose(x[3 * k : 3 * k + 3], wanted, atol=1e-5)
    np.testing.assert_allclose(target[:, 0], np.repeat(table["target"], 3))
    np.testing.assert_array_equal(batches.label, np.repeat(table["label"], 3))


@pytest.mark.parametrize("combine", ["channels", "samples"])
def test_a_factor_is_set_at_every_scale_and_the_relief_about_it_stays(ds, combine):
    encoder = encoder_of(ds, combine)
    x = prediction.gather(encoder, ds, [9, 3], [8, 16])(np.arange(2))
    slope = encoder.factors[0]
    put = put_factor(encoder, slope, ds[slope.name].attrs)
    new = put(x, np.array([10.0, 50.0], np.float32))
    old_share, share = (share_of(a, encoder, parts_of(encoder)[slope.name]) for a in (x, new))
    here = ds[slope.name].to_numpy()[[9, 3], [8, 16]]
    shift = (np.array([10, 50]) - here) / slope.std
    expected = np.broadcast_to(shift.reshape(2, *[1] * (share.ndim - 1)), share.shape)
    np.testing.assert_allclose(share - old_share, expected, atol=1e-4)
    assert share.size == 2 * 4 * 4 * 3
    changed = (new != x).reshape(-1, len(encoder.channels)).any(axis=0)
    assert changed.tolist() == [True, *[False] * 5]


def recipe_of(*changes, **input):
    settings = {"name": "m", "model": {"name": "cnn3d"}, "input": {"form": "window"} | input}
    return make_recipe(settings, changes)


def test_the_largest_window_keeps_training_and_test_apart():
    recipe = recipe_of(sizes=[12, 17, 22])
    assert recipe.input.size == 12
    assert recipe.window == recipe.apart == 22
    assert make_recipe(recipe.model_dump(mode="json")) == recipe
    with pytest.raises(RecipeError, match="window of 22"):
        recipe_of("split.apart=12", sizes=[12, 17, 22])
    assert recipe_of("input.sizes=[17]", sizes=[12, 17, 22]).input.size == 17


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["input.form=table"], "sizes are of windows"),
        (["input.size=13"], "leave input.size out"),
        (["input.sizes=[5, 5]"], "different windows"),
        (["input.sizes=[0, 5]"], "takes numbers from 1, got 0"),
        (["input.sizes=[]", "input.combine=samples"], "needs windows of several sizes"),
        (["input.combine=mean"], "combine"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(RecipeError, match=words):
        recipe_of(*changes, sizes=[12, 17])


def test_the_3d_cnn_knows_its_scales_from_the_recipe_alone():
    assert fitting.options_of(recipe_of(sizes=[4, 6, 8]))["scales"] == 3
    assert "scales" not in fitting.options_of(recipe_of(sizes=[4, 6], combine="samples"))
    assert "scales" not in fitting.options_of(recipe_of())
    other = recipe_of("model.name=lsgh_net", sizes=[7, 9])
    assert "scales" not in fitting.options_of(other)
    with pytest.raises(RecipeError, match=r"follow input\.sizes"):
        fitting.options_of(recipe_of("model.options.scales=3", sizes=[4, 6, 8]))


@pytest.mark.parametrize(
    "combine", ["channels", pytest.param("samples", marks=pytest.mark.torture)]
)
def test_a_run_at_three_scales_maps_what_its_stored_model_says(combine, sample_workspace, tmp_path):
    recipe = recipe_of(
        *("area=sample", "split.block=6000", "model.options.maps=4", "model.options.dense=8"),
        *("training.epochs=1", f"input.combine={combine}", "training.batch=64"),
        sizes=[5, 4, 7],
    )
    run = experiment.run_experiment(recipe, tmp_path)
    assert run.metrics["overlap"]["share"] == 0
    index = np.concatenate([block for _, block in runs.read_strips(run.map_path)])
    again = prediction.predict_samples(run, run.samples.head(9))
    there = index[run.samples["row"][:9], run.samples["col"][:9]]
    np.testing.assert_allclose(again, there, atol=1e-5)
    model, encoder = prediction.model_of(run)
    scales = 3 if combine == "channels" else 1
    first = next(layer for layer in model.layers if layer.name.startswith("conv3d"))
    assert first.input.shape == (None, len(encoder.channels), 4, 4, scales)


def test_mc_dropout_does_not_mix_scales(monkeypatch):
    from lsm_core import dropout
    from lsm_core.errors import RunError

    run = SimpleNamespace(id="apart", has_map=True, recipe=recipe_of())
    encoder = encoder_of(make_area(), "samples")
    monkeypatch.setattr(dropout, "check_grid", lambda run, what: None)
    monkeypatch.setattr(dropout.prediction, "model_of", lambda run: (None, encoder))
    with pytest.raises(RunError, match="averages scales"):
        dropout.mc_dropout(run)
