"""Learning curves: every point a run, used again when finished; means, intervals and gains."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lsm_core import learning_curves
from lsm_core.errors import RecipeError, RunError
from lsm_core.learning_curves import (
    Cell,
    Study,
    cells,
    gains,
    source_recipe,
    summary,
    target_recipe,
)
from lsm_core.recipe import make_recipe

FOREST = make_recipe({"name": "rf", "model": {"name": "random_forest"}, "seed": 4})


def study(**more):
    return Study(FOREST, "here", "there", **({"labels": (10, 30), "draws": 2} | more))


def rows(draws=5, seed=0):
    """Scores of two ways that share what a draw is like; fine-tuning gains .1."""
    rng = np.random.default_rng(seed)
    luck = rng.normal(0, 0.05, draws)
    made = []
    for draw in range(draws):
        for how, auc in (("inductive", 0.8), ("scratch", 0.7), ("direct", 0.6)):
            value = auc + luck[draw] + rng.normal(0, 0.001)
            scale = np.nan if how == "scratch" else 300.0
            labels = np.nan if how == "direct" else 10.0
            numbers = dict.fromkeys(learning_curves.METRICS, value)
            made.append({"how": how, "scale": scale, "labels": labels, "draw": draw} | numbers)
    return pd.DataFrame(made)


def test_draw_by_draw_what_needs_no_source_or_no_labels_once():
    asked = cells(study(scales=(100, None), hows=("direct", "inductive", "scratch")))
    assert len(asked) == 2 * (2 + 2 * (1 + 2))
    assert [cell.draw for cell in asked] == sorted(cell.draw for cell in asked)
    assert asked[:3] == [
        Cell("scratch", None, 10, 0),
        Cell("scratch", None, 30, 0),
        Cell("direct", 100, None, 0),
    ]


def test_a_recipe_a_point():
    source = source_recipe(study(), 100, 1)
    assert (source.area, source.seed, source.map) == ("here", 5, False)
    assert source.transfer.region
    assert (source.transfer.how, source.transfer.labels) == ("scratch", 100)
    assert source_recipe(study(), None, 0).transfer is None

    class There:
        path = "runs/source"

    asked = study(settings={"freeze": 1, "rate": 0.01})
    target = target_recipe(asked, Cell("inductive", 100, 30, 1), There())
    assert (target.area, target.seed) == ("there", 5)
    assert (target.transfer.labels, target.transfer.freeze) == (30, 1)
    assert target.transfer.source == "runs/source"
    assert target_recipe(asked, Cell("direct", 100, None, 0), There()).transfer.asks == 0


def test_what_is_finished_is_not_run_again(monkeypatch, tmp_path):
    ran = []

    class Done:
        def __init__(self, recipe):
            self.recipe, self.path, self.state = recipe, tmp_path / str(len(ran)), "done"
            self.area = {"fingerprints": {"f": "1"}}
            scores = {"accuracy": 0.5, "log_loss": 0.6}
            self.metrics = {"scores": scores, "n": 9, "average_precision": 0.7, "roc_auc": 0.8}

    def run(recipe, into, should_stop=None):
        ran.append(Done(recipe))
        return ran[-1]

    monkeypatch.setattr(learning_curves.experiment, "run_experiment", run)
    monkeypatch.setattr(learning_curves, "list_runs", lambda into: list(ran))
    monkeypatch.setattr(learning_curves, "_prints", lambda run: {"f": "1"})
    told = []
    asked = study(hows=("direct", "scratch"), draws=1)
    first = learning_curves.carry_out(asked, tmp_path, told.append)
    assert len(ran) == 1 + 3  # a source, two from scratch, one as it is
    assert len(told) == 3
    again = learning_curves.carry_out(asked, tmp_path)
    assert len(ran) == 4
    pd.testing.assert_frame_equal(first, again)
    monkeypatch.setattr(learning_curves, "_prints", lambda run: {"f": "2"})  # built anew since
    learning_curves.carry_out(asked, tmp_path)
    assert len(ran) == 8


def test_means_and_students_interval():
    table = summary(rows()).set_index("how")
    values = rows().query("how == 'inductive'")["roc_auc"]
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    row = table.loc["inductive"]
    assert row["roc_auc"] == pytest.approx(values.mean())
    assert (row["roc_auc low"], row["roc_auc high"]) == pytest.approx((low, high))
    assert row["draws"] == 5
    assert np.isnan(summary(rows(draws=1))["roc_auc low"]).all()


def test_gains_go_draw_by_draw():
    """Luck moves single scores by .05; the difference within a draw hardly moves."""
    gained = gains(rows(), "scratch").iloc[0]
    assert gained["roc_auc"] == pytest.approx(0.1, abs=0.002)
    assert gained["roc_auc high"] - gained["roc_auc low"] < 0.01
    both = rows().pivot(index="draw", columns="how", values="roc_auc")
    theirs = stats.ttest_rel(both["inductive"], both["scratch"]).pvalue
    assert gained["roc_auc p"] == pytest.approx(theirs)
    assert len(gains(rows(), "direct")) == 1
    assert gains(rows(), "pooled").empty


def test_the_words_say_all_numbers():
    words = learning_curves.in_words(summary(rows()))
    assert "scratch" in words
    assert "0.8" in words
    assert "draw by draw" in learning_curves.gains_in_words(rows(), "scratch")


def test_a_study_that_cannot_be_is_refused():
    for wrong in ({"hows": ("fly",)}, {"draws": 0}, {"labels": ()}):
        with pytest.raises(RecipeError):
            cells(study(**wrong))


# ---------------------------------------------------------------------------------- the figure


def test_one_line_a_way_and_scale_with_bands(tmp_path):
    import holoviews as hv
    from matplotlib.colors import to_rgb

    from lsm_core import transfer_figures

    more = rows().assign(labels=lambda t: t["labels"] * 10)
    table = summary(pd.concat([rows(), more[more["how"] != "direct"]]))
    drawn = transfer_figures.learning_curves_of(table, "roc_auc")
    curves = {e.label: e.data for e in drawn if type(e).__name__ == "Curve"}
    assert set(curves) == {"inductive", "scratch", "direct"}
    assert np.asarray(curves["inductive"])[:, 0].tolist() == [10, 100]
    level = np.asarray(curves["direct"])
    assert level[0, 1] == level[1, 1]
    assert sum(type(e).__name__ == "Area" for e in drawn) == 3
    axes = hv.render(drawn, backend="matplotlib").axes[0]
    lines = {to_rgb(line.get_color()) for line in axes.lines}
    assert {tuple(band.get_facecolor()[0][:3]) for band in axes.collections} == lines
    file = tmp_path / "curves.png"
    transfer_figures.save_png(drawn, file)
    assert file.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(RunError, match="accuracy, log_loss"):
        transfer_figures.learning_curves_of(table, "kappa")
