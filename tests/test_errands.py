"""A command beside the page: followed through its folder, known after its starter is gone."""

import subprocess
import sys
import time

import psutil
import pytest

from lsm_core import errands
from lsm_core.errors import RunError

LONG = 60.0  # seconds that a command may take on a busy machine


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    return tmp_path


def ended(errand):
    until = time.time() + LONG
    while errand.state == "running" or not (errand.path / "ended.json").exists():
        assert time.time() < until
        time.sleep(0.05)
    return errand


def made(folder, name, *, status=None, said="", wrong="", pid=1, steps=4):
    """The folder of an errand whose process is no more."""
    path = folder / "errands" / name
    path.mkdir(parents=True)
    about = {"title": "Building x", "subject": "x", "steps": steps, "arguments": [], "pid": pid}
    errands.write_json(path / "errand.json", about | {"process_started": -1, "started": 0})
    (path / "said.txt").write_bytes(said.encode())
    (path / "errors.txt").write_text(wrong)
    if status is not None:
        errands.write_json(path / "ended.json", {"status": status})
    return errands.Errand(path)


def test_a_command_that_fails_leaves_the_sentence(workspace):
    errand = ended(errands.start(["prepare", "atlantis"], "Building atlantis", "atlantis", 5))
    assert errand.state == "failed"
    assert errand.error.startswith("no area file atlantis")
    assert errands.errands() == [errand]
    assert errands.find_errand(errand.id) == errand


def test_a_command_is_stopped_and_only_one_works_on_a_subject(workspace):
    errand = errands.start(["sample"], "Building the sample area", "sample")
    with pytest.raises(RunError, match="being worked on already"):
        errands.start(["sample"], "Building the sample area", "sample")
    errand.stop()
    assert ended(errand).state == "stopped"
    errand.stop()  # once more does nothing


def test_what_it_has_started_goes_on(workspace):
    child = "import signal, subprocess, sys; signal.signal(15, signal.SIG_IGN); "  # killed, then
    child += "subprocess.Popen([sys.executable, '-c', {!r}]); {}"
    wait = "import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", child.format(wait, wait)])
    family = psutil.Process(process.pid)
    while not family.children():
        time.sleep(0.05)
    started = family.children()[0]
    about = {"pid": process.pid, "process_started": errands.process_start(process.pid)}
    path = made(workspace, "1").path
    errands.write_json(path / "errand.json", errands.Errand(path).about | about)
    errands.Errand(path).stop()
    assert errands.process_start(started.pid) is not None
    started.kill()
    process.wait()


def test_words_and_share_are_read_as_they_come(workspace):
    errand = made(workspace, "1", status=0, said="grid: 3\nslope:\r\nbar 1\rbar 2\n\nlast half")
    assert errand.lines == ["grid: 3", "slope:", "bar 2", "last half"]
    assert errand.share == 1.0
    assert (errand.state, errand.error) == ("done", "")


def test_a_percentage_that_was_said_is_the_share(workspace):
    told = "W: 70 % of nothing\napplicability: 30 %\napplicability: 40 %\n"
    errand = made(workspace, "1", wrong=told, steps=0)
    assert errand.share == 0.4
    assert made(workspace, "2", steps=0).share == -1


def test_where_nobody_saw_it_end_the_last_words_tell(workspace):
    good = made(workspace, "1", said="grid\nstudy area: ws/areas/x\n")
    bad = made(workspace, "2", said="grid\n", wrong="W: something\nerror: no CRS: state it\n")
    gone = made(workspace, "3", said="grid\n", wrong="Killed\n")
    assert [e.state for e in (good, bad, gone)] == ["done", "failed", "lost"]
    assert (bad.error, gone.error) == ("no CRS: state it", "Killed")


def test_only_the_last_are_kept(workspace, monkeypatch):
    monkeypatch.setattr(errands, "MOST_KEPT", 2)
    for name in ("1", "2", "3"):
        made(workspace, name, status=0)
    errands._forget_old()
    assert [e.id for e in errands.errands()] == ["3", "2"]
    with pytest.raises(RunError, match="only the last"):
        errands.find_errand("../runs")
