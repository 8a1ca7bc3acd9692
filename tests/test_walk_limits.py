"""A class limit dragged by hand in a real browser: curve, table and address follow: `make e2e`."""

import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from test_walk import address, browser, looking, workspace  # noqa: F401

# Where the second limit's line stands on the screen, and where it stands in the data.
LINE = """() => {
  const [_, span] = [...Bokeh.documents[0].all_models]
    .filter(m => m.type === "Span" && m.editable).sort((a, b) => a.location - b.location)
  const [view] = [...Bokeh.index.query(one => one.model === span)]
  if (!view) return null
  const plot = view.plot_view
  plot.el.scrollIntoView({block: "center"})
  const box = plot.el.getBoundingClientRect()
  const at = plot.frame.x_scale.compute(span.location)
  return {x: box.x + at, y: box.y + plot.frame.bbox.vcenter, limit: span.location}
}"""


def cuts(page):
    return json.loads(parse_qs(urlsplit(page.url).query).get("cuts", ["[]"])[0])


def test_table_curve_and_address_follow_a_dragged_limit(browser, address):  # noqa: F811
    with looking(browser, f"{address}?page=Compare&cuts=[0.3, 0.5, 0.7]") as page:
        page.get_by_text("Classes by limits one drags").click()
        page.wait_for_function(f"() => ({LINE})() !== null")
        page.get_by_text("moderate | high").wait_for()
        page.wait_for_timeout(1000)  # the page still grows
        line = page.evaluate(LINE)
        before = page.get_by_role("table").last.inner_text()
        page.mouse.move(line["x"], line["y"])
        page.mouse.down()
        page.mouse.move(line["x"] + 30, line["y"], steps=5)
        page.mouse.up()
        page.wait_for_function(f"({LINE})().limit > {line['limit'] + 0.02}")
        page.wait_for_function("() => !location.href.includes('0.5')")
        assert cuts(page)[0] == 0.3
        assert cuts(page)[1] == pytest.approx(page.evaluate(LINE)["limit"], abs=0.006)
        assert page.get_by_role("table").last.inner_text() != before
