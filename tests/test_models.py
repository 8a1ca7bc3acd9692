"""What each baseline is in particular; the exam of all models is test_every_model.py."""

import subprocess
import sys

import numpy as np
import pytest

from lsm_core import models
from lsm_core.errors import RecipeError, SampleError
from lsm_core.models.baselines import fit_estimator

NETWORKS = [card.name for card in models.MENU.values() if card.framework == "keras"]
BASELINES = [card.name for card in models.MENU.values() if card.framework == "sklearn"]
QUICK = {
    "random_forest": {"n_estimators": 20},
    "random_forest_heat": {"n_estimators": 20},
    "random_forest_grid": {"n_estimators": [20], "min_samples_leaf": [1], "n_jobs": 1},
    "gbdt_lr": {"n_estimators": 20, "min_samples_leaf": 5},
    "gradient_boosting": {"max_iter": 20, "learning_rate": 0.3, "min_samples_leaf": 5},
}
CLASSES = [card.name for card in models.MENU.values() if card.eats == ("classes",)]


def places(shape, n=60, seed=0):
    """Samples whose label is in the first value of the middle of the image."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, *shape), dtype=np.float32)
    label = np.arange(n) % 2
    middle = tuple(side // 2 for side in shape[:-1])
    x[(slice(None), *middle, 0)] = label + 0.1 * rng.random(n)
    return x, label


def fare(name, n=60):
    """Table samples as a baseline eats them: its values, or their classes."""
    x, label = places((5,), n)
    return (np.floor(2 * x), label) if name in CLASSES else (x, label)


def plain(value):
    import keras

    return keras.ops.convert_to_numpy(value)


def run_alone(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# -------------------------------------------------------------------------------- baselines


def test_the_scaler_is_learnt_with_the_regression_and_from_nothing_else():
    x, label = places((5,))
    model = fit_estimator(models.build("logistic_regression", (5,)), 100 * x, label)
    scaled = model[0].transform(100 * x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


def test_the_support_vector_machine_is_that_of_scikit_learn():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    r = np.random.default_rng(2)
    x = r.normal([5, 3500, 0, 7], [1, 40, 1e-3, 0], (5000, 4)).astype(np.float32)
    label = (x[:, 0] - 5 + r.normal(size=5000) > 0).astype(int)
    train = slice(400)
    scaled = StandardScaler().fit(x[train].astype(float)).transform(x.astype(float))
    theirs = CalibratedClassifierCV(SVC(gamma=1 / 4), ensemble=False, cv=5)
    theirs.fit(scaled[train], label[train])
    ours = fit_estimator(models.build("svm", (4,)), x[train], label[train])
    distance = theirs.calibrated_classifiers_[0].estimator.decision_function(scaled)
    np.testing.assert_allclose(ours.decision_function(x), distance, atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(scaled), atol=1e-4)


def test_the_probability_of_the_svm_rises_with_its_distance_and_fits_it_to_unseen_places():
    r = np.random.default_rng(2)
    x = r.normal(size=(300, 3)).astype(np.float32)
    label = (x[:, 0] + r.normal(size=300) > 0).astype(int)
    model = fit_estimator(models.build("svm", (3,), C=100.0, gamma=10.0), x, label)
    distance, score = model.decision_function(x), model.predict_proba(x)[:, 1]
    assert (np.diff(score[np.argsort(distance)]) >= 0).all()
    # a machine this free knows its own places by heart; the curve does not believe it
    assert ((distance > 0) == label).mean() > 0.95
    assert np.mean(np.abs(score - label)) > 0.2


def test_boosting_keeps_no_places_back():
    """By itself it would, above 10,000, and stop when it does no better on them."""
    r = np.random.default_rng(0)
    x, label = r.random((10_500, 2), dtype=np.float32), r.integers(0, 2, 10_500)  # pure chance
    model = models.build("gradient_boosting", (2,), max_iter=30)
    assert fit_estimator(model, x, label).n_iter_ == 30


def test_baselines_never_load_a_network_library():
    options = {name: QUICK.get(name, {}) for name in BASELINES}
    loaded = run_alone(
        "import sys, numpy as np\n"
        "from lsm_core import models\n"
        "from lsm_core.models.baselines import fit_estimator\n"
        f"for name, options in {options}.items():\n"
        "    model = models.build(name, (2,), **options)\n"
        "    fit_estimator(model, np.tile(np.eye(2), (9, 1)), [0, 1] * 9)\n"
        "    print(name, [m for m in ('keras', 'tensorflow', 'torch', 'jax') if m in sys.modules])"
    )
    assert loaded.splitlines() == [f"{name} []" for name in BASELINES]


def test_the_menu_loads_no_model_library():
    loaded = run_alone(
        "import sys, lsm_core.models, lsm_core.windows, lsm_core.training\n"
        "print([m for m in ('keras', 'tensorflow', 'sklearn', 'xarray') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_a_baseline_says_what_it_cannot_learn_from():
    model = models.build("random_forest", (2,))
    with pytest.raises(SampleError, match=r"labels 0 and 1, got \[1\] in 3"):
        fit_estimator(model, np.eye(3), [1, 1, 1])
    with pytest.raises(SampleError, match=r"got \[-1, 0, 1\]"):
        fit_estimator(model, np.eye(3), [1, 0, -1])
    with pytest.raises(SampleError, match="1 of 2 training places have missing values"):
        fit_estimator(model, [[0, np.nan], [1, 1]], [0, 1])
    with pytest.raises(RecipeError, match="n_estimators"):
        fit_estimator(models.build("random_forest", (2,), n_estimators=0), np.eye(2), [0, 1])


# ---------------------------------------------------------------------------------- the menu


def test_the_menu_names_builders_that_exist():
    for name, card in models.MENU.items():
        assert card.name == name
        assert set(card.eats) <= {"onehot", "window", "table", "classes", "chip"}
        models.check_options(name, {})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("lsgh_ne", {}, "no model 'lsgh_ne'; did you mean lsgh_net"),
        ("xyz", {}, "there are: lsgh_net, cnn, "),
        ("lsgh_net", {"scs": True}, "lsgh_net has no option 'scs'; did you mean scse"),
        ("lsgh_net", {"scse": "no"}, "option scse takes bool, got 'no'"),
        ("lsgh_net", {"dropout": True}, "option dropout takes float, got True"),
        ("random_forest", {"n_estimators": 1.5}, "takes int, got 1.5"),
        ("random_forest", {"seed": 1}, "set the recipe's own seed"),
        ("random_forest", {"input_shape": 1}, "no option 'input_shape'"),
    ],
)
def test_wrong_names_and_options_are_refused(name, options, words):
    with pytest.raises(RecipeError, match=words):
        models.check_options(name, options)


def test_right_options_are_taken():
    models.check_options("lsgh_net", {"scse": False, "dropout": 0})
    models.check_options("random_forest", {"max_features": None, "n_estimators": 10})
    models.check_options("random_forest", {"max_features": 0.5})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("lsgh_net", (6, 6, 1)), ("lsgh_net", (13, 12, 1)), ("cnn", (13,))),
        *(("random_forest", (3, 3)), ("information_value", (3, 3, 1))),
    ],
)
def test_shapes_a_model_does_not_take_are_refused(name, shape):
    with pytest.raises(RecipeError, match=r"set input.form"):
        models.build(name, shape)


def test_dropout_is_a_share():
    with pytest.raises(RecipeError, match=r"share in \[0, 1\), got 1"):
        models.build("lsgh_net", (7, 7, 1), dropout=1.0)


# ------------------------------------------------------------------------ leaves of boosted trees


def leaves_of_trees(**options):
    r = np.random.default_rng(3)
    x = r.normal(size=(3000, 4)).astype(np.float32)
    label = (x[:, 0] * x[:, 1] + 0.5 * r.normal(size=3000) > 0).astype(int)
    return x, label, models.build("gbdt_lr", (4,), seed=1, n_estimators=30, **options)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_regression_on_leaves_is_that_of_scikit_learn(weighted):
    """Trees, one-hot and regression put together by hand, on places they have not seen too."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    x, label, model = leaves_of_trees()
    weight = np.where(label == 1, 5.0, 1.0) if weighted else None
    trees = GradientBoostingClassifier(n_estimators=30, min_samples_leaf=10, random_state=1)
    leaves = trees.fit(x[:500], label[:500], sample_weight=weight[:500] if weighted else None)
    onehot = OneHotEncoder().fit(leaves.apply(x[:500])[:, :, 0])
    regression = LogisticRegression(max_iter=1000)
    regression.fit(
        onehot.transform(trees.apply(x[:500])[:, :, 0]),
        label[:500],
        sample_weight=weight[:500] if weighted else None,
    )
    theirs = regression.predict_proba(onehot.transform(trees.apply(x)[:, :, 0]))
    ours = fit_estimator(model, x[:500], label[:500], weight[:500] if weighted else None)
    np.testing.assert_allclose(ours.predict_proba(x), theirs, atol=1e-9)


