"""What a newcomer meets first is true: hooks, forms for reports, how to cite, what changed."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PARTS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}


def read(name):
    return (ROOT / name).read_text("utf-8")


def test_hooks_run_the_commands_of_make_check():
    recipe = re.search(r"^check: setup\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)[1]
    commands = [line.strip().replace("$(BIN)/", ".venv/bin/") for line in recipe.splitlines()]
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == commands
    assert {(hook["language"], hook["pass_filenames"]) for hook in local["hooks"]} == {
        ("system", False)
    }


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.stem != "config"], ids=lambda form: form.stem
)
def test_a_form_is_one(form):
    content = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= set(content)
    asked = [part for part in content["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in content["body"]} <= PARTS
    assert all(part["attributes"]["label"] for part in asked)
    assert len({part["id"] for part in asked}) == len(asked)
    assert any(part.get("validations", {}).get("required") for part in asked)


def test_there_is_a_form_for_bugs_numbers_and_questions():
    assert {"bug", "wrong_number", "question"} <= {form.stem for form in FORMS}


def test_the_citation_is_of_this_version():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    cited = yaml.safe_load(read("CITATION.cff"))
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["authors"]
    newest = re.search(r"^## (\S+?),? ", read("CHANGELOG.md"), re.MULTILINE)[1]
    assert newest == project["version"]


def test_contributors_are_told_of_things_that_are_there():
    text = read("CONTRIBUTING.md")
    for name in re.findall(r"`((?:\.?\w[\w/-]*)?\.?[\w/-]+\.\w+|\.importlinter)`", text):
        assert (ROOT / name).exists(), name
    targets = set(re.findall(r"^([a-z0-9]+):", read("Makefile"), re.MULTILINE))
    for words in re.findall(r"`make ([a-z0-9 ]+)`", text):
        assert set(words.split()) <= targets, words


def test_the_table_of_rooms_leads_to_rooms_that_are_there():
    """Names in the table of docs/architecture.md are files: of the core unless a folder is said."""
    table = read("docs/architecture.md").split("## Which room\n")[1].split("\n## ")[0]
    names = [name for name in re.findall(r"`([^`]+)`", table) if "*" not in name]
    assert len(names) > 30
    for name in names:
        paths = (ROOT / name, ROOT / "lsm_core" / name, ROOT / "lsm_core" / f"{name}.py")
        assert any(path.exists() for path in paths), name
