"""What one visitor has chosen, what visitors share, and the small parts every page is made of.

The choice lives in the address (`?page=Sampling&area=...`), so that a view can be kept and sent.
Shared readers hold only what never changes once written, and only the last few of it.
"""

import asyncio
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from html import escape
from inspect import ismethod
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.io.callbacks import PeriodicCallback

from lsm_core.errors import LsmError

MOST_KEPT = 6  # shared readers kept in memory
# The buttons of number fields have no name that a reader of the page aloud could tell: they go.
TYPED = {"& .MuiInputAdornment-root": {"display": "none"}, "& input": {"paddingLeft": "14px"}}
for field in (pmui.FloatInput, pmui.IntInput):
    field.param.sx.default = TYPED

ICONS = {  # of the pages, in the menu's order
    "Study area": "terrain",
    "Factors": "tune",
    "Sampling": "blur_on",
    "Training": "model_training",
    "Compare": "compare_arrows",
    "Inventory": "satellite_alt",
    "Transfer": "moving",
    "Export": "file_download",
}


def is_name(text: str) -> bool:
    """Whether it can name something of the workspace; what else an address says is a path, say.

    >>> is_name("sample"), is_name(""), is_name("/etc"), is_name(".."), is_name("--to")
    (True, True, False, False, False)
    """
    plain = text.isprintable() and Path(text).name == text and "\\" not in text
    return plain and text[:1] not in (".", "-")


class Named(param.String):
    """The name of an area or a run; what is none is refused, in words, and another is looked at."""

    def __set__(self, obj: Any, value: Any) -> None:
        wrong = isinstance(value, str) and not is_name(value)
        super().__set__(obj, "" if wrong else value)
        if wrong:
            obj.refused = (
                f"{value[:200]!r} is the name of nothing in this workspace, so it is not opened: "
                f"an address names the {self.name} as the lists here do"
            )


