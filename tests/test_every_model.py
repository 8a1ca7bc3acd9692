"""One exam for every entry of the menu, on whatever backend Keras runs.

What a model is shown follows from its card, so that a new entry is examined without being named
here. `make backends` runs this file on JAX and PyTorch too.
"""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from lsm_core import device, models
from lsm_core.model_store import load_model, save_model

pytestmark = pytest.mark.filterwarnings(
    # What only the trainer of a model uses, such as a generator, has no slope in its score.
    "ignore:Gradients do not exist for variables:UserWarning",
)
NETWORKS = [card.name for card in models.MENU.values() if card.framework == "keras"]
# Nothing is drawn: convex fits, counts, and trees on all places and channels.
SEEDLESS = {"logistic_regression", "gradient_boosting", "gbdt_lr", "svm"} | {
    card.name for card in models.MENU.values() if card.eats == ("classes",)
}
# Slow to learn; `cnn` is the network of lsgh_net too.
SLOW = ("cnn", "attention_unet", "lsgh_net")
SAMPLES, STEPS = 60, 150
# What makes an entry quick: numbers of trees and channels, none of which it needs to be examined.
# Threads of a forest add its votes up in any order, which shows in the last bits: one thread.
SMALL = {"n_estimators": 20, "min_samples_leaf": 5, "n_jobs": 1, "maps": 8, "base": 4}


def slow_apart(names):
    """The slow ones wait for `make torture` and `make backends`."""
    slow = pytest.mark.torture
    return [pytest.param(name, marks=slow) if name in SLOW else name for name in names]


def shape_for(card):
    """The smallest thing the card's model looks at: a row of a table, or an image."""
    return (5,) if card.eats[0] in ("table", "classes") else (card.smallest, card.smallest, 2)


def built(name, seed=1):
    """The model, made small where its builder has an option for it, and those options."""
    known = models.options_of(name)
    few = {key: value for key, value in SMALL.items() if key in known}
    if {"max_iter", "learning_rate"} <= set(known):  # boosting, whose rounds are called so
        few |= {"max_iter": 20, "learning_rate": 0.3}
    few = {key: [value] if known[key] is list else value for key, value in few.items()}
    return models.build(name, shape_for(models.card(name)), seed=seed, **few), few


