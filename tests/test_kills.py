"""kill -9 at random moments: nothing that was finished is lost, and the next command goes on.

`LSM_KILLS` says how many in all, 100 without; the same seed draws the same moments. A folder that
is left is whole, or says that it is `lost`; a file with a final name can be read to its end.
"""

import json
import math
import os
import zipfile

import numpy as np
import pytest
import rasterio
import yaml
from country import Country
from killing import Killer, check_whole, fingerprint
from warm import Warm

from lsm_core import sample_area, study_area
from lsm_core.checkpoint import Checkpoint
from lsm_core.errors import AreaError
from lsm_core.export_bundle import read_manifest
from lsm_core.runs import list_runs, open_run, read_progress

pytestmark = pytest.mark.torture

KILLS = int(os.environ.get("LSM_KILLS", "100"))
SHARES = {
    "prepare": 19,
    "forest": 31,
    "network": 10,
    "predict": 15,
    "tune": 15,
    "export": 10,
}  # of a hundred; fmt: skip
IN_A_ROW = 4  # kills of one run before it is let to its end
FOREST = {
    "name": "forest", "area": "sample", "split": {"block": 6000.0},
    "model": {"name": "random_forest", "options": {"n_estimators": 60}}, "input": {"form": "table"},
}  # fmt: skip
NETWORK = {
    "name": "network", "area": "sample", "split": {"block": 6000.0}, "map": False,
    "model": {"name": "cnn", "options": {"scse": False}},
    "input": {"form": "onehot", "factors": ["slope", "lithology"]},
    "training": {"epochs": 8, "patience": 8, "batch": 64},
}  # fmt: skip


def share(kind):
    return math.ceil(SHARES[kind] * KILLS / 100)


def test_as_many_kills_are_planned_as_are_asked_for():
    assert sum(SHARES.values()) == 100
    assert sum(map(share, SHARES)) >= KILLS


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The sample area, coarse and finer, and what the commands are told."""
    folder = tmp_path_factory.mktemp("ws")
    for name, resolution in (("sample", 180.0), ("finer", 75.0)):
        built = sample_area.build(resolution=resolution, name=name)
        study_area.save_area(built.ds, folder / "areas" / name, inventory=built.inventory)
    told = {"forest": FOREST, "network": NETWORK}
    for name, content in told.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def warm():
    made = Warm()
    yield made
    made.end()


def whole_run(workspace, name, warm=None):
    """A finished run of a recipe, never cut off."""
    killer = Killer(workspace, np.random.default_rng(1), warm if name != "network" else None)
    killer.finish(["run", f"{name}.yaml", "--into", "whole"])
    return next(run for run in list_runs(workspace / "whole") if run.recipe.name == name)


@pytest.fixture(scope="module")
def forest(workspace, warm):
    return whole_run(workspace, "forest", warm)


@pytest.fixture(scope="module")
def network(workspace):
    return whole_run(workspace, "network")


@pytest.fixture
def killer(workspace, warm, request, tally):
    """Kills until the test's end; afterwards it is told how many."""
    warm = None if "network" in request.node.name else warm
    made = Killer(workspace, np.random.default_rng(sum(map(ord, request.node.name))), warm)
    yield made
    name = request.node.name.removeprefix("test_a_killed_")
    tally.count("kills", made.kills)
    tally.count("commands that ended before they were killed, not counted as kills", made.missed)
    tally.told("killed", f"{name} {made.kills}")


def same_map(one, other):
    with rasterio.open(one) as a, rasterio.open(other) as b:
        np.testing.assert_array_equal(a.read(), b.read())


# -------------------------------------------------------------------------------------- prepare