class Session(param.Parameterized):
    """What is selected in one session; every value can be in the address."""

    page = param.Selector(default="Compare", objects=list(ICONS))
    area = Named(default="", doc="name of a built study area")
    look = param.String(default="Map", doc="part of the study area page that is looked at")
    factor = param.String(default="", doc="layer of the study area on its map")
    at = param.String(default="", doc="the cell whose values are told: [x, y]")
    runs = param.List(default=[], item_type=str, doc="ids of the runs compared")
    against = param.List(default=[], item_type=str, doc="ids of the runs whose maps are subtracted")
    layer = param.String(default="susceptibility.tif", doc="of the runs compared: its map's file")
    opacity = param.Number(default=0.7, bounds=(0, 1), doc="of these maps over the hillshade")
    places = param.Boolean(default=True, doc="whether landslides are drawn on these maps")
    breaks = param.String(default="natural", doc="how the classes of the density table are cut")
    where = param.String(default="", doc="cells and landslides of the density table")
    counted = param.String(default="", doc="landslides counted by classes one drags")
    zoned = Named(default="", doc="id of the run whose map these classes are shown on")
    threshold = param.Number(default=0.5, bounds=(0, 1), doc="of the scores on the Compare page")
    cuts = param.List(default=[], item_type=(int, float), doc="limits of the classes one moves")
    run = Named(default="", doc="id of the run whose training is looked at")
    recipe = param.String(default="lsgh_net", doc="what a new run starts from: see `recipes`")
    changes = param.List(default=[], item_type=str, doc="to that recipe, as key=value")
    part = param.String(default="", doc="of the training page: New run, Runs or Search")
    source = Named(default="", doc="id of the run that is carried to another area")
    target = Named(default="", doc="name of the area it is carried to")
    matched = param.String(default="", doc="name of the mapping between the two")
    printed = param.Dict(default={}, doc="how figures for print look: see `print_style.Look`")
    figures = param.List(default=[], item_type=str, doc="figures that are exported; none: a few")
    formats = param.List(default=["png", "pdf"], item_type=str, doc="of the figures exported")
    parts = param.List(default=[], item_type=str, doc="of an export; none: the usual ones")
    export = param.String(default="", doc="id of the errand that makes the zip")
    detector = param.String(default="", doc="id of the run whose landslides are looked at")
    review = param.String(default="", doc="folder of the polygons under review")
    step = param.String(default="Detector", doc="of the inventory page")
    mapping = param.String(default="", doc="id of the errand of the inventory page")
    refused = param.String(default="", doc="what is wrong with the address, in words")
    started = param.List(default=[], item_type=str, doc="ids of the runs started in this visit")
    busy = param.Boolean(default=False, doc="whether the bar at the top says so")
    coming = param.Integer(default=0, doc="how often a page was about to be put there again")
    shown = param.Integer(default=0, doc="how often a page was put on the screen")
    radius = param.Number(default=0.0, bounds=(0, None), doc="of the heat, metres; 0: not chosen")
    soft = param.Boolean(default=True, doc="whether soft samples are drawn from heat")
    heat = param.Dict(default={}, doc="settings of samples.heatmap, but for its diameter")
    sizes = param.List(default=[13], item_type=int, doc="of windows, cells across")
    negatives = param.Dict(default={"strategy": "random"}, doc="settings of samples.negatives")
    ratio = param.Number(default=1.0, bounds=(0, None), doc="negatives per landslide")
    protocol = param.Selector(default="honest", objects=["honest", "paper"])
    split = param.Dict(default={}, doc="settings of split; none: the usual ones")
    layers = param.List(default=["heat", "landslides", "windows"], doc="on the map of places")
    second = Named(default="", doc="built area that factors are held beside")
    classed = param.String(default="", doc="factor whose classes are looked at")
    limits = param.Dict(default={}, doc="of classes that were dragged: factor to limits")
    statistic = param.Selector(
        default="frequency_ratio",
        objects=["frequency_ratio", "information_value", "certainty_factor", "w_plus", "contrast"],
    )
    rules = param.Dict(default={}, doc="settings of selection: which factors are dropped")
    left_out = param.Dict(default={}, doc="factors left out, and why")

    def __init__(self, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.looks: list[Callable[[], None]] = []  # what its pages do again and again in a notebook


def keep_in(session: Session, of: str = "value", **fields: Any) -> None:
    """What is chosen in these fields goes into the session, under their names."""

    def keep(name: str, event: Any) -> None:
        setattr(session, name, event.new)

    for name, field in fields.items():
        field.param.watch(partial(keep, name), of)


UNKEPT = ("name", "started", "coming", "shown", "busy", "refused")
KEPT = [name for name in Session.param if name not in UNKEPT]  # in the address


# ------------------------------------------------------------------------------- shared readers

_lock = threading.Lock()
_turns: dict[Any, threading.Lock] = {}  # of what is being made now


def remember(
    key: tuple[Any, ...], make: Callable[[], Any], shelf: str = "", most: int | None = None
) -> Any:
    """`make()`, or what it gave last time for this key; shared by all visitors, the oldest go.

    Of visitors who ask at once for the same, one makes it and the others wait. A `shelf` keeps
    `most` things (`MOST_KEPT`) of its own, so that what is light does not drive out what is heavy.
    """
    with _lock:
        kept: OrderedDict[tuple[Any, ...], Any] = pn.state.cache.setdefault(
            f"lsm {shelf}", OrderedDict()
        )
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        turn = _turns.setdefault((shelf, key), threading.Lock())
    with turn:
        with _lock:
            if key in kept:
                return kept[key]
        value = make()
        with _lock:
            kept[key] = value
            _turns.pop((shelf, key), None)
            while len(kept) > (most or MOST_KEPT):
                kept.popitem(last=False)
    return value


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


# ------------------------------------------------------------------------------ parts of a page


def said(error: LsmError) -> pmui.Alert:
    """An error of the core, as its sentence."""
    return pmui.Alert(
        object=escape(str(error)), severity="warning", margin=(5, 10), sizing_mode="stretch_width"
    )


def purpose(text: str) -> pmui.Typography:
    """The line at the top of a page that says what it is for."""
    return pmui.Typography(text, variant="body2", sizing_mode="stretch_width")


def bar_html(share: float, title: str) -> str:
    """A bar that says its name to who hears the page; it wanders where the share is not known."""
    value = f'value="{100 * share:.0f}"' if share >= 0 else ""
    style = "width:100%;height:6px;accent-color:#1976d2"
    return f'<progress {value} max="100" aria-label="{escape(title)}" style="{style}"></progress>'


def html_table(styled: Any = None) -> pn.pane.DataFrame:
    """A pandas table, the first column to the left; it scrolls where it is too wide."""
    first = ":is(th, td):first-child { text-align: left !important; min-width: 90px; }"
    styles = {"overflow-x": "auto", "font-size": "13px"}
    return pn.pane.DataFrame(
        styled, sizing_mode="stretch_width", styles=styles, stylesheets=[first]
    )


def poll(session: Session, part: Any, look: Callable[[], None], period: int = 1000) -> None:
    """Call `look` when the page is on the screen, then every `period` ms while this visitor stays.

    Not while it is being put there: what changes then is not seen. A page that comes back looks
    before too, so that what is drawn is what has become of it. Where nobody is served `look`
    is called at once; in a notebook then again while `part` of the page is on the screen, between
    two cells.
    """
    begun: list[Any] = []

    def begin(_: Any) -> None:
        look()
        if not begun:  # in the background: a busy session shows in the pages of all others
            again = PeriodicCallback(callback=look, period=period, background=True)
            begun.append(again)
            again.start()
            pn.state.on_session_destroyed(lambda _: again.stop())

    if served():
        session.param.watch(lambda _: look(), "coming")
        session.param.watch(begin, "shown")
        return
    look()
    with suppress(RuntimeError):  # no kernel: nothing would call it
        asyncio.get_running_loop()
        session.looks.append(look)  # a page lives as long as its session, and so does this
        _again(part, look, period)


def _again(part: Any, look: Callable[[], None], period: int) -> None:
    """Call `look` every `period` ms while `part` is drawn somewhere, until both are gone."""
    seen = weakref.ref(part)
    found = weakref.WeakMethod(look) if ismethod(look) else weakref.ref(look)

    def go() -> None:
        alive, there = found(), seen()
        if alive is None or there is None:
            again.stop()
        elif there._models:  # what the browser has of it; none once the output was cleared
            alive()

    again = PeriodicCallback(callback=go, period=period, background=True)
    again.start()


def served() -> bool:
    """Whether a server is showing this to a visitor."""
    return bool(pn.state.curdoc and pn.state.curdoc.session_context)
