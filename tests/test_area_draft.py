"""A draft is an area file that builds; it takes for DEM and landslides what a person would."""

import numpy as np
import pytest
import yaml
from boxes import cells, frame
from command import lsm
from sources import write_raster

from lsm_core import area_draft, preparation
from lsm_core.area_file import read_area_file
from lsm_core.catalog import load_catalog
from lsm_core.errors import AreaError
from lsm_core.intake import Found
from lsm_core.study_area import factors

DEM = Found("raster", "EPSG:32643", True, ("1",), (6, 8), 10.0, 900, 4000)
SLIDES = Found("vector", "EPSG:32643", True, features=2, geometry="Polygon")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A DEM, landslides and faults, and a workspace."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    rows, cols = np.indices((60, 80))
    heights = 1500 + 10 * rows + 40 * np.sin(cols / 5)
    write_raster(tmp_path / "dem.tif", heights.astype("float32"))
    frame(cells(11, 11, 2, 2), cells(30, 20, 3, 3)).to_file(tmp_path / "slides.gpkg")
    frame(cells(5, 5, 9, 9).boundary).to_file(tmp_path / "faults.gpkg")
    return tmp_path


def test_the_command_drafts_an_area_that_is_then_built(files, monkeypatch, capsys):
    words = ["draft", "hills", "--dem", str(files / "dem.tif")]
    words += ["--inventory", str(files / "slides.gpkg"), "--more", str(files / "faults.gpkg")]
    status, said, _ = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert (status, "`lsm prepare hills` builds it" in said) == (0, True)
    ds = preparation.prepare("hills", load_catalog())
    usual = [*area_draft.USUAL, "distance_to_faults"]
    assert factors(ds) == usual
    assert ds.sizes["place"] == 2
    assert ds["tpi"].attrs["long_name"].endswith("100 m")  # ten cells
    status, _, complaint = lsm("draft", "x", "--dem", "dme", "--inventory", "dme",
                               monkeypatch=monkeypatch, capsys=capsys)  # fmt: skip
    assert (status, "no file and no source" in complaint) == (2, True)


def test_a_dem_in_degrees_gets_cells_in_metres_of_its_zone():
    degrees = Found("raster", "EPSG:4326", False, cell=1 / 3600, middle=(-79.1, -4.0))
    draft = area_draft.draft_area("south", ("dem", degrees), ("slides", SLIDES))
    assert draft["grid"] == {"crs": "EPSG:32717", "resolution": 31.0}
    assert area_draft.check_draft(draft).grid.resolution == 31
    assert area_draft.draft_area("n", ("dem", DEM), ("slides", SLIDES))["grid"] == {"like": "dem"}
    assert area_draft.grid_part("dem", DEM, resolution=25.0) == {
        "crs": "EPSG:32643", "resolution": 25.0,
    }  # fmt: skip


def test_further_sources_are_taken_for_what_they_look_like(tmp_path):
    rock = tmp_path / "rock.tif"
    (tmp_path / "rock.tif.aux.xml").write_text(
        "<a><GDALRasterAttributeTable><FieldDefn><Name>VALUE</Name><Type>0</Type></FieldDefn>"
        "<FieldDefn><Name>Formation</Name><Type>2</Type></FieldDefn>"
        "</GDALRasterAttributeTable></a>"
    )
    classes = Found("raster", "EPSG:32643", True, classes=True)
    more = [
        ("rock", classes, rock),
        ("rain", DEM, None),
        ("faults", Found("vector", geometry="LineString", features=3), None),
        ("parks", SLIDES, None),
        ("slope", DEM, None),  # a name that is taken
    ]
    made = area_draft.draft_area("a", ("dem", DEM), ("slides", SLIDES), more=more)["factors"]
    assert made[len(area_draft.USUAL) :] == [
        {"name": "rock", "source": "rock", "kind": "categorical", "names": "Formation"},
        {"name": "rain", "source": "rain", "kind": "continuous"},
        {"name": "distance_to_faults", "distance_to": "faults"},
    ]


def test_guesses_go_by_name_then_by_kind():
    rain = Found("raster", "EPSG:32643", True)
    faults = Found("vector", geometry="LineString")
    points = Found("vector", geometry="Point")
    found = {"rain": rain, "aw3d30": DEM, "faults": faults, "a": points, "b": SLIDES}
    assert area_draft.guess_dem(found) == "aw3d30"
    assert area_draft.guess_dem({"rain": rain}) == "rain"
    assert area_draft.guess_inventory(found) == "b"
    assert area_draft.guess_inventory({"scars_2005": points, "b": SLIDES}) == "scars_2005"
    assert area_draft.guess_inventory({"faults": faults}) is None


