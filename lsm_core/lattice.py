"""The lattice of a raster: shape, transform and CRS as one small value."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError as RasterioCRSError

from lsm_core.errors import CrsError

Bounds = tuple[float, float, float, float]

# Two grids are one when no corner differs by more than this share of a cell. Rasters of one
# source differ by rounding (0.1 mm at Balakot) after different programs; a real shift is larger.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Grid:
    """Shape (rows, columns), transform and projected CRS of a north-up raster.

    Hashable and comparable; no arithmetic here touches a pixel. Transform, bounds and coordinates
    are in the units of the CRS (metres or feet); `cell_size` and `step` are in metres always.

    >>> grid = Grid((2, 3), Affine(10, 0, 500000, 0, -10, 4000000), CRS.from_epsg(32643))
    >>> grid.cell_size, grid.bounds
    (10.0, (500000.0, 3999980.0, 500030.0, 4000000.0))
    >>> tuple(int(i) for i in grid.rowcol(500012.0, 3999981.0))
    (1, 1)
    """

    shape: tuple[int, int]
    transform: Affine
    crs: CRS = field(hash=False)  # equal CRS may hash apart, by code and by definition

    @cached_property
    def metres_per_unit(self) -> float:
        """Metres in one unit of the CRS: 1 for metres, 0.3048006 for US survey feet."""
        try:
            return float(self.crs.linear_units_factor[1])
        except RasterioCRSError as error:
            raise CrsError(f"{crs_name(self.crs)} states no unit of length: {error}") from None

    @property
    def step(self) -> tuple[float, float]:
        """Width and height of a cell in metres."""
        return (
            abs(self.transform.a) * self.metres_per_unit,
            abs(self.transform.e) * self.metres_per_unit,
        )

    @property
    def cell_size(self) -> float:
        """Side of a cell in metres; of a cell that is not square, the root of its area."""
        width, height = self.step
        return width if width == height else math.sqrt(width * height)

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top): outer edges of the outer cells, in units of the CRS."""
        rows, cols = self.shape
        left, top = self.transform * (0, 0)
        right, bottom = self.transform * (cols, rows)
        return float(left), float(bottom), float(right), float(top)

    @property
    def x(self) -> NDArray[np.float64]:
        """Column centres, west to east."""
        return self.transform.c + self.transform.a * (np.arange(self.shape[1]) + 0.5)

    @property
    def y(self) -> NDArray[np.float64]:
        """Row centres, north to south."""
        return self.transform.f + self.transform.e * (np.arange(self.shape[0]) + 0.5)

    def xy(self, rows: ArrayLike, cols: ArrayLike) -> tuple[NDArray, NDArray]:
        """Coordinates of the centres of the cells (rows, cols)."""
        x = self.transform.c + self.transform.a * (np.asarray(cols) + 0.5)
        y = self.transform.f + self.transform.e * (np.asarray(rows) + 0.5)
        return x, y

    def rowcol(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
        """Cells that hold the points; a point outside gets a row or column outside the shape.

        A point on the line between two cells belongs to the eastern or southern one.
        """
        cols = np.floor((np.asarray(x) - self.transform.c) / self.transform.a)
        rows = np.floor((np.asarray(y) - self.transform.f) / self.transform.e)
        return rows.astype(np.int64), cols.astype(np.int64)

    def window(self, top: int, left: int, bottom: int, right: int) -> "Grid":
        """The same lattice from row `top` to before `bottom`, column `left` to before `right`.

        Numbers below 0 or beyond the shape reach outside: they give a grid with a margin.
        """
        shift = Affine.translation(left, top)
        return Grid((bottom - top, right - left), self.transform * shift, self.crs)

    def cover(self, bounds: Bounds) -> tuple[int, int, int, int]:
        """Rows and columns (top, left, bottom, right) of the fewest whole cells that hold a box.

        What sticks out by no more than 0.01 of a cell is taken for rounding.
        """
        (left, top), (right, bottom) = (
            ~self.transform * corner for corner in ((bounds[0], bounds[3]), (bounds[2], bounds[1]))
        )
        return (
            math.floor(top + TOLERANCE),
            math.floor(left + TOLERANCE),
            math.ceil(bottom - TOLERANCE),
            math.ceil(right - TOLERANCE),
        )


def check_projected(crs: CRS, name: str, *, cure: str = "gdalwarp -t_srs") -> CRS:
    """The CRS, if it is projected, in metres or feet; CrsError with the cure if not.

    `cure` is the command that reprojects, as the message is to give it.
    """
    if crs.is_geographic:
        raise CrsError(
            f"{name} is in degrees ({crs_name(crs)}), where no slope and no distance can be had in "
            "metres: give the area file a projected grid, e.g. "
            f"`grid: {{crs: EPSG:32643, resolution: 30}}`, or reproject it: {cure}"
        )
    if not crs.is_projected:
        raise CrsError(f"{name}: {crs_name(crs)} is not projected: use a CRS in metres or feet")
    return crs


def crs_name(crs: CRS) -> str:
    """EPSG code, or the start of the definition."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()[:60]
