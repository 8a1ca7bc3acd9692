"""The map by tiles: exactly what the network says of the whole image, mirrored beyond its edges."""

import numpy as np
import pandas as pd
import pytest
from test_attention_unet import lively

from lsm_core import prediction, tile_map
from lsm_core.encoding import encode, fit_encoder
from lsm_core.errors import Stopped
from lsm_core.models import attention_unet
from lsm_core.recipe import Input
from lsm_core.study_area import area_path, open_area


@pytest.fixture(scope="module")
def place(sample_workspace):
    """An area of 168 x 157 cells with a hole, its encoder, and a network on two bands."""
    ds = open_area(area_path("sample")).load()
    valid = ds["valid"].to_numpy().copy()
    valid[60:75, 100:130] = False
    ds["valid"] = (("y", "x"), valid)
    rows, cols = np.nonzero(valid)
    cells = pd.DataFrame({"row": rows, "col": cols})
    specs = Input(form="chip", size=32, factors=(), bands=("red", "nir"))
    return ds, fit_encoder(ds, specs, fit_on=cells), lively()


@pytest.fixture(scope="module")
def whole(place):
    """Scores of the area as one image, 96 cells of its mirror image on each side, and more."""
    ds, encoder, model = place
    image = encode(ds, encoder).to_numpy()
    more = [(96, 96 + -(length + 192) % 16) for length in image.shape[:2]]
    wide = np.pad(image, [*more, (0, 0)], mode="reflect")
    score = model.predict_on_batch(wide[None])[
        0, 96 : 96 + image.shape[0], 96 : 96 + image.shape[1], 0
    ]
    return np.where(ds["valid"], score, np.nan)


def mapped(place, tile=512, **options):
    ds, encoder, model = place
    strips = list(prediction.predict_strips(model, encoder, ds, strip=tile, **options))
    assert [first for first, _ in strips] == np.cumsum(
        [0, *(len(b) for _, b in strips[:-1])]
    ).tolist()
    return np.concatenate([block for _, block in strips])


# Without oneDNN the difference is 0. Its sums take the shape of an image into account, which moves
# the last bit of a score (6e-8); a halo of 80 cells in place of 96 would move it by 1.5e-6.
LAST_BITS = 3e-7


@pytest.mark.parametrize("tile", [48, 64, 512])
def test_tiles_are_the_whole_image_exactly(place, whole, tile):
    np.testing.assert_allclose(mapped(place, tile=tile), whole, rtol=0, atol=LAST_BITS)


def test_the_halo_is_as_the_network_needs_it():
    assert (tile_map.STEP, tile_map.HALO) == (attention_unet.STEP, attention_unet.REACH)


def test_a_smaller_halo_would_show(place, whole, monkeypatch):
    monkeypatch.setattr(tile_map, "HALO", 32)
    found = mapped(place, tile=48)
    assert np.nanmax(np.abs(found - whole)) > 1e-6


def test_places_get_what_the_map_has_there(place, whole):
    ds, encoder, model = place
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(ds.sizes["y"], size=50), rng.integers(ds.sizes["x"], size=50)
    found = tile_map.places_in_image(model, encoder, ds, rows, cols, tile=64)
    np.testing.assert_allclose(found, whole[rows, cols], rtol=0, atol=LAST_BITS)


def test_tiles_without_a_wanted_cell_are_not_computed(place):
    ds, encoder, model = place
    asked = []

    class Counting:
        layers = model.layers

        def predict_on_batch(self, x):
            asked.append(x.shape)
            return model.predict_on_batch(x)

    tile_map.places_in_image(Counting(), encoder, ds, [3, 100], [5, 100], tile=64)
    assert asked == [(1, 256, 256, 2)] * 2


def test_a_missing_value_is_the_training_median_in_tiles_too(place):
    ds, encoder, model = place
    image = ds["image"].copy()
    image[:, 20:24, 20:24] = np.nan
    score = mapped((ds.assign(image=image), encoder, model), tile=64)
    assert np.isfinite(score[20:24, 20:24]).all()


def test_it_tells_how_far_it_is_and_stops_when_asked(place):
    ds, _encoder, _model = place
    told = []
    mapped(place, tile=64, on_progress=lambda *news: told.append(news))
    height = ds.sizes["y"]
    assert told == sorted(told)
    assert len(set(told)) > 3
    assert told[-1] == (height, height)
    asked = iter([False] * 3 + [True])
    with pytest.raises(Stopped, match="rows from 64"):
        mapped(place, tile=64, should_stop=lambda: next(asked))


@pytest.mark.parametrize(
    ("shape", "values", "tile"),
    [
        ((100, 340), 10**9, 176),  # two side by side: 2 x 368 x 368 cells; 544 x 544 in one
        ((1100, 1100), 10**9, 1104),  # in one, not one of 1,536 or two of 1,024 either way
        ((3036, 3036), 10**9, 1520),  # four that share it out evenly
        ((4000, 7200), 16 * (592**2), 400),  # 2 x 8 channels of 592 x 592 cells, halos taken off
        ((4314, 7210), 1, 16),
    ],
)
def test_tiles_take_the_least_work_that_area_and_memory_allow(monkeypatch, shape, values, tile):
    monkeypatch.setattr(tile_map, "values_at_once", lambda: values)
    model = attention_unet.build((32, 32, 2), base=8)
    assert tile_map.tile_of(shape, model) == tile


@pytest.mark.torture
def test_large_tiles_are_compiled_to_the_same_scores_every_time(monkeypatch):
    """Also where TensorFlow is told to repeat itself to the bit, as every command tells it."""
    if tile_map.backend_name() != "tensorflow" or tile_map.has_gpu():
        pytest.skip("TensorFlow's compiler for processors")
    monkeypatch.setattr(tile_map, "HALO", 16)
    model, rng = lively(), np.random.default_rng(0)
    assert tile_map.for_tiles(model, tile_map.COMPILED - 16) is model
    network = tile_map.for_tiles(model, tile_map.COMPILED)
    assert isinstance(network, tile_map.Compiled)
    x = rng.random((1, *network.input_shape[1:]), dtype=np.float32)
    found = network.predict_on_batch(x)
    np.testing.assert_allclose(found, model.predict_on_batch(x), rtol=0, atol=LAST_BITS)
    np.testing.assert_array_equal(found, network.predict_on_batch(x))
