"""The dashboard: `panel serve app/ --num-threads 4`, or `lsm serve`."""

import panel as pn

from lsm_app.frame import frame
from lsm_app.session import Session

PAGES = {  # name to module
    "Study area": "study_area",
    "Factors": "factors",
    "Compare": "compare",
    "Sampling": "sampling",
    "Training": "training",
    "Inventory": "inventory",
    "Transfer": "transfer",
    "Export": "export",
}  # name to module

if pn.state.curdoc:
    pn.extension("filedropper", "tabulator")
    frame(PAGES, Session()).servable()
