"""How soon the dashboard is there: from the address to the first table, in a real browser.

The sample area with two runs on it, served as `lsm serve` does; every visit is a new tab. Left out
where there is no Chromium or no Playwright.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.serving import served, with_runs
from benchmarks.timing import Row

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VISITS = 5
TITLE = "Landslide susceptibility workbench"
LONGEST = 90_000  # ms


def rows(quick: bool) -> Iterator[Row]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("dashboard: left out, Playwright is not installed")
        return
    if CHROMIUM is None:
        print("dashboard: left out, there is no chromium")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        environment = with_runs(folder)
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = play.chromium.launch(executable_path=CHROMIUM, args=options)
        with served(environment) as (root, _):
            address = f"{root}?page=Compare"
            first = _visit(browser, address, 6000)
            warm = statistics.median(_visit(browser, address) for _ in range(VISITS))
        browser.close()
    note = f"two runs on the sample area; the first visit after the start took {first:.1f} s"
    yield Row("S2", f"dashboard, to the first table, median of {VISITS} warm visits", 3, warm, "s",
              note=note)  # fmt: skip


def _visit(browser: Any, address: str, stay: float = 500) -> float:
    """Seconds from the address to the first table."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_text(TITLE).first.wait_for(timeout=LONGEST)
    page.locator("table").first.wait_for(timeout=LONGEST)
    seconds = time.perf_counter() - began
    page.wait_for_timeout(stay)
    page.close()
    time.sleep(1.5)  # what it was about to draw is not the next visitor's
    return seconds
