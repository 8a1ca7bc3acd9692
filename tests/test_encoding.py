"""Classes and channels have their known values; nothing but training places is learnt from."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core.encoding import (
    DIRECTIONS,
    PRESETS,
    Encoder,
    classify,
    count_filled,
    encode,
    fit_encoder,
    one_hot_image,
)
from lsm_core.errors import AreaError, RecipeError, SampleError
from lsm_core.recipe import Input

FORMS = ("onehot", "window", "table", "classes")
LEGEND = {"flag_values": [7, 2, 30], "flag_meanings": "Shale Bare_soil Water", "nodata": -32768}


def layer(values, kind="continuous", units="1", **attrs):
    dtype = "int16" if kind == "categorical" else "float32"
    return ("y", "x"), np.asarray(values, dtype), {"kind": kind, "units": units, **attrs}


def area(rows=30, cols=20, seed=3):
    """Slope, aspect with flats, rock and road distance with gaps; the last row is invalid."""
    r = np.random.default_rng(seed)
    aspect = r.uniform(0, 360, (rows, cols))
    aspect[2, :5] = np.nan
    rock = r.choice([7, 2, 30], (rows, cols))
    rock[3, 3] = -32768
    roads = r.exponential(2000, (rows, cols))
    roads[4, 4:7] = np.nan
    valid = np.ones((rows, cols), bool)
    valid[-1] = False
    aspect[-1] = np.nan
    return xr.Dataset(
        {
            "slope": layer(r.uniform(0, 80, (rows, cols)), units="degrees"),
            "aspect": layer(aspect, "cyclic", "degrees"),
            "rock": layer(rock, "categorical", **LEGEND),
            "distance_to_roads": layer(roads, units="m"),
            "landslide": (("y", "x"), np.zeros((rows, cols), "uint8")),
            "valid": (("y", "x"), valid),
        },
        {"y": np.arange(rows, 0, -1) * 30.0, "x": np.arange(cols) * 30.0},
    )


def places(rows, cols):
    return pd.DataFrame({"row": np.asarray(rows), "col": np.asarray(cols)})


def training(ds):
    """The cells of the upper half, outside the gaps' rows."""
    rows, cols = np.meshgrid(np.arange(5, 15), np.arange(ds.sizes["x"]), indexing="ij")
    return places(rows.ravel(), cols.ravel())


def made(ds, **settings):
    return fit_encoder(ds, Input(**settings), fit_on=training(ds))


