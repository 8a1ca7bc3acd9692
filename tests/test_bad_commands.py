"""The real command line as a process, on what strangers made: one line, exit status 2, no trace."""

import os
import shutil
import subprocess
import sys

import pytest
import sound_folders
import yaml
from bad_rasters import VRT
from bad_texts import AREA, LAUGHS, PLAIN
from strangers import Place
from test_bad_input import _outside

pytestmark = pytest.mark.torture


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.country.catalog()
    made.write("area.yaml", yaml.safe_dump(made.country.area))
    made.write("recipe.yaml", yaml.safe_dump(PLAIN | {"area": "tiny"}))
    shutil.copytree(sound_folders.sound_run(), made.workspace / "runs" / "whole")
    shutil.copytree(sound_folders.sound_area(), made.workspace / "areas" / "tiny")
    return made


CASES = {  # what is spoilt (a file and its text), the command, and the words of the error
    "an_area_of_laughs": (("area.yaml", LAUGHS), "prepare area.yaml --catalog catalog.yaml",
                          "aliases repeat"),
    "a_catalogue_with_a_tag": (("catalog.yaml", "a: !!python/name:os.system\n"),
                               "prepare area.yaml --catalog catalog.yaml", "not readable YAML"),
    "a_dem_that_is_a_vrt": (("dem.tif", VRT.format(relative=0, of="/etc/passwd")),
                            "prepare area.yaml --catalog catalog.yaml", "is not what its name"),
    "an_inventory_that_is_text": (("slides.gpkg", "none"),
                                  "prepare area.yaml --catalog catalog.yaml", "is not what its"),
    "an_area_called_up": (("area.yaml", yaml.safe_dump(AREA | {"name": "../up"})),
                          "prepare area.yaml --catalog catalog.yaml", "name takes letters, digits"),
    "a_recipe_nested_deep": (("recipe.yaml", "a: " + "[" * 9999), "run recipe.yaml", "deep in"),
    "a_recipe_called_up": (("recipe.yaml", yaml.safe_dump(PLAIN | {"name": "../../up"})),
                           "run recipe.yaml --area tiny", "no slash"),
    "a_setting_that_is_no_yaml": (None, "run recipe.yaml --set seed=[", "is no value"),
    "a_setting_without_end": (None, "run recipe.yaml --set training.learning_rate=.inf", "finite"),
    "an_area_that_climbs": (None, "run recipe.yaml --area ../../beside", "without .."),
    "a_run_that_is_not_there": (None, "predict nobody --to map.tif", "no run at nobody"),
    "a_run_of_noise": (("../ws/runs/whole/encoder.json", b"\xff\xfe"),
                       "predict whole --to map.tif", "is not JSON"),
    "a_status_of_noise": (("../ws/runs/whole/status.json", "[]"),
                          "predict whole --to map.tif", "was not written by this program"),
    "an_area_cut": (("../ws/areas/tiny/area.zarr/elevation/zarr.json", "{"),
                    "predict whole --area tiny --to map.tif", "was not written by this program"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_command(place, name):
    spoilt, words, told = CASES[name]
    if spoilt:
        place.write(*spoilt)
    before = _outside(place)
    done = subprocess.run(
        [sys.executable, "-m", "lsm_core.cli", *words.split()], cwd=place.files,
        env=os.environ | {"LSM_WORKSPACE": str(place.workspace), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), done.stderr
    assert told in last
    assert "Traceback" not in done.stdout + done.stderr
    assert _outside(place) == before
    assert not (place.workspace / "areas" / "nowhere").exists()
