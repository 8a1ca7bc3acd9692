"""The parts of a comparison of runs, and who stands beside whom.

Only runs judged on the same test places share a table or a plot of test places; others stand beside
each other, under the core's sentence that says why. Maps of one area always move together.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from html import escape
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui

from lsm_app.class_limits import limits_of
from lsm_app.difference import differences
from lsm_app.doubt import Doubt
from lsm_app.following import places_of
from lsm_app.layout import beside, heading, note, or_words, tabs, weakly
from lsm_app.map_view import Hook, linked_maps
from lsm_app.picking import Picked
from lsm_app.score_table import DRAWS, ScoreTable
from lsm_app.session import Session
from lsm_app.stored_classes import stored_classes
from lsm_app.why import Why
from lsm_core import figures, unit_figures
from lsm_core.errors import LsmError
from lsm_core.plot_style import bare
from lsm_core.runs import Run, compare, compare_protocols

LEAKS = (
    "Distance from each test place to the nearest training place, and the same from cells spread "
    "over the map. A fair test is no nearer to training than the map is: its line lies on the "
    "map's, or to the right of it."
)
RELIABLE = (
    "Test places in ten bins of predicted probability; on the diagonal a probability is what it "
    "says. ECE is the expected calibration error."
)
RATES = (
    "Prediction counts landslides held out; success counts those of training, which says how well "
    "a map fits what it was made from and nothing of the future. A circle is the threshold; a "
    "diamond is how many of the landslides picked on another view lie above it."
)
GAP = (
    "Test places of the two protocols differ, so the runs share no table; 95% intervals of whole "
    "blocks, each side drawn on its own. The random side is what a test beside the training places "
    "says; the spatial side is what new ground would."
)
HALF = {"flex": "1 1 480px", "min-width": "300px"}


def comparison(
    runs: Sequence[Run], session: Session, turn: threading.Lock
) -> list[Callable[[], Any]]:
    """What makes all there is to see of these runs, part by part.

    Runs that do not compare stand in groups beside each other. Of runs under both protocols, which
    never share a table, the gap may be asked for.
    """
    groups = [Group(some, session) for some in alike(runs)]
    whole = Whole(runs, groups, session, turn)
    before: list[Callable[[], Any]] = []
    if len(groups) > 1:
        before.append(partial(whole.why_apart))
    if len({run.recipe.protocol for run in runs}) > 1:
        before.append(partial(protocols, runs))
    parts: dict[str, Callable[[], Any]] = {
        "Scores": partial(whole.each, "scores"),
        "Curves": partial(whole.each, "curves"),
        "Maps": whole.maps,
        "Places picked": partial(whole.each, "picking"),
        "Difference of two maps": lambda: differences(runs, session),
        "Classes by limits one drags": lambda: limits_of(runs, session),
        "Spread and classes": partial(whole.each, "classes"),
        "Tests of difference": partial(whole.each, "tests"),
        "Leakage": partial(whole.each, "leakage"),
    }
    return [*before, *(partial(_titled, title, make) for title, make in parts.items())]


def alike(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that compare, together; where not all do, by protocol and test places."""
    try:
        compare(list(runs))
        return [list(runs)]
    except LsmError:
        groups: dict[Any, list[Run]] = {}
        for run in runs:
            groups.setdefault((run.recipe.protocol, places_of(run) or run.id), []).append(run)
        return list(groups.values())


def _titled(title: str, make: Callable[[], Any]) -> pn.Column:
    return pn.Column(heading(title), or_words(make), sizing_mode="stretch_width")


class Whole:
    """All runs of a comparison, and the groups in which they compare."""

    def __init__(
        self, runs: Sequence[Run], groups: Sequence["Group"], session: Session, turn: threading.Lock
    ) -> None:
        self.runs, self.groups, self.session, self.turn = runs, groups, session, turn

    def why_apart(self) -> Any:
        """The core's sentence that says why not all runs share a table."""
        return or_words(lambda: compare(list(self.runs)) and None)

    def each(self, part: str) -> Any:
        """One part of every group, side by side; under its name where there are several."""
        made = [or_words(getattr(group, part)) for group in self.groups]
        if len(made) == 1:
            return made[0]
        named = [
            pn.Column(pmui.Typography(escape(group.name), variant="subtitle2"), one, styles=HALF)
            for group, one in zip(self.groups, made, strict=True)
        ]
        return pn.FlexBox(*named, gap="16px", sizing_mode="stretch_width")

    def maps(self) -> Any:
        """Linked maps, which may be asked why; of runs on units their points or polygons."""
        mapped = [run for run in self.runs if run.has_map]
        if len(mapped) == len(self.runs):
            why, box = Why(self.turn), pn.Column(sizing_mode="stretch_width")

            def draw() -> None:
                box[:] = [linked_maps(self.runs, why.ask, self._hook, self.session)]

            draw()
            doubt = Doubt(self.runs, draw)
            return pn.Column(box, why.view, doubt.view, sizing_mode="stretch_width")
        drawn = [or_words(partial(_units, run)) for run in self.runs if run.on_units]
        drawn += [
            note(f"{escape(run.id)} made no map (map: false)")
            for run in self.runs
            if not run.recipe.map
        ]
        linked = [linked_maps(mapped, None, self._hook, self.session)] if mapped else []
        return pn.Column(*linked, pn.FlexBox(*drawn, gap="8px"))

    def _hook(self, run: Run) -> Hook | None:
        group = next(group for group in self.groups if run in group.runs)
        return weakly(group.picked.on_map) if group.picked else None


