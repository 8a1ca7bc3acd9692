"""Factors: where they differ inside landslides, their classes, what they repeat, and which stay."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
import xarray as xr

from lsm_app.area_layers import layers_of
from lsm_app.class_bars import ClassBars
from lsm_app.factor_study import RULES, Study, findings
from lsm_app.factor_ticks import FactorTicks, chosen_factors
from lsm_app.ground import built_areas, ground_of
from lsm_app.layout import heading, note
from lsm_app.limits_view import STATISTICS, LimitsView
from lsm_app.nothing_yet import area_choice, no_area
from lsm_app.recipe_box import RecipeBox
from lsm_app.session import Session, html_table, poll, purpose, remember, said
from lsm_core.bivariate import factor_classes
from lsm_core.classing import METHODS, find_limits
from lsm_core.distributions import Values, values_of
from lsm_core.errors import LsmError, RecipeError
from lsm_core.study_area import area_path, factors, is_units

PERIOD = 1000  # ms between looks whether the study is there
SHELF, MOST = "values", 6  # sorted values of factors kept for all visitors
PURPOSE = (
    "See what each factor tells of landslides, drag the limits of its classes, and tick the "
    "factors a model learns from."
)
SEEN = (
    "Landslides of the whole area are looked at here, those a run would be tested on among them: "
    "good for understanding an area; a choice made so may not be reported as made blindly. A run "
    "that shall choose by itself does so on its training places: section selection of a recipe."
)
COMING = "Correlation and inflation are being computed, then a forest …"
FOREST = (
    "What needs no forest is shown. Importance, and with it which factors the rules drop, comes "
    "once the forest has grown: a minute or several on a large inventory …"
)
DRAG = (
    "Press a handle and move at once: bars, table and map follow. A tap adds a limit; a chosen one "
    "goes with the backspace key. Or write the limits. Classes are closed on the left. Counted on "
    "{counted}."
)


def page(session: Session) -> pn.Column:
    """The page for one session; follows `session.area`, `session.second` and `session.classed`."""
    body = pn.Column(sizing_mode="stretch_width")
    looked: list[Factors] = []
    second = pmui.Select(label="Second area, to hold beside it", options={"none": ""}, width=260)

    def draw() -> None:
        names = {"none": ""} | {name: name for name in built_areas()}
        second.param.update(options=names, value=session.second if session.second in names else "")
        second.visible = len(names) > 1
        looked.clear()
        if len(names) == 1:
            body[:] = [no_area(session)]
            return
        try:
            looked.append(Factors(session, session.area))
            body[:] = [looked[0].view]
        except LsmError as error:
            body[:] = [said(error)]

    def look() -> None:
        if session.page == "Factors":
            for one in looked:
                one.look()

    choice = area_choice(session, draw)
    session.param.watch(lambda _: [one.ask() for one in looked], ["second", "rules"])
    choice.param.watch(lambda e: _leave(session, e.new), "value")
    second.param.watch(lambda e: session.param.update(second=e.new or ""), "value")
    poll(session, body, look, PERIOD)
    top = pn.FlexBox(choice, second, gap="12px")
    return pn.Column(purpose(PURPOSE), top, note(SEEN), body, sizing_mode="stretch_width")


def _leave(session: Session, area: str | None) -> None:
    """For another area, which has other factors."""
    if area and area != session.area:
        session.param.update(area=area, classed="", limits={}, left_out={})


class Factors:
    """One area on the screen: classes of a factor, the study of all, and what is ticked."""

    def __init__(self, session: Session, area: str) -> None:
        self.session, self.area = session, area
        self.ds = layers_of(area_path(area))
        self.ground = None if is_units(self.ds) else ground_of(area_path(area))
        self.names = factors(self.ds)
        self.classes = pn.Column(sizing_mode="stretch_width")
        self.study: Study | None = None
        self.early = False  # whether what needs no forest is shown
        self.waiting = pmui.Alert(
            object=COMING, severity="info", margin=(5, 10), sizing_mode="stretch_width"
        )
        self.found = pn.Column(sizing_mode="stretch_width")
        self.ticks = FactorTicks(session, self.names)
        self.box = RecipeBox(
            session,
            lambda base: chosen_factors(base, self.names, session.left_out, session.limits),
        )
        self.view = pn.Column(
            heading("Classes of a factor"), self._choices(), self.classes,
            heading("All factors beside each other"), self._rules(), self.waiting, self.found,
            heading("Factors a model learns from"), self.ticks.view, self.box.view,
            sizing_mode="stretch_width",
        )  # fmt: skip
        self.show()
        self.ask()

    # ----------------------------------------------------------------------- classes of one

    def _choices(self) -> pn.FlexBox:
        session = self.session
        if session.classed not in self.names:
            session.classed = next((n for n in self.names if n.lower() == "slope"), self.names[0])
        factor = pmui.Select(label="Factor", options=self.names, value=session.classed, width=220)
        words = {words: name for name, (words, _) in STATISTICS.items()}
        self.statistic = pmui.Select(
            label="Statistic of the bars", options=words, value=session.statistic, width=220
        )

        def choose(event: Any) -> None:
            session.classed = event.new
            self.show()

        def draw(event: Any) -> None:
            session.statistic = event.new
            self.drawn.show(event.new)

        factor.param.watch(choose, "value")
        self.statistic.param.watch(draw, "value")
        return pn.FlexBox(factor, self.statistic, gap="12px")

    def show(self) -> None:
        """The chosen factor's classes: limits to drag, or categories as they are."""
        name = self.session.classed
        try:
            if self.ds[name].attrs["kind"] == "continuous":
                self.classes[:] = self._dragged(name)
            else:
                table = classes_in(self.ds, self.area, name)
                self.drawn: Any = ClassBars(
                    self.ds, self.ground, name, table, self.session.statistic
                )
                self.classes[:] = [self.drawn.view]
        except LsmError as error:
            self.classes[:] = [said(error)]

    def _dragged(self, name: str) -> list[Any]:
        values = values_in(self.ds, self.area, name)
        limits = self.session.limits.get(name) or list(find_limits(_all(values), "quantile", 10)[0])
        table = html_table()
        written = pmui.TextInput(label="Limits", value=_listed(limits), sizing_mode="stretch_width")
        words = pn.Column(sizing_mode="stretch_width")

        def moved(now: list[float], made: pd.DataFrame) -> None:
            self.session.limits = self.session.limits | {name: now}
            written.value = _listed(now)
            table.object = styled(made, view.unit)
            words.clear()

        def write(event: Any) -> None:
            if event.new == _listed(self.session.limits.get(name, limits)):
                return
            try:
                now = _numbers(event.new)
                moved(now, view.put(now))
            except LsmError as error:
                words[:] = [said(error)]

        view = self.drawn = LimitsView(
            self.ds, self.ground, values, limits, self.session.statistic, moved
        )
        table.object = styled(view.table, view.unit)
        written.label += view.unit
        written.param.watch(write, "value")
        return [
            pn.FlexBox(*_panes(view), gap="12px", sizing_mode="stretch_width"),
            self._method(values, lambda now: moved(now, view.put(now))),
            written, words, table, note(DRAG.format(counted=values.counted)),
        ]  # fmt: skip

    def _method(self, values: Values, lay: Any) -> pn.FlexBox:
        """Limits found by a method among all cells, to begin with."""
        method = pmui.Select(
            label="Find limits by", options=list(METHODS), value="quantile", width=160
        )
        k = pmui.IntSlider(label="Classes", start=2, end=15, value=10, width=200)
        button = pmui.Button(label="Lay these limits", variant="outlined")
        button.on_click(lambda _: lay(list(find_limits(_all(values), method.value, k.value)[0])))
        return pn.FlexBox(method, k, button, align_items="center", gap="12px")

    # ------------------------------------------------------------------------ the study of all

    def _rules(self) -> pn.FlexBox:
        """Limits of the rules that say which factors to drop; 0 leaves a rule out."""
        session, fields = self.session, {}
        words = {
            "pearson": "Largest |r| (0: no rule)",
            "vif": "Largest VIF (0: no rule)",
            "divergence": "Largest KL (0: no rule)",
        }
        for name, label in words.items():
            value = session.rules.get(name, RULES[name]) or 0.0
            fields[name] = pmui.FloatInput(label=label, value=value, start=0, step=0.1, width=200)

        def write(*_: Any) -> None:
            session.rules = {name: field.value or None for name, field in fields.items()}

        for field in fields.values():
            field.param.watch(write, "value")
        return pn.FlexBox(*fields.values(), gap="12px")

    def ask(self) -> None:
        """Have the area examined, from the next look on; what is found comes with a later one."""
        rules = RULES | dict(self.session.rules)
        if not self.session.second:
            rules["divergence"] = None
        self.study, self.early = Study(self.area, self.session.second, rules), False
        self.waiting.param.update(object=COMING, severity="info", visible=True)

    def look(self) -> None:
        """Have it begun once the page is on the screen; show what was found once it is there."""
        study = self.study
        if study is None or study.started_now():
            return
        if study.first is not None and study.found is None and not self.early:
            self.early = True
            self._show(study.first)
            self.ticks.seen(study.first["so_far"])
            self.waiting.object = FOREST
        if study.busy:
            return
        self.study = None
        if study.found is None:
            self.waiting.param.update(object=escape(study.wrong), severity="warning")
            self.ticks.seen((study.first or {}).get("so_far", {}), to_come=False)
            return
        self.waiting.visible = False
        self._show(study.found)
        self.ticks.judged(study.found["kept"], study.found["dropped"])

    def _show(self, found: Mapping[str, Any]) -> None:
        """The tables, opened where they were looked at."""
        at = self.found[0].active if len(self.found) else 0
        made = findings(found)
        made.active = at
        self.found[:] = [made]


