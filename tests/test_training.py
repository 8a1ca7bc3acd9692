"""Training: batches, what is kept, when it stops, and that a seed decides everything."""

from types import SimpleNamespace

import numpy as np
import pytest

from lsm_core import training
from lsm_core.errors import RecipeError, RunError, SampleError
from lsm_core.models.losses import focal
from lsm_core.training import Batches, Feed, fit

LABEL = np.array([0, 1] * 16)


def settings(**changes):
    usual = {"epochs": 4, "batch": 8, "learning_rate": 1e-2, "patience": 50, "loss": "mse"}
    focal = {"alpha": 0.25, "gamma": 2.0, "watch": "accuracy"}
    return SimpleNamespace(**{"optimizer": "adam", "jit": False} | usual | focal | changes)


@pytest.mark.parametrize(("name", "steps"), [("sgd", {"SGD"}), ("adam", {"Adam"})])
def test_the_optimizer_is_the_one_that_was_chosen(name, steps):
    model = Script([0])
    fit(model, feed(), settings(optimizer=name, epochs=1, learning_rate=0.25))
    assert type(model.how["optimizer"]).__name__ in steps
    assert float(model.how["optimizer"].learning_rate) == 0.25


def images(seed=0):
    """32 images of 7 x 7 whose brightness is their label."""
    noise = np.random.default_rng(seed).random((32, 7, 7, 1), dtype=np.float32)
    return noise + LABEL[:, None, None, None].astype(np.float32)


def feed(x=LABEL[:, None], *, batch=8, seed=0, target=LABEL, label=LABEL):
    rng = np.random.default_rng(seed)
    train = Batches(lambda i: x[i], target, label, batch, rng, shuffle=True)
    return Feed(train, Batches(lambda i: x[i], target, label, 16, rng, shuffle=False))


def small_network(seed):
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    kinds = [
        layers.Conv2D(8, 3),
        layers.BatchNormalization(momentum=0.8),
        layers.ReLU(),
        layers.Flatten(),
    ]
    kinds += [layers.Dropout(0.5), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((7, 7, 1)), *kinds])


class Script:
    """A stand-in for a network: epoch n's validation scores are written down beforehand."""

    def __init__(self, validation, loss=0.5):
        self.validation, self.loss = validation, loss
        self.weights, self.batches, self.epoch = [0], 0, 0

    def compile(self, **how):
        self.how = how

    def reset_metrics(self):
        self.epoch += 1

    def train_on_batch(self, *batch, return_dict):
        self.batches += 1
        self.weights = [self.epoch]
        return {"loss": self.loss}

    def predict_on_batch(self, x):
        wrong = self.validation[self.epoch - 1]
        score = np.where(x.ravel() == 1, 0.8, 0.2)
        score[: abs(wrong)] = 1 - score[: abs(wrong)]
        return score[:, None] * (0.99 if wrong < 0 else 1)

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = weights


def scripted(*validation, **changes):
    """Fit a script whose epoch n gets |validation[n]| of 32 wrong; returns it and its history."""
    model = Script(validation)
    rng = np.random.default_rng(0)
    x = LABEL[:, None]
    pair = [Batches(lambda i: x[i], LABEL, LABEL, 32, rng, shuffle=False) for _ in range(2)]
    return model, fit(model, Feed(*pair), settings(epochs=len(validation), **changes))


# ---------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("batch", [1, 5, 7, 8, 32, 100])
def test_every_sample_is_in_one_batch_and_sizes_differ_by_one_at_most(batch):
    rng = np.random.default_rng(0)
    batches = Batches(lambda i: i, LABEL, LABEL, batch, rng, shuffle=True)
    batches.start_epoch()
    seen = [batches[i][0] for i in range(len(batches))]
    assert sorted(np.concatenate(seen)) == list(range(32))
    sizes = {len(index) for index in seen}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_inputs_targets_and_weights_stay_together_when_shuffled():
    target, weight = np.arange(10) / 10, np.arange(10) * 2
    rng = np.random.default_rng(3)
    batches = Batches(lambda i: i, target, target, 4, rng, shuffle=True, weight=weight)
    batches.start_epoch()
    assert batches.order.tolist() != list(range(10))
    for i in range(len(batches)):
        x, y, w = batches[i]
        assert y.shape == (len(x), 1)
        np.testing.assert_array_equal(y[:, 0], target[x].astype(np.float32))
        np.testing.assert_array_equal(w, weight[x])


