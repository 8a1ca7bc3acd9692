"""Chips of a detection run: the image, what is mapped there, and the scores, beside each other."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from bokeh.palettes import Viridis256
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from lsm_core.chips import draw_chips
from lsm_core.errors import LsmError
from lsm_core.runs import Run
from lsm_core.sampling import landslide_places
from lsm_core.true_colour import colour_bands, picture, stretch_of

SIDE = 32  # cells of a square, where the run has no chips of its own
PIXELS = 160  # of a picture on the screen, at most
MOST = 12  # shown at a time
LINE = (230, 0, 126)  # round what is mapped
SCALE = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in Viridis256], dtype="uint8")
ORDERS = ("most landslide", "highest score", "missed", "false")


class Chip(NamedTuple):
    """A square of cells: where it begins, its part of the split, and what is in it."""

    row: int
    col: int
    size: int
    part: str
    landslide: float
    score: float


def chips_of(run: Run, ds: xr.Dataset, parts: Sequence[str] = ("test",)) -> list[Chip]:
    """The run's chips in these parts, with the share of landslide cells and the mean score.

    A run that cuts no chips (on windows or cells) is shown in squares of `SIDE` cells, part "".
    """
    recipe = run.recipe
    size = recipe.chip if recipe.by_chips else min(SIDE, *(ds.sizes[n] for n in ("y", "x")))
    if recipe.by_chips:
        table, _, _ = draw_chips(ds, recipe, landslide_places(ds))
        table = table[table["split"].isin(parts)]
        corners = [
            (int(r) - size // 2, int(c) - size // 2, str(p))
            for r, c, p in zip(table["row"], table["col"], table["split"], strict=True)
        ]
    else:
        rows, cols = (range(0, ds.sizes[n] - size + 1, size) for n in ("y", "x"))
        corners = [(row, col, "") for row in rows for col in cols]
    mapped = ds["landslide"].to_numpy() > 0
    with rasterio.open(run.map_path) as source:
        scores = source.read(1)
    found = []
    for row, col, part in corners:
        here = (slice(row, row + size), slice(col, col + size))
        seen = scores[here]
        if seen.shape == (size, size) and np.isfinite(seen).any():
            share = float(mapped[here].mean())
            found.append(Chip(row, col, size, part, share, float(np.nanmean(seen))))
    return found


def ordered(chips: Sequence[Chip], by: str) -> list[Chip]:
    """The most telling first: `ORDERS`; missed and false by how far score and map lie apart."""
    keys = {
        "most landslide": lambda chip: -chip.landslide,
        "highest score": lambda chip: -chip.score,
        "missed": lambda chip: chip.score - chip.landslide if chip.landslide else 1.0,
        "false": lambda chip: chip.landslide - chip.score,
    }
    return sorted(chips, key=keys.get(by, keys["most landslide"]))


def gallery(run: Run, ds: xr.Dataset, chips: Sequence[Chip], most: int = MOST) -> str:
    """Pictures of chips as HTML: true colour, the same with what is mapped outlined, scores."""
    stretch = stretch_of(ds, colour_bands(ds))
    mapped = ds["landslide"]
    figures = []
    with rasterio.open(run.map_path) as source:
        for chip in chips[:most]:
            here = (slice(chip.row, chip.row + chip.size), slice(chip.col, chip.col + chip.size))
            seen = picture(ds, *here, most=chip.size, stretch=stretch)[..., :3]
            label = mapped[here].to_numpy() > 0
            scores = source.read(1, window=Window(chip.col, chip.row, chip.size, chip.size))
            figures.append(_figure(chip, _three(seen, label, scores)))
    style = "display:flex;flex-wrap:wrap;gap:10px"
    return f'<div style="{style}">{"".join(figures)}</div>'


def _three(seen: NDArray, label: NDArray, scores: NDArray) -> NDArray[np.uint8]:
    """Three pictures in a row (y, x, 3), as large as they are shown."""
    times = max(1, PIXELS // seen.shape[0])
    large = np.kron(seen, np.ones((times, times, 1), dtype="uint8"))
    lined = large.copy()
    lined[_edges(np.kron(label, np.ones((times, times), dtype=bool)), 2 if times > 6 else 1)] = LINE
    index = (255 * np.clip(np.nan_to_num(scores), 0, 1)).astype("uint8")
    coloured = SCALE[index]
    coloured[~np.isfinite(scores)] = 242
    heat = np.kron(coloured, np.ones((times, times, 1), dtype="uint8"))
    gap = np.full((large.shape[0], 4, 3), 255, dtype="uint8")
    return np.concatenate([large, gap, lined, gap, heat], axis=1)


def _edges(inside: NDArray[np.bool_], wide: int) -> NDArray[np.bool_]:
    """Pixels of a shape at its edge, so many wide."""
    padded = np.pad(inside, wide)
    core = inside.copy()
    for down in (-wide, 0, wide):
        for across in (-wide, 0, wide):
            rows, cols = padded.shape
            core &= padded[wide + down : rows - wide + down, wide + across : cols - wide + across]
    return inside & ~core


def _figure(chip: Chip, pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode("ascii")
    part = f"{chip.part}, " if chip.part else ""
    words = (
        f"{part}row {chip.row}, column {chip.col}: {chip.landslide:.1%} of the cells are mapped "
        f"landslides, mean score {chip.score:.2f}"
    )
    alt = escape(f"image, mapped landslides and scores of the chip at {words}", quote=True)
    image = f'<img alt="{alt}" src="data:image/png;base64,{text}" style="max-width:100%">'
    style = f"font-size:12px;max-width:{pixels.shape[1]}px"
    caption = f'<figcaption style="{style}">{escape(words)}</figcaption>'
    return f'<figure style="margin:0">{image}{caption}</figure>'


def summary(chips: Sequence[Chip]) -> str:
    """How many there are, in words."""
    table = pd.DataFrame(chips)
    if table.empty:
        return "no chip of this part has a score"
    with_slides = int((table["landslide"] > 0).sum())
    size = f"{chips[0].size} x {chips[0].size}"
    return f"{len(table):,} chips of {size} cells, {with_slides:,} with landslides"


def chips_or_words(run: Run, ds: xr.Dataset, parts: Sequence[str]) -> tuple[list[Chip], str]:
    """The chips, or none and the core's sentence that says why."""
    try:
        chips = chips_of(run, ds, parts)
        return chips, summary(chips)
    except LsmError as error:
        return [], str(error)
