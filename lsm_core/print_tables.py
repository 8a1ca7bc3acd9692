"""A table on paper, as journals set it."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from lsm_core.print_style import EM, MM, Look, blank


def ruled(heads: list[str], cells: list[list[str]], look: Look) -> Figure:
    """A table with rules above, below its head and at its foot.

    A row whose second cell is empty is a heading over the rows that follow.

    Where the sheet is too narrow for letters of nine tenths of the look's size, heads stand in
    several lines; where that is not enough, letters are smaller.
    """
    em, room = look.em, look.width_mm - 2 * look.em
    inner = [row for row in cells if row[1]]
    body = np.array([max(len(row[j]) for row in inner) + 1 for j in range(len(heads))])
    words = np.array([max(map(len, head.split())) + 1 for head in heads])
    whole = np.maximum(body, [len(head) + 1 for head in heads])
    fits = room / (whole.sum() * 0.6) / EM >= 0.9 * look.size
    longest = whole if fits else np.maximum(body, words)
    heads = [
        textwrap.fill(h, n - 1, break_long_words=False) for h, n in zip(heads, longest, strict=True)
    ]
    lines = 1 + max(head.count("\n") for head in heads)
    shares = np.cumsum([0, *longest]) / longest.sum()
    size = min(look.size * 0.9, room / (longest.sum() * 0.6) / EM)
    step = 1.7 * size * EM
    head = step + (lines - 1) * 1.2 * size * EM
    figure = blank(look, (len(cells) + 1.2) * step + head)
    sheet = figure.add_axes((0, 0, 1, 1))
    high = figure.get_size_inches()[1] * MM
    sheet.set(xlim=(0, look.width_mm), ylim=(0, high))
    sheet.axis("off")
    y = high - 0.5 * (step + head)
    for row in [heads, *cells]:
        for j, text in enumerate(row):
            side = "left" if j == 0 else "right"
            x = em + room * (shares[j] if j == 0 else shares[j + 1])
            bold = "bold" if row is heads or (j == 0 and not row[1]) else "normal"
            sheet.text(x, y, text, ha=side, va="center", size=size, weight=bold, linespacing=1.05)
        y -= 0.5 * (step + head) if row is heads else step
    for down, wide in ((0.4 * step, 0.9), (0.5 * step + head, 0.5), (high - y - 0.5 * step, 0.9)):
        sheet.plot([em, em + room], [high - down, high - down], color="black", lw=wide)
    return figure
