"""What networks run on, and how it is set up before the first of them is built.

Networks are written in Keras, which runs on TensorFlow, JAX or PyTorch (`KERAS_BACKEND`). Whatever
asks one of these three by its own name, and no network does, stands here.
"""

import functools
import importlib.util
import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lsm_core.errors import RunError

PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
# TensorFlow's start-up chatter is not for users; its sums are to be the same every time; and
# oneDNN's convolutions, which it leaves off on some processors, are several times as fast on them.
USUAL = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_DETERMINISTIC_OPS": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # JAX takes a GPU's memory as it is needed
}
GREETING = (b"before absl::InitializeLog() is called", b"oneDNN custom operations are on")
GIB = 2**30
VALUES = 70_000_000  # of the widest map of a tile on a processor: 280 MB, past which none is faster
MAPS = 16  # as large as the widest, that a GPU may have to hold at once


class Device(NamedTuple):
    """What a network would be trained on. `memory` in GiB, of a GPU; None where it is not told."""

    backend: str
    kind: str  # "gpu" or "cpu"
    name: str
    memory: float | None
    threads: int

    def in_words(self) -> str:
        """One line, for people."""
        if self.kind == "cpu":
            return f"{self.name}, {self.threads} threads, by {self.backend}"
        size = "" if self.memory is None else f" with {self.memory:.0f} GiB"
        return f"{self.name}{size}, by {self.backend}"


def backend_name() -> str:
    """The library that Keras would run on, by its own rule; nothing is loaded."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        return str(json.loads((home / "keras.json").read_text("utf-8")).get("backend"))
    except (OSError, ValueError):
        return "tensorflow"


def prepare() -> None:
    """Set up the backend; to be called before Keras is loaded, as often as one likes.

    A GPU's memory is taken as it is needed, so that several programs can share one.

    Raises
    ------
    RunError : the backend is unknown or not installed.
    """
    set_environment()
    check_backend(backend_name())
    if backend_name() == "tensorflow":
        _grow_memory()


def set_environment() -> None:
    """What a backend is told before it is loaded, by whomever."""
    for name, value in USUAL.items():
        os.environ.setdefault(name, value)


def check_backend(name: str) -> None:
    """Say plainly if networks cannot be built here.

    Raises
    ------
    RunError : the backend is unknown or not installed.
    """
    if name not in PACKAGES:
        raise RunError(f"KERAS_BACKEND is {name!r}: it is one of {', '.join(PACKAGES)}")
    if importlib.util.find_spec(PACKAGES[name]) is None:
        there = [other for other in PACKAGES if importlib.util.find_spec(PACKAGES[other])]
        hint = f", or set KERAS_BACKEND={there[0]}, which is" if there else ""
        raise RunError(
            f"networks run on {name}, which is not installed: install it (pip install "
            f"{'tensorflow-cpu' if name == 'tensorflow' else name}){hint}"
        )


@functools.cache
def _grow_memory() -> None:
    with _greeting_unheard():
        import tensorflow as tf

    # Many networks one after the other, each predicting for the first time, are no mistake.
    logging.getLogger("tensorflow").addFilter(lambda told: "retracing" not in str(told.msg))
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # in use already: whoever began settled it
            return


@contextmanager
def _greeting_unheard() -> Iterator[None]:
    """Keep TensorFlow's greeting, which comes before it has a log level, off standard error.

    What else is written there meanwhile comes afterwards.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            heard.seek(0)
            for line in heard:
                if not any(word in line for word in GREETING):
                    os.write(2, line)


def find() -> Device:
    """The device that a network would be trained on in this process: the first GPU, or the CPU.

    Loads the backend.

    Raises
    ------
    RunError : the backend is unknown or not installed.
    """
    prepare()
    backend = backend_name()
    name, memory = {"tensorflow": _by_tensorflow, "jax": _by_jax, "torch": _by_torch}[backend]()
    kind = "cpu" if name is None else "gpu"
    return Device(backend, kind, name or _processor(), memory, _threads(backend))


