"""What the server does once it listens: get ready for the first visitor, beside answering.

Pages are imported, and what the first page shows by itself is read and judged, in a thread; the
first visitor finds it done, or waits for no more than what is left of it.
"""

import ctypes
import gc
import importlib
import logging
import sys
import threading
import time
import warnings
from typing import Any

import panel.reactive
from bokeh.util.warnings import BokehUserWarning
from panel.io.resources import LOCAL_DIST

from lsm_app.mended import mend
from lsm_app.sending import send_at_once
from lsm_core.uploads import forget_unfinished

log = logging.getLogger("lsm_app.app_hooks")  # Bokeh runs this file under a name of its own
APART = 0.05  # seconds between two modules, in which visitors are answered
LATER = 7.0  # seconds after a visitor went; by then Panel has looked for what they leave
_due = threading.Event()  # memory will be given back


def on_server_loaded(server_context: Any) -> None:
    """Called by Bokeh."""
    # A part that is drawn before its page is known would ask Panel's own host for its style.
    panel.reactive.CDN_DIST = LOCAL_DIST
    hush_known_parts()
    mend()
    send_at_once()
    log.info("the server listens")
    threading.Thread(target=get_ready, daemon=True, name="getting ready").start()


def on_session_created(session_context: Any) -> None:
    """Called by Bokeh."""
    log.info("a visitor came")


def on_session_destroyed(session_context: Any) -> None:
    """Called by Bokeh."""
    log.info("a visitor went")
    from lsm_app.in_view import forget_the_gone

    forget_the_gone()
    if not _due.is_set():
        _due.set()
        timer = threading.Timer(LATER, give_back)
        timer.daemon = True
        timer.start()


def give_back() -> None:
    """Memory that is free goes back to the system, where the C library would keep it (glibc)."""
    _due.clear()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def hush_known_parts() -> None:
    """Of a part that has just come to it a browser sends all, with the first event about it.

    The server takes the part that it has, as it should, and would warn of it at each such event.
    """
    warnings.filterwarnings("ignore", "reference already known", BokehUserWarning)


def get_ready() -> None:
    """Whatever goes wrong here is said to the visitor whom it concerns, not to the log of all."""
    try:
        _read()
        forget_unfinished()
        # What is there by now stays: looking for rubbish in it each time somebody leaves takes
        # longer than most clicks.
        gc.collect()
        gc.freeze()
    except Exception:
        log.info("not ready for the first visitor", exc_info=True)


def _read() -> None:
    from lsm_app.following import known_runs, loaded
    from lsm_app.ground import ground_of
    from lsm_app.pages import compare
    from lsm_app.score_table import ScoreTable

    done = [run for run, state in known_runs() if state == "done"]
    ids = compare.chosen([], done, set())
    runs = [loaded(run) for run in done if run.id in ids]
    if runs:
        ScoreTable(runs).judge()
        for run in runs:
            if run.has_map:
                ground_of(run.area_path)
    # Not from `main`: imported here while a visitor comes, it would build a page into theirs.
    from lsm_app.frame import PAGES

    for module in PAGES.values():
        importlib.import_module(f"lsm_app.pages.{module}")
        time.sleep(APART)