def test_every_choice_of_terrain_is_one_an_area_file_knows():
    choices = area_draft.terrain_choices(30.0)
    assert choices["distance_to_streams"]["stream_area"] == 1e6
    small = area_draft.terrain_choices(30.0, 480_000)["distance_to_streams"]
    assert small["stream_area"] == 5000  # a hundredth of the ground, so that there are streams
    draft = area_draft.draft_area("a", ("dem", DEM), ("slides", SLIDES))
    area_draft.check_draft(draft | {"factors": list(choices.values())})
    assert choices["slope_position"]["radius"] == 300


def test_a_wrong_draft_is_said_and_a_shipped_name_kept(files):
    draft = area_draft.draft_area("a", ("dem", DEM), ("slides", SLIDES))
    with pytest.raises(AreaError, match="name takes letters, digits"):
        area_draft.save_draft(draft | {"name": "my area"})
    with pytest.raises(AreaError, match="name balakot is that of a shipped area"):
        area_draft.save_draft(draft | {"name": "balakot"})
    with pytest.raises(AreaError, match="no raster of elevations"):
        area_draft.draft_area("a", ("dem", SLIDES), ("slides", SLIDES))
    path = area_draft.save_draft(draft)
    assert yaml.safe_load(path.read_text()) == draft
    assert area_draft.area_files()["a"] == path
    assert read_area_file("a").dem.source == "dem"


def test_balakot_is_drafted_from_its_raw_files(shared_data):
    from lsm_core import intake

    found = {
        name: intake.look_at(shared_data / "balakot" / file)
        for name, file in {
            "aw3d30": "AW3D30.tif", "landslides": "landslides.shp", "geology": "Geology.tif",
            "faults": "Confirmed_faults.shp",
        }.items()
    }  # fmt: skip
    assert area_draft.guess_dem(found) == "aw3d30"
    assert area_draft.guess_inventory(found) == "landslides"
    assert found["geology"].classes
    assert area_draft.metres(found["aw3d30"]) == pytest.approx(28.555, abs=0.001)


def drafted(files, monkeypatch, capsys, name, *more, inventory="slides.gpkg", dem="dem.tif"):
    words = ["draft", name, "--dem", str(files / dem), "--inventory", str(files / inventory)]
    return lsm(*words, *map(str, more), monkeypatch=monkeypatch, capsys=capsys)


def test_a_dem_without_a_crs_takes_the_one_given(files, monkeypatch, capsys):
    rows, _ = np.indices((60, 80))
    write_raster(files / "plain.tif", (900.0 + rows).astype("float32"), crs=None)
    status, _, complaint = drafted(files, monkeypatch, capsys, "plain", dem="plain.tif")
    assert (status, "--crs 32643" in complaint) == (2, True)
    status, said, _ = drafted(files, monkeypatch, capsys, "plain", "--crs", 32643, dem="plain.tif")
    assert status == 0
    assert "like: plain" in said
    assert preparation.prepare("plain", load_catalog()).rio.crs.to_epsg() == 32643


def test_an_area_file_that_is_there_is_kept_unless_told(files, monkeypatch, capsys):
    assert drafted(files, monkeypatch, capsys, "kept")[0] == 0
    path = area_draft.own_area_file("kept")
    path.write_text(path.read_text() + "# mine\n")
    status, _, complaint = drafted(files, monkeypatch, capsys, "kept")
    assert (status, "--replace" in complaint) == (2, True)
    assert path.read_text().endswith("# mine\n")
    assert drafted(files, monkeypatch, capsys, "kept", "--replace")[0] == 0
    assert not path.read_text().endswith("# mine\n")


def test_what_no_factor_is_made_of_is_told_with_its_fields(files, monkeypatch, capsys):
    rock = frame(cells(5, 5, 9, 9), cells(20, 5, 9, 9)).assign(unit=["a", "b"])
    rock.to_file(files / "rock.gpkg")
    more = ("--more", files / "rock.gpkg", "--more", files / "faults.gpkg")
    _, said, _ = drafted(files, monkeypatch, capsys, "rocky", *more)
    assert "rock is no factor yet: polygons need the field of their classes" in said
    assert "fields: unit" in said
    assert "faults is no factor" not in said


def test_columns_of_a_table_are_asked_for_where_none_looks_like_x_and_y(files, monkeypatch, capsys):
    x, y = frame(cells(12, 12, 1, 1)).geometry.iloc[0].centroid.coords[0]
    (files / "points.csv").write_text(f"hoch,rechts\n{y},{x}\n")
    asked = ("--crs", 32643)
    _, _, complaint = drafted(files, monkeypatch, capsys, "p", *asked, inventory="points.csv")
    assert "which columns are x and y? There are hoch, rechts" in complaint
    named = (*asked, "--x", "rechts", "--y", "hoch")
    assert drafted(files, monkeypatch, capsys, "p", *named, inventory="points.csv")[0] == 0
    assert preparation.prepare("p", load_catalog()).sizes["place"] == 1
