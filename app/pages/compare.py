"""Compare runs: scores, leakage, maps, curves, histograms and classes beside each other.

Only runs judged on the same test places share a plot; others are shown one by one, under the core's
sentence that says why.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.following import Follower, known_runs, loaded, places_of
from lsm_app.layout import InTurn, beside, heading, note, or_words, tabs
from lsm_app.map_view import linked_maps
from lsm_app.session import Newest, Session, html_table, poll, purpose, said
from lsm_app.why import Why
from lsm_core import figures, unit_figures
from lsm_core.errors import LsmError
from lsm_core.runs import (
    ALIVE,
    SCORE_COLUMNS,
    Run,
    compare,
    compare_protocols,
    runs_folder,
)

AT_FIRST = 4  # runs compared before anybody chooses
DRAWS = 300  # bootstrap samples for the intervals shown; `lsm compare` takes more
PURPOSE = (
    "See which model finds the landslides it has not been trained on, and where on the map they "
    "differ. Runs share a plot only if they were judged on the same test places."
)
SCORES = (
    "Judged on test places with hard labels, for the landslide class; accuracy, precision, "
    "specificity, sensitivity and F1 at threshold 0.5 and above. AP and AUC need no threshold; "
    "prevalence is the AP of a model that knows nothing. Overlap is the share of test windows that "
    "overlap a training one. Best of each column in bold. Intervals (95%) come from drawing whole "
    "blocks of test places; a rank changes only where the interval of a difference leaves 0 out. "
    "Models that know one thing only (null models) stand below: what does not beat them has learnt "
    "little."
)
CLASSES = (
    "Five classes of susceptibility, very low (1) to very high (5), by natural breaks of each map "
    "and by equal intervals of 0.2. Density is landslides over cells of the class: a model that "
    "knows nothing has the same in every class. Test blocks are ground nobody trained on; the "
    "whole map is not."
)
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
    "a map fits what it was made from and nothing of the future."
)
GAP = (
    "Test places of the two protocols differ, so the runs share no table; 95% intervals of whole "
    "blocks, each side drawn on its own. The random side is what a test beside the training places "
    "says; the spatial side is what new ground would."
)
HEADS = {"f1": "F1", "miou": "mIoU", "mse": "MSE", "ap": "AP", "auc": "AUC"}


def page(session: Session) -> pn.Column:
    """The page for one session; `session.runs` holds the ids compared."""
    strip = pn.Column(sizing_mode="stretch_width")
    choice = pmui.MultiChoice(label="Runs compared", sizing_mode="stretch_width")
    content = pn.Column(sizing_mode="stretch_width")
    seen: list[dict[str, str]] = []  # states at the last look
    followers: dict[str, Follower] = {}
    turn = threading.Lock()  # of asking why at a place: one at a time in this session

    def look() -> None:
        """Runs and their states as they are now; what is done since the last look joins in."""
        if session.page != "Compare":
            return
        known = known_runs()
        show_live([(run, state) for run, state in known if state in ALIVE], followers, strip)
        now = {run.id: state for run, state in known}
        if seen == [now]:
            return
        before = seen.pop() if seen else {}
        seen.append(now)
        fresh = {i for i, s in now.items() if s == "done" and before.get(i) in ALIVE}
        done = [run for run, state in known if state == "done"]
        choice.options = dict(zip(names_of(done), [run.id for run in done], strict=True))
        wanted = chosen(session.runs, done, fresh)
        if wanted == session.runs and (fresh or not before):
            newest()  # nothing is chosen anew, but it is there to be drawn now
        session.runs = wanted

    def draw(*_: Any) -> None:
        choice.value = list(session.runs)
        picked = [loaded(run) for run, _ in known_runs() if run.id in session.runs]
        picked.sort(key=lambda run: session.runs.index(run.id))
        nothing = partial(nothing_yet, bool(choice.options))
        in_turn(comparison(picked, turn) if picked else [nothing])

    in_turn = InTurn(content)
    newest = Newest(draw)
    session.param.watch(newest, "runs")
    choice.param.watch(lambda event: session.param.update(runs=list(event.new)), "value")
    poll(session, look)
    return pn.Column(purpose(PURPOSE), strip, choice, content, sizing_mode="stretch_width")


def names_of(runs: Sequence[Run]) -> list[str]:
    """Title, area, protocol and time of each run; its folder's name where that is not enough."""
    times = [run.status["created"][:16].replace("T", " ") for run in runs]
    short = [
        f"{run.title}, {run.area['name']}, {run.recipe.protocol}, {time}"
        for run, time in zip(runs, times, strict=True)
    ]
    return [
        name if short.count(name) == 1 else f"{name} ({run.id})"
        for name, run in zip(short, runs, strict=True)
    ]