def test_a_killed_prepare_leaves_the_old_area_or_the_new_one(tmp_path, killer):
    country = Country(tmp_path, shape=(260, 300))
    country.catalog()
    killer.workspace = tmp_path
    words = ["prepare", "area.yaml", "--catalog", "catalog.yaml"]
    path = tmp_path / "areas" / "nowhere"

    def tell(*factors):
        content = country.area | {"factors": list(factors)}
        (tmp_path / "area.yaml").write_text(yaml.safe_dump(content))

    def area():
        return study_area.open_area(path).load()

    old, new = ("elevation", "slope"), ("elevation", "slope", "aspect", "curvature")
    tell(*new)
    killer.measure("prepare", words)
    wanted = {new: area()}
    tell(*old)
    killer.finish(words)
    wanted[old] = area()
    asked = new
    while killer.kills < share("prepare"):
        asked = new if asked == old else old
        before = area()
        tell(*asked)
        ended = not killer.kill("prepare", words)
        now = area()
        assert now.identical(wanted[asked]) or (now.identical(before) and not ended)
        check_whole(tmp_path / "areas")
    killer.finish(words)
    assert area().identical(wanted[asked])
    assert [p.name for p in path.parent.iterdir()] == ["nowhere"]  # nothing half-made is left


def test_a_killed_first_prepare_leaves_no_area(tmp_path, killer):
    """Before the first one is whole there is none, and the sentence says how to build it."""
    Country(tmp_path, shape=(260, 300)).catalog()
    country = Country(tmp_path, shape=(260, 300))
    killer.workspace = tmp_path
    (tmp_path / "area.yaml").write_text(yaml.safe_dump(country.area))
    words = ["prepare", "area.yaml", "--catalog", "catalog.yaml"]
    killer.measure("prepare", words)
    path = tmp_path / "areas" / "nowhere"
    path.rename(tmp_path / "kept")
    if killer.kill("prepare", words) and not path.exists():
        with pytest.raises(AreaError, match="build it with"):
            study_area.open_area(path)


# ----------------------------------------------------------------------------------------- runs


def check_run(folder):
    """Not more than one run, `lost` or done, and all that has a final name is whole."""
    check_whole(folder)
    runs = list_runs(folder)
    for run in runs:
        assert run.state in ("lost", "done"), run.status
        assert (run.path / "metrics.json").is_file() >= (run.state == "done")
        read_progress(run.path)
    return runs


def epochs_kept(run):
    """How many epochs the checkpoint of a run holds; 0 without one."""
    packed = Checkpoint(run).read()
    return 0 if packed is None else len(json.loads(str(packed["told"]))["history"])


class Resumed:
    """What a run has told when it is resumed, so that its next epoch can be looked at."""

    def __init__(self, run):
        self.run, self.kept = run, epochs_kept(run)
        self.offset = read_progress(run)[1]

    def check(self):
        """The first epoch told since is the one after those that were kept."""
        told = read_progress(self.run, self.offset)[0]
        first = next((news["epoch"] for news in told if news["event"] == "epoch"), None)
        assert first in (None, self.kept + 1)
        return int(self.kept > 0 and first is not None)


@pytest.mark.parametrize("name", ["forest", "network"])
def test_a_killed_run_goes_on_to_the_same_numbers(workspace, request, killer, tally, name):
    whole = request.getfixturevalue(name)
    others = fingerprint(whole.path.parent)
    into = workspace / f"cut-{name}"
    begin = ["run", f"{name}.yaml", "--into", str(into)]
    killer.measure("run", [*begin[:-1], str(workspace / f"timed-{name}")])
    cut = went_on = 0
    while killer.kills < share(name):
        kills = killer.kills
        killer.kill("run", begin)
        before = len(check_run(into))
        for _ in range(IN_A_ROW - 1):
            lost = [run.id for run in check_run(into) if run.state == "lost"]
            if not lost or killer.kills >= share(name):
                break
            resumed = Resumed(into / lost[0])
            killer.kill("run", ["run", "--resume", str(into / lost[0])])
            went_on += resumed.check()
            assert len(check_run(into)) == before
        left = [Resumed(run.path) for run in check_run(into) if run.state == "lost"]
        killer.finish(["run", "--resume", "--into", str(into)])
        went_on += sum(resumed.check() for resumed in left)
        cut += killer.kills > kills
        for run in check_run(into):
            assert run.state == "done"
            assert run.metrics["scores"] == whole.metrics["scores"]
            assert run.metrics["curves"] == whole.metrics["curves"]
            if run.has_map:
                same_map(run.map_path, whole.map_path)
            assert not list(run.path.glob(".*")) + list(run.path.glob("checkpoint*"))
    assert fingerprint(whole.path.parent) == others
    tally.count("runs cut off that ended with the numbers of one that never was", cut)
    tally.count("times that training went on after epochs that were kept", went_on)


