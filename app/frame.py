"""The application round the pages: a menu beside them, each built when it is first looked at."""

import importlib
from collections.abc import Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.themes import Theme

from lsm_app.session import ICONS, KEPT, Session, said, served
from lsm_core.errors import AreaError, LsmError

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
BROKEN = "This page could not be built: an error of the program, written to the server's log."


def frame(pages: Mapping[str, str], session: Session) -> pmui.Page:
    """The application: pages by name, with the module of each, beside a menu.

    A page is imported and built when it is first looked at, so that the first one is soon there.
    """
    items = [{"label": name, "icon": ICONS[name]} for name in pages]
    menu = pmui.MenuList(items=items, dense=False, sizing_mode="stretch_width")
    # as tall as what is in it: else parts below a tall one lie over it
    main = pn.Column(sizing_mode="stretch_width", styles={"max-height": "none"})
    built: dict[str, Any] = {}

    def show(*_: Any) -> None:
        menu.active = list(pages).index(session.page)
        try:
            if session.page not in built:
                module = importlib.import_module(f"lsm_app.pages.{pages[session.page]}")
                built[session.page] = module.page(session)
            main[:] = [*_refused(session), built[session.page]]
            session.shown += 1
        except LsmError as error:
            main[:] = [said(error)]
        except Exception:
            main[:] = [pmui.Alert(object=BROKEN, severity="error")]
            raise

    def choose(event: Any) -> None:
        if event.new is not None:
            page = list(pages)[event.new[0] if isinstance(event.new, tuple) else event.new]
            if page != session.page:
                session.param.update(page=page, refused="")

    if pn.state.curdoc:
        pn.state.curdoc.theme = Theme(json={"attrs": {name: {} for name in PLOTS}})
    if pn.state.location:
        pn.state.location.sync(session, KEPT)
    session.param.watch(show, ["page", "refused"])
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


def _refused(session: Session) -> list[pmui.Alert]:
    """What of the address was not taken."""
    return [said(AreaError(session.refused))] if session.refused else []
