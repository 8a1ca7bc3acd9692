"""What holds whatever the values: examples are drawn, the same ones every day."""

import contextlib
import csv
import io
import math
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import xarray as xr
import yaml
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.crs import CRS

from lsm_core import heat, metrics, splits, zoning
from lsm_core.catalog import without_secrets
from lsm_core.classing import classify
from lsm_core.density import density_table
from lsm_core.encoding import one_hot_image
from lsm_core.errors import RecipeError, SampleError
from lsm_core.grid import Grid, align, same_grid
from lsm_core.plain_yaml import NotYaml, parse_yaml
from lsm_core.recipe import load_recipe, make_recipe, save_recipe
from lsm_core.safe_tables import STARTS, csv_of

UTM = CRS.from_epsg(32643)
DAILY, AT_LENGTH = 20, 500  # examples of each
PROPERTIES = {}


def holds(**strategies):
    """A property, tried on some examples daily and on many in the slower tests."""

    def keep(check):
        PROPERTIES[check.__name__] = (check, strategies)
        return tried(check, strategies, DAILY)

    return keep


def tried(check, strategies, examples):
    how = hypothesis.settings(
        derandomize=True, max_examples=examples, deadline=None, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    return how(given(**strategies)(check))


# ------------------------------------------------------------------------------------- grids

sides = st.integers(2, 9)
coordinates = st.integers(-3_000_000, 3_000_000)
grids = st.builds(
    lambda rows, cols, x, y, size: Grid((rows, cols), Affine(size, 0, x, 0, -size, y), UTM),
    sides, sides, coordinates, coordinates, st.sampled_from([0.5, 3.0, 10.0, 27.3, 1000.0]),
)  # fmt: skip
ends = st.tuples(st.integers(-5, 5), st.integers(-5, 5), st.integers(2, 6), st.integers(2, 6))


@holds(grid=grids)
def test_centres_fall_in_their_own_cells(grid):
    rows, cols = np.indices(grid.shape)
    np.testing.assert_array_equal(grid.rowcol(*grid.xy(rows, cols)), (rows, cols))


@holds(grid=grids, end=ends)
def test_a_window_is_what_covers_its_bounds(grid, end):
    top, left, tall, wide = end
    part = grid.window(top, left, top + tall, left + wide)
    assert grid.cover(part.bounds) == (top, left, top + tall, left + wide)
    assert same_grid(part.window(-top, -left, grid.shape[0] - top, grid.shape[1] - left), grid)


def raster_on(grid, values):
    made = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"), name="dem")
    return made.rio.write_crs(grid.crs)


@holds(
    grid=grids, margin=st.integers(0, 4), how=st.sampled_from(["nearest", "bilinear", "average"])
)
def test_laid_on_more_cells_and_back_a_raster_is_the_same(grid, margin, how):
    values = np.arange(math.prod(grid.shape), dtype="float32").reshape(grid.shape)
    wide = grid.window(-margin, -margin, grid.shape[0] + margin, grid.shape[1] + margin)
    there = align(raster_on(grid, values), wide, how)
    assert int(np.isfinite(there.values).sum()) == values.size
    np.testing.assert_array_equal(align(there, grid, how).values, values)


# -------------------------------------------------------------------------------------- heat


@holds(
    at=st.tuples(st.floats(0, 12), st.floats(0, 9)),
    radius=st.floats(1, 80), more=st.tuples(st.floats(-4, 16), st.floats(-4, 13)),
)  # fmt: skip
def test_heat_falls_with_distance_and_more_points_never_cool(at, radius, more):
    grid = Grid((9, 12), Affine(10, 0, 500000, 0, -10, 4000000), UTM)
    points = [(500000 + 10 * x, 4000000 - 10 * y) for x, y in (at, more)]
    one = heat.gaussian_heatmap(points[:1], grid, radius).values
    assert one.min() >= 0
    assert one.max() <= 1
    x, y = np.meshgrid(grid.x, grid.y)
    far = np.hypot(x - points[0][0], y - points[0][1]).ravel()
    along = one.ravel()[np.argsort(far, kind="stable")].astype("float64")
    assert (np.diff(along) <= 1e-6).all()
    assert not one.ravel()[far > radius * (1 + 1e-6)].any()
    both = heat.gaussian_heatmap(points, grid, radius).values
    assert (both >= one).all()


# ---------------------------------------------------------------------------------- encoding


@holds(
    classes=arrays.arrays(
        "int16", st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.integers(-1, 6)
    ),
    more=st.integers(0, 3),
)
def test_a_one_hot_image_has_one_cell_a_factor(classes, more):
    size = max(int(classes.max()) + 1, classes.shape[1], 1) + more
    image = one_hot_image(classes, size)[..., 0]
    assert image.shape == (len(classes), size, size)
    sums = image.sum(axis=1)[:, : classes.shape[1]]
    np.testing.assert_array_equal(sums, classes >= 0)
    assert image.sum() == (classes >= 0).sum()
    there = classes >= 0
    found = image.argmax(axis=1)[:, : classes.shape[1]]
    np.testing.assert_array_equal(found[there], classes[there])


@holds(
    values=arrays.arrays("float32", 12, elements=st.floats(-1e6, 1e6, width=32)),
    breaks=st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=6, unique=True),
)
def test_a_higher_value_is_never_in_a_lower_class(values, breaks):
    found = classify(np.sort(values), sorted(breaks))
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= len(breaks)


# ----------------------------------------------------------------------------------- metrics


@st.composite
def judged(draw):
    """Labels of both classes, and scores with ties."""
    size = draw(st.integers(2, 30))
    label = draw(arrays.arrays("int8", size, elements=st.integers(0, 1)))
    label[0], label[1] = 0, 1
    score = draw(arrays.arrays("float64", size, elements=st.sampled_from(np.linspace(0, 1, 9))))
    return label, score