def test_the_order_is_new_each_epoch_and_comes_from_the_rng():
    def orders(seed):
        batches = feed(seed=seed).train
        found = []
        for _ in range(2):
            batches.start_epoch()
            found.append(batches.order.tolist())
        return found

    assert orders(1)[0] != orders(1)[1]
    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_no_samples_is_an_error():
    with pytest.raises(SampleError, match="no samples"):
        Batches(lambda i: i, [], [], 4, np.random.default_rng(0), shuffle=False)


# ----------------------------------------------------------------------- what is kept, when it ends


def test_the_epoch_with_the_highest_accuracy_is_kept():
    model, history = scripted(8, 3, 5, 9)
    assert [row["val_accuracy"] for row in history] == [0.75, 29 / 32, 27 / 32, 23 / 32]
    assert model.weights == [2]


def test_among_equal_accuracies_the_lower_loss_is_kept():
    # -3: as many wrong, but scores scaled so that the loss is another.
    model, history = scripted(3, -3, 3)
    losses = [row["val_loss"] for row in history]
    assert losses[0] != losses[1]
    assert model.weights == [1 + int(np.argmin(losses))]
    worse, _ = scripted(-3, 3, -3)
    assert worse.weights == [1 if losses[1] < losses[0] else 2]


def test_it_ends_after_patience_epochs_without_a_rise_and_a_tie_is_no_rise():
    model, history = scripted(8, -3, -3, 3, -3, 0, patience=3)
    assert len(history) == 5
    model, history = scripted(8, -3, -3, 3, -3, 0, patience=4)
    assert len(history) == 6
    assert model.weights == [6]


def test_without_patience_all_epochs_are_trained_and_the_last_weights_are_kept():
    model, history = scripted(8, 0, 5, 5, 5, 5, patience=None)
    assert len(history) == 6
    assert model.weights == [6]
    assert [row["kept"] for row in history] == [False] * 5 + [True]


def test_the_history_says_which_epoch_was_kept():
    _, history = scripted(8, 3, 5, 9)
    assert [row["kept"] for row in history] == [False, True, False, False]


def test_a_stop_without_patience_leaves_the_weights_of_the_last_whole_epoch():
    model = Script([2, 4, 0])
    asked = iter([False] * 13 + [True] * 100)
    history = fit(model, feed(), settings(epochs=3, patience=None), None, lambda: next(asked))
    assert [row["kept"] for row in history] == [False, True]
    assert model.weights == [2]


def test_validation_numbers_are_those_of_the_definitions():
    _, (row,) = scripted(2)
    wrong = 2 / 32  # the first negative scores 0.8, the first positive 0.2
    assert row["val_loss"] == pytest.approx((1 - wrong) * 0.04 + wrong * 0.64)
    # 15 of 16 landslides and 1 other score 0.8; the rest 0.2.
    assert row["val_average_precision"] == pytest.approx(15 / 16 * 15 / 16 + 1 / 16 * 16 / 32)


def test_the_validation_loss_is_keras_own():
    import keras

    rng = np.random.default_rng(0)
    target, score = rng.random(20), rng.random(20)
    for name, ours in training.LOSSES.items():
        theirs = focal(0.5, 2.0) if name == "focal" else keras.losses.get(name)
        loss = theirs(target[None].astype("float32"), score[None].astype("float32"))
        assert ours(target, score) == pytest.approx(float(loss[0]), rel=1e-5)


