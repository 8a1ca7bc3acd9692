"""The training page without a browser: the form, start, queue, stop, discard, search."""

import json
from types import SimpleNamespace

import panel as pn
import pytest
from page_text import texts
from test_figures import make_area, make_run

from lsm_app import new_run, recipe_form, run_view, search_view, session
from lsm_app.pages import training
from lsm_core import jobs, runs
from lsm_core.errors import RecipeError
from lsm_core.recipe import make_recipe

pn.extension()
CURVE = [1.0] * 11 + [0.5] * 10


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root)
    make_run(area, root / "runs", "cnn")
    return root


@pytest.fixture
def started(monkeypatch):
    """What was started, and nothing runs."""
    found = []

    def start(recipe, into, *, mark="", on=None):
        path = runs.create_run(recipe, {"name": recipe.area, "path": "x"}, into, mark)
        found.append((recipe, mark, on))
        return runs.Run(path)

    monkeypatch.setattr(jobs, "start", start)
    return found


def forget_runs_of(recipe):
    for run in runs.list_runs():
        if run.recipe.name == recipe:
            runs.set_status(run.path, "stopped")
            runs.delete_run(run)


# --------------------------------------------------------------------------------------- start


def test_a_model_that_does_not_take_the_samples_is_refused_before_the_start(workspace, started):
    """The core's own sentence, at the button and beside the setting, until that is changed."""
    visitor = session.Session(page="Training", area="valley", recipe="lsgh_net")
    form = new_run.NewRun(visitor, lambda made: None)
    form.form.parts.active = [form.form.names.index("input")]
    words = "random_forest learns from hard labels: leave samples.heatmap out"
    form.form.fields["model.name"].widget.value = "random_forest"
    assert form.start.disabled
    assert words in texts(form.form.wrong)
    assert words in form.form.fields["samples.heatmap"].hint.object
    form.begin()
    assert started == []
    assert form.form.fields["input.form"].widget.value == "table"  # the form shows what it says
    assert form.form.fields["input.form"].hint.object.startswith("<b>changed</b>")
    form.form.fields["samples.heatmap"].widget.value = False
    assert not form.start.disabled
    assert len(form.form.wrong) == 0
    form.begin()
    assert [made.model.name for made, *_ in started] == ["random_forest"]
    forget_runs_of("lsgh_net")


def test_start_queues_one_run_a_seed_and_fold_and_looks_at_the_first(workspace, started):
    visitor = session.Session(page="Training", area="valley", recipe="lsgh_net", part="New run")
    page = training.page(visitor)
    form = new_run.NewRun(visitor, lambda made: visitor.param.update(run=made[0].id, part="Runs"))
    form.seeds.value, form.folds.value = 2, 2
    form.start.clicks += 1
    assert [mark for _, mark, _ in started] == [
        *("fold1-seed1", "fold1-seed2", "fold2-seed1", "fold2-seed2")
    ]
    assert {on for _, _, on in started} == {"cpu"}
    assert visitor.part == "Runs"
    assert page[1].active == 1
    assert "fold1-seed1" in visitor.run
    forget_runs_of("lsgh_net")


def test_a_run_goes_to_the_device_that_is_chosen(workspace, started, monkeypatch):
    monkeypatch.setattr(jobs, "devices", lambda: ["gpu0", "gpu1", "cpu"])
    form = new_run.NewRun(session.Session(area="valley", recipe="lsgh_net"), lambda made: None)
    assert list(form.device.options.values()) == ["gpu0", "gpu1", "cpu"]
    for name in ("gpu1", "cpu"):
        form.device.value = name
        form.start.clicks += 1
    assert [on for *_, on in started] == ["gpu1", "cpu"]
    forget_runs_of("lsgh_net")


def test_nothing_is_started_from_a_form_with_a_mistake(workspace, started):
    visitor = session.Session(area="valley", recipe="lsgh_net")
    form = new_run.NewRun(visitor, lambda made: None)
    form.form.change("training.epochs", 0)
    assert form.start.disabled
    form.begin()
    assert started == []
    assert "training.epochs takes numbers from 1" in texts(form.told)


