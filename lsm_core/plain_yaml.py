"""YAML as plain values, whoever wrote it: no tags, no bombs, no key that hides another.

PyYAML's safe loader makes no objects, but it lets a few lines stand for a billion values, takes the
second of two keys of one name without a word, and ends in whatever Python raises for a number too
long, a date that is none, or brackets too deep.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lsm_core.errors import LsmError

LARGEST = 300_000  # bytes: a hundred times what people write, and read in seconds
MOST_VALUES = 100_000  # counting again what aliases repeat
DEEPEST = 50  # lists and mappings in each other


class NotYaml(ValueError):
    """The text cannot be read as plain YAML; the message says why."""


class _Loader(yaml.SafeLoader):
    """Of mappings with a key each once, and not deep in each other."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotYaml(f"its brackets or lists stand more than {DEEPEST} deep in each other")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise NotYaml(
                        f"{key.value!r} stands there twice (line {key.start_mark.line + 1}): "
                        "leave one out"
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """The plain values of a text; NotYaml, in words, for anything else.

    >>> parse_yaml("training: {epochs: 3}")
    {'training': {'epochs': 3}}
    """
    if len(text) > LARGEST:
        raise NotYaml(f"it is larger than {LARGEST / 1000:.0f} kB, which no settings are")
    try:
        loader = _Loader(text)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
        if _count(value, {}, set()) > MOST_VALUES:
            raise NotYaml(f"its aliases repeat more than {MOST_VALUES:,} values")
    except NotYaml:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise NotYaml(" ".join(str(error).split())[:300]) from None
    return value


def read_yaml(path: Path, kind: type[LsmError]) -> Any:
    """The plain values of a file; an error of this kind, naming the file, for anything else."""
    try:
        if path.stat().st_size > LARGEST:
            raise NotYaml(f"it is larger than {LARGEST / 1000:.0f} kB, which no settings are")
        return parse_yaml(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise kind(f"{path} is not readable YAML: {error.reason}, save it as UTF-8") from None
    except (NotYaml, OSError) as error:
        raise kind(f"{path} is not readable YAML: {error}") from None


def _count(value: Any, known: dict[int, int], above: set[int]) -> int:
    """Values in a value, aliases counted as often as they stand there."""
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if id(value) in above:
        raise NotYaml("an alias stands inside of what it repeats")
    if id(value) not in known:
        above.add(id(value))
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(part, known, above) for part in inner)
        above.discard(id(value))
    return known[id(value)]
