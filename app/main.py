"""The dashboard: `panel serve app/ --num-threads 4`, or `lsm serve`."""

import panel as pn

from lsm_app.frame import PAGES, frame
from lsm_app.session import Session

if pn.state.curdoc:
    pn.extension("filedropper", "tabulator")
    frame(PAGES, Session()).servable()