def test_one_hot_classes_of_every_kind():
    ds = area()
    encoder = made(ds, form="onehot", size=7, preset="lsgh_net")
    coded = encode(ds, encoder)
    assert coded.dims == ("y", "x", "factor")
    assert coded.dtype == "int16"
    assert encoder.channels == ("slope", "aspect", "rock", "distance_to_roads")
    assert [f.classes for f in encoder.factors] == [11, 9, 3, 13]
    assert encoder.side == 13
    assert encoder.input_shape == (13, 13, 1)
    assert made(ds, form="onehot", size=20).side == 20
    many = {f"f{i}": ds["slope"] for i in range(20)}
    assert made(ds.assign(many), form="onehot", size=7).side == 24
    slope, _, rock, roads = np.moveaxis(coded.values, -1, 0)
    np.testing.assert_array_equal(slope, classify(ds["slope"], PRESETS["lsgh_net"]["slope"]))
    order = {7: 0, 2: 1, 30: 2, -32768: -1}
    np.testing.assert_array_equal(rock, np.vectorize(order.get)(ds["rock"]))
    median = np.median(ds["distance_to_roads"].values[5:15])
    assert (roads[4, 4:7] == int(median // 500)).all()


def test_aspect_has_nine_classes_and_flat_is_not_missing():
    ds = area(cols=12).isel(y=slice(-2, None)).copy(deep=True)
    angles = [0, 22.49, 22.5, 67.5, 112.5, 180, 225, 270, 315, 337.5, 360, np.nan]
    ds["aspect"].values[:] = np.float32(angles)
    encoder = fit_encoder(
        ds, Input(form="onehot", factors=("aspect",)), fit_on=places([0, 0], [0, 1])
    )
    first, invalid = encode(ds, encoder).values[..., 0]
    names = [DIRECTIONS[c] for c in first]
    assert names == ["N", "N", "NE", "E", "SE", "S", "SW", "W", "NW", "N", "N", "flat"]
    assert invalid[-1] == -1
    assert count_filled(ds, encoder) == {"aspect": 1}


def test_windows_are_scaled_by_training_cells_only():
    ds = area()
    encoder = made(ds, form="window", size=9)
    coded = encode(ds, encoder)
    assert coded.dtype == "float32"
    assert encoder.channels == (
        "slope", "aspect_sin", "aspect_cos", "rock=Shale", "rock=Bare soil", "rock=Water",
        "distance_to_roads",
    )  # fmt: skip
    assert encoder.input_shape == (9, 9, 7)
    seen = coded.sel(channel=["slope", "distance_to_roads"]).values[5:15].reshape(-1, 2)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)
    assert abs(coded.values[15:, :, 0].mean()) > 1e-3
    sin, cos = coded.values[0, 0, 1:3]
    assert np.rad2deg(np.arctan2(sin, cos)) % 360 == pytest.approx(float(ds["aspect"][0, 0]), 1e-5)
    assert (coded.values[2, :5, 1:3] == 0).all()  # flat
    assert (coded.values[3, 3, 3:6] == 0).all()  # no rock
    assert (coded.values[..., 3:6].sum(axis=-1) == (ds["rock"] != -32768)).all()
    filled = (np.median(ds["distance_to_roads"].values[5:15]) - encoder.factors[3].mean) / (
        encoder.factors[3].std
    )
    np.testing.assert_allclose(coded.values[4, 4:7, 6], filled, rtol=1e-6)


def test_a_factor_far_from_zero_keeps_its_digits():
    """Elevations of 3,500 m with 1 cm of spread are scaled without float32's rounding."""
    ds = area()
    z = 3500 + np.random.default_rng(1).normal(0, 0.01, ds["slope"].shape)
    ds["slope"].values[:] = z
    coded = encode(ds, made(ds, form="window", factors=("slope",))).values[..., 0]
    seen = ds["slope"].values.astype(float)
    expected = (seen - seen[5:15].mean()) / seen[5:15].std()
    np.testing.assert_allclose(coded, expected, atol=1e-5)


def test_tables_are_raw_and_filled():
    ds = area()
    encoder = made(ds, form="table")
    coded = encode(ds, encoder)
    assert encoder.input_shape == (7,)
    np.testing.assert_array_equal(coded.values[..., 0], ds["slope"])
    assert not np.isnan(coded.values).any()
    assert coded.values[4, 4, 6] == np.median(ds["distance_to_roads"].values[5:15])


def test_codes_can_be_scaled():
    ds = area()
    encoder = made(ds, form="window", codes="scaled", factors=("rock",))
    assert encoder.channels == ("rock",)
    coded = encode(ds, encoder).values[..., 0]
    np.testing.assert_allclose(coded[ds["rock"] == 7], 5 / 28, rtol=1e-6)
    assert (coded[ds["rock"] == 2] == 0).all()
    assert (coded[ds["rock"] == 30] == 1).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_slice_of_the_code_is_the_code_of_the_slice(form):
    ds = area()
    encoder = made(ds, form=form)
    whole = encode(ds, encoder)
    for part in (slice(0, 1), slice(3, 17), slice(29, 30)):
        xr.testing.assert_identical(encode(ds.isel(y=part), encoder), whole.isel(y=part))
    pytest.importorskip("dask")
    lazy = ds.chunk({"y": 7, "x": 6})
    assert fit_encoder(lazy, Input(form=form), fit_on=training(ds)) == encoder
    xr.testing.assert_identical(encode(lazy.isel(y=slice(3, 17)), encoder), whole[3:17])


@pytest.mark.parametrize("form", FORMS)
def test_cells_outside_training_teach_nothing(form):
    ds = area()
    wild = ds.copy(deep=True)
    wild["slope"].values[15:] = 1e6
    wild["distance_to_roads"].values[:5] = -1e6
    wild["rock"].values[15:] = 30
    wild["aspect"].values[15:] = np.nan
    assert made(wild, form=form) == made(ds, form=form)
    moved = fit_encoder(ds, Input(form=form), fit_on=places([0, 1, 2], [5, 6, 7]))
    assert moved != made(ds, form=form)


@pytest.mark.parametrize("form", FORMS)
def test_an_encoder_survives_json_to_the_last_bit(form):
    ds = area()
    encoder = made(ds, form=form, classes={"slope": (0.1, 1 / 3, 1e-9 + 0.5), "gone": (1.0,)})
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    assert hash(again) == hash(encoder)
    assert again.unused == ("gone",)
    xr.testing.assert_identical(encode(ds, again), encode(ds, encoder))


def test_categories_unseen_in_training_keep_their_channel():
    ds = area()
    ds["rock"].values[5:15] = 7
    assert made(ds, form="window").channels[3:6] == ("rock=Shale", "rock=Bare soil", "rock=Water")
    assert made(ds, form="onehot").factors[2].classes == 3


def test_filled_cells_are_counted():
    ds = area()
    ds["slope"].values[0, :3] = np.inf
    for form in FORMS:
        assert count_filled(ds, made(ds, form=form)) == {
            "slope": 3, "aspect": 20, "rock": 1, "distance_to_roads": 3,
        }  # fmt: skip


def test_one_hot_image_has_one_mark_a_factor():
    classes = np.array([[0, 4, -1], [2, 2, 1]])
    image = one_hot_image(classes, 6)
    assert image.shape == (2, 6, 6, 1)
    assert image.dtype == "float32"
    assert sorted(map(tuple, np.argwhere(image[..., 0]).tolist())) == [
        (0, 0, 0), (0, 4, 1), (1, 1, 2), (1, 2, 0), (1, 2, 1),
    ]  # fmt: skip
    assert one_hot_image(np.empty((0, 3), int), 6).shape == (0, 6, 6, 1)
    for wrong in ([[6]], [[0] * 7]):
        with pytest.raises(RecipeError, match="7 are needed"):
            one_hot_image(wrong, 6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"factors": ("slop",)}, "no factor 'slop': did you mean slope"),
        ({"factors": ("valid",)}, "no factor 'valid'"),
        ({"factors": ("slope", "slope")}, "each factor once"),
        ({"preset": "lsgh"}, "no preset 'lsgh'.*did you mean lsgh_net"),
        ({"factors": ("slope",), "classes": {"slop": (1.0,)}}, "limits for 'slop'.*mean slope"),
        ({"classes": {"aspect": (90.0,)}}, "classes.aspect: cyclic"),
        ({"classes": {"slope": (5.0, 1.0)}}, r"classes.slope\) must be finite and rise"),
    ],
)
def test_settings_that_do_not_fit_the_area_are_refused(settings, words):
    with pytest.raises(RecipeError, match=words):
        made(area(), form="onehot", **settings)


