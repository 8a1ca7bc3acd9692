"""The program as others install it: a wheel, in an environment of its own, far from its sources."""

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from lsm_core.checkout import FROM_A_WHEEL

ROOT = Path(__file__).parent.parent
MADE_OF = (
    *("pyproject.toml", "setup.py", "README.md", "LICENSE"),
    *("lsm_core", "app", "areas", "recipes", "publication", "data_catalog.yaml"),
)
NEEDED = Version("77")  # of setuptools, as pyproject.toml says


def call(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)


def wheel_of(sources, into):
    """Built of a copy, so that nothing is left in the sources; by the setuptools here if it can."""
    for name in MADE_OF:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, sources / name)
    here = ["--no-build-isolation"] if Version(version("setuptools")) >= NEEDED else []
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", *here)
    done = call(*pip, "--wheel-dir", into, sources)
    if done.returncode and "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("setuptools is too old here, and no index can be reached for another")
    assert done.returncode == 0, done.stderr
    (wheel,) = into.glob("*.whl")
    return wheel


def installed(wheel, folder):
    """A fresh environment with the wheel, which finds all else in the environment of the tests.

    Its folders are named in a file of paths: an editable install that lies there is not followed.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    packages = Path(call(python, "-c", "import site; print(site.getsitepackages()[0])").stdout[:-1])
    rest = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "rest.pth").write_text("\n".join(rest))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    done = call(*pip, "--ignore-installed", wheel)
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.torture
def test_the_demo_runs_from_a_wheel_in_an_empty_folder(tmp_path):
    for name in ("sources", "wheel", "empty"):
        (tmp_path / name).mkdir()
    python = installed(wheel_of(tmp_path / "sources", tmp_path / "wheel"), tmp_path / "fresh")
    shutil.rmtree(tmp_path / "sources")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LSM_", "PYTHON"))}
    there = {"cwd": tmp_path / "empty", "env": kept}
    where = call(python, "-c", "import lsm_core, lsm_app; print(lsm_core.__file__)", **there)
    assert str(tmp_path / "fresh") in where.stdout, where.stderr
    done = call(python.parent / "lsm", "demo", "--no-serve", **there)
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "empty" / "workspace" / "runs").glob("*/status.json"))
    assert [json.loads(path.read_text())["state"] for path in runs] == ["done"] * 3
    told = json.loads(runs[0].with_name("versions.json").read_text())
    assert told["commit"] == FROM_A_WHEEL
