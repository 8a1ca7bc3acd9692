"""The game: each side's step moves that side alone; losses have their known values; seeds decide.

As a program of its own this file prints, for the backend of KERAS_BACKEND, what every step moved.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from lsm_core import model_store, models, training
from lsm_core.adversarial import (
    STEP,
    Game,
    discriminator_loss,
    generated,
    generated_samples,
    labelled,
    matched,
    slope_penalty,
    unlabelled,
)

SHAPE, N = (7, 7, 2), 24
LABEL = np.arange(N) % 2


def images(seed=0):
    """Images whose brightness is their label."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (N, *SHAPE)).astype("float32")
    return noise + 2 * LABEL[:, None, None, None].astype("float32") - 1


def game(name="ssgan", seed=1, x=None, **options):
    x = images() if x is None else x
    if name == "ssgan":
        options = {"noise": 6} | options
    model = models.build(name, SHAPE, seed=seed, width=4, **options)
    made = Game(model, np.random.default_rng(seed), lambda index: x[index], len(x))
    made.compile(keras.optimizers.Adam(1e-3))
    return made


def trained(made, epochs=3, batch=8, seed=1, x=None):
    x = images() if x is None else x
    rng = np.random.default_rng(seed)
    feed = training.Feed(
        training.Batches(lambda i: x[i], LABEL, LABEL, batch, rng, shuffle=True),
        training.Batches(lambda i: x[i], LABEL, LABEL, 16, rng, shuffle=False),
    )
    settings = SimpleNamespace(
        epochs=epochs, batch=batch, learning_rate=2e-3, patience=None, optimizer="adam",
        loss="binary_crossentropy", alpha=0.5, gamma=2.0, watch="accuracy", jit=False,
    )  # fmt: skip
    return training.fit(made, feed, settings)


