"""What is said of the difference of two maps, and its colours."""

import numpy as np
import pytest

from lsm_core.errors import SampleError
from lsm_core.map_difference import contrast, difference_image, difference_ramp


def test_numbers_of_a_known_difference():
    first = np.full((10, 10), 0.5)
    second = first.copy()
    second[0] = 0.2  # the first is 0.3 higher in a tenth of the map
    second[1, :5] = 0.75  # and 0.25 lower in a twentieth
    second[9, 9] = np.nan
    found = contrast(first, second)
    assert found.cells == 99
    assert found.mean == pytest.approx((10 * 0.3 - 5 * 0.25) / 99)
    assert found.absolute == pytest.approx((10 * 0.3 + 5 * 0.25) / 99)
    assert (found.higher, found.lower) == (pytest.approx(10 / 99), pytest.approx(5 / 99))
    assert np.isnan(found.rank)
    assert found.limit == 0.3
    words = found.words("CNN", "forest")
    assert "CNN is 0.018 higher than forest" in words
    assert "in 10.1% of the area" in words
    assert "Spearman" not in words


def test_the_scale_is_even_and_its_ends_are_what_the_page_says():
    image = difference_image(np.array([[-0.1, 0.4]]), (0, 0, 2, 1), limit=0.5)
    style = image.opts.get("plot").kwargs
    assert style["clim"] == (-0.5, 0.5)
    low, high = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in difference_ramp(12)[::11])
    assert low[2] > low[0]  # purple: more blue than red
    assert high[0] > high[2]  # orange: more red than blue
    assert image.opts.get("style").kwargs["cmap"] == "PuOr_r"


@pytest.mark.parametrize(
    ("second", "words"), [(np.ones(3), "one grid"), (np.full(4, np.nan), "no cell has a value")]
)
def test_maps_that_cannot_be_subtracted(second, words):
    with pytest.raises(SampleError, match=words):
        contrast(np.ones(4), second)
