"""Polygons that a person accepts, rejects, changes or draws, with every step undone if asked.

A review begins with what was detected, all undecided. What is accepted is the inventory: nothing
becomes a landslide because nobody looked at it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from lsm_core.errors import InventoryError
from lsm_core.run_files import write_shapes
from lsm_core.workspace import workspace

STATES = ("undecided", "accepted", "rejected")
ORIGINS = ("detected", "drawn")
COLUMNS = ("number", "state", "origin", "edited", "mean_score", "max_score", "area_m2")
MOST_STEPS = 500  # that can be undone


@dataclass(frozen=True)
class Piece:
    """One polygon under review; scores are NaN where it was drawn by hand."""

    geometry: BaseGeometry
    state: str = "undecided"
    origin: str = "detected"
    edited: bool = False
    mean_score: float = float("nan")
    max_score: float = float("nan")


class Step(NamedTuple):
    """What was changed: pieces by number before and after (None: not there), and in words."""

    before: dict[int, Piece | None]
    after: dict[int, Piece | None]
    words: str


class Review:
    """Pieces by number, and the steps that were done and undone.

    `crs` as WKT; `metres` a unit of it. Every change returns what it did in words.
    """

    def __init__(self, pieces: Mapping[int, Piece], crs: str, metres: float = 1.0) -> None:
        self.pieces = dict(pieces)
        self.crs, self.metres = crs, metres
        self.done: list[Step] = []
        self.undone: list[Step] = []

    # ---------------------------------------------------------------------------- changes

    def decide(self, numbers: Iterable[int], state: str) -> str:
        """Accept or reject polygons, or take that back ("undecided")."""
        if state not in STATES:
            raise InventoryError(f"a polygon is {', '.join(STATES)}; got {state!r}")
        wanted = [n for n in numbers if self._piece(n).state != state]
        after = {n: replace(self.pieces[n], state=state) for n in wanted}
        return self._do(after, f"{_many(wanted)} {state}") if wanted else f"already {state}"

    def reshape(self, number: int, corners: Sequence[tuple[float, float]]) -> str:
        """Give a polygon another outline; its holes stay where they still lie inside.

        Raises
        ------
        InventoryError : fewer than three corners, no area, or an outline that falls apart.
        """
        old = self._piece(number)
        new = _polygon(corners)
        holes = [Polygon(ring) for part in _parts(old.geometry) for ring in part.interiors]
        kept = [hole for hole in holes if new.contains(hole)]
        if kept:
            new = new.difference(shapely.union_all(kept))
        if new.equals(old.geometry):
            return "nothing changed"
        return self._do({number: replace(old, geometry=new, edited=True)}, f"outline of {number}")

    def draw(self, corners: Sequence[tuple[float, float]]) -> int:
        """Add a polygon drawn by hand, accepted; returns its number. Errors as `reshape`."""
        number = max(self.pieces, default=0) + 1
        piece = Piece(_polygon(corners), state="accepted", origin="drawn")
        self._do({number: piece}, f"{number} drawn")
        return number

    def remove(self, number: int) -> str:
        """Take a drawn polygon away; a detected one is rejected, so that it stays on record."""
        if self._piece(number).origin == "detected":
            return self.decide([number], "rejected")
        return self._do({number: None}, f"{number} taken away")

    def undo(self) -> str:
        """Take the last step back; returns what it was, or that there is none."""
        if not self.done:
            return "nothing to undo"
        step = self.done.pop()
        self._put(step.before)
        self.undone.append(step)
        return f"undone: {step.words}"

    def redo(self) -> str:
        """Do the last undone step again."""
        if not self.undone:
            return "nothing to do again"
        step = self.undone.pop()
        self._put(step.after)
        self.done.append(step)
        return f"again: {step.words}"

    def _do(self, after: Mapping[int, Piece | None], words: str) -> str:
        before = {n: self.pieces.get(n) for n in after}
        self._put(after)
        self.done = [*self.done, Step(before, dict(after), words)][-MOST_STEPS:]
        self.undone.clear()
        return words

    def _put(self, pieces: Mapping[int, Piece | None]) -> None:
        for number, piece in pieces.items():
            if piece is None:
                self.pieces.pop(number, None)
            else:
                self.pieces[number] = piece

    def _piece(self, number: int) -> Piece:
        if number not in self.pieces:
            raise InventoryError(f"there is no polygon {number} in this review")
        return self.pieces[number]

    # --------------------------------------------------------------------------- what it is

    @property
    def counts(self) -> dict[str, float]:
        """Polygons by state, how many were drawn and edited, and km2 that are accepted."""
        all_of = list(self.pieces.values())
        found: dict[str, float] = {s: sum(p.state == s for p in all_of) for s in STATES}
        found["drawn"] = sum(p.origin == "drawn" for p in all_of)
        found["edited"] = sum(p.edited for p in all_of)
        accepted = [p.geometry.area for p in all_of if p.state == "accepted"]
        found["accepted_km2"] = sum(accepted) * self.metres**2 / 1e6
        return found

    def frame(self, states: Sequence[str] = STATES) -> gpd.GeoDataFrame:
        """The polygons of these states as a table: `COLUMNS` and geometry, by number."""
        chosen = {n: p for n, p in sorted(self.pieces.items()) if p.state in states}
        shapes = [p.geometry for p in chosen.values()]
        columns: dict[str, Any] = {
            "number": np.array(list(chosen), dtype="int32"),
            "state": [p.state for p in chosen.values()],
            "origin": [p.origin for p in chosen.values()],
            "edited": [p.edited for p in chosen.values()],
            "mean_score": [p.mean_score for p in chosen.values()],
            "max_score": [p.max_score for p in chosen.values()],
            "area_m2": [shape.area * self.metres**2 for shape in shapes],
        }
        return gpd.GeoDataFrame(columns, geometry=shapes, crs=self.crs)


def begin_review(found: gpd.GeoDataFrame, metres: float = 1.0) -> Review:
    """A review of detected polygons (of `lsm detect`: detection, mean_score, max_score)."""
    if found.crs is None:
        raise InventoryError("the polygons have no CRS: a review needs one")
    numbers = found["detection"] if "detection" in found else range(1, len(found) + 1)
    nothing = np.full(len(found), np.nan)
    mean, top = (found.get(name, nothing) for name in ("mean_score", "max_score"))
    rows = zip(numbers, found.geometry, mean, top, strict=True)
    pieces = {
        int(n): Piece(shape, mean_score=float(m), max_score=float(t)) for n, shape, m, t in rows
    }
    return Review(pieces, found.crs.to_wkt(), metres)


def save_review(review: Review, path: Path) -> Path:
    """Write every polygon with its state, to go on later (`open_review`). Atomic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shapes(path, review.frame())
    return path