def chosen(wanted: Sequence[str], done: Sequence[Run], fresh: set[str]) -> list[str]:
    """Ids to compare: those wanted that still exist, and fresh ones judged on the same places.

    Where nothing is wanted: the newest run and those judged on its test places, `AT_FIRST` at most.
    `done` is newest first.
    """
    by_id = {run.id: run for run in done}
    kept = [i for i in wanted if i in by_id]
    if not kept:
        return [run.id for run in _alike(done[0], done)][:AT_FIRST] if done else []
    alike = {run.id for run in _alike(by_id[kept[0]], done)} if fresh else set()
    return kept + [run.id for run in done if run.id in fresh & alike and run.id not in kept]


def _alike(first: Run, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run is first or places_of(run) == places_of(first)]


# ------------------------------------------------------------------------------------ live strip


def show_live(
    alive: Sequence[tuple[Run, str]], followers: dict[str, Follower], strip: pn.Column
) -> None:
    """One line for each queued or running run; the widgets stay while the runs do."""
    ids = [run.id for run, _ in alive]
    if [row.name for row in strip] != ids:
        strip[:] = [_live_row(run) for run, _ in alive]
    for row, (run, state) in zip(strip, alive, strict=True):
        follower = followers.setdefault(run.id, Follower(run.path)).look()
        words = follower.words if state == "running" else "waiting for its turn"
        row[0].object = f"**{escape(run.title)}** ({run.recipe.protocol}), {state}: {escape(words)}"
        row[1].value = follower.percent if state == "running" else 0
        row[1].variant = "determinate" if row[1].value >= 0 else "indeterminate"


def _live_row(run: Run) -> pn.Column:
    bar = pmui.LinearProgress(value=0, sizing_mode="stretch_width")
    line = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
    return pn.Column(line, bar, name=run.id, sizing_mode="stretch_width")


def nothing_yet(some: bool) -> pmui.Alert:
    """What to do where there is no run to show."""
    words = (
        "Choose at least one run above."
        if some
        else f"There are no finished runs in {escape(str(runs_folder()))} yet. `lsm demo` builds a "
        "sample area and trains three models on it; `lsm run RECIPE --area AREA` trains one on "
        "yours. Runs appear here by themselves."
    )
    return pmui.Alert(object=words, severity="info", margin=10, sizing_mode="stretch_width")


# ------------------------------------------------------------------------------------ comparison


def comparison(runs: Sequence[Run], turn: threading.Lock) -> list[Callable[[], Any]]:
    """All there is to see of these runs: one block, or one for each if they do not compare.

    Of runs under both protocols, which never share a table, the gap may be asked for.
    """
    try:
        compare(list(runs))
    except LsmError as error:
        parts: list[Callable[[], Any]] = [partial(said, error)]
        if len({run.recipe.protocol for run in runs}) > 1:
            parts.append(partial(protocols, runs))
        for run in runs:
            parts += [partial(heading, run.id), *_block([run], turn)]
        return parts
    return _block(runs, turn)


