"""Docstrings of this program as Markdown: headings, lists of parameters, examples as code."""

import re
from typing import Any

import griffe

HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
PARAMETER = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*|[A-Z]\w*Error) : ?", re.MULTILINE)
NEXT = re.compile(r"(?<=[.)] )([a-z_]\w*(?:, [a-z_]\w*)*|[A-Z]\w*Error) : (?=\S)")
EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!\s*$).+\n?)*)+", re.MULTILINE)


def as_markdown(text: str) -> str:
    """A docstring of the house's kind as Markdown."""
    examples: list[str] = []

    def keep(found: re.Match[str]) -> str:
        examples.append(f"```pycon\n{found[0].rstrip()}\n```\n")
        return f"\0{len(examples) - 1}\0\n"

    text = EXAMPLE.sub(keep, text)
    text = HEADING.sub(r"**\1**\n", text)
    text = PARAMETER.sub(r"- `\1`: ", text)
    text = re.sub(r" +\n- ", "\n- ", NEXT.sub(r"\n- `\1`: ", text))
    return re.sub(r"\0(\d+)\0\n", lambda found: examples[int(found[1])], text)


class Docstrings(griffe.Extension):
    """Turns every docstring into Markdown while the sources are read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
