"""Figures of factors: every pair once, bars in order with their numbers, and they do render."""

import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from lsm_core.errors import SampleError
from lsm_core.factor_figures import correlation_of, divergence_of, importance_of

NAMES = ["slope", "relief", "wetness"]
R = pd.DataFrame([[1, 0.9, -0.3], [0.9, 1, np.nan], [-0.3, np.nan, 1]], NAMES, NAMES)
IMPORTANCE = pd.DataFrame(
    {"permutation": [0.1, 0.02, -0.001], "std_error": 0.004, "impurity": [0.3, 0.5, 0.2]}, NAMES
)


def part(figure, kind):
    return next(element for element in figure if isinstance(element, kind))


def drawn(figure):
    return hv.renderer("bokeh").get_plot(figure).state


def test_every_pair_stands_once_and_undefined_ones_not():
    figure = correlation_of(R)
    cells = part(figure, hv.HeatMap).dframe()
    assert {(a, b): v for a, b, v in cells.itertuples(index=False)} == {
        ("slope", "relief"): 0.9,
        ("slope", "wetness"): -0.3,
    }
    assert drawn(figure).title.text == "Correlation of factors"


def test_signs_are_blue_and_orange_about_white():
    colours = part(correlation_of(R), hv.HeatMap).opts.get("style").kwargs["cmap"]
    assert (colours[0], colours[127], colours[-1]) == ("#08519c", "#f7f7f7", "#a63603")
    assert len(set(colours)) > 200


@pytest.mark.parametrize(
    ("measure", "order"),
    [("permutation", ["wetness", "relief", "slope"]), ("impurity", ["wetness", "slope", "relief"])],
)
def test_importance_stands_in_order_the_largest_on_top(measure, order):
    figure = importance_of(IMPORTANCE, measure=measure)
    assert list(drawn(figure).y_range.factors) == order
    assert part(figure, hv.Labels).dframe()["words"].tolist() == [
        f"{v:.3f}" for v in sorted(IMPORTANCE[measure])
    ]
    assert any(isinstance(e, hv.ErrorBars) for e in figure) == (measure == "permutation")


def test_divergence_says_what_has_no_bar_and_draws_the_limit():
    table = pd.DataFrame({"kl": [0.2, 1.5, np.nan]}, NAMES)
    figure = divergence_of(table, limit=0.67, missing={"rock": "no such factor"})
    assert list(drawn(figure).y_range.factors) == ["slope", "relief"]
    assert drawn(figure).title.text.endswith("1 not shared: rock")
    assert part(figure, hv.HLine).data == 0.67


def test_figures_beside_each_other_keep_their_own_factors():
    layout = importance_of(IMPORTANCE) + divergence_of(pd.DataFrame({"kl": [0.2]}, ["rain"]))
    plots = hv.renderer("bokeh").get_plot(layout).subplots
    ranges = {
        tuple(p.state.y_range.factors) for sub in plots.values() for p in sub.subplots.values()
    }
    assert ranges == {("wetness", "relief", "slope"), ("rain",)}


def test_nothing_to_draw_is_said():
    with pytest.raises(SampleError, match="needs two factors"):
        correlation_of(R.iloc[:1, :1])
    with pytest.raises(SampleError, match="draw permutation or impurity"):
        importance_of(IMPORTANCE, measure="gain")
    with pytest.raises(SampleError, match="share no factor"):
        divergence_of(pd.DataFrame({"kl": []}))
