"""The web map lays a layer where it belongs; nothing of it is loaded before somebody asks."""

import subprocess
import sys

import numpy as np
import pytest
from pyproj import Transformer
from rasterio.crs import CRS
from test_figures import GRID, make_area

from lsm_app import factor_map, session

UTM = CRS.from_epsg(32643)


def test_nothing_of_it_is_loaded_with_the_page():
    code = "import sys, lsm_app.pages.study_area; print('geoviews' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cell_lies_where_pyproj_says():
    from lsm_app.web_map import to_web

    values = np.full((90, 70), 1, "float32")
    values[40:44, 20:24] = 9
    there, (left, _, right, top) = to_web(values, GRID.bounds, UTM, True)
    assert set(np.unique(there[np.isfinite(there)])) == {1, 9}
    rows, cols = np.nonzero(there == 9)
    step = (right - left) / there.shape[1]
    x, y = left + step * (cols.mean() + 0.5), top - step * (rows.mean() + 0.5)
    middle = GRID.bounds[0] + 22 * 30, GRID.bounds[3] - 42 * 30
    to_mercator = Transformer.from_crs(32643, 3857, always_xy=True)
    assert (x, y) == pytest.approx(to_mercator.transform(*middle), abs=step)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lines_of_the_graticule_are_round_and_cross_the_box():
    from lsm_app.web_map import WEB, graticule, transform_bounds

    box = transform_bounds(CRS.from_epsg(4326), WEB, 73.27, 34.49, 73.51, 34.75)
    assert graticule(box) == (
        [73.3, 73.35, 73.4, 73.45, 73.5], [34.5, 34.55, 34.6, 34.65, 34.7],
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_switch_is_off_and_draws_tiles_only_when_on(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    path = make_area(tmp_path)
    shown = factor_map.FactorMap(session.Session(area="valley"), path)

    def tiles():
        root = shown.view.get_root()
        return [model for model in root.references() if model.__class__.__name__ == "TileRenderer"]

    assert not shown.web.value
    assert not tiles()
    shown.web.value = True
    assert len(tiles()) == 1
    shown.choice.value = factor_map.NOTHING
    assert len(tiles()) == 1
    shown.web.value = False
    assert not tiles()
