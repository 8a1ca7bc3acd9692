"""Units are split as they are, with a landslide or without; a buffer is kept in metres."""

import numpy as np
import pytest
import xarray as xr

from lsm_core.errors import SampleError
from lsm_core.holdout import block_metres
from lsm_core.protocol import draw_places, scored
from lsm_core.recipe import make_recipe
from lsm_core.splits import overlap_report


def units(n=600, seed=0, points=True) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    ds = xr.Dataset(
        {
            "landslide": ("unit", (rng.random(n) < 0.3).astype("uint8")),
            "valid": ("unit", rng.random(n) < 0.95),
            "rock": ("unit", rng.integers(0, 4, n).astype("int16"), {"kind": "categorical"}),
            "district": ("unit", rng.integers(0, 5, n)),
        },
        attrs={"name": "table"},
    )
    if points:
        x, y = rng.uniform(0, 9000, (2, n))
        ds = ds.assign_coords(x=("unit", x), y=("unit", y))
    return ds


@pytest.mark.parametrize("method", ["random", "stratified", "blocks", "clusters", "knndm", "area"])
def test_units_are_split_as_they_are(method):
    ds = units()
    column = {"column": "district"} if method == "area" else {}
    settings = {"name": "r", "model": {"name": "x"}, "split": {"method": method} | column}
    samples, ground, counts = draw_places(ds, make_recipe(settings))
    slides = samples[samples["label"] == 1]
    assert len(slides) == counts["landslides"] == int((ds["landslide"] * ds["valid"]).sum())
    assert not samples.duplicated("row").any()
    assert overlap_report(samples, 1, ds)["share"] == 0.0
    assert ground.shape == (600, 1)
    test = scored(samples, "test")
    assert set(test["label"]) == {0, 1}
    assert ground[test["row"], 0].all()
    if method == "area":
        district = ds["district"].values
        held = set(district[test["row"]])
        assert not held & set(district[samples["row"][samples["split"] != "test"]])


def test_units_without_coordinates_are_split_at_random_or_by_column():
    ds = units(points=False)
    for method in ("random", "stratified"):
        settings = {"name": "r", "model": {"name": "x"}, "split": {"method": method}}
        samples = draw_places(ds, make_recipe(settings)).samples
        assert samples["x"].isna().all()
    with pytest.raises(SampleError, match="no coordinates, so that they cannot be kept apart"):
        draw_places(ds, make_recipe({"name": "r", "model": {"name": "x"}}))


def test_units_keep_a_buffer_in_metres():
    ds = units()
    split = {"method": "clusters", "buffer": 700.0}
    settings = {"name": "r", "model": {"name": "x"}, "split": split}
    samples, _, counts = draw_places(ds, make_recipe(settings))
    assert counts["landslides too near the test set"] > 0
    assert overlap_report(samples, 1, ds)["nearest_cells"][0] >= 700.0
    assert block_metres(ds, make_recipe(settings)) == 3000
