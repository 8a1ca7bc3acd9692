"""A class limit is dragged in a real browser, and bars, map and address follow: `make e2e`."""

import os

import pytest

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from test_factors_page import made  # noqa: F401
from test_walk import browser, looking, served  # noqa: F401

MODELS = "[...Bokeh.documents[0].all_models]"
HANDLE = f"""() => {{
  const lines = {MODELS}.find(m => m.type === "GlyphRenderer" && m.glyph.type === "Scatter")
  const plot = {MODELS}.find(m => m.type === "Figure" && m.renderers.includes(lines))
  const view = Bokeh.index.find_one(plot)
  const box = view.canvas_view.el.getBoundingClientRect()
  const [x, y] = [lines.data_source.data.x[0], lines.data_source.data.y[0]]
  return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y), x]
}}"""
FIRST_BAR = f"""() => {MODELS}
  .filter(m => m.type === "GlyphRenderer" && m.glyph.type === "Quad" && m.data_source.data.colour)
  .map(m => m.data_source.data.right[0])[0]"""
LOWEST = f"""() => {{
  const palette = {MODELS}.find(m => m.palette && m.palette.length === 1024).palette
  return palette.filter(colour => colour === palette[0]).length
}}"""


def test_a_limit_is_dragged_and_all_follow(browser, made):  # noqa: F811
    chosen = "page=Factors&area=valley&limits={%22slope%22:[20,30,40]}"
    with served(made) as address, looking(browser, f"{address}?{chosen}") as page:
        page.set_default_timeout(120_000)
        page.get_by_text("Factors a model learns from").wait_for()
        page.locator(".bk-Canvas").first.wait_for()
        page.wait_for_function(f"(({FIRST_BAR})()) === 20")
        page.wait_for_timeout(2000)
        before = page.evaluate(LOWEST)
        left, top, _ = page.evaluate(HANDLE)
        page.mouse.move(left, top)
        page.mouse.down()
        for step in range(6, 49, 6):
            page.mouse.move(left - step, top)
        page.wait_for_function(f"(({LOWEST})()) < {before}")  # the map, while the line moves
        page.mouse.up()
        _, _, limit = page.evaluate(HANDLE)
        assert limit < 20
        page.wait_for_function(f"Math.abs((({FIRST_BAR})()) - {limit}) < 0.01")
        page.wait_for_function("!decodeURIComponent(location.search).includes('[20')")
        page.get_by_text("Most important first", exact=False).wait_for()
