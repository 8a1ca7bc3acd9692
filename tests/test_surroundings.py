"""The disc round a cell, against brute force and against its own edges."""

import numpy as np
import pytest

from lsm_core.errors import AreaError
from lsm_core.surroundings import _disc, half_widths, height_above


def naive(z: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """TPI and standardised TPI of unit cells, cell by cell; missing cells mirrored."""
    index, deviation = np.full((2, *z.shape), np.nan)
    far = int(reach)
    padded = np.pad(z, far, constant_values=np.nan)
    offsets = [(d, r) for d in range(-far, far + 1) for r in range(-far, far + 1)
               if np.hypot(d, r) <= reach]  # fmt: skip
    for row, col in zip(*np.nonzero(~np.isnan(z)), strict=True):
        here = z[row, col]
        rise = []
        for down, right in offsets:
            value = padded[row + far + down, col + far + right]
            mirror = padded[row + far - down, col + far - right]
            value = 2 * here - mirror if np.isnan(value) else value
            rise.append(0 if np.isnan(value) else value - here)
        index[row, col] = -np.sum(rise) / (len(rise) - 1)
        deviation[row, col] = -np.mean(rise) / np.std(rise)
    return index, deviation


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_by_brute_force_with_gaps(radius: int) -> None:
    """High up, so that the sum of squares would lose digits in float32; steps of 1/1024 m."""
    rng = np.random.default_rng(1)
    z = 4000 + np.round(rng.normal(0, 30, (14, 17)) * 1024) / 1024
    z[3, 4:7] = z[0, 9] = z[13, 16] = np.nan
    index, deviation = naive(z, max(radius, np.sqrt(0.5)) + 0.5)
    found = height_above(z, half_widths(radius, 1, 1), 2)
    np.testing.assert_allclose(found[0], index, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-4, atol=1e-5)


def test_sums_that_overflow_come_right_again() -> None:
    """180,000 cells of 8 km: their squares sum beyond 2^63 on the way."""
    z = np.full((481, 481), 8000.0)
    z[240, 240] += 100
    spans = half_widths(239, 1, 1)
    out = np.zeros((2, *z.shape), np.float32)
    steps = np.rint(z * 1024).astype(np.int32)
    _disc(steps, 240, 241, spans, out)
    full = (2 * spans + 1).sum()
    assert int(full) * (8000 * 1024) ** 2 > 2**63
    assert out[0, 240, 240] == pytest.approx(100, rel=1e-6)
    assert out[1, 240, 240] == pytest.approx(np.sqrt(full - 1), rel=1e-4)


def test_discs_of_cells_that_are_not_square() -> None:
    """Within 40 m plus half of the 20 m between 10 and 40: 50 m across, 30 m a row away."""
    assert half_widths(40, 10, 40).tolist() == [3, 5, 3]
    assert half_widths(1, 10, 10).tolist() == [1, 1, 1]


def test_a_forgotten_nodata_value_is_told() -> None:
    z = np.zeros((3, 3))
    z[1, 1] = -3.4e38
    with pytest.raises(AreaError, match="state the DEM's nodata value"):
        height_above(z, half_widths(1, 1, 1), 1)
