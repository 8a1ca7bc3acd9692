"""The documentation: its commands are those there are, its pages are found, and what it shows runs.

A block of commands below `<!-- run -->` is run by `make torture`, page by page, as a reader would:
in an empty folder, with the page's own.py beside it. Every other block must parse.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from typer.main import get_command

from lsm_core import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
RUN = "<!-- run -->"
PLACE = re.compile(r"^\w+=\S*$")  # a variable set for one command
MODULES = (  # whose functions keep name, order of arguments and meaning
    *("catalog", "grid", "study_area", "preparation", "terrain", "hydrology", "distance"),
    *("encoding", "selection", "bivariate", "splits", "sampling", "windows", "metrics"),
    *("comparison", "zoning", "models", "training", "tuning", "transfer", "prediction"),
    *("experiment", "runs", "jobs", "figures"),
)


class Block(NamedTuple):
    language: str
    text: str
    runs: bool


def blocks_of(page):
    text = page.read_text("utf-8")
    return [
        Block(found[2], textwrap.dedent(found[3]), text[: found.start()].rstrip().endswith(RUN))
        for found in FENCE.finditer(text)
    ]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def commands_of(script):
    """Words of each command of a script, lines that are continued put together."""
    lines = script.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    for words in found:
        while words and PLACE.match(words[0]):
            del words[0]
    return [words for words in found if words]


def check(words, targets=()):
    """Raise what the command line would say of a command, without running it."""
    if Path(words[0]).name == "lsm" and "--help" not in words:
        _parse(get_command(cli.app), "lsm", words[1:])
    if words[0] == "make":
        unknown = set(words[1:]) - set(targets)
        assert not unknown, f"no target {unknown} in the Makefile"


def said(error):
    return error.format_message() if hasattr(error, "format_message") else str(error)


def _parse(command, name, words, parent=None):
    with command.make_context(name, list(words), parent=parent) as context:
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if hasattr(command, "resolve_command") and rest:
            inner, found, left = command.resolve_command(context, rest)
            _parse(found, inner, left, context)


@pytest.fixture(scope="module")
def targets():
    return re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```bash" in p.read_text("utf-8")], ids=name_of
)
def test_commands_are_known_with_their_options(page, targets):
    for block in blocks_of(page):
        if block.language != "bash":
            continue
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        for words in commands_of(block.text):
            try:
                check(words, targets)
            except Exception as error:
                pytest.fail(f"{shlex.join(words)}: {said(error)}")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_commands_within_sentences_are_known_too(page):
    """Such as `lsm tune --folds`: words may be missing, but none may be wrong."""
    shortened = {"MissingParameter", "NoArgsIsHelpError", "BadOptionUsage"}
    for words in re.findall(r"`(lsm [a-z][^`]*)`", FENCE.sub("", page.read_text("utf-8"))):
        try:
            check(shlex.split(words))
        except Exception as error:
            if type(error).__name__ not in shortened:
                pytest.fail(f"{words}: {said(error)}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_figures_are_told_where_to(page):
    """Of runs they are refused without, which no reader of the options alone sees."""
    for words in re.findall(r"lsm figures [^`\n]*", page.read_text("utf-8")):
        if re.search(r"figures (RUN|\S*runs/)", words):
            assert "--to " in words


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lsm rum cnn", "No such command"),
        ("lsm run cnn --are sample", "No such option"),
        ("lsm transfer tables RUN --two out", "No such option"),
        ("KERAS_BACKEND=jax .venv/bin/lsm compare --to out  # of nothing", "Missing argument"),
        ("lsm run cnn \\\n  --seeds many", "valid integer"),
        ("make coffee", "no target"),
    ],
)
def test_a_command_that_is_none_is_seen(line, says, targets):
    (words,) = commands_of(line)
    with pytest.raises(Exception, match=r".") as seen:
        check(words, targets)
    assert says in said(seen.value)


def test_no_commands_hide_from_the_check():
    """Commands stand in fenced blocks of bash, where they are seen, not in indented ones."""
    for page in PAGES:
        rest = FENCE.sub("", page.read_text("utf-8"))
        assert not re.findall(r"^(?: {4}|\t)(?:\S*/)?lsm .*", rest, re.MULTILINE), page
        plain = [block.text for block in blocks_of(page) if not block.language]
        assert not re.findall(r"^(?:\S*/)?lsm .*", "\n".join(plain), re.MULTILINE), page


RUNNABLE = [page for page in PAGES if any(block.runs for block in blocks_of(page))]


@pytest.mark.torture
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_what_a_page_shows_runs(page, tmp_path):
    for block in blocks_of(page):
        if block.text.startswith("# own.py"):
            (tmp_path / "own.py").write_text(block.text, "utf-8")
    script = "\n".join(block.text for block in blocks_of(page) if block.runs)
    usual = {k: v for k, v in os.environ.items() if not k.startswith("LSM_")}
    usual["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{usual['PATH']}"
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=tmp_path, env=usual, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert not done.returncode, done.stdout[-2000:] + done.stderr[-2000:]


def test_pages_that_run_are_those_of_the_how_tos():
    assert {name_of(page) for page in RUNNABLE} >= {
        "docs/first_hour.md",
        "docs/own_models.md",
        *(
            f"docs/howto/{name}.md"
            for name in ("new_area", "own_factor", "own_split", "own_figure")
        ),
    }


def nav_of(entry):
    """Paths of a navigation, from the top down."""
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [path for one in inner for path in nav_of(one)]


def test_every_page_can_be_found():
    listed = nav_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert there == set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("module", MODULES)
def test_what_others_rely_on_is_in_the_reference(module):
    text = (DOCS / "reference" / f"{module}.md").read_text("utf-8")
    assert f"::: lsm_core.{module}\n" in text
    assert f"({module}.md)" in (DOCS / "reference" / "index.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_begins_with_what_it_is_for(page):
    """After its title stand some words, before any heading, table or code."""
    text = page.read_text("utf-8")
    if '--8<-- "' in text:
        return
    title, first, *_ = [line for line in text.splitlines() if line.strip()]
    assert title.startswith("# ")
    assert first[0].isalpha() or first[0] in "`*"


def test_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


# ------------------------------------------------------------------------------- what builds it


def tool(name):
    """A module of the folder that builds the site."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return tool("pages")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (
            '<link href="https://fonts.example/a.css" rel="stylesheet">',
            ["https://fonts.example/a.css"],
        ),
        ('<script src="//cdn.example/x.js"></script>', ["//cdn.example/x.js"]),
        ('<img alt="" src="http://a.example/b.png">', ["http://a.example/b.png"]),
        ("<style>@import url('https://f.example/c.css')</style>", ["https://f.example/c.css"]),
        ('<a href="https://example.org">a link for readers</a>', []),
        ('<link rel="canonical" href="https://example.org/"><img src="a.png">', []),
    ],
)
def test_what_a_browser_would_fetch_elsewhere_is_seen(pages, html, found):
    assert pages.outside(html) == found


