"""What a fresh machine installs: the environment file, the lock and the floors are in step."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from pip._internal.req.req_file import ParsedRequirement, parse_requirements

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".importlinter"


def name_and_range(requirement: str) -> tuple[str, str]:
    name, limits = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[.*\])?(.*)", requirement).groups()
    return name.lower().replace("_", "-"), limits


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


BEYOND = {  # what conda users get that a plain `pip install` does not bring, and why
    "python": "an interpreter, which pip has already",
    "pip": "for the packages that conda-forge lacks, and for the program itself",
    "tensorflow": "a backend for networks: with pip one of the extras cpu and gpu",
    "jupyterlab": "to open the notebooks: with pip the extra notebooks",
}


@pytest.fixture(scope="module")
def environment() -> tuple[list[str], list[str]]:
    """What conda itself installs, and the lines that it hands to pip."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    return [entry for entry in listed if isinstance(entry, str)], pip


def as_pip_reads(lines: list[str], folder: Path) -> list[ParsedRequirement]:
    """As conda does: the lines as a file of requirements, in the words of pip's own reader."""
    file = folder / "condaenv.requirements.txt"
    file.write_text("\n".join(lines))
    return list(parse_requirements(str(file), session=None))  # nothing is fetched


def test_pip_reads_what_conda_hands_to_it(environment, tmp_path):
    read = as_pip_reads(environment[1], tmp_path)
    assert [one.requirement for one in read if one.is_editable] == ["."]
    assert all(Requirement(one.requirement) for one in read if not one.is_editable)


def test_conda_users_get_the_same_packages_and_no_others(project, environment):
    """In both directions; what is beyond has a reason, and the limits of its extra."""
    conda, pip = environment
    listed = [name_and_range(line) for line in [*conda, *pip] if line != "-e ."]
    there = dict(listed)
    assert len(listed) == len(there)
    wanted = dict(name_and_range(text) for text in project["dependencies"])
    assert {name: there.get(name) for name in wanted} == wanted
    assert set(there) - set(wanted) == set(BEYOND)
    extras = project["optional-dependencies"]
    assert name_and_range(extras["cpu"][0]) == ("tensorflow-cpu", there["tensorflow"])
    assert "jupyterlab" in extras["notebooks"]
    asked = Requirement(f"python{project['requires-python']}").specifier
    assert there["python"].removeprefix("=") in asked


def test_the_lock_holds_every_dependency_within_its_limits(project):
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = dict(line.split("==") for line in lines)
    locked = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    extras = project["optional-dependencies"]
    every = [project["dependencies"], *(extras[e] for e in ("cpu", "notebooks", "docs", "dev"))]
    for text in itertools.chain.from_iterable(every):
        wanted = Requirement(text)
        assert locked[wanted.name.lower().replace("_", "-")] in wanted.specifier, text


def test_the_lock_names_no_address():
    assert not re.search(
        r"https?:|file:|index|find-links|@", (ROOT / "requirements.lock").read_text()
    )


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (
            "lsm_core/grid.py",
            "import lsm_core.experiment\n",
            "lsm_core.grid -> lsm_core.experiment",
        ),
        (
            "lsm_app/session.py",
            "import lsm_core.training\n",
            "lsm_app.session -> lsm_core.training",
        ),
        ("lsm_core/cellar.py", "", "cellar"),
    ],
)
def test_the_floors_catch_a_planted_import_and_an_unplanned_file(tmp_path, path, text, words):
    for package, source in (("lsm_core", "lsm_core"), ("lsm_app", "app")):
        for file in (ROOT / source).rglob("*.py"):
            copy = tmp_path / package / file.relative_to(ROOT / source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text())
    assert lint(tmp_path).returncode == 0
    planted = tmp_path / path
    planted.write_text((planted.read_text() if planted.exists() else "") + text)
    result = lint(tmp_path)
    assert result.returncode != 0
    assert words in result.stdout


def lint(folder: Path) -> subprocess.CompletedProcess:
    command = f"from importlinter.cli import lint_imports; exit(lint_imports({str(TOOLS)!r}))"
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); {command}"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


def test_what_the_program_looks_for_comes_with_a_wheel():
    """`lsm serve` opens a folder called app, so that its address is the same however installed."""
    asked = set()
    for package in ("lsm_core", "app"):
        for file in (ROOT / package).rglob("*.py"):
            code = re.sub(r"^ *>>> .*", "", file.read_text(), flags=re.MULTILINE)
            asked |= set(re.findall(r'shipped\("([^"]+)"\)', code))
    made = (ROOT / "setup.py").read_text()
    assert {"app", "areas", "publication"} <= asked
    assert not {name for name in asked if f'"{name}"' not in made}
    for name in re.search(r"SERVED = \((.*?)\)", made)[1].replace('"', "").split(", "):
        found = ast.walk(ast.parse((ROOT / "app" / name).read_text()))
        known = [f"{one.module}" for one in found if isinstance(one, ast.ImportFrom)]
        assert not [module for module in known if module.startswith((".", "app"))], name


def test_the_core_imports_nothing_heavy():
    heavy = ("tensorflow", "keras", "hydromt", "panel", "sklearn", "geopandas", "xarray")
    code = f"import sys, lsm_core, lsm_core.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
