"""Windows are slices of the mirrored raster, at every place, size and scale."""

import numpy as np
import pytest

from lsm_core.errors import SampleError
from lsm_core.windows import bilinear_matrix, cut, cut_scales, reflect, slide, tiles


@pytest.fixture
def stack():
    return np.random.default_rng(3).random((9, 11, 2), dtype=np.float32)


def every_cell(stack):
    return [index.ravel() for index in np.indices(stack.shape[:2])]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_cut_is_a_slice_of_the_mirrored_raster_at_every_cell(stack, size):
    before, after = size // 2, (size - 1) // 2
    padded = np.pad(stack, [(before, after), (before, after), (0, 0)], mode="reflect")
    rows, cols = every_cell(stack)

    windows = cut(stack, rows, cols, size)

    for r, c, window in zip(rows, cols, windows, strict=True):
        np.testing.assert_array_equal(window, padded[r : r + size, c : c + size])


@pytest.mark.parametrize("size", [13, 22, 41])
def test_a_window_larger_than_the_raster_is_mirrored_again_and_again(stack, size):
    padded = np.pad(stack, [(size, size), (size, size), (0, 0)], mode="reflect")
    first = size - size // 2
    window = cut(stack, [0], [10], size)[0]
    np.testing.assert_array_equal(
        window, padded[first : first + size, first + 10 : first + 10 + size]
    )


def test_even_windows_reach_one_cell_further_up_and_left():
    stack = np.arange(100).reshape(10, 10, 1)
    assert cut(stack, [5], [5], 4)[0, :, :, 0].tolist() == [
        [33, 34, 35, 36],
        [43, 44, 45, 46],
        [53, 54, 55, 56],
        [63, 64, 65, 66],
    ]


def test_cut_keeps_dtype_and_nan_and_never_hands_out_a_view(stack):
    stack[4, 4] = np.nan
    window = cut(stack, [4], [4], 1)
    assert window.dtype == np.float32
    assert np.isnan(window).all()
    window[:] = 7
    assert np.isnan(stack[4, 4]).all()
    codes = np.full((4, 4, 1), -1, np.int16)
    assert cut(codes, [0], [0], 3).dtype == np.int16
    assert cut(codes, [], [], 3).shape == (0, 3, 3, 1)


def test_cut_works_on_a_view_of_a_larger_raster(stack):
    part = stack[2:8, 1:9]
    np.testing.assert_array_equal(cut(part, [3], [3], 5)[0], stack[3:8, 2:7])


def test_one_row_has_nothing_to_mirror_and_repeats():
    assert cut(np.arange(3).reshape(1, 3, 1), [0], [1], 3)[0, :, :, 0].tolist() == [[0, 1, 2]] * 3


def test_places_outside_are_named(stack):
    with pytest.raises(SampleError, match=r"1 of 2 places lie outside.*9 x 11.*row 9, column 0"):
        cut(stack, [0, 9], [0, 0], 3)
    with pytest.raises(SampleError, match="outside"):
        cut(stack, [-1], [0], 3)
    with pytest.raises(SampleError, match="at least 1 cell"):
        cut(stack, [0], [0], 0)


def test_scales_are_channels_and_the_size_wanted_is_left_alone(stack):
    scales = cut_scales(stack, [4, 0], [4, 10], sizes=(4, 6, 8), to=4)
    assert scales.shape == (2, 4, 4, 6)
    np.testing.assert_array_equal(scales[..., :2], cut(stack, [4, 0], [4, 10], 4))


def test_resampling_a_plane_gives_the_plane_at_the_new_centres():
    # A plane is linear, so bilinear must be exact: the new cells' centres are size/to apart.
    y, x = np.indices((40, 40), dtype=np.float32)
    plane = (3 * y - 2 * x)[..., None]
    window = cut_scales(plane, [20], [20], sizes=[22], to=12)[0, :, :, 0]
    centre = (np.arange(12) + 0.5) * 22 / 12 - 0.5 + 20 - 11
    np.testing.assert_allclose(window, 3 * centre[:, None] - 2 * centre[None], atol=2e-5)


@pytest.mark.parametrize(("size", "to"), [(22, 12), (17, 12), (5, 9), (1, 4), (6, 6)])
def test_bilinear_weights_sum_to_one_and_are_symmetric(size, to):
    matrix = bilinear_matrix(size, to)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    if size == to:
        np.testing.assert_array_equal(matrix, np.eye(size))


def test_slide_gives_the_first_cell_of_every_window(stack):
    rows, cols = slide((9, 11), 4)
    assert len(rows) == len(cols) == 99
    inside = (rows >= 0) & (cols >= 0) & (rows <= 5) & (cols <= 7)
    windows = cut(stack, *every_cell(stack), 4)
    for r, c, window in zip(rows[inside], cols[inside], windows[inside], strict=True):
        np.testing.assert_array_equal(window, stack[r : r + 4, c : c + 4])


@pytest.mark.parametrize("halo", [0, 2, 30])
def test_tiles_put_together_are_the_raster(stack, halo):
    whole = np.zeros_like(stack)
    for tile in tiles((9, 11), 4, halo):
        whole[tile.core] += stack[tile.read][tile.within]
    np.testing.assert_array_equal(whole, stack)


def test_a_tile_reads_its_halo_as_far_as_the_raster_goes():
    first, *_, last = tiles((9, 11), 4, 2)
    assert first.read == (slice(0, 6), slice(0, 6))
    assert last == (
        (slice(8, 9), slice(8, 11)),
        (slice(6, 9), slice(6, 11)),
        (slice(2, 3), slice(2, 5)),
    )


def test_reflect_is_numpys(stack):
    index = reflect(np.arange(-20, 29), 9)
    np.testing.assert_array_equal(index, np.pad(np.arange(9), 20, mode="reflect"))