# ------------------------------------------------------------------------------------- behind


def values_in(ds: xr.Dataset, area: str, name: str) -> Values:
    """A factor's sorted values, kept for all visitors while the area stays as it is."""
    rng = np.random.default_rng(1)
    return remember(_key(area, name), lambda: values_of(ds, name, rng), SHELF, MOST)


def classes_in(ds: xr.Dataset, area: str, name: str) -> pd.DataFrame:
    """The table of a factor's own classes, kept in the same way."""
    return remember(
        _key(area, name), lambda: factor_classes(ds, name, fit_on=None), "class tables", 4 * MOST
    )


def _key(area: str, name: str) -> tuple[str, int, str]:
    store = area_path(area) / "area.zarr"
    return str(store), store.stat().st_mtime_ns if store.is_dir() else 0, name


def styled(table: pd.DataFrame, unit: str = "") -> Any:
    """Statistics of classes as people read them; `unit` follows the heads of the limits."""
    shown = table.drop(columns=["s2_w_plus", "s2_w_minus", "corrected"], errors="ignore")
    counts = [name for name in ("cells", "landslides") if name in shown]
    ends = [name for name in ("from", "to") if name in shown]
    rest = [n for n in shown if n not in (*counts, *ends, "name")]
    heads = {"frequency_ratio": "FR", "information_value": "IV", "certainty_factor": "CF"}
    heads |= {"w_plus": "W+", "w_minus": "W-", "contrast": "C", "studentised_contrast": "C / s"}
    heads |= {name: escape(f"{name}{unit}") for name in ends}
    return (
        shown.style.hide(axis="index")
        .format("{:,.0f}", subset=counts)
        .format("{:.4g}", subset=ends, na_rep="open")
        .format("{:.3f}", subset=rest, na_rep="–")
        .format_index(lambda name: heads.get(name, name), axis=1)
    )


def _panes(view: LimitsView) -> Sequence[pn.pane.Bokeh]:
    wide = {"flex": "1 1 420px", "min-width": "300px", "max-width": "640px"}
    diagrams = pn.Column(
        pn.pane.Bokeh(view.spread, sizing_mode="stretch_width"),
        pn.pane.Bokeh(view.graph, sizing_mode="stretch_width"),
        styles=wide,
    )
    scroll = {"max-width": "100%", "overflow-x": "auto"}
    return [diagrams, *([pn.pane.Bokeh(view.map, styles=scroll)] if view.map else [])]


def _all(values: Values) -> Any:
    return np.concatenate([values.inside, values.outside])


def _listed(limits: Sequence[float]) -> str:
    return ", ".join(f"{limit:.6g}" for limit in limits)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        raise RecipeError(f"limits are numbers with commas between, got {text!r}") from None
