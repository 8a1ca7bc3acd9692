"""Pictures of a search hold the numbers of its trials."""

import math

import holoviews as hv
import numpy as np
import pytest

from lsm_core import tuning_figures
from lsm_core.errors import RunError
from lsm_core.figures import page_of
from lsm_core.tuning import Trial, trial_table

SPACE = {
    "training.learning_rate": {"log": [1e-4, 1e-2]},
    "training.optimizer": {"choice": ["adam", "sgd"]},
    "model.options.dropout": {"linear": [0, 0.6]},
}


def table(*scores):
    values = [(1e-4 * 2**i, ("adam", "sgd")[i % 2], 0.1 * i) for i in range(len(scores))]
    trials = [Trial(i, dict(zip(SPACE, values[i], strict=True)), s) for i, s in enumerate(scores)]
    return trial_table(trials)


TABLES = {"bayes": table(0.5, 0.4, math.nan, 0.7, 0.6), "random": table(0.5, 0.45, 0.3)}


def test_best_so_far_never_falls_and_starts_at_the_first_proposal():
    figure = tuning_figures.best_so_far_of(TABLES, by="average_precision", title="Forest")
    line = figure.get("Curve.Bayes")
    assert line.dimension_values(0).tolist() == [1, 2, 3, 4]
    assert line.dimension_values(1).tolist() == [0.5, 0.5, 0.7, 0.7]
    (before,) = figure.traverse(lambda line: line.data, [hv.HLine])
    assert before == 0.5


def test_a_failed_trial_and_the_recipe_as_it_stood_are_no_dots():
    figure = tuning_figures.parameter_of(TABLES, "model.options.dropout", kind="linear", by="auc")
    dots = figure.traverse(lambda dots: dots, [hv.Scatter])
    assert dots[0].dimension_values(0).tolist() == pytest.approx([0.1, 0.3, 0.4])
    assert dots[0].dimension_values(1).tolist() == [0.4, 0.7, 0.6]
    assert len(dots[1]) == 2


def test_choices_stand_by_name_and_logarithms_on_their_axis():
    chosen = tuning_figures.parameter_of(TABLES, "training.optimizer", kind="choice", by="auc")
    (dots, _) = chosen.traverse(lambda dots: dots, [hv.Scatter])
    near = np.round(dots.dimension_values(0)).tolist()
    assert near == [1, 1, 0]
    plot = hv.render(chosen, backend="bokeh")
    assert plot.xaxis[0].major_label_overrides == {0: "adam", 1: "sgd"}
    rate = tuning_figures.parameter_of(TABLES, "training.learning_rate", kind="log", by="auc")
    assert type(hv.render(rate, backend="bokeh").x_scale).__name__ == "LogScale"


def test_the_whole_picture_is_a_page_and_a_png(tmp_path):
    figure = tuning_figures.search_of(TABLES, SPACE, by="average_precision")
    assert len(figure) == 4
    assert "learning_rate" in page_of(figure, "search")
    tuning_figures.save_png(figure, tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes()[:4] == b"\x89PNG"


def test_no_score_at_all_is_said():
    with pytest.raises(RunError, match="no trial has a score"):
        tuning_figures.search_of({"bayes": table(math.nan)}, SPACE, by="auc")
