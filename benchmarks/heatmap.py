"""The heatmap of landslides against a loop over squares and a distance transform."""

from collections.abc import Iterator

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from scipy.ndimage import distance_transform_edt

from benchmarks.timing import Row, in_turn
from lsm_core.grid import Grid
from lsm_core.sampling import gaussian_heatmap

REACH = 6.5  # cells


def rows(quick: bool) -> Iterator[Row]:
    grid, points = _scene((720, 830), 3592)
    ratio, note = in_turn(lambda: _by_squares(points, grid), lambda: _ours(points, grid))
    yield Row("P8", f"heatmap: Python loop over squares / ours, {_size(grid, points)}", 80, ratio,
              at_least=True, note=note)  # fmt: skip
    grid, points = _scene((2157, 3605), 25_000) if quick else _scene((4314, 7210), 100_000)
    ratio, note = in_turn(lambda: _by_transform(points, grid), lambda: _ours(points, grid))
    yield Row("P8e", f"heatmap: scipy's distance transform / ours, {_size(grid, points)}", 8, ratio,
              at_least=True, note=note)  # fmt: skip


def _scene(shape: tuple[int, int], n: int) -> tuple[Grid, np.ndarray]:
    grid = Grid(shape, Affine(30, 0, 5e5, 0, -30, 4e6), CRS.from_epsg(32643))
    cells = np.random.default_rng(0).integers(0, shape, (n, 2))
    return grid, np.column_stack(grid.xy(cells[:, 0], cells[:, 1]))


def _size(grid: Grid, points: np.ndarray) -> str:
    return f"{grid.shape[0]:,} x {grid.shape[1]:,} cells, {len(points):,} points, radius 6.5 cells"


def _ours(points: np.ndarray, grid: Grid) -> np.ndarray:
    return gaussian_heatmap(points, grid, REACH * 30).values


def _by_squares(points: np.ndarray, grid: Grid) -> np.ndarray:
    heat = np.zeros(grid.shape, np.float32)
    rows, cols = grid.rowcol(points[:, 0], points[:, 1])
    far = int(REACH)
    for row, col in zip(rows, cols, strict=True):
        for r in range(max(row - far, 0), min(row + far + 1, grid.shape[0])):
            for c in range(max(col - far, 0), min(col + far + 1, grid.shape[1])):
                squared = (r - row) ** 2 + (c - col) ** 2
                if squared <= REACH**2:
                    heat[r, c] = max(heat[r, c], 0.1 ** (squared / REACH**2))
    return heat


def _by_transform(points: np.ndarray, grid: Grid) -> np.ndarray:
    away = np.ones(grid.shape, bool)
    away[grid.rowcol(points[:, 0], points[:, 1])] = False
    distance = distance_transform_edt(away)
    return np.where(distance <= REACH, 0.1 ** ((distance / REACH) ** 2), 0).astype(np.float32)