def _block(runs: Sequence[Run], turn: threading.Lock) -> list[Callable[[], Any]]:
    parts = {
        "Scores": lambda: score_table(runs),
        "Leakage": lambda: leakage(runs),
        "Maps": lambda: maps(runs, Why(turn)),
        "Curves": lambda: curves(runs),
        "Spread and classes": lambda: classes(runs),
    }
    return [partial(_titled, title, make) for title, make in parts.items()]


def _titled(title: str, make: Callable[[], Any]) -> pn.Column:
    return pn.Column(heading(title), or_words(make), sizing_mode="stretch_width")


def maps(runs: Sequence[Run], why: Why) -> Any:
    """Linked maps, which `why` is asked of; of runs on units their points or polygons."""
    mapped = [run for run in runs if run.has_map]
    if len(mapped) == len(runs):
        return pn.Column(linked_maps(runs, why.ask), why.view, sizing_mode="stretch_width")
    drawn = [or_words(partial(_units, run)) for run in runs if run.on_units]
    drawn += [note(f"{run.id} made no map (map: false)") for run in runs if not run.recipe.map]
    return pn.Column(*([linked_maps(mapped)] if mapped else []), pn.FlexBox(*drawn, gap="8px"))


def _units(run: Run) -> pn.pane.HoloViews:
    return pn.pane.HoloViews(unit_figures.units_of(run), linked_axes=True)


def score_table(runs: Sequence[Run]) -> pn.Column:
    """The papers' score table with intervals, the best of each column in bold, and the leakage."""
    tables = compare(list(runs), draws=DRAWS)
    table = tables["scores"].assign(run=figures.labels_of(runs)).drop(columns=["model", "protocol"])
    leakage = _leakage(table)
    for name in ("ap", "auc"):
        ends = zip(table.pop(f"{name} low"), table.pop(f"{name} high"), strict=True)
        limits = ["–" if pd.isna(low) else f"{low:.3f} to {high:.3f}" for low, high in ends]
        table.insert(table.columns.get_loc(name) + 1, f"{HEADS[name]} 95%", limits)
        if len(tables["models"]) == len(table) > 1:
            table[f"{HEADS[name]} rank"] = tables["models"][f"{name} rank"].to_numpy()
    table = table.drop(columns=["overlap verdict"])
    last = len(table) - 1  # below it null models, which do not compete
    table = _with_nulls(table, tables["nulls"])
    scores = [*SCORE_COLUMNS, "prevalence", "overlap share"]
    counted = ["test places", *(name for name in table if name.endswith("rank"))]
    high = [name for name in SCORE_COLUMNS if name != "mse"]
    bold = {"props": "font-weight:700"}
    styled = (
        table.style.hide(axis="index")
        .format("{:.3f}", subset=scores, na_rep="–")
        .format("{:,.0f}", subset=counted, na_rep="–")
        .format(escape="html", subset=["run"])
        .format_index(lambda name: HEADS.get(name, name), axis=1)
    )
    if len(runs) > 1:
        styled = styled.highlight_max(subset=pd.IndexSlice[:last, high], **bold)
        styled = styled.highlight_min(subset=pd.IndexSlice[:last, ["mse"]], **bold)
    return pn.Column(html_table(styled), leakage, note(SCORES), sizing_mode="stretch_width")


def _with_nulls(table: pd.DataFrame, nulls: pd.DataFrame) -> pd.DataFrame:
    """Null models below the runs: their AP and AUC, and a dash for what they have not."""
    if nulls.empty:
        return table
    below = nulls[["ap", "auc"]].assign(run=nulls["null model"] + " (knows nothing else)")
    whole = pd.concat([table, below], ignore_index=True)
    words = [name for name in whole if name.endswith("95%")]
    whole[words] = whole[words].fillna("–")
    return whole


