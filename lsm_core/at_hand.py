"""What is there already is used, what is missing is made: a study area, a run, a study.

For notebooks and for `lsm study`: whoever comes back to one finds the runs of the last time.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import xarray as xr

from lsm_core import experiment, repeats, report, runs, sample_area
from lsm_core.detected_area import settled
from lsm_core.errors import RecipeError, RunError
from lsm_core.foreground import quiet_networks, recipe_file, settle, shipped_recipes
from lsm_core.planning import Plan
from lsm_core.recipe import Recipe, read_settings
from lsm_core.runs import Run
from lsm_core.studies import Study, variant_recipes
from lsm_core.study_area import area_path, open_area, save_area

Tell = Callable[[str], object]
Carry = Callable[[Plan, Path], Run]
MAPS = ("first", "all", "none")


def silent(words: str) -> None:
    """Nobody is told."""


def area(name: str = sample_area.NAME) -> xr.Dataset:
    """The built study area of this name; the sample area is built where it is not there yet.

    Raises
    ------
    AreaError : no such area; it says which command builds it.
    """
    path = area_path(name)
    if name == sample_area.NAME and not path.exists():
        built = sample_area.build()
        save_area(built.ds, path, inventory=built.inventory)
    return open_area(path)


def run(recipe: Recipe, folder: Path | None = None) -> Run:
    """The finished run of this very recipe on its area as it is now, or a new one.

    `folder` : of the runs; the workspace's by default. Errors: as of `experiment.run_experiment`.
    """
    folder = folder or runs.runs_folder()
    quiet_networks()
    recipe = settle(recipe, folder, as_json=True)
    plan = experiment.plan_run(recipe)
    done = repeats.finished(recipe, plan.area, folder)
    if done is None:
        path = runs.create_run(recipe, plan.area, folder, repeats.mark(recipe))
        done = experiment.carry_out(plan, path)
        forget_networks()
    return done


def study(
    name: str,
    area: str | None = None,
    changes: Sequence[str] = (),
    *,
    only: Sequence[str] = (),
    seeds: int = 1,
    maps: str = "first",
    folder: Path | None = None,
    tell: Tell = silent,
) -> Study:
    """A recipe and its variants with several seeds, all tested on the same places: `lsm study`.

    Parameters
    ----------
    name : of a recipe with variants, or its file. changes : `key=value`, in every variant.
    only : names of variants; all by default. seeds : of each, counted up from the recipe's own.
    maps : which seeds map the area: "first", "all" or "none".
    tell : hears a line a run, as it is begun and as it ends.

    Raises
    ------
    RecipeError : no such recipe or variant. RunError : none of the runs could be finished.
    """
    quiet_networks()
    folder = folder or runs.runs_folder()
    made = recipes_of(name, area, changes, only)
    made = {variant: settle(one, folder, as_json=True) for variant, one in made.items()}
    run_missing(made, seeds, maps, folder, tell=tell)
    return finished(made, seeds, folder)


# --------------------------------------------------------------------------- step by step


def recipes_of(
    name: str, area: str | None, changes: Sequence[str] = (), only: Sequence[str] = ()
) -> dict[str, Recipe]:
    """The recipe and its variants on an area, by name; see `studies.variant_recipes`."""
    others = {stem: read_settings(path) for stem, path in shipped_recipes().items()}
    on = [f"area={area}"] if area else []
    return variant_recipes(read_settings(recipe_file(name)), others, [*on, *changes], only)


def with_detection(recipe: Recipe, folder: Path, run: bool, as_json: bool) -> Recipe:
    """With the detection that its inventory comes from, which is run first unless it is there.

    Raises
    ------
    RunError : it is not there, and is not to be run.
    """

    def not_there(first: Recipe) -> Run:
        raise RunError(f"the detection, {first.name}, has not been run: leave --no-run out")

    return settle(recipe, folder, as_json) if run else settled(recipe, folder, not_there)


def run_missing(
    recipes: Mapping[str, Recipe],
    seeds: int,
    maps: str,
    folder: Path,
    *,
    tell: Tell = typer.echo,
    carry: Carry | None = None,
) -> None:
    """Run what is not finished, seed by seed, so that a study cut short has some of every variant.

    A variant that cannot be trained is told, and the others go on. `carry` does what was planned in
    a run's folder; `experiment.carry_out` by default.
    """
    if maps not in MAPS:
        raise RecipeError(f"maps are {', '.join(MAPS)}, got {maps!r}")
    plans = {name: experiment.plan_run(one) for name, one in recipes.items()}  # mistakes first
    there = runs.list_runs(folder)
    for number in range(seeds):
        for name, base in recipes.items():
            chosen = repeats.repeats(base, seeds)[number]
            mapped = chosen.map and (maps == "all" or (maps == "first" and number == 0))
            chosen = chosen.model_copy(update={"map": mapped})
            if repeats.finished(chosen, plans[name].area, folder, there):
                continue
            plan = experiment.plan_run(chosen)
            tell(f"{name}, seed {chosen.seed}")
            path = runs.create_run(chosen, plan.area, folder, repeats.mark(chosen))
            try:
                done = (carry or experiment.carry_out)(plan, path)
            except RunError as error:  # one variant that cannot be trained is told, not the end
                typer.echo(f"{name}, seed {chosen.seed} failed: {error}")
                continue
            tell(report.result_in_words(done))
            forget_networks()


def finished(recipes: Mapping[str, Recipe], seeds: int, folder: Path) -> Study:
    """The finished runs of these recipes, by variant and seed; a variant without one is absent."""
    found, there = {}, runs.list_runs(folder)
    areas: dict[str, dict[str, Any]] = {}  # the same for all, but for detected landslides
    for name, base in recipes.items():
        inventory = repr(base.inventory)
        if inventory not in areas:
            areas[inventory] = experiment.plan_run(base).area
        asked = [
            one.model_copy(update={"map": mapped})
            for one in repeats.repeats(base, seeds)
            for mapped in (True, False)
        ]
        done = [repeats.finished(one, areas[inventory], folder, there) for one in asked]
        by_seed = {run.recipe.seed: run for run in reversed(done) if run}
        if by_seed:
            found[name] = [by_seed[seed] for seed in sorted(by_seed)]
    return Study(found)


def forget_networks() -> None:
    """Hundreds of compiled networks in one process would fill its memory."""
    import sys

    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
