"""Which factors of two areas are the same, how unlike they are, and the mapping that says so.

The program is asked in a process of its own (`lsm transfer match`), which reads both areas.
"""

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import heading, note
from lsm_app.session import Session, html_table, said
from lsm_core import errands
from lsm_core.errors import LsmError, RecipeError
from lsm_core.mapping_file import load_mapping
from lsm_core.run_files import write_text
from lsm_core.study_area import workspace

ABOUT = (
    "A model reads its factors in the other area. One of the same name may be in other units or "
    "number its categories otherwise: such a clash is refused until a mapping says what is the "
    "same. KL is the Kullback-Leibler divergence in nats of 5,000 random places of either area on "
    "20 shared bins, no label looked at: 0 is alike; the larger, the less has the model seen of it."
)
HELP = (
    "One line a factor, the source's name first: `slope: slope_deg`, `elevation: {from: elev_ft, "
    "times: 0.3048}`, `lithology: {from: rock, codes: {1: 4, 9: missing}}`, `soil: {codes: names}`."
    " The draft pairs what looks alike; FILL_IN is left to you."
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
UNLIKE = 1.0  # nats, from which a factor is marked


class FactorMatch:
    """The factors of the chosen source and target; `look` shows the answer once it is there."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked: errands.Errand | None = None
        self.words = pn.Column(sizing_mode="stretch_width")
        self.table = html_table()
        self.text = pmui.TextAreaInput(
            label="Mapping: what is the same", rows=8, max_rows=16, sizing_mode="stretch_width"
        )
        self.name = pmui.TextInput(label="Name of the mapping", value="mapping", width=220)
        self.chosen = pmui.Select(label="Mapping that is used", options=[""], width=300)
        self.check = pmui.Button(label="Keep the mapping and match again", variant="outlined")
        self.again = pmui.Button(label="Match the factors", variant="outlined")
        self.again.on_click(self.ask)
        self.check.on_click(self.keep)
        self.chosen.param.watch(self._choose, "value")
        self.mapped = pn.Column(
            note(HELP), self.text, pn.FlexBox(self.name, self.check, gap="8px"),
            sizing_mode="stretch_width", visible=False,
        )  # fmt: skip
        self.view = pn.Column(
            heading("Factors: what matches, and how unlike it is"), note(ABOUT),
            pn.FlexBox(self.chosen, self.again, gap="8px", align_items="center"),
            self.words, self.table, self.mapped, sizing_mode="stretch_width",
        )  # fmt: skip
        session.param.watch(self._other, ["source", "target"])
        self._mappings()

    def _mappings(self) -> None:
        names = ["", *mappings()]
        self.chosen.options = {name or "(none: by name)": name for name in names}
        now = self.session.matched
        self.chosen.value = now if now in names else ""

    def _choose(self, event: Any) -> None:
        if event.new is not None and event.new != self.session.matched:
            self.session.matched = event.new
            if event.new:
                self.text.value = mappings()[event.new].read_text(encoding="utf-8")

    def _other(self, *_: Any) -> None:
        self.asked = None
        self.words.clear()
        self.table.object = None
        self.mapped.visible = False

    def ask(self, *_: Any) -> None:
        """Have the factors matched, by the chosen mapping."""
        arguments = ["transfer", "match", self.session.source, self.session.target]
        arguments += ["--json", "--divergence"]
        try:
            path = mapping_path(self.session.matched)
            arguments += ["--mapping", str(path)] if path else []
            title = f"factors of {self.session.source} and {self.session.target}"
            self.asked = errands.start(arguments, title)
        except LsmError as error:
            self.words[:] = [said(error)]
            return
        self.words[:] = [pmui.Alert(object="Reading both areas …", severity="info", margin=(5, 10))]

    def keep(self, *_: Any) -> None:
        """Write the mapping into the workspace, and match by it."""
        name = self.name.value.strip()
        try:
            if not NAME.fullmatch(name):
                raise RecipeError(f"a mapping cannot be called {name!r}: letters, digits, - and _")
            path = folder() / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, self.text.value)
            load_mapping(path)
        except LsmError as error:
            self.words[:] = [said(error)]
            return
        self.session.matched = name
        self._mappings()
        self.ask()

    def look(self) -> None:
        """The answer, once it is there."""
        if self.asked is None or self.asked.state == "running":
            return
        asked, self.asked = self.asked, None
        try:
            found = json.loads("\n".join(asked.lines))
        except ValueError:
            self.words[:] = [said(RecipeError(asked.error or "nothing was said"))]
            return
        self.show(found)

    def show(self, found: Mapping[str, Any]) -> None:
        """A match as the command tells it: one row a factor, then what is to be minded."""
        rows = rows_of(found)
        self.table.object = _styled(rows)
        good = not (found["clashes"] or found["missing"])
        words = f"{len(found['pairs'])} factors match."
        if not good:
            bad = len(found["clashes"]) + len(found["missing"])
            words += f" {bad} do not: say below what is the same, then match again."
        if found["unused"]:
            words += f" Only in the target, not used: {', '.join(found['unused'])}."
        words = " ".join([words, *(f"Mind: {n}." for n in found["notes"])])
        severity = "success" if good else "warning"
        self.words[:] = [
            pmui.Alert(
                object=escape(words),
                severity=severity,
                margin=(5, 10),
                sizing_mode="stretch_width",
            )
        ]
        self.mapped.visible = not good or bool(self.session.matched)
        if not good and found.get("draft"):
            self.text.value = found["draft"]


def rows_of(found: Mapping[str, Any]) -> pd.DataFrame:
    """One row a factor of the source: what it is in the target, or why not; KL and medians."""
    unlike, units = found.get("divergence") or {}, found.get("units") or {}
    rows = []
    for name, there in found["pairs"].items():
        row, unit = unlike.get(name, {}), units.get(name, "1")
        rows.append(
            {
                "factor": name,
                "in the target": there,
                "KL (nats)": row.get("kl"),
                "KL back": row.get("kl_back"),
                "median, source": _measured(row.get("source_typical"), unit),
                "median, target": _measured(row.get("target_typical"), unit),
                "what stands against it": "",
            }
        )
    for kind in ("clashes", "missing"):
        for name, why in found[kind].items():
            reason = why if kind == "clashes" else f"the target has none{why}"
            rows.append({"factor": name, "what stands against it": reason})
    table = pd.DataFrame(rows)
    if "KL (nats)" in table:
        table = table.sort_values("KL (nats)", ascending=False, na_position="last")
    return table


def _styled(table: pd.DataFrame) -> Any:
    numbers = [name for name in table if name.startswith(("KL", "median"))]
    styled = table.style.hide(axis="index").format(escape="html", na_rep="–")
    styled = styled.format(_number, subset=numbers) if numbers else styled
    if "KL (nats)" in table:
        bold = table.index[pd.to_numeric(table["KL (nats)"], errors="coerce") >= UNLIKE]
        marked = pd.IndexSlice[bold, ["factor", "KL (nats)"]]
        styled = styled.set_properties(subset=marked, **{"font-weight": "700"})
    return styled


def _measured(value: Any, unit: str) -> Any:
    """A number with its unit; a category, what is missing and what has no unit as it is."""
    has_unit = isinstance(value, float) and value == value and unit not in ("", "1")
    return f"{value:,.4g} {unit}" if has_unit else value


def _number(value: Any) -> str:
    if value is None or value != value:
        return "–"
    return escape(value) if isinstance(value, str) else f"{value:,.4g}"


def folder() -> Path:
    """Where mappings live: `mappings` in the workspace."""
    return workspace() / "mappings"


def mappings() -> dict[str, Path]:
    """Mapping files of the workspace, by name."""
    return {path.stem: path for path in sorted(folder().glob("*.yaml"))}


def mapping_path(name: str) -> Path | None:
    """The file of a mapping, None of no name. Errors: there is none (RecipeError)."""
    if not name:
        return None
    if name not in mappings():
        raise RecipeError(f"no mapping {name!r} in the workspace: keep one first")
    return mappings()[name]
