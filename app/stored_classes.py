"""Histogram of the maps, bars of the classes, and the zoning table as the runs stored them."""

from collections.abc import Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.class_table import class_table
from lsm_app.layout import beside, note
from lsm_app.session import Session, html_table, keep_in
from lsm_core import figures
from lsm_core.runs import Run

CLASSES = (
    "Five classes of susceptibility, very low (1) to very high (5), by natural breaks of each map "
    "and by equal intervals of 0.2. Landslides per 1,000 cells of the class are its density: a "
    "model that knows nothing has the same in every class. Test blocks are ground nobody trained "
    "on; the whole map is not."
)


def stored_classes(runs: Sequence[Run], session: Session) -> pn.Column:
    """Histogram of the maps, bars of the classes, and the zoning table of what is chosen."""
    runs = [run for run in runs if run.recipe.map]
    table = figures.density_frame(runs)
    cuts = {"natural breaks": "natural", "equal intervals of 0.2": "equal 0.2"}
    cuts |= {name: name for name in table["breaks"].unique() if name not in cuts.values()}
    cut = session.breaks if session.breaks in cuts.values() else "natural"
    breaks = pmui.Select(label="Classes cut by", options=cuts, value=cut, width=250)
    wheres = {f"the {where}": where for where in table["where"].unique()}
    of = session.where if session.where in wheres.values() else next(iter(wheres.values()))
    where = pmui.Select(label="Cells and landslides of", options=wheres, value=of, width=250)
    pair = pn.Column(sizing_mode="stretch_width")

    def draw(*_: Any) -> None:
        bars = figures.density_of(runs, breaks=breaks.value, where=where.value)
        kept = (table["breaks"] == breaks.value) & (table["where"] == where.value)
        shown = html_table(class_table(table[kept], table["counted"].iloc[0]))
        pair[:] = [beside(figures.histogram_of(runs), bars), shown]

    for select in (breaks, where):
        select.param.watch(draw, "value")
    keep_in(session, breaks=breaks, where=where)
    draw()
    choices = pn.FlexBox(breaks, where, gap="16px")
    return pn.Column(choices, pair, note(CLASSES), sizing_mode="stretch_width")