def test_a_file_is_taken_in_with_links_that_lead_on(pages, tmp_path):
    (tmp_path / "A.md").write_text("# A\n\n[how](docs/howto/a.md)\n")
    text = pages.taken_in('above\n\n--8<-- "A.md"\n\nbelow', tmp_path)
    assert text == "above\n\n# A\n\n[how](howto/a.md)\n\n\nbelow"


def test_every_source_is_listed_with_what_it_is_for(pages):
    page = (DOCS / "reference" / "files.md").read_text("utf-8")
    shown = pages.with_files(page, ROOT)
    for folder in ("lsm_core", "lsm_core/models", "app", "app/pages"):
        for path in pages.sources_of(ROOT / folder):
            what = pages.what_for(path)
            assert what, f"{path} does not say in its first line what it is"
            assert f"| `{path.name}` | {what} |" in shown
    assert "<!-- files" not in shown


DOCSTRING = """Sum of two.

Parameters
----------
a, b : numbers. times : how often,
    one by itself.

Raises
------
AreaError : none. RecipeError : two.

>>> add(1, 1)
2
"""
MARKDOWN = """Sum of two.

**Parameters**

- `a, b`: numbers.
- `times`: how often,
    one by itself.

**Raises**

- `AreaError`: none.
- `RecipeError`: two.

```pycon
>>> add(1, 1)
2
```
"""


def test_a_docstring_becomes_lists_and_code():
    pytest.importorskip("griffe", reason="no griffe: pip install lsm-workbench[docs]")
    assert tool("docstrings").as_markdown(DOCSTRING) == MARKDOWN
