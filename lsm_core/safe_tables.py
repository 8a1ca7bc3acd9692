"""Tables that leave the house: CSV that no spreadsheet runs as a formula, LaTeX with its rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

BETWEEN = 0.0137  # of a line of 160 mm: 3 points on either side of a column
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")  # a spreadsheet may run what begins so


def csv_of(table: pd.DataFrame) -> str:
    """A table as CSV. A text that a spreadsheet may take for a formula gets an apostrophe before.

    Numbers stay numbers, negative ones too.

    >>> csv_of(pd.DataFrame({"name": ["=1+1", "slide"], "x": [-1.5, 2.0]})).splitlines()
    ['name,x', "'=1+1,-1.5", 'slide,2.0']
    """
    safe = table.rename(columns=_safe)
    for name in safe.columns:
        if not (
            pd.api.types.is_numeric_dtype(safe[name]) or pd.api.types.is_bool_dtype(safe[name])
        ):
            safe[name] = safe[name].map(_safe)
    return safe.to_csv(index=False, lineterminator="\n")


def latex_of(
    table: pd.DataFrame,
    caption: str = "",
    *,
    digits: int = 3,
    bold: Mapping[str, str] | None = None,
) -> str:
    """A table as LaTeX with booktabs rules, everything escaped that LaTeX would read.

    Parameters
    ----------
    digits : of numbers that are not whole. bold : "max" or "min" by column: its best number.

    >>> print(latex_of(pd.DataFrame({"run": ["A_1 & 5%"], "AUC": [0.7]})))
    \\begin{tabular}{lr}
    \\toprule
    run & AUC \\\\
    \\midrule
    A\\_1 \\& 5\\% & 0.700 \\\\
    \\bottomrule
    \\end{tabular}
    <BLANKLINE>
    """
    shown = _cells(table, digits)
    for name, best in (bold or {}).items():
        numbers = pd.to_numeric(table[name], errors="coerce")
        winner = numbers == (numbers.max() if best == "max" else numbers.min())
        marked = "\\textbf{" + shown[name] + "}"
        shown[name] = shown[name].where(~winner, marked)
    head, rows = _lines(shown)
    sides = "".join("r" if number else "l" for number in _numbers(table))
    body = [
        f"\\begin{{tabular}}{{{sides}}}", "\\toprule", head, "\\midrule",
        *rows, "\\bottomrule", "\\end{tabular}",
    ]  # fmt: skip
    if caption:
        body = ["\\begin{table}", f"\\caption{{{escaped(caption)}}}", "\\centering", *body]
        body.append("\\end{table}")
    return "\n".join(body) + "\n"


def long_latex_of(table: pd.DataFrame, caption: str, *, letters: int = 110, digits: int = 3) -> str:
    """A table as LaTeX that may go over pages, and whose columns share the width of a line.

    Needs the packages booktabs, longtable and array. Where the columns need more than so many
    `letters`, words are wrapped: heads first, then the longest cells.
    """
    shown = _cells(table, digits)
    head, rows = _lines(shown)
    repeated = ["\\toprule", head, "\\midrule"]
    body = [
        f"\\begin{{longtable}}{{{_columns(table, shown, letters)}}}",
        f"\\caption{{{escaped(caption)}.}}\\\\", *repeated, "\\endfirsthead",
        *repeated, "\\endhead", "\\bottomrule", "\\endfoot", *rows, "\\end{longtable}",
    ]  # fmt: skip
    return "\n".join(body) + "\n"


def _cells(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    return pd.DataFrame({str(name): _written(table[name], digits) for name in table})


def _lines(shown: pd.DataFrame) -> tuple[str, list[str]]:
    head = " & ".join(escaped(str(name)) for name in shown)
    return f"{head} \\\\", [" & ".join(row) + " \\\\" for row in shown.to_numpy().tolist()]


def _numbers(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(table[name]) for name in table]


def _columns(table: pd.DataFrame, shown: pd.DataFrame, letters: int) -> str:
    """How the columns of a table are set: as wide as they are, or sharing a line."""
    cells = [int(shown[name].str.len().max()) for name in shown]
    heads = [str(name) for name in shown]
    wanted = [max(cell, len(head)) for cell, head in zip(cells, heads, strict=True)]
    room = letters - 2 * len(heads)
    numbers = _numbers(table)
    if sum(wanted) <= room:
        return "".join("r" if number else "l" for number in numbers)
    words = [max(len(word) for word in head.split() or [""]) for head in heads]
    least = [
        max(cell if number else min(cell, 14), word)
        for cell, number, word in zip(cells, numbers, words, strict=True)
    ]
    more = [max(0, cell - one) for cell, one in zip(cells, least, strict=True)]
    share = min(1.0, max(0, room - sum(least)) / max(sum(more), 1))
    wide = [1 + one + share * extra for one, extra in zip(least, more, strict=True)]
    whole = max(sum(wide), room)
    line = 1 - BETWEEN * len(heads)
    sides = ("right", "left")  # ragged on that side
    return "".join(
        f">{{\\ragged{sides[number]}\\arraybackslash}}p{{{line * one / whole:.3f}\\linewidth}}"
        for one, number in zip(wide, numbers, strict=True)
    )


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    told = value.replace("\r", " ")  # a lone one parts rows in some programs
    return "'" + told if value.startswith(STARTS) else told


def _written(values: pd.Series, digits: int) -> pd.Series:
    return values.map(lambda value: _word(value, digits)).astype(object)


def _word(value: Any, digits: int) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "--"
    if isinstance(value, float):
        return f"{value:.{digits}f}" if value != round(value) or abs(value) <= 1 else f"{value:.0f}"
    return escaped(str(value))


def escaped(text: str) -> str:
    """What LaTeX would read as a command, as letters.

    A bracket or a star after the end of a row would be read as belonging to that end.

    >>> escaped("~50% of a_b \\\\ {c}")
    '\\\\textasciitilde{}50\\\\% of a\\\\_b \\\\textbackslash{} \\\\{c\\\\}'
    >>> escaped("[0, 0.2)")
    '{[}0, 0.2)'
    """
    special: Sequence[tuple[str, str]] = (
        ("\\", "\0"), ("{", "\\{"), ("}", "\\}"), ("\0", "\\textbackslash{}"),
        ("~", "\\textasciitilde{}"), ("^", "\\textasciicircum{}"),
        *((sign, "\\" + sign) for sign in "&%$#_"),
        *((sign, "{" + sign + "}") for sign in "[*"),
    )  # fmt: skip
    for sign, written in special:
        text = text.replace(sign, written)
    return text
