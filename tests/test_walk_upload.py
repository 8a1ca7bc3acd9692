"""An area from one's own files in a real browser, on screen alone: `make e2e`.

Files are dropped, one of them no raster at all; the area is drafted, named and built, and its map
is there. A console error, or a request to any host but this one, fails the walk.
"""

import os

import numpy as np
import pytest
from boxes import cells, frame
from sources import write_raster

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from playwright.sync_api import expect
from test_walk import browser, looking  # noqa: F401
from test_walk_story import LONG, SOON, lsm_serve


@pytest.fixture
def files(tmp_path):
    rows, cols = np.indices((60, 80))
    height = 1500 + 10 * rows + 40 * np.sin(cols / 5) + 25 * np.cos(rows / 7)
    write_raster(tmp_path / "dem.tif", height.astype("float32"))
    corners = np.random.default_rng(1).integers(2, (56, 76), (25, 2))
    frame(*(cells(row, col, 2, 2) for row, col in corners)).to_file(tmp_path / "slides.gpkg")
    frame(cells(5, 5, 9, 9).boundary).to_file(tmp_path / "faults.gpkg")
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    return tmp_path


def test_dropped_files_become_an_area(browser, files):  # noqa: F811
    with (
        lsm_serve(files / "workspace") as address,
        looking(browser, f"{address}?page=Study area&look=New area") as page,
    ):
        dropped = [files / name for name in ("dem.tif", "slides.gpkg", "faults.gpkg", "broken.tif")]
        page.locator("input[type=file]").set_input_files(dropped)
        page.get_by_text("is not what its name says", exact=False).first.wait_for(timeout=SOON)
        draft = page.get_by_role("button", name="Draft the area")
        draft.wait_for(timeout=SOON)
        draft.click()
        expect(page.get_by_text("Change what you like below", exact=False)).to_be_in_viewport()
        page.get_by_label("Name: letters", exact=False).first.fill("hills")
        page.get_by_role("button", name="Build this area").click()
        page.get_by_text("Building area hills: done", exact=False).wait_for(timeout=LONG)
        page.locator("canvas").first.wait_for(timeout=SOON)
        assert "area=hills" in page.url
    built = files / "workspace" / "areas" / "hills" / "area.zarr"
    assert built.is_dir()
    assert sorted(p.name for p in (files / "workspace" / "areas").iterdir()) == [
        "hills",
        "hills.yaml",
    ]
