"""A page in a notebook that asks nothing of the net holds the library of its widgets once.

With `PANEL_INLINE` each widget brings all of it, 1.4 MB, and a page has fifty of them. A browser
runs what the first one brings for all others of the page.
"""

from collections.abc import Iterator
from typing import Any

import panel as pn
from bokeh.core.serialization import Serializer
from bokeh.model import Model
from panel.models.esm import ReactiveESM
from panel.viewable import Viewable


def lighten(_: Viewable, root: Model) -> None:
    """Take the library out of all widgets but the one that a browser gives life to first."""
    if not pn.config.inline or (pn.state.curdoc and pn.state.curdoc.session_context):
        return
    widgets = {m.id: m for m in root.select({"type": ReactiveESM}) if m.bundle not in (None, "url")}
    seen: set[str] = set()
    for name in _in_turn(Serializer().serialize(root).content):
        if name in widgets:
            bundle = widgets[name].bundle
            if bundle in seen:
                widgets[name].esm = ""
            seen.add(bundle)


def _in_turn(written: Any) -> Iterator[str]:
    """Ids of the models in a written one, as a browser makes them: parts before the whole."""
    if isinstance(written, dict):
        for value in written.values():
            yield from _in_turn(value)
        if written.get("type") == "object" and "id" in written:
            yield str(written["id"])
    elif isinstance(written, list | tuple):
        for value in written:
            yield from _in_turn(value)


Viewable._preprocessing_hooks.append(lighten)
