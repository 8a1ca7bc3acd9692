"""How two maps differ: their difference cell by cell, and what it comes to in words.

Read in windows like the maps themselves, so that the largest maps take no longer than small ones.
"""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from lsm_app.ground import ground_of
from lsm_app.in_view import InView
from lsm_app.layout import SCROLLS, note, or_words
from lsm_app.map_view import Range, read_window, run_map
from lsm_app.session import Session, remember
from lsm_core import figures
from lsm_core.errors import RunError
from lsm_core.grid import Bounds, same_grid
from lsm_core.map_difference import Contrast, contrast, difference_image, difference_ramp
from lsm_core.runs import Run

SIZE = (640, 560)
HOW = (
    "Susceptibility of the first run minus that of the second: orange where the first is higher, "
    "purple where the second is, white where they agree. The scale ends where 99% of the cells lie."
)
TWO = "Choose two runs with a map of the same study area: then their difference is drawn here."


def differences(runs: Sequence[Run], session: Session, stream: InView | None = None) -> pn.Column:
    """The difference map of two of these runs, chosen by two lists; kept in `session.against`.

    Pass the stream of other maps of the area, and they move together.
    """
    by_area: dict[str, list[Run]] = {}
    for run in runs:
        if run.has_map:
            by_area.setdefault(run.area["name"], []).append(run)
    some = next((alike for alike in by_area.values() if len(alike) > 1), [])
    if not some:
        return pn.Column(note(TWO), sizing_mode="stretch_width")
    ids = [run.id for run in some]
    kept = session.against if set(session.against) <= set(ids) else []
    first, second = kept if len(kept) == 2 else ids[:2]
    options = dict(zip(figures.labels_of(some), ids, strict=True))
    one = pmui.Select(label="Susceptibility of", options=options, value=first, width=300)
    other = pmui.Select(label="minus that of", options=options, value=second, width=300)
    box = pn.Column(sizing_mode="stretch_width")
    held = InView() if stream is None else stream

    def draw(*_: Any) -> None:
        nonlocal held
        if _:
            session.against = [one.value, other.value]
            held = InView(x_range=held.x_range, y_range=held.y_range)
        pair = [next(run for run in some if run.id == choice.value) for choice in (one, other)]
        box[:] = [or_words(lambda: _drawn(*pair, held))]

    for choice in (one, other):
        choice.param.watch(draw, "value")
    draw()
    choices = pn.FlexBox(one, other, gap="16px")
    return pn.Column(choices, box, note(HOW), sizing_mode="stretch_width")


def _drawn(first: Run, second: Run, stream: InView) -> pn.Column:
    paths = first.map_path, second.map_path
    grounds = [ground_of(run.area_path) for run in (first, second)]
    if not same_grid(grounds[0].grid, grounds[1].grid):
        raise RunError(f"{first.id} and {second.id} lie on different grids: nothing to subtract")
    found = contrast_of(*paths)
    draw = partial(difference_image, limit=found.limit)
    overlay = run_map(
        paths[0], grounds[0], stream, 0.85, draw=draw, size=SIZE, read=partial(read_pair, *paths)
    )
    names = figures.labels_of([first, second])
    titled = overlay.opts(title=" − ".join(names), backend="bokeh")
    words = pmui.Typography(escape(found.words(*names)), variant="body2")
    return pn.Column(
        _legend(found, *names),
        # straight in a column the browser lays out all plots of the page anew, and wrongly
        pn.FlexBox(pn.pane.HoloViews(titled, linked_axes=True), styles=SCROLLS),
        words,
        sizing_mode="stretch_width",
    )


def read_pair(
    first: Path, second: Path, _: Path, x_range: Range, y_range: Range
) -> tuple[NDArray[np.float32], Bounds]:
    """The first minus the second in view, at most as many cells as of one map."""
    values, bounds = read_window(first, x_range, y_range)
    others, _there = read_window(second, x_range, y_range)
    return values - others, bounds


def contrast_of(first: Path, second: Path) -> Contrast:
    """How far two maps lie apart, from a decimated look at both; kept for all visitors."""
    key = ("contrast", *((str(path), path.stat().st_mtime_ns) for path in (first, second)))
    return remember(
        key, lambda: contrast(*(read_window(p, None, None)[0] for p in (first, second)))
    )


def _legend(found: Contrast, first: str, second: str) -> pn.pane.HTML:
    ramp = ",".join(difference_ramp(12))
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:13px"
    return pn.pane.HTML(
        f'<div style="{style}"><span>−{found.limit:.2f} {escape(second)} higher</span>'
        f'<i style="width:220px;height:12px;background:linear-gradient(90deg,{ramp})"></i>'
        f"<span>+{found.limit:.2f} {escape(first)} higher</span></div>",
        sizing_mode="stretch_width",
    )
