"""Figures of factors: a heat map of correlation, bars of importance and of divergence.

Tables of `association`, `importance` and `divergence` in, HoloViews objects out. Signs are blue and
orange, which the colour-blind tell apart, and every cell and bar bears its number.
"""

from collections.abc import Mapping, Sequence

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd

from lsm_core.errors import SampleError
from lsm_core.plot_style import RUN_COLOURS, SIZES, bare

# Blue, white and orange, as dark on either side: no red beside green.
SIGNED = ((8, 81, 156), (107, 174, 214), (247, 247, 247), (253, 141, 60), (166, 54, 3))
ROW = 30  # pixels a factor takes
MEASURES = {
    "permutation": "accuracy lost when the factor is shuffled (out of bag)",
    "impurity": "share of the forest's gain in Gini impurity",
}


def correlation_of(matrix: pd.DataFrame, title: str = "Correlation of factors") -> hv.Overlay:
    """Heat map of a matrix of `pearson`, `spearman` or `cramers_v`: -1 blue, 0 white, 1 orange.

    Every pair stands once, below the diagonal; one that is not defined stays empty.

    Raises
    ------
    SampleError : fewer than two factors.
    """
    if len(matrix) < 2:
        raise SampleError(f"a heat map of correlation needs two factors, got {list(matrix)}")
    names = [str(name) for name in matrix]
    row, col = np.tril_indices(len(names), -1)
    value = matrix.to_numpy(float)[row, col]
    here = np.isfinite(value)
    cells = pd.DataFrame(
        {
            "first": np.array(names)[col[here]],
            "second": np.array(names)[row[here]],
            "value": value[here],
        }
    )
    kdims = [
        hv.Dimension("first", values=names[:-1]),
        hv.Dimension("second", values=names[:0:-1]),
    ]
    colours = hv.HeatMap(cells, kdims, hv.Dimension("value", label="correlation")).opts(
        cmap=_between(SIGNED),
        clim=(-1, 1),
        colorbar=True,
        tools=["hover"],
        backend="bokeh",
    )
    written = cells.assign(words=[f"{v:.2f}" for v in cells["value"]], dark=cells["value"].abs())
    parts = [
        hv.Labels(written[chosen], kdims, "words").opts(
            text_color=colour, text_font_size=SIZES["ticks"], backend="bokeh"
        )
        for chosen, colour in ((written["dark"] > 0.7, "white"), (written["dark"] <= 0.7, "black"))
        if chosen.any()
    ]
    return hv.Overlay([colours, *parts]).opts(
        title=title,
        xrotation=45,
        xlabel="",
        ylabel="",
        height=130 + ROW * len(names),
        **_frame(),
        backend="bokeh",
    )


def importance_of(
    table: pd.DataFrame, *, measure: str = "permutation", title: str = "Importance of factors"
) -> hv.Overlay:
    """Bars of the table of `forest_importance`, most important on top.

    By `permutation` (with whiskers of two standard errors) or by `impurity`.

    Raises
    ------
    SampleError : another measure, or no factor.
    """
    if measure not in MEASURES or not len(table):
        raise SampleError(
            f"importance of {len(table)} factors by {measure!r}: draw {' or '.join(MEASURES)}"
        )
    values = table[measure].sort_values()
    if measure == "impurity":
        return _bars(values, MEASURES[measure], RUN_COLOURS[0], title)
    errors = 2 * table["std_error"].reindex(values.index)
    whiskers = hv.ErrorBars(
        (_names(values), values.to_numpy(), errors.to_numpy()), "factor", [measure, "error"]
    )
    return _bars(
        values,
        MEASURES[measure],
        RUN_COLOURS[0],
        title,
        [whiskers.opts(line_color="#333333", backend="bokeh")],
        reach=errors,
    )


def divergence_of(
    table: pd.DataFrame,
    *,
    limit: float | None = None,
    missing: Mapping[str, str] | None = None,
    title: str = "Divergence of factors between areas",
) -> hv.Overlay:
    """Bars of the table of `divergence` (from source to target, nats), the most unlike on top.

    `limit` is drawn as a dashed line. Factors that are `missing` in the other area stand in the
    title, for they have no bar.

    Raises
    ------
    SampleError : no factor that both areas have.
    """
    values = table["kl"].dropna().sort_values()
    if values.empty:
        raise SampleError("the areas share no factor, so there is no divergence to draw")
    if missing:
        title += f"\n{len(missing)} not shared: {', '.join(missing)}"
    line = hv.HLine(limit or 0.0).opts(
        color="#333333", line_dash="dashed", line_width=1, backend="bokeh"
    )
    also = [] if limit is None else [line]
    return _bars(values, "Kullback-Leibler divergence (nats)", RUN_COLOURS[1], title, also)


# ------------------------------------------------------------------------------------- behind


def _names(values: pd.Series) -> list[str]:
    return [str(name) for name in values.index]


def _bars(
    values: pd.Series,
    label: str,
    colour: str,
    title: str,
    also: Sequence[hv.Element] = (),
    reach: pd.Series | float = 0.0,
) -> hv.Overlay:
    """Bars that lie, the largest on top, its number beyond the end (and the `reach`) of each."""
    names = _names(values)
    dimension = hv.Dimension(str(values.name), label=label)
    factor = hv.Dimension("factor", values=names)
    bars = hv.Bars((names, values.to_numpy()), factor, dimension).opts(
        color=colour, line_color=None, tools=["hover"], backend="bokeh"
    )
    low, high = min(values.min(), 0.0), max(values.max(), 1e-9)
    span = high - low
    at = values.clip(lower=0) + reach + 0.015 * span
    words = [f"{v:.3f}" if span < 1 else f"{v:.2f}" for v in values]
    numbers = hv.Labels((names, at.to_numpy(), words), [factor, dimension], "words").opts(
        text_align="left",
        text_baseline="middle",
        text_color="#222222",
        text_font_size=SIZES["ticks"],
        backend="bokeh",
    )
    return hv.Overlay([bars, *also, numbers]).opts(
        title=title,
        invert_axes=True,
        xlabel="",
        ylim=(low - 0.02 * span, high + 0.16 * span),
        height=130 + ROW * len(names),
        **_frame(),
        backend="bokeh",
    )


def _between(colours: Sequence[tuple[int, int, int]], n: int = 255) -> list[str]:
    """n colours in even steps from the first to the last."""
    at = np.linspace(0, len(colours) - 1, n)
    channels = [np.interp(at, range(len(colours)), c) for c in zip(*colours, strict=True)]
    return [
        f"#{round(r):02x}{round(g):02x}{round(b):02x}" for r, g, b in zip(*channels, strict=True)
    ]


def _frame() -> dict[str, object]:
    return {
        "shared_axes": False,  # beside another figure each keeps its own factors
        "responsive": True,
        "min_width": 300,
        "fontsize": SIZES,
        "active_tools": [],
        "hooks": [bare],
    }
