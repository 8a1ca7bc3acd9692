"""A whole study in a real browser, from an empty workspace to a zip for the journal: `make e2e`.

The sample area is built, a factor left out, the radius moved, a network trained; the tab is closed
and the page comes back; the run is compared and exported. A console error, or a request to any host
but this one, fails the walk.
"""

import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

if not os.environ.get("LSM_WALK"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)

from test_walk import _wait_for, browser, looking  # noqa: F401

REASON = "the same as lithology here"
SOON, LONG = 60_000, 300_000  # ms; a machine that trains meanwhile is slow


@contextmanager
def lsm_serve(workspace):
    """The dashboard as a user starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "lsm_core.cli", "serve", "--port", str(port)]
    environment = os.environ | {"LSM_WORKSPACE": str(workspace)}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        _wait_for(address)
        yield address.replace("localhost", "127.0.0.1")
    finally:
        server.terminate()
        server.communicate(timeout=20)


def test_a_study_from_nothing_to_a_zip(browser, tmp_path):  # noqa: F811
    with lsm_serve(tmp_path) as address:
        with looking(browser, f"{address}?page=Study area") as page:
            _build_the_sample(page)
            _leave_a_factor_out(page)
            radius = _move_the_radius(page)
            run, other = (_train(page, address, seed) for seed in (1, 2))
        kept = yaml.safe_load((tmp_path / "recipes" / "mine.yaml").read_text())
        assert kept["input"]["left_out"] == {"land_cover": REASON}
        recipe = json.loads((tmp_path / "runs" / run / "recipe.json").read_text())
        assert "land_cover" not in recipe["input"]["factors"]
        assert recipe["samples"]["heatmap"]["diameter"] == pytest.approx(radius / 45, abs=0.01)
        with looking(browser, f"{address}?page=Training&run={run}") as page:  # the tab was closed
            page.get_by_text(re.compile("^Done")).first.wait_for(timeout=LONG)
            _compare_both(page)
            zipped = _export(page, tmp_path)
    names = zipfile.ZipFile(zipped).namelist()
    assert all(any(one in name for name in names) for one in (run, other))
    assert any(name.endswith("susceptibility.pdf") for name in names)
    assert any(name.endswith("susceptibility.tif") for name in names)
    assert any(name.endswith("recipe.json") for name in names)


def _build_the_sample(page):
    page.get_by_text("There is no study area", exact=False).wait_for(timeout=SOON)
    page.get_by_role("button", name="Sample area", exact=True).click()
    page.get_by_text("Building the sample area: done", exact=False).wait_for(timeout=LONG)
    page.locator("canvas").first.wait_for(timeout=SOON)


def _leave_a_factor_out(page):
    page.get_by_role("button", name="Factors", exact=True).click()
    box = page.get_by_role("checkbox", name="land_cover")
    box.wait_for(timeout=LONG)
    box.uncheck()
    page.get_by_label("Why land_cover is left out").fill(REASON)
    _keep(page)


def _keep(page):
    page.get_by_label("Keep as", exact=True).fill("mine")
    page.get_by_role("button", name="Keep as a recipe").click()
    page.get_by_text("Kept as mine in", exact=False).first.wait_for(timeout=SOON)


def _move_the_radius(page):
    """Two steps up by the keyboard; returns metres."""
    page.get_by_role("button", name="Sampling", exact=True).click()
    slider = page.get_by_role("slider", name=re.compile("Radius"))
    slider.wait_for(timeout=SOON)
    before = float(slider.get_attribute("aria-valuenow"))
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    after = float(slider.get_attribute("aria-valuenow"))
    assert after > before
    _keep(page)
    return after


def _train(page, address, seed):
    """A short training of the kept recipe; the name of the run."""
    settings = ["size=demo", "training.epochs=4", "area=sample", f"seed={seed}"]
    changes = quote(json.dumps(settings))
    chosen = f"part=New run&recipe=mine: mine&area=sample&changes={changes}"
    page.goto(f"{address}?page=Training&{chosen}")
    page.get_by_role("button", name="Start", exact=True).click(timeout=SOON)
    page.wait_for_url(re.compile("run=mine-sample"), timeout=SOON)
    page.get_by_text(re.compile("^(Queued|Running)")).first.wait_for(timeout=SOON)
    return re.search(r"[?&]run=([^&]+)", page.url).group(1)


def _compare_both(page):
    """Both runs are chosen on the page, and share a table of scores."""
    page.get_by_role("button", name="Compare", exact=True).click()
    chips = page.locator(".MuiChip-label")
    chips.nth(1).wait_for(timeout=LONG)  # the second joins once it is done
    assert chips.count() == 2
    for seed in (1, 2):
        page.locator("td", has_text=f"seed {seed}").first.wait_for(timeout=SOON)
    assert page.locator("th", has_text="AUC").count() > 0


def _export(page, folder):
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("button", name="Make the zip").click(timeout=SOON)
    link = page.get_by_role("link", name=re.compile("Download"))
    link.wait_for(timeout=LONG)
    with page.expect_download() as got:
        link.click()
    kept = Path(folder) / "exported.zip"
    got.value.save_as(kept)
    return kept