def test_training_places_that_teach_nothing_are_refused():
    ds = area()
    with pytest.raises(SampleError, match="no training places"):
        fit_encoder(ds, Input(), fit_on=places([], []))
    with pytest.raises(SampleError, match="1 of 2 training places lie off"):
        fit_encoder(ds, Input(), fit_on=places([0, -1], [0, 0]))
    with pytest.raises(SampleError, match="distance_to_roads is missing at every"):
        fit_encoder(ds, Input(), fit_on=places([4, 4], [4, 5]))


def test_an_area_unlike_the_fitted_one_is_refused():
    ds = area()
    encoder = made(ds, form="window")
    with pytest.raises(AreaError, match="needs the factor 'slope', which the area lacks"):
        encode(ds.drop_vars("slope"), encoder)
    strange = ds.copy(deep=True)
    strange["rock"].values[9, 9] = 31
    with pytest.raises(AreaError, match=r"rock holds code 31 in 1 cells.*knows 7, 2, 30"):
        encode(strange, encoder)
    renamed = ds.copy(deep=True)
    renamed["rock"].attrs["flag_meanings"] = "Granite Bare_soil Water"
    with pytest.raises(AreaError, match="code 7 is 'Granite' here, but 'Shale'"):
        encode(renamed, encoder)
    metres = ds.copy(deep=True)
    metres["distance_to_roads"].attrs["units"] = "km"
    with pytest.raises(AreaError, match="units 'km' here, but 'm'"):
        encode(metres, encoder)


def test_the_order_of_the_legend_may_differ():
    ds = area()
    encoder = made(ds, form="window")
    turned = ds.copy(deep=True)
    turned["rock"].attrs.update(flag_values=[2, 7, 30], flag_meanings="Bare_soil Shale Water")
    np.testing.assert_array_equal(encode(turned, encoder), encode(ds, encoder))


@pytest.mark.parametrize("form", FORMS)
def test_a_map_of_balakots_size_is_encoded_quickly(form):
    """A tenth of Balakot's cells, 11 factors: 0.05 s of processor time by rights."""
    small = area(rows=280, cols=290)
    many = {f"f{i}": small["slope"].copy() for i in range(7)}
    ds = small.assign(many)
    encoder = made(ds, form=form)
    start = time.process_time()
    encode(ds, encoder)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("form", ["table", "onehot", "classes"])
def test_units_encode_as_a_grid_of_one_column(form):
    """The same values as a row of cells and as units give the same numbers."""
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, 40).astype("float32")
    slope[3] = np.nan
    rock = rng.integers(1, 3, 40).astype("int16")
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= {"flag_values": [1, 2], "flag_meanings": "hard soft"}

    def build(dims, shape):
        return xr.Dataset(
            {
                "slope": (dims, slope.reshape(shape), {"kind": "continuous", "units": "degrees"}),
                "rock": (dims, rock.reshape(shape), rocks),
                "valid": (dims, np.ones(shape, bool)),
            },
            {dim: np.arange(n) for dim, n in zip(dims, shape, strict=True)},
        )

    grid, units = build(("y", "x"), (40, 1)), build(("unit",), (40,))
    fit_on = pd.DataFrame({"row": np.arange(0, 40, 2), "col": 0})
    encoder = fit_encoder(units, Input(form=form), fit_on=fit_on)
    assert encoder == fit_encoder(grid, Input(form=form), fit_on=fit_on)
    encoded = encode(units, encoder)
    assert encoded.dims[:2] == ("unit", "column")
    np.testing.assert_array_equal(encoded.values, encode(grid, encoder).values)
    assert count_filled(units, encoder) == count_filled(grid, encoder)
