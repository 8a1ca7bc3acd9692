"""What every section of a recipe is: fixed once read, no unknown key, no number beyond reason."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# More would be a slip of the hand, or somebody who wants the machine to stand still.
WIDEST, MOST_CLASSES, LAST_SEED = 1024, 1000, 2**32 - 1

Cells = Annotated[int, Field(ge=1, le=WIDEST)]


class Section(BaseModel):
    """A mapping of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


TAKES = {  # pydantic's kind of a complaint, or a pattern, to what would be right
    "greater_than_equal": "numbers from {ge:.12g}",
    "greater_than": "numbers above {gt:.12g}",
    "less_than_equal": "numbers up to {le:.12g}",
    "less_than": "numbers below {lt:.12g}",
    "literal_error": "{expected}",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    "string_too_long": "at most {max_length} letters",
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "letters, digits, - and _",
    r"^[A-Za-z][A-Za-z0-9_]*$": "letters, digits and _, a letter first",
}


def complaint(found: Mapping[str, Any], place: str) -> str:
    """One of pydantic's findings in words of ours: what a setting takes, and what it got.

    >>> about = {"type": "greater_than_equal", "ctx": {"ge": 1}, "input": -3, "msg": ""}
    >>> complaint(about, "training.epochs")
    'training.epochs takes numbers from 1, got -3'
    """
    about = found.get("ctx", {})
    takes = TAKES.get(found["type"]) or TAKES.get(about.get("pattern", ""))
    if takes and place:
        return f"{place} takes {takes.format(**about)}, got {found['input']!r:.80}"
    words = str(found["msg"]).removeprefix("Value error, ")
    whole = isinstance(found["input"], Mapping)  # a section that does not go together
    got = f" (got {found['input']!r})" if place and not whole else ""
    return f"{place + ': ' if place else ''}{words}{got}"
