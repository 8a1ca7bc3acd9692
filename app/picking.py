"""Select in one view, see it in all: test places and a threshold that every view shares.

Places picked by a box or a lasso on a map, or by a range on a histogram of scores, are marked in
the browser in every other view at once, for all views draw them from one source. A threshold is
picked by a tap on a curve, or by the slider; it is marked on the curves and the histograms. The
table says what each run says of the picked places at that threshold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.events import Tap
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    HoverTool,
    LassoSelectTool,
    Scatter,
    Span,
)
from bokeh.plotting import figure

from lsm_app.ground import ground_of
from lsm_app.layout import note
from lsm_app.rate_marks import PICKED, PICKED_MARK, THRESHOLD_MARK, RateMarks
from lsm_app.session import Session, html_table
from lsm_core import figures
from lsm_core.errors import LsmError
from lsm_core.runs import Run
from lsm_core.shared_places import counts_at, nearest_threshold, rates_at, shared_places

BARS = np.linspace(0, 1, 26)
RATES = ("recall", "precision", "false positive rate")
SLIDE, OTHER = "#D55E00", "#0072B2"
HINT = (
    "Pick test places by a box or a lasso on a map, or by a range on a histogram of scores (tools "
    "beside the plot); pick a threshold by a tap on a curve, or here. Maps, histograms, curves and "
    "the table below follow: a diamond on a curve or a reliability diagram says where the picked "
    "places alone would lie. Empty ground picks nothing: tap it with the box tool to let go."
)
ALL = "**All {n:,} test places**, {slides:,} of them landslides, at threshold {t:.2f}:"
SOME = "**{n:,} test places picked**, {slides:,} of them landslides, at threshold {t:.2f}:"


class Picked:
    """What is picked among the test places of runs judged on the same ones."""

    def __init__(self, runs: Sequence[Run], session: Session) -> None:
        self.runs, self.session = runs, session
        self.labels = figures.labels_of(runs)
        places = shared_places(runs)
        self.label = places["label"].to_numpy()
        self.scores = places[[f"score {i}" for i in range(len(runs))]].to_numpy(dtype=np.float64)
        self.source = ColumnDataSource(_columns(runs[0], places))
        self.source.selected.on_change("indices", lambda attr, old, new: self.tell())
        self.marks = ColumnDataSource(self._marks())
        self.picked_marks = ColumnDataSource(self._marks([]))
        self.rates = {kind: RateMarks(runs, kind) for kind in ("prediction", "success")}
        self.spans: list[Span] = []
        self.bars = [ColumnDataSource(self._bars(i)) for i in range(len(runs))]
        self.words = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.table = html_table()
        self.slider = pmui.FloatSlider(
            label="Threshold", start=0, end=1, step=0.01, value=session.threshold, width=320
        )
        # by the server, which alone may change what Bokeh draws: a visitor is heard in a thread
        self.slider.param.watch(lambda _: pn.state.execute(self.cut), "value")
        self.tell()

    # ------------------------------------------------------------------------------ what is said

    @property
    def places(self) -> Any:
        """Which places are picked; all of them where none is."""
        some = list(self.source.selected.indices)
        return some or slice(None)

    def tell(self) -> None:
        """Bring words, table and the bars of the picked up to date."""
        some, t = self.places, self.session.threshold
        label = self.label[some]
        told = {"n": len(label), "slides": int(label.sum()), "t": t}
        self.words.object = (ALL if isinstance(some, slice) else SOME).format(**told)
        rows = [
            {"run": name} | counts_at(label, self.scores[some, i], t)
            | {"mean score": float(self.scores[some, i].mean())}
            for i, name in enumerate(self.labels)
        ]  # fmt: skip
        self.table.object = _styled(pd.DataFrame(rows))
        for i, bars in enumerate(self.bars):
            bars.data = self._bars(i)
        self.picked_marks.data = self._marks([] if isinstance(some, slice) else some)
        self._mark_rates()

    def cut(self) -> None:
        """Move the threshold everywhere: to where the slider stands now, not where it was heard."""
        threshold = self.slider.value
        if threshold == self.session.threshold:
            return
        self.session.threshold = threshold
        self.marks.data = self._marks()
        for span in self.spans:
            span.location = threshold
        self.tell()

    def _marks(self, some: Any = slice(None)) -> dict[str, list[Any]]:
        """Where the threshold lies on the curves by all places, or would by some of them."""
        label, t = self.label[some], self.session.threshold
        scores = self.scores[some].T if len(label) else self.scores[:0, :0].T
        at = [rates_at(label, score, t) for score in scores]
        colours = [figures.RUN_COLOURS[i % len(figures.RUN_COLOURS)] for i in range(len(at))]
        names = {name: [one[name] for one in at] for name in RATES}
        names["mean score"] = [float(score.mean()) for score in scores]
        names["share of landslides"] = [float(label.mean()) for _ in at]
        return names | {"colour": colours, "run": list(self.labels)[: len(at)]}

    def _bars(self, i: int) -> dict[str, Any]:
        """Counts by score: landslides upwards and others downwards; of all and of the picked."""
        some = self.places
        picked = np.zeros(len(self.label), bool)
        if not isinstance(some, slice):
            picked[some] = True
        columns: dict[str, Any] = {"left": BARS[:-1], "right": BARS[1:]}
        for name, which in (("all", np.ones_like(picked)), ("picked", picked)):
            for side, sign in (("slides", 1), ("others", -1)):
                own = self.scores[which & (self.label == (sign > 0)), i]
                columns[f"{name} {side}"] = sign * np.histogram(own, BARS)[0]
        return columns

    # ------------------------------------------------------------------------------------- views

    def on_map(self, plot: Any, _: Any) -> None:
        """Hook of a map: the places lie on it, unseen until picked, and can be picked there."""
        self._add(plot.state, "x", "y", [BoxSelectTool(), LassoSelectTool()])

    def on_curve(self, kind: str, plot: Any, _: Any) -> None:
        """Hook of a plot of curves: the threshold is marked there, and set by a tap."""
        fig = plot.state
        if any(one.name == "threshold" for one in fig.renderers):
            return
        x, y = ("recall", "precision") if kind == "pr" else ("false positive rate", "recall")
        fig.scatter(x, y, source=self.marks, **THRESHOLD_MARK)
        self._mark_picked(fig, x, y)
        fig.on_event(Tap, lambda tapped: self._tapped(kind, tapped))

    def on_reliability(self, plot: Any, _: Any) -> None:
        """Hook of a reliability diagram: what is predicted and observed of the picked alone."""
        if not any(one.name == "of the picked" for one in plot.state.renderers):
            self._mark_picked(plot.state, "mean score", "share of landslides")

    def on_rates(self, kind: str, plot: Any, _: Any) -> None:
        """Hook of rate curves: the threshold is marked there, and the picked on prediction."""
        self.rates[kind].draw(plot.state)
        self._mark_rates()

    def _mark_rates(self) -> None:
        some = list(self.source.selected.indices)
        for rates in self.rates.values():
            rates.tell(self.session.threshold, self.label[some], self.scores[some])

    def _mark_picked(self, fig: Any, x: str, y: str) -> None:
        fig.scatter(x, y, source=self.picked_marks, **PICKED_MARK)

    def _tapped(self, kind: str, tapped: Any) -> None:
        if 0 <= tapped.x <= 1 and 0 <= tapped.y <= 1:
            _run, threshold = nearest_threshold(self.label, self.scores, tapped.x, tapped.y, kind)
            self.slider.value = float(np.clip(threshold, 0, 1))

    def _add(self, fig: Any, x: str, y: str, tools: Sequence[Any]) -> None:
        if any(one.name == "picked" for one in fig.renderers):
            return
        seen = {"fill_color": PICKED, "line_color": "white", "line_width": 0.5, "size": 6}
        glyph = Scatter(x=x, y=y, fill_alpha=0, line_alpha=0, size=6)
        drawn = fig.add_glyph(
            self.source, glyph, selection_glyph=Scatter(x=x, y=y, **seen), name="picked",
            nonselection_glyph=Scatter(x=x, y=y, fill_alpha=0, line_alpha=0, size=6),
            level="overlay",
        )  # fmt: skip
        for tool in tools:
            tool.renderers = [drawn]
            tool.persistent = False
        fig.add_tools(*tools)

    def histogram(self, i: int) -> figure:
        """Scores of one run: landslides above the line, others below; a range can be picked."""
        fig = figure(
            height=230, sizing_mode="stretch_width", min_width=300, x_range=(0, 1),
            tools="reset,save", title=self.labels[i], x_axis_label="score of the test place",
            y_axis_label="places",
        )  # fmt: skip
        fig.toolbar.logo = None
        for side, colour in (("slides", SLIDE), ("others", OTHER)):
            look = {"left": "left", "right": "right", "bottom": 0, "source": self.bars[i]}
            fig.quad(top=f"all {side}", fill_color=colour, fill_alpha=0.45, line_color=None, **look)
            fig.quad(top=f"picked {side}", fill_color=PICKED, line_color=None, **look)
        nought = Scatter(x=f"score {i}", y="zero", fill_alpha=0, line_alpha=0)
        unseen = fig.add_glyph(
            self.source, nought, selection_glyph=nought, nonselection_glyph=nought
        )
        tool = BoxSelectTool(dimensions="width", renderers=[unseen])
        fig.add_tools(tool, HoverTool(tooltips=_tips(), renderers=fig.renderers[:1]))
        fig.toolbar.active_drag = tool
        span = Span(location=self.session.threshold, dimension="height", line_dash="dashed")
        fig.add_layout(span)
        self.spans.append(span)
        return fig

    def view(self) -> pn.Column:
        """The slider, the histograms beside each other, and what the runs say of the picked."""
        self.spans.clear()
        style = {"flex": "1 1 300px", "min-width": "300px", "max-width": "560px"}
        plots = [
            pn.Column(pn.pane.Bokeh(self.histogram(i), sizing_mode="stretch_width"), styles=style)
            for i in range(len(self.runs))
        ]
        key = pn.pane.HTML(_KEY)
        histograms = pn.FlexBox(*plots, gap="8px", sizing_mode="stretch_width")
        return pn.Column(
            note(HINT), self.slider, key, histograms, self.words, self.table,
            sizing_mode="stretch_width",
        )  # fmt: skip


_KEY = "".join(
    f'<span style="margin-right:14px"><i style="display:inline-block;width:14px;height:14px;'
    f'margin-right:4px;vertical-align:-2px;background:{colour}"></i>{words}</span>'
    for words, colour in (
        ("landslides (upwards)", SLIDE),
        ("no landslide (downwards)", OTHER),
        ("picked", PICKED),
    )
)


def _tips() -> list[tuple[str, str]]:
    return [
        ("score", "@left{0.00} to @right{0.00}"),
        ("landslides", "@{all slides}"),
        ("others (negative)", "@{all others}"),
    ]


def _columns(run: Run, places: pd.DataFrame) -> dict[str, Any]:
    """Where the places lie in the CRS of the area; nowhere for runs on units."""
    columns = {name: places[name].to_numpy("float32") for name in places if "score" in str(name)}
    try:
        x, y = ground_of(run.area_path).grid.xy(places["row"], places["col"])
    except LsmError:
        x = y = np.full(len(places), np.nan)
    zero = np.zeros(len(places), "float32")
    return columns | {"x": np.asarray(x), "y": np.asarray(y), "zero": zero}


def _styled(table: pd.DataFrame) -> Any:
    counted = ["found", "missed", "false alarms", "rightly left"]
    return (
        table.style.hide(axis="index")
        .format("{:,.0f}", subset=counted)
        .format("{:.3f}", subset=["precision", "recall", "mean score"], na_rep="–")
        .format(escape="html", subset=["run"])
    )