def test_without_an_area_the_sample_is_one_click_away(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    asked = []
    monkeypatch.setattr(new_run.errands, "start", lambda *told: asked.append(told))
    form = new_run.NewRun(session.Session(), lambda made: None)
    assert "no study area" in texts(form.view)
    form.empty[1].clicks += 1
    assert asked[0][0] == ["sample"]
    make_area(tmp_path)
    form.look()
    assert "no study area" not in texts(form.view)
    assert form.form.recipe().area == "valley"


def test_a_forecast_goes_once_it_is_of_other_settings(workspace, monkeypatch):
    visitor = session.Session(area="valley", recipe="lsgh_net")
    form = new_run.NewRun(visitor, lambda made: None)
    running = SimpleNamespace(state="running")
    monkeypatch.setattr(new_run.errands, "start", lambda *told: running)
    form.ask.clicks += 1
    form.look()
    assert "Asking the program how long" in texts(form.words)
    form.form.change("model.name", "cnn")
    assert texts(form.words) == ""
    running.state = "done"  # the answer comes too late
    form.look()
    assert texts(form.words) == ""


def test_the_same_on_the_command_line(workspace):
    visitor = session.Session(area="valley", recipe="cnn", changes=["training.epochs=7"])
    form = new_run.NewRun(visitor, lambda made: None)
    line = "lsm run cnn --area valley --set &#x27;training.epochs=7&#x27;"
    assert line in form.command.object


def test_a_kept_recipe_is_what_the_form_said(workspace):
    visitor = session.Session(area="valley", recipe="cnn", changes=["training.epochs=7"])
    form = new_run.NewRun(visitor, lambda made: None)
    form.name.value = "mine_7"
    form.keep.clicks += 1
    assert visitor.recipe == "mine: mine_7"
    assert form.form.recipe().training.epochs == 7
    form.name.value = "../up"
    form.keep.clicks += 1
    assert "cannot be called" in texts(form.told)


# ------------------------------------------------------------------------------------ the runs


def test_the_queue_says_who_runs_and_who_waits(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    area = make_area(tmp_path)
    make_run(area, tmp_path / "runs", "live", state="running")
    for name in ("first", "second"):
        make_run(area, tmp_path / "runs", name, state="queued")
    words = training._queue_words()
    assert "LIVE on valley: running" in words
    assert words.index("FIRST on valley: waiting, number 1") < words.index("SECOND")
    assert "waiting, number 2" in words


def test_a_run_is_deleted_only_after_it_was_asked(workspace, tmp_path):
    moved = []
    run = make_run(workspace / "areas" / "valley", tmp_path, "gone", state="failed")
    view = run_view.RunView(run, on_moved=moved.append)
    view.discard.clicks += 1
    assert run.path.is_dir()
    assert "no way back" in texts(view.told)
    view.told[1][1].clicks += 1  # keep it
    assert len(view.told) == 0
    view.discard.clicks += 1
    view.told[1][0].clicks += 1
    assert not run.path.exists()
    assert moved == [None]


def test_after_a_deletion_another_run_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    area = make_area(tmp_path)
    kept = make_run(area, tmp_path / "runs", "kept", state="failed")
    gone = make_run(area, tmp_path / "runs", "gone", state="failed")
    visitor = session.Session(page="Training", run=gone.id)
    shown = training.RunList(visitor)
    assert "GONE on valley" in texts(shown.body)
    shown.shown.discard.clicks += 1
    shown.shown.told[1][0].clicks += 1
    assert visitor.run == shown.choice.value == kept.id
    assert shown.choice.options == [kept.id]
    assert "KEPT on valley" in texts(shown.body)
    assert "GONE" not in texts(shown.body)


def test_only_a_run_that_was_cut_off_is_gone_on_with(workspace, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(jobs, "go_on", taken.append)
    area = workspace / "areas" / "valley"
    for state in ("done", "stopped", "failed"):
        run = make_run(area, tmp_path, f"so_{state}", state=state)
        view = run_view.RunView(run)
        assert view.resume.visible == (state != "done")
        if view.resume.visible:
            view.resume.clicks += 1
    assert [run.recipe.name for run in taken] == ["so_stopped", "so_failed"]


def test_a_network_is_finished_with_its_best_once_it_has_an_epoch(workspace, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(jobs, "finish", taken.append)
    area = workspace / "areas" / "valley"
    assert not run_view.RunView(make_run(area, tmp_path, "whole")).enough.visible
    run = make_run(area, tmp_path, "half", state="stopped")
    view = run_view.RunView(run)
    assert view.enough.visible
    view.enough.clicks += 1
    assert taken == [run]
    runs.add_progress(run.path, {"event": "map", "done": 1, "total": 9})
    view.look()
    assert not view.enough.visible  # its epochs are over


def test_a_run_is_renamed_and_tagged(workspace, tmp_path):
    moved = []
    run = make_run(workspace / "areas" / "valley", tmp_path, "old", state="failed")
    view = run_view.RunView(run, on_moved=moved.append)
    view.name.value = "a/b"
    view.rename.clicks += 1
    assert "is not a folder name" in texts(view.told)
    view.name.value = "for the paper"
    view.tag.clicks += 1
    assert run.tags == ["for the paper"]
    assert "Tags: for the paper" in view.state.object
    view.name.value = "new"
    view.rename.clicks += 1
    assert moved[0].id == "new"


def test_a_run_goes_to_the_form(workspace):
    run = runs.list_runs()[0]
    visitor = session.Session(page="Training", part="Runs", run=run.id)
    page = training.page(visitor)
    button = next(b for b in page.select() if getattr(b, "label", "") == "Take to the form")
    button.clicks += 1
    assert (visitor.part, visitor.recipe) == ("New run", f"run: {run.id}")
    form = recipe_form.RecipeForm(visitor)
    assert make_recipe(form.settings, form.texts()) == runs.clone_run(run)


def test_a_run_says_its_model_recipe_and_factors_once_they_are_settled(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "live", state="running")
    view = run_view.RunView(run)
    assert "CNN, recipe live, size bench, table input of all factors" in texts(view.view)
    runs.write_json(run.path / "encoder.json", {"factors": [{"name": "slope"}]})
    runs.set_status(run.path, "done")
    view.look()
    assert "CNN, recipe live, size bench, table input of 1 factor: slope" in texts(view.view)


def test_the_curves_of_an_epoch_are_drawn(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "live", state="running")
    event = {"event": "epoch", "epoch": 6, "epochs": 10, "loss": 0.1, "val_loss": 0.2}
    event |= {"val_accuracy": 0.7, "val_average_precision": 0.8, "val_precision": CURVE}
    runs.add_progress(run.path, event | {"seconds": 1.0, "eta": 4.0})
    view = run_view.RunView(run)
    root = view.view.get_root()
    assert len(view.curves.select(pn.pane.HoloViews)) == 3
    assert view.last.object.startswith("Last: epoch 6, AP 0.800. Best by AP: epoch 5, AP 0.940")
    more = {"epoch": 7, "val_average_precision": 0.7, "seconds": 1.0, "eta": 3.0}
    runs.add_progress(run.path, event | more)
    panes = view.curves.select(pn.pane.HoloViews)
    view.look()
    assert view.curves.select(pn.pane.HoloViews) == panes  # the plots stay, their numbers move
    assert view.last.object.startswith("Last: epoch 7, AP 0.700. Best by AP: epoch 5")
    assert len(next(iter(panes[0].object[()])).data) == 7
    view.view._cleanup(root)  # another page is looked at
    runs.add_progress(run.path, event | {"epoch": 8, "seconds": 1.0, "eta": 2.0})
    view.look()
    assert not set(view.curves.select(pn.pane.HoloViews)) & set(panes)  # drawn as it is now
    assert len(view.pipe.data) == 8
    kept = {"event": "stage", "stage": "training", "message": "weights of epoch 6 of 8 are kept"}
    runs.add_progress(run.path, kept | {"kept": True})
    view.look()
    assert view.last.object.endswith("(validation places). Weights of epoch 6 of 8 are kept.")


def test_a_model_without_epochs_says_so_while_it_is_fitted(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "live", state="running")
    (run.path / "progress.jsonl").unlink()
    assert "No epoch has been finished yet" in texts(run_view.RunView(run).view)
    recipe = runs.read_json(run.path / "recipe.json") | {"model": {"name": "random_forest"}}
    runs.write_json(run.path / "recipe.json", recipe)
    assert "fitted in one go" in texts(run_view.RunView(runs.open_run(run.path)).view)


# ---------------------------------------------------------------------------------- the search


HEADER = {
    "recipe": make_recipe({"name": "cnn", "model": {"name": "cnn"}}).model_dump(mode="json"),
    "space": {"training.learning_rate": {"log": [1e-4, 1e-2]}},
    "area": {"name": "valley"},
    **{"by": "average_precision", "strategy": "bayes", "seed": 1, "folds": None},
}


def write_search(folder, trials, **more):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"number": i, "values": {"training.learning_rate": rate}, "score": score}
        | {"seconds": 2.0, "message": ""}
        for i, (rate, score) in enumerate(trials)
    ]
    (folder / "tuning.json").write_text(json.dumps({"tuning": HEADER, "trials": rows} | more))


def test_trials_come_in_and_the_best_goes_to_the_form(workspace):
    folder = workspace / "runs" / "tune-cnn-valley-abc-bayes-seed1"
    write_search(folder, [(0.001, 0.6), (0.01, None)])
    visitor = session.Session(area="valley", recipe="cnn")
    view = search_view.SearchView(visitor)
    assert "best so far 0.6000 in trial 0" in texts(view.body)
    drawn = view.body[0]
    view.look()
    assert view.body[0] is drawn  # nothing new: a button stays where it is
    write_search(folder, [(0.001, 0.6), (0.01, None), (0.002, 0.75)])
    view.look()
    assert "3 trials on valley (honest protocol)" in texts(view.body)
    assert "best so far 0.7500 in trial 2" in texts(view.body)
    assert view.body.select(pn.pane.HoloViews)
    take = next(b for b in view.body.select() if getattr(b, "label", "").startswith("Take the"))
    take.clicks += 1
    assert visitor.part == "New run"
    assert visitor.changes == ["training.learning_rate=0.002"]


def test_test_scores_are_shown_when_it_is_over(workspace):
    folder = workspace / "runs" / "tune-cnn-valley-def-bayes-seed1"
    test = {"as it stood": {"average_precision": 0.5}, "tuned": {"average_precision": 0.625}}
    write_search(folder, [(0.001, 0.6), (0.002, 0.75)], test=test)
    view = search_view.SearchView(session.Session(area="valley", recipe="cnn"))
    view.choice.value = folder.name
    assert "of test places: as it stood 0.5000, tuned 0.6250" in texts(view.body)


def test_a_search_is_started_as_the_command_would(workspace, monkeypatch):
    asked = []

    def start(arguments, title, subject):
        asked.append(arguments)
        raise RecipeError("enough")

    monkeypatch.setattr(search_view.errands, "start", start)
    visitor = session.Session(area="valley", recipe="cnn", changes=["training.epochs=7"])
    view = search_view.SearchView(visitor)
    assert view.space.value == "cnn"
    assert "training.learning_rate" in view.table.object.to_html()
    view.n.value, view.folds.value = 4, 3
    view.start.clicks += 1
    line = " ".join(asked[0])
    assert line.startswith("tune ")
    assert "--n 4 --area valley" in line
    assert "--folds 3 --set training.epochs=7" in line
    assert "enough" in texts(view.told)


def test_a_best_so_far_passes_over_trials_that_failed():
    rows = [{"number": i, "score": s, "seconds": 1, "values": {"x": i}} for i, s in
            enumerate([None, 0.5, None, 0.4, 0.7])]  # fmt: skip
    table = search_view.table_of({"trials": rows, "tuning": {"space": {"x": {}}}})
    assert table["best_so_far"].fillna(-1).tolist() == [-1, 0.5, 0.5, 0.5, 0.7]
