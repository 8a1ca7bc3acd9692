"""The application round the pages: a menu beside them, each built when it is first looked at."""

import importlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.themes import Theme

from lsm_app.session import ICONS, KEPT, Session, is_name, said, served
from lsm_app.settled import settle
from lsm_core.errors import AreaError, LsmError
from lsm_core.run_status import runs_folder
from lsm_core.workspace import area_path

# Named here, the look of a plot stays as the core's figures made it: else the browser paints it
# anew and tells the server of every axis.
PLOTS = ("Plot", "Figure", "Axis", "Grid", "Legend", "Title", "ColorBar", "BaseColorBar")
PAGES = {  # name to module, in the menu's order
    "Study area": "study_area",
    "Factors": "factors",
    "Sampling": "sampling",
    "Training": "training",
    "Compare": "compare",
    "Inventory": "inventory",
    "Transfer": "transfer",
    "Export": "export",
}
# The browser says at once that a page is being made, and no longer once the server has put it
# there; where one was last is kept by the browser until it is closed.
GOES = """
const name = names[[source.active].flat()[0]]
if (name === window.lsm_page) return  // the server says back what was pressed, maybe late
const sign = document.getElementById("lsm-busy") ?? document.createElement("div")
sign.id = "lsm-busy"
sign.setAttribute("role", "status")
sign.textContent = `Opening ${name} …`
sign.style.cssText = "position:fixed;top:72px;left:50%;transform:translateX(-50%);z-index:2000;" +
  "padding:6px 18px;border-radius:16px;background:#0d47a1;color:white;font:14px Roboto,sans-serif"
document.body.append(sign)
document.body.style.cursor = "progress"
"""
COMES = """
const {last, done} = JSON.parse(source.value)
if (done) {
  const scrolled = (root) => root.querySelector(".main-content") ??
    [...root.querySelectorAll("*")].map((e) => e.shadowRoot && scrolled(e.shadowRoot)).find(Boolean)
  if ((window.lsm_page ?? last.page) !== last.page) scrolled(document)?.scrollTo(0, 0)
  window.lsm_page = last.page
  document.getElementById("lsm-busy")?.remove()
  document.body.style.cursor = ""
}
document.cookie = `lsm_last=${encodeURIComponent(JSON.stringify(last))};path=/;SameSite=Strict`
"""
BROKEN = "This page could not be built: an error of the program, written to the server's log."


def frame(pages: Mapping[str, str], session: Session) -> pmui.Page:
    """The application: pages by name, with the module of each, beside a menu.

    A page is imported and built when it is first looked at, so that the first one is soon there.
    """
    settle()
    items = [{"label": name, "icon": ICONS[name]} for name in pages]
    menu = pmui.MenuList(items=items, dense=False, sizing_mode="stretch_width")
    # as tall as what is in it: else parts below a tall one lie over it
    main = pn.Column(sizing_mode="stretch_width", styles={"max-height": "none"})
    built: dict[str, Any] = {}
    menu.jscallback(args={"names": list(pages)}, active=GOES)
    there = pn.widgets.TextInput(visible=False)  # what the server tells the browser's part of this
    there.jscallback(value=COMES)

    making: list[str] = []  # the page that is being made

    def tell(*_: Any) -> None:
        last = {"page": session.page, "area": session.area}
        times = json.loads(there.value or '{"times": 0}')["times"] + 1
        there.value = json.dumps({"times": times, "done": not making, "last": last})

    def show(*_: Any) -> None:
        making[:] = [session.page]
        menu.active = list(pages).index(session.page)
        try:
            if session.page in built:
                session.coming += 1
            else:
                module = importlib.import_module(f"lsm_app.pages.{pages[session.page]}")
                built[session.page] = module.page(session)
            main[:] = [*_refused(session), built[session.page]]
            session.shown += 1
        except LsmError as error:
            main[:] = [said(error)]
        except Exception:
            main[:] = [pmui.Alert(object=BROKEN, severity="error")]
            raise
        finally:
            making.clear()
            tell()

    def choose(event: Any) -> None:
        if event.new is not None:
            page = list(pages)[event.new[0] if isinstance(event.new, tuple) else event.new]
            if page != session.page:
                session.param.update(page=page, refused="")

    if pn.state.curdoc:
        pn.state.curdoc.theme = Theme(json={"attrs": {name: {} for name in PLOTS}})
    if pn.state.location:
        plain = not pn.state.location.query_params  # it is written by `sync`
        pn.state.location.sync(session, KEPT, partial(take_singly, session))
        if plain:
            begin(session, pn.state.cookies.get("lsm_last", ""))
    session.param.watch(show, ["page", "refused"])
    session.param.watch(tell, "area")
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
        main=[main, there],  # beside the menu a telephone would not draw it
        sidebar_width=190,
        sidebar_open=not telephone,
        sidebar_resizable=False,  # its handle has a label where none may be
        theme_toggle=False,
        busy_indicator="linear",
    )
    # It would show that anybody's session is busy. None counts only once the page is there.
    pn.state.onload(lambda: whole.param.update(busy_indicator=None))
    # Following the server's, which is all sessions', a page would stay with the server for good.
    with param.edit_constant(whole):
        whole.busy = session.param.busy
    if telephone:  # there the menu covers the page: shut it after a choice
        session.param.watch(lambda _: whole.param.update(sidebar_open=False), "page")
    return whole


def begin(session: Session, last: str) -> None:
    """Where an address that says nothing opens: where this browser was last, else by what there is.

    `last` is the cookie of `COMES`. Without runs there is nothing to compare: first comes an area.
    """
    try:
        found = json.loads(unquote(last))
        page, area = str(found["page"]), str(found["area"])
    except (ValueError, TypeError, KeyError):
        some = any(runs_folder().glob("*/recipe.json"))
        page, area = "Compare" if some else "Study area", ""
    if page in PAGES:
        session.page = page
    if area and is_name(area) and (area_path(area) / "area.zarr").is_dir():
        session.area = area


def take_singly(session: Session, said: Mapping[str, Any]) -> None:
    """Take of an address what can be taken, and say what cannot: else one value spoils all others.

    `said` : values by parameter. A text is taken as it stands in the address: what looks like a
    number or a list, such as the cell `[x, y]`, was read as one.
    """
    there = dict(parse_qsl(pn.state.location.search.removeprefix("?")))
    for name, value in said.items():
        text = isinstance(session.param[name], param.String)
        try:
            session.param.update(**{name: there.get(name, "") if text else value})
        except ValueError:
            session.refused = (
                f"{name}={str(value)[:99]} of the address is nothing that is known here, so it is "
                "left out; all else was taken"
            )


def _refused(session: Session) -> list[pmui.Alert]:
    """What of the address was not taken."""
    return [said(AreaError(session.refused))] if session.refused else []