def test_focal_loss_without_focus_is_half_of_cross_entropy():
    import keras

    rng = np.random.default_rng(1)
    target = rng.integers(2, size=(50, 1)).astype("float32")
    score = rng.random((50, 1), dtype=np.float32)
    whole = keras.losses.binary_crossentropy(target, score)
    np.testing.assert_allclose(focal(0.5, 0.0)(target, score), np.asarray(whole) / 2, rtol=1e-5)
    # By hand: a landslide at 0.2, weight 0.3, seen with (1 - 0.2)^2.
    one = np.asarray(focal(0.3, 2.0)(np.ones((1, 1), "float32"), np.full((1, 1), 0.2, "float32")))
    assert one.item() == pytest.approx(-0.3 * 0.64 * np.log(0.2), rel=1e-6)


@pytest.mark.parametrize(
    ("watch", "kept"), [("accuracy", 1), ("loss", 2), ("average_precision", 3)]
)
def test_the_best_epoch_is_the_best_by_what_is_watched(watch, kept, monkeypatch):
    names = ("val_accuracy", "val_loss", "val_average_precision")
    seen = iter([(0.9, 0.5, 0.3), (0.8, 0.2, 0.4), (0.7, 0.3, 0.6), (0.7, 0.3, 0.6)])
    found = lambda *arguments: dict(zip(names, next(seen), strict=True))  # noqa: E731
    monkeypatch.setattr(training, "_validate", found)
    model, history = scripted(0, 0, 0, watch=watch)
    assert [row["epoch"] for row in history if row["kept"]] == [kept] == model.weights


def test_soft_samples_count_in_the_validation_loss_but_not_in_the_accuracy():
    target = LABEL.astype(float)
    label = LABEL.copy()
    label[:8], target[:8] = -1, 0.5
    x = LABEL[:, None]
    rng = np.random.default_rng(0)
    pair = [Batches(lambda i: x[i], target, label, 32, rng, shuffle=False) for _ in range(2)]
    (row,) = fit(Script([8]), Feed(*pair), settings(epochs=1))  # wrong are only the soft ones
    assert row["val_accuracy"] == 1
    assert row["val_loss"] == pytest.approx(0.75 * 0.04 + 0.25 * 0.09)


# --------------------------------------------------------------------------- news and stopping


def test_a_stop_ends_within_the_batch_and_leaves_the_best_weights():
    model = Script([4, 2, 0])
    asked = iter([False] * 13 + [True] * 100)
    news = []
    history = fit(model, feed(), settings(epochs=3), news.append, lambda: next(asked))
    # An epoch asks 4 + 2 times: stopped in the third, after its second batch.
    assert model.batches == 4 + 4 + 2
    assert len(history) == 2
    assert model.weights == [2]
    assert [n["epoch"] for n in news if n["event"] == "epoch"] == [1, 2]


def test_a_stop_in_the_first_epoch_leaves_the_weights_reached_and_no_history():
    model = Script([4])
    assert fit(model, feed(), settings(), should_stop=lambda: True) == []
    assert model.batches == 1
    assert model.weights == [1]


def test_news_of_epochs_hold_everything_a_screen_shows():
    news = []
    history = fit(Script([4, 2]), feed(), settings(epochs=2), news.append)
    epochs = [n for n in news if n["event"] == "epoch"]
    assert [n["epoch"] for n in epochs] == [1, 2]
    names = {"event", "epoch", "epochs", "loss", "val_loss", "val_accuracy"}
    names |= {"val_average_precision", "val_precision", "seconds", "eta"}
    assert set(epochs[0]) == names
    assert epochs[0]["eta"] > 0
    assert epochs[1]["eta"] == 0
    assert set(history[0]) == names - {"event", "epochs", "eta", "val_precision"} | {"kept"}
    assert len(epochs[0]["val_precision"]) == len(training.RECALLS)


def test_the_precision_of_an_epoch_is_that_of_the_curve():
    label, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    found = training._precision_by_recall(label, score)
    # half of the landslides are found at 0.9, which is right; all at 0.7, of three two are right
    assert found[:11] == [1.0] * 11
    assert found[11:] == [0.6667] * 10


