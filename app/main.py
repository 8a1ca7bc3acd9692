"""The dashboard: `panel serve app/ --num-threads 4`, or `lsm serve`."""

import panel as pn

from lsm_app.pages import compare, heatmap, training
from lsm_app.session import Session, frame

PAGES = {"Compare": compare.page, "Heatmap": heatmap.page, "Training": training.page}

if pn.state.curdoc:
    pn.extension()
    frame(PAGES, Session()).servable()