class Group:
    """Runs that compare, and the parts that are drawn of them."""

    def __init__(self, runs: Sequence[Run], session: Session) -> None:
        self.runs, self.session = runs, session

    @property
    def name(self) -> str:
        """Protocol, area and number of test places."""
        run = self.runs[0]
        places = f"{run.metrics['n']:,} test places"
        return f"{run.recipe.protocol} protocol, {run.area['name']}, {places}"

    @cached_property
    def table(self) -> ScoreTable:
        return ScoreTable(self.runs)

    @cached_property
    def picked(self) -> Picked | None:
        """What is picked among the test places; None where the runs stored no scores of them."""
        try:
            return Picked(self.runs, self.session)
        except LsmError:
            return None

    def scores(self) -> Any:
        return self.table.view

    def picking(self) -> Any:
        return (self.picked or Picked(self.runs, self.session)).view()

    def tests(self) -> Any:
        return self.table.tests()

    def classes(self) -> Any:
        return stored_classes(self.runs, self.session)

    def curves(self) -> pn.Tabs:
        """Precision-recall and ROC; reliability; success and prediction rates."""
        return tabs(
            {
                "PR and ROC": lambda: beside(*(self._curve(kind) for kind in ("pr", "roc"))),
                "Reliability": lambda: _noted(
                    f"{RELIABLE} {shares(self.runs[0])}", self._reliability()
                ),
                "Success and prediction rates": lambda: _noted(
                    RATES,
                    *(self._rates(kind) for kind in ("prediction", "success")),
                ),
            }
        )

    def _curve(self, kind: str) -> hv.Overlay:
        return self._followed(figures.curves_of(self.runs, kind), "on_curve", kind)

    def _reliability(self) -> hv.Overlay:
        return self._followed(figures.reliability_of(self.runs), "on_reliability")

    def _rates(self, kind: str) -> hv.Overlay:
        drawn = figures.rates_of(self.runs, kind)
        mapped = all(run.has_map for run in self.runs)
        return self._followed(drawn, "on_rates", kind) if mapped else drawn

    def _followed(self, drawn: hv.Overlay, hook: str, *first: Any) -> hv.Overlay:
        """The same, with what is picked, by a method of `Picked`, where places can be picked."""
        if self.picked is None:
            return drawn
        hooks = [bare, weakly(getattr(self.picked, hook), *first)]
        return drawn.opts(hooks=hooks, backend="bokeh")

    def leakage(self) -> pn.Column:
        """The meter of each run, drawn once for runs that have the same, or why it cannot be."""
        parts = [
            or_words(lambda some=some: beside(figures.leakage_of(*some)))
            for some in figures.alike_in_leakage(self.runs)
        ]
        return pn.Column(pn.FlexBox(*parts, gap="8px"), note(LEAKS), sizing_mode="stretch_width")


def shares(run: Run) -> str:
    """How many of the test places are landslides, and how many of the area's cells are."""
    n, landslides = run.metrics["n"], run.metrics["landslides"]
    words = f"Of the {n:,} test places {landslides:,} are landslides ({100 * landslides / n:.1f}%)"
    prior = run.metrics.get("prior")
    if not prior:
        return f"{words}: these are probabilities among such places, not on the ground."
    return (
        f"{words}, of the area's {run.counted} {100 * prior['area']:.2g}%: these are probabilities "
        f"among such places. Where they say 0.5, about {prior['half_becomes']:.2g} of the ground "
        "would be landslides."
    )


def _units(run: Run) -> pn.pane.HoloViews:
    return pn.pane.HoloViews(unit_figures.units_of(run), linked_axes=True)


def _noted(words: str, *plots: hv.Element) -> pn.Column:
    return pn.Column(beside(*plots), note(words), sizing_mode="stretch_width")


def protocols(runs: Sequence[Run]) -> pn.Column:
    """A button that draws random against spatial evaluation of models run under both."""
    button = pmui.Button(label="Draw the gap between protocols", variant="outlined")
    drawn = pn.Column(sizing_mode="stretch_width")

    def gap() -> pn.Column:
        table = compare_protocols(list(runs), draws=DRAWS)
        return _noted(GAP, *(figures.protocols_of(table, name) for name in ("ap", "auc")))

    def draw(*_: Any) -> None:
        button.loading = True
        drawn[:] = [or_words(gap)]
        button.loading = False

    button.on_click(draw)
    return pn.Column(button, drawn, sizing_mode="stretch_width")
