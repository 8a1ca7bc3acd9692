"""The bars of `lsm`: what a run's events make of them, and jobs followed to their end."""

import pytest

from lsm_core import run_status, runs
from lsm_core.errors import RunError
from lsm_core.progress_bars import bars, follow_jobs
from lsm_core.recipe import make_recipe

AREA = {"name": "here", "path": "areas/here", "fingerprints": {}}


def _over(folder, state, message=""):
    recipe = make_recipe({"name": "forest", "model": {"name": "random_forest"}})
    run = runs.Run(runs.create_run(recipe, AREA, folder))
    runs.add_progress(run.path, {"event": "map", "done": 1, "total": 2})
    run_status.set_status(run.path, state, message)
    return run


def test_stages_are_said_and_jobs_get_bars_of_their_own(capsys):
    with bars(quiet=False) as follow:
        follow({"event": "stage", "stage": "training", "message": "building a forest"})
        follow({"event": "stage", "stage": "mapping", "message": "hidden", "run": "cnn"})
        follow({"event": "done", "run": "cnn"})
    said = capsys.readouterr()
    assert "training: building a forest" in said.err
    assert "cnn done" in said.err
    assert "100 %" in said.err
    assert "hidden" not in said.err
    assert not said.out


def test_following_ends_with_the_last_job_and_names_the_failed(tmp_path):
    follow_jobs([_over(tmp_path, "done")])
    with pytest.raises(RunError, match="no room"):
        follow_jobs([_over(tmp_path, "done"), _over(tmp_path, "failed", "no room")])
