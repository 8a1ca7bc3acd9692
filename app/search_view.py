"""A search for better settings: started from the form's recipe, followed, its best taken over.

The test places have no say in it, and are looked at when it is over.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.errand_view import ErrandView
from lsm_app.layout import heading, note, or_words
from lsm_app.recipe_form import change_text
from lsm_app.recipes import SEARCH, file_of, searches_here, settings_of
from lsm_app.session import Session, html_table, said
from lsm_core import errands
from lsm_core.catalog import shipped
from lsm_core.errors import LsmError, RecipeError
from lsm_core.model_cards import MENU
from lsm_core.plain_yaml import read_yaml
from lsm_core.recipe import make_recipe
from lsm_core.run_files import read_json
from lsm_core.runs import runs_folder
from lsm_core.study_area import workspace
from lsm_core.tuning_figures import search_of

ABOUT = (
    "Trials are ordinary runs without a map, judged on validation places alone; a Gaussian process "
    "proposes each from those before. Trial 0 is the recipe as it stands. What is searched is the "
    "recipe of the form under New run, with its changes."
)
SCORES = ("average_precision", "roc_auc", "accuracy", "f1", "log_loss")


class SearchView:
    """Searches of the workspace for one session; `look` brings them up to date."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.what = pmui.Typography("", variant="body2", sizing_mode="stretch_width")
        self.space = pmui.Select(label="Space that is searched", options=spaces(), width=250)
        self.n = pmui.Select(label="Trials", options=list(range(1, 61)), value=15, width=120)
        self.strategy = pmui.Select(
            label="Strategy", options={"Bayes (Gaussian process)": "bayes", "random": "random"},
            value="bayes", width=220,
        )  # fmt: skip
        self.by = pmui.Select(
            label="Score of validation places",
            options={"average precision": "average_precision", "AUC": "roc_auc"},
            value="average_precision",
            width=220,
        )
        self.folds = pmui.Select(
            label="Inner folds (1: none)", options=list(range(1, 11)), value=1, width=170
        )
        self.seed = pmui.Select(
            label="Seed of the search", options=list(range(1, 21)), value=1, width=150
        )
        self.start = pmui.Button(label="Start the search", variant="contained")
        self.table = html_table()
        self.told = pn.Column(sizing_mode="stretch_width")
        self.choice = pmui.Select(label="Search", options=[], sizing_mode="stretch_width")
        self.body = pn.Column(sizing_mode="stretch_width")
        self.errand: ErrandView | None = None
        self.seen: tuple[Any, ...] = ()
        self.space.param.watch(self._space_shown, "value")
        self.start.on_click(self.begin)
        self.choice.param.watch(lambda _: self.draw(), "value")
        session.param.watch(self._recipe_shown, ["recipe", "changes", "area"])
        row = pn.FlexBox(
            self.space, self.n, self.strategy, self.by, self.folds, self.seed,
            gap="8px", align_items="center",
        )  # fmt: skip
        self.view = pn.Column(
            note(ABOUT), self.what, row, self.table, self.start, self.told,
            heading("Searches"), self.choice, self.body, sizing_mode="stretch_width",
        )  # fmt: skip
        self._recipe_shown()
        self.look()

    # ------------------------------------------------------------------------------------ begin

    def _recipe_shown(self, *_: Any) -> None:
        """What would be searched, and the space that comes with its model."""
        changes = ", ".join(self.session.changes) or "no changes"
        on = self.session.area or "no area yet: choose one under New run"
        words = (
            f"Recipe <b>{escape(self.session.recipe)}</b> on <b>{escape(on)}</b>, {escape(changes)}"
        )
        self.what.object = words
        try:
            recipe = make_recipe(settings_of(self.session.recipe), self.session.changes)
        except LsmError as error:
            self.told[:] = [said(error)]
            return
        card = MENU.get(recipe.model.name)
        usual = "classes" if card and card.eats == ("classes",) else recipe.model.name
        if usual in self.space.options:
            self.space.value = usual
        self._space_shown()

    def _space_shown(self, *_: Any) -> None:
        """The lines of the chosen space."""
        path = self.space.options and spaces_by_name().get(self.space.value)
        if not path:
            return
        try:
            lines = read_yaml(path, RecipeError)
            rows = [(key, *next(iter(line.items()))) for key, line in lines.items()]
        except (LsmError, AttributeError) as error:
            self.told[:] = [pmui.Alert(object=escape(f"{path}: {error}"), severity="warning")]
            return
        table = pd.DataFrame(rows, columns=["setting", "kind", "values or limits"])
        self.table.object = table.style.hide(axis="index").format(escape="html")

    def begin(self, *_: Any) -> None:
        """Start `lsm tune` as a process of its own."""
        try:
            arguments = ["tune", str(file_of(self.session.recipe)), "--n", str(self.n.value or 1)]
            arguments += ["--area", self.session.area] if self.session.area else []
            arguments += ["--space", str(spaces_by_name()[self.space.value])]
            arguments += ["--strategy", self.strategy.value, "--by", self.by.value]
            arguments += ["--seed", str(self.seed.value or 1)]
            folds = self.folds.value or 1
            arguments += ["--folds", str(folds)] if folds > 1 else []
            for text in self.session.changes:
                arguments += ["--set", text]
            title = f"search of {self.session.recipe} on {self.session.area}"
            self.errand = ErrandView(errands.start(arguments, title, title))
            self.told[:] = [self.errand.view]
        except LsmError as error:
            self.told[:] = [said(error)]

    # ------------------------------------------------------------------------------------- look

    def look(self) -> None:
        """Searches as they are now, and the trials that came in."""
        self._follow()
        found = searches_here()
        names = {_title(path): path.name for path in found}
        if self.choice.options != names:
            newest = found[0].name if found else None
            known = set(self.choice.options.values()) if self.choice.options else set()
            self.choice.options = names
            if self.choice.value not in names.values() or newest not in known:
                self.choice.value = newest
        now = next((_state(p) for p in found if p.name == self.choice.value), ())
        if not found:
            self.body[:] = (
                [note("No search yet: start one above.")] if not len(self.body) else self.body
            )
        elif now != self.seen:
            self.draw()

    def _follow(self) -> None:
        """The command of the last search, also of one that somebody else started."""
        if self.errand is None:
            going = [e for e in errands.errands() if e.about["title"].startswith("search of ")]
            if going and (going[0].state == "running" or not len(self.told)):
                self.errand = ErrandView(going[0])
                self.told[:] = [self.errand.view]
        if self.errand is not None:
            self.errand.look()

    def draw(self) -> None:
        """Table and figure of the chosen search."""
        if not self.choice.value:
            return
        path = runs_folder() / self.choice.value
        self.seen = _state(path)
        self.body[:] = [or_words(lambda: self._drawn(path))]

    def _drawn(self, path: Path) -> pn.Column:
        text = read_json(path / "tuning.json")
        header, by = text["tuning"], text["tuning"]["by"]
        table = table_of(text)
        done = table[table["score"].notna()]
        parts: list[Any] = [_words(text, table)]
        if len(done[done["iteration"] > 0]):
            title = f"{header['recipe']['title'] or header['recipe']['name']}"
            name = f"{header['strategy']}, seed {header['seed']}"
            figure = search_of({name: table}, header["space"], by=by, title=title)
            parts.append(pn.pane.HoloViews(figure, linked_axes=False))
        shown = table.drop(columns="best_so_far").rename(columns={"score": by.replace("_", " ")})
        styled = shown.style.hide(axis="index").format(precision=4, escape="html")
        parts.append(html_table(styled.format_index(escape="html", axis=1)))
        take = pmui.Button(label="Take the best trial to the form", variant="outlined")
        take.on_click(lambda _: self._take(path, text))
        take.disabled = not len(done)
        return pn.Column(parts[0], take, *parts[1:], sizing_mode="stretch_width")

    def _take(self, path: Path, text: Mapping[str, Any]) -> None:
        """The best trial's values as changes of the form, or the recipe the search has written."""
        if (path / "best.yaml").is_file():
            self.session.param.update(recipe=f"{SEARCH}{path.name}", changes=[], part="New run")
            return
        done = [t for t in text["trials"] if t["score"] is not None]
        best = max(done, key=lambda trial: trial["score"])
        values = best["values"] if best["number"] else {}
        changes = [change_text(key, value) for key, value in values.items()]
        kept = [c for c in self.session.changes if c.split("=")[0] not in values]
        self.session.param.update(changes=[*kept, *changes], part="New run")


