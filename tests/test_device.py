"""The device: the backend by name, what is missing said plainly, what cannot be had left out."""

import json
import logging
import os
from types import SimpleNamespace

import pytest

from lsm_core import device
from lsm_core.errors import RunError


def asked(precision="float32", jit=False):
    return SimpleNamespace(precision=precision, jit=jit)


def test_the_backend_is_keras_own_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert device.backend_name() == "tensorflow"
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    assert device.backend_name() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert device.backend_name() == "torch"


def test_a_backend_that_is_missing_is_said_plainly(monkeypatch):
    there = {"torch"}
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: name in there or None)
    device.check_backend("torch")
    with pytest.raises(RunError, match=r"run on jax, which is not installed.*KERAS_BACKEND=torch"):
        device.check_backend("jax")
    with pytest.raises(RunError, match="pip install tensorflow-cpu"):
        device.check_backend("tensorflow")
    with pytest.raises(RunError, match="'theano': it is one of tensorflow, jax, torch"):
        device.check_backend("theano")
    there.clear()
    with pytest.raises(RunError, match=r"\(pip install jax\)$"):
        device.check_backend("jax")


def test_what_was_set_by_hand_stays(monkeypatch):
    monkeypatch.setattr(device, "_grow_memory", lambda: None)
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "0")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    device.prepare()
    assert os.environ["TF_DETERMINISTIC_OPS"] == "0"
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_only_the_greeting_is_not_heard(capfd):
    lines = ["WARNING: All log messages before absl::InitializeLog() is called are written", "low"]
    lines += ["I0000 port.cc:153] oneDNN custom operations are on. You may see", "out of memory"]

    def fails():
        with device._greeting_unheard():
            os.write(2, "\n".join(lines).encode())
            raise ImportError

    with pytest.raises(ImportError):
        fails()
    os.write(2, b", after")
    assert capfd.readouterr().err == "low\nout of memory, after"


def test_many_networks_in_a_row_are_no_mistake():
    device.prepare()
    told = [("5 out of 9 calls triggered tf.function retracing", False), ("a lack of memory", True)]
    for words, heard in told:
        record = logging.makeLogRecord({"name": "tensorflow", "msg": words})
        assert bool(logging.getLogger("tensorflow").filter(record)) is heard


def test_a_processor_leaves_mixed_precision_out_and_says_so(monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    assert device.left_out(asked()) == {}
    found = device.left_out(asked("mixed_float16"))
    assert found["precision"][0] == "float32"
    assert "no GPU" in found["precision"][1]
    with device.precision("mixed_float16") as mixed:
        assert not mixed
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    assert device.left_out(asked("mixed_float16")) == {}


def test_tensorflow_compiles_no_fixed_sums(monkeypatch):
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert device.left_out(asked(jit=True))["jit"][0] is False
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "0")
    assert device.left_out(asked(jit=True)) == {}
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert device.left_out(asked(jit=True)) == {}


def test_a_mixed_network_ends_in_float32_and_the_policy_is_put_back(monkeypatch):
    """On a processor float16 is slow, but it is the same network."""
    import keras

    from lsm_core import models

    monkeypatch.setattr(device, "has_gpu", lambda: True)
    before = keras.config.dtype_policy().name
    with device.precision("mixed_float16") as mixed:
        model = models.build("lsgh_net", (7, 7, 1), seed=1)
    assert mixed
    assert keras.config.dtype_policy().name == before
    assert {layer.compute_dtype for layer in model.layers if "conv" in layer.name} == {"float16"}
    assert model.layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights if "seed" not in weight.path} == {"float32"}


def test_a_device_in_words():
    gpu = device.Device("torch", "gpu", "Some GPU", 79.6, 8)
    assert gpu.in_words() == "Some GPU with 80 GiB, by torch"
    assert gpu._replace(memory=None).in_words() == "Some GPU, by torch"
    assert gpu._replace(kind="cpu").in_words() == "Some GPU, 8 threads, by torch"


def test_the_device_of_this_process_has_a_name_and_threads():
    found = device.find()
    assert found.kind in ("cpu", "gpu")
    assert found.name
    assert found.threads >= 1
    assert found.backend == device.backend_name()


@pytest.mark.parametrize(
    ("kind", "memory", "values"),
    [("cpu", None, device.VALUES), ("gpu", None, device.VALUES), ("gpu", 80.0, 80 * 2**30 // 64)],
)
def test_tiles_are_as_large_as_the_device_allows(monkeypatch, kind, memory, values):
    """A sixteenth of a GPU's memory for the widest map, in float32."""
    here = device.Device("jax", kind, "a device", memory, 2)
    monkeypatch.setattr(device, "find", lambda: here)
    device.values_at_once.cache_clear()
    assert device.values_at_once() == values
    device.values_at_once.cache_clear()


def test_a_gpu_that_is_missing_is_told_only_who_asked_for_one(monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert device.missing() == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert device.missing().startswith("no GPU 1 is found: networks compute on ")
