"""Polygons decided on by hand, and the web map, in a real browser: `make e2e`."""

import io
import os

import geopandas as gpd
import numpy as np
import pytest

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from PIL import Image
from test_figures import make_area, make_run
from test_review import LEFT, TOP, found, with_image
from test_walk import address, browser, looking  # noqa: F401

from lsm_app.review_view import DETECTED, INVENTORY, REVIEW
from lsm_core.review import new_folder

TILES = {"tile.openstreetmap.org", *(f"{one}.tile.openstreetmap.org" for one in "abc")}
BLUE = (20, 60, 220)

# Where a place of the ground is on the screen, on the map whose polygons are changed.
PLACE = """([x, y]) => {
  const isMap = m => m.type === "Figure" && m.toolbar.tools.some(t => t.type === "PolyEditTool")
  const view = Bokeh.index.find_one_by_id([...Bokeh.documents[0].all_models].find(isMap).id)
  const box = view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
}"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Two areas, one with an image, and polygons found on it that nobody has decided on."""
    root = tmp_path_factory.mktemp("hands")
    make_area(root)
    area, _ = with_image(root)
    make_run(area, root / "runs", "unet", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_WORKSPACE", str(root))
        found().to_file(new_folder("unet") / DETECTED, layer="detected", driver="GPKG")
    return root


def place(page, x, y):
    """Metres to the right of the map's left, and below its top, on the screen."""
    return page.evaluate(PLACE, [LEFT + x, TOP - y])


def tap(page, x, y):
    """Once the page rests: two taps at once are a double tap, and one taken late is a press."""
    page.wait_for_timeout(600)
    page.mouse.click(*place(page, x, y))


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_polygons_are_accepted_reshaped_and_drawn_by_hand(browser, address, workspace):  # noqa: F811
    (folder,) = (workspace / "inventories").iterdir()
    before = found().geometry
    with looking(browser, f"{address}?page=Inventory&step=Polygons&review={folder.name}") as page:
        page.get_by_text("4 undecided").wait_for()
        page.locator("canvas").first.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)  # it scrolls there
        tap(page, 105, 345)
        page.get_by_text("1: undecided, 8,100 m2", exact=False).wait_for()
        press(page, "Accept")
        page.get_by_text("1 accepted", exact=True).first.wait_for()

        tap(page, 405, 345)
        page.get_by_text("2: undecided", exact=False).wait_for()
        press(page, "Change outline")
        page.get_by_text("The outline of 2 can be changed now.").wait_for()
        page.mouse.move(*place(page, 405, 345))
        page.mouse.down()
        page.wait_for_timeout(1000)  # held, until its corners show
        page.mouse.up()
        page.mouse.move(*place(page, 360, 300))
        page.mouse.down()
        page.mouse.move(*place(page, 300, 240), steps=5)
        page.mouse.up()
        page.get_by_text("1 changed, 0 drawn").wait_for()
        press(page, "Change outline")

        press(page, "Draw a polygon")
        for x, y in ((200, 1200), (600, 1200), (600, 1500)):
            tap(page, x, y)
        page.get_by_text("3 corners", exact=False).wait_for()
        press(page, "Finish the polygon")
        page.get_by_text("1 changed, 1 drawn").wait_for()
        press(page, "Save as GeoPackage")
        page.get_by_text("2 polygons: ", exact=False).wait_for()
    kept = gpd.read_file(folder / REVIEW).set_index("number")
    assert kept["state"].tolist() == ["accepted", "undecided", "undecided", "undecided", "accepted"]
    assert kept.geometry[1].equals(before[0])
    assert kept.geometry[2].area == pytest.approx(90 * 90 + 60 * 90, rel=0.05)
    assert kept.geometry[5].area == pytest.approx(400 * 300 / 2, rel=0.05)
    assert len(gpd.read_file(folder / INVENTORY)) == 2


def test_the_web_map_asks_for_tiles_once_it_is_switched_on(browser, address):  # noqa: F811
    tile = io.BytesIO()
    Image.new("RGB", (256, 256), BLUE).save(tile, "PNG")
    asked = []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(body=tile.getvalue(), content_type="image/png")

    ground = f"{address}?page=Study area&area=valley&factor=no factor"
    with looking(browser, ground, also=TILES) as page:
        page.route("**/*tile.openstreetmap.org/**", answer)
        page.get_by_label("Landslides", exact=True).wait_for()
        page.locator("canvas").first.wait_for()
        page.wait_for_timeout(3000)
        assert not asked
        page.get_by_label("Web map", exact=True).click()
        page.get_by_text("OpenStreetMap", exact=False).first.wait_for()
        page.wait_for_timeout(5000)
        assert asked
        seen = page.screenshot()
    drawn = np.asarray(Image.open(io.BytesIO(seen)).convert("RGB"))
    assert (drawn == BLUE).all(axis=-1).sum() > 50_000  # nothing lies over the tiles but lines
