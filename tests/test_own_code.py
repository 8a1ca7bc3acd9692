"""Networks, losses and blocks of one's own: the file that docs/own_models.md shows, run whole."""

import re
from pathlib import Path

import numpy as np
import pytest

from lsm_core import device, model_store, models, own_code, runs
from lsm_core.errors import RecipeError, RunError
from lsm_core.experiment import run_experiment
from lsm_core.recipe import load_recipe

RECIPES = Path(__file__).parents[1] / "recipes"
CNN, FOREST = RECIPES / "cnn.yaml", RECIPES / "random_forest.yaml"
DOCS = Path(__file__).parents[1] / "docs" / "own_models.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The documentation's own file, set; a function writes another."""
    path = tmp_path / "own.py"

    def write(text):
        path.write_text(text, "utf-8")
        own_code._functions_of.cache_clear()
        return path

    write(re.search(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)[1])
    monkeypatch.setenv(own_code.VARIABLE, str(path))
    return write


def short(workspace, base, *changes):
    usual = ("size=demo", "area=sample", "map=false", "training.epochs=2")
    return run_experiment(load_recipe(base, [*usual, *changes]), into=workspace / "own_runs")


def test_only_functions_that_the_file_itself_defines_are_known(own):
    assert set(own_code.functions()) == {"two_layers", "absolute", "channels_only"}
    own("from math import sqrt\nfrom statistics import mean\ndef _half(x): return x\nSIDE = 3\n")
    assert own_code.functions() == {}


def test_a_network_of_ones_own_runs_is_stored_and_gives_its_scores_again(
    own, sample_workspace, monkeypatch
):
    done = short(sample_workspace, CNN, "model={name: two_layers, options: {width: 8}}")
    assert done.metrics["roc_auc"] > 0.6
    text = own_code.own_file().read_text("utf-8")
    assert (done.path / "own_code.py").read_text("utf-8") == text
    first, again = (model_store.load_model(done.path / "model") for _ in range(2))
    x = np.random.default_rng(1).random((5, *first.input_shape[1:]), "float32")
    assert first.count_params() == np.prod(first.input_shape[1:]) * 8 + 8 + 9
    np.testing.assert_array_equal(first.predict_on_batch(x), again.predict_on_batch(x))
    monkeypatch.delenv(own_code.VARIABLE)
    assert runs.open_run(done.path).recipe.model.name == "two_layers"
    with pytest.raises(RecipeError, match="no model 'two_layers'"):
        model_store.load_model(done.path / "model")


@pytest.mark.torture
def test_a_loss_of_ones_own_is_what_is_learnt_and_checked(own, sample_workspace):
    done = short(sample_workspace, CNN, "training.loss=absolute", "training.epochs=1")
    news = [row for row in runs.read_progress(done.path)[0] if row.get("event") == "epoch"]
    scores = done.scores.query("split == 'validation'")
    expected = np.abs(scores["label"] - scores["score"]).mean()
    assert news[-1]["val_loss"] == pytest.approx(expected, abs=1e-5)
    assert (done.path / "own_code.py").is_file()


def test_a_block_of_ones_own_stands_where_scse_would(own):
    from lsm_core.models import lsgh_net

    plain, with_scse, with_own = (
        lsgh_net.build((13, 13, 2), scse=scse, block=block, seed=1).count_params()
        for scse, block in ((False, None), (True, None), (True, "channels_only"))
    )
    assert with_own - plain == sum(width * (width + 1) for width in lsgh_net.WIDTHS)
    assert with_scse != with_own


def test_a_table_and_images_are_both_taken_by_a_network_of_ones_own(own):
    assert models.build("two_layers", (4,), seed=1).output_shape == (None, 1)
    assert models.build("two_layers", (5, 5, 3), seed=1).output_shape == (None, 1)


def test_an_estimator_of_ones_own_says_so_by_what_it_returns(own, sample_workspace):
    own(
        "from sklearn.ensemble import ExtraTreesClassifier\n"
        "def extra_trees(input_shape, *, trees: int = 20, seed=None) -> ExtraTreesClassifier:\n"
        "    return ExtraTreesClassifier(trees, random_state=seed)\n"
    )
    done = short(sample_workspace, FOREST, "model={name: extra_trees, options: {}}")
    assert done.metrics["roc_auc"] > 0.7
    assert model_store.load_model(done.path / "model").n_estimators == 20


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def two_layers(shape): return 1\n", r"write def two_layers\(input_shape, \*, seed=None"),
        ("def two_layers(input_shape, *, seed=None): return 1\n", "got int of shape None"),
        ("import nothing_of_that_name\n", "own.py fails: ModuleNotFoundError"),
        ("def other(input_shape, *, seed=None): ...\n", "no model 'two_layers'"),
        ("def two_layers(:\n", "own.py fails: SyntaxError"),
    ],
)
def test_a_file_that_will_not_do_is_a_plain_error(own, text, says):
    own(text)
    with pytest.raises(RecipeError, match=says):
        models.build("two_layers", (5, 5, 3), seed=1)


def test_an_unknown_option_block_or_loss_names_what_there_is(own, sample_workspace):
    with pytest.raises(RecipeError, match="two_layers has no option 'with'; did you mean width"):
        models.build("two_layers", (4,), **{"with": 3})
    with pytest.raises(RecipeError, match=r"no block 'spatial' in .*it has two_layers, absolute"):
        models.build("lsgh_net", (13, 13, 2), block="spatial")
    with pytest.raises(RecipeError, match=r"no loss 'absolut': .* or focal or two_layers"):
        short(sample_workspace, CNN, "training.loss=absolut")


def test_what_ones_file_loads_finds_the_settings_of_sums_that_come_out_the_same(own, monkeypatch):
    """TensorFlow reads them once, when it is loaded; a file may begin with `import keras`."""
    for name in device.USUAL:
        monkeypatch.delenv(name, raising=False)
    own("import os\n\nFOUND = dict(os.environ)\n\n\ndef found():\n    return FOUND\n")
    assert own_code.functions()["found"]().items() >= device.USUAL.items()


def test_a_missing_file_is_said(own, monkeypatch, tmp_path):
    monkeypatch.setenv(own_code.VARIABLE, str(tmp_path / "gone.py"))
    with pytest.raises(RecipeError, match=r"LSM_OWN names .*gone.py, which cannot be read"):
        models.card("two_layers")


def test_a_block_that_changes_the_shape_is_refused(own):
    own("def wider(x, *, seed=None):\n    from keras import ops\n    return ops.repeat(x, 2, -1)\n")
    with pytest.raises(RecipeError, match=r"must leave a map's shape as it is: got .* 64.* from"):
        models.build("lsgh_net", (13, 13, 2), block="wider")


def test_without_a_file_a_run_keeps_no_code(sample_workspace, monkeypatch):
    monkeypatch.delenv(own_code.VARIABLE, raising=False)
    done = short(sample_workspace, RECIPES / "logistic_regression.yaml")
    assert not (done.path / "own_code.py").exists()
    with pytest.raises(RunError, match="no model"):
        model_store.load_model(done.path / "nowhere")
