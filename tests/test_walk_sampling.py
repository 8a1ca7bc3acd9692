"""How soon the heat follows the slider, in a real browser: `make e2e`.

An area of 720 x 830 cells with 3,592 landslides, of the size of Balakot's; with LSM_WALK_AREA a
built area of LSM_WORKSPACE is taken. From the key that moves the slider to the new colours (data)
and to the first changed pixels (paint), medians of twenty moves.
"""

import os
from statistics import median

import pytest
from affine import Affine
from rasterio.crs import CRS

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from test_figures import make_area
from test_walk import browser, looking, served  # noqa: F401

from lsm_app import heat_view
from lsm_core.grid import Grid

MOVES = 20
MOST = {"data": 150, "paint": 300}  # ms at the median; a browser without a GPU paints slowly
WATCH = """levels => {
  const found = []
  const search = root => root.querySelectorAll("*").forEach(node => {
    if (node.tagName === "CANVAS" && node.width > 200) found.push(node)
    if (node.shadowRoot) search(node.shadowRoot)
  })
  search(document)
  const small = new OffscreenCanvas(96, 96).getContext("2d", {willReadFrequently: true})
  const look = () => {
    let sum = 0
    for (const canvas of found) {
      small.clearRect(0, 0, 96, 96)
      small.drawImage(canvas, 0, 0, 96, 96)
      const pixels = small.getImageData(0, 0, 96, 96).data
      for (let i = 0; i < pixels.length; i++) sum = (sum * 31 + pixels[i]) | 0
    }
    return sum
  }
  const seen = window.seen = {moved: [], data: [], paint: []}
  let last = look()
  let waits = false
  const each = () => {
    if (waits) {
      const now = look()
      if (now !== last) { seen.paint.push(performance.now()); last = now; waits = false }
    }
    requestAnimationFrame(each)
  }
  const mapper = [...Bokeh.documents[0].all_models]
    .find(model => model.palette && model.palette.length === levels)
  mapper.properties.palette.change.connect(() => seen.data.push(performance.now()))
  window.addEventListener("keydown", event => {
    seen.moved.push(event.timeStamp); waits = true; last = look()
  }, true)
  requestAnimationFrame(each)
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Workspace and area: a made one as large as Balakot's, or one that is there."""
    if "LSM_WALK_AREA" in os.environ:
        return os.environ["LSM_WORKSPACE"], os.environ["LSM_WALK_AREA"]
    root = tmp_path_factory.mktemp("walk")
    grid = Grid((830, 720), Affine(30, 0, 300000, 0, -30, 3800000), CRS.from_epsg(32643))
    return root, make_area(root, "large", grid, 3592).name


def test_the_heat_follows_the_slider_at_once(browser, place):  # noqa: F811
    workspace, area = place
    with (
        served(workspace) as address,
        looking(browser, f"{address}?page=Sampling&area={area}") as page,
    ):
        page.set_default_timeout(120_000)
        page.get_by_text("soft samples;", exact=False).wait_for()
        page.locator(".bk-Canvas").first.wait_for()
        page.wait_for_timeout(5000)  # software drawing has no last event to wait for
        page.evaluate(WATCH, heat_view.LEVELS)
        slider = page.locator("input[type=range]").first
        for i in range(MOVES):
            slider.press("ArrowRight" if i < MOVES / 2 else "ArrowLeft")
            page.wait_for_function(f"window.seen.paint.length > {i}")
            page.wait_for_timeout(300)
        seen = page.evaluate("window.seen")
    assert len(seen["moved"]) == len(seen["data"]) == len(seen["paint"]) == MOVES
    took = {
        what: [now - then for now, then in zip(seen[what], seen["moved"], strict=True)]
        for what in ("data", "paint")
    }
    for what, times in took.items():
        print(
            f"{area}: move to {what} {median(times):.0f} ms at the median, {max(times):.0f} at most"
        )
        assert median(times) < MOST[what]