def differ(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def moved_by_steps(options):
    """What three turns of both move: (by the discriminator's step, by the generator's)."""
    made, x, told = game(**options), images(), []
    code = LABEL[:8, None].astype("float32")
    sides = made.discriminator, made.generator
    for _ in range(3):
        start = [side.get_weights() for side in sides]
        made.teach_discriminator(x[:8], code, x[8:16])
        middle = [side.get_weights() for side in sides]
        made.teach_generator(x[8:16])
        end = [side.get_weights() for side in sides]
        told.append([[differ(a[i], b[i]) for i in (0, 1)] for a, b in
                     ((start, middle), (middle, end))])  # fmt: skip
    return told


OPTIONS = [
    {"gradient_penalty": 1.0, "adversarial_weight": 0.1},
    pytest.param({}, marks=pytest.mark.torture),
    pytest.param({"feature_matching": True}, marks=pytest.mark.torture),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_step_of_one_side_moves_nothing_of_the_other(backend, options):
    """Kernels and moving means; setting `trainable` once before compiling would freeze nothing."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == keras.backend.backend():
        told = moved_by_steps(options)
    else:
        path = os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])
        env = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path}
        command = [sys.executable, __file__, json.dumps(options)]
        out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        told = json.loads(out.splitlines()[-1])
    for (own, others), (frozen, makers) in told:
        # with feature matching the last layer is the discriminator's own business
        assert all(own)
        assert not any(others)
        assert not any(frozen)
        assert all(makers)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_the_three_losses_have_their_values():
    """Every sample counts in its own part alone: means by NumPy, from the probabilities."""
    logits = np.random.default_rng(0).normal(0, 2, (7, 3)).astype("float32")
    code = np.array([0, 1, 1, 2, 2, 3, 3], "float32")[:, None]
    p = softmax(logits.astype(float))
    parts = {
        labelled: -np.log([p[0, 0], p[1, 1], p[2, 1]]).mean(),
        generated: -np.log(p[3:5, 2]).mean(),
        unlabelled: -np.log(1 - p[5:, 2]).mean(),
    }
    for loss, value in parts.items():
        assert float(loss(code, keras.ops.array(logits))) == pytest.approx(value, rel=1e-5)
    total = discriminator_loss()(code, keras.ops.array(logits))
    assert float(total) == pytest.approx(sum(parts.values()), rel=1e-5)
    real = -np.log(1 - p[:3, 2]).mean()
    less = parts[labelled] - 0.9 * real + 0.1 * (parts[generated] + parts[unlabelled])
    lighter = discriminator_loss(weight=0.1)(code, keras.ops.array(logits))
    assert float(lighter) == pytest.approx(less, rel=1e-5)
    assert float(labelled(code[5:], keras.ops.array(logits[5:]))) == 0
    two = discriminator_loss()(code[:3], keras.ops.array(logits[:3, :2]))
    q = softmax(logits[:3, :2].astype(float))
    assert float(two) == pytest.approx(-np.log([q[0, 0], q[1, 1], q[2, 1]]).mean(), rel=1e-5)


def test_the_penalty_is_half_the_squared_slope():
    """Odds of real that rise linearly, by 3 a unit: half of 9, over many directions."""
    rng, n = np.random.default_rng(0), 4000
    x, direction = rng.normal(size=n), rng.normal(size=n)
    logits = np.zeros((4, n, 3), "float32")
    logits[2, :, 2] = -3 * x
    logits[3, :, 2] = -3 * (x + STEP * direction)
    flat = keras.ops.array(logits.reshape(-1, 3))
    assert float(slope_penalty(flat)) == pytest.approx(4.5, rel=0.05)
    code = np.repeat([0, 2, 3, 4], n)[:, None].astype("float32")
    plain, more = (float(discriminator_loss(w)(code, flat)) for w in (0, 2.0))
    assert more - plain == pytest.approx(2 * float(slope_penalty(flat)), rel=1e-3)


def test_feature_matching_compares_means():
    wanted, features = np.zeros((5, 2), "float32"), np.array([[1, -1], [3, 1]], "float32")
    assert float(matched(wanted, features)) == pytest.approx((2**2 + 0) / 2)


def test_the_score_is_the_share_of_the_two_classes():
    made, x = game(), images()
    p = softmax(np.asarray(made.discriminator.predict_on_batch(x), float))
    score = np.asarray(made.predict_on_batch(x))
    np.testing.assert_allclose(score[:, 0], p[:, 1] / (p[:, 0] + p[:, 1]), rtol=1e-5)
    assert made.discriminator.output_shape == (None, 3)
    alone = game("ssgan_discriminator")
    assert alone.discriminator.output_shape == (None, 2)
    assert alone.generator is None


@pytest.mark.torture
def test_both_learn_and_the_parts_are_told_apart():
    """Bright from dark: both models learn it; SSGAN's parts add up to the loss in the history."""
    for name, parts in (("ssgan", 4), ("ssgan_discriminator", 0)):
        made = game(name)
        history = trained(made, epochs=25)
        assert max(row["val_accuracy"] for row in history) == 1
        assert len(made.losses()) == parts
    made = game()
    history = trained(made, epochs=1)
    told = made.losses()
    three = sum(told[f"loss_{part}"] for part in ("labelled", "unlabelled", "generated"))
    assert history[0]["loss"] == pytest.approx(three, rel=1e-5)
    assert told["loss_generator"] > 0


def test_losses_are_means_since_the_last_reset():
    """Keras' own are of the last batch alone."""
    made = game()
    parts = [slice(first, first + 8) for first in (0, 8, 16)]
    steps = [made.train_on_batch(images()[part], LABEL[part, None]) for part in parts]
    for name in ("labelled", "unlabelled", "generated", "generator"):
        mean = np.mean([step[name] for step in steps])
        assert made.losses()[f"loss_{name}"] == pytest.approx(mean, rel=1e-5)
        assert mean != pytest.approx(steps[-1][name], rel=1e-5)
    made.reset_metrics()
    assert made.losses() == {}


@pytest.mark.torture
def test_the_same_seed_gives_the_same_weights():
    def weights(seed):
        made = game(seed=seed)
        trained(made, seed=seed)
        return made.get_weights()

    first, again, other = weights(1), weights(1), weights(2)
    assert not any(differ(first, again))
    assert any(differ(first, other))


def test_unlabelled_samples_have_their_turn_before_any_comes_again():
    """And no more of them are asked for at once than a batch holds: windows are cut when needed."""
    asked = []
    made = game()
    made._gather = lambda index: asked.append(index) or images()[index]
    for _ in range(6):
        made.train_on_batch(images()[:8], LABEL[:8, None])
    turns = np.concatenate(asked)
    assert [len(index) for index in asked] == [8] * 6
    assert sorted(turns[:N]) == sorted(turns[N:]) == list(range(N))
    assert not np.array_equal(turns[:N], turns[N:])


@pytest.mark.torture
def test_the_generator_is_stored_with_the_discriminator(tmp_path):
    made = game()
    trained(made, epochs=1)
    options = {"width": 4, "noise": 6}
    model_store.save_model(made.model, "ssgan", SHAPE, options, tmp_path)
    again = model_store.load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_on_batch(images()), made.predict_on_batch(images()))
    same = generated_samples(again, 5, seed=3)
    assert same.shape == (5, *SHAPE)
    np.testing.assert_array_equal(same, generated_samples(made.model, 5, seed=3))
    assert not np.array_equal(same, generated_samples(again, 5, seed=4))


@pytest.mark.parametrize("side", [5, 7, 8, 13, 16])
def test_generated_images_have_the_size_of_real_ones(side):
    model = models.build("ssgan", (side, side, 3), seed=1, width=2, noise=4)
    assert generated_samples(model, 2, seed=1).shape == (2, side, side, 3)


if __name__ == "__main__":
    print(json.dumps(moved_by_steps(json.loads(sys.argv[1]))))
