"""How printed figures look: their size in millimetres, fonts, the language of their words.

Screen figures (`plot_style`) are HoloViews; these are Matplotlib. A figure is drawn inside
`styled(look)`, and its letters are checked against the font before anything is written.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib
import yaml
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lsm_core.catalog import did_you_mean, shipped
from lsm_core.errors import RecipeError
from lsm_core.section import complaint

MM = 25.4  # an inch
EM = MM / 72  # millimetres a point of letter size
LETTER = 0.56  # how wide one is at the mean, in heights
COLOURS = ("viridis", "cividis", "inferno", "magma", "plasma")  # perceptual, colour-blind safe
FORMATS = ("png", "svg", "pdf", "tiff")
MOST_FONTS = 3  # named where one lacks letters


class Look(BaseModel):
    """Everything one chooses about how figures look.

    Lengths in mm, letters in points; one column of a journal is about 90 mm, two are 190. `fonts`
    are tried letter by letter, in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: float = Field(90, ge=30, le=500)
    height_mm: float | None = Field(None, ge=20, le=500)
    dpi: int = Field(300, ge=50, le=1200)
    fonts: tuple[str, ...] = ("DejaVu Sans",)
    size: float = Field(8, ge=4, le=24)
    language: str = "en"
    colours: Literal["viridis", "cividis", "inferno", "magma", "plasma"] = "viridis"
    landslides: Literal["points", "polygons", "none"] = "points"
    relief: float = Field(0.3, ge=0, le=1, description="how dark the hillshade is")
    graticule: bool = True
    inset: bool = True
    titles: bool = True
    breaks: str = "natural"
    where: str = "whole map"
    context: str | None = Field(None, description="lines or polygons drawn in the inset")
    style: str | None = Field(None, description="a Matplotlib style file in place of ours")

    @field_validator("fonts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """ "A, B" is two fonts."""
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if not value:
            raise ValueError("no font is named")
        return value

    @property
    def em(self) -> float:
        """Height of a letter, mm."""
        return self.size * EM


def make_look(given: Mapping[str, Any]) -> Look:
    """The look of options that were given (None is not given), checked.

    >>> make_look({"width_mm": 190, "fonts": "DejaVu Serif, DejaVu Sans"}).fonts
    ('DejaVu Serif', 'DejaVu Sans')

    Raises
    ------
    RecipeError : an option that is unknown or out of range, a font or a language there is not.
    """
    try:
        look = Look.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        where = "-".join(str(part) for part in first["loc"]) or "options"
        raise RecipeError(f"figures: {complaint(first, where.replace('_', '-'))}") from error
    words_of(look.language)
    for name in look.fonts:
        _font_file(name)
    return look


def arguments_of(look: Look) -> list[str]:
    """Options of `lsm figures` and `lsm export` that give this look; none for what is usual.

    >>> arguments_of(Look(width_mm=190, inset=False))
    ['--width-mm', '190', '--no-inset']
    """
    usual, found = Look(), list[str]()
    for name, value in look:
        if value == getattr(usual, name) or value is None:
            continue
        option = "font" if name == "fonts" else name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{'' if value else 'no-'}{option}")
            continue
        word = ", ".join(value) if isinstance(value, tuple) else f"{value}"
        found += [f"--{option}", f"{value:g}" if isinstance(value, float) else word]
    return found


# --------------------------------------------------------------------------------------- words


@cache
def _dictionary() -> dict[str, dict[str, str]]:
    path = shipped("publication") / "terms.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def languages() -> dict[str, str]:
    """Code to name of the languages that labels can be in."""
    return {code: words["language"] for code, words in _dictionary().items()}


def words_of(language: str) -> dict[str, str]:
    """The terms of a language by their keys.

    >>> words_of("de")["landslides"]
    'Rutschungen'
    """
    known = _dictionary()
    if language not in known:
        raise RecipeError(f"labels are in {', '.join(known)}; got {language!r}")
    return known[language]


def first_up(words: str) -> str:
    """With its first letter large, the others as they are."""
    return words[:1].upper() + words[1:]


def name_of(factor: str, words: Mapping[str, str]) -> str:
    """A factor's name in words; one without an entry as the area writes it, without underscores."""
    return words.get(factor, factor.replace("_", " "))


# --------------------------------------------------------------------------------------- fonts


def missing_letters(text: str, fonts: Iterable[str]) -> str:
    """The letters of a text that none of the fonts has, each once, in their order.

    >>> missing_letters("坡度 slope", ["DejaVu Sans"])
    '坡度'
    """
    have: set[int] = set()
    for name in fonts:
        have |= set(get_font(_font_file(name)).get_charmap())
    return "".join(dict.fromkeys(c for c in text if ord(c) not in have and not c.isspace()))


def check_letters(figure: Figure, look: Look) -> None:
    """Raise RecipeError where a letter of the figure is in none of its fonts."""
    text = "".join(part.get_text() for part in figure.findobj(Text))
    lost = missing_letters(text.replace("$", ""), look.fonts)
    if not lost:
        return
    found = fonts_with(lost)
    cure = (
        f"choose one that has them: {', '.join(found)} (--font)"
        if found
        else "no font of this machine has them all: install one (Noto Sans CJK SC has Chinese), or "
        "choose another language"
    )
    raise RecipeError(f"{', '.join(look.fonts)} lacks the letters {lost[:12]}: {cure}")


def fonts_with(letters: str, most: int = MOST_FONTS) -> list[str]:
    """Names of installed fonts that have all these letters, a few of them."""
    found: list[str] = []
    for font in sorted(fontManager.ttflist, key=lambda font: font.name):
        if font.name not in found and not _lacks(font.fname, letters):
            found.append(font.name)
        if len(found) == most:
            break
    return found


def font_names() -> list[str]:
    """Names of the fonts of this machine."""
    return sorted({font.name for font in fontManager.ttflist})


def _lacks(file: str, letters: str) -> bool:
    try:
        return not {ord(c) for c in letters} <= set(get_font(file).get_charmap())
    except (OSError, RuntimeError):  # a broken file among the machine's fonts is not ours to mend
        return True


def _font_file(name: str) -> str:
    try:
        return findfont(FontProperties(family=name), fallback_to_default=False)
    except ValueError as error:
        near = did_you_mean(name, font_names())
        raise RecipeError(f"this machine has no font {name!r}: {near}") from error


# --------------------------------------------------------------------------------------- style


@contextmanager
def styled(look: Look) -> Iterator[None]:
    """Matplotlib set up for a figure of this look; as it was again afterwards.

    Text stays text in PDF (TrueType) and SVG, and files hold no date, so that the same numbers give
    the same bytes. Settings are Matplotlib's own, of the whole process: one figure at a time.
    """
    path = Path(look.style) if look.style else shipped("publication") / "journal.mplstyle"
    if not path.is_file():
        raise RecipeError(f"no style file {path}: give a Matplotlib style sheet")
    with matplotlib.rc_context():
        matplotlib.rcParams.update(
            matplotlib.rc_params_from_file(str(path), use_default_template=False)
        )
        matplotlib.rcParams.update(_fixed(look))
        yield


def _fixed(look: Look) -> dict[str, Any]:
    small = look.size * 0.875
    return {
        "font.family": list(look.fonts),
        "font.size": look.size,
        "axes.titlesize": look.size,
        "axes.labelsize": look.size,
        "xtick.labelsize": small,
        "ytick.labelsize": small,
        "legend.fontsize": small,
        "figure.dpi": look.dpi,
        "savefig.dpi": look.dpi,
        "savefig.bbox": None,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "lsm",
        "mathtext.fontset": "custom",
        "mathtext.rm": look.fonts[0],
    }


def in_lines(text: str, width_mm: float, look: Look, share: float = 1.0) -> str:
    """A text in as many lines as it needs to stand within a width, at a share of the look's size.

    >>> in_lines("(a) LSGH-Net, paper protocol", 40, Look(size=8))
    '(a) LSGH-Net, paper\\nprotocol'
    """
    letters = int(width_mm / (share * look.em) / LETTER)
    return textwrap.fill(text, max(6, letters), break_long_words=False)


def blank(look: Look, height_mm: float) -> Figure:
    """An empty figure of the look's width; `height_mm` unless the look says another."""
    height = look.height_mm or height_mm
    return Figure(figsize=(look.width_mm / MM, height / MM), dpi=look.dpi)
