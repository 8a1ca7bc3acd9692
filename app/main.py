"""The dashboard: `panel serve app/ --num-threads 4`, or `lsm serve`."""

import panel as pn

from lsm_app.frame import frame
from lsm_app.session import Session

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

if pn.state.curdoc:
    pn.extension("filedropper", "tabulator")
    frame(PAGES, Session()).servable()