def shown(name, n=SAMPLES):
    """(x, label): a place's label is in the first value of the middle of what is seen of it."""
    card = models.card(name)
    rng = np.random.default_rng(0)
    x = rng.random((n, *shape_for(card)), dtype=np.float32)
    label = np.arange(n) % 2
    middle = tuple(side // 2 for side in x.shape[1:-1])
    x[(slice(None), *middle, 0)] = label + 0.1 * rng.random(n)
    if card.eats == ("chip",):  # which has a label a cell: its own first value
        x[..., 0] = rng.integers(0, 2, x.shape[:-1])
        label = x[..., 0].astype(int)
    return np.floor(2 * x) if card.eats == ("classes",) else x, label


def plain(value):
    import keras

    return keras.ops.convert_to_numpy(value)


def learn(model, x, label, steps):
    """So many steps of Adam, or until all is known; targets have the last axis that scores have."""
    import keras

    model.compile(keras.optimizers.Adam(3e-3), "mse", jit_compile=keras.backend.backend() == "jax")
    target = label[..., None].astype(np.float32)
    for step in range(steps):
        model.train_on_batch(x, target)
        if step % 10 == 9 and ((plain(model.predict_on_batch(x)) >= 0.5) == target).all():
            break
    return model


def answers(name, model, x):
    """Scores (sample, ...) as a run takes them."""
    if models.card(name).framework == "keras":
        return plain(model.predict_on_batch(x))[..., 0]
    return model.predict_proba(x)[:, 1]


def taught(name, x, label, seed=1, steps=STEPS):
    from lsm_core.models.baselines import fit_estimator

    model, _ = built(name, seed)
    if models.card(name).framework == "keras":
        return learn(model, x, label, steps)
    return fit_estimator(model, x, label)


# ------------------------------------------------------------------------------------ the exam


@pytest.mark.parametrize("name", slow_apart(models.MENU))
def test_it_knows_60_samples_by_heart_and_scores_them_alike_when_loaded(name, tmp_path):
    x, label = shown(name)
    model = taught(name, x, label)
    score = answers(name, model, x)
    assert score.shape == label.shape
    assert np.isfinite(score).all()
    assert ((score >= 0) & (score <= 1)).all()
    assert ((score >= 0.5) == label).mean() >= 0.95

    save_model(model, name, x.shape[1:], built(name)[1], tmp_path / "model")
    np.testing.assert_allclose(
        answers(name, load_model(tmp_path / "model"), x), score, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", slow_apart(NETWORKS))
def test_a_new_network_scores_with_float32_and_one_step_moves_all_that_scores(name):
    """Of the weights that have a say in the score, none stays where it was."""
    x, label = shown(name)
    model, _ = built(name)
    score = plain(model(x))
    assert score.shape == (*label.shape, 1)
    assert score.dtype == np.float32
    assert ((score > 0) & (score < 1)).all()

    before = [plain(weight).copy() for weight in model.trainable_weights]
    learn(model, x, label, 1)
    still = [
        weight
        for old, weight in zip(before, model.trainable_weights, strict=True)
        if (old == plain(weight)).all()
    ]
    assert len(still) < len(before)
    score = plain(model(x))
    for weight in still:
        weight.assign(plain(weight) + 0.5)
    np.testing.assert_array_equal(plain(model(x)), score)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_score_does_not_depend_on_what_else_is_in_the_batch(name):
    """Nor on how much: a batch as long as one of a network's own sides may be taken for it."""
    model, _ = built(name)
    lengths = {side for side in _sides(model) if side and side <= 512}
    x, _ = shown(name, max(lengths))
    expected = plain(model(x[:3]))
    for n in sorted(lengths - {1, 2}):
        np.testing.assert_allclose(plain(model(x[:n]))[:3], expected[:n], atol=1e-6, err_msg=str(n))


def _sides(model):
    """Channels, rows and columns of all that its layers give."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _sides(layer)
        elif hasattr(layer, "output"):
            yield from layer.output.shape


@pytest.mark.parametrize("name", models.MENU)
def test_the_seed_and_nothing_else_decides_it(name):
    x, label = shown(name)

    def scores(seed):
        if name in NETWORKS:
            return plain(built(name, seed)[0](x))
        noisy = np.where(np.arange(len(x)) % 7, label, 1 - label)
        return answers(name, taught(name, x, noisy, seed), x)

    first = scores(5)
    np.testing.assert_array_equal(first, scores(5))
    if name not in SEEDLESS:
        assert (first != scores(6)).any()


# ------------------------------------------------------------------------- from backend to backend

ASK = """
import sys
import numpy as np
from pathlib import Path
from lsm_core.model_store import load_model
folder = Path(sys.argv[1])
for path in sorted(folder.glob("*/x.npy")):
    score = load_model(path.parent / "model").predict_on_batch(np.load(path))
    np.save(path.parent / f"{sys.argv[2]}.npy", np.asarray(score))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Every network after a few steps, so that its moving means are its own, and its scores."""
    folder = tmp_path_factory.mktemp("networks")
    for name in NETWORKS:
        x, label = shown(name)
        model, options = built(name)
        learn(model, x, label, 3)
        save_model(model, name, x.shape[1:], options, folder / name / "model")
        np.save(folder / name / "x.npy", x)
        np.save(folder / name / "here.npy", plain(model.predict_on_batch(x)))
    return folder


@pytest.mark.torture
@pytest.mark.parametrize("backend", device.PACKAGES)
def test_the_same_weights_score_alike_on_every_backend(backend, stored):
    if importlib.util.find_spec(device.PACKAGES[backend]) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, "-c", ASK, str(stored), backend],
        check=True,
        env=os.environ | {"KERAS_BACKEND": backend},
    )
    for name in NETWORKS:
        theirs, here = (np.load(stored / name / f"{who}.npy") for who in (backend, "here"))
        np.testing.assert_allclose(theirs, here, atol=1e-5, err_msg=name)