@functools.cache
def has_gpu() -> bool:
    """Whether networks are trained on a GPU in this process."""
    return not _left and find().kind == "gpu"


def missing() -> str:
    """What to say where a GPU was asked for by its number and there is none; else nothing."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if asked in ("", "-1") or _left or has_gpu():
        return ""
    return f"no GPU {asked} is found: networks compute on {find().name}, which is slower"


def leave_gpu() -> str:
    """Compute on the processor from here on, to the end of the process; returns what to say."""
    import keras

    scope = keras.device("cpu:0")
    scope.__enter__()
    _left.append(scope)
    for known in (has_gpu, values_at_once):
        known.cache_clear()
    return (
        "the GPU's memory is full: training goes on on the processor, which is slower; a smaller "
        "training.batch may fit, or wait until other programs leave the GPU"
    )


_left: list[Any] = []  # scopes of `leave_gpu`, which nobody closes


@functools.cache
def values_at_once() -> int:
    """float32 values that the widest map of a tile may have here: as a GPU's memory allows.

    The processor's number where a GPU does not tell its memory.
    """
    here = find()
    if _left or here.kind == "cpu" or here.memory is None:
        return VALUES
    return int(here.memory * GIB / 4 / MAPS)


def _by_tensorflow() -> tuple[str | None, float | None]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None, None
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return name, _memory_by_driver()


def _memory_by_driver() -> float | None:
    """Of the first visible GPU, which TensorFlow does not tell."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    asked = ["nvidia-smi", f"--id={visible}", "--query-gpu=memory.total"]
    try:
        done = subprocess.run(
            [*asked, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=10
        )
        return float(done.stdout) / 1024
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _by_jax() -> tuple[str | None, float | None]:
    import jax

    first = jax.devices()[0]
    if first.platform == "cpu":
        return None, None
    limit = (first.memory_stats() or {}).get("bytes_limit")
    return first.device_kind, limit / GIB if limit else None


def _by_torch() -> tuple[str | None, float | None]:
    import torch

    if not torch.cuda.is_available():
        return None, None
    found = torch.cuda.get_device_properties(0)
    return found.name, found.total_memory / GIB


def _processor() -> str:
    """The processor's name where the system tells it (Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return "the processor"
    return next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), "processor")


def _threads(backend: str) -> int:
    """Threads that one operation is spread over."""
    if backend == "torch":
        import torch

        return torch.get_num_threads()
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "0") if backend == "tensorflow" else "0"
    return int(asked) or processors()


def processors() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ------------------------------------------------------------------------- precision, compilation


@contextmanager
def precision(asked: str) -> Iterator[bool]:
    """Networks built meanwhile compute in this precision; yields whether it is a mixed one.

    `mixed_float16` halves a GPU's work and memory. A processor has no such arithmetic: there it
    stays at float32 (`left_out` says so). Weights are float32 always.
    """
    mixed = asked == "mixed_float16" and has_gpu()
    if not mixed:
        yield False
        return
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        yield True
    finally:
        keras.config.set_dtype_policy(before)


def left_out(settings: Any) -> dict[str, tuple[Any, str]]:
    """What of a recipe's `training` section cannot be had here: name -> (value instead, why)."""
    found: dict[str, tuple[Any, str]] = {}
    if settings.precision == "mixed_float16" and not has_gpu():
        why = "no GPU: training.precision mixed_float16 is left out, sums are float32"
        found["precision"] = "float32", why
    if settings.jit and not can_compile():
        why = (
            "training.jit is left out: TensorFlow compiles no network whose sums are to be the "
            "same every time (set TF_DETERMINISTIC_OPS=0 to allow it)"
        )
        found["jit"] = False, why
    return found


def can_compile() -> bool:
    """Whether XLA may compile a training step here."""
    fixed = os.environ.get("TF_DETERMINISTIC_OPS", "0").lower() in ("1", "true")
    return not (backend_name() == "tensorflow" and fixed)
