"""A run that was cut off goes on where it was, and ends as one that never was."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import lsm
from small_runs import small_run

from lsm_core import checkpoint, jobs, resumption, runs, training
from lsm_core.checkpoint import NAME, Checkpoint
from lsm_core.errors import AreaError, RunError, Stopped
from lsm_core.foreground import go_on
from lsm_core.planning import plan_run
from lsm_core.run_files import read_json, write_json
from lsm_core.training import Batches, Feed
from lsm_core.training_record import Record

NETWORK = {
    "model": {"name": "cnn", "options": {"scse": False}},
    "input": {"form": "onehot", "factors": ["slope", "lithology"]},
    "training": {"epochs": 4, "patience": 9, "batch": 256},
}


class CutOff(Exception):
    """What stands for a kill in these tests."""


def network():
    import keras

    from lsm_core import device

    device.prepare()
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3, seed=5),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )


def feed():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60, 4)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("int8")
    made = lambda n: Batches(lambda i: x[:n][i], y[:n], y[:n], 16, np.random.default_rng(2), True)  # noqa: E731
    return Feed(made(40), made(60))


def settings(**changes):
    from lsm_core.recipe import Training

    return Training(**{"epochs": 6, "patience": 6, "batch": 16, "learning_rate": 0.01} | changes)


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """However quick the epochs of these small networks are."""
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


def cut_after(epoch):
    def follow(news):
        if news["event"] == "epoch" and news["epoch"] == epoch:
            raise CutOff

    return follow


@pytest.mark.parametrize("patience", [6, pytest.param(None, marks=pytest.mark.torture)])
def test_training_goes_on_from_its_checkpoint_to_the_same_weights(tmp_path, patience):
    whole, chosen = network(), settings(patience=patience)
    history = training.fit(whole, feed(), chosen)
    for epoch in (2, 5):  # cut off twice
        with pytest.raises(CutOff):
            training.fit(network(), feed(), chosen, cut_after(epoch), None, Checkpoint(tmp_path))
    told, model = [], network()
    found = training.fit(model, feed(), chosen, told.append, None, Checkpoint(tmp_path))
    assert [news["epoch"] for news in told if news["event"] == "epoch"] == [6]
    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [row | {"seconds": 0} for row in found] == [row | {"seconds": 0} for row in history]


def test_a_training_that_was_over_learns_no_more(tmp_path):
    first, second = network(), network()
    training.fit(first, feed(), settings(), None, None, Checkpoint(tmp_path))
    training.fit(second, feed(), settings(), cut_after(1), None, Checkpoint(tmp_path))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    import keras

    training.fit(network(), feed(), settings(epochs=1), None, None, Checkpoint(tmp_path))
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    with pytest.raises(RunError, match="does not fit this model"):
        training.fit(other, feed(), settings(), None, None, Checkpoint(tmp_path))


def test_a_broken_checkpoint_is_none(tmp_path):
    (tmp_path / NAME).write_bytes(b"PK\x03\x04 half a file")
    assert Checkpoint(tmp_path).read() is None


def test_checkpoints_take_a_twentieth_of_the_time(tmp_path, monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr(checkpoint, "SHARE", 0.05)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])

    def pack():
        clock[0] += 1.0
        written.append(clock[0])
        return {"order": np.arange(3)}

    keep = Checkpoint(tmp_path)
    for _ in range(100):
        keep.write(pack, last=False)
        clock[0] += 0.5
    assert len(written) == 3
    keep.write(pack, last=True)
    assert len(written) == 4


def test_the_record_keeps_the_best_or_the_last():
    class Model:
        def get_weights(self):
            return [np.zeros(1)]

    def epochs(patience):
        record, chosen = Record(), settings(patience=patience, epochs=9)
        for number, accuracy in enumerate((0.5, 0.8, 0.7, 0.7), start=1):
            record.add(
                {"epoch": number, "val_accuracy": accuracy, "val_loss": 1.0}, chosen, Model()
            )
        return record, chosen

    record, chosen = epochs(2)
    assert (record.number, record.waited, record.is_over(chosen)) == (2, 2, True)
    record, chosen = epochs(None)
    assert (record.number, record.is_over(chosen)) == (4, False)


# --------------------------------------------------------------------------------- whole runs


def lost(run, into, **status):
    """A copy of a finished run that says it was cut off."""
    path = into / run.id
    shutil.copytree(run.path, path)
    (path / "metrics.json").unlink()
    (path / ".scores.parquet.12345678.part").write_text("half")
    old = read_json(path / "status.json")
    write_json(path / "status.json", old | {"state": "running", "pid": 1, **status})
    return runs.open_run(path)


@pytest.fixture(scope="module")
def forest(sample_workspace, tmp_path_factory):
    return small_run(
        tmp_path_factory.mktemp("runs"), model={"name": "random_forest"}, input={"form": "table"}
    )


def test_a_forest_that_was_cut_off_ends_with_the_same_numbers(forest, tmp_path):
    run = lost(forest, tmp_path)
    assert run.state == "lost"
    done = go_on(str(run.path), as_json=True)
    assert done.state == "done"
    assert done.metrics["scores"] == forest.metrics["scores"]
    assert not list(done.path.glob(".*"))
    assert go_on(str(run.path), as_json=True).state == "done"  # once more does nothing


def test_a_run_at_work_is_left_alone(forest, tmp_path, monkeypatch):
    run = lost(forest, tmp_path)
    runs.set_status(run.path, "running")
    monkeypatch.setattr(os, "getpid", lambda: 1)  # of another process than the one at work
    with pytest.raises(RunError, match="is running: its process is at work"):
        go_on(str(run.path), as_json=True)
    assert run.state == "running"


def test_of_two_that_go_on_with_a_run_one_is_told(forest, tmp_path):
    run = lost(forest, tmp_path)
    with runs.alone(run.path / ".lock", ""), pytest.raises(RunError, match="another process goes"):
        go_on(str(run.path), as_json=True)
    assert run.state == "lost"


def test_a_run_on_an_area_that_changed_is_not_gone_on_with(forest, tmp_path):
    run = lost(forest, tmp_path)
    write_json(run.path / "area.json", run.area | {"fingerprints": {"dem": "another"}})
    with pytest.raises(RunError, match="built from other files: run its recipe anew"):
        go_on(str(run.path), as_json=True)
    assert run.state == "failed"


def test_a_run_that_drew_other_places_is_not_gone_on_with(forest, tmp_path):
    run = lost(forest, tmp_path)
    runs.write_table(run.path / "samples.parquet", run.samples.iloc[1:])
    with pytest.raises(RunError, match="other places than are drawn now"):
        go_on(str(run.path), as_json=True)


class Bomb:
    """A pickle of it leaves a file where it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_runs_code_is_not_opened_and_training_begins_anew(
    sample_workspace, tmp_path
):
    """As a run folder that a stranger hands on may have one."""
    whole = small_run(tmp_path / "whole", **(NETWORK | {"training": {"epochs": 2, "batch": 256}}))
    run, pwned = lost(whole, tmp_path), tmp_path / "pwned"
    (run.path / "progress.jsonl").unlink()
    shutil.rmtree(run.path / "model")
    np.savez(run.path / NAME, told=np.array([Bomb(pwned)], dtype=object))
    with np.load(run.path / NAME, allow_pickle=True) as opened:
        assert opened["told"].shape == (1,)
    assert pwned.exists()  # it does what it is made for
    pwned.unlink()
    done = go_on(str(run.path), as_json=True)
    assert not pwned.exists()
    told = [news["epoch"] for news in runs.read_progress(run.path)[0] if news["event"] == "epoch"]
    assert (done.state, told) == ("done", [1, 2])
    assert done.metrics["scores"] == whole.metrics["scores"]