def spaces_by_name() -> dict[str, Path]:
    """Space files: those that come with the program, and `<workspace>/recipes/spaces/*.yaml`."""
    ours = sorted((shipped("recipes") / "spaces").glob("*.yaml"))
    own = sorted((workspace() / "recipes" / "spaces").glob("*.yaml"))
    return {p.stem: p for p in ours} | {f"mine: {p.stem}": p for p in own}


def spaces() -> list[str]:
    return list(spaces_by_name())


def table_of(text: Mapping[str, Any]) -> pd.DataFrame:
    """Trials of a `tuning.json`, one row each: iteration, score, best so far, seconds, values."""
    rows = []
    for trial in text["trials"]:
        score = float("nan") if trial["score"] is None else float(trial["score"])
        row = {"iteration": trial["number"], "score": score, "best_so_far": score}
        rows.append(row | {"seconds": trial["seconds"]} | trial["values"])
    names = list(text["tuning"]["space"])
    table = pd.DataFrame(rows, columns=["iteration", "score", "best_so_far", "seconds", *names])
    table["best_so_far"] = table["score"].cummax().ffill()
    return table


def _state(path: Path) -> tuple[Any, ...]:
    """What changes when a trial comes in."""
    return path.name, (path / "tuning.json").stat().st_mtime_ns


def _title(path: Path) -> str:
    return path.name.removeprefix("tune-")


def _words(text: Mapping[str, Any], table: pd.DataFrame) -> pmui.Typography:
    """Where the search stands, and its test scores once it is over."""
    header = text["tuning"]
    by = header["by"].replace("_", " ")
    protocol = header["recipe"]["protocol"]
    line = f"{len(table)} trials on {header['area']['name']} ({protocol} protocol), judged by {by}"
    line += " of validation places"
    if table["score"].notna().any():
        best = table.loc[table["score"].idxmax()]
        line += f"; best so far {best['score']:.4f} in trial {int(best['iteration'])}"
    if "test" in text:
        test = ", ".join(
            f"{name} {scores[header['by']]:.4f}" for name, scores in text["test"].items()
        )
        line += f". Over; {by} of test places: {test}"
    return pmui.Typography(escape(line) + ".", variant="body2", sizing_mode="stretch_width")
