"""The dashboard: `panel serve app/ --num-threads 4`, or `lsm serve`."""

import panel as pn

from lsm_app.frame import frame
from lsm_app.session import Session

PAGES = {"Compare": "compare", "Sampling": "sampling", "Training": "training"}  # name to module

if pn.state.curdoc:
    pn.extension()
    frame(PAGES, Session()).servable()