@pytest.mark.torture
def test_what_other_versions_have_learnt_is_learnt_anew(forest, tmp_path):
    run = lost(forest, tmp_path)
    write_json(run.path / "versions.json", {"python": "2.7"})
    (run.path / "model" / "model.skops").write_text("of an older library")
    assert go_on(str(run.path), as_json=True).metrics["scores"] == forest.metrics["scores"]
    assert read_json(run.path / "versions.json") == runs.versions()


@pytest.mark.parametrize("commit", ["0123456789ab", None])
def test_another_commit_keeps_what_was_learnt_and_is_said(forest, tmp_path, commit):
    run = lost(forest, tmp_path)
    was = runs.versions() | {"commit": commit}
    write_json(run.path / "versions.json", {k: v for k, v in was.items() if v})
    resumption.clear(run, plan_run(run.recipe))
    assert list((run.path / "model").iterdir())
    told = read_json(run.path / "versions.json")
    assert told == was | {"commit": f"{commit or 'unknown'}, then {runs.versions()['commit']}"}


def test_an_area_built_anew_while_a_run_reads_it(forest, tmp_path, monkeypatch):
    """Its numbers would be of both."""
    from lsm_core import experiment

    begun = iter([1, 2, 3])
    for module in ("planning", "experiment"):
        monkeypatch.setattr(f"lsm_core.{module}.built_at", lambda path: next(begun))
    with pytest.raises(AreaError, match="sample was built anew while this run read it"):
        experiment.run_experiment(forest.recipe, tmp_path)
    (run,) = runs.list_runs(tmp_path)
    assert run.state == "failed"
    assert not (run.path / "metrics.json").exists()


# ------------------------------------------------------------------------------ no more epochs


def test_what_a_stopped_network_has_learnt_is_enough(sample_workspace, tmp_path):
    """Its best weights are judged, and its recipe run anew ends with the same numbers."""
    from lsm_core.experiment import run_experiment
    from lsm_core.recipe import make_recipe

    about = {"name": "small", "area": "sample", "split": {"block": 6000.0}, "map": False}
    seen = []
    with pytest.raises(Stopped):
        run_experiment(
            make_recipe(about | NETWORK),
            tmp_path,
            lambda event: seen.append(event["event"]),
            lambda: seen.count("epoch") == 2,
        )
    (run,) = runs.list_runs(tmp_path)
    assert run.state == "stopped"
    assert jobs.enough(run) == 2
    done = go_on(str(run.path), as_json=True)
    assert (done.state, done.recipe.training.epochs) == ("done", 2)
    anew = small_run(tmp_path, **NETWORK | {"training": NETWORK["training"] | {"epochs": 2}})
    assert done.metrics["scores"] == anew.metrics["scores"]
    with pytest.raises(RunError, match="is done: only what was stopped or cut off"):
        jobs.enough(done)


def test_without_an_epoch_nothing_is_enough(forest, tmp_path):
    run = lost(forest, tmp_path)
    with pytest.raises(RunError, match="has finished no epoch"):
        jobs.enough(run)


def test_enough_is_said_of_a_run_that_goes_on(monkeypatch, capsys):
    code, _, told = lsm("run", "cnn", "--enough", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "--resume RUN --enough" in told