def open_review(path: Path, metres: float = 1.0) -> Review:
    """A saved review; what was done before cannot be undone any more.

    Raises
    ------
    InventoryError : the file is not a review.
    """
    try:
        table = gpd.read_file(path)
    except Exception as error:  # GDAL raises whatever it likes
        raise InventoryError(f"{path.name} is no review that can be read: {error}") from error
    lacking = [name for name in COLUMNS if name not in table]
    if lacking or table.crs is None:
        raise InventoryError(f"{path.name} is no review: it lacks {', '.join(lacking) or 'a CRS'}")
    pieces = {
        int(row.number): Piece(
            row.geometry, row.state, row.origin, bool(row.edited),
            float(row.mean_score), float(row.max_score),
        )
        for row in table.itertuples()
    }  # fmt: skip
    return Review(pieces, table.crs.to_wkt(), metres)


def save_inventory(review: Review, path: Path) -> int:
    """Write the accepted polygons alone, as an inventory; returns how many.

    Raises
    ------
    InventoryError : none is accepted.
    """
    kept = review.frame(["accepted"]).drop(columns="state")
    if kept.empty:
        raise InventoryError("no polygon is accepted yet: accept some, or draw them")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shapes(path, kept)
    return len(kept)


def reviews_folder() -> Path:
    """Where reviews lie: `inventories` in the workspace, a folder each."""
    return workspace() / "inventories"


def new_folder(run: str) -> Path:
    """A folder for the polygons of a run, made now; its name begins with the time."""
    for number in range(1, 1000):
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = reviews_folder() / f"{stamp}-{number}-{run}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise InventoryError(f"{reviews_folder()} holds too many reviews: delete some")


def find_folder(name: str) -> Path:
    """The folder of this name; InventoryError where there is none."""
    path = reviews_folder() / name
    if not name or name[0] == "." or Path(name).name != name or not path.is_dir():
        raise InventoryError(f"there is no review {name!r} in {reviews_folder()}: detect first")
    return path


# ------------------------------------------------------------------------------------- behind


def _polygon(corners: Sequence[tuple[float, float]]) -> BaseGeometry:
    """A valid polygon of these corners; a line that crosses itself is cut there, as GIS do."""
    points = [(float(x), float(y)) for x, y in corners if np.isfinite(x) and np.isfinite(y)]
    if len(set(points)) < 3:
        raise InventoryError(f"an outline needs three corners, got {len(set(points))}")
    made = shapely.make_valid(Polygon(points), method="structure", keep_collapsed=False)
    parts = [part for part in _parts(made) if part.area > 0]
    if not parts:
        raise InventoryError("this outline holds no area: draw it again")
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _parts(shape: BaseGeometry) -> list[Polygon]:
    """The polygons of a shape."""
    return [part for part in getattr(shape, "geoms", [shape]) if part.geom_type == "Polygon"]


def _many(numbers: Sequence[int]) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} polygons"
