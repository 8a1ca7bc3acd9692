"""One setting of a recipe as a field: its widget, what it means, and what is wrong with it."""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import yaml

from lsm_core.plain_yaml import NotYaml, parse_yaml
from lsm_core.recipe_fields import Setting

WIDTH = {"flex": "1 1 250px", "min-width": "230px", "max-width": "380px"}
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 reads 1e-4 as a word
MUST = {"whole": (int, "a whole number"), "number": ((int, float), "a number")}


class Field:
    """A setting on the screen; `changed(key, value)` is called when somebody gives another value.

    `offered`: what is chosen from, where more is known than the schema says. A list of settings
    that are one thing (`setting.kind` section) is a box to tick: on is {}, off is None.
    """

    def __init__(
        self,
        setting: Setting,
        changed: Callable[[str, Any], None],
        offered: Sequence[Any] | None = None,
        label: str = "",
    ) -> None:
        self.setting, self._changed, self.offered = setting, changed, offered
        self._quiet = False
        self._said = ""
        self.widget = self._made(label or setting.name.replace("_", " "))
        self.hint = pmui.Typography("", variant="caption", margin=(0, 10, 4, 12))
        self.view = pn.Column(self.widget, self.hint, styles=WIDTH)
        self.widget.param.watch(self._given, "value")

    def _made(self, label: str) -> Any:
        full = {"label": label, "sizing_mode": "stretch_width", "margin": (6, 10, 0, 10)}
        kind = self.setting.kind
        if kind in ("truth", "section"):
            return pmui.Checkbox(**full)
        if kind == "names" and self.offered is not None:
            return pmui.MultiChoice(options=list(self.offered), **full)
        if kind == "choice" or self.offered is not None:
            return pmui.Select(options=self._options(), size="small", **full)
        return pmui.TextInput(size="small", **full)

    def _options(self) -> dict[str, Any]:
        values = self.setting.choices if self.offered is None else self.offered
        none = {"(not set)": None} if self.setting.empty else {}
        return none | {str(value): value for value in values}

    def show(self, value: Any, recipe: Any) -> None:
        """Put a value there; `recipe` is what the recipe says by itself."""
        self._quiet = True
        try:
            self._put(value)
        finally:
            self._quiet = False
        self.fault("")
        self._said = _words(self.setting, recipe, given=self.offered is None)
        if value != recipe:
            self._said = f"<b>changed</b>, {self._said}"
        self.hint.object = self._said

    def _put(self, value: Any) -> None:
        if isinstance(self.widget, pmui.Checkbox):
            self.widget.value = value is not None and value is not False
        elif isinstance(self.widget, pmui.MultiChoice):
            self.widget.options = list(dict.fromkeys([*self.offered, *(value or ())]))  # type: ignore[misc]
            self.widget.value = list(value or ())
        elif isinstance(self.widget, pmui.Select):
            if value not in self.widget.options.values():
                self.widget.options = {**self.widget.options, str(value): value}
            self.widget.value = value
        else:
            self.widget.value = text_of(value)

    def fault(self, words: str) -> None:
        """Say beside the field what is wrong with it; nothing if it is right."""
        if "error_state" in self.widget.param:
            self.widget.error_state = bool(words)
        if words:
            self.hint.object = f'<span style="color:#b3261e">{escape(words)}</span>'
        elif self._said:
            self.hint.object = self._said

    def _given(self, event: Any) -> None:
        if self._quiet:
            return
        value = event.new
        if self.setting.kind == "section":
            value = {} if value else None
        elif isinstance(self.widget, pmui.MultiChoice):
            value = list(value) or (None if self.setting.empty else [])
        elif isinstance(self.widget, pmui.TextInput):
            value = value_of(self.setting, value)
        self._changed(self.setting.key, value)


def text_of(value: Any) -> str:
    """A value as a person writes it.

    >>> text_of(None), text_of("blocks"), text_of((8, 12)), text_of(1e-05)
    ('', 'blocks', '[8, 12]', '1.0e-05')
    """
    if value is None or isinstance(value, str):
        return value or ""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def value_of(setting: Setting, text: str) -> Any:
    """What a person wrote, as YAML reads it; nothing written is null where that is allowed.

    >>> value_of(Setting("a.rate", "number", 0.1, ""), "1e-4")
    0.0001
    >>> value_of(Setting("a.sizes", "free", (), ""), "8, 12"), value_of(
    ...     Setting("a.title", "text", "", ""), "3 o'clock")
    ([8, 12], "3 o'clock")
    """
    text = text.strip()
    if not text:
        return None if setting.empty else "" if setting.kind == "text" else setting.default
    if setting.kind == "text":
        return text
    if setting.kind == "names" and not text.startswith("["):
        return [part.strip() for part in text.split(",")]
    if NUMBER.fullmatch(text):
        return float(text)
    several = setting.kind == "free" and "," in text and text[0] not in "[{'\""
    try:
        return parse_yaml(f"[{text}]" if several else text)
    except NotYaml:
        return text  # the schema says what is wrong with it


def mistake_in(setting: Setting, value: Any) -> str:
    """What is wrong with the value of a model's option, which the schema does not check; or ''.

    >>> mistake_in(Setting("model.options.dropout", "number", 0.5, ""), "much")
    "dropout takes a number, got 'much'"
    """
    if value is None and (setting.empty or setting.default is None):
        return ""
    if setting.kind == "choice" and value not in setting.choices:
        return f"{setting.name} takes {setting.allowed}, got {value!r}"
    if setting.kind in MUST:
        wanted, words = MUST[setting.kind]
        if not isinstance(value, wanted) or isinstance(value, bool):
            return f"{setting.name} takes {words}, got {value!r}"
    return ""


def _words(setting: Setting, recipe: Any, given: bool) -> str:
    """Meaning, range, and what it is without a change: of the recipe, else by default."""
    allowed = setting.allowed if given and setting.kind != "choice" else ""
    allowed = allowed.replace("or null", "or empty")
    said = [escape(setting.meaning), escape(allowed)]
    if setting.kind != "section":
        of_recipe = text_of(recipe) or "not set"
        default = text_of(setting.default) or "not set"
        said.append(f"recipe {escape(of_recipe)}")
        said.append("" if default == of_recipe or not given else f"default {escape(default)}")
    return "; ".join(word for word in said if word)
