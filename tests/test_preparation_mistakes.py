"""An area file, a source or an inventory that is wrong is named, with its cure."""

import numpy as np
import pytest
import shapely
import yaml
from affine import Affine
from country import UTM

from lsm_core import preparation
from lsm_core.errors import (
    AreaError,
    CatalogError,
    CrsError,
    GridError,
    InventoryError,
    SourceError,
)

pytestmark = pytest.mark.usefixtures("no_environment")


def test_missing_file(country):
    known = country.catalog()
    (country.folder / "dem.tif").unlink()
    with pytest.raises(SourceError, match=r"dem: no file at .*dem\.tif .*LSM_DATA"):
        preparation.prepare(_written(country), known)


def _written(country):
    path = country.folder / "area.yaml"
    path.write_text(yaml.safe_dump(country.area))
    return path


def test_unknown_entry(country):
    country.area["dem"] = "dam"
    with pytest.raises(CatalogError, match="no 'dam': did you mean dem"):
        country.prepare()


def test_no_crs(country):
    country.raster("dem", np.ones(country.shape, "float32"), crs=None)
    with pytest.raises(CrsError, match="dem has no coordinate reference system"):
        country.prepare()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:999999", "no crs"])
def test_wrong_crs_of_the_grid(country, crs):
    country.area["grid"] = {"crs": crs, "resolution": 30}
    with pytest.raises(CrsError, match="in degrees" if crs == "EPSG:4326" else "is no CRS"):
        country.prepare()


def test_factors_that_do_not_overlap(country):
    far = Affine(20, 0, 700000, 0, -20, 4000000)
    country.raster("rain", np.ones((5, 5), "float32"), transform=far)
    country.area["factors"].append({"name": "rain", "source": "rain"})
    with pytest.raises(GridError, match=r"rain does not overlap the study area: it covers x 7000"):
        country.prepare()


def test_inventory_outside_empty_or_everywhere(country):
    country.inventory([shapely.box(600000, 3999000, 600100, 3999100)])
    with pytest.raises(InventoryError, match=r"no landslide lies in the study area.*covers x 6000"):
        country.prepare()
    country.inventory([])
    with pytest.raises(InventoryError, match="the inventory is empty"):
        country.prepare()
    country.inventory([country.box(-1, -1, 61, 81)])
    with pytest.raises(InventoryError, match="one class only"):
        country.prepare()


def test_dem_with_hidden_nodata(country):
    """-9999 that the file does not state would be a chasm."""
    values = np.full(country.shape, 700, "float32")
    values[0, 0] = -9999
    country.raster("dem", values)
    with pytest.raises(SourceError, match=r"elevations from -9999 to 700 m: state its nodata"):
        country.prepare()
    values[0, 0] = 32767
    country.raster("dem", values)
    with pytest.raises(SourceError, match=r"elevations from 700 to 32767 m: state its nodata"):
        country.prepare()


def test_fractions_are_no_classes(country):
    country.area["factors"].append({"name": "rock", "source": "dem", "kind": "categorical"})
    country.raster("dem", np.full(country.shape, 700.5, "float32"))
    with pytest.raises(SourceError, match=r"no raster of classes: it holds .700.5"):
        country.prepare()


BAD = {
    "key": ({"tilte": "x"}, "unknown key 'tilte': did you mean title"),
    "grid key": ({"grid": {"like": "dem", "resolutoin": 3}}, "unknown key 'grid.resolutoin'"),
    "factor key": (
        {"factors": [{"name": "a", "sorce": "dem"}]}, r"'factors\.0\.sorce': did you mean source",
    ),
    "both grids": ({"grid": {"like": "dem", "crs": UTM}}, "either `like: SOURCE`, or `crs` and"),
    "half a grid": ({"grid": {"crs": UTM}}, "either `like: SOURCE`, or `crs` and"),
    "extent": ({"grid": {"like": "dem", "extent": [1, 2, 0, 3]}}, r"extent is \[left, bottom"),
    "no origin": ({"factors": [{"name": "a"}]}, "exactly one of derive, source"),
    "two origins": (
        {"factors": [{"name": "a", "derive": "slope", "source": "dem"}]}, "exactly one of",
    ),
    "unknown factor": ({"factors": ["slpoe"]}, "no factor 'slpoe' .*did you mean slope"),
    "stray": (
        {"factors": [{"name": "a", "derive": "slope", "kind": "cyclic"}]}, "kind says nothing",
    ),
    "no radius": ({"factors": ["slope_position"]}, "slope_position takes radius"),
    "radius": (
        {"factors": [{"name": "a", "derive": "slope", "radius": 9}]}, "slope takes neither",
    ),
    "streams": ({"factors": [{"name": "a", "distance_to": "streams"}]}, "goes with `stream_area`"),
    "twice": ({"factors": ["slope", "slope"]}, "two factors are called slope"),
    "reserved": ({"factors": [{"name": "valid", "source": "dem"}]}, "valid is a name that every"),
    "no dem": ({"dem": None}, "no `dem: SOURCE` is stated"),
    "nothing": ({"factors": []}, "factors: List should have at least 1 item"),
    "bad name": ({"name": "../up"}, "name takes letters, digits, - and _, got"),
    "blur": (
        {"factors": [{"name": "a", "source": "dem", "kind": "categorical", "how": "cubic"}]},
        "by `how: nearest` only",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_area_files_that_are_wrong(country, name):
    change, words = BAD[name]
    country.area |= change
    with pytest.raises(AreaError, match=words):
        country.prepare()


def test_area_file_not_there_or_not_yaml(tmp_path):
    with pytest.raises(AreaError, match=r"no area file blakot: .*did you mean balakot"):
        preparation.read_area_file("blakot")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(AreaError, match="not readable YAML"):
        preparation.read_area_file(tmp_path / "a.yaml")


def test_resolution_too_fine(country):
    country.area["grid"] = {"crs": UTM, "resolution": 0.001}
    with pytest.raises(AreaError, match=r"a resolution of 0.001 makes .* in the units of the grid"):
        country.prepare()


def test_more_memory_than_there_is(country, monkeypatch):
    total = preparation.psutil.virtual_memory()._replace(total=1e5)
    monkeypatch.setattr(preparation.psutil, "virtual_memory", lambda: total)
    with pytest.raises(AreaError, match=r"need about .* GB of memory, this machine has 0: make"):
        country.prepare()


def test_a_raster_cut_short(country):
    known = country.catalog()
    file = country.folder / "dem.tif"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"dem cannot be read to its end .*fetch it again"):
        preparation.prepare(_written(country), known)
