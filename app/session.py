"""What one visitor has chosen, and readers shared by all: areas, hillshades, runs, progress.

The choice lives in the address (`?page=Heatmap&area=...`), so that a view can be kept and sent.
Shared readers hold only what never changes once written, and only the last few of it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
import xarray as xr
from numpy.typing import NDArray

from lsm_core.errors import AreaError, LsmError
from lsm_core.grid import Grid, grid_of
from lsm_core.runs import Run, list_runs, read_progress
from lsm_core.study_area import is_units, open_area, workspace
from lsm_core.terrain import hillshade

PAGES = ("Compare", "Heatmap", "Training")
ICONS = {"Compare": "compare_arrows", "Heatmap": "blur_on", "Training": "model_training"}
HEIGHTS = ("elevation", "altitude", "dem")  # names a study area may give its heights
MOST_KEPT = 6  # shared readers kept in memory
COARSEST = 512  # cells a side, below which a hillshade needs no coarser level
BROKEN = "This page could not be built: an error of the program, written to the server's log."
STRIP = 1024  # rows of a hillshade lit at a time


class Session(param.Parameterized):
    """What is selected in one session; every value can be in the address."""

    page = param.Selector(default="Compare", objects=list(PAGES))
    area = param.String(default="", doc="name of a built study area")
    runs = param.List(default=[], item_type=str, doc="ids of the runs compared")
    run = param.String(default="", doc="id of the run whose training is looked at")
    shown = param.Integer(default=0, doc="how often a page was put on the screen")
    radius = param.Number(default=0.0, bounds=(0, None), doc="of the heat, metres; 0: not chosen")


# ------------------------------------------------------------------------------- shared readers

_lock = threading.Lock()


def remember(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """`make()`, or what it gave last time for this key; shared by all visitors, the oldest go."""
    with _lock:
        kept: OrderedDict[tuple[Any, ...], Any] = pn.state.cache.setdefault("lsm", OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    value = make()
    with _lock:
        kept[key] = value
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    return value


@dataclass(frozen=True)
class Ground:
    """What lies under every map of a study area; arrays are read-only.

    `shades` is a hillshade (y, x) uint8 and its halvings, finest first; empty without heights.
    `free` (y, x) is true in valid cells without a landslide; `cells` counts the valid ones.
    """

    name: str
    title: str
    grid: Grid
    shades: tuple[NDArray[np.uint8], ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    free: NDArray[np.bool_]
    cells: int
    simulated: bool

    @property
    def unit(self) -> str:
        """Short name of the grid's unit of length."""
        return "m" if self.grid.metres_per_unit == 1 else self.grid.crs.linear_units


def built_areas() -> list[str]:
    """Names of the study areas in the workspace, by name."""
    return sorted(path.parent.name for path in (workspace() / "areas").glob("*/area.zarr"))


def ground_of(path: Path | str) -> Ground:
    """The ground of the study area in a folder, read once for all visitors.

    Errors: no such area, or one that breaks its contract (AreaError).
    """
    path = Path(path)
    store = path / "area.zarr"
    changed = store.stat().st_mtime_ns if store.is_dir() else 0
    return remember(("ground", str(path.resolve()), changed), lambda: _read_ground(path))


def _read_ground(path: Path) -> Ground:
    ds = open_area(path)
    if is_units(ds):
        raise AreaError(f"{path.name} is made of units, not of cells: choose an area with a map")
    height = next((name for name in HEIGHTS if name in ds), None)
    x, y = (_frozen(ds[name].values.astype("float64")) for name in ("place_x", "place_y"))
    valid = ds["valid"].values
    return Ground(
        name=path.name,
        title=str(ds.attrs.get("title") or ds.attrs.get("name") or path.name),
        grid=grid_of(ds),
        shades=() if height is None else _halvings(_lit(ds[height])),
        x=x,
        y=y,
        free=_frozen(valid & (ds["landslide"].values == 0)),
        cells=int(valid.sum()),
        simulated=bool(ds.attrs.get("simulated", False)),
    )


def _lit(dem: xr.DataArray) -> NDArray[np.uint8]:
    """The hillshade in strips, each with a row of its neighbours, so that no seam shows."""
    rows = dem.sizes["y"]
    light = np.empty(dem.shape, np.uint8)
    for top in range(0, rows, STRIP):
        above, bottom = max(0, top - 1), min(rows, top + STRIP)
        part = dem.isel(y=slice(above, min(rows, bottom + 1))).load()
        strip = hillshade(part).values[top - above : bottom - above]
        light[top:bottom] = np.nan_to_num(strip, nan=255)
    return _frozen(light)