def test_a_tree_that_never_forks_is_one_number():
    x, label, _ = leaves_of_trees()
    model = models.build("gbdt_lr", (4,), n_estimators=2, min_samples_leaf=400)
    score = fit_estimator(model, x[:500], label[:500]).predict_proba(x)[:, 1]
    np.testing.assert_allclose(score, label[:500].mean(), atol=1e-3)


# ----------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("name", [card.name for card in models.MENU.values() if card.weighs])
def test_a_baseline_scores_higher_where_landslides_count_more(name):
    """And as without weights where all count the same; a forest draws its places by weight."""
    if name in NETWORKS:
        pytest.skip("networks weigh in their batches: tests/test_training.py")
    r = np.random.default_rng(0)
    x = r.normal(size=(400, 3)).astype(np.float32)
    label = (x[:, 0] + 2 * r.normal(size=400) > 1).astype(int)
    forest = name.startswith("random_forest")
    options = QUICK.get(name, {}) | ({"min_samples_leaf": 40} if forest else {})

    def fitted(weight):
        return fit_estimator(models.build(name, (3,), seed=1, **options), x, label, weight)

    plain_score = fitted(None).predict_proba(x)[:, 1]
    heavy = fitted(np.where(label == 1, 5.0, 1.0)).predict_proba(x)[:, 1]
    assert heavy.mean() > plain_score.mean() + 0.1
    if not forest:
        even = fitted(np.ones(400)).predict_proba(x)[:, 1]
        np.testing.assert_allclose(even, plain_score, atol=1e-6)


