"""Fine-tuning: what is frozen stays bit for bit, the rest learns from the target's labels."""

import numpy as np
import pytest
from regions import ANN, carried, run

from lsm_core import freezing, models, training, transfer
from lsm_core.errors import RecipeError, RunError


@pytest.fixture(scope="module")
def network(areas):
    return run(ANN, "here", areas / "runs")


# -------------------------------------------------------------------------------------- freezing


def small_network():
    """Two convolutions, each with batch normalisation, and a dense layer."""
    import keras
    from keras import layers

    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="first", kernel_initializer=keras.initializers.GlorotUniform(1))(
        image
    )
    x = layers.BatchNormalization(momentum=0.5, name="first_norm")(x)
    x = layers.Conv2D(4, 3, name="second", kernel_initializer=keras.initializers.GlorotUniform(2))(
        x
    )
    x = layers.BatchNormalization(momentum=0.5, name="second_norm")(x)
    x = layers.Flatten()(x)
    score = layers.Dense(1, activation="sigmoid", name="score")(x)
    return keras.Model(image, score)


def teach(model, steps=3):
    rng = np.random.default_rng(0)
    model.compile("adam", "mse", jit_compile=False)
    for _ in range(steps):
        x = 3 + 2 * rng.standard_normal((16, 6, 6, 2)).astype("float32")
        model.train_on_batch(x, (x.mean(axis=(1, 2, 3)) > 3).astype("float32")[:, None])


@pytest.mark.parametrize(
    ("depth", "norms", "same"),
    [
        (0, "learning", []),
        (0, "still", ["first_norm", "second_norm"]),
        (1, "learning", ["first", "first_norm"]),
        (1, "still", ["first", "first_norm", "second_norm"]),
        (-1, "still", ["first", "first_norm", "second", "second_norm"]),
    ],
)
def test_what_is_frozen_stays_bit_for_bit_kernels_and_moving_means_alike(depth, norms, same):
    model = small_network()
    frozen = freezing.freeze(model, depth, norms=norms)
    before = freezing.weights_of(model)
    teach(model)
    for layer in model.layers:
        for old, new in zip(before.get(layer.name, []), layer.get_weights(), strict=True):
            assert np.array_equal(old, new) == (layer.name in same), layer.name
    freezing.check_frozen(model, frozen)
    moved = freezing.moved(model, before)
    assert {name for name, far in moved.items() if far == 0} == set(same)


def test_a_frozen_batch_normalisation_scores_a_batch_as_it_scores_each_alone():
    """In inference mode while the rest learns: the other samples of a batch have no say."""
    import keras

    model = small_network()
    part = keras.Model(model.input, model.get_layer("first_norm").output)
    x = np.random.default_rng(1).standard_normal((8, 6, 6, 2)).astype("float32") + 5

    def both():
        together = keras.ops.convert_to_numpy(part(x, training=True))
        alone = keras.ops.convert_to_numpy(part(x[:1], training=True))
        return together[:1], alone

    assert not np.allclose(*both(), atol=1e-3)
    freezing.freeze(model, 1)
    np.testing.assert_allclose(*both(), atol=1e-5)


def test_a_weight_that_moved_although_frozen_is_found():
    model = small_network()
    frozen = freezing.freeze(model, 1)
    layer = model.get_layer("first_norm")
    weights = layer.get_weights()
    weights[2] = weights[2] + 1e-6
    layer.set_weights(weights)
    with pytest.raises(RunError, match="first_norm was frozen, yet"):
        freezing.check_frozen(model, frozen)


@pytest.mark.parametrize("depth", [3, 9])
def test_freezing_everything_is_refused(depth):
    with pytest.raises(RecipeError, match="freeze 2 at most"):
        freezing.freeze(small_network(), depth)


def test_layers_of_every_network_on_the_menu_can_be_counted():
    shapes = {"table": (5,), "window": (13, 13, 3), "onehot": (13, 13, 1)}
    for card in models.MENU.values():
        form = next((form for form in card.eats if form in shapes), None)
        if card.framework != "keras" or form is None or card.trainer:
            continue
        model = models.build(card.name, shapes[form], seed=1)
        groups = freezing.groups_of(model)
        assert len(groups) >= 3
        frozen = freezing.freeze(model, 1)
        assert frozen.layers[0] == groups[0][0].name
        assert any(w.shape for w in model.trainable_weights)


