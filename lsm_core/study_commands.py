"""`lsm study`: a recipe, its variants and their seeds, run where not done yet, and in tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsm_core.errors import RecipeError, RunError

if TYPE_CHECKING:
    from lsm_core.recipe import Recipe
    from lsm_core.runs import Run
    from lsm_core.studies import Study

MAPS = ("first", "all", "none")


def study(
    recipe: Annotated[str, typer.Argument(help="A recipe with variants: a file, or its name.")],
    area: Annotated[str | None, typer.Option(help="Study area to run on.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each, from the recipe's up.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="A variant, as often as needed; all by default.")
    ] = None,
    maps: Annotated[
        str, typer.Option(help="Which seeds map the area: `first`, `all` or `none`.")
    ] = "first",
    into: Annotated[Path | None, typer.Option(help="Folder for runs; the workspace's.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for tables and figures.")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Or only tell what is done.")] = True,
    draws: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0: no intervals.")] = 300,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, in every variant.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")] = False,
) -> None:
    """Run a recipe and its variants with several seeds, and print the tables of a paper.

    What is finished is not run again, so a study that was stopped goes on where it was.
    """
    import numpy as np

    from lsm_core import comparison_report, studies, study_report
    from lsm_core.foreground import quiet_networks
    from lsm_core.runs import runs_folder

    if maps not in MAPS:
        raise RecipeError(f"--maps takes {', '.join(MAPS)}, got {maps!r}")
    quiet_networks()
    folder = into or runs_folder()
    recipes = _recipes(recipe, area, changes or [], only or [])
    recipes = {name: _settled(one, folder, run, as_json) for name, one in recipes.items()}
    if run:
        _run_all(recipes, seeds, maps, folder, as_json)
    found = _finished(recipes, seeds, folder)
    tables = studies.tables(found, draws=draws, rng=np.random.default_rng(1))
    words = study_report.study_in_words(found, tables, draws)
    text = {name: comparison_report.records(table) for name, table in tables.items()}
    if to:
        study_report.write_study(to, found, tables, words)
    print(json.dumps(text, indent=1) if as_json else words)
    missing = {name: seeds - len(found.runs.get(name, [])) for name in recipes}
    if run and any(missing.values()):
        words = ", ".join(f"{n} of {name}" for name, n in missing.items() if n)
        raise RunError(f"not all of the study is done, runs missing: {words}")


def _recipes(
    name: str, area: str | None, changes: list[str], only: list[str]
) -> "dict[str, Recipe]":
    from lsm_core.foreground import recipe_file, shipped_recipes
    from lsm_core.recipe import read_settings
    from lsm_core.studies import variant_recipes

    others = {stem: read_settings(path) for stem, path in shipped_recipes().items()}
    on = [f"area={area}"] if area else []
    return variant_recipes(read_settings(recipe_file(name)), others, [*on, *changes], only)


def _settled(recipe: "Recipe", folder: Path, run: bool, as_json: bool) -> "Recipe":
    """With the detection that its inventory comes from, which is run first unless it is there."""
    from lsm_core.detected_area import settled
    from lsm_core.foreground import settle

    def not_there(first: "Recipe") -> "Run":
        raise RunError(f"the detection, {first.name}, has not been run: leave --no-run out")

    return settle(recipe, folder, as_json) if run else settled(recipe, folder, not_there)


def _run_all(
    recipes: "dict[str, Recipe]", seeds: int, maps: str, folder: Path, as_json: bool
) -> None:
    """Seed by seed, so that a study that is stopped has something of every variant."""
    from lsm_core import experiment, repeats, report
    from lsm_core.foreground import tell, work
    from lsm_core.runs import create_run

    plans = {name: experiment.plan_run(one) for name, one in recipes.items()}  # mistakes first
    for number in range(seeds):
        for name, base in recipes.items():
            chosen = repeats.repeats(base, seeds)[number]
            mapped = chosen.map and (maps == "all" or (maps == "first" and number == 0))
            chosen = chosen.model_copy(update={"map": mapped})
            if repeats.finished(chosen, plans[name].area, folder):
                continue
            plan = experiment.plan_run(chosen)
            if not as_json:
                print(f"{name}, seed {chosen.seed}")
            path = create_run(chosen, plan.area, folder, repeats.mark(chosen))
            try:
                done = work(plan, path, as_json)
            except RunError as error:  # one variant that cannot be trained is told, not the end
                print(f"{name}, seed {chosen.seed} failed: {error}")
                continue
            if not as_json:
                tell(done, False, report.result_in_words(done))


def _finished(recipes: "dict[str, Recipe]", seeds: int, folder: Path) -> "Study":
    from lsm_core import experiment, repeats
    from lsm_core.studies import Study

    found = {}
    areas: dict[str, dict[str, Any]] = {}  # the same for all, but for detected landslides
    for name, base in recipes.items():
        inventory = repr(base.inventory)
        if inventory not in areas:
            areas[inventory] = experiment.plan_run(base).area
        area = areas[inventory]
        asked = [
            one.model_copy(update={"map": mapped})
            for one in repeats.repeats(base, seeds)
            for mapped in (True, False)
        ]
        done = [repeats.finished(one, area, folder) for one in asked]
        by_seed = {run.recipe.seed: run for run in reversed(done) if run}
        if by_seed:
            found[name] = [by_seed[seed] for seed in sorted(by_seed)]
    return Study(found)