@holds(of=judged(), threshold=st.sampled_from([0.25, 0.5, 0.75]))
def test_metrics_are_those_of_scikit_learn(of, threshold):
    label, score = of
    made = metrics.scores(label, score, threshold)
    hard = score >= threshold
    theirs = {
        "accuracy": sklearn.metrics.accuracy_score(label, hard),
        "recall": sklearn.metrics.recall_score(label, hard, zero_division=np.nan),
        "f1": sklearn.metrics.f1_score(label, hard, zero_division=np.nan),
        "brier": sklearn.metrics.brier_score_loss(label, score),
    }
    for name, value in theirs.items():
        assert made[name] == pytest.approx(value, nan_ok=True), name
    assert metrics.roc_auc(label, score) == pytest.approx(
        sklearn.metrics.roc_auc_score(label, score)
    )
    assert metrics.average_precision(label, score) == pytest.approx(
        sklearn.metrics.average_precision_score(label, score)
    )
    assert metrics.roc_auc(label, 1 - score) == pytest.approx(1 - metrics.roc_auc(label, score))


# ------------------------------------------------------------------------------------- zones


@holds(
    values=arrays.arrays("float32", 40, elements=st.floats(0, 1, width=32)),
    landslide=arrays.arrays("uint8", 40, elements=st.integers(0, 3)),
    k=st.integers(2, 9),
)
def test_zones_hold_all_cells_and_all_landslides(values, landslide, k):
    landslide[0] += 1  # none at all is an error, told elsewhere
    zones = zoning.zone(values, zoning.equal_breaks(values, k), "left")
    table = density_table(zones, landslide, k=k)
    assert table["zone"].tolist() == list(range(1, k + 1))
    assert int(table["cells"].sum()) == values.size
    assert table["share_of_cells"].sum() == pytest.approx(1)
    assert int(table["landslides"].sum()) == int(landslide.sum())
    assert table["share_of_landslides"].sum() == pytest.approx(1)


@holds(values=arrays.arrays("float64", 30, elements=st.floats(-1e3, 1e3)), k=st.integers(2, 6))
def test_quantiles_rise_from_the_least_to_the_greatest(values, k):
    try:
        breaks = zoning.quantile_breaks(values, k)
    except SampleError:
        assert len(np.unique(values)) == 1
        return
    assert (np.diff(breaks) > 0).all()
    assert (breaks[0], breaks[-1]) == (values.min(), values.max())


# ------------------------------------------------------------------------------------ splits


@holds(
    block=st.lists(st.integers(0, 12), min_size=3, max_size=60),
    test=st.floats(0.1, 0.6), validation=st.floats(0.1, 0.5), seed=st.integers(0, 99),
)  # fmt: skip
def test_no_block_is_in_two_parts(block, test, validation, seed):
    try:
        part = splits.block_split(
            block, test=test, validation=validation, rng=np.random.default_rng(seed)
        )
    except SampleError:
        return
    assert sorted(part.index) == sorted(set(block))
    assert part.index.is_unique
    assert set(part) == {"train", "validation", "test"}


# ------------------------------------------------------------------------------------- texts

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)  # fmt: skip


@holds(value=plain)
def test_plain_values_come_back_from_yaml(value):
    assert (
        parse_yaml(yaml.safe_dump(value)) == value
    )  # as it is, PyYAML would break lines at U+0085


@holds(text=st.text(max_size=60))
def test_any_text_is_yaml_or_is_said_to_be_none(text):
    with contextlib.suppress(NotYaml):
        parse_yaml(text)


settings_of_recipes = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=20),
        "seed": st.integers(-2, 2**33),
        "protocol": st.sampled_from(["honest", "paper"]),
        "training": st.fixed_dictionaries(
            {}, optional={"epochs": st.integers(-1, 400), "learning_rate": st.floats(),
                          "loss": st.sampled_from(["mse", "binary_crossentropy"])},
        ),
        "input": st.fixed_dictionaries(
            {}, optional={"form": st.sampled_from(["table", "window", "onehot"]),
                          "size": st.integers(0, 2000), "quantiles": st.integers(0, 30)},
        ),
        "split": st.fixed_dictionaries(
            {}, optional={"test": st.floats(), "block": st.floats(), "folds": st.integers(0, 9)},
        ),
        "zoning": st.fixed_dictionaries({}, optional={"k": st.integers(0, 12)}),
        "calibration": st.sampled_from(["none", "isotonic", "platt", "prayer"]),
    },
)  # fmt: skip


@holds(settings=settings_of_recipes)
def test_a_recipe_is_refused_or_comes_back_from_its_file(settings):
    whole = {"name": "rf", "model": {"name": "random_forest"}} | settings
    try:
        recipe = make_recipe(whole)
    except RecipeError:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        save_recipe(recipe, path)
        assert load_recipe(path) == recipe


@holds(names=st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_no_cell_of_a_csv_begins_like_a_formula(names):
    rows = list(csv.reader(io.StringIO(csv_of(pd.DataFrame({"name": names})), newline="")))
    told = [row[0] if row else "" for row in rows[1:]]
    assert not [cell for cell in told if cell.startswith(STARTS)]


@holds(secret=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=20))
def test_no_key_of_an_address_is_told(secret):
    told = without_secrets(f"https://u:{secret}@host.org/a/b.tif?X-Amz-Signature={secret}&y=1")
    assert secret not in told.replace("host.org", "")


@pytest.mark.torture
@pytest.mark.parametrize("name", PROPERTIES)
def test_many_examples(name):
    check, strategies = PROPERTIES[name]
    tried(check, strategies, AT_LENGTH)()
