"""A run of every model of the menu on the sample area, or of those that are named.

`python tests/same_numbers.py FOLDER [MODEL...]`. As a process of its own, so that numbers of
threads can be told by the environment and nothing of a run before is left in memory.
"""

import sys
from pathlib import Path
from typing import Any

from lsm_core.model_cards import MENU

IMAGE = {"factors": [], "bands": ["blue", "green", "red", "nir"]}
FEW: dict[str, Any] = {"training": {"epochs": 3, "patience": 3}}
HEAT: dict[str, Any] = {"samples": {"heatmap": {"diameter": 5}}}
ADVERSARIES = {
    "split": {"apart": 12, "block": 5000},
    "samples": {"labelled": 40, "unlabelled": 4},
    "input": {"form": "window", "size": 9, "factors": ["slope"], "bands": ["red", "ndvi"]},
    "training": FEW["training"] | {"loss": "binary_crossentropy"},
}
OWN: dict[str, dict[str, Any]] = {  # beside what follows from a model's card
    "lsgh_net": HEAT | FEW,
    "cnn": FEW,
    "cnn3d": FEW | {"input": {"form": "window", "size": 8}},
    "ann": FEW,
    "attention_unet": {
        "split": {},
        "input": {"form": "chip", "size": 16, **IMAGE},
        "training": {"epochs": 3, "patience": 3, "batch": 4, "loss": "focal"},
    },
    "ssgan": ADVERSARIES,
    "ssgan_discriminator": ADVERSARIES | {"samples": {"labelled": 40}},
    "random_forest_heat": HEAT,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "attention_unet": {"base": 2},
    "cnn3d": {"maps": 4},
    "ssgan": {"width": 4, "noise": 8},
    "ssgan_discriminator": {"width": 4},
    "random_forest": {"n_estimators": 100},
    "random_forest_heat": {"n_estimators": 100},
    "random_forest_grid": {"n_estimators": [50], "max_depth": [None], "min_samples_leaf": [1, 5]},
}


def settings(name: str) -> dict[str, Any]:
    """The recipe of a small run of a model, with its map."""
    usual = {"split": {"block": 6000.0}, "input": {"form": MENU[name].eats[0]}}
    model = {"name": name, "options": OPTIONS.get(name, {})}
    return {"name": name, "area": "sample", "model": model} | usual | OWN.get(name, {})


def main(folder: Path, names: list[str]) -> None:
    """A run of each, in the folder, called by its model."""
    from lsm_core.experiment import run_experiment
    from lsm_core.recipe import make_recipe

    for name in names:
        run_experiment(make_recipe(settings(name)), folder).path.rename(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(MENU))
