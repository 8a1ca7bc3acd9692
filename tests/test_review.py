"""Polygons under review, pictures of images, and a study area made of what was accepted."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from shapely.geometry import MultiPolygon, Polygon, box
from test_figures import GRID, make_area
from typer.testing import CliRunner

from lsm_core import cli
from lsm_core.adopted_area import adopt
from lsm_core.errors import AreaError, InventoryError
from lsm_core.review import (
    begin_review,
    find_folder,
    new_folder,
    open_review,
    save_inventory,
    save_review,
)
from lsm_core.study_area import inventory, open_area, save_area
from lsm_core.true_colour import colour_bands, has_image, picture

LEFT, TOP = 300000, 3800000


def square(x, y, side=90):
    return box(LEFT + x, TOP - y - side, LEFT + x + side, TOP - y)


def found(n=4):
    """Detected polygons, as `lsm detect` writes them."""
    shapes = [square(300 * i + 60, 300) for i in range(n)]
    scores = np.linspace(0.6, 0.9, n)
    columns = {"detection": np.arange(1, n + 1), "mean_score": scores, "max_score": scores + 0.05}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=32643)


def with_image(root, bands=("blue", "green", "red", "nir")):
    """The made area with an image in it."""
    path = make_area(root, "plain")
    ds = open_area(path).load()
    values = np.random.default_rng(1).uniform(0, 0.4, (len(bands), *GRID.shape)).astype("float32")
    values[:, 0, 0] = np.nan
    image = xr.DataArray(values, {"band": list(bands), "y": ds.y, "x": ds.x}, ("band", "y", "x"))
    ds = ds.assign(image=image)
    ds.attrs["name"] = "seen"
    return save_area(ds.drop_encoding(), root / "areas" / "seen", inventory=inventory(path)), values


# ------------------------------------------------------------------------------------- deciding


def test_nothing_is_accepted_because_nobody_looked():
    review = begin_review(found())
    assert review.counts["undecided"] == 4
    assert review.counts["accepted_km2"] == 0
    assert review.frame(["accepted"]).empty


def test_decisions_are_counted_and_undone_one_by_one():
    review = begin_review(found())
    assert review.decide([1, 2], "accepted") == "2 polygons accepted"
    assert review.decide([3], "rejected") == "3 rejected"
    assert review.counts["accepted_km2"] == pytest.approx(2 * 90 * 90 / 1e6)
    assert review.undo() == "undone: 3 rejected"
    assert review.pieces[3].state == "undecided"
    assert review.undo() == "undone: 2 polygons accepted"
    assert review.counts["undecided"] == 4
    assert review.undo() == "nothing to undo"
    assert review.redo() == "again: 2 polygons accepted"
    assert review.counts["accepted"] == 2


def test_a_new_step_forgets_what_was_undone():
    review = begin_review(found())
    review.decide([1], "accepted")
    review.undo()
    review.decide([2], "rejected")
    assert review.redo() == "nothing to do again"
    assert review.pieces[1].state == "undecided"


def test_any_steps_undone_give_back_what_was():
    """Of a hundred random steps, each undone one leaves what stood before it."""
    review, rng = begin_review(found()), np.random.default_rng(4)
    seen = [dict(review.pieces)]
    for _ in range(100):
        before, number = len(review.done), int(rng.choice(list(review.pieces)))
        x, y = (float(v) for v in rng.uniform(0, 1500, 2))
        kind = rng.integers(0, 4)
        if kind == 0:
            review.decide([number], str(rng.choice(["accepted", "rejected", "undecided"])))
        elif kind == 1:
            review.reshape(number, list(square(x, y).exterior.coords))
        elif kind == 2:
            review.draw(list(square(x, y).exterior.coords))
        else:
            review.remove(number)
        if len(review.done) > before:
            seen.append(dict(review.pieces))
    for pieces in seen[-2::-1]:
        review.undo()
        assert review.pieces == pieces
    for pieces in seen[1:]:
        review.redo()
        assert review.pieces == pieces


def test_an_outline_that_crosses_itself_is_made_valid():
    review = begin_review(found())
    review.reshape(1, [(0, 0), (100, 100), (100, 0), (0, 100)])
    shape = review.pieces[1].geometry
    assert shape.is_valid
    assert isinstance(shape, MultiPolygon)
    assert shape.area == pytest.approx(5000)
    assert review.pieces[1].edited


@pytest.mark.parametrize("corners", [[(0, 0), (1, 1)], [(0, 0), (1, 1), (2, 2)], [(0, 0)] * 5])
def test_an_outline_without_an_area_is_refused(corners):
    review = begin_review(found())
    before = dict(review.pieces)
    with pytest.raises(InventoryError, match=r"three corners|no area"):
        review.reshape(1, corners)
    assert review.pieces == before
    assert not review.done


def test_holes_stay_where_they_lie_inside():
    ring = Polygon(square(60, 300).exterior, [square(90, 330, 30).exterior])
    table = found().set_geometry([ring, *found().geometry[1:]])
    review = begin_review(table)
    review.reshape(1, list(square(50, 290, 120).exterior.coords))
    assert review.pieces[1].geometry.area == pytest.approx(120**2 - 30**2)
    review.reshape(1, list(square(600, 600, 60).exterior.coords))
    assert review.pieces[1].geometry.area == pytest.approx(60**2)


def test_what_is_drawn_is_accepted_and_may_go_what_is_detected_stays_on_record():
    review = begin_review(found())
    number = review.draw(list(square(0, 900).exterior.coords))
    assert (number, review.pieces[5].state, review.pieces[5].origin) == (5, "accepted", "drawn")
    review.remove(1)
    assert review.pieces[1].state == "rejected"
    review.remove(5)
    assert 5 not in review.pieces


def test_a_review_goes_on_where_it_was(tmp_path):
    review = begin_review(found())
    review.decide([2], "accepted")
    review.reshape(3, list(square(10, 10, 50).exterior.coords))
    review.draw(list(square(0, 900).exterior.coords))
    save_review(review, tmp_path / "review.gpkg")
    again = open_review(tmp_path / "review.gpkg")
    assert again.counts == review.counts
    for number, piece in review.pieces.items():
        other = again.pieces[number]
        assert (other.state, other.origin, other.edited) == (
            piece.state,
            piece.origin,
            piece.edited,
        )
        assert shapely.equals(other.geometry, piece.geometry)
    (tmp_path / "other.gpkg").write_bytes(b"no")
    with pytest.raises(InventoryError, match="no review that can be read"):
        open_review(tmp_path / "other.gpkg")


def test_areas_are_in_metres_of_a_crs_in_feet():
    review = begin_review(found(), metres=0.3048)
    review.decide([1], "accepted")
    assert review.counts["accepted_km2"] == pytest.approx(90 * 90 * 0.3048**2 / 1e6)


def test_folders_are_found_by_name_only(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    one, two = new_folder("run"), new_folder("run")
    assert one != two
    assert find_folder(two.name) == two
    for name in ("", "..", "../inventories", "nothing"):
        with pytest.raises(InventoryError, match="no review"):
            find_folder(name)


# ------------------------------------------------------------------------------ a study area


def test_accepted_polygons_become_the_landslides_of_an_area(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    base = make_area(tmp_path)
    review = begin_review(found())
    with pytest.raises(InventoryError, match="no polygon is accepted"):
        save_inventory(review, tmp_path / "i.gpkg")
    review.decide([1, 3], "accepted")
    assert save_inventory(review, tmp_path / "i.gpkg") == 2
    call = CliRunner().invoke(
        cli.app,
        ["adopt", str(tmp_path / "i.gpkg"), "--area", "valley", "--name", "mine", "--source", "me"],
    )
    assert call.exit_code == 0, call.output
    ds = open_area(tmp_path / "areas" / "mine")
    assert ds.attrs["name"] == "mine"
    assert "me" in ds.attrs["title"]
    assert ds.sizes["place"] == 2
    # 90 m squares on cells of 30 m: nine cells each, the first from row 10, column 2
    ids = ds["landslide_id"].to_numpy()
    assert np.argwhere(ids == 1).tolist() == [[r, c] for r in (10, 11, 12) for c in (2, 3, 4)]
    assert (ids == 2).sum() == 9
    np.testing.assert_allclose(ds["place_mean_score"], [0.6, 0.8])
    before = open_area(base)
    np.testing.assert_array_equal(ds["elevation"], before["elevation"])
    assert before.sizes["place"] == 40  # the area it was made of is as it was
    assert len(inventory(tmp_path / "areas" / "mine")) == 2


@pytest.mark.parametrize("name", ["valley", "../x", "", "a b"])
def test_a_name_that_is_taken_or_none_is_told(tmp_path, monkeypatch, name):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    make_area(tmp_path)
    found().to_file(tmp_path / "i.gpkg")
    with pytest.raises(AreaError, match=r"already|no name"):
        adopt(tmp_path / "i.gpkg", "valley", name)


# ---------------------------------------------------------------------------------- pictures


def test_a_picture_is_the_bands_stretched(tmp_path):
    path, values = with_image(tmp_path)
    ds = open_area(path)
    assert has_image(ds)
    assert colour_bands(ds) == ("red", "green", "blue")
    ends = np.array([[0.1, 0.3], [0.0, 0.4], [0.0, 0.2]], dtype="float32")
    seen = picture(ds, slice(10, 20), slice(5, 30), stretch=ends)
    assert seen.shape == (10, 25, 4)
    red = np.clip((values[2, 10:20, 5:30] - 0.1) / 0.2, 0, 1) * 255
    assert np.abs(seen[..., 0] - red).max() <= 0.51
    assert picture(ds)[0, 0, 3] == 0  # no data is clear
    assert max(picture(ds, most=30).shape[:2]) <= 30


def test_of_two_dates_the_later_is_seen_and_without_blue_vegetation_is_red(tmp_path):
    bands = ("green_before", "red_before", "nir_before", "green_after", "red_after", "nir_after")
    path, _ = with_image(tmp_path, bands)
    assert colour_bands(open_area(path)) == ("nir_after", "red_after", "green_after")
    plain = open_area(tmp_path / "areas" / "plain")
    assert not has_image(plain)
    with pytest.raises(AreaError, match="no image"):
        colour_bands(plain)
