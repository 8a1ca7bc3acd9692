"""A short walk through the dashboard in a real browser: `make e2e`.

Every page is opened on a small made workspace and used once. A console error, or a request to any
host but this one, fails the walk. With LSM_SCREENSHOTS=folder the pages are also kept as pictures,
of LSM_WORKSPACE where that is set.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from test_figures import finish_run, make_area, make_run

from lsm_app import heat_view, main, session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HERE = {"127.0.0.1", "localhost"}
WAIT = 30_000  # ms, for a busy machine

if not os.environ.get("LSM_WALK") and not os.environ.get("LSM_SCREENSHOTS"):
    pytest.skip("the walk takes a browser: `make e2e`, or LSM_WALK=1", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("no chromium: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install it")

# What the page's Bokeh models say: maps by their ranges, and the heat's colours.
MODELS = "() => [...Bokeh.documents[0].all_models]"
MAPS = f"""{MODELS}.filter(m => m.type === 'Figure')
  .filter(m => JSON.stringify(m.x_range.tags).includes('easting'))
  .map(m => [m.x_range.start, m.x_range.end])"""
MIDDLE = f"""() => {{
  const map = ({MODELS})().find(m => m.type === 'Figure' && JSON.stringify(m.x_range.tags)
    .includes('easting'))
  const element = Bokeh.index.find_one_by_id(map.id).el
  element.scrollIntoView({{block: 'center'}})
  const box = element.getBoundingClientRect()
  return [box.x + box.width / 2, box.y + box.height / 2]
}}"""
CELLS = f"""{MODELS}.filter(m => m.type === 'GlyphRenderer' && m.glyph.type === 'Image')
  .map(m => [m.data_source.data.dw[0], m.data_source.data.dh[0]])"""
CLEAR = f"""{MODELS}.filter(m => m.palette && m.palette.length === {heat_view.LEVELS})
  .map(m => m.palette.filter(colour => String(colour).startsWith('rgba')).length)"""
TELEPHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("walk")
    area = make_area(root)
    for i, name in enumerate(("cnn", "lsgh")):
        make_run(area, root / "runs", name, seed=i)
    make_run(area, root / "runs", "broken", state="failed")
    return root


@contextmanager
def served(workspace):
    """The address of the dashboard; its server ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(session.__file__).parent
    command = [sys.executable, "-m", "panel", "serve", str(folder), "--port", str(port)]
    command += ["--address", "127.0.0.1", "--num-threads", "4"]
    environment = os.environ | {"LSM_WORKSPACE": str(workspace)}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/{folder.name}"
    try:
        _wait_for(address)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait_for(address):
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=30).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def address(workspace):
    with served(workspace) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = play.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextmanager
def looking(browser, address, *, also=(), **screen):
    """A page that must not complain, nor ask anybody else (`also`: other hosts it may ask)."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | screen)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    wrong = []
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.extend(_elsewhere(asked.url, HERE.union(also))))
    page.goto(address)
    yield page
    context.close()
    assert not wrong


def _elsewhere(url, here=HERE):
    parts = urlsplit(url)
    inside = parts.scheme in ("data", "blob", "about") or parts.hostname in here
    return [] if inside else [f"asked {url}"]


def test_the_walk_notices_a_request_elsewhere():
    assert _elsewhere("https://cdn.example.org/icons.css") == [
        "asked https://cdn.example.org/icons.css"
    ]
    assert _elsewhere("http://127.0.0.1:5006/static/panel.js") == []


def test_runs_are_compared_and_a_new_one_joins(browser, address, workspace):
    """Curves and maps are drawn, maps move together and are read anew, a finished run comes in."""
    area = workspace / "areas" / "valley"
    run = make_run(area, workspace / "runs", "late", seed=9, state="running")
    with looking(browser, f"{address}?page=Compare") as page:
        page.get_by_text("epoch 5 of at most 10", exact=False).wait_for()
        page.get_by_text("CNN (honest)", exact=True).first.wait_for()
        _wait(page, MAPS, "maps => maps.length === 3")  # two runs and their difference
        _zoom(page)
        finish_run(run.path, seed=9)
        page.get_by_text("LATE (honest)", exact=True).first.wait_for()
        _wait(page, MAPS, "maps => maps.length >= 4")
        assert "late-valley" in page.url


def test_who_comes_back_to_a_page_finds_it_whole(browser, address):
    """No sign stays that it is being opened; the runs in use are named in their field."""
    with looking(browser, f"{address}?page=Training") as page:
        for name in ("Compare", "Training", "Export", "Compare", "Training", "Export"):
            page.get_by_role("button", name=name, exact=True).first.click()
            page.wait_for_function("name => window.lsm_page === name", arg=name)
            page.wait_for_timeout(500)  # what the server says back may come after
            assert page.get_by_text("Opening", exact=False).count() == 0
            if name != "Training":
                page.locator(".MuiChip-label").first.wait_for()


def _zoom(page):
    """One turn of the wheel over the first map moves both, and new cells arrive."""
    before, cells = page.evaluate(MAPS), page.evaluate(CELLS)
    assert before[0] == before[1]
    page.mouse.move(*page.evaluate(MIDDLE))
    page.mouse.wheel(0, -400)
    _wait(page, CELLS, f"cells => JSON.stringify(cells) !== JSON.stringify({cells})")
    near = page.evaluate(MAPS)
    assert near[0] == near[1]
    assert near[0][1] - near[0][0] < before[0][1] - before[0][0]


def _wait(page, of, until):
    page.wait_for_function(f"({until})(({of})())")


def test_the_radius_recolours_the_heat_and_a_failure_is_said(browser, address, workspace):
    with looking(browser, f"{address}?page=Sampling&area=valley&radius=195") as page:
        page.get_by_text("soft samples;", exact=False).wait_for()
        _wait(page, CLEAR, "mappers => mappers.length === 1")
        page.locator("input[type=range]").first.press("ArrowRight")
        page.get_by_text("14 cells", exact=True).wait_for()
        expected = heat_view.palette(210.0, 600.0).count(heat_view.CLEAR)
        assert page.evaluate(CLEAR) == [expected]
        page.wait_for_function("location.search.includes('radius=210')")
        page.get_by_text("Training", exact=True).click()
        page.get_by_role("tab", name="Runs", exact=True).click()
        page.get_by_text("the disk is full", exact=False).first.wait_for()
        assert "page=Training" in page.url


def test_a_telephone_shows_the_page_and_not_the_menu(browser, address):
    screen = {"viewport": {"width": 390, "height": 844}, "user_agent": TELEPHONE}
    with looking(browser, f"{address}?page=Training&part=Runs", **screen) as page:
        page.get_by_text("All runs, newest first").wait_for()
        assert page.get_by_text("Sampling", exact=True).count() == 0


# What scrolls is the part beside the menu: the page itself hides what is wider than it is. Said of
# each: how much wider it is than what is seen of it, and what reaches beyond its right edge.
BEYOND = """() => {
  const found = []
  const inner = (root, see) => root.querySelectorAll("*").forEach(node => {
    see(node)
    if (node.shadowRoot) inner(node.shadowRoot, see)
  })
  inner(document, node => {
    if (!node.classList.contains("main-content")) return
    const edge = node.getBoundingClientRect().right + 1
    const out = []
    inner(node, part => {
      if (part.getBoundingClientRect().right > edge) out.push(`${part.tagName}.${part.className}`)
    })
    found.push([node.scrollWidth - node.clientWidth, out.slice(0, 8)])
  })
  return found
}"""


@contextmanager
def settled(browser, address, name, **screen):
    """A page with all that comes a little later; it is no wider than the screen."""
    with looking(browser, f"{address}?page={name}", **screen) as page:
        page.locator(".MuiTypography-body2").first.wait_for()
        page.wait_for_timeout(4000)
        ((beyond, parts),) = page.evaluate(BEYOND)
        assert beyond <= 0, parts
        yield page


@pytest.mark.parametrize("name", main.PAGES)
def test_a_page_fits_a_telephone(browser, address, name):
    screen = {"viewport": {"width": 390, "height": 844}, "user_agent": TELEPHONE}
    with settled(browser, address, name, **screen):
        pass


AXE = """() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120)).join(' ... ')}`))"""


@pytest.mark.parametrize("name", main.PAGES)
def test_a_page_fits_the_screen_and_is_open_to_everybody(browser, address, name):
    """No serious breach of the rules for accessible pages, as axe-core knows them."""
    axe = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    with settled(browser, address, name) as page:
        page.add_script_tag(path=Path(axe.__file__).with_name("axe.min.js"))
        assert page.evaluate(AXE) == []


@pytest.mark.skipif("LSM_SCREENSHOTS" not in os.environ, reason="set LSM_SCREENSHOTS=folder")
def test_screenshots(browser, workspace):
    folder = Path(os.environ["LSM_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    with served(os.environ.get("LSM_WORKSPACE", workspace)) as address:
        for name, height in {"Compare": 1500, "Sampling": 1100, "Training": 800}.items():
            screen = {"viewport": {"width": 1280, "height": height}}
            with looking(browser, f"{address}?page={name}", **screen) as page:
                page.locator(".bk-Canvas").first.wait_for()
                page.wait_for_timeout(10_000)  # software drawing has no last event to wait for
                page.screenshot(path=folder / f"{name.lower()}.png")