@pytest.mark.parametrize("name", ["svm", *CLASSES])
def test_a_baseline_that_does_not_weigh_says_so(name):
    assert not models.MENU[name].weighs
    x, label = fare(name)
    with pytest.raises(RecipeError, match="takes no sample weights"):
        fit_estimator(models.build(name, (5,)), x, label, np.ones(60))


# ------------------------------------------------------------------------------ plain network


def test_the_plain_network_carries_the_scale_of_its_training_places_among_its_weights(tmp_path):
    from lsm_core.model_store import load_model, save_model

    r = np.random.default_rng(1)
    x = (r.normal(size=(50, 3)) * [1, 1000, 0] + [5, -3000, 7]).astype(np.float32)
    model = models.build("ann", (3,), seed=1, hidden=[8])
    assert models.scales_itself(model)
    raw = models.build("ann", (3,), seed=1, hidden=[8])
    models.learn_scale(model, x)
    scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    np.testing.assert_allclose(plain(model(x)), plain(raw(scaled)), atol=1e-4)
    save_model(model, "ann", (3,), {"hidden": [8]}, tmp_path)
    np.testing.assert_array_equal(plain(load_model(tmp_path)(x)), plain(model(x)))
    image = models.build("cnn", (7, 7, 1), seed=1)
    assert not models.scales_itself(image)


def test_the_plain_network_refuses_layers_without_units():
    for hidden in ([], [0], ["many"]):
        with pytest.raises(RecipeError, match="units of each layer"):
            models.build("ann", (3,), hidden=hidden)
