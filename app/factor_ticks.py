"""Factors ticked in and out, each with what the rules say of it and a reason of one's own."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from lsm_app.layout import note
from lsm_app.session import Session
from lsm_core.recipe import Recipe

UNSAID = "left out by hand"  # where somebody gives no reason
ROW = {"border-bottom": "1px solid #dddddd"}
WAITING = "the rules are still being asked"


class FactorTicks:
    """A row a factor; writes `session.left_out`, the factors left out and why."""

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        self.session, self.names = session, list(names)
        self.boxes: dict[str, Any] = {}
        self.reasons: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self.dropped: dict[str, str] = {}
        self.count = note("")
        self.follow = pmui.Button(label="Tick as the rules say", variant="outlined", disabled=True)
        self.every = pmui.Button(label="Tick all", variant="outlined")
        self.follow.on_click(lambda _: self.leave_out(self.dropped))
        self.every.on_click(lambda _: self.leave_out({}))
        rows = [self._row(name) for name in self.names]
        buttons = pn.FlexBox(self.follow, self.every, gap="8px")
        self.view = pn.Column(buttons, *rows, self.count, sizing_mode="stretch_width")
        self._say()

    def seen(self, so_far: Mapping[str, str], to_come: bool = True) -> None:
        """What is known of each factor before the rules can be asked, or where they cannot be."""
        rest = "verdict to come" if to_come else "no verdict, see above"
        for name, words in self.said.items():
            words.object = escape(f"{so_far[name]} ({rest})" if name in so_far else rest)

    def judged(self, kept: Sequence[str], dropped: Mapping[str, str]) -> None:
        """What the core's rules say of each factor."""
        self.dropped = {name: why for name, why in dropped.items() if name in self.boxes}
        self.follow.disabled = False
        for name, words in self.said.items():
            words.object = escape(self.dropped.get(name, "the rules keep it"))
            words.sx = {"color": "#8a3d00"} if name in self.dropped else {}

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Tick all but these, with these reasons."""
        for name in self.names:
            self.reasons[name].value = reasons.get(name, "").removeprefix("dropped: ")
            self.boxes[name].value = name not in reasons
        self._write()

    def _row(self, name: str) -> pn.FlexBox:
        out = dict(self.session.left_out)
        box = self.boxes[name] = pmui.Checkbox(label=name, value=name not in out, width=300)
        reason = self.reasons[name] = pmui.TextInput(
            label=f"Why {name} is left out", value=out.get(name, ""), visible=name in out,
            size="small", width=330,
        )  # fmt: skip
        words = self.said[name] = pmui.Typography(WAITING, variant="caption", width=330)
        box.param.watch(self._write, "value")
        reason.param.watch(self._write, "value")
        return pn.FlexBox(
            box, words, reason, align_items="center", gap="12px", styles=ROW,
            sizing_mode="stretch_width",
        )  # fmt: skip

    def _write(self, *_: Any) -> None:
        out = {}
        for name in self.names:
            self.reasons[name].visible = not self.boxes[name].value
            if not self.boxes[name].value:
                out[name] = self.reasons[name].value.strip() or UNSAID
        self.session.left_out = out
        self._say()

    def _say(self) -> None:
        kept = sum(box.value for box in self.boxes.values())
        self.count.object = f"{kept} of {len(self.boxes)} factors are ticked."


def chosen_factors(
    base: Recipe, names: Sequence[str], left_out: Mapping[str, str], limits: Mapping[str, Any]
) -> dict[str, Any]:
    """Factors, reasons and class limits as settings of a recipe, by dotted keys.

    Limits of the recipe itself stay for factors that are kept; of others they go.
    """
    kept = [name for name in names if name not in left_out]
    own = base.model_dump(mode="json")["input"]["classes"]
    classes = {k: v for k, v in (own | dict(limits)).items() if k in kept}
    out = {name: why for name, why in left_out.items() if name in names}
    return {"input.factors": kept, "input.left_out": out, "input.classes": classes}
