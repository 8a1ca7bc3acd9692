"""A class limit dragged by hand in a real browser: curve, table and address follow: `make e2e`."""

import os

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


CUTS = 'JSON.parse(new URLSearchParams(location.search).get("cuts"))'


def test_table_curve_and_address_follow_a_dragged_limit(browser, address):  # noqa: F811
    with looking(browser, f"{address}?page=Compare&cuts=[0.3, 0.5, 0.7]") as page:
        page.get_by_text("Classes by limits one drags").click()
        page.wait_for_function(f"() => ({LINE})() !== null")
        page.get_by_text("moderate | high").wait_for()
        page.get_by_text("More of this page is being made").wait_for(state="hidden")
        page.evaluate(LINE)
        page.wait_for_timeout(1000)  # it scrolls there
        line = page.evaluate(LINE)
        table = page.get_by_role("table").filter(has_text="landslides per 1,000 cells").first
        before = table.inner_text()
        page.mouse.move(line["x"], line["y"])
        page.mouse.down()
        page.mouse.move(line["x"] + 30, line["y"], steps=5)
        page.mouse.up()
        page.wait_for_function(f"({LINE})().limit > {line['limit'] + 0.02}")
        page.wait_for_function(f"() => Math.abs({CUTS}[1] - ({LINE})().limit) < 0.006")
        assert page.evaluate(f"() => {CUTS}[0]") == 0.3
        assert table.inner_text() != before
