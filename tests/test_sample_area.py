"""The sample area keeps the contract, repeats itself, and hides a truth that can be found."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from lsm_core import sample_area
from lsm_core.errors import AreaError
from lsm_core.grid import grid_of
from lsm_core.imagery import channel
from lsm_core.sample_area import Sample
from lsm_core.study_area import categories, check_area, factors, inventory, open_area, save_area

FACTORS = [
    "elevation", "slope", "aspect", "plan_curvature", "profile_curvature", "slope_position", "twi",
    "distance_to_faults", "distance_to_streams", "distance_to_roads", "lithology", "land_cover",
]  # fmt: skip


@pytest.fixture(scope="module")
def sample() -> Sample:
    return sample_area.build()


def cells_of_places(ds: xr.Dataset) -> np.ndarray:
    rows, cols = grid_of(ds).rowcol(ds.place_x.values, ds.place_y.values)
    return rows * ds.sizes["x"] + cols


def test_it_keeps_the_contract(sample: Sample) -> None:
    ds = sample.ds
    check_area(ds)
    assert factors(ds) == FACTORS  # neither the truth nor the image is one
    assert ds.attrs["name"] == sample_area.NAME
    assert ds.attrs["simulated"] is True
    assert "simulated" in ds.attrs["title"]
    assert json.loads(ds.attrs["prepared"])["counts"]["kept"] == ds.sizes["place"]
    assert len(json.loads(ds.attrs["fingerprints"])["jacksboro_fault_dem.npz"]) == 64
    for name in FACTORS:
        assert set(ds[name].attrs) >= {"units", "kind", "long_name", "source"}, name


def test_every_cell_is_valid_and_only_flat_aspect_is_missing(sample: Sample) -> None:
    ds = sample.ds
    assert ds.valid.all()
    for name in FACTORS:
        if ds[name].attrs["kind"] == "categorical":
            assert set(np.unique(ds[name])) <= set(categories(ds[name])), name
        elif name != "aspect":
            assert np.isfinite(ds[name]).all(), name
    assert ds.aspect.isnull().mean() < 0.001


def test_the_terrain_is_real(sample: Sample) -> None:
    """Jacksboro: 236 to 1,076 m; the ends of a real range survive resampling nearly whole."""
    height = sample.ds.elevation
    assert 225 < float(height.min()) < 260
    assert 1040 < float(height.max()) < 1090
    assert grid_of(sample.ds).cell_size == 90
    assert min(grid_of(sample.ds).shape) > 300


def test_it_lies_where_jacksboro_lies(sample: Sample) -> None:
    """Its middle in degrees, and the faults on it where the relief has its steps."""
    box = gpd.GeoSeries([shapely.box(*grid_of(sample.ds).bounds)], crs=sample.ds.rio.crs)
    (middle,) = box.centroid.to_crs(4326)
    assert (middle.x, middle.y) == pytest.approx((-84.246, 36.590), abs=0.01)
    assert float(sample.ds.distance_to_faults.min()) < 90
    near = sample.ds.distance_to_faults < 1000
    assert float(sample.ds.slope.where(near).mean()) > float(sample.ds.slope.mean())


def test_the_area_is_the_same_always_and_another_with_another_rng(sample: Sample) -> None:
    xr.testing.assert_identical(sample_area.build().ds, sample.ds)
    once, again = (sample_area.build(resolution=200, rng=np.random.default_rng(3)) for _ in "ab")
    xr.testing.assert_identical(once.ds, again.ds)
    assert once.inventory.equals(again.inventory)
    other = sample_area.build(resolution=200, rng=np.random.default_rng(4)).ds
    xr.testing.assert_identical(once.ds.elevation, other.elevation)
    for name in ("landslide_id", "true_probability", "lithology", "land_cover", "image"):
        assert not np.array_equal(once.ds[name], other[name]), name


def test_landslides_are_apart_and_of_a_cell_to_a_dozen(sample: Sample) -> None:
    polygons = sample.inventory.geometry
    assert 600 <= len(polygons) <= 800
    assert polygons.is_valid.all()
    assert len(shapely.STRtree(polygons).query(polygons, predicate="intersects")[0]) == len(
        polygons
    )
    cells = np.bincount(sample.ds.landslide_id.values.ravel())[1:]
    assert cells.min() >= 1
    assert 10 <= cells.max() <= 15
    assert 2 <= np.median(cells) <= 4


def test_landslides_are_longer_downslope(sample: Sample) -> None:
    """The longest side of the smallest box round each lies near the aspect of its place."""
    boxes = shapely.get_coordinates(shapely.oriented_envelope(sample.inventory.geometry))
    corners = boxes.reshape(-1, 5, 2)
    sides = np.diff(corners, axis=1)[:, :2]
    length = np.hypot(sides[..., 0], sides[..., 1])
    longest = sides[np.arange(len(sides)), length.argmax(axis=1)]
    azimuth = np.degrees(np.arctan2(longest[:, 0], longest[:, 1]))
    downhill = sample.ds.aspect.values.ravel()[cells_of_places(sample.ds)]
    off = np.abs((azimuth - downhill + 90) % 180 - 90)
    assert np.nanmedian(off) < 20


def test_landslides_were_drawn_from_the_truth(sample: Sample) -> None:
    """As many in each tenth of the expected number as expected, the places standing for starts."""
    chance = sample.ds.true_probability.values.ravel().astype(float)
    assert chance.sum() == pytest.approx(sample.ds.sizes["place"], rel=0.01)
    order = np.argsort(chance)
    tenth = np.empty(chance.size, int)
    tenth[order] = np.minimum(np.cumsum(chance[order]) / chance.sum() * 10, 9).astype(int)
    found = np.bincount(tenth[cells_of_places(sample.ds)], minlength=10)
    # neighbours of likely cells are less likely: places a cell beside their start count lower
    assert (found[1:] > 35).all()
    assert found[5:].sum() > 250


def test_the_truth_tells_landslides_from_the_rest(sample: Sample) -> None:
    landslide = sample.ds.landslide.values.ravel()
    assert roc_auc_score(landslide, sample.ds.true_probability.values.ravel()) > 0.8


def test_a_forest_finds_much_of_the_truth_but_not_all(sample: Sample) -> None:
    """On places against as many others, random folds: far above slope alone, below the truth."""
    ds = sample.ds
    rng = np.random.default_rng(0)
    places = cells_of_places(ds)
    others = rng.choice(
        np.flatnonzero(ds.landslide.values.ravel() == 0), len(places), replace=False
    )
    cells = np.concatenate([places, others])
    label = np.repeat([1, 0], len(places))
    table = np.stack([np.nan_to_num(ds[name].values.ravel()[cells]) for name in FACTORS], axis=1)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
    score = cross_val_predict(forest, table, label, cv=folds, method="predict_proba")[:, 1]
    auc = roc_auc_score(label, score)
    assert 0.82 < auc < 0.92
    assert auc > 0.05 + roc_auc_score(label, ds.slope.values.ravel()[cells])
    assert auc < roc_auc_score(label, ds.true_probability.values.ravel()[cells])


def test_scars_can_be_seen(sample: Sample) -> None:
    """Brighter in red, with a lower NDVI, than the rest; a reflectance is within 0 and 1."""
    ds = sample.ds
    assert ds.image.dims == ("band", "y", "x")
    bands = ["blue", "green", "red", "nir"]
    assert ds.band.values.tolist() == bands + [f"{band}_before" for band in bands]
    assert 0 <= float(ds.image.min()) < float(ds.image.max()) <= 1
    red, nir = ds.image.sel(band="red"), ds.image.sel(band="nir")
    assert float(red.where(ds.landslide == 1).mean()) > 1.5 * float(red.mean())
    ndvi = (nir - red) / (nir + red)
    assert (
        float(ndvi.where(ds.landslide == 1).mean())
        < float(ndvi.where(ds.landslide == 0).mean()) - 0.2
    )


def test_the_image_before_knows_no_landslide(sample: Sample) -> None:
    """NDVI falls at scars between the dates; before, it tells them from nothing of like cover."""
    ds = sample.ds
    change, before = (channel(ds.image, name).values for name in ("d_ndvi", "ndvi_before"))
    scar, cover = ds.landslide.values == 1, ds.land_cover.values
    assert np.median(change[scar]) < -0.25
    assert abs(np.median(change[~scar])) < 0.05
    forest = cover == 1
    assert abs(before[forest & scar].mean() - before[forest & ~scar].mean()) < 0.01
    harvested = (change < -0.2) & ~scar  # a change that is no landslide
    assert 0.005 < harvested.mean() < 0.05
    assert (cover[harvested] == 4).mean() > 0.8
    assert roc_auc_score(scar.ravel(), -change.ravel()) > 0.95


def test_roads_keep_to_gentle_ground(sample: Sample) -> None:
    on_road = sample.ds.distance_to_roads == 0
    assert 300 < int(on_road.sum()) < 5000
    assert float(sample.ds.slope.where(on_road).mean()) < 0.6 * float(sample.ds.slope.mean())


def test_it_is_saved_and_opened_identical(sample: Sample, tmp_path: Path) -> None:
    path = save_area(sample.ds, tmp_path / "sample", inventory=sample.inventory)
    opened = open_area(path).load()
    for name in sample.ds.variables:
        np.testing.assert_array_equal(opened[name].values, sample.ds[name].values, str(name))
    assert opened.attrs == sample.ds.attrs
    assert factors(opened) == FACTORS
    assert len(inventory(path)) == len(sample.inventory)


def test_a_resolution_out_of_range_is_refused() -> None:
    with pytest.raises(AreaError, match="give 30 to 300 metres"):
        sample_area.build(resolution=10)


def test_how_many_landslides_and_what_it_is_called_can_be_said() -> None:
    few = sample_area.build(resolution=200, landslides=100, name="few")
    assert len(few.inventory) == few.ds.sizes["place"] == 100
    assert few.ds.attrs["name"] == "few"
    assert few.ds.attrs["simulated"] is True
    assert float(few.ds.true_probability.sum()) == pytest.approx(100, rel=0.01)
    with pytest.raises(AreaError, match="give 1 to 2000"):
        sample_area.build(landslides=0)
