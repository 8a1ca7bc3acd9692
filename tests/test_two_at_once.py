"""Two processes on one thing: one does it, the other is told, waits or finds it done."""

import shutil

import numpy as np
import pytest
import yaml
from country import Country
from killing import LONG, Killer, check_whole
from test_kills import FOREST, same_map, whole_run
from test_kills import warm as warm
from test_kills import workspace as workspace

from lsm_core import study_area
from lsm_core.run_files import read_json, write_json
from lsm_core.runs import list_runs, open_run

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def run(workspace, warm):
    return whole_run(workspace, "forest", warm)


def both(killer, words, tally):
    """Two processes of one command: how each ended and what it said."""
    tally.count("commands given twice at once")
    pair = [killer.start(words) for _ in "ab"]
    said = ["".join(process.communicate(timeout=LONG)) for process in pair]
    assert not any("Traceback" in words for words in said), said
    return sorted(zip([process.returncode for process in pair], said, strict=True))


def one_is_told(ended, words):
    """Both ended well, or one did and the other was told so."""
    assert ended[0][0] == 0, ended
    if ended[1][0]:
        assert ended[1][0] == 2
        assert words in ended[1][1].splitlines()[-1], ended[1][1]


@pytest.fixture
def killer(workspace):
    return Killer(workspace, np.random.default_rng(0))


def test_an_area(tmp_path, tally):
    country = Country(tmp_path, shape=(200, 200))
    country.catalog()
    (tmp_path / "area.yaml").write_text(yaml.safe_dump(country.area))
    killer = Killer(tmp_path, np.random.default_rng(0))
    ended = both(killer, ["prepare", "area.yaml", "--catalog", "catalog.yaml"], tally)
    one_is_told(ended, "another process builds")
    study_area.open_area(tmp_path / "areas" / "nowhere").load()
    assert [p.name for p in (tmp_path / "areas").iterdir()] == ["nowhere"]


def test_a_run_that_was_cut_off(workspace, run, killer, tally, tmp_path):
    path = shutil.copytree(run.path, tmp_path / run.id)
    (path / "metrics.json").unlink()
    write_json(path / "status.json", read_json(path / "status.json") | {"state": "running"})
    assert open_run(path).state == "lost"
    ended = both(killer, ["run", "--resume", str(path)], tally)
    one_is_told(ended, "another process goes on with")
    assert open_run(path).state == "done"
    assert open_run(path).metrics["scores"] == run.metrics["scores"]


def test_a_recipe(workspace, killer, tally, tmp_path):
    """Two runs: each has a folder of its own, and they take turns."""
    (tmp_path / "twice.yaml").write_text(yaml.safe_dump(FOREST | {"name": "twice"}))
    ended = both(killer, ["run", str(tmp_path / "twice.yaml"), "--into", str(tmp_path)], tally)
    assert [status for status, _ in ended] == [0, 0], ended
    first, second = list_runs(tmp_path)
    assert first.state == second.state == "done"
    assert first.metrics["scores"] == second.metrics["scores"]


def test_a_map(workspace, run, killer, tally, tmp_path):
    to = tmp_path / "map.tif"
    words = ["predict", str(run.path), "--to", str(to)]
    one_is_told(both(killer, words, tally), "another process is making")
    same_map(to, run.map_path)


def test_a_zip(workspace, run, killer, tally, tmp_path):
    words = ["export", str(run.path), "--to", str(tmp_path / "all.zip"), "--part", "maps"]
    one_is_told(both(killer, words, tally), "another process writes")
    assert check_whole(tmp_path) == 1


def test_a_figure(workspace, run, killer, tally, tmp_path):
    words = ["figures", str(run.path), "--to", str(tmp_path), "--figure", "roc"]
    assert [status for status, _ in both(killer, words, tally)] == [0, 0]
    assert check_whole(tmp_path) == 2


def test_a_search(workspace, killer, tally, tmp_path):
    words = ["tune", "forest.yaml", "--n", "2", "--set", "map=false", "--into", str(tmp_path)]
    one_is_told(both(killer, words, tally), "another process searches")
    check_whole(tmp_path)