def _halvings(light: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels = [light]
    while max(levels[-1].shape) > COARSEST:
        last = levels[-1]
        even = np.pad(last, [(0, n % 2) for n in last.shape], mode="edge").astype(np.uint16)
        four = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
        levels.append(_frozen((four // 4).astype(np.uint8)))
    return tuple(levels)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


# -------------------------------------------------------------------------------- runs, followed


@dataclass
class Follower:
    """One run's progress, read on from where the last look ended."""

    path: Path
    offset: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    def look(self) -> "Follower":
        """Read the lines written since; returns itself."""
        events, self.offset = read_progress(self.path, self.offset)
        self.epochs += [event for event in events if event["event"] == "epoch"]
        self.last = events[-1] if events else self.last
        return self

    @property
    def percent(self) -> int:
        """Of the training, or of the map, that is done; -1 where nobody can say."""
        done, total = self.last.get("done"), self.last.get("total")
        if self.last.get("event") in ("epoch", "batch"):
            done, total = self.last.get("epoch"), self.last.get("epochs")
        return round(100 * done / total) if done is not None and total else -1

    @property
    def words(self) -> str:
        """Where the run stands: stage, epoch, losses, score and time left, as far as known."""
        if self.last.get("event") == "map":
            return f"mapping: row block {self.last['done']} of {self.last['total']}"
        if self.last.get("event") == "stage":
            return str(self.last.get("message") or self.last.get("stage"))
        if not self.epochs:
            return "starting"
        epoch = self.epochs[-1]
        said = [f"epoch {epoch['epoch']} of at most {epoch['epochs']}"]
        names = {"loss": "loss", "val_loss": "validation loss", "val_average_precision": "AP"}
        said += [f"{name} {epoch[k]:.3f}" for k, name in names.items() if epoch.get(k) is not None]
        if epoch.get("eta") is not None:
            said.append(f"{in_words(epoch['eta'])} left at most")
        return ", ".join(said)


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(8), in_words(130), in_words(7300)
    ('8 s', '2 min 10 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def known_runs() -> list[tuple[Run, str]]:
    """Runs of the workspace with their states, newest first."""
    return [(run, run.state) for run in reversed(list_runs())]


class Newest:
    """Do `work` after a request; of requests that come while it works, only the last counts."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self._mutex = threading.Lock()
        self._asked = self._busy = False

    def __call__(self, *_: Any) -> None:
        with self._mutex:
            self._asked = True
            if self._busy:
                return
            self._busy = True
        try:
            while self._next():
                self.work()
        except BaseException:
            self._busy = False
            raise

    def _next(self) -> bool:
        with self._mutex:
            asked, self._asked = self._asked, False
            self._busy = asked
            return asked


# ------------------------------------------------------------------------------------ the frame


def said(error: LsmError) -> pmui.Alert:
    """An error of the core, as its sentence."""
    return pmui.Alert(
        object=escape(str(error)), severity="warning", margin=(5, 10), sizing_mode="stretch_width"
    )


def purpose(text: str) -> pmui.Typography:
    """The line at the top of a page that says what it is for."""
    return pmui.Typography(text, variant="body2", sizing_mode="stretch_width")


def html_table(styled: Any = None) -> pn.pane.DataFrame:
    """A pandas table, the first column to the left; it scrolls where it is too wide."""
    first = ":is(th, td):first-child { text-align: left !important; }"
    styles = {"overflow-x": "auto", "font-size": "13px"}
    return pn.pane.DataFrame(
        styled, sizing_mode="stretch_width", styles=styles, stylesheets=[first]
    )


def poll(session: Session, look: Callable[[], None], period: int = 1000) -> None:
    """Call `look` when the page is on the screen, then every `period` ms while this visitor stays.

    Not before: what another thread changes while a page is being put there is not seen. In a
    notebook or a test `look` is called once, at once.
    """
    begun: list[Any] = []

    def begin(_: Any) -> None:
        look()
        if not begun:
            begun.append(pn.state.add_periodic_callback(look, period=period))

    if served():
        session.param.watch(begin, "shown")
    else:
        look()


def served() -> bool:
    """Whether a server is showing this to a visitor."""
    return bool(pn.state.curdoc and pn.state.curdoc.session_context)


def frame(pages: Mapping[str, Callable[[Session], Any]], session: Session) -> pmui.Page:
    """The application: pages by name beside a menu, each built when first looked at."""
    items = [{"label": name, "icon": ICONS[name]} for name in pages]
    menu = pmui.MenuList(items=items, dense=False, sizing_mode="stretch_width")
    main = pn.Column(sizing_mode="stretch_width")
    built: dict[str, Any] = {}

    def show(*_: Any) -> None:
        menu.active = list(pages).index(session.page)
        try:
            if session.page not in built:
                built[session.page] = pages[session.page](session)
            main[:] = [built[session.page]]
            session.shown += 1
        except LsmError as error:
            main[:] = [said(error)]
        except Exception:
            main[:] = [pmui.Alert(object=BROKEN, severity="error")]
            raise

    def choose(event: Any) -> None:
        if event.new is not None:
            session.page = list(pages)[event.new[0] if isinstance(event.new, tuple) else event.new]

    if pn.state.location:
        pn.state.location.sync(session, ["page", "area", "runs", "run", "radius"])
    session.param.watch(show, "page")
    menu.param.watch(choose, "active")
    if served():
        main[:] = [pmui.LoadingSpinner(value=True, size=40, margin=40)]
        pn.state.onload(show)  # the frame is seen before the page is built
    else:
        show()
    telephone = "Mobi" in pn.state.headers.get("User-Agent", "")
    whole = pmui.Page(
        title="Landslide susceptibility workbench",
        sidebar=[menu],
        main=[main],
        sidebar_width=190,
        sidebar_open=not telephone,
        theme_toggle=False,
        busy_indicator="linear",
    )
    if telephone:  # there the menu covers the page: shut it after a choice
        session.param.watch(lambda _: whole.param.update(sidebar_open=False), "page")
    return whole
