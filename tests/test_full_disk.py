"""A disk that is full, or that nobody may write on: a sentence, nothing broken, and on it goes.

Each command is given a share of the room it needs. It ends with exit status 2 and one line that
says why, or it had room enough; what has a final name is whole, what was finished before is
unchanged, and with room the same command, or `lsm run --resume`, comes to its end.
"""

import shutil

import numpy as np
import pytest
import yaml
from country import Country
from killing import Killer, check_whole, fingerprint
from small_disks import disk
from test_kills import FOREST, NETWORK
from test_kills import warm as warm

from lsm_core import sample_area, study_area
from lsm_core.runs import list_runs

pytestmark = pytest.mark.torture

SHARES = (0.0, 0.3, 0.6, 0.9)  # of the room that a command needs
COMMANDS = {
    "sample": ["sample", "--name", "more", "--resolution", "120"],
    "prepare": ["prepare", "country/area.yaml", "--catalog", "country/catalog.yaml"],
    "forest": ["run", "forest.yaml", "--into", "runs"],
    "network": ["run", "network.yaml", "--into", "runs"],
    "predict": ["predict", "{forest}", "--area", "finer", "--to", "map.tif"],
    "zones": ["predict", "{forest}", "--to", "map.tif", "--zones", "zones.tif"],
    "tune": ["tune", "forest.yaml", "--n", "2", "--set", "map=false", "--into", "searches"],
    "export": ["export", "{forest}", "--to", "all.zip", "--figure", "roc", "--part", "model",
               "--part", "maps", "--part", "tables", "--part", "vectors"],
    "figures": ["figures", "{forest}", "--to", "figures", "--figure", "zones", "--format", "tiff"],
    "compare": ["compare", "{forest}", "{network}", "--to", "tables"],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with two areas and a finished run of each model, to be copied onto disks."""
    folder = tmp_path_factory.mktemp("made")
    for name, resolution in (("sample", 180.0), ("finer", 100.0)):
        built = sample_area.build(resolution=resolution, name=name)
        study_area.save_area(built.ds, folder / "areas" / name, inventory=built.inventory)
    (folder / "country").mkdir()
    country = Country(folder / "country", shape=(260, 300))
    country.catalog()
    (folder / "country" / "area.yaml").write_text(yaml.safe_dump(country.area))
    for name, content in (("forest", FOREST), ("network", NETWORK)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        Killer(folder, np.random.default_rng(0)).finish(["run", f"{name}.yaml", "--into", "whole"])
    return folder


def hand(place, name, warm):
    """What gives the commands; a network's are processes of their own."""
    return Killer(place, np.random.default_rng(0), None if name == "network" else warm)


def words_of(name, folder):
    there = {run.recipe.name: str(run.path) for run in list_runs(folder / "whole")}
    return [word.format(**there) for word in COMMANDS[name]]


def last_line(said):
    return said.strip().splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(made, warm, tmp_path, tally, name):
    with disk(tmp_path / "disk") as small:
        place = small.folder / "ws"
        shutil.copytree(made, place)
        killer, words = hand(place, name, warm), words_of(name, place)
        before, used = fingerprint(place), small.used()
        killer.finish(words)
        needed = small.used() - used
        wanted = scores(place)
        for share in SHARES:
            clear(place, before)
            small.leave(round(share * needed))
            process = killer.start(words)
            _, complained = process.communicate(timeout=300)
            tally.count("commands on a full disk")
            assert "Traceback" not in complained, complained[-3000:]
            assert process.returncode in (0, 2), complained[-3000:]
            if process.returncode:
                assert last_line(complained).startswith("error: "), complained
            check_whole(place)
            now = fingerprint(place)
            assert {file: now.get(file) for file in before} == before
            for run in list_runs(place / "runs"):
                assert run.state in ("lost", "failed", "done"), run.status
            small.roomy()
            killer.finish(goes_on(words, place, process.returncode))
            check_whole(place)
            assert scores(place) == wanted
            tally.count("of them that went on once there was room")


def goes_on(words, place, status):
    """What a person would say next."""
    cut = [str(run.path) for run in list_runs(place / "runs") if run.state != "done"]
    return ["run", "--resume", *cut] if cut and status else words


def scores(place):
    return [run.metrics["scores"] for run in list_runs(place / "runs")][-1:]


def clear(place, before):
    """As it was before the command."""
    for file in set(fingerprint(place)) - set(before):
        (place / file).unlink()
    for folder in sorted((p for p in place.rglob("*") if p.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_folder(made, warm, tmp_path, tally, name):
    with disk(tmp_path / "disk") as small:
        place = small.folder / "ws"
        shutil.copytree(made, place)
        before = fingerprint(place)
        small.set("ro")
        killer = hand(place, name, warm)
        said = killer.finish(words_of(name, place), status=2)
        assert last_line(said).startswith("error: ")
        assert "ead-only" in last_line(said)
        assert fingerprint(place) == before
        tally.count("commands in a read-only folder")


def test_what_only_reads_goes_on_in_a_read_only_folder(made, warm, tmp_path):
    with disk(tmp_path / "disk") as small:
        place = small.folder / "ws"
        shutil.copytree(made, place)
        small.set("ro")
        killer = hand(place, "forest", warm)
        whole = str(list_runs(place / "whole")[0].path)
        assert "no runs" in killer.finish(["runs"])
        killer.finish(["compare", whole, "--draws", "0"])
        killer.finish(["predict", whole, "--to", str(tmp_path / "map.tif")])
        check_whole(tmp_path)
