"""A model carried to another area: the ways started by a button each, their scores side by side."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.factor_match import mapping_path
from lsm_app.fields import Field
from lsm_app.following import Follower, known_runs, loaded
from lsm_app.layout import beside, heading, note, or_words
from lsm_app.session import Session, html_table, said
from lsm_core import figures, jobs
from lsm_core.carried import carried
from lsm_core.errors import LsmError, RecipeError
from lsm_core.recipe_fields import settings
from lsm_core.runs import ALIVE, Run, compare, open_run, runs_folder
from lsm_core.transfer_report import zone_table

WAYS = {
    "direct": "The source's model as it is; no target label is looked at.",
    "self": "Self-training: it goes on with its own confident answers on the target.",
    "inductive": "Fine-tuning: the source's weights go on learning from target labels (networks).",
    "scratch": "From scratch: a new model of the target labels only, to be beaten.",
}
LEFT_OUT = ("transfer", "transfer.source", "transfer.how", "transfer.mapping")
DRAWS = 300  # bootstrap samples for the intervals shown
SCORES = (
    "All on the same test places of the target, by its own split; labels are drawn from training "
    "and validation ground only. AP and AUC with 95% intervals of whole blocks of test places. "
    "Accuracy and F1 at threshold 0.5 and above; log loss judges the probabilities too."
)
ORDER = ("direct", "self", "inductive", "pooled", "scratch")


class CarriedRuns:
    """Buttons, settings, and the runs of the chosen source and target; `look` follows them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.given: dict[str, Any] = {}
        self.fields: dict[str, Field] = {}
        self.told = pn.Column(sizing_mode="stretch_width")
        self.live = pn.Column(sizing_mode="stretch_width")
        self.content = pn.Column(sizing_mode="stretch_width")
        self.device = pmui.Select(
            label="Runs on",
            options={jobs.device_in_words(name): name for name in jobs.devices()},
            width=270,
        )
        self.map = pmui.Checkbox(label="map the target too", value=False)
        self.followers: dict[str, Follower] = {}
        self.seen: Any = None
        buttons = [self._button(how) for how in WAYS]
        self.all = pmui.Button(label="Start all four", variant="contained")
        self.all.on_click(lambda _: self.begin(list(WAYS)))
        self.view = pn.Column(
            heading("The ways, started"),
            note(" ".join(f"{how}: {words}" for how, words in WAYS.items())),
            self._settings(),
            pn.FlexBox(self.device, self.map, gap="8px", align_items="center"),
            pn.FlexBox(*buttons, self.all, gap="8px", align_items="center"),
            self.told, self.live, heading("Side by side"), self.content,
            sizing_mode="stretch_width",
        )  # fmt: skip
        session.param.watch(self._other, ["source", "target"])

    def _button(self, how: str) -> pmui.Button:
        made = pmui.Button(label=f"Start {how}", variant="outlined", description=WAYS[how])
        made.on_click(lambda _: self.begin([how]))
        return made

    def _settings(self) -> pmui.Accordion:
        """The settings of a transfer, from the recipe's schema."""
        known = [s for s in settings() if s.key.startswith("transfer.") and s.key not in LEFT_OUT]
        for found in known:
            self.fields[found.key] = Field(found, self._change)
            self.fields[found.key].show(found.default, found.default)
        box = pn.FlexBox(*(f.view for f in self.fields.values()), sizing_mode="stretch_width")
        title = "Settings: target labels, frozen layers, rate, rounds of self-training"
        return pmui.Accordion(
            (title, box), active=[], title_variant="subtitle1", margin=(0, 0, 14, 0),
            sizing_mode="stretch_width",
        )  # fmt: skip

    def _change(self, key: str, value: Any) -> None:
        field = self.fields[key]
        self.given[key.removeprefix("transfer.")] = value
        field.show(value, field.setting.default)

    # ------------------------------------------------------------------------------------ start

    def begin(self, hows: Sequence[str]) -> None:
        """Queue a run for each way; what cannot be carried so is said, the others start."""
        self.told.clear()
        for how in hows:
            try:
                jobs.start(self.recipe(how), runs_folder(), on=self.device.value)
            except LsmError as error:
                self.told.append(said(RecipeError(f"{how}: {error}")))
        self.look()

    def recipe(self, how: str) -> Any:
        """The recipe of a way. Errors: settings that do not go together, an unknown source."""
        if not self.session.target:
            raise RecipeError("choose a target area first")
        mapping = mapping_path(self.session.matched)
        own = {f.setting.name: f.setting.default for f in self.fields.values()}
        given = {k: v for k, v in self.given.items() if v != own.get(k)}
        if how == "direct":
            given = {k: v for k, v in given.items() if k != "labels"}
        given["mapping"] = str(mapping.resolve()) if mapping else None
        changes = [f"map={str(bool(self.map.value)).lower()}"]
        source = open_run(runs_folder() / self.session.source)
        return carried(source, self.session.target, how, given, changes)

    # ------------------------------------------------------------------------------------- look

    def _other(self, *_: Any) -> None:
        self.seen = None
        self.told.clear()

    def look(self) -> None:
        """The runs of this pair as they are now."""
        mine = carried_of(self.session.source, self.session.target)
        self._follow([(run, state) for run, state in mine if state in ALIVE])
        now = tuple((run.id, state) for run, state in mine if state not in ALIVE)
        if self.seen == (self.session.source, self.session.target, now):
            return
        self.seen = (self.session.source, self.session.target, now)
        self.content[:] = self._drawn([run for run, state in mine if state == "done"], mine)

    def _follow(self, alive: list[tuple[Run, str]]) -> None:
        lines = []
        for run, state in alive:
            follower = self.followers.setdefault(run.id, Follower(run.path)).look()
            words = follower.words if state == "running" else "waiting for its turn"
            words = f"({run.recipe.protocol}), {state}: {escape(words)}"
            lines.append(f"**{escape(how_of(run))}** {words}")
        if [part.object for part in self.live] != lines:
            self.live[:] = [pmui.Typography(line, variant="body2") for line in lines]

    def _drawn(self, done: list[Run], mine: list[tuple[Run, str]]) -> list[Any]:
        wrong = [
            note(escape(f"{how_of(run)} ({run.id}) {state}: {run.status['message']}"))
            for run, state in mine
            if state in ("failed", "lost", "stopped")
        ]
        if not done:
            words = "No finished run from this source on this target yet: start one above."
            return [*wrong, pmui.Alert(object=words, severity="info", margin=(5, 10))]
        done = sorted(map(loaded, done), key=_order)
        button = pmui.Button(label="Open these in Compare", variant="outlined")
        button.on_click(
            lambda _: self.session.param.update(runs=[r.id for r in done], page="Compare")
        )
        parts: list[Any] = [or_words(partial(scores, done)), button, *wrong]
        newest = list({how_of(run): run for run in done}.values())[:8]
        drawn = [_titled(run) for run in newest]
        parts.append(
            or_words(lambda: beside(*(figures.curves_of(drawn, kind) for kind in ("pr", "roc"))))
        )
        mapped = [run for run in newest if run.metrics.get("zoning") is not None]
        if mapped:
            parts += [heading("Landslides and area by class"), or_words(partial(zones_of, mapped))]
        return parts


