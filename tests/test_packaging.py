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

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".importlinter"


def name_and_range(requirement: str) -> tuple[str, str]:
    name, limits = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[.*\])?(.*)", requirement).groups()
    return name.lower().replace("_", "-"), limits


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_users_get_the_same_packages(project):
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = dict(
        name_and_range(e)
        for e in [*listed, *pip]
        if isinstance(e, str) and "=3.11" not in e and not e.startswith("--")
    )
    for requirement in project["dependencies"]:
        name, limits = name_and_range(requirement)
        assert conda.get(name) == limits, requirement


def test_the_lock_holds_every_dependency_within_its_limits(project):
    from packaging.requirements import Requirement

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