def _leakage(table: pd.DataFrame) -> pmui.Alert:
    """What the leakage meter says of each run: green where it says of all that they are clean."""
    verdicts = table.groupby("overlap verdict", sort=False)["run"].agg(", ".join)
    clean = all(str(verdict).startswith("clean") for verdict in verdicts.index)
    words = "<br>".join(
        escape(f"Leakage of {names}: {verdict}" if len(verdicts) > 1 else f"Leakage: {verdict}")
        for verdict, names in verdicts.items()
    )
    return pmui.Alert(
        object=words,
        severity="success" if clean else "warning",
        margin=(5, 10),
        sizing_mode="stretch_width",
    )


def curves(runs: Sequence[Run]) -> pn.Tabs:
    """Precision-recall and ROC; reliability; success and prediction rates."""
    return tabs(
        {
            "PR and ROC": lambda: beside(*(figures.curves_of(runs, k) for k in ("pr", "roc"))),
            "Reliability": lambda: _noted(RELIABLE, figures.reliability_of(runs)),
            "Success and prediction rates": lambda: _noted(
                RATES, *(figures.rates_of(runs, kind) for kind in ("prediction", "success"))
            ),
        }
    )


def _noted(words: str, *plots: hv.Element) -> pn.Column:
    return pn.Column(beside(*plots), note(words), sizing_mode="stretch_width")


def leakage(runs: Sequence[Run]) -> pn.Column:
    """The meter of each run, drawn once for runs that have the same, or the sentence why not."""
    parts = [
        or_words(lambda alike=alike: beside(figures.leakage_of(*alike)))
        for alike in figures.alike_in_leakage(runs)
    ]
    return pn.Column(pn.FlexBox(*parts, gap="8px"), note(LEAKS), sizing_mode="stretch_width")


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


def classes(runs: Sequence[Run]) -> pn.Column:
    """Histogram of the maps, bars of the classes, and the zoning table of what is chosen."""
    runs = [run for run in runs if run.recipe.map]
    table = figures.density_frame(runs)
    cuts = {"natural breaks": "natural", "equal intervals of 0.2": "equal 0.2"}
    cuts |= {name: name for name in table["breaks"].unique() if name not in cuts.values()}
    breaks = pmui.Select(label="Classes cut by", options=cuts, value="natural", width=250)
    wheres = {f"the {where}": where for where in table["where"].unique()}
    where = pmui.Select(label="Cells and landslides of", options=wheres, width=250)
    pair = pn.Column(sizing_mode="stretch_width")

    def draw(*_: Any) -> None:
        bars = figures.density_of(runs, breaks=breaks.value, where=where.value)
        kept = (table["breaks"] == breaks.value) & (table["where"] == where.value)
        pair[:] = [beside(figures.histogram_of(runs), bars), html_table(_zoning(table[kept]))]

    for select in (breaks, where):
        select.param.watch(draw, "value")
    draw()
    choices = pn.FlexBox(breaks, where, gap="16px")
    return pn.Column(choices, pair, note(CLASSES), sizing_mode="stretch_width")


def _zoning(table: pd.DataFrame) -> Any:
    """One row a class and run, the classes' limits and shares as the papers print them."""
    counted = table["counted"].iloc[0]
    shown = pd.DataFrame(
        {
            "class": table["class"],
            "run": table["run"],
            "from": table["from"],
            "to": table["to"],
            counted: table["cells"],
            f"{counted} (%)": 100 * table["share_of_cells"],
            "landslides": table["landslides"],
            "landslides (%)": 100 * table["share_of_landslides"],
            "density": table["density"],
        }
    ).sort_values("from", kind="stable", key=lambda _: table["zone"])
    return (
        shown.style.hide(axis="index")
        .format("{:.2f}", subset=["from", "to", "density"], na_rep="none")
        .format("{:.1f}", subset=[f"{counted} (%)", "landslides (%)"], na_rep="none")
        .format("{:,.0f}", subset=[counted, "landslides"])
        .format(escape="html", subset=["run"])
    )
