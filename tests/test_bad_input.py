"""Whatever strangers hand in ends in a clear error or a right answer, and leaves nothing behind."""

import os
import signal
import time

import bad_folders
import bad_inventories
import bad_layers
import bad_rasters
import bad_tables
import bad_texts
import bad_vectors
import pytest
from strangers import CASES, Place

from lsm_core.errors import CrsError, LsmError
from lsm_core.study_area import open_area

MODULES = (
    bad_folders,
    bad_inventories,
    bad_layers,
    bad_rasters,
    bad_tables,
    bad_texts,
    bad_vectors,
)
LONGEST = 10.0  # seconds of the processor, of any case
WAITED = 120.0  # seconds by the clock, of a machine that others use too
LONGEST_WORDS = 900  # letters of a message


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path)
    monkeypatch.setenv("LSM_WORKSPACE", str(made.workspace))
    monkeypatch.delenv("LSM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return made


# Of cases that differ in the kind of damage only, some are enough daily.
BUILT_DAILY = (
    *("prepare_a_dem_that_is_a_vrt_called_tif", "prepare_a_dem_without_crs"),
    *("prepare_a_grid_in_degrees", "prepare_a_rotated_grid", "prepare_a_dem_cut_short"),
    *("prepare_a_dem_that_claims_a_million_by_a_million", "prepare_mixed_shapes"),
    *("prepare_classes_outside_the_legend", "prepare_an_inventory_of_elsewhere"),
    *("prepare_an_inventory_that_is_a_list_of_another_file", "prepare_units_of_one_class"),
)


def _slow(case):
    return case.torture or (case.name.startswith("prepare_") and case.name not in BUILT_DAILY)


PARAMS = [
    pytest.param(case, id=case.name, marks=[pytest.mark.torture] * _slow(case))
    for case in CASES.values()
]


@pytest.mark.parametrize("case", PARAMS)
def test_bad_input(case, place, tally):
    attempt = case.make(place)
    before = _outside(place)
    began = time.process_time()
    error = _tried(attempt)
    taken = time.process_time() - began
    tally.seconds("cases of bad input, seconds of the processor", taken)
    assert taken < LONGEST
    assert _outside(place) == before, "files outside the workspace were changed"
    _check_workspace(place, error)
    if case.words is None:
        assert error is None, error
        tally.count("bad input that ended in a right answer")
        return
    assert error is not None, "nothing was said"
    _check_words(error, case.words)
    tally.count("bad input that ended in a sentence")


def _tried(attempt):
    """The LsmError it ends in, if any; any other is a failure of the program."""
    was = [signal.signal(sign, _too_long) for sign in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.setitimer(signal.ITIMER_REAL, WAITED)
    try:
        attempt()
    except LsmError as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, was[0])
        signal.signal(signal.SIGALRM, was[1])
    return None


def _too_long(*_):
    raise TimeoutError(f"longer than {LONGEST} s")


def _check_words(error, words):
    import re

    said = str(error)
    assert re.search(words, said), said
    assert len(said.splitlines()) == 1, said
    assert len(said) <= LONGEST_WORDS, len(said)
    for inner in ("Traceback", "object at 0x", "<class ", "NoneType"):
        assert inner not in said, said


def _outside(place):
    """Every file below the root but those of the workspace: name, size, time of change."""
    found = {}
    for folder, names, files in os.walk(place.root):
        names[:] = [n for n in names if os.path.join(folder, n) != str(place.workspace)]
        for name in files:
            about = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (about.st_size, about.st_mtime_ns)
    return found


def _check_workspace(place, error):
    """No half-written area, nothing unfinished, no rest of an upload that was refused."""
    areas = place.workspace / "areas"
    for folder in areas.iterdir() if areas.is_dir() else ():
        assert not folder.name.startswith("."), folder
        if folder.is_dir():
            assert error is None
            open_area(folder)
    uploads = place.workspace / "uploads"
    if error is not None and not isinstance(error, CrsError) and uploads.is_dir():
        assert not [p for p in uploads.rglob("*") if p.is_file()]
