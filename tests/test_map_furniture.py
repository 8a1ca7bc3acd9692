"""What stands round a printed map: scale bar, north arrow, degrees, and room for all of it."""

import numpy as np
import pyproj
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rasterio.crs import CRS

from lsm_core import map_furniture as furniture
from lsm_core import print_maps
from lsm_core.print_style import Look, blank, styled

BOUNDS = (339000.0, 3819000.0, 362600.0, 3847200.0)


@pytest.mark.parametrize(
    ("epsg", "bounds"),
    [
        (32643, BOUNDS),
        (3857, (1.0e6, 8.39e6, 1.04e6, 8.43e6)),  # at 60 degrees Mercator is twice too long
        (2274, (1.8e6, 6.0e5, 1.9e6, 7.0e5)),  # Tennessee, US feet
    ],
)
def test_the_scale_bar_is_as_long_as_it_says(epsg, bounds):
    crs = CRS.from_epsg(epsg)
    bar = furniture.scale_bar(crs, bounds)
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    to = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    (lon0, lat0), (lon1, lat1) = (
        to.transform(x - bar.units / 2, y),
        to.transform(x + bar.units / 2, y),
    )
    length = pyproj.Geod(ellps="WGS84").inv(lon0, lat0, lon1, lat1)[2]
    assert length == pytest.approx(bar.metres, rel=0.001)
    assert str(bar.metres)[0] in "125"


def test_the_arrow_points_to_true_north():
    """West of a zone's meridian the grid leans: convergence is -(73.4 - 75) sin(latitude)."""
    turned = furniture.north_of(CRS.from_epsg(32643), BOUNDS)
    lon, lat = pyproj.Transformer.from_crs(32643, 4326, always_xy=True).transform(350800, 3833100)
    assert turned == pytest.approx(-(lon - 75) * np.sin(np.radians(lat)), abs=0.01)
    assert turned > 0.5


@pytest.mark.parametrize("width", [60, 90, 140, 190])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("shape", [0.4, 1.0, 3.0])
def test_maps_keep_their_shape_and_nothing_leaves_the_sheet(width, n, shape):
    look = Look(width_mm=width)
    plan = print_maps.plan_of((0, 0, 10_000 * shape, 10_000), n, look)
    for box in (*plan.maps, plan.inset, plan.legend, plan.scale):
        assert box.left >= 0
        assert box.bottom >= 0
        assert box.width > 0
        assert box.left + box.width <= width + 0.01
        assert box.bottom + box.height <= plan.height + 0.01
    for box in plan.maps:
        assert box.width / box.height == pytest.approx(shape)
    places = {(round(box.left), round(box.bottom)) for box in plan.maps}
    assert len(places) == n
    assert plan.height <= 240


def test_round_degrees_lie_inside():
    assert furniture.ticks_between(73.25, 73.52) == pytest.approx(
        [73.25, 73.3333, 73.4166, 73.5], abs=1e-3
    )
    for low, high in ((-3.2, 4.1), (10.001, 10.02), (-179, 179)):
        ticks = furniture.ticks_between(low, high)
        assert 0 < len(ticks) <= 4 or high - low < 0.02
        assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize("title", ["Susceptibility class", "Suszeptibilitätsklasse"])
@pytest.mark.parametrize("wide", [9, 40])
def test_a_legends_title_breaks_between_words_and_fits(title, wide):
    look = Look(size=6, dpi=100)
    with styled(look):
        figure = blank(look, 50)
        sheet = furniture.sheet_of(figure, look)
        furniture._heading(sheet, furniture.Box(5, 5, wide, 40), title, look)
        (text,) = sheet.texts
        shown = text.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width / 100 * 25.4
    assert text.get_text().split() == title.split()
    assert shown < wide + 0.5
    assert text.get_size() == 5.4 or wide == 9
