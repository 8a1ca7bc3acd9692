"""The wheel carries areas, recipes and the catalogue; everything else stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("areas", "recipes", "publication", "data_catalog.yaml")
SERVED = ("main.py", "app_hooks.py")  # what a server opens, in a folder whose name is the address


class BuildWithShipped(build_py):
    """Copies what lies at the top of the repository to where an installed program looks for it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # run from source: the originals are found where they are
            return
        target = Path(self.build_lib) / "lsm_core" / "shipped"
        target.mkdir(parents=True, exist_ok=True)
        for name in SHIPPED:
            if Path(name).is_dir():
                shutil.copytree(name, target / name, dirs_exist_ok=True)
            else:
                shutil.copy2(name, target / name)
        (target / "app").mkdir(exist_ok=True)
        for name in SERVED:
            shutil.copy2(Path("app") / name, target / "app" / name)


setup(cmdclass={"build_py": BuildWithShipped})