# ------------------------------------------------------------------------------------------ runs


def test_a_transferred_run_says_what_it_came_from(network, areas):
    done = carried(network, "there", areas / "runs", "inductive", labels=40)
    told = done.metrics["transfer"]
    assert told["source"] == network.id
    assert told["source_area"] == "here"
    assert told["source_fingerprints"] == {"here": "a"}
    assert told["factors"] == {"slope": "slope", "rock": "rock"}
    assert told["target_labels"] == 40
    assert told["rate"] == network.recipe.training.learning_rate
    assert told["moved"]["standardise"] == 0
    assert min(far for name, far in told["moved"].items() if name != "standardise") > 0
    assert done.recipe.transfer.source == str(network.path)
    assert done.encoder == network.encoder


@pytest.mark.torture
def test_the_same_seed_fine_tunes_bit_for_bit_alike(network, areas):
    """Dropout too goes by the recipe's seed, though the network comes from a file."""
    into = areas / "runs"
    for how, more in (("inductive", {"labels": 40}), ("self", {"confidence": 0.7})):
        both = [carried(network, "there", into, how, rate=0.01, **more) for _ in range(2)]
        first, second = (run.scores["score"].to_numpy() for run in both)
        np.testing.assert_array_equal(first, second)
        other = carried(network, "there", into, how, ANN | {"seed": 2}, rate=0.01, **more)
        assert not np.array_equal(other.scores["score"].to_numpy(), first)


def test_a_frozen_layer_of_a_run_is_the_sources(network, areas):
    done = carried(network, "there", areas / "runs", "inductive", labels=40, freeze=1, rate=0.01)
    told = done.metrics["transfer"]
    assert len(told["frozen"]) == 1
    pairs = zip(transfer.direct(network).layers, transfer.direct(done).layers, strict=True)
    same = [
        all(np.array_equal(a, b) for a, b in zip(old.get_weights(), new.get_weights(), strict=True))
        for old, new in pairs
        if old.get_weights()
    ]
    assert same == [True, True, False, False]  # scale, frozen, and the two that learnt


def test_two_areas_batches_in_one_order_keep_each_place_its_own():
    """What is seen of a place is its target: any other pairing would show."""

    def part(numbers):
        own = np.array(numbers, "float32")
        rng = np.random.default_rng(0)
        return training.Batches(lambda i: own[i][:, None], own, own > 4, 2, rng, shuffle=False)

    both = transfer.together(
        [part([1, 2, 3]), part([10, 20])], 4, np.random.default_rng(3), shuffle=True
    )
    for batch in range(len(both)):
        seen, target = both[batch][:2]
        np.testing.assert_array_equal(seen, target)
    np.testing.assert_array_equal(both.gather(np.array([4, 0, 3, 2]))[:, 0], [20, 1, 10, 3])


def test_a_network_pools_both_areas_labels_on_the_sources_scale(network, areas, monkeypatch):
    learnt, fit = [], training.fit

    def watched(model, feed, *more):
        learnt.append((len(feed.train.target), len(feed.validation.target)))
        return fit(model, feed, *more)

    monkeypatch.setattr(transfer.training, "fit", watched)
    done = carried(network, "there", areas / "runs", "pooled", labels=20)
    theirs = network.samples["split"].value_counts()
    assert learnt == [(theirs["train"] + 16, theirs["validation"] + 4)]
    scales = [transfer.direct(r).get_layer("standardise").get_weights() for r in (network, done)]
    np.testing.assert_allclose(*scales, rtol=1e-6)


def test_fine_tuning_unlearns_what_is_the_other_way_round(network, areas):
    """Where landslides shun slopes, the source's model is worse than chance until it is told."""
    into = areas / "runs"
    direct = carried(network, "reversed", into, "direct").metrics["roc_auc"]
    tuned = carried(network, "reversed", into, "inductive", labels=200, rate=0.1)
    assert direct < 0.4
    assert tuned.metrics["roc_auc"] > 0.7
