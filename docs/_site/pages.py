"""What the documentation's build does besides: pages take in files of the repository's top and the
first line of every source, and no built page may ask another host for anything.
"""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
INCLUDED = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
LISTED = re.compile(r"^<!-- files of (\S+) -->$", re.MULTILINE)
NOT_FETCHED = ("canonical", "prev", "next", "alternate")  # addresses of pages, for readers
OUTSIDE = re.compile(r"(https?:)?//", re.IGNORECASE)


class _Fetched(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(FETCHED.get(tag, "")) or ""
        told = tag == "link" and dict(attrs).get("rel") in NOT_FETCHED
        if OUTSIDE.match(address) and not told:
            self.found.append(address)


def outside(html: str) -> list[str]:
    """Addresses on other hosts that a browser would fetch by itself when it opens the page.

    Links that a reader may follow are not among them.
    """
    page = _Fetched()
    page.feed(html)
    return page.found + re.findall(r"(?:@import\s+|url\()[\"']?(https?://[^\"')\s]+)", html)


def taken_in(markdown: str, root: Path) -> str:
    """A page with the files that it names by `--8<-- "FILE"`, their links made those of a page."""

    def text(found: re.Match[str]) -> str:
        return (root / found[1]).read_text("utf-8").replace("](docs/", "](")

    return INCLUDED.sub(text, markdown)


def with_files(markdown: str, root: Path) -> str:
    """A page with a list in place of each `<!-- files of FOLDER -->`: its sources, and what for."""

    def text(found: re.Match[str]) -> str:
        rows = [f"| `{path.name}` | {what_for(path)} |" for path in sources_of(root / found[1])]
        return "\n".join(["| file | what it is |", "|---|---|", *rows])

    return LISTED.sub(text, markdown)


def sources_of(folder: Path) -> list[Path]:
    """The Python files of a folder, not those that only make it a package."""
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def what_for(path: Path) -> str:
    """The first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Called by MkDocs for every page before it is rendered."""
    root = Path(config["config_file_path"]).parent
    return with_files(taken_in(markdown, root), root)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Called by MkDocs for every page it has built."""
    from mkdocs.exceptions import PluginError

    if found := outside(output):
        raise PluginError(f"{page.file.src_uri} would ask other hosts: {', '.join(found)}")
    return output