# -------------------------------------------------------------------------------------- predict


def test_a_killed_map_keeps_its_blocks(workspace, forest, killer):
    words = ["predict", str(forest.path), "--area", "finer", "--to"]
    whole = workspace / "whole.tif"
    killer.measure("predict", [*words, str(whole)])
    to = workspace / "cut.tif"
    before = {}
    while killer.kills < share("predict"):
        ended = not killer.kill("predict", [*words, str(to)])
        blocks = {p.name: p.read_bytes() for p in (workspace / ".cut.tif.blocks").glob("*.npy")}
        if to.exists():
            same_map(to, whole)
            to.unlink()
            before = {}
        else:
            assert not ended
            assert before.items() <= blocks.items()  # what was finished is there as it was
            before = blocks
        check_whole(workspace / ".cut.tif.blocks")
    killer.finish([*words, str(to)])
    same_map(to, whole)
    assert not list(workspace.glob(".cut.tif*"))


# ----------------------------------------------------------------------------------------- tune


def test_a_killed_search_keeps_its_trials(workspace, killer):
    words = ["tune", "forest.yaml", "--n", "5", "--set", "map=false"]
    killer.measure("tune", [*words, "--into", "whole-search"])
    (whole,) = (workspace / "whole-search").glob("tune-*/tuning.json")
    wanted = json.loads(whole.read_text())
    into = workspace / "cut-search"
    words += ["--into", str(into)]

    def trials():
        found = list(into.glob("tune-*/tuning.json"))
        return json.loads(found[0].read_text())["trials"] if found else []

    def plain(found):
        return [{k: v for k, v in trial.items() if k != "seconds"} for trial in found]

    while killer.kills < share("tune"):
        before = trials()
        ended = not killer.kill("tune", words)
        check_whole(into)
        assert trials()[: len(before)] == before
        if ended or len(trials()) == 6:
            killer.finish(words)
            assert plain(trials()) == plain(wanted["trials"])
            into.rename(workspace / f"cut-search-{killer.kills}")
    killer.finish(words)
    assert plain(trials()) == plain(wanted["trials"])
    (made,) = into.glob("tune-*/tuning.json")
    assert json.loads(made.read_text())["test"] == wanted["test"]


# --------------------------------------------------------------------------------------- export


def test_a_killed_export_leaves_the_old_zip_or_the_new_one(workspace, forest, killer):
    to = workspace / "exports" / "all.zip"
    words = ["export", str(forest.path), "--to", str(to), "--figure", "roc"]
    words += ["--format", "png"]
    killer.measure("export", words)
    others = fingerprint(workspace / "whole")
    while killer.kills < share("export"):
        killer.kill("export", words)
        with zipfile.ZipFile(to) as archive:
            assert archive.testzip() is None
        assert len(read_manifest(to)) > 10
    killer.finish(words)
    assert [p.name for p in to.parent.iterdir()] == ["all.zip"]
    assert fingerprint(workspace / "whole") == others


def test_a_killed_figure_is_whole_or_not_there(workspace, forest, killer):
    to = workspace / "figures"
    words = ["figures", str(forest.path), "--to", str(to), "--figure", "zones"]
    words += ["--figure", "roc"]
    killer.measure("figures", [*words[:3], str(workspace / "timed"), *words[4:]])
    killer.kill("figures", words)
    check_whole(to)
    killer.finish(words)
    assert {p.suffix for p in to.iterdir() if not p.name.startswith(".")} == {".png", ".json"}
    assert open_run(forest.path).state == "done"
