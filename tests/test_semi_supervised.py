"""An SSGAN is an ordinary run: trained, judged, mapped, stopped; with pictures and parts apart."""

import numpy as np
import pytest

from lsm_core import generated_figures, prediction, runs
from lsm_core.adversarial import generated_samples
from lsm_core.errors import RecipeError, Stopped
from lsm_core.experiment import plan_run, run_experiment
from lsm_core.recipe import make_recipe
from lsm_core.study_area import open_area

SETTINGS = {
    "name": "ssgan",
    "area": "sample",
    "map": False,
    "split": {"apart": 12, "block": 5000},
    "samples": {"unlabelled": 4, "labelled": 40},
    "input": {"form": "window", "size": 9, "factors": ["slope"], "bands": ["red", "ndvi"]},
    "model": {"name": "ssgan", "options": {"width": 4, "noise": 8}},
    "training": {"epochs": 3, "batch": 16, "patience": None, "loss": "binary_crossentropy"},
}


def changed(*changes):
    return make_recipe(SETTINGS, changes)


@pytest.fixture(scope="module")
def run(sample_workspace, tmp_path_factory):
    return run_experiment(changed(), tmp_path_factory.mktemp("runs"))


def test_a_run_has_pictures_by_epoch_and_the_losses_apart(run):
    pictures = sorted(path.name for path in (run.path / "generated").iterdir())
    assert pictures == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png"]
    assert (run.path / "generated" / pictures[0]).read_bytes().startswith(b"\x89PNG")
    epochs = [e for e in runs.read_progress(run.path)[0] if e["event"] == "epoch"]
    for epoch in epochs:
        parts = [epoch[f"loss_{part}"] for part in ("labelled", "unlabelled", "generated")]
        assert epoch["loss"] == pytest.approx(sum(parts), rel=1e-5)
        assert epoch["loss_generator"] > 0
    # 80 unlabelled to 40 labelled: these come twice an epoch, 5 batches of 16
    assert run.samples["origin"].value_counts()["unlabelled"] == 80
    assert run.metrics["overlap"]["share"] == 0
    assert {"kappa", "miou"} <= set(run.metrics["scores"])


def test_the_stored_run_scores_places_and_draws_the_pictures_again(run):
    score = prediction.predict_samples(run, run.scores)
    np.testing.assert_allclose(score, run.scores["score"], atol=1e-6)
    model, encoder = prediction.model_of(run)
    made = generated_samples(model, 6, run.recipe.seed)
    assert made.shape == (6, *encoder.input_shape)
    ds = open_area(run.area_path)
    free = run.samples[run.samples["origin"] == "unlabelled"]
    real = prediction.gather(encoder, ds, free["row"], free["col"])(np.arange(6))
    last = (run.path / "generated" / "epoch_0003.png").read_bytes()
    both = {"generated": made, "real": real}
    assert generated_figures.samples_png(both, encoder.channels, "epoch 3") == last
    assert generated_figures.samples_png({"real": real}, encoder.channels, "epoch 3") != last


@pytest.mark.torture
def test_the_same_seed_is_the_same_run_and_another_is_not(run, tmp_path):
    again = run_experiment(changed(), tmp_path)
    np.testing.assert_array_equal(again.scores["score"], run.scores["score"])
    other = run_experiment(changed("seed=2"), tmp_path)
    test = run.scores["split"] == "test"
    assert (other.scores.loc[other.scores["split"] == "test", ["row", "col"]].to_numpy()
            == run.scores.loc[test, ["row", "col"]].to_numpy()).all()  # fmt: skip
    assert not np.array_equal(other.scores["score"][-20:], run.scores["score"][-20:])


def test_the_discriminator_alone_takes_as_many_steps(sample_workspace, tmp_path):
    """Unlabelled places make its epochs as long, and teach it nothing."""
    model = {"name": "ssgan_discriminator", "options": {"width": 4}}
    recipe = make_recipe(SETTINGS | {"model": model})
    batches = []

    def listen(event):
        if event["event"] == "batch":
            batches.append(event["batches"])

    found = run_experiment(recipe, tmp_path, listen)
    assert set(batches) == {5}
    assert not (found.path / "generated").exists()
    epoch = next(e for e in runs.read_progress(found.path)[0] if e["event"] == "epoch")
    assert "loss_generated" not in epoch


@pytest.mark.torture
def test_a_stop_within_a_batch_leaves_a_run_that_can_be_read(sample_workspace, tmp_path):
    seen = []

    def listen(event):
        seen.append(event["event"])

    with pytest.raises(Stopped):
        run_experiment(changed(), tmp_path, listen, lambda: "epoch" in seen)
    stopped = runs.list_runs(tmp_path)[0]
    assert stopped.status["state"] == "stopped"
    assert seen.count("epoch") == 1
    assert prediction.model_of(stopped)[0].generator is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("samples.unlabelled=0", r"set samples\.unlabelled"),
        ("samples.heatmap={diameter: 5}", r"hard labels: leave samples\.heatmap out"),
        ("input.form=table", r"takes window input"),
        ("training.weights=balanced", r"takes no sample weights"),
        ("model.options.widht=3", r"did you mean width"),
        ("model.options.gradient_penalty=-1", r"gradient_penalty at least 0"),
    ],
)
def test_what_it_cannot_do_is_said(sample_workspace, tmp_path, change, words):
    with pytest.raises(RecipeError, match=words):
        run_experiment(changed(change), tmp_path)


def test_places_without_a_label_teach_other_models_nothing(sample_workspace, tmp_path):
    """Any other model of the same recipe is that of a recipe without unlabelled places."""
    settings = SETTINGS | {
        "input": {"form": "table", "factors": ["slope"], "bands": ["red"]},
        "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    }
    settings["training"] = {}
    scores = [
        run_experiment(make_recipe(settings | {"samples": s}), tmp_path).scores["score"]
        for s in ({"unlabelled": 4}, {})
    ]
    np.testing.assert_array_equal(*scores)
    assert plan_run(make_recipe(settings)).counts["train: unlabelled"] == 80
