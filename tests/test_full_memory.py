"""A GPU whose memory is full: training goes on on the processor, to the same numbers, and says so.

There is no GPU here: one is put in the place of the processor, and its memory runs out once.
"""

import _thread
import signal
import sys
import threading

import pytest
from small_runs import small_run

from lsm_core import device, full_memory, runs, training
from lsm_core.errors import RunError

NETWORK = {
    "model": {"name": "cnn", "options": {"scse": False}},
    "input": {"form": "onehot", "factors": ["slope", "lithology"]},
    "training": {"epochs": 1, "batch": 256},
}


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


@pytest.fixture
def gpu(monkeypatch):
    """What this process takes for a GPU, until it leaves it."""
    here = device.Device("tensorflow", "gpu", "GPU 0", 8.0, 1)
    monkeypatch.setattr(device, "find", lambda: here)
    monkeypatch.setattr(device, "_left", [])
    for known in (device.has_gpu, device.values_at_once):
        known.cache_clear()
    yield here
    for scope in device._left:
        scope.__exit__(None, None, None)
    for known in (device.has_gpu, device.values_at_once):
        known.cache_clear()


@pytest.fixture
def full(monkeypatch):
    """Training runs out of memory as often as this list is long."""
    left, fit = [1], training.fit

    def once(*arguments):
        if left:
            left.pop()
            raise ResourceExhaustedError("OOM when allocating tensor with shape[256,32,9,9]")
        return fit(*arguments)

    monkeypatch.setattr(training, "fit", once)
    return left


@pytest.mark.torture
def test_it_goes_on_on_the_processor(sample_workspace, tmp_path, gpu, full):
    run = small_run(tmp_path, **NETWORK)
    told = [event.get("message", "") for event in runs.read_progress(run.path)[0]]
    assert any("the GPU's memory is full: training goes on on the processor" in m for m in told)
    assert run.state == "done"
    assert not device.has_gpu()


@pytest.mark.torture
def test_what_goes_wrong_after_that_is_not_called_memory(
    sample_workspace, tmp_path, gpu, monkeypatch
):
    fails = [ResourceExhaustedError("OOM when allocating tensor"), ValueError("something else")]

    def fail(*_):
        raise fails.pop(0)

    monkeypatch.setattr(training, "fit", fail)
    with pytest.raises(ValueError, match="something else"):
        small_run(tmp_path, **NETWORK)
    (run,) = runs.list_runs(tmp_path)
    assert run.status["message"] == "ValueError: something else"


@pytest.mark.torture
def test_without_a_gpu_it_is_said(sample_workspace, tmp_path, full):
    with pytest.raises(RunError, match=r"memory ran out .OOM when allocating"):
        small_run(tmp_path, **NETWORK)
    (run,) = runs.list_runs(tmp_path)
    assert run.state == "failed"
    assert "take a smaller training.batch" in run.status["message"]


def test_a_table_that_does_not_fit_into_memory_is_said(sample_workspace, tmp_path, monkeypatch):
    def no_room(*arguments, **more):
        raise MemoryError("Unable to allocate 9.00 TiB for an array")

    from lsm_core import prediction

    monkeypatch.setattr(prediction, "gather", no_room)
    with pytest.raises(RunError, match=r"Unable to allocate 9\.00 TiB"):
        small_run(tmp_path, model={"name": "random_forest"}, input={"form": "table"})
    (run,) = runs.list_runs(tmp_path)
    assert run.state == "failed"


# ------------------------------------------------------------------------------ of the machine


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError("Unable to allocate 9.00 TiB"), True),
        (RuntimeError("can't start new thread"), True),
        (ResourceExhaustedError("OOM when allocating tensor\nmore"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), True),
        (OSError("Couldn't serialize thrift: std::bad_alloc\n"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("a.so: failed to map segment from shared object"), True),
        (RuntimeError("Graph execution error:\nmessage: could not create a primitive"), True),
        (ValueError("shapes do not fit"), False),
    ],
)
def test_memory_that_ran_out_is_known(error, is_memory):
    assert full_memory.ran_out(error) == is_memory
    if is_memory:
        words = full_memory.full_in_words(error)
        assert words.startswith("memory ran out (")
        assert "\n" not in words


def test_what_went_wrong_for_want_of_memory_is_known_too():
    """As a pool of threads that cannot begin is ended in a way that it does not know."""
    error = AttributeError("no attribute 'terminate'")
    error.__context__ = RuntimeError("can't start new thread")
    assert full_memory.ran_out(error)
    assert full_memory.full_in_words(error).startswith("memory ran out (can't start new thread)")


def test_a_thread_without_memory_ends_who_waits_for_it(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    before = signal.getsignal(signal.SIGUSR2)
    full_memory.end_with_threads()
    full_memory.end_with_threads()  # once is enough
    try:
        with pytest.raises(MemoryError, match="a thread found none"):
            wait_for_one_that(MemoryError("malloc of size 64 failed"))
        wait_for_one_that(ValueError("something else"))
        with pytest.raises(MemoryError, match="a thread found none"):
            wait_for_one_that(MemoryError("before it began"), _thread.start_new_thread)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert [told.exc_type for told in seen] == [ValueError]


def usual_start(work, _):
    threading.Thread(target=work).start()


def wait_for_one_that(fails, start=usual_start):
    """Longer than it takes: it does not say that it has ended."""

    def end():
        raise fails

    start(end, ())
    threading.Event().wait(2)
