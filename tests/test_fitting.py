"""What learning is told of its places: balanced weights, in networks and in baselines."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_prediction import make_area

from lsm_core import device, experiment, fitting, models, prediction
from lsm_core.encoding import fit_encoder
from lsm_core.errors import RecipeError
from lsm_core.recipe import Input, make_recipe


def recipe_of(name, *changes):
    return make_recipe({"name": "m", "model": {"name": name}}, changes)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_sample_weight

    label = np.array([1, 0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(
        fitting.balanced(label), compute_sample_weight("balanced", label), rtol=1e-12
    )


@pytest.mark.parametrize("combine", ["channels", "samples"])
def test_a_network_trains_on_weights_and_is_watched_without(combine):
    ds = make_area()
    table = pd.DataFrame(
        {"row": np.arange(8), "col": np.arange(8), "label": [1, 0, 0, 0, 0, 0, -1, 1]}
    )
    table["target"] = np.where(table["label"] < 0, 0.5, table["label"])
    scales = Input(form="window", sizes=(4, 6), combine=combine)
    encoder = fit_encoder(ds, scales, fit_on=table)
    recipe = recipe_of("cnn3d", "training.weights=balanced")
    train = fitting.batches(recipe, ds, encoder, table, 100, shuffle=True)
    each = 2 if combine == "samples" else 1
    _, target, weight = train[0]
    assert len(target) == len(weight) == 8 * each
    wanted = np.repeat([7 / 4, *[0.7] * 5, 1, 7 / 4], each)
    np.testing.assert_allclose(weight, wanted, rtol=1e-6)
    assert len(fitting.batches(recipe, ds, encoder, table, 100, shuffle=False)[0]) == 2
    none = fitting.batches(recipe_of("cnn3d"), ds, encoder, table, 100, shuffle=True)
    assert len(none[0]) == 2


def test_a_balanced_baseline_scores_rare_landslides_higher(sample_workspace, tmp_path):
    area = ("area=sample", "split.block=6000", "samples.negatives_per_landslide=4")
    both = [
        experiment.run_experiment(
            recipe_of("logistic_regression", *area, f"training.weights={weights}"), tmp_path
        )
        for weights in ("none", "balanced")
    ]
    plain, balanced = (run.scores["score"].mean() for run in both)
    assert balanced > plain + 0.1


@pytest.mark.parametrize("name", [c.name for c in models.MENU.values() if not c.weighs])
def test_a_model_that_takes_no_weights_is_refused_before_the_area_is_opened(name):
    form = models.MENU[name].eats[0]
    more = ["samples.unlabelled=1"] if name == "ssgan" else []  # it is asked for them first
    recipe = recipe_of(
        name, "area=nowhere", f"input.form={form}", "training.weights=balanced", *more
    )
    with pytest.raises(RecipeError, match=f"{name} takes no sample weights"):
        experiment.plan_run(recipe)


# ------------------------------------------------------------------------------- what can be had


def fitted_by(monkeypatch, gpu, **training):
    """What a trainer is given, what is told, and what comes back, with or without a GPU."""
    given, told = [], []

    def trainer(recipe, *rest):
        given.append(recipe.training)
        return "as trained"

    @contextmanager
    def precision(asked):
        yield asked == "mixed_float16"

    monkeypatch.setattr(models, "trainer_of", lambda name: trainer)
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    monkeypatch.setattr(device, "precision", precision)
    monkeypatch.setattr(prediction, "load_model", lambda folder: f"stored in {folder.name}")
    recipe = make_recipe({"name": "x", "model": {"name": "cnn"}, "training": training})
    model = fitting.fit_model(recipe, None, None, None, Path("run"), told.append, lambda: False)
    return given[0], [event["message"] for event in told], model


def test_what_a_processor_cannot_do_is_told_and_left_out(monkeypatch):
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    training, told, model = fitted_by(
        monkeypatch, False, precision="mixed_float16", jit=True, epochs=7
    )
    assert (training.precision, training.jit, training.epochs) == ("float32", False, 7)
    assert len(told) == 2
    assert "no GPU" in told[0]
    assert "training.jit is left out" in told[1]
    assert model == "as trained"


def test_a_network_of_mixed_precision_scores_as_the_stored_one(monkeypatch):
    training, told, model = fitted_by(monkeypatch, True, precision="mixed_float16")
    assert training.precision == "mixed_float16"
    assert told == []
    assert model == "stored in model"
