"""Maps that move together: each is drawn once for a move, and the page is walked through once."""

import asyncio
import types

import holoviews as hv
import numpy as np
import panel as pn
import pytest
from bokeh.document import Document

from lsm_app.in_view import InView, forget_the_gone

hv.extension("bokeh")
THERE = {"x0": 2.0, "x1": 4.0, "y0": 1.0, "y1": 3.0}


class Maps:
    """Two maps that share what is in view, on a page; how often they were drawn."""

    def __init__(self):
        self.view, self.drawn, self.walks = InView(), [0, 0], 0
        maps = [
            hv.DynamicMap(lambda i=i, **seen: self.draw(i), streams=[self.view]) for i in (0, 1)
        ]
        panes = [pn.pane.HoloViews(one, linked_axes=True) for one in maps]
        self.document = Document()
        self.page = pn.Row(*panes)
        root = self.page.get_root(self.document)
        self.document.add_root(root)
        plots = [pane._plots[root.ref["id"]][0] for pane in panes]
        self.heard = [heard for plot in plots for heard in plot.callbacks]
        self.drawn = [0, 0]
        walk = self.document.models.recompute
        self.document.models.recompute = lambda: (setattr(self, "walks", self.walks + 1), walk())

    def draw(self, i, **_):
        self.drawn[i] += 1
        return hv.Image(np.zeros((2, 2)), bounds=(0, 0, 9, 9))

    def told(self, seen):
        """The browser tells it of each map."""
        for heard in self.heard:
            asyncio.run(heard.on_msg(dict(seen)))


@pytest.fixture
def maps():
    return Maps()


def test_a_move_is_drawn_once_by_each(maps):
    maps.told(THERE)
    assert maps.drawn == [1, 1]
    assert maps.view.x_range == (2, 4)
    assert maps.view.y_range == (1, 3)


def test_the_models_of_the_page_are_walked_through_once(maps):
    maps.told(THERE)
    assert maps.walks == 1


def test_maps_of_who_left_are_let_go():
    """Those of pages that are looked at stay, and so do plots that are on no page."""
    from holoviews.plotting.bokeh.callbacks import Callback

    def told(document):
        return types.SimpleNamespace(plot=types.SimpleNamespace(document=document))

    here, gone = (types.SimpleNamespace(session_context=context) for context in (object(), None))
    before = Callback._callbacks
    kept = {1: told(here), 2: told(None)}
    try:
        Callback._callbacks = kept | {3: told(gone)}
        forget_the_gone()
        assert Callback._callbacks == kept
    finally:
        Callback._callbacks = before
