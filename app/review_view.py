"""A review on the screen: the map, the list, the buttons, and what has been decided so far."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import xarray as xr

from lsm_app.layout import note
from lsm_app.polygon_map import COLOURS, PolygonMap
from lsm_app.session import said
from lsm_core.errors import LsmError
from lsm_core.grid import grid_of
from lsm_core.review import (
    STATES,
    Review,
    begin_review,
    open_review,
    save_inventory,
    save_review,
)

DETECTED, REVIEW, INVENTORY = "detected.gpkg", "review.gpkg", "inventory.gpkg"
HOW = (
    "Tap a polygon to choose it (shift: several). Change outline puts it in pink: hold "
    "it until its corners show, then drag them; hold a corner to add one after it, "
    "backspace takes one. Draw: tap the corners one by one, then Finish; Undo takes the last one. "
    "What is drawn counts as accepted."
)
ROWS = 8


class ReviewView:
    """Polygons of one folder under review; every decision is saved as it is made."""

    def __init__(self, folder: Path, ds: xr.Dataset) -> None:
        self.folder, self.ds = folder, ds
        self.review = read_review(folder, ds)
        self.editing: int | None = None
        self.corners: list[tuple[float, float]] | None = None  # of what is being drawn
        self.map = PolygonMap(ds, self.tapped, self.shaped, self.touched)
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.told = pmui.Typography("", variant="body2", **wide)
        self.counted = pn.pane.HTML("", **wide)
        self.wrong = pn.Column(**wide)
        self.shown = pmui.MultiChoice(
            label="States shown", options=list(STATES), value=list(STATES), **wide
        )
        self.least = pmui.FloatInput(
            label="Mean score at least", value=0.9, start=0, end=1, step=0.05, width=170
        )
        self.table = pn.widgets.Tabulator(
            show_index=False, selectable=True, disabled=True, pagination="local",
            page_size=ROWS, layout="fit_columns", formatters=FORMATS, titles=TITLES, **wide,
        )  # fmt: skip
        self.buttons = {
            "Accept": self._button("Accept", lambda: self.decide("accepted"), "contained"),
            "Reject": self._button("Reject", lambda: self.decide("rejected"), "contained"),
            "Undecided": self._button("Undecided", lambda: self.decide("undecided")),
            "Change outline": self._button("Change outline", self.edit),
            "Take away": self._button("Take away", self.remove),
            "Next undecided": self._button("Next undecided", self.next),
            "Draw": self._button("Draw a polygon", self.draw_one),
            "Undo": self._button("Undo", self.undo),
            "Redo": self._button("Redo", lambda: self.told_by(self.review.redo)),
        }
        above = self._button("Accept all of at least this score", self.accept_above)
        row = pn.FlexBox(*self.buttons.values(), gap="6px", **wide)
        many = pn.FlexBox(self.least, above, align_items="center", gap="8px", **wide)
        right = pn.Column(
            self.counted, row, self.told, self.wrong, self.table, many, self.shown,
            styles={"flex": "1 1 360px", "min-width": "280px"},
        )  # fmt: skip
        left = pn.Column(
            self.map.pane, note(HOW), styles={"flex": "1 1 480px", "min-width": "280px"}
        )
        self.view = pn.FlexBox(left, right, gap="12px", **wide)
        self.shown.param.watch(lambda _: self.draw(), "value")
        self.table.param.watch(self._listed, "selection")
        self._listing = False
        self.draw()

    def _button(self, label: str, work: Callable[[], Any], variant: str = "outlined") -> Any:
        button = pmui.Button(label=label, size="small", variant=variant)
        button.on_click(lambda _: self.guard(work))
        return button

    def guard(self, work: Callable[[], Any]) -> None:
        """Do it; what cannot be done is said, and nothing is changed."""
        self.wrong.clear()
        try:
            work()
        except LsmError as error:
            self.wrong[:] = [said(error)]

    # ---------------------------------------------------------------------------- decisions

    def decide(self, state: str) -> None:
        """The polygons chosen are accepted, rejected or neither."""
        numbers = self.map.chosen
        if not numbers:
            self.told.object = "Choose a polygon first: tap it on the map or in the list."
            return
        self.told_by(lambda: self.review.decide(numbers, state))

    def accept_above(self) -> None:
        """All that nobody has decided on, of at least the score given."""
        least = self.least.value
        numbers = [
            n
            for n, piece in self.review.pieces.items()
            if piece.state == "undecided" and piece.mean_score >= least
        ]
        if numbers:
            self.told_by(lambda: self.review.decide(numbers, "accepted"))
        else:
            self.told.object = f"No undecided polygon has a mean score of {least:g} or more."

    def remove(self) -> None:
        """Take what was drawn away; what was detected is rejected."""
        for number in self.map.chosen:
            self.told_by(lambda n=number: self.review.remove(n))

    def next(self) -> None:
        """The next polygon that nobody has decided on, in the middle of the map."""
        waiting = [n for n, p in sorted(self.review.pieces.items()) if p.state == "undecided"]
        last = max(self.map.chosen, default=0)
        after = [n for n in waiting if n > last] or waiting
        if not after:
            self.told.object = "Every polygon is decided on."
            return
        if "undecided" not in self.shown.value:
            self.shown.value = [*self.shown.value, "undecided"]
        self.map.choose([after[0]])
        self.map.look_at(self.review.pieces[after[0]].geometry)
        self.tapped([after[0]])

    def edit(self) -> None:
        """Put the polygon chosen where its outline can be changed; again: leave that."""
        chosen = self.map.chosen
        if self.editing is not None and (not chosen or chosen[0] == self.editing):
            self._leave()
            return
        if not chosen:
            self.told.object = "Choose the polygon whose outline you want to change."
            return
        self.editing = chosen[0]
        self.map.edit(self.review.pieces[self.editing].geometry)
        self.told.object = f"The outline of {self.editing} can be changed now."

    def _leave(self) -> None:
        self.editing = None
        self.map.edit(None)
        self.told.object = ""

    def told_by(self, change: Callable[[], str], *, on_map: bool = False) -> None:
        """Make a change, say it, save and draw; what was done `on_map` is there already."""
        words = change()
        if self.editing is not None and not on_map:
            piece = self.review.pieces.get(self.editing)
            self.map.edit(piece.geometry if piece else None)
            self.editing = self.editing if piece else None
        self.told.object = words[:1].upper() + words[1:] + "."
        save_review(self.review, self.folder / REVIEW)
        self.draw()

    # ---------------------------------------------------------------------------- what is heard

    def tapped(self, numbers: list[int]) -> None:
        """The list follows the map; while one draws, taps are corners."""
        if self.corners is not None:
            return
        place = {int(n): i for i, n in enumerate(self.table.value["number"])}
        self._listing = True
        try:
            self.table.selection = [place[n] for n in numbers if n in place]
        finally:
            self._listing = False
        pieces = [self.review.pieces[n] for n in numbers if n in self.review.pieces]
        if len(pieces) == 1:
            area = pieces[0].geometry.area * self.review.metres**2
            score = pieces[0].mean_score
            words = f"mean score {score:.2f}" if score == score else "drawn by hand"
            self.told.object = f"{numbers[0]}: {pieces[0].state}, {area:,.0f} m2, {words}."

    def _listed(self, event: Any) -> None:
        """The map follows the list."""
        if self._listing or self.table.value is None:
            return
        numbers = [int(self.table.value["number"].iloc[i]) for i in event.new]
        self.map.choose(numbers)
        self.tapped(numbers)
        if len(numbers) == 1 and numbers[0] in self.review.pieces:
            self.map.look_at(self.review.pieces[numbers[0]].geometry)

    def shaped(self, corners: list[tuple[float, float]]) -> None:
        """The outline that can be changed was changed."""
        number = self.editing
        if number is not None:
            change = partial(self.review.reshape, number, corners)
            self.guard(lambda: self.told_by(change, on_map=True))

    def touched(self, x: float, y: float) -> None:
        """A tap on the map: a corner, while one draws."""
        if self.corners is not None:
            self.corners.append((x, y))
            self.map.sketch(self.corners)
            self.told.object = f"{len(self.corners)} corners: tap the next one, or Finish."

    def draw_one(self) -> None:
        """Begin to draw, or finish what is being drawn."""
        button = self.buttons["Draw"]
        if self.corners is None:
            self._leave()
            self.corners = []
            button.label = "Finish the polygon"
            self.told.object = "Tap the corners of the new polygon one by one."
            return
        corners, self.corners = self.corners, None
        button.label = "Draw a polygon"
        self.map.edit(None)
        if corners:
            number = self.review.draw(corners)
            self.told_by(lambda: f"{number} drawn and accepted")
            self.map.choose([number])

    def undo(self) -> None:
        """Take the last corner back while one draws, else the last step."""
        if self.corners:
            self.corners.pop()
            self.map.sketch(self.corners)
            return
        self.told_by(self.review.undo)

    # ------------------------------------------------------------------------------- drawn

    def draw(self) -> None:
        """Map, list and counts as the review is now."""
        self.map.show(self.review, self.shown.value)
        table = self.review.frame(self.shown.value).drop(columns="geometry")
        chosen = self.map.chosen
        self._listing = True
        try:
            self.table.value = table[["number", "state", "mean_score", "area_m2", "origin"]]
            place = {int(n): i for i, n in enumerate(table["number"])}
            self.table.selection = [place[n] for n in chosen if n in place]
        finally:
            self._listing = False
        self.counted.object = _counted(self.review)

    def save(self) -> tuple[Path, int]:
        """Write the accepted polygons as an inventory beside the review; where, and how many."""
        path = self.folder / INVENTORY
        return path, save_inventory(self.review, path)


TITLES = {"mean_score": "score", "area_m2": "m2"}
FORMATS = {
    "mean_score": {"type": "money", "precision": 2, "thousand": ""},
    "area_m2": {"type": "money", "precision": 0},
}


def read_review(folder: Path, ds: xr.Dataset) -> Review:
    """The review in a folder, or the beginning of one from what was detected there."""
    import geopandas as gpd

    metres = grid_of(ds).metres_per_unit
    if (folder / REVIEW).is_file():
        review = open_review(folder / REVIEW, metres)
    else:
        review = begin_review(gpd.read_file(folder / DETECTED), metres)
    return review


def _counted(review: Review) -> str:
    """What is decided so far, with the colours of the map."""
    counts = review.counts
    look = "display:inline-block;width:12px;height:12px;margin-right:4px;vertical-align:-1px"
    dots = {state: f'<i style="{look};background:{COLOURS[state]}"></i>' for state in STATES}
    parts = [f"<span>{dot}{counts[state]:.0f} {state}</span>" for state, dot in dots.items()]
    more = f"<span>{counts['edited']:.0f} changed, {counts['drawn']:.0f} drawn</span>"
    area = f"<b>{counts['accepted_km2']:.3f} km2 accepted</b>"
    row = "display:flex;flex-wrap:wrap;gap:4px 14px;font-size:14px"
    return f'<div style="{row}">{"".join([*parts, more, area])}</div>'
