"""A figure for print as it will be, drawn by `lsm figures` in a process of its own."""

import base64
import tempfile
import threading
from html import escape
from pathlib import Path
from typing import NamedTuple

import panel as pn
import panel_material_ui as pmui

from lsm_app import aside
from lsm_app.session import bar_html
from lsm_core.errors import LsmError
from lsm_core.print_style import Look, arguments_of

LONGEST = 240.0  # seconds a figure may take
DPI = 110  # of the preview: enough for a screen, whatever the paper gets


class Asked(NamedTuple):
    """Runs by id, the figure's name, and how it shall look."""

    runs: tuple[str, ...]
    figure: str
    look: Look


class Preview:
    """The picture and a line about it; of requests that come while one is drawn the last counts."""

    def __init__(self) -> None:
        self.words = pmui.Typography("", variant="caption", sizing_mode="stretch_width")
        bar = bar_html(-1, "drawing the preview")
        self.bar = pn.pane.HTML(bar, visible=False, sizing_mode="stretch_width")
        self.wrong = pmui.Alert(
            object="", severity="warning", visible=False, sizing_mode="stretch_width"
        )
        self.picture = pn.pane.HTML("", sizing_mode="stretch_width")
        self.view = pn.Column(
            self.bar, self.wrong, self.words, self.picture, sizing_mode="stretch_width"
        )
        self._mutex = threading.Lock()
        self._wanted: Asked | None = None
        self._last: Asked | None = None
        self._busy = False
        self._answer: tuple[Asked, bytes, str] | None = None
        self._drawn: tuple[Asked, bytes, str] | None = None  # at the preview's resolution

    def ask(self, asked: Asked) -> None:
        """Draw this next, unless it was asked last; returns at once."""
        if asked == self._last:
            return
        self.bar.visible = True
        with self._mutex:
            self._wanted = self._last = asked
            if self._busy:
                return
            self._busy = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._mutex:
                asked, self._wanted = self._wanted, None
                if asked is None:
                    self._busy = False
                    return
            seen = asked._replace(look=asked.look.model_copy(update={"dpi": DPI}))
            if self._drawn is None or self._drawn[0] != seen or self._drawn[2]:
                self._drawn = (seen, *draw(seen))
            self._answer = (asked, *self._drawn[1:])

    def look(self) -> None:
        """Show what is there now."""
        if self._answer is None:
            self.bar.visible = self._busy
            return
        (asked, content, wrong), self._answer = self._answer, None
        self.wrong.param.update(object=escape(wrong), visible=bool(wrong))
        self.words.object = "" if wrong else _words(asked, content)
        if not wrong:
            self.picture.object = _img(asked, content)


def draw(asked: Asked) -> tuple[bytes, str]:
    """The picture as PNG in the look's resolution, or the core's sentence that refuses it."""
    with tempfile.TemporaryDirectory(prefix="lsm-preview-") as folder:
        words = ["figures", *asked.runs, "--to", folder, "--figure", asked.figure]
        try:
            aside.say([*words, *arguments_of(asked.look)], LONGEST)
        except LsmError as error:
            return b"", str(error)
        return (Path(folder) / f"{asked.figure}.png").read_bytes(), ""


def _size(content: bytes) -> tuple[float, float]:
    """Width and height in mm, from the head of a PNG."""
    wide, high = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return wide / DPI * 25.4, high / DPI * 25.4


def _words(asked: Asked, content: bytes) -> str:
    wide, high = _size(content)
    dots = [round(side / 25.4 * asked.look.dpi) for side in (wide, high)]
    return (
        f"{wide:.0f} x {high:.0f} mm, at {asked.look.dpi} dpi {dots[0]:,} x {dots[1]:,} pixels; "
        f"letters {asked.look.size:g} pt. Shown here at {DPI} dpi."
    )


def _img(asked: Asked, content: bytes) -> str:
    text = base64.b64encode(content).decode("ascii")
    wide, _ = _size(content)
    alt = escape(f"{asked.figure} of {', '.join(asked.runs)}", quote=True)
    style = f"max-width:100%;width:{wide * 96 / 25.4:.0f}px;border:1px solid #ddd;background:white"
    return f'<img alt="{alt}" style="{style}" src="data:image/png;base64,{text}">'