def carried_of(source: str, target: str) -> list[tuple[Run, str]]:
    """Runs carried from a source run to a target area, and the states they are in; newest first."""
    return [
        (run, state)
        for run, state in known_runs()
        if (given := run.recipe.transfer) is not None
        and given.source is not None
        and given.source.rstrip("/").rsplit("/", 1)[-1] == source
        and run.area["name"].removesuffix(f"_as_{source}") == target
    ]


def how_of(run: Run) -> str:
    """The way, with the labels it had: "inductive, 100 labels"."""
    given = run.recipe.transfer
    if given is None:
        return "its own"
    asks = "all" if given.asks is None else f"{given.asks:,}" if given.asks else "no"
    seed = f", seed {run.recipe.seed}" if run.recipe.seed != 1 else ""
    return f"{given.how}, {asks} labels{seed}"


def _titled(run: Run) -> Run:
    """The run under the name of its way, for legends."""
    named = Run(run.path)
    named.__dict__["recipe"] = run.recipe.model_copy(update={"title": how_of(run)})
    return named


def scores(done: list[Run]) -> pn.Column:
    """The scores of runs on the same test places, one row each, the best of a column in bold."""
    tables = compare(done, draws=DRAWS)
    found = tables["scores"]
    shown = pd.DataFrame({"way": [how_of(run) for run in done]})
    shown["protocol"] = [run.recipe.protocol for run in done]
    for name in ("ap", "auc"):
        shown[name.upper()] = found[name].to_numpy()
        ends = zip(found[f"{name} low"], found[f"{name} high"], strict=True)
        shown[f"{name.upper()} 95%"] = [_interval(low, high) for low, high in ends]
    shown["accuracy"] = found["accuracy"].to_numpy()
    shown["F1"] = found["f1"].to_numpy()
    shown["log loss"] = [float(run.metrics["scores"].get("log_loss", float("nan"))) for run in done]
    shown["test places"] = [run.metrics["n"] for run in done]
    shown["run"] = [run.id for run in done]
    numbers = ["AP", "AUC", "accuracy", "F1", "log loss"]
    styled = shown.style.hide(axis="index").format(escape="html", subset=["way", "run"])
    styled = styled.format("{:.3f}", subset=numbers, na_rep="–")
    if len(done) > 1:
        bold = {"props": "font-weight:700"}
        styled = styled.highlight_max(subset=numbers[:-1], **bold)
        styled = styled.highlight_min(subset=numbers[-1:], **bold)
    return pn.Column(html_table(styled), note(SCORES), sizing_mode="stretch_width")


def _interval(low: float, high: float) -> str:
    return "–" if pd.isna(low) else f"{low:.3f} to {high:.3f}"


def zones_of(mapped: list[Run]) -> Any:
    """Landslides and share of the area by class, a row a way, as in the paper's Table 5."""
    table = zone_table(mapped)
    table["way"] = table["run"].map({run.id: how_of(run) for run in mapped})
    counts = table.pivot(index="way", columns="zone", values="landslides")
    shares = table.pivot(index="way", columns="zone", values="share_of_cells") * 100
    ways, order = pd.unique(table["way"]), pd.unique(table["zone"])
    joined = counts[order].add_suffix(", landslides").join(shares[order].add_suffix(", area (%)"))
    return html_table(joined.loc[ways].reset_index().style.hide(axis="index").format(precision=1))


def _order(run: Run) -> tuple[int, float, int]:
    given = run.recipe.transfer
    how = given.how if given else ""
    labels = float("inf") if given is None or given.asks is None else given.asks
    return (ORDER.index(how) if how in ORDER else 9, labels, run.recipe.seed)