def test_news_of_batches_come_at_most_four_times_a_second(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(Script):
        def train_on_batch(self, *batch, **how):
            now[0] += 0.1
            return super().train_on_batch(*batch, **how)

    news = []
    fit(Slow([0]), feed(batch=1), settings(epochs=1), news.append)
    batches = [n["batch"] for n in news if n["event"] == "batch"]
    assert batches == list(range(3, 32, 3))
    assert news[0]["eta"] == pytest.approx(2.9)
    assert set(news[0]) == {"event", "epoch", "epochs", "batch", "batches", "loss", "eta"}


# ------------------------------------------------------------------------------ a real network


def test_the_same_seeds_give_the_same_weights_bit_by_bit():
    def weights(model_seed, order_seed):
        model = small_network(model_seed)
        fit(model, feed(images(), seed=order_seed), settings(epochs=2))
        return model.get_weights()

    first = weights(1, 2)
    for one, other in zip(first, weights(1, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(first, weights(1, 3), strict=True))
    assert any((one != other).any() for one, other in zip(first, weights(2, 2), strict=True))


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples_not_the_last_batchs():
    """Keras' own `train_on_batch` forgets the batches before it."""
    model = small_network(1)
    step, told = model.train_on_batch, []

    def noted(*batch, **how):
        told.append((step(*batch, **how)["loss"], len(batch[1])))
        return {"loss": told[-1][0]}

    model.train_on_batch = noted
    history = fit(model, feed(images(), batch=9), settings(epochs=1))
    loss, size = np.array(told, dtype=float).T
    assert history[0]["loss"] == pytest.approx(np.average(loss, weights=size), rel=1e-6)
    assert history[0]["loss"] != pytest.approx(loss[-1], rel=1e-3)


def test_a_network_learns():
    model = small_network(1)
    history = fit(model, feed(images()), settings(epochs=8))
    assert history[-1]["loss"] < history[0]["loss"]
    assert max(row["val_accuracy"] for row in history) > 0.9
    best = min(history, key=lambda row: (-row["val_accuracy"], row["val_loss"]))
    score = model.predict_on_batch(images()).ravel()
    assert np.mean((score - LABEL) ** 2) == pytest.approx(best["val_loss"], rel=1e-5)


def test_weights_of_samples_reach_the_loss():
    x, rng = images(), np.random.default_rng(0)
    check = Batches(lambda i: x[i], LABEL, LABEL, 32, rng, shuffle=False)
    ended = []
    for weight in (np.ones(32), np.where(LABEL == 1, 1.0, 0.0)):
        train = Batches(lambda i: x[i], LABEL, LABEL, 32, rng, shuffle=False, weight=weight)
        model = small_network(1)
        fit(model, Feed(train, check), settings(epochs=8))
        ended.append(model.predict_on_batch(x).mean())
    assert ended[1] > ended[0] + 0.05  # only landslides count: everything scores higher


# ------------------------------------------------------------------------------------- mistakes


def test_a_loss_that_is_no_number_names_the_learning_rate():
    with pytest.raises(RunError, match=r"loss is nan in epoch 1.*rate 0.01 .*lower"):
        fit(Script([0], loss=np.nan), feed(), settings())


def test_a_missing_value_in_the_input_is_named_instead():
    x = images()
    x[3, 2, 2] = np.nan
    with pytest.raises(RunError, match="the input holds NaN"):
        fit(Script([0], loss=np.nan), feed(x, batch=32), settings())


def test_one_class_is_an_error_before_anything_is_trained():
    model = Script([0])
    with pytest.raises(SampleError, match="all 32 training targets are 1"):
        fit(model, feed(target=np.ones(32)), settings())
    with pytest.raises(SampleError, match="0 landslides and 16 places without"):
        fit(model, feed(label=-LABEL), settings())
    assert model.batches == 0


def test_an_unknown_loss_is_an_error():
    with pytest.raises(RecipeError, match=r"no loss .fokal. known"):
        fit(Script([0]), feed(), settings(loss="fokal"))
